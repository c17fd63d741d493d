//! Rows 10, 11 and 14: the log is copied and cut to nothing under a writer that holds it open.

use std::fs;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;

use super::agent::{DEADLINE, eventually, pause};
use super::rotate::{Way, compress, copytruncate, numbered, rotate, shift, truncate};
use super::scene::Scene;
use super::writer::{Line, base};

#[test]
fn copied_lines_are_finished_from_the_copy() {
    let mut scene = Scene::started();
    for _ in 0..5 {
        scene.writer.lines(40);
        rotate(&mut scene.writer, Way::CopyTruncate, 0);
        scene.writer.lines(15);
    }
    scene.ends_exact();
}

#[test]
fn a_copy_made_while_the_agent_was_down_is_finished() {
    let mut scene = Scene::started();
    scene.agent.kill();
    for _ in 0..3 {
        scene.writer.lines(40);
        copytruncate(&scene.log());
        scene.writer.lines(15);
    }
    scene.agent.start_ready();
    scene.ends_exact();
}

#[test]
fn a_compressed_copy_is_finished_too() {
    let mut scene = Scene::started();
    scene.agent.signal(Signal::STOP);
    scene.writer.lines(40);
    copytruncate(&scene.log());
    compress(&numbered(&scene.log(), 1));
    scene.writer.lines(15);
    scene.agent.signal(Signal::CONT);
    scene.ends_exact();
}

#[test]
fn a_log_regrown_past_the_offset_is_seen_as_another() {
    let mut scene = Scene::started();
    scene.writer.lines(20);
    scene.counted();
    scene.agent.signal(Signal::STOP);
    copytruncate(&scene.log());
    scene.writer.lines(300);
    scene.agent.signal(Signal::CONT);
    scene.ends_exact();
}

#[test]
fn a_log_regrown_while_the_agent_was_down_is_seen_as_another() {
    let mut scene = Scene::started();
    scene.writer.lines(20);
    scene.counted();
    scene.agent.kill();
    truncate(&scene.log());
    scene.writer.lines(300);
    scene.agent.start_ready();
    scene.ends_exact();
}

#[test]
fn a_truncation_without_a_copy_is_a_gap_and_what_follows_counts() {
    let mut scene = Scene::started();
    scene.agent.signal(Signal::STOP);
    scene.writer.lines(30);
    truncate(&scene.log());
    scene.writer.lose_last(30);
    scene.writer.lines(4);
    scene.agent.signal(Signal::CONT);
    scene.counted();
    let gap = |scrape: &super::scrape::Scrape| scrape.sum("beacontail_gaps_total", &[]) >= 1.0;
    scene.agent.scrapes("a gap is counted", gap);
    scene.ends_exact();
}

#[test]
fn a_truncation_of_what_was_read_is_no_gap() {
    let mut scene = Scene::started();
    scene.writer.lines(30);
    scene.counted();
    copytruncate(&scene.log());
    scene.writer.lines(4);
    scene.counted();
    let scrape = scene.agent.scrape().unwrap();
    let lost = scrape.sum("beacontail_gap_bytes_total", &[]);
    assert!(lost <= 0.0, "{lost} bytes");
    scene.ends_exact();
}

/// The race that nobody wins: lines that are appended between the copy and the cut. What is in
/// no file at the end may or may not have been read; what is in one must count, and nothing twice.
#[test]
fn a_racing_writer_loses_only_what_nobody_could_read() {
    let mut scene = Scene::started();
    let log = scene.log();
    scene.writer.reopen();
    let start = scene.writer.truth.lines;
    let stop = AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let racing = scope.spawn(|| {
            let mut file = fs::OpenOptions::new().append(true).open(&log).unwrap();
            let mut n: u64 = 1_000_000;
            while !stop.load(Ordering::Relaxed) {
                let line = format!("{}\n", Line::of(n, base()).text(0));
                file.write_all(line.as_bytes()).unwrap();
                n += 1;
            }
            n - 1_000_000
        });
        for _ in 0..6 {
            pause(60);
            shift(&log);
            fs::copy(&log, numbered(&log, 1)).unwrap();
            truncate(&log);
        }
        stop.store(true, Ordering::Relaxed);
        racing.join().unwrap()
    });
    let mut survived = std::collections::BTreeSet::new();
    for entry in fs::read_dir(scene.logs()).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        // A copy may end inside of a line.
        let whole = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        survived.extend(whole.map(str::to_owned));
    }
    let survived = survived.len();
    let agent = &mut scene.agent;
    let count = |agent: &mut super::agent::Agent| {
        agent.scrape().map_or(0.0, |scrape| {
            scrape.sum("beacontail_lines_total", &["result=\"parsed\""])
        })
    };
    let float = |n: usize| f64::from(u32::try_from(n).unwrap());
    let most = float(usize::try_from(start + written).unwrap());
    eventually(DEADLINE, "what survived is counted", || {
        let counted = count(agent);
        assert!(counted <= most, "{counted} of {most}");
        if counted >= float(survived) {
            return Ok(());
        }
        Err(format!(
            "{counted} counted, {survived} survived, {most} written"
        ))
    });
    pause(300);
    let counted = count(agent);
    assert!(
        counted >= float(survived) && counted <= most,
        "{survived} {counted} {most}"
    );
    agent.term();
}
