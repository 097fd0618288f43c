//! One connection: reads, writes, timers and back-pressure around a [`Session`].

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::input::Input;
use super::client_trust::ClientTrust;
use super::frame;
use super::memory::{self, ConnectionMemory};
use super::pages::Pages;
use super::result_code::ResultCode;
use super::session::{Moment, Next, Session, SessionPeer, SessionSettings};
use crate::config::{Limit, Limits, Settings, TlsSettings};
use crate::net::deadline::Deadline;
use crate::net::handshake;
use crate::net::mistaken::{self, Spoken};
use crate::net::{
    AuthoritiesDigest, ClientCertificate, ConnectionRefused, Peer, Permit, Presence, Secured, SourceTurns,
    Stream, Tls, Turn, Turns, let_others_first, linger,
};
use crate::registry::Registry;
use crate::seldom::{self, Seldom};

mod input;

/// What all connections of the LDAP door have in common.
pub struct Door {
    registry: Arc<Registry>,
    tls: Option<Arc<Tls>>,
    settings: Arc<SessionSettings>,
    turns: Turns,
    shutdown: CancellationToken,
}

/// Why a connection ended; none of it is the server's trouble.
#[derive(Debug, thiserror::Error)]
enum Ended {
    /// The client said good-bye, or closed.
    #[error("closed")]
    Closed,
    /// The TLS handshake failed.
    #[error("the TLS handshake failed: {0}")]
    Handshake(#[source] io::Error),
    /// Nothing was heard in time.
    #[error("timed out: {0}")]
    TimedOut(&'static str),
    /// Octets in clear stood behind a StartTLS request.
    #[error("octets in clear behind a StartTLS request")]
    Injected,
    /// There were too many.
    #[error("it made room for others: {0}")]
    MadeRoom(ConnectionRefused),
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Door {
    /// The door over `registry`; connections end when `shutdown` is cancelled.
    pub fn new(
        registry: Arc<Registry>,
        tls: Option<Arc<Tls>>,
        settings: &Settings,
        pages: Arc<Pages>,
        shutdown: CancellationToken,
    ) -> Arc<Self> {
        let authorities = tls.as_ref().and_then(|tls| tls.client_authorities());
        let accounts = settings.tls.as_ref().map(TlsSettings::client_accounts).unwrap_or_default();
        let settings = SessionSettings {
            secrets_in_clear: settings.secrets_in_clear,
            limits: settings.limits.clone(),
            offers_start_tls: tls.is_some(),
            client_trust: Arc::new(ClientTrust::new(authorities, accounts)),
            memory: ConnectionMemory::new(&settings.limits),
            expiry_warning: settings.expiry_warning,
            rotation_overlap: settings.rotation_overlap,
            pages,
        };
        let threads = tokio::runtime::Handle::current().metrics().num_workers();
        Arc::new(Self { registry, tls, settings: Arc::new(settings), turns: Turns::new(threads), shutdown })
    }

    /// Whose client certificates are believed, which a reload may exchange.
    pub fn client_trust(&self) -> &ClientTrust {
        &self.settings.client_trust
    }
}

/// The limit by which a connection is refused, or makes room for others.
pub fn limit_of(refused: ConnectionRefused) -> Limit {
    match refused {
        ConnectionRefused::Connections { .. } => Limit::connections_max,
        ConnectionRefused::BySource { .. } => Limit::connections_by_source_max,
        ConnectionRefused::BeforeBind { .. } => Limit::connections_before_bind_max,
        ConnectionRefused::BeforeBindBySource { .. } => Limit::connections_before_bind_by_source_max,
        ConnectionRefused::Leaving { .. } => Limit::connections_leaving_max,
        ConnectionRefused::Awaited { .. } => Limit::proxy_headers_awaited_max,
    }
}

/// Serves one connection until it ends; `is_tls` when it begins with a TLS handshake.
pub async fn serve(door: Arc<Door>, stream: Stream, peer: Peer, permit: Permit, is_tls: bool) {
    let address = peer.address;
    let ended = match serve_stream(&door, stream, &peer, permit, is_tls).await {
        Ok(()) => Ended::Closed,
        Err(ended) => ended,
    };
    tracing::debug!(client = %address, reason = %ended, "connection ended");
}

async fn serve_stream(
    door: &Door,
    stream: Stream,
    peer: &Peer,
    permit: Permit,
    is_tls: bool,
) -> Result<(), Ended> {
    let session_peer = SessionPeer {
        source: peer.address.ip(),
        is_loopback: peer.is_loopback(),
        is_tls_at_proxy: peer.is_tls_at_proxy(),
    };
    let session = Session::new(door.registry.clone(), door.settings.clone(), session_peer, is_tls);
    let mut connection = Connection {
        session,
        input: Input::new(door.settings.memory.buffer(memory::holders(None, session_peer))),
        output: Vec::new(),
        deadline: Deadline::default(),
        permit,
        turns: door.turns.of(peer.source_elsewhere()),
        registry: &door.registry,
        limits: &door.settings.limits,
        shutdown: &door.shutdown,
        peer,
        is_begun: false,
        unrested: 0,
    };
    let stream = match is_tls {
        true => Some(stream),
        false => connection.run(stream).await?,
    };
    let Some(stream) = stream else { return Ok(()) };
    let turns = connection.turns.clone();
    // Both are large, and thousands of connections without TLS need no room for them.
    let shaken = Box::pin(handshake(door, stream, peer, &turns, connection.permit.presence())).await;
    let (stream, authorities) = shaken?;
    let certificate = authorities.and_then(|authorities| client_certificate(&stream, authorities));
    connection.session.tls_started(certificate);
    connection.is_begun = false;
    connection.run(stream).await.map(|_| ())
}

/// What the client has shown in the handshake, or in the one that began the session which it has resumed.
fn client_certificate(stream: &Secured, authorities: AuthoritiesDigest) -> Option<ClientCertificate> {
    let certificate = ClientCertificate::of(stream.peer_certificates()?, authorities);
    if certificate.is_none()
        && let Some(count) = seldom::note(Seldom::UnreadableClient)
    {
        tracing::warn!(count, "{}", Seldom::UnreadableClient.sentence());
    }
    certificate
}

/// The stream, and by which authorities a client certificate was verified, if one was asked for.
async fn handshake(
    door: &Door,
    stream: Stream,
    peer: &Peer,
    turns: &Arc<SourceTurns>,
    presence: &Presence,
) -> Result<(Box<Secured>, Option<AuthoritiesDigest>), Ended> {
    let Some(tls) = &door.tls else { return Err(Ended::Closed) };
    let (acceptor, authorities) = tls.acceptor();
    let made_room = |limit| {
        door.registry.reached().note(limit_of(limit));
        Ended::MadeRoom(limit)
    };
    let accepting = handshake::accept(acceptor, stream, peer, presence, turns);
    let accepted = timeout(door.settings.limits.handshake_time, accepting);
    tokio::select! {
        accepted = accepted => match accepted.inspect(|_| presence.is_served()) {
            Ok(accepted) => Ok((Box::new(accepted.map_err(Ended::Handshake)?), authorities)),
            Err(_) => {
                door.registry.reached().note(Limit::handshake_time);
                Err(Ended::TimedOut("the TLS handshake"))
            }
        },
        limit = presence.asked_to_leave() => Err(made_room(limit)),
        () = door.shutdown.cancelled() => Err(Ended::TimedOut(SHUTTING_DOWN)),
    }
}

struct Connection<'a> {
    session: Session,
    input: Input,
    output: Vec<u8>,
    /// Of what the client is waited for.
    deadline: Deadline,
    permit: Permit,
    turns: Arc<SourceTurns>,
    registry: &'a Registry,
    limits: &'a Limits,
    shutdown: &'a CancellationToken,
    peer: &'a Peer,
    /// Whether a message was taken, so that it is LDAP that is spoken.
    is_begun: bool,
    /// What was done for the client without a rest.
    unrested: u64,
}

impl Connection<'_> {
    /// Serves until the connection ends, or until TLS is to begin: then the stream is given back.
    async fn run<S: AsyncRead + AsyncWrite + Unpin>(&mut self, mut stream: S) -> Result<Option<S>, Ended> {
        loop {
            let was_full = self.session.is_full(&self.output);
            let taken = match self.turn(Session::receive).await {
                Ok(taken) => taken,
                Err(limit) => return Err(self.make_room(&mut stream, limit).await),
            };
            self.input.advance(taken);
            self.is_begun |= taken > 0;
            self.note_identity();
            self.flush(&mut stream).await?;
            match self.session.next() {
                // Its turn is over, or what was full is empty again: there may be whole messages left.
                Next::Read if (taken > 0 || was_full) && !self.input.is_empty() => self.rest().await,
                // All that was received is answered.
                Next::Read if self.input.has_ended() => {
                    self.close(&mut stream).await;
                    return Err(Ended::Closed);
                }
                Next::Read => {
                    // What comes next may have come already.
                    if self.unrested >= UNRESTED_MAX {
                        self.rest().await;
                    }
                    self.read(&mut stream).await?;
                }
                Next::Work => {
                    self.rest().await;
                    self.read_what_is_there(&mut stream).await?;
                    let worked = self.turn(|session, _, output, moment| session.work(output, moment)).await;
                    if let Err(limit) = worked {
                        return Err(self.make_room(&mut stream, limit).await);
                    }
                }
                Next::Hash => self.wait_for_hash(&mut stream).await?,
                Next::Change => self.wait_for_change(&mut stream).await?,
                Next::StartTls if self.session.is_injected(self.input.octets()) => {
                    return Err(Ended::Injected);
                }
                Next::StartTls => return Ok(Some(stream)),
                Next::Close => {
                    if !self.is_begun {
                        mistaken::tell_spoken(self.peer, self.input.octets(), Spoken::Ldap);
                    }
                    self.close(&mut stream).await;
                    return Ok(None);
                }
            }
        }
    }

    /// Others have their turn first.
    async fn rest(&mut self) {
        self.unrested = 0;
        let_others_first().await;
    }

    fn moment(&self) -> Moment {
        Moment { now: self.registry.now(), instant: Instant::now() }
    }

    /// Works on the session when its source has a turn, and notes what that has cost.
    ///
    /// # Errors
    /// It is to make room for others.
    async fn turn<T>(
        &mut self,
        work: impl FnOnce(&mut Session, &[u8], &mut Vec<u8>, Moment) -> T,
    ) -> Result<T, ConnectionRefused> {
        let turn = take_turn(&self.turns, self.permit.presence()).await?;
        // What was waited for is not what it has cost.
        let (moment, begun, octets) = (self.moment(), self.session.cost(), self.output.len());
        let done = work(&mut self.session, self.input.octets(), &mut self.output, moment);
        let written = self.output.len().saturating_sub(octets) as u64;
        let cost = self.session.cost() - begun + written / OCTETS_OF_ONE_WORK;
        self.unrested += cost;
        self.turns.note(cost, moment.instant);
        drop(turn);
        Ok(done)
    }

    /// Whoever has bound gives the place of those that have not to somebody else, and has one of its account's, for as long
    /// as it is who it was.
    fn note_identity(&mut self) {
        match self.session.account() {
            Some(account) => self.permit.bound_as(account),
            None if self.session.has_lost_identity() => self.permit.bound_as_nobody(),
            None => {}
        }
        let holders = self.session.holders();
        self.input.rename(holders);
        self.session.rename_memory(holders);
    }

    /// Waits for the client, as long as a silent or a slow one may take.
    async fn read<S: AsyncRead + AsyncWrite + Unpin>(&mut self, stream: &mut S) -> Result<(), Ended> {
        let is_partial = !self.input.is_empty();
        let presence = Arc::clone(self.permit.presence());
        if is_partial {
            presence.owes_the_rest();
        } else {
            self.input.release();
            self.session.release_memory();
            presence.is_silent();
        }
        let begun = tokio::time::Instant::now();
        let (mut looked, mut has_lacked_room) = (begun, false);
        loop {
            // It is asked as often whether a silent one still is who it was as it would be waited for otherwise.
            let (moment, work) = (self.moment(), self.session.work_done());
            self.session.review(moment);
            self.turns.note(self.session.work_done() - work, moment.instant);
            self.note_identity();
            let (patience, limit) = self.patience(is_partial);
            let deadline = begun + patience;
            let look_again = looked + self.limits.idle_time_before_bind;
            let has_room = self.input.hold(self.session.message_size_max());
            if !has_room && !has_lacked_room {
                has_lacked_room = true;
                self.session.note(Limit::connection_memory_max);
            }
            let read = async {
                if has_room {
                    self.input.read(stream, self.limits.half_close_time).await.map(|()| true)
                } else {
                    // Others give some back; who waits for too long is told.
                    tokio::time::sleep(ROOM_PERIOD).await;
                    Ok(false)
                }
            };
            let read = tokio::select! {
                biased;
                read = read => Some(read),
                () = self.deadline.passed(deadline.min(look_again)) => None,
                limit = presence.asked_to_leave() => return Err(self.make_room(stream, limit).await),
                () = self.shutdown.cancelled() => return self.say_good_bye(stream, ResultCode::Unavailable, SHUTTING_DOWN).await,
            };
            match read {
                None if look_again < deadline => {}
                None => {
                    if !has_lacked_room {
                        self.session.note(limit);
                    }
                    let (code, sentence) = match is_partial {
                        _ if has_lacked_room => {
                            (ResultCode::Busy, "there is no memory for a message of this size now")
                        }
                        true => (ResultCode::ProtocolError, "a message was not sent to its end in time"),
                        false => (ResultCode::Unavailable, "the connection was idle for too long"),
                    };
                    return self.say_good_bye(stream, code, sentence).await;
                }
                Some(Ok(true)) if self.input.has_ended() || !is_partial => break,
                Some(Ok(true)) => {
                    match frame::announced(self.input.octets(), self.session.message_size_max()) {
                        // A message that is not whole yet keeps its deadline, however slowly its octets come.
                        Ok(Some(octets)) if octets > self.input.octets().len() => {}
                        Ok(None) => {}
                        _ => break,
                    }
                }
                Some(Ok(false)) => {}
                Some(Err(error)) => return Err(Ended::Io(error)),
            }
            looked = tokio::time::Instant::now();
        }
        presence.is_served();
        Ok(())
    }

    /// How long the client may be silent, or take for a message, and the limit that says so.
    fn patience(&self, is_partial: bool) -> (Duration, Limit) {
        match (is_partial, self.session.is_bound()) {
            (true, _) => (self.limits.message_time, Limit::message_time),
            (false, true) => (self.limits.idle_time, Limit::idle_time),
            (false, false) => (self.limits.idle_time_before_bind, Limit::idle_time_before_bind),
        }
    }

    /// Takes what the client has sent while a search goes on, without waiting for it.
    async fn read_what_is_there<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
    ) -> Result<(), Ended> {
        let may_read = self.input.may_read(self.session.message_size_max());
        let patience_is_over = self.input.patience_is_over();
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => self.say_good_bye(stream, ResultCode::Unavailable, SHUTTING_DOWN).await,
            read = self.input.read(stream, self.limits.half_close_time), if may_read => Ok(read?),
            () = patience_is_over => self.give_up(stream).await,
            () = std::future::ready(()) => Ok(()),
        }
    }

    /// Waits for the hash of a bind. A client that goes away cancels it, one that has only closed its side does not.
    async fn wait_for_hash<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
    ) -> Result<(), Ended> {
        let size_max = self.session.message_size_max();
        let Some(attempt) = self.session.attempt() else { return Ok(()) };
        let half_close_time = self.limits.half_close_time;
        let outcome = tokio::select! {
            biased;
            outcome = read_until(&mut attempt.outcome, stream, &mut self.input, half_close_time, size_max) => outcome?,
            limit = self.permit.presence().asked_to_leave() => return Err(self.make_room(stream, limit).await),
            () = self.shutdown.cancelled() => {
                return self.say_good_bye(stream, ResultCode::Unavailable, SHUTTING_DOWN).await;
            }
        };
        let Some(outcome) = outcome else { return self.give_up(stream).await };
        let (moment, begun) = (self.moment(), self.session.cost());
        self.session.conclude(outcome.ok(), &mut self.output, moment);
        self.turns.note(self.session.cost() - begun, moment.instant);
        self.note_identity();
        Ok(())
    }

    /// Waits for a change to be on disk, through a shutdown too. When the client goes away, it was made as a whole
    /// or not at all.
    async fn wait_for_change<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
    ) -> Result<(), Ended> {
        let size_max = self.session.message_size_max();
        let Some(change) = self.session.change() else { return Ok(()) };
        let half_close_time = self.limits.half_close_time;
        let changed = read_until(change, stream, &mut self.input, half_close_time, size_max).await?;
        let Some(changed) = changed else { return self.give_up(stream).await };
        self.session.conclude_change(changed, &mut self.output);
        Ok(())
    }

    /// Writes what there is to answer. While the client does not take it, nothing else is done for it.
    async fn flush<S: AsyncWrite + Unpin>(&mut self, stream: &mut S) -> Result<(), Ended> {
        if self.output.is_empty() {
            // A search that was abandoned needs no room any more.
            if self.session.is_idle() && !self.session.keeps_output(self.output.capacity()) {
                self.output = Vec::new();
            }
            return Ok(());
        }
        self.session.hold_output(self.output.capacity());
        let presence = self.permit.presence();
        let written = tokio::select! {
            biased;
            written = write_out(self.limits, self.shutdown, stream, &mut self.output) => written,
            // One that takes no answers keeps nobody out.
            limit = presence.asked_to_leave_unfinished() => {
                self.session.note(limit_of(limit));
                Err(Ended::MadeRoom(limit))
            }
        };
        presence.is_served();
        if let Err(Ended::TimedOut(TAKES_NO_ANSWERS)) = &written {
            self.session.note(Limit::write_time);
        }
        written?;
        self.output.clear();
        if !self.session.keeps_output(self.output.capacity()) {
            self.output = Vec::new();
        }
        self.input.note_answered();
        Ok(())
    }

    /// A client that has closed its side, and may be gone, is worked for no longer.
    async fn give_up<S: AsyncRead + AsyncWrite + Unpin>(&mut self, stream: &mut S) -> Result<(), Ended> {
        self.session.note(Limit::half_close_time);
        self.say_good_bye(stream, ResultCode::Unavailable, GIVEN_UP).await
    }

    /// Leaves its place to somebody else.
    async fn make_room<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        limit: ConnectionRefused,
    ) -> Ended {
        self.session.note(limit_of(limit));
        self.session.disconnect_with(&mut self.output, ResultCode::Unavailable, MADE_ROOM);
        // Its descriptor is waited for.
        let _ = timeout(CLOSE_TIME_MAX, async {
            write_out(self.limits, self.shutdown, stream, &mut self.output).await?;
            Ok::<_, Ended>(stream.shutdown().await?)
        })
        .await;
        Ended::MadeRoom(limit)
    }

    /// Ends the connection in order, over TLS with a close_notify.
    async fn close<S: AsyncRead + AsyncWrite + Unpin>(&mut self, stream: &mut S) {
        if self.input.is_empty() || self.input.has_ended() {
            // A client that is gone already needs no good-bye.
            let _ = timeout(CLOSE_TIME_MAX, stream.shutdown()).await;
        } else {
            linger(stream, CLOSE_TIME_MAX).await;
        }
    }

    async fn say_good_bye<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        code: ResultCode,
        sentence: &'static str,
    ) -> Result<(), Ended> {
        self.session.disconnect_with(&mut self.output, code, sentence);
        self.flush(stream).await?;
        self.close(stream).await;
        Err(Ended::TimedOut(sentence))
    }
}

/// Waits until the source has a turn, as for a client that is in the middle of something: that turns are given one by one
/// must not keep a place for it. `None`: nobody has to wait.
///
/// # Errors
/// It is to make room for others.
async fn take_turn<'a>(
    turns: &'a SourceTurns,
    presence: &Presence,
) -> Result<Option<Turn<'a>>, ConnectionRefused> {
    if let Some(limit) = presence.is_asked_to_leave() {
        return Err(limit);
    }
    let turn = tokio::select! {
        biased;
        turn = turns.take() => turn,
        limit = presence.asked_to_leave_unfinished() => return Err(limit),
    };
    presence.is_served();
    Ok(turn)
}

/// Waits for something that others do for the client, taking what it sends meanwhile; it fails when the client goes
/// away. `None`: the client has closed its side and was waited for long enough.
async fn read_until<T, S: AsyncRead + Unpin>(
    awaited: impl Future<Output = T>,
    stream: &mut S,
    input: &mut Input,
    half_close_time: Duration,
    message_size_max: usize,
) -> Result<Option<T>, Ended> {
    let mut awaited = pin!(awaited);
    loop {
        let may_read = input.may_read(message_size_max);
        let patience_is_over = input.patience_is_over();
        tokio::select! {
            biased;
            outcome = &mut awaited => return Ok(Some(outcome)),
            read = input.read(stream, half_close_time), if may_read => read?,
            () = patience_is_over => return Ok(None),
        }
    }
}

/// Writes all of what there is to answer. While the stream itself keeps all of it for the client, as TLS does, it is not kept
/// here as well.
async fn write_out<S: AsyncWrite + Unpin>(
    limits: &Limits,
    shutdown: &CancellationToken,
    stream: &mut S,
    output: &mut Vec<u8>,
) -> Result<(), Ended> {
    let mut rest = &**output;
    while !rest.is_empty() {
        match in_time(limits, shutdown, stream.write(rest)).await? {
            0 => return Err(Ended::Closed),
            octets => rest = rest.get(octets..).unwrap_or_default(),
        }
    }
    let mut flush = pin!(in_time(limits, shutdown, stream.flush()));
    match polled(flush.as_mut()).await {
        Poll::Ready(flushed) => flushed,
        Poll::Pending => {
            *output = Vec::new();
            flush.await
        }
    }
}

/// How far something has come, without waiting for it.
async fn polled<T>(mut future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}

/// Waits for a client that takes an answer, but not longer than it may take, and hardly any more once the server
/// is going down.
async fn in_time<T>(
    limits: &Limits,
    shutdown: &CancellationToken,
    writing: impl Future<Output = io::Result<T>>,
) -> Result<T, Ended> {
    // Mostly it takes it at once, and no clock is asked.
    let mut writing = pin!(writing);
    if let Poll::Ready(written) = polled(writing.as_mut()).await {
        return Ok(written?);
    }
    let going_down = async {
        shutdown.cancelled().await;
        tokio::time::sleep(CLOSE_TIME_MAX).await;
    };
    tokio::select! {
        biased;
        written = timeout(limits.write_time, writing) => match written {
            Ok(written) => Ok(written?),
            Err(_) => Err(Ended::TimedOut(TAKES_NO_ANSWERS)),
        },
        () = going_down => Err(Ended::TimedOut(SHUTTING_DOWN)),
    }
}

const TAKES_NO_ANSWERS: &str = "the client takes no answers";
const SHUTTING_DOWN: &str = "the server is shutting down";
const MADE_ROOM: &str = "there are too many connections, and this one makes room for another";
const GIVEN_UP: &str = "the client has closed its side and is waited for no longer (half_close_time)";
/// So often it is looked whether there is room for more of a message.
const ROOM_PERIOD: Duration = Duration::from_millis(50);
/// So many octets of answers cost about as much to put there and to write as one unit of work.
/// No limit of the config: nothing ends by it.
const OCTETS_OF_ONE_WORK: u64 = 64;
/// So much is done for a client, whose requests come as fast as they are answered, before others have their turn: some 150
/// microseconds.
/// No limit of the config: nothing ends by it.
const UNRESTED_MAX: u64 = 3_000;
/// A close is not waited for longer than this.
/// No limit of the config: it is for a peer to answer a close, and who has not by then does not.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
