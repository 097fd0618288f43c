//! Listening on TCP addresses and Unix sockets, and accepting whatever happens.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::fs::{Access, AtFlags, CWD, accessat, statvfs};
use rustix::io::Errno;
use rustix::net::sockopt;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixSocket, UnixStream};

use super::peer::{LocalAddress, Peer, PeerAddress};
use crate::file_identity::FileIdentity;
use crate::seldom::{self, Seldom};

/// One address that accepts connections. Dropped, it listens no more and removes its socket file.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    local: LocalAddress,
}

/// Why an address cannot be listened on.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Somebody listens there.
    #[error("{address} is in use: another server listens there; stop it or choose another address")]
    InUse {
        /// The address as the config writes it.
        address: LocalAddress,
    },
    /// No permission.
    #[error(
        "{address} may not be listened on by this user: ports below 1024 need the capability \
         CAP_NET_BIND_SERVICE, a Unix socket needs a directory that this user may write"
    )]
    NotPermitted {
        /// The address as the config writes it.
        address: LocalAddress,
        /// What the operating system said.
        source: io::Error,
    },
    /// The IP address is not one of this machine.
    #[error("{address} is not an address of this machine")]
    NotLocal {
        /// The address as the config writes it.
        address: LocalAddress,
    },
    /// Something else has the name of the Unix socket.
    #[error("{address}: there is a file of that name that is not a socket; choose another name")]
    NotASocket {
        /// The address as the config writes it.
        address: LocalAddress,
    },
    /// Anything else.
    #[error("{address} cannot be listened on")]
    Other {
        /// The address as the config writes it.
        address: LocalAddress,
        /// What the operating system said.
        source: io::Error,
    },
}

impl Listener {
    /// Listens on a TCP address; port 0 takes any free port, which [`Listener::local`] tells.
    ///
    /// `[::]` means IPv6 only: what is to be reachable by IPv4 names an IPv4 address too.
    /// Accepted connections send without delay and probe a silent peer (SO_KEEPALIVE).
    ///
    /// # Errors
    /// [`ListenError`]
    pub async fn bind_tcp(address: SocketAddr) -> Result<Self, ListenError> {
        let bound = listen_tcp(address).and_then(|listener| Ok((listener.local_addr()?, listener)));
        match bound {
            Ok((local, listener)) => Ok(Self::new(Socket::Tcp(listener), LocalAddress::Ip(local))),
            Err(error) => Err(ListenError::new(LocalAddress::Ip(address), error)),
        }
    }

    /// Listens on a Unix socket whose file gets the permissions `mode` before anybody can connect.
    ///
    /// A socket file that nobody answers on is left over from a server that died, and is replaced.
    ///
    /// # Errors
    /// [`ListenError`]
    pub async fn bind_unix(path: &Path, mode: u32) -> Result<Self, ListenError> {
        let local = LocalAddress::Unix(path.into());
        if is_stale(path, &local)? {
            fs::remove_file(path).map_err(|error| ListenError::new(local.clone(), error))?;
        }
        match listen_unix(path, mode) {
            Ok(socket) => Ok(Self::new(socket, local)),
            Err(error) => Err(ListenError::new(local, error)),
        }
    }

    /// Whether a TCP address could be listened on. Nobody sees that it was asked: until somebody listens, connections are refused.
    ///
    /// # Errors
    /// [`ListenError`]
    pub fn try_tcp(address: SocketAddr) -> Result<(), ListenError> {
        bind_tcp(address).map(drop).map_err(|error| ListenError::new(LocalAddress::Ip(address), error))
    }

    /// Whether a Unix socket could be listened on: nobody does, nothing else has its name, and its directory takes one. Nothing is
    /// made.
    ///
    /// # Errors
    /// [`ListenError`]
    pub fn try_unix(path: &Path) -> Result<(), ListenError> {
        let local = LocalAddress::Unix(path.into());
        let leaves_its_place = is_stale(path, &local)?;
        takes_another(path, leaves_its_place).map_err(|error| ListenError::new(local, error.into()))
    }

    /// The address that it listens on.
    pub fn local(&self) -> &LocalAddress {
        &self.local
    }

    /// The next connection. It never fails: when the machine has no file descriptors or no memory
    /// left, it says so in the log, waits and goes on. Nothing is lost when the future is dropped. What was reset before it could
    /// be accepted is none; other tasks have their turn behind each 128 of these at the latest, by tokio's budget.
    pub async fn accept(&self) -> (Stream, Peer) {
        loop {
            let error = match self.accept_once().await {
                Ok(accepted) => return accepted,
                Err(error) => error,
            };
            if concerns_one_connection(&error) {
                continue;
            }
            if let Some(count) = seldom::note(Seldom::NotAccepted) {
                tracing::warn!(count, address = %self.local, %error, "{}", Seldom::NotAccepted.sentence());
            }
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    }

    fn new(socket: Socket, local: LocalAddress) -> Self {
        Self { socket, local }
    }

    async fn accept_once(&self) -> io::Result<(Stream, Peer)> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                if has_failed(&stream) {
                    return Err(Errno::CONNABORTED.into());
                }
                let local = match &self.local {
                    LocalAddress::Ip(local) if local.ip().is_unspecified() => {
                        LocalAddress::Ip(stream.local_addr()?)
                    }
                    known => known.clone(),
                };
                Ok((
                    Stream::Tcp(stream),
                    Peer { address: PeerAddress::from_socket(address), local, proxied: None },
                ))
            }
            Socket::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                let address = PeerAddress::Unix { uid: stream.peer_cred()?.uid() };
                Ok((Stream::Unix(stream), Peer { address, local: self.local.clone(), proxied: None }))
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let (Socket::Unix { file, .. }, LocalAddress::Unix(path)) = (&self.socket, &self.local) else {
            return;
        };
        // Only our own: another server may have put its socket there meanwhile.
        if fs::symlink_metadata(path).is_ok_and(|found| FileIdentity::of(&found) == *file) {
            // If it fails, the next start finds a stale socket and removes it.
            let _ = fs::remove_file(path);
        }
    }
}

impl ListenError {
    fn new(address: LocalAddress, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { address },
            io::ErrorKind::AddrNotAvailable => Self::NotLocal { address },
            io::ErrorKind::PermissionDenied => Self::NotPermitted { address, source },
            _ => Self::Other { address, source },
        }
    }
}

impl Stream {
    /// The first octets that the other end has sent, which stay unread; waits until there are some. A Unix socket tells
    /// nothing.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn peek(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.peek(octets).await,
            Self::Unix(_) => Ok(0),
        }
    }

    /// Whether the other end has reset it, or the way there has failed; what it has sent before may still be here.
    pub(super) fn is_gone(&self) -> bool {
        match self {
            Self::Tcp(stream) => has_failed(stream),
            Self::Unix(_) => false,
        }
    }
}

/// An accepted connection in clear.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, octets),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, octets),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        /// Tells our socket file from one that another server has put in its place.
        file: FileIdentity,
    },
}

fn listen_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    bind_tcp(address)?.listen(BACKLOG_MAX)
}

/// Whether the other end has reset it, or the way there has failed.
fn has_failed(stream: &TcpStream) -> bool {
    !matches!(stream.take_error(), Ok(None))
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => {
            let socket = TcpSocket::new_v6()?;
            sockopt::set_ipv6_v6only(&socket, true)?;
            socket
        }
    };
    socket.set_reuseaddr(true)?;
    // Accepted connections inherit these: set once here, they cost no system calls at each accept.
    socket.set_nodelay(true)?;
    socket.set_keepalive(true)?;
    sockopt::set_tcp_keepidle(&socket, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(&socket, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(&socket, KEEPALIVE_PROBES)?;
    socket2::SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT_OCTETS_MAX)?;
    socket.bind(address)?;
    Ok(socket)
}

fn listen_unix(path: &Path, mode: u32) -> io::Result<Socket> {
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    let listen = || {
        // Between bind and listen nobody can connect, so the mode is in force from the beginning.
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        let file = FileIdentity::of(&fs::symlink_metadata(path)?);
        Ok(Socket::Unix { listener: socket.listen(BACKLOG_MAX)?, file })
    };
    listen().inspect_err(|_| {
        // It is ours since bind; what stays is stale and removed by the next start.
        let _ = fs::remove_file(path);
    })
}

/// Whether there is a socket file that nobody answers on.
fn is_stale(path: &Path, local: &LocalAddress) -> Result<bool, ListenError> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(ListenError::new(local.clone(), error)),
    };
    if !found.file_type().is_socket() {
        return Err(ListenError::NotASocket { address: local.clone() });
    }
    match connect_at_once(path) {
        // The queue of a busy server may be full: it is alive.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(ListenError::InUse { address: local.clone() })
        }
        Ok(_) => Err(ListenError::InUse { address: local.clone() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(true),
        Err(error) => Err(ListenError::new(local.clone(), error)),
    }
}

/// Whether the directory of a socket takes one more file; of one that takes the place of another, whether that may go.
fn takes_another(path: &Path, leaves_its_place: bool) -> rustix::io::Result<()> {
    let directory = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    accessat(CWD, directory, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)?;
    let room = statvfs(directory)?;
    // A file system without a table of files says so with zeros.
    let is_full = room.f_files != 0 && room.f_favail == 0;
    if is_full && !leaves_its_place { Err(Errno::NOSPC) } else { Ok(()) }
}

/// A Unix socket is connected to at once, or not at all.
fn connect_at_once(path: &Path) -> io::Result<()> {
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&socket2::SockAddr::unix(path)?)
}

/// Errors of a connection that was gone before it could be accepted: `accept(2)` passes them on.
fn concerns_one_connection(error: &io::Error) -> bool {
    let Some(errno) = Errno::from_io_error(error) else { return false };
    matches!(
        errno,
        Errno::CONNABORTED
            | Errno::CONNRESET
            | Errno::NOTCONN
            | Errno::INTR
            | Errno::PROTO
            | Errno::PERM
            | Errno::TIMEDOUT
            | Errno::HOSTUNREACH
            | Errno::HOSTDOWN
            | Errno::NETUNREACH
            | Errno::NETDOWN
    )
}

/// Connections that wait to be accepted; the kernel's `somaxconn` (usually 4096) may lower it.
/// No limit of the config: the kernel has it, as `somaxconn`, and `connections_max` bounds what is accepted.
const BACKLOG_MAX: u32 = 4_096;
/// Octets that the kernel holds for a client that does not take them. Its send buffer grows to megabytes, and it
/// tells of progress only when a third of that is free: a client that reads slowly, but reads, would look dead.
/// No limit of the config: the kernel holds it, and `connections_max` bounds how often.
const UNSENT_OCTETS_MAX: u32 = 512 * 1024;
/// How long a connection is silent before it is probed: below the five minutes after which the
/// strictest firewalls forget a connection.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(120);
/// The time between two probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// Unanswered probes until the connection is closed.
const KEEPALIVE_PROBES: u32 = 4;
/// The wait after a failure of the whole machine (no descriptors, no memory).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn tcp_both_ways_with_both_ends_named() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = match Listener::bind_tcp(address.parse().unwrap()).await {
                Ok(listener) => listener,
                // A container may have no IPv6.
                Err(ListenError::NotLocal { .. } | ListenError::Other { .. }) if address.starts_with('[') => {
                    continue;
                }
                Err(error) => panic!("{error}"),
            };
            let local = listener.local().socket().unwrap();
            assert_ne!(local.port(), 0);
            let mut client = TcpStream::connect(local).await.unwrap();
            let (mut stream, peer) = listener.accept().await;
            assert_eq!(peer.address, PeerAddress::Ip(client.local_addr().unwrap()));
            assert_eq!(peer.local, LocalAddress::Ip(local));
            assert!(peer.is_loopback());

            client.write_all(b"ping").await.unwrap();
            let mut octets = [0; 4];
            stream.read_exact(&mut octets).await.unwrap();
            stream.write_all(&octets).await.unwrap();
            client.read_exact(&mut octets).await.unwrap();
            assert_eq!(&octets, b"ping");
        }
    }

    #[tokio::test]
    async fn accepted_connections_have_the_socket_options() {
        let listener = Listener::bind_tcp("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let _client = TcpStream::connect(listener.local().socket().unwrap()).await.unwrap();
        let (Stream::Tcp(stream), _) = listener.accept().await else { panic!("not TCP") };
        assert!(sockopt::tcp_nodelay(&stream).unwrap());
        assert!(sockopt::socket_keepalive(&stream).unwrap());
        assert_eq!(sockopt::tcp_keepidle(&stream).unwrap(), KEEPALIVE_IDLE);
        assert_eq!(socket2::SockRef::from(&stream).tcp_notsent_lowat().unwrap(), UNSENT_OCTETS_MAX);
    }

    #[tokio::test]
    async fn a_listener_on_all_addresses_tells_the_one_in_use() {
        let listener = Listener::bind_tcp("0.0.0.0:0".parse().unwrap()).await.unwrap();
        let port = listener.local().socket().unwrap().port();
        let _client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (_, peer) = listener.accept().await;
        assert_eq!(peer.local.to_string(), format!("127.0.0.1:{port}"));
        assert!(peer.is_loopback());
    }

    #[tokio::test]
    async fn an_address_in_use_is_an_error_that_says_so() {
        let listener = Listener::bind_tcp("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let error = Listener::bind_tcp(listener.local().socket().unwrap()).await.unwrap_err();
        assert!(matches!(error, ListenError::InUse { .. }), "{error}");
        let error = Listener::bind_tcp("192.0.2.1:0".parse().unwrap()).await.unwrap_err();
        assert!(matches!(error, ListenError::NotLocal { .. }), "{error}");
    }

    #[tokio::test]
    async fn unix_socket_with_mode_and_user() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ldapi");
        let listener = Listener::bind_unix(&path, 0o600).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        let mut client = UnixStream::connect(&path).await.unwrap();
        let (mut stream, peer) = listener.accept().await;
        let uid = rustix::process::getuid().as_raw();
        assert_eq!(peer.address, PeerAddress::Unix { uid });
        assert!(peer.is_loopback());
        client.write_all(b"ping").await.unwrap();
        let mut octets = [0; 4];
        stream.read_exact(&mut octets).await.unwrap();
        assert_eq!(&octets, b"ping");

        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_unix_socket_is_replaced_only_when_nobody_answers() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ldapi");
        let living = Listener::bind_unix(&path, 0o600).await.unwrap();
        let error = Listener::bind_unix(&path, 0o600).await.unwrap_err();
        assert!(matches!(error, ListenError::InUse { .. }), "{error}");
        drop(living);

        // The listener of the standard library leaves its file behind, as a killed server does.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let replacement = Listener::bind_unix(&path, 0o660).await.unwrap();
        let _client = UnixStream::connect(&path).await.unwrap();
        replacement.accept().await;
    }

    #[test]
    fn where_no_socket_can_be_is_told_without_making_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        Listener::try_unix(&path("ldapi")).unwrap();
        fs::write(path("file"), "").unwrap();
        for name in ["none/ldapi", "file/ldapi"] {
            assert!(Listener::try_unix(&path(name)).is_err(), "{name}");
        }
        drop(std::os::unix::net::UnixListener::bind(path("left")).unwrap());
        Listener::try_unix(&path("left")).unwrap();
        assert!(path("left").exists() && !path("ldapi").exists());
    }

    #[tokio::test]
    async fn another_file_is_never_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ldapi");
        fs::write(&path, "precious").unwrap();
        let error = Listener::bind_unix(&path, 0o600).await.unwrap_err();
        assert!(matches!(error, ListenError::NotASocket { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"precious");

        let path = directory.path().join("other");
        let first = Listener::bind_unix(&path, 0o600).await.unwrap();
        fs::remove_file(&path).unwrap();
        let _second = Listener::bind_unix(&path, 0o600).await.unwrap();
        drop(first);
        assert!(path.exists(), "the socket of the second stays");
    }

    #[test]
    fn errors_of_the_machine_are_told_from_those_of_a_connection() {
        for errno in [Errno::CONNABORTED, Errno::PERM, Errno::PROTO] {
            assert!(concerns_one_connection(&errno.into()), "{errno}");
        }
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::INVAL] {
            assert!(!concerns_one_connection(&errno.into()), "{errno}");
        }
    }
}
