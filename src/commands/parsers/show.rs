//! `parsers show`: a format or rule set as it is written, or with everything it inherits.

use super::catalog;
use crate::cli::ParsersArgs;
use crate::commands::{Done, Failure, print};
use crate::definition::Catalog;
use crate::diagnostic::Place;

/// Runs the command.
pub(super) fn show(name: &str, flat: bool, args: &ParsersArgs) -> Result<Done, Failure> {
    let mut catalog = catalog(args)?;
    let name = if Catalog::is_path(name) {
        catalog.add_file(name.as_ref())?
    } else {
        name.to_owned()
    };
    let text = match (catalog.format(&name), catalog.rule_set(&name)) {
        (Ok(format), _) if flat => format.flat(),
        (Ok(format), _) => format.text().to_owned(),
        (Err(_), Ok(rules)) => rules.text().to_owned(),
        (Err(mistake), Err(_)) => {
            let place = Place::argument("parsers show", &name);
            return Err(vec![mistake.at(&place, "neither a format nor a rule set")].into());
        }
    };
    print(text.as_bytes())?;
    Ok(Done::Complete)
}
