//! The seed of a config: the store is made to agree with it, idempotently, as one commit.
//!
//! A key that is present is authoritative, one that is absent is left alone. `secrets.rs` finds out which
//! hashes are needed and has them computed; `apply.rs` then does all of it in the writer's transaction, with
//! `attributes.rs`, `objects.rs` and `tokens.rs` for the kinds of objects, `names.rs` and `described.rs` for references,
//! `adoption.rs`, `filled.rs`, `planted.rs` and `shut_out.rs` for what stands in the way, `options.rs` and `taken_over.rs` for
//! what the operator says to that, and `diff.rs` for what is told. A plan is the same work, forgotten at its end, and so is
//! that of a seed in whose way something stands: it is applied whole, or not at all.

mod adoption;
mod apply;
mod attributes;
mod described;
mod diff;
mod filled;
mod names;
mod objects;
mod obstacle;
pub(super) mod options;
mod planted;
mod prune;
mod secrets;
mod shut_out;
mod taken_over;
#[cfg(test)]
mod tests;
mod tokens;

use serde::{Deserialize, Serialize};

use super::foreign::{ForeignCredential, ForeignCredentials};
use super::known_by::SharedValues;
use super::lost::LostAccesses;
use super::secret_text;
use crate::config::{ReferenceKind, Seed};
use crate::directory::Accounts;
use crate::model::{Actor, FieldChange, Intent, Revision, Timestamp};
use crate::registry::{ChangeError, Registry};
use crate::secret::Secret;
use apply::SeedRun;
use obstacle::Together;
use secrets::Prepared;

/// How a seed is applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedOptions {
    /// Whether objects that are not in the seed are deleted.
    pub prune: bool,
    /// Accounts, tokens, groups and roles that were deleted and are to be made again: `kind:name`, or a name that no two of
    /// them had.
    pub recreate: Vec<String>,
    /// Objects that callers of the API have made and that are the config's from now on: `kind:name`, or a name that no two of
    /// them have; `by:username`: all that this account has made and that stands in the way.
    #[serde(default)]
    pub adopt: Vec<String>,
    /// Credentials that somebody else has made, and that are to get the rights of their accounts all the same:
    /// `token:identifier`, `password:username`, or a name where there are not both; `by:username`: all that this account alone
    /// has made.
    #[serde(default)]
    pub accept_credentials: Vec<String>,
}

/// A token for which a secret is to be generated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeededSecret {
    /// The username of its owner.
    pub account: String,
    pub identifier: String,
    /// What it is for.
    pub intent: Intent,
    /// When it will expire; `None`: never.
    pub expires: Option<Timestamp>,
}

/// A secret that was generated for a [`NeededSecret`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewSecret {
    /// The username of its owner.
    pub account: String,
    pub identifier: String,
    /// What it is for.
    pub intent: Intent,
    /// When it expires, as planned; `None`: never.
    pub expires: Option<Timestamp>,
    /// The secret, as [`crate::auth::TokenSecret`] makes it.
    #[serde(with = "secret_text")]
    pub secret: Secret,
}

/// What applying a seed does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedPlan {
    /// The revision that it was worked out for.
    pub revision: Revision,
    /// What becomes different, and what is skipped; or what stands in the way, and nothing else.
    pub diff: Vec<DiffEntry>,
    /// The tokens whose secrets must be generated.
    pub needed: Vec<NeededSecret>,
    /// Names that stand for objects which are neither in the seed nor in the store.
    pub unresolved: Vec<(ReferenceKind, String)>,
    /// Credentials of accounts that get rights, made by somebody who does not hold these, that were not accepted.
    pub credentials: Vec<ForeignCredential>,
    /// Those of them of which one account has made two or more.
    #[serde(default)]
    pub credentials_together: Vec<ForeignCredentials>,
    /// What is stored against a rule, for whoever asks for it: [`Registry::broken_records`].
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Active accounts that its applications shut out.
    pub losing_access: LostAccesses,
    /// Values by which clients could take one object for another.
    pub shared_values: SharedValues,
}

/// What cannot be of a seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedProblem {
    /// The object that it is about; `None`: the whole.
    pub object: Option<(ReferenceKind, String)>,
    /// Its field, as the API calls it.
    pub field: Option<String>,
    /// What is wrong, and what to do.
    pub sentence: String,
}

impl SeedProblem {
    /// What is wrong with an object, or with a field of it.
    pub(super) fn about(
        object: Option<(ReferenceKind, String)>,
        field: Option<&str>,
        sentence: impl Into<String>,
    ) -> Self {
        Self { object, field: field.map(str::to_owned), sentence: sentence.into() }
    }
}

impl SeedPlan {
    /// Whether the store agrees with the seed already.
    pub fn is_empty(&self) -> bool {
        self.diff.iter().all(|entry| matches!(entry.sign, Sign::Skipped | Sign::Accepted))
    }

    /// What stands in the way of the seed: nothing of it is applied.
    pub fn obstacles(&self) -> impl Iterator<Item = &DiffEntry> {
        self.diff.iter().filter(|entry| entry.sign == Sign::Obstructed)
    }
}

/// What becomes of one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffEntry {
    /// Whether it is made, changed, deleted or skipped.
    pub sign: Sign,
    /// What it is.
    pub kind: ReferenceKind,
    pub name: String,
    /// What becomes different. Secrets do not stand here.
    pub fields: Vec<FieldChange>,
    /// Why, where that needs saying.
    pub reason: Option<String>,
    /// Who has made what it is about, where that are many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub together: Vec<Together>,
}

impl DiffEntry {
    /// What stands in the way, in a sentence.
    pub fn obstacle(&self) -> String {
        let reason = self.reason.as_deref().unwrap_or("something stands in its way");
        format!("the {} `{}` cannot be as the config says: {reason}", self.kind, self.name)
    }
}

/// What becomes of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// It is made.
    Created,
    /// It is changed.
    Changed,
    /// It is deleted.
    Deleted,
    /// It is left as it is, though the seed asks for something else.
    Skipped,
    /// It is left as it is, and gets what the seed gives though somebody else has made it, as the operator says.
    Accepted,
    /// It cannot be as the seed says, because somebody else has what it needs: nothing is applied until that is put right.
    Obstructed,
}

impl Registry {
    /// Those of these names that nothing has which is in the store.
    pub fn absent_names(&self, mut names: Vec<(ReferenceKind, String)>) -> Vec<(ReferenceKind, String)> {
        let snapshot = self.snapshot();
        names.retain(|(kind, name)| !names::is_there(snapshot.accounts(), *kind, name));
        names
    }

    /// That there is no directory to serve, in words.
    pub fn without_provider(&self) -> Option<&'static str> {
        apply::without_provider(self.snapshot().accounts())
    }

    /// Works out what applying a seed would do. Nothing is changed.
    ///
    /// # Errors
    /// [`ChangeError::Invalid`] with everything that cannot be; names that do not exist are in the plan instead.
    pub async fn plan_seed(&self, seed: Seed, options: SeedOptions) -> Result<SeedPlan, ChangeError> {
        let prepared = Prepared::for_plan(self, &seed).await?;
        self.rehearse(move |transaction| SeedRun::new(transaction, &seed, &options, &prepared).run()).await
    }

    /// Makes the store agree with a seed, as one commit.
    ///
    /// # Errors
    /// [`ChangeError::Invalid`] with everything that cannot be, names that do not exist included, or
    /// [`ChangeError::Conflict`] when something stands in the way, or the secrets that are needed now are not those given: a
    /// plan tells. Nothing happened.
    pub async fn apply_seed(
        &self,
        actor: Actor,
        seed: Seed,
        options: SeedOptions,
        secrets: Vec<NewSecret>,
    ) -> Result<SeedPlan, ChangeError> {
        let prepared = Prepared::for_apply(self, &seed, &options, secrets).await?;
        self.apply_prepared(actor, seed, options, prepared).await
    }

    async fn apply_prepared(
        &self,
        actor: Actor,
        seed: Seed,
        options: SeedOptions,
        prepared: Prepared,
    ) -> Result<SeedPlan, ChangeError> {
        self.change(actor, move |transaction| {
            let plan = SeedRun::new(transaction, &seed, &options, &prepared).run()?;
            names::refuse_unresolved(&plan.unresolved, options.prune)?;
            refuse_obstructed(&plan)?;
            refuse_foreign(&plan, transaction.snapshot().accounts())?;
            transaction.set_seeded();
            Ok(plan)
        })
        .await
    }
}

/// A seed is applied whole or not at all: what stands in its way is in a new plan of it.
fn refuse_obstructed(plan: &SeedPlan) -> Result<(), ChangeError> {
    if plan.obstacles().next().is_some() { Err(ChangeError::Conflict) } else { Ok(()) }
}

/// Asks the operator before rights go to who may know a secret of somebody else's account.
fn refuse_foreign(plan: &SeedPlan, accounts: &Accounts) -> Result<(), ChangeError> {
    if plan.credentials.is_empty() {
        return Ok(());
    }
    let (together, others) = ForeignCredentials::among(&plan.credentials, accounts);
    let together = together.iter().map(ForeignCredentials::sentence);
    let sentences: Vec<String> =
        together.chain(others.into_iter().map(ForeignCredential::sentence)).collect();
    Err(ChangeError::Refused(sentences.join("\n")))
}
