//! A stream whose peer must take what is written to it in time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Fails when the peer takes no octet for some time while there are some for it.
#[derive(Debug)]
pub struct WriteDeadline<S> {
    stream: S,
    time: Duration,
    /// Made when the peer holds something up: most never do.
    waiting: Option<Pin<Box<Sleep>>>,
    is_over: bool,
}

impl<S> WriteDeadline<S> {
    /// Around a stream.
    pub fn new(stream: S, time: Duration) -> Self {
        Self { stream, time, waiting: None, is_over: false }
    }

    /// The stream itself.
    pub fn inner(&self) -> &S {
        &self.stream
    }

    /// Whether the peer took too long: nothing more is written then.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    fn in_time<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.waiting = None;
            return polled;
        }
        let time = self.time;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(time)));
        if waiting.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.is_over = true;
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteDeadline<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteDeadline<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(context, octets);
        this.in_time(context, polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.in_time(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_flush(context);
        this.in_time(context, polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_shutdown(context);
        this.in_time(context, polled)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_a_little_each_time_is_waited_for() {
        let (here, mut there) = duplex(16);
        let mut stream = WriteDeadline::new(here, Duration::from_secs(10));
        let reader = tokio::spawn(async move {
            let mut octets = [0; 8];
            for _ in 0..10 {
                sleep(Duration::from_secs(9)).await;
                there.read_exact(&mut octets).await.unwrap();
            }
            there
        });
        stream.write_all(&[1; 80]).await.unwrap();
        let _there = reader.await.unwrap();
        assert!(!stream.is_over());
        let error = stream.write_all(&[1; 17]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(stream.is_over());
    }

    /// Silence is no failure as long as there is nothing to take.
    #[tokio::test(start_paused = true)]
    async fn who_has_taken_everything_has_all_the_time() {
        let (here, mut there) = duplex(16);
        let mut stream = WriteDeadline::new(here, Duration::from_secs(10));
        stream.write_all(&[1; 16]).await.unwrap();
        sleep(Duration::from_secs(1_000)).await;
        there.read_exact(&mut [0; 16]).await.unwrap();
        stream.write_all(&[1; 16]).await.unwrap();
        assert!(!stream.is_over());
    }
}
