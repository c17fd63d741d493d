//! The minutes that are judged, and what they counted.

use super::super::evidence::Minutes;

/// Whole minutes, as Unix seconds: `from` included, `to` not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Window {
    pub(in super::super) from: i64,
    pub(in super::super) to: i64,
}

impl Window {
    /// So many minutes, of which the last ends at `to`.
    pub(in super::super) fn ending(to: i64, minutes: u32) -> Window {
        Window {
            from: to - i64::from(minutes) * 60,
            to,
        }
    }

    /// The same length, so many seconds later.
    pub(in super::super) fn later(self, seconds: i64) -> Window {
        Window {
            from: self.from + seconds,
            to: self.to + seconds,
        }
    }

    /// Its length.
    pub(in super::super) fn seconds(self) -> i64 {
        self.to - self.from
    }

    /// What its minutes counted together.
    pub(in super::super) fn sum(self, minutes: &Minutes) -> f64 {
        minutes.range(self.from..self.to).map(|(_, n)| n).sum()
    }
}

/// Seconds, minutes and hours are small here.
#[expect(
    clippy::cast_precision_loss,
    reason = "spans of time and numbers of minutes, far below 2^53"
)]
pub(in super::super) fn float(n: i64) -> f64 {
    n as f64
}
