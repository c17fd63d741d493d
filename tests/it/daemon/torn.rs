//! Rows 8 and 30 to 32: lines that come in pieces, lines that are none, lines without an end.

use std::io::Write;

use super::agent::pause;
use super::rotate::{Way, rotate};
use super::scene::Scene;

#[test]
fn a_line_torn_over_restarts_is_counted_once() {
    let mut scene = Scene::started();
    for after in [1, 40, 80, 120] {
        scene.writer.lines(3);
        scene.writer.tear(after);
        scene.counted();
        scene.agent.kill();
        scene.agent.start_ready();
        scene.counted();
        scene.writer.mend();
        scene.counted();
    }
    scene.ends_exact();
}

#[test]
fn a_line_whose_end_arrives_last_is_counted_once() {
    let mut scene = Scene::started();
    scene.writer.tear(usize::MAX);
    scene.agent.term();
    scene.agent.start_ready();
    scene.counted();
    scene.writer.mend();
    scene.ends_exact();
}

#[test]
fn a_line_torn_by_a_rotation_is_finished_in_the_old_file() {
    let mut scene = Scene::started();
    scene.writer.tear(50);
    rotate(&mut scene.writer, Way::Linger, 2);
    scene.writer.lines(5);
    scene.ends_exact();
}

#[test]
fn an_end_that_never_comes_counts_nothing_and_is_told() {
    let mut scene = Scene::started();
    scene.writer.tear(50);
    scene.writer.abandon();
    super::rotate::rename_and_create(&scene.log());
    scene.writer.reopen();
    scene.writer.lines(5);
    scene.counted();
    let torn = |scrape: &super::scrape::Scrape| {
        scrape.sum("beacontail_gaps_total", &["reason=\"torn\""]) >= 1.0
    };
    scene.agent.scrapes("the torn line is a gap", torn);
    scene.ends_exact();
}

#[test]
fn bytes_written_one_by_one_make_lines() {
    let mut scene = Scene::started();
    for after in (1..200).step_by(9) {
        scene.writer.tear(after);
        pause(5);
        scene.writer.mend();
    }
    scene.ends_exact();
}

#[test]
fn garbage_between_lines_disturbs_no_line() {
    let mut scene = Scene::started();
    let long = [b"x".repeat(60_000), b"\n".to_vec()].concat();
    let pieces: [(&[u8], usize); 7] = [
        (b"\0\0\0\0\n", 1),
        (b"\x1b[2J\x1b]0;title\x07\n", 1),
        (b"\xff\xfe\xc3\n", 1),
        (b"198.51.100.1 - - [99/Nov/2026:00:00:00 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\" \"-\" 0.1\n", 1),
        (b"198.51.100.1 - - [31/Feb/2026:00:00:00 +9999] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\" \"-\" 0.1\n", 1),
        (b"\n\n", 2),
        (&long, 1),
    ];
    for (bytes, lines) in pieces {
        scene.writer.lines(10);
        scene.writer.raw(bytes, lines);
    }
    scene.writer.lines(10);
    scene.ends_exact();
}

/// Writes a line of this many bytes without its end.
fn endless(scene: &mut Scene, megabytes: usize) {
    scene.writer.mend();
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(scene.log())
        .unwrap();
    let block = vec![b'x'; 1 << 20];
    (0..megabytes).for_each(|_| file.write_all(&block).unwrap());
}

#[test]
fn an_endless_line_costs_no_memory_and_counts_once_over_a_kill() {
    let mut scene = Scene::started();
    scene.writer.lines(20);
    scene.counted();
    let before = scene.agent.rss();
    let megabytes = if super::random::long() { 512 } else { 128 };
    endless(&mut scene, megabytes);
    pause(100);
    scene.agent.is_alive();
    scene.agent.kill();
    scene.agent.start_ready();
    endless(&mut scene, megabytes);
    scene.writer.raw(b"\n", 1);
    scene.writer.lines(20);
    scene.counted();
    let peak = scene.agent.rss_peak();
    assert!(
        peak < before + 96 * 1024,
        "{before} KiB before, {peak} at most"
    );
    let too_long = |scrape: &super::scrape::Scrape| {
        scrape.sum("beacontail_rejected_total", &["reason=\"too_long\""]) == 1.0
    };
    scene.agent.scrapes("it is one rejected line", too_long);
    scene.ends_exact();
}

#[test]
fn a_hole_of_zeros_disturbs_no_line() {
    let mut scene = Scene::started();
    scene.writer.lines(10);
    let len = std::fs::metadata(scene.log()).unwrap().len();
    scene.writer.set_len(len + (8 << 20));
    scene.writer.raw(b"\n", 1);
    scene.writer.lines(10);
    scene.ends_exact();
}
