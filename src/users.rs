//! The users of this machine: what they are called.

use std::fs::File;
use std::io::Read;

/// The name of a user in the database of this machine. No service of names is asked: it could be one that asks this very
/// server.
pub(crate) fn name_of(uid: u32) -> Option<String> {
    let mut text = String::new();
    File::open(USERS).ok()?.take(USERS_OCTETS_MAX).read_to_string(&mut text).ok()?;
    name_in(&text, uid)
}

/// A user in a sentence.
pub(crate) fn shown(uid: u32) -> String {
    match name_of(uid) {
        Some(name) => format!("the user {name} ({uid})"),
        None => format!("the user {uid}"),
    }
}

/// A user as the argument of sudo(8).
pub(crate) fn typed(uid: u32) -> String {
    name_of(uid).unwrap_or_else(|| format!("'#{uid}'"))
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

/// Whether this can be the name of a user.
pub(crate) fn is_user_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_OCTETS_MAX && name.bytes().all(|octet| octet.is_ascii_graphic())
}

const USERS: &str = "/etc/passwd";
/// No limit of the config: a file of the system, which no client writes.
const USERS_OCTETS_MAX: u64 = 4 * 1024 * 1024;
/// No limit of the config: the system allows no longer name (`LOGIN_NAME_MAX`).
pub(crate) const NAME_OCTETS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_user_is_that_of_the_first_line_with_the_number() {
        let users = "root:x:0:0:root:/root:/bin/bash\n# nobody\nbroken\nalso:broken:\nbindery:x:999:999::/:/bin/false\n\
                     toor:x:0:0::/:/bin/sh\n:x:7:7::/:\n";
        assert_eq!(name_in(users, 0).as_deref(), Some("root"));
        assert_eq!(name_in(users, 999).as_deref(), Some("bindery"));
        assert_eq!((name_in(users, 1), name_in(users, 7), name_in("", 0)), (None, None, None));
    }
}
