//! Real servers beside the daemon, started by the scripts of `tests/components/`, one in a folder of
//! its own, and stopped when their test ends, however it ends. A missing program is named, and its
//! test is not run.

use std::fs::{self, File};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::process::{Pid, Signal, kill_process};

use super::scene::not_run_here;
use crate::program::Folder;

/// Whether these programs and folders are there; when not, names the first that is missing. Servers
/// live where not every user's path leads.
pub(crate) fn have(programs: &[&str]) -> bool {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let is_there = |program: &&&str| {
        Path::new(program).is_dir()
            || std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    };
    let missing = programs.iter().find(|program| !is_there(program));
    if let Some(program) = missing {
        not_run_here(&format!("{program} is not installed"));
    }
    missing.is_none()
}

/// A port that is free over TCP and UDP. It lies below those that a system gives to port 0, so that
/// nobody takes it while its server is down.
pub(crate) fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 10_000).unwrap();
    for _ in 0..2000 {
        let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        let address = ("127.0.0.1", port);
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

/// Runs a script of `tests/components/` to its end. What it says goes to a file, for what it starts
/// may hold on to it.
pub(crate) fn script(name: &str, args: &[&str], said: &Path) -> Result<(), String> {
    let path = format!("{}/tests/components/{name}", env!("CARGO_MANIFEST_DIR"));
    // A failure is an answer, not a panic: it may come while a test that failed puts its things away.
    let run = || {
        let out = File::create(said)?;
        Command::new("bash")
            .arg(path)
            .args(args)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .status()
    };
    let status = run().map_err(|error: std::io::Error| format!("{name}: {error}"))?;
    if status.success() {
        return Ok(());
    }
    let said = fs::read_to_string(said).unwrap_or_default();
    Err(format!("{name} {args:?}: {status}\n{said}"))
}

/// A server.
pub(crate) struct Component {
    script: &'static str,
    folder: Folder,
}

impl Component {
    /// A server that does not run yet.
    pub(crate) fn new(script: &'static str) -> Component {
        let folder = Folder::new();
        Component { script, folder }
    }

    /// Where it keeps everything.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.0.path().canonicalize().unwrap()
    }

    fn script(&self, verb: &str, args: &[&str]) -> Result<(), String> {
        let folder = self.folder();
        let mut all = vec![verb, folder.to_str().unwrap()];
        all.extend(args);
        script(self.script, &all, &folder.join("script.out"))
    }

    /// Starts it, or starts it again, and waits until it answers.
    #[track_caller]
    pub(crate) fn start(&self, args: &[&str]) {
        let started = self.script("start", args);
        started.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Stops it and waits until it is gone.
    #[track_caller]
    pub(crate) fn stop(&self) {
        let stopped = self.script("stop", &[]);
        stopped.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Sends a signal to the process that `NAME.pid` names.
    pub(crate) fn signal(&self, name: &str, signal: Signal) {
        let text = fs::read_to_string(self.folder().join(format!("{name}.pid"))).unwrap();
        let pid = text.trim().parse().ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a number above 0"), signal).unwrap();
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        // One that never started cannot be stopped.
        drop(self.script("stop", &[]));
    }
}

/// Text as a value in the query of a URL.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~*".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
