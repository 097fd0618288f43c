//! `bindery token`: the credentials of accounts.

use std::time::Duration;

use ipnet::IpNet;
use serde::Serialize;

use super::arguments::{OpeningArguments, PlaceArguments, ReadingArguments};
use super::backend::Absent;
use super::expiry::{ExpiryArguments, expiry};
use super::failure::Failure;
use super::first_steps::quoted;
use super::output::{Output, Stream, table};
use super::secret_output::{SecretOutput, Shown, again, in_words};
use crate::clock::system_time;
use crate::http::api::{
    self, EndTime, LastUse, Network, PatchedTokenRequest, Token, TokenRotateRequest, TokenView,
};
use crate::model::{Expiry, Intent, Timestamp, read_network};

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
    /// Delete a token: it is refused from the next operation on, and so are the secrets that it has replaced
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
    #[command(flatten)]
    expiry: ExpiryArguments,
    /// What it is used for
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,
    /// A network that it may be used from; without any: from anywhere
    #[arg(long = "network", value_name = "CIDR", value_parser = read_network)]
    networks: Vec<IpNet>,
    /// Its secret is kept, encrypted with the key of token_key_file, for whoever may view it
    #[arg(long)]
    retrievable: bool,
    #[command(flatten)]
    directory: OpeningArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct SetArguments {
    /// Its name
    identifier: String,
    /// What it is used for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// When it expires: "90d" from now, a time, or a date, with whose end it does
    #[arg(long, value_name = "WHEN", value_parser = expiry, conflicts_with = "no_expiry")]
    expires: Option<Expiry>,
    /// It does not expire
    #[arg(long)]
    no_expiry: bool,
    /// A network that it may be used from, in place of those so far
    #[arg(long = "network", value_name = "CIDR", value_parser = read_network, conflicts_with = "any_network")]
    networks: Vec<IpNet>,
    /// It may be used from anywhere
    #[arg(long)]
    any_network: bool,
    #[command(flatten)]
    directory: OpeningArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct RotateArguments {
    /// Its name, which the new one takes
    identifier: String,
    /// How long the old secret goes on working, such as "24h", or "0s"; rotation_overlap of the config when not given
    #[arg(long, value_name = "DURATION", value_parser = overlap)]
    overlap: Option<Duration>,
    #[command(flatten)]
    directory: OpeningArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct ViewKeyArguments {
    /// Its name
    identifier: String,
    #[command(flatten)]
    directory: OpeningArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArguments {
    /// Only those of one account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    #[command(flatten)]
    directory: ReadingArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct RevokeArguments {
    /// Its name
    identifier: String,
    /// Secrets that it has replaced work on until they expire
    #[arg(long)]
    keep_replaced: bool,
    #[command(flatten)]
    directory: OpeningArguments,
}

pub(super) async fn run(
    command: TokenCommand,
    place: &PlaceArguments,
    output: Output,
) -> Result<(), Failure> {
    match command {
        TokenCommand::Create(arguments) => create(arguments, place, output).await,
        TokenCommand::List(arguments) => list(arguments, place, output).await,
        TokenCommand::Set(arguments) => set(arguments, place, output).await,
        TokenCommand::Rotate(arguments) => rotate(arguments, place, output).await,
        TokenCommand::ViewKey(arguments) => view_key(arguments, place, output).await,
        TokenCommand::Revoke(arguments) => revoke(arguments, place, output).await,
    }
}

async fn create(arguments: CreateArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let CreateArguments {
        identifier,
        account,
        intent,
        expiry,
        description,
        networks,
        retrievable,
        directory,
    } = arguments;
    let secret_output = SecretOutput::open(output)?;
    let created: api::CreatedToken = directory
        .with(place, Absent::Fail, async |backend| {
            let owner = backend.user_named(&account).await?;
            // What is not said is for the account to say.
            let expiry = expiry.is_given().then(|| expiry.resolve(system_time()));
            let request = PatchedTokenRequest {
                identifier: Some(identifier),
                user: Some(owner.pk),
                intent: Some(intent.to_string()),
                description: Some(description),
                networks: Some(networks.into_iter().map(Network).collect()),
                retrievable: Some(retrievable),
                expiring: expiry.map(|(expiring, _)| expiring),
                expires: expiry.and_then(|(_, expires)| expires).map(|time| Some(EndTime(time))),
                ..PatchedTokenRequest::default()
            };
            backend.post(&["core", "tokens"], &request).await
        })
        .await?;
    let identifier = &created.token.identifier;
    let (secret, another) = match retrievable {
        true => ("its secret", view(identifier)),
        false => ("its secret is shown once", again(identifier)),
    };
    show(&created.token, &created.key, &Words { secret, done: "was made", another }, secret_output)
}

/// What is said of a token whose secret is shown.
struct Words {
    /// Of the secret.
    secret: &'static str,
    /// What was done to the token, where its secret cannot be printed.
    done: &'static str,
    /// The command that shows a secret again.
    another: String,
}

fn show(token: &Token, secret: &str, words: &Words, output: SecretOutput) -> Result<(), Failure> {
    let (account, identifier) = (token.user_obj.username.as_str(), token.identifier.as_str());
    let expires = token.expires.map(|time| time.0);
    let shown = Shown { account, identifier, intent: token.intent, secret, expires, group: None };
    let above = format!("token {identifier} of {account}, expires: {}; {}:", in_words(expires), words.secret);
    let done = format!("the token {identifier} of {account} {}", words.done);
    output.show(&shown, &above, &done, &words.another)
}

#[derive(Serialize)]
struct Changed<'a> {
    changed: &'a str,
}

async fn set(arguments: SetArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let SetArguments { identifier, description, expires, no_expiry, networks, any_network, directory } =
        arguments;
    let request = PatchedTokenRequest {
        description,
        expiring: (no_expiry || expires.is_some()).then_some(!no_expiry),
        expires: expires.map(|expires| Some(EndTime(expires.time(system_time())))),
        networks: (any_network || !networks.is_empty()).then(|| networks.into_iter().map(Network).collect()),
        ..PatchedTokenRequest::default()
    };
    if request == PatchedTokenRequest::default() {
        return Err(Failure::usage(
            "what is to change? give --description, --expires, --no-expiry, --network or --any-network",
        ));
    }
    let token: Token = directory
        .with(place, Absent::Fail, async |backend| {
            let token = backend.token_named(&identifier).await?;
            backend.patch(&["core", "tokens", &token.identifier], &request).await
        })
        .await?;
    output.result(&Changed { changed: &token.identifier }, || format!("changed {}", token.identifier))
}

async fn rotate(arguments: RotateArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let RotateArguments { identifier, overlap, directory } = arguments;
    let request = TokenRotateRequest { overlap: overlap.map(|overlap| overlap.as_secs()) };
    let secret_output = SecretOutput::open(output)?;
    let created: api::CreatedToken = directory
        .with(place, Absent::Fail, async |backend| {
            let token = backend.token_named(&identifier).await?;
            backend.post(&["core", "tokens", &token.identifier, "rotate"], &request).await
        })
        .await?;
    let another = again(&created.token.identifier);
    let words = Words { secret: "its new secret is shown once", done: "was rotated", another };
    show(&created.token, &created.key, &words, secret_output)
}

async fn view_key(
    arguments: ViewKeyArguments,
    place: &PlaceArguments,
    output: Output,
) -> Result<(), Failure> {
    let ViewKeyArguments { identifier, directory } = arguments;
    let secret_output = SecretOutput::open(output)?;
    let (token, shown): (Token, TokenView) = directory
        .with(place, Absent::Fail, async |backend| {
            let token = backend.token_named(&identifier).await?;
            let view = backend.read(&["core", "tokens", &token.identifier, "view_key"], &[]).await?;
            Ok((token, view))
        })
        .await?;
    let words = Words { secret: "its secret", done: "was looked up", another: view(&token.identifier) };
    show(&token, &shown.key, &words, secret_output)
}

/// What `--json` lists of a token.
#[derive(Serialize)]
struct Listed<'a> {
    identifier: &'a str,
    account: &'a str,
    intent: Intent,
    expires: Option<Timestamp>,
    description: &'a str,
    networks: &'a [IpNet],
    retrievable: bool,
    replaced: bool,
    replaced_by: Option<&'a str>,
    created: Timestamp,
    last_used: Option<&'a LastUse>,
    uuid: uuid::Uuid,
}

async fn list(arguments: ListArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let ListArguments { account, directory } = arguments;
    let tokens: Vec<Token> = directory
        .with(place, async |backend| {
            let mut query = vec![("ordering", "identifier")];
            let owner = match &account {
                Some(account) => Some(backend.user_named(account).await?.username),
                None => None,
            };
            query.extend(owner.as_deref().map(|owner| ("user__username", owner)));
            backend.read_all(&["core", "tokens"], &query).await
        })
        .await?;
    let now = system_time();
    let listed: Vec<Listed<'_>> = tokens
        .iter()
        .map(|token| Listed {
            identifier: &token.identifier,
            account: &token.user_obj.username,
            intent: token.intent,
            expires: token.expires.map(|time| time.0),
            description: &token.description,
            networks: &token.networks,
            retrievable: token.retrievable,
            replaced: token.replaced,
            replaced_by: token.replaced_by.as_deref(),
            created: token.created.0,
            last_used: token.last_used.as_ref(),
            uuid: token.pk,
        })
        .collect();
    output.result(&listed, || {
        let rows = listed.iter().map(|token| row(token, now)).collect();
        let header = ["IDENTIFIER", "ACCOUNT", "INTENT", "EXPIRES", "LAST USED", "NETWORKS", "DESCRIPTION"];
        table(&header, rows, Some(Stream::Output))
    })
}

fn row(token: &Listed<'_>, now: Timestamp) -> Vec<String> {
    let networks: Vec<String> = token.networks.iter().map(ToString::to_string).collect();
    let is_expired = token.expires.is_some_and(|expires| expires <= now);
    let expired = if is_expired { " (expired)" } else { "" };
    vec![
        token.identifier.to_owned(),
        token.account.to_owned(),
        token.intent.to_string(),
        format!("{}{expired}", in_words(token.expires)),
        last_used(token),
        if networks.is_empty() { "any".to_owned() } else { networks.join(" ") },
        token.description.to_owned(),
    ]
}

fn last_used(token: &Listed<'_>) -> String {
    let Some(LastUse { time, source, application, .. }) = token.last_used else { return "never".to_owned() };
    let (time, source) = (time.0, source.map_or_else(|| "local".to_owned(), |source| source.to_string()));
    match application {
        Some(application) => format!("{time} from {source} for {application}"),
        None => format!("{time} from {source}"),
    }
}

#[derive(Serialize)]
struct Revoked<'a> {
    revoked: &'a str,
    /// The secrets that it had replaced, which have ended too.
    replaced: Vec<String>,
}

async fn revoke(arguments: RevokeArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let RevokeArguments { identifier, keep_replaced, directory } = arguments;
    let replaced = directory
        .with(place, Absent::Fail, async |backend| {
            let token = backend.token_named(&identifier).await?;
            let path = ["core", "tokens", &token.identifier];
            if keep_replaced {
                backend.delete_with(&path, &[("keep_replaced", "true")]).await?;
                return Ok(Vec::new());
            }
            let query = [("user__username", token.user_obj.username.as_str())];
            let others: Vec<Token> = backend.read_all(&["core", "tokens"], &query).await?;
            backend.delete(&path).await?;
            let behind =
                others.into_iter().filter(|other| other.replaced_by.as_ref() == Some(&token.identifier));
            Ok(behind.map(|other| other.identifier).collect())
        })
        .await?;
    output.result(&Revoked { revoked: &identifier, replaced: replaced.clone() }, || {
        let behind = replaced.iter().map(|other| format!("\nrevoked {other}, which it had replaced"));
        format!("revoked {identifier}{}", behind.collect::<String>())
    })
}

/// The command that shows a secret which is kept.
fn view(identifier: &str) -> String {
    format!("bindery token view-key {}", quoted(identifier))
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
        // All of that day.
        assert_eq!(expiry("2027-11-18"), expiry("2027-11-18T23:59:59Z"));
        assert!(expiry("2027-11-18T10:00:00+25:00").is_err());
        assert!(expiry("0s").is_err());
        assert!(expiry("9000y").is_err());
        assert!(expiry("tomorrow").is_err());
    }
}
