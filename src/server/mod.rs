//! The life of the process: start order, listeners, signals, reload, shutdown.
//!
//! The order is log → certificates → store → directory ([`Server::open`]) → listeners ([`Server::bind`]) → seed, by the
//! caller, if there never was one → serving until a signal ([`Listening::run`]). Where there is no store yet the addresses
//! come before all else, so that a start that cannot be leaves none; where there is one, whether they are free is asked before
//! it is touched. It is taken down in reverse: listeners, connections, directory, store. A signal to go down before the
//! directory is loaded ends the process without more ado: nothing was promised to anybody, and a store is made to lose nothing
//! by it.

mod accept;
mod backups;
mod certificates;
mod listeners;
mod log;
mod open;
mod process;
mod reload;
mod running;
mod signals;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use tokio::sync::oneshot;

pub use certificates::check_certificates;
pub use listeners::Listening;
use listeners::{Bound, local, try_addresses};
pub use log::Log;
use open::open_in_turn;
pub use open::{Opening, Patience, check_token_key, open_forgotten, open_reading, open_registry, spools};
pub use process::{allocator_variables, check_threads, default_workers, have_memory_go_back};
use running::close;
pub use running::{
    StartError, check_backup_directory, check_backups_are_apart, check_data_directory,
    check_sockets_are_apart,
};
pub use signals::{Signals, outlive_file_limit};

use self::process::{fit_to_open_files, raise_open_files};
use crate::clock::Clock;
use crate::config::Settings;
use crate::net::{Listener, Tls};
use crate::registry::{OpenError, Registry};
use crate::store::{check_owner, has_store};

/// A server with everything open but its listeners.
pub struct Server {
    settings: Settings,
    log: Log,
    tls: Option<Arc<Tls>>,
    registry: Arc<Registry>,
    bound: Option<Bound>,
    local: Option<Listener>,
}

impl Server {
    /// Reads the certificates, then opens the store and loads the directory. `is_clock_trusted`: the operator vouches for the
    /// clock. `None`: the process was asked to go down meanwhile. Then what was begun goes on until the process ends, on a thread that nobody waits for.
    ///
    /// # Errors
    /// [`StartError`]; nothing was changed but that development certificates may have been made.
    pub async fn open(
        settings: Settings,
        opening: Opening,
        log: Log,
        signals: &mut Signals,
    ) -> Result<Option<Self>, StartError> {
        if let Some(error) = settings.wrong_listeners().next() {
            return Err(error.into());
        }
        // Before anything is made, certificates too.
        check_data_directory(&settings.data_dir)?;
        check_backups_are_apart(&settings)?;
        check_sockets_are_apart(&settings).map_err(|(_, error)| StartError::Socket(error))?;
        check_owner(&settings.data_dir)?;
        // One that is there may be held by a server that goes down, on the same addresses: these are tried when the store is ours
        // and nothing of it was touched, and taken when it is loaded, as clients would wait meanwhile instead of asking another
        // server.
        let bound = match has_store(&settings.data_dir) {
            true => None,
            false => Some(Bound::of(&settings, None).await?),
        };
        let (done, opened) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("start".to_owned())
            // Nobody waits any more: the process ends.
            .spawn(move || drop(done.send(Self::open_waiting(settings, opening, log, bound))))
            .map_err(OpenError::Thread)?;
        let opened = tokio::select! {
            opened = opened => opened,
            () = signals.stop() => {
                tracing::info!("going down before the directory was loaded");
                return Ok(None);
            }
        };
        match (opened, thread.join()) {
            (_, Err(panic)) => std::panic::resume_unwind(panic),
            (Ok(opened), Ok(())) => opened.map(Some),
            // It answers, or panics.
            (Err(_), Ok(())) => Ok(None),
        }
    }

    /// The same on a thread that may wait for the disk.
    fn open_waiting(
        mut settings: Settings,
        opening: Opening,
        log: Log,
        bound: Option<Bound>,
    ) -> Result<Self, StartError> {
        raise_open_files();
        fit_to_open_files(&mut settings);
        if !has_store(&settings.data_dir) {
            // Before anything is made, certificates too. On this thread, as the file may be a pipe.
            check_token_key(&settings).map_err(OpenError::TokenKeys)?;
        }
        let clock = Arc::new(Clock::of_system());
        if opening.trusts_clock {
            clock.vouch();
        }
        let tls = certificates::load(settings.tls.as_ref(), &clock)?.map(Arc::new);
        let may_listen = || if bound.is_some() { Ok(()) } else { try_addresses(&settings) };
        let registry = open_in_turn(&settings, &clock, opening, &may_listen)?;
        if let Some(tls) = &tls {
            certificates::tell(tls, registry.now());
        }
        let accounts = registry.snapshot().accounts().account_count();
        tracing::info!(data_dir = %settings.data_dir.display(), accounts, "the directory is loaded");
        warn_of_open_directory(&settings.data_dir);
        Ok(Self { settings, log, tls, registry, bound, local: None })
    }

    /// `[server]`, with what overrides it.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The directory.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Opens all listeners, if they are not. Clients that connect from now on are answered once [`Listening::run`] is called.
    ///
    /// # Errors
    /// [`StartError::Listen`]
    pub async fn bind(&mut self) -> Result<(), StartError> {
        // The local socket first: it tells a second server of this store apart before any port does.
        self.local = Some(local(&self.settings, self.local.take()).await?);
        self.bound = Some(Bound::of(&self.settings, self.bound.take()).await?);
        Ok(())
    }

    /// The server with its listeners, which are opened if they are not.
    ///
    /// # Errors
    /// [`StartError::Listen`]; the directory is closed then.
    pub async fn listen(self) -> Result<Listening, StartError> {
        let Self { settings, log, tls, registry, bound, local } = self;
        let listening = Listening::open(settings, log, tls, Arc::clone(&registry), (bound, local)).await;
        if listening.is_err() {
            close(registry).await;
        }
        listening
    }

    /// Closes the directory without having served. The sockets come first: who has connected would wait meanwhile for an answer that
    /// never comes, and is sent elsewhere by their end.
    pub async fn close(self) {
        let Self { registry, bound, local, .. } = self;
        drop((bound, local));
        close(registry).await;
    }
}

/// A data directory that bindery makes is its user's alone; one that the operator made may not be.
fn warn_of_open_directory(path: &Path) {
    let is_open = path.metadata().is_ok_and(|found| found.permissions().mode() & 0o077 != 0);
    if is_open {
        tracing::warn!(
            data_dir = %path.display(),
            "other users of this machine may look into the data directory: chmod 700 it"
        );
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::registry::commands::testing;

    #[tokio::test(flavor = "multi_thread")]
    async fn the_sockets_are_closed_before_the_directory() {
        let place = tempfile::tempdir().unwrap();
        let registry = testing::registry();
        let data_dir = place.path().to_owned();
        let socket = data_dir.join(crate::store::SOCKET_NAME);
        let settings = Settings { data_dir, ..Settings::without_file() };
        let (log, tls) = (Log::of_test(), None);
        let mut server =
            Server { settings, log, tls, registry: Arc::clone(&registry), bound: None, local: None };
        server.bind().await.unwrap();
        assert!(socket.exists());
        // The end of the directory waits for the writer.
        let (begun, has_begun) = channel();
        let (go_on, waits) = channel();
        registry.change_later(testing::actor(), move |_| {
            begun.send(()).unwrap();
            let _ = waits.recv();
            Ok(())
        });
        has_begun.recv().unwrap();
        let closing = tokio::spawn(server.close());
        let start = Instant::now();
        while socket.exists() && start.elapsed() < Duration::from_secs(20) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!socket.exists() && !closing.is_finished());
        go_on.send(()).unwrap();
        closing.await.unwrap();
    }
}
