//! What exists, as plain values. No clock but the one handed in, and no I/O but that the name of a time zone is looked
//! up in the system's database when it is read.
//!
//! These are also the records that the store keeps: their serde form, written by bincode, is the
//! format on disk; what is said of them (`description.rs`) is not kept. A change to a field is a change of the format (`store/record.rs`).

mod account;
mod application;
mod application_text;
mod belief;
mod change;
mod custom_attribute;
mod description;
mod event;
mod field;
mod fingerprint;
mod group;
mod in_place;
mod incarnation;
mod internal_account;
mod invisible;
mod name;
mod network;
mod number;
mod origin;
mod permission;
mod pieces;
mod provider;
mod role;
mod time;
mod time_window;
mod time_zone;
mod token;
mod usage;

pub use account::{Account, AccountKind, Attribute, AttributeForm, Password, Placement, ValueKind};
pub use application::{Application, Binding, BindingMode, BindingSubject};
pub use application_text::{ApplicationText, ApplicationTextRow, ApplicationTexts};
pub use belief::{Belief, Doubt};
pub use change::{Change, Key, Record, Revision, Tombstone, TombstoneOf};
pub use custom_attribute::{AttributeSyntax, CustomAttribute};
pub use description::{
    AccountChanges, ApplicationChanges, GroupChanges, ProviderChanges, RoleChanges, TokenChanges,
};
pub use event::{
    Action, Actor, Event, EventDetail, EventDigest, EventPlace, FieldChange, SystemUser, Trail, TrailState,
    Trails,
};
pub use field::{Field, FieldValue, fields, value_in_words};
pub use fingerprint::{Fingerprint, NoFingerprint};
pub use group::{Group, Membership};
pub use in_place::InPlace;
pub use incarnation::Incarnation;
pub use internal_account::InternalAccount;
pub use invisible::{escape, is_invisible, visible};
pub use name::{
    NAME_OCTETS_MAX, TEXT_OCTETS_MAX, first_identifier, is_domain, is_mail_address, is_slug, slug_of,
};
pub use network::{BadNetwork, NETWORK_WORDS, as_ipv4, read_network};
pub use number::{
    AccountNumber, ApplicationNumber, AttributeNumber, GroupNumber, ProviderNumber, RoleNumber, TokenNumber,
};
pub use origin::{MadeBy, Origin};
pub use permission::{Permission, UnknownPermission};
pub use provider::{AccessMode, AsGiven, AsGivenChanges, Container, LdapProvider};
pub use role::{Grant, ObjectReference, Role};
pub use time::{BadTime, DateMeans, TIME_WORDS, Timestamp};
pub use time_window::{BadTimeOfDay, BadTimeWindow, TimeOfDay, TimeWindow, Weekday};
pub use time_zone::{TimeZone, UnknownTimeZone};
pub use token::{
    BadExpiry, CHOSEN_PASSWORD_LENGTH_MIN, CHOSEN_SECRET_LENGTH_MAX, CHOSEN_SECRET_LENGTH_MIN, Expiry,
    HashText, Intent, LIFETIME_SECONDS_MAX, SealedSecret, Token, TokenSelector,
};
pub use usage::{Usage, UsageOf};
