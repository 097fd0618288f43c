//! What several commands have in common: how they find the config and the directory.

use std::path::{Path, PathBuf};

use super::backend::{Absent, Backend, Purpose, Wanted};
use super::failure::Failure;
use super::output::{Stream, has_colours};
use crate::config::{self, Settings};
use crate::server::Opening;

/// Of commands that need the config.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ConfigArguments {
    /// The config file
    #[arg(long, value_name = "FILE", env = "BINDERY_CONFIG")]
    pub(super) config: PathBuf,
}

/// Of commands that open a store to work on it.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct OpeningArguments {
    /// Where token.key is lost or another one: end the tokens that need it, and make a new one
    #[arg(long)]
    new_token_key: bool,
}

impl OpeningArguments {
    pub(super) fn opening(self) -> Opening {
        Opening { makes_new_token_key: self.new_token_key, ..Opening::default() }
    }
}

/// Of commands that change the directory, wherever it is.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct DirectoryArguments {
    #[command(flatten)]
    place: PlaceArguments,
    #[command(flatten)]
    opening: OpeningArguments,
}

/// Where the directory is. Without either, the variables say it: what is said in the command goes before these, and is an
/// error where it is not there.
#[derive(Clone, Debug, clap::Args)]
struct PlaceArguments {
    /// The config file, whose server or store is meant [env: BINDERY_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The local socket of a server that runs [env: BINDERY_SOCKET]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl DirectoryArguments {
    /// Finds the directory, lets `work` use it, and lets go of it.
    pub(super) async fn with<T>(
        &self,
        absent: Absent,
        work: impl AsyncFnOnce(&mut Backend) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut backend = self.place.find(absent, Purpose::Change(self.opening.opening())).await?;
        let result = work(&mut backend).await;
        backend.close().await;
        result
    }
}

impl PlaceArguments {
    async fn find(&self, absent: Absent, purpose: Purpose) -> Result<Backend, Failure> {
        if let Some(socket) = &self.socket {
            return Backend::at(socket).await;
        }
        let socket = match self.config {
            Some(_) => None,
            None => variable("BINDERY_SOCKET"),
        };
        // With a server that answers the config has nothing to add, and need not be right.
        if let Some(socket) = &socket
            && let Some(backend) = Backend::connect(socket).await?
        {
            return Ok(backend);
        }
        let settings = self.settings()?;
        // Nobody answers there: without a config that is all to be said.
        let socket = socket.filter(|_| settings.is_none());
        Backend::find(Wanted { socket: socket.as_deref(), settings: settings.as_ref(), absent, purpose })
            .await
    }

    fn settings(&self) -> Result<Option<Settings>, Failure> {
        let config = self.config.clone().or_else(|| variable("BINDERY_CONFIG"));
        config.as_deref().map(load_settings).transpose()
    }
}

/// A path that a variable names.
pub(super) fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// What looks as if it overrode the config and does not, in sentences.
pub(super) fn unknown_variables() -> Vec<String> {
    let names: Vec<String> = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect();
    config::unknown_variables(names.iter().map(String::as_str))
}

/// Of commands that only read the directory: they write nothing anywhere.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ReadingArguments {
    #[command(flatten)]
    place: PlaceArguments,
    /// Read this backup, in place of a server or a store
    #[arg(long, value_name = "FILE")]
    backup: Option<PathBuf>,
}

impl ReadingArguments {
    /// Finds the directory, lets `work` read it, and lets go of it.
    pub(super) async fn with<T>(
        &self,
        work: impl AsyncFnOnce(&mut Backend) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut backend = match &self.backup {
            Some(backup) => {
                let settings = self.place.settings()?.unwrap_or_else(Settings::without_file);
                Backend::of_backup(&settings, backup)?
            }
            None => self.place.find(Absent::Fail, Purpose::Read).await?,
        };
        let result = work(&mut backend).await;
        backend.close().await;
        result
    }
}

/// Reads `[server]` alone, with what variables override.
pub(super) fn load_settings(path: &Path) -> Result<Settings, Failure> {
    config::load_settings(path, &|name| std::env::var_os(name))
        .map_err(|problems| Failure::of_config(&problems, has_colours(Stream::Error)))
}
