//! A warm pipeline allocates nothing for a line.
//!
//! A counting allocator sees every block of the shipped nginx-cdn format through all its rule sets:
//! labels lower-cased and mapped, a regex for the POP, the client walk, places of addresses, near
//! misses. The first pass may allocate as it likes; a second one over the same lines must not.
#![allow(
    unsafe_code,
    reason = "the only way to see an allocation is an allocator"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use beacontail::definition::Catalog;
use beacontail::geo::{AddressSet, GeoCache, GeoDatabases, Trust};
use beacontail::parse::{Format, Zone};
use beacontail::pipeline::{Counter, Pipeline, TimeRange, Windows};
use beacontail::rule::{Environment, Evaluator, RuleSource, Rules, register};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; counting touches a thread-local
// number that needs no memory of its own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises about `place`, `layout` and `size` are passed on.
        unsafe { System.realloc(place, layout, size) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises about `place` and `layout` are passed on.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Debug)]
struct Minutes;

impl Windows for Minutes {
    fn start(&mut self, seconds: i64) -> i64 {
        seconds.div_euclid(60) * 60
    }
}

/// A database of countries, when the folder of test databases is there.
fn databases() -> Arc<GeoDatabases> {
    let folder = std::env::var_os("BEACONTAIL_FIXTURES").map(PathBuf::from);
    let file = folder.map(|folder| folder.join("mmdb/test-data/GeoIP2-Country-Test.mmdb"));
    let opened =
        file.map(|file| GeoDatabases::open(&[file]).expect("a database of the test folder"));
    Arc::new(opened.unwrap_or_else(|| {
        println!("without a geo database: BEACONTAIL_FIXTURES names no folder");
        GeoDatabases::default()
    }))
}

fn pipeline(parser: &str, sets: &[&str]) -> Pipeline<Minutes> {
    let (catalog, mistakes) = Catalog::open(&[]);
    assert!(mistakes.is_empty());
    let format =
        Format::compile(&catalog.format(parser).expect("shipped").definition).expect("shipped");
    let overrides = BTreeMap::new();
    let source = RuleSource {
        sets: sets
            .iter()
            .map(|set| &catalog.rule_set(set).expect("shipped").definition)
            .collect(),
        overrides: &overrides,
        only: &[],
        by: None,
        file_labels: &[],
    };
    let mut metrics = register(&source).expect("shipped");
    let mut rules = Rules::compile(&source, &format, &mut metrics).expect("shipped");
    rules.number(&Arc::new(metrics));
    let environment = Environment {
        trusted: Arc::new(Trust {
            proxies: AddressSet::parse(["private", "203.0.113.0/24"]).expect("addresses"),
            ..Trust::default()
        }),
        file_labels: Vec::new(),
    };
    let reader = format.reader(&rules.wanted, &Zone::utc());
    let evaluator = Evaluator::new(Arc::new(rules), environment, GeoCache::new(databases()));
    let range = TimeRange::asked(i64::MIN, i64::MAX);
    Pipeline::new(vec![Counter::new(reader, evaluator)], range, Minutes, None)
}

/// Lines of one hour: beacons, near misses, requests, escapes, upper case, cut and foreign lines.
fn lines() -> Vec<u8> {
    let mut lines = Vec::new();
    for n in 0..3000u32 {
        let address = format!(
            "{}.{}.{}.{}",
            [2, 81, 216, 10][n as usize % 4],
            n % 7,
            n % 11,
            n % 250
        );
        let time = format!("31/Oct/2013:07:{:02}:{:02} +0000", n / 60 % 60, n % 60);
        let source = ["Fastly", "akamai", "nobody%20we+know", "", "CLOUDFRONT"][n as usize % 5];
        let target = match n % 6 {
            0 => {
                format!("/status/images/beacon.gif?source={source}&server_identity=cache-ny{n}-NYC")
            }
            1 => format!(
                "/status/images/beacon.gif?server_identity=x-{n}-iad&beacon_source={source}"
            ),
            2 => format!("/shop/\\x22item\\x22?id={n}"),
            3 => "http://www.example.com/status/images/beacon.gif?source=edgecast".to_owned(),
            4 => "/healthz".to_owned(),
            _ => format!("/{}", "long".repeat(20)),
        };
        let status = [200, 304, 404, 429, 499, 500, 503][n as usize % 7];
        let provider = ["fastly", "AKAMAI", "-", "unheard of"][n as usize % 4];
        let line = format!(
            "{address} - - [{time}] \"GET {target} HTTP/1.1\" {status} {n} \"-\" \"agent \\x5C {n}\" \"{provider}\" 0.{n:03}\n"
        );
        match n % 50 {
            7 => lines.extend_from_slice(b"not a line of this format\n"),
            8 => lines.extend_from_slice(&line.as_bytes()[..line.len() - 25]),
            _ => {}
        }
        lines.extend_from_slice(line.as_bytes());
    }
    lines
}

/// Allocations of a second pass over the same lines.
fn warm_allocations(pipeline: &mut Pipeline<Minutes>, lines: &[u8]) -> u64 {
    pipeline.block(lines, 0, &mut |_, _, _, _| {});
    let before = ALLOCATIONS.get();
    pipeline.block(lines, lines.len() as u64, &mut |_, _, _, _| {});
    ALLOCATIONS.get() - before
}

#[test]
fn warm_lines_allocate_nothing() {
    let mut pipeline = pipeline("nginx-cdn", &["beacon", "origin", "origin-geo"]);
    let lines: Vec<u8> = {
        let whole = lines();
        // Cut lines are read by the cold path, which may allocate; they have a test of their own.
        let kept = whole.split_inclusive(|&byte| byte == b'\n').filter(|line| {
            line.ends_with(b"\n") && line.iter().filter(|&&b| b == b'[').count() != 2
        });
        kept.flatten().copied().collect()
    };
    let allocations = warm_allocations(&mut pipeline, &lines);
    assert!(pipeline.counts.parsed > 5000, "{:?}", pipeline.counts);
    assert_eq!(allocations, 0);
}

#[test]
fn cold_paths_allocate_less_than_twice_a_line() {
    let mut pipeline = pipeline("nginx-cdn", &["beacon", "origin", "origin-geo"]);
    let lines = lines();
    let count = lines.iter().filter(|&&byte| byte == b'\n').count() as u64;
    let allocations = warm_allocations(&mut pipeline, &lines);
    assert!(allocations < count / 5, "{allocations} for {count} lines");
}

#[test]
fn what_is_counted_by_the_allocator_is_seen() {
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(Vec::<u8>::with_capacity(100)));
    assert_eq!(ALLOCATIONS.get() - before, 1);
}
