//! What beacontail does as a whole: the built program on real, generated and hostile logs. One file
//! for each phenomenon.
//!
//! Logs of other projects are read in place from the folder that `$BEACONTAIL_FIXTURES` names;
//! without it those tests say that they were left out, and fail where `CI=true`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that panics has failed, and its messages are read by whoever runs it"
)]

mod archives;
mod author;
mod beacon_table;
mod beacons;
mod captured;
mod carbon;
mod cdns;
mod check;
mod daemon;
mod detection;
mod diagnostics;
mod envelopes;
mod error_logs;
mod explain_grep;
mod generated;
mod geo;
mod hostile;
mod incident;
mod init;
mod json_formats;
mod kit;
mod laws;
mod oracles;
mod outputs;
mod peers;
mod program;
mod providers;
mod query_strings;
