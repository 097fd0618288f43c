//! Fields of a request that cannot be: gathered, so that all of them are told at once.

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;

use super::caller::{Asker, Caller, Lack};
use super::error::ChangeError;

/// What is wrong with the fields of one request so far.
#[derive(Debug)]
pub struct WrongFields {
    /// One thing each.
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

    /// What came of looking at a field; `None`: it cannot be, which is told at the end with all that cannot be, each thing once.
    ///
    /// # Errors
    /// Something else is wrong than what stands in a field, or so much that nothing more is told.
    pub fn noting<T>(&self, result: Result<T, ChangeError>) -> Result<Option<T>, ChangeError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_of_fields() => {
                let is_full = keep(&mut self.wrong.borrow_mut(), error).is_break();
                let answer = self.caller.asker().and_then(Asker::answer);
                self.lack.set(self.lack.get().or(answer.and_then(Result::err)));
                // The command ends: nobody reads more.
                if is_full { Err(ChangeError::Fields(Vec::new())) } else { Ok(None) }
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
        // `put` ends the command.
        let _ = keep(&mut wrong, ChangeError::Fields(others.collect()));
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
            Err(error) if error.is_of_fields() => {
                let _ = keep(&mut wrong, error);
            }
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
        Err(match <[_; 1]>::try_from(wrong) {
            Ok([error]) => error,
            Err(wrong) => ChangeError::Fields(wrong.iter().flat_map(ChangeError::fields).collect()),
        })
    }
}

/// Adds what cannot be, unless it is told already, and a last sentence where there is more than is told.
fn keep(wrong: &mut Vec<ChangeError>, error: ChangeError) -> ControlFlow<()> {
    let errors = match error {
        ChangeError::Fields(problems) => {
            problems.into_iter().map(|(field, message)| ChangeError::Field { field, message }).collect()
        }
        error => vec![error],
    };
    for error in errors {
        let problem = error.fields();
        if wrong.iter().any(|told| told.fields() == problem) {
            continue;
        }
        if wrong.len() > PROBLEMS_TOLD_MAX {
            return ControlFlow::Break(());
        }
        if wrong.len() == PROBLEMS_TOLD_MAX {
            let more = "There is more that is wrong, which is not told.";
            wrong.extend(problem.first().map(|(field, _)| ChangeError::field(field, more)));
            return ControlFlow::Break(());
        }
        wrong.push(error);
    }
    ControlFlow::Continue(())
}

/// So much that is wrong with one request is told.
/// No limit of the config: it is enough to see what is wrong, and nobody reads more.
const PROBLEMS_TOLD_MAX: usize = 50;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn wrong() -> WrongFields {
        WrongFields::of(&Caller::stranger(None))
    }

    #[test]
    fn each_thing_is_told_once_and_alone_as_it_is() {
        let wrong = wrong();
        for _ in 0..1_000 {
            let name = "old".to_owned();
            assert_eq!(wrong.noting(Err::<(), _>(ChangeError::Exists { kind: "role", name })).unwrap(), None);
        }
        assert!(matches!(wrong.told(Ok(())), Err(ChangeError::Exists { .. })));
    }

    #[test]
    fn so_much_that_is_wrong_ends_the_command() {
        let wrong = wrong();
        let problem = |count: usize| ChangeError::field("permissions", format!("no permission {count}"));
        for count in 0..PROBLEMS_TOLD_MAX {
            wrong.noting(Err::<(), _>(problem(count))).unwrap();
        }
        for count in 0..2 {
            let end = wrong.noting(Err::<(), _>(problem(PROBLEMS_TOLD_MAX + count))).unwrap_err();
            assert!(end.fields().is_empty());
        }
        wrong.note_others(vec![("name", "wrong too".to_owned())]);
        let told = wrong.told(Err::<(), _>(problem(1_000))).unwrap_err().fields();
        assert_eq!(told.len(), PROBLEMS_TOLD_MAX + 1);
        assert!(told.last().unwrap().1.contains("more that is wrong"));
    }
}
