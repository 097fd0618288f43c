//! Accounts that are read one after the other into the place of one, whose memory they take. Each is of some forty small
//! pieces, and a start has a million of them.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};

use super::{Account, Attribute};

/// Reads an account, as [`Deserialize`] does it from a form that does not name its fields, into the place of another. After
/// an error nobody knows what that holds.
pub struct InPlace<'a> {
    pub place: &'a mut Account,
    /// Whether the forms of attributes and the path are not there.
    pub is_plain: bool,
}

impl<'de> DeserializeSeed<'de> for InPlace<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_tuple(if self.is_plain { PLAIN_FIELDS } else { FIELDS }, self)
    }
}

impl<'de> Visitor<'de> for InPlace<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an account")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let Account {
            number,
            uuid,
            username,
            kind,
            name,
            email,
            is_active,
            attributes,
            attribute_forms,
            path,
            object_classes,
            password,
            placements,
            roles,
            grants,
            created,
            modified,
            origin,
        } = self.place;
        *number = next(&mut fields)?;
        *uuid = next(&mut fields)?;
        next_in_place(&mut fields, Text(username))?;
        *kind = next(&mut fields)?;
        next_in_place(&mut fields, Text(name))?;
        next_in_place(&mut fields, Text(email))?;
        *is_active = next(&mut fields)?;
        next_in_place(&mut fields, Attributes(attributes))?;
        if self.is_plain {
            attribute_forms.clear();
            path.clear();
        } else {
            *attribute_forms = next(&mut fields)?;
            *path = next(&mut fields)?;
        }
        *object_classes = next(&mut fields)?;
        *password = next(&mut fields)?;
        *placements = next(&mut fields)?;
        *roles = next(&mut fields)?;
        *grants = next(&mut fields)?;
        *created = next(&mut fields)?;
        *modified = next(&mut fields)?;
        *origin = next(&mut fields)?;
        Ok(())
    }
}

struct Attributes<'a>(&'a mut Vec<Attribute>);

impl<'de> DeserializeSeed<'de> for Attributes<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Attributes<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("attributes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let empty = || Attribute { description: String::new(), values: Vec::new() };
        each_in_place(self.0, empty, |place| Ok(items.next_element_seed(OneAttribute(place))?.is_some()))
    }
}

struct OneAttribute<'a>(&'a mut Attribute);

impl<'de> DeserializeSeed<'de> for OneAttribute<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_tuple(2, self)
    }
}

impl<'de> Visitor<'de> for OneAttribute<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an attribute")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let Attribute { description, values } = self.0;
        next_in_place(&mut fields, Text(description))?;
        next_in_place(&mut fields, Values(values))
    }
}

struct Values<'a>(&'a mut Vec<Vec<u8>>);

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Values<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        each_in_place(self.0, Vec::new, |place| Ok(items.next_element_seed(Octets(place))?.is_some()))
    }
}

struct Octets<'a>(&'a mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Octets<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Octets<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("octets")
    }

    fn visit_bytes<E: Error>(self, octets: &[u8]) -> Result<(), E> {
        self.0.clear();
        self.0.extend_from_slice(octets);
        Ok(())
    }
}

struct Text<'a>(&'a mut String);

impl<'de> DeserializeSeed<'de> for Text<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Text<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.clear();
        self.0.push_str(text);
        Ok(())
    }
}

/// Has `read` put item by item into the places of a list, until it says that there is no more.
fn each_in_place<T, E>(
    list: &mut Vec<T>,
    empty: impl Fn() -> T,
    mut read: impl FnMut(&mut T) -> Result<bool, E>,
) -> Result<(), E> {
    let mut count = 0;
    loop {
        if count == list.len() {
            list.push(empty());
        }
        let Some(place) = list.get_mut(count) else { return Ok(()) };
        if !read(place)? {
            list.truncate(count);
            return Ok(());
        }
        count += 1;
    }
}

fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(fields: &mut A) -> Result<T, A::Error> {
    fields.next_element()?.ok_or_else(too_short)
}

fn next_in_place<'de, S: DeserializeSeed<'de>, A: SeqAccess<'de>>(
    fields: &mut A,
    place: S,
) -> Result<S::Value, A::Error> {
    fields.next_element_seed(place)?.ok_or_else(too_short)
}

fn too_short<E: Error>() -> E {
    E::custom("a field is missing")
}

/// Of an account.
const FIELDS: usize = 18;
const PLAIN_FIELDS: usize = FIELDS - 2;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{AttributeForm, Placement, ProviderNumber, RoleNumber, ValueKind};
    use crate::plain;

    fn values() -> impl Strategy<Value = Vec<Vec<u8>>> {
        proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..4)
    }

    fn accounts() -> impl Strategy<Value = Vec<Account>> {
        let attributes = proptest::collection::vec(("[a-z;]{0,9}", values()), 0..5);
        let account = (any::<u32>(), "\\PC{0,9}", "\\PC{0,9}", attributes, any::<u8>());
        let account = account.prop_map(|(number, username, text, attributes, bits)| {
            let has = |bit: u8| bits >> bit & 1 == 1;
            let attributes = attributes.into_iter();
            let attributes =
                attributes.map(|(description, values)| Attribute { description, values }).collect();
            let form =
                AttributeForm { description: text.clone(), is_one: true, kinds: vec![ValueKind::Number] };
            let provider = ProviderNumber::new(7);
            let placement = Placement { provider, container: "ou=a".to_owned(), rdn: text.clone() };
            Account {
                name: if has(0) { text.clone() } else { String::new() },
                email: if has(1) { text.clone() } else { String::new() },
                is_active: has(2),
                attributes,
                attribute_forms: if has(3) { vec![form] } else { Vec::new() },
                path: if has(4) { text.clone() } else { String::new() },
                object_classes: if has(5) { vec![text.clone(), "top".to_owned()] } else { Vec::new() },
                placements: if has(6) { vec![placement] } else { Vec::new() },
                roles: if has(7) { vec![RoleNumber::new(1), RoleNumber::new(9)] } else { Vec::new() },
                ..plain::account(number, &username)
            }
        });
        proptest::collection::vec(account, 1..5)
    }

    proptest! {
        #![proptest_config(crate::rounds::cases(64))]
        /// Whoever had the place before has left nothing there.
        #[test]
        fn what_is_read_in_place_is_what_is_read_alone(accounts in accounts()) {
            let standard = bincode::config::standard();
            let mut place = plain::account(1, "before");
            for account in accounts {
                let octets = bincode::serde::encode_to_vec(&account, standard).unwrap();
                let to = InPlace { place: &mut place, is_plain: false };
                let read = bincode::serde::seed_decode_from_slice(to, &octets, standard);
                prop_assert_eq!(read.unwrap().1, octets.len());
                prop_assert_eq!(&place, &account);
                for cut in 0..octets.len() {
                    let mut place = place.clone();
                    let to = InPlace { place: &mut place, is_plain: false };
                    let read = bincode::serde::seed_decode_from_slice(to, &octets[..cut], standard);
                    prop_assert!(read.is_err());
                }
            }
        }
    }
}
