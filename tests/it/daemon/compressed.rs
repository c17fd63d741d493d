//! Row 12: a generation is compressed before it was read to its end.

use rustix::process::Signal;

use super::agent::pause;
use super::rotate::{Way, compress, compress_in_part, numbered, rename_and_create, rotate};
use super::scene::Scene;

#[test]
fn a_log_compressed_at_once_is_counted_once() {
    let mut scene = Scene::started();
    for _ in 0..5 {
        scene.writer.lines(40);
        rotate(&mut scene.writer, Way::Compress, 0);
        scene.writer.lines(10);
    }
    scene.ends_exact();
}

#[test]
fn a_log_compressed_while_the_agent_was_down_is_finished_inside_the_archive() {
    let mut scene = Scene::started();
    scene.writer.lines(20);
    scene.counted();
    scene.agent.kill();
    for _ in 0..3 {
        scene.writer.lines(40);
        rotate(&mut scene.writer, Way::Compress, 0);
    }
    scene.writer.lines(10);
    scene.agent.start_ready();
    scene.ends_exact();
}

#[test]
fn delayed_compression_of_what_was_read_changes_nothing() {
    let mut scene = Scene::started();
    for _ in 0..4 {
        scene.writer.lines(20);
        rotate(&mut scene.writer, Way::DelayCompress, 0);
        scene.writer.lines(5);
        scene.counted();
    }
    scene.ends_exact();
}

#[test]
fn an_archive_that_is_being_written_is_waited_for() {
    let mut scene = Scene::started();
    scene.agent.kill();
    scene.writer.lines(500);
    rename_and_create(&scene.log());
    scene.writer.reopen();
    let first = numbered(&scene.log(), 1);
    let half = compress_in_part(&first);
    // The plain file is gone before the archive is whole: the worst order.
    let aside = scene.folder().join("aside");
    std::fs::rename(&first, &aside).unwrap();
    scene.agent.start_ready();
    scene.writer.lines(5);
    pause(200);
    std::fs::rename(&aside, &first).unwrap();
    half.finish();
    scene.ends_exact();
}

#[test]
fn an_archive_beside_its_plain_file_counts_once() {
    let mut scene = Scene::started();
    scene.agent.signal(Signal::STOP);
    scene.writer.lines(80);
    rename_and_create(&scene.log());
    scene.writer.reopen();
    let first = numbered(&scene.log(), 1);
    let kept = std::fs::read(&first).unwrap();
    compress(&first);
    std::fs::write(&first, kept).unwrap();
    scene.agent.signal(Signal::CONT);
    scene.writer.lines(5);
    scene.ends_exact();
}
