//! What was not counted, and why: near misses, unusable values, rejected and unparsed lines.

use super::blocks::Block;
use super::grid::GAP;
use super::{Style, TableOptions, safe};
use crate::diagnostic::Untrusted;
use crate::metrics::Metric;
use crate::sinks::text::{clipped, clipped_left, count, counted, width};
use crate::sinks::{InputSummary, Sample, Summary};

/// Unparsed lines shown of one input.
const SAMPLES_OF_INPUT: usize = 5;

/// Unparsed lines shown in all.
const SAMPLES: usize = 10;

/// True for the counters of lines that nearly matched a rule.
pub(super) fn is_near_misses(metric: &Metric) -> bool {
    metric.name.ends_with("_near_misses_total")
}

/// The sections, empty ones included.
pub(super) fn sections(
    blocks: &[Block],
    summary: &Summary,
    options: &TableOptions<'_>,
) -> Vec<Vec<String>> {
    let near = blocks.iter().filter(|block| is_near_misses(&block.metric));
    let mut sections: Vec<Vec<String>> = near.map(|block| near_misses(block, options)).collect();
    sections.push(remarks(summary));
    sections.push(unparsed(&summary.inputs, options));
    sections
}

fn near_misses(block: &Block, options: &TableOptions<'_>) -> Vec<String> {
    let name = options.paint(Style::Title, &block.metric.name);
    let mut lines = vec![format!("{name}{GAP}{}", safe(&block.metric.help))];
    lines.extend(
        block
            .rows
            .iter()
            .map(|row| format!("{GAP}{}", block.brief(row))),
    );
    lines.extend(block.others_brief().map(|others| format!("{GAP}{others}")));
    lines
}

fn remarks(summary: &Summary) -> Vec<String> {
    let mut lines = Vec::new();
    let rejected = rejected(&summary.inputs);
    if !rejected.is_empty() {
        lines.push(format!("Rejected lines: {}", named(&rejected)));
    }
    let errors: Vec<(&str, u64)> = summary
        .value_errors
        .iter()
        .map(|(metric, n)| (metric.as_str(), *n))
        .collect();
    if !errors.is_empty() {
        lines.push(format!("Unusable values: {}", named(&errors)));
    }
    if summary.ambiguous_times > 0 {
        let times = counted(summary.ambiguous_times, "line");
        lines.push(format!(
            "{times} in the repeated hour of a clock change, counted in its first occurrence"
        ));
    }
    lines
}

fn named(numbers: &[(&str, u64)]) -> String {
    let named = numbers
        .iter()
        .map(|(name, n)| format!("{} {}", safe(name), count(*n)));
    named.collect::<Vec<_>>().join(", ")
}

/// Rejected lines of all inputs by reason, in order of appearance.
fn rejected(inputs: &[InputSummary]) -> Vec<(&str, u64)> {
    let mut sums: Vec<(&str, u64)> = Vec::new();
    for (reason, n) in inputs
        .iter()
        .flat_map(|input| &input.rejected)
        .filter(|(_, n)| *n > 0)
    {
        match sums.iter_mut().find(|(known, _)| known == reason) {
            Some((_, sum)) => *sum = sum.saturating_add(*n),
            None => sums.push((reason, *n)),
        }
    }
    sums
}

/// Samples with a caret under the byte that was not expected.
fn unparsed(inputs: &[InputSummary], options: &TableOptions<'_>) -> Vec<String> {
    let of_input = |input| InputSummary::samples_shown(input).map(move |sample| (input, sample));
    let samples: Vec<_> = inputs.iter().flat_map(of_input).take(SAMPLES).collect();
    if samples.is_empty() {
        return Vec::new();
    }
    let all = inputs
        .iter()
        .map(|input| input.unparsed)
        .fold(0, u64::saturating_add);
    let shown = u64::try_from(samples.len()).unwrap_or(u64::MAX);
    let title = format!(
        "Unparsed lines, {} of {}",
        count(shown),
        count(all.max(shown))
    );
    let mut lines = vec![options.paint(Style::Title, &title)];
    for (input, sample) in samples {
        let (path, reason) = (safe(&input.path), safe(&sample.reason));
        lines.push(format!(
            "{GAP}{path} @ byte {}: {reason}; line:",
            sample.offset
        ));
        lines.extend(picture(sample, options));
    }
    lines
}

impl InputSummary {
    fn samples_shown(&self) -> impl Iterator<Item = &Sample> {
        self.samples.iter().take(SAMPLES_OF_INPUT)
    }
}

/// The line around its fault, and the caret; no caret when the fault lies beyond what was kept.
fn picture(sample: &Sample, options: &TableOptions<'_>) -> Vec<String> {
    let line = sample.line_start.as_slice();
    let at = character_start(line, sample.at);
    let (before, after) = line.split_at_checked(at).unwrap_or((line, &[]));
    let (before, after) = (Untrusted(before).to_string(), Untrusted(after).to_string());
    let room = options.width.saturating_sub(2 * GAP.len()).max(20);
    let too_long = width(&before) + width(&after) > room;
    let least = if too_long { room * 2 / 3 } else { room };
    let before = clipped_left(&before, least, options.more());
    let after = clipped(&after, room.saturating_sub(width(&before)), options.more());
    let mut lines = vec![format!("{GAP}{GAP}{before}{after}")];
    if sample.at <= line.len() {
        let caret = options.paint(Style::Bad, "^");
        lines.push(format!("{GAP}{GAP}{}{caret}", " ".repeat(width(&before))));
    }
    lines
}

/// The start of the character that byte `at` belongs to, so that it is not shown in halves. No
/// character has more than three bytes after its first.
fn character_start(line: &[u8], at: usize) -> usize {
    let begins = |at: &usize| line.get(*at).is_none_or(|byte| byte & 0xc0 != 0x80);
    (at.saturating_sub(3)..=at).rev().find(begins).unwrap_or(at)
}
