//! `bindery serve`: runs the server, and seeds a store that never was.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::runtime::Builder;

use super::arguments::ConfigArguments;
use super::backend::Backend;
use super::failure::{Exit, Failure};
use super::first_steps;
use super::output::Output;
use super::secrets::Destination;
use super::seeding;
use crate::config::{self, Config, ListenAddress, Settings};
use crate::registry::{NewSecret, SeedOptions};
use crate::server::{Log, Server, Signals, default_workers};

/// Run the server
#[derive(Debug, clap::Args)]
pub(super) struct ServeArguments {
    #[command(flatten)]
    config: ConfigArguments,
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
}

pub(super) fn run(arguments: &ServeArguments, output: Output) -> Result<(), Failure> {
    if output.is_json() {
        return Err(Failure::usage(
            "`serve` prints its listeners, not a document: leave --json away, and use --secrets-file for secrets",
        ));
    }
    let mut config = arguments.config.load()?;
    arguments.override_settings(&mut config.settings);
    let Settings { log, limits, .. } = &config.settings;
    // To be dropped last: until then what is logged is written.
    let (log, _log_thread) =
        Log::start(*log, limits.log_queue_max).map_err(|error| Failure::of(Exit::Failed, &error))?;
    let workers = config.settings.workers.map_or_else(default_workers, |workers| workers as usize);
    let runtime = Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_name("network")
        .enable_all()
        .build()
        .map_err(|error| Failure::of(Exit::Failed, &error))?;
    let result = runtime.block_on(serve(arguments, config, log, output));
    // What has not ended by now was told in the log.
    runtime.shutdown_timeout(LAST_TASKS_TIME);
    result
}

async fn serve(arguments: &ServeArguments, config: Config, log: Log, output: Output) -> Result<(), Failure> {
    let signals = Signals::receive().map_err(|error| Failure::of(Exit::Failed, &error))?;
    let server = Server::open(config.settings.clone(), log.clone())?;
    let secrets = match seed(&server, &config, arguments.secrets_file.as_deref(), output).await {
        Ok(secrets) => secrets,
        Err(failure) => {
            server.close().await;
            return Err(failure);
        }
    };
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

/// Applies the config's seed to a store that never had one. Answers with the secrets that were shown on the
/// terminal, if any.
async fn seed(
    server: &Server,
    config: &Config,
    secrets_file: Option<&Path>,
    output: Output,
) -> Result<Option<Shown>, Failure> {
    let is_seeded = server.registry().is_seeded().await.map_err(|error| Failure::of(Exit::Failed, &error))?;
    if is_seeded {
        if let Some(path) = secrets_file {
            tracing::info!(file = %path.display(), "the store was seeded before: no secrets were generated");
        }
        return Ok(None);
    }
    let destination = Destination::choose(secrets_file, output, &config.settings.data_dir);
    let mut backend = Backend::own(server.registry().clone());
    let options = SeedOptions::default();
    let applied = seeding::apply(&mut backend, config, &options, &destination, output, |_, _| Ok(())).await?;
    // The writer tells the log of a change behind its answer, and before it takes what comes next: the lines about the
    // seed do not push away what is to be read after them.
    server.registry().is_seeded().await.map_err(|error| Failure::of(Exit::Failed, &error))?;
    tracing::info!(objects = applied.plan.diff.len(), "the config's objects were made");
    Ok(Some(Shown { secrets: applied.secrets, on_terminal: destination == Destination::Terminal }))
}

/// The secrets of a first start.
pub(super) struct Shown {
    /// All of them.
    pub(super) secrets: Vec<NewSecret>,
    /// Whether they stand on the terminal already, so that one more line there gives nothing away.
    pub(super) on_terminal: bool,
}

impl ServeArguments {
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
        let mut settings = config::load_settings(&self.config.config, &|name| std::env::var_os(name))
            .map_err(|problems| problems.render(false))?;
        self.override_settings(&mut settings);
        Ok(settings)
    }
}

fn address(text: &str) -> Result<ListenAddress, config::BadListenAddress> {
    text.parse()
}

fn tcp_address(text: &str) -> Result<ListenAddress, String> {
    text.parse::<SocketAddr>()
        .map(ListenAddress::Tcp)
        .map_err(|_| "expected an IP address with a port, such as \"127.0.0.1:3636\"".to_owned())
}

/// What the runtime may still take when all is closed.
const LAST_TASKS_TIME: Duration = Duration::from_secs(1);
