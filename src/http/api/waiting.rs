//! An answer that finds no room waits until others have taken theirs, as long as its call may take; so does a large body.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::response::Response;

use super::Api;
use super::answer::Room;
use super::refusal::CallRefusal;
use crate::registry::Caller;

/// Whether a call waits for room, which is why its time ends then.
#[derive(Clone, Debug, Default)]
pub(super) struct WaitsForRoom(Arc<Waits>);

#[derive(Debug, Default)]
struct Waits {
    is_so: AtomicBool,
    /// With a body that has not come to its end: then the connection ends with the call.
    has_body_to_come: AtomicBool,
}

impl WaitsForRoom {
    pub(super) fn is_so(&self) -> bool {
        self.0.is_so.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, is_so: bool) {
        self.0.is_so.store(is_so, Ordering::Relaxed);
    }

    pub(super) fn has_body_to_come(&self) -> bool {
        self.0.has_body_to_come.load(Ordering::Relaxed)
    }

    pub(super) fn set_body_to_come(&self, has: bool) {
        self.0.has_body_to_come.store(has, Ordering::Relaxed);
    }
}

/// Makes an answer in what room there is. Where that is too little, all that was made of it is dropped, and it is made anew as
/// soon as there is more. While it waits it holds neither memory nor a turn, a thread or a revision of the directory: others
/// whose accounts hold less go past it. As many wait as there are connections. Its end is that of the call's time.
///
/// # Errors
/// What `make` says.
pub(super) async fn in_room<F>(
    api: &Api,
    caller: &Caller,
    waits: &WaitsForRoom,
    mut make: impl FnMut(Arc<Room>) -> F,
) -> Result<Response, CallRefusal>
where
    F: Future<Output = Result<Response, CallRefusal>>,
{
    let mut room = Room::new(api, caller);
    loop {
        let refusal = match make(Arc::clone(&room)).await {
            Ok(response) => return Ok(response),
            Err(refusal) => refusal,
        };
        waits.set(true);
        let Some(enough) = room.enough(api).await else { return Err(refusal) };
        waits.set(false);
        room = enough;
    }
}
