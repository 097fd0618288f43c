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

/// Where the directory is.
#[derive(Clone, Debug, clap::Args)]
struct PlaceArguments {
    /// The config file, whose server or store is meant
    #[arg(long, value_name = "FILE", env = "BINDERY_CONFIG")]
    config: Option<PathBuf>,
    /// The local socket of a server that runs
    #[arg(long, value_name = "PATH", env = "BINDERY_SOCKET")]
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
        // With a server that answers the config has nothing to add, and need not be right.
        if let Some(socket) = &self.socket
            && let Some(backend) = Backend::connect(socket).await?
        {
            return Ok(backend);
        }
        let settings = self.settings()?;
        let socket = self.socket.as_deref();
        Backend::find(Wanted { socket, settings: settings.as_ref(), absent, purpose }).await
    }

    fn settings(&self) -> Result<Option<Settings>, Failure> {
        self.config.as_deref().map(load_settings).transpose()
    }
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
