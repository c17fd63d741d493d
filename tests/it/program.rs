//! Running the program and reading what it wrote.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

/// How a run ended.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Ran {
    /// Standard output as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.out.clone()).expect("output is UTF-8")
    }

    /// Standard output as one JSON document.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.out)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.text(), self.err))
    }

    /// Standard output as one JSON document a line.
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let text = self.text();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Fails with everything that was written unless the exit code is this one.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Ran {
        assert_eq!(
            self.code,
            code,
            "stderr: {}\nstdout: {}",
            self.err,
            String::from_utf8_lossy(&self.out)
        );
        self
    }
}

/// Runs the program with these arguments.
pub(crate) fn run(args: &[impl AsRef<OsStr>]) -> Ran {
    run_with(args, b"")
}

/// Runs the program with these arguments and this standard input.
pub(crate) fn run_with(args: &[impl AsRef<OsStr>], input: &[u8]) -> Ran {
    run_in(&std::env::temp_dir(), args, input)
}

/// [`run_with`] with another folder for temporary files.
pub(crate) fn run_in(temporary: &Path, args: &[impl AsRef<OsStr>], input: &[u8]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_beacontail"))
        .args(args)
        .env("TMPDIR", temporary)
        .env("COLUMNS", "120")
        .env("LC_ALL", "C.UTF-8")
        .env_remove("RUST_BACKTRACE")
        .write_stdin(input)
        .output()
        .unwrap();
    let err = String::from_utf8(output.stderr).expect("messages are UTF-8");
    assert!(!err.contains("panicked"), "{err}");
    Ran {
        code: output.status.code().expect("no signal ended it"),
        out: output.stdout,
        err,
    }
}

/// `replay --output json` of a run that must succeed, its accounts checked.
#[track_caller]
pub(crate) fn replay(args: &[impl AsRef<OsStr>]) -> Value {
    replay_with(args, b"")
}

/// [`replay`] with standard input.
#[track_caller]
pub(crate) fn replay_with(args: &[impl AsRef<OsStr>], input: &[u8]) -> Value {
    let mut all: Vec<&OsStr> = vec!["replay".as_ref(), "--output=json".as_ref()];
    all.extend(args.iter().map(AsRef::as_ref));
    let document = run_with(&all, input).exits(0).json();
    accounts_for_every_line(&document);
    document
}

/// `lines = parsed + unparsed + skipped + Σ rejected` for every input.
#[track_caller]
pub(crate) fn accounts_for_every_line(document: &Value) {
    for input in document["inputs"].as_array().unwrap() {
        let n = |key: &str| input[key].as_u64().unwrap();
        let rejected: u64 = input["rejected"]
            .as_object()
            .unwrap()
            .values()
            .map(|n| n.as_u64().unwrap())
            .sum();
        assert_eq!(
            n("lines"),
            n("parsed") + n("unparsed") + n("skipped") + rejected,
            "{input}"
        );
    }
}

/// Series of one metric: labels as JSON → minute → value.
pub(crate) fn minutes(document: &Value, metric: &str) -> BTreeMap<String, BTreeMap<String, Value>> {
    let series = document["series"].as_array().unwrap().iter();
    series
        .filter(|series| series["metric"] == metric)
        .map(|series| {
            let minutes = series["minutes"].as_object().unwrap();
            let minutes = minutes.iter().map(|(time, n)| (time.clone(), n.clone()));
            (series["labels"].to_string(), minutes.collect())
        })
        .collect()
}

/// Total of a counter over all its series.
pub(crate) fn total(document: &Value, metric: &str) -> u64 {
    let series = document["series"].as_array().unwrap().iter();
    series
        .filter(|series| series["metric"] == metric)
        .map(|series| series["total"].as_u64().unwrap())
        .sum()
}

/// Total of the series of a counter that has these labels, 0 when there is none.
pub(crate) fn total_of(document: &Value, metric: &str, labels: &Value) -> u64 {
    let series = document["series"].as_array().unwrap().iter();
    series
        .filter(|series| series["metric"] == metric && series["labels"] == *labels)
        .map(|series| series["total"].as_u64().unwrap())
        .sum()
}

/// A file of the folder that `$BEACONTAIL_FIXTURES` names, `None` when there is no such folder.
pub(crate) fn foreign(path: &str) -> Option<PathBuf> {
    match std::env::var_os("BEACONTAIL_FIXTURES") {
        Some(folder) => Some(Path::new(&folder).join(path)),
        None => {
            left_out("BEACONTAIL_FIXTURES is not set");
            None
        }
    }
}

/// Says that a test was left out; a failure where everything must be there.
pub(crate) fn left_out(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
    eprintln!("left out: {why}");
}

/// A file of `fixtures/`.
pub(crate) fn own(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
}

/// `--parsers` with the parser files of these tests.
pub(crate) fn test_parsers() -> String {
    format!("--parsers={}/tests/it/parsers", env!("CARGO_MANIFEST_DIR"))
}

/// A folder of this test's own, and ways to fill it.
pub(crate) struct Folder(pub(crate) TempDir);

impl Folder {
    pub(crate) fn new() -> Folder {
        Folder(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file and returns its path.
    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        if let Some(parent) = Path::new(&path).parent() {
            std::fs::create_dir_all(parent).unwrap();
        }
        std::fs::write(&path, bytes).unwrap();
        path
    }
}
