//! Lines that are sent to us: standard input and syslog.
//!
//! Invariant: what is handed over is whole lines, in blocks of at most 64 KiB or one line; memory holds a fixed
//! number of blocks. A full channel makes a stream wait, and drops datagrams, which are counted. There are
//! no positions: what was read and not committed is lost with the process.
//!
//! Of a syslog message only the header is looked at, and cut off (RFC 3164, RFC 5424). Streams carry messages with
//! their length before them (RFC 6587, octet counting) or an LF behind.

use std::fs;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread;

use memchr::{memchr, memrchr};

/// Bytes of a block, unless one line is longer.
const BLOCK: usize = 64 * 1024;

/// Blocks that wait for the reader.
const BLOCKS: usize = 256;

/// Connections at a time; one more is closed at once.
const CONNECTIONS: usize = 64;

/// Why a stream could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// Not an address of a known kind.
    #[error("`{0}` is none of udp://HOST:PORT, tcp://HOST:PORT, unix:///PATH")]
    Address(String),
    /// The system refused.
    #[error("`{address}` cannot be listened to")]
    Listen {
        /// As it was written.
        address: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The thread could not be started, or standard input not be taken.
    #[error("standard input cannot be read")]
    Stdin(#[source] io::Error),
}

/// Lines from elsewhere.
pub struct Stream {
    blocks: Receiver<Vec<u8>>,
    shared: Arc<Shared>,
    local: Option<SocketAddr>,
    ended: bool,
}

#[derive(Default)]
struct Shared {
    dropped: AtomicU64,
    too_long: AtomicU64,
    connections: AtomicUsize,
    stop: AtomicBool,
}

impl Stream {
    /// Reads standard input on a thread.
    pub fn stdin(line_bytes: usize) -> Result<Stream, StreamError> {
        let input = io::stdin()
            .as_fd()
            .try_clone_to_owned()
            .map_err(StreamError::Stdin)?;
        Stream::reader(fs::File::from(input), line_bytes).map_err(StreamError::Stdin)
    }

    /// Reads lines of any kind of input on a thread; an unterminated last line counts.
    fn reader(input: impl Read + Send + 'static, line_bytes: usize) -> io::Result<Stream> {
        let (send, stream) = Stream::over(None);
        let shared = Arc::clone(&stream.shared);
        thread::Builder::new()
            .name("input".to_owned())
            .spawn(move || {
                let framing = Framing::new(false, line_bytes);
                carry(input, framing, &send, &shared);
            })?;
        Ok(stream)
    }

    /// Listens for syslog messages: `udp://`, `tcp://` or `unix://`, where a path is a datagram socket.
    pub fn syslog(address: &str, line_bytes: usize) -> Result<Stream, StreamError> {
        let listen = |source| StreamError::Listen {
            address: address.to_owned(),
            source,
        };
        if let Some(host) = address.strip_prefix("udp://") {
            let socket = UdpSocket::bind(host).map_err(listen)?;
            let local = socket.local_addr().ok();
            Stream::datagrams(local, line_bytes, move |into| socket.recv(into)).map_err(listen)
        } else if let Some(host) = address.strip_prefix("tcp://") {
            Stream::connections(TcpListener::bind(host).map_err(listen)?, line_bytes)
                .map_err(listen)
        } else if let Some(path) = address
            .strip_prefix("unix://")
            .filter(|path| path.starts_with('/'))
        {
            let path = PathBuf::from(path);
            remove_stale(&path).map_err(listen)?;
            let socket = UnixDatagram::bind(&path).map_err(listen)?;
            Stream::datagrams(None, line_bytes, move |into| socket.recv(into)).map_err(listen)
        } else {
            Err(StreamError::Address(address.to_owned()))
        }
    }

    /// The next block of whole lines; `None` if there is none at the moment.
    pub fn try_next(&mut self) -> Option<Vec<u8>> {
        match self.blocks.try_recv() {
            Ok(block) => Some(block),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                self.ended = true;
                None
            }
        }
    }

    /// Datagrams that found no room, and connections over the limit.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Lines over the limit, passed over.
    pub fn too_long(&self) -> u64 {
        self.shared.too_long.load(Ordering::Relaxed)
    }

    /// Where it listens; `None` for what has no port.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local
    }

    /// Nothing will come any more, as of the last [`Stream::try_next`].
    pub fn at_end(&self) -> bool {
        self.ended
    }

    fn over(local: Option<SocketAddr>) -> (SyncSender<Vec<u8>>, Stream) {
        let (send, blocks) = sync_channel(BLOCKS);
        let stream = Stream {
            blocks,
            shared: Arc::default(),
            local,
            ended: false,
        };
        (send, stream)
    }

    fn datagrams(
        local: Option<SocketAddr>,
        line_bytes: usize,
        mut receive: impl FnMut(&mut [u8]) -> io::Result<usize> + Send + 'static,
    ) -> io::Result<Stream> {
        let (send, stream) = Stream::over(local);
        let shared = Arc::clone(&stream.shared);
        thread::Builder::new()
            .name("syslog".to_owned())
            .spawn(move || {
                let mut datagram = vec![0; BLOCK];
                while let Ok(got) = receive(&mut datagram) {
                    if shared.stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let mut block = Vec::new();
                    let message = datagram.get(..got).unwrap_or_default();
                    put_line(&mut block, message, line_bytes, &shared);
                    match send.try_send(block) {
                        Err(TrySendError::Disconnected(_)) => return,
                        Err(TrySendError::Full(_)) => {
                            shared.dropped.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok(()) => {}
                    }
                }
            })?;
        Ok(stream)
    }

    fn connections(listener: TcpListener, line_bytes: usize) -> io::Result<Stream> {
        let (send, stream) = Stream::over(listener.local_addr().ok());
        let shared = Arc::clone(&stream.shared);
        thread::Builder::new()
            .name("syslog".to_owned())
            .spawn(move || {
                for connection in listener.incoming() {
                    if shared.stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let Ok(connection) = connection else {
                        continue;
                    };
                    if shared.connections.load(Ordering::Acquire) >= CONNECTIONS {
                        shared.dropped.fetch_add(1, Ordering::Relaxed);
                        continue;
                    }
                    shared.connections.fetch_add(1, Ordering::AcqRel);
                    let (send, own) = (send.clone(), Arc::clone(&shared));
                    let thread = thread::Builder::new().name("syslog peer".to_owned());
                    let started = thread.spawn(move || {
                        carry(connection, Framing::new(true, line_bytes), &send, &own);
                        own.connections.fetch_sub(1, Ordering::AcqRel);
                    });
                    if started.is_err() {
                        shared.connections.fetch_sub(1, Ordering::AcqRel);
                    }
                }
            })?;
        Ok(stream)
    }
}

impl Drop for Stream {
    /// The threads end at their next message; they hold nothing but a socket.
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

/// A socket that an earlier process left behind; anything else stays, and binding fails.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => fs::remove_file(path),
        _ => Ok(()),
    }
}

/// Reads a stream to its end.
fn carry(mut input: impl Read, mut framing: Framing, send: &SyncSender<Vec<u8>>, shared: &Shared) {
    let mut chunk = vec![0; BLOCK];
    loop {
        let got = match input.read(&mut chunk) {
            Ok(got) => got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => 0,
        };
        let block = match got {
            0 => framing.end(shared),
            got => framing.feed(chunk.get(..got).unwrap_or_default(), shared),
        };
        let gone = !block.is_empty() && send.send(block).is_err();
        if got == 0 || gone || shared.stop.load(Ordering::Relaxed) {
            return;
        }
    }
}

/// Cuts a stream into messages.
struct Framing {
    /// Syslog: messages may be counted, and have headers.
    syslog: bool,
    line_bytes: usize,
    /// Read and not yet cut.
    waiting: Vec<u8>,
    /// Inside a message over the limit; so many bytes of a counted one are left.
    skipping: Option<Option<usize>>,
}

impl Framing {
    fn new(syslog: bool, line_bytes: usize) -> Framing {
        Framing {
            syslog,
            line_bytes,
            waiting: Vec::new(),
            skipping: None,
        }
    }

    /// The whole lines that end within `bytes`.
    fn feed(&mut self, bytes: &[u8], shared: &Shared) -> Vec<u8> {
        self.waiting.extend_from_slice(bytes);
        let mut block = Vec::new();
        let mut rest = std::mem::take(&mut self.waiting);
        let mut from = 0;
        while let Some(used) = self.take(rest.get(from..).unwrap_or_default(), &mut block, shared) {
            from += used;
        }
        rest.drain(..from);
        self.waiting = rest;
        block
    }

    /// An unterminated last line of standard input counts; a message that was cut off does not.
    fn end(&mut self, shared: &Shared) -> Vec<u8> {
        let mut block = Vec::new();
        if !self.syslog && self.skipping.is_none() && !self.waiting.is_empty() {
            let waiting = std::mem::take(&mut self.waiting);
            put_text(&mut block, &waiting, self.line_bytes, shared);
        }
        block
    }

    /// How many bytes the next message took; `None` while it is not whole.
    fn take(&mut self, rest: &[u8], block: &mut Vec<u8>, shared: &Shared) -> Option<usize> {
        if rest.is_empty() {
            return None;
        }
        if let Some(left) = self.skipping {
            return Some(self.skip(rest, left));
        }
        if self.syslog
            && let Some((start, len)) = counted(rest)
        {
            if len > self.line_bytes.saturating_add(BLOCK) {
                shared.too_long.fetch_add(1, Ordering::Relaxed);
                self.skipping = Some(Some(len));
                return Some(start);
            }
            let message = rest.get(start..)?.get(..len)?;
            put_line(block, message, self.line_bytes, shared);
            return Some(start + len);
        }
        let Some(end) = memchr(b'\n', rest) else {
            if rest.len() > self.line_bytes.saturating_add(BLOCK) {
                shared.too_long.fetch_add(1, Ordering::Relaxed);
                self.skipping = Some(None);
                return Some(rest.len());
            }
            return None;
        };
        let line = rest.get(..end).unwrap_or_default();
        if self.syslog {
            put_line(block, line, self.line_bytes, shared);
        } else {
            put_text(block, line, self.line_bytes, shared);
        }
        Some(end + 1)
    }

    fn skip(&mut self, rest: &[u8], left: Option<usize>) -> usize {
        let (used, left) = match left {
            Some(left) => (
                left.min(rest.len()),
                Some(left.saturating_sub(rest.len())).filter(|left| *left > 0),
            ),
            None => match memchr(b'\n', rest) {
                Some(end) => (end + 1, None),
                None => return rest.len(),
            },
        };
        self.skipping = left.map(Some);
        used
    }
}

/// `LEN SP` before a message: where it begins, and its length.
fn counted(rest: &[u8]) -> Option<(usize, usize)> {
    let space = memchr(b' ', rest.get(..rest.len().min(10))?)?;
    let digits = rest.get(..space)?;
    if digits.is_empty() || digits.first() == Some(&b'0') || !digits.iter().all(u8::is_ascii_digit)
    {
        return None;
    }
    let len = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((space + 1, len))
}

/// One message without its header, as one line.
fn put_line(block: &mut Vec<u8>, message: &[u8], line_bytes: usize, shared: &Shared) {
    put_text(block, content(message), line_bytes, shared);
}

fn put_text(block: &mut Vec<u8>, line: &[u8], line_bytes: usize, shared: &Shared) {
    // Datagrams and counted messages may end in LF or NUL.
    let end = line.iter().rposition(|byte| !matches!(byte, b'\n' | 0));
    let line = line.get(..end.map_or(0, |end| end + 1)).unwrap_or_default();
    if line.len() > line_bytes {
        shared.too_long.fetch_add(1, Ordering::Relaxed);
        return;
    }
    // A message is one line, whatever it holds.
    block.extend(
        line.iter()
            .map(|byte| if *byte == b'\n' { b' ' } else { *byte }),
    );
    block.push(b'\n');
}

/// What follows the header of RFC 5424 or RFC 3164; the whole message if it has none.
fn content(message: &[u8]) -> &[u8] {
    let rest = priority(message).unwrap_or(message);
    if rest.len() == message.len() {
        return message;
    }
    match rest.strip_prefix(b"1 ") {
        Some(rest) => modern(rest).unwrap_or(rest),
        None => classic(rest).unwrap_or(rest),
    }
}

/// Behind `<PRI>`.
fn priority(message: &[u8]) -> Option<&[u8]> {
    let rest = message.strip_prefix(b"<")?;
    let end = memchr(b'>', rest.get(..rest.len().min(4))?)?;
    let digits = rest.get(..end)?;
    (!digits.is_empty() && digits.iter().all(u8::is_ascii_digit)).then_some(())?;
    rest.get(end + 1..)
}

/// RFC 5424, section 6: TIMESTAMP SP HOSTNAME SP APP-NAME SP PROCID SP MSGID SP STRUCTURED-DATA [SP MSG].
fn modern(mut rest: &[u8]) -> Option<&[u8]> {
    for _ in 0..5 {
        rest = rest.get(memchr(b' ', rest)? + 1..)?;
    }
    if let Some(rest) = rest.strip_prefix(b"-") {
        return Some(without_mark(rest.strip_prefix(b" ").unwrap_or(rest)));
    }
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in rest.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b']' if !quoted && rest.get(at + 1) != Some(&b'[') => {
                let rest = rest.get(at + 1..)?;
                return Some(without_mark(rest.strip_prefix(b" ").unwrap_or(rest)));
            }
            _ => {}
        }
    }
    None
}

/// The mark that says the message is UTF-8.
fn without_mark(message: &[u8]) -> &[u8] {
    message
        .strip_prefix("\u{feff}".as_bytes())
        .unwrap_or(message)
}

/// RFC 3164, section 4.1: `Mmm dd hh:mm:ss HOST TAG: MSG`. nginx may leave the host out.
fn classic(rest: &[u8]) -> Option<&[u8]> {
    let stamp = rest.get(..16)?;
    let colons = stamp.get(9) == Some(&b':') && stamp.get(12) == Some(&b':');
    if !colons || stamp.last() != Some(&b' ') {
        return None;
    }
    let rest = rest.get(16..)?;
    let end = memchr(b':', rest)?;
    let words = rest.get(..end)?;
    // HOST TAG or TAG alone; more spaces, and the colon belongs to the message.
    let spaces = words.iter().filter(|byte| **byte == b' ').count();
    if spaces > 1 || memrchr(b'"', words).is_some() {
        return None;
    }
    let rest = rest.get(end + 1..)?;
    Some(rest.strip_prefix(b" ").unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpStream;

    use proptest::prelude::*;

    use super::*;

    /// All lines until the stream has `wanted` of them or ends.
    fn lines(stream: &mut Stream, wanted: usize) -> Vec<String> {
        let mut text = Vec::new();
        while text.iter().filter(|byte| **byte == b'\n').count() < wanted {
            match stream.blocks.recv() {
                Ok(block) => text.extend(block),
                Err(_) => break,
            }
        }
        let text = String::from_utf8(text).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn headers_are_cut() {
        let cases: [(&str, &str); 7] = [
            (
                "<190>Nov 22 07:00:00 host nginx: 1.2.3.4 - - \"GET /\"",
                "1.2.3.4 - - \"GET /\"",
            ),
            ("<190>Nov  2 07:00:00 nginx: a: b", "a: b"),
            ("<13>1 2026-11-22T07:00:00Z host app 1 - - a line", "a line"),
            (
                "<13>1 - - - - - [a b=\"]\\\"\"][c] \u{feff}a line",
                "a line",
            ),
            ("<13>a line", "a line"),
            ("a line: of text", "a line: of text"),
            ("<x>a line", "<x>a line"),
        ];
        for (message, line) in cases {
            assert_eq!(content(message.as_bytes()), line.as_bytes(), "{message}");
        }
    }

    #[test]
    fn a_datagram_is_a_line() {
        let mut stream = Stream::syslog("udp://127.0.0.1:0", 1000).unwrap();
        let to = stream.local_addr().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .send_to(b"<190>Nov 22 07:00:00 host nginx: one\ntwo\n", to)
            .unwrap();
        assert_eq!(lines(&mut stream, 1), ["one two"]);
    }

    #[test]
    fn a_connection_may_mix_framings() {
        let mut stream = Stream::syslog("tcp://127.0.0.1:0", 1000).unwrap();
        let mut peer = TcpStream::connect(stream.local_addr().unwrap()).unwrap();
        peer.write_all(b"6 <1>one<1>two\n8 <1>three6 <1>no")
            .unwrap();
        drop(peer);
        assert_eq!(lines(&mut stream, 3), ["one", "two", "three"]);
    }

    #[test]
    fn a_unix_socket_replaces_what_was_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        drop(UnixDatagram::bind(&path).unwrap());
        let mut stream = Stream::syslog(&format!("unix://{}", path.display()), 1000).unwrap();
        UnixDatagram::unbound()
            .unwrap()
            .send_to(b"<1>one", &path)
            .unwrap();
        assert_eq!(lines(&mut stream, 1), ["one"]);
    }

    #[test]
    fn the_last_line_of_an_input_needs_no_end() {
        let input = io::Cursor::new(b"one\ntwo\n\nthree".to_vec());
        let mut stream = Stream::reader(input, 1000).unwrap();
        assert_eq!(lines(&mut stream, 9), ["one", "two", "", "three"]);
        assert_eq!(stream.try_next(), None);
        assert!(stream.at_end());
    }

    #[test]
    fn an_unknown_address_is_refused() {
        for address in ["", "http://a", "udp:1", "unix://relative"] {
            assert!(Stream::syslog(address, 10).is_err(), "{address}");
        }
    }

    proptest! {
        #[test]
        fn any_cut_of_a_stream_gives_the_same_lines(
            text in "([a-c1 ]{0,12}\n){0,12}",
            cuts in proptest::collection::vec(1..7usize, 1..40),
            syslog in any::<bool>(),
        ) {
            let all = |pieces: &[usize]| {
                let (shared, mut framing) = (Shared::default(), Framing::new(syslog, 10));
                let (mut block, mut rest) = (Vec::new(), text.as_bytes());
                for len in pieces.iter().cycle() {
                    if rest.is_empty() {
                        break;
                    }
                    let (piece, after) = rest.split_at((*len).min(rest.len()));
                    block.extend(framing.feed(piece, &shared));
                    rest = after;
                }
                (block, shared.too_long.into_inner())
            };
            prop_assert_eq!(all(&cuts), all(&[1000]));
        }

        #[test]
        fn any_message_has_a_content(message in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut message = message;
            content(&message);
            message.splice(0..0, b"<1>1 - - - - - [".iter().copied());
            content(&message);
        }
    }
}
