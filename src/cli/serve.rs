//! `bindery serve`: runs the server, and seeds a store that never was.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use tokio::runtime::Builder;

use super::arguments::{OpeningArguments, PlaceArguments, unknown_variables};
use super::backend::Backend;
use super::block_on;
use super::check::{self, Place};
use super::failure::{Exit, Failure};
use super::first_steps::{self, Shown};
use super::output::Output;
use super::secrets::{Destination, SecretsFile};
use super::seeding;
use crate::config::{self, Config, ListenAddress, Settings};
use crate::registry::SeedOptions;
use crate::server::{
    Log, Opening, Server, Signals, allocator_variables, check_backups_are_apart, check_data_directory,
    check_threads, default_workers, have_memory_go_back,
};
use crate::store::has_store;

/// Run the server
#[derive(Debug, clap::Args)]
pub(super) struct ServeArguments {
    /// The config file.
    #[arg(skip)]
    config: PathBuf,
    /// Where the store is, instead of the config's
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Listen here for LDAP, instead of the config's addresses; port 0: any that is free
    #[arg(long, value_name = "ADDR:PORT", value_parser = address)]
    ldap: Vec<ListenAddress>,
    /// Listen here for LDAP over TLS
    #[arg(long, value_name = "ADDR:PORT", value_parser = tcp_address)]
    ldaps: Vec<ListenAddress>,
    /// Listen here for HTTP in clear
    #[arg(long, value_name = "ADDR:PORT", value_parser = address)]
    http: Vec<ListenAddress>,
    /// Listen here for HTTP over TLS
    #[arg(long, value_name = "ADDR:PORT", value_parser = tcp_address)]
    https: Vec<ListenAddress>,
    /// Write the secrets of a first start to this new file, instead of showing them
    #[arg(long, value_name = "FILE")]
    secrets_file: Option<PathBuf>,
    /// The clock is right, however far from what it said before: delete and rotate what has expired by it. To be given
    /// once, not for ever
    #[arg(long)]
    trust_clock: bool,
    #[command(flatten)]
    opening: OpeningArguments,
}

pub(super) fn run(
    mut arguments: ServeArguments,
    place: &PlaceArguments,
    output: Output,
) -> Result<(), Failure> {
    arguments.config = place.config()?;
    let (settings, config) = arguments.read()?;
    let allocator = have_memory_go_back();
    let workers = settings.workers.map_or_else(default_workers, |workers| workers as usize);
    // The log's, and the one that starts the server.
    check_threads(workers + 2)?;
    let Settings { log, limits, .. } = &settings;
    // To be dropped last: until then what is logged is written.
    let (log, _log_thread) =
        Log::start(*log, limits.log_queue_max).map_err(|error| Failure::of(Exit::Failed, &error))?;
    for warning in unknown_variables() {
        tracing::warn!("{warning}");
    }
    if let Err(error) = allocator {
        let variables = allocator_variables();
        tracing::warn!(%error, "memory may not go back after a load: start the server with {variables}");
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(workers)
        .event_interval(POLLS_BETWEEN_LOOKS)
        .thread_name("network")
        .enable_all()
        .build()
        .map_err(|error| Failure::of(Exit::Failed, &error))?;
    let result = runtime.block_on(serve(&arguments, settings, config, log, output));
    // What has not ended by now was told in the log.
    runtime.shutdown_timeout(LAST_TASKS_TIME);
    result
}

async fn serve(
    arguments: &ServeArguments,
    settings: Settings,
    config: Option<Config>,
    log: Log,
    output: Output,
) -> Result<(), Failure> {
    let mut signals = Signals::receive().map_err(|error| Failure::of(Exit::Failed, &error))?;
    let opening = Opening { trusts_clock: arguments.trust_clock, ..arguments.opening.opening() };
    // Beside the listeners, before there is a store.
    let early = match (&arguments.secrets_file, &config) {
        (Some(path), Some(_)) => Some(SecretsFile::before_store(path, &settings.data_dir)?),
        _ => None,
    };
    let Some(mut server) = Server::open(settings, opening, log.clone(), &mut signals).await? else {
        return Ok(());
    };
    let secrets = match arguments.seed(&mut server, config, early, output).await {
        Ok(secrets) => secrets,
        Err(failure) => {
            server.close().await;
            return Err(failure);
        }
    };
    if let Some(warning) = server.registry().without_provider() {
        tracing::warn!("{warning}");
    }
    let listening = server.listen().await?;
    let addresses = listening.addresses();
    if let Some(text) = secrets.and_then(|secrets| first_steps::text(&secrets, &listening)) {
        log.message(&text);
    }
    let lines: Vec<String> = addresses.iter().map(|address| format!("listening {address}")).collect();
    // Who closed standard output learns the ports from the log; it is no reason not to serve.
    if output.lines(&lines.join("\n")).is_err() {
        tracing::warn!("the listeners cannot be printed: standard output takes nothing");
    }
    tracing::info!(listeners = addresses.join(" "), "ready");
    let ended = listening.run(signals, || arguments.read_again()).await;
    ended.map_err(|error| Failure::of(Exit::Failed, &error))
}

impl ServeArguments {
    /// `[server]`, with what the flags override, and the whole config if there is no store yet: of one that is there, only
    /// the store itself knows whether it needs a seed.
    fn read(&self) -> Result<(Settings, Option<Config>), Failure> {
        if let Ok(mut settings) = config::load_settings(&self.config, &environment) {
            self.override_settings(&mut settings);
            let are_right = check_data_directory(&settings.data_dir).is_ok()
                && check_backups_are_apart(&settings).is_ok();
            if are_right && has_store(&settings.data_dir) {
                return Ok((settings, None));
            }
        }
        let config = block_on(check::load(&self.config, Place::OfConfig))?;
        let mut settings = config.settings.clone();
        self.override_settings(&mut settings);
        check::try_directories(&config, &settings)?;
        Ok((settings, Some(config)))
    }

    /// Applies the config's seed to a store that never had one. Answers with the secrets that were shown on the
    /// terminal, if any.
    async fn seed(
        &self,
        server: &mut Server,
        config: Option<Config>,
        early: Option<SecretsFile>,
        output: Output,
    ) -> Result<Option<Shown>, Failure> {
        let is_seeded =
            server.registry().is_seeded().await.map_err(|error| Failure::of(Exit::Failed, &error))?;
        if is_seeded {
            if let Some(path) = &self.secrets_file {
                tracing::info!(file = %path.display(), "the store was seeded before: no secrets were generated");
            }
            self.warn_of_seed();
            return Ok(None);
        }
        let mut backend = Backend::own(server.registry().clone());
        let config = match config {
            Some(config) => config,
            None => check::load(&self.config, Place::Open(&mut backend)).await?,
        };
        // Who cannot be reached hands out no secrets.
        server.bind().await?;
        let data_dir = &server.settings().data_dir;
        let choose = || Destination::choose(self.secrets_file.as_deref(), output, data_dir);
        let destination = early.map_or_else(choose, Destination::File);
        let options = SeedOptions::default();
        let applied =
            seeding::apply(&mut backend, &config, &options, &destination, output, |_, _| Ok(()), |_| Ok(()))
                .await?;
        // The writer tells the log of a change behind its answer, and before it takes what comes next: the lines about the
        // seed do not push away what is to be read after them.
        server.registry().is_seeded().await.map_err(|error| Failure::of(Exit::Failed, &error))?;
        tracing::info!(objects = applied.plan.diff.len(), "the config's objects were made");
        for sentence in seeding::told(&applied.plan) {
            tracing::warn!("{sentence}");
        }
        Ok(Some(Shown {
            secrets: applied.secrets,
            on_terminal: matches!(destination, Destination::Terminal),
        }))
    }

    /// The seed is in the store, and what is wrong with it in the config keeps nobody from being served.
    fn warn_of_seed(&self) {
        let Err(problems) = config::check_without_secrets(&self.config, &environment) else { return };
        for problem in problems.iter().take(PROBLEMS_TOLD_MAX) {
            tracing::warn!(%problem, "the config's objects are not as they should be: the store is served as it is");
        }
        if problems.len() > PROBLEMS_TOLD_MAX {
            tracing::warn!(
                problems = problems.len(),
                "`bindery check` tells all that is wrong with the config"
            );
        }
    }

    /// A list of listeners that is given replaces that of the config.
    fn override_settings(&self, settings: &mut Settings) {
        if let Some(data_dir) = &self.data_dir {
            settings.data_dir.clone_from(data_dir);
        }
        let lists = [
            (&self.ldap, &mut settings.ldap),
            (&self.ldaps, &mut settings.ldaps),
            (&self.http, &mut settings.http),
            (&self.https, &mut settings.https),
        ];
        for (given, list) in lists {
            if !given.is_empty() {
                list.clone_from(given);
            }
        }
    }

    /// The settings of a reload, or what is wrong with them.
    fn read_again(&self) -> Result<Settings, String> {
        let mut settings =
            config::load_settings(&self.config, &environment).map_err(|problems| problems.render(false))?;
        self.override_settings(&mut settings);
        Ok(settings)
    }
}

fn address(text: &str) -> Result<ListenAddress, config::BadListenAddress> {
    text.parse()
}

fn tcp_address(text: &str) -> Result<ListenAddress, config::BadListenAddress> {
    ListenAddress::tcp(text)
}

fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// Problems of the seed that the log is told one by one.
/// No limit of the config: all are counted, and `check` tells them all.
const PROBLEMS_TOLD_MAX: usize = 20;

/// How many turns a network thread may give before it looks for what others have sent: by default tokio looks every 61st
/// time, which with turns of a quarter of a millisecond is a wait that has nothing to do with whose turns they are. Twice
/// as seldom, or as often, costs searches nothing that can be measured.
const POLLS_BETWEEN_LOOKS: u32 = 8;
/// What the runtime may still take when all is closed.
const LAST_TASKS_TIME: Duration = Duration::from_secs(1);
