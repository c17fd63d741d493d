//! Configurations, whole and wrong.

mod logs_wrong;
mod outputs_wrong;
mod tables_wrong;
mod whole;

use std::path::{Path, PathBuf};

use super::{Config, Environment};
use crate::diagnostic::{Diagnostic, SourceText, render};

/// The least that a file must say.
const LEAST: &str = "[[log]]\nname = \"a\"\npath = \"/a.log\"\n";

fn environment() -> Environment {
    let variables = [
        ("SECRET", "s3cret"),
        ("EMPTY", ""),
        ("SHOP", "x"),
        ("HOME", "/home/ada"),
        ("STATE_DIR", "/state"),
        ("FLUSH", "2s"),
        ("GRAPHITE_KEY", "k3y"),
    ];
    Environment {
        host: "web1.example.com".to_owned(),
        variables: variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        folder: PathBuf::from("/current"),
        is_root: false,
    }
}

fn read(text: &str) -> Result<Config, Vec<Diagnostic>> {
    let source = SourceText::new("beacontail.toml", text);
    Config::parse(&source, Path::new("/etc/beacontail"), &environment())
}

/// The picture of all mistakes.
#[track_caller]
fn check(text: &str, expected: &str) {
    let picture = render(&read(text).err().unwrap_or_default(), false);
    assert!(!picture.contains("s3cret"), "{picture}");
    assert_eq!(picture, expected, "\n{picture}");
}

/// The picture of all warnings of a file without mistakes.
#[track_caller]
fn check_warnings(text: &str, expected: &str) {
    let picture = render(&read(text).unwrap().warnings, false);
    assert_eq!(picture, expected, "\n{picture}");
}
