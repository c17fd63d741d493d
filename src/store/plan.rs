//! What the caller hands to the store and gets from it: plans, batches, rows, claims.

use std::time::Duration;

use super::registry::{Delta, SeriesRef};
use crate::metrics::Metric;

/// Settings of a store.
#[derive(Clone, Copy, Debug)]
pub struct StoreOptions {
    /// Seconds that minute windows are kept; a series silent for so long leaves.
    pub retention: i64,
    /// Seconds that hourly roll-ups are kept.
    pub rollups: i64,
    /// Most bytes of content; the oldest windows give way.
    pub max_bytes: u64,
    /// How long to wait for somebody else's lock on the file.
    pub busy: Duration,
}

/// A metric to be kept.
#[derive(Clone, Debug)]
pub struct MetricPlan {
    /// Its definition.
    pub metric: Metric,
    /// Digest of the definition: another digest is another metric, counted from 0.
    pub digest: [u8; 32],
    /// Keeps minute windows, and with them goes to outputs.
    pub windows: bool,
    /// Names of the logs that feed it; none when its values are complete at any time.
    pub logs: Vec<String>,
}

/// A log to be followed.
#[derive(Clone, Debug)]
pub struct LogPlan {
    /// As the operator named it.
    pub name: String,
    /// Minutes from before its first line may go to outputs too.
    pub backfill: bool,
}

/// An output that minutes go to.
#[derive(Clone, Debug)]
pub struct OutputPlan {
    /// As the operator named it.
    pub name: String,
    /// Minutes from before its first start go there too.
    pub backfill: bool,
}

/// Everything that one transaction adds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Batch<'b> {
    /// Sorted runs; keys number the metrics of the plan, points stand at starts of minutes.
    pub runs: &'b [Vec<u8>],
    /// Increments without a minute: key and cell.
    pub totals: &'b [(Vec<u8>, Vec<u64>)],
    /// Windows of a `Last` metric that are set, whatever they were: key, minute, cell. The total
    /// follows when the cell is as new as it.
    pub windows_set: &'b [(Vec<u8>, i64, Vec<u64>)],
    /// Where followers are.
    pub files: &'b [FileRow],
    /// Minutes in which a log had lines: (log, minute). Declared series of its metrics get a 0.
    pub minutes: &'b [(usize, i64)],
    /// Watermarks of logs, Unix seconds; a lower one than before is ignored.
    pub watermarks: &'b [(usize, i64)],
    /// The wall clock.
    pub now_ms: i64,
}

/// All generations known of one path of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRow {
    /// Number of the log in the plan.
    pub log: usize,
    /// The followed path.
    pub path: Vec<u8>,
    /// Nothing is left of it: it is forgotten.
    pub gone: bool,
    /// In the order given; none of them says that the path was looked at.
    pub generations: Vec<GenerationRow>,
}

/// What is done with a generation of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GenerationState {
    /// Being written.
    Live,
    /// Rotated away and not yet let go.
    Draining,
    /// Read to its end.
    Done,
}

/// The position in one generation of a log, and how it is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationRow {
    /// Number given by the follower.
    pub id: u64,
    /// Device.
    pub dev: u64,
    /// Inode.
    pub ino: u64,
    /// Time of birth, nanoseconds.
    pub btime_ns: i64,
    /// Bytes that `head` is about.
    pub head_len: u64,
    /// Hash of the first bytes.
    pub head: Vec<u8>,
    /// Bytes that `tail` is about.
    pub tail_len: u64,
    /// Hash of the bytes before the offset.
    pub tail: Vec<u8>,
    /// Decompressed bytes whose lines are counted.
    pub offset: u64,
    /// Bytes of a line that is too long passed over so far; 0 at the beginning of a line.
    pub skipping: u64,
    /// What is done with it.
    pub state: GenerationState,
    /// Bytes at the last look.
    pub size: u64,
    /// Marks at earlier offsets.
    pub trail: Vec<u8>,
    /// What the caller attached.
    pub note: Vec<u8>,
}

/// What a successful commit did.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    /// For the registry that others see.
    pub delta: Delta,
    /// Records counted into `_other` series: metric and number.
    pub overflow: Vec<(usize, u64)>,
    /// Windows that changed.
    pub windows: u64,
}

/// What a step of housekeeping did.
#[derive(Clone, Debug, Default)]
pub struct Tidied {
    /// For the registry that others see.
    pub delta: Delta,
    /// Minute windows added to hours and deleted.
    pub windows: u64,
    /// Hours deleted.
    pub hours: u64,
    /// Windows that expired before an output took them: output and number.
    pub unsent: Vec<(usize, u64)>,
    /// There is more to do.
    pub more: bool,
}

/// A value of one minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// In the registry.
    pub series: SeriesRef,
    /// Start of the minute, Unix seconds.
    pub minute: i64,
    /// The whole value of the minute.
    pub cell: Vec<u64>,
}

/// Values that are on their way to an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// To acknowledge or release it.
    pub id: u64,
    /// Oldest minute first.
    pub points: Vec<Point>,
    /// More could be claimed.
    pub more: bool,
}

/// What waits for an output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Different minutes among `windows`.
    pub minutes: u64,
    /// Windows not delivered with their present value.
    pub windows: u64,
    /// Windows that will be sent again because a delivery was in doubt.
    pub suspect: u64,
    /// The oldest minute among `windows`.
    pub oldest: Option<i64>,
}
