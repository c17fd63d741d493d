//! Between HTTP and the log: who may post, and what becomes of a body.
//!
//! One lock is held while a body is read and written, so that the memory of a hostile body is needed
//! once, lines keep their order, and a rotation happens between two writes.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::commands::clock::{Clock, SystemClock};
use crate::geo::client;
use crate::http::{Inbox, NotTaken, Sender};

use super::book::{Book, Written};
use super::hosts::host_of;
use super::options::Options;
use super::rate::Rates;
use super::report::{Arrival, Read, Wanted, read};
use super::tally::{Reason, Tally};

/// After how many seconds to come back when the log cannot be written.
const LATER: u32 = 60;

/// The collector.
pub(super) struct Collector<C = SystemClock> {
    options: Options,
    clock: C,
    state: Mutex<State>,
}

struct State {
    book: Book,
    rates: Rates,
    tally: Tally,
    /// The last attempt to write failed, and that was said.
    failing: bool,
}

impl<C: Clock> Collector<C> {
    pub(super) fn new(options: Options, book: Book, clock: C) -> Collector<C> {
        let state = State {
            book,
            rates: Rates::new(options.rate, options.total_rate),
            tally: Tally::default(),
            failing: false,
        };
        Collector {
            options,
            clock,
            state: Mutex::new(state),
        }
    }

    /// Opens the log anew, for who has renamed it.
    pub(super) fn reopen(&self) {
        let mut state = self.state();
        match state.book.reopen() {
            Ok(()) => tracing::info!("{}: opened again", self.shown_log()),
            Err(error) => tracing::error!(
                "{}: cannot be opened again, the file before is written on: {}",
                self.shown_log(),
                crate::commands::journal::chain(&error)
            ),
        }
    }

    /// Says what is over, at the end everything.
    pub(super) fn upkeep(&self, end: bool) {
        let now = self.clock.monotonic();
        for said in self.state().tally.over(now, end) {
            tracing::info!("{said}");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What a panic leaves behind is a book whose size may be short, and nothing worse.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown_log(&self) -> String {
        use std::os::unix::ffi::OsStrExt as _;
        crate::diagnostic::Untrusted(self.options.log.as_os_str().as_bytes()).to_string()
    }

    /// `X-Forwarded-For` of a peer that is believed.
    fn forwarded<'s>(&self, sender: &'s Sender) -> Option<&'s str> {
        let believed = self.options.proxies.contains(sender.peer);
        sender.forwarded_for.as_deref().filter(|_| believed)
    }

    /// Whose share a post counts to.
    fn client(&self, sender: &Sender) -> IpAddr {
        let peer = sender.peer.to_string();
        let sources = [
            self.forwarded(sender).map(str::as_bytes),
            Some(peer.as_bytes()),
        ];
        match self.options.proxies.is_empty() {
            true => sender.peer,
            false => client(&sources, &self.options.proxies).unwrap_or(sender.peer),
        }
    }

    /// Counts what was not written, and says what is new of it.
    fn tell(&self, state: &mut State, read: &Read) {
        let now = self.clock.monotonic();
        let ignored = read.ignored.iter();
        let ignored = ignored.map(|(kind, count)| (Reason::Ignored(kind.clone()), *count));
        let refused = [
            (Reason::Foreign, read.foreign),
            (Reason::Malformed, read.malformed),
        ];
        for (reason, count) in ignored.chain(refused) {
            say(state.tally.add(reason, count, now));
        }
    }

    fn write(&self, state: &mut State, lines: &[String]) -> Result<(), NotTaken> {
        let log = self.shown_log();
        match state.book.append(lines) {
            Ok(written) => {
                if std::mem::take(&mut state.failing) {
                    tracing::info!("{log}: can be written again");
                }
                if written == Written::Renamed {
                    tracing::info!("{log}: full, renamed to {log}.1 and begun anew");
                }
                Ok(())
            }
            Err(error) => {
                if !std::mem::replace(&mut state.failing, true) {
                    tracing::error!(
                        "{log}: cannot be written, reports are refused until it can: {error}"
                    );
                }
                Err(NotTaken::Unavailable(LATER))
            }
        }
    }
}

fn say(sentence: Option<String>) {
    if let Some(sentence) = sentence {
        tracing::warn!("{sentence}");
    }
}

impl<C: Clock + Send + Sync + 'static> Inbox for Collector<C> {
    fn about(&self) -> String {
        let hosts = self.options.hosts.shown();
        let hosts = match hosts.is_empty() {
            true => "any host".to_owned(),
            false => hosts.join(", "),
        };
        format!(
            "beacontail reports: takes what browsers report about failed requests to {hosts}\n\
             (Network Error Logging: POST application/reports+json)\n"
        )
    }

    fn body_bytes(&self) -> usize {
        self.options.body_bytes
    }

    fn knows(&self, origin: &str) -> bool {
        // A page in a sandbox has the origin `null`, and so does a redirected post.
        let hosts = &self.options.hosts;
        hosts.is_empty() || host_of(origin).is_some_and(|(host, _)| hosts.take(&host))
    }

    fn admit(&self, sender: &Sender) -> Result<(), NotTaken> {
        let now = self.clock.monotonic();
        let mut state = self.state();
        if let Err(wait) = state.rates.ask(self.client(sender), now) {
            say(state.tally.add(Reason::TooOften, 1, now));
            return Err(NotTaken::TooOften(wait));
        }
        if sender
            .origin
            .as_deref()
            .is_some_and(|origin| !self.knows(origin))
        {
            say(state.tally.add(Reason::Foreign, 1, now));
            return Err(NotTaken::Foreign);
        }
        Ok(())
    }

    fn take(&self, sender: &Sender, body: &[u8]) -> Result<String, NotTaken> {
        let mut state = self.state();
        let arrival = Arrival {
            at_ms: self.clock.wall_ms(),
            peer: sender.peer,
            forwarded_for: self.forwarded(sender),
            query: sender.query.as_deref(),
        };
        let wanted = Wanted {
            hosts: &self.options.hosts,
            keep_query: self.options.keep_query,
        };
        let read = match read(body, arrival, wanted) {
            Ok(read) => read,
            Err(refusal) => {
                let now = self.clock.monotonic();
                say(state.tally.add(Reason::Malformed, 1, now));
                return Err(refusal);
            }
        };
        // One was charged when the sender was admitted.
        let further = read.reports().saturating_sub(1);
        let (client, now) = (self.client(sender), self.clock.monotonic());
        state.rates.charge(client, further, now);
        self.tell(&mut state, &read);
        self.write(&mut state, &read.lines)?;
        Ok(read.shown())
    }
}
