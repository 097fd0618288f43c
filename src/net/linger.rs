//! The end of a connection whose client may still be sending.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Closes our side, over TLS with a close_notify, and reads for `time` at most what nobody looks at any more. Were the
/// connection closed with octets unread, the operating system would reset it, and the client might lose what was said to
/// it last (RFC 9112 section 9.6).
pub async fn linger<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, time: Duration) {
    let reading = async {
        if stream.shutdown().await.is_err() {
            return;
        }
        let mut octets = vec![0; READ_OCTETS];
        while stream.read(&mut octets).await.is_ok_and(|read| read > 0) {}
    };
    // A client that does not go within this time is cut off.
    let _ = timeout(time, reading).await;
}

/// What is read at a time.
const READ_OCTETS: usize = 4 * 1024;
