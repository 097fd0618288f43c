//! The one place where `ldap3_proto` decodes: only what is put together here reaches it.

use ldap3_proto::LdapCodec;
use ldap3_proto::proto::LdapMsg;
use tokio_util::bytes::BytesMut;
use tokio_util::codec::Decoder;

use crate::ldap::ber::{BerWriter, tag};

/// Puts a message together from the operation and controls that `write` writes, and has it decoded.
/// `None` when `ldap3_proto` does not take it.
///
/// The operation must be one that it knows: it prints others to standard output. It never sees a frame
/// as it came from the network, where a truncated element inside would be dropped without a word.
pub(super) fn decode(write: impl FnOnce(&mut BerWriter<'_>)) -> Option<LdapMsg> {
    let mut octets = Vec::new();
    let mut writer = BerWriter::new(&mut octets);
    let message = writer.begin(tag::SEQUENCE);
    writer.integer(1);
    write(&mut writer);
    writer.end(message);
    let mut buffer = BytesMut::from(octets.as_slice());
    LdapCodec::new(Some(octets.len()), None).decode(&mut buffer).ok().flatten()
}
