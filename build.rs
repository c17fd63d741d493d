//! Lists the shipped parser files, so that adding one needs no line of code.
//!
//! Invariant: `shipped.rs` names every `parsers/*.toml` and `parsers/rules/*.toml`, by name. The
//! files are not read here; the compiler includes them.
#![allow(
    clippy::print_stdout,
    reason = "standard output is how a build script talks to cargo"
)]

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = folder("CARGO_MANIFEST_DIR")?.join("parsers");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=parsers");
    let formats = table("FORMATS", &root)?;
    let rule_sets = table("RULE_SETS", &root.join("rules"))?;
    fs::write(folder("OUT_DIR")?.join("shipped.rs"), formats + &rule_sets)
}

fn folder(variable: &str) -> io::Result<PathBuf> {
    env::var_os(variable)
        .map(PathBuf::from)
        .ok_or(io::ErrorKind::NotFound.into())
}

/// `static NAME` with the name and the text of each TOML file in a folder.
fn table(name: &str, folder: &Path) -> io::Result<String> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|end| end == "toml"));
    paths.sort();
    let rows: String = paths.iter().map(|path| row(path)).collect();
    Ok(format!("static {name}: &[(&str, &str)] = &[\n{rows}];\n"))
}

fn row(path: &Path) -> String {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    format!(
        "    ({name:?}, include_str!({:?})),\n",
        path.to_string_lossy()
    )
}
