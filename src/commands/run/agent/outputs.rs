//! The agent's side of outputs: claims become jobs, jobs end.

use tokio::sync::oneshot;

use super::super::clock::{Clock, Now};
use super::super::journal;
use super::super::minutes::minute_of;
use super::super::outbox::{Outbox, millis};
use super::Agent;
use crate::sinks::carbon::{DeliveryError, Job};
use crate::source::follow::Disk;

/// Most windows in one delivery.
const CLAIM: usize = 10_000;

impl<D: Disk, C: Clock> Agent<D, C> {
    /// The next delivery to an output, with its values as they are now; `None` when nothing is due.
    pub(in crate::commands) fn claim(&mut self, output: usize) -> Option<Job> {
        if self.retry.is_some() {
            return None;
        }
        let now = self.now();
        let ready: Vec<i64> = (0..self.prepared.metrics.len())
            .map(|metric| self.ready(metric, now))
            .collect();
        let outbox = self.outboxes.get(output)?;
        let claim = self.store.claim(
            output,
            &|metric| ready.get(metric).copied().unwrap_or(i64::MIN),
            &|series| outbox.together(series),
            CLAIM,
            now.wall_ms,
        );
        match claim {
            Ok(claim) => {
                let job = outbox.job(&claim?, &self.prepared.metrics);
                if let Some(outbox) = self.outboxes.get_mut(output) {
                    outbox.claimed = Some(job.id);
                }
                Some(job)
            }
            Err(error) => {
                self.lost(&error, now);
                None
            }
        }
    }

    /// Minutes of a metric before this one may be sent: those that all logs feeding it have passed,
    /// but for logs that are far behind.
    fn ready(&self, metric: usize, now: Now) -> i64 {
        let feeding = self
            .prepared
            .metrics
            .get(metric)
            .map(|plan| plan.logs.as_slice());
        let feeding = feeding.unwrap_or_default();
        let logs = || {
            self.logs
                .iter()
                .filter(|log| feeding.is_empty() || feeding.contains(&log.name))
        };
        let kept_up = logs().filter(|log| !log.time.is_behind(now));
        let ready = kept_up.map(|log| log.time.closed).min();
        ready
            .or_else(|| logs().map(|log| log.time.closed).min())
            .unwrap_or(i64::MIN)
    }

    /// How a delivery ended.
    pub(in crate::commands) fn delivered(
        &mut self,
        output: usize,
        job: u64,
        points: u64,
        result: Result<(), &DeliveryError>,
    ) {
        let now = self.now();
        let Some(outbox) = self.outboxes.get_mut(output) else {
            return;
        };
        outbox.claimed = None;
        let again = outbox.failing && result.is_ok();
        if outbox.failing != result.is_err() {
            journal::output(outbox.name(), result);
        }
        outbox.failing = result.is_err();
        self.health
            .delivered(outbox.name(), points, result.is_ok(), now);
        let horizon = millis(outbox.config.resend_horizon) / 1000;
        let stored = match result {
            Ok(()) => self
                .store
                .acknowledge(output, job, &outbox.settle_ms, now.wall_ms),
            Err(_) => self.store.release(output, job),
        };
        let stored = stored.and_then(|()| match again && horizon > 0 {
            true => self
                .store
                .doubt_since(output, minute_of(now.wall().saturating_sub(horizon))),
            false => Ok(()),
        });
        if let Err(error) = stored
            && self.retry.is_none()
        {
            self.lost(&error, now);
        }
    }

    /// Gives jobs to those who wait for one.
    pub(in crate::commands) fn serve(&mut self) {
        for output in 0..self.outboxes.len() {
            let gone = |outbox: &mut Outbox| {
                let waiting = outbox.waiting.take_if(|waiting| waiting.is_closed());
                drop(waiting);
                outbox.waiting.is_none()
            };
            if self.outboxes.get_mut(output).is_none_or(gone) {
                continue;
            }
            let Some(job) = self.claim(output) else {
                continue;
            };
            let id = job.id;
            let waiting = self.outboxes.get_mut(output).and_then(|o| o.waiting.take());
            let sent = waiting.map(|waiting| waiting.send(Some(job)));
            if !matches!(sent, Some(Ok(()))) {
                // Whoever waited went away in this moment: nothing was sent.
                self.release(output, id);
            }
        }
    }

    /// True when every output waits though everything due was offered to it, or takes nothing.
    pub(in crate::commands) fn is_delivered(&self) -> bool {
        let rests = |outbox: &Outbox| outbox.waiting.is_some() || outbox.failing;
        self.outboxes.iter().all(rests)
    }

    fn number_of(&self, output: &str) -> Option<usize> {
        self.outboxes
            .iter()
            .position(|outbox| outbox.name() == output)
    }

    /// Somebody waits for the next delivery to an output. Whoever asks has nothing in hand, so a
    /// claim that is still open got lost on its way there.
    pub(in crate::commands) fn wait(&mut self, output: &str, reply: oneshot::Sender<Option<Job>>) {
        let Some(number) = self.number_of(output) else {
            return;
        };
        let lost = self.outboxes.get_mut(number).and_then(|outbox| {
            outbox.waiting = Some(reply);
            outbox.claimed.take()
        });
        if let Some(claim) = lost {
            self.release(number, claim);
        }
    }

    fn release(&mut self, output: usize, claim: u64) {
        if self.retry.is_none()
            && let Err(error) = self.store.release(output, claim)
        {
            let now = self.now();
            self.lost(&error, now);
        }
    }

    /// How a delivery to the output of this name ended.
    pub(in crate::commands) fn ended(
        &mut self,
        output: &str,
        job: u64,
        points: u64,
        result: Result<(), &DeliveryError>,
    ) {
        if let Some(number) = self.number_of(output) {
            self.delivered(number, job, points, result);
        }
    }
}
