//! The `beacontail` program.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use beacontail::cli::Cli;
use beacontail::commands;
use clap::Parser as _;

fn main() -> ExitCode {
    // Nagios takes 2 for CRITICAL, so a `check` that was called wrongly ends otherwise than clap would.
    let is_check = std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == "check");
    match Cli::try_parse() {
        Ok(cli) => ExitCode::from(commands::run(&cli)),
        Err(error) if is_check => ExitCode::from(commands::refuse_check(&error)),
        Err(error) => error.exit(),
    }
}
