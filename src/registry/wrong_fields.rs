//! Fields of a request that cannot be: gathered, so that all of them are told at once.

use std::cell::{Cell, RefCell};

use super::caller::{Asker, Caller, Lack};
use super::error::ChangeError;

/// What is wrong with the fields of one request so far.
#[derive(Debug)]
pub struct WrongFields {
    wrong: RefCell<Vec<ChangeError>>,
    caller: Caller,
    /// What the caller lacked when it was asked about the first field that cannot be for it.
    lack: Cell<Option<Lack>>,
}

impl WrongFields {
    /// Of a request of this caller, nothing so far.
    pub fn of(caller: &Caller) -> Self {
        Self { wrong: RefCell::default(), caller: caller.clone(), lack: Cell::new(None) }
    }

    /// What came of looking at a field; `None`: it cannot be, which is told at the end with all that cannot be.
    ///
    /// # Errors
    /// Something else is wrong than what stands in a field.
    pub fn noting<T>(&self, result: Result<T, ChangeError>) -> Result<Option<T>, ChangeError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_of_fields() => {
                self.wrong.borrow_mut().push(error);
                let answer = self.caller.asker().and_then(Asker::answer);
                self.lack.set(self.lack.get().or(answer.and_then(Result::err)));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Notes what is wrong with a whole object, by its fields: of one of which something is told already nothing more, as it
    /// may be so for want of that.
    pub(super) fn note_others(&self, problems: Vec<(&'static str, String)>) {
        let mut wrong = self.wrong.borrow_mut();
        let told: Vec<&'static str> =
            wrong.iter().flat_map(|error| error.fields()).map(|(field, _)| field).collect();
        let others = problems.into_iter().filter(|(field, _)| !told.contains(field));
        wrong.extend(others.map(|(field, message)| ChangeError::Field { field, message }));
    }

    /// Whether nothing is wrong so far.
    pub(super) fn is_empty(&self) -> bool {
        self.wrong.borrow().is_empty()
    }

    /// What came of a request, behind all that is wrong with its fields.
    ///
    /// # Errors
    /// The fields that cannot be, or what the request says.
    pub fn told<T>(self, result: Result<T, ChangeError>) -> Result<T, ChangeError> {
        let mut wrong = self.wrong.into_inner();
        if wrong.is_empty() {
            return result;
        }
        // What it was asked since may have been well: what it lacked is what its request is refused for.
        if let Some(lack) = self.lack.get() {
            self.caller.lacks(lack);
        }
        match result {
            Err(error) if error.is_of_fields() => wrong.push(error),
            // What came behind them may be so for want of them, and was not told when the first of them ended it.
            Ok(_)
            | Err(
                ChangeError::Invalid(_)
                | ChangeError::NotFound { .. }
                | ChangeError::Forbidden { .. }
                | ChangeError::Refused(_)
                | ChangeError::Conflict,
            ) => {}
            Err(error) => return Err(error),
        }
        // `put` says that something is wrong without saying what.
        wrong.retain(|error| !error.fields().is_empty());
        Err(match <[_; 1]>::try_from(wrong) {
            Ok([error]) => error,
            Err(wrong) => ChangeError::Fields(wrong.iter().flat_map(ChangeError::fields).collect()),
        })
    }
}
