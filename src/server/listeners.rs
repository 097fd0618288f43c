//! The open listeners, and the time in which the server serves.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::accept::accept_ldap;
use super::backups::make_backups;
use super::process::fit_to_open_files;
use super::reload::{connection_limits, proxies, put_in_force};
use super::running::{StartError, Tasks, close};
use super::signals::Asked;
use super::{Log, Signals};
use crate::clock::TrustedTime;
use crate::config::{Limit, LimitCounts, ListenAddress, OnStoreFailure, Settings};
use crate::http;
use crate::ldap::connection::Door;
use crate::ldap::pages::Pages;
use crate::net::{ConnectionLimits, DRAIN_TIME_MAX, Entrance, ListenError, Listener, LocalAddress, Tls};
use crate::registry::{ChangeError, Registry, TokenCare};
use crate::seldom::{self, Seldom};
use crate::store::{Hindrance, SOCKET_NAME};

/// A server whose listeners are open.
pub struct Listening {
    settings: Settings,
    log: Log,
    tls: Option<Arc<Tls>>,
    registry: Arc<Registry>,
    ldap: Vec<(Listener, Scheme)>,
    http: Vec<(Listener, Scheme)>,
    local: Listener,
    pages: Arc<Pages>,
}

/// What is spoken on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Ldap,
    Ldaps,
    Http,
    Https,
}

/// The addresses of the config, held.
pub(super) struct Bound {
    ldap: Vec<(Listener, Scheme)>,
    http: Vec<(Listener, Scheme)>,
}

impl Bound {
    /// Those that are held, or else opens them.
    ///
    /// # Errors
    /// [`StartError::Listen`]
    pub(super) async fn of(settings: &Settings, held: Option<Self>) -> Result<Self, StartError> {
        if let Some(held) = held {
            return Ok(held);
        }
        let mut ldap = Vec::new();
        for address in &settings.ldap {
            ldap.push((bind(address).await?, Scheme::Ldap));
        }
        for address in &settings.ldaps {
            ldap.push((bind(address).await?, Scheme::Ldaps));
        }
        let mut http = Vec::new();
        for address in &settings.http {
            http.push((bind(address).await?, Scheme::Http));
        }
        for address in &settings.https {
            http.push((bind(address).await?, Scheme::Https));
        }
        Ok(Self { ldap, http })
    }
}

/// Whether all addresses of the config could be listened on, and the local socket, on which a server answers whose lock somebody
/// has removed.
///
/// # Errors
/// What keeps the first of them from it.
pub(super) fn try_addresses(settings: &Settings) -> Result<(), ListenError> {
    let Settings { ldap, ldaps, http, https, .. } = settings;
    Listener::try_unix(&settings.data_dir.join(SOCKET_NAME))?;
    ldap.iter().chain(ldaps).chain(http).chain(https).try_for_each(|address| match address {
        ListenAddress::Tcp(address) => Listener::try_tcp(*address),
        ListenAddress::Unix(path) => Listener::try_unix(path),
    })
}

/// The local socket that is held, or else opens it.
///
/// # Errors
/// [`StartError::Listen`]
pub(super) async fn local(settings: &Settings, held: Option<Listener>) -> Result<Listener, StartError> {
    match held {
        Some(held) => Ok(held),
        None => Ok(Listener::bind_unix(&settings.data_dir.join(SOCKET_NAME), OWNER_ONLY).await?),
    }
}

impl Listening {
    /// With the listeners that are open already, and else opens them.
    ///
    /// # Errors
    /// [`StartError::Listen`]
    pub(super) async fn open(
        settings: Settings,
        log: Log,
        tls: Option<Arc<Tls>>,
        registry: Arc<Registry>,
        (bound, held): (Option<Bound>, Option<Listener>),
    ) -> Result<Self, StartError> {
        let local = local(&settings, held).await?;
        let Bound { ldap, http } = Bound::of(&settings, bound).await?;
        let pages =
            Pages::new(&settings.limits, Arc::clone(registry.reached())).map_err(StartError::Random)?;
        Ok(Self { settings, log, tls, registry, ldap, http, local, pages })
    }

    /// What is listened on, as addresses: `ldap://127.0.0.1:3389`, with the port that was given where 0 was
    /// asked for; the local socket is not among them.
    pub fn addresses(&self) -> Vec<String> {
        let all = self.ldap.iter().chain(&self.http);
        all.map(|(listener, scheme)| address(*scheme, listener.local())).collect()
    }

    /// What the server was started with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The directory.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Serves until a signal asks to go down, then lets connections end and closes the directory. `read`
    /// reads the config again, with the flags that override it; what is wrong with it goes to the log.
    ///
    /// # Errors
    /// [`WentDown`]: it went down by itself.
    pub async fn run(
        self,
        mut signals: Signals,
        read: impl Fn() -> Result<Settings, String>,
    ) -> Result<(), WentDown> {
        let Self { settings, log, tls, registry, ldap, http, local, pages } = self;
        let tasks = Arc::new(Tasks { shutdown: CancellationToken::new(), tracker: TaskTracker::new() });
        let limits = ConnectionLimits::new(connection_limits(&settings));
        let door =
            Door::new(registry.clone(), tls.clone(), &settings, Arc::clone(&pages), tasks.shutdown.clone());
        tasks.tracker.spawn(sweep(pages, tasks.shutdown.clone()));
        let told_time = settings.limits.logins_told_time;
        tasks.tracker.spawn(flush_logins(Arc::clone(&registry), told_time, tasks.shutdown.clone()));
        let kept = (settings.limits.event_retention, settings.limits.events_max);
        tasks.tracker.spawn(watch_clock(Arc::clone(&registry), tasks.shutdown.clone()));
        tasks.tracker.spawn(retire_events(Arc::clone(&registry), kept, tasks.shutdown.clone()));
        tasks.tracker.spawn(watch_log(log.clone(), Arc::clone(registry.reached()), tasks.shutdown.clone()));
        tasks.tracker.spawn(keep_tokens(Arc::clone(&registry), tasks.shutdown.clone()));
        let backup = settings.backup.clone();
        let data_dir = settings.data_dir.clone();
        tasks.tracker.spawn(make_backups(Arc::clone(&registry), backup, data_dir, tasks.shutdown.clone()));
        let entrance = Arc::new(Entrance::new(Arc::clone(&limits), proxies(&settings)));
        for (listener, scheme) in ldap {
            let is_tls = scheme == Scheme::Ldaps;
            tasks.tracker.spawn(accept_ldap(
                listener,
                Arc::clone(&door),
                Arc::clone(&entrance),
                Arc::clone(registry.reached()),
                is_tls,
                Arc::clone(&tasks),
            ));
        }
        let public = http::PublicDoor::new(
            Arc::clone(&registry),
            tls.clone(),
            &settings,
            proxies(&settings),
            tasks.shutdown.clone(),
        );
        for (listener, scheme) in http {
            let is_tls = scheme == Scheme::Https;
            tasks.tracker.spawn(http::serve_public(listener, Arc::clone(&public), is_tls));
        }
        tasks.tracker.spawn(http::serve_local(
            local,
            http::router(Arc::clone(&registry), &settings.limits, tls.clone()),
            tasks.shutdown.clone(),
        ));

        let mut current = settings;
        let writer_ended = registry.writer_ended().unwrap_or_default();
        let mut store_stopped = Box::pin(store_stopped(Arc::clone(&registry)));
        let mut stopped = None;
        let ended = loop {
            if let Some(reason) = &stopped
                && current.on_store_failure == OnStoreFailure::Exit
            {
                break Err(WentDown::Store(String::clone(reason)));
            }
            let asked = tokio::select! {
                asked = signals.next() => asked,
                () = writer_ended.cancelled() => break Err(WentDown::Writer),
                reason = &mut store_stopped, if stopped.is_none() => {
                    tracing::error!(
                        reason,
                        "a write to the store failed: no change is taken until a restart (on_store_failure)"
                    );
                    stopped = Some(reason);
                    continue;
                }
            };
            if asked == Asked::Stop {
                break Ok(());
            }
            tracing::info!("the config and the certificates are read again");
            match read() {
                Ok(mut new) => {
                    fit_to_open_files(&mut new);
                    let trust = door.client_trust();
                    current =
                        put_in_force(&current, &new, &log, tls.as_ref(), trust, &limits, registry.now());
                }
                Err(problems) => tracing::error!("the config stays as it was:\n{problems}"),
            }
        };
        go_down(&tasks, &mut signals).await;
        close(registry).await;
        tracing::info!("stopped");
        ended
    }
}

/// Forgets what was kept for pages that nobody has asked for. Who asks for a page does so too; this is for when nobody
/// does.
async fn sweep(pages: Arc<Pages>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(SWEEP_PERIOD) => pages.sweep(std::time::Instant::now()),
        }
    }
}

/// Makes events of the logins from time to time, or sooner when there are many different ones; what is left when the
/// server goes down becomes events when the directory is closed.
async fn flush_logins(registry: Arc<Registry>, period: Duration, shutdown: CancellationToken) {
    let mut has_room = true;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(period) => {}
            // Not while the store takes nothing: there are as many at once again.
            () = registry.logins_become_many(), if has_room => {}
        }
        let flushed = registry.flush_logins().await;
        has_room = flushed.is_ok();
        if let Err(error) = flushed
            && let Some(count) = seldom::note(Seldom::LoginsWait)
        {
            tracing::warn!(count, %error, "{}", Seldom::LoginsWait.sentence());
        }
    }
}

/// Looks at the clock each second, so that a jump is noticed, and has the store keep what is believed of it now and then.
async fn watch_clock(registry: Arc<Registry>, shutdown: CancellationToken) {
    let mut looks: u64 = 0;
    loop {
        registry.clock().look();
        // The operator's word is kept at once; otherwise a store that was just opened knows enough.
        if looks == 0 && registry.clock().is_vouched_for() || looks >= CLOCK_KEPT_EVERY {
            looks = 0;
            if let Err(error) = registry.keep_clock().await {
                tracing::debug!(%error, "what is believed of the clock is not kept");
            }
        }
        looks += 1;
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(CLOCK_PERIOD) => {}
        }
    }
}

/// Removes the oldest events from time to time, a few at a time: changes of others go in between.
async fn retire_events(registry: Arc<Registry>, kept: (Duration, u32), shutdown: CancellationToken) {
    let (retention, events_max) = kept;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(RETIRE_PERIOD) => {}
        }
        let mut count = 0;
        loop {
            match registry.retire_events(retention, events_max.into()).await {
                Ok(retired) => {
                    count += retired.count();
                    if !retired.is_more || shutdown.is_cancelled() {
                        break;
                    }
                }
                Err(error) => {
                    if let Some(count) = seldom::note(Seldom::EventsStay) {
                        tracing::warn!(count, %error, "{}", Seldom::EventsStay.sentence());
                    }
                    break;
                }
            }
        }
        if count > 0 {
            tracing::info!(count, "old events were removed from the audit trail");
        }
    }
}

/// Does what is due for tokens, at once and then from time to time. The whole of it is on a thread that may be busy:
/// it looks at every token.
async fn keep_tokens(registry: Arc<Registry>, shutdown: CancellationToken) {
    let runtime = tokio::runtime::Handle::current();
    loop {
        let (registry, handle) = (Arc::clone(&registry), runtime.clone());
        let (now, going_down) = (registry.clock().look().trusted, shutdown.clone());
        let run = tokio::task::spawn_blocking(move || match now {
            Some(now) => handle.block_on(keep_tokens_until(&registry, now, &going_down)),
            None => Some(Ok(TokenCare::default())),
        });
        let pause = match run.await {
            Ok(Some(Ok(care))) if care.is_more => TOKENS_PAUSE,
            Ok(Some(Ok(_))) => TOKENS_PERIOD,
            // The server goes down.
            Ok(Some(Err(ChangeError::ShuttingDown)) | None) | Err(_) => return,
            Ok(Some(Err(error))) => {
                if let Some(count) = seldom::note(Seldom::TokensWait) {
                    tracing::warn!(count, %error, "{}", Seldom::TokensWait.sentence());
                }
                TOKENS_PERIOD
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Does what is due for tokens until the server goes down (`None`): hundreds of hashes are not to be waited for then. What
/// the writer has been handed it still does.
async fn keep_tokens_until(
    registry: &Registry,
    now: TrustedTime,
    shutdown: &CancellationToken,
) -> Option<Result<TokenCare, ChangeError>> {
    tokio::select! {
        biased;
        () = shutdown.cancelled() => None,
        done = registry.keep_tokens(now) => Some(done),
    }
}

/// Counts the lines that the log has lost, and says so where there is room again; tells what is told seldom and was not
/// told yet.
async fn watch_log(log: Log, reached: Arc<LimitCounts>, shutdown: CancellationToken) {
    let mut told = 0;
    loop {
        let is_over = tokio::select! {
            () = shutdown.cancelled() => true,
            () = tokio::time::sleep(LOG_PERIOD) => false,
        };
        let lost = log.lost_lines();
        if lost > told {
            reached.add(Limit::log_queue_max, lost - told);
            tracing::warn!(
                lines = lost - told,
                "lines of the log were lost: it is read too slowly (log_queue_max)"
            );
            told = lost;
        }
        for (kind, count) in seldom::due() {
            tracing::warn!(count, "{}", kind.sentence());
        }
        if is_over {
            return;
        }
    }
}

/// Why a server went down without being asked: it could answer, but not revoke a token any more. Whoever
/// started it starts it again.
#[derive(Debug, thiserror::Error)]
pub enum WentDown {
    /// By an error in bindery.
    #[error(
        "the writer has stopped by an error in bindery: start the server again, and please report it with its log"
    )]
    Writer,
    /// As `on_store_failure` says.
    #[error(
        "a write to the store failed ({0}), and until a restart nothing can be changed: check the disk, then start the server \
         again; with on_store_failure = \"serve\" it would have gone on to answer"
    )]
    Store(String),
}

/// Waits until the store has stopped; answers with the reason.
async fn store_stopped(registry: Arc<Registry>) -> String {
    loop {
        tokio::time::sleep(STORE_PERIOD).await;
        let asked = Arc::clone(&registry);
        let hindrance = tokio::task::spawn_blocking(move || asked.store().hindrance()).await;
        if let Ok(Some(Hindrance::Stopped { reason })) = hindrance {
            return reason;
        }
    }
}

/// Stops the listeners and waits for the connections, but not for ever.
async fn go_down(tasks: &Tasks, signals: &mut Signals) {
    tracing::info!("going down: listeners are closed, connections end");
    tasks.shutdown.cancel();
    tasks.tracker.close();
    tokio::select! {
        () = tasks.tracker.wait() => {}
        () = tokio::time::sleep(DRAIN_TIME_MAX) => {
            tracing::warn!(
                connections = tasks.tracker.len(),
                seconds = DRAIN_TIME_MAX.as_secs(),
                "connections did not end in time and are cut off"
            );
        }
        () = signals.stop() => tracing::warn!("a second signal: connections are cut off"),
    }
}

async fn bind(address: &ListenAddress) -> Result<Listener, StartError> {
    Ok(match address {
        ListenAddress::Tcp(address) => Listener::bind_tcp(*address).await?,
        ListenAddress::Unix(path) => Listener::bind_unix(path, ANYBODY).await?,
    })
}

/// As it stands in `listening …`: for a Unix socket the form of `ldapi` (draft-chu-ldap-ldapi).
fn address(scheme: Scheme, local: &LocalAddress) -> String {
    match (scheme, local) {
        (Scheme::Ldap, LocalAddress::Ip(address)) => format!("ldap://{address}"),
        (Scheme::Ldaps, LocalAddress::Ip(address)) => format!("ldaps://{address}"),
        (Scheme::Http, LocalAddress::Ip(address)) => format!("http://{address}"),
        (Scheme::Https, LocalAddress::Ip(address)) => format!("https://{address}"),
        (Scheme::Http | Scheme::Https, LocalAddress::Unix(path)) => {
            format!("http+unix://{}", escaped(path.display()))
        }
        (Scheme::Ldap | Scheme::Ldaps, LocalAddress::Unix(path)) => {
            format!("ldapi://{}", escaped(path.display()))
        }
    }
}

fn escaped(path: std::path::Display<'_>) -> String {
    path.to_string().replace('%', "%25").replace('/', "%2F").replace('?', "%3F").replace(' ', "%20")
}

/// How often what is kept for pages is looked through.
const SWEEP_PERIOD: Duration = Duration::from_secs(10);

/// How often the clock is looked at.
const CLOCK_PERIOD: Duration = Duration::from_secs(1);

/// After so many looks what is believed is written to the store, an hour: far less than the day that a clock may be ahead.
const CLOCK_KEPT_EVERY: u64 = 60 * 60;

/// How often it is looked which tokens have expired or will.
const TOKENS_PERIOD: Duration = Duration::from_secs(60);

/// How long others have their turn when there was more to do than one run does.
const TOKENS_PAUSE: Duration = Duration::from_secs(1);

/// How often old events are looked for.
const RETIRE_PERIOD: Duration = Duration::from_secs(60);

/// How often it is looked whether the store has stopped.
const STORE_PERIOD: Duration = Duration::from_secs(1);

/// How often the log is asked what it has lost.
const LOG_PERIOD: Duration = Duration::from_secs(1);

/// The mode of the local socket: its commands can do everything.
const OWNER_ONLY: u32 = 0o600;

/// The mode of `ldapi` sockets: who connects must bind, as on a port.
const ANYBODY: u32 = 0o666;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::Seed;
    use crate::model::{AccountKind, Intent, Timestamp};
    use crate::registry::commands::testing;

    #[test]
    fn the_end_does_not_wait_for_tokens() {
        let registry = testing::registry();
        let mut seed = Seed {
            accounts: vec![testing::account("robot", AccountKind::ServiceAccount)],
            tokens: (0..20).map(|number| testing::token(&format!("api-{number}"), "robot")).collect(),
            ..Seed::default()
        };
        seed.tokens.iter_mut().for_each(|token| {
            token.said.intent = Some(Intent::Api);
            token.retrievable = Some(true);
        });
        testing::apply(&registry, &seed).unwrap();
        let late = TrustedTime::from(Timestamp::now().after(Duration::from_secs(1_000 * 24 * 60 * 60)));
        let shutdown = CancellationToken::new();
        let generations =
            || -> u32 { registry.snapshot().accounts().tokens().map(|token| token.generation).sum() };
        let before = generations();
        testing::wait(async {
            let mut run = std::pin::pin!(keep_tokens_until(&registry, late, &shutdown));
            while generations() == before {
                assert!(tokio::time::timeout(Duration::from_millis(1), &mut run).await.is_err());
            }
            shutdown.cancel();
            assert!(run.await.is_none());
        });
        assert!(generations() < before + 20);
        let done = testing::wait(keep_tokens_until(&registry, late, &CancellationToken::new()));
        done.unwrap().unwrap();
        assert_eq!(generations(), before + 20);
    }

    #[test]
    fn addresses_can_be_pasted() {
        let tcp = LocalAddress::Ip(([127, 0, 0, 1], 3389).into());
        assert_eq!(address(Scheme::Ldap, &tcp), "ldap://127.0.0.1:3389");
        assert_eq!(address(Scheme::Ldaps, &tcp), "ldaps://127.0.0.1:3389");
        assert_eq!(address(Scheme::Https, &tcp), "https://127.0.0.1:3389");
        let unix = LocalAddress::Unix(std::path::Path::new("/run/bindery/ldapi").into());
        assert_eq!(address(Scheme::Ldap, &unix), "ldapi://%2Frun%2Fbindery%2Fldapi");
    }
}
