//! bindery beside OpenLDAP's slapd: the same tree in both, thousands of searches and comparisons made from a
//! seed, and no difference but those that the table in `rows.rs` gives a reason for.
//!
//! Two filters that differ are taken apart: each leaf is asked of both servers, alone and negated, which shows
//! whether it is True, False or Undefined for an entry. A difference must come from leaves that a row explains,
//! and what bindery makes of its own leaves must follow RFC 4511's three-valued logic.
//!
//! `BINDERY_DIFFERENTIAL_SEED=n` tries another seed.

mod client;
mod rows;
mod searches;
mod servers;
mod tree;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use crate::support::Place;
use crate::support::rounds::rounds;
use client::{Answer, Client, Filter, Search};
use rows::{Difference, Table, Truth};
use servers::Slapd;
use tree::{Random, SUFFIX, Tree, normal_dn};

#[test]
fn bindery_answers_as_slapd_does() {
    let seed = std::env::var("BINDERY_DIFFERENTIAL_SEED").map_or(20_240_229, |seed| seed.parse().unwrap());
    let count = rounds(3_000);
    eprintln!("seed {seed}, {count} searches");
    let mut random = Random::new(seed);
    let tree = Tree::new(&mut random);
    let place = Place::new("");
    let ldif = place.path("tree.ldif");
    std::fs::write(&ldif, tree.ldif()).unwrap();
    let slapd = Slapd::start(&place.path(""), &ldif);
    let server = servers::bindery(&place, &tree, &ldif);
    let mut both = Both {
        slapd: slapd.client(),
        bindery: servers::client(&server),
        table: Table::new(),
        values: Rc::new(tree.items.iter().map(|item| (normal_dn(&item.dn), item.values.clone())).collect()),
        truths: HashMap::new(),
        found: HashMap::new(),
        unexplained: BTreeMap::new(),
    };
    let mut maker = searches::Maker::new(&mut random, &tree);
    for search in searches::written() {
        both.search(&search);
    }
    for (entry, attribute, value) in searches::written_comparisons(&tree) {
        both.compare(&entry, &attribute, &value);
    }
    for number in 0..count {
        match number % 10 {
            0 => {
                let (entry, attribute, value) = maker.comparison();
                both.compare(&entry, &attribute, &value);
            }
            1 => {
                let leaf = maker.leaf();
                both.leaf(&leaf);
            }
            2 => both.limited(&maker.limited()),
            _ => both.search(&maker.search()),
        }
    }
    eprintln!("differences that have a reason:\n{}", both.table.report());
    let shown: String = both
        .unexplained
        .values()
        .take(40)
        .map(|(count, first)| format!("{count} like this: {first}\n\n"))
        .collect();
    assert!(
        both.unexplained.is_empty(),
        "seed {seed}: {} kinds of differences without a reason (- slapd, + bindery):\n\n{shown}",
        both.unexplained.len()
    );
    let unused = both.table.unused();
    assert!(unused.is_empty(), "seed {seed}: rows that explain nothing any more: {unused:#?}");
}

struct Both {
    slapd: Client,
    bindery: Client,
    table: Table,
    /// What stands in each entry.
    values: Rc<Values>,
    /// What each server says of a leaf, by its text: slapd's, then bindery's.
    truths: HashMap<String, [Rc<Truths>; 2]>,
    /// The entries below a base, by base and scope.
    found: HashMap<(String, u8), Rc<BTreeSet<String>>>,
    /// By what they have in common: how many, and the first.
    unexplained: BTreeMap<String, (usize, String)>,
}

/// By DN: descriptions with a value each.
type Values = BTreeMap<String, Vec<(String, Vec<u8>)>>;

/// For which entries a leaf is true, and for which its negation is.
#[derive(Default)]
struct Truths {
    holds: BTreeSet<String>,
    fails: BTreeSet<String>,
}

impl Both {
    fn search(&mut self, search: &Search) {
        let (slapd, bindery) = (self.slapd.search(search), self.bindery.search(search));
        self.end(search, &slapd, &bindery);
        let (found_there, found_here) = (by_dn(&slapd), by_dn(&bindery));
        let dns = |found: &BTreeMap<String, &client::Entry>| found.keys().cloned().collect::<BTreeSet<_>>();
        let here = dns(&found_here);
        if slapd.ended.code == 0 && bindery.ended.code == 0 && dns(&found_there) != here {
            self.take_apart(search, &here);
        }
        for (dn, there) in &found_there {
            if let Some(here) = found_here.get(dn) {
                self.attributes(search, dn, there, here);
            }
        }
    }

    /// The code, and the DN that was matched when the base is not there.
    fn end(&mut self, search: &Search, slapd: &Answer, bindery: &Answer) {
        let (there, here) = (&slapd.ended, &bindery.ended);
        if there.code != here.code || normal_dn(&there.matched_dn) != normal_dn(&here.matched_dn) {
            self.note(&Difference::End { search, slapd: there, bindery: here });
        }
    }

    /// With a size limit the servers may choose other entries, but as many.
    fn limited(&mut self, search: &Search) {
        let unlimited = Search { size_limit: 0, ..search.clone() };
        let all = by_dn(&self.bindery.search(&unlimited)).into_keys().collect::<BTreeSet<_>>();
        let (slapd, bindery) = (self.slapd.search(search), self.bindery.search(search));
        self.end(search, &slapd, &bindery);
        let found = by_dn(&bindery).into_keys().collect::<BTreeSet<_>>();
        let expected = all.len().min(search.size_limit as usize);
        let code = if all.len() > expected { 4 } else { 0 };
        let is_right = bindery.entries.len() == expected
            && slapd.entries.len() == expected
            && bindery.ended.code == code
            && found.is_subset(&all);
        if !is_right {
            self.fail("size limit".into(), || {
                format!(
                    "{search}\n  of {}\n- {} entries, {:?}\n+ {} entries, {:?}",
                    all.len(),
                    slapd.entries.len(),
                    slapd.ended,
                    bindery.entries.len(),
                    bindery.ended
                )
            });
        }
    }

    fn compare(&mut self, entry: &str, attribute: &str, value: &[u8]) {
        let slapd = self.slapd.compare(entry, attribute, value);
        let bindery = self.bindery.compare(entry, attribute, value);
        if slapd.code != bindery.code || normal_dn(&slapd.matched_dn) != normal_dn(&bindery.matched_dn) {
            self.note(&Difference::Compare { entry, attribute, value, slapd: &slapd, bindery: &bindery });
        }
    }

    fn attributes(&mut self, search: &Search, dn: &str, there: &client::Entry, here: &client::Entry) {
        // The order of options does not matter (RFC 4512 section 2.5).
        let sorted = |entry: &client::Entry| {
            let sorted = entry.attributes.iter().map(|(name, values)| (in_order(name), values.clone()));
            sorted.collect::<BTreeMap<_, _>>()
        };
        let (there, here) = (sorted(there), sorted(here));
        let names: BTreeSet<&String> = there.keys().chain(here.keys()).collect();
        for name in names {
            let values = |attributes: &BTreeMap<String, Vec<Vec<u8>>>| {
                let values = attributes.get(name)?;
                let mut values: Vec<String> = values.iter().map(|value| shown(name, value)).collect();
                values.sort();
                Some(values)
            };
            let (slapd, bindery) = (values(&there), values(&here));
            if slapd != bindery {
                self.note(&Difference::Attribute { search, dn, name, slapd, bindery });
            }
        }
    }

    /// Why two searches found different entries.
    fn take_apart(&mut self, search: &Search, found: &BTreeSet<String>) {
        let mut leaves = Vec::new();
        search.filter.leaves(&mut |leaf| leaves.push(leaf));
        let mut differ = false;
        for leaf in leaves {
            differ |= self.leaf(leaf);
        }
        let everything = self.below(&search.base, search.scope);
        let expected: BTreeSet<String> =
            everything.iter().filter(|dn| self.truth(&search.filter, dn) == Truth::True).cloned().collect();
        if expected != *found {
            let missing: Vec<_> = expected.difference(found).take(3).collect();
            let more: Vec<_> = found.difference(&expected).take(3).collect();
            self.fail("logic".into(), || format!(
                "{search}\n  bindery does not make of the leaves what RFC 4511 says\n  missing {missing:?}\n  \
                 too many {more:?}"
            ));
        } else if !differ {
            self.fail("slapd's logic".into(), || {
                format!("{search}\n  the leaves are the same, slapd's answer is not")
            });
        }
    }

    /// Asks both servers about a leaf; whether they differ.
    fn leaf(&mut self, leaf: &Filter) -> bool {
        let text = leaf.to_string();
        if let Some([there, here]) = self.truths.get(&text) {
            return there.holds != here.holds || there.fails != here.fails;
        }
        let not = Filter::Not(Box::new(leaf.clone()));
        let asked = [everything(leaf.clone()), everything(not)];
        let [there, here] = [&mut self.slapd, &mut self.bindery].map(|client| {
            let mut answers = asked.iter().map(|search| {
                let answer = client.search(search);
                assert_eq!(answer.ended.code, 0, "{search}: {:?}", answer.ended);
                by_dn(&answer).into_keys().collect::<BTreeSet<_>>()
            });
            Truths { holds: answers.next().unwrap(), fails: answers.next().unwrap() }
        });
        let all_values = Rc::clone(&self.values);
        for (dn, slapd, bindery) in self
            .below(SUFFIX, 2)
            .iter()
            .map(|dn| (dn, there.truth(dn), here.truth(dn)))
            .filter(|(_, slapd, bindery)| slapd != bindery)
        {
            let values = all_values.get(dn).map_or(&[][..], Vec::as_slice);
            let difference = Difference::Leaf { leaf, dn, values, slapd, bindery };
            if !self.table.explains(&difference) {
                self.fail(difference.kind(), || difference.to_string());
            }
        }
        let differ = there.holds != here.holds || there.fails != here.fails;
        self.truths.insert(text, [Rc::new(there), Rc::new(here)]);
        differ
    }

    /// What bindery must make of a filter whose leaves it has answered.
    fn truth(&self, filter: &Filter, dn: &str) -> Truth {
        let of = |operands: &[Filter], strong: Truth, weak: Truth| {
            let truths: Vec<Truth> = operands.iter().map(|operand| self.truth(operand, dn)).collect();
            if truths.contains(&strong) {
                strong
            } else if truths.contains(&Truth::Undefined) {
                Truth::Undefined
            } else {
                weak
            }
        };
        match filter {
            Filter::And(operands) => of(operands, Truth::False, Truth::True),
            Filter::Or(operands) => of(operands, Truth::True, Truth::False),
            Filter::Not(operand) => match self.truth(operand, dn) {
                Truth::True => Truth::False,
                Truth::False => Truth::True,
                Truth::Undefined => Truth::Undefined,
            },
            leaf => self.truths[&leaf.to_string()][1].truth(dn),
        }
    }

    /// All that stands at and below a base.
    fn below(&mut self, base: &str, scope: u8) -> Rc<BTreeSet<String>> {
        let key = (base.to_owned(), scope);
        if let Some(found) = self.found.get(&key) {
            return Rc::clone(found);
        }
        let filter = Filter::Present("objectClass".into());
        let search = Search { base: base.into(), scope, ..everything(filter) };
        let found = Rc::new(by_dn(&self.bindery.search(&search)).into_keys().collect());
        self.found.insert(key, Rc::clone(&found));
        found
    }

    fn note(&mut self, difference: &Difference<'_>) {
        if !self.table.explains(difference) {
            self.fail(difference.kind(), || difference.to_string());
        }
    }

    fn fail(&mut self, kind: String, text: impl FnOnce() -> String) {
        self.unexplained.entry(kind).or_insert_with(|| (0, text())).0 += 1;
    }
}

impl Truths {
    fn truth(&self, dn: &str) -> Truth {
        match (self.holds.contains(dn), self.fails.contains(dn)) {
            (true, false) => Truth::True,
            (false, true) => Truth::False,
            (false, false) => Truth::Undefined,
            (true, true) => panic!("{dn} matches a filter and its negation"),
        }
    }
}

fn everything(filter: Filter) -> Search {
    Search {
        base: SUFFIX.into(),
        scope: 2,
        size_limit: 0,
        types_only: false,
        filter,
        attributes: vec!["1.1".into()],
    }
}

fn by_dn(answer: &Answer) -> BTreeMap<String, &client::Entry> {
    let found: BTreeMap<_, _> = answer.entries.iter().map(|entry| (normal_dn(&entry.dn), entry)).collect();
    assert_eq!(found.len(), answer.entries.len(), "an entry came twice");
    found
}

/// A description with its options in order.
fn in_order(description: &str) -> String {
    let mut parts: Vec<&str> = description.split(';').collect();
    parts[1..].sort_unstable();
    parts.join(";")
}

/// A value as it is compared: a DN in one spelling, anything else octet by octet.
fn shown(name: &str, value: &[u8]) -> String {
    let base = name.split(';').next().unwrap();
    match std::str::from_utf8(value) {
        Ok(text) if NAMES_OF_ENTRIES.contains(&base) => normal_dn(text),
        Ok(text) => text.to_owned(),
        Err(_) => value.escape_ascii().to_string(),
    }
}

/// Attributes whose values are DNs.
const NAMES_OF_ENTRIES: [&str; 9] = [
    "member",
    "uniqueMember",
    "memberOf",
    "manager",
    "seeAlso",
    "entryDN",
    "creatorsName",
    "modifiersName",
    "subschemaSubentry",
];
