//! Add, modify, delete, modifyDN: refused, each in the response of its own type.

use crate::ldap::message::Update;
use crate::ldap::response::{self, Outcome};
use crate::ldap::result_code::ResultCode;
use crate::ldap::session::Context;

/// Refuses a change of the directory.
pub(in crate::ldap) fn run(update: Update, context: Context<'_>) {
    let Some(tag) = update.operation().response() else { return };
    let outcome = Outcome::new(ResultCode::UnwillingToPerform, READ_ONLY);
    response::result(context.output, context.message_id, tag, &outcome, &[]);
}

const READ_ONLY: &str =
    "this directory is read-only over LDAP: change it with the `bindery` command or its config file";
