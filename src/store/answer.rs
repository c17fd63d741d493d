//! What the store says to those who ask: values over time, and how far they can be relied upon.
//!
//! The same values travel as JSON between the agent's API, the status page and `check`; field names
//! are therefore an interface. Times are Unix seconds; a minute is named by its start.

use serde::{Deserialize, Serialize};

/// What is asked of one metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeriesQuestion {
    /// Its name.
    pub metric: String,
    /// Labels that are kept; others are added up. All of them must be labels of the metric.
    pub by: Vec<String>,
    /// Labels whose values have to pass the test that comes with the question. All of them must be labels
    /// of the metric.
    pub matched: Vec<String>,
    /// Start of the first step; rounded down to a minute, or to an hour from `step` 3600 on.
    pub from: i64,
    /// End of the last step, exclusive; rounded up to the end of a step.
    pub to: i64,
    /// Seconds of a step: a multiple of 60, of 3600 when it is longer. From 3600 on, roll-ups of minutes
    /// that expired count too.
    pub step: i64,
    /// More points than these are an error, and so is a question for which many times as many counts
    /// would have to be read; `None` when whoever asks can wait and hold any number.
    pub most: Option<usize>,
}

/// One metric over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesAnswer {
    /// Its name.
    pub metric: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    /// The labels that were kept.
    pub by: Vec<String>,
    /// Start of the first step.
    pub from: i64,
    /// End of the last step, exclusive.
    pub to: i64,
    /// Seconds of a step.
    pub step: i64,
    /// Minutes before were not wholly seen; 0 when all were.
    pub complete_from: i64,
    /// Every line from before was read, in each log that feeds the metric; `None` before the first
    /// line. Minutes that end at or before it are closed.
    pub watermark: Option<i64>,
    /// Steps in which the metric's logs had lines; others have no data.
    pub steps: Vec<StepState>,
    /// By label values; a declared series is there also without points.
    pub series: Vec<SeriesValues>,
}

/// What a step's lines were like, over all logs that feed the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepState {
    /// Its start.
    pub at: i64,
    /// Lines read.
    pub lines: u64,
    /// Of these, lines that no parser understood.
    pub unparsed: u64,
    /// A minute of it is known to be incomplete. Of an hour that is a roll-up only its newest minute is
    /// known.
    pub incomplete: bool,
}

/// One series over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesValues {
    /// Values of the labels of `by`.
    pub labels: Vec<String>,
    /// Steps that counted something; in others that have data the value is 0.
    pub points: Vec<SeriesPoint>,
}

/// What one step counted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesPoint {
    /// Start of the step.
    pub at: i64,
    /// Lines, or observations of a histogram.
    pub n: u64,
    /// Sum of the values, where the metric has values: bytes, seconds. Of a gauge the newest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<f64>,
}

impl SeriesPoint {
    /// What the metric means by its value: the sum where it adds up values and is no histogram, else
    /// the number of lines.
    #[expect(
        clippy::cast_precision_loss,
        reason = "for judging and drawing; counts below 2^53 are exact"
    )]
    pub fn value(&self, kind: &str) -> f64 {
        match self.sum {
            Some(sum) if kind != "histogram" => sum,
            _ => self.n as f64,
        }
    }
}

/// How the agent and its store stand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoreStatus {
    /// When the newest transaction was committed, Unix milliseconds; it is at most a minute old
    /// while an agent runs.
    pub committed_ms: i64,
    /// When the newest agent was started, Unix milliseconds.
    pub started_ms: i64,
    /// Whether an agent holds the store.
    pub held: bool,
    /// Bytes on disk.
    pub bytes: u64,
    /// Followed logs.
    pub logs: Vec<LogStatus>,
    /// Outputs of the configuration.
    pub outputs: Vec<OutputStatus>,
    /// Metrics of the configuration that keep minutes, by name.
    pub metrics: Vec<MetricStatus>,
    /// Events of the last 24 hours and the newest before, newest first; at most 50.
    pub marks: Vec<Mark>,
}

/// How a running agent stands: its store, and what the store does not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentStatus {
    /// Of the program.
    pub version: String,
    /// The agent's clock, Unix milliseconds.
    pub now_ms: i64,
    /// `ready`, or why numbers would mislead, as `/-/ready` says it.
    pub ready: String,
    /// Everything else.
    #[serde(flatten)]
    pub store: StoreStatus,
}

/// How a log stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogStatus {
    /// As the operator named it.
    pub name: String,
    /// Every line from before was read; `None` before the first line.
    pub watermark: Option<i64>,
    /// Minutes before were not wholly seen; 0 when all were.
    pub complete_from: i64,
    /// Bytes written and not yet counted at the last look.
    pub lag_bytes: u64,
    /// Lines of the last 60 minutes by result: parsed, unparsed, rejected.
    pub lines: [u64; 3],
    /// Its files, live ones first.
    pub files: Vec<FileStatus>,
}

/// How a file of a log stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileStatus {
    /// The followed path; bytes that are no text are replaced.
    pub path: String,
    /// `live`, `draining` or `done`.
    pub state: String,
    /// Bytes counted.
    pub offset: u64,
    /// Bytes at the last look.
    pub size: u64,
}

/// How an output stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputStatus {
    /// As the operator named it.
    pub name: String,
    /// Minutes that wait for it.
    pub queue_minutes: u64,
    /// Values that wait for it.
    pub queue_windows: u64,
    /// The oldest minute that waits.
    pub oldest: Option<i64>,
    /// Values whose delivery was in doubt.
    pub suspect: u64,
}

/// A metric of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricStatus {
    /// Its name.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// Logs that feed it.
    pub logs: Vec<String>,
}

/// An event that somebody recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// When it happened, Unix milliseconds.
    pub at_ms: i64,
    /// In the words of whoever recorded it.
    pub text: String,
    /// Words to find it by.
    #[serde(default)]
    pub tags: Vec<String>,
}
