//! Which user of the operating system gives a command: what the kernel says of the other end of the local socket, or what
//! this process is.

use std::fs::File;
use std::io::Read;

use axum::http::HeaderMap;

use crate::model::SystemUser;

/// The user of this process, who works on the store itself.
pub fn own_user() -> SystemUser {
    let uid = rustix::process::geteuid().as_raw();
    SystemUser { uid, name: name_of(uid), sudo_user: sudo_user() }
}

/// Who has become the user of this process by `sudo`.
pub fn sudo_user() -> Option<String> {
    std::env::var(SUDO_USER_VARIABLE).ok().filter(|user| is_user_name(user))
}

/// The same of the process at the other end, as its request says.
pub(super) fn sudo_user_of(headers: &HeaderMap) -> Option<String> {
    let user = headers.get(SUDO_USER_HEADER)?.to_str().ok()?;
    is_user_name(user).then(|| user.to_owned())
}

/// The name of a user in the database of this machine. No service of names is asked: it could be one that asks this very
/// server.
pub(super) fn name_of(uid: u32) -> Option<String> {
    let mut text = String::new();
    File::open(USERS).ok()?.take(USERS_OCTETS_MAX).read_to_string(&mut text).ok()?;
    name_in(&text, uid)
}

/// passwd(5): `name:password:uid:…`
fn name_in(users: &str, uid: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == uid && is_user_name(name)).then(|| name.to_owned())
    })
}

fn is_user_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_OCTETS_MAX && name.bytes().all(|octet| octet.is_ascii_graphic())
}

/// Where a command says who has become its user by `sudo`. Only who may do everything can send it.
pub const SUDO_USER_HEADER: &str = "x-bindery-sudo-user";

/// sudo(8)
const SUDO_USER_VARIABLE: &str = "SUDO_USER";
const USERS: &str = "/etc/passwd";
const USERS_OCTETS_MAX: u64 = 4 * 1024 * 1024;
const NAME_OCTETS_MAX: usize = 256;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_name_of_a_user_is_that_of_the_first_line_with_the_number() {
        let users = "root:x:0:0:root:/root:/bin/bash\n# nobody\nbroken\nalso:broken:\nbindery:x:999:999::/:/bin/false\n\
                     toor:x:0:0::/:/bin/sh\n:x:7:7::/:\n";
        assert_eq!(name_in(users, 0).as_deref(), Some("root"));
        assert_eq!(name_in(users, 999).as_deref(), Some("bindery"));
        assert_eq!((name_in(users, 1), name_in(users, 7), name_in("", 0)), (None, None, None));
    }

    #[test]
    fn what_is_no_name_of_a_user_is_none() {
        let said = |value: &[u8]| {
            let value = HeaderValue::from_bytes(value).unwrap();
            sudo_user_of(&HeaderMap::from_iter([(SUDO_USER_HEADER.parse().unwrap(), value)]))
        };
        assert_eq!(said(b"alice").as_deref(), Some("alice"));
        assert_eq!(said(&[b'a'; NAME_OCTETS_MAX]).map(|user| user.len()), Some(NAME_OCTETS_MAX));
        for wrong in [&b""[..], b"a b", "al\u{ef}ce".as_bytes(), b"a\tb", &[b'a'; NAME_OCTETS_MAX + 1]] {
            assert_eq!(said(wrong), None, "{wrong:?}");
        }
        assert_eq!(sudo_user_of(&HeaderMap::new()), None);
    }
}
