//! Who is connected, since when, and who has to go when somebody new comes.
//!
//! Invariant: no more guests than there are seats. When all are taken, the guest goes who has been
//! without an answer in the making for longest, be it a scraper between two scrapes or somebody
//! who sends a head byte by byte. When everybody is being answered, the new one is turned away.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::routes::Permit;
use super::server::Limits;

/// The seats.
#[derive(Debug)]
pub(super) struct Room {
    limits: Limits,
    seated: Mutex<Seated>,
}

#[derive(Debug, Default)]
struct Seated {
    next: u64,
    guests: BTreeMap<u64, Arc<Guest>>,
}

/// One connection, as the room and the connection see it.
#[derive(Debug)]
pub(super) struct Guest {
    /// The other end of the connection.
    peer: IpAddr,
    state: Mutex<State>,
    /// For the text that is being sent.
    permit: Mutex<Option<Permit>>,
    /// Rung when the seat is taken away.
    pub(super) leave: Notify,
}

#[derive(Clone, Copy, Debug)]
struct State {
    phase: Phase,
    /// When the phase began.
    since: Instant,
    /// When the guest came, or was last answered.
    idle_since: Instant,
    /// When the client stopped taking what is written to it.
    stalled: Option<Instant>,
    /// The answer's last byte was handed over, if not yet sent.
    finished: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing was ever sent, or only a part of a head.
    Head,
    /// Between two requests.
    Waiting,
    /// A body is on its way.
    Body,
    Answering,
}

/// A guest on a seat. Dropping it frees the seat.
#[derive(Debug)]
pub(super) struct Seat {
    room: Arc<Room>,
    number: u64,
    /// Who sits there.
    pub(super) guest: Arc<Guest>,
}

impl Room {
    pub(super) fn new(limits: Limits) -> Arc<Room> {
        Arc::new(Room {
            limits,
            seated: Mutex::default(),
        })
    }

    /// Takes a seat, somebody else's if need be; `None` when everybody is being answered.
    pub(super) fn seat(self: &Arc<Room>, peer: IpAddr) -> Option<Seat> {
        let mut seated = locked(&self.seated);
        if seated.guests.len() >= self.limits.connections && !seated.send_away() {
            return None;
        }
        let (number, guest) = (seated.next, Arc::new(Guest::new(peer)));
        seated.next += 1;
        seated.guests.insert(number, Arc::clone(&guest));
        drop(seated);
        Some(Seat {
            room: Arc::clone(self),
            number,
            guest,
        })
    }

    /// Sends the guest away who is idle for longest, for want of file descriptors.
    pub(super) fn make_room(&self) {
        locked(&self.seated).send_away();
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }
}

impl Seated {
    fn send_away(&mut self) -> bool {
        let idle = self
            .guests
            .iter()
            .filter_map(|(number, guest)| Some((guest.idle_since()?, *number)));
        let Some((_, number)) = idle.min() else {
            return false;
        };
        if let Some(guest) = self.guests.remove(&number) {
            guest.leave.notify_one();
        }
        true
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        locked(&self.room.seated).guests.remove(&self.number);
    }
}

impl Guest {
    fn new(peer: IpAddr) -> Guest {
        let now = Instant::now();
        let state = State {
            phase: Phase::Head,
            since: now,
            idle_since: now,
            stalled: None,
            finished: false,
        };
        Guest {
            peer,
            state: Mutex::new(state),
            permit: Mutex::default(),
            leave: Notify::new(),
        }
    }

    /// The address of the other end.
    pub(super) fn peer(&self) -> IpAddr {
        self.peer
    }

    /// Since when nothing is being answered; `None` while something is.
    fn idle_since(&self) -> Option<Instant> {
        let state = locked(&self.state);
        (state.phase != Phase::Answering).then_some(state.idle_since)
    }

    /// Bytes came.
    pub(super) fn heard(&self) {
        let mut state = locked(&self.state);
        if state.phase == Phase::Waiting {
            state.phase = Phase::Head;
            state.since = Instant::now();
        }
    }

    /// A head is complete.
    pub(super) fn asked(&self) {
        let mut state = locked(&self.state);
        state.phase = Phase::Answering;
        state.since = Instant::now();
        state.finished = false;
    }

    /// The body of what was asked is being read. It has a time of its own, and no right to the seat.
    pub(super) fn receiving(&self) {
        let mut state = locked(&self.state);
        state.phase = Phase::Body;
        state.since = Instant::now();
    }

    /// The answer was handed over to be sent.
    pub(super) fn finished(&self) {
        locked(&self.state).finished = true;
    }

    /// Keeps a permit until all is sent.
    pub(super) fn hold(&self, permit: Option<Permit>) {
        *locked(&self.permit) = permit;
    }

    /// The client took bytes.
    pub(super) fn took(&self) {
        locked(&self.state).stalled = None;
    }

    /// The client takes no more bytes for the moment.
    pub(super) fn stalled(&self) {
        locked(&self.state).stalled.get_or_insert_with(Instant::now);
    }

    /// All that was written is with the kernel.
    pub(super) fn flushed(&self) {
        let mut state = locked(&self.state);
        state.stalled = None;
        if state.phase == Phase::Answering && state.finished {
            let now = Instant::now();
            state.phase = Phase::Waiting;
            state.since = now;
            state.idle_since = now;
            drop(state);
            self.hold(None);
        }
    }

    /// When patience with this guest ends.
    pub(super) fn deadline(&self, limits: &Limits) -> Instant {
        let state = *locked(&self.state);
        let patience: Duration = match state.phase {
            Phase::Head => limits.head,
            Phase::Waiting => limits.idle,
            Phase::Body => limits.body,
            Phase::Answering => limits.answer,
        };
        let end = state.since + patience;
        let stalled = state.stalled.map(|since| since + limits.write);
        stalled.map_or(end, |stalled| stalled.min(end))
    }
}

/// Locks; what is kept here is whole at any time, so a panic elsewhere spoils nothing.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
