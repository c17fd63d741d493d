//! A web server's log as these tests see it: numbered lines of the `nginx-cdn` format, and exactly
//! what they must count.
//!
//! A line follows from its number and time alone, so a truth can take it back. Times begin at a
//! fixed minute that lies twenty minutes back and advance line by line for ten minutes: all minutes
//! are over, none is far. A line enters the truth when its LF is written.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::truth::{PREFIX, Truth};

const PROVIDERS: [&str; 5] = ["akamai", "cloudflare", "cloudfront", "edgecast", "fastly"];
const POPS: [&str; 4] = ["NYC", "IAD", "LHR", "FRA"];
/// Status and the label `code` of it.
const CODES: [(u64, &str); 5] = [
    (200, "2xx"),
    (304, "3xx"),
    (404, "4xx"),
    (503, "503"),
    (200, "2xx"),
];
/// How far the times of a writer's lines advance.
const SPAN: i64 = 600;

/// One line of the log.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    number: u64,
    time: i64,
}

fn choose<T>(from: &[T], by: u64) -> &T {
    let n = u64::try_from(from.len()).unwrap();
    &from[usize::try_from(by % n).unwrap()]
}

impl Line {
    /// The line of this number that names this time.
    pub(crate) fn of(number: u64, time: i64) -> Line {
        Line { number, time }
    }

    pub(crate) fn minute(&self) -> i64 {
        self.time.div_euclid(60) * 60
    }

    fn is_beacon(&self) -> bool {
        self.number.is_multiple_of(3)
    }

    /// The text without its LF, with `padding` bytes in the user agent.
    pub(crate) fn text(&self, padding: usize) -> String {
        let time = jiff::Timestamp::from_second(self.time).unwrap();
        self.text_at(
            &time.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            padding,
        )
    }

    /// The text with the time written in another way.
    pub(crate) fn text_at(&self, time: &str, padding: usize) -> String {
        let n = self.number;
        let provider = choose(&PROVIDERS, n / 3);
        let (target, status, bytes, forwarder) = if self.is_beacon() {
            let pop = choose(&POPS, n / 7);
            let target = format!(
                "/status/images/beacon.gif?source={provider}&server_identity=cache-x{n}-{pop}"
            );
            (target, 200, 43, "-")
        } else {
            let (status, _) = choose(&CODES, n / 2);
            (format!("/shop/{n}"), *status, 100 + n % 50, *provider)
        };
        let agent = "u".repeat(padding);
        format!(
            "198.51.100.{} - - [{time}] \"GET {target} HTTP/1.1\" {status} {bytes} \"-\" \"test/{n}{agent}\" \"{forwarder}\" 0.0{}",
            n % 250,
            n % 10,
        )
    }

    /// Series, Graphite path and value of everything that the line adds to.
    pub(crate) fn counts(&self) -> Vec<(String, String, u64)> {
        let n = self.number;
        let provider = choose(&PROVIDERS, n / 3);
        if self.is_beacon() {
            let pop = choose(&POPS, n / 7);
            return vec![
                (
                    format!("cdn_failure_beacons_total{{provider=\"{provider}\"}}"),
                    format!("{PREFIX}.beacons.{provider}.count"),
                    1,
                ),
                (
                    format!(
                        "cdn_failure_beacons_by_pop_total{{pop=\"{pop}\",provider=\"{provider}\"}}"
                    ),
                    format!("{PREFIX}.beacons.{provider}.pop.{pop}.count"),
                    1,
                ),
            ];
        }
        let (_, code) = choose(&CODES, n / 2);
        let labels = format!("{{provider=\"{provider}\"}}");
        let origin = format!("{PREFIX}.origin.{provider}");
        vec![
            (
                format!("cdn_origin_requests_total{{code=\"{code}\",provider=\"{provider}\"}}"),
                format!("{origin}.requests.{code}.count"),
                1,
            ),
            (
                format!("cdn_origin_response_bytes_total{labels}"),
                format!("{origin}.response_bytes"),
                100 + n % 50,
            ),
            (
                format!("cdn_origin_request_duration_seconds_count{labels}"),
                format!("{origin}.duration.count"),
                1,
            ),
        ]
    }
}

/// The minute at which the times of a test's lines begin: twenty minutes ago, whole.
pub(crate) fn base() -> i64 {
    let now = jiff::Timestamp::now().as_second();
    now.div_euclid(60) * 60 - 1200
}

/// Writes a log and keeps the account.
pub(crate) struct Writer {
    path: PathBuf,
    file: Option<File>,
    base: i64,
    next: u64,
    /// What is missing from the line that was begun.
    torn: Option<(Line, Vec<u8>)>,
    /// Lines a minute of event time.
    pub(crate) per_minute: u64,
    /// Bytes added to each line.
    pub(crate) padding: usize,
    pub(crate) truth: Truth,
    /// Every line written, in order, so that a test may take some back.
    pub(crate) written: Vec<Line>,
}

impl Writer {
    /// A writer of a log, which it creates at its first line.
    pub(crate) fn new(path: impl Into<PathBuf>) -> Writer {
        Writer {
            path: path.into(),
            file: None,
            base: base(),
            next: 0,
            torn: None,
            per_minute: 100,
            padding: 0,
            truth: Truth::default(),
            written: Vec::new(),
        }
    }

    /// A writer whose numbers begin elsewhere, so that two logs differ.
    pub(crate) fn from(path: impl Into<PathBuf>, number: u64) -> Writer {
        Writer {
            next: number,
            ..Writer::new(path)
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The minute of the first line.
    pub(crate) fn base(&self) -> i64 {
        self.base
    }

    fn next_line(&mut self) -> Line {
        let number = self.next;
        self.next += 1;
        let step = 60 * self.written.len() / usize::try_from(self.per_minute).unwrap();
        let time = self.base + i64::try_from(step).unwrap().min(SPAN - 1);
        Line::of(number, time)
    }

    /// The open file; a log that is not there is created.
    fn file(&mut self) -> &mut File {
        self.file.get_or_insert_with(|| {
            OpenOptions::new()
                .append(true)
                .create(true)
                .open(&self.path)
                .unwrap_or_else(|error| panic!("{}: {error}", self.path.display()))
        })
    }

    fn append(&mut self, bytes: &[u8]) {
        self.file().write_all(bytes).unwrap();
    }

    fn account(&mut self, line: Line) {
        self.truth.add(&line);
        self.written.push(line);
    }

    /// Appends `n` whole lines in one write.
    pub(crate) fn lines(&mut self, n: usize) {
        self.mend();
        let mut bytes = Vec::new();
        for _ in 0..n {
            let line = self.next_line();
            bytes.extend_from_slice(line.text(self.padding).as_bytes());
            bytes.push(b'\n');
            self.account(line);
        }
        self.append(&bytes);
    }

    /// Appends one line that names this time.
    pub(crate) fn line_at(&mut self, time: i64) {
        self.mend();
        let line = Line::of(self.next_line().number, time);
        self.append(format!("{}\n", line.text(self.padding)).as_bytes());
        self.account(line);
    }

    /// Appends one line whose time is written as the test likes; it must mean `time`.
    pub(crate) fn line_written(&mut self, time: i64, written: &str) {
        self.mend();
        let line = Line::of(self.next_line().number, time);
        self.append(format!("{}\n", line.text_at(written, self.padding)).as_bytes());
        self.account(line);
    }

    /// The next line, for a test that writes it in its own way.
    pub(crate) fn taken(&mut self) -> Line {
        self.mend();
        self.next_line()
    }

    /// Appends bytes that are in no truth.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.append(bytes);
    }

    /// A line was written whole, and with it so many lines of the file that are none by themselves.
    pub(crate) fn was_written(&mut self, line: Line, beside: usize) {
        self.account(line);
        (0..beside).for_each(|_| self.truth.add_other());
    }

    /// Begins a line and leaves it without an end. It is in no truth until [`Writer::mend`].
    pub(crate) fn tear(&mut self, after: usize) {
        self.mend();
        let line = self.next_line();
        let mut text = line.text(self.padding).into_bytes();
        text.push(b'\n');
        let rest = text.split_off(after.min(text.len() - 1));
        self.append(&text);
        self.torn = Some((line, rest));
    }

    /// Ends the line that was begun, through the same descriptor.
    pub(crate) fn mend(&mut self) {
        if let Some((line, rest)) = self.torn.take() {
            self.append(&rest);
            self.account(line);
        }
    }

    /// Leaves the begun line without an end for good.
    pub(crate) fn abandon(&mut self) {
        self.torn = None;
    }

    /// Appends bytes that hold `lines` lines of no use to a parser.
    pub(crate) fn raw(&mut self, bytes: &[u8], lines: usize) {
        self.mend();
        self.append(bytes);
        (0..lines).for_each(|_| self.truth.add_other());
    }

    /// Closes the file: the next line goes to whatever has the name then. A server does it at a
    /// rotation.
    pub(crate) fn reopen(&mut self) {
        self.mend();
        self.file = None;
    }

    /// Sets the length of the file, as `copytruncate` and a sparse hole do.
    pub(crate) fn set_len(&mut self, len: u64) {
        self.file().set_len(len).unwrap();
    }

    /// Takes the last `n` lines out of the truth: nobody could read them.
    pub(crate) fn lose_last(&mut self, n: usize) {
        let from = self.written.len() - n;
        for line in self.written.split_off(from) {
            self.truth.remove(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{Folder, minutes, replay, total};

    #[test]
    fn a_line_is_in_the_truth_once_it_has_its_end() {
        let folder = Folder::new();
        let mut writer = Writer::new(folder.path("access.log"));
        writer.lines(3);
        writer.tear(20);
        assert_eq!(writer.truth.lines, 3);
        writer.mend();
        assert_eq!(writer.truth.lines, 4);
        let text = std::fs::read_to_string(writer.path()).unwrap();
        assert_eq!(text.lines().count(), 4);
        writer.lose_last(4);
        assert_eq!(writer.truth, Truth::default());
    }

    #[test]
    fn the_truth_is_what_a_replay_counts() {
        let folder = Folder::new();
        let mut writer = Writer::new(folder.path("access.log"));
        writer.lines(500);
        let path = folder.path("access.log");
        let document = replay(&[&path, "--parser=nginx-cdn"]);
        let of = |name: &str| -> u64 {
            let series = writer.truth.series.iter();
            series
                .filter(|(series, _)| series.split('{').next() == Some(name))
                .map(|(_, n)| n)
                .sum()
        };
        for name in [
            "cdn_failure_beacons_total",
            "cdn_failure_beacons_by_pop_total",
            "cdn_origin_requests_total",
            "cdn_origin_response_bytes_total",
        ] {
            assert_eq!(total(&document, name), of(name), "{name}");
        }
        let counted: u64 = minutes(&document, "cdn_failure_beacons_total")
            .values()
            .flat_map(|series| series.values())
            .map(|n| n.as_u64().unwrap())
            .sum();
        assert_eq!(counted, of("cdn_failure_beacons_total"));
    }

    #[test]
    fn the_truth_is_what_a_replay_sends_to_graphite() {
        let folder = Folder::new();
        let mut writer = Writer::new(folder.path("access.log"));
        writer.lines(300);
        let path = folder.path("access.log");
        let args = [
            "replay",
            &path,
            "--parser=nginx-cdn",
            "--output=graphite",
            "--prefix=t",
        ];
        let text = crate::program::run(&args).exits(0).text();
        let mut sent = std::collections::BTreeMap::new();
        for line in text.lines() {
            let mut parts = line.split(' ');
            let path = parts.next().unwrap().to_owned();
            let value: u64 = parts.next().unwrap().parse().unwrap();
            if super::super::truth::knows_path(&path) && value > 0 {
                sent.insert((path, parts.next().unwrap().parse().unwrap()), value);
            }
        }
        assert_eq!(sent, writer.truth.points);
    }
}
