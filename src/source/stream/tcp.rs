//! Connections that carry syslog messages in frames after RFC 6587.
//!
//! Invariant: at most [`CONNECTIONS`] are open, each with a thread and a frame of bounded length. One
//! may be idle for ever; keep-alive probes find out when its peer is gone.

use std::io::{ErrorKind, Read as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::net::sockopt::{
    Timeout, set_socket_keepalive, set_socket_timeout, set_tcp_keepidle, set_tcp_keepintvl,
};

use super::frames::{Frame, Frames};
use super::outbox::Outbox;
use super::{BLOCK_LEN, LOOK_UP, PAUSE, StreamError, start};

/// Connections open at a time.
pub(super) const CONNECTIONS: usize = 64;

/// Counted octets may end with CR, LF and NUL beside the message.
const LINE_ENDS: usize = 3;

/// After so long in silence, a peer is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(60);

/// Starts the thread that accepts connections.
pub(super) fn spawn(
    listener: TcpListener,
    outbox: Outbox,
    name: String,
) -> Result<JoinHandle<()>, StreamError> {
    set_socket_timeout(&listener, Timeout::Recv, Some(LOOK_UP)).ok();
    let stream = name.clone();
    start(name, "syslog", move || accept(&listener, outbox, &stream))
}

/// Accepts; the references to `places` are the connections open, and one more.
fn accept(listener: &TcpListener, mut outbox: Outbox, name: &str) {
    let places = Arc::new(());
    while outbox.is_wanted() {
        match listener.accept() {
            Ok((peer, _)) => {
                let mine = outbox.clone();
                let place = places.clone();
                let begun = Arc::strong_count(&places) <= CONNECTIONS + 1
                    && start(name.to_owned(), "syslog-peer", move || {
                        receive(peer, mine);
                        drop(place);
                    })
                    .is_ok();
                if !begun {
                    outbox.lost();
                }
            }
            Err(error) if is_passing(error.kind()) => {}
            // The listener was shut down.
            Err(_) if !outbox.is_wanted() => return,
            Err(_) => std::thread::park_timeout(PAUSE),
        }
    }
}

/// The time-out, an interruption, or a peer that left before it was accepted.
fn is_passing(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::WouldBlock
            | ErrorKind::TimedOut
            | ErrorKind::Interrupted
            | ErrorKind::ConnectionAborted
    )
}

/// Reads one connection to its end. A last frame without LF counts when the peer ended in order,
/// and is torn when the connection broke.
fn receive(mut peer: TcpStream, mut outbox: Outbox) {
    set_socket_timeout(&peer, Timeout::Recv, Some(LOOK_UP)).ok();
    set_socket_keepalive(&peer, true).ok();
    set_tcp_keepidle(&peer, SILENCE).ok();
    set_tcp_keepintvl(&peer, SILENCE).ok();
    let mut frames = Frames::syslog(outbox.line_bytes().saturating_add(LINE_ENDS));
    let mut buffer = vec![0; BLOCK_LEN];
    while outbox.is_wanted() {
        match peer.read(&mut buffer) {
            Ok(0) => {
                frames.finish(|frame| put(&mut outbox, &frame));
                outbox.hand_over();
                return;
            }
            Ok(len) => {
                let read = buffer.get(..len).unwrap_or_default();
                frames.feed(read, |frame| put(&mut outbox, &frame));
                outbox.hand_over();
            }
            Err(error) if is_passing(error.kind()) => {}
            Err(_) => {
                if frames.is_inside() {
                    outbox.lost();
                }
                return;
            }
        }
    }
}

fn put(outbox: &mut Outbox, frame: &Frame<'_>) {
    match frame {
        Frame::Whole(frame) => outbox.message(frame),
        Frame::TooLong => outbox.too_long(),
        Frame::Torn => outbox.lost(),
    }
}
