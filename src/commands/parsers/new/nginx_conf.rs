//! The `log_format` directives of an nginx configuration.

use std::path::Path;

use super::draft::{Draft, Format};
use crate::commands::Failure;

/// A draft for each `log_format` of the file, in its order.
///
/// # Errors
/// The file cannot be read, or has none.
pub(super) fn drafts(path: &Path) -> Result<Vec<Draft>, Failure> {
    let shown = crate::diagnostic::Untrusted(path.as_os_str().as_encoded_bytes()).to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Inputs(vec![format!("cannot read {shown}: {error}")]))?;
    let found: Vec<Draft> = directives(&text)
        .into_iter()
        .map(|text| {
            let require = if text.contains("$status") {
                vec!["status".to_owned()]
            } else {
                Vec::new()
            };
            Draft {
                require,
                ..Draft::of(Format::Nginx { text, escape: None })
            }
        })
        .collect();
    if found.is_empty() {
        return Err(Failure::Inputs(vec![format!(
            "{shown} has no `log_format`"
        )]));
    }
    Ok(found)
}

/// Whole directives, from `log_format` to the semicolon outside quotes; comments are passed over.
fn directives(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut start, mut quote, mut escaped, mut comment) = (0, None, false, false);
    let mut words = true;
    for (at, letter) in text.char_indices() {
        if comment {
            comment = letter != '\n';
            start = if words { at + 1 } else { start };
            continue;
        }
        match (quote, letter) {
            _ if escaped => escaped = false,
            (_, '\\') => escaped = true,
            (Some(open), letter) if open == letter => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => (quote, words) = (Some(letter), false),
            (None, '#') => comment = true,
            (None, ';' | '{' | '}') => {
                let directive = text.get(start..at).unwrap_or_default().trim();
                let named = directive.strip_prefix("log_format").unwrap_or_default();
                if letter == ';' && named.starts_with(char::is_whitespace) {
                    found.push(format!("{directive};"));
                }
                (start, words) = (at + 1, true);
            }
            (None, letter) => words &= letter.is_whitespace(),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_end_at_the_semicolon_outside_quotes() {
        let text = "http {\n # log_format no '$a';\n  log_format main '$a; \"$b\"'\n   '$c';\n\
            log_formats x;\n  log_format j escape=json '{\"a\":\"$a\"}';\n server { listen 80; } }";
        assert_eq!(
            directives(text),
            [
                "log_format main '$a; \"$b\"'\n   '$c';",
                "log_format j escape=json '{\"a\":\"$a\"}';"
            ]
        );
    }
}
