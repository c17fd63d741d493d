//! The page itself, from its head to its foot.
//!
//! Each part that changes stands in an element with `data-part`, whose inside the script replaces by
//! that of a newer page; what a reader scrolled, opened or focused around it stays.

use super::html::Html;
use super::minutes::{Figure, figure};
use super::plan::{Part, Words};
use super::state::{Cell, View, grouped, status_class};
use super::verdict::{self, Finding, Level};
use super::{Counted, Overview, assets, standing, words};
use crate::store::{SeriesAnswer, SeriesValues};

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
    standing::samples(&mut html, overview);
    standing::agent(&mut html, overview);
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
    standing::logs(html, overview, counted);
    standing::outputs(html, &counted.status.outputs);
    standing::marks(html, overview, &counted.status.marks);
    for (part, answer) in &counted.answers {
        if *part == Part::NearMisses {
            standing::near_misses(html, answer);
        }
    }
}

/// Opens a section with its heading.
pub(super) fn section(html: &mut Html, id: &str, heading: &str) {
    html.raw("<section aria-labelledby=\"h-")
        .text(id)
        .raw("\"><h2 id=\"h-");
    html.text(id).raw("\">").text(heading).raw("</h2>");
}

/// Opens a box that scrolls, with a table and its caption.
pub(super) fn table(html: &mut Html, id: &str, heading: &str, caption: &str) {
    html.raw("<div class=\"box\" tabindex=\"0\" role=\"region\" data-part=\"")
        .text(id);
    html.raw("\" aria-label=\"")
        .text(heading)
        .raw("\"><table><caption>");
    html.text(caption).raw("</caption>");
}

pub(super) fn table_end(html: &mut Html) {
    html.raw("</tbody></table></div>");
}

/// The head of a table: columns of words first, then of numbers.
pub(super) fn columns(html: &mut Html, words: &[&str], numbers: &[&str]) {
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
