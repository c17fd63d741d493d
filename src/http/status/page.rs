//! The page itself, from its head to its foot.
//!
//! Each part that changes stands in an element with `data-part`, whose inside the script replaces by
//! that of a newer page; what a reader scrolled, opened or focused around it stays.

use super::html::Html;
use super::minutes::{Figure, figure};
use super::plan::{Part, Words};
use super::state::{Cell, View, grouped, status_class};
use super::verdict::{self, Finding, Level};
use super::{Counted, Overview, Sample, assets, words};
use crate::store::{Mark, OutputStatus, SeriesAnswer, SeriesValues};

/// Findings that are shown before the rest folds away.
const FINDINGS: usize = 12;
/// Rows of a table of places.
const PLACES: usize = 10;

/// The page as HTML.
pub fn render(overview: &Overview) -> String {
    let findings = verdict::findings(overview);
    let mut html = Html::default();
    head(&mut html, overview, &findings);
    html.raw("<body><header><h1>beacontail <span class=\"host\">")
        .text(&overview.host);
    html.raw("</span></h1><p data-part=\"as-of\" class=\"muted\">As of ");
    html.time(overview.now, words::clock_seconds(overview.now));
    html.raw(" UTC</p><p id=\"live\" role=\"status\"></p></header><main>");
    verdict(&mut html, overview, &findings);
    match &overview.store {
        Ok(counted) => parts(&mut html, overview, counted),
        Err(_) => {
            html.raw("<p class=\"muted\">Without the store there are no numbers to show.</p>");
        }
    }
    samples(&mut html, overview);
    agent(&mut html, overview);
    html.raw("</main></body></html>\n");
    html.finish()
}

fn head(html: &mut Html, overview: &Overview, findings: &[Finding]) {
    html.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    html.raw("<meta name=\"color-scheme\" content=\"light dark\">");
    html.raw("<noscript><meta http-equiv=\"refresh\" content=\"30\"></noscript><title>");
    let alarms = findings.iter().filter(|one| one.level == Level::Alarm);
    match alarms.count() {
        0 => html.text(""),
        count => html.text(format!("({count}) ")),
    };
    html.text(verdict::headline(overview, findings))
        .raw(" · ")
        .text(&overview.host);
    html.raw(" · beacontail</title><link rel=\"icon\" href=\"data:,\">");
    for name in ["uplot.css", "status.css"] {
        html.raw("<link rel=\"stylesheet\" href=\"")
            .text(assets::address(name))
            .raw("\">");
    }
    for name in ["uplot.js", "status.js"] {
        html.raw("<script defer src=\"")
            .text(assets::address(name))
            .raw("\"></script>");
    }
    html.raw("</head>");
}

fn verdict(html: &mut Html, overview: &Overview, findings: &[Finding]) {
    html.raw("<section aria-labelledby=\"verdict\"><div data-part=\"verdict\"><h2 id=\"verdict\">");
    html.text(verdict::headline(overview, findings));
    html.raw("</h2>");
    let (first, rest) = findings.split_at(findings.len().min(FINDINGS));
    list(html, first);
    if !rest.is_empty() {
        html.raw("<details id=\"more\"><summary>and ");
        html.text(rest.len().to_string());
        html.raw(" more</summary>");
        list(html, rest);
        html.raw("</details>");
    }
    html.raw("</div></section>");
}

fn list(html: &mut Html, findings: &[Finding]) {
    if findings.is_empty() {
        return;
    }
    html.raw("<ul class=\"findings\">");
    for finding in findings {
        html.raw(match finding.level {
            Level::Alarm => "<li class=\"alarm\"><strong>alarm</strong> ",
            Level::Warning => "<li class=\"warn\"><strong>warning</strong> ",
            Level::Note => "<li class=\"note\"><strong>note</strong> ",
        });
        html.text(&finding.text).raw("</li>");
    }
    html.raw("</ul>");
}

fn parts(html: &mut Html, overview: &Overview, counted: &Counted) {
    for (part, answer) in &counted.answers {
        match part {
            Part::Failures(words) => failures(html, *words, answer),
            Part::Requests(words) => requests(html, *words, answer),
            Part::Top(_) | Part::NearMisses => {}
        }
    }
    html.raw("<div class=\"columns\">");
    for (part, answer) in &counted.answers {
        if let Part::Top(words) = part {
            top(html, *words, answer);
        }
    }
    html.raw("</div>");
    logs(html, overview, counted);
    outputs(html, &counted.status.outputs);
    marks(html, overview, &counted.status.marks);
    for (part, answer) in &counted.answers {
        if *part == Part::NearMisses {
            near_misses(html, answer);
        }
    }
}

/// Opens a section with its heading.
fn section(html: &mut Html, id: &str, heading: &str) {
    html.raw("<section aria-labelledby=\"h-")
        .text(id)
        .raw("\"><h2 id=\"h-");
    html.text(id).raw("\">").text(heading).raw("</h2>");
}

/// Opens a box that scrolls, with a table and its caption.
fn table(html: &mut Html, id: &str, heading: &str, caption: &str) {
    html.raw("<div class=\"box\" tabindex=\"0\" role=\"region\" data-part=\"")
        .text(id);
    html.raw("\" aria-label=\"")
        .text(heading)
        .raw("\"><table><caption>");
    html.text(caption).raw("</caption>");
}

fn table_end(html: &mut Html) {
    html.raw("</tbody></table></div>");
}

/// The head of a table: columns of words first, then of numbers.
fn columns(html: &mut Html, words: &[&str], numbers: &[&str]) {
    html.raw("<thead><tr>");
    for name in words {
        html.raw("<th scope=\"col\" class=\"word\">")
            .text(name)
            .raw("</th>");
    }
    for name in numbers {
        html.raw("<th scope=\"col\">").text(name).raw("</th>");
    }
    html.raw("</tr></thead><tbody>");
}

/// A number, or that there is none.
pub(super) fn cell(html: &mut Html, cell: Cell) {
    match cell {
        Cell::NoData => html.raw("<td class=\"muted\">no data</td>"),
        Cell::Count(0.0) => html.raw("<td class=\"zero\">0</td>"),
        Cell::Count(value) => html.raw("<td>").text(words::amount(value)).raw("</td>"),
        Cell::AtLeast(value) => html
            .raw("<td class=\"warn\" title=\"incomplete\">≥ ")
            .text(words::amount(value))
            .raw("</td>"),
    };
}

fn until(view: &View<'_>) -> String {
    format!(
        "Whole minutes up to {}; ≥ where minutes are incomplete",
        view.closed_clock()
    )
}

fn failures(html: &mut Html, words: Words, answer: &SeriesAnswer) {
    let view = View::new(answer);
    let label = answer.by.first().map_or("", String::as_str);
    section(html, words.id, words.heading);
    html.raw("<div class=\"beside\"><div>");
    let about = Figure {
        id: words.id,
        caption: words.heading,
        metric: &answer.metric,
        by: label,
        classes: false,
    };
    figure(html, about, answer);
    html.raw("</div>");
    table(html, words.id, words.heading, &until(&view));
    columns(
        html,
        &[label],
        &["5 min", "15 min", "60 min", "still counting"],
    );
    for series in &answer.series {
        html.raw("<tr><th scope=\"row\">")
            .text(series.labels.join(", "))
            .raw("</th>");
        for minutes in [5, 15, 60] {
            cell(html, view.last(series, minutes));
        }
        cell(html, view.counting(series));
        html.raw("</tr>");
    }
    table_end(html);
    html.raw("</div></section>");
}

fn requests(html: &mut Html, words: Words, answer: &SeriesAnswer) {
    let label = answer.by.first().map_or("", String::as_str);
    let by_provider = grouped(answer, |labels| labels.first().cloned().unwrap_or_default());
    let by_class = grouped(answer, |labels| {
        status_class(labels.get(1).map_or("", String::as_str))
    });
    section(html, words.id, words.heading);
    html.raw("<div class=\"columns\"><div>");
    let caption = format!("{} by provider", words.heading);
    let id = format!("{}-providers", words.id);
    let about = Figure {
        id: &id,
        caption: &caption,
        metric: &answer.metric,
        by: label,
        classes: false,
    };
    figure(html, about, &by_provider);
    html.raw("</div><div>");
    let caption = format!("{} by status class", words.heading);
    let id = format!("{}-classes", words.id);
    let about = Figure {
        id: &id,
        caption: &caption,
        by: "code",
        classes: true,
        ..about
    };
    figure(html, about, &by_class);
    html.raw("</div></div>");
    status_table(html, words, answer, &by_provider, &by_class);
    html.raw("</section>");
}

/// Providers down, status classes across.
fn status_table(
    html: &mut Html,
    words: Words,
    answer: &SeriesAnswer,
    by_provider: &SeriesAnswer,
    by_class: &SeriesAnswer,
) {
    let view = View::new(by_provider);
    let both = grouped(answer, |labels| {
        let provider = labels.first().map_or("", String::as_str);
        let class = status_class(labels.get(1).map_or("", String::as_str));
        format!("{provider}\t{class}")
    });
    let name = |series: &SeriesValues| series.labels.join(", ");
    // Redirects that did not happen are news, a class that nobody knows is not.
    let usual = |class: &str| matches!(class, "2xx" | "3xx" | "4xx" | "5xx");
    let shown = by_class
        .series
        .iter()
        .filter(|series| view.last(series, 60).value() > 0.0 || usual(&name(series)));
    let classes: Vec<String> = shown.map(name).collect();
    table(html, words.id, words.heading, &until(&view));
    let mut numbers = vec!["5 min", "60 min"];
    numbers.extend(classes.iter().map(String::as_str));
    numbers.push("5xx of 60 min");
    columns(html, &["provider"], &numbers);
    for series in &by_provider.series {
        let provider = name(series);
        html.raw("<tr><th scope=\"row\">")
            .text(&provider)
            .raw("</th>");
        let all = view.last(series, 60);
        cell(html, view.last(series, 5));
        cell(html, all);
        let mut errors = 0.0;
        for class in &classes {
            let label = format!("{provider}\t{class}");
            let found = both.series.iter().find(|series| name(series) == label);
            let none = SeriesValues {
                labels: Vec::new(),
                points: Vec::new(),
            };
            let count = view.last(found.unwrap_or(&none), 60);
            if class == "5xx" {
                errors = count.value();
            }
            cell(html, count);
        }
        html.raw("<td>")
            .text(words::share(errors, all.value()))
            .raw("</td></tr>");
    }
    table_end(html);
}

fn top(html: &mut Html, words: Words, answer: &SeriesAnswer) {
    let view = View::new(answer);
    html.raw("<div>");
    section(html, words.id, words.heading);
    let value = |series: &&SeriesValues| view.whole(series).value();
    let mut all: Vec<&SeriesValues> = answer.series.iter().collect();
    all.retain(|series| value(series) > 0.0);
    all.sort_by(|a, b| {
        value(b)
            .total_cmp(&value(a))
            .then_with(|| a.labels.cmp(&b.labels))
    });
    let total: f64 = all.iter().map(value).sum();
    table(
        html,
        words.id,
        words.heading,
        "Last 60 minutes and the running one, largest first",
    );
    let labels: Vec<&str> = answer.by.iter().map(String::as_str).collect();
    columns(html, &labels, &[words.noun, "share"]);
    for series in all.iter().take(PLACES) {
        html.raw("<tr>");
        for label in &series.labels {
            html.raw("<td class=\"word\">").text(label).raw("</td>");
        }
        cell(html, view.whole(series));
        let part = words::share(value(series), total);
        html.raw("<td>").text(part).raw("</td></tr>");
    }
    let rest: f64 = all.iter().skip(PLACES).map(value).sum();
    if all.len() > PLACES {
        let others = all.len() - PLACES;
        html.raw("<tr><td class=\"word muted\" colspan=\"")
            .text(labels.len())
            .raw("\">");
        html.text(others)
            .raw(" others</td><td>")
            .text(words::amount(rest))
            .raw("</td><td>");
        html.text(words::share(rest, total)).raw("</td></tr>");
    }
    if all.is_empty() {
        let width = labels.len() + 2;
        html.raw("<tr><td class=\"word muted\" colspan=\"")
            .text(width)
            .raw("\">");
        html.raw(if answer.steps.is_empty() {
            "no data"
        } else {
            "none"
        });
        html.raw("</td></tr>");
    }
    table_end(html);
    html.raw("</section></div>");
}

fn logs(html: &mut Html, overview: &Overview, counted: &Counted) {
    section(html, "logs", "Logs");
    table(html, "logs", "Logs", "Lines are of the last 60 minutes");
    columns(
        html,
        &["log", "read up to", ""],
        &["unread", "parsed", "unparsed", "rejected"],
    );
    for log in &counted.status.logs {
        html.raw("<tr><th scope=\"row\">")
            .text(&log.name)
            .raw("</th><td class=\"word\">");
        match log.watermark {
            Some(at) => html.time(at, format!("{} UTC", words::clock_seconds(at))),
            None => html.raw("<span class=\"muted\">no line yet</span>"),
        };
        html.raw("</td><td class=\"word\">");
        match verdict::behind(log, overview) {
            Some(behind) if behind < 60 => html.raw("less than a minute behind"),
            Some(behind) => html.text(words::span(behind / 60 * 60)).raw(" behind"),
            None => html.raw(""),
        };
        html.raw("</td><td>")
            .text(words::bytes(log.lag_bytes))
            .raw("</td>");
        for lines in log.lines {
            html.raw("<td>").text(words::grouped(lines)).raw("</td>");
        }
        html.raw("</tr>");
    }
    table_end(html);
    table(html, "files", "Files", "Files of the logs");
    columns(html, &["log", "file", "state"], &["counted", "size"]);
    for log in &counted.status.logs {
        for file in &log.files {
            html.raw("<tr><td class=\"word\">").text(&log.name);
            html.raw("</td><td class=\"word\"><code>").text(&file.path);
            html.raw("</code></td><td class=\"word\">")
                .text(&file.state);
            html.raw("</td><td>")
                .text(words::bytes(file.offset))
                .raw("</td><td>");
            html.text(words::bytes(file.size)).raw("</td></tr>");
        }
    }
    table_end(html);
    html.raw("</section>");
}

fn outputs(html: &mut Html, outputs: &[OutputStatus]) {
    section(html, "outputs", "Outputs");
    table(html, "outputs", "Outputs", "What waits to be sent");
    columns(
        html,
        &["output", "oldest"],
        &["minutes", "values", "in doubt"],
    );
    for output in outputs {
        html.raw("<tr><th scope=\"row\">")
            .text(&output.name)
            .raw("</th><td class=\"word\">");
        match output.oldest {
            Some(at) => html.time(at, format!("{} UTC", words::day_and_clock(at))),
            None => html.raw("<span class=\"muted\">nothing waits</span>"),
        };
        html.raw("</td>");
        for count in [output.queue_minutes, output.queue_windows, output.suspect] {
            html.raw("<td>").text(words::grouped(count)).raw("</td>");
        }
        html.raw("</tr>");
    }
    if outputs.is_empty() {
        html.raw("<tr><td class=\"word muted\" colspan=\"5\">no output is configured</td></tr>");
    }
    table_end(html);
    html.raw("</section>");
}

fn marks(html: &mut Html, overview: &Overview, marks: &[Mark]) {
    section(html, "marks", "Marks");
    table(
        html,
        "marks",
        "Marks",
        "Deploys and whatever else beacontail mark recorded",
    );
    columns(html, &["when", "", "what", "tags"], &[]);
    for mark in marks.iter().take(20) {
        let at = mark.at_ms.div_euclid(1000);
        html.raw("<tr data-mark=\"")
            .text(at)
            .raw("\"><td class=\"word\">");
        html.time(at, format!("{} UTC", words::day_and_clock(at)));
        html.raw("</td><td class=\"word muted\">")
            .text(words::span(overview.now - at));
        html.raw(" ago</td><td class=\"word text\">")
            .text(&mark.text);
        html.raw("</td><td class=\"word\">")
            .text(mark.tags.join(", "))
            .raw("</td></tr>");
    }
    if marks.is_empty() {
        html.raw("<tr><td class=\"word muted\" colspan=\"4\">none</td></tr>");
    }
    table_end(html);
    html.raw("</section>");
}

fn near_misses(html: &mut Html, answer: &SeriesAnswer) {
    let view = View::new(answer);
    let id = &answer.metric;
    section(html, id, "Near misses");
    table(html, id, "Near misses", &answer.metric);
    columns(html, &["reason"], &["5 min", "60 min"]);
    let counted = |series: &&SeriesValues| !series.points.is_empty();
    for series in answer.series.iter().filter(counted) {
        html.raw("<tr><td class=\"word\"><code>")
            .text(series.labels.join(", "));
        html.raw("</code></td>");
        cell(html, view.last(series, 5));
        cell(html, view.whole(series));
        html.raw("</tr>");
    }
    if !answer.series.iter().any(|series| counted(&series)) {
        html.raw("<tr><td class=\"word muted\" colspan=\"3\">none in the last hour</td></tr>");
    }
    table_end(html);
    html.raw("</section>");
}

fn samples(html: &mut Html, overview: &Overview) {
    section(html, "samples", "Lines that did not count");
    let lists = [
        (
            "near-lines",
            "Near misses, newest first",
            &overview.samples.near_misses,
        ),
        (
            "other-lines",
            "Not understood or not believed, newest first",
            &overview.samples.others,
        ),
    ];
    for (id, caption, samples) in lists {
        html.raw("<div class=\"lines\">");
        table(html, id, caption, caption);
        columns(html, &["read at", "log", "why", "line"], &[]);
        samples.iter().for_each(|sample| sample_row(html, sample));
        if samples.is_empty() {
            html.raw("<tr><td class=\"word muted\" colspan=\"4\">none since the start</td></tr>");
        }
        table_end(html);
        html.raw("</div>");
    }
    html.raw("<p class=\"muted\">A few of each second are kept, in memory only. Addresses and what looks like a secret are masked.</p></section>");
}

fn sample_row(html: &mut Html, sample: &Sample) {
    html.raw("<tr><td class=\"word\">");
    html.time(sample.at, words::clock_seconds(sample.at))
        .raw("</td><td class=\"word\">");
    html.text(&sample.log).raw("</td><td class=\"word why\">");
    if sample.kind == "rejected" {
        html.raw("rejected: ");
    }
    html.text(&sample.reason)
        .raw("</td><td class=\"word\"><code>");
    html.text(&sample.line).raw("</code></td></tr>");
}

fn agent(html: &mut Html, overview: &Overview) {
    section(html, "agent", "This agent");
    html.raw("<dl data-part=\"agent\"><dt>Version</dt><dd>");
    html.text(env!("CARGO_PKG_VERSION"))
        .raw("</dd><dt>Running since</dt><dd>");
    let up = words::span(overview.now - overview.started);
    let since = format!("{} UTC, {up}", words::day_and_clock(overview.started));
    html.time(overview.started, since)
        .raw("</dd><dt>State</dt><dd>");
    match (&overview.broken, &overview.not_ready) {
        (Some(why), _) | (None, Some(why)) => html.text(why),
        (None, None) => html.raw("caught up"),
    };
    html.raw("</dd>");
    if let Ok(counted) = &overview.store {
        let status = &counted.status;
        html.raw("<dt>Store</dt><dd>")
            .text(words::bytes(status.bytes))
            .raw(" of ");
        html.text(words::bytes(overview.max_bytes))
            .raw("</dd><dt>Last commit</dt><dd>");
        let at = status.committed_ms.div_euclid(1000);
        html.time(at, format!("{} UTC", words::clock_seconds(at)))
            .raw("</dd>");
    }
    html.raw("</dl></section>");
}
