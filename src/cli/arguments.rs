//! What several commands have in common: how they find the config and the directory.

use std::path::{Path, PathBuf};

use super::backend::{Absent, Backend, Purpose, Wanted};
use super::failure::Failure;
use super::output::{Stream, has_colours};
use crate::config::{self, Settings};
use crate::server::Opening;
use crate::store::{SOCKET_NAME, has_store};

/// Where the directory is. What is said in the command goes before what variables say, and is an error where it is not
/// there.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct PlaceArguments {
    /// The config file, whose server or store is meant [env: BINDERY_CONFIG]
    #[arg(long, value_name = "FILE", global = true, help_heading = GLOBAL_HEADING)]
    config: Option<PathBuf>,
    /// The local socket of a server that runs [env: BINDERY_SOCKET]
    #[arg(long, value_name = "PATH", global = true, help_heading = GLOBAL_HEADING)]
    socket: Option<PathBuf>,
}

/// Of commands that open a store to work on it, if no server does.
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

    /// Finds the directory, lets `work` change it, and lets go of it.
    pub(super) async fn with<T>(
        self,
        place: &PlaceArguments,
        absent: Absent,
        work: impl AsyncFnOnce(&mut Backend) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        used(place.find(absent, Purpose::Change(self.opening())).await?, work).await
    }
}

impl PlaceArguments {
    /// The config that is meant.
    ///
    /// # Errors
    /// None is.
    pub(super) fn config(&self) -> Result<PathBuf, Failure> {
        self.config_if_any()
            .ok_or_else(|| Failure::usage("which config? give --config FILE, or set BINDERY_CONFIG"))
    }

    /// The socket that the command names.
    pub(super) fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// Refuses a socket, for who asks no server.
    ///
    /// # Errors
    /// One was given.
    pub(super) fn without_socket(&self) -> Result<&Self, Failure> {
        if self.socket.is_some() {
            return Err(Failure::usage(
                "--socket is not for this command, which asks no server: leave it out",
            ));
        }
        Ok(self)
    }

    /// Refuses both, for who needs no directory.
    ///
    /// # Errors
    /// One was given.
    pub(super) fn unused(&self) -> Result<(), Failure> {
        if self.config.is_some() || self.socket.is_some() {
            return Err(Failure::usage(
                "--config and --socket are not for this command, which needs no directory: leave them out",
            ));
        }
        Ok(())
    }

    /// `[server]` of a store that this process would open; `None`: a server answers, or there is no store.
    ///
    /// # Errors
    /// The config is wrong, or this user may not connect to the server.
    pub(super) async fn store(&self) -> Result<Option<Settings>, Failure> {
        if self.socket.is_some() {
            return Ok(None);
        }
        let variable = variable("BINDERY_SOCKET").filter(|_| self.config.is_none());
        if let Some(socket) = &variable
            && Backend::connect(socket).await?.is_some()
        {
            return Ok(None);
        }
        let Some(settings) = self.settings()?.filter(|settings| has_store(&settings.data_dir)) else {
            return Ok(None);
        };
        let is_served = Backend::connect(&settings.data_dir.join(SOCKET_NAME)).await?.is_some();
        Ok((!is_served).then_some(settings))
    }

    async fn find(&self, absent: Absent, purpose: Purpose) -> Result<Backend, Failure> {
        if let Some(socket) = &self.socket {
            if self.config.is_some() {
                return Err(Failure::usage(
                    "--config and --socket each say which directory: give one of them",
                ));
            }
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
        self.config_if_any().as_deref().map(load_settings).transpose()
    }

    fn config_if_any(&self) -> Option<PathBuf> {
        self.config.clone().or_else(|| variable("BINDERY_CONFIG"))
    }
}

/// A path that a variable names.
pub(super) fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// What looks as if it overrode the config and does not, in sentences.
pub(super) fn unknown_variables() -> Vec<String> {
    let variables: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
        .collect();
    config::unknown_variables(variables.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

/// Of commands that only read the directory: they write nothing anywhere.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ReadingArguments {
    /// Read this backup, in place of a server or a store
    #[arg(long, value_name = "FILE")]
    backup: Option<PathBuf>,
}

impl ReadingArguments {
    /// Finds the directory, lets `work` read it, and lets go of it.
    pub(super) async fn with<T>(
        &self,
        place: &PlaceArguments,
        work: impl AsyncFnOnce(&mut Backend) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let backend = match &self.backup {
            Some(backup) => {
                let settings = place.without_socket()?.settings()?.unwrap_or_else(Settings::without_file);
                Backend::of_backup(&settings, backup)?
            }
            None => place.find(Absent::Fail, Purpose::Read).await?,
        };
        used(backend, work).await
    }
}

/// Lets `work` use a directory, and lets go of it.
async fn used<T>(
    mut backend: Backend,
    work: impl AsyncFnOnce(&mut Backend) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let result = work(&mut backend).await;
    backend.close().await;
    result
}

/// What stands above the options of every command in its help.
pub(super) const GLOBAL_HEADING: &str = "Global options";

/// Reads `[server]` alone, with what variables override.
pub(super) fn load_settings(path: &Path) -> Result<Settings, Failure> {
    config::load_settings(path, &|name| std::env::var_os(name))
        .map_err(|problems| Failure::of_config(&problems, has_colours(Stream::Error)))
}
