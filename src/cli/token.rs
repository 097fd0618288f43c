//! `bindery token`: the credentials of accounts.

use std::time::Duration;

use ipnet::IpNet;
use serde::Serialize;

use super::arguments::DirectoryArguments;
use super::backend::Absent;
use super::expiry::expiry;
use super::failure::Failure;
use super::output::{Output, Stream, table};
use crate::config::Expiry;
use crate::http::{ListRequest, RevokeRequest, RotateRequest, UpdateRequest, ViewKeyRequest, path};
use crate::model::{Intent, Timestamp};
use crate::registry::{CreatedToken, LastUse, NewToken, TokenChanges, TokenSummary};

/// The credentials of accounts
#[derive(Debug, clap::Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token and show its secret, once
    Create(CreateArguments),
    /// List tokens
    List(ListArguments),
    /// Change what is said of a token, and when it expires
    Set(SetArguments),
    /// Put a token with a new secret in its place and show that, once; the old one works on for a while
    Rotate(RotateArguments),
    /// Show the secret of a token that was made retrievable
    ViewKey(ViewKeyArguments),
    /// Delete a token: it is refused from the next operation on
    Revoke(RevokeArguments),
}

#[derive(Debug, clap::Args)]
pub(super) struct CreateArguments {
    /// Its name, unique among all tokens
    identifier: String,
    /// Its owner
    #[arg(long, value_name = "NAME")]
    account: String,
    /// What it is for: app_password, for LDAP, or api, for calls of the HTTP API
    #[arg(long, default_value = "app_password", value_parser = intent)]
    intent: Intent,
    /// When it expires: "90d", or an RFC 3339 time; 360d when neither this nor --no-expiry is given
    #[arg(long, value_name = "WHEN", value_parser = expiry, conflicts_with = "no_expiry")]
    expires: Option<Expiry>,
    /// It does not expire
    #[arg(long)]
    no_expiry: bool,
    /// What it is used for
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,
    /// A network that it may be used from; without any: from anywhere
    #[arg(long = "network", value_name = "CIDR")]
    networks: Vec<IpNet>,
    /// Its secret is kept, encrypted with the key of token_key_file, for whoever may view it
    #[arg(long)]
    retrievable: bool,
    #[command(flatten)]
    directory: DirectoryArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct SetArguments {
    /// Its name
    identifier: String,
    /// What it is used for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// When it expires: "90d" from now, or an RFC 3339 time
    #[arg(long, value_name = "WHEN", value_parser = expiry, conflicts_with = "no_expiry")]
    expires: Option<Expiry>,
    /// It does not expire
    #[arg(long)]
    no_expiry: bool,
    /// A network that it may be used from, in place of those so far
    #[arg(long = "network", value_name = "CIDR", conflicts_with = "any_network")]
    networks: Vec<IpNet>,
    /// It may be used from anywhere
    #[arg(long)]
    any_network: bool,
    #[command(flatten)]
    directory: DirectoryArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct RotateArguments {
    /// Its name, which the new one takes
    identifier: String,
    /// How long the old secret goes on working, such as "24h", or "0s"; rotation_overlap of the config when not given
    #[arg(long, value_name = "DURATION", value_parser = overlap)]
    overlap: Option<Duration>,
    #[command(flatten)]
    directory: DirectoryArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct ViewKeyArguments {
    /// Its name
    identifier: String,
    #[command(flatten)]
    directory: DirectoryArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArguments {
    /// Only those of one account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    #[command(flatten)]
    directory: DirectoryArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct RevokeArguments {
    /// Its name
    identifier: String,
    #[command(flatten)]
    directory: DirectoryArguments,
}

pub(super) async fn run(command: TokenCommand, output: Output) -> Result<(), Failure> {
    match command {
        TokenCommand::Create(arguments) => create(arguments, output).await,
        TokenCommand::List(arguments) => list(arguments, output).await,
        TokenCommand::Set(arguments) => set(arguments, output).await,
        TokenCommand::Rotate(arguments) => rotate(arguments, output).await,
        TokenCommand::ViewKey(arguments) => view_key(arguments, output).await,
        TokenCommand::Revoke(arguments) => revoke(arguments, output).await,
    }
}

async fn create(arguments: CreateArguments, output: Output) -> Result<(), Failure> {
    let CreateArguments {
        identifier,
        account,
        intent,
        expires,
        no_expiry,
        description,
        networks,
        retrievable,
        directory,
    } = arguments;
    let request = NewToken {
        identifier,
        account,
        intent,
        expiring: !no_expiry,
        expires,
        description,
        networks,
        retrievable,
    };
    let created: CreatedToken = directory
        .with(Absent::Fail, async |backend| Ok(backend.call(path::TOKEN_CREATE, &request).await?))
        .await?;
    show(&created, if retrievable { "its secret" } else { "its secret is shown once" }, output)
}

/// The one place where a secret goes to standard output.
fn show(token: &CreatedToken, words: &str, output: Output) -> Result<(), Failure> {
    if !output.is_json() {
        output.message(&format!(
            "token {} of {}, expires: {}; {words}:",
            token.identifier,
            token.account,
            in_words(token.expires)
        ));
    }
    output.result(token, || String::from_utf8_lossy(token.secret.expose()).into_owned())
}

#[derive(Serialize)]
struct Changed<'a> {
    changed: &'a str,
}

async fn set(arguments: SetArguments, output: Output) -> Result<(), Failure> {
    let SetArguments { identifier, description, expires, no_expiry, networks, any_network, directory } =
        arguments;
    let changes = TokenChanges {
        description,
        expiring: if no_expiry { Some(false) } else { expires.map(|_| true) },
        expires,
        networks: (any_network || !networks.is_empty()).then_some(networks),
        ..TokenChanges::default()
    };
    if changes == TokenChanges::default() {
        return Err(Failure::usage(
            "what is to change? give --description, --expires, --no-expiry, --network or --any-network",
        ));
    }
    let request = UpdateRequest { identifier, changes };
    directory
        .with(Absent::Fail, async |backend| Ok(backend.call::<_, ()>(path::TOKEN_UPDATE, &request).await?))
        .await?;
    output.result(&Changed { changed: &request.identifier }, || format!("changed {}", request.identifier))
}

async fn rotate(arguments: RotateArguments, output: Output) -> Result<(), Failure> {
    let RotateArguments { identifier, overlap, directory } = arguments;
    let request = RotateRequest { identifier, overlap };
    let created: CreatedToken = directory
        .with(Absent::Fail, async |backend| Ok(backend.call(path::TOKEN_ROTATE, &request).await?))
        .await?;
    show(&created, "its new secret is shown once", output)
}

async fn view_key(arguments: ViewKeyArguments, output: Output) -> Result<(), Failure> {
    let request = ViewKeyRequest { identifier: arguments.identifier };
    let token: CreatedToken = arguments
        .directory
        .with(Absent::Fail, async |backend| Ok(backend.call(path::TOKEN_VIEW_KEY, &request).await?))
        .await?;
    show(&token, "its secret", output)
}

async fn list(arguments: ListArguments, output: Output) -> Result<(), Failure> {
    let request = ListRequest { account: arguments.account };
    let tokens: Vec<TokenSummary> = arguments
        .directory
        .with(Absent::Fail, async |backend| Ok(backend.call(path::TOKEN_LIST, &request).await?))
        .await?;
    let now = Timestamp::now();
    output.result(&tokens, || {
        let rows = tokens.iter().map(|token| row(token, now)).collect();
        let header = ["IDENTIFIER", "ACCOUNT", "INTENT", "EXPIRES", "LAST USED", "NETWORKS", "DESCRIPTION"];
        table(&header, rows, Some(Stream::Output))
    })
}

fn row(token: &TokenSummary, now: Timestamp) -> Vec<String> {
    let networks: Vec<String> = token.networks.iter().map(ToString::to_string).collect();
    let is_expired = token.expires.is_some_and(|expires| expires <= now);
    let expired = if is_expired { " (expired)" } else { "" };
    vec![
        token.identifier.clone(),
        token.account.clone(),
        token.intent.to_string(),
        format!("{}{expired}", in_words(token.expires)),
        last_used(token),
        if networks.is_empty() { "any".to_owned() } else { networks.join(" ") },
        token.description.clone(),
    ]
}

fn last_used(token: &TokenSummary) -> String {
    let Some(LastUse { time, source, application, .. }) = &token.last_used else { return "never".to_owned() };
    let source = source.map_or_else(|| "local".to_owned(), |source| source.to_string());
    match application {
        Some(application) => format!("{time} from {source} for {application}"),
        None => format!("{time} from {source}"),
    }
}

#[derive(Serialize)]
struct Revoked<'a> {
    revoked: &'a str,
}

async fn revoke(arguments: RevokeArguments, output: Output) -> Result<(), Failure> {
    let request = RevokeRequest { identifier: arguments.identifier };
    arguments
        .directory
        .with(Absent::Fail, async |backend| Ok(backend.call::<_, ()>(path::TOKEN_REVOKE, &request).await?))
        .await?;
    output.result(&Revoked { revoked: &request.identifier }, || format!("revoked {}", request.identifier))
}

fn in_words(expires: Option<Timestamp>) -> String {
    expires.map_or_else(|| "never".to_owned(), |expires| expires.to_string())
}

fn intent(text: &str) -> Result<Intent, String> {
    text.parse().map_err(|()| "expected app_password or api".to_owned())
}

/// How long the old secret goes on working; how long at most is for the registry to say.
fn overlap(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| {
        "expected a duration such as \"24h\", or \"0s\" to end the old secret at once".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_is_a_duration_or_a_time() {
        assert_eq!(expiry("90d"), Ok(Expiry::In(Duration::from_secs(90 * 24 * 60 * 60))));
        assert!(matches!(expiry("2027-11-18T10:00:00Z"), Ok(Expiry::At(_))));
        assert!(expiry("0s").is_err());
        assert!(expiry("9000y").is_err());
        assert!(expiry("tomorrow").is_err());
    }
}
