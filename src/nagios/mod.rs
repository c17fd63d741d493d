//! What Nagios and its kin expect of a plugin: states, ranges, performance data, and the text.
//!
//! After the Monitoring Plugins Development Guidelines. Knows nothing of metrics, does no I/O.
//!
//! Invariant: no byte of a log reaches the monitoring system unescaped, and the text is never longer
//! than what every version of it takes.

mod output;
mod perfdata;
mod range;

pub use output::{Output, clean};
pub use perfdata::Perfdata;
pub use range::{Range, RangeError};

/// The state of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Within all ranges.
    Ok,
    /// Outside the range of `--warning`.
    Warning,
    /// Outside the range of `--critical`.
    Critical,
    /// Nothing can be said.
    Unknown,
}

impl State {
    /// The exit code of a plugin in this state.
    pub fn code(self) -> u8 {
        match self {
            State::Ok => 0,
            State::Warning => 1,
            State::Critical => 2,
            State::Unknown => 3,
        }
    }

    /// How it is written in a plugin's text.
    pub fn word(self) -> &'static str {
        match self {
            State::Ok => "OK",
            State::Warning => "WARNING",
            State::Critical => "CRITICAL",
            State::Unknown => "UNKNOWN",
        }
    }

    /// 0 for OK, then UNKNOWN, WARNING, CRITICAL: what is known to be wrong says more than what is
    /// not known.
    pub fn severity(self) -> u8 {
        match self {
            State::Ok => 0,
            State::Unknown => 1,
            State::Warning => 2,
            State::Critical => 3,
        }
    }

    /// The more severe of both.
    #[must_use]
    pub fn worst(self, other: State) -> State {
        if other.severity() > self.severity() {
            other
        } else {
            self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::State;

    #[test]
    fn the_worst_state_is_the_most_severe_and_only_ok_with_ok_is_ok() {
        let by_severity = [State::Ok, State::Unknown, State::Warning, State::Critical];
        for (i, a) in by_severity.iter().enumerate() {
            for (j, b) in by_severity.iter().enumerate() {
                assert_eq!(a.worst(*b), by_severity[i.max(j)]);
            }
        }
    }

    #[test]
    fn exit_codes_are_those_of_the_guidelines() {
        let codes = [
            (State::Ok, 0, "OK"),
            (State::Warning, 1, "WARNING"),
            (State::Critical, 2, "CRITICAL"),
            (State::Unknown, 3, "UNKNOWN"),
        ];
        for (state, code, word) in codes {
            assert_eq!((state.code(), state.word()), (code, word));
        }
    }
}
