//! What a seed makes of custom attribute types.

use std::collections::BTreeMap;

use super::SeedProblem;
use super::adoption::origin;
use super::apply::Application;
use super::objects::set;
use crate::config::{ReferenceKind, SeedAttribute};
use crate::directory::{unknown_attributes, uses_attribute};
use crate::model::{Attribute, AttributeNumber, CustomAttribute, Key, ObjectReference, Placement, Record};
use crate::registry::ChangeError;
use crate::registry::commands::validate;
use crate::schema::{AttributeId, Dn, Schema};

impl Application<'_, '_> {
    pub(super) fn custom_attribute(&mut self, seed: &SeedAttribute) -> Result<(), ChangeError> {
        if self.is_left_out(ReferenceKind::Attribute, &seed.name) {
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
        if let Err(problem) = validate::custom_attribute(&attribute, before.as_ref(), schema) {
            self.problem(ReferenceKind::Attribute, &seed.name, None, problem);
            return Ok(());
        }
        if before.is_some() {
            self.changed_attributes.insert(attribute.number);
        }
        self.transaction.put(Record::CustomAttribute(attribute))
    }

    /// Whether all values are of the types' new declarations: asked when everything of the seed is in place, as the
    /// seed may bring better values too.
    pub(super) fn check_custom_attributes(&mut self) -> Result<(), ChangeError> {
        let snapshot = self.transaction.snapshot().clone();
        let schema = snapshot.schema();
        let changed = self.changed_attributes.iter().filter_map(|number| snapshot.custom_attribute(*number));
        let changed: Vec<(AttributeId, &str)> = changed
            .filter_map(|attribute| Some((schema.find(&attribute.name)?, attribute.name.as_str())))
            .collect();
        if changed.is_empty() {
            return Ok(());
        }
        let mut found = Vec::new();
        let mut callers: BTreeMap<&str, (ObjectReference, String)> = BTreeMap::new();
        let mut more = 0_u64;
        self.transaction.objects(&mut |record| {
            let owner = match &record {
                Record::Account(account) => Some((
                    ObjectReference::Account(account.number),
                    format!("the account `{}`", account.username),
                    &account.attributes,
                    &account.placements,
                )),
                Record::Group(group) => Some((
                    ObjectReference::Group(group.number),
                    format!("the group `{}`", group.name),
                    &group.attributes,
                    &group.placements,
                )),
                _ => None,
            };
            let is_callers = origin(&record).account().is_some();
            let mut problems = Vec::new();
            let unknown = unknown_attributes(schema, &record).into_iter().map(|name| {
                format!("`{name}` names values that are there, so the attribute type must keep that object identifier")
            });
            let unknown: Vec<String> = unknown.collect();
            for (id, name) in &changed {
                let mut of_type = Vec::new();
                if let Some((_, title, attributes, placements)) = &owner {
                    check(title, attributes, placements, *id, schema, &mut of_type);
                }
                of_type.extend(unknown.iter().cloned());
                match (&owner, of_type.first()) {
                    (Some((on, ..)), Some(first)) if is_callers => {
                        callers.entry(name).or_insert_with(|| (*on, first.clone()));
                    }
                    _ => problems.append(&mut of_type),
                }
            }
            for problem in problems {
                if found.len() < PROBLEMS_MAX && !found.contains(&problem) {
                    found.push(problem);
                } else {
                    more += 1;
                }
            }
        })?;
        // What a caller of the API has made stops nothing but the change of that type.
        for (name, (on, problem)) in callers {
            let whose = self.whose_is(on)?.unwrap_or_default();
            self.obstructed.push((ReferenceKind::Attribute, name.to_owned(), format!("{problem}: {whose}")));
        }
        if more > 0 {
            found.push(format!("{more} more values stand in the way of the attribute types of the seed"));
        }
        for sentence in found {
            let problem = SeedProblem { object: None, field: None, sentence };
            if !self.problems.contains(&problem) {
                self.problems.push(problem);
            }
        }
        Ok(())
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
            problems.push(format!("{title} has the attribute {description:?}: {problem}"));
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
const PROBLEMS_MAX: usize = 20;
