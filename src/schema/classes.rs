//! The object classes (RFC 4512 section 2.4), one table.
//!
//! Where a class deviates from its RFC its origin is `bindery`: posixGroup, groupOfUniqueNames, user and group are
//! auxiliary, because a group entry here is all of them at once and groupOfNames is its structural class; `member`
//! and `uniqueMember` are not required, because a group may be empty; simpleSecurityObject and nisKeyObject do not
//! require their secrets, which stand in no entry; `top` allows `memberOf`, a user attribute here, and
//! what every entry of Active Directory has. authentik's classes have names that RFC 4512 does not allow: clients look for them, and they are published under legal ones.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::LowerCase;
use super::attributes::{AttributeId, AttributeId as A};
use ClassKind::{Abstract, Auxiliary, Structural};

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

const fn class(
    oid: &'static str,
    names: &'static [&'static str],
    superiors: &'static [&'static str],
    kind: ClassKind,
    origin: &'static str,
    must: &'static [AttributeId],
    may: &'static [AttributeId],
) -> ObjectClass {
    ObjectClass { oid, names, superiors, kind, must, may, origin, lineage: OnceLock::new() }
}

/// The classes, each after the class it is derived from.
pub(super) static CLASSES: [ObjectClass; 66] = [
    // RFC 4512
    ObjectClass {
        oid: "2.5.6.0",
        names: &["top"],
        superiors: &[],
        kind: Abstract,
        must: &[A::OBJECT_CLASS],
        // As in Active Directory: whatever an entry is, it may be in a group, and has these.
        may: &[A::MEMBER_OF, A::DISTINGUISHED_NAME, A::OBJECT_CATEGORY, A::WHEN_CREATED, A::WHEN_CHANGED],
        origin: BINDERY,
        lineage: OnceLock::new(),
    },
    class("2.5.6.1", &["alias"], &["top"], Structural, "RFC 4512", &[A::ALIASED_OBJECT_NAME], &[]),
    class("1.3.6.1.4.1.1466.101.120.111", &["extensibleObject"], &["top"], Auxiliary, "RFC 4512", &[], &[]),
    class(
        "2.5.20.1",
        &["subschema"],
        &["top"],
        Auxiliary,
        "RFC 4512",
        &[],
        &[
            A::DIT_STRUCTURE_RULES,
            A::NAME_FORMS,
            A::DIT_CONTENT_RULES,
            A::OBJECT_CLASSES,
            A::ATTRIBUTE_TYPES,
            A::MATCHING_RULES,
            A::MATCHING_RULE_USE,
            A::LDAP_SYNTAXES,
        ],
    ),
    class(
        "2.5.17.0",
        &["subentry"],
        &["top"],
        Structural,
        "RFC 3672",
        &[A::CN, A::SUBTREE_SPECIFICATION],
        &[],
    ),
    class(
        "1.3.6.1.4.1.4203.1.4.1",
        &["OpenLDAProotDSE", "LDAProotDSE"],
        &["top"],
        Structural,
        "OpenLDAP",
        &[],
        &[A::CN],
    ),
    // RFC 4519
    class(
        "2.5.6.2",
        &["country"],
        &["top"],
        Structural,
        "RFC 4519",
        &[A::C],
        &[A::SEARCH_GUIDE, A::DESCRIPTION],
    ),
    class(
        "2.5.6.3",
        &["locality"],
        &["top"],
        Structural,
        "RFC 4519",
        &[],
        &[A::STREET, A::SEE_ALSO, A::SEARCH_GUIDE, A::ST, A::L, A::DESCRIPTION],
    ),
    class("2.5.6.4", &["organization"], &["top"], Structural, "RFC 4519", &[A::O], ORGANIZATIONAL),
    class("2.5.6.5", &["organizationalUnit"], &["top"], Structural, "RFC 4519", &[A::OU], ORGANIZATIONAL),
    class(
        "2.5.6.6",
        &["person"],
        &["top"],
        Structural,
        "RFC 4519",
        &[A::SN, A::CN],
        &[A::USER_PASSWORD, A::TELEPHONE_NUMBER, A::SEE_ALSO, A::DESCRIPTION],
    ),
    class(
        "2.5.6.7",
        &["organizationalPerson"],
        &["person"],
        Structural,
        "RFC 4519",
        &[],
        &[
            A::TITLE,
            A::X121_ADDRESS,
            A::REGISTERED_ADDRESS,
            A::DESTINATION_INDICATOR,
            A::PREFERRED_DELIVERY_METHOD,
            A::TELEX_NUMBER,
            A::TELETEX_TERMINAL_IDENTIFIER,
            A::TELEPHONE_NUMBER,
            A::INTERNATIONAL_ISDN_NUMBER,
            A::FACSIMILE_TELEPHONE_NUMBER,
            A::STREET,
            A::POST_OFFICE_BOX,
            A::POSTAL_CODE,
            A::POSTAL_ADDRESS,
            A::PHYSICAL_DELIVERY_OFFICE_NAME,
            A::OU,
            A::ST,
            A::L,
        ],
    ),
    class(
        "2.5.6.8",
        &["organizationalRole"],
        &["top"],
        Structural,
        "RFC 4519",
        &[A::CN],
        &[
            A::X121_ADDRESS,
            A::REGISTERED_ADDRESS,
            A::DESTINATION_INDICATOR,
            A::PREFERRED_DELIVERY_METHOD,
            A::TELEX_NUMBER,
            A::TELETEX_TERMINAL_IDENTIFIER,
            A::TELEPHONE_NUMBER,
            A::INTERNATIONAL_ISDN_NUMBER,
            A::FACSIMILE_TELEPHONE_NUMBER,
            A::SEE_ALSO,
            A::ROLE_OCCUPANT,
            A::STREET,
            A::POST_OFFICE_BOX,
            A::POSTAL_CODE,
            A::POSTAL_ADDRESS,
            A::PHYSICAL_DELIVERY_OFFICE_NAME,
            A::OU,
            A::ST,
            A::L,
            A::DESCRIPTION,
        ],
    ),
    class(
        "2.5.6.9",
        &["groupOfNames"],
        &["top"],
        Structural,
        BINDERY,
        &[A::CN],
        &[A::MEMBER, A::BUSINESS_CATEGORY, A::SEE_ALSO, A::OWNER, A::OU, A::O, A::DESCRIPTION],
    ),
    class(
        "2.5.6.17",
        &["groupOfUniqueNames"],
        &["top"],
        Auxiliary,
        BINDERY,
        &[A::CN],
        &[A::UNIQUE_MEMBER, A::BUSINESS_CATEGORY, A::SEE_ALSO, A::OWNER, A::OU, A::O, A::DESCRIPTION],
    ),
    class(
        "2.5.6.11",
        &["applicationProcess"],
        &["top"],
        Structural,
        "RFC 4519",
        &[A::CN],
        &[A::SEE_ALSO, A::OU, A::L, A::DESCRIPTION],
    ),
    class(
        "2.5.6.14",
        &["device"],
        &["top"],
        Structural,
        "RFC 4519",
        &[A::CN],
        &[A::SERIAL_NUMBER, A::SEE_ALSO, A::OWNER, A::OU, A::O, A::L, A::DESCRIPTION],
    ),
    class("1.3.6.1.4.1.1466.344", &["dcObject"], &["top"], Auxiliary, "RFC 4519", &[A::DC], &[]),
    class("1.3.6.1.1.3.1", &["uidObject"], &["top"], Auxiliary, "RFC 4519", &[A::UID], &[]),
    class(
        "2.5.6.10",
        &["residentialPerson"],
        &["person"],
        Structural,
        "RFC 4519",
        &[A::L],
        &[
            A::BUSINESS_CATEGORY,
            A::X121_ADDRESS,
            A::REGISTERED_ADDRESS,
            A::DESTINATION_INDICATOR,
            A::PREFERRED_DELIVERY_METHOD,
            A::TELEX_NUMBER,
            A::TELETEX_TERMINAL_IDENTIFIER,
            A::TELEPHONE_NUMBER,
            A::INTERNATIONAL_ISDN_NUMBER,
            A::FACSIMILE_TELEPHONE_NUMBER,
            A::STREET,
            A::POST_OFFICE_BOX,
            A::POSTAL_CODE,
            A::POSTAL_ADDRESS,
            A::PHYSICAL_DELIVERY_OFFICE_NAME,
            A::ST,
        ],
    ),
    // RFC 4524
    class(
        "0.9.2342.19200300.100.4.5",
        &["account"],
        &["top"],
        Structural,
        "RFC 4524",
        &[A::UID],
        &[A::DESCRIPTION, A::SEE_ALSO, A::L, A::O, A::OU, A::HOST],
    ),
    class(
        "0.9.2342.19200300.100.4.6",
        &["document"],
        &["top"],
        Structural,
        "RFC 4524",
        &[A::DOCUMENT_IDENTIFIER],
        &[
            A::CN,
            A::DESCRIPTION,
            A::SEE_ALSO,
            A::L,
            A::O,
            A::OU,
            A::DOCUMENT_TITLE,
            A::DOCUMENT_VERSION,
            A::DOCUMENT_AUTHOR,
            A::DOCUMENT_LOCATION,
            A::DOCUMENT_PUBLISHER,
        ],
    ),
    class(
        "0.9.2342.19200300.100.4.13",
        &["domain"],
        &["top"],
        Structural,
        "RFC 4524",
        &[A::DC],
        &[
            A::USER_PASSWORD,
            A::SEARCH_GUIDE,
            A::SEE_ALSO,
            A::BUSINESS_CATEGORY,
            A::X121_ADDRESS,
            A::REGISTERED_ADDRESS,
            A::DESTINATION_INDICATOR,
            A::PREFERRED_DELIVERY_METHOD,
            A::TELEX_NUMBER,
            A::TELETEX_TERMINAL_IDENTIFIER,
            A::TELEPHONE_NUMBER,
            A::INTERNATIONAL_ISDN_NUMBER,
            A::FACSIMILE_TELEPHONE_NUMBER,
            A::STREET,
            A::POST_OFFICE_BOX,
            A::POSTAL_CODE,
            A::POSTAL_ADDRESS,
            A::PHYSICAL_DELIVERY_OFFICE_NAME,
            A::ST,
            A::L,
            A::DESCRIPTION,
            A::O,
            A::ASSOCIATED_NAME,
        ],
    ),
    class(
        "0.9.2342.19200300.100.4.17",
        &["domainRelatedObject"],
        &["top"],
        Auxiliary,
        "RFC 4524",
        &[A::ASSOCIATED_DOMAIN],
        &[],
    ),
    class(
        "0.9.2342.19200300.100.4.18",
        &["friendlyCountry"],
        &["country"],
        Structural,
        "RFC 4524",
        &[A::CO],
        &[],
    ),
    class(
        "0.9.2342.19200300.100.4.7",
        &["room"],
        &["top"],
        Structural,
        "RFC 4524",
        &[A::CN],
        &[A::ROOM_NUMBER, A::DESCRIPTION, A::SEE_ALSO, A::TELEPHONE_NUMBER],
    ),
    class(
        "0.9.2342.19200300.100.4.19",
        &["simpleSecurityObject"],
        &["top"],
        Auxiliary,
        BINDERY,
        &[],
        &[A::USER_PASSWORD],
    ),
    // RFC 4524 and, where that has left a class out, RFC 1274
    class(
        "0.9.2342.19200300.100.4.9",
        &["documentSeries"],
        &["top"],
        Structural,
        "RFC 4524",
        &[A::CN],
        &[A::DESCRIPTION, A::L, A::O, A::OU, A::SEE_ALSO, A::TELEPHONE_NUMBER],
    ),
    class(
        "0.9.2342.19200300.100.4.14",
        &["rFC822localPart"],
        &["domain"],
        Structural,
        "RFC 4524",
        &[],
        &[
            A::CN,
            A::DESCRIPTION,
            A::DESTINATION_INDICATOR,
            A::FACSIMILE_TELEPHONE_NUMBER,
            A::INTERNATIONAL_ISDN_NUMBER,
            A::PHYSICAL_DELIVERY_OFFICE_NAME,
            A::POSTAL_ADDRESS,
            A::POSTAL_CODE,
            A::POST_OFFICE_BOX,
            A::PREFERRED_DELIVERY_METHOD,
            A::REGISTERED_ADDRESS,
            A::SEE_ALSO,
            A::SN,
            A::STREET,
            A::TELEPHONE_NUMBER,
            A::TELETEX_TERMINAL_IDENTIFIER,
            A::TELEX_NUMBER,
            A::X121_ADDRESS,
        ],
    ),
    class(
        "0.9.2342.19200300.100.4.15",
        &["dNSDomain"],
        &["domain"],
        Structural,
        "RFC 1274",
        &[],
        &[A::A_RECORD, A::MD_RECORD, A::MX_RECORD, A::NS_RECORD, A::SOA_RECORD, A::CNAME_RECORD],
    ),
    class(
        "0.9.2342.19200300.100.4.4",
        &["pilotPerson", "newPilotPerson"],
        &["person"],
        Structural,
        "RFC 1274",
        &[],
        &[
            A::UID,
            A::TEXT_ENCODED_OR_ADDRESS,
            A::MAIL,
            A::DRINK,
            A::ROOM_NUMBER,
            A::USER_CLASS,
            A::HOME_PHONE,
            A::HOME_POSTAL_ADDRESS,
            A::SECRETARY,
            A::PERSONAL_TITLE,
            A::PREFERRED_DELIVERY_METHOD,
            A::BUSINESS_CATEGORY,
            A::JANET_MAILBOX,
            A::OTHER_MAILBOX,
            A::MOBILE,
            A::PAGER,
            A::ORGANIZATIONAL_STATUS,
            A::MAIL_PREFERENCE_OPTION,
            A::PERSONAL_SIGNATURE,
        ],
    ),
    class(
        "0.9.2342.19200300.100.4.20",
        &["pilotOrganization"],
        &["organization", "organizationalUnit"],
        Structural,
        "RFC 1274",
        &[],
        &[A::BUILDING_NAME],
    ),
    // RFC 4523
    class("2.5.6.21", &["pkiUser"], &["top"], Auxiliary, "RFC 4523", &[], &[A::USER_CERTIFICATE]),
    class(
        "2.5.6.22",
        &["pkiCA"],
        &["top"],
        Auxiliary,
        "RFC 4523",
        &[],
        &[
            A::CA_CERTIFICATE,
            A::CERTIFICATE_REVOCATION_LIST,
            A::AUTHORITY_REVOCATION_LIST,
            A::CROSS_CERTIFICATE_PAIR,
        ],
    ),
    class(
        "2.5.6.19",
        &["cRLDistributionPoint"],
        &["top"],
        Structural,
        "RFC 4523",
        &[A::CN],
        &[A::CERTIFICATE_REVOCATION_LIST, A::AUTHORITY_REVOCATION_LIST, A::DELTA_REVOCATION_LIST],
    ),
    class("2.5.6.23", &["deltaCRL"], &["top"], Auxiliary, "RFC 4523", &[], &[A::DELTA_REVOCATION_LIST]),
    class(
        "2.5.6.15",
        &["strongAuthenticationUser"],
        &["top"],
        Auxiliary,
        "RFC 4523",
        &[A::USER_CERTIFICATE],
        &[],
    ),
    class(
        "2.5.6.18",
        &["userSecurityInformation"],
        &["top"],
        Auxiliary,
        "RFC 4523",
        &[],
        &[A::SUPPORTED_ALGORITHMS],
    ),
    class(
        "2.5.6.16",
        &["certificationAuthority"],
        &["top"],
        Auxiliary,
        "RFC 4523",
        &[A::AUTHORITY_REVOCATION_LIST, A::CERTIFICATE_REVOCATION_LIST, A::CA_CERTIFICATE],
        &[A::CROSS_CERTIFICATE_PAIR],
    ),
    class(
        "2.5.6.16.2",
        &["certificationAuthority-V2"],
        &["certificationAuthority"],
        Auxiliary,
        "RFC 4523",
        &[],
        &[A::DELTA_REVOCATION_LIST],
    ),
    // RFC 2079
    class(
        "1.3.6.1.4.1.250.3.15",
        &["labeledURIObject"],
        &["top"],
        Auxiliary,
        "RFC 2079",
        &[],
        &[A::LABELED_URI],
    ),
    // RFC 2798
    class(
        "2.16.840.1.113730.3.2.2",
        &["inetOrgPerson"],
        &["organizationalPerson"],
        Structural,
        "RFC 2798",
        &[],
        &[
            A::AUDIO,
            A::BUSINESS_CATEGORY,
            A::CAR_LICENSE,
            A::DEPARTMENT_NUMBER,
            A::DISPLAY_NAME,
            A::EMPLOYEE_NUMBER,
            A::EMPLOYEE_TYPE,
            A::GIVEN_NAME,
            A::HOME_PHONE,
            A::HOME_POSTAL_ADDRESS,
            A::INITIALS,
            A::JPEG_PHOTO,
            A::LABELED_URI,
            A::MAIL,
            A::MANAGER,
            A::MOBILE,
            A::O,
            A::PAGER,
            A::PHOTO,
            A::ROOM_NUMBER,
            A::SECRETARY,
            A::UID,
            A::USER_CERTIFICATE,
            A::X500_UNIQUE_IDENTIFIER,
            A::PREFERRED_LANGUAGE,
            A::USER_SMIME_CERTIFICATE,
            A::USER_PKCS12,
        ],
    ),
    // RFC 2307
    class(
        "1.3.6.1.1.1.2.0",
        &["posixAccount"],
        &["top"],
        Auxiliary,
        "RFC 2307",
        &[A::CN, A::UID, A::UID_NUMBER, A::GID_NUMBER, A::HOME_DIRECTORY],
        &[A::USER_PASSWORD, A::LOGIN_SHELL, A::GECOS, A::DESCRIPTION],
    ),
    class(
        "1.3.6.1.1.1.2.1",
        &["shadowAccount"],
        &["top"],
        Auxiliary,
        "RFC 2307",
        &[A::UID],
        &[
            A::USER_PASSWORD,
            A::SHADOW_LAST_CHANGE,
            A::SHADOW_MIN,
            A::SHADOW_MAX,
            A::SHADOW_WARNING,
            A::SHADOW_INACTIVE,
            A::SHADOW_EXPIRE,
            A::SHADOW_FLAG,
            A::DESCRIPTION,
        ],
    ),
    class(
        "1.3.6.1.1.1.2.2",
        &["posixGroup"],
        &["top"],
        Auxiliary,
        BINDERY,
        &[A::CN, A::GID_NUMBER],
        &[A::USER_PASSWORD, A::MEMBER_UID, A::DESCRIPTION],
    ),
    // RFC 2307 and draft-howard-rfc2307bis: networks, hosts, maps
    class(
        "1.3.6.1.1.1.2.3",
        &["ipService"],
        &["top"],
        Structural,
        "RFC 2307",
        &[A::CN, A::IP_SERVICE_PORT, A::IP_SERVICE_PROTOCOL],
        &[A::DESCRIPTION],
    ),
    class(
        "1.3.6.1.1.1.2.4",
        &["ipProtocol"],
        &["top"],
        Structural,
        "draft-howard-rfc2307bis",
        &[A::CN, A::IP_PROTOCOL_NUMBER],
        &[A::DESCRIPTION],
    ),
    class(
        "1.3.6.1.1.1.2.5",
        &["oncRpc"],
        &["top"],
        Structural,
        "draft-howard-rfc2307bis",
        &[A::CN, A::ONC_RPC_NUMBER],
        &[A::DESCRIPTION],
    ),
    class(
        "1.3.6.1.1.1.2.6",
        &["ipHost"],
        &["top"],
        Auxiliary,
        "draft-howard-rfc2307bis",
        &[A::CN, A::IP_HOST_NUMBER],
        &[A::USER_PASSWORD, A::L, A::DESCRIPTION, A::MANAGER],
    ),
    class(
        "1.3.6.1.1.1.2.7",
        &["ipNetwork"],
        &["top"],
        Structural,
        "draft-howard-rfc2307bis",
        &[A::IP_NETWORK_NUMBER],
        &[A::CN, A::IP_NETMASK_NUMBER, A::L, A::DESCRIPTION, A::MANAGER],
    ),
    class(
        "1.3.6.1.1.1.2.8",
        &["nisNetgroup"],
        &["top"],
        Structural,
        "RFC 2307",
        &[A::CN],
        &[A::NIS_NETGROUP_TRIPLE, A::MEMBER_NIS_NETGROUP, A::DESCRIPTION],
    ),
    class(
        "1.3.6.1.1.1.2.9",
        &["nisMap"],
        &["top"],
        Structural,
        "RFC 2307",
        &[A::NIS_MAP_NAME],
        &[A::DESCRIPTION],
    ),
    class(
        "1.3.6.1.1.1.2.10",
        &["nisObject"],
        &["top"],
        Structural,
        "RFC 2307",
        &[A::CN, A::NIS_MAP_ENTRY, A::NIS_MAP_NAME],
        &[A::DESCRIPTION],
    ),
    class("1.3.6.1.1.1.2.11", &["ieee802Device"], &["top"], Auxiliary, "RFC 2307", &[], &[A::MAC_ADDRESS]),
    class(
        "1.3.6.1.1.1.2.12",
        &["bootableDevice"],
        &["top"],
        Auxiliary,
        "RFC 2307",
        &[],
        &[A::BOOT_FILE, A::BOOT_PARAMETER],
    ),
    class(
        "1.3.6.1.1.1.2.14",
        &["nisKeyObject"],
        &["top"],
        Auxiliary,
        BINDERY,
        &[A::CN, A::NIS_PUBLIC_KEY],
        &[A::NIS_SECRET_KEY, A::UID_NUMBER, A::DESCRIPTION],
    ),
    class(
        "1.3.6.1.1.1.2.15",
        &["nisDomainObject"],
        &["top"],
        Auxiliary,
        "draft-howard-rfc2307bis",
        &[A::NIS_DOMAIN],
        &[],
    ),
    class(
        "1.3.6.1.1.1.2.16",
        &["automountMap"],
        &["top"],
        Structural,
        "draft-howard-rfc2307bis",
        &[A::AUTOMOUNT_MAP_NAME],
        &[A::DESCRIPTION],
    ),
    class(
        "1.3.6.1.1.1.2.17",
        &["automount"],
        &["top"],
        Structural,
        "draft-howard-rfc2307bis",
        &[A::AUTOMOUNT_KEY, A::AUTOMOUNT_INFORMATION],
        &[A::DESCRIPTION],
    ),
    class(
        "1.3.6.1.1.1.2.18",
        &["groupOfMembers"],
        &["top"],
        Structural,
        "draft-howard-rfc2307bis",
        &[A::CN],
        &[A::MEMBER, A::BUSINESS_CATEGORY, A::SEE_ALSO, A::OWNER, A::OU, A::O, A::DESCRIPTION],
    ),
    // Active Directory, cut down to what stands in the entries
    class(
        "1.2.840.113556.1.5.9",
        &["user"],
        &["top"],
        Auxiliary,
        BINDERY,
        &[],
        &[
            A::CN,
            A::NAME,
            A::UID,
            A::SAM_ACCOUNT_NAME,
            A::SAM_ACCOUNT_TYPE,
            A::USER_PRINCIPAL_NAME,
            A::USER_ACCOUNT_CONTROL,
            A::OBJECT_GUID,
            A::MEMBER_OF,
            A::AK_ACTIVE,
            A::AK_SUPERUSER,
        ],
    ),
    class(
        "1.2.840.113556.1.5.8",
        &["group"],
        &["top"],
        Auxiliary,
        BINDERY,
        &[],
        &[
            A::CN,
            A::NAME,
            A::UID,
            A::SAM_ACCOUNT_NAME,
            A::SAM_ACCOUNT_TYPE,
            A::OBJECT_GUID,
            A::MEMBER,
            A::MEMBER_OF,
            A::MEMBER_UID,
            A::AK_SUPERUSER,
        ],
    ),
    // authentik's, which its outpost gives to every user, group and virtual group
    class(
        arc!("2.1"),
        &[AUTHENTIK_USER, "goauthentikio-ldap-user"],
        &["top"],
        Auxiliary,
        BINDERY,
        &[],
        &[A::AK_ACTIVE, A::AK_SUPERUSER],
    ),
    class(
        arc!("2.2"),
        &[AUTHENTIK_GROUP, "goauthentikio-ldap-group"],
        &["top"],
        Auxiliary,
        BINDERY,
        &[],
        &[A::AK_SUPERUSER],
    ),
    class(
        arc!("2.3"),
        &[AUTHENTIK_VIRTUAL_GROUP, "goauthentikio-ldap-virtual-group"],
        &["top"],
        Auxiliary,
        BINDERY,
        &[],
        &[],
    ),
    // OpenSSH-LPK, with the key optional
    class(
        "1.3.6.1.4.1.24552.500.1.1.2.0",
        &["ldapPublicKey"],
        &["top"],
        Auxiliary,
        BINDERY,
        &[],
        &[A::SSH_PUBLIC_KEY, A::UID],
    ),
];

/// What organization and organizationalUnit allow.
const ORGANIZATIONAL: &[AttributeId] = &[
    A::USER_PASSWORD,
    A::SEARCH_GUIDE,
    A::SEE_ALSO,
    A::BUSINESS_CATEGORY,
    A::X121_ADDRESS,
    A::REGISTERED_ADDRESS,
    A::DESTINATION_INDICATOR,
    A::PREFERRED_DELIVERY_METHOD,
    A::TELEX_NUMBER,
    A::TELETEX_TERMINAL_IDENTIFIER,
    A::TELEPHONE_NUMBER,
    A::INTERNATIONAL_ISDN_NUMBER,
    A::FACSIMILE_TELEPHONE_NUMBER,
    A::STREET,
    A::POST_OFFICE_BOX,
    A::POSTAL_CODE,
    A::POSTAL_ADDRESS,
    A::PHYSICAL_DELIVERY_OFFICE_NAME,
    A::ST,
    A::L,
    A::DESCRIPTION,
];

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
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
