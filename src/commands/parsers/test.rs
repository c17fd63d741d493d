//! `parsers test`: the examples of parser files, with what differs.

use std::collections::BTreeSet;

use super::{Named, engine};
use crate::cli::ParsersArgs;
use crate::commands::engine::{Engine, Selection};
use crate::commands::{Done, Failure, examples, print, say};
use crate::diagnostic::{Diagnostic, render};

/// Runs the command.
pub(super) fn test(names: &[String], args: &ParsersArgs) -> Result<Done, Failure> {
    let mut engine = engine(args)?;
    let named = Named::of(&mut engine, names)?;
    let mistakes = mistakes(&engine, &named.formats);
    if !mistakes.is_empty() {
        return Err(mistakes.into());
    }
    let (run, failures) = examples::test(&engine, &named.formats, &named.sets);
    for failure in &failures {
        let picture = render(std::slice::from_ref(&failure.mistake), false);
        say(&format!("{}\n{}", picture.trim_end(), failure.diff));
    }
    let plural = if failures.len() == 1 { "" } else { "s" };
    print(format!("{run} examples, {} mistake{plural}\n", failures.len()).as_bytes())?;
    Ok(if failures.is_empty() {
        Done::Complete
    } else {
        Done::Incomplete
    })
}

/// What keeps these formats, or the rules that count them, from being run at all.
fn mistakes(engine: &Engine, formats: &[String]) -> Vec<Diagnostic> {
    let mut mistakes: Vec<Diagnostic> = Vec::new();
    let mut seen = BTreeSet::new();
    for name in formats {
        let compiled = engine.compile(std::slice::from_ref(name), &Selection::default());
        for mistake in compiled.err().unwrap_or_default() {
            // A rule set that several formats name is wrong once.
            let picture = render(std::slice::from_ref(&mistake), false);
            if seen.insert(picture) {
                mistakes.push(mistake);
            }
        }
    }
    mistakes
}
