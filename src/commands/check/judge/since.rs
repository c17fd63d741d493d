//! The first minute of an incident, found by walking back from the newest minute that is part of it.
//!
//! A minute is part of it when it is above what is usual there, by more than chance does, and not
//! negligible beside the incident itself: single beacons of the background before an outage are not
//! its beginning. Pauses of up to five minutes do not end it.

use super::super::evidence::{Evidence, Minutes};
use super::window::{Window, float};

/// Minutes below that do not end an incident.
const PAUSE: i64 = 5;
/// Share of the window's largest minute that others must have.
const NEGLIGIBLE: f64 = 0.1;
/// Share of the usual under which a minute is part of an incident of too few.
const TOO_FEW: f64 = 0.75;

/// On which side of the usual an incident is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Above,
    Below,
}

/// Its first minute, and whether the evidence began there already.
pub(super) fn since(
    evidence: &Evidence,
    minutes: &Minutes,
    window: Window,
    side: Side,
    expected: Option<f64>,
) -> (i64, bool) {
    let begin = begin(evidence, minutes, window);
    let usual = match expected {
        Some(expected) => expected * 60.0 / float(window.seconds()),
        None => quartile(minutes, begin, window.from, side),
    };
    let level = match side {
        Side::Above => {
            let largest = minutes
                .range(window.from..window.to)
                .fold(0.0, |largest: f64, (_, n)| largest.max(*n));
            above(usual).max(largest * NEGLIGIBLE)
        }
        Side::Below => (usual - 2.0 * usual.sqrt()).max(usual * TOO_FEW),
    };
    let (mut first, mut pause, mut minute) = (None, 0, window.to - 60);
    while minute >= begin && (first.is_none() || pause <= PAUSE) {
        let n = minutes.get(&minute).copied().unwrap_or(0.0);
        let part = match side {
            Side::Above => n > 0.0 && n >= level,
            Side::Below => n < level,
        };
        if part {
            (first, pause) = (Some(minute), 0);
        } else {
            pause += 1;
        }
        minute -= 60;
    }
    let first = first.unwrap_or(window.from);
    (
        first,
        minute < begin && pause <= PAUSE && first < window.from,
    )
}

/// The least count of a minute that chance does not explain where so many are usual.
pub(super) fn above(usual: f64) -> f64 {
    usual + 2.0 * usual.sqrt()
}

/// The first minute that is known.
fn begin(evidence: &Evidence, minutes: &Minutes, window: Window) -> i64 {
    let known = match &evidence.lines {
        Some(lines) => lines.keys().next(),
        None => minutes.keys().next(),
    };
    let known = known.copied().unwrap_or(window.from);
    known.max(evidence.complete_from).min(window.from)
}

/// What is usual before the window: the quarter of the minutes that is farthest from the incident,
/// so that it may have filled three quarters of them and is still not taken for usual.
fn quartile(minutes: &Minutes, from: i64, to: i64, side: Side) -> f64 {
    let mut counts: Vec<f64> = (from..to)
        .step_by(60)
        .map(|minute| minutes.get(&minute).copied().unwrap_or(0.0))
        .collect();
    counts.sort_by(f64::total_cmp);
    let at = match side {
        Side::Above => counts.len() / 4,
        Side::Below => counts.len() * 3 / 4,
    };
    counts.get(at).copied().unwrap_or(0.0)
}
