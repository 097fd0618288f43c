//! Overrides of `[server]` by environment variables: `server.tls.key` by `BINDERY_SERVER_TLS_KEY`.
//!
//! Only the variables of known keys are asked for. Others that begin like them are no error, but told of, unless they are such
//! as Kubernetes sets for each service, by name and by value: `BINDERY_SERVER_PORT=tcp://10.0.0.1:389` for one.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};

use super::value::nearest;

/// Looks a variable up by its name.
pub type Lookup<'e> = dyn Fn(&str) -> Option<OsString> + 'e;

/// The variables that override one table.
#[derive(Clone)]
pub(super) struct Overrides<'e> {
    lookup: &'e Lookup<'e>,
    prefix: String,
}

/// Of the variables with these names and values, those that look as if they overrode something and do not, each in a sentence.
/// `known` are all that do.
pub(super) fn strangers<'n>(
    variables: impl Iterator<Item = (&'n str, &'n str)>,
    known: &[String],
) -> Vec<String> {
    let stranger = |(name, value): &(&str, &str)| {
        let is_known = known.iter().any(|known| known == name);
        name.strip_prefix(PREFIX).is_some_and(|rest| !is_known && !is_of_kubernetes(rest, value))
    };
    let mut strangers: Vec<String> = variables
        .filter(stranger)
        .map(|(name, _)| {
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
/// `LDAP_SERVICE_PORT_LDAPS`, `PORT_389_TCP_ADDR`, each with what Kubernetes says there.
fn is_of_kubernetes(rest: &str, value: &str) -> bool {
    let name = format!("_{rest}");
    let is_address = || value.parse::<IpAddr>().is_ok();
    let is_port = || value.parse::<u16>().is_ok();
    let is_url = || {
        let parts = value.split_once("://");
        parts.is_some_and(|(protocol, rest)| is_protocol(protocol) && rest.parse::<SocketAddr>().is_ok())
    };
    if name.ends_with("_SERVICE_HOST") {
        return is_address();
    }
    if name.ends_with("_SERVICE_PORT") || name.contains("_SERVICE_PORT_") {
        return is_port();
    }
    if name.ends_with("_PORT") && is_url() {
        return true;
    }
    let Some((_, behind)) = name.rsplit_once("_PORT_") else { return false };
    let mut parts = behind.split('_');
    let (port, protocol, what) = (parts.next(), parts.next(), parts.next());
    let is_named = port.is_some_and(|port| port.parse::<u16>().is_ok())
        && protocol.is_some_and(|protocol| is_protocol(&protocol.to_ascii_lowercase()))
        && parts.next().is_none();
    is_named
        && match what {
            None => is_url(),
            Some("PROTO") => is_protocol(value),
            Some("PORT") => Some(value) == port,
            Some("ADDR") => is_address(),
            Some(_) => false,
        }
}

fn is_protocol(text: &str) -> bool {
    ["tcp", "udp", "sctp"].contains(&text)
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
        let told = |name: &str, value: &str| strangers([(name, value)].into_iter(), &known);
        for (name, value) in [
            ("BINDERY_SERVER_LDAP", "x"),
            ("BINDERY_SERVER_SERVICE_HOST", "10.0.0.1"),
            ("BINDERY_SERVER_SERVICE_HOST", "fd00::1"),
            ("BINDERY_SERVER_SERVICE_PORT", "389"),
            ("BINDERY_SERVER_SERVICE_PORT_LDAP", "389"),
            ("BINDERY_SERVER_PORT", "tcp://10.0.0.1:389"),
            ("BINDERY_SERVER_PORT_389_TCP", "tcp://[fd00::1]:389"),
            ("BINDERY_SERVER_PORT_389_TCP_ADDR", "10.0.0.1"),
            ("BINDERY_SERVER_PORT_389_TCP_PORT", "389"),
            ("BINDERY_SERVER_PORT_389_TCP_PROTO", "tcp"),
            ("BINDERY_SERVER_LDAP_PORT", "udp://10.0.0.1:389"),
            ("BINDERY_SERVER_LDAP_PORT_636_TCP", "tcp://10.0.0.1:636"),
            ("BINDERY_SERVER_LDAP_SERVICE_PORT_LDAPS", "636"),
            ("BINDERY_CONFIG", "x"),
            ("OTHER_SERVER_LDAPP", "x"),
        ] {
            assert_eq!(told(name, value), [""; 0], "{name}={value}");
        }
        for (name, value) in [
            ("BINDERY_SERVER_EXPORT", "x"),
            ("BINDERY_SERVER_PORT", "389"),
            ("BINDERY_SERVER_LDAP_PORT", "3389"),
            ("BINDERY_SERVER_LDAP_PORT", "ldap://10.0.0.1:389"),
            ("BINDERY_SERVER_LDAP_PORT", "tcp://10.0.0.1"),
            ("BINDERY_SERVER_HTTP_PORT_NUMBER", "8080"),
            ("BINDERY_SERVER_PORT_389", "tcp://10.0.0.1:389"),
            ("BINDERY_SERVER_PORT_389_TCP", "389"),
            ("BINDERY_SERVER_PORT_389_TCP_PORT", "3389"),
            ("BINDERY_SERVER_PORT_389_TCP_ADDR", "directory"),
            ("BINDERY_SERVER_PORT_389_TCP_ADDR_X", "10.0.0.1"),
            ("BINDERY_SERVER_PORT_389_ADDR", "10.0.0.1"),
            ("BINDERY_SERVER_PORT_X_TCP", "tcp://10.0.0.1:389"),
            ("BINDERY_SERVER_SERVICE_HOST", "directory"),
            ("BINDERY_SERVER_SERVICE_PORT", "ldap"),
        ] {
            assert_eq!(told(name, value).len(), 1, "{name}={value}");
        }
        let hint = "there is no such key of [server]; did you mean BINDERY_SERVER_LDAP?";
        assert_eq!(
            told("BINDERY_SERVER_LDAPP", "x"),
            [format!("the variable BINDERY_SERVER_LDAPP overrides nothing: {hint}")]
        );
    }
}
