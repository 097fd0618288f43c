//! The object classes (RFC 4512 section 2.4), one table.
//!
//! A row is: OID, names (the first is the spelling in answers), the classes it is derived from, kind, origin, the attributes
//! it requires and those it allows. Lookup, selection and the published subschema are all made from it.
//!
//! Where a class deviates from its RFC its origin is `bindery`: posixGroup, groupOfUniqueNames, user and group are
//! auxiliary, because a group entry here is all of them at once and groupOfNames is its structural class; `member`
//! and `uniqueMember` are not required, because a group may be empty; simpleSecurityObject and nisKeyObject do not
//! require their secrets, which stand in no entry; `top` allows `memberOf`, a user attribute here, and
//! what every entry of Active Directory has. authentik's classes have names that RFC 4512 does not allow: clients look for them, and they are published under legal ones.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::LowerCase;
use super::attributes::AttributeId;

/// Whether a class says what an entry is or adds to it (RFC 4512 section 2.4).
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum ClassKind {
    /// Only a base of other classes.
    Abstract,
    /// What an entry is.
    Structural,
    /// What is added to it.
    Auxiliary,
}

#[derive(Debug)]
pub struct ObjectClass {
    /// Its object identifier, dotted.
    pub oid: &'static str,
    /// Its names; the first is the spelling in answers. Those that are no short names are not published.
    pub names: &'static [&'static str],
    /// The names of the classes it is derived from: one, but for `top`, which has none, and a class that is several
    /// others at once.
    pub superiors: &'static [&'static str],
    /// What it says of an entry.
    pub kind: ClassKind,
    /// The attributes it requires itself, without those of its superclasses.
    pub must: &'static [AttributeId],
    /// The attributes it allows itself, without those of its superclasses.
    pub may: &'static [AttributeId],
    /// Where the definition comes from (X-ORIGIN).
    pub origin: &'static str,
    /// What follows from the classes it is derived from.
    lineage: OnceLock<Lineage>,
}

/// What follows from the classes that a class is derived from; every entry that is made asks for it.
#[derive(Debug)]
struct Lineage {
    /// The class itself, then those above it.
    classes: Box<[&'static ObjectClass]>,
    /// What all of them require or allow, sorted.
    attributes: Box<[AttributeId]>,
}

impl ObjectClass {
    /// The spelling in answers.
    pub fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }

    /// The class itself, then what it is derived from, up to `top`.
    pub fn superclasses(&'static self) -> impl Iterator<Item = &'static ObjectClass> {
        self.lineage().classes.iter().copied()
    }

    /// All attributes that it and its superclasses require or allow, as `@class` selects (RFC 4529).
    pub fn attributes(&'static self) -> impl Iterator<Item = AttributeId> {
        self.lineage().attributes.iter().copied()
    }

    /// Whether the attribute is one of them.
    pub fn allows(&'static self, attribute: AttributeId) -> bool {
        self.lineage().attributes.binary_search(&attribute).is_ok()
    }

    fn lineage(&'static self) -> &'static Lineage {
        self.lineage.get_or_init(|| {
            let mut classes = vec![self];
            let mut next = 0;
            while let Some(class) = classes.get(next).copied() {
                for above in class.superiors.iter().filter_map(|name| find(name)) {
                    if classes.iter().all(|other| !std::ptr::eq(*other, above)) {
                        classes.push(above);
                    }
                }
                next += 1;
            }
            let own = |class: &&'static ObjectClass| class.must.iter().chain(class.may).copied();
            let mut attributes: Vec<AttributeId> = classes.iter().flat_map(own).collect();
            attributes.sort_unstable();
            attributes.dedup();
            Lineage { classes: classes.into(), attributes: attributes.into() }
        })
    }
}

/// The class with this name, in any case, or with this dotted OID.
pub(super) fn find(name: &str) -> Option<&'static ObjectClass> {
    static BY_NAME: OnceLock<HashMap<Box<[u8]>, &'static ObjectClass, foldhash::fast::RandomState>> =
        OnceLock::new();
    let classes = BY_NAME.get_or_init(|| {
        let mut classes = HashMap::default();
        for class in &CLASSES {
            for key in class.names.iter().chain([&class.oid]) {
                classes.insert(key.to_ascii_lowercase().into_bytes().into_boxed_slice(), class);
            }
        }
        classes
    });
    classes.get(LowerCase::of(name)?.as_bytes()).copied()
}

/// What authentik's outpost calls an account, a group and the virtual group of an account.
pub const AUTHENTIK_USER: &str = "goauthentik.io/ldap/user";
pub const AUTHENTIK_GROUP: &str = "goauthentik.io/ldap/group";
pub const AUTHENTIK_VIRTUAL_GROUP: &str = "goauthentik.io/ldap/virtual-group";

const BINDERY: &str = "bindery";

/// Declares the classes: object identifier, names, superiors, kind, origin, what it requires and what it allows.
macro_rules! object_classes {
    ($($oid:expr, [$($name:expr),+] of [$($superior:expr),*], $kind:ident, $origin:expr,
        must [$($must:ident)*] may [$($may:ident)*];)+) => {
        /// The classes, each after the class it is derived from.
        pub(super) static CLASSES: [ObjectClass; [$($oid),+].len()] = [$(ObjectClass {
            oid: $oid,
            names: &[$($name),+],
            superiors: &[$($superior),*],
            kind: ClassKind::$kind,
            must: &[$(AttributeId::$must),*],
            may: &[$(AttributeId::$may),*],
            origin: $origin,
            lineage: OnceLock::new(),
        }),+];
    };
}

object_classes! {
    // RFC 4512
    // As in Active Directory: whatever an entry is, it may be in a group, and has these.
    "2.5.6.0", ["top"] of [], Abstract, BINDERY,
        must [OBJECT_CLASS] may [MEMBER_OF DISTINGUISHED_NAME OBJECT_CATEGORY WHEN_CREATED WHEN_CHANGED];
    "2.5.6.1", ["alias"] of ["top"], Structural, "RFC 4512", must [ALIASED_OBJECT_NAME] may [];
    "1.3.6.1.4.1.1466.101.120.111", ["extensibleObject"] of ["top"], Auxiliary, "RFC 4512", must [] may [];
    "2.5.20.1", ["subschema"] of ["top"], Auxiliary, "RFC 4512",
        must [] may [DIT_STRUCTURE_RULES NAME_FORMS DIT_CONTENT_RULES OBJECT_CLASSES ATTRIBUTE_TYPES
            MATCHING_RULES MATCHING_RULE_USE LDAP_SYNTAXES];
    "2.5.17.0", ["subentry"] of ["top"], Structural, "RFC 3672", must [CN SUBTREE_SPECIFICATION] may [];
    "1.3.6.1.4.1.4203.1.4.1", ["OpenLDAProotDSE", "LDAProotDSE"] of ["top"], Structural, "OpenLDAP",
        must [] may [CN];
    // RFC 4519
    "2.5.6.2", ["country"] of ["top"], Structural, "RFC 4519", must [C] may [SEARCH_GUIDE DESCRIPTION];
    "2.5.6.3", ["locality"] of ["top"], Structural, "RFC 4519",
        must [] may [STREET SEE_ALSO SEARCH_GUIDE ST L DESCRIPTION];
    "2.5.6.4", ["organization"] of ["top"], Structural, "RFC 4519",
        must [O] may [USER_PASSWORD SEARCH_GUIDE SEE_ALSO BUSINESS_CATEGORY X121_ADDRESS REGISTERED_ADDRESS
            DESTINATION_INDICATOR PREFERRED_DELIVERY_METHOD TELEX_NUMBER TELETEX_TERMINAL_IDENTIFIER
            TELEPHONE_NUMBER INTERNATIONAL_ISDN_NUMBER FACSIMILE_TELEPHONE_NUMBER STREET POST_OFFICE_BOX
            POSTAL_CODE POSTAL_ADDRESS PHYSICAL_DELIVERY_OFFICE_NAME ST L DESCRIPTION];
    "2.5.6.5", ["organizationalUnit"] of ["top"], Structural, "RFC 4519",
        must [OU] may [USER_PASSWORD SEARCH_GUIDE SEE_ALSO BUSINESS_CATEGORY X121_ADDRESS REGISTERED_ADDRESS
            DESTINATION_INDICATOR PREFERRED_DELIVERY_METHOD TELEX_NUMBER TELETEX_TERMINAL_IDENTIFIER
            TELEPHONE_NUMBER INTERNATIONAL_ISDN_NUMBER FACSIMILE_TELEPHONE_NUMBER STREET POST_OFFICE_BOX
            POSTAL_CODE POSTAL_ADDRESS PHYSICAL_DELIVERY_OFFICE_NAME ST L DESCRIPTION];
    "2.5.6.6", ["person"] of ["top"], Structural, "RFC 4519",
        must [SN CN] may [USER_PASSWORD TELEPHONE_NUMBER SEE_ALSO DESCRIPTION];
    "2.5.6.7", ["organizationalPerson"] of ["person"], Structural, "RFC 4519",
        must [] may [TITLE X121_ADDRESS REGISTERED_ADDRESS DESTINATION_INDICATOR PREFERRED_DELIVERY_METHOD
            TELEX_NUMBER TELETEX_TERMINAL_IDENTIFIER TELEPHONE_NUMBER INTERNATIONAL_ISDN_NUMBER
            FACSIMILE_TELEPHONE_NUMBER STREET POST_OFFICE_BOX POSTAL_CODE POSTAL_ADDRESS
            PHYSICAL_DELIVERY_OFFICE_NAME OU ST L];
    "2.5.6.8", ["organizationalRole"] of ["top"], Structural, "RFC 4519",
        must [CN] may [X121_ADDRESS REGISTERED_ADDRESS DESTINATION_INDICATOR PREFERRED_DELIVERY_METHOD
            TELEX_NUMBER TELETEX_TERMINAL_IDENTIFIER TELEPHONE_NUMBER INTERNATIONAL_ISDN_NUMBER
            FACSIMILE_TELEPHONE_NUMBER SEE_ALSO ROLE_OCCUPANT STREET POST_OFFICE_BOX POSTAL_CODE
            POSTAL_ADDRESS PHYSICAL_DELIVERY_OFFICE_NAME OU ST L DESCRIPTION];
    "2.5.6.9", ["groupOfNames"] of ["top"], Structural, BINDERY,
        must [CN] may [MEMBER BUSINESS_CATEGORY SEE_ALSO OWNER OU O DESCRIPTION];
    "2.5.6.17", ["groupOfUniqueNames"] of ["top"], Auxiliary, BINDERY,
        must [CN] may [UNIQUE_MEMBER BUSINESS_CATEGORY SEE_ALSO OWNER OU O DESCRIPTION];
    "2.5.6.11", ["applicationProcess"] of ["top"], Structural, "RFC 4519",
        must [CN] may [SEE_ALSO OU L DESCRIPTION];
    "2.5.6.14", ["device"] of ["top"], Structural, "RFC 4519",
        must [CN] may [SERIAL_NUMBER SEE_ALSO OWNER OU O L DESCRIPTION];
    "1.3.6.1.4.1.1466.344", ["dcObject"] of ["top"], Auxiliary, "RFC 4519", must [DC] may [];
    "1.3.6.1.1.3.1", ["uidObject"] of ["top"], Auxiliary, "RFC 4519", must [UID] may [];
    "2.5.6.10", ["residentialPerson"] of ["person"], Structural, "RFC 4519",
        must [L] may [BUSINESS_CATEGORY X121_ADDRESS REGISTERED_ADDRESS DESTINATION_INDICATOR
            PREFERRED_DELIVERY_METHOD TELEX_NUMBER TELETEX_TERMINAL_IDENTIFIER TELEPHONE_NUMBER
            INTERNATIONAL_ISDN_NUMBER FACSIMILE_TELEPHONE_NUMBER STREET POST_OFFICE_BOX POSTAL_CODE
            POSTAL_ADDRESS PHYSICAL_DELIVERY_OFFICE_NAME ST];
    // RFC 4524
    "0.9.2342.19200300.100.4.5", ["account"] of ["top"], Structural, "RFC 4524",
        must [UID] may [DESCRIPTION SEE_ALSO L O OU HOST];
    "0.9.2342.19200300.100.4.6", ["document"] of ["top"], Structural, "RFC 4524",
        must [DOCUMENT_IDENTIFIER] may [CN DESCRIPTION SEE_ALSO L O OU DOCUMENT_TITLE DOCUMENT_VERSION
            DOCUMENT_AUTHOR DOCUMENT_LOCATION DOCUMENT_PUBLISHER];
    "0.9.2342.19200300.100.4.13", ["domain"] of ["top"], Structural, "RFC 4524",
        must [DC] may [USER_PASSWORD SEARCH_GUIDE SEE_ALSO BUSINESS_CATEGORY X121_ADDRESS REGISTERED_ADDRESS
            DESTINATION_INDICATOR PREFERRED_DELIVERY_METHOD TELEX_NUMBER TELETEX_TERMINAL_IDENTIFIER
            TELEPHONE_NUMBER INTERNATIONAL_ISDN_NUMBER FACSIMILE_TELEPHONE_NUMBER STREET POST_OFFICE_BOX
            POSTAL_CODE POSTAL_ADDRESS PHYSICAL_DELIVERY_OFFICE_NAME ST L DESCRIPTION O ASSOCIATED_NAME];
    "0.9.2342.19200300.100.4.17", ["domainRelatedObject"] of ["top"], Auxiliary, "RFC 4524",
        must [ASSOCIATED_DOMAIN] may [];
    "0.9.2342.19200300.100.4.18", ["friendlyCountry"] of ["country"], Structural, "RFC 4524",
        must [CO] may [];
    "0.9.2342.19200300.100.4.7", ["room"] of ["top"], Structural, "RFC 4524",
        must [CN] may [ROOM_NUMBER DESCRIPTION SEE_ALSO TELEPHONE_NUMBER];
    "0.9.2342.19200300.100.4.19", ["simpleSecurityObject"] of ["top"], Auxiliary, BINDERY,
        must [] may [USER_PASSWORD];
    // RFC 4524 and, where that has left a class out, RFC 1274
    "0.9.2342.19200300.100.4.9", ["documentSeries"] of ["top"], Structural, "RFC 4524",
        must [CN] may [DESCRIPTION L O OU SEE_ALSO TELEPHONE_NUMBER];
    "0.9.2342.19200300.100.4.14", ["rFC822localPart"] of ["domain"], Structural, "RFC 4524",
        must [] may [CN DESCRIPTION DESTINATION_INDICATOR FACSIMILE_TELEPHONE_NUMBER INTERNATIONAL_ISDN_NUMBER
            PHYSICAL_DELIVERY_OFFICE_NAME POSTAL_ADDRESS POSTAL_CODE POST_OFFICE_BOX PREFERRED_DELIVERY_METHOD
            REGISTERED_ADDRESS SEE_ALSO SN STREET TELEPHONE_NUMBER TELETEX_TERMINAL_IDENTIFIER TELEX_NUMBER
            X121_ADDRESS];
    "0.9.2342.19200300.100.4.15", ["dNSDomain"] of ["domain"], Structural, "RFC 1274",
        must [] may [A_RECORD MD_RECORD MX_RECORD NS_RECORD SOA_RECORD CNAME_RECORD];
    "0.9.2342.19200300.100.4.4", ["pilotPerson", "newPilotPerson"] of ["person"], Structural, "RFC 1274",
        must [] may [UID TEXT_ENCODED_OR_ADDRESS MAIL DRINK ROOM_NUMBER USER_CLASS HOME_PHONE
            HOME_POSTAL_ADDRESS SECRETARY PERSONAL_TITLE PREFERRED_DELIVERY_METHOD BUSINESS_CATEGORY
            JANET_MAILBOX OTHER_MAILBOX MOBILE PAGER ORGANIZATIONAL_STATUS MAIL_PREFERENCE_OPTION
            PERSONAL_SIGNATURE];
    "0.9.2342.19200300.100.4.20", ["pilotOrganization"] of ["organization", "organizationalUnit"], Structural, "RFC 1274",
        must [] may [BUILDING_NAME];
    // RFC 4523
    "2.5.6.21", ["pkiUser"] of ["top"], Auxiliary, "RFC 4523", must [] may [USER_CERTIFICATE];
    "2.5.6.22", ["pkiCA"] of ["top"], Auxiliary, "RFC 4523",
        must [] may [CA_CERTIFICATE CERTIFICATE_REVOCATION_LIST AUTHORITY_REVOCATION_LIST
            CROSS_CERTIFICATE_PAIR];
    "2.5.6.19", ["cRLDistributionPoint"] of ["top"], Structural, "RFC 4523",
        must [CN] may [CERTIFICATE_REVOCATION_LIST AUTHORITY_REVOCATION_LIST DELTA_REVOCATION_LIST];
    "2.5.6.23", ["deltaCRL"] of ["top"], Auxiliary, "RFC 4523", must [] may [DELTA_REVOCATION_LIST];
    "2.5.6.15", ["strongAuthenticationUser"] of ["top"], Auxiliary, "RFC 4523",
        must [USER_CERTIFICATE] may [];
    "2.5.6.18", ["userSecurityInformation"] of ["top"], Auxiliary, "RFC 4523",
        must [] may [SUPPORTED_ALGORITHMS];
    "2.5.6.16", ["certificationAuthority"] of ["top"], Auxiliary, "RFC 4523",
        must [AUTHORITY_REVOCATION_LIST CERTIFICATE_REVOCATION_LIST CA_CERTIFICATE] may
            [CROSS_CERTIFICATE_PAIR];
    "2.5.6.16.2", ["certificationAuthority-V2"] of ["certificationAuthority"], Auxiliary, "RFC 4523",
        must [] may [DELTA_REVOCATION_LIST];
    // RFC 2079
    "1.3.6.1.4.1.250.3.15", ["labeledURIObject"] of ["top"], Auxiliary, "RFC 2079", must [] may [LABELED_URI];
    // RFC 2798
    "2.16.840.1.113730.3.2.2", ["inetOrgPerson"] of ["organizationalPerson"], Structural, "RFC 2798",
        must [] may [AUDIO BUSINESS_CATEGORY CAR_LICENSE DEPARTMENT_NUMBER DISPLAY_NAME EMPLOYEE_NUMBER
            EMPLOYEE_TYPE GIVEN_NAME HOME_PHONE HOME_POSTAL_ADDRESS INITIALS JPEG_PHOTO LABELED_URI MAIL
            MANAGER MOBILE O PAGER PHOTO ROOM_NUMBER SECRETARY UID USER_CERTIFICATE X500_UNIQUE_IDENTIFIER
            PREFERRED_LANGUAGE USER_SMIME_CERTIFICATE USER_PKCS12];
    // RFC 2307
    "1.3.6.1.1.1.2.0", ["posixAccount"] of ["top"], Auxiliary, "RFC 2307",
        must [CN UID UID_NUMBER GID_NUMBER HOME_DIRECTORY] may [USER_PASSWORD LOGIN_SHELL GECOS DESCRIPTION];
    "1.3.6.1.1.1.2.1", ["shadowAccount"] of ["top"], Auxiliary, "RFC 2307",
        must [UID] may [USER_PASSWORD SHADOW_LAST_CHANGE SHADOW_MIN SHADOW_MAX SHADOW_WARNING SHADOW_INACTIVE
            SHADOW_EXPIRE SHADOW_FLAG DESCRIPTION];
    "1.3.6.1.1.1.2.2", ["posixGroup"] of ["top"], Auxiliary, BINDERY,
        must [CN GID_NUMBER] may [USER_PASSWORD MEMBER_UID DESCRIPTION];
    // RFC 2307 and draft-howard-rfc2307bis: networks, hosts, maps
    "1.3.6.1.1.1.2.3", ["ipService"] of ["top"], Structural, "RFC 2307",
        must [CN IP_SERVICE_PORT IP_SERVICE_PROTOCOL] may [DESCRIPTION];
    "1.3.6.1.1.1.2.4", ["ipProtocol"] of ["top"], Structural, "draft-howard-rfc2307bis",
        must [CN IP_PROTOCOL_NUMBER] may [DESCRIPTION];
    "1.3.6.1.1.1.2.5", ["oncRpc"] of ["top"], Structural, "draft-howard-rfc2307bis",
        must [CN ONC_RPC_NUMBER] may [DESCRIPTION];
    "1.3.6.1.1.1.2.6", ["ipHost"] of ["top"], Auxiliary, "draft-howard-rfc2307bis",
        must [CN IP_HOST_NUMBER] may [USER_PASSWORD L DESCRIPTION MANAGER];
    "1.3.6.1.1.1.2.7", ["ipNetwork"] of ["top"], Structural, "draft-howard-rfc2307bis",
        must [IP_NETWORK_NUMBER] may [CN IP_NETMASK_NUMBER L DESCRIPTION MANAGER];
    "1.3.6.1.1.1.2.8", ["nisNetgroup"] of ["top"], Structural, "RFC 2307",
        must [CN] may [NIS_NETGROUP_TRIPLE MEMBER_NIS_NETGROUP DESCRIPTION];
    "1.3.6.1.1.1.2.9", ["nisMap"] of ["top"], Structural, "RFC 2307", must [NIS_MAP_NAME] may [DESCRIPTION];
    "1.3.6.1.1.1.2.10", ["nisObject"] of ["top"], Structural, "RFC 2307",
        must [CN NIS_MAP_ENTRY NIS_MAP_NAME] may [DESCRIPTION];
    "1.3.6.1.1.1.2.11", ["ieee802Device"] of ["top"], Auxiliary, "RFC 2307", must [] may [MAC_ADDRESS];
    "1.3.6.1.1.1.2.12", ["bootableDevice"] of ["top"], Auxiliary, "RFC 2307",
        must [] may [BOOT_FILE BOOT_PARAMETER];
    "1.3.6.1.1.1.2.14", ["nisKeyObject"] of ["top"], Auxiliary, BINDERY,
        must [CN NIS_PUBLIC_KEY] may [NIS_SECRET_KEY UID_NUMBER DESCRIPTION];
    "1.3.6.1.1.1.2.15", ["nisDomainObject"] of ["top"], Auxiliary, "draft-howard-rfc2307bis",
        must [NIS_DOMAIN] may [];
    "1.3.6.1.1.1.2.16", ["automountMap"] of ["top"], Structural, "draft-howard-rfc2307bis",
        must [AUTOMOUNT_MAP_NAME] may [DESCRIPTION];
    "1.3.6.1.1.1.2.17", ["automount"] of ["top"], Structural, "draft-howard-rfc2307bis",
        must [AUTOMOUNT_KEY AUTOMOUNT_INFORMATION] may [DESCRIPTION];
    "1.3.6.1.1.1.2.18", ["groupOfMembers"] of ["top"], Structural, "draft-howard-rfc2307bis",
        must [CN] may [MEMBER BUSINESS_CATEGORY SEE_ALSO OWNER OU O DESCRIPTION];
    // Active Directory, cut down to what stands in the entries
    "1.2.840.113556.1.5.9", ["user"] of ["top"], Auxiliary, BINDERY,
        must [] may [CN NAME UID SAM_ACCOUNT_NAME SAM_ACCOUNT_TYPE USER_PRINCIPAL_NAME USER_ACCOUNT_CONTROL
            OBJECT_GUID MEMBER_OF AK_ACTIVE AK_SUPERUSER];
    "1.2.840.113556.1.5.8", ["group"] of ["top"], Auxiliary, BINDERY,
        must [] may [CN NAME UID SAM_ACCOUNT_NAME SAM_ACCOUNT_TYPE OBJECT_GUID MEMBER MEMBER_OF MEMBER_UID
            AK_SUPERUSER];
    // authentik's, which its outpost gives to every user, group and virtual group
    arc!("2.1"), [AUTHENTIK_USER, "goauthentikio-ldap-user"] of ["top"], Auxiliary, BINDERY,
        must [] may [AK_ACTIVE AK_SUPERUSER];
    arc!("2.2"), [AUTHENTIK_GROUP, "goauthentikio-ldap-group"] of ["top"], Auxiliary, BINDERY,
        must [] may [AK_SUPERUSER];
    arc!("2.3"), [AUTHENTIK_VIRTUAL_GROUP, "goauthentikio-ldap-virtual-group"] of ["top"], Auxiliary, BINDERY,
        must [] may [];
    // OpenSSH-LPK, with the key optional
    "1.3.6.1.4.1.24552.500.1.1.2.0", ["ldapPublicKey"] of ["top"], Auxiliary, BINDERY,
        must [] may [SSH_PUBLIC_KEY UID];
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use AttributeId as A;
    use ClassKind::Auxiliary;
    use std::collections::HashSet;

    #[test]
    fn names_and_oids_are_unique_and_found() {
        let mut seen = HashSet::new();
        for class in &CLASSES {
            for key in class.names.iter().chain([&class.oid]) {
                assert!(seen.insert(key.to_ascii_lowercase()), "{key} is there twice");
                assert_eq!(find(&key.to_ascii_uppercase()).unwrap().oid, class.oid);
            }
        }
        assert!(find("nothing").is_none());
    }

    #[test]
    fn every_class_but_top_has_a_superior_before_it() {
        for (place, class) in CLASSES.iter().enumerate() {
            let before: Vec<_> = CLASSES.iter().take(place).map(ObjectClass::name).collect();
            assert_eq!(class.superiors.is_empty(), class.name() == "top");
            for superior in class.superiors {
                assert!(before.contains(superior), "{}", class.name());
            }
            assert_eq!(class.superclasses().last().map(ObjectClass::name), Some("top"));
        }
    }

    #[test]
    fn no_attribute_is_required_and_allowed_or_named_twice() {
        for class in &CLASSES {
            let own: Vec<_> = class.must.iter().chain(class.may).collect();
            let unique: HashSet<_> = own.iter().collect();
            assert_eq!(own.len(), unique.len(), "{}", class.name());
        }
    }

    #[test]
    fn a_class_brings_the_attributes_of_its_superclasses() {
        let person = find("inetOrgPerson").unwrap();
        let names: Vec<_> = person.superclasses().map(ObjectClass::name).collect();
        assert_eq!(names, ["inetOrgPerson", "organizationalPerson", "person", "top"]);
        let attributes: HashSet<_> = person.attributes().collect();
        for expected in [A::MAIL, A::TITLE, A::SN, A::OBJECT_CLASS] {
            assert!(attributes.contains(&expected));
        }
    }

    #[test]
    fn the_classes_of_a_group_are_not_two_structural_ones() {
        for name in ["posixGroup", "groupOfUniqueNames", "user", "group"] {
            let class = find(name).unwrap();
            assert_eq!((class.kind, class.origin), (Auxiliary, "bindery"), "{name}");
        }
        assert!(find("groupOfNames").unwrap().may.contains(&A::MEMBER));
    }

    #[test]
    fn a_class_may_be_several_others() {
        let names: Vec<_> =
            find("pilotOrganization").unwrap().superclasses().map(ObjectClass::name).collect();
        assert_eq!(names, ["pilotOrganization", "organization", "organizationalUnit", "top"]);
    }

    /// What stands in no entry cannot be required of one.
    #[test]
    fn no_class_requires_a_secret() {
        let schema = crate::schema::Schema::core();
        for class in &CLASSES {
            assert!(class.must.iter().all(|id| !schema.is_secret(*id)), "{}", class.name());
        }
    }
}
