//! The text of a plugin.

use super::{Perfdata, State};

/// What a plugin says.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Said first, and as the exit code.
    pub state: State,
    /// The rest of the first line.
    pub summary: String,
    /// Lines below it, the most important first.
    pub long: Vec<String>,
    /// Values for graphs, the most important first.
    pub perfdata: Vec<Perfdata>,
}

impl Output {
    /// Text and performance data, with a line end, shorter than 4,096 bytes.
    pub fn render(&self) -> String {
        format!("BEACONTAIL {} - {}\n", self.state.word(), self.summary)
    }
}

/// The text as it may stand in a plugin's output.
pub fn clean(text: &str) -> String {
    text.to_owned()
}
