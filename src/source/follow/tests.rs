//! Named situations, in memory and over real files.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use super::super::samples::pack;
use super::super::{Compression, Limits};
use super::memory_disk::MemoryDisk;
use super::*;

const LOG: &str = "/log/access.log";

fn options(patterns: &[&str]) -> FollowOptions {
    FollowOptions {
        patterns: patterns.iter().map(|one| (*one).to_owned()).collect(),
        rotated: None,
        whole: <[u8]>::len,
        line_bytes: 1000,
        from_start: false,
        rotate_wait: Duration::from_secs(5),
        max_open: 100,
        limits: Limits::default(),
    }
}

/// An agent with a clock of its own that commits after each read.
struct Agent<D: Disk> {
    all: Followers<D>,
    disk: D,
    options: FollowOptions,
    seconds: u64,
    durable: Vec<Saved>,
    events: Vec<Event>,
}

impl<D: Disk> Agent<D> {
    fn new(disk: &D, options: FollowOptions) -> Agent<D> {
        let all = Followers::new(disk.clone(), options.clone(), Vec::new());
        let (disk, durable) = (disk.clone(), Vec::new());
        Agent {
            all,
            disk,
            options,
            seconds: 0,
            durable,
            events: Vec::new(),
        }
    }

    /// What there is to read, long lines as `<too long: N>`.
    fn read_only(&mut self) -> String {
        let (mut text, mut buffer) = (String::new(), Vec::new());
        for _ in 0..3 {
            self.seconds += 1;
            self.all.poll(Duration::from_secs(self.seconds));
            while let Some(piece) = self.all.next(&mut buffer) {
                match piece.what {
                    What::Lines(lines) => text.push_str(std::str::from_utf8(lines).unwrap()),
                    What::TooLong { bytes } => text.push_str(&format!("<too long: {bytes}>\n")),
                }
            }
            self.events.extend(self.all.events());
        }
        text
    }

    fn commit(&mut self) {
        for saved in self.all.changed() {
            self.durable.retain(|one| one.path != saved.path);
            self.durable.push(saved);
        }
        self.all.committed();
    }

    fn read(&mut self) -> String {
        let text = self.read_only();
        self.commit();
        text
    }

    fn restart(&mut self) {
        self.all = Followers::new(
            self.disk.clone(),
            self.options.clone(),
            self.durable.clone(),
        );
    }

    fn wait(&mut self) {
        self.seconds += 60;
    }

    /// The reasons of gaps so far, with what is known of their places.
    fn gaps(&self) -> Vec<(&'static str, u64, Option<u64>)> {
        let gap = |event: &Event| match event {
            Event::Gap {
                reason,
                from,
                bytes,
                ..
            } => Some((*reason, *from, *bytes)),
            _ => None,
        };
        self.events.iter().filter_map(gap).collect()
    }

    fn failing(&self) -> Vec<bool> {
        let change = |event: &Event| match event {
            Event::Failing { .. } => Some(true),
            Event::Healed { .. } => Some(false),
            _ => None,
        };
        self.events.iter().filter_map(change).collect()
    }
}

fn memory(text: &str) -> (MemoryDisk, Agent<MemoryDisk>) {
    let disk = MemoryDisk::default();
    disk.create(LOG, text.as_bytes());
    let mut agent = Agent::new(&disk, options(&[LOG]));
    assert_eq!(agent.read(), "");
    (disk, agent)
}

#[test]
fn first_start_begins_at_the_end() {
    let (disk, mut agent) = memory("old\nto");
    disk.append(LOG, b"rn\nnew\n");
    assert_eq!(agent.read(), "torn\nnew\n");
}

#[test]
fn torn_line_is_counted_once_over_restarts() {
    let (disk, mut agent) = memory("");
    for part in ["a", "b", "c"] {
        disk.append(LOG, part.as_bytes());
        assert_eq!(agent.read(), "");
        agent.restart();
    }
    disk.append(LOG, b"\n");
    assert_eq!(agent.read(), "abc\n");
    agent.restart();
    assert_eq!(agent.read(), "");
}

#[test]
fn lingering_writer_is_read_before_and_after_the_wait() {
    let (disk, mut agent) = memory("");
    disk.append(LOG, b"1\n");
    disk.rename(LOG, "/log/access.log.1");
    disk.create(LOG, b"2\n");
    assert_eq!(agent.read(), "1\n2\n");
    disk.append("/log/access.log.1", b"3\n");
    assert_eq!(agent.read(), "3\n");
    agent.wait();
    assert_eq!(agent.read(), "");
    disk.append("/log/access.log.1", b"4\n");
    assert_eq!(agent.read(), "4\n");
    assert_eq!(agent.gaps(), []);
}

#[test]
fn four_rotations_while_down_are_read_oldest_first() {
    let (disk, mut agent) = memory("");
    disk.append(LOG, b"0\n");
    assert_eq!(agent.read(), "0\n");
    for round in 1..5 {
        disk.append(LOG, format!("{round}\n").as_bytes());
        for number in (1..5).rev() {
            let from = format!("{LOG}.{number}.gz");
            if disk.exists(&from) {
                disk.rename(&from, &format!("{LOG}.{}.gz", number + 1));
            }
        }
        disk.rename(LOG, &format!("{LOG}.1"));
        disk.gzip(&format!("{LOG}.1"));
        disk.create(LOG, b"");
    }
    disk.append(LOG, b"5\n");
    agent.restart();
    assert_eq!(agent.read(), "1\n2\n3\n4\n5\n");
    assert_eq!(agent.gaps(), []);
}

#[test]
fn siblings_of_the_first_start_are_never_read() {
    let disk = MemoryDisk::default();
    disk.create(LOG, b"");
    disk.create("/log/access.log.1", b"old 1\n");
    let old = b"old 2, and so long that its head does not hold it\n".repeat(90);
    disk.create("/log/access.log.2.gz", &pack(Compression::Gzip, &old));
    let mut agent = Agent::new(&disk, options(&[LOG]));
    assert_eq!(agent.read(), "");
    disk.rename("/log/access.log.2.gz", "/log/access.log.3.gz");
    disk.gzip("/log/access.log.1");
    disk.copy("/log/access.log.3.gz", "/log/access.log.4.gz");
    disk.unlink("/log/access.log.3.gz");
    agent.restart();
    assert_eq!(agent.read(), "");
    agent.wait();
    assert_eq!(agent.read(), "");
}

#[test]
fn truncated_and_regrown_log_is_read_from_its_start() {
    let (disk, mut agent) = memory("");
    disk.append(LOG, b"1\n2\n");
    assert_eq!(agent.read(), "1\n2\n");
    disk.overwrite(LOG, b"3\n4\n5\n6\n");
    assert_eq!(agent.read(), "3\n4\n5\n6\n");
    assert_eq!(agent.gaps(), [("truncated", 4, None)]);
    assert!(
        agent
            .events
            .contains(&Event::Truncated { path: LOG.into() })
    );
}

#[test]
fn log_shrunk_while_down_is_named() {
    let (disk, mut agent) = memory("");
    disk.append(LOG, b"1\n2\n");
    assert_eq!(agent.read(), "1\n2\n");
    disk.overwrite(LOG, b"3\n");
    agent.restart();
    assert_eq!(agent.read(), "3\n");
    assert_eq!(agent.gaps(), [("log_shrunk", 4, None)]);
}

/// Forty lines, more than the head mark covers.
fn forty() -> String {
    (0..40)
        .map(|n| format!("line {n} and enough text to fill a head\n"))
        .collect()
}

#[test]
fn log_that_lost_its_end_while_down_goes_on_where_it_ends() {
    let text = forty();
    let (disk, mut agent) = memory("");
    agent.read();
    disk.append(LOG, text.as_bytes());
    assert_eq!(agent.read(), text);
    let kept = text.find("line 35").unwrap();
    disk.truncate(LOG, kept + 3);
    agent.restart();
    assert_eq!(agent.read(), "");
    assert_eq!(
        agent.gaps(),
        [("log_shrunk", kept.try_into().unwrap(), None)]
    );
    disk.append(LOG, b"\nnew\n");
    assert_eq!(agent.read(), "lin\nnew\n");
    agent.restart();
    assert_eq!(agent.read(), "");
}

#[test]
fn log_that_lost_its_end_is_not_read_again_after_a_failed_commit() {
    let text = forty();
    let (disk, mut agent) = memory("");
    agent.read();
    disk.append(LOG, text.as_bytes());
    assert_eq!(agent.read(), text);
    disk.truncate(LOG, text.find("line 35").unwrap());
    agent.restart();
    assert_eq!(agent.read_only(), "");
    let durable = agent.durable.clone();
    agent.all.roll_back(durable, Duration::from_secs(100));
    assert_eq!(agent.read(), "");
    disk.append(LOG, b"new\n");
    assert_eq!(agent.read(), "new\n");
}

#[test]
fn log_that_lost_its_end_and_whose_head_is_another_is_read_from_its_start() {
    let (disk, mut agent) = memory("");
    agent.read();
    disk.append(LOG, forty().as_bytes());
    agent.read();
    let other = "another text that is not the one before\n".repeat(30);
    disk.overwrite(LOG, other.as_bytes());
    agent.restart();
    assert_eq!(agent.read(), other);
}

#[test]
fn copy_that_ends_before_the_position_is_not_read_again() {
    for text in ["one\ntwo\n".to_owned(), forty()] {
        for torn in ["", "thr"] {
            let (disk, mut agent) = memory("");
            agent.read();
            disk.append(LOG, text.as_bytes());
            agent.read();
            disk.append(LOG, torn.as_bytes());
            disk.copy(LOG, "/log/access.log.1");
            disk.append(LOG, b"ee\nfour\n");
            assert_eq!(agent.read(), format!("{torn}ee\nfour\n"));
            disk.truncate(LOG, 0);
            disk.append(LOG, b"five\n");
            assert_eq!(agent.read(), "five\n");
            agent.wait();
            assert_eq!(agent.read(), "");
            disk.gzip("/log/access.log.1");
            agent.wait();
            assert_eq!(agent.read(), "");
            agent.restart();
            assert_eq!(agent.read(), "");
            assert_eq!(agent.gaps(), []);
        }
    }
}

#[test]
fn copy_that_ends_before_the_position_is_known_to_another_process() {
    let (disk, mut agent) = memory("");
    agent.read();
    disk.append(LOG, forty().as_bytes());
    agent.read();
    disk.copy(LOG, "/log/access.log.1");
    disk.append(LOG, b"three\nfour\n");
    assert_eq!(agent.read(), "three\nfour\n");
    disk.truncate(LOG, 0);
    disk.append(LOG, b"five\n");
    agent.restart();
    assert_eq!(agent.read(), "five\n");
    assert_eq!(agent.gaps(), []);
}

#[test]
fn log_that_lost_its_end_and_grew_past_it_while_down_is_not_read_again() {
    let text = forty();
    let (disk, mut agent) = memory("");
    agent.read();
    disk.append(LOG, text.as_bytes());
    agent.read();
    disk.append(LOG, b"lost\n");
    agent.read();
    disk.truncate(LOG, text.len());
    disk.append(LOG, b"in doubt\nnew\n");
    agent.restart();
    assert_eq!(agent.read(), "new\n");
    let gap = ("log_shrunk", text.len().try_into().unwrap(), None);
    assert_eq!(agent.gaps(), [gap]);
    agent.restart();
    assert_eq!(agent.read(), "");
}

#[test]
fn log_cut_while_down_under_the_same_banner_is_another() {
    let banner = "# the same beginning of every log, a long one\n".repeat(30);
    let (disk, mut agent) = memory("");
    agent.read();
    disk.append(LOG, banner.as_bytes());
    disk.append(LOG, forty().repeat(4).as_bytes());
    agent.read();
    let other = format!("{banner}{}", "another text\n".repeat(200));
    disk.overwrite(LOG, other.as_bytes());
    agent.restart();
    assert_eq!(agent.read(), other);
}

#[test]
fn log_cut_and_grown_to_the_same_size_within_a_tick_is_read() {
    let (disk, mut agent) = memory("");
    agent.read();
    disk.append(LOG, b"one\ntwo\n");
    let mut buffer = Vec::new();
    agent.seconds += 1;
    agent.all.poll(Duration::from_secs(agent.seconds));
    while agent.all.next(&mut buffer).is_some() {}
    disk.freeze(true);
    disk.overwrite(LOG, b"ONE\nTWO\n");
    disk.freeze(false);
    assert_eq!(agent.read(), "ONE\nTWO\n");
}

#[test]
fn nothing_is_lost_or_doubled_while_no_file_can_be_opened() {
    let (disk, mut agent) = memory("");
    agent.read();
    disk.append(LOG, b"one\n");
    assert_eq!(agent.read(), "one\n");
    disk.refuse_opening(true);
    disk.copy(LOG, "/log/access.log.1");
    disk.truncate(LOG, 0);
    disk.append(LOG, b"two\n");
    let mut text = agent.read();
    agent.wait();
    text += &agent.read();
    disk.refuse_opening(false);
    text += &agent.read();
    assert_eq!(text, "two\n");
    assert_eq!(agent.gaps(), []);
}

#[test]
fn file_deleted_unread_while_down_is_a_gap() {
    let (disk, mut agent) = memory("");
    disk.append(LOG, b"1\n");
    assert_eq!(agent.read(), "1\n");
    disk.append(LOG, b"2\n");
    disk.unlink(LOG);
    disk.create(LOG, b"3\n");
    agent.restart();
    assert_eq!(agent.read(), "3\n");
    assert_eq!(agent.gaps().len(), 1);
}

#[test]
fn empty_log_swapped_by_a_link_is_read_through_its_handle() {
    let disk = MemoryDisk::default();
    disk.create("/log/a", b"");
    disk.create("/log/b", b"");
    disk.link(LOG, "/log/a");
    let mut agent = Agent::new(&disk, options(&[LOG]));
    assert_eq!(agent.read(), "");
    disk.append("/log/a", b"1\n");
    disk.link(LOG, "/log/b");
    disk.append("/log/b", b"2\n");
    assert_eq!(agent.read(), "1\n2\n");
}

#[test]
fn line_over_the_limit_is_one_piece_also_over_a_restart() {
    let (disk, mut agent) = memory("");
    disk.append(LOG, &b"x".repeat(5000));
    assert_eq!(agent.read(), "");
    agent.restart();
    disk.append(LOG, &b"x".repeat(500_000));
    disk.append(LOG, b"\nnext\n");
    assert_eq!(agent.read(), "<too long: 505000>\nnext\n");
}

#[test]
fn torn_end_of_a_rotated_file_is_a_gap_once() {
    let (disk, mut agent) = memory("");
    disk.append(LOG, b"1\ntorn");
    disk.rename(LOG, "/log/access.log.1");
    disk.create(LOG, b"2\n");
    assert_eq!(agent.read(), "1\n2\n");
    agent.wait();
    assert_eq!(agent.read(), "");
    agent.wait();
    assert_eq!(agent.read(), "");
    assert_eq!(agent.gaps(), [("torn", 2, Some(4))]);
}

#[test]
fn roll_back_reads_deleted_files_again() {
    let (disk, mut agent) = memory("");
    disk.append(LOG, b"1\n");
    disk.rename(LOG, "/log/access.log.1");
    disk.create(LOG, b"2\n");
    assert_eq!(agent.read_only(), "1\n2\n");
    disk.unlink("/log/access.log.1");
    agent.all.changed();
    agent
        .all
        .roll_back(agent.durable.clone(), Duration::from_secs(agent.seconds));
    assert_eq!(agent.read(), "1\n2\n");
    assert_eq!(agent.read(), "");
}

#[test]
fn notes_travel_with_their_generation() {
    let (disk, mut agent) = memory("");
    disk.append(LOG, b"1\n");
    agent.all.poll(Duration::from_secs(50));
    let mut buffer = Vec::new();
    let piece = agent.all.next(&mut buffer).unwrap();
    assert!(piece.first);
    let (follower, generation) = (piece.follower, piece.generation);
    assert!(agent.all.set_note(follower, generation, b"note".to_vec()));
    assert!(
        !agent
            .all
            .set_note(follower, generation, vec![0; NOTE_LEN + 1])
    );
    agent.commit();
    agent.restart();
    assert_eq!(agent.all.note(follower, generation), b"note");
}

#[test]
fn other_kinds_fail_once_and_heal() {
    for kind in [Kind::Folder, Kind::Pipe, Kind::Socket, Kind::Device] {
        let (disk, mut agent) = memory("");
        disk.append(LOG, b"1\n");
        disk.rename(LOG, "/log/access.log.1");
        disk.make(LOG, kind, b"");
        assert_eq!(agent.read(), "1\n");
        assert_eq!(agent.read(), "");
        disk.unlink(LOG);
        disk.create(LOG, b"2\n");
        assert_eq!(agent.read(), "2\n");
        assert_eq!(agent.failing(), [true, false], "{kind:?}");
    }
}

#[test]
fn folder_that_vanishes_keeps_the_state() {
    let (disk, mut agent) = memory("");
    disk.append(LOG, b"1\n");
    assert_eq!(agent.read(), "1\n");
    disk.lose_folder("/log", true);
    agent.restart();
    assert_eq!(agent.read(), "");
    agent.wait();
    disk.lose_folder("/log", false);
    disk.append(LOG, b"2\n");
    assert_eq!(agent.read(), "2\n");
    assert_eq!((agent.gaps(), agent.failing()), (vec![], vec![true, false]));
}

#[test]
fn pattern_finds_new_logs_and_leaves_rotated_ones() {
    let disk = MemoryDisk::default();
    disk.create("/log/a.log", b"old\n");
    disk.create("/log/a.log.1", b"older\n");
    let mut agent = Agent::new(&disk, options(&["/log/*.log*"]));
    assert_eq!(agent.read(), "");
    assert_eq!(agent.all.len(), 1);
    disk.create("/log/b.log", b"b\n");
    assert_eq!(agent.read(), "b\n");
    disk.rename("/log/b.log", "/log/b.log.1");
    disk.create("/log/b.log", b"b2\n");
    disk.create("/log/c.log", b"c\n");
    agent.restart();
    assert_eq!(agent.read(), "b2\nc\n");
    assert_eq!(agent.all.len(), 3);
}

#[test]
fn one_file_under_two_followed_names_is_read_once() {
    for patterns in [
        &["/log/*.log"][..],
        &["/log/current.log", "/log/app-*"],
        &["/log/app-1.log", "/log/*"],
    ] {
        for hard in [false, true] {
            let disk = MemoryDisk::default();
            disk.create("/log/app-1.log", b"old\n");
            match hard {
                true => disk.hard_link("/log/current.log", "/log/app-1.log"),
                false => disk.link("/log/current.log", "/log/app-1.log"),
            }
            let mut agent = Agent::new(&disk, options(patterns));
            assert_eq!(agent.read(), "");
            disk.append("/log/app-1.log", b"one\n");
            assert_eq!(agent.read(), "one\n");
            agent.restart();
            disk.append("/log/app-1.log", b"two\n");
            assert_eq!(agent.read(), "two\n");
            disk.create("/log/app-2.log", b"three\n");
            match hard {
                true => disk.hard_link("/log/current.log", "/log/app-2.log"),
                false => disk.link("/log/current.log", "/log/app-2.log"),
            }
            disk.append("/log/app-1.log", b"end\n");
            let text = agent.read();
            assert!(text == "end\nthree\n" || text == "three\nend\n", "{text}");
            agent.wait();
            assert_eq!(agent.read(), "");
            agent.restart();
            disk.append("/log/app-2.log", b"four\n");
            assert_eq!(agent.read(), "four\n", "{patterns:?} {hard}");
            agent.wait();
            agent.read();
            assert!(agent.all.changed().is_empty());
            assert_eq!(agent.gaps(), []);
        }
    }
}

#[test]
fn log_renamed_to_another_followed_name_is_not_read_again() {
    let disk = MemoryDisk::default();
    disk.create("/log/a.log", b"");
    let mut agent = Agent::new(&disk, options(&["/log/*.log"]));
    agent.read();
    disk.append("/log/a.log", b"one\n");
    assert_eq!(agent.read(), "one\n");
    disk.rename("/log/a.log", "/log/b.log");
    disk.append("/log/b.log", b"two\n");
    assert_eq!(agent.read(), "two\n");
    agent.restart();
    disk.append("/log/b.log", b"three\n");
    disk.rename("/log/b.log", "/log/c.log");
    disk.create("/log/b.log", b"four\n");
    assert_eq!(agent.read(), "four\nthree\n");
    agent.wait();
    assert_eq!(agent.read(), "");
    assert_eq!(agent.gaps(), []);
}

#[test]
fn rotated_file_followed_before_its_log_appears_goes_over_to_it() {
    let disk = MemoryDisk::default();
    disk.create("/log/access.log.1", b"");
    let mut agent = Agent::new(&disk, options(&["/log/*"]));
    agent.read();
    disk.append("/log/access.log.1", b"one\n");
    assert_eq!(agent.read(), "one\n");
    disk.create(LOG, b"two\n");
    disk.append("/log/access.log.1", b"more\n");
    let text = agent.read_only();
    assert_eq!(text, "more\ntwo\n");
    let durable = agent.durable.clone();
    agent
        .all
        .roll_back(durable, Duration::from_secs(agent.seconds));
    assert_eq!(agent.read(), text);
    assert_eq!(agent.all.len(), 1);
    disk.rename("/log/access.log.1", "/log/access.log.2");
    disk.rename(LOG, "/log/access.log.1");
    disk.append("/log/access.log.1", b"three\n");
    disk.create(LOG, b"four\n");
    assert_eq!(agent.read(), "three\nfour\n");
    agent.restart();
    assert_eq!(agent.read(), "");
    disk.gzip("/log/access.log.2");
    agent.wait();
    assert_eq!(agent.read(), "");
    assert_eq!(agent.gaps(), []);
}

#[test]
fn rotated_file_that_is_named_as_a_log_too_is_read_once() {
    let disk = MemoryDisk::default();
    disk.create(LOG, b"");
    disk.create("/log/access.log.1", b"old\n");
    let mut agent = Agent::new(&disk, options(&[LOG, "/log/access.log.1"]));
    agent.read();
    let mut due = Vec::new();
    let mut read = Vec::new();
    for round in 0..5 {
        for (name, text) in [(LOG, "log"), ("/log/access.log.1", "other")] {
            let line = format!("{text} {round}");
            disk.append(name, format!("{line}\n").as_bytes());
            due.push(line);
        }
        if round % 2 == 0 {
            read.extend(agent.read().lines().map(str::to_owned));
        }
        if round % 3 == 0 {
            agent.restart();
        }
        for number in (1..=round + 1).rev() {
            let to = format!("/log/access.log.{}", number + 1);
            disk.rename(&format!("/log/access.log.{number}"), &to);
        }
        disk.rename(LOG, "/log/access.log.1");
        disk.create(LOG, b"");
        agent.wait();
        read.extend(agent.read().lines().map(str::to_owned));
    }
    agent.wait();
    read.extend(agent.read().lines().map(str::to_owned));
    due.sort_unstable();
    read.sort_unstable();
    assert_eq!(read, due);
    assert_eq!(agent.gaps(), []);
}

#[test]
fn rotated_files_of_a_log_with_a_longer_name_are_not_taken() {
    let disk = MemoryDisk::default();
    disk.create(LOG, b"");
    disk.create("/log/access-admin.log", b"");
    let mut options = options(&["/log/*.log"]);
    options.rotated = Some(vec!["/old/*".to_owned()]);
    disk.create("/old/x", b"");
    let mut agent = Agent::new(&disk, options);
    agent.read();
    disk.append("/log/access-admin.log", b"a\n");
    assert_eq!(agent.read(), "a\n");
    disk.append("/log/access-admin.log", b"b\n");
    disk.rename("/log/access-admin.log", "/old/access-admin.log-1");
    disk.create("/log/access-admin.log", b"c\n");
    disk.append(LOG, b"1\n");
    disk.rename(LOG, "/old/access-2026.log");
    disk.create(LOG, b"2\n");
    agent.restart();
    let text = agent.read();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["1", "2", "b", "c"]);
    disk.gzip("/old/access-admin.log-1");
    agent.wait();
    assert_eq!(agent.read(), "");
    assert_eq!(agent.gaps(), []);
}

#[test]
fn logs_that_the_pattern_for_rotated_files_holds_too_are_followed() {
    let disk = MemoryDisk::default();
    disk.create(LOG, b"");
    disk.create("/log/access-admin.log", b"");
    let mut options = options(&["/log/*.log"]);
    options.rotated = Some(vec!["/log/*.log*".to_owned()]);
    let mut agent = Agent::new(&disk, options);
    agent.read();
    assert_eq!(agent.all.len(), 2);
    disk.append(LOG, b"1\n");
    disk.append("/log/access-admin.log", b"a\n");
    assert_eq!(agent.read(), "a\n1\n");
    disk.append(LOG, b"2\n");
    disk.rename(LOG, "/log/access.log-x");
    disk.create(LOG, b"3\n");
    assert_eq!(agent.read(), "2\n3\n");
    assert_eq!(agent.gaps(), []);
}

#[test]
fn folder_of_rotated_files_that_cannot_be_listed_is_no_gap() {
    let disk = MemoryDisk::default();
    disk.create(LOG, b"");
    disk.create("/old/x", b"");
    let mut options = options(&[LOG]);
    options.rotated = Some(vec!["/old/access*".to_owned()]);
    disk.hide_names("/old", true);
    let mut agent = Agent::new(&disk, options);
    agent.read();
    disk.append(LOG, b"one\n");
    assert_eq!(agent.read(), "one\n");
    disk.append(LOG, b"two\n");
    disk.rename(LOG, "/old/access.log-1");
    disk.create(LOG, b"three\n");
    agent.restart();
    assert_eq!(agent.read(), "three\n");
    assert_eq!(agent.gaps(), []);
    disk.hide_names("/old", false);
    disk.create("/old/y", b"");
    assert_eq!(agent.read(), "two\n");
    assert_eq!(
        (agent.gaps(), agent.failing()),
        (vec![], vec![true, true, false])
    );
}

#[test]
fn damaged_archive_is_a_gap() {
    let (disk, mut agent) = memory("");
    let text: String = (0..20_000)
        .map(|n| format!("{n} {}\n", n * 7919 % 10_007))
        .collect();
    let mut packed = pack(Compression::Gzip, text.as_bytes());
    let middle = packed.len() / 2;
    packed[middle..middle + 50].fill(0xff);
    disk.create("/log/access.log.1.gz", &packed);
    let read = agent.read();
    agent.wait();
    assert_eq!(agent.read(), "");
    assert!(text.starts_with(&read) && !read.is_empty());
    assert!(matches!(agent.gaps()[..], [("damaged", _, None)]));
}

/// A folder with a log, and an agent that reads it from its start.
fn real(limit: usize) -> (tempfile::TempDir, std::path::PathBuf, Agent<RealDisk>) {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("access.log");
    let mut options = options(&[log.to_str().unwrap()]);
    (options.from_start, options.max_open) = (true, limit);
    let agent = Agent::new(
        &RealDisk {
            follow_symlinks: true,
        },
        options,
    );
    (dir, log, agent)
}

fn append(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn real_files_are_followed_over_every_rotation() {
    for limit in [1, 100] {
        let (dir, log, mut agent) = real(limit);
        append(&log, "1\n");
        assert_eq!(agent.read(), "1\n");
        append(&log, "2\n");
        let first = dir.path().join("access.log.1");
        fs::rename(&log, &first).unwrap();
        append(&log, "3\n");
        assert_eq!(agent.read(), "2\n3\n");
        append(&log, "4\n");
        fs::rename(&first, dir.path().join("access.log.2")).unwrap();
        fs::copy(&log, &first).unwrap();
        fs::File::options()
            .write(true)
            .open(&log)
            .unwrap()
            .set_len(0)
            .unwrap();
        append(&log, "5\n");
        assert_eq!(agent.read(), "4\n5\n");
        append(&log, "6\n");
        let packed = pack(Compression::Gzip, &fs::read(&log).unwrap());
        fs::write(dir.path().join("access.log-20261122.gz"), packed).unwrap();
        fs::remove_file(&log).unwrap();
        append(&log, "7\n");
        agent.restart();
        assert_eq!(agent.read(), "6\n7\n");
        assert_eq!((agent.gaps(), agent.failing()), (vec![], vec![]));
    }
}

#[test]
fn a_fifo_in_place_of_a_real_log_is_never_waited_for() {
    let (_dir, log, mut agent) = real(100);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &log,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    assert_eq!(agent.read(), "");
    fs::remove_file(&log).unwrap();
    append(&log, "1\n");
    assert_eq!(agent.read(), "1\n");
    assert_eq!(agent.failing(), [true, false]);
}

#[test]
fn links_are_followed_unless_that_is_off() {
    for follow_symlinks in [true, false] {
        let (dir, log, mut agent) = real(100);
        agent.disk = RealDisk { follow_symlinks };
        agent.restart();
        append(&dir.path().join("target"), "1\n");
        std::os::unix::fs::symlink(dir.path().join("target"), &log).unwrap();
        assert_eq!(agent.read(), if follow_symlinks { "1\n" } else { "" });
        assert_eq!(agent.failing().is_empty(), follow_symlinks);
    }
}

#[test]
fn open_files_do_not_add_up_over_rotations() {
    let (dir, log, mut agent) = real(100);
    for round in 0..40 {
        append(&log, &format!("{round}\n"));
        assert_eq!(agent.read(), format!("{round}\n"));
        fs::rename(&log, dir.path().join("access.log.1")).unwrap();
        agent.wait();
        agent.read();
    }
    let prefix = dir.path().to_str().unwrap();
    let open = fs::read_dir("/proc/self/fd").unwrap().filter(|entry| {
        let target = fs::read_link(entry.as_ref().unwrap().path()).unwrap_or_default();
        target.to_string_lossy().starts_with(prefix)
    });
    assert!(open.count() <= 2);
}

#[test]
fn many_logs_are_followed_with_few_open_files() {
    let dir = tempfile::tempdir().unwrap();
    let log = |number: usize| dir.path().join(format!("app{number}.log"));
    let count: usize = std::env::var("BEACONTAIL_MANY").map_or(300, |many| many.parse().unwrap());
    (0..count).for_each(|number| append(&log(number), "old\n"));
    let mut options = options(&[dir.path().join("*.log").to_str().unwrap()]);
    options.max_open = 20;
    let mut agent = Agent::new(
        &RealDisk {
            follow_symlinks: true,
        },
        options,
    );
    assert_eq!(agent.read(), "");
    (0..count).for_each(|number| append(&log(number), "new\n"));
    agent.restart();
    assert_eq!(agent.read(), "new\n".repeat(count));
    fs::rename(log(7), dir.path().join("app7.log.1")).unwrap();
    append(&log(7), "7\n");
    assert_eq!(agent.read(), "7\n");
    assert_eq!((agent.gaps(), agent.all.len()), (vec![], count));
}
