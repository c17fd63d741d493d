//! The status page: what an agent knows, on one page for one person, rendered here as HTML.
//!
//! The page is plain tables that need no script; a script draws charts from `/api/v1/series` and
//! replaces the tables with newer ones. Pure: an [`Overview`] goes in, text comes out; sockets,
//! clocks and the store are elsewhere.
//!
//! Invariant: no data, zero and incomplete look different, in words and not by colour alone. What
//! a log said is text, never markup (see `html`).

mod assets;
mod html;
#[cfg(test)]
pub(super) mod made;
mod minutes;
mod page;
mod plan;
mod standing;
mod state;
#[cfg(test)]
mod tests;
mod verdict;
mod words;

use serde::Serialize;

use crate::store::{SeriesAnswer, StoreStatus};

pub(super) use assets::asset;
pub use page::render as render_status;
pub use plan::{Part, Wanted, wanted};

/// Everything the page shows.
#[derive(Clone, Debug)]
pub struct Overview {
    /// Unix seconds.
    pub now: i64,
    /// This host's name.
    pub host: String,
    /// When the process began, Unix seconds.
    pub started: i64,
    /// Why numbers cannot be relied upon yet.
    pub not_ready: Option<String>,
    /// What is broken, as a sentence.
    pub broken: Option<String>,
    /// Seconds that lines may be out of order: a log is always so far behind.
    pub lateness: i64,
    /// Share of unparsed lines, 0 to 1, that is too much.
    pub unparsed_share: f64,
    /// Most bytes of the store.
    pub max_bytes: u64,
    /// What the store says, or why it says nothing.
    pub store: Result<Counted, String>,
    /// Lines that did not count.
    pub samples: SamplesAnswer,
}

/// What the store says.
#[derive(Clone, Debug)]
pub struct Counted {
    /// Logs, outputs, marks.
    pub status: StoreStatus,
    /// Answers to what [`wanted`] asked for, each with its part of the page.
    pub answers: Vec<(Part, SeriesAnswer)>,
}

/// `GET /api/v1/samples`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SamplesAnswer {
    /// The newest near misses, newest first.
    pub near_misses: Vec<Sample>,
    /// The newest lines that were not understood or not believed, newest first.
    pub others: Vec<Sample>,
}

/// A line that did not count, fit to be shown: printable, addresses and secrets masked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// When it was read, Unix seconds.
    pub at: i64,
    /// Its log.
    pub log: String,
    /// `near_miss`, `unparsed` or `rejected`.
    pub kind: String,
    /// The matcher that failed, or what was expected.
    pub reason: String,
    /// The line.
    pub line: String,
}
