//! After a first start: commands that work when they are pasted.

use super::secrets::text_of;
use crate::access::decide;
use crate::config::TlsSettings;
use crate::model::{Intent, ObjectReference, Permission};
use crate::registry::NewSecret;
use crate::server::Listening;

/// The secrets of a first start.
pub(super) struct Shown {
    /// All of them.
    pub(super) secrets: Vec<NewSecret>,
    /// Whether they stand on the terminal already, so that one more line there gives nothing away.
    pub(super) on_terminal: bool,
}

/// How to search with one of the secrets, over StartTLS and over LDAPS; `None` when none of them may.
pub(super) fn text(shown: &Shown, listening: &Listening) -> Option<String> {
    let (secret, base_dn, name) = searcher(&shown.secrets, listening)?;
    let authority = match &listening.settings().tls {
        Some(TlsSettings::Development { directory }) => {
            // The certificates are there, so the directory is; a relative one would need the same place to stand.
            let directory = directory.canonicalize().unwrap_or_else(|_| directory.clone());
            Some(directory.join("ca.pem"))
        }
        _ => None,
    };
    let authority = authority
        .map(|path| format!("LDAPTLS_CACERT={} ", quoted(&path.display().to_string())))
        .unwrap_or_default();
    let has_tls = listening.settings().tls.is_some();
    // What went to a file stays there: the command asks for it.
    let password =
        if shown.on_terminal { format!("-w {}", quoted(text_of(secret))) } else { "-W".to_owned() };
    let mut lines = Vec::new();
    for address in listening.addresses() {
        let start_tls = match address.split_once("://") {
            Some(("ldap", _)) if has_tls => "-ZZ ",
            Some(("ldap" | "ldaps", _)) => "",
            _ => continue,
        };
        let authority = if has_tls { authority.as_str() } else { "" };
        lines.push(format!(
            "  {authority}ldapsearch -x {start_tls}-H {} -D {} {password} -b {} '(objectClass=person)'",
            reachable(&address),
            quoted(&name),
            quoted(&base_dn)
        ));
    }
    (!lines.is_empty()).then(|| format!("To try it, as {}:\n\n{}\n", secret.account, lines.join("\n\n")))
}

/// An app password of an account that may search a whole directory, with the base DN and the account's DN.
fn searcher<'a>(secrets: &'a [NewSecret], listening: &Listening) -> Option<(&'a NewSecret, String, String)> {
    let snapshot = listening.registry().snapshot();
    let accounts = snapshot.accounts();
    secrets.iter().filter(|secret| secret.intent == Intent::AppPassword).find_map(|secret| {
        let account = accounts.account_named(&secret.account)?;
        let provider = accounts.providers().find(|provider| {
            let on = Some(ObjectReference::Provider(provider.number));
            decide(accounts, account, Permission::SearchFullDirectory, on).is_allowed()
        })?;
        let tree = snapshot.tree(provider.number)?;
        let id = crate::directory::EntryId::of_account(account.number);
        let visibility = crate::directory::Visibility::Full;
        let reader = crate::directory::TreeReader::new(&snapshot, tree, &visibility);
        let dn = String::from_utf8_lossy(reader.stored(id)?.dn()).into_owned();
        Some((secret, provider.base_dn.clone(), dn))
    })
}

/// `0.0.0.0` and `[::]` are nowhere to connect to.
fn reachable(address: &str) -> String {
    address.replace("://0.0.0.0:", "://127.0.0.1:").replace("://[::]:", "://[::1]:")
}

/// For a shell: as it is where nothing in it means anything, else between single quotes.
pub(super) fn quoted(text: &str) -> String {
    let is_plain = !text.is_empty()
        && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"_-./=,:@%+".contains(&octet));
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shells_read_back_what_was_meant() {
        assert_eq!(quoted("cn=a,ou=users"), "cn=a,ou=users");
        assert_eq!(quoted("cn=O'Neill x"), r"'cn=O'\''Neill x'");
        assert_eq!(quoted("$HOME"), "'$HOME'");
        assert_eq!(reachable("ldap://0.0.0.0:389"), "ldap://127.0.0.1:389");
    }
}
