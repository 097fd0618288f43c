//! `PolicyTestResult`: whether an application admits an account, and why not.

use std::net::IpAddr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::reading::{Reading, RepresentationSource};
use super::refusal::CallRefusal;
use super::value::Empty;
use crate::access::{admit_to, admit_to_before};
use crate::directory::AccountState;
use crate::model::Application;

/// Whether somebody is admitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PolicyTestResult {
    /// Whether it is so.
    pub passing: bool,
    /// Why not. They name nothing that the caller may not view.
    pub messages: Vec<String>,
    /// Always empty.
    pub log_messages: Vec<Empty>,
}

/// Asks an application whether it admits an account now, to a client at `source`.
pub(super) fn test(
    reading: &Reading,
    account: &AccountState,
    application: &Arc<Application>,
    source: Option<IpAddr>,
) -> PolicyTestResult {
    if !account.is_active {
        return PolicyTestResult::refused("the account is inactive");
    }
    let (accounts, now) = (reading.accounts(), reading.registry.now());
    // Of itself an account learns what the directory tells it too.
    let is_own = reading.caller.holder().is_some_and(|holder| holder.account == account.number);
    let admitted = match is_own {
        true => admit_to(accounts, account, application, source, now),
        false => {
            let viewer = reading.viewer();
            admit_to_before(accounts, account, application, source, now, &|on| viewer.names(on))
        }
    };
    match admitted {
        Ok(()) => PolicyTestResult { passing: true, messages: Vec::new(), log_messages: Vec::new() },
        Err(refused) => PolicyTestResult::refused(refused.to_string()),
    }
}

impl PolicyTestResult {
    fn refused(why: impl Into<String>) -> Self {
        Self { passing: false, messages: vec![why.into()], log_messages: Vec::new() }
    }
}

/// The account that calls.
///
/// # Errors
/// It is the operator, who is no account.
pub(super) fn account_of_caller(reading: &Reading) -> Result<Arc<AccountState>, CallRefusal> {
    let account = reading.caller.holder().and_then(|holder| reading.accounts().account(holder.account));
    account.cloned().ok_or_else(|| {
        CallRefusal::invalid(
            "the operator of this machine is no account: call with an API token, or say for whom",
        )
    })
}
