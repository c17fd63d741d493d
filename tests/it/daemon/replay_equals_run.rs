//! The daemon and `replay` count the same in the same lines, minute by minute.

use std::collections::BTreeMap;

use super::rotate::{Way, rotate};
use super::scene::Scene;
use super::truth::PREFIX;
use crate::program::run;

#[test]
fn a_replay_of_what_was_followed_sends_the_same_points() {
    let mut scene = Scene::started();
    scene.writer.raw(b"no line at all\n", 1);
    for way in [Way::Create, Way::Compress, Way::Linger, Way::DelayCompress] {
        scene.writer.lines(130);
        rotate(&mut scene.writer, way, 5);
        scene.writer.lines(20);
    }
    scene.counted();
    scene.sent();
    scene.is_sound();
    scene.agent.term();
    let logs = scene.logs();
    let ran = run(&[
        "replay",
        logs.to_str().unwrap(),
        "--parser=nginx-cdn",
        "--output=graphite",
        &format!("--prefix={PREFIX}"),
    ])
    .exits(0);
    let mut replayed = BTreeMap::new();
    for line in ran.text().lines() {
        let parts: Vec<&str> = line.split(' ').collect();
        let value: f64 = parts[1].parse().unwrap();
        if value > 0.0 {
            replayed.insert(
                (parts[0].to_owned(), parts[2].parse().unwrap()),
                value.to_string(),
            );
        }
    }
    let mut followed = BTreeMap::new();
    for ((path, minute), value) in scene.carbon.points() {
        if value > 0.0 && !path.contains(".beacontail.") {
            followed.insert((path, minute), value.to_string());
        }
    }
    assert_eq!(followed, replayed);
}
