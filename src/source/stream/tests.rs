//! Streams over real pipes and sockets. Every wait is for a wake-up, with a deadline that only a
//! broken stream reaches.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

use super::tcp::CONNECTIONS;
use super::*;

const DEADLINE: Duration = Duration::from_secs(30);

/// A stream, and its wake-ups.
struct Probe {
    stream: Stream,
    wakes: Receiver<()>,
}

impl Probe {
    fn new(open: impl FnOnce(Wake) -> Stream) -> Probe {
        let (sender, wakes) = channel();
        let wake: Wake = Arc::new(move || sender.send(()).unwrap_or_default());
        let stream = open(wake);
        Probe { stream, wakes }
    }

    fn syslog(address: &SyslogAddress, line_bytes: usize) -> Probe {
        Probe::new(|wake| Stream::syslog(address, line_bytes, wake).unwrap())
    }

    fn port(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    /// Waits until something is as it should be.
    fn until(&mut self, mut done: impl FnMut(&mut Stream) -> bool) {
        // Counters change without a wake-up, so each wait is short.
        let mut patience = 1500;
        while !done(&mut self.stream) {
            if self.wakes.recv_timeout(Duration::from_millis(20)).is_err() {
                patience -= 1;
                assert!(patience > 0, "the deadline passed");
            }
        }
    }

    /// The next so many lines.
    fn lines(&mut self, count: usize) -> Vec<String> {
        let mut bytes = Vec::new();
        self.until(|stream| {
            while let Some(block) = stream.try_next() {
                assert!(block.ends_with(b"\n"));
                bytes.extend(block);
            }
            bytes.iter().filter(|byte| **byte == b'\n').count() >= count
        });
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

fn any_port() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn piped(line_bytes: usize) -> (Probe, io::PipeWriter) {
    let (reader, writer) = io::pipe().unwrap();
    let probe = Probe::new(|wake| Stream::reader(reader, line_bytes, wake));
    (probe, writer)
}

fn udp(line_bytes: usize) -> (Probe, UdpSocket) {
    let probe = Probe::syslog(&SyslogAddress::Udp(any_port()), line_bytes);
    let sender = UdpSocket::bind(any_port()).unwrap();
    sender.connect(probe.port()).unwrap();
    (probe, sender)
}

fn tcp(line_bytes: usize) -> (Probe, TcpStream) {
    let probe = Probe::syslog(&SyslogAddress::Tcp(any_port()), line_bytes);
    let sender = TcpStream::connect(probe.port()).unwrap();
    (probe, sender)
}

fn unix(path: &Path, line_bytes: usize) -> (Probe, UnixDatagram) {
    let probe = Probe::syslog(&SyslogAddress::Unix(path.to_path_buf()), line_bytes);
    let sender = UnixDatagram::unbound().unwrap();
    sender.connect(path).unwrap();
    (probe, sender)
}

fn refused(path: &Path) -> StreamError {
    let address = SyslogAddress::Unix(path.to_path_buf());
    match Stream::syslog(&address, 100, Arc::new(|| ())) {
        Ok(_) => panic!("the address was accepted"),
        Err(error) => error,
    }
}

#[test]
fn lines_come_while_the_producer_pauses_and_the_last_needs_no_lf() {
    let (mut probe, mut producer) = piped(100);
    producer.write_all(b"one\ntw").unwrap();
    assert_eq!(probe.lines(1), ["one"]);
    producer.write_all(b"o\nthree\r").unwrap();
    assert_eq!(probe.lines(1), ["two"]);
    assert!(!probe.stream.at_end());
    drop(producer);
    probe.until(|stream| stream.queue.state_has_ended());
    assert!(!probe.stream.at_end(), "something is still to be taken");
    assert_eq!(probe.stream.try_next().unwrap(), b"three\r\n");
    assert!(probe.stream.at_end());
    assert!(probe.stream.take_error().is_none());
}

#[test]
fn an_empty_standard_input_is_at_its_end() {
    let mut probe = Probe::new(|wake| Stream::reader(io::empty(), 100, wake));
    probe.until(|stream| stream.at_end());
    assert_eq!(probe.stream.try_next(), None);
}

#[test]
fn lines_over_the_limit_are_counted_and_their_neighbours_kept() {
    let (mut probe, mut producer) = piped(5);
    producer.write_all(b"12345\n123456\nafter\n").unwrap();
    for _ in 0..100 {
        producer.write_all(&[b'x'; 10_000]).unwrap();
    }
    producer.write_all(b"\nend").unwrap();
    drop(producer);
    assert_eq!(probe.lines(3), ["12345", "after", "end"]);
    assert_eq!(probe.stream.too_long(), 2);
    assert_eq!(probe.stream.dropped(), 0);
}

#[test]
fn blocks_are_small_unless_a_line_is_long() {
    let text = "short\n".repeat(50_000) + &"x".repeat(100_000) + "\nshort\n";
    let reader = io::Cursor::new(text.clone());
    let mut probe = Probe::new(|wake| Stream::reader(reader, 1 << 20, wake));
    let mut whole = Vec::new();
    probe.until(|stream| {
        while let Some(block) = stream.try_next() {
            let is_single = block.iter().filter(|byte| **byte == b'\n').count() == 1;
            assert!(block.len() <= BLOCK_LEN || is_single);
            whole.extend(block);
        }
        stream.at_end()
    });
    assert!(whole == text.as_bytes());
}

#[test]
fn a_producer_waits_for_a_reader_and_loses_nothing() {
    let text: String = (0..900_000).map(|number| format!("{number}\n")).collect();
    assert!(text.len() > queue::ROOM + BLOCK_LEN);
    let (mut probe, mut producer) = piped(100);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            producer.write_all(text.as_bytes()).unwrap();
            drop(producer);
        });
        probe.until(|stream| stream.queue.is_full_for(BLOCK_LEN));
        assert!(
            probe
                .lines(900_000)
                .iter()
                .map(String::as_str)
                .eq(text.lines())
        );
    });
    assert_eq!(probe.stream.dropped(), 0);
}

#[test]
fn a_read_error_is_told_after_what_was_read() {
    struct Broken;
    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("broken"))
        }
    }
    let reader = io::Cursor::new("one\ntwo").chain(Broken);
    let mut probe = Probe::new(|wake| Stream::reader(reader, 100, wake));
    assert_eq!(probe.lines(2), ["one", "two"]);
    probe.until(|stream| stream.at_end());
    let error = probe.stream.take_error().unwrap();
    assert_eq!(
        error.to_string(),
        "-: standard input cannot be read any further"
    );
    assert!(probe.stream.take_error().is_none());
}

#[test]
fn a_datagram_is_one_line_whatever_is_in_it() {
    let (mut probe, sender) = udp(1000);
    sender
        .send(b"<190>Nov 22 07:00:00 myhost nginx: GET /a\n<190>Nov 22 07:00:00 h nginx: forged\n")
        .unwrap();
    sender.send(b"").unwrap();
    sender.send(b"\n").unwrap();
    sender
        .send(b"<134>Nov 22 07:00:00 haproxy[123]: b\r\n\0")
        .unwrap();
    sender.send(b"no header").unwrap();
    assert_eq!(
        probe.lines(3),
        [
            "<190>Nov 22 07:00:00 myhost nginx: GET /a <190>Nov 22 07:00:00 h nginx: forged",
            "<134>Nov 22 07:00:00 haproxy[123]: b",
            "no header"
        ]
    );
}

#[test]
fn a_datagram_over_the_limit_is_counted() {
    let (mut probe, sender) = udp(33);
    sender
        .send(b"<190>Nov 22 07:00:00 nginx: 12345\r\n\0")
        .unwrap();
    sender.send(b"<190>Nov 22 07:00:00 nginx: 123456").unwrap();
    sender.send(&[b'x'; 60_000]).unwrap();
    sender.send(b"after").unwrap();
    assert_eq!(
        probe.lines(2),
        ["<190>Nov 22 07:00:00 nginx: 12345", "after"]
    );
    assert_eq!(probe.stream.too_long(), 2);
}

#[test]
fn datagrams_nobody_takes_are_dropped_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (mut probe, sender) = unix(&folder.path().join("log"), 10_000);
    // A sender to a Unix socket waits for the kernel, which therefore loses none.
    let mut sent = 0;
    while probe.stream.dropped() == 0 {
        assert!(sent < 100_000, "the queue is not bounded");
        sender.send(format!("{sent:01000}").as_bytes()).unwrap();
        sent += 1;
    }
    let mut numbers = BTreeSet::new();
    probe.until(|stream| {
        while let Some(block) = stream.try_next() {
            let text = String::from_utf8(block).unwrap();
            for line in text.lines() {
                assert!(numbers.insert(line.parse::<u64>().unwrap()));
            }
        }
        numbers.len() as u64 + stream.dropped() == sent
    });
    assert!(numbers.len() * 1001 >= queue::ROOM - BLOCK_LEN);
}

#[test]
fn a_stale_socket_is_replaced_and_the_file_removed_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    drop(UnixDatagram::bind(&path).unwrap());
    assert!(path.exists());
    let (mut probe, sender) = unix(&path, 100);
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666);
    sender.send(b"<6>one").unwrap();
    assert_eq!(probe.lines(1), ["<6>one"]);
    drop(probe);
    assert!(!path.exists());
}

#[test]
fn what_is_no_stale_socket_is_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    File::create(at("file")).unwrap();
    fs::create_dir(at("folder")).unwrap();
    symlink("nowhere", at("link")).unwrap();
    for (name, noun) in [
        ("file", "file"),
        ("folder", "folder"),
        ("link", "symbolic link"),
    ] {
        let message = refused(&at(name)).to_string();
        assert!(
            message.ends_with(&format!("{name}: is a {noun}, not a socket")),
            "{message}"
        );
        assert!(fs::symlink_metadata(at(name)).is_ok());
    }
    let (mut probe, sender) = unix(&at("live"), 100);
    assert!(matches!(refused(&at("live")), StreamError::InUse { .. }));
    let _other = UnixListener::bind(at("other")).unwrap();
    assert!(matches!(refused(&at("other")), StreamError::Listen { .. }));
    sender.send(b"still there").unwrap();
    assert_eq!(probe.lines(1), ["still there"]);
}

#[test]
fn a_socket_file_that_somebody_replaced_is_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let (probe, _sender) = unix(&path, 100);
    fs::rename(&path, folder.path().join("aside")).unwrap();
    File::create(&path).unwrap();
    drop(probe);
    assert!(path.exists());
}

#[test]
fn both_framings_pass_over_one_connection_in_small_pieces() {
    let (mut probe, mut sender) = tcp(100);
    sender.set_nodelay(true).unwrap();
    let text =
        b"<190>Nov 22 07:00:00 h nginx: one\n33 <134>1 - h app - - - two\nforged!\n\n7 x\nlast";
    for byte in text {
        sender.write_all(&[*byte]).unwrap();
    }
    drop(sender);
    assert_eq!(
        probe.lines(4),
        [
            "<190>Nov 22 07:00:00 h nginx: one",
            "<134>1 - h app - - - two forged!",
            "7 x",
            "last"
        ]
    );
    assert_eq!(probe.stream.dropped(), 0);
}

#[test]
fn a_frame_over_the_limit_costs_only_itself() {
    let (mut probe, mut sender) = tcp(10);
    sender.write_all(b"<6>before\n100000 <6>").unwrap();
    sender.write_all(&[b'x'; 99_997]).unwrap();
    sender.write_all(b"<6>between\n").unwrap();
    sender.write_all(&[b'x'; 100_000]).unwrap();
    sender.write_all(b"\n<6>after\n<6>12345678901\n").unwrap();
    drop(sender);
    assert_eq!(probe.lines(3), ["<6>before", "<6>between", "<6>after"]);
    probe.until(|stream| stream.too_long() == 3);
}

#[test]
fn a_torn_counted_frame_is_lost_and_counted() {
    let (mut probe, mut sender) = tcp(100);
    sender.write_all(b"6 <6>one100 <6>tw").unwrap();
    drop(sender);
    assert_eq!(probe.lines(1), ["<6>one"]);
    probe.until(|stream| stream.dropped() == 1);
}

#[test]
fn an_idle_connection_keeps_its_place_and_one_too_many_is_refused() {
    let (mut probe, mut first) = tcp(100);
    let mut others = Vec::new();
    for number in 1..CONNECTIONS {
        let mut other = TcpStream::connect(probe.port()).unwrap();
        writeln!(other, "{number}").unwrap();
        others.push(other);
    }
    probe.lines(CONNECTIONS - 1);
    let mut refused = TcpStream::connect(probe.port()).unwrap();
    assert_eq!(refused.read(&mut [0; 8]).unwrap_or_default(), 0);
    probe.until(|stream| stream.dropped() == 1);
    first.write_all(b"still here\n").unwrap();
    assert_eq!(probe.lines(1), ["still here"]);
    // A place that becomes free is given away again.
    drop(others);
    let port = probe.port();
    probe.until(|stream| {
        let mut late = TcpStream::connect(port).unwrap();
        late.write_all(b"late\n").ok();
        late.shutdown(std::net::Shutdown::Write).ok();
        assert_eq!(late.read(&mut [0; 8]).unwrap_or_default(), 0);
        stream.try_next().is_some_and(|block| block == b"late\n")
    });
}

#[test]
fn a_dropped_stream_ends_its_connections_and_frees_its_address() {
    let (mut probe, mut sender) = tcp(100);
    let address = SyslogAddress::Tcp(probe.port());
    // A connection that is not yet accepted would be reset.
    sender.write_all(b"one\n").unwrap();
    assert_eq!(probe.lines(1), ["one"]);
    drop(probe);
    let again = Probe::syslog(&address, 100);
    sender.set_read_timeout(Some(DEADLINE)).unwrap();
    assert_eq!(sender.read(&mut [0; 8]).unwrap(), 0);
    drop(again);

    let (probe, _sender) = udp(100);
    let address = SyslogAddress::Udp(probe.port());
    drop(probe);
    Probe::syslog(&address, 100);
}

#[test]
fn a_dropped_stream_lets_go_who_waits_for_room() {
    let (mut probe, mut sender) = tcp(100);
    let text = "x\n".repeat(queue::ROOM);
    std::thread::scope(|scope| {
        // The connection is closed under the sender, which would otherwise wait for ever. More is sent
        // than the kernel holds for a reader that does not read.
        let writing =
            scope.spawn(move || (0..100).try_for_each(|_| sender.write_all(text.as_bytes())));
        probe.until(|stream| stream.queue.is_full_for(BLOCK_LEN));
        drop(probe);
        assert!(writing.join().unwrap().is_err());
    });
}

#[test]
fn an_address_in_use_is_refused_by_its_name() {
    let (probe, _sender) = udp(100);
    let address = SyslogAddress::Udp(probe.port());
    let Err(error) = Stream::syslog(&address, 100, Arc::new(|| ())) else {
        panic!("the address was accepted");
    };
    let expected = format!("udp://{}: cannot be listened on", probe.port());
    assert_eq!(error.to_string(), expected);
}
