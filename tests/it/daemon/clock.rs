//! Rows 49 and 50: the machine's clock steps, and lines name times in every way.

use std::path::Path;

use super::agent::pause;
use super::scene::{Scene, not_run_here};

#[test]
fn offsets_name_the_same_minute_in_utc() {
    let mut scene = Scene::started();
    let base = scene.writer.base();
    for (hours, minutes) in [
        (0, 0),
        (1, 0),
        (-5, 0),
        (5, 30),
        (-9, -30),
        (12, 45),
        (14, 0),
        (-12, 0),
    ] {
        let offset = hours * 3600 + minutes * 60;
        let local = jiff::Timestamp::from_second(base + offset).unwrap();
        let zone = format!(
            "{}{:02}{:02}",
            if offset < 0 { '-' } else { '+' },
            i64::abs(hours),
            i64::abs(minutes)
        );
        let written = format!("{} {zone}", local.strftime("%d/%b/%Y:%H:%M:%S"));
        scene.writer.line_written(base, &written);
    }
    scene.ends_exact();
}

#[test]
fn a_far_future_is_rejected_and_moves_nothing() {
    let mut scene = Scene::started();
    let line = super::writer::Line::of(1, 4_000_000_000).text(0);
    scene.writer.raw(format!("{line}\n").as_bytes(), 1);
    scene.writer.lines(100);
    scene.counted();
    let scrape = scene.agent.scrape().unwrap();
    let future = scrape.sum("beacontail_rejected_total", &["reason=\"future\""]);
    assert!((future - 1.0).abs() < 0.5, "{future}");
    scene.ends_exact();
}

#[test]
fn a_far_past_is_rejected_as_too_late() {
    let mut scene = Scene::started();
    let line = super::writer::Line::of(1, 1_383_203_160).text(0);
    scene.writer.raw(format!("{line}\n").as_bytes(), 1);
    scene.writer.lines(100);
    scene.counted();
    let scrape = scene.agent.scrape().unwrap();
    let late = scrape.sum("beacontail_rejected_total", &["reason=\"too_late\""]);
    assert!((late - 1.0).abs() < 0.5, "{late}");
    scene.ends_exact();
}

/// Row 49: the wall clock steps under the running daemon. Only the wall clock is faked.
#[test]
fn a_stepping_clock_changes_no_count() {
    let library = [
        "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
        "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
        "/usr/lib/faketime/libfaketimeMT.so.1",
    ];
    let Some(library) = library.into_iter().find(|path| Path::new(path).exists()) else {
        return not_run_here("libfaketime is not installed");
    };
    let mut scene = Scene::new();
    let stamp = scene.folder().join("faketime");
    std::fs::write(&stamp, "+0").unwrap();
    for (name, value) in [
        ("LD_PRELOAD", library),
        ("FAKETIME_TIMESTAMP_FILE", stamp.to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ] {
        scene
            .agent
            .environment
            .push((name.to_owned(), value.to_owned()));
    }
    scene.writer.lines(10);
    scene.agent.start_ready();
    for step in ["+7200", "-10800", "-86400", "+0"] {
        std::fs::write(&stamp, step).unwrap();
        scene.writer.lines(40);
        pause(300);
        scene.agent.is_alive();
    }
    scene.ends_exact();
}
