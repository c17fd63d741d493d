//! Row 17: the real logrotate, in each of its modes, while the daemon runs and while it is down.
//!
//! With `copytruncate` the server writes nothing between copy and truncation: nobody could read that.

use std::process::Command;

use super::agent::{DEADLINE, eventually};
use super::components::{have, script};
use super::scene::Scene;

/// Rotates the log of the scene once.
#[track_caller]
fn rotate(scene: &mut Scene, mode: &str) {
    let (folder, log) = (scene.folder(), scene.log());
    let args = [folder.join("logrotate"), log];
    let [folder, log] = args.each_ref().map(|path| path.to_str().unwrap());
    let said = scene.folder().join("logrotate.out");
    script("rotate.sh", &[folder, log, mode], &said).unwrap_or_else(|error| panic!("{error}"));
    if mode != "copytruncate" {
        scene.writer.reopen();
    }
}

/// Waits until the name that `dateext` would choose is another one: its unit is the second.
fn second_passes(of: i64) {
    eventually(DEADLINE, "a second passes", || {
        let now = jiff::Timestamp::now().as_second();
        (now > of).then_some(()).ok_or_else(|| now.to_string())
    });
}

/// Lines, a rotation, and lines. The server may end a line in the old file, except where nobody
/// could read that any more.
fn round(scene: &mut Scene, mode: &str, n: usize) {
    scene.writer.lines(50 + n);
    if !["copytruncate", "compress"].contains(&mode) {
        scene.writer.tear(20 + n);
    }
    rotate(scene, mode);
    scene.writer.lines(n % 3);
    if mode == "dateext" {
        second_passes(jiff::Timestamp::now().as_second());
    }
}

/// Rotations in front of a running daemon, a stopped one and a killed one.
fn rotations(mode: &str) {
    if !have(&["logrotate", "gzip"]) {
        return;
    }
    let mut scene = Scene::started();
    for n in 0..3 {
        round(&mut scene, mode, n);
    }
    scene.counted();
    // Five old logs are kept; two go by while nobody looks.
    scene.agent.term();
    for n in 3..5 {
        round(&mut scene, mode, n);
    }
    scene.agent.start_ready();
    scene.counted();
    scene.writer.lines(40);
    scene.agent.kill();
    round(&mut scene, mode, 5);
    scene.agent.start_ready();
    round(&mut scene, mode, 6);
    let ls = Command::new("ls").arg("-la").arg(scene.logs()).output();
    let ls = String::from_utf8_lossy(&ls.unwrap().stdout).into_owned();
    let rotated = ls.lines().filter(|line| line.contains("access.log"));
    assert_eq!(rotated.count(), 6, "the log and five old ones:\n{ls}");
    scene.ends_exact();
}

#[test]
fn logrotate_create_is_exact() {
    rotations("create");
}

#[test]
fn logrotate_compress_is_exact() {
    rotations("compress");
}

#[test]
fn logrotate_delaycompress_is_exact() {
    rotations("delaycompress");
}

#[test]
fn logrotate_dateext_is_exact() {
    rotations("dateext");
}

#[test]
fn logrotate_copytruncate_is_exact() {
    rotations("copytruncate");
}
