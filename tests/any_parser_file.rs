//! Parser files that nobody meant: shipped ones with lines dropped, doubled and swapped, bytes
//! changed, and lines that no server wrote. Each ends in mistakes with a picture, or in rules that
//! count; never in a panic.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail wherever it likes"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use beacontail::definition::Catalog;
use beacontail::diagnostic::{Diagnostic, render};
use beacontail::geo::GeoCache;
use beacontail::parse::{Format, Zone};
use beacontail::pipeline::{Counter, Pipeline, TimeRange, Windows};
use beacontail::rule::{Environment, Evaluator, RuleSource, Rules, register};
use proptest::prelude::*;

#[derive(Debug)]
struct Minutes;

impl Windows for Minutes {
    fn start(&mut self, seconds: i64) -> i64 {
        seconds.div_euclid(60).saturating_mul(60)
    }
}

fn shipped(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    paths.sort();
    let name = |path: &PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    paths
        .iter()
        .map(|path| (name(path), std::fs::read_to_string(path).unwrap()))
        .collect()
}

/// What is done to a text.
#[derive(Clone, Debug)]
enum Change {
    Drop(prop::sample::Index),
    Double(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Write(prop::sample::Index, &'static str),
    Cut(prop::sample::Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<prop::sample::Index>;
    let pieces = vec![
        "\"", "'", "$", "{", "}", "[", "]", "=", "\n", "\\", "%", "#", ",", "0", "-1", "1e400",
        "é", "\u{0}", "(?", "*", "$http_", "{x}",
    ];
    prop_oneof![
        index().prop_map(Change::Drop),
        index().prop_map(Change::Double),
        (index(), index()).prop_map(|(a, b)| Change::Swap(a, b)),
        (index(), prop::sample::select(pieces)).prop_map(|(at, text)| Change::Write(at, text)),
        (index(), 1usize..12).prop_map(|(at, length)| Change::Cut(at, length)),
    ]
}

fn changed(text: &str, changes: &[Change]) -> String {
    let mut text = text.to_owned();
    for change in changes {
        let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        if lines.is_empty() {
            return text;
        }
        let place = |index: &prop::sample::Index| {
            (0..=text.len())
                .filter(|&at| text.is_char_boundary(at))
                .nth(index.index(text.chars().count() + 1))
                .unwrap()
        };
        match change {
            Change::Drop(at) => {
                lines.remove(at.index(lines.len()));
                text = lines.concat();
            }
            Change::Double(at) => {
                let at = at.index(lines.len());
                lines.insert(at, lines[at].clone());
                text = lines.concat();
            }
            Change::Swap(a, b) => {
                let (a, b) = (a.index(lines.len()), b.index(lines.len()));
                lines.swap(a, b);
                text = lines.concat();
            }
            Change::Write(at, piece) => {
                let at = place(at);
                text.insert_str(at, piece);
            }
            Change::Cut(at, length) => {
                let at = place(at);
                text = text[..at]
                    .chars()
                    .chain(text[at..].chars().skip(*length))
                    .collect();
            }
        }
    }
    text
}

/// Counts the lines with a format and its rule sets, as far as they can be compiled.
fn count(
    folder: &Path,
    format: &str,
    sets: &[String],
    lines: &[u8],
) -> Result<u64, Vec<Diagnostic>> {
    let (catalog, mut mistakes) = Catalog::open(&[folder.to_owned()]);
    let definition = &catalog
        .format(format)
        .map_err(|mistake| {
            mistakes.push(mistake);
            std::mem::take(&mut mistakes)
        })?
        .definition;
    let format = Format::compile(definition)?;
    let overrides = BTreeMap::new();
    let sets = sets.iter().filter_map(|name| catalog.rule_set(name).ok());
    let source = RuleSource {
        sets: sets.map(|set| &set.definition).collect(),
        overrides: &overrides,
        only: &[],
        by: None,
        file_labels: &[],
    };
    let mut metrics = register(&source)?;
    let mut rules = Rules::compile(&source, &format, &mut metrics)?;
    rules.number(&Arc::new(metrics));
    let reader = format.reader(&rules.wanted, &Zone::utc());
    let literal = rules.literal.clone();
    let evaluator = Evaluator::new(
        Arc::new(rules),
        Environment::default(),
        GeoCache::new(Arc::default()),
    );
    let range = TimeRange::asked(i64::MIN, i64::MAX);
    let counters = vec![Counter::new(reader, evaluator)];
    let mut pipeline = Pipeline::new(counters, range, Minutes, literal.as_deref());
    pipeline.block(lines, 0, &mut |_, _, _, mismatch| {
        drop(format.explain(mismatch))
    });
    for counter in pipeline.counters() {
        counter.table.write_run(&mut Vec::new()).unwrap();
    }
    Ok(pipeline.counts.lines())
}

/// The lines of all shipped examples, and some of nobody.
fn lines(formats: &[(String, String)]) -> Vec<u8> {
    let mut lines = Vec::new();
    for (_, text) in formats {
        for line in text
            .lines()
            .filter_map(|line| line.strip_prefix("line = '"))
        {
            lines.extend_from_slice(line.trim_end_matches('\'').as_bytes());
            lines.push(b'\n');
        }
    }
    lines.extend_from_slice(
        b"\n\x00\x00\n\xff\xfe\n{\"a\":\n#Fields: date time\n[31/Oct/2013:07:06:42 +0000] \"\n",
    );
    lines
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_parser_file_ends_in_mistakes_or_counts(
        which in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        format_changes in prop::collection::vec(change(), 0..4),
        rule_changes in prop::collection::vec(change(), 0..4),
    ) {
        let (formats, sets) = (shipped("parsers"), shipped("parsers/rules"));
        let (format, text) = &formats[which.0.index(formats.len())];
        let (set, rules) = &sets[which.1.index(sets.len())];
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("rules")).unwrap();
        std::fs::write(folder.path().join(format!("{format}.toml")), changed(text, &format_changes)).unwrap();
        std::fs::write(folder.path().join(format!("rules/{set}.toml")), changed(rules, &rule_changes)).unwrap();
        let lines = lines(&formats);
        match count(folder.path(), format, std::slice::from_ref(set), &lines) {
            Ok(counted) => {
                let all = lines.iter().filter(|&&byte| byte == b'\n').count() as u64;
                prop_assert_eq!(counted, all, "every line is accounted for once");
            }
            Err(mistakes) => {
                prop_assert!(!mistakes.is_empty());
                prop_assert!(render(&mistakes, false).contains("error"));
            }
        }
    }
}

#[test]
fn every_shipped_format_reads_the_lines_of_all_others() {
    let formats = shipped("parsers");
    // The talk's rules count a field that only the talk's regex has, those of reports what only reports have.
    let sets = shipped("parsers/rules").into_iter().map(|(name, _)| name);
    let sets: Vec<String> = sets
        .filter(|name| !["etsy-beacon", "reports"].contains(&name.as_str()))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let lines = lines(&formats);
    for (format, _) in &formats {
        if let Err(mistakes) = count(folder.path(), format, &sets, &lines) {
            panic!("{format}: {}", render(&mistakes, false));
        }
    }
}
