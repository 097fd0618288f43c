//! Export: a directory as LDIF, for other directories and for an import here, or the account model as JSON.
//!
//! Both are written piece by piece from one snapshot, whatever its size, and hold no secrets: no password, no hash,
//! no selector.

mod json;
mod ldif;

use std::io::{self, Write};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::find_provider;
use crate::directory::Snapshot;
use crate::model::{LdapProvider, ProviderNumber};
use crate::registry::{ChangeError, Registry};

/// What an export is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    /// The entries of one provider (RFC 2849).
    Ldif,
    /// Accounts, groups, roles, tokens, applications, providers and attribute types, as one document.
    Json,
}

/// What is exported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportOptions {
    /// As what.
    pub format: ExportFormat,
    /// Of which provider. `None`: for LDIF the default one, for JSON all.
    pub provider: Option<String>,
    /// LDIF: whether virtual groups and everything that is computed for an answer is written too.
    pub all: bool,
}

/// An export that can be made.
pub struct Export {
    registry: Arc<Registry>,
    snapshot: Arc<Snapshot>,
    format: ExportFormat,
    provider: Option<ProviderNumber>,
    all: bool,
}

impl Export {
    /// Of the newest directory.
    ///
    /// # Errors
    /// There is no such provider.
    pub fn of(registry: Arc<Registry>, options: &ExportOptions) -> Result<Self, ChangeError> {
        let snapshot = registry.snapshot();
        let number = |provider: Arc<LdapProvider>| provider.number;
        let provider = match (options.format, options.provider.as_deref()) {
            (ExportFormat::Json, None) => None,
            (_, name) => Some(find_provider(&snapshot, name, "export from").map(number)?),
        };
        Ok(Self { registry, snapshot, format: options.format, provider, all: options.all })
    }

    /// Writes it.
    ///
    /// # Errors
    /// The output, or the store, failed: what was written is worth nothing.
    pub fn write(&self, output: impl Write) -> io::Result<()> {
        match self.format {
            ExportFormat::Ldif => ldif::write(self, output),
            ExportFormat::Json => json::write(self, output),
        }
    }
}
