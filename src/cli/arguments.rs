//! What several commands have in common: how they find the config and the directory.

use std::path::{Path, PathBuf};

use super::backend::{Absent, Backend, Wanted};
use super::failure::Failure;
use super::output::{Stream, has_colours};
use crate::config::{self, Config, Problems, Settings};

/// Of commands that need the config.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ConfigArguments {
    /// The config file
    #[arg(long, value_name = "FILE", env = "BINDERY_CONFIG")]
    pub(super) config: PathBuf,
}

impl ConfigArguments {
    /// Reads the config file, with what variables override.
    pub(super) fn load(&self) -> Result<Config, Failure> {
        config::load(&self.config, &|name| std::env::var_os(name)).map_err(|problems| failure_of(&problems))
    }
}

/// Of commands that need the directory, wherever it is.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct DirectoryArguments {
    /// The config file, whose server or store is meant
    #[arg(long, value_name = "FILE", env = "BINDERY_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// The local socket of a server that runs
    #[arg(long, value_name = "PATH", env = "BINDERY_SOCKET")]
    pub(super) socket: Option<PathBuf>,
}

impl DirectoryArguments {
    /// Finds the directory, lets `work` use it, and lets go of it.
    pub(super) async fn with<T>(
        &self,
        absent: Absent,
        work: impl AsyncFnOnce(&mut Backend) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut backend = self.find(absent).await?;
        let result = work(&mut backend).await;
        backend.close().await;
        result
    }

    async fn find(&self, absent: Absent) -> Result<Backend, Failure> {
        // With a server that answers the config has nothing to add, and need not be right.
        if let Some(socket) = &self.socket
            && let Some(backend) = Backend::connect(socket).await?
        {
            return Ok(backend);
        }
        let settings = self.config.as_deref().map(load_settings).transpose()?;
        Backend::find(Wanted { socket: self.socket.as_deref(), settings: settings.as_ref(), absent }).await
    }
}

/// Reads `[server]` alone, with what variables override.
fn load_settings(path: &Path) -> Result<Settings, Failure> {
    config::load_settings(path, &|name| std::env::var_os(name)).map_err(|problems| failure_of(&problems))
}

fn failure_of(problems: &Problems) -> Failure {
    Failure::of_config(problems, has_colours(Stream::Error))
}
