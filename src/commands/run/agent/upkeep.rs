//! The agent and the health of its store: giving up what a failed write leaves in doubt, going on from
//! what the store says, and tidying it.

use std::sync::Arc;
use std::time::Duration;

use super::super::clock::{Clock, Now};
use super::super::journal;
use super::super::rows::saved;
use super::Agent;
use crate::source::follow::Disk;
use crate::store::StoreError;

/// How often the store is tidied.
const TIDY: Duration = Duration::from_secs(30);
/// Steps of tidying in one round: a long absence must not hold up reading.
const TIDY_STEPS: usize = 4;
/// How often a failing store is tried.
const STORE_RETRY: Duration = Duration::from_secs(1);

impl<D: Disk, C: Clock> Agent<D, C> {
    /// The store refused something: nobody knows whether it kept it.
    pub(super) fn lost(&mut self, error: &StoreError, now: Now) {
        self.own.clear();
        self.flags.clear();
        if self.health.store_failed() {
            journal::store_lost(error);
        }
        self.retry = Some(now.monotonic.saturating_add(STORE_RETRY));
    }

    /// Tries to go on from what the store says.
    pub(super) fn heal(&mut self, now: Now) -> bool {
        if self.retry.is_some_and(|at| now.monotonic < at) {
            return false;
        }
        match self.reopen(now) {
            Ok(()) => {
                self.retry = None;
                true
            }
            Err(error) => {
                self.lost(&error, now);
                false
            }
        }
    }

    fn reopen(&mut self, now: Now) -> Result<(), StoreError> {
        self.store.reopen()?;
        let prepared = Arc::clone(&self.prepared);
        let registry = self.register(&prepared, now)?;
        let mut rows = Vec::new();
        for number in 0..self.logs.len() {
            rows.push((self.store.files(number)?, self.stored(&prepared, number)?));
        }
        for (log, (rows, time)) in self.logs.iter_mut().zip(rows) {
            log.roll_back(rows.into_iter().map(saved).collect(), time, now);
        }
        self.outboxes = self.new_outboxes(&prepared);
        self.publish(registry);
        Ok(())
    }

    /// Rolls up and forgets what is too old.
    pub(super) fn tidy(&mut self, now: Now) {
        let pause = |at| now.monotonic.saturating_sub(at);
        if self.tidied.is_some_and(|at| pause(at) < TIDY) {
            return;
        }
        for _ in 0..TIDY_STEPS {
            match self.store.tidy(self.clocks.steady_ms(now)) {
                Ok(tidied) => {
                    self.apply(tidied.delta);
                    if !tidied.more {
                        self.tidied = Some(now.monotonic);
                        return;
                    }
                }
                Err(error) => return self.lost(&error, now),
            }
        }
    }
}
