//! `bindery account`: accounts one at a time.

use axum::http::Method;
use serde::Serialize;
use serde_json::{Map, Value};

use super::arguments::{OpeningArguments, PlaceArguments, ReadingArguments};
use super::attribute::{self, AttributeArguments};
use super::backend::{Absent, Backend};
use super::confirm::{ConfirmArguments, ask, is_answered};
use super::expiry::ExpiryArguments;
use super::failure::Failure;
use super::output::{Output, Stream, fields, table, yes_no};
use super::password::read_password;
use super::secret_output::{SecretOutput, Shown, again, in_words};
use super::told::tell_shared;
use crate::clock::system_time;
use crate::http::api::{
    AccountPause, AccountUnlocked, EndTime, PatchedUserRequest, UsedBy, User, UserPasswordSetRequest,
    UserServiceAccountRequest, UserServiceAccountResponse,
};
use crate::model::{AccountKind, Intent};

/// Accounts one at a time
#[derive(Debug, clap::Subcommand)]
pub(super) enum AccountCommand {
    /// Make an account; of a service account the first app password is shown, once
    Create(Box<CreateArguments>),
    /// List accounts
    List(ListArguments),
    /// Show an account with its groups, roles and attributes
    Show(ShowArguments),
    /// Change an account
    Set(Box<SetArguments>),
    /// Set the password of a person; it is read from the terminal, or from standard input
    Password(NamedAccount),
    /// Let an account bind again
    Activate(NamedAccount),
    /// Forbid an account to bind; its connections lose it at their next operation
    Deactivate(NamedAccount),
    /// End the pauses of an account that too many wrong passwords have brought about
    Unlock(NamedAccount),
    /// Delete an account with its tokens
    Delete(DeleteArguments),
}

#[derive(Debug, clap::Args)]
pub(super) struct CreateArguments {
    /// Its name, unique
    name: String,
    /// What it is for: service_account, internal or external
    #[arg(long = "type", default_value = "service_account", value_parser = kind)]
    kind: AccountKind,
    /// A service account: make a group of the same name, with the account in it
    #[arg(long)]
    create_group: bool,
    #[command(flatten)]
    expiry: ExpiryArguments,
    #[command(flatten)]
    described: DescribedArguments,
    #[command(flatten)]
    directory: OpeningArguments,
}

/// What can be said of an account.
#[derive(Debug, clap::Args)]
struct DescribedArguments {
    /// The full name
    #[arg(long, value_name = "TEXT")]
    full_name: Option<String>,
    /// The mail address
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    #[command(flatten)]
    attributes: AttributeArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArguments {
    /// Only those of this type
    #[arg(long = "type", value_parser = kind)]
    kind: Option<AccountKind>,
    /// Only those in whose name, full name or mail address all of these words stand
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only those in this group
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// Only those that may not bind
    #[arg(long)]
    inactive: bool,
    #[command(flatten)]
    directory: ReadingArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct SetArguments {
    /// The account
    name: String,
    /// Give it another name
    #[arg(long, value_name = "NAME")]
    rename: Option<String>,
    /// What it is for from now on: service_account, internal or external
    #[arg(long = "type", value_parser = kind)]
    kind: Option<AccountKind>,
    /// A person that becomes a service account loses its password, for good
    #[arg(long, requires = "kind")]
    drop_password: bool,
    #[command(flatten)]
    described: DescribedArguments,
    #[command(flatten)]
    directory: OpeningArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct NamedAccount {
    /// The account
    name: String,
    #[command(flatten)]
    directory: OpeningArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct ShowArguments {
    /// The account
    name: String,
    #[command(flatten)]
    directory: ReadingArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct DeleteArguments {
    #[command(flatten)]
    account: NamedAccount,
    #[command(flatten)]
    confirm: ConfirmArguments,
}

#[derive(Serialize)]
struct Unlocked<'a> {
    account: &'a str,
    done: &'a str,
    /// How many pauses were ended.
    pauses: u32,
}

/// What `--json` prints of an account.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    user: &'a User,
    /// Where too many of its passwords were wrong.
    pauses: &'a [AccountPause],
}

pub(super) async fn run(
    command: AccountCommand,
    place: &PlaceArguments,
    output: Output,
) -> Result<(), Failure> {
    match command {
        AccountCommand::Create(arguments) => create(*arguments, place, output).await,
        AccountCommand::List(arguments) => list(arguments, place, output).await,
        AccountCommand::Show(account) => show(account, place, output).await,
        AccountCommand::Set(arguments) => set(*arguments, place, output).await,
        AccountCommand::Password(account) => password(account, place, output).await,
        AccountCommand::Activate(account) => set_active(account, true, place, output).await,
        AccountCommand::Deactivate(account) => set_active(account, false, place, output).await,
        AccountCommand::Unlock(account) => unlock(account, place, output).await,
        AccountCommand::Delete(arguments) => delete(arguments, place, output).await,
    }
}

async fn create(arguments: CreateArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let CreateArguments { name, kind, create_group, expiry, described, directory } = arguments;
    if kind != AccountKind::ServiceAccount {
        if create_group || expiry.is_given() {
            return Err(Failure::usage(
                "--create-group, --expires and --no-expiry are for service accounts; leave them out",
            ));
        }
        let user: User = directory
            .with(place, Absent::Fail, async |backend| {
                let described = described.request(&Map::new())?;
                let request = PatchedUserRequest {
                    name: described.name.or_else(|| Some(name.clone())),
                    username: Some(name),
                    kind: Some(kind),
                    ..described
                };
                backend.post(&["core", "users"], &request).await
            })
            .await?;
        tell_shared(user.shared_values.as_ref(), output);
        return output.result(&user, || {
            format!("created {}; `bindery account password {0}` sets its password", user.username)
        });
    }
    let (expiring, expires) = expiry.resolve(system_time());
    let request = UserServiceAccountRequest { name, create_group, expiring, expires: expires.map(EndTime) };
    let described = described.request(&Map::new())?;
    let secret_output = SecretOutput::open(output)?;
    let (created, outcome) = directory
        .with(place, Absent::Fail, async |backend| {
            let created: UserServiceAccountResponse =
                backend.post(&["core", "users", "service_account"], &request).await?;
            let outcome = describe(backend, &created, &described, output).await;
            Ok((created, outcome))
        })
        .await?;
    tell_shared(created.shared_values.as_ref(), output);
    let (username, identifier) = (&created.username, &created.token_identifier);
    let expires = created.token_expires.map(|time| time.0);
    let shown = Shown {
        account: username,
        identifier,
        intent: Intent::AppPassword,
        secret: &created.token,
        expires,
        group: Some(created.group_pk.as_deref()),
    };
    let words = format!(
        "service account {username}; app password {identifier}, expires: {}; its secret is shown once:",
        in_words(expires)
    );
    let done = format!("the service account {username} was made with the app password {identifier}");
    // The secret is shown whatever becomes of the rest: nobody could ask for it again.
    let printed = secret_output.show(&shown, &words, &done, &again(identifier));
    let outcome = outcome.map_err(|failure| failure.behind("the account was made, but not described"));
    match (printed, outcome) {
        (Err(mut failure), Err(other)) => {
            failure.messages.extend(other.messages);
            Err(failure)
        }
        (printed, outcome) => printed.and(outcome),
    }
}

/// Says of a new service account what there is to say.
async fn describe(
    backend: &mut Backend,
    created: &UserServiceAccountResponse,
    described: &PatchedUserRequest,
    output: Output,
) -> Result<(), Failure> {
    if *described == PatchedUserRequest::default() {
        return Ok(());
    }
    let number = created.user_pk.to_string();
    let user: User = backend.patch(&["core", "users", &number], described).await?;
    tell_shared(user.shared_values.as_ref(), output);
    Ok(())
}

async fn list(arguments: ListArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let ListArguments { kind, search, group, inactive, directory } = arguments;
    let mut query = vec![("ordering", "username")];
    query.extend(kind.map(|kind| ("type", kind.as_str())));
    query.extend(search.as_deref().map(|search| ("search", search)));
    query.extend(group.as_deref().map(|group| ("groups_by_name", group)));
    query.extend(inactive.then_some(("is_active", "false")));
    let users: Vec<User> = directory
        .with(place, async |backend| {
            if let Some(group) = &group {
                backend.group_named(group).await?;
            }
            backend.read_all(&["core", "users"], &query).await
        })
        .await?;
    output.result(&users, || {
        let rows = users.iter().map(|user| {
            vec![
                user.username.clone(),
                user.kind.to_string(),
                yes_no(user.is_active),
                user.name.clone(),
                user.email.clone(),
                user.last_login.map_or_else(|| "-".to_owned(), |time| time.0.to_string()),
            ]
        });
        let header = ["USERNAME", "TYPE", "ACTIVE", "NAME", "EMAIL", "LAST LOGIN"];
        table(&header, rows.collect(), Some(Stream::Output))
    })
}

async fn show(account: ShowArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let (user, pauses): (User, Vec<AccountPause>) = account
        .directory
        .with(place, async |backend| {
            let user = backend.user_named(&account.name).await?;
            let path = ["core", "users", &user.pk.to_string(), "pauses"];
            let pauses = backend.read(&path, &[]).await?;
            Ok((user, pauses))
        })
        .await?;
    output.result(&Whole { user: &user, pauses: &pauses }, || {
        let groups: Vec<&str> = user.groups_obj.iter().flatten().map(|group| group.name.as_str()).collect();
        let roles: Vec<&str> = user.roles_obj.iter().flatten().map(|role| role.name.as_str()).collect();
        let mut lines = vec![
            ("username".to_owned(), user.username.clone()),
            ("number".to_owned(), user.pk.to_string()),
            ("uuid".to_owned(), user.uuid.to_string()),
            ("type".to_owned(), user.kind.to_string()),
            ("name".to_owned(), user.name.clone()),
            ("email".to_owned(), user.email.clone()),
            ("active".to_owned(), yes_no(user.is_active)),
            ("superuser".to_owned(), yes_no(user.is_superuser)),
            ("groups".to_owned(), groups.join(", ")),
            ("roles".to_owned(), roles.join(", ")),
            ("created".to_owned(), user.date_joined.0.to_string()),
            ("changed".to_owned(), user.last_updated.0.to_string()),
        ];
        if let Some(time) = user.last_login {
            lines.push(("last login".to_owned(), time.0.to_string()));
        }
        lines.extend(pauses.iter().map(|pause| {
            (
                "paused".to_owned(),
                format!("for {} until {}: too many wrong passwords", pause.source, pause.until.0),
            )
        }));
        lines.extend(attribute::in_words(&user.attributes));
        fields(&lines)
    })
}

async fn set(arguments: SetArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let SetArguments { name, rename, kind, drop_password, described, directory } = arguments;
    let user: User = directory
        .with(place, Absent::Fail, async |backend| {
            let user = backend.user_named(&name).await?;
            let described = described.request(&user.attributes)?;
            let mut request = PatchedUserRequest { username: rename, kind, ..described };
            if request == PatchedUserRequest::default() {
                return Err(Failure::usage(
                    "nothing to change: give --rename, --type, --full-name, --email or --attribute",
                ));
            }
            let pk = user.pk.to_string();
            let path = ["core", "users", &pk];
            if kind.is_some() {
                request.drops_password = Some(true);
                let told = backend.rehearse(Method::PATCH, &path, &request).await?;
                if !told.dropped_passwords.is_empty() && !drop_password {
                    ask_to_drop(&user.username, output)?;
                }
            }
            backend.patch(&path, &request).await
        })
        .await?;
    tell_shared(user.shared_values.as_ref(), output);
    output.result(&user, || format!("changed {}", user.username))
}

async fn password(account: NamedAccount, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let NamedAccount { name, directory } = account;
    let password = read_password(&format!("New password of {name}: "))?;
    let text =
        std::str::from_utf8(password.expose()).map_err(|_| Failure::usage("a password is text in UTF-8"))?;
    directory
        .with(place, Absent::Fail, async |backend| {
            let user = backend.user_named(&name).await?;
            let path = ["core", "users", &user.pk.to_string(), "set_password"];
            backend.post::<()>(&path, &UserPasswordSetRequest { password: text.to_owned() }).await
        })
        .await?;
    output.done("account", &name, "password set")
}

async fn set_active(
    account: NamedAccount,
    is_active: bool,
    place: &PlaceArguments,
    output: Output,
) -> Result<(), Failure> {
    let NamedAccount { name, directory } = account;
    let user: User = directory
        .with(place, Absent::Fail, async |backend| {
            let user = backend.user_named(&name).await?;
            let path = ["core", "users", &user.pk.to_string()];
            let request = PatchedUserRequest { is_active: Some(is_active), ..PatchedUserRequest::default() };
            backend.patch(&path, &request).await
        })
        .await?;
    output.done("account", &user.username, if is_active { "activated" } else { "deactivated" })
}

async fn unlock(account: NamedAccount, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let (username, unlocked): (String, AccountUnlocked) = account
        .directory
        .with(place, Absent::Fail, async |backend| {
            let user = backend.user_named(&account.name).await?;
            let path = ["core", "users", &user.pk.to_string(), "unlock"];
            let unlocked = backend.post(&path, &()).await?;
            Ok((user.username, unlocked))
        })
        .await?;
    let document = Unlocked { account: &username, done: "unlocked", pauses: unlocked.pauses };
    output.result(&document, || match unlocked.pauses {
        0 => format!("unlocked: {username}; it was paused nowhere"),
        1 => format!("unlocked: {username}; 1 pause was ended"),
        pauses => format!("unlocked: {username}; {pauses} pauses were ended"),
    })
}

async fn delete(arguments: DeleteArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let DeleteArguments { account: NamedAccount { name, directory }, confirm } = arguments;
    let username = directory
        .with(place, Absent::Fail, async |backend| {
            let user = backend.user_named(&name).await?;
            let number = user.pk.to_string();
            confirm.ask(&question(backend, &user).await?, output)?;
            backend.delete(&["core", "users", &number]).await?;
            Ok(user.username)
        })
        .await?;
    output.done("account", &username, "deleted")
}

/// Asks before the end of a password, which nothing brings back; where nobody can answer, a flag must say it.
fn ask_to_drop(username: &str, output: Output) -> Result<(), Failure> {
    let what =
        format!("{username} has a password, which a service account cannot have and which is gone for good.");
    if !is_answered(output) {
        return Err(Failure::usage(format!("{what} There is no terminal to ask on: give --drop-password")));
    }
    ask(&format!("{what} Change it all the same?"))
}

/// What goes with an account when it is deleted.
async fn question(backend: &mut Backend, user: &User) -> Result<String, Failure> {
    let used: Vec<UsedBy> = backend.read(&["core", "users", &user.pk.to_string(), "used_by"], &[]).await?;
    let tokens = used.iter().filter(|used| used.model_name == "token").count();
    Ok(format!("Delete the account {} with its {tokens} tokens?", user.username))
}

impl DescribedArguments {
    /// What is said, as the API takes it.
    fn request(self, present: &Map<String, Value>) -> Result<PatchedUserRequest, Failure> {
        Ok(PatchedUserRequest {
            attributes: self.attributes.over(present)?,
            name: self.full_name,
            email: self.email,
            ..PatchedUserRequest::default()
        })
    }
}

fn kind(text: &str) -> Result<AccountKind, String> {
    text.parse().map_err(|()| "expected service_account, internal or external".to_owned())
}
