//! Which user of the operating system gives a command: what the kernel says of the other end of the local socket, or what
//! this process is.

use axum::http::HeaderMap;

use crate::model::SystemUser;
use crate::users::{is_user_name, name_of};

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

/// Where a command says who has become its user by `sudo`. Only who may do everything can send it.
pub const SUDO_USER_HEADER: &str = "x-bindery-sudo-user";

/// sudo(8)
const SUDO_USER_VARIABLE: &str = "SUDO_USER";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::users::NAME_OCTETS_MAX;

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
