//! How far the time of one log has come, and which of its minutes are whole.
//!
//! The watermark of a follower is its newest event time, or the wall clock once it has been at its
//! end for a while; that of a log is the smallest of its followers'. A follower that fails or is far
//! behind would hold everything up, so it is left out as long as there is another one, and minutes
//! that are published meanwhile are incomplete. A watermark never goes back.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::clock::Now;
use super::minutes::{MINUTE, minute_of};

/// The rules of time, from `[agent]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeRules {
    pub(super) allowed_lateness: Duration,
    pub(super) idle: Duration,
    pub(super) exclude_lag: Duration,
    /// Share of lines above which unparsed ones make a minute incomplete.
    pub(super) unparsed_share: f64,
}

/// Minutes that a watermark closes: those before the returned one.
pub(super) fn closed_by(watermark: i64, allowed_lateness: Duration) -> i64 {
    let lateness = i64::try_from(allowed_lateness.as_secs()).unwrap_or(i64::MAX);
    match watermark {
        i64::MIN => i64::MIN,
        watermark => minute_of(watermark.saturating_sub(lateness)),
    }
}

/// How one follower, or a stream, stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) follower: u64,
    /// Since when everything there is was read.
    pub(super) at_end_since: Option<Duration>,
    pub(super) failing: bool,
}

/// Most minutes that are named incomplete at once because a log is far behind.
const PASSED_OVER: i64 = 24 * 60;

/// Lines of a minute that is not yet published.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    parsed: u64,
    unparsed: u64,
}

/// What the store knows of a log's time.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    /// Of the last commit; `i64::MIN` for a log never seen before.
    pub(super) watermark: i64,
    /// The first minute that was wholly followed.
    pub(super) whole_from: i64,
    /// Minutes with their parsed and unparsed lines.
    pub(super) lines: Vec<(i64, u64, u64)>,
}

/// The time of one log.
#[derive(Debug)]
pub(super) struct LogTime {
    rules: TimeRules,
    /// Unix seconds; everything before it was read, as far as anybody can know.
    pub(super) watermark: i64,
    /// Minutes before this one are published.
    pub(super) closed: i64,
    /// A follower was left out of the watermark.
    pub(super) excluded: bool,
    /// The first minute that was wholly followed; those before are incomplete.
    whole_from: i64,
    newest: HashMap<u64, i64>,
    /// Followers with lines that have a time since the watermark was last brought forward.
    fresh: HashSet<u64>,
    /// Since when followers are at their ends, but for lines without a time.
    ended: HashMap<u64, Duration>,
    /// The newest event time of all followers.
    latest: Option<i64>,
    open: BTreeMap<i64, Share>,
    /// Minutes published while a follower was left out.
    lacking: BTreeSet<i64>,
}

impl LogTime {
    /// A log never seen before.
    pub(super) fn new(rules: TimeRules) -> LogTime {
        LogTime {
            rules,
            watermark: i64::MIN,
            closed: i64::MIN,
            excluded: false,
            whole_from: i64::MIN,
            newest: HashMap::new(),
            fresh: HashSet::new(),
            ended: HashMap::new(),
            latest: None,
            open: BTreeMap::new(),
            lacking: BTreeSet::new(),
        }
    }

    /// Goes on from what the store says; what was not committed is forgotten. A watermark of a clock
    /// that ran ahead is not believed, or every line would be late until then.
    pub(super) fn restore(&mut self, stored: Stored, now: Now) {
        self.watermark = stored.watermark.min(now.wall());
        self.closed = self.closed_by(self.watermark);
        self.whole_from = stored.whole_from;
        self.latest = stored.lines.iter().map(|(minute, ..)| *minute).max();
        self.excluded = false;
        self.newest.clear();
        self.fresh.clear();
        self.ended.clear();
        self.open.clear();
        for (minute, parsed, unparsed) in stored.lines {
            self.lines(minute, parsed, unparsed);
        }
    }

    /// Other rules, from now on.
    pub(super) fn set_rules(&mut self, rules: TimeRules) {
        self.rules = rules;
    }

    /// Minutes that a watermark closes: those before the returned one.
    fn closed_by(&self, watermark: i64) -> i64 {
        closed_by(watermark, self.rules.allowed_lateness)
    }

    /// Lines up to this event time were read from a follower.
    pub(super) fn saw(&mut self, follower: u64, newest: i64) {
        let known = self.newest.entry(follower).or_insert(newest);
        *known = newest.max(*known);
        self.fresh.insert(follower);
        self.latest = self.latest.max(Some(newest));
    }

    /// Where lines without a time belong: the minute of the newest line, or of the clock; the oldest
    /// open one when that is published, so that a log that cannot be read any more shows it.
    pub(super) fn minute_without_time(&self, now: Now) -> i64 {
        let clock = minute_of(now.wall());
        let newest = self.latest.map_or(clock, minute_of);
        newest.max(self.closed.min(clock))
    }

    /// Adds lines to a minute, unless it is published.
    pub(super) fn lines(&mut self, minute: i64, parsed: u64, unparsed: u64) {
        if minute >= self.closed && parsed + unparsed > 0 {
            let share = self.open.entry(minute).or_default();
            share.parsed += parsed;
            share.unparsed += unparsed;
        }
    }

    /// Brings the watermark forward.
    pub(super) fn advance(&mut self, now: Now, standings: &[Standing]) {
        self.note_ends(standings);
        let marks: Vec<(i64, bool)> = standings.iter().map(|one| self.mark(now, one)).collect();
        let fit = marks.iter().filter(|(_, left_out)| !left_out);
        let all_left_out = fit.clone().next().is_none();
        self.excluded = !marks.is_empty() && marks.iter().any(|(_, left_out)| *left_out);
        let lowest = if all_left_out {
            marks.iter().map(|(mark, _)| *mark).min()
        } else {
            fit.map(|(mark, _)| *mark).min()
        };
        // Without a follower there is nothing to wait for.
        let mark = lowest.unwrap_or_else(|| now.wall());
        self.watermark = self.watermark.max(mark);
        self.newest
            .retain(|follower, _| standings.iter().any(|one| one.follower == *follower));
    }

    /// Lines without a time do not end a follower's rest at its end: they say nothing about time.
    fn note_ends(&mut self, standings: &[Standing]) {
        let mut before = std::mem::take(&mut self.ended);
        for one in standings {
            let known = before.remove(&one.follower);
            let known = known.filter(|_| !self.fresh.contains(&one.follower));
            if let Some(since) = one.at_end_since {
                self.ended.insert(one.follower, known.unwrap_or(since));
            }
        }
        self.fresh.clear();
    }

    /// The watermark of a follower, and whether it is to be left out.
    fn mark(&self, now: Now, standing: &Standing) -> (i64, bool) {
        let wall = now.wall();
        let ended = self.ended.get(&standing.follower);
        let idle =
            ended.is_some_and(|&since| now.monotonic.saturating_sub(since) >= self.rules.idle);
        if idle && !standing.failing {
            return (wall, false);
        }
        let most = i64::try_from(self.rules.exclude_lag.as_secs()).unwrap_or(i64::MAX);
        let oldest = wall.saturating_sub(most);
        // A follower whose lines have no time must not hold the log up for ever.
        let newest = self.newest.get(&standing.follower).copied();
        let mark = newest.unwrap_or(oldest).min(wall);
        let behind = mark < oldest && standing.at_end_since.is_none();
        (mark, standing.failing || behind)
    }

    /// Publishes the minutes that the watermark has passed: each with whether it is incomplete.
    /// Minutes that were incomplete for want of a follower are named again when it is back.
    pub(super) fn close(&mut self, now: Now) -> Vec<(i64, bool)> {
        self.closed = self.closed.max(self.closed_by(self.watermark));
        let mut published = self.publish();
        published.extend(self.passed_over(now).map(|minute| (minute, true)));
        published
    }

    /// While this log is far behind, others publish minutes without it: each of these, once.
    fn passed_over(&mut self, now: Now) -> impl Iterator<Item = i64> {
        let end = self.closed_by(now.wall());
        let first = end.saturating_sub(PASSED_OVER * MINUTE).max(self.closed);
        let after = |last: &i64| last.saturating_add(MINUTE);
        let first = self.lacking.last().map_or(first, after).max(first);
        let minutes: Vec<i64> = match self.is_behind(now) {
            true => std::iter::successors(Some(first), |at| at.checked_add(MINUTE))
                .take_while(|minute| *minute < end)
                .collect(),
            false => Vec::new(),
        };
        self.lacking.extend(&minutes);
        minutes.into_iter()
    }

    /// True when the log is so far behind that its metrics do not wait for it.
    pub(super) fn is_behind(&self, now: Now) -> bool {
        self.lag(now) > i64::try_from(self.rules.exclude_lag.as_secs()).unwrap_or(i64::MAX)
    }

    /// Publishes every minute that has lines, whatever the watermark.
    pub(super) fn close_all(&mut self) -> Vec<(i64, bool)> {
        let last = self.open.keys().next_back().copied();
        if let Some(last) = last {
            self.closed = self.closed.max(last.saturating_add(MINUTE));
        }
        self.publish()
    }

    fn publish(&mut self) -> Vec<(i64, bool)> {
        let still_open = self.open.split_off(&self.closed);
        let closing = std::mem::replace(&mut self.open, still_open);
        let mut published = Vec::new();
        if !self.excluded {
            let still_lacking = self.lacking.split_off(&self.closed);
            let caught_up = std::mem::replace(&mut self.lacking, still_lacking);
            published.extend(caught_up.into_iter().map(|minute| (minute, false)));
        }
        for (minute, share) in closing {
            let partial = minute < self.whole_from;
            let incomplete = self.excluded || partial || self.is_unreadable(share);
            if self.excluded {
                self.lacking.insert(minute);
            }
            published.push((minute, incomplete));
        }
        published
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a share of lines, compared with a limit of two digits"
    )]
    fn is_unreadable(&self, share: Share) -> bool {
        let lines = share.parsed + share.unparsed;
        lines > 0 && share.unparsed as f64 / lines as f64 > self.rules.unparsed_share
    }

    /// Seconds that the watermark is behind the clock.
    pub(super) fn lag(&self, now: Now) -> i64 {
        match self.watermark {
            i64::MIN => 0,
            watermark => now.wall().saturating_sub(watermark).max(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::clock::{Clock, Clocks};
    use super::*;

    struct At(u64);

    impl Clock for At {
        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.0)
        }

        fn wall_ms(&self) -> i64 {
            (1_000_000 + i64::try_from(self.0).unwrap()) * 1000
        }
    }

    fn now(seconds: u64) -> Now {
        Clocks::new(At(seconds)).now()
    }

    fn time() -> LogTime {
        let rules = TimeRules {
            allowed_lateness: Duration::from_secs(60),
            idle: Duration::from_secs(2),
            exclude_lag: Duration::from_secs(900),
            unparsed_share: 0.05,
        };
        LogTime::new(rules)
    }

    fn reading(follower: u64) -> Standing {
        Standing {
            follower,
            at_end_since: None,
            failing: false,
        }
    }

    fn at_end(follower: u64, since: u64) -> Standing {
        Standing {
            at_end_since: Some(Duration::from_secs(since)),
            ..reading(follower)
        }
    }

    const WALL: i64 = 1_000_000;

    #[test]
    fn newest_line_is_the_watermark_until_the_log_is_idle() {
        let mut time = time();
        time.saw(1, WALL - 100);
        time.advance(now(0), &[reading(1)]);
        assert_eq!(time.watermark, WALL - 100);
        time.advance(now(11), &[at_end(1, 10)]);
        assert_eq!(time.watermark, WALL - 100);
        time.advance(now(12), &[at_end(1, 10)]);
        assert_eq!(time.watermark, WALL + 12);
    }

    #[test]
    fn slowest_follower_decides() {
        let mut time = time();
        time.saw(1, WALL);
        time.saw(2, WALL - 500);
        time.advance(now(0), &[reading(1), reading(2), at_end(3, 0)]);
        assert_eq!((time.watermark, time.excluded), (WALL - 900, false));
        time.advance(now(2), &[reading(1), reading(2), at_end(3, 0)]);
        assert_eq!(time.watermark, WALL - 500);
    }

    #[test]
    fn a_follower_far_behind_is_left_out_and_its_minutes_are_incomplete_until_it_is_back() {
        let mut time = time();
        time.lines(minute_of(WALL - 200), 10, 0);
        time.saw(1, WALL);
        time.saw(2, WALL - 1000);
        time.advance(now(0), &[reading(1), reading(2)]);
        assert_eq!((time.watermark, time.excluded), (WALL, true));
        assert_eq!(time.close(now(0)), [(minute_of(WALL - 200), true)]);
        time.saw(2, WALL);
        time.advance(now(0), &[reading(1), reading(2)]);
        assert_eq!(time.close(now(0)), [(minute_of(WALL - 200), false)]);
        assert!(time.close(now(0)).is_empty());
    }

    #[test]
    fn a_lonely_follower_far_behind_is_waited_for() {
        let mut time = time();
        time.saw(1, WALL - 5000);
        time.advance(now(0), &[reading(1)]);
        assert_eq!(time.watermark, WALL - 5000);
    }

    #[test]
    fn watermarks_never_go_back() {
        let mut time = time();
        time.advance(now(100), &[]);
        assert_eq!(time.watermark, WALL + 100);
        time.saw(1, WALL);
        time.advance(now(0), &[reading(1)]);
        assert_eq!(time.watermark, WALL + 100);
    }

    #[test]
    fn a_minute_is_published_when_the_watermark_passes_its_end_by_the_lateness() {
        let mut time = time();
        let minute = minute_of(WALL);
        time.lines(minute, 1, 0);
        time.saw(1, minute + 119);
        time.advance(now(200), &[reading(1)]);
        assert!(time.close(now(0)).is_empty());
        time.saw(1, minute + 120);
        time.advance(now(200), &[reading(1)]);
        assert_eq!(time.close(now(0)), [(minute, false)]);
    }

    #[test]
    fn every_minute_that_others_publish_without_a_log_is_incomplete_until_it_is_back() {
        let mut time = time();
        let begun = minute_of(WALL - 1000);
        time.saw(1, begun);
        time.advance(now(0), &[reading(1)]);
        let passed = time.close(now(0));
        assert_eq!(passed.first(), Some(&(begun - MINUTE, true)));
        assert_eq!(passed.last(), Some(&(minute_of(WALL - 60) - MINUTE, true)));
        assert_eq!(passed.len(), 16, "{passed:?}");
        assert!(time.close(now(0)).is_empty());
        assert_eq!(time.close(now(60)).len(), 1);
        time.saw(1, WALL + 60);
        time.advance(now(60), &[reading(1)]);
        let back = time.close(now(60));
        assert!(back.iter().all(|(_, incomplete)| !incomplete) && back.len() == 17);
    }

    #[test]
    fn what_is_restored_is_published_as_if_nothing_had_happened() {
        let mut time = time();
        let stored = Stored {
            watermark: 300,
            whole_from: 300,
            lines: vec![(240, 8, 2), (300, 8, 2), (360, 100, 2)],
        };
        time.lines(360, 7, 7);
        time.restore(stored.clone(), now(0));
        assert_eq!(time.closed, 240);
        time.lines(360, 0, 7);
        time.advance(now(0), &[]);
        assert_eq!(time.close(now(0)), [(240, true), (300, true), (360, true)]);
        time.restore(
            Stored {
                watermark: i64::MAX,
                ..stored
            },
            now(0),
        );
        assert_eq!(time.watermark, WALL);
    }

    #[test]
    fn minutes_before_the_first_whole_one_are_incomplete() {
        let mut time = time();
        let stored = Stored {
            watermark: i64::MIN,
            whole_from: 60,
            lines: Vec::new(),
        };
        time.restore(stored, now(0));
        time.lines(0, 1, 0);
        time.lines(60, 1, 0);
        time.advance(now(0), &[]);
        assert_eq!(time.close(now(0)), [(0, true), (60, false)]);
    }

    #[test]
    fn a_log_whose_lines_lost_their_time_goes_on_with_the_clock_and_is_incomplete() {
        let mut time = time();
        time.saw(1, WALL);
        time.lines(minute_of(WALL), 1, 0);
        time.advance(now(0), &[at_end(1, 0)]);
        for second in 1..200 {
            let without = time.minute_without_time(now(second));
            time.lines(without, 0, 1);
            time.advance(now(second), &[at_end(1, second)]);
            if second > 130 {
                let published = time.close(now(second));
                assert!(published.iter().all(|(_, incomplete)| *incomplete));
            } else {
                time.close(now(second));
            }
        }
        assert_eq!(time.watermark, WALL + 199);
    }

    #[test]
    fn a_minute_with_many_unparsed_lines_is_incomplete() {
        let mut time = time();
        time.lines(0, 94, 6);
        time.lines(60, 96, 4);
        time.advance(now(0), &[]);
        assert_eq!(time.close(now(0)), [(0, true), (60, false)]);
    }

    #[test]
    fn a_minute_without_lines_is_not_published() {
        let mut time = time();
        time.lines(minute_of(WALL), 0, 0);
        time.advance(now(200), &[]);
        assert!(time.close(now(200)).is_empty());
    }
}
