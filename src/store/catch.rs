//! Panics of the database become values, and their messages go to nobody but the one who asked.
//!
//! sled panics on some damaged files. The panic hook is put around the existing one once and stays:
//! exchanging it around each call would swallow what other threads have to say at that moment. It is
//! silent only on a thread that is inside [`catch`], and on sled's own threads it writes to the log.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

/// Calls `work`; a panic in it is answered with its message.
pub(super) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    INSTALL.call_once(install);
    let outer = CAUGHT.replace(Some(String::new()));
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    let message = CAUGHT.replace(outer);
    result.map_err(|_| message.unwrap_or_default())
}

fn install() {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let taken = CAUGHT.try_with(|caught| take(caught, info)).unwrap_or(false);
        if taken {
            return;
        }
        if std::thread::current().name().is_some_and(|name| name.starts_with(DATABASE_THREADS)) {
            tracing::error!(reason = message_of(info), "a thread of the database stopped");
            return;
        }
        previous(info);
    }));
}

/// Keeps the first message, if this thread wants it.
fn take(caught: &RefCell<Option<String>>, info: &PanicHookInfo<'_>) -> bool {
    let Ok(mut caught) = caught.try_borrow_mut() else { return false };
    let Some(message) = caught.as_mut() else { return false };
    if message.is_empty() {
        *message = message_of(info);
    }
    true
}

/// The message on one line; sled's contain line breaks.
fn message_of(info: &PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("it stopped without a reason");
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MESSAGE_CHARACTERS_MAX).collect()
}

#[cfg(panic = "abort")]
compile_error!("the store catches the panics of its database: build with panic = \"unwind\"");

static INSTALL: Once = Once::new();

thread_local! {
    /// `Some` while this thread is inside [`catch`]: the message of the first panic there.
    static CAUGHT: RefCell<Option<String>> = const { RefCell::new(None) };
}

const DATABASE_THREADS: &str = "sled-io-";
/// No limit of the config: it is about the words of the log.
const MESSAGE_CHARACTERS_MAX: usize = 300;

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message() {
        assert_eq!(catch(|| 7), Ok(7));
        let caught: Result<(), String> = catch(|| panic!("page {}\n  is torn", 5));
        assert_eq!(caught, Err("page 5 is torn".to_owned()));
    }

    #[test]
    fn calls_nest() {
        let caught: Result<(), String> = catch(|| {
            assert_eq!(catch(|| panic!("inner")), Err::<(), _>("inner".to_owned()));
            panic!("outer");
        });
        assert_eq!(caught, Err("outer".to_owned()));
    }
}
