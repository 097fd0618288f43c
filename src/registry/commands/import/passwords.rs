//! The passwords of another directory: kept in their schemes, within bounds; one in clear is hashed.

use super::{ImportEntry, ImportReport};
use crate::auth::{HashBounds, HashParseError, StoredHash};
use crate::directory::Snapshot;
use crate::model::HashText;
use crate::registry::commands::validate;
use crate::registry::{ChangeError, Registry, Rules};
use crate::secret::Secret;

impl Registry {
    /// What is kept of the password of each entry: the first value that can be used. One in clear is hashed
    /// here, before the writer is asked.
    pub(super) async fn passwords(
        &self,
        snapshot: &Snapshot,
        entries: &[ImportEntry],
        report: &mut ImportReport,
    ) -> Result<Vec<Option<HashText>>, ChangeError> {
        let mut found: Vec<Option<HashText>> = Vec::with_capacity(entries.len());
        let mut in_clear: Vec<(usize, Secret)> = Vec::new();
        for (place, entry) in entries.iter().enumerate() {
            found.push(None);
            let ImportEntry::Account(account) = entry else { continue };
            if snapshot.accounts().account_named(&account.username).is_some() {
                continue;
            }
            let mut is_found = false;
            for value in &account.passwords {
                if is_found {
                    report.leave_out("a further password: an account has one", &account.dn);
                    continue;
                }
                match read_password(&value.0, &self.bounds, self.rules()) {
                    Ok(ReadPassword::Hash(hash)) => {
                        if let Some(found) = found.last_mut() {
                            *found = Some(hash);
                        }
                        is_found = true;
                    }
                    Ok(ReadPassword::InClear(secret)) => {
                        in_clear.push((place, secret));
                        is_found = true;
                    }
                    Err(reason) => report.leave_out(format!("a password: {reason}"), &account.dn),
                }
            }
        }
        let secrets: Vec<Secret> = in_clear.iter().map(|(_, secret)| secret.clone()).collect();
        let hashes = self.hash_secrets(&secrets).await?;
        for ((place, _), hash) in in_clear.into_iter().zip(hashes) {
            if let Some(found) = found.get_mut(place) {
                *found = Some(hash);
            }
        }
        Ok(found)
    }
}

/// A value of `userPassword`.
enum ReadPassword {
    Hash(HashText),
    InClear(Secret),
}

/// Reads a value of `userPassword`: a scheme within the bounds or, as RFC 4519 section 2.41 has it, the
/// password in clear. What begins as a hash or as the mark of a locked password and is none that is taken is no password
/// that anybody chose: whoever has seen the file could bind with it.
fn read_password(value: &[u8], bounds: &HashBounds, rules: Rules) -> Result<ReadPassword, String> {
    let parsed = std::str::from_utf8(value).map(|text| (text, StoredHash::parse(text, bounds)));
    match parsed {
        Ok((text, Ok(_))) => Ok(ReadPassword::Hash(HashText::new(text.to_owned()))),
        Err(_) | Ok((_, Err(HashParseError::NoScheme))) => {
            if value.first().is_some_and(|first| MARKS.contains(first)) {
                return Err("it begins with {, !, * or $, as hashes and locked passwords do, and is no hash that can be \
                            taken over"
                    .to_owned());
            }
            let secret = Secret::from(value);
            validate::password(&secret, rules).map_err(|problem| format!("in clear, it {problem}"))?;
            Ok(ReadPassword::InClear(secret))
        }
        Ok((_, Err(error))) => Err(error.to_string()),
    }
}

/// What hashes begin with, and the marks before or in the place of those that are locked.
const MARKS: &[u8] = b"{!*$";
