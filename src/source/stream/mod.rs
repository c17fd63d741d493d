//! Lines that have no position: standard input and syslog over UDP, TCP or a Unix socket.
//!
//! Invariant: a line is handed over whole, once and with its LF, or it is counted: in
//! [`Stream::too_long`] when it is longer than allowed, in [`Stream::dropped`] when nobody took it
//! in time. Memory is bounded whatever a sender does: by the queue, by the limit for one line and
//! by the number of connections.
//!
//! Threads read, so that a line is taken from its sender soon, and hand blocks over through a
//! bounded queue. When it is full, standard input and TCP wait, which their sender feels;
//! datagrams have no way to say so and are lost, and counted. What the kernel drops before a
//! datagram is read is not seen here. Nothing can be read twice: after a crash, what was handed over
//! and not committed is gone.

mod datagrams;
mod frames;
mod outbox;
mod queue;
mod socket_file;
mod stdin;
mod tcp;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::net::Shutdown;

use self::outbox::{Outbox, WhenFull};
use self::queue::Queue;
use self::socket_file::SocketFile;
use super::Shown;
use super::wake::Wake;

/// Bytes of a block at most, unless it is a single longer line.
pub const BLOCK_LEN: usize = 64 * 1024;

/// A thread that waits for a socket looks so often whether anybody still listens to it.
const LOOK_UP: Duration = Duration::from_millis(500);

/// How long to wait after an error of the system that may pass, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// Where syslog messages are received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogAddress {
    /// One message in each datagram.
    Udp(SocketAddr),
    /// Messages in frames after RFC 6587, either octet counting or LF, told apart frame by frame.
    Tcp(SocketAddr),
    /// The path of a datagram socket, as `/dev/log` is one. Anybody who reaches it may write to it.
    Unix(PathBuf),
}

impl fmt::Display for SyslogAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SyslogAddress::Udp(address) => write!(f, "udp://{address}"),
            SyslogAddress::Tcp(address) => write!(f, "tcp://{address}"),
            SyslogAddress::Unix(path) => write!(f, "unix://{}", Shown(path)),
        }
    }
}

/// Why a stream cannot be opened, or ended.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The system refuses the address.
    #[error("{address}: cannot be listened on")]
    Listen {
        /// The address that was asked for.
        address: SyslogAddress,
        /// What the system said.
        source: io::Error,
    },
    /// Something that is no socket is kept, whatever it is.
    #[error("{}: is a {kind}, not a socket", Shown(path))]
    NotSocket {
        /// Where the socket should be.
        path: PathBuf,
        /// The noun for what is there.
        kind: &'static str,
    },
    /// Another process receives there.
    #[error("{}: another process listens on this socket", Shown(path))]
    InUse {
        /// Where the socket should be.
        path: PathBuf,
    },
    /// No thread to read with.
    #[error("{stream}: no thread can be started")]
    Thread {
        /// The address, or `-` for standard input.
        stream: String,
        /// What the system said.
        source: io::Error,
    },
    /// Standard input broke off; what was read before is handed over.
    #[error("-: standard input cannot be read any further")]
    Read {
        /// What the system said.
        source: io::Error,
    },
}

/// A source of lines that is read in the background.
///
/// Dropping it ends its threads, connections after half a second, and closes its sockets. Only the
/// thread that reads standard input stays in its read until the producer writes or ends.
pub struct Stream {
    queue: Arc<Queue>,
    local: Option<SocketAddr>,
    /// A second descriptor of the socket, by which its thread is woken to end.
    socket: Option<OwnedFd>,
    /// The thread that waits for the socket; nothing waits for the one of standard input.
    thread: Option<JoinHandle<()>>,
    /// Removes the file, after the socket was closed.
    _file: Option<SocketFile>,
}

impl Stream {
    /// Reads standard input to its end; a last line without LF counts. `wake` is called after each
    /// block, in another thread, and must not wait for the one that owns the stream.
    pub fn stdin(line_bytes: usize, wake: Wake) -> Stream {
        Stream::reader(io::stdin(), line_bytes, wake)
    }

    /// Listens on an address. Messages of more than `line_bytes`, with their header, are discarded;
    /// `wake` as for [`Stream::stdin`].
    pub fn syslog(
        address: &SyslogAddress,
        line_bytes: usize,
        wake: Wake,
    ) -> Result<Stream, StreamError> {
        let listen = |source| StreamError::Listen {
            address: address.clone(),
            source,
        };
        let queue = Arc::new(Queue::default());
        let outbox = |full| Outbox::new(queue.clone(), wake, line_bytes, full);
        let name = address.to_string();
        let (local, socket, file, thread) = match address {
            SyslogAddress::Udp(wanted) => {
                let socket = UdpSocket::bind(wanted).map_err(listen)?;
                let local = socket.local_addr().map_err(listen)?;
                let second = socket.try_clone().map_err(listen)?;
                let thread = datagrams::spawn(socket.into(), outbox(WhenFull::Drop), name)?;
                (Some(local), second.into(), None, thread)
            }
            SyslogAddress::Unix(path) => {
                let (socket, file) = socket_file::bind(path)?;
                let second = socket.try_clone().map_err(listen)?;
                let thread = datagrams::spawn(socket.into(), outbox(WhenFull::Drop), name)?;
                (None, second.into(), Some(file), thread)
            }
            SyslogAddress::Tcp(wanted) => {
                let listener = TcpListener::bind(wanted).map_err(listen)?;
                let local = listener.local_addr().map_err(listen)?;
                let second = listener.try_clone().map_err(listen)?;
                let thread = tcp::spawn(listener, outbox(WhenFull::Wait), name)?;
                (Some(local), second.into(), None, thread)
            }
        };
        Ok(Stream {
            queue,
            local,
            socket: Some(socket),
            thread: Some(thread),
            _file: file,
        })
    }

    /// Reads anything that ends, as standard input does.
    fn reader(reader: impl io::Read + Send + 'static, line_bytes: usize, wake: Wake) -> Stream {
        let queue = Arc::new(Queue::default());
        let outbox = Outbox::new(queue.clone(), wake, line_bytes, WhenFull::Wait);
        stdin::spawn(reader, outbox);
        Stream {
            queue,
            local: None,
            socket: None,
            thread: None,
            _file: None,
        }
    }

    /// The next block of whole lines, each with its LF; `None` when nothing is there yet.
    pub fn try_next(&mut self) -> Option<Vec<u8>> {
        self.queue.take()
    }

    /// Messages that were lost because nobody took them, that a broken connection tore, and
    /// connections refused because there were too many; only grows.
    pub fn dropped(&self) -> u64 {
        self.queue.dropped.get()
    }

    /// Lines that were longer than allowed and discarded; only grows.
    pub fn too_long(&self) -> u64 {
        self.queue.too_long.get()
    }

    /// Standard input ended and all of it was taken. A socket never ends.
    pub fn at_end(&self) -> bool {
        self.queue.is_at_end()
    }

    /// Why standard input ended before its end, once.
    pub fn take_error(&mut self) -> Option<StreamError> {
        self.queue.take_error()
    }

    /// The address listened on, with the port that was chosen for port 0.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(socket) = &self.socket {
            // Linux wakes a waiting `accept` or `recv`, even where it then says ENOTCONN. Should it
            // not, the thread looks up by itself.
            rustix::net::shutdown(socket, Shutdown::Both).ok();
        }
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Starts a named thread; the name is cut by the kernel after 15 bytes.
fn start(
    stream: String,
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StreamError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|source| StreamError::Thread { stream, source })
}
