//! `[marks]`: where `beacontail mark` writes an event beside the store.
//!
//! Invariant: an address has a scheme and a host, and a token goes nowhere without one.

use super::reading::Reading;
use super::{MarksConfig, Text};
use crate::definition::At;
use crate::definition::toml_text::Table;

/// `[marks]`
pub(super) fn marks(root: &mut Table<'_>, reading: &mut Reading<'_>) -> MarksConfig {
    let mut table = reading.table(root, "marks");
    let graphite = server(&mut table, "graphite", reading);
    let has_grafana = table.has("grafana");
    let grafana = server(&mut table, "grafana", reading);
    let token = reading.path(&mut table, "grafana_token_file");
    if let (Some(token), false) = (&token, has_grafana) {
        let mistake = token
            .place
            .error(
                "`grafana_token_file` without `grafana`",
                "a token for whom?",
            )
            .help("add `grafana = \"http://grafana.example.com:3000\"`, or remove the token");
        reading.report(mistake);
    }
    table.finish(&mut reading.reader);
    MarksConfig {
        graphite,
        grafana,
        grafana_token_file: token,
    }
}

/// The address of a server, with the path that it is below.
fn server(table: &mut Table<'_>, key: &'static str, reading: &mut Reading<'_>) -> Option<At<Text>> {
    let text = reading.text(table, key)?;
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| text.value.strip_prefix(scheme));
    let fits = |rest: &str| {
        let host = rest.split('/').next().unwrap_or_default();
        let strange = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#');
        !host.is_empty() && !host.contains('@') && !rest.contains(strange)
    };
    if rest.is_some_and(fits) {
        return Some(text);
    }
    let mistake = text
        .place
        .error(
            format!("`{key}` is no address of a server"),
            "not understood",
        )
        .help(format!(
            "write `{key} = \"http://host:port\"` or `\"https://host\"`, without a user"
        ));
    reading.report(mistake);
    None
}
