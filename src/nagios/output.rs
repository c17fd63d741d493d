//! The text of a plugin: a line, performance data behind a `|`, more lines below.
//!
//! Invariant: valid UTF-8 shorter than 4,096 bytes, which is what NRPE 3 and older Nagios take; whatever does not
//! fit is left out as a whole and said to be. No text of a log can end the line, begin performance
//! data, or mean something to a terminal, a browser or a shell of a notification command.

use super::{Perfdata, State};

/// Bytes that fit, the last line end included.
const LIMIT: usize = 4095;
/// Bytes of the summary.
const SUMMARY: usize = 500;
/// Bytes of one long line.
const LINE: usize = 800;
/// Bytes of all long lines; the rest is for performance data.
const LINES: usize = 2400;
/// Bytes of the sentences that say what was left out.
const NOTES: usize = 120;

/// What a plugin says.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Said first, and as the exit code.
    pub state: State,
    /// The rest of the first line.
    pub summary: String,
    /// Lines below it, the most important first.
    pub long: Vec<String>,
    /// Values for graphs, the most important first.
    pub perfdata: Vec<Perfdata>,
}

impl Output {
    /// Text and performance data, each line with its end.
    pub fn render(&self) -> String {
        let summary = cut(clean(&self.summary), SUMMARY);
        let mut text = format!("BEACONTAIL {} - {summary}", self.state.word());
        let (long, lines_left_out) = self.long_lines();
        let room = LIMIT.saturating_sub(text.len() + long.len() + NOTES);
        let (perfdata, values_left_out) = self.values(room);
        text.push_str(&perfdata);
        text.push('\n');
        text.push_str(&long);
        if lines_left_out > 0 {
            text.push_str(&format!("({lines_left_out} more lines do not fit here)\n"));
        }
        if values_left_out > 0 {
            text.push_str(&format!(
                "({values_left_out} more values of performance data do not fit here)\n"
            ));
        }
        text
    }

    /// The lines that fit, and how many do not.
    fn long_lines(&self) -> (String, usize) {
        let mut text = String::new();
        for (index, line) in self.long.iter().enumerate() {
            let line = cut(clean(line), LINE);
            if text.len() + line.len() + 1 > LINES {
                return (text, self.long.len() - index);
            }
            text.push_str(&line);
            text.push('\n');
        }
        (text, 0)
    }

    /// The values that fit into so many bytes, and how many do not.
    fn values(&self, room: usize) -> (String, usize) {
        let mut text = String::new();
        for (index, value) in self.perfdata.iter().enumerate() {
            let value = format!("{}{value}", if index == 0 { " | " } else { " " });
            if text.len() + value.len() > room {
                return (text, self.perfdata.len() - index);
            }
            text.push_str(&value);
        }
        (text, 0)
    }
}

/// The text with everything escaped that may not stand in a plugin's output: line ends, `|`, and what
/// is invisible, turns the direction of writing, looks like something else, is markup for a browser
/// or a substitution for a shell; and `;`, which Nagios makes `:`. Letters of Latin scripts stay.
pub fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | ';' | '<' | '>' | '`' | '$' => {
                clean.push_str(&format!("\\x{:02x}", u32::from(c)))
            }
            ' '..='~' => clean.push(c),
            '\u{a1}'..='\u{24f}' if c.is_alphabetic() => clean.push(c),
            '–' | '—' | '’' | '…' => clean.push(c),
            _ => clean.extend(c.escape_unicode()),
        }
    }
    clean
}

/// The text, or its beginning and `...`, in at most so many bytes.
fn cut(mut text: String, bytes: usize) -> String {
    if text.len() > bytes {
        text.truncate(text.floor_char_boundary(bytes.saturating_sub(3)));
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Output, clean};
    use crate::nagios::{Perfdata, State};

    fn output(summary: &str, long: &[&str], labels: &[&str]) -> Output {
        Output {
            state: State::Critical,
            summary: summary.to_owned(),
            long: long.iter().map(ToString::to_string).collect(),
            perfdata: labels
                .iter()
                .map(|label| Perfdata {
                    label: label.to_string(),
                    value: Some(1.0),
                    ..Perfdata::default()
                })
                .collect(),
        }
    }

    #[test]
    fn a_line_its_performance_data_and_more_lines() {
        assert_eq!(
            output(
                "fastly: 213",
                &["worst POP: FRA", "since 14:02Z"],
                &["fastly", "akamai"]
            )
            .render(),
            "BEACONTAIL CRITICAL - fastly: 213 | 'fastly'=1;;;; 'akamai'=1;;;;\n\
             worst POP: FRA\nsince 14:02Z\n"
        );
        assert_eq!(
            output("all is well", &[], &[]).render(),
            "BEACONTAIL CRITICAL - all is well\n"
        );
    }

    #[test]
    fn hostile_text_stays_in_its_place() {
        assert_eq!(
            clean("a|b\nc\r\u{202e}d\u{200b}<i>$(x)`y`\u{1b}[1m Malmö…"),
            "a\\x7cb\\u{a}c\\u{d}\\u{202e}d\\u{200b}\\x3ci\\x3e\\x24(x)\\x60y\\x60\\u{1b}[1m Malmö…"
        );
        assert_eq!(
            clean("p\u{430}ypal \u{3164} \u{5d0}"),
            "p\\u{430}ypal \\u{3164} \\u{5d0}"
        );
    }

    #[test]
    fn what_does_not_fit_is_left_out_whole_and_counted() {
        let labels: Vec<String> = (0..400).map(|i| format!("provider-{i}")).collect();
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let long = "x".repeat(700);
        let text = output("s", &[&long, &long, &long, &long, &long], &labels).render();
        assert!(text.len() < 4096, "{}", text.len());
        let (first, rest) = text.split_once('\n').expect("a line");
        let shown = first.matches("=1;;;;").count();
        assert!(first.ends_with(&format!("'provider-{}'=1;;;;", shown - 1)));
        assert!(rest.contains("(2 more lines do not fit here)\n"));
        assert!(rest.ends_with(&format!(
            "({} more values of performance data do not fit here)\n",
            400 - shown
        )));
        assert!(text.len() > 3900, "the room is used: {}", text.len());
    }

    proptest! {
        #[test]
        fn any_text_is_short_one_line_of_summary_and_at_most_one_bar(
            summary in ".{0,900}",
            long in proptest::collection::vec("\\PC{0,300}|.{0,300}", 0..20),
            labels in proptest::collection::vec(".{0,90}", 0..60),
        ) {
            let long: Vec<&str> = long.iter().map(String::as_str).collect();
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            let text = output(&summary, &long, &labels).render();
            prop_assert!(text.len() < 4096);
            prop_assert!(text.matches('|').count() <= 1);
            prop_assert!(text.starts_with("BEACONTAIL CRITICAL - "));
            prop_assert!(text.lines().count() <= long.len() + 3);
            prop_assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
        }
    }
}
