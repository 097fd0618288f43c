//! One timer for all that a connection waits for, one after the other.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use tokio::time::{Instant, Sleep, sleep_until};

/// Tells when a deadline has passed. Each request has one that is later than that before it, and hardly any ever passes: the timer
/// is left where it is until it fires or a deadline is sooner, so that a request that comes in time takes no lock for it.
#[derive(Debug, Default)]
pub struct Deadline {
    /// Made for the first.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    /// Comes when it is `deadline`.
    pub fn passed(&mut self, deadline: Instant) -> impl Future<Output = ()> + '_ {
        poll_fn(move |context| {
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            loop {
                if timer.deadline() > deadline {
                    timer.as_mut().reset(deadline);
                }
                if timer.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                if timer.deadline() >= deadline {
                    return Poll::Ready(());
                }
                // It was set for one before.
                timer.as_mut().reset(deadline);
            }
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::time::{sleep, timeout};

    use super::*;

    const LONG: Duration = Duration::from_secs(1_000_000);

    proptest! {
        /// Deadlines of any order, waited for to their end or not.
        #[test]
        fn each_comes_when_it_is_time(waits in prop::collection::vec((0_u64..50, 0_u64..50, any::<bool>()), 1..40)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            runtime.unwrap().block_on(async {
                let mut deadline = Deadline::default();
                for (until, pause, is_waited_for) in waits {
                    let begun = Instant::now();
                    let until = begun + Duration::from_secs(until);
                    let patience = if is_waited_for { LONG } else { Duration::from_secs(pause) };
                    let has_come = timeout(patience, deadline.passed(until)).await.is_ok();
                    // One that is over was not waited for.
                    let expected = until.min(begun + patience);
                    prop_assert_eq!(has_come, until <= begun + patience);
                    prop_assert_eq!(Instant::now(), expected);
                    sleep(Duration::from_secs(pause)).await;
                }
                Ok(())
            })?;
        }
    }

    /// Also with a timer that was set before by who is not there any more.
    #[tokio::test(start_paused = true)]
    async fn whoever_waits_is_woken() {
        let mut deadline = Deadline::default();
        let begun = Instant::now();
        assert!(
            timeout(Duration::from_secs(1), deadline.passed(begun + Duration::from_secs(9))).await.is_err()
        );
        tokio::spawn(async move { deadline.passed(begun + Duration::from_secs(20)).await }).await.unwrap();
        assert_eq!(begun.elapsed(), Duration::from_secs(20));
    }
}
