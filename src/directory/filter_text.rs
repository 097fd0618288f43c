//! Filters as text, `(&(objectClass=person)(uid=al*))` (RFC 4515): for operators, who type them; clients send BER.

use super::filter::{FilterItem, PartPosition};

/// A filter that was read from text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterText {
    items: Vec<Item>,
}

/// A text that is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no filter: {reason} at character {at}; write it such as (&(objectClass=person)(uid=alice))")]
pub struct BadFilter {
    reason: &'static str,
    at: usize,
}

/// As [`FilterItem`], with memory of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    And { items: u32 },
    Or { items: u32 },
    Not { items: u32 },
    Equality { attribute: String, value: Vec<u8> },
    Substrings { attribute: String, parts: u32 },
    Part { kind: PartPosition, value: Vec<u8> },
    GreaterOrEqual { attribute: String, value: Vec<u8> },
    LessOrEqual { attribute: String, value: Vec<u8> },
    Present { attribute: String },
    Approximate { attribute: String, value: Vec<u8> },
    Extensible { rule: Option<String>, attribute: Option<String>, value: Vec<u8>, dn_attributes: bool },
}

impl FilterText {
    /// Reads a filter; the outermost parentheses may be left out of a single assertion, as other tools allow it.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(text: &str) -> Result<Self, BadFilter> {
        let text = text.trim();
        let wrapped;
        let text = if text.starts_with('(') {
            text
        } else {
            wrapped = format!("({text})");
            &wrapped
        };
        let mut parser = Parser { text, at: 0, items: Vec::new() };
        parser.filter(0)?;
        match parser.rest() {
            "" => Ok(Self { items: parser.items }),
            _ => Err(parser.bad("there is something behind its end")),
        }
    }

    /// As the directory takes it.
    pub fn items(&self) -> Vec<FilterItem<'_>> {
        self.items.iter().map(Item::borrowed).collect()
    }
}

impl Item {
    fn borrowed(&self) -> FilterItem<'_> {
        match self {
            Self::And { items } => FilterItem::And { items: *items },
            Self::Or { items } => FilterItem::Or { items: *items },
            Self::Not { items } => FilterItem::Not { items: *items },
            Self::Equality { attribute, value } => FilterItem::Equality { attribute, value },
            Self::Substrings { attribute, parts } => FilterItem::Substrings { attribute, parts: *parts },
            Self::Part { kind, value } => FilterItem::Part { kind: *kind, value },
            Self::GreaterOrEqual { attribute, value } => FilterItem::GreaterOrEqual { attribute, value },
            Self::LessOrEqual { attribute, value } => FilterItem::LessOrEqual { attribute, value },
            Self::Present { attribute } => FilterItem::Present { attribute },
            Self::Approximate { attribute, value } => FilterItem::Approximate { attribute, value },
            Self::Extensible { rule, attribute, value, dn_attributes } => FilterItem::Extensible {
                rule: rule.as_deref(),
                attribute: attribute.as_deref(),
                value,
                dn_attributes: *dn_attributes,
            },
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    items: Vec<Item>,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn bad(&self, reason: &'static str) -> BadFilter {
        let before = self.text.get(..self.at).unwrap_or_default();
        BadFilter { reason, at: before.chars().count() + 1 }
    }

    fn take(&mut self, expected: char) -> bool {
        let is_there = self.rest().starts_with(expected);
        if is_there {
            self.at += expected.len_utf8();
        }
        is_there
    }

    fn filter(&mut self, depth: usize) -> Result<(), BadFilter> {
        if depth > DEPTH_MAX {
            return Err(self.bad("it is nested too deeply"));
        }
        if !self.take('(') {
            return Err(self.bad("a ( is missing"));
        }
        match self.rest().chars().next() {
            Some('&') => self.list(depth, |items| Item::And { items })?,
            Some('|') => self.list(depth, |items| Item::Or { items })?,
            Some('!') => {
                let place = self.begin();
                self.filter(depth + 1)?;
                self.end(place, |items| Item::Not { items });
            }
            _ => self.assertion()?,
        }
        if self.take(')') { Ok(()) } else { Err(self.bad("a ) is missing")) }
    }

    fn list(&mut self, depth: usize, make: fn(u32) -> Item) -> Result<(), BadFilter> {
        let place = self.begin();
        while self.rest().starts_with('(') {
            self.filter(depth + 1)?;
        }
        self.end(place, make);
        Ok(())
    }

    /// Takes the sign of a connective, and keeps its place.
    fn begin(&mut self) -> usize {
        self.at += 1;
        self.items.push(Item::And { items: 0 });
        self.items.len()
    }

    fn end(&mut self, place: usize, make: fn(u32) -> Item) {
        let items = u32::try_from(self.items.len() - place).unwrap_or(u32::MAX);
        if let Some(item) = self.items.get_mut(place - 1) {
            *item = make(items);
        }
    }

    fn assertion(&mut self) -> Result<(), BadFilter> {
        let end = self.rest().find(['(', ')']).unwrap_or(self.rest().len());
        let text = self.rest().get(..end).unwrap_or_default();
        let Some((left, right)) = text.split_once('=') else {
            return Err(self.bad("an assertion has a ="));
        };
        let value = |parser: &Self, text: &str| {
            unescaped(text).ok_or_else(|| parser.bad("a \\ in a value is followed by two hexadecimal digits"))
        };
        let (name, kind) = match left.char_indices().next_back() {
            Some((place, kind @ ('>' | '<' | '~' | ':'))) => {
                (left.get(..place).unwrap_or_default(), Some(kind))
            }
            _ => (left, None),
        };
        if kind == Some(':') {
            let item = extensible(name, value(self, right)?);
            self.items
                .push(item.ok_or_else(|| self.bad("an extensible assertion names an attribute or a rule"))?);
        } else {
            if name.is_empty() || name.contains(char::is_whitespace) {
                return Err(self.bad("an assertion begins with the name of an attribute"));
            }
            let attribute = name.to_owned();
            match kind {
                Some('>') => {
                    let value = value(self, right)?;
                    self.items.push(Item::GreaterOrEqual { attribute, value });
                }
                Some('<') => {
                    let value = value(self, right)?;
                    self.items.push(Item::LessOrEqual { attribute, value });
                }
                Some(_) => {
                    let value = value(self, right)?;
                    self.items.push(Item::Approximate { attribute, value });
                }
                None if right == "*" => self.items.push(Item::Present { attribute }),
                None if right.contains('*') => self.substrings(attribute, right)?,
                None => {
                    let value = value(self, right)?;
                    self.items.push(Item::Equality { attribute, value });
                }
            }
        }
        self.at += end;
        Ok(())
    }

    fn substrings(&mut self, attribute: String, text: &str) -> Result<(), BadFilter> {
        let pieces: Vec<&str> = text.split('*').collect();
        let last = pieces.len() - 1;
        let mut parts = Vec::new();
        for (place, piece) in pieces.into_iter().enumerate().filter(|(_, piece)| !piece.is_empty()) {
            let kind = match place {
                0 => PartPosition::Initial,
                place if place == last => PartPosition::Final,
                _ => PartPosition::Any,
            };
            let value = unescaped(piece)
                .ok_or_else(|| self.bad("a \\ in a value is followed by two hexadecimal digits"))?;
            parts.push(Item::Part { kind, value });
        }
        if parts.is_empty() {
            return Err(self.bad("between two * there is something"));
        }
        let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        self.items.push(Item::Substrings { attribute, parts: count });
        self.items.append(&mut parts);
        Ok(())
    }
}

/// `attribute:dn:rule`, without the `:=`.
fn extensible(left: &str, value: Vec<u8>) -> Option<Item> {
    let mut parts = left.split(':');
    let attribute = parts.next().filter(|name| !name.is_empty()).map(str::to_owned);
    let mut parts: Vec<&str> = parts.collect();
    let dn_attributes = parts.first().is_some_and(|part| part.eq_ignore_ascii_case("dn"));
    if dn_attributes {
        parts.remove(0);
    }
    let rule = match parts.as_slice() {
        [] => None,
        [rule] if !rule.is_empty() => Some((*rule).to_owned()),
        _ => return None,
    };
    if attribute.is_none() && rule.is_none() {
        return None;
    }
    Some(Item::Extensible { rule, attribute, value, dn_attributes })
}

/// A value with its escapes resolved; `None`: one is broken.
fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((octet, after)) = rest.split_first() {
        if *octet != b'\\' {
            octets.push(*octet);
            rest = after;
            continue;
        }
        let (pair, after) = after.split_first_chunk::<2>()?;
        let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        octets.push(digit(pair[0])? << 4 | digit(pair[1])?);
        rest = after;
    }
    Some(octets)
}

/// As deep as the server lets clients nest, by default.
/// No limit of the config: the default of `filter_depth_max`, for the operator's own filters.
const DEPTH_MAX: usize = 100;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        format!("{:?}", FilterText::parse(text).unwrap().items())
    }

    /// The examples of RFC 4515 section 4.
    #[test]
    fn the_examples_of_the_standard_are_read() {
        for text in [
            "(cn=Babs Jensen)",
            "(!(cn=Tim Howes))",
            "(&(objectClass=Person)(|(sn=Jensen)(cn=Babs J*)))",
            "(o=univ*of*mich*)",
            "(seeAlso=)",
            "(cn:caseExactMatch:=Fred Flintstone)",
            "(cn:=Betty Rubble)",
            "(sn:dn:2.4.6.8.10:=Barney Rubble)",
            "(o:dn:=Ace Industry)",
            "(:1.2.3:=Wilma Flintstone)",
            "(:DN:2.4.6.8.10:=Dino)",
            r"(o=Parens R Us \28for all your parenthetical needs\29)",
            r"(cn=*\2A*)",
            r"(filename=C:\5cMyFile)",
            r"(bin=\00\00\00\04)",
            r"(sn=Lu\c4\8di\c4\87)",
            r"(1.3.6.1.4.1.1466.0=\04\02\48\69)",
            "(&)",
            "(|)",
        ] {
            FilterText::parse(text).unwrap();
        }
        assert_eq!(shown(r"(cn=*\2A*)"), shown(r"(cn=*\2a*)"));
        assert!(shown(r"(cn=*\2A*)").contains("Part { kind: Any, value: [42] }"));
        assert!(
            shown("(:DN:2.4.6.8.10:=Dino)").contains("attribute: None")
                && shown("(:DN:2.4:=x)").contains("true")
        );
        assert!(shown("(&(a=1)(!(b=2)))").starts_with("[And { items: 3 }"));
        assert_eq!(shown("uid=alice"), shown("(uid=alice)"));
        assert!(shown("(cn= a )").contains("[32, 97, 32]"));
    }

    #[test]
    fn what_is_none_is_refused_with_its_place() {
        for (text, reason) in [
            ("", "has a ="),
            ("(a=1", "a ) is missing"),
            ("(a=1))", "behind its end"),
            ("(a=1)(b=2)", "behind its end"),
            ("(a)", "has a ="),
            ("(=1)", "name of an attribute"),
            ("(a b=1)", "name of an attribute"),
            (r"(a=\g0)", "hexadecimal"),
            (r"(a=\2)", "hexadecimal"),
            ("(a=**)", "between two *"),
            ("(:=x)", "names an attribute or a rule"),
            ("(a:b:c:=x)", "names an attribute or a rule"),
            ("(!)", "a ( is missing"),
            ("(!(a=1)(b=2))", "a ) is missing"),
        ] {
            let error = FilterText::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
        assert!(FilterText::parse(&"(!".repeat(1_000)).unwrap_err().to_string().contains("too deeply"));
    }
}
