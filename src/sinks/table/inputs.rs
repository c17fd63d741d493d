//! What was read: notices, one line for each input, the sum of lines, the range.

use super::grid::{self, Column, GAP};
use super::{Style, TableOptions, safe};
use crate::metrics::Decimal;
use crate::sinks::text::{count, counted, percent, rfc3339, size};
use crate::sinks::{InputSummary, Summary};

/// Inputs with a line of their own.
const LISTED: usize = 20;

/// The section.
pub(super) fn lines(summary: &Summary, options: &TableOptions<'_>) -> Vec<String> {
    let notices = summary.notices.iter().flat_map(|notice| notice.lines());
    let note = |line: &str| options.paint(Style::Warning, &format!("note: {}", safe(line)));
    let mut lines: Vec<String> = notices.map(note).collect();
    lines.extend(list(&summary.inputs, options));
    lines.extend([totals(&summary.inputs), range(summary)]);
    if summary.partial {
        let text = "The counts are incomplete: an input was not read to its end.";
        lines.push(options.paint(Style::Bad, text));
    }
    lines
}

/// A line for each input; those with something to tell are listed first when there are too many.
fn list(inputs: &[InputSummary], options: &TableOptions<'_>) -> Vec<String> {
    let mut order: Vec<usize> = (0..inputs.len()).collect();
    order.sort_by_key(|&at| inputs.get(at).map(rank));
    let (listed, others) = order.split_at_checked(LISTED).unwrap_or((&order, &[]));
    let mut listed = listed.to_vec();
    listed.sort_unstable();
    let listed: Vec<&InputSummary> = listed.iter().filter_map(|&at| inputs.get(at)).collect();
    let others: Vec<&InputSummary> = others.iter().filter_map(|&at| inputs.get(at)).collect();
    let mut lines = grid::lines(&columns(&listed, options)).split_off(1);
    for (line, input) in lines.iter_mut().zip(listed) {
        *line = format!("{line}{GAP}{}", remarks(input, options));
    }
    lines.extend(rest(&others, options));
    lines
}

/// What must not disappear among many files comes first.
fn rank(input: &InputSummary) -> u8 {
    match input {
        input if input.error.is_some() => 0,
        input if input.unparsed > 0 => 1,
        _ => 2,
    }
}

fn columns(inputs: &[&InputSummary], options: &TableOptions<'_>) -> Vec<Column> {
    let column = |cell: &dyn Fn(&InputSummary) -> String| {
        inputs.iter().map(|input| cell(input)).collect::<Vec<_>>()
    };
    let path = Column::text("", column(&|input| safe(&input.path)));
    vec![
        path.clipped_left((options.width / 2).max(20), options),
        Column::text("", column(&parser)),
        Column::number("", 0, column(&|input| counted(input.lines, "line"))),
        Column::number("", 0, column(&|input| size(Decimal::whole(input.bytes)))),
    ]
}

/// `nginx-cdn (99.8 % of the first 1,000)`, shorter when it reads all of them.
fn parser(input: &InputSummary) -> String {
    let name = input.parser.as_deref().map_or_else(|| "-".to_owned(), safe);
    match input.detected {
        Some(detected) if detected.share_permille < 1000 => {
            let (whole, tenth) = (detected.share_permille / 10, detected.share_permille % 10);
            format!(
                "{name} ({whole}.{tenth} % of the first {})",
                count(detected.lines)
            )
        }
        Some(_) => format!("{name} (detected)"),
        None => name,
    }
}

fn remarks(input: &InputSummary, options: &TableOptions<'_>) -> String {
    let some = |n: u64, what: &str| (n > 0).then(|| format!("{} {what}", count(n)));
    let unparsed = some(input.unparsed, "unparsed").map(|text| {
        let share = percent(Decimal::whole(input.unparsed), Decimal::whole(input.lines));
        options.paint(Style::Warning, &format!("{text} ({share})"))
    });
    let error = input
        .error
        .as_deref()
        .map(|error| options.paint(Style::Bad, &format!("not read to its end: {}", safe(error))));
    let same = input.duplicate_of.as_deref();
    let remarks = [
        error,
        same.map(|path| format!("same content as {}, not counted again", safe(path))),
        unparsed,
        some(rejected(input), "rejected"),
        some(input.skipped, "skipped"),
        some(input.partial_lines, "read leniently"),
        Some(safe(&input.compression)).filter(|name| !name.is_empty() && name != "plain"),
    ];
    remarks.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// `… and 180 more files: 1,234 lines, 3 unparsed`.
fn rest(inputs: &[&InputSummary], options: &TableOptions<'_>) -> Option<String> {
    let sum =
        |of: fn(&InputSummary) -> u64| inputs.iter().map(|i| of(i)).fold(0, u64::saturating_add);
    let files = u64::try_from(inputs.len()).unwrap_or(u64::MAX);
    let lines = counted(sum(|input| input.lines), "line");
    let unparsed = match sum(|input| input.unparsed) {
        0 => String::new(),
        n => format!(", {} unparsed", count(n)),
    };
    let files_text = counted(files, "more file");
    (files > 0).then(|| format!("{} and {files_text}: {lines}{unparsed}", options.more()))
}

/// The identity of lines in words.
fn totals(inputs: &[InputSummary]) -> String {
    let sum = |of: fn(&InputSummary) -> u64| inputs.iter().map(of).fold(0, u64::saturating_add);
    let (lines, unparsed) = (sum(|input| input.lines), sum(|input| input.unparsed));
    let share = match unparsed {
        0 => String::new(),
        n => format!(" ({})", percent(Decimal::whole(n), Decimal::whole(lines))),
    };
    format!(
        "{} = {} parsed + {} unparsed{share} + {} skipped + {} rejected",
        counted(lines, "line"),
        count(sum(|input| input.parsed)),
        count(unparsed),
        count(sum(|input| input.skipped)),
        count(sum(rejected)),
    )
}

fn rejected(input: &InputSummary) -> u64 {
    input
        .rejected
        .iter()
        .map(|(_, n)| *n)
        .fold(0, u64::saturating_add)
}

fn range(summary: &Summary) -> String {
    let (Some(from), Some(to)) = (summary.from, summary.to) else {
        return "Nothing was counted.".to_owned();
    };
    let step = match summary.step {
        60 => "minute".to_owned(),
        3600 => "hour".to_owned(),
        86400 => "day".to_owned(),
        seconds => format!("windows of {seconds} s"),
    };
    let zone = safe(&summary.zone);
    format!(
        "{} to {}, by {step}; times below: {zone}",
        rfc3339(from),
        rfc3339(to)
    )
}
