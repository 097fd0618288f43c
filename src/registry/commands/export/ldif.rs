//! The entries of one provider as LDIF: what they hold, who is in the groups, and the operational attributes that an
//! import reads again.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::Export;
use crate::directory::{Entry, EntryId, Subject, TreeReader, Visibility};
use crate::ldif::{LdifWriteError, LdifWriter, RecordWriter};
use crate::registry::commands::import::{LOCKED_FOR_GOOD, MEMBERS, RESTORED};
use crate::schema::{AttributeId, Schema, Syntax, is_keystring};

pub(super) fn write(export: &Export, output: impl Write) -> io::Result<()> {
    let snapshot = &*export.snapshot;
    let mut writer = LdifWriter::new(output);
    let mut refused = Refused::default();
    if let Some(tree) = export.provider.and_then(|number| snapshot.tree(number)) {
        let reader = TreeReader::new(snapshot, tree, &Visibility::Full);
        for id in tree.ids().filter(|id| export.all || id.virtual_group_of().is_none()) {
            let Some(entry) = reader.entry(id) else { continue };
            if !export.all && is_container_of_virtual_groups(&reader, id) {
                continue;
            }
            let dn = String::from_utf8_lossy(entry.dn());
            let mut record = writer.begin(&dn).map_err(io::Error::other)?;
            attributes(&reader, id, &entry, export.all, &mut record, &mut refused)
                .map_err(io::Error::other)?;
            record.end().map_err(io::Error::other)?;
        }
    }
    writer.comments(&refused.in_words(snapshot.schema()))?;
    writer.finish().map(drop)
}

/// Writes the attributes of an entry, in the order of answers.
fn attributes<W: Write>(
    reader: &TreeReader<'_>,
    id: EntryId,
    entry: &Entry,
    all: bool,
    record: &mut RecordWriter<'_, W>,
    refused: &mut Refused,
) -> Result<(), LdifWriteError> {
    let own = OwnClasses::of(entry);
    for stored in entry.attributes() {
        let description = String::from_utf8_lossy(stored.description());
        let (mut first, mut count) = (0, stored.values().count());
        if !all {
            // What was added here is added again wherever it is needed.
            let added = entry.added();
            match (stored.id, &*description) {
                (AttributeId::OBJECT_CLASS, _) => count = own.0.len(),
                (AttributeId::UID, "uid") if added.uid() => first = 1,
                (AttributeId::CN, "cn") if added.cn() => first = count,
                _ => {}
            }
        }
        for value in stored.values().take(count).skip(first) {
            refused.write(stored.id, &description, value, reader.schema(), record)?;
        }
    }
    let computed: Vec<AttributeId> = match all {
        true => reader.computed_attributes().collect(),
        false => MEMBERS.into_iter().chain(RESTORED).collect(),
    };
    for attribute in computed {
        if !all && MEMBERS.contains(&attribute) && !own.show(attribute, reader, id) {
            continue;
        }
        // One that stands in the RDN is stored.
        if entry.attributes_of(attribute).next().is_some() {
            continue;
        }
        let name = &reader.schema().attribute(attribute).name;
        let mut written = Ok(());
        reader.values(id, entry, attribute, &mut |value| {
            written = refused.write(attribute, name, value, reader.schema(), record);
            written.is_ok()
        });
        written?;
    }
    if let Some(Subject::Account(account)) = reader.subject(id)
        && !account.is_active
    {
        record.attribute(LOCKED, LOCKED_FOR_GOOD)?;
    }
    Ok(())
}

/// What of an export another directory may refuse, and what cannot be in it: how many values, by attribute.
#[derive(Default)]
struct Refused {
    by_others: BTreeMap<AttributeId, u64>,
    by_ldif: BTreeMap<AttributeId, u64>,
}

impl Refused {
    /// Writes a value, unless LDIF has no place for its attribute.
    fn write<W: Write>(
        &mut self,
        id: AttributeId,
        description: &str,
        value: &[u8],
        schema: &Schema,
        record: &mut RecordWriter<'_, W>,
    ) -> Result<(), LdifWriteError> {
        match record.attribute(description, value) {
            Ok(()) => self.look(id, value, schema),
            Err(LdifWriteError::Description { .. }) => *self.by_ldif.entry(id).or_default() += 1,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn look(&mut self, id: AttributeId, value: &[u8], schema: &Schema) {
        // To RFC 2307 these two are IA5 strings.
        let is_ia5 = schema.attribute(id).syntax == Syntax::Ia5String
            || matches!(id, AttributeId::MEMBER_UID | AttributeId::HOME_DIRECTORY);
        if is_ia5 && !value.is_ascii() {
            *self.by_others.entry(id).or_default() += 1;
        }
        if schema.is_custom(id) && !is_keystring(schema.attribute(id).name.as_bytes()) {
            *self.by_others.entry(id).or_default() += 1;
        }
    }

    fn in_words(&self, schema: &Schema) -> Vec<String> {
        let of_others = self.by_others.iter().map(|(id, count)| {
            let name = &schema.attribute(*id).name;
            let why = match is_keystring(name.as_bytes()) {
                true => "characters beyond ASCII, which its definition in RFCs does not allow",
                false => "a name that RFC 4512 does not allow",
            };
            format!("Another directory may refuse {count} values of {name}: {why}.")
        });
        let of_ldif = self.by_ldif.iter().map(|(id, count)| {
            let name = &schema.attribute(*id).name;
            format!("{count} values of {name} are left out: in LDIF no attribute can have that name.")
        });
        of_others.chain(of_ldif).collect()
    }
}

/// The classes of an entry without those that were added to its own.
struct OwnClasses<'a>(Vec<&'a [u8]>);

impl<'a> OwnClasses<'a> {
    fn of(entry: &'a Entry) -> Self {
        let classes = entry.attributes_of(AttributeId::OBJECT_CLASS).flat_map(|stored| stored.values());
        let mut classes: Vec<&[u8]> = classes.collect();
        classes.truncate(classes.len().saturating_sub(entry.added().classes()));
        Self(classes)
    }

    /// Whether a group of these classes says in this attribute who is in it. One whose classes have no place for
    /// groups in it says `member` when there are some: they would be lost otherwise.
    fn show(&self, attribute: AttributeId, reader: &TreeReader<'_>, id: EntryId) -> bool {
        let is = |names: &[&str]| {
            self.0.iter().any(|class| names.iter().any(|name| class.eq_ignore_ascii_case(name.as_bytes())))
        };
        let names = ["groupOfNames", "groupOfMembers", "group"];
        match attribute {
            AttributeId::MEMBER if is(&names) => true,
            AttributeId::MEMBER => !is(&["groupOfUniqueNames"]) && holds_groups(reader, id),
            _ => true,
        }
    }
}

fn holds_groups(reader: &TreeReader<'_>, id: EntryId) -> bool {
    let Some(Subject::Group(group)) = reader.subject(id) else { return false };
    group.members().any(|member| reader.accounts().group_of_entry(member).is_some())
}

/// The container that is there for virtual groups alone.
fn is_container_of_virtual_groups(reader: &TreeReader<'_>, id: EntryId) -> bool {
    let is_virtual = |container: &crate::directory::ContainerEntry| container.holds_virtual_groups();
    reader.tree().container(id).is_some_and(is_virtual)
}

/// How an account that may not bind says so (draft-behera-ldap-password-policy section 5.3.3): OpenLDAP obeys it, and
/// an import here reads it.
const LOCKED: &str = "pwdAccountLockedTime";
