//! Answers that are written by a thread that may wait for a disk, and sent piece by piece.

use std::io::{self, BufWriter, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body as ResponseBody;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::seldom::{self, Seldom};

/// The answer that `write` writes; that it did not come to its end is told as `failed`, and by the end of the answer.
pub(super) fn streamed(
    failed: Seldom,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
) -> Response {
    let (pieces, receiver) = channel(PIECES_WAITING_MAX);
    // It reads records and waits for whoever takes the pieces: no work for the threads of the network.
    tokio::task::spawn_blocking(move || write_pieces(failed, write, pieces));
    Response::new(ResponseBody::new(Pieces { receiver, is_complete: false }))
}

fn write_pieces(failed: Seldom, write: impl FnOnce(&mut dyn Write) -> io::Result<()>, pieces: Sender<Piece>) {
    let mut output = BufWriter::with_capacity(PIECE_OCTETS, PieceWriter(&pieces));
    let written = write(&mut output).and_then(|()| output.flush());
    // What is left in it would go out when it is dropped, behind the end.
    drop(output.into_parts());
    let last = match written {
        Ok(()) => Piece::End,
        Err(error) => {
            if let Some(count) = seldom::note(failed) {
                tracing::warn!(count, %error, "{}", failed.sentence());
            }
            Piece::Failed(error)
        }
    };
    // Who has gone away does not want to know.
    let _ = pieces.blocking_send(last);
}

/// What goes from the thread that writes to the connection.
enum Piece {
    Octets(Bytes),
    End,
    Failed(io::Error),
}

struct PieceWriter<'a>(&'a Sender<Piece>);

impl Write for PieceWriter<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let piece = Piece::Octets(Bytes::copy_from_slice(octets));
        self.0.blocking_send(piece).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The body of the answer. It ends well only when the writer says so: a client must not take half of an answer for
/// all of it.
struct Pieces {
    receiver: Receiver<Piece>,
    is_complete: bool,
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.is_complete {
            return Poll::Ready(None);
        }
        self.receiver.poll_recv(context).map(|piece| match piece {
            Some(Piece::Octets(octets)) => Some(Ok(Frame::data(octets))),
            Some(Piece::End) => {
                self.is_complete = true;
                None
            }
            Some(Piece::Failed(error)) => Some(Err(error)),
            None => Some(Err(io::Error::other("the answer broke off"))),
        })
    }
}

const PIECE_OCTETS: usize = 64 * 1024;
/// Pieces that wait for the connection; then the writer waits.
/// No limit of the config: who writes waits, and nobody else.
const PIECES_WAITING_MAX: usize = 4;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn read(last: Option<Piece>) -> Result<Bytes, io::Error> {
        let (pieces, receiver) = channel(PIECES_WAITING_MAX);
        pieces.send(Piece::Octets(Bytes::from_static(b"version: 1\n"))).await.ok();
        if let Some(last) = last {
            pieces.send(last).await.ok();
        }
        drop(pieces);
        let body = Pieces { receiver, is_complete: false };
        body.collect().await.map(|collected| collected.to_bytes())
    }

    /// A writer that has gone away without a word has not come to the end.
    #[tokio::test]
    async fn half_of_an_answer_is_an_error() {
        assert_eq!(read(Some(Piece::End)).await.unwrap(), "version: 1\n");
        let failed = read(Some(Piece::Failed(io::Error::other("the disk is gone")))).await.unwrap_err();
        assert_eq!(failed.to_string(), "the disk is gone");
        assert!(read(None).await.unwrap_err().to_string().contains("broke off"));
    }
}
