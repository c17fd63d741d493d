//! The table of who may import whom, and what the core never touches.
//!
//! Reads the sources: a module that reaches for one above it fails here, not in a review.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail wherever it likes")]

use std::fs;
use std::path::{Path, PathBuf};

/// What each folder or file of `src/` may import; `commands`, `lib` and `main` may import all.
const MAY_IMPORT: [(&str, &[&str]); 10] = [
    ("record", &[]),
    ("diagnostic", &[]),
    ("geo", &[]),
    ("source", &[]),
    ("definition", &["diagnostic"]),
    ("metrics", &["definition"]),
    ("parse", &["record", "definition", "diagnostic"]),
    (
        "rule",
        &["record", "metrics", "geo", "definition", "diagnostic"],
    ),
    ("pipeline", &["parse", "rule", "metrics", "record"]),
    ("sinks", &["metrics", "diagnostic", "definition"]),
];

/// Folders that do no I/O, read no clock and start no thread.
const CORE: [&str; 7] = [
    "record",
    "parse",
    "rule",
    "metrics",
    "pipeline",
    "definition",
    "geo",
];

/// Files of the core that read files when something is loaded.
const LOADERS: [&str; 3] = [
    "definition/catalog.rs",
    "geo/database.rs",
    "geo/standard.rs",
];

const OUTSIDE: [&str; 5] = [
    "std::fs",
    "std::net::Tcp",
    "std::thread",
    "SystemTime",
    "Instant",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Path below `src/` and the code of each file, its tests and comments left out.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    let read = |path: PathBuf| {
        let name = path
            .strip_prefix(&root)
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let lines = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        (name, lines.collect::<Vec<_>>().join("\n"))
    };
    let files = found.into_iter().map(read);
    files.filter(|(name, _)| !is_for_tests(name)).collect()
}

/// Modules that only tests are built with.
fn is_for_tests(name: &str) -> bool {
    name.ends_with("/made.rs") || name.ends_with("/tests.rs") || name.ends_with("/samples.rs")
}

/// The folder or file of `src/` that a path below it belongs to.
fn area(name: &str) -> &str {
    name.split('/').next().unwrap().trim_end_matches(".rs")
}

/// Names that follow `crate::` in a file, those of a braced list too.
fn imports(code: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect()
    };
    let mut names = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        // `$crate::` and `other_crate::` are something else.
        if code[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
            continue;
        }
        match rest.strip_prefix('{') {
            Some(list) => names.extend(list.split(['{', '}', ',']).map(|part| word(part.trim()))),
            None => names.push(word(rest)),
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn arrows_point_down() {
    let mut wrong = Vec::new();
    for (name, code) in files() {
        let area = area(&name);
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(known, _)| *known == area) else {
            let known = ["commands", "cli", "lib", "main"].contains(&area);
            assert!(
                known,
                "{name}: `{area}` has no line in the table of imports"
            );
            continue;
        };
        for import in imports(&code) {
            if import != area && !allowed.contains(&import.as_str()) {
                wrong.push(format!("src/{name} imports `{import}`"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "not in the table of imports:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_core_reads_no_file_and_no_clock_and_starts_no_thread() {
    let mut wrong = Vec::new();
    for (name, code) in files() {
        if !CORE.contains(&area(&name)) || LOADERS.contains(&name.as_str()) {
            continue;
        }
        for word in OUTSIDE {
            if code.contains(word) {
                wrong.push(format!("src/{name} names `{word}`"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "no place for this in the core:\n{}",
        wrong.join("\n")
    );
}
