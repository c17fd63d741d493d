//! What the parameters of `/api/v1/series` mean: a question to the store, and matchers over labels.
//!
//! Every mistake is told with what was expected. An unknown parameter is one: a misspelt `by` would
//! answer another question than the one that was meant.

use jiff::Timestamp;

use crate::commands::selected::{EXAMPLE, Selected};
use crate::commands::times::at_or_before;
use crate::config::duration;
use crate::diagnostic::{Untrusted, similar};
use crate::http::{Parameters, Refusal};
use crate::store::SeriesQuestion;

/// What may be asked.
const PARAMETERS: [&str; 6] = ["metric", "by", "from", "to", "step", "match"];
/// Seconds that are answered when nothing else is asked.
const USUAL: i64 = 3600;
/// Most regular expressions in the matchers of a question, and bytes of all matchers.
const PATTERNS: usize = 4;
const MATCH_BYTES: usize = 4096;
/// Most points of an answer.
const MOST: usize = 200_000;

/// A question, and which series it is about.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) question: SeriesQuestion,
    selected: Selected,
}

impl Asked {
    /// Reads the parameters; `now` is what relative times are relative to.
    pub(super) fn read(parameters: &Parameters, now: i64) -> Result<Asked, Refusal> {
        let known = |name: &str| PARAMETERS.contains(&name);
        if let Some((name, _)) = parameters.iter().find(|(name, _)| !known(name)) {
            let meant = similar(name, PARAMETERS).unwrap_or("metric, by, from, to, step and match");
            return Err(refused(format!(
                "no parameter `{}`; there is {meant}",
                shown(name)
            )));
        }
        let one = |wanted: &str| {
            let mut values = parameters.iter().filter(|(name, _)| name == wanted);
            match (values.next(), values.next()) {
                (_, Some(_)) => Err(refused(format!("`{wanted}` is given twice"))),
                (found, None) => Ok(found.map(|(_, value)| value.as_str())),
            }
        };
        let metric = one("metric")?
            .filter(|name| !name.is_empty())
            .ok_or_else(|| {
                refused(
                    "`metric` is missing; /api/v1/status lists the metrics there are".to_owned(),
                )
            })?;
        let to = one("to")?.map_or(Ok(now), |text| time("to", text, now))?;
        let from = match one("from")? {
            Some(text) => time("from", text, now)?,
            None => to.saturating_sub(USUAL),
        };
        let step = one("step")?.map_or(Ok(60), step)?;
        let selected = one("match")?.map_or(Ok(Selected::default()), selected)?;
        Ok(Asked {
            question: SeriesQuestion {
                metric: metric.to_owned(),
                by: labels(parameters),
                matched: selected.labels(),
                from,
                to,
                step,
                most: Some(MOST),
            },
            selected,
        })
    }

    /// Whether a label may have a value.
    pub(super) fn keeps(&self, label: &str, value: &str) -> bool {
        self.selected.keeps(label, value)
    }
}

/// The end of the second under way. Steps end before `to`, so in the first second of a minute the second
/// that has begun would leave that minute out.
pub(super) fn end_of_second(wall_ms: i64) -> i64 {
    wall_ms.div_euclid(1000) + 1
}

fn refused(reason: String) -> Refusal {
    Refusal::Asked(reason)
}

fn shown(text: &str) -> String {
    Untrusted(text.as_bytes()).shortened(60).to_string()
}

/// `by=provider,pop`, `by=provider&by=pop`
fn labels(parameters: &Parameters) -> Vec<String> {
    let given = parameters.iter().filter(|(name, _)| name == "by");
    let names = given.flat_map(|(_, value)| value.split(','));
    let mut labels: Vec<String> = Vec::new();
    for name in names.map(str::trim).filter(|name| !name.is_empty()) {
        if !labels.iter().any(|known| known == name) {
            labels.push(name.to_owned());
        }
    }
    labels
}

fn time(name: &str, text: &str, now: i64) -> Result<i64, Refusal> {
    let now = Timestamp::from_second(now).unwrap_or_default();
    let time = at_or_before(text, now).map(Timestamp::as_second);
    time.ok_or_else(|| {
        refused(format!(
            "`{name}` is `{}`; expected Unix seconds, a time such as 2026-11-22T07:06:00Z, or one \
             before now such as -60m",
            shown(text)
        ))
    })
}

fn step(text: &str) -> Result<i64, Refusal> {
    let plain = || text.parse().ok();
    let whole = duration(text).filter(|step| step.subsec_nanos() == 0);
    let seconds = whole.and_then(|step| i64::try_from(step.as_secs()).ok());
    seconds.or_else(plain).ok_or_else(|| {
        refused(format!(
            "`step` is `{}`; expected seconds, or a time such as 5m or 1h",
            shown(text)
        ))
    })
}

fn selected(text: &str) -> Result<Selected, Refusal> {
    // Counted before any is compiled: each may take megabytes.
    let patterns = text.matches("=~").count() + text.matches("!~").count();
    if patterns > PATTERNS || text.len() > MATCH_BYTES {
        return Err(refused(format!(
            "`match` is too much to look for; at most {PATTERNS} regular expressions in {MATCH_BYTES} \
             bytes are"
        )));
    }
    Selected::parse("match", text).map_err(|mistake| {
        let mistake = Untrusted(mistake.message.as_bytes()).shortened(200);
        refused(format!("`match`: {mistake}; {EXAMPLE}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_767_225_700;

    fn read(pairs: &[(&str, &str)]) -> Result<Asked, String> {
        let pairs: Parameters = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Asked::read(&pairs, NOW).map_err(|refusal| match refusal {
            Refusal::Asked(reason) => reason,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn an_hour_in_minutes_is_the_usual_question() {
        let question = read(&[("metric", "x_total")]).unwrap().question;
        assert_eq!(
            (question.from, question.to, question.step),
            (NOW - 3600, NOW, 60)
        );
        assert_eq!(question.by, [""; 0]);
    }

    #[test]
    fn times_are_seconds_dates_or_before_now() {
        let times = [
            ("1767225600", 1_767_225_600),
            ("2026-01-01T00:00:00Z", 1_767_225_600),
            ("-90s", NOW - 90),
            ("-60m", NOW - 3600),
            ("-2h", NOW - 7200),
            ("-7d", NOW - 7 * 86_400),
        ];
        for (text, at) in times {
            let asked = read(&[("metric", "x"), ("from", text), ("step", "5m")]).unwrap();
            assert_eq!(
                (asked.question.from, asked.question.step),
                (at, 300),
                "{text}"
            );
        }
        for text in ["", "now", "-1", "60m", "-m", "99999999999999", "\u{1b}[2J"] {
            let refused = read(&[("metric", "x"), ("from", text)]).unwrap_err();
            assert!(
                refused.contains("expected Unix seconds"),
                "{text:?} {refused}"
            );
            assert!(!refused.contains('\u{1b}'));
        }
    }

    #[test]
    fn the_minute_under_way_is_asked_for_from_its_first_moment_on() {
        let minute = NOW.div_euclid(60) * 60;
        for ms in [0, 1, 999, 59_999] {
            let pairs = vec![("metric".to_owned(), "x".to_owned())];
            let asked = Asked::read(&pairs, end_of_second(minute * 1000 + ms)).unwrap();
            assert!(
                (minute + 1..=minute + 60).contains(&asked.question.to),
                "{ms}"
            );
        }
    }

    #[test]
    fn labels_and_matchers_are_those_given() {
        let asked = read(&[
            ("metric", "x"),
            ("by", "provider, pop"),
            ("by", "pop"),
            ("match", "{provider!=\"\", code=~\"5..\"}"),
        ])
        .unwrap();
        assert_eq!(asked.question.by, ["provider", "pop"]);
        assert_eq!(asked.question.matched, ["provider", "code"]);
        assert!(asked.keeps("code", "503") && !asked.keeps("code", "404"));
        assert!(!asked.keeps("provider", "") && asked.keeps("pop", ""));
    }

    #[test]
    fn a_question_compiles_a_few_patterns_and_no_more() {
        let patterns = |n: usize| vec!["a=~\"x+\""; n].join(",");
        assert!(read(&[("metric", "x"), ("match", &patterns(PATTERNS))]).is_ok());
        let plain = vec!["a!=\"x\""; 100].join(",");
        assert!(read(&[("metric", "x"), ("match", &plain)]).is_ok());
        for text in [patterns(PATTERNS + 1), plain.repeat(6)] {
            let refused = read(&[("metric", "x"), ("match", &text)]).unwrap_err();
            assert!(
                refused.contains("at most 4 regular expressions"),
                "{refused}"
            );
        }
    }

    #[test]
    fn mistakes_say_what_was_expected() {
        let refusals = [
            (&[][..], "`metric` is missing"),
            (
                &[("metrics", "x")],
                "no parameter `metrics`; there is metric",
            ),
            (&[("metric", "x"), ("metric", "y")], "given twice"),
            (&[("metric", "x"), ("step", "a")], "5m or 1h"),
            (
                &[("metric", "x"), ("match", "a=1")],
                "expected a quoted string",
            ),
            (
                &[("metric", "x"), ("match", "a=~\"(\"")],
                "regular expression",
            ),
        ];
        for (pairs, expected) in refusals {
            let refused = read(pairs).unwrap_err();
            assert!(refused.contains(expected), "{refused}");
        }
    }
}
