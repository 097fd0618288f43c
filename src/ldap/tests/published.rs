//! What the subschema says of rules and attributes is so wherever a client asks by one: in assertions, with the DN and
//! without, in values that are wanted, in compares, orders and list views. Filters are asked beside the reference in
//! `directory::tests::searches`.

use std::collections::BTreeMap;

use ldap3_proto::proto::{LdapOp, LdapSearchResultEntry, LdapSearchScope};

use super::client::{Client, Reply, element, encode, search, with_controls};
use super::orders::{SORT, VIEW, VIEWED};
use super::world::{ALICE, BASE, BOB, World};
use crate::model::Attribute;
use crate::schema::{AttributeId, AttributeType, Dn, MatchingRule, RuleKind, Schema, Syntax};

const MATCHED_VALUES: &str = "1.2.826.0.1.3344810.2.3";
const ASSERTION: &str = "1.3.6.1.1.12";

/// People with a value, or two, of every attribute that can be given, and who asks for all of it.
struct Published {
    schema: Schema,
    client: Client,
    entries: Vec<LdapSearchResultEntry>,
}

impl Published {
    fn new() -> Self {
        let world = World::new();
        let schema = world.registry.snapshot().schema().clone();
        for account in [ALICE, BOB] {
            let attributes =
                schema.attributes().filter(|attribute| can_be_given(attribute)).map(given).collect();
            world.change_account(account, |account| account.attributes = attributes);
        }
        let mut client = Client::reader(&world);
        let all = search(BASE, LdapSearchScope::Subtree, "(objectClass=*)", &["*", "+"]);
        let entries = client.search(all).entries().into_iter().cloned().collect();
        Self { schema, client, entries }
    }

    /// Values of an attribute, without those that have options, each with the DN of an entry that has it.
    fn samples(&self, id: AttributeId) -> Vec<(String, Vec<u8>)> {
        let mut samples = BTreeMap::new();
        for entry in &self.entries {
            let own = entry.attributes.iter().filter(|own| self.schema.find(&own.atype) == Some(id));
            for value in own.flat_map(|own| &own.vals) {
                samples.entry(value.clone()).or_insert_with(|| entry.dn.clone());
            }
        }
        samples.into_iter().take(4).map(|(value, dn)| (dn, value)).collect()
    }

    /// Reads an entry with a critical control.
    fn read(&mut self, dn: &str, attribute: &str, control: &str, value: Vec<u8>) -> Reply {
        let request = search(dn, LdapSearchScope::Base, "(objectClass=*)", &[attribute]);
        let request = encode(self.client.id(), LdapOp::SearchRequest(request));
        self.client.send(&with_controls(&request, &[(control, true, Some(value))]))
    }

    /// An assertion that is true of an entry, as it has this value.
    fn asserts(&mut self, dn: &str, attribute: &str, value: &[u8], assertion: &[u8]) {
        let told = || format!("{} of {dn}", assertion.escape_ascii());
        let reply = self.read(dn, "1.1", ASSERTION, assertion.to_vec());
        assert_eq!((reply.result().code.clone() as u8, reply.entries().len()), (0, 1), "{}", told());
        let reply = self.read(dn, attribute, MATCHED_VALUES, element(0x30, assertion));
        reply.is(0);
        let mut values = reply.entry().attributes.iter().flat_map(|attribute| &attribute.vals);
        assert!(values.any(|found| found == value), "{}", told());
    }
}

fn can_be_given(attribute: &AttributeType) -> bool {
    !attribute.secret
        && !attribute.is_operational()
        && !attribute.id.is_computed()
        && ![AttributeId::OBJECT_CLASS, AttributeId::GID_NUMBER, AttributeId::UID_NUMBER]
            .contains(&attribute.id)
}

fn given(attribute: &AttributeType) -> Attribute {
    let values: &[&[u8]] = match attribute.syntax {
        Syntax::Dn | Syntax::NameAndOptionalUid => {
            &[b"cn=elsewhere,dc=com", b"cn=bob,ou=users,dc=example,dc=org"]
        }
        Syntax::Integer => &[b"6", b"-1"],
        Syntax::Boolean => &[b"TRUE"],
        Syntax::GeneralizedTime => &[b"20240101000000Z", b"20250101000000Z"],
        Syntax::Oid => &[b"2.5.4.3"],
        Syntax::BitString => &[b"'0101'B"],
        Syntax::NumericString => &[b"12 34", b"7"],
        Syntax::TelephoneNumber => &[b"+49 30 1234"],
        Syntax::CountryString => &[b"DE"],
        Syntax::Uuid => &[b"597ae2f6-16a6-1027-98f4-d28b5365dc14"],
        // No part of a line stands across two (RFC 4517 section 4.2.14).
        Syntax::PostalAddress => &[b"1 Street"],
        _ => &[b"A b", b"c"],
    };
    let count = if attribute.single_valued { 1 } else { values.len() };
    let values = values.iter().take(count).map(|value| value.to_vec()).collect();
    Attribute { description: attribute.name.to_string(), values }
}

/// The rules of matchingRuleUse with the attributes that each applies to.
fn uses(schema: &Schema) -> Vec<(MatchingRule, String)> {
    let mut uses = Vec::new();
    for published in schema.subschema_values(AttributeId::MATCHING_RULE_USE) {
        let words: Vec<&str> = published.split(' ').filter(|word| !["(", ")", "$"].contains(word)).collect();
        let applies = words.iter().position(|word| *word == "APPLIES").unwrap();
        let rule = MatchingRule::find(words[0]).unwrap();
        uses.extend(words[applies + 1..].iter().map(|name| (rule, (*name).to_owned())));
    }
    uses
}

fn extensible(rule: MatchingRule, attribute: &str, value: &[u8], dn_attributes: bool) -> Vec<u8> {
    let dn_attributes = if dn_attributes { element(0x84, &[0xff]) } else { Vec::new() };
    let parts = [
        element(0x81, rule.oid().as_bytes()),
        element(0x82, attribute.as_bytes()),
        element(0x83, value),
        dn_attributes,
    ];
    element(0xa9, &parts.concat())
}

fn pair(tag: u8, attribute: &str, value: &[u8]) -> Vec<u8> {
    element(tag, &[element(4, attribute.as_bytes()), element(4, value)].concat())
}

fn form(rule: MatchingRule, value: &[u8]) -> Option<Vec<u8>> {
    let mut form = Vec::new();
    rule.normalize(value, &mut form).ok().map(|()| form)
}

#[test]
fn assertions_wanted_values_and_compares_go_by_each_published_rule() {
    let mut published = Published::new();
    let schema = published.schema.clone();
    let mut asked = 0;
    for (rule, name) in uses(&schema) {
        let id = schema.find(&name).unwrap();
        if schema.is_secret(id) || rule.kind() != RuleKind::Equality {
            continue;
        }
        for (dn, value) in published.samples(id) {
            // Nought has no bit.
            if form(rule, &value).is_some() && (rule != MatchingRule::BitOr || value != b"0") {
                published.asserts(&dn, &name, &value, &extensible(rule, &name, &value, false));
                asked += 1;
            }
        }
        // What stands in a DN, wherever in it.
        let dns: Vec<String> = published.entries.iter().map(|entry| entry.dn.clone()).collect();
        for dn in dns {
            let parsed = Dn::parse(dn.as_bytes()).unwrap();
            for own in parsed.rdns().iter().flat_map(|rdn| rdn.pairs()) {
                if schema.find(&own.attribute) == Some(id) && form(rule, &own.value).is_some() {
                    let assertion = extensible(rule, &name, &own.value, true);
                    published.read(&dn, "1.1", ASSERTION, assertion).is(0);
                    asked += 1;
                }
            }
        }
    }
    let attributes: Vec<AttributeType> = schema.attributes().filter(|own| !own.secret).cloned().collect();
    for attribute in &attributes {
        let name = &attribute.name;
        for (dn, value) in published.samples(attribute.id) {
            let sound = |rule: Option<MatchingRule>| rule.is_some_and(|rule| form(rule, &value).is_some());
            if sound(attribute.equality) {
                published.client.compare(&dn, name, &value).is(6);
                published.asserts(&dn, name, &value, &pair(0xa3, name, &value));
                asked += 1;
            }
            if sound(attribute.ordering) {
                published.asserts(&dn, name, &value, &pair(0xa5, name, &value));
                published.asserts(&dn, name, &value, &pair(0xa6, name, &value));
                asked += 1;
            }
            if sound(attribute.substrings) && !value.is_empty() {
                for tag in [0x80, 0x81, 0x82] {
                    let parts = element(0x30, &element(tag, &value));
                    let substrings = element(0xa4, &[element(4, name.as_bytes()), parts].concat());
                    published.asserts(&dn, name, &value, &substrings);
                }
                asked += 1;
            }
        }
    }
    assert!(asked > 1_000, "{asked}");
}

#[test]
fn orders_and_list_views_go_by_each_published_rule() {
    let mut published = Published::new();
    let schema = published.schema.clone();
    let named = uses(&schema).into_iter().filter(|(rule, _)| rule.kind() == RuleKind::Ordering);
    let own = schema.attributes().filter(|attribute| attribute.ordering.is_some() && !attribute.secret);
    let own = own.map(|attribute| (attribute.name.to_string(), None));
    let keys: Vec<(String, Option<MatchingRule>)> =
        named.map(|(rule, name)| (name, Some(rule))).chain(own).collect();
    assert!(keys.len() > 100, "{}", keys.len());
    let mut asked = 0;
    for (name, named) in keys {
        let id = schema.find(&name).unwrap();
        let rule = named.or(schema.attribute(id).ordering_rule()).unwrap();
        if schema.is_secret(id) {
            continue;
        }
        // To clients of Active Directory nothing is derived from it.
        let types = if id == AttributeId::DISTINGUISHED_NAME { &[id][..] } else { schema.subtypes(id) };
        let least_of = |entry: &LdapSearchResultEntry| {
            let is_meant = |found: AttributeId| types.contains(&found);
            let of_types = entry.attributes.iter().filter(|own| {
                schema.find(own.atype.split(';').next().unwrap_or_default()).is_some_and(is_meant)
            });
            of_types.flat_map(|own| &own.vals).filter_map(|value| form(rule, value)).min()
        };
        let key = element(4, name.as_bytes());
        let rule_of = named.map(|rule| element(0x80, rule.oid().as_bytes())).unwrap_or_default();
        let order = (SORT, true, Some(element(0x30, &element(0x30, &[key, rule_of].concat()))));
        let samples = published.samples(id);
        let count = published.entries.len();
        let mut ask = |attributes: &[&str], controls: &[(&str, bool, Option<Vec<u8>>)]| {
            let request = search(BASE, LdapSearchScope::Subtree, "(objectClass=*)", attributes);
            let request = encode(published.client.id(), LdapOp::SearchRequest(request));
            published.client.send(&with_controls(&request, controls))
        };
        let reply = ask(&["*", "+"], std::slice::from_ref(&order));
        reply.is(0);
        let forms: Vec<Option<Vec<u8>>> = reply.entries().into_iter().map(least_of).collect();
        let with_values: Vec<&Vec<u8>> = forms.iter().flatten().collect();
        assert_eq!(forms.len(), count, "{name} by {rule:?}");
        assert!(with_values.is_sorted(), "{name} by {rule:?}: {forms:?}");
        assert!(forms[with_values.len()..].iter().all(Option::is_none), "{name} by {rule:?}");
        for (_, value) in samples.into_iter().take(2) {
            let Some(wanted) = form(rule, &value) else { continue };
            let window = [element(2, &[0]), element(2, &[0]), element(0x81, &value)].concat();
            let reply = ask(&["1.1"], &[order.clone(), (VIEW, true, Some(element(0x30, &window)))]);
            reply.is(0);
            let viewed = reply.control(VIEWED).unwrap();
            let mut viewed = crate::ldap::ber::BerReader::new(&viewed).sequence().unwrap();
            let before = with_values.iter().filter(|form| ***form < wanted).count();
            assert_eq!(viewed.integer().unwrap(), before as i64 + 1, "{name} by {rule:?}");
            asked += 1;
        }
    }
    assert!(asked > 100, "{asked}");
}
