//! From a question and the evidence to a verdict: pure, and the only place where a state is decided.

use super::anomaly;
use super::evidence::Evidence;
use super::question::{Measure, Question};
use super::verdict::Verdict;
use crate::nagios::State;

/// Minutes before the window, for finding out since when.
const SINCE_BACK: i64 = 6 * 60;

/// How many minutes of evidence are wanted before the window.
pub(super) fn minutes_back(question: &Question) -> i64 {
    match question.measure {
        Measure::Anomaly => anomaly::minutes_back(question.window).max(SINCE_BACK),
        _ => SINCE_BACK,
    }
}

/// How many hours of roll-ups are wanted before the window: whole hours, of minutes that are still
/// kept as well as of those that expired. 0: none.
pub(super) fn hours_back(question: &Question) -> i64 {
    match question.measure {
        Measure::Anomaly => anomaly::HOURS_BACK,
        _ => 0,
    }
}

/// Judges; `now` in Unix seconds.
pub(super) fn judge(_question: &Question, _evidence: &Evidence, _now: i64) -> Verdict {
    Verdict {
        state: State::Unknown,
        window: None,
        doubts: Vec::new(),
        judged: Vec::new(),
    }
}
