//! beacontail: per-minute counts from web access logs.
//!
//! The library is the program's own: its parts are public so that tests, benchmarks and fuzz
//! targets reach them. ARCHITECTURE.md shows how they fit together.
#![forbid(unsafe_code)]

pub mod cli;
pub mod commands;
pub mod config;
pub mod definition;
pub mod diagnostic;
pub mod geo;
pub mod http;
pub mod metrics;
pub mod nagios;
pub mod parse;
pub mod pipeline;
pub mod record;
pub mod rule;
pub mod sinks;
pub mod source;
pub mod store;
pub mod telemetry;
