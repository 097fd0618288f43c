//! A call that was refused for what its caller may not do leaves a trace: it is counted with those that are like it, and
//! together they become one event. Every row of the table comes here with every refusal.

use axum::http::{Method, StatusCode};

use super::refusal::CallRefusal;
use super::route::Needs;
use crate::audit::DeniedCall;
use crate::model::Permission;
use crate::registry::{Asker, Lack, Registry};

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    /// The path of the row, not of the call: it says nothing of the object.
    pub(super) resource: &'a str,
    pub(super) needs: Needs,
}

impl Asked<'_> {
    /// Notes a refusal, if it is for what the caller may not do: what else may be wrong with a request is nobody's
    /// trespass. `None`: the operator, to whom nothing is refused so, or a stranger, who is no one to tell of.
    pub(super) fn note(self, registry: &Registry, asker: Option<&Asker>, refusal: &CallRefusal) {
        let Some(asker) = asker else { return };
        let answer = asker.answer();
        let lack = match (refusal.status(), answer) {
            (StatusCode::FORBIDDEN, answer) if refusal.is_trespass() => answer.and_then(Result::err),
            // Since it came in: before, it is a failed login.
            (StatusCode::UNAUTHORIZED, _) => None,
            // What is wrong with the request is that it names something that the caller may not know.
            (StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND, Some(Err(lack))) => Some(lack),
            (StatusCode::NOT_FOUND, None) if refusal.is_not_there() => match self.missing(registry, asker) {
                Some(lack) => Some(lack),
                None => return,
            },
            _ => return,
        };
        let (method, resource) = (self.method.as_str(), self.resource);
        let call = DeniedCall { method, resource, missing: lack.map(Lack::name) };
        let reason = match lack {
            Some(lack) => lack.to_string(),
            None if refusal.status() == StatusCode::UNAUTHORIZED => refusal.sentence().to_owned(),
            None => AGAINST_THE_RULES.to_owned(),
        };
        registry.note_denied_call(asker, call, &reason, registry.now());
    }

    /// What the caller needed to learn whether there is what it named. Of what is hidden and of what is not there the
    /// answer is the same, so both are counted, and alike: who tries one name after the other is seen by all of them.
    fn missing(self, registry: &Registry, asker: &Asker) -> Option<Lack> {
        let Needs::All(permissions) = self.needs else { return None };
        let snapshot = registry.current();
        let is_missing = |permission: &&Permission| !asker.may(snapshot.accounts(), **permission, None);
        permissions.iter().find(is_missing).copied().map(Lack::Permission)
    }
}

/// Not the sentence of the answer, which has names in it: whoever makes those up would be told apart by them.
const AGAINST_THE_RULES: &str = "the rules forbid it, whatever is granted";
