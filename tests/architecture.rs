//! ARCHITECTURE.md held to the code: its arrows, its invariants' tests, its length.
//!
//! The page is read as text and so are the sources: `crate::NAME` is a use of a module, `fn NAME` a
//! test. What stands behind `#[cfg(test)]` may use anything. Nothing here is compiled or run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Modules without I/O, clock and threads.
const CORE: [&str; 5] = ["record", "parse", "rule", "metrics", "pipeline"];

/// What the core must not name. Addresses (`std::net::IpAddr`) are values, not I/O.
const OUTSIDE: [&str; 9] = [
    "std::fs",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant",
    "TcpStream",
    "UdpSocket",
    "File::open",
    "env::var",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the page can be read")
}

/// Rust files below a folder.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return files;
    };
    for path in entries.map(|entry| entry.expect("sources can be read").path()) {
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Modules of the library and their text, tests aside.
fn modules() -> BTreeMap<String, String> {
    let source = root().join("src");
    let mut modules: BTreeMap<String, String> = BTreeMap::new();
    for path in rust_files(&source) {
        let inside = path.strip_prefix(&source).expect("it was found there");
        let first = inside.iter().next().expect("a file has a name");
        let name = Path::new(first).file_stem().expect("a file has a name");
        let name = name.to_string_lossy().into_owned();
        let is_test = inside.ends_with("tests.rs") || inside.ends_with("made.rs");
        if !is_test && name != "lib" && name != "main" {
            modules
                .entry(name)
                .or_default()
                .push_str(&without_tests(&path));
        }
    }
    modules
}

/// A file up to the module of its unit tests, which stands at its end.
fn without_tests(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("sources can be read");
    let mut kept = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let next = lines.peek().copied().unwrap_or_default();
        if line == "#[cfg(test)]" && next.starts_with("mod ") && next.ends_with('{') {
            break;
        }
        kept.push_str(line);
        kept.push('\n');
    }
    kept
}

/// Words in backticks.
fn quoted(text: &str) -> Vec<String> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// The map's rows of three columns: a module and those it uses.
fn map() -> BTreeMap<String, BTreeSet<String>> {
    let page = page();
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix('|')?.split('|').collect();
        let [module, _, uses, _] = cells.as_slice() else {
            return None;
        };
        let module = quoted(module).into_iter().next()?;
        Some((module, quoted(uses).into_iter().collect()))
    });
    rows.collect()
}

/// Modules that a text names as `crate::NAME`.
fn uses(text: &str) -> BTreeSet<String> {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let names = code
        .flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            rest.split_at(end.unwrap_or(rest.len())).0.to_owned()
        });
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn modules_use_only_what_the_map_says() {
    let (map, modules) = (map(), modules());
    let named: Vec<&String> = map.keys().collect();
    assert_eq!(
        named,
        modules.keys().collect::<Vec<_>>(),
        "the map has every module"
    );
    for (module, text) in &modules {
        let mut used = uses(text);
        used.remove(module);
        let allowed = map.get(module).expect("just compared");
        assert!(
            !text.contains("crate::{"),
            "{module}: write one `use crate::…` for each module"
        );
        let upward: Vec<_> = used.difference(allowed).collect();
        assert!(upward.is_empty(), "`{module}` uses {upward:?}");
        let idle: Vec<_> = allowed.difference(&used).collect();
        assert!(idle.is_empty(), "`{module}` does not use {idle:?}");
    }
}

#[test]
fn the_map_has_no_circle() {
    let mut map = map();
    while !map.is_empty() {
        let leaves: Vec<String> = map
            .iter()
            .filter(|(_, uses)| uses.is_empty())
            .map(|(module, _)| module.clone())
            .collect();
        assert!(!leaves.is_empty(), "a circle among {:?}", map.keys());
        for leaf in leaves {
            map.remove(&leaf);
            map.values_mut().for_each(|uses| {
                uses.remove(&leaf);
            });
        }
    }
}

#[test]
fn the_core_touches_nothing_outside() {
    let modules = modules();
    for module in CORE {
        let code = modules.get(module).expect("the core exists").lines();
        let code = code.filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            let found = OUTSIDE.iter().find(|name| line.contains(**name));
            assert_eq!(found, None, "in `{module}`: {line}");
        }
    }
}

#[test]
fn this_page_names_tests_that_exist() {
    let mut files = rust_files(&root().join("src"));
    files.extend(rust_files(&root().join("tests")));
    let text: String = files
        .iter()
        .map(|path| fs::read_to_string(path).expect("sources can be read"))
        .collect();
    let page = page();
    let (_, invariants) = page.split_once("## Invariants").expect("the page has them");
    let (invariants, _) = invariants.split_once("\n## ").expect("more follows");
    let tests: Vec<String> = quoted(invariants)
        .into_iter()
        .filter(|name| name.matches('_').count() > 1)
        .collect();
    assert!(tests.len() > 20, "invariants name their tests");
    let missing: Vec<_> = tests
        .iter()
        .filter(|name| !text.contains(&format!("fn {name}(")))
        .collect();
    assert!(missing.is_empty(), "no such tests: {missing:?}");
    let numbered = invariants
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
    assert!(numbered.count() > 15, "invariants are numbered");
}

#[test]
fn the_page_is_short_and_its_links_lead_somewhere() {
    let page = page();
    assert!(page.lines().count() < 200);
    for link in page.split("](").skip(1) {
        let (target, _) = link.split_once(')').expect("a link ends");
        assert!(root().join(target).exists(), "{target}");
    }
}
