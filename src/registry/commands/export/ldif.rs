//! The entries of one provider as LDIF: what they hold, who is in the groups, and the operational attributes that an
//! import reads again.

use std::io::{self, Write};

use super::Export;
use crate::directory::{Entry, EntryId, OPERATIONAL, Reader, Subject, USER, Visibility};
use crate::ldif::{LdifWriteError, LdifWriter, RecordWriter};
use crate::schema::AttributeId;

pub(super) fn write(export: &Export, output: impl Write) -> io::Result<()> {
    let snapshot = &*export.snapshot;
    let mut writer = LdifWriter::new(output);
    if let Some(tree) = export.provider.and_then(|number| snapshot.tree(number)) {
        let reader = Reader::new(snapshot, tree, &Visibility::Full);
        for id in tree.ids().filter(|id| export.all || id.virtual_group_of().is_none()) {
            let Some(entry) = reader.entry(id) else { continue };
            if !export.all && is_container_of_virtual_groups(&reader, id) {
                continue;
            }
            let dn = String::from_utf8_lossy(entry.dn());
            let mut record = writer.begin(&dn).map_err(io::Error::other)?;
            attributes(&reader, id, entry, export.all, &mut record).map_err(io::Error::other)?;
            record.end().map_err(io::Error::other)?;
        }
    }
    writer.finish().map(drop)
}

/// Writes the attributes of an entry, in the order of answers.
fn attributes<W: Write>(
    reader: &Reader<'_>,
    id: EntryId,
    entry: &Entry,
    all: bool,
    record: &mut RecordWriter<'_, W>,
) -> Result<(), LdifWriteError> {
    for stored in entry.attributes() {
        let description = String::from_utf8_lossy(stored.description());
        let mut count = stored.values().count();
        if stored.id == AttributeId::OBJECT_CLASS && !all {
            // Those are added again wherever they are needed.
            count = count.saturating_sub(entry.added_classes());
        }
        for value in stored.values().take(count) {
            record.attribute(&description, value)?;
        }
    }
    let computed = if all { [&USER[..], &OPERATIONAL[..]] } else { [&MEMBERS[..], &RESTORED[..]] };
    for attribute in computed.into_iter().flatten() {
        // One that stands in the RDN is stored.
        if entry.attributes_of(*attribute).next().is_some() {
            continue;
        }
        let name = &reader.schema().attribute(*attribute).name;
        let mut written = Ok(());
        reader.values(id, entry, *attribute, &mut |value| {
            written = record.attribute(name, value);
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

/// The container that is there for virtual groups alone.
fn is_container_of_virtual_groups(reader: &Reader<'_>, id: EntryId) -> bool {
    let is_virtual = |container: &crate::directory::ContainerEntry| container.holds_virtual_groups();
    reader.tree().container(id).is_some_and(is_virtual)
}

/// Who is in a group is computed from the relation, and is what a group is about.
const MEMBERS: [AttributeId; 3] = [AttributeId::MEMBER, AttributeId::UNIQUE_MEMBER, AttributeId::MEMBER_UID];
/// The operational attributes that an import reads.
const RESTORED: [AttributeId; 3] =
    [AttributeId::ENTRY_UUID, AttributeId::CREATE_TIMESTAMP, AttributeId::MODIFY_TIMESTAMP];
/// How an account that may not bind says so (draft-behera-ldap-password-policy section 5.3.3): OpenLDAP obeys it, and
/// an import here reads it.
const LOCKED: &str = "pwdAccountLockedTime";
const LOCKED_FOR_GOOD: &[u8] = b"000001010000Z";
