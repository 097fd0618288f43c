//! What is in memory: the immutable [`Snapshot`] of one revision, made for reading.
//!
//! `snapshot` holds `accounts` (everything about accounts, once) and one `tree` for each provider
//! (entries as wire octets, indexes); `bulk` makes the first one from all records at once. A search goes `filter` (as it arrived) → `prepared` (made
//! ready for the tree) → `plan` (which entries to look at) → `evaluator` (whether they match), all
//! through a `reader`, which knows what may be seen; `shown` is an entry as it sees it. `options` are those of attribute descriptions; `sort_keys` and
//! `values_filter` are what controls ask beyond that.

mod account_table;
mod accounts;
mod bind_names;
mod bulk;
mod category;
mod chain;
mod common;
mod compose;
mod computed;
mod cost;
mod custom;
mod entry;
mod entry_id;
mod evaluate;
mod evaluator;
pub mod filter;
mod filter_text;
mod hash_index;
mod id_set;
mod long_look;
mod options;
mod plan;
mod prepared;
mod reader;
mod shown;
mod snapshot;
mod sort_keys;
mod sparse;
mod subschema;
mod tree;
mod value_cursor;
mod values_filter;
mod visibility;
mod walk;

#[cfg(test)]
pub(crate) mod tests;

pub use accounts::{AccountState, Accounts, GroupState, name_key, name_key_within};
pub use custom::{custom_type, unknown_attributes, uses_attribute, with_custom};
pub use entry::{Entry, ValuePlace};
pub use entry_id::{EntryId, NUMBER_MAX};
pub use evaluator::{Evaluator, Looked, WORK_AT_ONCE};
pub use filter_text::FilterText;
pub use long_look::LongLook;
pub use options::{OPTIONS_MAX, OptionNumbers, wanted_options};
pub use plan::plan;
pub use prepared::{FilterBounds, FilterTooLarge, PreparedFilter, Truth};
pub use reader::{Subject, TreeReader};
pub use shown::{Finding, Shown};
pub use snapshot::{RecordSource, Snapshot, SnapshotBuilder};
pub use sort_keys::{OrderOfEntry, OrderTurn, SortFault, SortKey, SortKeys};
pub use subschema::SUBSCHEMA_DN;
pub use tree::{ContainerEntry, PlaceError, Tree};
pub use values_filter::{ValueLook, ValueSelector, ValuesFilter};
pub use visibility::{Elsewhere, OwnEntries, Visibility};
pub use walk::{Scope, Step, Walk};
