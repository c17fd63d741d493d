//! The agent thread: when it looks at the logs, and whom it answers in between.
//!
//! A round follows a wake-up after `flush` at the earliest, so that a busy log costs one commit each
//! `flush`, and comes after `poll` at the latest, because wake-ups are hints that get lost.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::source::follow::Disk;
use crate::source::wake::Waker;

use super::agent::{Agent, Round};
use super::clock::Clock;
use super::health::Flags;
use super::queue::Request;

/// After this much of the first pass, numbers are shown though it is not over.
const FIRST_PASS: Duration = Duration::from_secs(30);

/// Time goes on in steps of at least this.
const SHORTEST_TICK: Duration = Duration::from_millis(100);

/// How long outputs may take what is due when all streams have ended.
const DELIVERY: Duration = Duration::from_secs(30);

/// How long streams are read when the end was asked for.
const LAST_ROUND: Duration = Duration::from_millis(200);

/// Longest wait for requests when nothing else is due.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// A backlog is committed at least this often, so that stops and the watchdog need not wait for it.
const LONGEST_ROUND: Duration = Duration::from_secs(2);

/// The thread's state.
pub(super) struct Worker<D: Disk, C: Clock> {
    pub(super) agent: Agent<D, C>,
    pub(super) requests: Receiver<Request>,
    pub(super) waker: Waker,
    pub(super) flags: Arc<Flags>,
    pub(super) telemetry: crate::telemetry::Telemetry,
    /// How often progress is told to the service manager; `None` when nobody asks.
    pub(super) watchdog: Option<Duration>,
}

/// When the next round is.
struct Schedule {
    /// When the logs were last looked at.
    looked: Duration,
    /// When the last round began.
    last: Duration,
    woken: bool,
    more: bool,
    fed: Duration,
}

impl<D: Disk, C: Clock> Worker<D, C> {
    /// Works until it is told to stop, or all streams have ended.
    pub(super) fn run(mut self) {
        let mut schedule = Schedule {
            looked: Duration::ZERO,
            last: Duration::ZERO,
            woken: false,
            more: true,
            fed: Duration::ZERO,
        };
        loop {
            let now = self.agent.now().monotonic;
            let wait = self.due(&schedule).saturating_sub(now);
            match self.requests.recv_timeout(wait.min(self.longest_wait())) {
                Ok(request) => {
                    if !self.answer_all(request, &mut schedule) {
                        return self.agent.hand_in(LAST_ROUND);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.agent.now().monotonic >= self.due(&schedule) && !self.round(&mut schedule) {
                return;
            }
            self.feed(&mut schedule);
        }
    }

    /// However rarely files are to be looked at, the service manager hears of this thread in time.
    fn longest_wait(&self) -> Duration {
        self.watchdog.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT)
    }

    /// When the next round is due: the logs are looked at after a wake-up or at the latest after
    /// `poll`; time goes on, and minutes with it, each `flush`.
    fn due(&self, schedule: &Schedule) -> Duration {
        if schedule.more {
            return schedule.last;
        }
        let flush = self.agent.pace().flush;
        self.look_due(schedule)
            .min(schedule.last.saturating_add(flush.max(SHORTEST_TICK)))
    }

    fn look_due(&self, schedule: &Schedule) -> Duration {
        let agent = self.agent.pace();
        let pause = if schedule.woken {
            agent.flush.min(agent.poll)
        } else {
            agent.poll
        };
        schedule.looked.saturating_add(pause)
    }

    /// Answers a request and those behind it; false when the agent is to stop.
    fn answer_all(&mut self, first: Request, schedule: &mut Schedule) -> bool {
        let mut next = Some(first);
        while let Some(request) = next {
            match request {
                Request::Stop => return false,
                Request::Wake => schedule.woken = true,
                request => self.answer(request),
            }
            next = self.requests.try_recv().ok();
        }
        self.agent.serve();
        true
    }

    fn answer(&mut self, request: Request) {
        match request {
            Request::Claim { output, reply } => self.agent.wait(&output, reply),
            Request::Done {
                output,
                job,
                points,
                result,
                reply,
            } => {
                self.agent
                    .ended(&output, job, points, result.as_ref().copied());
                // Nobody waits when the output was told to stop.
                reply.send(()).ok();
            }
            Request::Adopt { prepared, reply } => {
                let adopted = self.agent.change(prepared);
                let answer = adopted.map_err(|error| super::journal::chain(&error));
                reply.send(answer).ok();
            }
            Request::Wake | Request::Stop => {}
        }
    }

    /// One round; false when there is nothing left to wait for.
    fn round(&mut self, schedule: &mut Schedule) -> bool {
        let now = self.agent.now().monotonic;
        schedule.last = now;
        let look = schedule.more || now >= self.look_due(schedule);
        if look {
            schedule.looked = now;
            schedule.woken = false;
            self.waker.arm();
        }
        let flush = self.agent.pace().flush;
        let Round { more, committed } = self.agent.round(flush.min(LONGEST_ROUND), look);
        schedule.more = more && committed;
        self.agent.serve();
        self.watch();
        self.first_pass(more, committed);
        if committed && !more && self.agent.is_over() {
            let now = self.agent.now();
            self.agent.commit(now, true);
            self.deliver_rest(schedule);
            return false;
        }
        true
    }

    /// All streams have ended: outputs get what is due, if they take it.
    fn deliver_rest(&mut self, schedule: &mut Schedule) {
        let end = self.agent.now().monotonic.saturating_add(DELIVERY);
        loop {
            self.agent.serve();
            let now = self.agent.now().monotonic;
            if now >= end || self.agent.is_delivered() {
                return;
            }
            let Ok(request) = self.requests.recv_timeout(end.saturating_sub(now)) else {
                return;
            };
            if !self.answer_all(request, schedule) {
                return;
            }
        }
    }

    /// Keeps the watched directories those of the followed files.
    fn watch(&mut self) {
        let directories = self.agent.directories();
        if let Some(warning) = self.waker.watch(&directories) {
            tracing::warn!("{warning}");
        }
        self.telemetry
            .inotify
            .set(f64::from(u8::from(self.waker.is_active())));
    }

    /// Lets numbers be shown once the backlog was read.
    fn first_pass(&mut self, more: bool, committed: bool) {
        let long_enough = self.agent.now().monotonic >= FIRST_PASS;
        if self.flags.caught_up.load(Ordering::Relaxed) {
            if !more {
                self.telemetry.catching_up.set(0.0);
            }
        } else if (committed && !more) || long_enough {
            self.flags.caught_up.store(true, Ordering::Relaxed);
            self.telemetry.catching_up.set(if more { 1.0 } else { 0.0 });
        }
    }

    /// Tells the service manager that there is progress.
    fn feed(&mut self, schedule: &mut Schedule) {
        let now = self.agent.now().monotonic;
        if let Some(every) = self.watchdog
            && now.saturating_sub(schedule.fed) >= every
        {
            schedule.fed = now;
            // Without a service manager nobody is told.
            drop(sd_notify::notify(&[sd_notify::NotifyState::Watchdog]));
        }
    }
}
