//! The two clocks of a process that stays, and what may be believed of the wall clock.
//!
//! Everything that is scheduled follows the monotonic clock. The wall clock decides only which
//! minutes are over and which times a line may have; it is compared with where it should stand by the
//! monotonic clock, so that a jump in either direction rejects no line that was fine before it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::pipeline::TimeRange;

/// Where times come from; made up in tests.
pub(super) trait Clock {
    /// Since the process began.
    fn monotonic(&self) -> Duration;
    /// Milliseconds since 1970.
    fn wall_ms(&self) -> i64;
}

/// The machine's clocks.
pub(super) struct SystemClock {
    #[expect(
        clippy::disallowed_types,
        reason = "the one place where the daemon reads a clock"
    )]
    start: std::time::Instant,
}

impl SystemClock {
    /// Starts at zero.
    #[expect(
        clippy::disallowed_types,
        reason = "the one place where the daemon reads a clock"
    )]
    pub(super) fn start() -> SystemClock {
        SystemClock {
            start: std::time::Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn wall_ms(&self) -> i64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

/// Both clocks read at once, in seconds of Unix time where not said otherwise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// Since the process began.
    pub(super) monotonic: Duration,
    /// The wall clock in milliseconds.
    pub(super) wall_ms: i64,
    /// Where the wall clock would stand if nobody had set it since the process began.
    undisturbed_ms: i64,
}

impl Now {
    /// The wall clock.
    pub(super) fn wall(&self) -> i64 {
        self.wall_ms.div_euclid(1000)
    }

    /// Times that lines may have, whichever of the two clocks is right.
    pub(super) fn believable(&self, late: Duration, future: Duration) -> TimeRange {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        let first = self.wall_ms.min(self.undisturbed_ms).div_euclid(1000);
        let last = self.wall_ms.max(self.undisturbed_ms).div_euclid(1000);
        TimeRange::believable(
            first.saturating_sub(seconds(late)),
            last.saturating_add(seconds(future)).saturating_add(1),
        )
    }
}

/// Reads both clocks and remembers how they stood at first.
pub(super) struct Clocks<C> {
    clock: C,
    /// Wall clock minus monotonic clock at the beginning, in milliseconds.
    offset_ms: i64,
    /// How far the wall clock was ahead, in milliseconds, and since when it is so.
    ahead: Option<(i64, Duration)>,
}

/// A wall clock that was set forward by more than [`LEAP`] is believed when it stays so for as long.
const LEAP: Duration = Duration::from_secs(3600);

impl<C: Clock> Clocks<C> {
    /// Remembers how the clocks stand.
    pub(super) fn new(clock: C) -> Clocks<C> {
        let offset_ms = clock.wall_ms() - millis(clock.monotonic());
        Clocks {
            clock,
            offset_ms,
            ahead: None,
        }
    }

    /// The wall clock in milliseconds for what cannot be undone: where it would stand undisturbed
    /// until a leap forward has lasted.
    pub(super) fn steady_ms(&mut self, now: Now) -> i64 {
        let ahead = now.wall_ms.saturating_sub(now.undisturbed_ms);
        if ahead <= millis(LEAP) {
            self.ahead = None;
            return now.wall_ms;
        }
        let known = self.ahead;
        let known = known.filter(|(before, _)| (ahead - before).abs() <= millis(LEAP));
        let (_, since) = *self.ahead.insert(known.unwrap_or((ahead, now.monotonic)));
        match now.monotonic.saturating_sub(since) >= LEAP {
            true => now.wall_ms,
            false => now.undisturbed_ms,
        }
    }

    /// Both clocks.
    pub(super) fn now(&self) -> Now {
        let monotonic = self.clock.monotonic();
        Now {
            monotonic,
            wall_ms: self.clock.wall_ms(),
            undisturbed_ms: self.offset_ms.saturating_add(millis(monotonic)),
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    struct Made(Cell<u64>, Cell<i64>);

    impl Clock for &Made {
        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.0.get())
        }

        fn wall_ms(&self) -> i64 {
            self.1.get()
        }
    }

    #[test]
    fn a_leap_forward_expires_nothing_until_it_has_lasted() {
        let made = Made(Cell::new(0), Cell::new(1_000_000_000));
        let mut clocks = Clocks::new(&made);
        let mut at = |monotonic: u64, jump: i64| {
            made.0.set(monotonic);
            let wall = 1_000_000_000 + i64::try_from(monotonic).unwrap() * 1000 + jump;
            made.1.set(wall);
            clocks.steady_ms(clocks.now()) - wall
        };
        let week = 7 * 86_400_000;
        assert_eq!(at(10, -week), 0);
        assert_eq!(at(10, 60_000), 0);
        assert_eq!(at(20, week), -week);
        assert_eq!(at(3000, 0), 0);
        assert_eq!(at(3010, week), -week);
        assert_eq!(at(6609, week), -week);
        assert_eq!(at(6610, week), 0);
        assert_eq!(at(6620, 2 * week), -2 * week);
    }

    #[test]
    fn a_clock_that_jumps_rejects_nothing_that_was_fine_before() {
        let made = Made(Cell::new(0), Cell::new(1_000_000_000));
        let clocks = Clocks::new(&made);
        let (late, future) = (Duration::from_secs(600), Duration::from_secs(60));
        for jump in [-7200, 0, 7200, 315_360_000] {
            made.0.set(10);
            made.1.set((1_000_010 + jump) * 1000);
            let range = clocks.now().believable(late, future);
            assert!(range.since <= 1_000_010 - 600, "{jump}");
            assert!(range.until > 1_000_010 + 60, "{jump}");
        }
    }
}
