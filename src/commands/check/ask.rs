//! The question, from the command line.
//!
//! Invariant: what cannot be meant is refused before anything is asked, so that a service that is
//! configured wrongly never looks healthy. A refusal is one line: Nagios shows no other.

use std::time::Duration;

use super::question::{Limits, Measure, Question, Selection, Thresholds};
use crate::cli::CheckArgs;
use crate::commands::selected::{EXAMPLE, Selected};
use crate::config::duration;
use crate::nagios::Range;

/// Longest window: a day.
const MAX_WINDOW: u64 = 1440;

/// What is wrong with the command line, and what was expected: one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Misuse(pub(super) String);

/// What is asked.
///
/// # Errors
/// The first mistake.
pub(super) fn question(args: &CheckArgs) -> Result<Question, Misuse> {
    let (subject, base) = selections(args)?;
    let window = window(&args.window)?;
    let by: Vec<String> = by(args)?;
    let measure = measure(args)?;
    let warning = thresholds("-w", &args.warning, &by)?;
    let critical = thresholds("-c", &args.critical, &by)?;
    let is_empty = |t: &Thresholds| t.all.is_none() && t.some.is_empty();
    if measure != Measure::Anomaly && is_empty(&warning) && is_empty(&critical) {
        return Err(Misuse(
            "without -w and -c nothing would ever be WARNING or CRITICAL; expected for example `-w 10 -c 50`"
                .to_owned(),
        ));
    }
    if args.min_minutes == 0 || args.min_minutes > window {
        return Err(Misuse(format!(
            "--min-minutes {}: expected 1 to {window}, the minutes of the window",
            args.min_minutes
        )));
    }
    Ok(Question {
        subject,
        base,
        by,
        window,
        measure,
        warning,
        critical,
        min_minutes: args.min_minutes,
        limits: limits(args)?,
    })
}

/// How long the answer may take.
///
/// # Errors
/// For what is no duration from a second to ten minutes.
pub(super) fn timeout(args: &CheckArgs) -> Result<Duration, Misuse> {
    let text = &args.timeout;
    // Nagios' own habit is a bare number of seconds.
    let seconds = || text.parse().ok().map(Duration::from_secs);
    duration(text)
        .or_else(seconds)
        .filter(|time| (1..=600).contains(&time.as_secs()))
        .ok_or_else(|| {
            Misuse(format!(
                "--timeout `{text}`: expected 1s to 10m, for example `10s`"
            ))
        })
}

/// The matchers of a selection, compiled; none selects all series.
///
/// # Errors
/// With the mistake, in one line.
pub(super) fn matchers(selection: &Selection) -> Result<Selected, Misuse> {
    Selected::parse("", &selection.matchers).map_err(|mistake| {
        Misuse(format!(
            "`{}{{{}}}`: {}; {EXAMPLE}",
            selection.metric, selection.matchers, mistake.message
        ))
    })
}

fn selections(args: &CheckArgs) -> Result<(Selection, Option<Selection>), Misuse> {
    if args.graphite.is_some() {
        return graphite(args).map(|subject| (subject, None));
    }
    match (&args.metric, &args.ratio) {
        (Some(metric), _) => Ok((selection("--metric", metric)?, None)),
        (None, Some(ratio)) => {
            let (a, b) = split_ratio(ratio).ok_or_else(|| {
                Misuse(format!(
                    "--ratio `{ratio}`: expected two metrics, `cdn_failure_beacons_total/cdn_origin_requests_total`"
                ))
            })?;
            Ok((selection("--ratio", a)?, Some(selection("--ratio", b)?)))
        }
        (None, None) => Err(Misuse(
            "nothing to look at; expected `--metric NAME` or `--ratio A/B`, for example `--metric cdn_failure_beacons_total`"
                .to_owned(),
        )),
    }
}

/// Graphite's targets say what is looked at; `--metric` names it for people.
fn graphite(args: &CheckArgs) -> Result<Selection, Misuse> {
    if args.ratio.is_some() {
        return Err(Misuse(
            "--ratio cannot be asked of Graphite, which does not know what an event is; expected --agent, --store or --prometheus"
                .to_owned(),
        ));
    }
    if !args.by.is_empty() {
        return Err(Misuse(
            "--by has no meaning with --graphite: series are told apart by their names, as `aliasByNode(TARGET, 3)` gives them"
                .to_owned(),
        ));
    }
    match &args.metric {
        Some(metric) => selection("--metric", metric),
        None => Ok(Selection {
            metric: "events".to_owned(),
            matchers: String::new(),
        }),
    }
}

/// At the slash between two metrics; matchers may hold slashes, too.
fn split_ratio(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(_), '\\') if !escaped => {
                escaped = true;
                continue;
            }
            (Some(open), letter) if letter == open && !escaped => quote = None,
            (None, '"' | '\'' | '`') => quote = Some(letter),
            (None, '/') => return Some((text.get(..at)?, text.get(at + 1..)?)),
            _ => {}
        }
        escaped = false;
    }
    None
}

fn selection(flag: &str, text: &str) -> Result<Selection, Misuse> {
    let text = text.trim();
    let (metric, matchers) = match text.split_once('{') {
        None => (text, ""),
        Some((metric, rest)) => match rest.strip_suffix('}') {
            Some(matchers) => (metric.trim(), matchers.trim()),
            None => {
                return Err(Misuse(format!(
                    "{flag} `{text}`: expected a `}}` at the end, as in `name{{provider=\"fastly\"}}`"
                )));
            }
        },
    };
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    if metric.is_empty()
        || !metric.chars().all(is_letter)
        || metric.starts_with(|c: char| c.is_ascii_digit())
    {
        return Err(Misuse(format!(
            "{flag} `{text}`: expected the name of a metric, for example `cdn_failure_beacons_total`"
        )));
    }
    let selection = Selection {
        metric: metric.to_owned(),
        matchers: matchers.to_owned(),
    };
    self::matchers(&selection)?;
    Ok(selection)
}

fn by(args: &CheckArgs) -> Result<Vec<String>, Misuse> {
    if args.graphite.is_some() {
        return Ok(vec!["target".to_owned()]);
    }
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut by: Vec<String> = Vec::new();
    for label in args.by.iter().map(|label| label.trim()) {
        if label.is_empty() || !label.chars().all(is_letter) || by.iter().any(|b| b == label) {
            return Err(Misuse(format!(
                "--by `{}`: expected names of labels with commas between them, each once, for example `provider`",
                args.by.join(",")
            )));
        }
        by.push(label.to_owned());
    }
    Ok(by)
}

fn measure(args: &CheckArgs) -> Result<Measure, Misuse> {
    match (args.ratio.is_some(), args.anomaly) {
        (true, true) => Err(Misuse(
            "--anomaly and --ratio: expected one of them; --anomaly compares counts with their past"
                .to_owned(),
        )),
        (true, false) if args.min_sample == 0 => Err(Misuse(
            "--min-sample 0: expected at least 1; nothing is no share of nothing".to_owned(),
        )),
        (true, false) => Ok(Measure::Ratio {
            min_sample: args.min_sample,
        }),
        (false, true) => Ok(Measure::Anomaly),
        (false, false) if args.rate => Ok(Measure::Rate),
        (false, false) => Ok(Measure::Count),
    }
}

fn window(text: &str) -> Result<u32, Misuse> {
    let minutes = duration(text)
        .filter(|time| time.subsec_nanos() == 0 && time.as_secs() % 60 == 0)
        .map(|time| time.as_secs() / 60)
        .filter(|minutes| (1..=MAX_WINDOW).contains(minutes));
    minutes
        .and_then(|minutes| u32::try_from(minutes).ok())
        .ok_or_else(|| {
            Misuse(format!(
                "--window `{text}`: expected whole minutes from 1m to 24h, for example `5m`"
            ))
        })
}

fn limits(args: &CheckArgs) -> Result<Limits, Misuse> {
    let lag = duration(&args.max_lag).filter(|lag| lag.as_secs() >= 60);
    let lag = lag.ok_or_else(|| {
        Misuse(format!(
            "--max-lag `{}`: expected at least 1m, for example `5m`",
            args.max_lag
        ))
    })?;
    let percent = |flag: &str, value: f64| {
        (0.0..=100.0)
            .contains(&value)
            .then_some(value)
            .ok_or_else(|| Misuse(format!("{flag} `{value}`: expected percent, 0 to 100")))
    };
    Ok(Limits {
        lag,
        unparsed: percent("--max-unparsed", args.max_unparsed)?,
        near_misses: percent("--max-near-misses", args.max_near_misses)?,
        queue: args.max_queue,
        no_data: args.no_data,
    })
}

fn thresholds(flag: &str, written: &[String], by: &[String]) -> Result<Thresholds, Misuse> {
    let mut thresholds = Thresholds::default();
    for text in written {
        // A value may hold `=` and commas, a range never does.
        let (value, range) = match text.rsplit_once('=') {
            Some((value, range)) => (Some(value), range),
            None => (None, text.as_str()),
        };
        let range: Range = range
            .parse()
            .map_err(|error| Misuse(format!("{flag} `{text}`: {error}")))?;
        match value {
            None if thresholds.all.is_some() => {
                return Err(Misuse(format!(
                    "{flag} `{text}`: expected one range for all values; for one of them write `fastly={text}`"
                )));
            }
            None => thresholds.all = Some(range),
            Some(_) if by.is_empty() => {
                return Err(Misuse(format!(
                    "{flag} `{text}`: a range for one value expects `--by LABEL`, for example `--by provider`"
                )));
            }
            Some(value) if by.len() > 1 && value.split(',').count() != by.len() => {
                let example: Vec<&str> = by.iter().map(|_| "VALUE").collect();
                return Err(Misuse(format!(
                    "{flag} `{text}`: expected a value of each label of --by {}: `{}=RANGE`",
                    by.join(","),
                    example.join(",")
                )));
            }
            Some(value) if thresholds.some.iter().any(|(known, _)| known == value) => {
                return Err(Misuse(format!(
                    "{flag} `{text}`: expected one range for `{value}`"
                )));
            }
            Some(value) => thresholds.some.push((value.to_owned(), range)),
        }
    }
    Ok(thresholds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: CheckArgs,
    }

    fn asked(words: &[&str]) -> Result<Question, String> {
        let words = ["check"].iter().chain(words);
        let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
        timeout(&line.args).map_err(|error| error.to_string())?;
        question(&line.args).map_err(|error| error.to_string())
    }

    #[test]
    fn a_whole_question_is_understood() {
        let question = asked(&[
            "--metric",
            "beacons_total{code=~\"5..\"}",
            "--by",
            "provider,pop",
            "--window",
            "1h",
            "-w",
            "~:10",
            "-w",
            "fastly,NYC=5",
            "-c",
            "a=b,c=@3:4",
        ])
        .unwrap();
        assert_eq!(question.subject.metric, "beacons_total");
        assert_eq!(question.subject.matchers, "code=~\"5..\"");
        assert_eq!(question.window, 60);
        assert_eq!(question.warning.some[0].0, "fastly,NYC");
        assert_eq!(question.critical.some[0].0, "a=b,c");
        assert_eq!(question.critical.some[0].1.text, "@3:4");
        assert_eq!(question.measure, Measure::Count);
    }

    #[test]
    fn a_ratio_is_split_between_the_metrics() {
        let question = asked(&["--ratio", "a{p=\"/x/\\\"/\"}/b{c='}/'}", "-c", "5"]).unwrap();
        assert_eq!(question.subject.matchers, "p=\"/x/\\\"/\"");
        assert_eq!(question.base.unwrap().matchers, "c='}/'");
        assert_eq!(question.measure, Measure::Ratio { min_sample: 50 });
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of mistakes")]
    fn every_mistake_says_in_one_line_what_was_expected() {
        for (words, part) in [
            (vec!["-c", "1"], "nothing to look at"),
            (vec!["--metric", "a"], "without -w and -c"),
            (vec!["--metric", "a-b", "-c", "1"], "the name of a metric"),
            (vec!["--metric", "a{", "-c", "1"], "a `}` at the end"),
            (vec!["--metric", "a{b}", "-c", "1"], "matchers look like"),
            (
                vec!["--metric", "a{b=~\"(\"}", "-c", "1"],
                "matchers look like",
            ),
            (vec!["--metric", "a", "-c", "x"], "is no number"),
            (vec!["--metric", "a", "-c", "p=1"], "--by LABEL"),
            (
                vec!["--metric", "a", "-c", "fastly=1", "--by", "p,q"],
                "a value of each label",
            ),
            (
                vec!["--metric", "a", "-c", "1", "-c", "2"],
                "one range for all",
            ),
            (vec!["--metric", "a", "-c", "1", "--by", "p,p"], "each once"),
            (
                vec!["--metric", "a", "-c", "1", "--window", "90s"],
                "whole minutes",
            ),
            (
                vec!["--metric", "a", "-c", "1", "--window", "25h"],
                "whole minutes",
            ),
            (
                vec!["--metric", "a", "-c", "1", "--min-minutes", "6"],
                "1 to 5",
            ),
            (
                vec!["--metric", "a", "-c", "1", "--max-lag", "5s"],
                "at least 1m",
            ),
            (
                vec!["--metric", "a", "-c", "1", "--max-unparsed", "NaN"],
                "percent",
            ),
            (
                vec!["--metric", "a", "-c", "1", "--timeout", "0s"],
                "1s to 10m",
            ),
            (vec!["--ratio", "a", "-c", "1"], "two metrics"),
            (
                vec!["--ratio", "a/b", "-c", "1", "--anomaly"],
                "one of them",
            ),
            (
                vec!["--ratio", "a/b", "-c", "1", "--min-sample", "0"],
                "at least 1",
            ),
            (
                vec![
                    "--graphite",
                    "http://g",
                    "--target",
                    "a",
                    "--ratio",
                    "a/b",
                    "-c",
                    "1",
                ],
                "Graphite",
            ),
            (
                vec![
                    "--graphite",
                    "http://g",
                    "--target",
                    "a",
                    "--by",
                    "p",
                    "-c",
                    "1",
                ],
                "aliasByNode",
            ),
        ] {
            let error = asked(&words).map(|_| ()).expect_err(&words.join(" "));
            assert!(
                error.contains(part) && !error.contains('\n'),
                "{words:?}: {error}"
            );
            assert!(
                error.contains("expect")
                    || part.contains("look")
                    || part == "is no number"
                    || part == "aliasByNode",
                "{error}"
            );
        }
    }
}
