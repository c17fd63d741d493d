//! Standard input: lines as they are, to the end.

use std::io::{self, Read};

use super::frames::{Frame, Frames};
use super::outbox::Outbox;
use super::{BLOCK_LEN, PAUSE, StreamError, start};

/// Starts the thread that reads; when it cannot be started, the stream is at its end with an error.
pub(super) fn spawn(reader: impl Read + Send + 'static, outbox: Outbox) {
    let spare = outbox.clone();
    if let Err(error) = start("-".to_owned(), "stdin", move || read(reader, outbox)) {
        spare.end(Some(error));
    }
}

fn read(mut reader: impl Read, mut outbox: Outbox) {
    let mut frames = Frames::lines(outbox.line_bytes());
    let mut buffer = vec![0; BLOCK_LEN];
    let mut error = None;
    while outbox.is_wanted() {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => {
                let read = buffer.get(..len).unwrap_or_default();
                frames.feed(read, |frame| put(&mut outbox, &frame));
                // One read takes what is there: after it, the input pauses or is ahead of us.
                outbox.hand_over();
            }
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            // Somebody who shares the terminal or pipe may have made it non-blocking.
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                std::thread::park_timeout(PAUSE);
            }
            Err(source) => {
                error = Some(StreamError::Read { source });
                break;
            }
        }
    }
    frames.finish(|frame| put(&mut outbox, &frame));
    outbox.end(error);
}

fn put(outbox: &mut Outbox, frame: &Frame<'_>) {
    match frame {
        Frame::Whole(line) => outbox.line(line),
        Frame::TooLong => outbox.too_long(),
        Frame::Torn => outbox.lost(),
    }
}
