//! Figures of one metric: a chart for those with a script, and the same minutes as a table.

use super::html::Html;
use super::state::{Minute, View};
use super::words;
use crate::store::{SeriesAnswer, SeriesValues};

/// Series of a chart and columns of a table; what is beyond is added up. The script knows it too.
const SERIES: usize = 10;

/// What a figure shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figure<'f> {
    pub(super) id: &'f str,
    pub(super) caption: &'f str,
    pub(super) metric: &'f str,
    /// The label that is kept.
    pub(super) by: &'f str,
    /// Status codes become classes.
    pub(super) classes: bool,
}

/// Writes the place of the chart, and the table.
pub(super) fn figure(html: &mut Html, figure: Figure<'_>, answer: &SeriesAnswer) {
    let view = View::new(answer);
    html.raw("<figure class=\"chart\" id=\"chart-")
        .text(figure.id);
    html.raw("\" data-src=\"").text(source(figure, answer));
    if figure.classes {
        html.raw("\" data-classes=\"yes");
    }
    html.raw("\"><figcaption id=\"caption-")
        .text(figure.id)
        .raw("\">");
    html.text(figure.caption)
        .raw(", each minute (UTC)</figcaption>");
    html.raw("<div class=\"plot\" role=\"img\" aria-labelledby=\"caption-");
    html.text(figure.id).raw("\"></div></figure>");
    html.raw("<details><summary>The same, minute by minute</summary>");
    table(html, figure, &view);
    html.raw("</details>");
}

fn source(figure: Figure<'_>, answer: &SeriesAnswer) -> String {
    let (metric, by) = (figure.metric, figure.by);
    let (from, to) = (answer.from, answer.to);
    format!("/api/v1/series?metric={metric}&by={by}&from={from}&to={to}&step=60")
}

fn table(html: &mut Html, figure: Figure<'_>, view: &View<'_>) {
    let (shown, rest) = columns(view.answer);
    html.raw("<div class=\"box\" tabindex=\"0\" role=\"region\" data-part=\"minutes-");
    html.text(figure.id)
        .raw("\" aria-label=\"")
        .text(figure.caption);
    html.raw(", minute by minute\"><table><caption>")
        .text(figure.caption);
    html.raw(
        ", minute by minute, newest first, UTC</caption><thead><tr><th scope=\"col\">Minute</th>",
    );
    for series in &shown {
        html.raw("<th scope=\"col\">")
            .text(series.labels.join(", "))
            .raw("</th>");
    }
    if !rest.is_empty() {
        html.raw("<th scope=\"col\">others (")
            .text(rest.len())
            .raw(")</th>");
    }
    html.raw("<th scope=\"col\" class=\"word\">State</th></tr></thead><tbody>");
    for at in view.minutes().rev() {
        html.raw("<tr><th scope=\"row\">")
            .time(at, words::clock(at))
            .raw("</th>");
        row(html, view, at, &shown, &rest);
        html.raw("</tr>");
    }
    html.raw("</tbody></table></div>");
}

fn row(html: &mut Html, view: &View<'_>, at: i64, shown: &[&SeriesValues], rest: &[&SeriesValues]) {
    let state = view.minute(at);
    for series in shown {
        super::page::cell(html, view.cell(series, at, at + 60));
    }
    if !rest.is_empty() {
        let cells = rest.iter().map(|series| view.cell(series, at, at + 60));
        let sum = cells.reduce(super::state::Cell::and);
        super::page::cell(html, sum.unwrap_or(super::state::Cell::NoData));
    }
    html.raw(match state {
        Minute::NoData => "<td class=\"word muted\">no data</td>",
        Minute::Whole => "<td class=\"word\"></td>",
        Minute::Incomplete => "<td class=\"word warn\">incomplete</td>",
        Minute::Counting => "<td class=\"word muted\">still counting</td>",
    });
}

/// Series by the order of names, the largest only; the others.
fn columns(answer: &SeriesAnswer) -> (Vec<&SeriesValues>, Vec<&SeriesValues>) {
    let total = |series: &SeriesValues| -> f64 {
        let points = series.points.iter();
        points.map(|point| point.value(&answer.kind)).sum::<f64>()
    };
    let mut all: Vec<&SeriesValues> = answer.series.iter().collect();
    all.sort_by(|a, b| {
        total(b)
            .total_cmp(&total(a))
            .then_with(|| a.labels.cmp(&b.labels))
    });
    let rest = all.split_off(SERIES.min(all.len()));
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    (all, rest)
}
