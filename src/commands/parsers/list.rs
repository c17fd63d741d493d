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
    let mut text =
        String::from("formats, in the order of detection; those marked * only by name\n");
    let order = catalog.detection_order();
    for entry in &order {
        let name = Untrusted(entry.definition.name.as_bytes()).to_string();
        let description = Untrusted(entry.definition.description.as_bytes());
        text.push_str(&format!(
            "  {name:width$}    {description}{}\n",
            from(&entry.origin)
        ));
    }
    for entry in catalog
        .formats()
        .filter(|entry| entry.definition.detect.is_none())
    {
        let name = Untrusted(entry.definition.name.as_bytes()).to_string();
        let description = Untrusted(entry.definition.description.as_bytes());
        text.push_str(&format!(
            "  {name:width$}  * {description}{}\n",
            from(&entry.origin)
        ));
    }
    text.push_str("rule sets\n");
    for entry in catalog.rule_sets() {
        let name = Untrusted(entry.definition.name.as_bytes()).to_string();
        let description = Untrusted(entry.definition.description.as_bytes());
        text.push_str(&format!(
            "  {name:width$}    {description}{}\n",
            from(&entry.origin)
        ));
    }
    print(text.as_bytes())?;
    Ok(Done::Complete)
}
