//! The commands: the only place where sources, the pipeline and the outputs meet.

mod base64;
mod check;
mod client;
mod clock;
mod detect;
mod engine;
mod examples;
mod explain;
mod fields;
mod generate;
mod grep;
mod host;
mod init;
mod inputs;
mod journal;
mod kit;
mod mark;
mod parsers;
mod replay;
mod reports;
mod run;
mod selected;
mod settings;
mod times;

use std::io::{self, IsTerminal as _, Write as _};

use crate::cli::{Cli, Command};
use crate::diagnostic::{Diagnostic, render};
use crate::geo::mask_addresses;
use crate::store::StoreError;

pub use check::refuse as refuse_check;
pub use examples::{ExampleFailure, test_all};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// Everything was done.
    Complete,
    /// The result is there, and marked as incomplete; or a test failed.
    Incomplete,
}

/// Why a command ended without a result.
#[derive(Debug)]
pub enum Failure {
    /// Mistakes on the command line or in parser files.
    Mistakes(Vec<Diagnostic>),
    /// Inputs that cannot be read, one sentence each.
    Inputs(Vec<String>),
    /// Something that the operator has to put right, with the exit code that says what.
    Refused {
        /// 1 to 4.
        code: u8,
        /// What is wrong.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// Anything else.
    Other(anyhow::Error),
}

impl From<Vec<Diagnostic>> for Failure {
    fn from(mistakes: Vec<Diagnostic>) -> Failure {
        Failure::Mistakes(mistakes)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::Other(error)
    }
}

impl Failure {
    /// A store that cannot be used, with its exit code.
    fn of_store(error: &StoreError) -> Failure {
        Failure::Refused {
            code: match error {
                StoreError::Held { .. } => 3,
                StoreError::Newer { .. } => 4,
                error if error.is_final() => 2,
                _ => 1,
            },
            message: journal::chain(error),
            help: error.help(),
        }
    }
}

/// Runs a command and says what went wrong; the exit code: 0 done, 1 input or output incomplete,
/// 2 usage or configuration, 3 store held by another, 4 store of a newer schema. `check` has its own.
pub fn run(cli: &Cli) -> u8 {
    let result = match &cli.command {
        Command::Run(args) => run::run(args),
        Command::Once(args) => run::once(args),
        Command::CheckConfig(args) => run::check_config(args),
        Command::Replay(args) => replay::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Grep(args) => grep::run(args),
        Command::Parsers(command) => parsers::run(command),
        Command::Check(args) => return check::run(args),
        Command::Mark(args) => mark::run(args),
        Command::Kit(args) => kit::run(args),
        Command::Reports(args) => reports::run(args),
        Command::Init(args) => init::run(args),
        Command::Generate(args) => generate::run(args),
    };
    match result {
        Ok(Done::Complete) => 0,
        Ok(Done::Incomplete) => 1,
        Err(Failure::Mistakes(mistakes)) => {
            say_all(&mistakes);
            2
        }
        Err(Failure::Refused {
            code,
            message,
            help,
        }) => {
            say(&format!("error: {message}"));
            if let Some(help) = help {
                say(&format!("  = help: {help}"));
            }
            code
        }
        Err(Failure::Inputs(errors)) => {
            for error in errors {
                say(&format!("error: {error}"));
            }
            1
        }
        Err(Failure::Other(error)) => {
            say(&format!("error: {error:#}"));
            1
        }
    }
}

/// Mistakes or warnings with their places, on standard error.
fn say_all(diagnostics: &[Diagnostic]) {
    if diagnostics.is_empty() {
        return;
    }
    let color = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    say(render(diagnostics, color).trim_end());
}

/// One message on standard error; nobody is left to tell when that fails.
fn say(message: &str) {
    drop(writeln!(io::stderr().lock(), "{message}"));
}

/// A line with every address in it masked, and the position that `at` has there.
fn mask_line(line: &[u8], at: usize) -> (Vec<u8>, usize) {
    let (mut masked, mut before) = (Vec::new(), Vec::new());
    mask_addresses(line, &mut masked);
    mask_addresses(line.get(..at).unwrap_or(line), &mut before);
    (masked, before.len() + at.saturating_sub(line.len()))
}

/// Writes to standard output; a reader that went away ends the command in peace.
fn print(text: &[u8]) -> Result<(), Failure> {
    match io::stdout().lock().write_all(text) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result
            .map_err(|error| Failure::Other(anyhow::Error::from(error).context("cannot write"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_lines_keep_the_position_of_what_follows_an_address() {
        let line = b"203.0.113.245 - - [no time";
        let (masked, at) = mask_line(line, 19);
        assert_eq!(masked, b"203.0.113.x - - [no time");
        assert_eq!(at, 17);
        assert_eq!(mask_line(line, 0).1, 0);
        assert_eq!(mask_line(b"203.0.113.245", 500).1, 498);
    }
}
