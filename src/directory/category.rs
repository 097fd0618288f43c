//! Active Directory's objectCategory: what an entry is, as a DN in the schema of a domain. Its clients write the name of
//! a class instead, `(objectCategory=person)`, which is looked up when a filter is made ready.

use smallvec::SmallVec;

use super::entry::Entry;
use super::reader::Subject;
use crate::schema::AttributeId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Category {
    Person,
    Group,
    OrganizationalUnit,
    Domain,
    Container,
}

impl Category {
    /// That of an entry.
    pub(super) fn of(subject: &Subject<'_>, entry: &Entry) -> Self {
        match subject {
            Subject::Account(_) => Self::Person,
            Subject::Group(_) | Subject::VirtualGroup(_) => Self::Group,
            Subject::Container(_) => {
                let classes =
                    entry.attributes_of(AttributeId::OBJECT_CLASS).flat_map(|stored| stored.values());
                classes.filter_map(Self::of_class).next().unwrap_or(Self::Container)
            }
        }
    }

    /// That of the class with this name, in any case.
    pub(super) fn of_class(name: &[u8]) -> Option<Self> {
        let names: [(&str, Self); 10] = [
            ("person", Self::Person),
            ("user", Self::Person),
            ("organizationalPerson", Self::Person),
            ("inetOrgPerson", Self::Person),
            ("group", Self::Group),
            ("organizationalUnit", Self::OrganizationalUnit),
            ("domain", Self::Domain),
            ("dcObject", Self::Domain),
            ("domainDNS", Self::Domain),
            ("container", Self::Container),
        ];
        names
            .into_iter()
            .find(|(class, _)| class.as_bytes().eq_ignore_ascii_case(name))
            .map(|(_, found)| found)
    }

    /// The DN that it has in the domain with this suffix.
    pub(super) fn dn(self, suffix: &[u8]) -> SmallVec<[u8; 96]> {
        let name: &[u8] = match self {
            Self::Person => b"Person",
            Self::Group => b"Group",
            Self::OrganizationalUnit => b"Organizational-Unit",
            Self::Domain => b"Domain-DNS",
            Self::Container => b"Container",
        };
        let mut dn = SmallVec::new();
        for piece in [b"CN=", name, b",CN=Schema,CN=Configuration,", suffix] {
            dn.extend_from_slice(piece);
        }
        dn
    }
}
