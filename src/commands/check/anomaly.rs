//! How far a window is from the metric's own past.

/// Minutes before the window that `--anomaly` wants to see, by the window's length in minutes.
pub(super) fn minutes_back(window: u32) -> i64 {
    i64::from(window) * 12
}

/// Hours before the window that it wants to see as roll-ups: five weeks.
pub(super) const HOURS_BACK: i64 = 5 * 7 * 24;
