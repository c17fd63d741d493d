//! The lines below the first: where, since when, who else sees it, how good the data is, what to type,
//! and what to send to the vendor.

use super::Found;
use crate::commands::check::context::{self, Breakdown, Origin};
use crate::commands::check::verdict::Judged;
use crate::commands::check::words::{
    date_time, length, name, number, rfc3339, sentence, share, shell, things, time,
};
use crate::nagios::clean;

/// Parts of a breakdown that are named.
const PARTS: usize = 5;
/// A share of requests is one from so many on.
const FEW: f64 = 20.0;
/// Most bytes of a mark's text.
const MARK: usize = 120;
/// Most logs in the command that shows the lines.
const LOGS: usize = 3;
/// Where logs are when nobody knows better.
const USUAL_LOG: &str = "/var/log/nginx/access.log";

/// Most important first.
pub(super) fn lines(found: &Found<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(worst) = context::worst(found.verdict) {
        lines.extend(
            found
                .context
                .breakdowns
                .iter()
                .map(|b| breakdown(b, found.context.total)),
        );
        lines.extend(since(found, worst));
        lines.extend(origin(found, worst));
        lines.extend(mark(found));
        lines.extend(grep(found, worst));
        lines.extend(ticket(found, worst));
    }
    lines.push(data(found));
    let doubts = found
        .verdict
        .doubts
        .iter()
        .map(|doubt| format!("Doubt: {}", sentence(&doubt.text)));
    lines.extend(doubts);
    // Of what has no traffic at all nobody expects a judgement.
    let any = |judged: &&Judged| judged.count > 0.0 || judged.base.is_none_or(|base| base > 0.0);
    let spared = found
        .verdict
        .judged
        .iter()
        .filter(any)
        .filter_map(|judged| {
            let why = judged.spared.as_ref()?;
            Some(format!("Not judged: {}: {why}", found.name(judged)))
        });
    lines.extend(spared.take(PARTS));
    lines.extend(unknown_names(found).into_iter().take(PARTS));
    lines.extend(
        found
            .evidence
            .remarks
            .iter()
            .map(|remark| format!("Note: {remark}")),
    );
    lines.extend(
        found
            .context
            .warnings
            .iter()
            .map(|warning| format!("Note: {warning}")),
    );
    lines
}

/// Values that a threshold names and that nobody ever met: a slip of the pen is 0 for ever.
fn unknown_names(found: &Found<'_>) -> Vec<String> {
    let known = |labels: &Vec<String>| {
        let mut series = found.evidence.series.iter();
        series.any(|series| series.labels == *labels)
    };
    let judged = found.verdict.judged.iter();
    let unknown = judged.filter(|judged| !judged.labels.is_empty() && !known(&judged.labels));
    unknown
        .map(|judged| {
            format!(
                "Note: {} is named by a threshold, is not declared and was not counted in all the time looked at, and is taken for 0",
                found.name(judged)
            )
        })
        .collect()
}

fn breakdown(breakdown: &Breakdown, total: f64) -> String {
    let known: f64 = breakdown.parts.iter().map(|(_, n)| n).sum();
    let whole = known.max(total);
    let parts = breakdown.parts.iter().take(PARTS);
    let parts: Vec<String> = parts
        .map(|(value, n)| {
            let value = name(std::slice::from_ref(value));
            format!("{value} {} ({})", number(*n), share(*n, whole))
        })
        .collect();
    let more = match breakdown.parts.len().saturating_sub(PARTS) {
        0 => String::new(),
        more => format!(", {more} more"),
    };
    format!("{}: {}{more}", breakdown.word, parts.join(", "))
}

fn since(found: &Found<'_>, worst: &Judged) -> Option<String> {
    let since = worst.since?;
    let before = if worst.since_or_before {
        " or before"
    } else {
        ""
    };
    let total = found.context.total;
    Some(format!(
        "Since {} UTC{before}, for {}: {} since then",
        date_time(since),
        length(found.context.span.1 - since),
        things(total, &found.noun())
    ))
}

/// Whether the origin sees it, too.
fn origin(found: &Found<'_>, worst: &Judged) -> Option<String> {
    let origin = found.context.origin?;
    let provider = name(&worst.labels);
    Some(format!(
        "Origin: {}",
        seen(&origin, &provider, &found.during())
    ))
}

fn seen(origin: &Origin, provider: &str, during: &str) -> String {
    if origin.requests <= 0.0 {
        return match origin.requests_before >= 1.0 {
            true => format!(
                "no request of {provider} reached it for {} min (before, {} {during}): the way to it is broken, or {provider} does not try",
                origin.silent,
                number(origin.requests_before.round())
            ),
            false => format!("no request of {provider} reached it, neither before: it cannot tell"),
        };
    }
    let answered = format!(
        "it answered {} of {provider} {during}",
        things(origin.requests, "requests")
    );
    if origin.requests < FEW {
        return format!(
            "{answered}, too few to tell ({} with 5xx)",
            number(origin.errors)
        );
    }
    let errors = share(origin.errors, origin.requests);
    let before = match origin.requests_before >= 1.0 {
        true => share(origin.errors_before, origin.requests_before),
        false => "nothing".to_owned(),
    };
    let share_now = origin.errors / origin.requests;
    let share_before = match origin.requests_before > 0.0 {
        true => origin.errors_before / origin.requests_before,
        false => 0.0,
    };
    let said = match () {
        () if share_now > 2.0 * share_before + 0.01 => {
            format!("{answered}, {errors} of them 5xx (before: {before}): it sees it, too")
        }
        () if share_now > 0.05 => {
            format!(
                "{answered}, {errors} of them 5xx (before: {before}): it had errors before, too"
            )
        }
        () => format!("{answered}, {errors} of them 5xx (before: {before}): it does not see it"),
    };
    match origin.requests < 0.5 * origin.requests_before {
        true => format!(
            "{said}, but requests fell from {}",
            number(origin.requests_before.round())
        ),
        false => said,
    }
}

fn mark(found: &Found<'_>) -> Option<String> {
    let mark = found.context.mark.as_ref()?;
    let at = mark.at_ms.div_euclid(1000);
    let ahead = found.context.span.0 - at;
    let when = match ahead {
        ..60 => "as it began".to_owned(),
        _ => format!("{} before", length(ahead)),
    };
    let text = mark.text.replace(';', ",");
    let text: String = clean(&text).chars().take(MARK).collect();
    Some(format!(
        "Newest event: {text}, {when} ({})",
        time(at, found.now)
    ))
}

/// The command that shows the lines.
fn grep(found: &Found<'_>, worst: &Judged) -> Option<String> {
    if found.question.by.iter().any(|label| label == "target") {
        return None;
    }
    let metric = &found.question.subject.metric;
    let (matchers, whole) = context::matchers(found.question, worst);
    let series = format!("{metric}{{{matchers}}}");
    // What cannot be shown as it is cannot be pasted either.
    let (series, whole) = match clean(&series) == series {
        true => (series, whole),
        false => (format!("{metric}{{}}"), false),
    };
    let lines = match whole {
        true => "Lines",
        false => "Lines (of other values, too)",
    };
    let (since, until) = found.context.span;
    Some(format!(
        "{lines}: beacontail grep '{}' --since {} --until {} {}",
        series.replace('\'', r"'\''"),
        rfc3339(since),
        rfc3339(until),
        logs(found)
    ))
}

/// The logs that the metric is counted from, as words of a shell.
fn logs(found: &Found<'_>) -> String {
    if let Some(log) = found.log {
        return shell(log);
    }
    let known = found.context.logs.iter();
    let sound = known.filter(|log| clean(log) == **log);
    let words: Vec<String> = sound.take(LOGS).map(|log| shell(log)).collect();
    match words.is_empty() {
        true => shell(USUAL_LOG),
        false => words.join(" "),
    }
}

/// What can be sent to the vendor as it stands.
fn ticket(found: &Found<'_>, worst: &Judged) -> Option<String> {
    let at = found
        .question
        .by
        .iter()
        .position(|label| label == "provider")?;
    let provider = name(std::slice::from_ref(worst.labels.get(at)?));
    // Too few beacons are no trouble of the vendor's.
    let shown = found.question.subject.metric.contains("beacon") && worst.count > 0.0;
    if !shown || super::breaches_below(worst) || provider == "direct" {
        return None;
    }
    let (since, until) = found.context.span;
    let least = if worst.at_least { "at least " } else { "" };
    let places: Vec<String> = found.context.breakdowns.iter().filter_map(named).collect();
    let places = match places.is_empty() {
        true => String::new(),
        false => format!(" ({})", places.join(", ")),
    };
    let from = if worst.since_or_before {
        "at the latest from"
    } else {
        "from"
    };
    let health = found
        .context
        .origin
        .map_or(String::new(), |origin| health(found, &origin));
    Some(format!(
        "Ticket: {provider}{places}: {from} {} to {} UTC your edges served our users the error page that we keep with you, in place of our site. Their browsers reported {least}{}.{health}",
        date_time(since),
        date_time(until),
        things(found.context.total, "such pages")
    ))
}

/// The parts that have a name.
fn named(breakdown: &Breakdown) -> Option<String> {
    let known = breakdown
        .parts
        .iter()
        .filter(|(value, _)| !["", "unknown"].contains(&value.as_str()));
    let parts: Vec<String> = known
        .take(PARTS)
        .map(|(value, _)| name(std::slice::from_ref(value)))
        .collect();
    (!parts.is_empty()).then(|| format!("{} {}", breakdown.word, parts.join(", ")))
}

fn health(found: &Found<'_>, origin: &Origin) -> String {
    match origin.requests > 0.0 {
        true => format!(
            " In the last {} of that time our origin answered {} through you, {} of them with 5xx.",
            length(i64::from(found.question.window) * 60),
            things(origin.requests, "requests"),
            share(origin.errors, origin.requests)
        ),
        false if origin.requests_before >= 1.0 => format!(
            " For {} min no request through you has reached our origin.",
            origin.silent
        ),
        false => String::new(),
    }
}

/// How far the data goes and how good it is.
fn data(found: &Found<'_>) -> String {
    let Some((first, last)) = found.verdict.window else {
        return "Data: none, no log ever had a line".to_owned();
    };
    let end = last + 60;
    let mut text = format!(
        "Data: {} to {} looked at, complete up to then ({} ago)",
        time(first, found.now),
        time(end, found.now),
        length(found.now - end)
    );
    if !found.verdict.doubts.is_empty() || found.verdict.no_data {
        text = text.replace(", complete up to then", "");
    }
    let Some(lines) = &found.evidence.lines else {
        return text;
    };
    let window: Vec<_> = lines.range(first..end).map(|(_, lines)| lines).collect();
    if found.question.by.iter().any(|label| label == "target") {
        let had = window.iter().filter(|lines| lines.read > 0).count();
        text.push_str(&format!(
            ", {had} of {} minutes have points",
            found.question.window
        ));
    } else {
        let read: u64 = window.iter().map(|lines| lines.read).sum();
        let unparsed: u64 = window.iter().map(|lines| lines.unparsed).sum();
        text.push_str(&format!(", {}", things(float(read), "lines")));
        if unparsed > 0 {
            text.push_str(&format!(
                ", {} unparsed",
                share(float(unparsed), float(read))
            ));
        }
    }
    let incomplete = window.iter().filter(|lines| lines.incomplete).count();
    if incomplete > 0 {
        text.push_str(&format!(", {incomplete} min incomplete"));
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn says(numbers: [f64; 4], silent: i64, parts: &[&str]) {
        let [requests, errors, requests_before, errors_before] = numbers;
        let origin = Origin {
            requests,
            errors,
            requests_before,
            errors_before,
            silent,
        };
        let text = seen(&origin, "fastly", "in 5 min");
        for part in parts {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn what_the_origin_sees_is_said_only_where_it_was_counted() {
        let unseen = "it answered 1,204 requests of fastly in 5 min, 0.2 % of them 5xx (before: 0.2 %): it does not see it";
        says([1204.0, 2.0, 1100.0, 2.0], 0, &[unseen]);
        says(
            [1204.0, 120.0, 1100.0, 2.0],
            0,
            &["10 % of them 5xx (before: 0.2 %): it sees it, too"],
        );
        says(
            [1204.0, 120.0, 1100.0, 110.0],
            0,
            &["had errors before, too"],
        );
        says(
            [300.0, 0.0, 1100.0, 0.0],
            0,
            &["does not see it, but requests fell from 1,100"],
        );
        says([7.0, 3.0, 9.0, 0.0], 0, &["too few to tell (3 with 5xx)"]);
        says(
            [0.0, 0.0, 1100.0, 0.0],
            6,
            &["no request of fastly reached it for 6 min", "before, 1,100"],
        );
        says(
            [0.0, 0.0, 0.0, 0.0],
            60,
            &["neither before: it cannot tell"],
        );
        says([50.0, 0.0, 0.0, 0.0], 0, &["(before: nothing)"]);
    }

    #[test]
    fn parts_beyond_the_first_are_counted() {
        let parts = (0..8).map(|n| (format!("P{n}"), 10.0)).collect();
        let text = breakdown(&Breakdown { word: "POP", parts }, 100.0);
        assert!(text.starts_with("POP: P0 10 (10 %), P1"), "{text}");
        assert!(text.ends_with(", 3 more"), "{text}");
    }
}
