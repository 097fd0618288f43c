//! The front of a stream that a proxy, or a stranger in its network, sends: the first octet chooses how long a header may
//! be, all others are the stream. What is said of it is what a plain reading of the specification says, at whichever octet
//! the stream is cut, and a header ends where it says that it does.
#![no_main]

use bindery_fuzz::proxy_headers::{check, length_max};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let [size, octets @ ..] = octets else { return };
    check(octets, length_max(*size));
});
