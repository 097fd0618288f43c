//! Overrides of `[server]` by environment variables: `server.tls.key` by `BINDERY_SERVER_TLS_KEY`.
//!
//! Only the variables of known keys are asked for. Others that begin like them are no error, but told of, unless they are such
//! as Kubernetes sets for each service, `BINDERY_SERVER_PORT` for one.

use std::ffi::OsString;

use super::value::nearest;

/// Looks a variable up by its name.
pub type Lookup<'e> = dyn Fn(&str) -> Option<OsString> + 'e;

/// The variables that override one table.
#[derive(Clone)]
pub(super) struct Overrides<'e> {
    lookup: &'e Lookup<'e>,
    prefix: String,
}

/// Of the variables with these names, those that look as if they overrode something and do not, each in a sentence. `known`
/// are all that do.
pub(super) fn strangers<'n>(names: impl Iterator<Item = &'n str>, known: &[String]) -> Vec<String> {
    let stranger = |name: &&str| {
        let is_known = known.iter().any(|known| known == name);
        name.strip_prefix(PREFIX).is_some_and(|rest| !is_known && !is_of_kubernetes(rest))
    };
    let mut strangers: Vec<String> = names
        .filter(stranger)
        .map(|name| {
            let hint = match nearest(name, known.iter().map(String::as_str)) {
                Some(meant) => format!("; did you mean {meant}?"),
                None => String::new(),
            };
            format!("the variable {name} overrides nothing: there is no such key of [server]{hint}")
        })
        .collect();
    strangers.sort();
    strangers
}

/// Whether a variable is one of a service that is called like the server, or begins like it: `SERVICE_HOST`,
/// `LDAP_SERVICE_PORT_LDAPS`, `PORT_389_TCP_ADDR`.
fn is_of_kubernetes(rest: &str) -> bool {
    let rest = format!("_{rest}_");
    ["_SERVICE_HOST_", "_SERVICE_PORT_", "_PORT_"].iter().any(|part| rest.contains(part))
}

const PREFIX: &str = "BINDERY_SERVER_";

/// The variable that overrides a key of `[server]`, which is named with its tables.
pub(super) fn variable_of(key: &str) -> String {
    format!("BINDERY_{}", key.replace('.', "_").to_ascii_uppercase())
}

/// What a variable says about a key.
pub(super) struct Override {
    /// The name of the variable.
    pub(super) variable: String,
    /// What it says, if that is text; empty: as if the key were not in the file.
    pub(super) text: Option<String>,
}

impl<'e> Overrides<'e> {
    /// Those of `[server]`.
    pub(super) fn of_server(lookup: &'e Lookup<'e>) -> Self {
        Self { lookup, prefix: "BINDERY_SERVER".to_owned() }
    }

    /// Those of a table in this one.
    pub(super) fn of_table(&self, key: &str) -> Self {
        Self { lookup: self.lookup, prefix: self.variable(key) }
    }

    /// What the variable for `key` says, if it is set.
    pub(super) fn get(&self, key: &str) -> Option<Override> {
        let variable = self.variable(key);
        let text = (self.lookup)(&variable)?.into_string().ok();
        Some(Override { variable, text })
    }

    fn variable(&self, key: &str) -> String {
        format!("{}_{}", self.prefix, key.to_ascii_uppercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubernetes_sets_is_no_stranger() {
        let known = ["BINDERY_SERVER_LDAP".to_owned(), "BINDERY_SERVER_TLS_KEY".to_owned()];
        let told = |name: &str| strangers([name].into_iter(), &known);
        for name in [
            "BINDERY_SERVER_LDAP",
            "BINDERY_SERVER_SERVICE_HOST",
            "BINDERY_SERVER_SERVICE_PORT",
            "BINDERY_SERVER_SERVICE_PORT_LDAP",
            "BINDERY_SERVER_PORT",
            "BINDERY_SERVER_PORT_389_TCP_ADDR",
            "BINDERY_SERVER_LDAP_PORT_636_TCP",
            "BINDERY_CONFIG",
            "OTHER_SERVER_LDAPP",
        ] {
            assert_eq!(told(name), [""; 0], "{name}");
        }
        let hint = "there is no such key of [server]; did you mean BINDERY_SERVER_LDAP?";
        assert_eq!(
            told("BINDERY_SERVER_LDAPP"),
            [format!("the variable BINDERY_SERVER_LDAPP overrides nothing: {hint}")]
        );
        assert_eq!(told("BINDERY_SERVER_EXPORT").len(), 1);
    }
}
