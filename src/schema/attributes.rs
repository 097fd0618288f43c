//! The one table of attribute types, and the constants that name its rows.
//!
//! A row is: constant, OID, names (the first is the spelling in answers), origin, shape. Constants,
//! lookup, filters, indexes and the published subschema are all made from it.

use std::borrow::Cow;

use super::CustomType;
use super::matching::MatchingRule::{self, *};
use super::syntax::Syntax;

/// The number of an attribute type within one [`Schema`](super::Schema): a small index that entries and
/// filters hold in place of a name.
///
/// The ids of the core table are constants; those of custom attributes come from
/// [`Schema::with_attribute`](super::Schema::with_attribute) and stay valid in every schema made from that one.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub struct AttributeId(u16);

impl AttributeId {
    /// The id with this number.
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// The number of this id.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The number as an index into a table.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Whether values of this attribute are computed, so that none can be given.
    pub fn is_computed(self) -> bool {
        // A custom attribute never is.
        COMPUTED.get(self.index()).is_some_and(|is_computed| *is_computed)
    }
}

/// The computed attributes of entries in the order of answers: what `*` selects, in the order of the table, then what `+`
/// does.
pub fn computed_attributes(for_compatibility: bool) -> impl Iterator<Item = AttributeId> + use<> {
    let compatibility: &[_] = if for_compatibility { &COMPATIBILITY } else { &[] };
    USER.iter().chain(compatibility).chain(&OPERATIONAL).copied()
}

const USER: [AttributeId; count(Computed::Everywhere, Usage::User)] =
    computed(Computed::Everywhere, Usage::User);
const COMPATIBILITY: [AttributeId; count(Computed::ForCompatibility, Usage::User)] =
    computed(Computed::ForCompatibility, Usage::User);
const OPERATIONAL: [AttributeId; count(Computed::Everywhere, Usage::DirectoryOperation)] =
    computed(Computed::Everywhere, Usage::DirectoryOperation);

/// Of each row whether it is computed: asked for each attribute of each entry, and so without the rows, which are large.
static COMPUTED: [bool; CORE.len()] = {
    let (mut found, mut row) = ([false; CORE.len()], 0);
    while row < CORE.len() {
        found[row] = CORE[row].computed.is_some();
        row += 1;
    }
    found
};

/// The rows of one kind.
const fn computed<const ROWS: usize>(computed: Computed, usage: Usage) -> [AttributeId; ROWS] {
    let mut found = [AttributeId(0); ROWS];
    let (mut place, mut row) = (0, 0);
    while row < CORE.len() {
        if is_row_of(&CORE[row], computed, usage) {
            found[place] = CORE[row].id;
            place += 1;
        }
        row += 1;
    }
    found
}

/// How many there are.
const fn count(computed: Computed, usage: Usage) -> usize {
    let (mut rows, mut row) = (0, 0);
    while row < CORE.len() {
        rows += is_row_of(&CORE[row], computed, usage) as usize;
        row += 1;
    }
    rows
}

const fn is_row_of(row: &AttributeType, computed: Computed, usage: Usage) -> bool {
    let Some(own) = row.computed else { return false };
    own as u8 == computed as u8 && row.usage as u8 == usage as u8
}

/// Who an attribute is for (RFC 4512 section 2.5). Distributed operation is not used here.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Usage {
    /// A user attribute: answered under `*`.
    User,
    /// Kept by the directory for an entry: answered under `+` or by name.
    DirectoryOperation,
    /// About this server (the root DSE): answered under `+` or by name.
    DsaOperation,
}

/// In which entries an attribute is computed from the account, the group or the tree.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Computed {
    /// In those of every provider.
    Everywhere,
    /// In those of a provider with the attributes of authentik and of Active Directory.
    ForCompatibility,
}

/// Which indexes the directory keeps for an attribute.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
pub struct Indexes {
    /// Normal forms to entries.
    pub equality: bool,
    /// Pieces of normal forms to entries.
    pub substrings: bool,
}

/// An attribute type (RFC 4512 section 2.5.1), with what it inherits already filled in.
#[derive(Clone, Debug)]
pub struct AttributeType {
    /// Its number in this schema.
    pub id: AttributeId,
    /// Its object identifier, dotted.
    pub oid: Cow<'static, str>,
    /// The spelling in answers.
    pub name: Cow<'static, str>,
    /// Further names that requests may use.
    pub aliases: &'static [&'static str],
    /// The name that it was given, where answers spell it otherwise; requests may use both.
    pub given_name: Option<Box<str>>,
    /// The supertype.
    pub superior: Option<AttributeId>,
    /// The syntax of a value.
    pub syntax: Syntax,
    /// The rule of `(a=b)`; `None` makes the filter Undefined.
    pub equality: Option<MatchingRule>,
    /// The ORDERING rule as published; the rule to evaluate with is [`AttributeType::ordering_rule`].
    pub ordering: Option<MatchingRule>,
    /// The SUBSTR rule as published; the rule to evaluate with is [`AttributeType::substrings_rule`].
    pub substrings: Option<MatchingRule>,
    /// At most one value in an entry.
    pub single_valued: bool,
    /// Who it is for.
    pub usage: Usage,
    /// Kept by the server alone.
    pub no_user_modification: bool,
    /// The indexes that the directory keeps.
    pub indexes: Indexes,
    /// Whether values are secrets, which stand in no entry and in no answer.
    pub secret: bool,
    /// In which entries values are computed when they are asked for, so that none can be given; `None`: in none.
    pub computed: Option<Computed>,
    /// Where the definition comes from (X-ORIGIN); `bindery` marks one that deviates from its RFC.
    pub origin: &'static str,
    /// What it is for, in words (DESC); empty for those that an RFC describes.
    pub description: Cow<'static, str>,
}

impl AttributeType {
    /// All names: the spelling in answers first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names = std::iter::once(self.name.as_ref()).chain(self.aliases.iter().copied());
        names.chain(self.given_name.as_deref())
    }

    /// Whether it is answered under `+` and not under `*`.
    pub fn is_operational(&self) -> bool {
        self.usage != Usage::User
    }

    /// Whether an RDN may be made of it: a user attribute that holds short text.
    pub fn is_naming(&self) -> bool {
        self.usage == Usage::User
            && !self.secret
            && matches!(self.equality, Some(CaseIgnore | CaseExact | CaseIgnoreIa5 | CaseExactIa5))
    }

    /// The rule that `>=`, `<=` and sorting use: the declared one, or the one that belongs to the equality rule.
    ///
    /// RFC 4519 and RFC 2307 declare no ORDERING for `cn` or `uidNumber`, so that RFC 4511 section 4.5.1.7.3
    /// would make `(uidNumber>=1000)` Undefined. Clients ask it and sort by such attributes; here it works.
    pub fn ordering_rule(&self) -> Option<MatchingRule> {
        self.ordering.or_else(|| self.equality.and_then(MatchingRule::ordering_of))
    }

    /// The rule of substring filters: the declared one, or the one that belongs to the equality rule.
    ///
    /// `loginShell`, for one, declares none in RFC 2307; `(loginShell=*sh)` is answered all the same.
    pub fn substrings_rule(&self) -> Option<MatchingRule> {
        self.substrings.or_else(|| self.equality.and_then(MatchingRule::substrings_of))
    }

    const fn row(
        id: AttributeId,
        oid: &'static str,
        name: &'static str,
        aliases: &'static [&'static str],
        origin: &'static str,
        shape: Shape,
    ) -> Self {
        Self {
            id,
            oid: Cow::Borrowed(oid),
            name: Cow::Borrowed(name),
            aliases,
            given_name: None,
            superior: shape.superior,
            syntax: shape.syntax,
            equality: shape.equality,
            ordering: shape.ordering,
            substrings: shape.substrings,
            single_valued: shape.single_valued,
            usage: shape.usage,
            no_user_modification: shape.no_user_modification,
            indexes: shape.indexes,
            secret: shape.secret,
            computed: shape.computed,
            origin,
            description: Cow::Borrowed(""),
        }
    }

    /// A custom attribute type, with the matching rules that belong to its syntax; `name`: as answers spell it.
    pub(super) fn custom(id: AttributeId, oid: String, name: String, custom: &CustomType) -> Self {
        let shape = Shape::by_syntax(custom.syntax);
        // Whose one is has to be found, whoever gives it: clients look people up by it.
        let is_known_by = custom.name.eq_ignore_ascii_case("email");
        Self {
            oid: Cow::Owned(oid),
            indexes: Indexes { equality: is_known_by, ..shape.indexes },
            given_name: (name != custom.name).then(|| custom.name.clone().into()),
            name: Cow::Owned(name),
            single_valued: custom.single_valued,
            description: Cow::Owned(custom.description.clone()),
            ..Self::row(id, "", "", &[], CUSTOM_ORIGIN, shape)
        }
    }

    /// What an id of a foreign schema stands for: no rule, so every filter on it is Undefined.
    pub(super) const UNDEFINED: Self =
        Self::row(AttributeId(u16::MAX), "", "undefined", &[], CUSTOM_ORIGIN, OPAQUE);
}

/// The parts of a row that many rows share.
#[derive(Copy, Clone)]
struct Shape {
    superior: Option<AttributeId>,
    syntax: Syntax,
    equality: Option<MatchingRule>,
    ordering: Option<MatchingRule>,
    substrings: Option<MatchingRule>,
    single_valued: bool,
    usage: Usage,
    no_user_modification: bool,
    indexes: Indexes,
    secret: bool,
    computed: Option<Computed>,
}

impl Shape {
    const fn of(syntax: Syntax) -> Self {
        Self {
            superior: None,
            syntax,
            equality: None,
            ordering: None,
            substrings: None,
            single_valued: false,
            usage: Usage::User,
            no_user_modification: false,
            indexes: Indexes { equality: false, substrings: false },
            secret: false,
            computed: None,
        }
    }

    /// The syntax with the rules that are made for it (RFC 4517 section 4.2); none where there are none.
    const fn by_syntax(syntax: Syntax) -> Self {
        match syntax {
            Syntax::DirectoryString => TEXT,
            Syntax::PrintableString => PRINTABLE,
            Syntax::Ia5String => IA5,
            Syntax::NumericString => NUMERIC,
            Syntax::TelephoneNumber => TELEPHONE,
            Syntax::PostalAddress => ADDRESS,
            Syntax::Integer => INTEGER.ordered(IntegerOrdering),
            Syntax::GeneralizedTime => {
                Self::of(syntax).equal(GeneralizedTime).ordered(GeneralizedTimeOrdering)
            }
            Syntax::Boolean => Self::of(syntax).equal(Boolean),
            Syntax::Dn => DN,
            Syntax::NameAndOptionalUid => Self::of(syntax).equal(UniqueMember),
            Syntax::Oid => OID,
            Syntax::Uuid => Self::of(syntax).equal(Uuid).ordered(UuidOrdering),
            Syntax::BitString => Self::of(syntax).equal(BitString),
            Syntax::OctetString => OCTETS,
            _ => Self::of(syntax),
        }
    }

    const fn equal(mut self, rule: MatchingRule) -> Self {
        self.equality = Some(rule);
        self
    }

    const fn ordered(mut self, rule: MatchingRule) -> Self {
        self.ordering = Some(rule);
        self
    }

    const fn parts(mut self, rule: MatchingRule) -> Self {
        self.substrings = Some(rule);
        self
    }

    const fn under(mut self, superior: AttributeId) -> Self {
        self.superior = Some(superior);
        self
    }

    const fn with_syntax(mut self, syntax: Syntax) -> Self {
        self.syntax = syntax;
        self
    }

    const fn single(mut self) -> Self {
        self.single_valued = true;
        self
    }

    /// By whole values.
    const fn indexed(mut self) -> Self {
        self.indexes.equality = true;
        self
    }

    /// By whole values and their pieces.
    const fn indexed_by_parts(mut self) -> Self {
        self.indexes = Indexes { equality: true, substrings: true };
        self
    }

    /// Kept by the server for each entry.
    const fn kept(mut self) -> Self {
        self.usage = Usage::DirectoryOperation;
        self.no_user_modification = true;
        self
    }

    const fn operational(mut self) -> Self {
        self.usage = Usage::DirectoryOperation;
        self
    }

    const fn of_server(mut self) -> Self {
        self.usage = Usage::DsaOperation;
        self
    }

    const fn protected(mut self) -> Self {
        self.no_user_modification = true;
        self
    }

    const fn is_secret(mut self) -> Self {
        self.secret = true;
        self
    }

    const fn computed(mut self) -> Self {
        self.computed = Some(Computed::Everywhere);
        self
    }

    const fn computed_for_compatibility(mut self) -> Self {
        self.computed = Some(Computed::ForCompatibility);
        self
    }
}

const TEXT: Shape = Shape::of(Syntax::DirectoryString).equal(CaseIgnore).parts(CaseIgnoreSubstrings);
const NAME_TEXT: Shape = TEXT.under(AttributeId::NAME);
const PRINTABLE: Shape = TEXT.with_syntax(Syntax::PrintableString);
const IA5: Shape = Shape::of(Syntax::Ia5String).equal(CaseIgnoreIa5).parts(CaseIgnoreIa5Substrings);
/// Names and addresses of machines; RFC 2307 and RFC 1274 declare no SUBSTR for them.
const HOST_TEXT: Shape = Shape::of(Syntax::Ia5String).equal(CaseIgnoreIa5);
const EXACT_IA5: Shape = Shape::of(Syntax::Ia5String).equal(CaseExactIa5).parts(CaseExactIa5Substrings);
const EXACT_TEXT: Shape = Shape::of(Syntax::DirectoryString).equal(CaseExact);
const PATH: Shape = Shape::of(Syntax::Ia5String).equal(CaseExactIa5).single();
const DN: Shape = Shape::of(Syntax::Dn).equal(DistinguishedName);
const ROLE: Shape = DN.under(AttributeId::DISTINGUISHED_NAME);
const INTEGER: Shape = Shape::of(Syntax::Integer).equal(Integer);
const NUMBER: Shape = INTEGER.single();
const BOOLEAN: Shape = Shape::of(Syntax::Boolean).equal(Boolean).single();
const TIME: Shape =
    Shape::of(Syntax::GeneralizedTime).equal(GeneralizedTime).ordered(GeneralizedTimeOrdering).single();
const OID: Shape = Shape::of(Syntax::Oid).equal(ObjectIdentifier);
const OCTETS: Shape = Shape::of(Syntax::OctetString).equal(OctetString);
const NUMERIC: Shape = Shape::of(Syntax::NumericString).equal(NumericString).parts(NumericStringSubstrings);
const TELEPHONE: Shape =
    Shape::of(Syntax::TelephoneNumber).equal(TelephoneNumber).parts(TelephoneNumberSubstrings);
const ADDRESS: Shape = Shape::of(Syntax::PostalAddress).equal(CaseIgnoreList).parts(CaseIgnoreListSubstrings);
const OPAQUE: Shape = Shape::of(Syntax::OctetString);

const fn described(syntax: Syntax) -> Shape {
    Shape::of(syntax).equal(ObjectIdentifierFirstComponent).operational()
}

const fn numbered(syntax: Syntax) -> Shape {
    Shape::of(syntax).equal(IntegerFirstComponent).operational()
}

/// The X-ORIGIN of a custom attribute type.
const CUSTOM_ORIGIN: &str = "user defined";
const BINDERY: &str = "bindery";
const ACTIVE_DIRECTORY: &str = "Microsoft Active Directory";

/// Makes the constants and the table from one list, so that they cannot diverge.
macro_rules! attribute_types {
    ($($constant:ident, $oid:expr, $name:literal $(/ $alias:literal)*, $origin:expr, $shape:expr;)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[repr(u16)]
        enum Row { $($constant),* }

        impl AttributeId {
            $(
                #[doc = concat!("The attribute type `", $name, "`.")]
                pub const $constant: AttributeId = AttributeId(Row::$constant as u16);
            )*
        }

        /// The core attribute types; the place in the list is the number of the id.
        pub(super) static CORE: &[AttributeType] = &[
            $(AttributeType::row(AttributeId::$constant, $oid, $name, &[$($alias),*], $origin, $shape),)*
        ];
    };
}

attribute_types! {
    // RFC 4512 and others: every entry, and what the server keeps for it
    OBJECT_CLASS, "2.5.4.0", "objectClass", "RFC 4512", OID.indexed();
    ALIASED_OBJECT_NAME, "2.5.4.1", "aliasedObjectName" / "aliasedEntryName", "RFC 4512", DN.single();
    STRUCTURAL_OBJECT_CLASS, "2.5.21.9", "structuralObjectClass", "RFC 4512", OID.single().kept().computed();
    ENTRY_UUID, "1.3.6.1.1.16.4", "entryUUID", "RFC 4530", Shape::of(Syntax::Uuid).equal(Uuid).ordered(UuidOrdering).single().kept().computed().indexed();
    CREATORS_NAME, "2.5.18.3", "creatorsName", "RFC 4512", DN.single().kept().computed();
    CREATE_TIMESTAMP, "2.5.18.1", "createTimestamp", "RFC 4512", TIME.kept().computed();
    MODIFIERS_NAME, "2.5.18.4", "modifiersName", "RFC 4512", DN.single().kept().computed();
    MODIFY_TIMESTAMP, "2.5.18.2", "modifyTimestamp", "RFC 4512", TIME.kept().computed();
    ENTRY_DN, "1.3.6.1.1.20", "entryDN", "RFC 5020", DN.single().kept().computed();
    SUBSCHEMA_SUBENTRY, "2.5.18.10", "subschemaSubentry", "RFC 4512", DN.single().kept().computed();
    HAS_SUBORDINATES, "2.5.18.9", "hasSubordinates", "X.501", BOOLEAN.kept().computed();
    NUM_SUBORDINATES, "1.3.1.1.4.1.453.16.2.103", "numSubordinates", "draft-ietf-boreham-numsubordinates", NUMBER.ordered(IntegerOrdering).kept().computed();
    GOVERNING_STRUCTURE_RULE, "2.5.21.10", "governingStructureRule", "RFC 4512", NUMBER.kept();

    // RFC 4512: the subschema
    DIT_STRUCTURE_RULES, "2.5.21.1", "dITStructureRules", "RFC 4512", numbered(Syntax::DitStructureRuleDescription);
    DIT_CONTENT_RULES, "2.5.21.2", "dITContentRules", "RFC 4512", described(Syntax::DitContentRuleDescription);
    MATCHING_RULES, "2.5.21.4", "matchingRules", "RFC 4512", described(Syntax::MatchingRuleDescription);
    ATTRIBUTE_TYPES, "2.5.21.5", "attributeTypes", "RFC 4512", described(Syntax::AttributeTypeDescription);
    OBJECT_CLASSES, "2.5.21.6", "objectClasses", "RFC 4512", described(Syntax::ObjectClassDescription);
    NAME_FORMS, "2.5.21.7", "nameForms", "RFC 4512", described(Syntax::NameFormDescription);
    MATCHING_RULE_USE, "2.5.21.8", "matchingRuleUse", "RFC 4512", described(Syntax::MatchingRuleUseDescription);
    LDAP_SYNTAXES, "1.3.6.1.4.1.1466.101.120.16", "ldapSyntaxes", "RFC 4512", described(Syntax::LdapSyntaxDescription);

    // RFC 4512 and others: the root DSE. RFC 4512 gives some no rule, so that a filter about them says nothing; clients
    // ask all the same, and where a rule is published the answer is exact.
    ALT_SERVER, "1.3.6.1.4.1.1466.101.120.6", "altServer", "RFC 4512", Shape::of(Syntax::Ia5String).of_server();
    NAMING_CONTEXTS, "1.3.6.1.4.1.1466.101.120.5", "namingContexts", BINDERY, DN.of_server();
    SUPPORTED_CONTROL, "1.3.6.1.4.1.1466.101.120.13", "supportedControl", BINDERY, OID.of_server();
    SUPPORTED_EXTENSION, "1.3.6.1.4.1.1466.101.120.7", "supportedExtension", BINDERY, OID.of_server();
    SUPPORTED_FEATURES, "1.3.6.1.4.1.4203.1.3.5", "supportedFeatures", "RFC 4512", OID.of_server();
    SUPPORTED_LDAP_VERSION, "1.3.6.1.4.1.1466.101.120.15", "supportedLDAPVersion", BINDERY, Shape::of(Syntax::Integer).equal(Integer).of_server();
    SUPPORTED_SASL_MECHANISMS, "1.3.6.1.4.1.1466.101.120.14", "supportedSASLMechanisms", BINDERY, Shape::of(Syntax::DirectoryString).equal(CaseIgnore).of_server();
    VENDOR_NAME, "1.3.6.1.1.4", "vendorName", "RFC 3045", Shape::of(Syntax::DirectoryString).equal(CaseExactIa5).single().of_server().protected();
    VENDOR_VERSION, "1.3.6.1.1.5", "vendorVersion", "RFC 3045", Shape::of(Syntax::DirectoryString).equal(CaseExactIa5).single().of_server().protected();
    DEFAULT_NAMING_CONTEXT, arc!("1.3"), "defaultNamingContext", BINDERY, DN.single().of_server();

    // RFC 3672: subentries
    ADMINISTRATIVE_ROLE, "2.5.18.5", "administrativeRole", "RFC 3672", OID.operational();
    SUBTREE_SPECIFICATION, "2.5.18.6", "subtreeSpecification", "RFC 3672", Shape::of(Syntax::SubtreeSpecification).single().operational();

    // RFC 4519
    NAME, "2.5.4.41", "name", "RFC 4519", TEXT.computed_for_compatibility();
    DISTINGUISHED_NAME, "2.5.4.49", "distinguishedName", "RFC 4519", DN.computed_for_compatibility();
    CN, "2.5.4.3", "cn" / "commonName", "RFC 4519", NAME_TEXT.indexed_by_parts();
    SN, "2.5.4.4", "sn" / "surname", "RFC 4519", NAME_TEXT.indexed_by_parts();
    SERIAL_NUMBER, "2.5.4.5", "serialNumber", "RFC 4519", PRINTABLE;
    C, "2.5.4.6", "c" / "countryName", "RFC 4519", NAME_TEXT.with_syntax(Syntax::CountryString).single();
    L, "2.5.4.7", "l" / "localityName", "RFC 4519", NAME_TEXT.indexed();
    ST, "2.5.4.8", "st" / "stateOrProvinceName", "RFC 4519", NAME_TEXT;
    STREET, "2.5.4.9", "street" / "streetAddress", "RFC 4519", TEXT;
    O, "2.5.4.10", "o" / "organizationName", "RFC 4519", NAME_TEXT.indexed();
    OU, "2.5.4.11", "ou" / "organizationalUnitName", "RFC 4519", NAME_TEXT.indexed();
    TITLE, "2.5.4.12", "title", "RFC 4519", NAME_TEXT.indexed();
    DESCRIPTION, "2.5.4.13", "description", "RFC 4519", TEXT;
    SEARCH_GUIDE, "2.5.4.14", "searchGuide", "RFC 4519", Shape::of(Syntax::Guide);
    BUSINESS_CATEGORY, "2.5.4.15", "businessCategory", "RFC 4519", TEXT;
    POSTAL_ADDRESS, "2.5.4.16", "postalAddress", "RFC 4519", ADDRESS;
    POSTAL_CODE, "2.5.4.17", "postalCode", "RFC 4519", TEXT;
    POST_OFFICE_BOX, "2.5.4.18", "postOfficeBox", "RFC 4519", TEXT;
    PHYSICAL_DELIVERY_OFFICE_NAME, "2.5.4.19", "physicalDeliveryOfficeName", "RFC 4519", TEXT;
    TELEPHONE_NUMBER, "2.5.4.20", "telephoneNumber", "RFC 4519", TELEPHONE.indexed();
    TELEX_NUMBER, "2.5.4.21", "telexNumber", "RFC 4519", Shape::of(Syntax::TelexNumber);
    TELETEX_TERMINAL_IDENTIFIER, "2.5.4.22", "teletexTerminalIdentifier", "RFC 4519", Shape::of(Syntax::TeletexTerminalIdentifier);
    FACSIMILE_TELEPHONE_NUMBER, "2.5.4.23", "facsimileTelephoneNumber" / "fax", "RFC 4519", Shape::of(Syntax::FacsimileTelephoneNumber);
    X121_ADDRESS, "2.5.4.24", "x121Address", "RFC 4519", NUMERIC;
    INTERNATIONAL_ISDN_NUMBER, "2.5.4.25", "internationalISDNNumber", "RFC 4519", NUMERIC;
    REGISTERED_ADDRESS, "2.5.4.26", "registeredAddress", "RFC 4519", ADDRESS.under(AttributeId::POSTAL_ADDRESS);
    DESTINATION_INDICATOR, "2.5.4.27", "destinationIndicator", "RFC 4519", PRINTABLE;
    PREFERRED_DELIVERY_METHOD, "2.5.4.28", "preferredDeliveryMethod", "RFC 4519", Shape::of(Syntax::DeliveryMethod).single();
    MEMBER, "2.5.4.31", "member", "RFC 4519", ROLE.computed();
    OWNER, "2.5.4.32", "owner", "RFC 4519", ROLE;
    ROLE_OCCUPANT, "2.5.4.33", "roleOccupant", "RFC 4519", ROLE;
    SEE_ALSO, "2.5.4.34", "seeAlso", "RFC 4519", ROLE;
    USER_PASSWORD, "2.5.4.35", "userPassword", "RFC 4519", OCTETS.is_secret();
    GIVEN_NAME, "2.5.4.42", "givenName" / "gn", "RFC 4519", NAME_TEXT.indexed_by_parts();
    INITIALS, "2.5.4.43", "initials", "RFC 4519", NAME_TEXT;
    GENERATION_QUALIFIER, "2.5.4.44", "generationQualifier", "RFC 4519", NAME_TEXT;
    X500_UNIQUE_IDENTIFIER, "2.5.4.45", "x500UniqueIdentifier", "RFC 4519", Shape::of(Syntax::BitString).equal(BitString);
    DN_QUALIFIER, "2.5.4.46", "dnQualifier", "RFC 4519", PRINTABLE.ordered(CaseIgnoreOrdering);
    ENHANCED_SEARCH_GUIDE, "2.5.4.47", "enhancedSearchGuide", "RFC 4519", Shape::of(Syntax::EnhancedGuide);
    UNIQUE_MEMBER, "2.5.4.50", "uniqueMember", "RFC 4519", Shape::of(Syntax::NameAndOptionalUid).equal(UniqueMember).computed();
    HOUSE_IDENTIFIER, "2.5.4.51", "houseIdentifier", "RFC 4519", TEXT;
    UID, "0.9.2342.19200300.100.1.1", "uid" / "userid", "RFC 4519", TEXT.indexed_by_parts();
    DC, "0.9.2342.19200300.100.1.25", "dc" / "domainComponent", "RFC 4519", IA5.single();

    // RFC 4523, without the certificate rules: values are answered, not compared
    USER_CERTIFICATE, "2.5.4.36", "userCertificate", BINDERY, Shape::of(Syntax::Certificate);
    CA_CERTIFICATE, "2.5.4.37", "cACertificate", BINDERY, Shape::of(Syntax::Certificate);
    AUTHORITY_REVOCATION_LIST, "2.5.4.38", "authorityRevocationList", BINDERY, Shape::of(Syntax::CertificateList);
    CERTIFICATE_REVOCATION_LIST, "2.5.4.39", "certificateRevocationList", BINDERY, Shape::of(Syntax::CertificateList);
    CROSS_CERTIFICATE_PAIR, "2.5.4.40", "crossCertificatePair", BINDERY, Shape::of(Syntax::CertificatePair);
    SUPPORTED_ALGORITHMS, "2.5.4.52", "supportedAlgorithms", BINDERY, Shape::of(Syntax::SupportedAlgorithm);
    DELTA_REVOCATION_LIST, "2.5.4.53", "deltaRevocationList", BINDERY, Shape::of(Syntax::CertificateList);

    // RFC 4524
    MAIL, "0.9.2342.19200300.100.1.3", "mail" / "rfc822Mailbox", "RFC 4524", IA5.indexed_by_parts();
    INFO, "0.9.2342.19200300.100.1.4", "info", "RFC 4524", TEXT;
    DRINK, "0.9.2342.19200300.100.1.5", "drink" / "favouriteDrink", "RFC 4524", TEXT;
    ROOM_NUMBER, "0.9.2342.19200300.100.1.6", "roomNumber", "RFC 4524", TEXT;
    USER_CLASS, "0.9.2342.19200300.100.1.8", "userClass", "RFC 4524", TEXT;
    HOST, "0.9.2342.19200300.100.1.9", "host", "RFC 4524", TEXT;
    MANAGER, "0.9.2342.19200300.100.1.10", "manager", "RFC 4524", DN;
    DOCUMENT_IDENTIFIER, "0.9.2342.19200300.100.1.11", "documentIdentifier", "RFC 4524", TEXT;
    DOCUMENT_TITLE, "0.9.2342.19200300.100.1.12", "documentTitle", "RFC 4524", TEXT;
    DOCUMENT_VERSION, "0.9.2342.19200300.100.1.13", "documentVersion", "RFC 4524", TEXT;
    DOCUMENT_AUTHOR, "0.9.2342.19200300.100.1.14", "documentAuthor", "RFC 4524", DN;
    DOCUMENT_LOCATION, "0.9.2342.19200300.100.1.15", "documentLocation", "RFC 4524", TEXT;
    HOME_PHONE, "0.9.2342.19200300.100.1.20", "homePhone" / "homeTelephoneNumber", "RFC 4524", TELEPHONE;
    SECRETARY, "0.9.2342.19200300.100.1.21", "secretary", "RFC 4524", DN;
    ASSOCIATED_DOMAIN, "0.9.2342.19200300.100.1.37", "associatedDomain", "RFC 4524", IA5;
    ASSOCIATED_NAME, "0.9.2342.19200300.100.1.38", "associatedName", "RFC 4524", DN;
    HOME_POSTAL_ADDRESS, "0.9.2342.19200300.100.1.39", "homePostalAddress", "RFC 4524", ADDRESS;
    PERSONAL_TITLE, "0.9.2342.19200300.100.1.40", "personalTitle", "RFC 4524", TEXT;
    MOBILE, "0.9.2342.19200300.100.1.41", "mobile" / "mobileTelephoneNumber", "RFC 4524", TELEPHONE;
    PAGER, "0.9.2342.19200300.100.1.42", "pager" / "pagerTelephoneNumber", "RFC 4524", TELEPHONE;
    CO, "0.9.2342.19200300.100.1.43", "co" / "friendlyCountryName", "RFC 4524", TEXT;
    UNIQUE_IDENTIFIER, "0.9.2342.19200300.100.1.44", "uniqueIdentifier", "RFC 4524", TEXT;
    ORGANIZATIONAL_STATUS, "0.9.2342.19200300.100.1.45", "organizationalStatus", "RFC 4524", TEXT;
    BUILDING_NAME, "0.9.2342.19200300.100.1.48", "buildingName", "RFC 4524", TEXT;
    DOCUMENT_PUBLISHER, "0.9.2342.19200300.100.1.56", "documentPublisher", "RFC 4524", TEXT;

    // RFC 1274, what RFC 4524 has left out and directories still hold
    TEXT_ENCODED_OR_ADDRESS, "0.9.2342.19200300.100.1.2", "textEncodedORAddress", "RFC 1274", TEXT;
    OTHER_MAILBOX, "0.9.2342.19200300.100.1.22", "otherMailbox", "RFC 1274", Shape::of(Syntax::OtherMailbox);
    A_RECORD, "0.9.2342.19200300.100.1.26", "aRecord", "RFC 1274", HOST_TEXT;
    MD_RECORD, "0.9.2342.19200300.100.1.27", "mDRecord", "RFC 1274", HOST_TEXT;
    MX_RECORD, "0.9.2342.19200300.100.1.28", "mXRecord", "RFC 1274", HOST_TEXT;
    NS_RECORD, "0.9.2342.19200300.100.1.29", "nSRecord", "RFC 1274", HOST_TEXT;
    SOA_RECORD, "0.9.2342.19200300.100.1.30", "sOARecord", "RFC 1274", HOST_TEXT;
    CNAME_RECORD, "0.9.2342.19200300.100.1.31", "cNAMERecord", "RFC 1274", HOST_TEXT;
    JANET_MAILBOX, "0.9.2342.19200300.100.1.46", "janetMailbox", "RFC 1274", IA5;
    MAIL_PREFERENCE_OPTION, "0.9.2342.19200300.100.1.47", "mailPreferenceOption", "RFC 1274", Shape::of(Syntax::Integer);
    PERSONAL_SIGNATURE, "0.9.2342.19200300.100.1.53", "personalSignature", "RFC 1274", Shape::of(Syntax::Fax);

    // RFC 2798 and what it draws on (RFC 1274, RFC 2079)
    CAR_LICENSE, "2.16.840.1.113730.3.1.1", "carLicense", "RFC 2798", TEXT;
    DEPARTMENT_NUMBER, "2.16.840.1.113730.3.1.2", "departmentNumber", "RFC 2798", TEXT.indexed();
    DISPLAY_NAME, "2.16.840.1.113730.3.1.241", "displayName", "RFC 2798", TEXT.single().indexed_by_parts();
    EMPLOYEE_NUMBER, "2.16.840.1.113730.3.1.3", "employeeNumber", "RFC 2798", TEXT.single().indexed();
    EMPLOYEE_TYPE, "2.16.840.1.113730.3.1.4", "employeeType", "RFC 2798", TEXT;
    JPEG_PHOTO, "0.9.2342.19200300.100.1.60", "jpegPhoto", "RFC 2798", Shape::of(Syntax::Jpeg);
    PREFERRED_LANGUAGE, "2.16.840.1.113730.3.1.39", "preferredLanguage", "RFC 2798", TEXT.single();
    USER_SMIME_CERTIFICATE, "2.16.840.1.113730.3.1.40", "userSMIMECertificate", "RFC 2798", Shape::of(Syntax::Binary);
    USER_PKCS12, "2.16.840.1.113730.3.1.216", "userPKCS12", "RFC 2798", Shape::of(Syntax::Binary);
    AUDIO, "0.9.2342.19200300.100.1.55", "audio", BINDERY, OPAQUE;
    PHOTO, "0.9.2342.19200300.100.1.7", "photo", "RFC 1274", Shape::of(Syntax::Fax);
    LABELED_URI, "1.3.6.1.4.1.250.1.57", "labeledURI", "RFC 2079", EXACT_TEXT;

    // RFC 2307: accounts and groups. Usernames stand in memberUid and homeDirectory, and have any characters here; to RFC
    // 2307 they are IA5 strings
    UID_NUMBER, "1.3.6.1.1.1.1.0", "uidNumber", "RFC 2307", NUMBER.indexed();
    GID_NUMBER, "1.3.6.1.1.1.1.1", "gidNumber", "RFC 2307", NUMBER.indexed();
    GECOS, "1.3.6.1.1.1.1.2", "gecos", "RFC 2307", IA5.single();
    HOME_DIRECTORY, "1.3.6.1.1.1.1.3", "homeDirectory", BINDERY, EXACT_TEXT.single();
    LOGIN_SHELL, "1.3.6.1.1.1.1.4", "loginShell", "RFC 2307", PATH;
    SHADOW_LAST_CHANGE, "1.3.6.1.1.1.1.5", "shadowLastChange", "RFC 2307", NUMBER;
    SHADOW_MIN, "1.3.6.1.1.1.1.6", "shadowMin", "RFC 2307", NUMBER;
    SHADOW_MAX, "1.3.6.1.1.1.1.7", "shadowMax", "RFC 2307", NUMBER;
    SHADOW_WARNING, "1.3.6.1.1.1.1.8", "shadowWarning", "RFC 2307", NUMBER;
    SHADOW_INACTIVE, "1.3.6.1.1.1.1.9", "shadowInactive", "RFC 2307", NUMBER;
    SHADOW_EXPIRE, "1.3.6.1.1.1.1.10", "shadowExpire", "RFC 2307", NUMBER;
    SHADOW_FLAG, "1.3.6.1.1.1.1.11", "shadowFlag", "RFC 2307", NUMBER;
    MEMBER_UID, "1.3.6.1.1.1.1.12", "memberUid", BINDERY, EXACT_TEXT.parts(CaseExactSubstrings).computed();

    // RFC 2307: networks, hosts, maps
    MEMBER_NIS_NETGROUP, "1.3.6.1.1.1.1.13", "memberNisNetgroup", "RFC 2307", EXACT_IA5;
    NIS_NETGROUP_TRIPLE, "1.3.6.1.1.1.1.14", "nisNetgroupTriple", "RFC 2307", Shape::of(Syntax::NisNetgroupTriple);
    IP_SERVICE_PORT, "1.3.6.1.1.1.1.15", "ipServicePort", "RFC 2307", NUMBER;
    IP_SERVICE_PROTOCOL, "1.3.6.1.1.1.1.16", "ipServiceProtocol", "RFC 2307", NAME_TEXT;
    IP_PROTOCOL_NUMBER, "1.3.6.1.1.1.1.17", "ipProtocolNumber", "RFC 2307", NUMBER;
    ONC_RPC_NUMBER, "1.3.6.1.1.1.1.18", "oncRpcNumber", "RFC 2307", NUMBER;
    IP_HOST_NUMBER, "1.3.6.1.1.1.1.19", "ipHostNumber", "RFC 2307", HOST_TEXT;
    IP_NETWORK_NUMBER, "1.3.6.1.1.1.1.20", "ipNetworkNumber", "RFC 2307", HOST_TEXT.single();
    IP_NETMASK_NUMBER, "1.3.6.1.1.1.1.21", "ipNetmaskNumber", "RFC 2307", HOST_TEXT.single();
    MAC_ADDRESS, "1.3.6.1.1.1.1.22", "macAddress", "RFC 2307", HOST_TEXT;
    BOOT_PARAMETER, "1.3.6.1.1.1.1.23", "bootParameter", "RFC 2307", Shape::of(Syntax::BootParameter);
    BOOT_FILE, "1.3.6.1.1.1.1.24", "bootFile", "RFC 2307", Shape::of(Syntax::Ia5String).equal(CaseExactIa5);
    NIS_MAP_NAME, "1.3.6.1.1.1.1.26", "nisMapName", "RFC 2307", NAME_TEXT;
    NIS_MAP_ENTRY, "1.3.6.1.1.1.1.27", "nisMapEntry", "RFC 2307", EXACT_IA5.single();

    // draft-howard-rfc2307bis. The secret key stands in no entry
    NIS_PUBLIC_KEY, "1.3.6.1.1.1.1.28", "nisPublicKey", "draft-howard-rfc2307bis", OCTETS.single();
    NIS_SECRET_KEY, "1.3.6.1.1.1.1.29", "nisSecretKey", BINDERY, OCTETS.single().is_secret();
    NIS_DOMAIN, "1.3.6.1.1.1.1.30", "nisDomain", "draft-howard-rfc2307bis", HOST_TEXT;
    AUTOMOUNT_MAP_NAME, "1.3.6.1.1.1.1.31", "automountMapName", "draft-howard-rfc2307bis", EXACT_TEXT.single();
    AUTOMOUNT_KEY, "1.3.6.1.1.1.1.32", "automountKey", "draft-howard-rfc2307bis", EXACT_TEXT.single();
    AUTOMOUNT_INFORMATION, "1.3.6.1.1.1.1.33", "automountInformation", "draft-howard-rfc2307bis", EXACT_TEXT.single();

    // Active Directory, for clients made for it. memberOf is a user attribute here: clients expect it under `*`
    MEMBER_OF, "1.2.840.113556.1.2.102", "memberOf", BINDERY, DN.computed();
    SAM_ACCOUNT_NAME, "1.2.840.113556.1.4.221", "sAMAccountName", ACTIVE_DIRECTORY, TEXT.single().indexed().computed_for_compatibility();
    USER_PRINCIPAL_NAME, "1.2.840.113556.1.4.656", "userPrincipalName", ACTIVE_DIRECTORY, TEXT.single().indexed().computed_for_compatibility();
    USER_ACCOUNT_CONTROL, "1.2.840.113556.1.4.8", "userAccountControl", ACTIVE_DIRECTORY, NUMBER.computed_for_compatibility();
    OBJECT_GUID, "1.2.840.113556.1.4.2", "objectGUID", ACTIVE_DIRECTORY, OCTETS.single().computed_for_compatibility();
    OBJECT_CATEGORY, "1.2.840.113556.1.4.782", "objectCategory", ACTIVE_DIRECTORY, DN.single().computed_for_compatibility();
    SAM_ACCOUNT_TYPE, "1.2.840.113556.1.4.302", "sAMAccountType", ACTIVE_DIRECTORY, NUMBER.computed_for_compatibility();
    WHEN_CREATED, "1.2.840.113556.1.2.2", "whenCreated", ACTIVE_DIRECTORY, TIME.computed_for_compatibility();
    WHEN_CHANGED, "1.2.840.113556.1.2.3", "whenChanged", ACTIVE_DIRECTORY, TIME.computed_for_compatibility();

    // authentik's
    AK_ACTIVE, arc!("1.1"), "ak-active", BINDERY, BOOLEAN.computed_for_compatibility();
    AK_SUPERUSER, arc!("1.2"), "ak-superuser", BINDERY, BOOLEAN.computed_for_compatibility();

    // OpenSSH-LPK
    SSH_PUBLIC_KEY, "1.3.6.1.4.1.24552.500.1.1.1.13", "sshPublicKey", "OpenSSH-LPK", OCTETS;

    // Secrets of other directories: known so that nobody can bring them in as a custom attribute
    AUTH_PASSWORD, "1.3.6.1.4.1.4203.1.3.4", "authPassword", BINDERY, OPAQUE.is_secret();
    UNICODE_PWD, "1.2.840.113556.1.4.90", "unicodePwd", BINDERY, OPAQUE.single().is_secret();
    SAMBA_LM_PASSWORD, "1.3.6.1.4.1.7165.2.1.24", "sambaLMPassword", BINDERY, OPAQUE.single().is_secret();
    SAMBA_NT_PASSWORD, "1.3.6.1.4.1.7165.2.1.25", "sambaNTPassword", BINDERY, OPAQUE.single().is_secret();
}
