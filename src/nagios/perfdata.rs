//! Performance data: `'label'=value[UOM];[warn];[crit];[min];[max]`, after the guidelines' section on it.
//!
//! A label may hold anything but `=` and single quotes there; what reads it (PNP, Graphite, Icinga's
//! writers) is less patient, so that more is replaced, and quotes need no doubling.

use std::fmt;

use super::Range;

/// Characters of a label that are kept.
const LABEL: usize = 80;
/// Digits behind the point.
const DIGITS: usize = 4;
/// Values from here on are no counts of anything, and their digits would fill the line.
const LARGEST: f64 = 1e15;

/// One value for the graphs behind the monitoring system.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Perfdata {
    /// Any text; what the grammar does not allow is replaced.
    pub label: String,
    /// `None` is written as `U`: it could not be determined.
    pub value: Option<f64>,
    /// Unit of measurement: empty, `s`, `%`, `B`, `c`.
    pub unit: &'static str,
    /// Range of a warning.
    pub warning: Option<Range>,
    /// Range of a critical state.
    pub critical: Option<Range>,
    /// Least value possible.
    pub min: Option<f64>,
    /// Largest value possible.
    pub max: Option<f64>,
}

impl fmt::Display for Perfdata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'=", label(&self.label))?;
        match self.value.and_then(number) {
            Some(value) => write!(f, "{value}{}", self.unit)?,
            None => f.write_str("U")?,
        }
        for range in [&self.warning, &self.critical] {
            f.write_str(";")?;
            if let Some(range) = range {
                write!(f, "{range}")?;
            }
        }
        for bound in [self.min, self.max] {
            write!(f, ";{}", bound.and_then(number).unwrap_or_default())?;
        }
        Ok(())
    }
}

/// Printable ASCII; what separates or quotes is replaced by `_`, and so is everything else.
fn label(text: &str) -> String {
    let label: String = text
        .chars()
        .take(LABEL)
        .map(|c| match c {
            '\'' | '"' | '=' | ';' | '|' | '<' | '>' | '`' | '$' | '\\' => '_',
            ' '..='~' => c,
            _ => '_',
        })
        .collect();
    if label.trim().is_empty() {
        "_".to_owned()
    } else {
        label
    }
}

/// Without an exponent and without needless zeros; `None` for what is no number of anything.
fn number(value: f64) -> Option<String> {
    if !value.is_finite() || value.abs() >= LARGEST {
        return None;
    }
    let text = format!("{value:.DIGITS$}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    Some(match text {
        "" | "-0" => "0".to_owned(),
        _ => text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::Perfdata;

    fn perfdata(label: &str, value: Option<f64>) -> Perfdata {
        Perfdata {
            label: label.to_owned(),
            value,
            ..Perfdata::default()
        }
    }

    #[test]
    fn a_value_with_all_its_parts() {
        let perfdata = Perfdata {
            label: "fastly".to_owned(),
            value: Some(12.5),
            unit: "%",
            warning: Some("~:10".parse().expect("a range")),
            critical: Some("@20:30.5".parse().expect("a range")),
            min: Some(0.0),
            max: Some(100.0),
        };
        assert_eq!(perfdata.to_string(), "'fastly'=12.5%;~:10;@20:30.5;0;100");
    }

    #[test]
    fn values_have_neither_exponents_nor_needless_digits() {
        for (value, text) in [
            (213.0, "213"),
            (1e9, "1000000000"),
            (0.000_04, "0"),
            (-0.000_01, "0"),
            (1.0 / 3.0, "0.3333"),
            (-2.5, "-2.5"),
            (100.0, "100"),
            (f64::NAN, "U"),
            (f64::INFINITY, "U"),
            (1e300, "U"),
        ] {
            assert_eq!(
                perfdata("x", Some(value)).to_string(),
                format!("'x'={text};;;;")
            );
        }
        assert_eq!(perfdata("x", None).to_string(), "'x'=U;;;;");
    }

    #[test]
    fn labels_cannot_leave_their_quotes() {
        for (label, text) in [
            ("a=b", "a_b"),
            ("it's", "it_s"),
            ("a|b\nc", "a_b_c"),
            ("two words", "two words"),
            ("", "_"),
            ("\u{202e}é", "__"),
        ] {
            assert_eq!(perfdata(label, None).to_string(), format!("'{text}'=U;;;;"));
        }
        let long = perfdata(&"x".repeat(4096), None).to_string();
        assert_eq!(long.len(), 80 + "''=U;;;;".len());
    }

    proptest! {
        #[test]
        fn whatever_is_written_parses_back(
            label in ".{0,100}",
            value in proptest::option::of(any::<f64>()),
            warning in proptest::option::of("@?[0-9]{1,4}:|~:-?[0-9]{1,3}"),
            max in proptest::option::of(any::<f64>()),
        ) {
            let range = r"(@?(?:(?:-?[0-9.]+|~):)?(?:-?[0-9.]+)?)";
            let number = r"(-?[0-9]+(?:\.[0-9]+)?)";
            let grammar = Regex::new(&format!(
                r"^'([^'=|]+)'=(?:{number}%|U);{range};{range};{number}?;{number}?$"
            ))
            .expect("a pattern");
            let perfdata = Perfdata {
                unit: "%",
                warning: warning.as_ref().map(|text| text.parse().expect("a range")),
                max,
                ..perfdata(&label, value)
            };
            let text = perfdata.to_string();
            let parts = grammar.captures(&text).ok_or_else(|| TestCaseError::fail(text.clone()))?;
            match (value.filter(|v| v.is_finite() && v.abs() < 1e15), parts.get(2)) {
                (Some(value), Some(written)) => {
                    let written: f64 = written.as_str().parse().expect("a number");
                    prop_assert!((written - value).abs() <= 0.000_051 + value.abs() * 1e-15);
                }
                (value, written) => prop_assert_eq!(value.is_some(), written.is_some()),
            }
            prop_assert_eq!(parts.get(3).map_or("", |m| m.as_str()), warning.unwrap_or_default());
        }
    }
}
