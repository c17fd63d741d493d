//! Rows 41 and 43: the kernel's events are missing or lost; the files are the truth.

use std::fs;
use std::process::Command;

use rustix::process::Signal;

use super::rotate::{Way, rotate};
use super::scene::{Scene, has, not_run_here};

/// Runs the daemon in a user namespace in which one inotify limit is 0.
fn without(limit: &str) {
    if !has("unshare") {
        return;
    }
    let shell = format!("echo 0 > /proc/sys/user/{limit} && exec \"$@\"");
    let words = ["unshare", "-Ur", "sh", "-c", &shell, "sh"];
    let probe = Command::new(words[0])
        .args(&words[1..])
        .arg("true")
        .status();
    if !probe.is_ok_and(|status| status.success()) {
        return not_run_here("no user namespace");
    }
    let mut scene = Scene::new();
    scene.agent.through = words.map(str::to_owned).to_vec();
    scene.writer.lines(10);
    scene.agent.start_ready();
    scene.counted();
    let scrape = scene.agent.scrape().unwrap();
    assert_eq!(scrape.value("beacontail_inotify"), Some(0.0));
    for _ in 0..3 {
        scene.writer.lines(20);
        rotate(&mut scene.writer, Way::Create, 0);
        scene.writer.lines(20);
    }
    scene.ends_exact();
}

#[test]
fn without_watches_the_agent_polls() {
    without("max_inotify_watches");
}

#[test]
fn without_instances_the_agent_polls() {
    without("max_inotify_instances");
}

#[test]
fn events_that_overflowed_are_made_up_for_by_looking() {
    let mut scene = Scene::started();
    scene.agent.signal(Signal::STOP);
    let other = scene.logs().join("noise");
    for _ in 0..10_000 {
        fs::write(&other, "x").unwrap();
        fs::remove_file(&other).unwrap();
    }
    scene.writer.lines(30);
    rotate(&mut scene.writer, Way::Create, 0);
    scene.writer.lines(30);
    scene.agent.signal(Signal::CONT);
    scene.ends_exact();
}

#[test]
fn a_wake_up_is_quicker_than_a_slow_poll() {
    let mut scene = Scene::new();
    scene
        .agent
        .config
        .set("agent.poll", super::config::quoted("1m"));
    scene.writer.lines(10);
    scene.agent.start_ready();
    scene.counted();
    if scene.agent.scrape().unwrap().value("beacontail_inotify") != Some(1.0) {
        return not_run_here("no inotify");
    }
    scene.writer.lines(10);
    scene.counted();
    scene.ends_exact();
}
