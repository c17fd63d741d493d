//! Datagrams of UDP or of a Unix socket: one is one message.
//!
//! Invariant: the socket is read without ever waiting for who takes the messages, so that losses
//! happen here, where they are counted, and seldom in the kernel, where they are not.

use std::os::fd::OwnedFd;
use std::thread::JoinHandle;

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_recv_buffer_size, set_socket_timeout};
use rustix::net::{RecvFlags, recv};

use super::outbox::Outbox;
use super::{LOOK_UP, PAUSE, StreamError, start};

/// Bytes of the largest datagram: UDP ends at 64 KiB, a Unix socket at its sender's buffer, which
/// usually is 208 KiB.
const DATAGRAM_LEN: usize = 256 * 1024;

/// What the kernel is asked to hold while the thread does not run; it gives what it allows.
const KERNEL_LEN: usize = 4 * 1024 * 1024;

/// Starts the thread that reads a datagram socket.
pub(super) fn spawn(
    socket: OwnedFd,
    outbox: Outbox,
    name: String,
) -> Result<JoinHandle<()>, StreamError> {
    set_socket_recv_buffer_size(&socket, KERNEL_LEN).ok();
    set_socket_timeout(&socket, Timeout::Recv, Some(LOOK_UP)).ok();
    start(name, "syslog", move || receive(&socket, outbox))
}

/// Collects while datagrams are there, hands over when there is none, and only then waits.
fn receive(socket: &OwnedFd, mut outbox: Outbox) {
    let mut buffer = vec![0; DATAGRAM_LEN];
    while outbox.is_wanted() {
        // TRUNC: the length is the datagram's own, even if the buffer is shorter.
        let flags = if outbox.is_empty() {
            RecvFlags::TRUNC
        } else {
            RecvFlags::TRUNC | RecvFlags::DONTWAIT
        };
        match recv(socket, buffer.as_mut_slice(), flags) {
            Ok((_, len)) => match buffer.get(..len) {
                Some(datagram) => outbox.message(datagram),
                None => outbox.too_long(),
            },
            Err(Errno::AGAIN) => outbox.hand_over(),
            Err(Errno::INTR) => {}
            Err(_) => {
                outbox.hand_over();
                std::thread::park_timeout(PAUSE);
            }
        }
    }
}
