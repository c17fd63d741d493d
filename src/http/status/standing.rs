//! The lower half of the page: how logs, outputs and the agent stand, deploys, and lines that did not
//! count.

use super::html::Html;
use super::page::{cell, columns, section, table, table_end};
use super::state::View;
use super::{Counted, Overview, Sample, verdict, words};
use crate::store::{Mark, OutputStatus, SeriesAnswer, SeriesValues};

pub(super) fn logs(html: &mut Html, overview: &Overview, counted: &Counted) {
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

pub(super) fn outputs(html: &mut Html, outputs: &[OutputStatus]) {
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

pub(super) fn marks(html: &mut Html, overview: &Overview, marks: &[Mark]) {
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

pub(super) fn near_misses(html: &mut Html, answer: &SeriesAnswer) {
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

pub(super) fn samples(html: &mut Html, overview: &Overview) {
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

pub(super) fn agent(html: &mut Html, overview: &Overview) {
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
