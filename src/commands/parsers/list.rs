//! `parsers list`: formats in the order of detection, then rule sets.

use super::catalog;
use crate::cli::ParsersArgs;
use crate::commands::{Done, Failure, print};
use crate::definition::Origin;
use crate::diagnostic::Untrusted;

/// Runs the command.
pub(super) fn list(args: &ParsersArgs) -> Result<Done, Failure> {
    let catalog = catalog(args)?;
    let from = |origin: &Origin| match origin {
        Origin::Shipped => String::new(),
        Origin::File(path) => format!("  ({})", Untrusted(path.as_os_str().as_encoded_bytes())),
    };
    let names = catalog.formats().map(|entry| entry.definition.name.len());
    let width = names
        .chain(catalog.rule_sets().map(|entry| entry.definition.name.len()))
        .max()
        .unwrap_or_default();
    let row = |mark: char, name: &str, description: &str, origin: &Origin| {
        let name = Untrusted(name.as_bytes()).to_string();
        let description = Untrusted(description.as_bytes());
        format!("  {name:width$}  {mark} {description}{}\n", from(origin))
    };
    let mut text =
        String::from("formats, in the order of detection; those marked * only by name\n");
    let detected = catalog.detection_order();
    let detected = detected.into_iter().map(|entry| (' ', entry));
    let by_name = catalog
        .formats()
        .filter(|entry| entry.definition.detect.is_none());
    for (mark, entry) in detected.chain(by_name.map(|entry| ('*', entry))) {
        let format = &entry.definition;
        text += &row(mark, &format.name, &format.description, &entry.origin);
    }
    text += "rule sets\n";
    for entry in catalog.rule_sets() {
        let set = &entry.definition;
        text += &row(' ', &set.name, &set.description, &entry.origin);
    }
    print(text.as_bytes())?;
    Ok(Done::Complete)
}
