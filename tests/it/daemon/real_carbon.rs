//! Row 21 and its neighbours in front of a real carbon-cache, read back through graphite-web: every
//! minute of every path is what the log holds.
//!
//! Carbon's writer sleeps for a second between rounds and does not look into its cache again when it
//! is stopped: what it acknowledged just before is lost. The tests that stop it therefore send again
//! what is younger than a `resend_horizon`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;

use super::agent::{eventually, pause};
use super::components::{Component, encoded, have, port};
use super::config::quoted;
use super::oracle;
use super::scene::Scene;
use super::scrape::get;
use super::truth::{PREFIX, Truth};

/// How long carbon and graphite-web may take on a busy machine. Debian's limits ask for more.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(120);

/// Every path whose values the truth knows, as graphite-web finds them.
const TARGETS: [&str; 6] = [
    "beacons.*.count",
    "beacons.*.pop.*.count",
    "origin.*.requests.*.count",
    "origin.*.response_bytes",
    "origin.*.duration.count",
    "beacontail.access.lines",
];

/// carbon-cache and graphite-web.
struct Graphite {
    component: Component,
    ports: [u16; 4],
    stock: bool,
}

impl Graphite {
    fn start(&self) {
        let mut args = self.ports.map(|port| port.to_string()).to_vec();
        args.extend(self.stock.then(|| "stock".to_owned()));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.component.start(&args);
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    /// What the render API shows of the minutes of this truth and of those around them.
    fn points(&self, truth: &Truth) -> Result<BTreeMap<(String, i64), f64>, String> {
        let ends = truth.minutes.keys().next().zip(truth.minutes.keys().last());
        let (first, last) = ends.ok_or("no line was written")?;
        // `from` is exclusive, `until` names the last minute.
        let mut query = format!("format=json&from={}&until={}", first - 180, last + 120);
        for target in TARGETS {
            let target = encoded(&format!("{PREFIX}.{target}"));
            query.push_str(&format!("&target={target}"));
        }
        let address = format!("127.0.0.1:{}", self.ports[3]);
        let answer = get(&address, &format!("/render?{query}"))
            .filter(|answer| answer.status == 200)
            .ok_or("no answer from graphite-web")?;
        let document: Value = serde_json::from_str(&answer.body).map_err(|e| e.to_string())?;
        let mut points = BTreeMap::new();
        for series in document.as_array().ok_or("no list")? {
            let path = series["target"].as_str().ok_or("no name")?;
            for point in series["datapoints"].as_array().ok_or("no points")? {
                let minute = point[1].as_i64().ok_or("no time")?;
                if let Some(value) = point[0].as_f64() {
                    points.insert((path.to_owned(), minute), value);
                }
            }
        }
        Ok(points)
    }
}

/// A daemon in front of a real carbon, which goes first.
struct Live {
    graphite: Graphite,
    scene: Scene,
}

impl Live {
    /// `None` where carbon or graphite-web is missing.
    fn new(stock: bool) -> Option<Live> {
        if !have(&["carbon-cache", "curl", "/usr/share/graphite-web"]) {
            return None;
        }
        let mut scene = Scene::new();
        let graphite = Graphite {
            component: Component::new("graphite.sh"),
            ports: [port(), port(), port(), port()],
            stock,
        };
        graphite.start();
        scene.agent.config.graphite(&graphite.address());
        Some(Live { graphite, scene })
    }

    /// Waits until the render API shows what the log holds, and nothing is on its way any more.
    #[track_caller]
    fn exact(&mut self) {
        self.scene.counted();
        let (graphite, truth) = (&self.graphite, &self.scene.writer.truth);
        let agent = &mut self.scene.agent;
        eventually(DEADLINE, "graphite shows every value", || {
            agent.is_alive();
            let scrape = agent.scrape().ok_or("no exposition")?;
            for name in [
                "beacontail_output_queue_minutes",
                "beacontail_output_suspect_windows",
            ] {
                let left = scrape.sum(name, &[]);
                if left > 0.0 {
                    pause(100);
                    return Err(format!("{name} {left}"));
                }
            }
            let verdict = graphite.points(truth);
            let verdict = verdict
                .and_then(|points| oracle::verdict(&oracle::point_differences(&points, truth)));
            verdict.inspect_err(|_| pause(100))
        });
        self.is_sound();
    }

    /// Nothing that graphite shows is above the truth or in a minute without lines, and no counter
    /// ever went down.
    #[track_caller]
    fn is_sound(&self) {
        let truth = &self.scene.writer.truth;
        let points = self.graphite.points(truth).unwrap();
        let points: Vec<_> = points
            .into_iter()
            .map(|((path, minute), value)| (path, minute, value))
            .collect();
        oracle::points_are_sound(&points, truth);
        self.scene.is_sound();
    }

    /// Everything is exact, and stays so when the daemon stops.
    #[track_caller]
    fn ends_exact(mut self) {
        self.exact();
        self.scene.agent.term();
        let truth = &self.scene.writer.truth;
        let points = self.graphite.points(truth).unwrap();
        let wrong = oracle::point_differences(&points, truth);
        assert_eq!(wrong, Vec::<String>::new());
    }

    /// Deliveries that failed, of the process that runs.
    #[track_caller]
    fn failures(&mut self) -> f64 {
        let scrape = self.scene.agent.scrape().expect("an exposition");
        scrape.sum("beacontail_output_failures_total", &[])
    }

    /// Waits until `n` further deliveries have failed.
    #[track_caller]
    fn fails(&mut self, n: u32) {
        let until = self.failures() + f64::from(n);
        let failed = move |scrape: &super::scrape::Scrape| {
            scrape.sum("beacontail_output_failures_total", &[]) >= until
        };
        self.scene.agent.scrapes("deliveries fail", failed);
    }

    fn set(&mut self, key: &str, text: &str) {
        let config = &mut self.scene.agent.config;
        config.set(&format!("[output].{key}"), quoted(text));
    }
}

#[test]
fn graphite_shows_what_a_killed_agent_sent_to_a_real_carbon() {
    let Some(mut live) = Live::new(false) else {
        return;
    };
    live.scene.writer.lines(300);
    live.scene.agent.start_ready();
    live.exact();
    for round in 0..4 {
        live.scene.writer.lines(90);
        pause(40 * round);
        live.scene.agent.kill();
        live.scene.writer.lines(30);
        live.scene.agent.start_ready();
    }
    live.ends_exact();
}

#[test]
fn check_of_a_real_graphite_counts_its_newest_minutes() {
    let Some(mut live) = Live::new(false) else {
        return;
    };
    live.scene.writer.lines(300);
    live.scene.agent.start_ready();
    live.exact();
    let url = format!("http://127.0.0.1:{}", live.graphite.ports[3]);
    let target = format!("aliasByNode({PREFIX}.beacons.*.count,-2)");
    let flags = format!("{PREFIX}.beacontail.*.incomplete");
    let asked = |more: &[&str]| {
        let mut all = vec!["check", "--graphite", &url, "--target", &target];
        all.extend([
            "--incomplete-target",
            &flags,
            "--max-lag",
            "2h",
            "--window",
            "3m",
        ]);
        all.extend(more);
        crate::program::run(&all)
    };
    let calm = asked(&["-c", "100000"]).exits(0).text();
    assert!(
        calm.contains("'fastly'=") && calm.contains("3 of 3 minutes have points"),
        "{calm}"
    );
    let much = asked(&["-c", "0"]).exits(2).text();
    assert!(much.contains(" events in 3 min (limit 0)"), "{much}");
}

#[test]
fn graphite_shows_every_minute_after_a_real_carbon_was_stopped_and_started() {
    let Some(mut live) = Live::new(false) else {
        return;
    };
    live.set("resend_horizon", "2h");
    live.scene.writer.lines(200);
    live.scene.agent.start_ready();
    live.exact();
    // Stopped while it is being fed.
    live.scene.writer.lines(100);
    live.graphite.component.stop();
    live.scene.writer.lines(200);
    live.scene.counted();
    live.fails(2);
    live.graphite.start();
    live.scene.writer.lines(100);
    live.ends_exact();
}

#[test]
fn stale_bytes_that_a_real_carbon_reads_late_do_not_win() {
    let Some(mut live) = Live::new(false) else {
        return;
    };
    live.scene.writer.lines(100);
    live.scene.agent.start_ready();
    live.exact();
    // One minute that grows: what lies in the sockets of the sleeping carbon is too low.
    live.scene.writer.per_minute = 100_000;
    live.graphite.component.signal("carbon", Signal::STOP);
    for _ in 0..3 {
        live.scene.writer.lines(30);
        live.scene.counted();
        live.fails(1);
    }
    live.scene.agent.kill();
    live.scene.writer.lines(30);
    live.scene.agent.start_ready();
    live.fails(1);
    live.graphite.component.signal("carbon", Signal::CONT);
    live.ends_exact();
}

#[test]
fn thirty_minutes_without_a_real_carbon_are_filled_in_at_their_times() {
    let Some(mut live) = Live::new(false) else {
        return;
    };
    live.set("resend_horizon", "2h");
    let first = live.scene.writer.base() - 40 * 60;
    let minutes = |live: &mut Live, of: std::ops::Range<i64>| {
        for second in of.flat_map(|minute| [0, 17, 31, 59].map(|second| minute * 60 + second)) {
            live.scene.writer.line_at(first + second);
        }
    };
    minutes(&mut live, 0..5);
    live.scene.agent.start_ready();
    live.exact();
    live.graphite.component.stop();
    minutes(&mut live, 5..20);
    live.scene.counted();
    live.fails(1);
    live.scene.agent.kill();
    minutes(&mut live, 20..35);
    live.scene.agent.start_ready();
    live.scene.counted();
    live.fails(1);
    let scrape = live.scene.agent.scrape().expect("an exposition");
    let waiting = scrape.sum("beacontail_output_queue_minutes", &[]);
    assert!(waiting >= 30.0, "{waiting} minutes wait for carbon");
    live.graphite.start();
    minutes(&mut live, 35..40);
    live.ends_exact();
}

/// Carbon takes every line and drops the values of each path that it may not create yet: after fifty
/// new ones, five in six seconds, its own statistics among them. Statuses and histograms would be a
/// hundred paths and minutes of waiting; they share a few here.
#[test]
fn paths_that_debians_carbon_would_not_create_at_once_are_exact_after_settling() {
    let Some(mut live) = Live::new(true) else {
        return;
    };
    let config = &mut live.scene.agent.config;
    let settle = r#"["5s", "20s", "30s"]"#;
    config.set("[output].settle", settle.to_owned());
    let paths = "{ cdn_origin_requests_total = ['requests.{provider}'], \
                 cdn_origin_request_duration_seconds = ['durations'] }";
    config.set("[output].path", paths.to_owned());
    live.scene.writer.lines(300);
    let points = &mut live.scene.writer.truth.points;
    points.retain(|(path, _), _| !path.contains(".duration.") && !path.contains(".requests."));
    live.scene.agent.start_ready();
    live.exact();
    let whisper = live.graphite.component.folder().join("whisper");
    let files = files(&whisper.join(PREFIX));
    assert!(files > 50, "carbon has {files} paths, which is no trial");
    live.ends_exact();
}

/// Files under a folder.
fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let count = |path: PathBuf| if path.is_dir() { files(&path) } else { 1 };
    paths.map(count).sum()
}
