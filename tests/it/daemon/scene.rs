//! A log with its writer, a daemon that follows it, and a carbon that it feeds: what most tests
//! begin with.

use std::path::{Path, PathBuf};

use super::agent::{Agent, DEADLINE, eventually};
use super::config::Config;
use super::oracle;
use super::writer::Writer;
use crate::carbon::{Carbon, Mode};
use crate::program::Folder;

/// Everything a test of the daemon needs, in one folder that goes with it.
pub(crate) struct Scene {
    pub(crate) agent: Agent,
    pub(crate) carbon: Carbon,
    pub(crate) writer: Writer,
    folder: Folder,
}

impl Scene {
    /// A scene in which nothing has happened.
    pub(crate) fn new() -> Scene {
        let folder = Folder::new();
        let path = folder.0.path().canonicalize().unwrap();
        let logs = path.join("log");
        std::fs::create_dir(&logs).unwrap();
        let log = logs.join("access.log");
        let carbon = Carbon::start(Mode::Sound);
        let mut config = Config::new(&path, &log);
        config.graphite(&carbon.address().to_string());
        Scene {
            agent: Agent::new(&path, config),
            carbon,
            writer: Writer::new(log),
            folder,
        }
    }

    /// Ten lines are written, the daemon runs and has counted them.
    pub(crate) fn started() -> Scene {
        let mut scene = Scene::new();
        scene.writer.lines(10);
        scene.agent.start_ready();
        scene.counted();
        scene
    }

    /// The folder of everything.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.0.path().canonicalize().unwrap()
    }

    /// The followed path.
    pub(crate) fn log(&self) -> PathBuf {
        self.writer.path().to_owned()
    }

    /// The folder of the log.
    pub(crate) fn logs(&self) -> PathBuf {
        self.log().parent().map(Path::to_owned).expect("it has one")
    }

    /// Waits until every line written is committed: `/metrics` shows only what is.
    #[track_caller]
    pub(crate) fn counted(&mut self) {
        let truth = &self.writer.truth;
        let agent = &mut self.agent;
        eventually(DEADLINE, "all lines are counted", || {
            agent.is_alive();
            let scrape = agent.scrape().ok_or("no exposition")?;
            oracle::verdict(&oracle::differences(&scrape, truth))
        });
    }

    /// Waits until carbon holds what must be there and no window is in doubt.
    #[track_caller]
    pub(crate) fn sent(&mut self) {
        let (truth, carbon) = (&self.writer.truth, &self.carbon);
        let agent = &mut self.agent;
        eventually(DEADLINE, "carbon has every value", || {
            agent.is_alive();
            oracle::verdict(&oracle::point_differences(&carbon.points(), truth))?;
            let scrape = agent.scrape().ok_or("no exposition")?;
            match scrape.sum("beacontail_output_suspect_windows", &[]) {
                0.0 => Ok(()),
                windows => Err(format!("{windows} windows are in doubt")),
            }
        });
    }

    /// What was seen so far breaks no law.
    #[track_caller]
    pub(crate) fn is_sound(&self) {
        oracle::scrapes_are_sound(&self.agent.seen, &self.writer.truth);
        oracle::points_are_sound(&self.carbon.history(), &self.writer.truth);
        assert_eq!(self.carbon.refused(), Vec::<String>::new());
        let stderr = self.agent.stderr_of_all();
        assert!(!stderr.contains("panicked"), "{stderr}");
    }

    /// Everything is exact, and stays so when the daemon stops; no law was broken on the way.
    #[track_caller]
    pub(crate) fn ends_exact(mut self) {
        self.counted();
        self.sent();
        self.is_sound();
        self.agent.term();
        let points = self.carbon.points();
        let wrong = oracle::point_differences(&points, &self.writer.truth);
        assert_eq!(wrong, Vec::<String>::new());
        self.is_sound();
    }
}

/// Says that a row of the fault matrix cannot be tried on this machine.
pub(crate) fn not_run_here(why: &str) {
    eprintln!("not run here: {why}");
}

/// Whether a program can be started; when not, says so.
pub(crate) fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if !found {
        not_run_here(&format!("{program} is not installed"));
    }
    found
}

/// Whether the tests run as root; when not, says so.
pub(crate) fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        not_run_here("this needs root");
    }
    root
}
