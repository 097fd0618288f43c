//! Text and octets that are read and written in one piece. In the store they look as serde's own forms do; those take a call
//! for each octet, and memory that is zeroed first, which a start with a million accounts feels.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

/// A text.
pub(super) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    struct Text;

    impl Visitor<'_> for Text {
        type Value = String;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a string")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }

        fn visit_string<E: de::Error>(self, text: String) -> Result<String, E> {
            Ok(text)
        }
    }

    from.deserialize_str(Text)
}

/// Values of octets.
pub(super) mod values {
    use super::*;

    pub(in crate::model) fn serialize<S: Serializer>(values: &[Vec<u8>], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(values.iter().map(|value| Written(value)))
    }

    pub(in crate::model) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Vec<u8>>, D::Error> {
        let values = Vec::<Read>::deserialize(from)?;
        Ok(values.into_iter().map(|Read(value)| value).collect())
    }
}

struct Written<'a>(&'a [u8]);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(self.0)
    }
}

struct Read(Vec<u8>);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Octets;

        impl<'de> Visitor<'de> for Octets {
            type Value = Read;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("octets")
            }

            fn visit_bytes<E: de::Error>(self, octets: &[u8]) -> Result<Read, E> {
                Ok(Read(octets.to_vec()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Read, A::Error> {
                let mut octets = Vec::new();
                while let Some(octet) = sequence.next_element()? {
                    octets.push(octet);
                }
                Ok(Read(octets))
            }
        }

        from.deserialize_bytes(Octets)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use crate::model::Attribute;

    /// As it is without these forms.
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Plain {
        description: String,
        values: Vec<Vec<u8>>,
    }

    proptest! {
        #![proptest_config(crate::rounds::cases(64))]
        #[test]
        fn an_attribute_is_written_as_it_was_without_them(
            description in "\\PC{0,9}",
            values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..4),
        ) {
            let standard = bincode::config::standard();
            let plain = Plain { description: description.clone(), values: values.clone() };
            let attribute = Attribute { description, values };
            let octets = bincode::serde::encode_to_vec(&plain, standard).unwrap();
            prop_assert_eq!(&bincode::serde::encode_to_vec(&attribute, standard).unwrap(), &octets);
            let (read, taken): (Attribute, _) = bincode::serde::decode_from_slice(&octets, standard).unwrap();
            prop_assert_eq!((&read, taken), (&attribute, octets.len()));
            let json = serde_json::to_string(&plain).unwrap();
            prop_assert_eq!(&serde_json::to_string(&attribute).unwrap(), &json);
            prop_assert_eq!(serde_json::from_str::<Attribute>(&json).unwrap(), attribute);
            for cut in 0..octets.len() {
                prop_assert!(bincode::serde::decode_from_slice::<Attribute, _>(&octets[..cut], standard).is_err());
            }
        }
    }
}
