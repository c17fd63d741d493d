//! Query parameters as a person's own tool reads them: `arg_NAME` is the first value that Python's
//! `urllib.parse.parse_qsl` gives for the name.

#![expect(
    clippy::disallowed_methods,
    reason = "the other reader is a process; the program under test starts none"
)]

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::program::{Folder, left_out, run_with};

/// Prints 5,000 query strings, each with the name asked for and its first value.
const PYTHON: &str = r"
import json, random
from urllib.parse import parse_qsl
random.seed(20131031)
pieces = ['a', 'b', 'source', 'x', '=', '=', '&', '&', '+', '%20', '%2B', '%26', '%3D', '%41', '%c3%a9',
          '%C3', '%', '%4', '%zz', ';', '?', '/', ':', '.', '-', '~', 'é', '%00', '1', '%2', '#', '[0]', ',']
for _ in range(5000):
    query = ''.join(random.choice(pieces) for _ in range(random.randrange(24)))
    pairs = parse_qsl(query, keep_blank_values=True, errors='surrogateescape', separator='&')
    for name in ('a', 'source', 'x'):
        value = next((value for key, value in pairs if key == name), '')
        print(json.dumps([query, name, value.encode('utf-8', 'surrogateescape').hex()]))
";

/// Query, name, and the bytes of the value; `None` without Python.
fn cases() -> Option<Vec<(String, String, Vec<u8>)>> {
    let run = Command::new("python3")
        .args(["-X", "utf8", "-c", PYTHON])
        .stderr(Stdio::inherit())
        .output();
    let Ok(output) = run else {
        left_out("no python3");
        return None;
    };
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let case = |line: &str| {
        let case: Value = serde_json::from_str(line).unwrap();
        let word = |at: usize| case[at].as_str().unwrap().to_owned();
        let hex = word(2);
        let bytes = (0..hex.len()).step_by(2);
        let bytes = bytes.map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
        (word(0), word(1), bytes.collect())
    };
    Some(text.lines().map(case).collect())
}

/// A label's value as `explain` prints it.
fn shown(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[test]
fn parameters_are_those_that_python_reads() {
    let Some(cases) = cases() else { return };
    let folder = Folder::new();
    folder.file(
        "query.toml",
        "description = 'a query string'\nrules = ['query']\nformat.json = { time = 't', query = 'q' }\n\
         [time]\nformat = 'epoch'\n",
    );
    let metric = |name: &str| {
        format!(
            "[[metric]]\nname = '{name}_total'\nhelp = 'x'\nlabels = {{ value = 'arg_{name}' }}\n"
        )
    };
    let rules = ["a", "source", "x"].map(metric).concat();
    folder.file("rules/query.toml", format!("description = 'x'\n{rules}"));
    let mut lines = Vec::new();
    for (query, ..) in cases.iter().step_by(3) {
        let line = serde_json::json!({ "t": 1_383_203_202, "q": query });
        writeln!(lines, "{line}").unwrap();
    }
    let parsers = folder.path("");
    let args = [
        "explain",
        "--json",
        "--parsers",
        &parsers,
        "--parser",
        "query",
    ];
    let ran = run_with(&args, &lines);
    let lines = ran.exits(0).json_lines();
    assert_eq!(lines.len() * 3, cases.len());
    for (number, (query, name, value)) in cases.iter().enumerate() {
        let counts = lines[number / 3]["counts"].as_object().unwrap();
        // An empty value is an absent one.
        let value = if value.is_empty() {
            "unknown".to_owned()
        } else {
            shown(value)
        };
        let expected = format!("{name}_total{{value=\"{value}\"}}");
        assert!(
            counts.contains_key(&expected),
            "{query}: {expected} is not in {counts:?}"
        );
    }
}
