//! Import from another directory: entries of an LDIF file become accounts and groups that keep their DNs.
//!
//! The file is kept in the data directory (`spool.rs`) and read there (`file.rs`), to its end before anything is changed. A
//! [`Classifier`] says what each record is: accounts come first, then groups, then their members. `commit.rs` puts them into
//! the store, at most 1,000 changes at a time. What is left out is told with its reason, never
//! silently.

mod classify;
mod commit;
mod file;
mod passwords;
mod spool;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Deref;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

pub use classify::{Classified, Classifier};
pub use spool::{Spool, SpoolError, Spools, remove_spools};

use crate::directory::with_custom;
use crate::model::{Container, CustomAttribute, ProviderNumber, Timestamp};
use crate::schema::{AttributeId, Schema};

/// Where entries are taken from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportOptions {
    /// The provider whose containers the entries stand in; `None`: the default one.
    pub provider: Option<String>,
    /// Containers of people to add to the provider, each with its naming attribute.
    pub users: Vec<(String, String)>,
    /// Containers of groups to add.
    pub groups: Vec<(String, String)>,
    /// Containers of service accounts to add.
    pub service_accounts: Vec<(String, String)>,
    /// A role that imported service accounts get.
    pub role: Option<String>,
    /// Whether the file is an export of bindery: what was derived there is derived again.
    pub restore: bool,
    /// Whether uidNumbers and gidNumbers of system accounts are taken over.
    pub allow_system_numbers: bool,
    /// Whether people keep a uidNumber that somebody else has.
    pub allow_shared_numbers: bool,
}

/// The provider's tree as a [`Classifier`] needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportLayout {
    pub provider: String,
    pub number: ProviderNumber,
    /// The suffix.
    pub base_dn: String,
    /// Where people stand; the first is where new ones appear.
    pub users: Vec<Container>,
    /// Where service accounts stand.
    pub service_accounts: Vec<Container>,
    /// Where groups stand.
    pub groups: Vec<Container>,
    /// The attribute types beside the built-in ones.
    pub attributes: Vec<CustomAttribute>,
    /// As in [`ImportOptions::restore`].
    pub restore: bool,
}

impl ImportLayout {
    /// The schema of the directory that is imported into.
    pub fn schema(&self) -> Schema {
        self.attributes.iter().fold(Schema::core(), |schema, attribute| {
            with_custom(&schema, attribute).map_or(schema, |(schema, _)| schema)
        })
    }
}

/// One piece of an import: accounts first, then groups, then members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportEntry {
    /// A person or a service account.
    Account(Box<ImportedAccount>),
    /// A group, without its members.
    Group(Box<ImportedGroup>),
    /// Who is in a group: to be sent when all accounts and groups are there.
    Members(ImportedMembers),
}

impl ImportEntry {
    /// The name of the entry that it was read from.
    pub fn dn(&self) -> &str {
        match self {
            Self::Account(account) => &account.dn,
            Self::Group(group) => &group.dn,
            Self::Members(members) => &members.group,
        }
    }
}

/// A person or a service account of another directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedAccount {
    /// Its DN, as the file writes it.
    pub dn: String,
    pub is_service_account: bool,
    /// Its container, as the provider writes it.
    pub container: String,
    /// Its relative DN.
    pub rdn: String,
    /// Its name.
    pub username: String,
    /// The full name; empty when there is none.
    pub name: String,
    /// The mail address; empty when there is none.
    pub email: String,
    /// Whether it may bind.
    pub is_active: bool,
    /// All other attributes.
    pub attributes: Vec<ImportedAttribute>,
    /// Its classes with their superclasses; empty for the usual ones.
    pub object_classes: Vec<String>,
    /// The values of `userPassword`.
    pub passwords: Vec<Octets>,
    /// Its `entryUUID`.
    pub uuid: Option<Uuid>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When it was last changed.
    pub modified: Option<Timestamp>,
}

/// A group of another directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedGroup {
    /// Its DN, as the file writes it.
    pub dn: String,
    /// Its container, as the provider writes it.
    pub container: String,
    /// Its relative DN.
    pub rdn: String,
    pub name: String,
    /// All other attributes.
    pub attributes: Vec<ImportedAttribute>,
    /// Its classes with their superclasses; empty for the usual ones.
    pub object_classes: Vec<String>,
    /// Its `entryUUID`.
    pub uuid: Option<Uuid>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When it was last changed.
    pub modified: Option<Timestamp>,
}

/// Who is in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedMembers {
    /// The DN of the group, as the file writes it.
    pub group: String,
    /// When the group was last changed there, its members included.
    pub modified: Option<Timestamp>,
    pub members: Vec<MemberName>,
}

/// How a group names a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberName {
    /// `member`, `uniqueMember`: an account or a group.
    Dn(String),
    /// `memberUid`: an account.
    Username(String),
}

/// A free attribute with its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedAttribute {
    /// Its description, options included.
    pub description: String,
    pub values: Vec<Octets>,
}

/// Octets that travel as text where they are UTF-8, and as `{"base64": …}` where they are not. They may be
/// a password: they do not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Octets(pub Vec<u8>);

/// What came of an import, or of one call of many: [`ImportReport::add`] puts them together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// People that were made.
    pub users: u64,
    /// Service accounts that were made.
    pub service_accounts: u64,
    /// Groups that were made.
    pub groups: u64,
    /// Accounts that were put into a group.
    pub memberships: u64,
    /// Groups that were put into a group.
    pub nested_groups: u64,
    /// Passwords that were taken over, app passwords of service accounts included.
    pub passwords: u64,
    /// Entries and memberships that were there, from an earlier run or as containers.
    pub already_there: u64,
    /// What was left out, by its reason.
    pub left_out: Reasons,
    /// What was taken over and may not be meant, by what is to be known of it.
    pub told: Reasons,
    /// The DN of the last entry that is committed with all before it.
    pub committed_up_to: Option<String>,
    /// The containers that were added to the provider, as lines for its table in the config: without them, the next `apply`
    /// takes these away again.
    pub config: Vec<String>,
    /// Why it ended before its end; what is counted here is committed all the same.
    pub stopped: Option<ImportStop>,
}

impl ImportReport {
    /// Whether all that the file had was left out.
    pub fn is_nothing(&self) -> bool {
        let Self { users, service_accounts, groups, memberships, nested_groups, already_there, .. } = self;
        let done = [users, service_accounts, groups, memberships, nested_groups, already_there];
        done.into_iter().all(|count| *count == 0) && !self.left_out.is_empty()
    }
}

/// How often there was a reason to say something, 200 reasons at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reasons(BTreeMap<String, Counted>);

impl Deref for Reasons {
    type Target = BTreeMap<String, Counted>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Reasons {
    fn note(&mut self, mut reason: String, count: u64, examples: impl IntoIterator<Item = String>) {
        if self.0.len() >= REASONS_MAX && !self.0.contains_key(&reason) {
            reason = "for other reasons".to_owned();
        }
        let sum = self.0.entry(reason).or_default();
        sum.count += count;
        for example in examples {
            if sum.examples.len() < EXAMPLES_MAX && !sum.examples.contains(&example) {
                sum.examples.push(example);
            }
        }
    }
}

/// What there was one reason for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// How many times.
    pub count: u64,
    /// The first of them.
    pub examples: Vec<String>,
}

/// Why an import ended before its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportStop {
    /// The DN of the first entry that is not committed.
    pub at: String,
    /// Why, a sentence.
    pub reason: String,
}

impl ImportReport {
    /// Counts something that was left out.
    pub fn leave_out(&mut self, reason: impl Into<String>, example: &str) {
        self.left_out.note(reason.into(), 1, [example.to_owned()]);
    }

    /// Counts something that was taken over and may not be meant: `count` times, of which these are some.
    pub fn tell(&mut self, what: &str, count: u64, examples: impl IntoIterator<Item = String>) {
        self.told.note(what.to_owned(), count, examples);
    }

    /// Adds what came of a later call.
    pub fn add(&mut self, later: ImportReport) {
        self.users += later.users;
        self.service_accounts += later.service_accounts;
        self.groups += later.groups;
        self.memberships += later.memberships;
        self.nested_groups += later.nested_groups;
        self.passwords += later.passwords;
        self.already_there += later.already_there;
        for (reason, Counted { count, examples }) in later.left_out.0 {
            self.left_out.note(reason, count, examples);
        }
        for (what, Counted { count, examples }) in later.told.0 {
            self.told.note(what, count, examples);
        }
        if later.committed_up_to.is_some() {
            self.committed_up_to = later.committed_up_to;
        }
        self.config.extend(later.config);
        if later.stopped.is_some() {
            self.stopped = later.stopped;
        }
    }
}

impl std::fmt::Debug for Octets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Octets({})", self.0.len())
    }
}

impl Serialize for Octets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => Written::Base64 { base64: STANDARD.encode(&self.0) }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Text(text) => Ok(Self(text.into_bytes())),
            Written::Base64 { base64 } => STANDARD.decode(base64).map(Self).map_err(serde::de::Error::custom),
        }
    }
}

/// How [`Octets`] travel.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Base64 { base64: String },
}

/// So many reasons are told apart.
/// No limit of the config: all are counted, and nobody reads more.
const REASONS_MAX: usize = 200;
/// So many examples are told for each reason.
/// No limit of the config: all are counted, and nobody reads more.
const EXAMPLES_MAX: usize = 10;

/// What says who is in a group: computed from the relation, and what a group is about.
pub(in crate::registry::commands) const MEMBERS: [AttributeId; 3] =
    [AttributeId::MEMBER, AttributeId::UNIQUE_MEMBER, AttributeId::MEMBER_UID];
/// The operational attributes that an import reads and an export writes.
pub(in crate::registry::commands) const RESTORED: [AttributeId; 3] =
    [AttributeId::ENTRY_UUID, AttributeId::CREATE_TIMESTAMP, AttributeId::MODIFY_TIMESTAMP];
/// The value of pwdAccountLockedTime that only an administrator sets (draft-behera-ldap-password-policy section 5.3.3).
pub(in crate::registry::commands) const LOCKED_FOR_GOOD: &[u8] = b"000001010000Z";
