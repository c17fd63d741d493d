//! The world of the model: what each action does to disk, clock, store, agent and carbon.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use super::scene::{DISK, Followed, Hands, LOGS, Plan, START, copy_store, folder, prepared_for};
use super::scene::{start, start_failing};
use super::truth::{Carbon, Line, Truth, points};
use super::{Action, Outcome, When};
use crate::sinks::carbon::{Cause, DeliveryError, Job};
use crate::source::follow::memory_disk::MemoryDisk;

const LOG: &str = LOGS[0];

/// How long after it was sent a batch may be read: less than windows in doubt are sent again.
const STALE_MS: u64 = 100_000;

pub(super) struct World {
    pub(super) folder: tempfile::TempDir,
    pub(super) disk: MemoryDisk,
    pub(super) hands: Rc<Hands>,
    pub(super) plan: Plan,
    /// `None` only while it is replaced.
    agent: Option<Followed>,
    pub(super) truth: Truth,
    pub(super) carbon: Carbon,
    flight: Option<Job>,
    /// A line whose end is still to be written.
    torn: Option<Line>,
    copied: bool,
    /// A copy was restored when lines were no longer readable that carbon may know of.
    pub(super) forgot: bool,
    /// Totals as last seen: by metric, definition and labels.
    pub(super) shown: BTreeMap<(String, bool, Vec<String>), i128>,
    serial: u64,
    latest_ms: i64,
}

impl World {
    pub(super) fn new() -> World {
        let disk = MemoryDisk::default();
        DISK.set(disk.clone());
        for log in LOGS {
            disk.create(log, b"");
        }
        let folder = folder();
        let hands = Rc::new(Hands::default());
        hands.wall_ms.set(START * 1000);
        std::fs::create_dir(folder.path().join("state")).unwrap();
        let plan = Plan {
            changed: false,
            second: false,
        };
        let agent = start(plan, &folder.path().join("state/store.db"), &hands).unwrap();
        let mut world = World {
            folder,
            disk,
            hands,
            plan,
            agent: Some(agent),
            truth: Truth::default(),
            carbon: Carbon::default(),
            flight: None,
            torn: None,
            copied: false,
            forgot: false,
            shown: BTreeMap::new(),
            serial: 0,
            latest_ms: 0,
        };
        // What is rotated away before the first look is nobody's.
        world.round();
        world
    }

    pub(super) fn agent(&mut self) -> &mut Followed {
        self.agent.as_mut().unwrap()
    }

    pub(super) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub(super) fn act(&mut self, action: &Action) {
        match action {
            Action::Write {
                second,
                when,
                lines,
            } => self.write(usize::from(*second), *when, lines),
            Action::Torn => self.tear(),
            Action::Garbage if self.disk.exists(LOG) => self.garbage(),
            Action::Rotate | Action::RotateWithoutCreate if self.disk.exists(LOG) => {
                self.shift();
                self.disk.rename(LOG, &format!("{LOG}.1"));
                if matches!(action, Action::Rotate) {
                    self.disk.create(LOG, b"");
                }
            }
            Action::CopyTruncate if self.disk.exists(LOG) => {
                self.shift();
                self.disk.copy(LOG, &format!("{LOG}.1"));
                self.disk.truncate(LOG, 0);
            }
            Action::Regrow if self.disk.exists(LOG) => {
                self.lose(LOG);
                self.torn = None;
                self.disk.truncate(LOG, 0);
                self.write(0, When::Now, &[(0, 0, 2), (1, 1, 7)]);
            }
            Action::Gzip(number) => {
                let path = format!("{LOG}.{number}");
                if self.disk.exists(&path) {
                    self.disk.gzip(&path);
                }
            }
            Action::Delete(number) => {
                for ending in ["", ".gz"] {
                    self.delete(&format!("{LOG}.{number}{ending}"));
                }
            }
            Action::Step(seconds) => self.step(u64::from(*seconds) * 1000),
            Action::Jump(minutes) => self.jump(i64::from(*minutes) * 60_000),
            Action::Round => self.round(),
            Action::ShortRound(pieces) => {
                self.hands.per_look.set(1);
                let budget = Duration::from_millis(u64::from(*pieces) + 1);
                self.agent().round(budget, true);
                self.hands.per_look.set(0);
            }
            Action::ReadLate => self.carbon.read_late(u64::MAX),
            Action::Claim => self.claim(),
            Action::Deliver(outcome) => self.deliver(*outcome),
            _ => self.fault(action),
        }
    }

    fn fault(&mut self, action: &Action) {
        match action {
            Action::Kill(outcome) => self.kill(*outcome, false),
            Action::Restore(outcome) if self.copied => self.kill(*outcome, true),
            Action::Copy => {
                let copy = self.folder.path().join("copy");
                copy_store(&self.state(), &copy);
                self.copied = true;
            }
            Action::Fail(how) => {
                let how = (*how).into();
                self.agent().store.fail_next_commit(how);
            }
            Action::FailAtStart(how) => {
                self.end(Outcome::Lost);
                let store = self.state().join("store.db");
                let failed = start_failing(self.plan, &store, &self.hands, Some((*how).into()));
                assert!(failed.is_err());
                drop(failed);
                self.begin();
            }
            Action::Change(changed, second) => {
                let plan = Plan {
                    changed: *changed,
                    second: *second,
                };
                if self.agent().change(prepared_for(plan)).is_ok() {
                    self.plan = plan;
                }
            }
            _ => {}
        }
    }

    pub(super) fn write(&mut self, log: usize, when: When, lines: &[(u8, u8, u8)]) {
        if !self.disk.exists(LOGS[log]) {
            self.disk.create(LOGS[log], b"");
        }
        if let Some(torn) = self.torn.take_if(|_| log == 0) {
            let text = torn.text();
            self.disk.append(LOG, &text.as_bytes()[6..]);
            self.truth.add(torn);
        }
        for &line in lines {
            let line = self.line(log, when, line);
            self.disk.append(LOGS[log], line.text().as_bytes());
            self.truth.add(line);
        }
    }

    fn line(&mut self, log: usize, when: When, (kind, who, n): (u8, u8, u8)) -> Line {
        self.serial += 1;
        let wall = self.hands.wall_ms.get().div_euclid(1000);
        Line {
            log,
            seconds: match when {
                When::Now => wall,
                When::Late(by) => wall - i64::from(by),
                When::Ahead(by) => wall + i64::from(by),
            },
            kind: ["a", "b", "c"][usize::from(kind)],
            who: ["x", "y", "z"][usize::from(who)],
            n: u64::from(n),
            serial: self.serial,
        }
    }

    fn tear(&mut self) {
        self.write(0, When::Now, &[(0, 0, 1)]);
        let line = self.line(0, When::Now, (1, 1, 3));
        self.disk.append(LOG, &line.text().as_bytes()[..6]);
        self.torn = Some(line);
    }

    fn garbage(&mut self) {
        self.write(0, When::Now, &[]);
        self.serial += 1;
        let text = format!("garbage {}\n", self.serial);
        self.disk.append(LOG, text.as_bytes());
        self.truth.garbage[0] += 1;
    }

    fn shift(&mut self) {
        for number in (1..9).rev() {
            for ending in ["", ".gz"] {
                let from = format!("{LOG}.{number}{ending}");
                let to = format!("{LOG}.{}{ending}", number + 1);
                if self.disk.exists(&from) {
                    self.delete(&to);
                    self.disk.rename(&from, &to);
                }
            }
        }
        self.torn = None;
    }

    fn delete(&mut self, path: &str) {
        if self.disk.exists(path) {
            self.lose(path);
            self.disk.unlink(path);
        }
    }

    /// Lines of a file may be lost with it, unless they are committed.
    fn lose(&mut self, path: &str) {
        let text = self.text(path);
        self.truth.unsure.extend(serials(&text));
        // Which of them is which is of no matter.
        let garbage = text.matches("garbage").count() as u64;
        let unsure = &mut self.truth.garbage_unsure[0];
        *unsure = (*unsure + garbage).min(self.truth.garbage[0]);
    }

    fn text(&self, path: &str) -> String {
        let bytes = self.disk.bytes(path).unwrap_or_default();
        if !path.ends_with(".gz") || bytes.is_empty() {
            return String::from_utf8(bytes).unwrap();
        }
        let mut text = String::new();
        let mut archive = flate2::read::GzDecoder::new(bytes.as_slice());
        archive.read_to_string(&mut text).unwrap();
        text
    }

    /// Time goes on, and carbon reads what it must have read by then.
    pub(super) fn step(&mut self, ms: u64) {
        let hands = &self.hands;
        let now = hands.monotonic_ms.get() + ms;
        self.carbon.read_late(now);
        hands.monotonic_ms.set(now);
        let wall = hands.wall_ms.get() + i64::try_from(ms).unwrap();
        hands.wall_ms.set(wall);
        self.latest_ms = self.latest_ms.max(wall);
    }

    /// Milliseconds until the wall clock has passed every line and everything it ever said.
    pub(super) fn until_latest(&self) -> u64 {
        let lines = self.truth.lines.iter().map(|line| line.seconds * 1000);
        let latest = lines.max().unwrap_or(0).max(self.latest_ms) + 300_000;
        u64::try_from(latest - self.hands.wall_ms.get()).unwrap_or(0)
    }

    pub(super) fn jump(&mut self, ms: i64) {
        // Repetitions follow the wall clock: what is read after the last of them stays.
        self.carbon.read_late(u64::MAX);
        let wall = self.hands.wall_ms.get() + ms;
        self.hands.wall_ms.set(wall);
        self.latest_ms = self.latest_ms.max(wall);
    }

    pub(super) fn round(&mut self) {
        self.step(1000);
        self.agent().round(Duration::MAX, true);
    }

    pub(super) fn claim(&mut self) {
        if self.flight.is_some() {
            return;
        }
        self.flight = self.agent().claim(0);
        let payload = self.flight.iter().flat_map(|job| &job.payload.0);
        for (path, minute, value) in payload.flat_map(|bytes| points(bytes)) {
            if path.starts_with("beacontail.") {
                continue;
            }
            let most = self.truth.most(&path, minute);
            assert!(most.is_some(), "`{path}` for {minute}, which has no lines");
            assert!(most >= Some(value), "`{path}` {value} of {most:?}");
        }
    }

    pub(super) fn deliver(&mut self, outcome: Outcome) {
        let Some(job) = self.arrive(outcome) else {
            return;
        };
        let failed = DeliveryError {
            address: "carbon:2003".to_owned(),
            peer: None,
            phase: None,
            cause: Cause::Stopped,
        };
        let result = match outcome {
            Outcome::Acknowledged => Ok(()),
            _ => Err(&failed),
        };
        self.agent().delivered(0, job.id, job.points, result);
    }

    /// What is under way comes to its end at carbon.
    fn arrive(&mut self, outcome: Outcome) -> Option<Job> {
        let job = self.flight.take()?;
        let bytes = job.payload.0.concat();
        match outcome {
            Outcome::Acknowledged | Outcome::Unheard => self.carbon.take(&bytes),
            Outcome::Lost => {}
            Outcome::Stale => {
                let until = self.hands.monotonic_ms.get() + STALE_MS;
                self.carbon.late.push((bytes, until));
            }
        }
        Some(job)
    }

    fn kill(&mut self, outcome: Outcome, restore: bool) {
        self.end(outcome);
        if restore {
            copy_store(&self.folder.path().join("copy"), &self.state());
            // An older store does not know of doubts that came later.
            self.carbon.read_late(u64::MAX);
            self.shown.clear();
            self.forget();
        }
        self.begin();
    }

    /// The process ends, and the store stays as it was in this moment.
    fn end(&mut self, outcome: Outcome) {
        drop(self.arrive(outcome));
        let crash = self.folder.path().join("crash");
        copy_store(&self.state(), &crash);
        self.agent = None;
        copy_store(&crash, &self.state());
    }

    fn begin(&mut self) {
        let store = self.state().join("store.db");
        self.agent = Some(start(self.plan, &store, &self.hands).unwrap());
    }

    /// Lines that are on the disk no more: an older store may not have them.
    fn forget(&mut self) {
        let mut readable = std::collections::BTreeSet::new();
        let rotated = (1..10).flat_map(|n| [format!("{LOG}.{n}"), format!("{LOG}.{n}.gz")]);
        for path in rotated.chain(LOGS.map(str::to_owned)) {
            readable.extend(serials(&self.text(&path)));
        }
        let lines = self.truth.lines.iter().map(|line| line.serial);
        let lost: Vec<u64> = lines.filter(|serial| !readable.contains(serial)).collect();
        self.forgot |= !lost.is_empty();
        self.truth.unsure.extend(lost);
    }

    /// Ends the process for good.
    pub(super) fn close(&mut self) {
        self.agent = None;
    }

    pub(super) fn has_flight(&self) -> bool {
        self.flight.is_some()
    }
}

/// Numbers of the lines that have their LF.
fn serials(text: &str) -> Vec<u64> {
    let lines = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    let serial = |line: &str| {
        let mut parts = line.trim_end().split(' ');
        let first = parts.next()?;
        (first != "garbage").then(|| parts.next_back()?.parse().ok())?
    };
    lines.filter_map(serial).collect()
}
