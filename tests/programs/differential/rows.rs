//! Where the two servers differ and may: each row says when and why. A difference that no row explains fails the
//! test, and so does a row that explains nothing.

use std::cell::Cell;
use std::fmt;

use super::client::{Ended, Filter, Search};
use super::tree::{SUFFIX, normal_dn};

/// What a filter says of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    True,
    False,
    Undefined,
}

/// One thing that the servers do not agree on.
pub enum Difference<'a> {
    /// A filter without connectives, about an entry.
    Leaf { leaf: &'a Filter, dn: &'a str, values: &'a [(String, Vec<u8>)], slapd: Truth, bindery: Truth },
    /// The values of one attribute of an entry that both found; `None` where it is not sent.
    Attribute {
        search: &'a Search,
        dn: &'a str,
        name: &'a str,
        slapd: Option<Vec<String>>,
        bindery: Option<Vec<String>>,
    },
    /// The end of a search.
    End { search: &'a Search, slapd: &'a Ended, bindery: &'a Ended },
    /// The end of a comparison.
    Compare { entry: &'a str, attribute: &'a str, value: &'a [u8], slapd: &'a Ended, bindery: &'a Ended },
}

pub struct Row {
    pub reason: &'static str,
    applies: fn(&Difference<'_>) -> bool,
    hits: Cell<usize>,
}

pub struct Table(Vec<Row>);

impl Table {
    pub fn new() -> Self {
        Self(
            rows().into_iter().map(|(reason, applies)| Row { reason, applies, hits: Cell::new(0) }).collect(),
        )
    }

    /// Whether a row explains the difference; the first that does counts.
    pub fn explains(&self, difference: &Difference<'_>) -> bool {
        let row = self.0.iter().find(|row| (row.applies)(difference));
        row.inspect(|row| row.hits.set(row.hits.get() + 1)).is_some()
    }

    pub fn unused(&self) -> Vec<&'static str> {
        self.0.iter().filter(|row| row.hits.get() == 0).map(|row| row.reason).collect()
    }

    pub fn report(&self) -> String {
        self.0.iter().map(|row| format!("{:>7}  {}\n", row.hits.get(), row.reason)).collect()
    }
}

type Applies = fn(&Difference<'_>) -> bool;

/// The reasons, the particular ones first.
fn rows() -> Vec<(&'static str, Applies)> {
    vec![
        // ---- What bindery means to do otherwise ----
        (
            "posixGroup and groupOfUniqueNames are auxiliary here, so a group that is nothing else is groupOfNames too",
            is_of_group_made_whole,
        ),
        ("`top` allows memberOf, a user attribute here, so that @class selects it", |d| {
            matches!(d, Difference::Attribute { search, name, slapd: None, .. }
                if name.eq_ignore_ascii_case("memberOf")
                    && search.attributes.iter().any(|asked| asked.starts_with('@')))
        }),
        (
            "attributes asked for as one string with commas are taken apart; slapd knows no type of that name",
            |d| {
                matches!(d, Difference::Attribute { search, slapd: None, .. }
                if search.attributes.iter().any(|asked| asked.contains(',')))
            },
        ),
        (
            "`>=` and `<=` work on attributes whose definition names no ORDERING rule: clients ask and sort so",
            |d| {
                is_undefined_there(d, |leaf| {
                    matches!(leaf.kind, Kind::Ordering) && !ORDERED_THERE.contains(&leaf.base.as_str())
                })
            },
        ),
        ("substrings work on attributes whose definition names no SUBSTR rule", |d| {
            is_undefined_there(d, |leaf| {
                matches!(leaf.kind, Kind::Parts)
                    && ["homedirectory", "loginshell", "labeleduri"].contains(&leaf.base.as_str())
            })
        }),
        ("`~=` is equality; slapd's is by sound, and does not hear every script", |d| {
            let approximate = |leaf: &Asserted<'_>| matches!(leaf.kind, Kind::Approximate);
            is_leaf(d, Truth::True, Truth::False, approximate)
                || is_leaf(d, Truth::False, Truth::True, |leaf| {
                    approximate(leaf) && leaf.values.iter().any(|value| !value.is_ascii())
                })
        }),
        ("the rules for text apply to every syntax of text: RFC 4517 gives each its own", |d| {
            let with_rule = |leaf: &Asserted<'_>| leaf.rule.is_some_and(is_rule_for_text);
            let anywhere = |leaf: &Asserted<'_>| with_rule(leaf) && leaf.base.is_empty();
            is_undefined_there(d, with_rule) || is_leaf(d, Truth::False, Truth::True, anywhere)
        }),
        (
            "characters outside ASCII are compared where the syntax is IA5 or printable: mail and gecos hold them",
            |d| {
                is_undefined_there(d, |leaf| {
                    leaf.values.iter().any(|value| !value.is_ascii())
                        && (ASCII_ONLY.contains(&leaf.base.as_str()) || NAMES.contains(&leaf.base.as_str()))
                })
            },
        ),
        (
            "the in-chain rule follows every attribute of names, as in Active Directory; slapd has no such rule",
            |d| is_undefined_there(d, |leaf| leaf.rule == Some("1.2.840.113556.1.4.1941")),
        ),
        (
            "memberUid and homeDirectory are Directory Strings here, of which none is empty; to RFC 2307 they are IA5",
            |d| {
                is_leaf(d, Truth::False, Truth::Undefined, |leaf| {
                    ["homedirectory", "memberuid"].contains(&leaf.base.as_str())
                        && leaf.values.iter().all(|value| value.is_empty())
                })
            },
        ),
        ("any option is a tag; slapd knows languages", |d| {
            is_undefined_there(d, |leaf| leaf.options.contains(&"x-none"))
        }),
        (
            "an operational attribute (to slapd objectClass is one) with an option is one that no entry has, there none at all",
            |d| {
                is_undefined_there(d, |leaf| {
                    OPERATIONAL.contains(&leaf.base.as_str())
                        && leaf.options.iter().any(|option| option.to_lowercase().starts_with("lang-"))
                })
            },
        ),
        ("characters that RFC 4518 section 2.2 maps to nothing are nothing; slapd keeps them", |d| {
            is_leaf(d, Truth::False, Truth::True, |leaf| has(leaf, "\u{ad}"))
                || is_leaf(d, Truth::True, Truth::False, |leaf| leaf.is_ordering() && has(leaf, "\u{ad}"))
                || is_entry_with(d, "\u{ad}", Truth::False, Truth::True)
                || (is_compared(d, 5, &[6])
                    && matches!(d, Difference::Compare { value, .. }
                    if String::from_utf8_lossy(value).contains('\u{ad}')))
        }),
        (
            "letters fold as RFC 4518 appendix B.2 says, \u{df} to ss and both sigmas to one; slapd folds one to one",
            |d| {
                let letters = ["\u{df}", "\u{3c2}"];
                let folds = |from, to| {
                    letters.iter().any(|letter| {
                        is_leaf(d, from, to, |leaf| has(leaf, letter)) || is_entry_with(d, letter, from, to)
                    })
                };
                folds(Truth::False, Truth::True)
                    || matches!(d, Difference::End { search, slapd, bindery }
                    if search.base.to_lowercase().contains("strasse") && (slapd.code, bindery.code) == (32, 0))
                    || (is_compared(d, 32, &[5, 6, 16])
                        && matches!(d, Difference::Compare { entry, .. }
                        if entry.to_lowercase().contains("strasse")))
            },
        ),
        ("times are read leniently: with a small z, without a zone", |d| {
            is_undefined_there(d, |leaf| {
                TIMES.contains(&leaf.base.as_str())
                    && leaf.values.iter().any(|value| value.starts_with(b"20") && !value.ends_with(b"Z"))
            })
        }),
        ("an empty value in a DN is one, also where the type's syntax wants a character", |d| {
            is_undefined_there(d, |leaf| {
                NAMES.contains(&leaf.base.as_str()) && leaf.values.iter().any(|value| value.ends_with(b"="))
            })
        }),
        (
            "spaces at the ends of a part of a substring count (src/schema/prepare.rs); slapd loses them in IA5 text",
            |d| {
                is_leaf(d, Truth::True, Truth::False, |leaf| {
                    matches!(leaf.kind, Kind::Parts)
                        && leaf.values.iter().any(|value| value.starts_with(b" ") || value.ends_with(b" "))
                })
            },
        ),
        ("a class that nobody knows matches what is spelled the same (src/schema/matching.rs)", |d| {
            is_leaf(d, Truth::Undefined, Truth::False, |leaf| {
                ["objectclass", "2.5.4.0", "structuralobjectclass"].contains(&leaf.base.as_str())
            })
        }),
        ("an unknown type in a DN that is asked for names nothing; to slapd the value is no DN", |d| {
            is_undefined_there(d, |leaf| {
                let is_unknown =
                    |value: &[u8]| value.starts_with(b"equals") || value.starts_with(b"nosuchtype=");
                NAMES.contains(&leaf.base.as_str()) && leaf.values.iter().any(|value| is_unknown(value))
            })
        }),
        ("all characters are compared where the syntax is a telephone number", |d| {
            is_undefined_there(d, |leaf| {
                let is_number =
                    TELEPHONES.contains(&leaf.base.as_str()) || leaf.rule == Some("telephoneNumberMatch");
                let is_printable =
                    |octet: &u8| octet.is_ascii_alphanumeric() || b"'()+,-./:=? ".contains(octet);
                is_number && leaf.values.iter().any(|value| !value.iter().all(is_printable))
            })
        }),
        ("a first part of spaces alone stands before every value (RFC 4518 section 2.6.1)", |d| {
            is_leaf(d, Truth::False, Truth::True, |leaf| {
                matches!(leaf.kind, Kind::Parts)
                    && !TELEPHONES.contains(&leaf.base.as_str())
                    && leaf.values.iter().any(|value| value.iter().all(|octet| *octet == b' '))
            })
        }),
        (
            "slapd takes no extensible match by UUIDMatch or objectIdentifierMatch, nor of what it computes",
            |d| {
                let by_class = |leaf: &Asserted<'_>| leaf.rule == Some("objectIdentifierMatch");
                let computed = |leaf: &Asserted<'_>| {
                    matches!(leaf.kind, Kind::Extensible) && leaf.base == "hassubordinates"
                };
                is_undefined_there(d, |leaf| {
                    matches!(leaf.kind, Kind::Extensible) && (leaf.base == "entryuuid" || by_class(leaf))
                }) || is_leaf(d, Truth::False, Truth::Undefined, by_class)
                    || is_leaf(d, Truth::False, Truth::True, computed)
            },
        ),
        ("structuralObjectClass is one class; slapd finds it by those above it too", |d| {
            is_leaf(d, Truth::True, Truth::False, |leaf| {
                leaf.base == "structuralobjectclass" && (has(leaf, "person") || has(leaf, "top"))
            })
        }),
        ("integers are read with leading zeros", |d| {
            is_undefined_there(d, |leaf| {
                let is_number = ["uidnumber", "gidnumber", "1.3.6.1.1.1.1.0"].contains(&leaf.base.as_str())
                    || leaf.rule.is_some_and(|rule| rule.starts_with("integer"));
                is_number && leaf.values.iter().any(|value| value.starts_with(b"0"))
            })
        }),
        (
            "an extensible match without a type looks at numSubordinates and entryDN too, which slapd does not store",
            |d| {
                is_leaf(d, Truth::False, Truth::True, |leaf| {
                    leaf.base.is_empty()
                        && matches!(
                            leaf.rule,
                            Some(
                                "integerOrderingMatch" | "1.2.840.113556.1.4.803" | "distinguishedNameMatch"
                            )
                        )
                })
            },
        ),
        // ---- What each server says of itself ----
        ("suffix and containers are bindery's own: with other UUIDs and times than those in the file", |d| {
            let of_its_own = ["entryuuid", "createtimestamp", "modifytimestamp"];
            match d {
                Difference::Leaf { leaf, dn, .. } => {
                    is_container(dn) && of_its_own.contains(&Asserted::of(leaf).base.as_str())
                }
                Difference::Compare { entry, attribute, .. } => {
                    is_container(&normal_dn(entry)) && of_its_own.contains(&attribute.to_lowercase().as_str())
                }
                Difference::Attribute { dn, name, .. } => {
                    is_container(dn) && of_its_own.contains(&name.to_lowercase().as_str())
                }
                _ => false,
            }
        }),
        ("entryCSN is slapd's", |d| is_attribute(d, "entryCSN")),
        ("numSubordinates is bindery's", |d| is_attribute(d, "numSubordinates")),
        ("the root DSE says what each server is and can do", |d| {
            matches!(d, Difference::Attribute { dn: "", .. })
        }),
        // ---- Codes ----
        ("an unknown type in a DN names nothing (32); to slapd the DN is invalid (34)", |d| {
            let codes = match d {
                Difference::End { slapd, bindery, .. } | Difference::Compare { slapd, bindery, .. } => {
                    (slapd.code, bindery.code)
                }
                _ => return false,
            };
            let base = match d {
                Difference::End { search, .. } => &search.base,
                Difference::Compare { entry, .. } => *entry,
                _ => return false,
            };
            codes == (34, 32) && base.starts_with("nosuchtype=")
        }),
        (
            "compare with an unknown attribute is noSuchAttribute, or by the entry (RFC 4511 section 4.10)",
            |d| is_compared(d, 17, &[16, 32]),
        ),
        (
            "compare with a value of the wrong syntax is Undefined, so false (RFC 4511 appendix A), or by the entry",
            |d| is_compared(d, 21, &[5, 16, 32]),
        ),
        ("compare of what has no equality rule is Undefined, so false, or by the entry", |d| {
            is_compared(d, 18, &[5, 16, 32])
        }),
        ("compare takes characters outside ASCII, as filters do", |d| {
            is_compared(d, 21, &[6]) && matches!(d, Difference::Compare { value, .. } if !value.is_ascii())
        }),
        ("compare of entryDN and subschemaSubentry works", |d| {
            matches!(d, Difference::Compare { attribute, .. } if ["entrydn", "subschemasubentry"].contains(&attribute.to_lowercase().as_str()))
                && is_compared(d, 53, &[5, 6, 32])
        }),
        ("secrets are not there; slapd's rule refuses to compare them", |d| {
            matches!(d, Difference::Compare { attribute, .. } if attribute.to_lowercase().starts_with("userpassword"))
                && is_compared(d, 50, &[16])
        }),
    ]
}

/// A leaf, read.
struct Asserted<'a> {
    kind: Kind,
    /// The attribute type in lower case; empty where there is none.
    base: String,
    options: Vec<&'a str>,
    values: Vec<&'a [u8]>,
    rule: Option<&'a str>,
}

enum Kind {
    Equality,
    Ordering,
    Approximate,
    Parts,
    Extensible,
}

impl<'a> Asserted<'a> {
    fn is_ordering(&self) -> bool {
        matches!(self.kind, Kind::Ordering) || self.rule.is_some_and(|rule| rule.ends_with("OrderingMatch"))
    }

    fn of(leaf: &'a Filter) -> Self {
        let one = |value: &'a Vec<u8>| vec![value.as_slice()];
        let (kind, description, values, rule) = match leaf {
            Filter::Equal(attribute, value) => (Kind::Equality, attribute.as_str(), one(value), None),
            Filter::AtLeast(attribute, value) | Filter::AtMost(attribute, value) => {
                (Kind::Ordering, attribute.as_str(), one(value), None)
            }
            Filter::Approximate(attribute, value) => {
                (Kind::Approximate, attribute.as_str(), one(value), None)
            }
            Filter::Parts(attribute, parts) => {
                let parts = parts.iter().map(|(_, value)| value.as_slice()).collect();
                (Kind::Parts, attribute.as_str(), parts, None)
            }
            Filter::Extensible { rule, attribute, value, .. } => {
                (Kind::Extensible, attribute.as_deref().unwrap_or_default(), one(value), rule.as_deref())
            }
            Filter::Present(attribute) => (Kind::Equality, attribute.as_str(), Vec::new(), None),
            Filter::And(_) | Filter::Or(_) | Filter::Not(_) => unreachable!("a leaf"),
        };
        let mut parts = description.split(';');
        let base = parts.next().unwrap_or_default().to_lowercase();
        Self { kind, base, options: parts.collect(), values, rule }
    }
}

fn is_leaf(d: &Difference<'_>, there: Truth, here: Truth, test: impl Fn(&Asserted<'_>) -> bool) -> bool {
    matches!(d, Difference::Leaf { leaf, slapd, bindery, .. }
        if *slapd == there && *bindery == here && test(&Asserted::of(leaf)))
}

fn is_undefined_there(d: &Difference<'_>, test: impl Fn(&Asserted<'_>) -> bool) -> bool {
    is_leaf(d, Truth::Undefined, Truth::True, &test) || is_leaf(d, Truth::Undefined, Truth::False, test)
}

/// Whether the assertion holds the text.
fn has(leaf: &Asserted<'_>, text: &str) -> bool {
    leaf.values.iter().any(|value| String::from_utf8_lossy(value).contains(text))
}

/// Whether a value of the entry holds the text, in some case.
fn is_entry_with(d: &Difference<'_>, text: &str, there: Truth, here: Truth) -> bool {
    let Difference::Leaf { values, .. } = d else { return false };
    is_leaf(d, there, here, |_| true)
        && values.iter().any(|(_, value)| {
            let value = String::from_utf8_lossy(value);
            value.contains(text) || (text == "\u{3c2}" && value.contains('\u{3a3}'))
        })
}

/// Whether a group that is no groupOfNames there is one here.
fn is_of_group_made_whole(d: &Difference<'_>) -> bool {
    let is_member = |base: &str| ["", "member", "2.5.4.31", "distinguishedname"].contains(&base);
    let is_class = |base: &str| ["objectclass", "2.5.4.0"].contains(&base);
    let is_structural = |base: &str| base == "structuralobjectclass";
    match d {
        Difference::Leaf { leaf, values, slapd, bindery, .. } => {
            let base = Asserted::of(leaf).base;
            let mut classes = values.iter().filter(|(name, _)| name == "objectClass").map(|(_, value)| value);
            let is_bare = classes.all(|class| BARE_GROUP.iter().any(|bare| bare.as_bytes() == class));
            let is_more = (slapd, bindery) == (&Truth::False, &Truth::True);
            let is_less = (slapd, bindery) == (&Truth::True, &Truth::False);
            is_bare && (is_structural(&base) && is_less || (is_member(&base) || is_class(&base)) && is_more)
        }
        Difference::Attribute { dn, name, slapd, bindery, .. } if dn.contains("ou=groups") => {
            let more: Vec<&String> = bindery
                .iter()
                .flatten()
                .filter(|value| !slapd.iter().flatten().any(|other| other == *value))
                .collect();
            match *name {
                "member" => slapd.is_none(),
                "objectClass" | "structuralObjectClass" => more == ["groupOfNames"],
                _ => false,
            }
        }
        Difference::Compare { entry, attribute, .. } if entry.contains("ou=groups") => {
            let base = attribute.to_lowercase();
            is_member(&base) && is_compared(d, 16, &[5, 6])
                || is_class(&base) && is_compared(d, 5, &[6])
                || is_structural(&base) && (is_compared(d, 6, &[5]) || is_compared(d, 5, &[6]))
        }
        _ => false,
    }
}

fn is_attribute(d: &Difference<'_>, wanted: &str) -> bool {
    matches!(d, Difference::Attribute { name, .. } if *name == wanted)
}

fn is_container(dn: &str) -> bool {
    dn == SUFFIX || dn.starts_with("ou=")
}

fn is_compared(d: &Difference<'_>, there: u32, here: &[u32]) -> bool {
    matches!(d, Difference::Compare { slapd, bindery, .. } if slapd.code == there && here.contains(&bindery.code))
}

fn is_rule_for_text(rule: &str) -> bool {
    rule.to_lowercase().starts_with("case") || ["2.5.13.2", "2.5.13.5"].contains(&rule)
}

/// Attributes for which slapd's schema names an ORDERING rule.
const ORDERED_THERE: [&str; 6] =
    ["createtimestamp", "modifytimestamp", "entryuuid", "uidnumber", "gidnumber", "1.3.6.1.1.1.1.0"];
/// The classes of a group that is nothing else here.
const BARE_GROUP: [&str; 3] = ["top", "groupOfUniqueNames", "posixGroup"];
const TELEPHONES: [&str; 3] = ["telephonenumber", "mobile", "2.5.4.20"];
const TIMES: [&str; 2] = ["createtimestamp", "modifytimestamp"];
const OPERATIONAL: [&str; 9] = [
    "objectclass",
    "createtimestamp",
    "modifytimestamp",
    "entryuuid",
    "entrydn",
    "structuralobjectclass",
    "hassubordinates",
    "creatorsname",
    "subschemasubentry",
];
/// Attributes whose syntax is IA5 or printable text.
const ASCII_ONLY: [&str; 11] = [
    "mail",
    "rfc822mailbox",
    "gecos",
    "homedirectory",
    "loginshell",
    "memberuid",
    "dc",
    "telephonenumber",
    "2.5.4.20",
    "mobile",
    "c",
];
/// Attributes whose values are DNs; one below a `dc` holds IA5 text.
const NAMES: [&str; 10] = [
    "member",
    "2.5.4.31",
    "uniquemember",
    "memberof",
    "manager",
    "seealso",
    "entrydn",
    "creatorsname",
    "distinguishedname",
    "subschemasubentry",
];

impl Difference<'_> {
    /// What differences of one cause have in common.
    pub fn kind(&self) -> String {
        match self {
            Self::Leaf { leaf, .. } => format!("leaf {leaf}"),
            Self::Attribute { name, slapd, bindery, .. } => {
                format!("attribute {name} {} {}", slapd.is_some(), bindery.is_some())
            }
            Self::End { slapd, bindery, .. } => format!("end {} {}", slapd.code, bindery.code),
            Self::Compare { attribute, slapd, bindery, .. } => {
                format!("compare {attribute} {} {}", slapd.code, bindery.code)
            }
        }
    }
}

impl fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leaf { leaf, dn, slapd, bindery, .. } => {
                write!(f, "filter {leaf}\n  dn: {dn}\n- {slapd:?}\n+ {bindery:?}")
            }
            Self::Attribute { search, dn, name, slapd, bindery } => {
                writeln!(f, "{search}\n  dn: {dn}")?;
                let none = Vec::new();
                for (sign, own, other) in [('-', slapd, bindery), ('+', bindery, slapd)] {
                    if own.as_ref().is_some_and(Vec::is_empty) && other.is_none() {
                        writeln!(f, "{sign} {name}:")?;
                    }
                    let other = other.as_ref().unwrap_or(&none);
                    for value in own.iter().flatten().filter(|value| !other.contains(value)) {
                        writeln!(f, "{sign} {name}: {value}")?;
                    }
                }
                Ok(())
            }
            Self::End { search, slapd, bindery } => write!(f, "{search}\n- {slapd:?}\n+ {bindery:?}"),
            Self::Compare { entry, attribute, value, slapd, bindery } => {
                let value = value.escape_ascii();
                write!(f, "compare {entry:?} {attribute:?} \"{value}\"\n- {slapd:?}\n+ {bindery:?}")
            }
        }
    }
}
