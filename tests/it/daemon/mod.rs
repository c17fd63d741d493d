//! The daemon as a black box: the built program on logs that are written, rotated, torn and lost
//! while it runs, in front of a carbon that fails. One file for each phenomenon; the rows of the
//! fault matrix are named tests.
//!
//! `BEACONTAIL_SEED=N` repeats one seed of the random suites, `BEACONTAIL_LONG=1` runs them ten
//! times as long.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "these tests start processes, send them signals and wait for them with a deadline"
)]

mod agent;
mod api;
mod cardinality;
mod check;
mod clock;
mod components;
mod compressed;
mod config;
mod copytruncate;
mod crash;
mod formats;
mod geo;
mod graphite;
mod http;
mod inotify;
mod marks;
mod once;
mod oracle;
mod pieces;
mod protocols;
mod random;
mod readers;
mod real_carbon;
mod real_logrotate;
mod real_prometheus;
mod real_servers;
mod reload;
mod replay_equals_run;
mod reports;
mod rotate;
mod rotation;
mod scene;
mod scrape;
mod service;
mod status_page;
mod store_faults;
mod syslog;
mod torn;
mod truth;
mod writer;
mod wrong_files;
