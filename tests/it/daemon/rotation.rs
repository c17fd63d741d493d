//! Rows 6, 9, 13, 15 to 17, 34, 35 and 37: the log's name is given to other files, while the
//! daemon runs, stands still or is down.

use std::fs;

use rustix::process::Signal;

use super::agent::{DEADLINE, eventually, pause};
use super::rotate::{Way, numbered, rename, rename_and_create, rename_dated, rotate, swap_symlink};
use super::scene::Scene;
use crate::program::run;

#[test]
fn a_renamed_and_created_log_is_counted_once() {
    let mut scene = Scene::started();
    for _ in 0..5 {
        scene.writer.lines(30);
        rotate(&mut scene.writer, Way::Create, 0);
        scene.writer.lines(20);
        scene.counted();
    }
    scene.ends_exact();
}

#[test]
fn lines_of_a_lingering_writer_are_counted() {
    let mut scene = Scene::started();
    for _ in 0..3 {
        rename_and_create(&scene.log());
        for _ in 0..5 {
            scene.writer.lines(4);
            pause(20);
        }
        scene.counted();
        scene.writer.reopen();
        scene.writer.lines(7);
        scene.counted();
    }
    scene.ends_exact();
}

#[test]
fn a_writer_that_lingers_past_the_wait_is_still_read() {
    let mut scene = Scene::started();
    rename_and_create(&scene.log());
    let rotate_wait_is_over = 600;
    pause(rotate_wait_is_over);
    scene.writer.lines(9);
    scene.counted();
    scene.writer.reopen();
    scene.writer.lines(9);
    scene.ends_exact();
}

#[test]
fn a_gap_between_rename_and_create_loses_nothing() {
    let mut scene = Scene::started();
    scene.writer.lines(30);
    rename(&scene.log());
    scene.writer.lines(5);
    scene.counted();
    pause(200);
    scene.writer.reopen();
    scene.writer.lines(30);
    scene.ends_exact();
}

#[test]
fn fifty_rotations_in_a_breath_lose_nothing() {
    let mut scene = Scene::started();
    for _ in 0..50 {
        scene.writer.lines(3);
        rotate(&mut scene.writer, Way::Create, 0);
    }
    scene.writer.lines(3);
    scene.ends_exact();
}

#[test]
fn rotations_while_the_agent_is_down_are_read_oldest_first() {
    let mut scene = Scene::started();
    scene.writer.lines(25);
    scene.agent.kill();
    for _ in 0..4 {
        scene.writer.lines(30);
        rotate(&mut scene.writer, Way::Create, 0);
    }
    scene.writer.lines(10);
    scene.agent.start_ready();
    scene.ends_exact();
}

#[test]
fn dated_names_are_found_after_a_stop() {
    let mut scene = Scene::started();
    scene.agent.term();
    for n in 0..3 {
        scene.writer.lines(30);
        rename_dated(&scene.log(), n);
        scene.writer.reopen();
    }
    scene.writer.lines(10);
    scene.agent.start_ready();
    scene.ends_exact();
}

#[test]
fn an_agent_that_stood_still_over_rotations_loses_nothing() {
    let mut scene = Scene::started();
    scene.agent.signal(Signal::STOP);
    for _ in 0..3 {
        scene.writer.lines(30);
        rotate(&mut scene.writer, Way::Create, 0);
    }
    scene.writer.lines(10);
    scene.agent.signal(Signal::CONT);
    scene.ends_exact();
}

#[test]
fn reused_inodes_are_new_files() {
    let mut scene = Scene::started();
    for round in 0..6 {
        scene.counted();
        let down = round % 2 == 1;
        if down {
            scene.agent.kill();
        }
        // Deleted and created at once: most file systems hand the inode out again.
        fs::remove_file(scene.log()).unwrap();
        scene.writer.reopen();
        scene.writer.lines(12 + round);
        if down {
            scene.agent.start_ready();
        }
    }
    scene.ends_exact();
}

#[test]
fn forty_rotations_leave_no_descriptor_behind() {
    let mut scene = Scene::started();
    let before = scene.agent.descriptors().len();
    for _ in 0..40 {
        scene.writer.lines(2);
        rotate(&mut scene.writer, Way::Create, 0);
        let old = numbered(&scene.log(), 4);
        scene.counted();
        if old.exists() {
            fs::remove_file(old).unwrap();
        }
    }
    scene.writer.lines(2);
    scene.counted();
    let agent = &scene.agent;
    eventually(DEADLINE, "descriptors are closed", || {
        let (open, deleted) = (agent.descriptors(), agent.deleted());
        if open.len() <= before + 8 && deleted.is_empty() {
            return Ok(());
        }
        Err(format!("{before} before, {} now: {open:?}", open.len()))
    });
    scene.ends_exact();
}

#[test]
fn a_deleted_log_is_read_to_its_end_through_the_open_descriptor() {
    let mut scene = Scene::started();
    scene.agent.signal(Signal::STOP);
    scene.writer.lines(50);
    fs::remove_file(scene.log()).unwrap();
    scene.agent.signal(Signal::CONT);
    scene.counted();
    scene.writer.reopen();
    scene.writer.lines(5);
    scene.ends_exact();
}

#[test]
fn what_was_deleted_unread_is_a_gap() {
    let mut scene = Scene::started();
    scene.agent.kill();
    scene.writer.lines(40);
    scene.writer.reopen();
    fs::remove_file(scene.log()).unwrap();
    scene.writer.lose_last(40);
    scene.writer.lines(10);
    scene.agent.start_ready();
    let gap = |scrape: &super::scrape::Scrape| scrape.sum("beacontail_gaps_total", &[]) >= 1.0;
    scene.agent.scrapes("a gap is counted", gap);
    scene.ends_exact();
}

#[test]
fn a_swapped_symbolic_link_is_followed() {
    let mut scene = Scene::new();
    let targets = [scene.logs().join("a.txt"), scene.logs().join("b.txt")];
    targets
        .iter()
        .for_each(|target| drop(fs::File::create(target).unwrap()));
    swap_symlink(&scene.log(), &targets[0]);
    scene.writer.lines(20);
    scene.agent.start_ready();
    scene.counted();
    scene.writer.lines(20);
    swap_symlink(&scene.log(), &targets[1]);
    scene.writer.lines(5);
    scene.writer.reopen();
    scene.writer.lines(20);
    scene.ends_exact();
}

#[test]
fn a_log_that_was_empty_when_its_link_was_swapped_is_read_through_its_descriptor() {
    let mut scene = Scene::new();
    let targets = [scene.logs().join("a.txt"), scene.logs().join("b.txt")];
    targets
        .iter()
        .for_each(|target| drop(fs::File::create(target).unwrap()));
    swap_symlink(&scene.log(), &targets[0]);
    scene.agent.start_ready();
    scene.agent.signal(Signal::STOP);
    scene.writer.lines(20);
    swap_symlink(&scene.log(), &targets[1]);
    scene.writer.reopen();
    scene.writer.lines(20);
    scene.agent.signal(Signal::CONT);
    scene.ends_exact();
}

#[test]
fn a_folder_that_vanishes_and_returns_is_followed_again() {
    let mut scene = Scene::started();
    let away = scene.folder().join("away");
    fs::rename(scene.logs(), &away).unwrap();
    scene.writer.lines(10);
    pause(200);
    scene.agent.is_alive();
    fs::rename(&away, scene.logs()).unwrap();
    scene.writer.lines(10);
    scene.counted();
    fs::remove_dir_all(scene.logs()).unwrap();
    pause(200);
    fs::create_dir(scene.logs()).unwrap();
    scene.writer.reopen();
    scene.writer.lines(10);
    scene.ends_exact();
}

#[test]
fn the_program_has_the_daemon() {
    let ran = run(&["run", "--help"]).exits(0);
    assert!(ran.text().contains("--backfill"), "{}", ran.text());
}
