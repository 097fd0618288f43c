//! Overrides of `[server]` by environment variables: `server.tls.key` by `BINDERY_SERVER_TLS_KEY`.
//!
//! Only the variables of known keys are asked for. Others that begin like them are not an error: Kubernetes
//! sets some of its own for each service, `BINDERY_SERVER_PORT` for one.

use std::ffi::OsString;

/// Looks a variable up by its name.
pub type Lookup<'e> = dyn Fn(&str) -> Option<OsString> + 'e;

/// The variables that override one table.
#[derive(Clone)]
pub(super) struct Overrides<'e> {
    lookup: &'e Lookup<'e>,
    prefix: String,
}

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
