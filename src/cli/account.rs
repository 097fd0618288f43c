//! `bindery account`: accounts one at a time.

use serde::Serialize;

use super::arguments::DirectoryArguments;
use super::backend::Absent;
use super::failure::Failure;
use super::output::Output;
use crate::http::{ActiveRequest, DeleteRequest, path};

/// Accounts one at a time
#[derive(Debug, clap::Subcommand)]
pub(super) enum AccountCommand {
    /// Let an account bind again
    Activate(NamedAccount),
    /// Forbid an account to bind; its connections lose it at their next operation
    Deactivate(NamedAccount),
    /// Delete an account with its tokens
    Delete(NamedAccount),
}

#[derive(Debug, clap::Args)]
pub(super) struct NamedAccount {
    /// The account
    name: String,
    #[command(flatten)]
    directory: DirectoryArguments,
}

#[derive(Serialize)]
struct Done<'a> {
    account: &'a str,
    done: &'a str,
}

pub(super) async fn run(command: AccountCommand, output: Output) -> Result<(), Failure> {
    match command {
        AccountCommand::Activate(account) => set_active(account, true, output).await,
        AccountCommand::Deactivate(account) => set_active(account, false, output).await,
        AccountCommand::Delete(account) => delete(account, output).await,
    }
}

async fn set_active(account: NamedAccount, is_active: bool, output: Output) -> Result<(), Failure> {
    let request = ActiveRequest { username: account.name, is_active };
    account
        .directory
        .with(Absent::Fail, async |backend| Ok(backend.call::<_, ()>(path::ACCOUNT_ACTIVE, &request).await?))
        .await?;
    let done = if is_active { "activated" } else { "deactivated" };
    tell(&request.username, done, output)
}

async fn delete(account: NamedAccount, output: Output) -> Result<(), Failure> {
    let request = DeleteRequest { username: account.name };
    account
        .directory
        .with(Absent::Fail, async |backend| Ok(backend.call::<_, ()>(path::ACCOUNT_DELETE, &request).await?))
        .await?;
    tell(&request.username, "deleted", output)
}

fn tell(account: &str, done: &str, output: Output) -> Result<(), Failure> {
    output.result(&Done { account, done }, || format!("{done} {account}"))
}
