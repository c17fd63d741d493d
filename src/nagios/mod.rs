//! What Nagios and its kin expect of a plugin: states, ranges, performance data, and the text.
//!
//! After the Monitoring Plugins Development Guidelines. Knows nothing of metrics, does no I/O.
//!
//! Invariant: no byte of a log reaches the monitoring system unescaped, and the text is never longer
//! than what every version of it takes.

mod range;

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
}
