//! Configurations, clock and store folder of the model.

use std::cell::Cell;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::super::super::clock::Clock;
use super::super::super::health::Health;
use super::super::super::prepare::Prepared;
use super::super::{Agent, AgentError, Surroundings, options};
use crate::config::{Config, Environment};
use crate::diagnostic::SourceText;
use crate::source::follow::memory_disk::MemoryDisk;
use crate::store::Store;
use crate::telemetry::Telemetry;

pub(super) const LOGS: [&str; 2] = ["/log/access.log", "/other/access.log"];

/// When a history begins, Unix seconds: ten seconds into a minute.
pub(super) const START: i64 = 1_767_225_610;

/// The retention, and how late lines may be: longer than all histories.
pub(super) const DAYS: &str = "30d";

/// Clocks that go when they are told to.
#[derive(Debug, Default)]
pub(super) struct Hands {
    pub(super) monotonic_ms: Cell<u64>,
    pub(super) wall_ms: Cell<i64>,
    /// How far a look at the clock moves it: reading takes time.
    pub(super) per_look: Cell<u64>,
}

impl Clock for Rc<Hands> {
    fn monotonic(&self) -> Duration {
        let step = self.per_look.get();
        let now = self.monotonic_ms.get() + step;
        self.monotonic_ms.set(now);
        self.wall_ms
            .set(self.wall_ms.get() + i64::try_from(step).unwrap());
        Duration::from_millis(now)
    }

    fn wall_ms(&self) -> i64 {
        self.wall_ms.get()
    }
}

pub(super) type Followed = Agent<MemoryDisk, Rc<Hands>>;

thread_local! {
    /// The disk of the history that runs on this thread.
    pub(super) static DISK: RefCell<MemoryDisk> = RefCell::default();
}

/// Configurations: as first, with a changed definition of `kinds_total`, and both with a second log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Plan {
    pub(super) changed: bool,
    pub(super) second: bool,
}

const FORMAT: &str = r#"
description = "numbers"
rules = ["numbers"]
[format]
regex = '^(?P<ts>\d+) (?P<kind>\w+) (?P<who>\w+) (?P<n>\d+) (?P<serial>\d+)$'
[time]
field = "ts"
format = "epoch"
[[example]]
line = "1767225610 a x 3 1"
fields = { kind = "a" }
"#;

fn rules(changed: bool) -> String {
    let kinds = if changed {
        r#"kind=~".+""#
    } else {
        r#"kind!="""#
    };
    format!(
        r#"
description = "numbers"
[fields]
sort = {{ from = ["kind"], values = ["a", "b"], other = "b", empty = "b" }}
[[metric]]
name = "kinds_total"
help = "Lines by kind."
match = '{kinds}'
labels = ["sort"]
[[metric]]
name = "names_total"
help = "Lines by name."
labels = ["who"]
[[metric]]
name = "amount_total"
help = "Numbers added up."
labels = ["sort"]
value = "n"
[[metric]]
name = "sizes"
help = "Numbers by size."
type = "histogram"
value = "n"
buckets = [1, 5]
[[example]]
fields = {{ kind = "a", who = "x", n = "3" }}
counts = {{ 'kinds_total{{sort="a"}}' = 1 }}
"#
    )
}

fn prepared(folder: &Path, plan: Plan) -> Arc<Prepared> {
    let parsers = folder.join(if plan.changed { "changed" } else { "first" });
    std::fs::create_dir_all(parsers.join("rules")).unwrap();
    std::fs::write(parsers.join("numbers.toml"), FORMAT).unwrap();
    std::fs::write(parsers.join("rules/numbers.toml"), rules(plan.changed)).unwrap();
    let logs = if plan.second { &LOGS[..] } else { &LOGS[..1] };
    let logs = logs.iter().zip(["one", "two"]).map(|(path, name)| {
        format!("[[log]]\nname = \"{name}\"\npath = \"{path}\"\nparser = \"numbers\"\nfrom = \"start\"\n")
    });
    let text = format!(
        "parsers = [\"{}\"]\n[agent]\nmax_lateness = \"{DAYS}\"\n[store]\npath = \"{}\"\n\
         retention = \"{DAYS}\"\n[[output]]\ntype = \"graphite\"\nname = \"carbon\"\n\
         address = \"carbon:2003\"\nprefix = \"p\"\nsettle = [\"1m\", \"2m\"]\n{}",
        parsers.display(),
        folder.join("store.db").display(),
        logs.collect::<String>(),
    );
    let source = SourceText::new("beacontail.toml", text);
    let config = Config::parse(&source, folder, &Environment::default()).unwrap();
    Arc::new(Prepared::new(config).unwrap())
}

/// Every configuration, compiled once.
static PREPARED: LazyLock<Vec<(Plan, Arc<Prepared>)>> = LazyLock::new(|| {
    let folder = folder();
    let flags = [(false, false), (true, false), (false, true), (true, true)];
    flags
        .map(|(changed, second)| {
            let plan = Plan { changed, second };
            (plan, prepared(folder.path(), plan))
        })
        .into()
});

pub(super) fn prepared_for(plan: Plan) -> Arc<Prepared> {
    let found = PREPARED.iter().find(|(known, _)| *known == plan);
    Arc::clone(&found.unwrap().1)
}

/// A folder in memory where there is one: thousands of commits are to be made durable.
pub(super) fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    }
}

/// An agent as a process that starts makes it.
pub(super) fn start(plan: Plan, store: &Path, hands: &Rc<Hands>) -> Result<Followed, AgentError> {
    start_failing(plan, store, hands, None)
}

/// The same, with a store that fails at once.
pub(super) fn start_failing(
    plan: Plan,
    store: &Path,
    hands: &Rc<Hands>,
    fault: Option<crate::store::Fault>,
) -> Result<Followed, AgentError> {
    let prepared = prepared_for(plan);
    let mut store = Store::open(store, options(&prepared))?;
    if let Some(fault) = fault {
        store.fail_next_commit(fault);
    }
    let surroundings = Surroundings {
        disk: |_| DISK.with_borrow(MemoryDisk::clone),
        clock: Rc::clone(hands),
        backfill: true,
        from: None,
        wake: Arc::new(|| {}),
        health: Health::new(Telemetry::new("0", 0.0).unwrap()),
    };
    Agent::new(prepared, store, surroundings)
}

/// Copies the files of a store as they lie there, as if the power went.
pub(super) fn copy_store(from: &Path, to: &Path) {
    drop(std::fs::remove_dir_all(to));
    std::fs::create_dir_all(to).unwrap();
    let mode = std::fs::metadata(from).unwrap().permissions();
    std::fs::set_permissions(to, mode).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}
