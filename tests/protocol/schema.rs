//! The published schema, read as a client reads it: every definition is of the grammar of RFC 4512, everything that
//! one names is there, and every entry of a rich directory is what its classes and attribute types say.
//!
//! Nothing here is taken from the schema in the code: the definitions come over LDAP, and the grammar and the
//! syntaxes are written down a second time.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use crate::support::{Place, Server, secret_of};
use bindery::inside::ldif::{LdifReader, Record};

const SEED: &str = r#"
[[attribute]]
name = "employeeBadge"
oid = "1.3.6.1.4.1.55555.1"
syntax = "integer"
single_valued = true
description = "the number on Alice's badge"

[[attribute]]
name = "backupContact"
syntax = "dn"

[[provider]]
name = "main"
base_dn = "dc=example,dc=com"
default = true
virtual_groups = true

[[provider]]
name = "plain"
base_dn = "o=Other Corp,c=DE"
compatibility_attributes = false
virtual_groups = false
users = [{ container = "l=here,ou=people", naming = "uid" }]
service_accounts = [{ container = "cn=machines", naming = "cn" }]
groups = [{ container = "dc=groups", naming = "cn" }]

[[role]]
name = "search"
permissions = ["search_full_directory"]

[[group]]
name = "everybody here"
members = ["carol", "dave"]
attributes = { description = ["All", "Both"], gidNumber = ["900"], undeclared = ["a", "b"] }

[[group]]
name = "admins"
members = ["carol"]
parents = ["everybody here"]
is_superuser = true

[[account]]
username = "carol"
name = "Carol Clark"
email = "carol@example.com"
attributes = { employeeBadge = ["17"], backupContact = ["cn=dave,ou=users,dc=example,dc=com"], "sn;lang-de" = ["Klark"] }

[[account]]
username = "dave"
type = "external"
is_active = false
attributes = { gidNumber = ["900"], uidNumber = ["901"], mail = ["d@example.com"], carLicense = ["X 1"] }

[[account]]
username = "ldapservice"
type = "service_account"
roles = ["search"]
create_group = true
"#;

/// Both providers with what the seed describes, and in the first what an OpenLDAP server held.
struct Directory {
    // Held until the end of the test.
    _place: Place,
    server: Server,
    secret: String,
}

impl Directory {
    fn start() -> Self {
        let place = Place::new(SEED);
        let (server, secrets) = place.serve_first();
        let secret = secret_of(&secrets, "ldapservice-app-password");
        place.write("in.ldif", include_str!("../data/slapcat.ldif"));
        let arguments = [
            "import",
            "in.ldif",
            "--users",
            "ou=people:uid",
            "--groups",
            "ou=groups:cn",
            "--service-accounts",
            "ou=services:cn",
            // As it came, with the numbers of groups of the system.
            "--allow-system-numbers",
            "--json",
        ];
        let report = place.run(&arguments).exits(0).json();
        let count = |name: &str| report[name].as_u64().unwrap();
        assert_eq!((count("users"), count("service_accounts"), count("groups")), (10, 3, 6), "{report:#}");
        Self { _place: place, server, secret }
    }

    fn search(&self, base: &str, scope: &str, attributes: &[&str]) -> Vec<Record> {
        let mut command = Command::new("ldapsearch");
        command.args(["-x", "-LLL", "-o", "ldif-wrap=no", "-H", &self.server.url("ldap")]);
        command.args(["-D", "ldapservice", "-w", &self.secret, "-b", base, "-s", scope, "(objectClass=*)"]);
        let output = command.args(attributes).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        LdifReader::new(output.stdout.as_slice()).collect::<Result<_, _>>().unwrap()
    }
}

#[test]
fn every_entry_is_what_the_published_schema_says() {
    let directory = Directory::start();
    let published = directory.search("cn=subschema", "base", &["+", "*"]);
    let schema = Schema::read(&published[0]);
    schema.check();

    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut count = 0;
    for base in ["dc=example,dc=com", "o=Other Corp,c=DE"] {
        for entry in directory.search(base, "sub", &["*", "+"]) {
            *kinds.entry(schema.check_entry(&entry)).or_default() += 1;
            count += 1;
        }
    }
    schema.check_entry(&published[0]);
    assert_eq!(count, 63, "{kinds:#?}");
    for kind in [
        "inetOrgPerson",
        "person",
        "residentialPerson",
        "pilotPerson",
        "account",
        "applicationProcess",
        "organizationalRole",
        "groupOfNames",
        "groupOfMembers",
        "organizationalUnit",
        "organization",
        "locality",
        "domain",
    ] {
        assert!(kinds.contains_key(kind), "no {kind} among {kinds:#?}");
    }
}

/// Whether a filter on an attribute is Undefined or false is the same before and after the one entry that has it,
/// which the reader does not see, is gone, and after a restart.
#[test]
fn hidden_entries_do_not_decide_what_is_known() {
    let seed = r#"
[[provider]]
name = "main"
base_dn = "dc=example,dc=com"
default = true

[[account]]
username = "portal"
type = "service_account"

[[account]]
username = "hidden"
attributes = { clearanceLevel = ["x"] }
"#;
    let place = Place::new(seed);
    let (mut server, secrets) = place.serve_first();
    let secret = secret_of(&secrets, "portal-app-password");
    let ask = |server: &Server, filter: &str| -> Vec<String> {
        let mut command = Command::new("ldapsearch");
        command.args([
            "-x",
            "-LLL",
            "-o",
            "ldif-wrap=no",
            "-H",
            &server.url("ldap"),
            "-D",
            "portal",
            "-w",
            &secret,
        ]);
        let output = command.args(["-b", "dc=example,dc=com", filter, "1.1"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let found = LdifReader::new(output.stdout.as_slice());
        found.map(|record| record.unwrap().dn).collect()
    };
    let known = ask(&server, "(!(clearanceLevel=x))");
    assert!(known.len() > 3, "{known:?}");
    assert!(ask(&server, "(!(neverHeardOf=x))").is_empty(), "not of what is unknown is unknown");
    place.run(&["account", "delete", "hidden", "--yes"]).exits(0);
    assert_eq!(ask(&server, "(!(clearanceLevel=x))"), known);
    assert!(server.stop().0.success());
    server = place.serve(&[]);
    assert_eq!(ask(&server, "(!(clearanceLevel=x))"), known);
}

/// What a client learns of the schema.
struct Schema {
    syntaxes: BTreeSet<String>,
    rules: BTreeMap<String, Definition>,
    rule_uses: Vec<Definition>,
    /// By each name in lower case, and by OID.
    attributes: BTreeMap<String, Definition>,
    classes: BTreeMap<String, Definition>,
}

impl Schema {
    fn read(entry: &Record) -> Self {
        let definitions = |attribute: &str, keywords: &[Keyword]| -> Vec<Definition> {
            let values: Vec<&str> =
                entry.values(attribute).map(|value| std::str::from_utf8(value).unwrap()).collect();
            assert!(!values.is_empty(), "no {attribute}");
            values.into_iter().map(|text| Definition::parse(text, keywords)).collect()
        };
        let by_name = |definitions: Vec<Definition>| -> BTreeMap<String, Definition> {
            let mut map = BTreeMap::new();
            for definition in definitions {
                let names = definition.get("NAME").iter().map(|name| name.to_ascii_lowercase());
                for key in names.chain([definition.oid.clone()]) {
                    assert!(map.insert(key.clone(), definition.clone()).is_none(), "{key} is there twice");
                }
            }
            map
        };
        let syntaxes = definitions("ldapSyntaxes", SYNTAX);
        let schema = Self {
            rules: by_name(definitions("matchingRules", MATCHING_RULE)),
            rule_uses: definitions("matchingRuleUse", MATCHING_RULE_USE),
            attributes: by_name(definitions("attributeTypes", ATTRIBUTE_TYPE)),
            classes: by_name(definitions("objectClasses", OBJECT_CLASS)),
            syntaxes: syntaxes.iter().map(|syntax| syntax.oid.clone()).collect(),
        };
        assert_eq!(schema.syntaxes.len(), syntaxes.len());
        schema
    }

    /// Whether everything that is named is there, and nothing contradicts what it is derived from.
    fn check(&self) {
        for rule in self.rules.values() {
            assert!(self.syntaxes.contains(rule.one("SYNTAX")), "{rule:?}");
        }
        for rule_use in &self.rule_uses {
            assert!(self.rules.contains_key(&rule_use.oid), "{rule_use:?}");
            for attribute in rule_use.get("APPLIES") {
                self.attribute(attribute);
            }
        }
        for attribute in self.attributes.values() {
            assert!(self.syntaxes.contains(self.syntax_of(attribute)), "{attribute:?}");
            for rule in ["EQUALITY", "ORDERING", "SUBSTR"].iter().flat_map(|word| attribute.get(word)) {
                assert!(self.rules.contains_key(&rule.to_ascii_lowercase()), "{attribute:?}");
            }
        }
        for class in self.classes.values() {
            for attribute in ["MUST", "MAY"].iter().flat_map(|word| class.get(word)) {
                self.attribute(attribute);
            }
            let above = self.superclasses(class);
            let is_top = class.get("NAME").contains(&"top".to_owned());
            assert!(above.iter().any(|above| above.oid == "2.5.6.0"), "{class:?}");
            for superior in class.get("SUP") {
                let superior = &self.classes[&superior.to_ascii_lowercase()];
                // RFC 4512 section 2.4.
                let is_allowed = match (class.kind(), superior.kind()) {
                    ("STRUCTURAL", kind) => kind != "AUXILIARY",
                    ("AUXILIARY", kind) => kind != "STRUCTURAL",
                    (_, kind) => kind == "ABSTRACT",
                };
                assert!(is_allowed && !is_top, "{class:?}");
            }
        }
    }

    /// Whether an entry is what its classes and attribute types say; its structural class.
    fn check_entry(&self, entry: &Record) -> String {
        let dn = &entry.dn;
        let classes: Vec<&Definition> = entry
            .values("objectClass")
            .map(|class| {
                let name = published_name(std::str::from_utf8(class).unwrap()).to_ascii_lowercase();
                self.classes.get(&name).unwrap_or_else(|| panic!("{dn} is a {name}, which is not published"))
            })
            .collect();
        let has_class = |oid: &str| classes.iter().any(|class| class.oid == oid);
        for class in &classes {
            for above in self.superclasses(class) {
                assert!(
                    has_class(&above.oid),
                    "{dn} is {:?} but not {:?}",
                    class.get("NAME"),
                    above.get("NAME")
                );
            }
        }
        // One structural class with its superclasses (section 2.4.2).
        let structural: Vec<&&Definition> =
            classes.iter().filter(|class| class.kind() == "STRUCTURAL").collect();
        let deepest: Vec<_> = structural
            .iter()
            .filter(|class| {
                let above = self.superclasses(class);
                structural.iter().all(|other| above.iter().any(|above| above.oid == other.oid))
            })
            .collect();
        let [deepest] = deepest.as_slice() else { panic!("{dn} is not one thing: {structural:?}") };
        let told: Vec<&[u8]> = entry.values("structuralObjectClass").collect();
        assert!(
            matches!(told.as_slice(), [told] if deepest.get("NAME").iter().any(|name| name.as_bytes() == *told)),
            "{dn}"
        );

        let mut allowed: BTreeSet<&str> = BTreeSet::new();
        let is_open = has_class("1.3.6.1.4.1.1466.101.120.111");
        let mut values: BTreeMap<&str, Vec<&[u8]>> = BTreeMap::new();
        for (description, value) in &entry.attributes {
            values.entry(description).or_default().push(value);
        }
        let base = |description: &str| description.split(';').next().unwrap().to_ascii_lowercase();
        let held: BTreeSet<&str> =
            values.keys().map(|description| self.attribute(&base(description)).oid.as_str()).collect();
        for class in &classes {
            for must in class.get("MUST") {
                let oid = &self.attribute(must).oid;
                assert!(held.contains(oid.as_str()), "{dn} lacks {must} of {:?}", class.get("NAME"));
            }
            allowed.extend(
                ["MUST", "MAY"]
                    .iter()
                    .flat_map(|word| class.get(word))
                    .map(|name| &*self.attribute(name).oid),
            );
        }
        for (description, values) in &values {
            let attribute = self.attribute(&base(description));
            let name = attribute.get("NAME").first().unwrap_or(&attribute.oid);
            assert_eq!(*description.split(';').next().unwrap(), **name, "{dn}: the spelling of the schema");
            let is_operational = !attribute.get("USAGE").is_empty();
            assert!(
                is_operational || is_open || allowed.contains(&*attribute.oid),
                "{dn} may not have {description}"
            );
            assert!(values.len() == 1 || !attribute.has("SINGLE-VALUE"), "{dn} has several {description}");
            let distinct: BTreeSet<_> = values.iter().collect();
            assert_eq!(distinct.len(), values.len(), "{dn} has a value of {description} twice");
            let syntax = self.syntax_of(attribute);
            for value in values {
                assert!(
                    is_of_syntax(syntax, value) || is_class_of_authentik(&attribute.oid, value),
                    "{dn}: {} is no value of {description}",
                    value.escape_ascii()
                );
            }
        }
        assert!(!values.contains_key("userPassword"), "{dn}");
        deepest.get("NAME")[0].clone()
    }

    fn attribute(&self, name: &str) -> &Definition {
        let found = self.attributes.get(&name.to_ascii_lowercase());
        found.unwrap_or_else(|| panic!("the attribute type {name} is not published"))
    }

    fn syntax_of<'a>(&'a self, attribute: &'a Definition) -> &'a str {
        match attribute.get("SYNTAX") {
            [syntax] => syntax,
            _ => self.syntax_of(self.attribute(attribute.one("SUP"))),
        }
    }

    /// The class itself and all that it is derived from.
    fn superclasses<'a>(&'a self, class: &'a Definition) -> Vec<&'a Definition> {
        let mut found = vec![class];
        for superior in class.get("SUP") {
            let superior = self.classes.get(&superior.to_ascii_lowercase());
            found.extend(self.superclasses(superior.unwrap_or_else(|| panic!("{class:?}"))));
        }
        found
    }
}

/// The names of authentik's classes, which no schema allows, and those that they are published under. Nothing else is
/// excepted.
const OF_AUTHENTIK: [(&str, &str); 3] = [
    ("goauthentik.io/ldap/user", "goauthentikio-ldap-user"),
    ("goauthentik.io/ldap/group", "goauthentikio-ldap-group"),
    ("goauthentik.io/ldap/virtual-group", "goauthentikio-ldap-virtual-group"),
];

fn published_name(class: &str) -> &str {
    OF_AUTHENTIK.iter().find(|(own, _)| *own == class).map_or(class, |(_, published)| published)
}

/// Whether it is the name of a class of authentik's as a value of objectClass.
fn is_class_of_authentik(oid: &str, value: &[u8]) -> bool {
    oid == "2.5.4.0" && OF_AUTHENTIK.iter().any(|(own, _)| own.as_bytes() == value)
}

// ---- the grammar of RFC 4512 section 4.1 ----------------------------------------------------------------

/// A keyword of a definition and what stands behind it. They come in this order.
type Keyword = (&'static str, Form);

#[derive(Clone, Copy)]
enum Form {
    Nothing,
    Oid,
    Oids,
    /// An OID, perhaps with a length in braces.
    OidAndLength,
    Descriptors,
    Text,
    Usage,
}

const ATTRIBUTE_TYPE: &[Keyword] = &[
    ("NAME", Form::Descriptors),
    ("DESC", Form::Text),
    ("OBSOLETE", Form::Nothing),
    ("SUP", Form::Oid),
    ("EQUALITY", Form::Oid),
    ("ORDERING", Form::Oid),
    ("SUBSTR", Form::Oid),
    ("SYNTAX", Form::OidAndLength),
    ("SINGLE-VALUE", Form::Nothing),
    ("COLLECTIVE", Form::Nothing),
    ("NO-USER-MODIFICATION", Form::Nothing),
    ("USAGE", Form::Usage),
];
const OBJECT_CLASS: &[Keyword] = &[
    ("NAME", Form::Descriptors),
    ("DESC", Form::Text),
    ("OBSOLETE", Form::Nothing),
    ("SUP", Form::Oids),
    ("ABSTRACT", Form::Nothing),
    ("STRUCTURAL", Form::Nothing),
    ("AUXILIARY", Form::Nothing),
    ("MUST", Form::Oids),
    ("MAY", Form::Oids),
];
const MATCHING_RULE: &[Keyword] =
    &[("NAME", Form::Descriptors), ("DESC", Form::Text), ("OBSOLETE", Form::Nothing), ("SYNTAX", Form::Oid)];
const MATCHING_RULE_USE: &[Keyword] = &[
    ("NAME", Form::Descriptors),
    ("DESC", Form::Text),
    ("OBSOLETE", Form::Nothing),
    ("APPLIES", Form::Oids),
];
const SYNTAX: &[Keyword] = &[("DESC", Form::Text)];

#[derive(Clone, Debug)]
struct Definition {
    oid: String,
    fields: Vec<(String, Vec<String>)>,
}

impl Definition {
    fn get(&self, word: &str) -> &[String] {
        self.fields.iter().find(|(field, _)| field == word).map_or(&[], |(_, values)| values)
    }

    fn one(&self, word: &str) -> &str {
        let [one] = self.get(word) else { panic!("no {word} in {self:?}") };
        one
    }

    fn has(&self, word: &str) -> bool {
        self.fields.iter().any(|(field, _)| field == word)
    }

    /// STRUCTURAL where nothing is said.
    fn kind(&self) -> &'static str {
        match (self.has("ABSTRACT"), self.has("AUXILIARY")) {
            (true, _) => "ABSTRACT",
            (_, true) => "AUXILIARY",
            _ => "STRUCTURAL",
        }
    }

    fn parse(text: &str, keywords: &[Keyword]) -> Self {
        let mut cursor = Cursor { text, rest: text };
        cursor.expect("(");
        cursor.spaces();
        let oid = cursor.oid();
        assert!(oid.contains('.'), "{text}: a definition begins with a numeric OID");
        let mut fields = Vec::new();
        for (word, form) in keywords {
            if cursor.keyword(word) {
                fields.push(((*word).to_owned(), cursor.value(*form)));
            }
        }
        while cursor.rest.starts_with(" X-") {
            cursor.expect(" ");
            let end = cursor.rest.find(' ').unwrap();
            let (word, rest) = cursor.rest.split_at(end);
            assert!(word[2..].bytes().all(|octet| octet.is_ascii_alphabetic() || b"-_".contains(&octet)));
            cursor.rest = rest;
            cursor.some_spaces();
            let values = cursor.quoted_list();
            fields.push((word.to_owned(), values));
        }
        cursor.spaces();
        cursor.expect(")");
        assert_eq!(cursor.rest, "", "{text}");
        Self { oid, fields }
    }
}

struct Cursor<'a> {
    text: &'a str,
    rest: &'a str,
}

impl Cursor<'_> {
    #[track_caller]
    fn expect(&mut self, what: &str) {
        let rest = self.rest.strip_prefix(what);
        self.rest = rest.unwrap_or_else(|| panic!("expected {what:?} at {:?} in {}", self.rest, self.text));
    }

    /// `WSP`
    fn spaces(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }

    /// `SP`
    #[track_caller]
    fn some_spaces(&mut self) {
        self.expect(" ");
        self.spaces();
    }

    /// Takes `SP keyword`, if that is next.
    fn keyword(&mut self, word: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(' ') else { return false };
        let Some(rest) = rest.trim_start_matches(' ').strip_prefix(word) else { return false };
        if !rest.starts_with([' ', ')']) {
            return false;
        }
        self.rest = rest;
        true
    }

    fn value(&mut self, form: Form) -> Vec<String> {
        if matches!(form, Form::Nothing) {
            return Vec::new();
        }
        self.some_spaces();
        match form {
            Form::Nothing => Vec::new(),
            Form::Oid => vec![self.oid()],
            Form::Oids => self.oids(),
            Form::OidAndLength => {
                let oid = self.oid();
                if self.rest.starts_with('{') {
                    self.expect("{");
                    let end = self.rest.find('}').unwrap();
                    self.rest[..end].parse::<u32>().unwrap();
                    self.rest = &self.rest[end + 1..];
                }
                vec![oid]
            }
            Form::Descriptors => {
                let names = self.quoted_list();
                assert!(names.iter().all(|name| is_descriptor(name)), "{}", self.text);
                names
            }
            Form::Text => vec![self.quoted()],
            Form::Usage => {
                let word = self.oid();
                let usages =
                    ["userApplications", "directoryOperation", "distributedOperation", "dSAOperation"];
                assert!(usages.contains(&word.as_str()), "{}", self.text);
                vec![word]
            }
        }
    }

    /// `oid = descr / numericoid`
    fn oid(&mut self) -> String {
        let end = self.rest.find([' ', ')', '{', '$']).unwrap_or(self.rest.len());
        let (oid, rest) = self.rest.split_at(end);
        assert!(is_descriptor(oid) || is_numeric_oid(oid), "{oid:?} in {}", self.text);
        self.rest = rest;
        oid.to_owned()
    }

    /// `oids = oid / ( LPAREN WSP oidlist WSP RPAREN )`
    fn oids(&mut self) -> Vec<String> {
        if !self.rest.starts_with('(') {
            return vec![self.oid()];
        }
        self.expect("(");
        self.spaces();
        let mut oids = vec![self.oid()];
        self.spaces();
        while self.rest.starts_with('$') {
            self.expect("$");
            self.spaces();
            oids.push(self.oid());
            self.spaces();
        }
        self.expect(")");
        oids
    }

    /// `qdescrs`, `qdstrings`: one, or several in parentheses.
    fn quoted_list(&mut self) -> Vec<String> {
        if !self.rest.starts_with('(') {
            return vec![self.quoted()];
        }
        self.expect("(");
        self.spaces();
        let mut all = Vec::new();
        while self.rest.starts_with('\'') {
            all.push(self.quoted());
            self.spaces();
        }
        self.expect(")");
        all
    }

    /// `qdstring`: `'` is `\27` and `\` is `\5C`.
    fn quoted(&mut self) -> String {
        self.expect("'");
        let end = self.rest.find('\'').unwrap_or_else(|| panic!("{}", self.text));
        let (inside, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.expect("'");
        assert!(!inside.is_empty(), "{}", self.text);
        let mut text = String::new();
        let mut pieces = inside.split('\\');
        text.push_str(pieces.next().unwrap());
        for piece in pieces {
            let (escape, rest) = piece.split_at(2);
            text.push(match escape {
                "27" => '\'',
                "5C" | "5c" => '\\',
                _ => panic!("\\{escape} in {}", self.text),
            });
            text.push_str(rest);
        }
        text
    }
}

fn is_descriptor(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
}

fn is_numeric_oid(text: &str) -> bool {
    let is_number = |arc: &str| {
        !arc.is_empty()
            && arc.bytes().all(|octet| octet.is_ascii_digit())
            && (arc == "0" || !arc.starts_with('0'))
    };
    text.contains('.') && text.split('.').all(is_number)
}

// ---- the syntaxes of RFC 4517 that entries use ------------------------------------------------------------

fn is_of_syntax(oid: &str, value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else {
        // X.509, JPEG, octets, fax.
        return ["5", "8", "9", "10", "23", "28", "40", "49"]
            .iter()
            .any(|last| oid == format!("1.3.6.1.4.1.1466.115.121.1.{last}"));
    };
    let last = oid.strip_prefix("1.3.6.1.4.1.1466.115.121.1.");
    let printable = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"'()+,-.=/:? ".contains(&octet))
    };
    match last {
        Some("3" | "30" | "31" | "37" | "54") => text.starts_with("( ") && text.ends_with(" )"),
        Some("6") => text.starts_with('\'') && text.ends_with("'B"),
        Some("7") => matches!(text, "TRUE" | "FALSE"),
        Some("11") => text.len() == 2 && printable(text),
        Some("12") => is_dn(text),
        Some("34") => is_dn(text),
        Some("14") => text.split('$').all(|method| {
            matches!(method.trim(), "any" | "mhs" | "physical" | "telex" | "g3fax" | "ia5" | "telephone")
        }),
        Some("15") => !text.is_empty(),
        Some("22") => printable(text.split('$').next().unwrap()),
        Some("24") => {
            let digits = text.strip_suffix('Z').unwrap_or("");
            // As Active Directory writes whenCreated and whenChanged.
            let digits = digits.strip_suffix(".0").unwrap_or(digits);
            digits.len() == 14 && digits.bytes().all(|octet| octet.is_ascii_digit())
        }
        // RFC 6531 has made mail addresses UTF-8; all other IA5 strings of the directory are ASCII.
        Some("26") => text.is_ascii() || text.contains('@'),
        Some("27") => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            !digits.is_empty()
                && digits.bytes().all(|octet| octet.is_ascii_digit())
                && (digits == "0" || !digits.starts_with('0'))
        }
        Some("36") => !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit() || octet == b' '),
        Some("38") => is_descriptor(text) || is_numeric_oid(text),
        Some("39") => {
            text.split_once('$').is_some_and(|(kind, mailbox)| printable(kind) && !mailbox.is_empty())
        }
        Some("41") => !text.is_empty() && text.matches('\\').count() == text.matches("\\24").count(),
        Some("44" | "50") => printable(text),
        Some("45") => text.starts_with('{') && text.ends_with('}'),
        Some("5" | "8" | "9" | "10" | "23" | "28" | "40" | "49") => true,
        _ => oid == "1.3.6.1.1.16.1" && text.len() == 36 && text.matches('-').count() == 4,
    }
}

/// RFC 4514, roughly: types, `=`, values with their escapes.
fn is_dn(text: &str) -> bool {
    let mut is_escaped = false;
    let mut parts = vec![String::new()];
    for character in text.chars() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            ',' | '+' => {
                parts.push(String::new());
                continue;
            }
            '"' | ';' | '<' | '>' => return false,
            _ => {}
        }
        parts.last_mut().unwrap().push(character);
    }
    !is_escaped
        && parts.iter().all(|part| {
            part.split_once('=')
                .is_some_and(|(attribute, _)| is_descriptor(attribute) || is_numeric_oid(attribute))
        })
}
