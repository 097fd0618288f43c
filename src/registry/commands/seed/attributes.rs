//! What a seed makes of custom attribute types.

use std::collections::BTreeMap;

use super::SeedProblem;
use super::adoption::{origin, said_by_nobody};
use super::apply::SeedRun;
use super::objects::set;
use super::obstacle::Obstacle;
use crate::config::{ReferenceKind, SeedAttribute};
use crate::directory::{unknown_attributes, uses_attribute};
use crate::model::{Attribute, AttributeNumber, CustomAttribute, Key, ObjectReference, Placement, Record};
use crate::quoted::quoted;
use crate::registry::ChangeError;
use crate::registry::commands::validate;
use crate::schema::{AttributeId, Dn, Schema};

impl SeedRun<'_, '_> {
    pub(super) fn custom_attribute(&mut self, seed: &SeedAttribute) -> Result<(), ChangeError> {
        if self.is_passed_over(ReferenceKind::Attribute, &seed.name) {
            return Ok(());
        }
        let before = self.transaction.snapshot().custom_attribute_named(&seed.name);
        let before = before.map(|attribute| (**attribute).clone());
        let mut attribute = match &before {
            Some(before) => CustomAttribute { name: seed.name.clone(), ..before.clone() },
            None => {
                let number = AttributeNumber::new(self.transaction.next_object()?);
                CustomAttribute::of_name(number, seed.name.clone())
            }
        };
        if let Some(oid) = &seed.oid {
            attribute.oid = Some(oid.clone()).filter(|oid| !oid.is_empty());
        }
        set(&mut attribute.syntax, seed.syntax);
        set(&mut attribute.single_valued, seed.single_valued);
        set(&mut attribute.description, seed.description.clone());
        if before.as_ref() == Some(&attribute) {
            return Ok(());
        }
        let schema = self.transaction.snapshot().schema();
        let problems = validate::custom_attribute(&attribute, before.as_ref(), schema);
        if !problems.is_empty() {
            for (field, problem) in problems {
                self.problem(ReferenceKind::Attribute, &seed.name, field, problem);
            }
            return Ok(());
        }
        if before.is_some() {
            self.changed_attributes.insert(attribute.number);
        }
        self.transaction.put(Record::CustomAttribute(attribute))
    }

    /// Whether all values are of the types' new declarations: asked when everything of the seed is in place, as the
    /// seed may bring better values too. What it does not say itself stops nothing but the change of that type.
    pub(super) fn check_custom_attributes(&mut self) -> Result<(), ChangeError> {
        let snapshot = self.transaction.snapshot().clone();
        let (schema, earlier) = (snapshot.schema(), self.before.schema());
        let changed = self.changed_attributes.iter().filter_map(|number| {
            let (before, after) =
                (self.before.custom_attribute(*number)?, snapshot.custom_attribute(*number)?);
            let changed = Changed {
                before: earlier.find(&before.name)?,
                after: schema.find(&after.name)?,
                name: &after.name,
            };
            Some(changed)
        });
        let changed: Vec<Changed<'_>> = changed.collect();
        if changed.is_empty() {
            return Ok(());
        }
        let mut found: Vec<SeedProblem> = Vec::new();
        let mut obstacles: BTreeMap<&str, (ObjectReference, Option<String>, String)> = BTreeMap::new();
        let mut more = 0_u64;
        self.transaction.objects(&mut |record| {
            let (on, object, attributes, placements) = match &record {
                Record::Account(account) => {
                    let on = ObjectReference::Account(account.number);
                    (on, &account.username, &account.attributes, &account.placements)
                }
                Record::Group(group) => {
                    (ObjectReference::Group(group.number), &group.name, &group.attributes, &group.placements)
                }
                _ => return,
            };
            let title = format!("the {} `{object}`", on.kind());
            let unknown = unknown_attributes(schema, &record);
            for Changed { before, after, name } in &changed {
                let mut problems = Vec::new();
                check(&title, attributes, placements, *after, schema, &mut problems);
                let of_type = unknown.iter().filter(|unknown| earlier.find(unknown) == Some(*before));
                problems.extend(of_type.map(|unknown| {
                    format!(
                        "`{unknown}` names values that are there, so the attribute type must keep that object identifier"
                    )
                }));
                if self.says_attributes(&record) {
                    let kind = match on {
                        ObjectReference::Group(_) => ReferenceKind::Group,
                        _ => ReferenceKind::Account,
                    };
                    let described = (kind, object.clone());
                    for problem in problems {
                        let problem =
                            SeedProblem::about(Some(described.clone()), Some("attributes"), problem);
                        if found.len() < PROBLEMS_MAX && !found.contains(&problem) {
                            found.push(problem);
                        } else {
                            more += 1;
                        }
                    }
                } else if let Some(first) = problems.into_iter().next() {
                    let own = origin(&record).account().is_none().then(|| object.clone());
                    obstacles.entry(name).or_insert((on, own, first));
                }
            }
        })?;
        for (name, (on, whose, problem)) in obstacles {
            let whose = match whose {
                Some(object) => said_by_nobody(on, &object),
                None => self.whose_is(on)?.unwrap_or_default(),
            };
            let reason = format!("{problem}: {whose}");
            self.obstructed.push(Obstacle::alone(ReferenceKind::Attribute, name, reason));
        }
        if more > 0 {
            let sentence = format!("{more} more values stand in the way of the attribute types of the seed");
            found.push(SeedProblem::about(None, None, sentence));
        }
        for problem in found {
            if !self.problems.contains(&problem) {
                self.problems.push(problem);
            }
        }
        Ok(())
    }

    /// Whether the seed says which attributes an account or a group has.
    fn says_attributes(&self, record: &Record) -> bool {
        match record {
            Record::Account(account) => {
                let seed = self.described.account(&account.username);
                seed.is_some_and(|seed| seed.said.attributes.is_some())
                    && !self.is_passed_over(ReferenceKind::Account, &account.username)
            }
            Record::Group(group) => {
                let seed = self.described.group(&group.name);
                seed.is_some_and(|seed| seed.said.attributes.is_some())
                    && !self.is_passed_over(ReferenceKind::Group, &group.name)
            }
            _ => false,
        }
    }

    /// Deletes custom attribute types that are neither in the seed nor in use by what is left.
    pub(super) fn prune_custom_attributes(&mut self) -> Result<(), ChangeError> {
        let snapshot = self.transaction.snapshot().clone();
        let schema = snapshot.schema();
        let is_kept = |attribute: &CustomAttribute| {
            self.seed.attributes.iter().any(|seed| seed.name.eq_ignore_ascii_case(&attribute.name))
        };
        let unnamed = snapshot.custom_attributes().filter(|attribute| !is_kept(attribute));
        let mut unused: Vec<(AttributeNumber, AttributeId)> =
            unnamed.filter_map(|attribute| Some((attribute.number, schema.find(&attribute.name)?))).collect();
        if unused.is_empty() {
            return Ok(());
        }
        for tree in snapshot.trees() {
            let provider = Record::Provider((**tree.provider()).clone());
            unused.retain(|(_, id)| !uses_attribute(schema, &provider, *id));
        }
        self.transaction
            .objects(&mut |record| unused.retain(|(_, id)| !uses_attribute(schema, &record, *id)))?;
        for (number, _) in unused {
            self.transaction.delete(Key::CustomAttribute(number))?;
        }
        Ok(())
    }
}

/// An attribute type that is declared in another way than it was.
struct Changed<'a> {
    before: AttributeId,
    after: AttributeId,
    name: &'a str,
}

/// Whether an object's values of the changed types are of their syntaxes.
fn check(
    title: &str,
    attributes: &[Attribute],
    placements: &[Placement],
    changed: AttributeId,
    schema: &Schema,
    problems: &mut Vec<String>,
) {
    let is_changed = |name: &str| schema.find(name).filter(|id| *id == changed);
    for Attribute { description, values } in attributes {
        if is_changed(description.split(';').next().unwrap_or_default()).is_some()
            && let Err(problem) = validate::attribute(description, values, schema)
        {
            problems.push(format!(
                "{title} has the attribute {description}: {problem}",
                description = quoted(description)
            ));
        }
    }
    for rdn in placements.iter().filter_map(|placement| Dn::parse(placement.rdn.as_bytes()).ok()) {
        for pair in rdn.rdns().iter().flat_map(|rdn| rdn.pairs()) {
            if is_changed(&pair.attribute).is_some_and(|id| !validate::is_value(&pair.value, id, schema)) {
                problems.push(format!(
                    "{title} is named by a value of {} that is not of the syntax; it cannot be changed",
                    pair.attribute
                ));
            }
        }
    }
}

/// So many values that stand in the way are told; more are counted.
/// No limit of the config: all are counted, and nobody reads more.
const PROBLEMS_MAX: usize = 20;
