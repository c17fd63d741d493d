//! `parsers test`: the examples of parser files, with what differs.

use super::{Named, engine};
use crate::cli::ParsersArgs;
use crate::commands::{Done, Failure, examples, print, say};
use crate::diagnostic::render;

/// Runs the command.
pub(super) fn test(names: &[String], args: &ParsersArgs) -> Result<Done, Failure> {
    let mut engine = engine(args)?;
    let named = Named::of(&mut engine, names)?;
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
