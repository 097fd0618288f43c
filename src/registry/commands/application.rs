//! Applications one at a time: made, changed, deleted. Their bindings are in `binding.rs`.

use uuid::Uuid;

use super::account::grant_to_creator;
use super::{names, set, validate};
use crate::model::{
    AccountKind, Application, ApplicationChanges, ApplicationNumber, Binding, BindingSubject, Key,
    ObjectReference, Permission, ProviderNumber, Record,
};
use crate::registry::{ChangeError, Lack, Transaction};

/// Makes an application that nobody is bound to yet.
///
/// # Errors
/// The slug is taken, a text is none, the provider has an application or may not be changed by the caller, or
/// [`Permission::AddApplication`] is missing.
pub fn create_application(
    transaction: &mut Transaction<'_>,
    slug: String,
    given: ApplicationChanges,
) -> Result<ApplicationNumber, ChangeError> {
    transaction.require(Permission::AddApplication)?;
    let number = ApplicationNumber::new(transaction.next_object()?);
    let application =
        Application::of_slug(number, Uuid::new_v4(), slug, transaction.origin(), transaction.now());
    let given = ApplicationChanges { slug: None, ..given };
    write(transaction, None, application, given)?;
    grant_to_creator(transaction, ObjectReference::Application(number))?;
    Ok(number)
}

/// Changes an application.
///
/// # Errors
/// There is no such application that the caller may view, the change is one that [`create_application`] would refuse,
/// or [`Permission::ChangeApplication`] on it is missing. Another slug is for whose it is.
pub fn update_application(
    transaction: &mut Transaction<'_>,
    number: ApplicationNumber,
    changes: ApplicationChanges,
) -> Result<(), ChangeError> {
    let application = application_for(transaction, number, Permission::ChangeApplication)?;
    write(transaction, Some(application.clone()), application, changes)
}

/// Deletes an application with its bindings. Its provider stays, and from then on admits every active account.
///
/// # Errors
/// There is no such application that the caller may view, [`Permission::DeleteApplication`] on it is missing, or it is not
/// the caller's: its provider would stand open to everybody.
pub fn delete_application(
    transaction: &mut Transaction<'_>,
    number: ApplicationNumber,
) -> Result<(), ChangeError> {
    let application = application_for(transaction, number, Permission::DeleteApplication)?;
    names::require_maker(transaction, application.origin, ("application", &application.slug), "delete it")?;
    transaction.delete(Key::Application(number))
}

/// The application that the caller may do this to.
pub(super) fn application_for(
    transaction: &Transaction<'_>,
    number: ApplicationNumber,
    permission: Permission,
) -> Result<Application, ChangeError> {
    let Some(application) = transaction.snapshot().accounts().application(number) else {
        return Err(ChangeError::NotFound { kind: "application", name: number.to_string() });
    };
    transaction.require_on(permission, ObjectReference::Application(number), &application.slug)?;
    Ok((**application).clone())
}

/// The one writer of applications: puts `application`, with what is said of it, in the place of `before`.
///
/// # Errors
/// What cannot be, or a permission on a provider that is gained or lost.
pub(super) fn write(
    transaction: &mut Transaction<'_>,
    before: Option<Application>,
    mut application: Application,
    changes: ApplicationChanges,
) -> Result<(), ChangeError> {
    let ApplicationChanges { slug, name, provider, mode, texts, open_in_new_tab, hide, bindings } = changes;
    if let Some(provider) = provider {
        let checked = transaction.noting(check_provider(transaction, &application, provider))?;
        set(&mut application.provider, checked.map(|()| provider));
    }
    set(&mut application.slug, slug);
    set(&mut application.name, name);
    set(&mut application.mode, mode);
    for (text, value) in texts {
        application.texts.set(text, value);
    }
    set(&mut application.open_in_new_tab, open_in_new_tab);
    set(&mut application.hide, hide);
    if let Some(bindings) = bindings {
        check_bindings(transaction, &application.bindings, &bindings)?;
        application.bindings = bindings;
    }
    if before.as_ref().is_none_or(|before| before.slug != application.slug) {
        if let Some(before) = &before {
            let named = ("application", before.slug.as_str());
            names::require_maker(transaction, before.origin, named, "give it another slug")?;
        }
        let named = transaction.snapshot().accounts().application_named(&application.slug);
        let named = named.map(|named| ObjectReference::Application(named.number));
        names::note_taken(
            transaction,
            named,
            ObjectReference::Application(application.number),
            &application.slug,
        )?;
    }
    put(transaction, before.as_ref(), application)
}

/// Puts an application in the place of `before`. What each of its records keeps is asked here, and nothing about rights.
///
/// # Errors
/// What cannot be.
pub(super) fn put(
    transaction: &mut Transaction<'_>,
    before: Option<&Application>,
    application: Application,
) -> Result<(), ChangeError> {
    if before == Some(&application) {
        return Ok(());
    }
    let mut problems = Vec::new();
    let present = &before.unwrap_or(&application).slug;
    validate::application(&application, present, &mut problems);
    transaction.noting_all(problems)?;
    transaction.put(Record::Application(Application { modified: transaction.now(), ..application }))
}

/// Whether those of the bindings that are new may be. What acts by itself never binds, so nothing is said for it.
fn check_bindings(
    transaction: &Transaction<'_>,
    before: &[Binding],
    after: &[Binding],
) -> Result<(), ChangeError> {
    let accounts = transaction.snapshot().accounts();
    for binding in after {
        let is_new = || before.iter().all(|other| other.subject != binding.subject);
        if let BindingSubject::Account(number) = &binding.subject
            && let Some(account) = accounts.account(*number)
            && account.kind == AccountKind::InternalServiceAccount
            && is_new()
        {
            return Err(validate::internal_to(&transaction.viewer(), *number, &account.username));
        }
    }
    Ok(())
}

/// Whether an application may go from its provider to this one. The application decides who may bind to its provider,
/// so both are the affair of who may change the provider. Whether another has it is asked of the whole.
fn check_provider(
    transaction: &Transaction<'_>,
    application: &Application,
    after: Option<ProviderNumber>,
) -> Result<(), ChangeError> {
    let before = application.provider;
    if before == after {
        return Ok(());
    }
    let accounts = transaction.snapshot().accounts();
    if let Some(provider) = before.and_then(|number| accounts.provider(number))
        && !transaction.caller().may(
            accounts,
            Permission::ChangeProvider,
            Some(ObjectReference::Provider(provider.number)),
        )
    {
        transaction.caller().lacks(Lack::Permission(Permission::ChangeProvider));
        return Err(ChangeError::Forbidden { permission: Permission::ChangeProvider });
    }
    let Some(number) = after else { return Ok(()) };
    let none = || ChangeError::field("provider", format!("there is no provider {number}"));
    let provider = accounts.provider(number).ok_or_else(none)?;
    let on = ObjectReference::Provider(number);
    match transaction.require_on(Permission::ChangeProvider, on, &provider.name) {
        // To the caller it does not exist; it is not what the request is about, but what stands in its body.
        Err(ChangeError::NotFound { .. }) => Err(none()),
        answer => answer,
    }
}
