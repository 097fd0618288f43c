//! Bindings of applications one at a time: made, changed, moved, deleted.
//!
//! A binding is a part of its application, so whoever changes one needs the permission on bindings and
//! [`Permission::ChangeApplication`] on the application.

use uuid::Uuid;

use super::set;
use crate::directory::Accounts;
use crate::model::{
    Application, ApplicationChanges, ApplicationNumber, Binding, BindingSubject, ObjectReference, Permission,
};
use crate::registry::{Caller, ChangeError, Lack, Transaction};

/// What is said of a binding when it is made or changed; what is `None` is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BindingChanges {
    /// The application that it belongs to.
    pub target: Option<ApplicationNumber>,
    /// For whom, from where or when it passes.
    pub subject: Option<BindingSubject>,
    /// Its place in lists.
    pub order: Option<i32>,
    /// Whether it passes for everybody else instead.
    pub negate: Option<bool>,
    /// Whether it takes part at all.
    pub enabled: Option<bool>,
}

/// Binds an application.
///
/// # Errors
/// The subject is none or one that the caller may not view, or [`Permission::AddPolicyBinding`] or
/// [`Permission::ChangeApplication`] on the application is missing.
pub fn create_binding(
    transaction: &mut Transaction<'_>,
    target: ApplicationNumber,
    subject: BindingSubject,
    given: BindingChanges,
) -> Result<Uuid, ChangeError> {
    transaction.require(Permission::AddPolicyBinding)?;
    let application = target_for(transaction, target)?;
    check_subject(transaction, &subject)?;
    let BindingChanges { order, negate, enabled, .. } = given;
    let binding = Binding {
        uuid: Uuid::new_v4(),
        subject,
        order: order.unwrap_or_default(),
        negate: negate.unwrap_or(false),
        enabled: enabled.unwrap_or(true),
    };
    let uuid = binding.uuid;
    put_binding(transaction, application, binding)?;
    Ok(uuid)
}

/// Changes a binding.
///
/// # Errors
/// There is no such binding that the caller may view, the change is one that [`create_binding`] would refuse, or
/// [`Permission::ChangePolicyBinding`], or [`Permission::ChangeApplication`] on the application (when it is moved: on
/// both), is missing.
pub fn update_binding(
    transaction: &mut Transaction<'_>,
    uuid: Uuid,
    changes: BindingChanges,
) -> Result<(), ChangeError> {
    let (application, before) = binding_for(transaction, uuid, Permission::ChangePolicyBinding)?;
    let BindingChanges { target, subject, order, negate, enabled } = changes;
    let mut binding = before.clone();
    if let Some(subject) = subject.filter(|subject| *subject != before.subject) {
        check_subject(transaction, &subject)?;
        binding.subject = subject;
    }
    set(&mut binding.order, order);
    set(&mut binding.negate, negate);
    set(&mut binding.enabled, enabled);
    match target.filter(|target| *target != application.number) {
        None if binding == before => Ok(()),
        None => put_binding(transaction, application, binding),
        Some(target) => {
            let target = target_for(transaction, target)?;
            take_binding(transaction, application, uuid)?;
            put_binding(transaction, target, binding)
        }
    }
}

/// Deletes a binding. An application that has none left admits every active account.
///
/// # Errors
/// There is no such binding that the caller may view, or [`Permission::DeletePolicyBinding`] or
/// [`Permission::ChangeApplication`] on the application is missing.
pub fn delete_binding(transaction: &mut Transaction<'_>, uuid: Uuid) -> Result<(), ChangeError> {
    let (application, _) = binding_for(transaction, uuid, Permission::DeletePolicyBinding)?;
    take_binding(transaction, application, uuid)
}

/// Whether the caller may know of the bindings of an application.
pub fn may_view_bindings(caller: &Caller, accounts: &Accounts, application: ApplicationNumber) -> bool {
    let on = ObjectReference::Application(application);
    caller.may(accounts, Permission::ViewPolicyBinding, None)
        || caller.may(accounts, Permission::ViewApplication, Some(on))
}

/// A binding that the caller may do this to, with its application.
fn binding_for(
    transaction: &Transaction<'_>,
    uuid: Uuid,
    permission: Permission,
) -> Result<(Application, Binding), ChangeError> {
    let accounts = transaction.snapshot().accounts();
    let mut bound = accounts
        .applications()
        .flat_map(|application| application.bindings.iter().map(move |binding| (application, binding)));
    let none = || ChangeError::NotFound { kind: "binding", name: uuid.to_string() };
    let (application, binding) = bound.find(|(_, binding)| binding.uuid == uuid).ok_or_else(none)?;
    let caller = transaction.caller();
    let on = Some(ObjectReference::Application(application.number));
    for (permission, on) in [(permission, None), (Permission::ChangeApplication, on)] {
        if !caller.may(accounts, permission, on) {
            caller.lacks(Lack::Permission(permission));
            return Err(match may_view_bindings(caller, accounts, application.number) {
                true => ChangeError::Forbidden { permission },
                false => none(),
            });
        }
    }
    Ok(((**application).clone(), binding.clone()))
}

/// The application that is to be bound.
fn target_for(transaction: &Transaction<'_>, number: ApplicationNumber) -> Result<Application, ChangeError> {
    super::application::application_for(transaction, number, Permission::ChangeApplication).map_err(|error| {
        match error {
            // It is not what the request is about, but what stands in its body.
            ChangeError::NotFound { .. } => no_target(),
            error => error,
        }
    })
}

/// The answer where the target does not exist, or not for the caller.
pub fn no_target() -> ChangeError {
    ChangeError::field("target", "there is no such application")
}

/// Whether there can be a binding for it. Whom the caller may not view it cannot name.
fn check_subject(transaction: &Transaction<'_>, subject: &BindingSubject) -> Result<(), ChangeError> {
    let accounts = transaction.snapshot().accounts();
    let caller = transaction.caller();
    let is_known = |on: ObjectReference| caller.knows(accounts, on) && accounts.has(on);
    match subject {
        BindingSubject::Account(number) if !is_known(ObjectReference::Account(*number)) => {
            Err(ChangeError::field("user", format!("there is no account {number}")))
        }
        BindingSubject::Group(number) if !is_known(ObjectReference::Group(*number)) => {
            Err(ChangeError::field("group", "there is no such group"))
        }
        BindingSubject::Account(_)
        | BindingSubject::Group(_)
        | BindingSubject::Networks(_)
        | BindingSubject::Window(_) => Ok(()),
    }
}

/// Puts a binding into its application, in place of the one with its uuid.
fn put_binding(
    transaction: &mut Transaction<'_>,
    application: Application,
    binding: Binding,
) -> Result<(), ChangeError> {
    let mut bindings = application.bindings.clone();
    match bindings.iter_mut().find(|other| other.uuid == binding.uuid) {
        Some(there) => *there = binding,
        None => bindings.push(binding),
    }
    write_bindings(transaction, application, bindings)
}

fn take_binding(
    transaction: &mut Transaction<'_>,
    application: Application,
    uuid: Uuid,
) -> Result<(), ChangeError> {
    let mut bindings = application.bindings.clone();
    bindings.retain(|binding| binding.uuid != uuid);
    write_bindings(transaction, application, bindings)
}

fn write_bindings(
    transaction: &mut Transaction<'_>,
    application: Application,
    bindings: Vec<Binding>,
) -> Result<(), ChangeError> {
    let changes = ApplicationChanges { bindings: Some(bindings), ..ApplicationChanges::default() };
    super::application::write(transaction, Some(application.clone()), application, changes)
}
