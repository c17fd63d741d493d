//! `kit`: the error page with its beacon, and what servers and CDNs need for it.
//!
//! Invariant: all or nothing. A kit is written into a folder beside its own and renamed; a folder that
//! somebody else made is never touched, and one of an earlier kit only with `--force`. Nothing is sent
//! anywhere.

mod contents;
mod fill;
mod languages;
mod order;
mod page;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use crate::cli::KitArgs;
use crate::diagnostic::Untrusted;

use contents::{File, HEADING, kit};
use order::Order;

use super::{Done, Failure, print, say_all};

/// Runs the command.
pub(super) fn run(args: &KitArgs) -> Result<Done, Failure> {
    let order = Order::read(args)?;
    say_all(&order.doubts());
    may_be_written(&args.out, args.force)?;
    let mut files = Vec::new();
    let mut notes = Vec::new();
    for provider in &order.providers {
        let mut made = kit(&order, provider);
        if order.is_for_all {
            for file in &mut made.files {
                file.name = format!("{provider}/{}", file.name);
            }
        }
        files.append(&mut made.files);
        notes.append(&mut made.notes);
    }
    if order.is_for_all {
        files.push(File {
            name: "README.md".to_owned(),
            bytes: overview(&order).into_bytes(),
        });
    }
    write(&args.out, &files)?;
    print(summary(&args.out, &files, &notes).as_bytes())?;
    Ok(Done::Complete)
}

/// The README above several kits.
fn overview(order: &Order) -> String {
    let mut text = format!("{HEADING}a folder for each provider\n\n");
    for provider in &order.providers {
        text.push_str(&format!("* [{provider}]({provider}/README.md)\n"));
    }
    text + "\nThe pixel and the lines for the origin's servers are the same in all of them.\n"
}

fn summary(out: &Path, files: &[File], notes: &[String]) -> String {
    let mut text = String::new();
    for note in notes {
        text.push_str(&format!("note: {note}\n"));
    }
    let out = out.to_string_lossy();
    let out = Untrusted(out.trim_end_matches('/').as_bytes());
    text.push_str(&format!("{} files in {out}\n", files.len()));
    text.push_str(&format!("next: read {out}/README.md\n"));
    text
}

/// Refuses a folder that holds something, unless it is a kit and may be replaced.
fn may_be_written(out: &Path, force: bool) -> Result<(), Failure> {
    let refused = |message: &str, help: &str| {
        let out = out.to_string_lossy();
        Err(Failure::Refused {
            code: 2,
            message: format!("{}: {message}", Untrusted(out.as_bytes())),
            help: Some(help.to_owned()),
        })
    };
    if out.file_name().is_none() {
        return refused("no name for a folder", "name one: --out kit");
    }
    match fs::symlink_metadata(out) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return refused(
                &format!("cannot be looked at: {error}"),
                "name another folder",
            );
        }
        Ok(found) if !found.is_dir() => return refused("is no folder", "name another folder"),
        Ok(_) => {}
    }
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_none()) {
        return Ok(());
    }
    let readme = fs::read_to_string(out.join("README.md")).unwrap_or_default();
    if !readme.starts_with(HEADING) {
        return refused("is there, and is no beacon kit", "name another folder");
    }
    if force {
        return Ok(());
    }
    refused(
        "has a beacon kit already",
        "--force puts the new one in its place, and everything else in the folder is gone",
    )
}

/// Writes the files into a new folder beside `out`, then puts it there.
fn write(out: &Path, files: &[File]) -> Result<(), Failure> {
    let parent = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let put = || -> anyhow::Result<()> {
        fs::create_dir_all(parent)?;
        let new = tempfile::Builder::new()
            .prefix(".kit-")
            .tempdir_in(parent)?;
        let folder = new.path().join("new");
        for file in files {
            let path = folder.join(&file.name);
            fs::create_dir_all(path.parent().ok_or_else(|| anyhow!("no folder"))?)?;
            fs::write(&path, &file.bytes)?;
        }
        // Servers read the page as users of their own.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
        replace(out, &folder, &new.path().join("old"))
    };
    let result = put().with_context(|| {
        format!(
            "{}: not written",
            Untrusted(out.to_string_lossy().as_bytes())
        )
    });
    result.map_err(Failure::Other)
}

/// Puts `new` in the place of `out`, whose content goes to `old`; when that fails, `out` is as it was.
fn replace(out: &Path, new: &Path, old: &PathBuf) -> anyhow::Result<()> {
    match fs::rename(out, old) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(fs::rename(new, out)?),
        Err(error) => return Err(error.into()),
    }
    fs::rename(new, out).or_else(|error| {
        fs::rename(old, out)?;
        Err(error.into())
    })
}
