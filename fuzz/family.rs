//! What each fuzz target does with its bytes, shared with the test that replays the corpus.
//!
//! The first line of an input chooses the format, the rest are lines of a log. A first line that begins
//! with `=` is a layout of the family as a user would write it; any other picks one of the family's
//! shipped formats by its first byte. Whatever the bytes are: nothing panics, spans lie inside the line,
//! a line that is read twice is the same twice, every line is accounted for once, however the text is
//! cut into blocks, and mistakes in a layout can be drawn.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use beacontail::definition::{Catalog, LayoutDefinition};
use beacontail::diagnostic::render;
use beacontail::geo::GeoCache;
use beacontail::parse::{Envelopes, Format, Line, Zone};
use beacontail::pipeline::{Counter, LineCounts, Pipeline, TimeRange, Windows};
use beacontail::record::{Fields as _, Span};
use beacontail::rule::{Environment, Evaluator, RuleSource, Rules, register};

/// The families, one fuzz target each.
pub(crate) const FAMILIES: [&str; 10] = [
    "nginx",
    "apache",
    "haproxy",
    "varnishncsa",
    "envoy",
    "json",
    "w3c",
    "csv",
    "logfmt",
    "regex",
];

/// Bytes of a record in pieces.
const LIMIT: usize = 1 << 16;

#[derive(Debug)]
struct Minutes;

impl Windows for Minutes {
    fn start(&mut self, seconds: i64) -> i64 {
        seconds.div_euclid(60).saturating_mul(60)
    }
}

fn shipped() -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    CATALOG.get_or_init(|| Catalog::open(&[]).0)
}

fn family_of(layout: &LayoutDefinition) -> &'static str {
    match layout {
        LayoutDefinition::Server { dialect, .. } => dialect.name(),
        LayoutDefinition::Regex { .. } => "regex",
        LayoutDefinition::Json { .. } => "json",
        LayoutDefinition::W3c { .. } => "w3c",
        LayoutDefinition::Columns(_) => "csv",
        LayoutDefinition::Logfmt { .. } => "logfmt",
    }
}

/// A format and rules that count its lines.
struct Counted {
    format: Format,
    rules: Arc<Rules>,
}

/// The shipped formats of a family, compiled once.
fn formats(family: &str) -> &'static [Counted] {
    static ALL: OnceLock<BTreeMap<&'static str, Vec<Counted>>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for definition in shipped().formats().map(|entry| &entry.definition) {
            let format = Format::compile(definition).expect("shipped formats compile");
            if let Some(rules) = rules(&format) {
                let family = family_of(&definition.layout.value);
                all.entry(family)
                    .or_default()
                    .push(Counted { format, rules });
            }
        }
        all
    });
    all.get(family).map_or(&[], Vec::as_slice)
}

/// The first rule sets that find their fields in the format: error logs have no requests to count.
fn rules(format: &Format) -> Option<Arc<Rules>> {
    let choices = [
        &["beacon", "origin", "edge"][..],
        &["errors"],
        &["etsy-beacon"],
        &["reports"],
    ];
    choices.into_iter().find_map(|names| {
        let sets = names
            .iter()
            .filter_map(|name| shipped().rule_set(name).ok());
        let source = RuleSource {
            sets: sets.map(|set| &set.definition).collect(),
            overrides: &BTreeMap::new(),
            only: &[],
            by: None,
            file_labels: &[],
        };
        let mut metrics = register(&source).ok()?;
        let mut rules = Rules::compile(&source, format, &mut metrics).ok()?;
        rules.number(&Arc::new(metrics));
        Some(Arc::new(rules))
    })
}

/// A format file with this layout.
fn file(family: &str, layout: &str) -> String {
    let layout = match family {
        "json" | "w3c" | "csv" | "logfmt" => layout.to_owned(),
        _ => format!("'''{}'''", layout.replace("'''", "")),
    };
    format!(
        "description = \"fuzzed\"\nrules = [\"beacon\", \"origin\"]\nformat.{family} = {layout}\n"
    )
}

/// A layout as its author wrote it: the format, or mistakes that can be drawn.
fn written(family: &str, layout: &str) -> Option<Format> {
    static CATALOG: OnceLock<Mutex<Catalog>> = OnceLock::new();
    let catalog = CATALOG.get_or_init(|| Mutex::new(Catalog::default()));
    let mut catalog = catalog.lock().unwrap_or_else(PoisonError::into_inner);
    let made = catalog
        .add_text("fuzzed", "fuzzed.toml", &file(family, layout))
        .and_then(|()| {
            let entry = catalog.format("fuzzed").map_err(|mistake| vec![mistake])?;
            Format::compile(&entry.definition)
        });
    match made {
        Ok(format) => Some(format),
        Err(mistakes) => {
            assert!(!render(&mistakes, true).is_empty());
            None
        }
    }
}

/// Runs one input.
pub(crate) fn run(family: &str, data: &[u8]) {
    let (head, lines) = match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &b""[..]),
    };
    if let Some(layout) = head.strip_prefix(b"=") {
        let layout = std::str::from_utf8(layout).ok();
        if let Some(format) = layout.and_then(|layout| written(family, layout)) {
            each_line_is_the_same_twice(&format, lines);
        }
        return;
    }
    let all = formats(family);
    let picked = usize::from(head.first().copied().unwrap_or_default());
    if let Some(counted) = all.get(picked % all.len().max(1)) {
        each_line_is_the_same_twice(&counted.format, lines);
        every_line_is_accounted_for(counted, lines);
    }
}

fn each_line_is_the_same_twice(format: &Format, lines: &[u8]) {
    let names = format.names();
    let mut reader = format.reader(&names, &Zone::utc());
    let mut spans = vec![Span::ABSENT; reader.spans()];
    let mut value = Vec::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let read = reader.read(line, &mut spans);
        let Ok(Line::Record(reading)) = read else {
            continue;
        };
        let time = reader.time(line, &spans);
        for (name, span) in names.iter().zip(&spans) {
            assert!(
                span.is_absent() || span.of(line).is_some(),
                "{name} lies outside the line"
            );
            if let (Some(raw), Some(kind)) = (span.of(line), format.field(name)) {
                value.clear();
                kind.escape.decode_into(raw, &mut value);
            }
        }
        let mut again = vec![Span::ABSENT; reader.spans()];
        assert_eq!(reader.read(line, &mut again), Ok(Line::Record(reading)));
        assert_eq!(again, spans);
        assert_eq!(reader.time(line, &again).is_ok(), time.is_ok());
    }
}

fn pipeline(counted: &Counted) -> Pipeline<Minutes> {
    let reader = counted.format.reader(&counted.rules.wanted, &Zone::utc());
    let evaluator = Evaluator::new(
        Arc::clone(&counted.rules),
        Environment::default(),
        GeoCache::new(Arc::default()),
    );
    let counters = vec![Counter::new(reader, evaluator)];
    let always = TimeRange::asked(i64::MIN, i64::MAX);
    Pipeline::new(counters, always, Minutes, None).with_envelopes(Envelopes::new(LIMIT))
}

/// Lines as the pipeline counts them: a last one without a line end is one, too.
fn every_line_is_accounted_for(counted: &Counted, text: &[u8]) {
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let all = lines.clone().count() as u64;
    let count = |blocks: &mut dyn Iterator<Item = &[u8]>| -> LineCounts {
        let mut pipeline = pipeline(counted);
        let mut position = 0;
        for block in blocks {
            pipeline.block(block, position, &mut |_, _, _, _| {});
            position += block.len() as u64;
        }
        pipeline.counts
    };
    let whole = count(&mut std::iter::once(text));
    assert_eq!(whole.lines(), all, "{whole:?}");
    assert_eq!(
        count(&mut lines.clone()),
        whole,
        "counts depend on the blocks"
    );
}
