//! Damaged, hostile and missing inputs: a message that names file and place, exit 1, and no half
//! result that looks whole. The same content given twice is counted once.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use assert_cmd::Command;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::generated::log;
use crate::program::{Folder, accounts_for_every_line, replay, run, run_with, total};

const REQUESTS: &str = "cdn_origin_requests_total";

fn gz(text: &[u8]) -> Vec<u8> {
    let mut archive = GzEncoder::new(Vec::new(), Compression::default());
    archive.write_all(text).unwrap();
    archive.finish().unwrap()
}

/// Fails with exit 1, nothing on standard output, and one message that holds all the words.
#[track_caller]
fn refuses(path: &str, words: &[&str]) {
    for output in ["table", "json", "csv", "openmetrics"] {
        let ran = run(&["replay", path, "-o", output]).exits(1);
        assert_eq!(ran.text(), "", "{output}");
        assert!(ran.err.starts_with("error: "), "{}", ran.err);
        for word in words {
            assert!(ran.err.contains(word), "{word}: {}", ran.err);
        }
    }
}

/// With `--partial` the counts are there and marked, and the exit code is still 1.
#[track_caller]
fn shows_a_part(path: &str) -> Value {
    let json = run(&["replay", path, "--partial", "-o", "json"]).exits(1);
    let document = json.json();
    accounts_for_every_line(&document);
    assert_eq!(document["partial"], true);
    assert!(document["inputs"][0]["error"].is_string());
    let table = run(&["replay", path, "--partial"]).exits(1).text();
    assert!(table.contains("The counts are incomplete"), "{table}");
    document
}

#[test]
fn a_cut_archive_names_its_file_and_place() {
    let folder = Folder::new();
    let archive = gz(log(3000, 30, 1).as_bytes());
    let path = folder.file("cut.log.gz", &archive[..20_000]);
    refuses(
        &path,
        &[
            &path,
            "cut gzip archive",
            "after 20000 compressed bytes",
            "of the text",
        ],
    );
    let part = shows_a_part(&path);
    assert!(total(&part, REQUESTS) > 100 && total(&part, REQUESTS) < 2900);
}

#[test]
fn a_corrupt_archive_names_its_file_and_place() {
    let folder = Folder::new();
    let mut archive = gz(log(3000, 30, 1).as_bytes());
    for byte in &mut archive[20_000..20_040] {
        *byte = !*byte;
    }
    let path = folder.file("corrupt.log.gz", &archive);
    refuses(&path, &[&path, "corrupt gzip archive", "compressed bytes"]);
    shows_a_part(&path);
}

#[test]
fn garbage_behind_an_archive_names_its_place() {
    let folder = Folder::new();
    let archive = gz(log(1000, 30, 1).as_bytes());
    let path = folder.file("tail.log.gz", [&archive, &b"what is this"[..]].concat());
    let at = format!("after {} compressed bytes", archive.len());
    refuses(&path, &[&path, "trailing garbage", &at]);
    let part = shows_a_part(&path);
    assert_eq!(part["inputs"][0]["lines"], 1000);
}

#[test]
fn zeros_behind_an_archive_are_padding() {
    let folder = Folder::new();
    let archive = gz(log(1000, 30, 1).as_bytes());
    let path = folder.file("padded.log.gz", [archive, vec![0; 4096]].concat());
    assert_eq!(replay(&[path])["inputs"][0]["lines"], 1000);
}

#[test]
fn a_bomb_is_refused_before_it_fills_anything() {
    let folder = Folder::new();
    // A gigabyte and more, in a megabyte: the same member seventy times.
    let member = gz(&vec![0; 16 << 20]);
    let path = folder.file("bomb.gz", member.repeat(70));
    let ran = run(&["replay", &path, "-p", "nginx-combined"]).exits(1);
    assert_eq!(ran.text(), "");
    assert!(
        ran.err.contains("bomb.gz") && ran.err.contains("200 times its size"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("compressed bytes"), "{}", ran.err);
}

#[test]
fn missing_files_are_all_named() {
    let ran = run(&["replay", "/nowhere/a.log", "/nowhere/b.log"]).exits(1);
    assert_eq!(ran.text(), "");
    for path in ["/nowhere/a.log", "/nowhere/b.log"] {
        assert!(ran.err.contains(path), "{}", ran.err);
    }
}

#[test]
fn a_pattern_without_files_is_an_error() {
    let folder = Folder::new();
    refuses(&folder.path("*.log"), &["*.log", "no file matches"]);
}

#[test]
fn a_file_that_is_no_access_log_is_left_out_of_a_folder_and_refused_by_name() {
    let folder = Folder::new();
    folder.file("access.log", log(100, 5, 1));
    let errors = folder.file(
        "mail.log",
        "Oct 31 07:06:42 mx postfix/smtpd[7]: connect from unknown\n",
    );
    let document = replay(&[folder.path("")]);
    let inputs = document["inputs"].as_array().unwrap();
    assert_eq!(inputs.len(), 2);
    assert_eq!(inputs[0]["lines"], 100);
    assert_eq!(
        (&inputs[1]["parser"], &inputs[1]["lines"]),
        (&Value::Null, &Value::from(0))
    );
    assert!(
        document["notices"].to_string().contains("mail.log"),
        "{}",
        document["notices"]
    );
    refuses(&errors, &["mail.log", "no parser reads"]);
    let only = Folder::new();
    only.file(
        "mail.log",
        "Oct 31 07:06:42 mx postfix/smtpd[7]: connect from unknown\n",
    );
    refuses(&only.path(""), &["mail.log", "no parser reads"]);
}

#[test]
fn a_pattern_finds_its_files() {
    let folder = Folder::new();
    folder.file("a.log", log(100, 5, 1));
    folder.file("b.log", log(200, 5, 2));
    folder.file("c.txt", "nothing of ours");
    let document = replay(&[folder.path("*.log")]);
    assert_eq!(document["inputs"].as_array().unwrap().len(), 2);
}

#[test]
fn a_folder_holds_its_files_and_those_of_its_folders() {
    let folder = Folder::new();
    folder.file("host1/access.log", log(100, 5, 1));
    folder.file("host2/access.log.1.gz", gz(log(200, 5, 2).as_bytes()));
    let document = replay(&[folder.0.path()]);
    let lines: Vec<_> = document["inputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|input| &input["lines"])
        .collect();
    assert_eq!(lines, [100, 200]);
}

#[test]
fn a_label_is_taken_from_the_path() {
    let folder = Folder::new();
    folder.file("web1/access.log", log(100, 5, 1));
    folder.file("web2/access.log", log(200, 5, 2));
    let pattern = r"--label=host=@/(web\d)/";
    let document = replay(&[
        folder.0.path().to_str().unwrap(),
        pattern,
        "--by=host",
        "--metric",
        REQUESTS,
    ]);
    let hosts: Vec<_> = document["series"]
        .as_array()
        .unwrap()
        .iter()
        .map(|series| &series["labels"]["host"])
        .collect();
    assert_eq!(hosts, ["web1", "web2"]);
}

#[test]
fn pipes_and_sockets_are_refused_at_once() {
    let folder = Folder::new();
    let pipe = folder.path("pipe.log");
    Command::new("mkfifo").arg(&pipe).assert().success();
    refuses(&pipe, &["pipe.log", "is a pipe"]);
    let socket = folder.path("socket.log");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    refuses(&socket, &["socket.log", "is a socket"]);
}

#[test]
fn an_unreadable_file_is_an_error() {
    let folder = Folder::new();
    let path = folder.file("secret.log", log(100, 5, 1));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser reads everything.
    if std::fs::File::open(&path).is_err() {
        refuses(&path, &["secret.log", "cannot be opened"]);
    }
}

#[test]
fn empty_inputs_are_no_error() {
    let folder = Folder::new();
    let path = folder.file("empty.log", "");
    let document = replay(&[&path]);
    assert_eq!(document["inputs"][0]["lines"], 0);
    assert_eq!(document["series"], serde_json::json!([]));
    run(&["replay", &path]).exits(0);
    run_with(&["replay", "-"], b"").exits(0);
}

/// A log and its archive, both above 64 KiB.
fn twice(folder: &Folder) -> (String, String) {
    let text = log(2000, 30, 5);
    assert!(text.len() > 64 << 10);
    let plain = folder.file("access.log.1", &text);
    (plain, folder.file("access.log.1.gz", gz(text.as_bytes())))
}

#[test]
fn a_log_and_its_archive_are_counted_once() {
    let folder = Folder::new();
    let (plain, archive) = twice(&folder);
    let once = replay(&[&plain]);
    for order in [[&plain, &archive], [&archive, &plain]] {
        let both = replay(&order);
        assert_eq!(both["series"], once["series"]);
        assert_eq!(both["inputs"][0]["duplicate_of"], Value::Null);
        assert_eq!(both["inputs"][1]["duplicate_of"], order[0].as_str());
        assert_eq!(both["inputs"][1]["lines"], 0);
        assert!(
            both["notices"].to_string().contains("--keep-duplicates"),
            "{}",
            both["notices"]
        );
    }
    let table = run(&["replay", &plain, &archive]).exits(0).text();
    assert!(table.contains("same content as"), "{table}");
}

#[test]
fn duplicates_are_counted_when_asked_for() {
    let folder = Folder::new();
    let (plain, archive) = twice(&folder);
    let once = total(&replay(&[&plain]), REQUESTS);
    let both = replay(&[&plain, &archive, "--keep-duplicates"]);
    assert_eq!(total(&both, REQUESTS), 2 * once);
    assert_eq!(both["inputs"][1]["duplicate_of"], Value::Null);
}

#[test]
fn a_hard_link_is_counted_once_however_short() {
    let folder = Folder::new();
    let path = folder.file("a.log", log(50, 5, 1));
    let link = folder.path("b.log");
    std::fs::hard_link(&path, &link).unwrap();
    let document = replay(&[&path, &link]);
    assert_eq!(document["inputs"][1]["duplicate_of"], path.as_str());
    assert_eq!(document["series"], replay(&[&path])["series"]);
}

#[test]
fn short_logs_that_look_alike_are_both_counted() {
    let folder = Folder::new();
    let text = log(50, 5, 1);
    let (a, b) = (folder.file("a.log", &text), folder.file("b.log", &text));
    assert_eq!(
        total(&replay(&[&a, &b]), REQUESTS),
        2 * total(&replay(&[&a]), REQUESTS)
    );
}
