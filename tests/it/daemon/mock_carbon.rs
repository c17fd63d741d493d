//! A carbon that can fail in each way that a real one was seen to.
//!
//! Like carbon it takes lines `path value time` until the sender's FIN, and closes only then; the
//! last write to a point wins; a line without LF is dropped. What a stalled carbon holds in its
//! sockets is processed when it wakes up, however late that is.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;

/// How carbon behaves to connections that it accepts from here on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mode {
    /// Takes every line and closes after the FIN.
    Sound,
    /// Nobody listens.
    Refuse,
    /// RST at once.
    ResetOnAccept,
    /// Reads everything up to the FIN, forgets it, RST.
    DiscardAndReset,
    /// Takes the first lines and closes in the middle of one.
    EofMidLine,
    /// Accepts and reads nothing until the mode changes; then takes all that is queued.
    Stall,
    /// Takes every line, a few bytes at a time.
    Slow,
    /// Takes every line and never closes.
    NeverClose,
    /// Connections are never established.
    Blackhole,
    /// Each connection meets another of the modes, every fourth a sound carbon.
    Flap,
}

/// What the connections of [`Mode::Flap`] meet, in turn.
const FLAPS: [Mode; 8] = [
    Mode::DiscardAndReset,
    Mode::EofMidLine,
    Mode::ResetOnAccept,
    Mode::Sound,
    Mode::Stall,
    Mode::Slow,
    Mode::NeverClose,
    Mode::Sound,
];

/// How long a stall of [`Mode::Flap`] lasts: longer than the agents of these tests wait.
const FLAP_STALL: Duration = Duration::from_millis(700);

/// How often threads look at the mode.
const LOOK: Duration = Duration::from_millis(3);

#[derive(Default)]
struct Taken {
    points: BTreeMap<(String, i64), String>,
    history: Vec<(String, i64, String)>,
    odd: Vec<String>,
    connections: usize,
}

struct Shared {
    mode: Mutex<Mode>,
    taken: Mutex<Taken>,
    stopped: Mutex<bool>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Shared {
    fn mode(&self) -> Mode {
        *lock(&self.mode)
    }

    fn stopped(&self) -> bool {
        *lock(&self.stopped)
    }

    fn take(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(line).into_owned();
        let parts: Vec<&str> = text.split(' ').collect();
        let mut taken = lock(&self.taken);
        match (parts.as_slice(), parts.get(2).map(|time| time.parse())) {
            ([path, value, _], Some(Ok(time))) if value.parse::<f64>().is_ok() => {
                let (path, value) = ((*path).to_owned(), (*value).to_owned());
                taken.history.push((path.clone(), time, value.clone()));
                taken.points.insert((path, time), value);
            }
            _ => taken.odd.push(text),
        }
    }
}

/// A running mock; it stops when it is dropped.
pub(crate) struct Carbon {
    shared: Arc<Shared>,
    address: SocketAddr,
    acceptor: Option<JoinHandle<()>>,
}

impl Carbon {
    /// Listens on a free port of 127.0.0.1.
    pub(crate) fn start(mode: Mode) -> Carbon {
        Carbon::at(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0), mode)
    }

    /// Listens on this address.
    pub(crate) fn at(address: SocketAddr, mode: Mode) -> Carbon {
        let listener = listen(address).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            mode: Mutex::new(mode),
            taken: Mutex::default(),
            stopped: Mutex::new(false),
        });
        let theirs = Arc::clone(&shared);
        let acceptor = std::thread::spawn(move || accept(&theirs, address, listener));
        Carbon {
            shared,
            address,
            acceptor: Some(acceptor),
        }
    }

    /// Behaves like this from here on.
    pub(crate) fn set(&self, mode: Mode) {
        *lock(&self.shared.mode) = mode;
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The value of each path and time that stands.
    pub(crate) fn points(&self) -> BTreeMap<(String, i64), String> {
        lock(&self.shared.taken).points.clone()
    }

    /// Everything that was taken, in order.
    pub(crate) fn history(&self) -> Vec<(String, i64, String)> {
        lock(&self.shared.taken).history.clone()
    }

    /// Whole lines that were no point.
    pub(crate) fn odd_lines(&self) -> Vec<String> {
        lock(&self.shared.taken).odd.clone()
    }

    /// Connections that were accepted.
    pub(crate) fn connections(&self) -> usize {
        lock(&self.shared.taken).connections
    }
}

impl Drop for Carbon {
    fn drop(&mut self) {
        *lock(&self.shared.stopped) = true;
        if let Some(acceptor) = self.acceptor.take() {
            drop(acceptor.join());
        }
    }
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The accepting thread: holds the door as the mode wants it.
fn accept(shared: &Arc<Shared>, address: SocketAddr, listener: TcpListener) {
    let mut door = Some(listener);
    let mut fillers: Vec<TcpStream> = Vec::new();
    while !shared.stopped() {
        let mode = shared.mode();
        if mode == Mode::Refuse {
            door = None;
        } else if door.is_none() {
            door = listen(address).ok();
        }
        match (&door, mode) {
            (Some(door), Mode::Blackhole) if fillers.is_empty() => {
                fill(door, address, &mut fillers)
            }
            (None, _) | (_, Mode::Blackhole) => {}
            (Some(door), _) => {
                if !fillers.is_empty() {
                    fillers.clear();
                    rustix::net::listen(door, 128).unwrap();
                }
                admit(door, shared, mode);
            }
        }
        std::thread::sleep(LOOK);
    }
}

/// Fills a queue of no length: the kernel drops further SYNs.
fn fill(door: &TcpListener, address: SocketAddr, fillers: &mut Vec<TcpStream>) {
    rustix::net::listen(door, 0).unwrap();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(50)) {
        fillers.push(stream);
    }
}

/// Accepts who waits, each on a thread of its own.
fn admit(door: &TcpListener, shared: &Arc<Shared>, mode: Mode) {
    while let Ok((stream, _)) = door.accept() {
        let turn = {
            let mut taken = lock(&shared.taken);
            taken.connections += 1;
            taken.connections
        };
        let shared = Arc::clone(shared);
        let meets = match mode {
            Mode::Flap => FLAPS[turn % FLAPS.len()],
            mode => mode,
        };
        std::thread::spawn(move || serve(&shared, stream, meets, mode));
    }
}

/// One connection. `set` is the mode that stood when it was accepted.
fn serve(shared: &Shared, mut stream: TcpStream, meets: Mode, set: Mode) {
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(LOOK)).unwrap();
    let changed = || shared.stopped() || shared.mode() != set;
    match meets {
        Mode::ResetOnAccept => reset(stream),
        Mode::DiscardAndReset => {
            read_to_fin(shared, &mut stream, 4096, &mut |_| ());
            reset(stream);
        }
        Mode::EofMidLine => take_some(shared, &mut stream),
        Mode::Stall => {
            let began = Instant::now();
            while !changed() && (set != Mode::Flap || began.elapsed() < FLAP_STALL) {
                std::thread::sleep(LOOK);
            }
            take_lines(shared, &mut stream, 4096);
        }
        Mode::Slow => take_lines(shared, &mut stream, 512),
        Mode::NeverClose => {
            take_lines(shared, &mut stream, 4096);
            let began = Instant::now();
            while !changed() && (set != Mode::Flap || began.elapsed() < FLAP_STALL) {
                std::thread::sleep(LOOK);
            }
        }
        _ => take_lines(shared, &mut stream, 4096),
    }
}

fn waits(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// Closes with RST.
fn reset(stream: TcpStream) {
    set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    drop(stream);
}

/// Reads until FIN, RST or the end of the test.
fn read_to_fin(
    shared: &Shared,
    stream: &mut TcpStream,
    at_once: usize,
    each: &mut dyn FnMut(&[u8]),
) {
    let mut buffer = vec![0; at_once];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => each(&buffer[..n]),
            Err(error) if waits(&error) && !shared.stopped() => {}
            Err(_) => return,
        }
        if at_once < 4096 {
            std::thread::sleep(LOOK);
        }
    }
}

/// Takes the whole lines among the first hundred bytes; closing then cuts the rest off.
fn take_some(shared: &Shared, stream: &mut TcpStream) {
    let mut buffer = [0; 100];
    while !shared.stopped() {
        match stream.read(&mut buffer) {
            Ok(n) => {
                return buffer[..n]
                    .split_inclusive(|byte| *byte == b'\n')
                    .filter_map(|line| line.strip_suffix(b"\n"))
                    .for_each(|line| shared.take(line));
            }
            Err(error) if waits(&error) => {}
            Err(_) => return,
        }
    }
}

/// Takes whole lines until the sender's FIN.
fn take_lines(shared: &Shared, stream: &mut TcpStream, at_once: usize) {
    let mut rest: Vec<u8> = Vec::new();
    read_to_fin(shared, stream, at_once, &mut |bytes| {
        rest.extend_from_slice(bytes);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            shared.take(line.strip_suffix(b"\n").unwrap_or(&line));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::agent::{DEADLINE, eventually};
    use super::*;
    use std::io::Write;
    use std::net::Shutdown;

    /// Sends and waits for EOF: whether the batch was acknowledged.
    fn deliver(carbon: &Carbon, text: &str) -> bool {
        let wait = Duration::from_millis(200);
        let Ok(mut stream) = TcpStream::connect_timeout(&carbon.address(), wait) else {
            return false;
        };
        stream.set_read_timeout(Some(wait)).unwrap();
        stream.write_all(text.as_bytes()).is_ok()
            && stream.shutdown(Shutdown::Write).is_ok()
            && matches!(stream.read(&mut [0; 8]), Ok(0))
    }

    fn batch() -> String {
        (0..20)
            .map(|n| format!("some.path.of.some.length.{n} 1 60\n"))
            .collect()
    }

    #[test]
    fn a_sound_carbon_keeps_the_last_value_and_drops_what_has_no_end() {
        let carbon = Carbon::start(Mode::Sound);
        assert!(deliver(&carbon, "a 1 60\na 2 60\nb x 60\nc 3 6"));
        assert_eq!(carbon.points()[&("a".to_owned(), 60)], "2");
        assert_eq!(carbon.history().len(), 2);
        assert_eq!(carbon.odd_lines(), ["b x 60"]);
    }

    #[test]
    fn failing_carbons_acknowledge_nothing() {
        for mode in [
            Mode::Refuse,
            Mode::ResetOnAccept,
            Mode::DiscardAndReset,
            Mode::EofMidLine,
            Mode::Stall,
            Mode::NeverClose,
            Mode::Blackhole,
        ] {
            let carbon = Carbon::start(mode);
            eventually(DEADLINE, "the mode holds", || {
                (!deliver(&carbon, &batch()))
                    .then_some(())
                    .ok_or_else(|| format!("{mode:?}"))
            });
            carbon.set(Mode::Sound);
            eventually(DEADLINE, "carbon is sound again", || {
                deliver(&carbon, &batch())
                    .then_some(())
                    .ok_or_else(|| format!("{mode:?}"))
            });
            assert_eq!(carbon.points().len(), 20, "{mode:?}");
            assert_eq!(carbon.odd_lines(), Vec::<String>::new());
        }
    }

    #[test]
    fn a_stalled_carbon_takes_stale_bytes_when_it_wakes_up() {
        let carbon = Carbon::start(Mode::Stall);
        assert!(!deliver(&carbon, "a 1 60\n"));
        assert_eq!(carbon.history(), []);
        carbon.set(Mode::Sound);
        eventually(DEADLINE, "the stale line", || {
            (carbon.history().len() == 1)
                .then_some(())
                .ok_or_else(String::new)
        });
    }

    #[test]
    fn a_flapping_carbon_is_sound_now_and_then() {
        let carbon = Carbon::start(Mode::Flap);
        let acknowledged = (0..16).filter(|_| deliver(&carbon, "a 1 60\n")).count();
        assert!((2..16).contains(&acknowledged), "{acknowledged}");
    }
}
