//! A carbon made of threads that fails in every way a real one was seen to.
//!
//! It reads plaintext lines over TCP (and, while sound, UDP) on a port of its own and keeps each point in
//! the order in which it was processed. A line counts when its line feed was read, as with a real
//! carbon; what stands before the end of a connection without one is dropped. [`Carbon::set`] changes
//! its behaviour for connections that exist and those to come, and returns when it holds.
//!
//! Uses no runtime, so that tests of the built program and of the library may both include it.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a mock that panics has failed its test")]

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a carbon does with its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Reads everything, processes it, then closes.
    Sound,
    /// Nobody listens; connections that existed are reset.
    Refuse,
    /// Accepts and resets.
    Reset,
    /// Reads to the end, forgets it, then resets: acknowledged by TCP, lost by the program.
    Swallow,
    /// Reads a little, closes its sending side in mid line and forgets the rest.
    CutLine,
    /// Reads a little and closes.
    Part,
    /// Accepts and does not read: a stopped process. What was sent stays queued.
    Stall,
    /// Reads connections that begin in this mode; those before stay stalled.
    Newer,
    /// Reads a few bytes at a time.
    Slow,
    /// Reads and processes everything and never closes.
    Open,
    /// The queue of connections is full and new ones get no answer.
    Blackhole,
    /// Each connection meets another of the modes, every fourth a sound carbon.
    Flap,
}

/// What the connections of [`Mode::Flap`] meet, in turn.
const FLAPS: [Mode; 8] = [
    Mode::Swallow,
    Mode::CutLine,
    Mode::Reset,
    Mode::Sound,
    Mode::Stall,
    Mode::Slow,
    Mode::Open,
    Mode::Sound,
];

/// Ticks that a stall of [`Mode::Flap`] lasts: longer than the agents of the tests wait.
const FLAP_STALL: u32 = 350;

/// Bytes that [`Mode::CutLine`] and [`Mode::Part`] read.
const LITTLE: usize = 40;

/// How often a thread looks whether the mode has changed.
const TICK: Duration = Duration::from_millis(2);

/// A point as it was processed: path, minute, value.
pub(crate) type Stored = (String, i64, f64);

/// The mock. Stops when dropped.
pub(crate) struct Carbon {
    shared: Arc<Shared>,
    address: SocketAddr,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    mode: Mode,
    /// Counts changes of the mode.
    age: u64,
    /// Value of `age` for which sockets are as the mode wants them.
    applied: u64,
    stopping: bool,
    history: Vec<Stored>,
    refused: Vec<String>,
    connections: u64,
}

impl Carbon {
    /// Listens on a free port of 127.0.0.1.
    pub(crate) fn start(mode: Mode) -> Carbon {
        Carbon::at((Ipv4Addr::LOCALHOST, 0).into(), mode)
    }

    /// Listens at this address.
    pub(crate) fn at(address: SocketAddr, mode: Mode) -> Carbon {
        let sockets = Sockets::bind(address);
        let address = sockets.address();
        let state = State {
            mode,
            age: 1,
            applied: 0,
            stopping: false,
            history: Vec::new(),
            refused: Vec::new(),
            connections: 0,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let acceptor = Acceptor {
            shared: Arc::clone(&shared),
            address,
            sockets: Some(sockets),
            fillers: Vec::new(),
            age: 0,
        };
        let acceptor = Some(std::thread::spawn(move || acceptor.run()));
        let carbon = Carbon {
            shared,
            address,
            acceptor,
        };
        carbon.set(mode);
        carbon
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the mode and waits until sockets follow it.
    pub(crate) fn set(&self, mode: Mode) {
        let mut state = self.shared.state();
        state.mode = mode;
        state.age += 1;
        let wanted = state.age;
        self.shared.changed.notify_all();
        while state.applied < wanted {
            state = self.shared.changed.wait(state).unwrap();
        }
    }

    /// The value that each path has for each minute: the one that was processed last.
    pub(crate) fn points(&self) -> BTreeMap<(String, i64), f64> {
        let history = self.history().into_iter();
        history
            .map(|(path, minute, value)| ((path, minute), value))
            .collect()
    }

    /// Every point in the order of processing.
    pub(crate) fn history(&self) -> Vec<Stored> {
        self.shared.state().history.clone()
    }

    /// Whole lines that are no points.
    pub(crate) fn refused(&self) -> Vec<String> {
        self.shared.state().refused.clone()
    }

    /// Number of connections accepted.
    pub(crate) fn connections(&self) -> u64 {
        self.shared.state().connections
    }

    /// Looks again and again until `what` holds, at most some ten seconds.
    pub(crate) fn eventually(&self, what: impl Fn(&Carbon) -> bool) -> bool {
        (0..5000).any(|_| {
            let holds = what(self);
            if !holds {
                drop(self.shared.pause(self.shared.state()));
            }
            holds
        })
    }
}

impl Drop for Carbon {
    fn drop(&mut self) {
        self.shared.state().stopping = true;
        self.shared.changed.notify_all();
        if let Some(acceptor) = self.acceptor.take() {
            // Its panic has been printed; a second one here would abort the test.
            drop(acceptor.join());
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Waits for a change, or a tick.
    fn pause<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        self.changed.wait_timeout(state, TICK).unwrap().0
    }

    /// Takes whole lines out of `text` and keeps their points.
    fn process(&self, text: &mut Vec<u8>) {
        let mut state = self.state();
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line).into_owned();
            match point(&line) {
                Some(point) => state.history.push(point),
                None => state.refused.push(line),
            }
        }
    }
}

fn point(line: &str) -> Option<Stored> {
    let mut parts = line.split_whitespace();
    let (path, value, minute) = (parts.next()?, parts.next()?, parts.next()?);
    let whole = parts.next().is_none();
    let point = (path.to_owned(), minute.parse().ok()?, value.parse().ok()?);
    whole.then_some(point)
}

/// TCP and UDP on the same port.
struct Sockets {
    tcp: TcpListener,
    udp: UdpSocket,
}

impl Sockets {
    /// Tries until both are free; port 0 is any.
    fn bind(address: SocketAddr) -> Sockets {
        let pair = |_| {
            let tcp = TcpListener::bind(address).ok()?;
            let udp = UdpSocket::bind(tcp.local_addr().ok()?).ok()?;
            Some(Sockets { tcp, udp })
        };
        let sockets = (0..100).find_map(pair).expect("a port is free");
        sockets.tcp.set_nonblocking(true).unwrap();
        sockets.udp.set_nonblocking(true).unwrap();
        sockets
    }

    fn address(&self) -> SocketAddr {
        self.tcp.local_addr().unwrap()
    }
}

/// The thread that owns the listening sockets.
struct Acceptor {
    shared: Arc<Shared>,
    address: SocketAddr,
    sockets: Option<Sockets>,
    /// Connections that keep the queue full.
    fillers: Vec<TcpStream>,
    age: u64,
}

impl Acceptor {
    fn run(mut self) {
        loop {
            let state = self.shared.state();
            let (mode, age, stopping) = (state.mode, state.age, state.stopping);
            drop(state);
            if stopping {
                return;
            }
            if age != self.age {
                self.apply(mode);
                self.age = age;
                self.shared.state().applied = age;
                self.shared.changed.notify_all();
            }
            if mode != Mode::Blackhole {
                self.accept(age);
            }
            self.receive(mode);
            let state = self.shared.state();
            if state.age == age && !state.stopping {
                drop(self.shared.pause(state));
            }
        }
    }

    fn apply(&mut self, mode: Mode) {
        if mode == Mode::Refuse {
            self.sockets = None;
            return;
        }
        let address = self.address;
        let sockets = self.sockets.get_or_insert_with(|| Sockets::bind(address));
        self.fillers.clear();
        if mode != Mode::Blackhole {
            rustix::net::listen(&sockets.tcp, 128).unwrap();
            return;
        }
        rustix::net::listen(&sockets.tcp, 0).unwrap();
        let patience = Duration::from_millis(100);
        while let Ok(filler) = TcpStream::connect_timeout(&self.address, patience) {
            self.fillers.push(filler);
        }
    }

    fn accept(&self, age: u64) {
        let Some(sockets) = &self.sockets else {
            return;
        };
        while let Ok((stream, _)) = sockets.tcp.accept() {
            let mut state = self.shared.state();
            let flap = usize::try_from(state.connections).unwrap() % FLAPS.len();
            state.connections += 1;
            drop(state);
            let connection = Connection {
                flap: FLAPS.get(flap).copied().unwrap_or(Mode::Sound),
                stalled: 0,
                shared: Arc::clone(&self.shared),
                stream,
                text: Vec::new(),
                born: age,
            };
            std::thread::spawn(move || connection.serve());
        }
    }

    fn receive(&self, mode: Mode) {
        let Some(sockets) = &self.sockets else {
            return;
        };
        let mut datagram = vec![0; 65536];
        while let Ok((length, _)) = sockets.udp.recv_from(&mut datagram) {
            if mode == Mode::Sound {
                let mut text = datagram.get(..length).unwrap_or_default().to_vec();
                self.shared.process(&mut text);
            }
        }
    }
}

/// What reading gave.
enum Came {
    Some,
    Nothing,
    End,
    Gone,
}

struct Connection {
    shared: Arc<Shared>,
    stream: TcpStream,
    text: Vec<u8>,
    born: u64,
    /// What it meets in [`Mode::Flap`].
    flap: Mode,
    /// Ticks for which it was stalled so.
    stalled: u32,
}

impl Connection {
    fn serve(mut self) {
        self.stream.set_nonblocking(false).unwrap();
        self.stream.set_read_timeout(Some(TICK)).unwrap();
        loop {
            let state = self.shared.state();
            let (mode, age) = (self.met(state.mode), state.age);
            if state.stopping {
                return;
            }
            let older = mode == Mode::Newer && self.born < age;
            if older || matches!(mode, Mode::Stall | Mode::Blackhole) {
                drop(self.shared.pause(state));
                self.stalled += 1;
                continue;
            }
            drop(state);
            match mode {
                Mode::Refuse | Mode::Reset => return self.reset(),
                Mode::Swallow => return self.swallow(true),
                Mode::CutLine | Mode::Part => return self.break_off(mode),
                _ => {}
            }
            let room = if mode == Mode::Slow { 64 } else { 65536 };
            let read = self.read(room);
            self.shared.process(&mut self.text);
            match read {
                Came::Gone => return,
                Came::End if mode != Mode::Open => return,
                Came::End | Came::Some if mode == Mode::Open || mode == Mode::Slow => {
                    drop(self.shared.pause(self.shared.state()));
                }
                _ => {}
            }
        }
    }

    /// The mode for this connection.
    fn met(&self, mode: Mode) -> Mode {
        match (mode, self.flap) {
            (Mode::Flap, Mode::Stall) if self.stalled > FLAP_STALL => Mode::Sound,
            (Mode::Flap, flap) => flap,
            (mode, _) => mode,
        }
    }

    fn read(&mut self, room: usize) -> Came {
        let mut buffer = vec![0; room];
        match self.stream.read(&mut buffer) {
            Ok(0) => Came::End,
            Ok(length) => {
                let read = buffer.get(..length).unwrap_or_default();
                self.text.extend(read);
                Came::Some
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Came::Nothing
            }
            Err(_) => Came::Gone,
        }
    }

    /// Reads and forgets; resets at the end, if so wished.
    fn swallow(mut self, reset: bool) {
        loop {
            let read = self.read(65536);
            self.text.clear();
            match read {
                Came::End if reset => return self.reset(),
                Came::End | Came::Gone => return,
                _ if self.shared.state().stopping => return,
                _ => {}
            }
        }
    }

    /// Processes the lines of the first few bytes and wants no more.
    fn break_off(mut self, mode: Mode) {
        while matches!(self.read(LITTLE), Came::Nothing) {
            if self.shared.state().stopping {
                return;
            }
        }
        self.shared.process(&mut self.text);
        if mode == Mode::CutLine && self.stream.shutdown(Shutdown::Write).is_ok() {
            self.swallow(false);
        }
    }

    fn reset(self) {
        rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO)).unwrap();
    }
}
