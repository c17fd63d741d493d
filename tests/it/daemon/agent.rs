//! The built program as a daemon: started, asked, stopped, killed, started again.
//!
//! At most four tests run daemons at a time. Each daemon is killed when its test ends; when the
//! test fails, what it wrote to standard error is shown. `$BEACONTAIL_BIN` puts another program in
//! its place.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::config::Config;
use super::scrape::{Answer, Scrape, get};

/// How long anything that must happen may take on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// How often [`eventually`] looks.
const LOOK: Duration = Duration::from_millis(10);

/// Asks until the answer is `Ok`, and fails with the last answer at the deadline.
#[track_caller]
pub(crate) fn eventually<T>(
    deadline: Duration,
    what: &str,
    mut ask: impl FnMut() -> Result<T, String>,
) -> T {
    let began = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(why) => assert!(began.elapsed() < deadline, "not in time: {what}: {why}"),
        }
        std::thread::sleep(LOOK);
    }
}

/// Lets a random moment pass, so that what follows hits the daemon anywhere. Nothing is asserted
/// about the time.
pub(crate) fn pause(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

/// Daemons that may run at a time.
const AT_A_TIME: usize = 4;

static RUNNING: Mutex<usize> = Mutex::new(0);
static FREED: Condvar = Condvar::new();

/// The right to run daemons.
struct Permit;

impl Permit {
    fn take() -> Permit {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        while *running >= AT_A_TIME {
            running = FREED.wait(running).unwrap_or_else(PoisonError::into_inner);
        }
        *running += 1;
        Permit
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        FREED.notify_one();
    }
}

/// One exposition and the start of the process that gave it.
pub(crate) struct Seen {
    pub(crate) start: usize,
    pub(crate) scrape: Scrape,
}

/// A daemon and its history.
pub(crate) struct Agent {
    folder: PathBuf,
    child: Option<Child>,
    starts: usize,
    address: Option<String>,
    /// The configuration; written anew at each start and by [`Agent::write_config`].
    pub(crate) config: Config,
    /// The program under test.
    pub(crate) program: String,
    /// Words before the program's own: a shell that sets a limit, `unshare`, `setpriv`.
    pub(crate) through: Vec<String>,
    /// Environment beside the test's own.
    pub(crate) environment: Vec<(String, String)>,
    /// Arguments after `run -c FILE`.
    pub(crate) arguments: Vec<String>,
    /// Every scrape since the first start.
    pub(crate) seen: Vec<Seen>,
    /// Held for as long as it may run.
    permit: Option<Permit>,
}

/// The program under test.
pub(crate) fn program() -> String {
    std::env::var("BEACONTAIL_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_beacontail").to_owned())
}

impl Agent {
    /// A daemon with its files in `folder`, not started.
    pub(crate) fn new(folder: &Path, config: Config) -> Agent {
        let permit = Permit::take();
        let mut agent = Agent::beside(folder, config);
        agent.permit = Some(permit);
        agent
    }

    /// A further daemon of a test that has one, and with it the right to run them.
    pub(crate) fn beside(folder: &Path, config: Config) -> Agent {
        let state = folder.join("state");
        fs::create_dir_all(&state).unwrap();
        fs::set_permissions(&state, fs::Permissions::from_mode(0o750)).unwrap();
        Agent {
            folder: folder.to_owned(),
            child: None,
            starts: 0,
            address: None,
            config,
            program: program(),
            through: Vec::new(),
            environment: Vec::new(),
            arguments: vec!["--backfill".to_owned()],
            seen: Vec::new(),
            permit: None,
        }
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.state().join("store.db")
    }

    pub(crate) fn config_path(&self) -> PathBuf {
        self.folder.join("beacontail.toml")
    }

    /// Writes the configuration as it stands; a running daemon reads it at SIGHUP.
    pub(crate) fn write_config(&self) {
        fs::write(self.config_path(), self.config.text()).unwrap();
    }

    fn stderr_path(&self, start: usize) -> PathBuf {
        self.folder.join(format!("stderr.{start}"))
    }

    /// Starts the process and waits for nothing.
    pub(crate) fn start(&mut self) {
        assert!(self.child.is_none(), "it runs");
        self.write_config();
        self.starts += 1;
        self.address = None;
        let mut words = self.through.clone();
        words.push(self.program.clone());
        let (first, rest) = words.split_first().expect("the program is a word");
        let stderr = File::create(self.stderr_path(self.starts)).unwrap();
        let mut command = Command::new(first);
        command
            .args(rest)
            .args(["run", "-c"])
            .arg(self.config_path())
            .args(&self.arguments)
            .env_remove("RUST_BACKTRACE")
            .env_remove("NOTIFY_SOCKET")
            .env_remove("JOURNAL_STREAM")
            .env("LC_ALL", "C.UTF-8")
            .env("TMPDIR", &self.folder)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr);
        self.child = Some(
            command
                .spawn()
                .unwrap_or_else(|error| panic!("{first}: {error}")),
        );
    }

    /// Starts and waits until it is ready.
    pub(crate) fn start_ready(&mut self) {
        self.start();
        self.ready();
    }

    /// What the newest process wrote to standard error so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr_of(self.starts)
    }

    fn stderr_of(&self, start: usize) -> String {
        let bytes = fs::read(self.stderr_path(start)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What all processes wrote.
    pub(crate) fn stderr_of_all(&self) -> String {
        (1..=self.starts)
            .map(|start| self.stderr_of(start))
            .collect()
    }

    /// The address of `listening on ADDRESS`, when the line is there.
    pub(crate) fn address(&mut self) -> Option<String> {
        if self.address.is_none() {
            let stderr = self.stderr();
            let (_, rest) = stderr.split_once("listening on ")?;
            let end =
                rest.find(|letter: char| !(letter.is_ascii_hexdigit() || ".:[]".contains(letter)));
            self.address = Some(rest[..end?].trim_end_matches(['.', ':']).to_owned());
        }
        self.address.clone()
    }

    /// The exit status, if the process has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().unwrap()
    }

    /// Fails when the process has ended.
    #[track_caller]
    pub(crate) fn is_alive(&mut self) {
        if let Some(status) = self.ended() {
            panic!("the daemon ended: {status}\n{}", self.stderr());
        }
    }

    /// Waits until `/-/ready` says so.
    #[track_caller]
    pub(crate) fn ready(&mut self) {
        eventually(DEADLINE, "ready", || {
            self.is_alive();
            match self.get("/-/ready") {
                Some(answer) if answer.status == 200 => Ok(()),
                answer => Err(format!("{answer:?}")),
            }
        });
    }

    /// Asks the daemon. `None` when it does not answer.
    pub(crate) fn get(&mut self, path: &str) -> Option<Answer> {
        let address = self.address()?;
        get(&address, path)
    }

    /// Reads `/metrics` into the history. `None` while the daemon is not ready.
    #[track_caller]
    pub(crate) fn scrape(&mut self) -> Option<Scrape> {
        let answer = self.get("/metrics").filter(|answer| answer.status == 200)?;
        let scrape = Scrape::parse(&answer.body).unwrap_or_else(|error| panic!("{error}"));
        self.seen.push(Seen {
            start: self.starts,
            scrape: scrape.clone(),
        });
        Some(scrape)
    }

    /// Scrapes until `good` is content.
    #[track_caller]
    pub(crate) fn scrapes(&mut self, what: &str, good: impl Fn(&Scrape) -> bool) -> Scrape {
        eventually(DEADLINE, what, || {
            self.is_alive();
            let scrape = self.scrape().ok_or("no exposition")?;
            if good(&scrape) {
                return Ok(scrape);
            }
            let own = scrape.samples.iter();
            let own: Vec<_> = own
                .filter(|(name, _)| name.starts_with("beacontail_"))
                .collect();
            Err(format!("{own:?}"))
        })
    }

    fn pid(&self) -> Pid {
        Pid::from_child(self.child.as_ref().expect("it runs"))
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// SIGKILL, and the process is gone. Nothing happens when none runs.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Waits for the process to end by itself.
    #[track_caller]
    pub(crate) fn ends(&mut self, deadline: Duration) -> ExitStatus {
        let status = eventually(deadline, "the daemon ends", || {
            self.ended().ok_or_else(|| "it runs".to_owned())
        });
        self.child = None;
        status
    }

    /// SIGTERM; it must end with 0 within ten seconds.
    #[track_caller]
    pub(crate) fn term(&mut self) {
        self.signal(Signal::TERM);
        let status = self.ends(Duration::from_secs(10));
        assert_eq!(status.code(), Some(0), "{status}\n{}", self.stderr());
    }

    /// Resident memory in KiB.
    pub(crate) fn rss(&self) -> u64 {
        let status = fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        number.expect("VmRSS has a number").parse().unwrap()
    }

    /// The largest resident memory so far in KiB.
    pub(crate) fn rss_peak(&self) -> u64 {
        let status = fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        number.expect("VmHWM has a number").parse().unwrap()
    }

    fn proc(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.pid().as_raw_nonzero())
    }

    /// What each open descriptor is.
    pub(crate) fn descriptors(&self) -> Vec<String> {
        let entries = fs::read_dir(self.proc("fd")).unwrap();
        entries
            .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
            .map(|target| target.to_string_lossy().into_owned())
            .collect()
    }

    /// Deleted files of the test that are held open.
    pub(crate) fn deleted(&self) -> Vec<String> {
        let folder = self.folder.to_string_lossy().into_owned();
        let mut open = self.descriptors();
        open.retain(|target| target.ends_with(" (deleted)") && target.starts_with(&folder));
        open
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Errors mean that it has ended, which is what is wanted.
            drop(child.kill());
            drop(child.wait());
        }
        if std::thread::panicking() {
            let all = self.stderr_of_all();
            let lines: Vec<&str> = all.lines().collect();
            let last = lines.len().saturating_sub(40);
            eprintln!(
                "--- configuration\n{}--- standard error, the last lines of {} starts\n{}\n---",
                self.config.text(),
                self.starts,
                lines[last..].join("\n")
            );
        }
    }
}
