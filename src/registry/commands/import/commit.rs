//! Puts entries of another directory into the store, batch by batch.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use uuid::Uuid;

use super::{
    ImportEntry, ImportLayout, ImportOptions, ImportReport, ImportStop, ImportedAccount, ImportedAttribute,
    ImportedGroup, ImportedMembers, MemberName, Octets,
};
use crate::directory::{AccountState, EntryId, GroupState, PlaceError, Snapshot, Tree, name_key};
use crate::model::{
    Account, AccountChanges, AccountKind, AccountNumber, Actor, Attribute, Container, Group, GroupChanges,
    GroupNumber, HashText, LdapProvider, ObjectReference, Placement, ProviderChanges, ProviderNumber, Record,
    RoleNumber, Token, TokenNumber, TokenSelector,
};
use crate::registry::commands::known_by::{entry_of, folded, is_known_by};
use crate::registry::commands::planted::{self, Planted, what_to_do};
use crate::registry::commands::worth::Worth;
use crate::registry::commands::{account, find_provider, group, provider, token, validate};
use crate::registry::{ChangeError, Registry, SharedValue, SharedValues, Transaction};
use crate::schema::{AttributeId, Dn, Rdn, Schema, normalize_dn};
use crate::store::{RECORD_OCTETS_MAX, StoreError};

impl Registry {
    /// Adds the containers to the provider, and says how its tree looks.
    ///
    /// # Errors
    /// There is no such provider or role, or the provider cannot have such a container.
    pub async fn prepare_import(
        &self,
        actor: Actor,
        options: ImportOptions,
    ) -> Result<ImportLayout, ChangeError> {
        self.change(actor, move |transaction| Ok(prepare(transaction, &options)?.0)).await
    }

    /// The same, with nothing added in the end; and what would be, as lines of a config.
    ///
    /// # Errors
    /// The same.
    pub(super) async fn rehearse_import(
        &self,
        options: ImportOptions,
    ) -> Result<(ImportLayout, Vec<String>), ChangeError> {
        self.rehearse(move |transaction| prepare(transaction, &options)).await
    }

    /// Puts entries into the store, at most 1,000 changes with each commit, and says what came of them. What
    /// was committed stays when a later commit fails: the report says where it stopped. Accounts come first,
    /// then groups, then members; one call may carry a part of each.
    ///
    /// # Errors
    /// There is no such provider or role; nothing happened.
    pub async fn import(
        &self,
        actor: Actor,
        options: ImportOptions,
        entries: Vec<ImportEntry>,
    ) -> Result<ImportReport, ChangeError> {
        let snapshot = self.snapshot();
        let provider = find_provider(&snapshot, options.provider.as_deref(), PURPOSE)?.number;
        let role = find_role(&snapshot, options.role.as_deref())?;
        let mut report = ImportReport::default();
        let passwords = match self.passwords(&snapshot, &entries, &mut report).await {
            Ok(passwords) => passwords,
            Err(error) => {
                report.stopped = entries.first().map(|entry| stop(entry, &error));
                return Ok(report);
            }
        };
        let claims = Claims::of(&snapshot);
        let work = Arc::new(Work { entries, passwords, provider, role, options, claims });
        let mut at = Position::default();
        while let Some(entry) = work.entries.get(at.entry) {
            let batch = work.clone();
            let done =
                self.change(actor.clone(), move |transaction| Batch::new(transaction, &batch, at).run());
            match done.await {
                Ok((next, came)) => {
                    report.add(came);
                    at = next;
                }
                Err(error) => {
                    report.stopped = Some(stop(entry, &error));
                    break;
                }
            }
        }
        Ok(report)
    }
}

/// Adds the containers to the provider, and says how its tree looks, and what was added, as lines of a config.
fn prepare(
    transaction: &mut Transaction<'_>,
    options: &ImportOptions,
) -> Result<(ImportLayout, Vec<String>), ChangeError> {
    let before = find_provider(transaction.snapshot(), options.provider.as_deref(), PURPOSE)?;
    find_role(transaction.snapshot(), options.role.as_deref())?;
    let schema = transaction.snapshot().schema().clone();
    let before = (*before).clone();
    let mut after = before.clone();
    let normal = |container: &str| {
        let mut form = Vec::new();
        normalize_dn(container.as_bytes(), &schema, &mut form).ok().map(|()| form)
    };
    let lists = [
        (&mut after.users, &options.users),
        (&mut after.service_accounts, &options.service_accounts),
        (&mut after.groups, &options.groups),
    ];
    for (present, more) in lists {
        for (container, naming) in more {
            let form = normal(container);
            if form.is_none() || present.iter().all(|other| normal(&other.container) != form) {
                present.push(Container { container: container.clone(), naming: naming.clone() });
            }
        }
    }
    let changes = ProviderChanges {
        users: Some(after.users.clone()),
        service_accounts: Some(after.service_accounts.clone()),
        groups: Some(after.groups.clone()),
        ..ProviderChanges::default()
    };
    provider::update_provider(transaction, before.number, changes)?;
    let after = transaction.snapshot().accounts().provider(before.number).cloned();
    let after = after.map_or_else(|| before.clone(), |after| (*after).clone());
    let config = in_config(&before, &after);
    let LdapProvider { name, number, base_dn, users, service_accounts, groups, .. } = after;
    let attributes = transaction.snapshot().custom_attributes();
    let attributes = attributes.map(|attribute| (**attribute).clone()).collect();
    let restore = options.restore;
    let layout = ImportLayout {
        provider: name,
        number,
        base_dn,
        users,
        service_accounts,
        groups,
        attributes,
        restore,
    };
    Ok((layout, config))
}

/// The lists of containers that are others now, as a config writes them.
fn in_config(before: &LdapProvider, after: &LdapProvider) -> Vec<String> {
    let lists = [
        ("users", &before.users, &after.users),
        ("service_accounts", &before.service_accounts, &after.service_accounts),
        ("groups", &before.groups, &after.groups),
    ];
    // A string of JSON is one of TOML too.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let written = |containers: &[Container]| {
        let one = |it: &Container| {
            format!("{{ container = {}, naming = {} }}", quoted(&it.container), quoted(&it.naming))
        };
        containers.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let changed = lists.into_iter().filter(|(_, before, after)| before != after);
    changed.map(|(key, _, after)| format!("{key} = [{}]", written(after))).collect()
}

/// A whole call of `import`.
struct Work {
    entries: Vec<ImportEntry>,
    /// For each entry.
    passwords: Vec<Option<HashText>>,
    provider: ProviderNumber,
    role: Option<RoleNumber>,
    options: ImportOptions,
    /// No import makes a group that gives rights.
    claims: Claims,
}

/// How far it has come.
#[derive(Clone, Copy, Default)]
struct Position {
    entry: usize,
    /// Within the members of that entry.
    member: usize,
}

/// What an entry is not to have, because a stranger's object is known by it.
#[derive(Default)]
struct Barred {
    values: Vec<Planted>,
    /// Whether it has one of them without these attributes too: by its name.
    is_named: bool,
}

/// One commit of it.
struct Batch<'t, 's> {
    transaction: &'t mut Transaction<'s>,
    work: &'t Work,
    at: Position,
    /// Groups whose records change with their members at the end of the commit.
    groups: BTreeSet<GroupNumber>,
    /// Which entry was made which object.
    made: HashMap<ObjectReference, usize>,
    /// What entries would share with strangers' objects, found when it was tried.
    planted: HashMap<usize, Barred>,
    report: ImportReport,
}

impl<'t, 's> Batch<'t, 's> {
    fn new(transaction: &'t mut Transaction<'s>, work: &'t Work, at: Position) -> Self {
        let (made, planted, report) = (HashMap::new(), HashMap::new(), ImportReport::default());
        Self { transaction, work, at, groups: BTreeSet::new(), made, planted, report }
    }

    /// What an entry would share with a stranger's object is known when it is there: then all is done anew without that. Each
    /// time an attribute or an entry less is made, so it has an end.
    fn run(mut self) -> Result<(Position, ImportReport), ChangeError> {
        if self.work.options.allow_shared_numbers {
            self.transaction.share_uid_numbers();
        }
        let from = self.at;
        let claims = loop {
            self.attempt()?;
            let claims = self.transaction.claims();
            let found = planted::values(self.transaction, &claims)?;
            let entries = found.into_iter().filter_map(|found| Some((*self.made.get(&found.by)?, found)));
            let entries: Vec<(usize, Planted)> = entries.collect();
            if entries.is_empty() {
                break claims;
            }
            for (entry, found) in entries {
                let barred = self.planted.entry(entry).or_default();
                let is_known = |it: &Planted| it.of == found.of && it.value == found.value;
                barred.is_named |= barred.values.iter().any(is_known);
                barred.values.push(found);
            }
            self.transaction.rewind();
            self.at = from;
            self.groups.clear();
            self.made.clear();
            self.report = ImportReport::default();
        };
        let SharedValues { values, more } = self.transaction.shared_by(claims, |_| true);
        if !values.is_empty() {
            let examples = values.iter().map(|SharedValue { between: [(on, name), (of, other)], value }| {
                format!("{} {name} and {} {other}: {value}", on.kind(), of.kind())
            });
            self.report.tell(SHARED, (values.len() + more) as u64, examples);
        }
        let ImportReport { users, service_accounts, groups, .. } = self.report;
        if self.work.options.restore && users + service_accounts + groups > 0 {
            self.report.tell(OF_NOBODY, users + service_accounts + groups, []);
        }
        Ok((self.at, self.report))
    }

    fn attempt(&mut self) -> Result<(), ChangeError> {
        let work = self.work;
        while let Some(entry) = work.entries.get(self.at.entry)
            && self.has_room(self.undeclared(entry))
        {
            match entry {
                ImportEntry::Account(account) => {
                    let password = work.passwords.get(self.at.entry).cloned().flatten();
                    self.account(account, password)?;
                }
                ImportEntry::Group(group) => self.group(group)?,
                ImportEntry::Members(members) => {
                    if !self.members(members)? {
                        break;
                    }
                }
            }
            self.report.committed_up_to = Some(entry.dn().to_owned());
            self.at = Position { entry: self.at.entry + 1, member: 0 };
        }
        Ok(())
    }

    /// Whether the largest step still fits: an account, its token and their tombstones, and `more`. What is larger
    /// than a commit by itself goes alone.
    fn has_room(&self, more: usize) -> bool {
        let is_within =
            self.transaction.change_count() + self.groups.len() + CHANGES_OF_A_STEP + more <= CHANGES_MAX;
        self.transaction.change_count() == 0 || is_within && self.transaction.octets() < OCTETS_MAX
    }

    /// How many attribute types may be declared with an entry, as it is the first to use them.
    fn undeclared(&self, entry: &ImportEntry) -> usize {
        let (attributes, rdn) = match entry {
            ImportEntry::Account(account) => (&account.attributes, &account.rdn),
            ImportEntry::Group(group) => (&group.attributes, &group.rdn),
            ImportEntry::Members(_) => return 0,
        };
        let schema = self.transaction.snapshot().schema();
        let is_unknown =
            |description: &str| schema.find(description.split(';').next().unwrap_or_default()).is_none();
        let named = rdn.split('+').count();
        attributes.iter().filter(|attribute| is_unknown(&attribute.description)).count()
            + if is_unknown(rdn.split('=').next().unwrap_or_default()) { named } else { named - 1 }
    }

    fn account(&mut self, given: &ImportedAccount, password: Option<HashText>) -> Result<(), ChangeError> {
        let kind = if given.is_service_account { AccountKind::ServiceAccount } else { AccountKind::Internal };
        if let Err(problem) = validate::check_name(&given.username) {
            self.report.leave_out(format!("it {problem}"), &given.dn);
            return Ok(());
        }
        let Some(tree) = self.tree() else { return Err(ChangeError::Conflict) };
        let snapshot = self.transaction.snapshot();
        if let Some(present) = snapshot.accounts().account_named(&given.username) {
            let present = present.clone();
            let on = ObjectReference::Account(present.number);
            if self.report_present(&tree, on, &given.dn, "its name belongs to another account")? {
                self.report_rest_of(&tree, &present, given);
            }
            return Ok(());
        }
        let mut attributes = attributes(&given.attributes);
        let mut email = given.email.clone();
        if !self.without_planted(&mut attributes, &mut email, &given.rdn, &given.dn) {
            return Ok(());
        }
        if !self.without_system_numbers(&tree, &mut attributes, &given.rdn, &given.dn)
            || !self.without_claims(false, &mut attributes, &given.rdn, &given.dn)
        {
            return Ok(());
        }
        if !self.without_shared_numbers(&mut attributes, &given.rdn, &given.dn) {
            return Ok(());
        }
        let snapshot = self.transaction.snapshot();
        let containers =
            if given.is_service_account { &tree.provider().service_accounts } else { &tree.provider().users };
        let placements =
            placements(&tree, containers, &given.container, &given.rdn, &given.username, snapshot);
        let uuid = self.free_uuid(&tree, given.uuid, &given.dn);
        let now = self.transaction.now();
        let created = given.created.unwrap_or(now);
        let number = self.number_of(&tree, given, &mut attributes)?;
        let origin = self.transaction.origin();
        let account = Account {
            uuid,
            object_classes: given.object_classes.clone(),
            placements,
            created,
            modified: given.modified.unwrap_or(created),
            ..Account::new(AccountNumber::new(number), given.username.clone(), kind, origin, now)
        };
        let password = password.map(|hash| account::next_password(self.transaction, &account, hash, None));
        let changes = AccountChanges {
            name: Some(given.name.clone()),
            email: Some(email),
            is_active: Some(given.is_active),
            attributes: Some(attributes),
            roles: given.is_service_account.then(|| self.work.role.into_iter().collect()),
            password: password.clone().filter(|_| kind.is_person()),
            ..AccountChanges::default()
        };
        let (number, username) = (account.number, account.username.clone());
        let title = format!("the account `{username}`");
        let place = |snapshot: &Snapshot| {
            let mut trees = snapshot.trees().iter();
            trees.find_map(|tree| tree.check_account(&account, snapshot.schema()).err())
        };
        if let Some(error) = place(self.transaction.snapshot()) {
            self.report.leave_out(place_reason(&error), &given.dn);
            return Ok(());
        }
        let whole = account::filled(account.clone(), &changes);
        if self.is_too_large(&Record::Account(whole), &given.dn)? {
            return Ok(());
        }
        let done = account::write(self.transaction, None, account, changes);
        if !self.is_taken_over(done, &title, &given.dn)? {
            return Ok(());
        }
        self.made.insert(ObjectReference::Account(number), self.at.entry);
        let password = password.map(|password| password.hash);
        if kind.is_person() {
            self.report.users += 1;
            self.report.passwords += u64::from(password.is_some());
        } else {
            self.report.service_accounts += 1;
            if let Some(hash) = password {
                self.token(number, &username, hash, &given.dn)?;
            }
        }
        Ok(())
    }

    /// Takes the numbers of system accounts out of what is given to an entry, or leaves out one that is named by such a
    /// number: then it says `false`. Those that an export tells and that are derived again are the provider's own.
    fn without_system_numbers(
        &mut self,
        tree: &Tree,
        attributes: &mut Vec<Attribute>,
        rdn: &str,
        dn: &str,
    ) -> bool {
        let is_derived = self.work.options.restore && derived_number(tree.provider(), attributes).is_some();
        if self.work.options.allow_system_numbers || is_derived {
            return true;
        }
        let least = self.transaction.rules().posix_number_min;
        let schema = self.transaction.snapshot().schema();
        let low = |attribute: &Attribute| {
            validate::low_numbers(std::slice::from_ref(attribute), schema, least)
                .first()
                .map(|(name, _)| *name)
        };
        let named = format!("it is named by a number of a system account, below {least}; {ALLOW}");
        let given = format!(
            "numbers below {least} are those of system accounts, and above {} there are none; {ALLOW}",
            u32::MAX
        );
        without(&mut self.report, attributes, rdn, dn, low, [&named, &given])
    }

    /// Takes what hosts and applications take for a group that gives rights out of what is given to an entry: its gidNumber
    /// and, of a group, a `cn` that is its name. Or leaves out one that is named by it: then it says `false`.
    fn without_claims(
        &mut self,
        is_group: bool,
        attributes: &mut Vec<Attribute>,
        rdn: &str,
        dn: &str,
    ) -> bool {
        let (claims, schema) = (&self.work.claims, self.transaction.snapshot().schema());
        let claimed = |attribute: &Attribute| claims.claimed(is_group, attribute, schema);
        let named = "it is named as a group that gives rights here is known, which no import does";
        let given = "a group that gives rights here is known by it, which no import gives to another";
        without(&mut self.report, attributes, rdn, dn, claimed, [named, given])
    }

    /// Takes what a stranger's object is known by out of what is given to an entry, as far as that was found, or leaves out one
    /// that is named by it: then it says `false`.
    fn without_planted(
        &mut self,
        attributes: &mut Vec<Attribute>,
        email: &mut String,
        rdn: &str,
        dn: &str,
    ) -> bool {
        let Some(Barred { values, is_named }) = self.planted.get(&self.at.entry) else { return true };
        let schema = self.transaction.snapshot().schema();
        let (rdn, address) = (named_values(rdn), folded(email.as_bytes()));
        for Planted { value, whose, of, .. } in values {
            let has_it = |attribute: &Attribute| {
                is_known_by(&attribute.description, schema)
                    && attribute.values.iter().any(|other| folded(other) == *value)
            };
            if *is_named || rdn.iter().any(has_it) {
                let what_to_do = what_to_do(*of, THEN);
                let reason =
                    format!("it would be known by what something else is known by: {whose}; {what_to_do}");
                self.report.leave_out(reason, dn);
                return false;
            }
            let what_to_do = what_to_do(*of, THEN_SET);
            if address == *value && !email.is_empty() {
                email.clear();
                let reason =
                    format!("the mail address: something else is known by it: {whose}; {what_to_do}");
                self.report.leave_out(reason, dn);
            }
            for name in attributes.extract_if(.., |attribute| has_it(attribute)).map(|it| it.description) {
                let reason =
                    format!("the attribute {name}: something else is known by it: {whose}; {what_to_do}");
                self.report.leave_out(reason, dn);
            }
        }
        true
    }

    /// Takes a uidNumber that another account has out of what is given to an account, or leaves out one that is named by
    /// it: then it says `false`.
    fn without_shared_numbers(&mut self, attributes: &mut Vec<Attribute>, rdn: &str, dn: &str) -> bool {
        if self.work.options.allow_shared_numbers {
            return true;
        }
        let snapshot = self.transaction.snapshot();
        if named_values(rdn).iter().any(|value| is_shared_uid_number(snapshot, value)) {
            let reason = format!("it is named by the uidNumber of another account; {SHARE}");
            self.report.leave_out(reason, dn);
            return false;
        }
        let count = attributes.len();
        attributes.retain(|attribute| !is_shared_uid_number(snapshot, attribute));
        if attributes.len() < count {
            self.report.leave_out(format!("the attribute uidNumber: another account has it; {SHARE}"), dn);
        }
        true
    }

    /// The number of an account. In an export the uidNumber and the gidNumber that were derived from one number are
    /// derived again, so that its virtual group is there too, unless the number may have been used here.
    fn number_of(
        &mut self,
        tree: &Tree,
        given: &ImportedAccount,
        attributes: &mut Vec<Attribute>,
    ) -> Result<u32, ChangeError> {
        let is_posix = given.object_classes.is_empty()
            || given.object_classes.iter().any(|class| class.eq_ignore_ascii_case("posixAccount"));
        if self.work.options.restore
            && is_posix
            && let Some(number) = derived_number(tree.provider(), attributes)
            && self.transaction.take_number(number)
        {
            attributes
                .retain(|attribute| !is_number(attribute, "uidNumber") && !is_number(attribute, "gidNumber"));
            return Ok(number);
        }
        self.transaction.next_number()
    }

    /// The password of a service account becomes its app password without a selector.
    fn token(
        &mut self,
        account: AccountNumber,
        username: &str,
        hash: HashText,
        dn: &str,
    ) -> Result<(), ChangeError> {
        let identifier = format!("{username}-imported");
        if self.transaction.snapshot().accounts().token_named(&identifier).is_some() {
            self.report.leave_out("a password: another account has a token of the identifier for it", dn);
            return Ok(());
        }
        let number = TokenNumber::new(self.transaction.next_object()?);
        let made =
            token::made_now(self.transaction, number, identifier, account, (TokenSelector::None, hash));
        let token = Token { description: "imported".to_owned(), ..made };
        if let Err(error) = token::put_new(self.transaction, token) {
            self.report.leave_out(format!("a password: {}", reason(error)?), dn);
            return Ok(());
        }
        self.report.passwords += 1;
        Ok(())
    }

    fn group(&mut self, given: &ImportedGroup) -> Result<(), ChangeError> {
        if let Err(problem) = validate::check_name(&given.name) {
            self.report.leave_out(format!("it {problem}"), &given.dn);
            return Ok(());
        }
        let Some(tree) = self.tree() else { return Err(ChangeError::Conflict) };
        let snapshot = self.transaction.snapshot();
        if let Some(present) = snapshot.accounts().group_named(&given.name) {
            let on = ObjectReference::Group(present.number);
            if self.report_present(&tree, on, &given.dn, "its name belongs to another group")? {
                self.report_missing(&tree, on, &given.attributes, &given.dn);
            }
            return Ok(());
        }
        let mut attributes = attributes(&given.attributes);
        if !self.without_planted(&mut attributes, &mut String::new(), &given.rdn, &given.dn) {
            return Ok(());
        }
        if !self.without_system_numbers(&tree, &mut attributes, &given.rdn, &given.dn)
            || !self.without_claims(true, &mut attributes, &given.rdn, &given.dn)
        {
            return Ok(());
        }
        let snapshot = self.transaction.snapshot();
        let containers = &tree.provider().groups;
        let placements = placements(&tree, containers, &given.container, &given.rdn, &given.name, snapshot);
        let uuid = self.free_uuid(&tree, given.uuid, &given.dn);
        let now = self.transaction.now();
        let created = given.created.unwrap_or(now);
        let origin = self.transaction.origin();
        let number = GroupNumber::new(self.transaction.next_number()?);
        let modified = given.modified.unwrap_or(created);
        let group = Group {
            uuid,
            object_classes: given.object_classes.clone(),
            placements,
            created,
            modified,
            members_modified: modified,
            ..Group::new(number, given.name.clone(), origin, now)
        };
        let place = |snapshot: &Snapshot| {
            let mut trees = snapshot.trees().iter();
            trees.find_map(|tree| tree.check_group(&group, snapshot.schema()).err())
        };
        if let Some(error) = place(self.transaction.snapshot()) {
            self.report.leave_out(place_reason(&error), &given.dn);
            return Ok(());
        }
        let whole = Group { attributes: attributes.clone(), ..group.clone() };
        if self.is_too_large(&Record::Group(whole), &given.dn)? {
            return Ok(());
        }
        let (title, number) = (format!("the group `{}`", group.name), group.number);
        let changes = GroupChanges { attributes: Some(attributes), ..GroupChanges::default() };
        let done = group::write(self.transaction, None, group, changes);
        if !self.is_taken_over(done, &title, &given.dn)? {
            return Ok(());
        }
        self.made.insert(ObjectReference::Group(number), self.at.entry);
        self.report.groups += 1;
        Ok(())
    }

    /// Puts members into their group; `false` when the commit is full before its last one.
    fn members(&mut self, given: &ImportedMembers) -> Result<bool, ChangeError> {
        let snapshot = self.transaction.snapshot();
        let accounts = snapshot.accounts();
        let state = find_entry(snapshot, &given.group).and_then(|id| accounts.group_of_entry(id));
        let group = state.map(|group| group.number);
        if let Some(number) = group
            && let Some(whose) = planted::strangers(self.transaction, ObjectReference::Group(number))?
        {
            let what_to_do = what_to_do(ObjectReference::Group(number), THEN);
            for _ in &given.members {
                let reason =
                    format!("a membership: its group is not that of the file: {whose}; {what_to_do}");
                self.report.leave_out(reason, &given.group);
            }
            return Ok(true);
        }
        let gives_rights = state.is_some_and(|group| Worth::of(accounts).has(group));
        // What is read is how the group was at that time. Where it was changed here since, it changes now.
        let is_as_there = state.is_some_and(|group| Some(group.members_modified) == given.modified);
        let Some(group) = group else {
            for _ in &given.members {
                self.report.leave_out("a membership: its group was left out", &given.group);
            }
            return Ok(true);
        };
        if is_as_there {
            self.transaction.keep_time_of_members(group);
        }
        while let Some(member) = given.members.get(self.at.member) {
            if !self.has_room(0) {
                return Ok(false);
            }
            self.member(group, gives_rights, member)?;
            self.at.member += 1;
        }
        Ok(true)
    }

    fn member(
        &mut self,
        group: GroupNumber,
        gives_rights: bool,
        member: &MemberName,
    ) -> Result<(), ChangeError> {
        let snapshot = self.transaction.snapshot();
        let accounts = snapshot.accounts();
        let (account, child, name) = match member {
            MemberName::Username(name) => {
                let account = accounts.account_named(name);
                let account = account.filter(|found| found.kind != AccountKind::InternalServiceAccount);
                (account.map(|account| account.number), None, name)
            }
            MemberName::Dn(dn) => {
                let id = find_entry(snapshot, dn);
                let account = id.and_then(|id| accounts.account_of_entry(id));
                let child = id.and_then(|id| accounts.group_of_entry(id));
                (account.map(|account| account.number), child.map(|child| child.number), dn)
            }
        };
        let is_member = match (account, child) {
            (Some(account), _) => accounts.group(group).is_some_and(|group| group.has_member(account)),
            (None, Some(child)) => {
                accounts.group(child).is_some_and(|child| child.parents.binary_search(&group).is_ok())
            }
            (None, None) => false,
        };
        let on = account.map(ObjectReference::Account).or(child.map(ObjectReference::Group));
        if let Some(on) = on.filter(|_| !is_member)
            && let Some(whose) = planted::strangers(self.transaction, on)?
        {
            let what_to_do = what_to_do(on, THEN);
            let reason = format!("a membership: its member is not of the file: {whose}; {what_to_do}");
            self.report.leave_out(reason, name);
            return Ok(());
        }
        if gives_rights && !is_member && (account.is_some() || child.is_some()) {
            self.report.leave_out(
                "a membership: its group gives rights here, which no import does; put the member into the config",
                name,
            );
            return Ok(());
        }
        match (account, child) {
            (Some(account), _) => {
                if self.transaction.set_member(group, account, true)? {
                    self.groups.insert(group);
                    self.report.memberships += 1;
                } else {
                    self.report.already_there += 1;
                }
            }
            (None, Some(child)) if child == group => {
                self.report.leave_out("a membership: a group is not in itself", name);
            }
            (None, Some(child)) => self.nest(child, group)?,
            (None, None) => self.report.leave_out("a membership: its member does not exist here", name),
        }
        Ok(())
    }

    fn nest(&mut self, child: GroupNumber, parent: GroupNumber) -> Result<(), ChangeError> {
        let Some(record) = self.transaction.group(child)? else { return Ok(()) };
        if record.parents.contains(&parent) {
            self.report.already_there += 1;
            return Ok(());
        }
        let accounts = self.transaction.snapshot().accounts();
        let above = accounts.group(parent).map(|parent| parent.closure.clone()).unwrap_or_default();
        if above.binary_search(&child).is_ok() {
            let reason =
                "a membership: its group is in the member already, and groups cannot be in each other";
            self.report.leave_out(reason, &record.name);
            return Ok(());
        }
        let below = accounts.groups_below(child).into_iter().filter_map(|below| accounts.group(below));
        let count = |below: &GroupState| {
            let more = above.iter().filter(|number| below.closure.binary_search(number).is_err());
            below.closure.len() + more.count()
        };
        if below.map(|below| count(below)).max().unwrap_or(0) > self.transaction.rules().groups_above_max {
            let reason =
                "a membership: accounts would be in more groups through nesting than groups_above_max";
            self.report.leave_out(reason, &record.name);
            return Ok(());
        }
        let parents = record.parents.iter().copied().chain([parent]).collect();
        let changes = GroupChanges { parents: Some(parents), ..GroupChanges::default() };
        group::write(self.transaction, Some(record.clone()), record, changes)?;
        self.groups.insert(parent);
        self.report.nested_groups += 1;
        Ok(())
    }

    /// Leaves out what the store does not take: nothing behind it would ever be imported.
    fn is_too_large(&mut self, record: &Record, dn: &str) -> Result<bool, ChangeError> {
        match self.transaction.check_size(record) {
            Ok(()) => Ok(false),
            Err(ChangeError::Store(error)) if matches!(*error, StoreError::TooLarge { .. }) => {
                self.report.leave_out(too_large(), dn);
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the writer has taken an entry; one that it refuses is left out.
    fn is_taken_over(
        &mut self,
        done: Result<(), ChangeError>,
        title: &str,
        dn: &str,
    ) -> Result<bool, ChangeError> {
        let Err(error) = done else { return Ok(true) };
        let problems = [reason(error)?];
        self.report.leave_out(without_name(&problems, title), dn);
        Ok(false)
    }

    fn tree(&self) -> Option<Arc<Tree>> {
        self.transaction.snapshot().tree(self.work.provider).cloned()
    }

    /// An object of this name is there: this entry, from an earlier run or by the operator, for which it says `true`, or
    /// another one.
    fn report_present(
        &mut self,
        tree: &Tree,
        on: ObjectReference,
        dn: &str,
        reason: &str,
    ) -> Result<bool, ChangeError> {
        let schema = self.transaction.snapshot().schema();
        let mut normal = Vec::new();
        let is_same = normalize_dn(dn.as_bytes(), schema, &mut normal).is_ok()
            && tree.find_normal(&normal, schema).is_some_and(|found| entry_of(on) == Some(found));
        match planted::strangers(self.transaction, on)? {
            _ if !is_same => self.report.leave_out(reason, dn),
            Some(whose) => {
                let what_to_do = what_to_do(on, THEN);
                let reason = format!("its name is taken: {whose}, and not by an earlier run; {what_to_do}");
                self.report.leave_out(reason, dn);
            }
            None => {
                self.report.already_there += 1;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What an account that is there already does not have of what the file gives to it.
    fn report_rest_of(&mut self, tree: &Tree, present: &AccountState, given: &ImportedAccount) {
        let on = ObjectReference::Account(present.number);
        self.report_missing(tree, on, &given.attributes, &given.dn);
        let whole = |value: &str| vec![Octets(value.as_bytes().to_vec())];
        if !given.email.is_empty() && !self.has_values(tree, on, "mail", &whole(&given.email)) {
            self.report.leave_out(NOT_TAKEN.replace("{}", "mail address"), &given.dn);
        }
        let has_name = |name| self.has_values(tree, on, name, &whole(&given.name));
        if !given.name.is_empty() && !["displayName", "cn"].into_iter().any(has_name) {
            self.report.leave_out(NOT_TAKEN.replace("{}", "full name"), &given.dn);
        }
        if !given.passwords.is_empty() && present.password.is_none() && present.tokens.is_empty() {
            self.report.leave_out(NOT_TAKEN.replace("{}", "password"), &given.dn);
        }
    }

    /// The same of attributes.
    fn report_missing(&mut self, tree: &Tree, on: ObjectReference, given: &[ImportedAttribute], dn: &str) {
        for ImportedAttribute { description, values } in given {
            let base = description.split(';').next().unwrap_or_default();
            if !self.has_values(tree, on, base, values) {
                self.report.leave_out(NOT_TAKEN.replace("{}", &format!("attribute {base}")), dn);
            }
        }
    }

    fn has_values(&self, tree: &Tree, on: ObjectReference, name: &str, values: &[Octets]) -> bool {
        let schema = self.transaction.snapshot().schema();
        let Some((id, entry)) = schema.find(name).zip(entry_of(on).and_then(|id| tree.entry(id))) else {
            return false;
        };
        let stored =
            entry.attributes_of(id).flat_map(|stored| stored.values().map(folded).collect::<Vec<_>>());
        let stored: HashSet<Vec<u8>> = stored.collect();
        values.iter().all(|value| stored.contains(&folded(&value.0)))
    }

    /// The `entryUUID` of the other directory, unless an entry has it.
    fn free_uuid(&mut self, tree: &Tree, given: Option<Uuid>, dn: &str) -> Uuid {
        let Some(uuid) = given else { return Uuid::new_v4() };
        let text = uuid.as_hyphenated().to_string();
        let holders = validate::holders(self.transaction.snapshot(), tree, "entryUUID", text.as_bytes());
        if holders.is_empty() {
            return uuid;
        }
        self.report.leave_out("the attribute entryUUID: another entry has it, a new one is made", dn);
        Uuid::new_v4()
    }
}

/// Takes out of what is given to an entry what it is not to have, by the names that `barred` gives it; or says `false` of an
/// entry that is named by it, which is left out. Both are told, with the first and the second of the reasons.
fn without(
    report: &mut ImportReport,
    attributes: &mut Vec<Attribute>,
    rdn: &str,
    dn: &str,
    barred: impl Fn(&Attribute) -> Option<&'static str>,
    [named, given]: [&str; 2],
) -> bool {
    if named_values(rdn).iter().any(|value| barred(value).is_some()) {
        report.leave_out(named, dn);
        return false;
    }
    attributes.retain(|attribute| match barred(attribute) {
        Some(name) => {
            report.leave_out(format!("the attribute {name}: {given}"), dn);
            false
        }
        None => true,
    });
    true
}

/// The number that both the uidNumber and the gidNumber would be derived from.
fn derived_number(provider: &LdapProvider, attributes: &[Attribute]) -> Option<u32> {
    let number = |name: &str, start: u32| -> Option<u32> {
        let attribute = attributes.iter().find(|attribute| is_number(attribute, name))?;
        let [value] = attribute.values.as_slice() else { return None };
        std::str::from_utf8(value).ok()?.parse::<u32>().ok()?.checked_sub(start)
    };
    let of_account = number("uidNumber", provider.uid_start_number)?;
    (number("gidNumber", provider.gid_start_number) == Some(of_account)).then_some(of_account)
}

fn is_number(attribute: &Attribute, name: &str) -> bool {
    attribute.description.eq_ignore_ascii_case(name)
}

fn find_role(snapshot: &Snapshot, name: Option<&str>) -> Result<Option<RoleNumber>, ChangeError> {
    let Some(name) = name else { return Ok(None) };
    match snapshot.accounts().role_named(name) {
        Some(role) => Ok(Some(role.number)),
        None => Err(ChangeError::NotFound { kind: "role", name: name.to_owned() }),
    }
}

/// The entry with this DN in whatever tree.
pub(super) fn find_entry(snapshot: &Snapshot, dn: &str) -> Option<EntryId> {
    let mut normal = Vec::with_capacity(dn.len() + 16);
    normalize_dn(dn.as_bytes(), snapshot.schema(), &mut normal).ok()?;
    let tree = snapshot.tree_of_normal(&normal)?;
    // By no alias: an entry that was left out must not be taken for the one whose name its RDN holds.
    tree.find_normal(&normal, snapshot.schema())
}

/// What groups that give rights are known by, to hosts and to applications.
struct Claims {
    gid_numbers: HashSet<u64>,
    names: HashSet<Vec<u8>>,
}

impl Claims {
    fn of(snapshot: &Snapshot) -> Self {
        let accounts = snapshot.accounts();
        let worth = Worth::of(accounts);
        let mut claims = Self { gid_numbers: HashSet::new(), names: HashSet::new() };
        let names = snapshot.schema().find("cn");
        for group in accounts.groups().filter(|group| worth.has(group)) {
            claims.names.insert(name_key(&group.name));
            let id = EntryId::of_group(group.number);
            for entry in snapshot.trees().iter().filter_map(|tree| tree.entry(id)) {
                let numbers = entry.attributes_of(AttributeId::GID_NUMBER).flat_map(|stored| stored.values());
                claims.gid_numbers.extend(numbers.filter_map(number));
                let cn = names.into_iter().flat_map(|id| entry.attributes_of(id));
                claims.names.extend(cn.flat_map(|stored| stored.values().filter_map(text).map(name_key)));
            }
        }
        claims
    }

    /// As what an attribute stands for such a group, if it does.
    fn claimed(&self, is_group: bool, attribute: &Attribute, schema: &Schema) -> Option<&'static str> {
        let id = schema.find(attribute.description.split(';').next().unwrap_or_default())?;
        let mut values = attribute.values.iter();
        if id == AttributeId::GID_NUMBER {
            let is_claimed =
                values.any(|value| number(value).is_some_and(|it| self.gid_numbers.contains(&it)));
            return is_claimed.then_some("gidNumber");
        }
        // An account may well have the name of a group.
        let is_claimed = is_group
            && schema.find("cn") == Some(id)
            && values.any(|value| text(value).is_some_and(|it| self.names.contains(&name_key(it))));
        is_claimed.then_some("cn")
    }
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok()
}

fn number(value: &[u8]) -> Option<u64> {
    text(value)?.trim().parse().ok()
}

/// The place of an entry, where it is not the usual one.
fn placements(
    tree: &Tree,
    containers: &[Container],
    container: &str,
    rdn: &str,
    name: &str,
    snapshot: &Snapshot,
) -> Vec<Placement> {
    let normal = |container: &str| {
        let mut form = Vec::new();
        normalize_dn(container.as_bytes(), snapshot.schema(), &mut form).ok().map(|()| form)
    };
    let is_usual = containers.first().is_some_and(|first| {
        normal(&first.container) == normal(container)
            && Rdn::new(first.naming.as_str(), name).to_string() == rdn
    });
    if is_usual {
        return Vec::new();
    }
    let (container, rdn) = (container.to_owned(), rdn.to_owned());
    vec![Placement { provider: tree.provider().number, container, rdn }]
}

/// Whether an account has the uidNumber that this is.
fn is_shared_uid_number(snapshot: &Snapshot, attribute: &Attribute) -> bool {
    let is_held = |value: &Vec<u8>| {
        let mut trees = snapshot.trees().iter();
        trees.any(|tree| !validate::holders(snapshot, tree, "uidNumber", value).is_empty())
    };
    snapshot.schema().find(&attribute.description) == Some(AttributeId::UID_NUMBER)
        && attribute.values.iter().any(is_held)
}

/// What an entry has by its name.
fn named_values(rdn: &str) -> Vec<Attribute> {
    let Ok(dn) = Dn::parse(rdn.as_bytes()) else { return Vec::new() };
    let pairs = dn.rdns().iter().flat_map(|rdn| rdn.pairs());
    let named = pairs
        .map(|pair| Attribute { description: pair.attribute.to_string(), values: vec![pair.value.to_vec()] });
    named.collect()
}

fn attributes(given: &[ImportedAttribute]) -> Vec<Attribute> {
    given
        .iter()
        .map(|attribute| Attribute {
            description: attribute.description.clone(),
            values: attribute.values.iter().map(|value| value.0.clone()).collect(),
        })
        .collect()
}

/// Why the writer does not take something; what is about the whole ends the import.
fn reason(error: ChangeError) -> Result<String, ChangeError> {
    match error {
        ChangeError::Invalid(_)
        | ChangeError::Field { .. }
        | ChangeError::Fields(_)
        | ChangeError::Refused(_)
        | ChangeError::Exists { .. } => Ok(error.to_string()),
        error => Err(error),
    }
}

/// The same words for all entries that it holds for.
fn place_reason(error: &PlaceError) -> String {
    match error {
        PlaceError::Taken { .. } => "another entry has its DN".to_owned(),
        PlaceError::Dn { .. } => "its name makes no distinguished name".to_owned(),
        PlaceError::Container { .. } => error.to_string(),
    }
}

/// Problems of an entry in the same words for all that have them.
fn without_name(problems: &[String], title: &str) -> String {
    problems.iter().map(|problem| problem.replacen(title, "it", 1)).collect::<Vec<_>>().join("; ")
}

/// The reason for an entry that no record can hold.
pub(super) fn too_large() -> String {
    format!("it is larger than an entry can be: {} MiB", RECORD_OCTETS_MAX / (1024 * 1024))
}

fn stop(entry: &ImportEntry, error: &ChangeError) -> ImportStop {
    ImportStop { at: entry.dn().to_owned(), reason: error.to_string() }
}

/// What the provider is for, where none is named and none is the default.
const PURPOSE: &str = "import into";
/// What is told of two that have a name or a mail address together.
const SHARED: &str = "known by one value, so that clients could take one for the other";
/// What is told of what comes out of an export.
const OF_NOBODY: &str = "the import's from now on, which a config takes as meant: who had made what is in no export, so look \
                         for what callers of the API had made";
/// What is told of an entry that is there and lacks what the file has.
const NOT_TAKEN: &str = "the {}: the entry is there already, without a value of it that the file has";
/// What comes after whose an object is has been settled.
const THEN: &str = "; then import again";
/// The same of what an entry that came in goes without: another import leaves the entry as it is.
const THEN_SET: &str = "; then `bindery account set` or `bindery group set` gives it to this one";
/// How what was left out comes in nevertheless.
const ALLOW: &str = "--allow-system-numbers takes them over";
const SHARE: &str = "--allow-shared-numbers takes it over";
/// Changes of one commit, events not counted.
/// No limit of the config: the rest follows in the next commit.
const CHANGES_MAX: usize = 1_000;
const CHANGES_OF_A_STEP: usize = 4;
/// After so many octets a commit is full.
/// No limit of the config: the rest follows in the next commit.
const OCTETS_MAX: usize = 32 * 1024 * 1024;
