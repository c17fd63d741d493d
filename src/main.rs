//! The `beacontail` program.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use beacontail::cli::Cli;
use clap::Parser as _;

fn main() -> ExitCode {
    ExitCode::from(beacontail::commands::run(&Cli::parse()))
}
