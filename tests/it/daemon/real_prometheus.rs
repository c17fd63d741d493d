//! A real Prometheus scrapes the daemon each second: what it stored agrees with the log, over
//! restarts and kills, and it never saw a counter reset.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::agent::{eventually, pause};
use super::components::{Component, encoded, have, port};
use super::config::quoted;
use super::scene::Scene;
use super::scrape::get;

/// Scrapes come once a second, and the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(60);

/// The counters that the truth of a log knows, without histograms.
const COUNTERS: [&str; 4] = [
    "cdn_failure_beacons_total",
    "cdn_failure_beacons_by_pop_total",
    "cdn_origin_requests_total",
    "cdn_origin_response_bytes_total",
];

/// Prometheus, and the daemon that it scrapes at a port of its own.
struct Scraped {
    /// Held: it ends when this goes.
    _prometheus: Component,
    port: u16,
    scene: Scene,
}

impl Scraped {
    /// The log is there and empty, and Prometheus has scraped the daemon. `None` where there is no
    /// Prometheus.
    fn new() -> Option<Scraped> {
        if !have(&["prometheus", "promtool", "curl"]) {
            return None;
        }
        let mut scene = Scene::new();
        let (target, own) = (format!("127.0.0.1:{}", port()), port());
        scene.agent.config.set("http.listen", quoted(&target));
        scene.writer.lines(0);
        scene.agent.start_ready();
        let prometheus = Component::new("prometheus.sh");
        prometheus.start(&[&own.to_string(), &target]);
        let scraped = Scraped {
            _prometheus: prometheus,
            port: own,
            scene,
        };
        scraped.until("up", "1");
        Some(scraped)
    }

    /// The answer's `data`.
    fn api(&self, path: &str) -> Result<Value, String> {
        let address = format!("127.0.0.1:{}", self.port);
        let answer = get(&address, &format!("/api/v1/{path}")).ok_or("no answer")?;
        let document: Value = serde_json::from_str(&answer.body).map_err(|e| e.to_string())?;
        if document["status"] == "success" {
            return Ok(document["data"].clone());
        }
        Err(answer.body)
    }

    /// Series and what stands beside them: `value` or `values`.
    fn query(&self, query: &str) -> Result<Vec<Value>, String> {
        let data = self.api(&format!("query?query={}", encoded(query)))?;
        let result = data["result"].as_array().ok_or("no result")?;
        Ok(result.clone())
    }

    /// Waits until a query without labels gives this value.
    #[track_caller]
    fn until(&self, query: &str, value: &str) {
        eventually(DEADLINE, query, || {
            let result = self.query(query)?;
            let found = result.iter().any(|series| series["value"][1] == value);
            found.then_some(()).ok_or_else(|| {
                pause(50);
                format!("{result:?}")
            })
        });
    }

    /// Waits until Prometheus has stored everything that was written.
    #[track_caller]
    fn stored(&mut self) {
        self.scene.counted();
        let lines = self.scene.writer.truth.lines.to_string();
        self.until("sum(beacontail_lines_total)", &lines);
    }

    /// By how much a series grew between its first and its last sample, which is what `increase`
    /// extrapolates from. Fails when a sample is below the one before.
    fn growth(series: &Value) -> f64 {
        let samples = series["values"].as_array().expect("samples");
        let samples: Vec<f64> = samples
            .iter()
            .map(|sample| sample[1].as_str().unwrap().parse().unwrap())
            .collect();
        let grows = samples.windows(2).all(|pair| pair[0] <= pair[1]);
        assert!(grows, "{} went down: {samples:?}", series["metric"]);
        samples.last().unwrap() - samples.first().unwrap()
    }

    /// Every counter grew by what the log holds, series by series, and none was ever reset.
    #[track_caller]
    fn is_exact(&self) {
        for name in COUNTERS {
            let all = self.query(&format!("{name}[1h]")).unwrap();
            for series in &all {
                let growth = Scraped::growth(series);
                let key = key(&series["metric"]);
                let truth = self.scene.writer.truth.series.get(&key).copied();
                let truth: f64 = truth.unwrap_or_default().to_string().parse().unwrap();
                // A series that nobody declared begins with its first count.
                let first: f64 = series["values"][0][1].as_str().unwrap().parse().unwrap();
                assert!((growth + first - truth).abs() < 0.5, "{key}: {series}");
                let declared = name == "cdn_failure_beacons_total";
                assert!(!declared || first < 0.5, "{key} began at {first}");
            }
            let known = self.scene.writer.truth.series.keys();
            let known = known.filter(|key| key.starts_with(&format!("{name}{{")));
            assert!(all.len() >= known.count(), "{name}: {}", all.len());
        }
        // What tells about a process begins with it; this is what the store keeps.
        for name in COUNTERS.iter().chain(&["beacontail_lines_total"]) {
            for series in self.query(&format!("resets({name}[1h])")).unwrap() {
                assert_eq!(series["value"][1], "0", "{name} {series}");
            }
        }
    }

    #[track_caller]
    fn ends(mut self) {
        self.stored();
        self.is_exact();
        self.scene.is_sound();
        self.scene.agent.term();
    }
}

/// `name{labels}` as the truth has it, from Prometheus' labels.
fn key(metric: &Value) -> String {
    let labels = metric.as_object().expect("labels").iter();
    let own = labels.filter(|(name, _)| !["__name__", "instance", "job"].contains(&name.as_str()));
    let own: Vec<String> = own.map(|(name, value)| format!("{name}={value}")).collect();
    format!(
        "{}{{{}}}",
        metric["__name__"].as_str().unwrap(),
        own.join(",")
    )
}

#[test]
fn increase_in_prometheus_is_what_the_log_holds_over_a_restart_and_kills() {
    let Some(mut scraped) = Scraped::new() else {
        return;
    };
    // `increase` sees the first beacon only of what was there before.
    scraped.until("count(cdn_failure_beacons_total == 0) >= bool 5", "1");
    scraped.scene.writer.lines(200);
    scraped.stored();
    scraped.scene.agent.term();
    scraped.scene.writer.lines(100);
    scraped.until("up", "0");
    scraped.scene.agent.start_ready();
    scraped.stored();
    for _ in 0..2 {
        scraped.scene.writer.lines(100);
        pause(30);
        scraped.scene.agent.kill();
        scraped.scene.writer.lines(50);
        scraped.scene.agent.start_ready();
        scraped.stored();
    }
    // Extrapolated, so a little more, and never less.
    let increase = "sum(increase(cdn_failure_beacons_total[1h]))";
    let increase = scraped.query(increase).unwrap()[0]["value"][1].clone();
    let increase: f64 = increase.as_str().unwrap().parse().unwrap();
    let beacons = scraped.scene.writer.truth.series.iter();
    let beacons = beacons.filter(|(key, _)| key.starts_with("cdn_failure_beacons_total"));
    let beacons: f64 = beacons
        .map(|(_, n)| *n)
        .sum::<u64>()
        .to_string()
        .parse()
        .unwrap();
    assert!(
        (beacons..beacons * 1.5).contains(&increase),
        "{increase} for {beacons} beacons"
    );
    scraped.ends();
}

#[test]
fn prometheus_negotiates_openmetrics_and_promtool_has_no_complaint() {
    let Some(mut scraped) = Scraped::new() else {
        return;
    };
    scraped.scene.writer.lines(100);
    scraped.stored();
    // In OpenMetrics a counter's family has no `_total`; in the older text it has.
    let metadata = scraped.api("targets/metadata").unwrap();
    let families = metadata.as_array().expect("families");
    let has = |name: &str, kind: &str| {
        families
            .iter()
            .any(|family| family["metric"] == name && family["type"] == kind)
    };
    assert!(has("cdn_failure_beacons", "counter"), "{metadata}");
    assert!(!has("cdn_failure_beacons_total", "counter"), "{metadata}");
    assert!(
        has("cdn_origin_request_duration_seconds", "histogram"),
        "{metadata}"
    );
    let text = scraped
        .scene
        .agent
        .get("/metrics")
        .expect("an exposition")
        .body;
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    // A number of minutes that wait is no duration.
    let known = "beacontail_output_queue_minutes use base unit \"seconds\" instead of \"minutes\"";
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    let complaints: Vec<&str> = said.lines().filter(|line| *line != known).collect();
    assert_eq!(complaints, Vec::<&str>::new());
    assert!(output.status.code().is_some_and(|code| code != 1));
    scraped.ends();
}

/// `check` of this Prometheus.
fn checked(scraped: &Scraped, args: &[&str]) -> crate::program::Ran {
    let url = format!("http://127.0.0.1:{}", scraped.port);
    let mut all = vec!["check", "--prometheus", &url, "--by", "provider"];
    all.extend(["--metric", "cdn_failure_beacons_total", "--window", "1m"]);
    all.extend(args);
    crate::program::run(&all)
}

#[test]
fn check_of_a_real_prometheus_counts_and_knows_when_the_agent_is_gone() {
    let Some(mut scraped) = Scraped::new() else {
        return;
    };
    // A minute that was scraped at both ends has to be over first, and to have lines.
    let text = eventually(Duration::from_secs(180), "a whole minute", || {
        scraped.scene.writer.lines(10);
        let ran = checked(&scraped, &["-c", "100000"]);
        (ran.code == 0).then(|| ran.text()).ok_or_else(|| {
            pause(500);
            ran.text()
        })
    });
    assert!(text.contains("'fastly'="), "{text}");
    scraped.scene.agent.term();
    scraped.until("up", "0");
    let text = eventually(Duration::from_secs(150), "the agent is missed", || {
        let ran = checked(&scraped, &["-c", "100000"]);
        let missed = ran.text().contains("is not scraped since");
        (ran.code == 3 && missed)
            .then(|| ran.text())
            .ok_or_else(|| {
                pause(500);
                ran.text()
            })
    });
    assert!(text.starts_with("BEACONTAIL UNKNOWN - "), "{text}");
}
