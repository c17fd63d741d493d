//! Others read the store: while the agent runs and commits, after it stopped, after it was killed, with and
//! without the index of the log, as the user of a monitoring system and as root. Nobody makes a file beside
//! it, and everybody sees what was committed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use beacontail::store::{SeriesQuestion, Snapshot};

use super::agent::DEADLINE;
use super::agent::eventually;
use super::scene::{Scene, has, is_root};

/// Names the store to a process of this test that reads it.
const STORE: &str = "BEACONTAIL_TEST_READS";
/// Nobody, who is in the group of the store.
const READER: u32 = 65534;

/// What a reader saw.
#[derive(Debug, PartialEq)]
struct Seen {
    held: bool,
    lines: u64,
    requests: u64,
}

/// Not a test of its own: what other processes of these tests do.
#[test]
fn a_reader() {
    let Some(path) = std::env::var_os(STORE) else {
        return;
    };
    let snapshot = Snapshot::open(PathBuf::from(path)).unwrap();
    for _ in 0..3 {
        let status = snapshot.status(i64::MAX / 2).unwrap();
        let question = SeriesQuestion {
            metric: "cdn_origin_requests_total".to_owned(),
            from: 0,
            to: i64::from(u32::MAX),
            step: 60,
            ..SeriesQuestion::default()
        };
        let answer = snapshot.series(&question, &|_, _| true).unwrap();
        let lines: u64 = answer.steps.iter().map(|step| step.lines).sum();
        let points = answer.series.iter().flat_map(|series| &series.points);
        let requests: u64 = points.map(|point| point.n).sum();
        println!("READ {} {lines} {requests}", status.held);
    }
}

struct Readers {
    scene: Scene,
    program: PathBuf,
}

impl Readers {
    /// A daemon whose store the group of [`READER`] may read. `None` where nobody can be somebody else.
    fn new() -> Option<Readers> {
        if !(is_root() && has("setpriv")) {
            return None;
        }
        let scene = Scene::new();
        let (folder, state) = (scene.folder(), scene.agent.state());
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        chown(&state, None, Some(READER)).unwrap();
        fs::set_permissions(&state, fs::Permissions::from_mode(0o2750)).unwrap();
        // The program must be where the reader may start it.
        let program = folder.join("reader");
        let own = std::env::current_exe().unwrap();
        if fs::hard_link(&own, &program).is_err() {
            fs::copy(&own, &program).unwrap();
        }
        Some(Readers { scene, program })
    }

    /// What a process of this user sees, each time it looks.
    fn read(&self, user: Option<u32>) -> Result<Vec<Seen>, String> {
        let mut command = match user {
            None => Command::new(&self.program),
            Some(user) => {
                let mut command = Command::new("setpriv");
                command
                    .arg(format!("--reuid={user}"))
                    .arg(format!("--regid={READER}"))
                    .args(["--clear-groups", "--"])
                    .arg(&self.program);
                command
            }
        };
        let temporary = self.scene.folder().join("temporary");
        fs::create_dir_all(&temporary).unwrap();
        fs::set_permissions(&temporary, fs::Permissions::from_mode(0o1777)).unwrap();
        let output = command
            .args(["--exact", "daemon::readers::a_reader", "--nocapture"])
            .env(STORE, self.scene.agent.store())
            .env("TMPDIR", &temporary)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{text}{said}"));
        }
        assert_eq!(
            fs::read_dir(&temporary).unwrap().count(),
            0,
            "copies are left"
        );
        let seen = text.lines().filter_map(|line| {
            let mut words = line.split_once("READ ")?.1.split(' ');
            Some(Seen {
                held: words.next()? == "true",
                lines: words.next()?.parse().ok()?,
                requests: words.next()?.parse().ok()?,
            })
        });
        Ok(seen.collect())
    }

    fn requests(&self) -> u64 {
        let series = self.scene.writer.truth.series.iter();
        let own = series.filter(|(name, _)| name.starts_with("cdn_origin_requests_total"));
        own.map(|(_, n)| n).sum()
    }

    /// Everybody sees everything, and the folder stays as it is.
    #[track_caller]
    fn all_see(&self, held: bool) {
        let before = listing(&self.scene.agent.state());
        let truth = Seen {
            held,
            lines: self.scene.writer.truth.lines,
            requests: self.requests(),
        };
        for user in [Some(READER), None] {
            let seen = self.read(user).unwrap();
            assert_eq!(seen.len(), 3, "{user:?}");
            assert!(
                seen.iter().all(|seen| *seen == truth),
                "{user:?} {seen:?} {truth:?}"
            );
        }
        assert_eq!(listing(&self.scene.agent.state()), before);
    }
}

/// Names with owners, groups and modes.
fn listing(folder: &Path) -> BTreeMap<String, (u32, u32, u32)> {
    let files = fs::read_dir(folder).unwrap().map(Result::unwrap);
    files
        .map(|file| {
            let name = file.file_name().to_string_lossy().into_owned();
            let found = file.metadata().unwrap();
            (name, (found.uid(), found.gid(), found.mode()))
        })
        .collect()
}

fn names(folder: &Path) -> Vec<String> {
    listing(folder).into_keys().collect()
}

#[test]
fn everybody_sees_what_is_committed_in_whatever_state_the_agent_left_it() {
    let Some(mut readers) = Readers::new() else {
        return;
    };
    let state = readers.scene.agent.state();
    readers.scene.writer.lines(200);
    readers.scene.agent.start_ready();
    readers.scene.counted();
    readers.all_see(true);
    readers.scene.agent.signal(rustix::process::Signal::STOP);
    readers.all_see(true);
    readers.scene.agent.signal(rustix::process::Signal::CONT);
    readers.scene.agent.term();
    assert_eq!(names(&state), ["store.db", "store.db.lock"]);
    readers.all_see(false);
    readers.scene.agent.start_ready();
    readers.scene.writer.lines(100);
    readers.scene.counted();
    readers.scene.agent.kill();
    let left = ["store.db", "store.db-shm", "store.db-wal", "store.db.lock"];
    assert_eq!(names(&state), left);
    readers.all_see(false);
    fs::remove_file(state.join("store.db-shm")).unwrap();
    readers.all_see(false);
    readers.scene.agent.start_ready();
    readers.scene.ends_exact();
}

#[test]
fn a_reader_beside_commits_sees_whole_ones_that_only_grow() {
    let Some(mut readers) = Readers::new() else {
        return;
    };
    readers.scene.agent.start_ready();
    let mut last = 0;
    for round in 0..12 {
        readers.scene.writer.lines(500);
        let user = (round % 2 == 0).then_some(READER);
        for seen in readers.read(user).unwrap() {
            assert!(seen.held && seen.lines >= last, "{seen:?} after {last}");
            assert!(seen.lines <= readers.scene.writer.truth.lines);
            last = seen.lines;
        }
    }
    readers.scene.counted();
    readers.all_see(true);
    readers.scene.ends_exact();
}

#[test]
fn who_may_not_read_the_store_is_told_how_to() {
    let Some(mut readers) = Readers::new() else {
        return;
    };
    readers.scene.agent.start_ready();
    let state = readers.scene.agent.state();
    fs::set_permissions(state, fs::Permissions::from_mode(0o700)).unwrap();
    let said = readers.read(Some(READER)).unwrap_err();
    assert!(said.contains("Unreadable"), "{said}");
}

#[test]
fn a_silent_agent_says_within_a_minute_that_it_lives() {
    let mut scene = Scene::started();
    let committed = |scene: &mut Scene| {
        let answer = scene.agent.get("/api/v1/status")?;
        let status: serde_json::Value = serde_json::from_str(&answer.body).ok()?;
        status["committed_ms"].as_i64()
    };
    scene.sent();
    let minute = |ms: i64| ms / 60_000;
    let before = minute(committed(&mut scene).unwrap());
    eventually(DEADLINE * 6, "the next minute is committed", || {
        let now = committed(&mut scene).ok_or("no answer")?;
        (minute(now) > before)
            .then_some(())
            .ok_or_else(|| format!("{now}"))
    });
    scene.ends_exact();
}
