//! Whether one entry matches a filter, as one reader sees it. The plain evaluator: no index.

use super::category::Category;
use super::chain::{Chain, ChainWalk};
use super::cost::{spend, spend_on};
use super::entry::Entry;
use super::entry_id::EntryId;
use super::filter::PartPosition;
use super::options::has_options;
use super::prepared::{Node, PreparedFilter, Span, Truth};
use super::reader::{Subject, TreeReader};
use crate::schema::{AttributeId, Dn, MatchingRule, steps};

/// A filter and an entry, and what looking at it may still cost.
pub(super) struct Evaluation<'a> {
    pub(super) filter: &'a PreparedFilter,
    pub(super) reader: &'a TreeReader<'a>,
    pub(super) id: EntryId,
    pub(super) entry: &'a Entry,
    pub(super) scratch: &'a mut Vec<u8>,
    /// The name of the entry in its parts, once an element has asked about it.
    pub(super) name: Option<Dn>,
    /// How much may still be looked at; at 0 nothing is, and what comes out means nothing.
    pub(super) allowance: u64,
}

impl Evaluation<'_> {
    /// The depth of the recursion is that of the filter, which the decoder bounds.
    pub(super) fn node(&mut self, place: usize) -> Truth {
        let filter = self.filter;
        steps::note(1);
        self.allowance = self.allowance.saturating_sub(1);
        if self.allowance == 0 {
            return Truth::Undefined;
        }
        match filter.nodes.get(place) {
            None | Some(Node::Part { .. }) => Truth::Undefined,
            Some(Node::And { items }) => self.all(place + 1, *items),
            Some(Node::Or { items }) => self.any(place + 1, *items),
            Some(Node::Not { .. }) => self.node(place + 1).inverted(),
            Some(Node::Constant(truth)) => *truth,
            Some(Node::Equality { attribute, rule, form, options }) => {
                let kept =
                    if options.is_empty() { self.kept(*attribute, *rule, filter.form(*form)) } else { None };
                kept.unwrap_or_else(|| self.some_value(*attribute, *options, rule.cost(), place))
            }
            Some(
                Node::Ordering { attribute, rule, options, .. }
                | Node::Substrings { attribute, rule, options, .. },
            ) => self.some_value(*attribute, *options, rule.cost(), place),
            Some(Node::Present { attribute, options }) => self.some_value(*attribute, *options, 1, place),
            Some(Node::Relation { attribute, target }) => self.relation(*attribute, *target),
            Some(Node::Chain { attribute, target }) => self.chain(*attribute, *target),
            Some(Node::Category(category)) => {
                let own = self.reader.subject(self.id).map(|subject| Category::of(&subject, self.entry));
                if own.is_some() && own == *category { Truth::True } else { Truth::False }
            }
            Some(Node::Extensible { attribute, rule, form, options, .. }) => {
                let found = self.extensible(*attribute, *rule, filter.form(*form), *options, place);
                if found == Truth::True || self.is_in_name(place) { Truth::True } else { Truth::False }
            }
        }
    }

    fn all(&mut self, first: usize, items: u32) -> Truth {
        let filter = self.filter;
        let mut truth = Truth::True;
        for operand in filter.operands(first, items) {
            match self.node(operand) {
                Truth::False => return Truth::False,
                Truth::Undefined => truth = Truth::Undefined,
                Truth::True => {}
            }
        }
        truth
    }

    fn any(&mut self, first: usize, items: u32) -> Truth {
        let filter = self.filter;
        let mut truth = Truth::False;
        for operand in filter.operands(first, items) {
            match self.node(operand) {
                Truth::True => return Truth::True,
                Truth::Undefined => truth = Truth::Undefined,
                Truth::False => {}
            }
        }
        truth
    }

    /// The same where normal forms of the values are kept.
    fn kept(&mut self, attribute: AttributeId, rule: MatchingRule, form: &[u8]) -> Option<Truth> {
        let forms = self.reader.kept_forms(self.entry, attribute, rule)?;
        let found = forms.iter().take_while(|_| spend(&mut self.allowance, 1)).any(|own| **own == *form);
        Some(if found { Truth::True } else { Truth::False })
    }

    /// Whether some value of the attribute or of its subtypes passes; `cost`: of looking at a short one.
    fn some_value(&mut self, attribute: AttributeId, options: Span, cost: u64, place: usize) -> Truth {
        let (reader, filter) = (self.reader, self.filter);
        for &id in reader.subtypes(attribute) {
            let found = if options.is_empty() {
                self.some_of(id, cost, place)
            } else {
                let wanted = filter.form(options);
                self.allowance =
                    self.allowance.saturating_sub(reader.cost_of_values(self.id, self.entry, id));
                let (allowance, scratch) = (&mut self.allowance, &mut *self.scratch);
                self.entry.attributes_of(id).any(|stored| {
                    // Behind the end of the allowance nothing is compared any more.
                    if *allowance == 0 {
                        return false;
                    }
                    let mut work = 0;
                    let is_meant = has_options(stored.description(), wanted, &mut work);
                    spend(allowance, work)
                        && is_meant
                        && stored
                            .values()
                            .take_while(|value| spend_on(allowance, cost, value))
                            .any(|value| passes(filter, place, value, scratch))
                })
            };
            if found {
                return Truth::True;
            }
        }
        Truth::False
    }

    /// Whether some value of exactly this attribute passes.
    fn some_of(&mut self, attribute: AttributeId, cost: u64, place: usize) -> bool {
        let (reader, filter) = (self.reader, self.filter);
        let (id, entry) = (self.id, self.entry);
        self.allowance = self.allowance.saturating_sub(reader.cost_of_values(id, entry, attribute));
        let mut found = false;
        let mut look_at = |value: Option<&[u8]>| {
            let Some(value) = value else { return spend(&mut self.allowance, cost) };
            if !spend_on(&mut self.allowance, cost, value) {
                return false;
            }
            found = passes(filter, place, value, self.scratch);
            !found
        };
        // A member without a value is looked at as well.
        if reader.members_in(id, entry, attribute).is_some() && !entry.stores_computed(attribute) {
            reader.computed_from((id, entry), attribute, 0, &mut |_, value| look_at(value));
        } else {
            reader.values(id, entry, attribute, &mut |value| look_at(Some(value)));
        }
        found
    }

    fn relation(&self, attribute: AttributeId, target: Option<EntryId>) -> Truth {
        let Some(target) = self.seen(target) else { return Truth::False };
        let Some(subject) = self.reader.subject(self.id) else { return Truth::False };
        let shown = self.entry.membership();
        let is_related = match (attribute, subject) {
            (AttributeId::MEMBER_OF, subject) => {
                let Some(group) = self.reader.accounts().group_of_entry(target) else { return Truth::False };
                subject.direct_groups().binary_search(&group.number).is_ok()
            }
            (AttributeId::MEMBER, subject) => shown.member && holds(&subject, target),
            (AttributeId::MEMBER_UID, subject) => shown.member_uid && holds(&subject, target),
            (_, subject) => shown.unique_member && holds(&subject, target),
        };
        if is_related { Truth::True } else { Truth::False }
    }

    /// The entry that was found when the filter was prepared, if it may be seen still: a search may lose rights.
    fn seen(&self, target: Option<EntryId>) -> Option<EntryId> {
        target.filter(|target| self.reader.visibility().sees(*target))
    }

    fn chain(&mut self, attribute: AttributeId, target: Option<EntryId>) -> Truth {
        let Some(target) = self.seen(target) else { return Truth::False };
        let Some(subject) = self.reader.subject(self.id) else { return Truth::False };
        let (reader, accounts) = (self.reader, self.reader.accounts());
        let shown = self.entry.membership();
        // Whoever may see an account or a group may see what it is a member of.
        let allowance = &mut self.allowance;
        let mut lead_to = |subject: &Subject<'_>, group| {
            let direct = subject.direct_groups();
            spend(allowance, direct.len() as u64) && accounts.lead_to(direct, group)
        };
        let is_related = match (attribute, subject) {
            (AttributeId::MEMBER_OF, subject) => {
                accounts.group_of_entry(target).is_some_and(|group| lead_to(&subject, group.number))
            }
            (attribute, Subject::Group(group)) => {
                let shows = if attribute == AttributeId::MEMBER { shown.member } else { shown.unique_member };
                shows && reader.subject(target).is_some_and(|member| lead_to(&member, group.number))
            }
            (_, Subject::VirtualGroup(account)) => {
                shown.member && EntryId::of_account(account.number) == target
            }
            _ => false,
        };
        if is_related { Truth::True } else { Truth::False }
    }

    fn extensible(
        &mut self,
        attribute: Option<AttributeId>,
        rule: MatchingRule,
        form: &[u8],
        options: Span,
        place: usize,
    ) -> Truth {
        match attribute {
            Some(attribute) if rule == MatchingRule::InChain => {
                self.leads_to(self.reader.subtypes(attribute), options, form)
            }
            Some(attribute) => {
                let kept = if options.is_empty() { self.kept(attribute, rule, form) } else { None };
                kept.unwrap_or_else(|| self.some_value(attribute, options, rule.cost(), place))
            }
            None => self.some_attribute(rule, form, place),
        }
    }

    /// Does work of which there are no pieces; what it costs may be more than is left.
    pub(super) fn in_one_piece<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let left = std::mem::replace(&mut self.allowance, u64::MAX);
        let result = work(self);
        self.allowance = left.saturating_sub(u64::MAX - self.allowance);
        result
    }

    /// Whether an extensible element that asks about the DN too finds there what it is about. What stands in a DN has no
    /// options.
    pub(super) fn is_in_name(&mut self, place: usize) -> bool {
        let (filter, reader) = (self.filter, self.reader);
        let Some(Node::Extensible { attribute, rule, form, dn_attributes: true, options }) =
            filter.nodes.get(place)
        else {
            return false;
        };
        if !options.is_empty() {
            return false;
        }
        let (allowance, scratch) = (&mut self.allowance, &mut *self.scratch);
        if self.name.is_none() {
            let octets = self.entry.dn();
            if !spend(allowance, octets.len() as u64 / OCTETS_OF_A_NAME_PER_WORK) {
                return false;
            }
            self.name = Dn::parse(octets).ok();
        }
        let rdns = self.name.as_ref().map(|name| name.rdns()).unwrap_or_default();
        rdns.iter().flat_map(|rdn| rdn.pairs()).any(|ava| {
            steps::note(1);
            if !spend_on(allowance, rule.cost(), &ava.value) {
                return false;
            }
            let Some(id) = reader.schema().find(&ava.attribute) else { return false };
            let is_meant = match attribute {
                Some(attribute) => reader.subtypes(*attribute).contains(&id),
                None => rule.applies_to(reader.schema().attribute(id).syntax),
            };
            is_meant && rule.matches(&ava.value, filter.form(*form), scratch)
        })
    }

    /// Whether a way of one and more values leads from the entry to the name.
    fn leads_to(&mut self, types: &[AttributeId], options: Span, form: &[u8]) -> Truth {
        let chain = Chain { types, options: self.filter.form(options), form };
        let own = (self.id, self.entry);
        let found =
            ChainWalk::new(self.id).go_on(&chain, self.reader, own, &mut self.allowance, self.scratch);
        if found { Truth::True } else { Truth::False }
    }

    /// A rule without a type takes all attributes that it applies to.
    fn some_attribute(&mut self, rule: MatchingRule, form: &[u8], place: usize) -> Truth {
        let reader = self.reader;
        self.allowance = self.allowance.saturating_sub(self.entry.cost_of_table());
        let stored = self.entry.attributes().map(|stored| stored.id);
        for id in stored.chain(reader.computed_attributes()) {
            steps::note(1);
            if !spend(&mut self.allowance, 1) {
                return Truth::Undefined;
            }
            if !rule.applies_to(reader.schema().attribute(id).syntax) {
                continue;
            }
            if rule == MatchingRule::InChain {
                if self.leads_to(&[id], Span::EMPTY, form) == Truth::True {
                    return Truth::True;
                }
                continue;
            }
            match self.kept(id, rule, form) {
                Some(Truth::True) => return Truth::True,
                Some(_) => continue,
                None => {}
            }
            if self.some_of(id, rule.cost(), place) {
                return Truth::True;
            }
        }
        Truth::False
    }
}

/// Whether a value passes an element that is asked of values.
pub(super) fn passes(filter: &PreparedFilter, place: usize, value: &[u8], scratch: &mut Vec<u8>) -> bool {
    match filter.nodes.get(place) {
        Some(Node::Equality { rule, form, .. } | Node::Extensible { rule, form, .. }) => {
            rule.matches(value, filter.form(*form), scratch)
        }
        Some(Node::Ordering { rule, form, at_least, .. }) => rule
            .compare(value, filter.form(*form), scratch)
            .is_some_and(|order| if *at_least { order.is_ge() } else { order.is_le() }),
        Some(Node::Substrings { rule, .. }) => {
            scratch.clear();
            rule.normalize(value, scratch).is_ok() && has_parts(scratch, filter.parts(place))
        }
        Some(Node::Present { .. }) => true,
        _ => false,
    }
}

/// Whether the group's direct members include the target.
fn holds(subject: &Subject<'_>, target: EntryId) -> bool {
    match subject {
        Subject::Group(group) => group.members.contains(target.raw()),
        Subject::VirtualGroup(account) => EntryId::of_account(account.number) == target,
        Subject::Container(_) | Subject::Account(_) => false,
    }
}

/// Whether the parts occur in the normal form in their order, without overlapping.
pub(super) fn has_parts<'p>(
    form: &[u8],
    parts: impl Iterator<Item = (PartPosition, &'p [u8])> + Clone,
) -> bool {
    // To look for a part is to prepare the whole of it first: those that are longer than the form are not looked for.
    let fits = |room: usize, (_, octets): (PartPosition, &[u8])| room.checked_sub(octets.len());
    if parts.clone().try_fold(form.len(), fits).is_none() {
        return false;
    }
    let mut rest = form;
    for (kind, octets) in parts {
        steps::note(octets.len() as u64 / OCTETS_OF_A_STEP);
        match kind {
            PartPosition::Initial => match rest.strip_prefix(octets) {
                Some(behind) => rest = behind,
                None => return false,
            },
            PartPosition::Any => match memchr::memmem::find(rest, octets) {
                Some(at) => rest = &rest[at + octets.len()..],
                None => return false,
            },
            PartPosition::Final => match rest.strip_suffix(octets) {
                Some(before) => rest = before,
                None => return false,
            },
        }
    }
    true
}

/// So many octets of a name are as much work to take apart as an element.
const OCTETS_OF_A_NAME_PER_WORK: u64 = 8;
/// So many octets of a part are a step.
const OCTETS_OF_A_STEP: u64 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_are_longer_than_the_form_are_not_looked_for() {
        use PartPosition::{Any, Final, Initial};
        let long = vec![b'x'; 100_000];
        let has = |form: &[u8], parts: &[(PartPosition, &[u8])]| has_parts(form, parts.iter().copied());
        let before = steps::taken();
        assert!(!has(b"user-1", &[(Any, &long)]));
        assert!(!has(b"user-1", &[(Initial, b"user"), (Any, &long[..3]), (Final, b"1")]));
        assert!(!has(b"user-1", &[(Initial, b"user"), (Any, b"er")]));
        assert_eq!(steps::taken(), before);
        assert!(has(&long, &[(Initial, &long[..1_000]), (Any, &long[..90_000]), (Final, &long[..9_000])]));
        assert!(!has(&long, &[(Initial, &long[..1_000]), (Any, &long[..90_000]), (Final, &long[..9_001])]));
        assert!(has(b"user-1", &[(Initial, b"us"), (Any, b"er"), (Final, b"-1")]));
        assert!(has(b"", &[]));
    }
}
