//! `/api/v1/`: what the agent answers is what the log holds, and a mistake is told.

use serde_json::Value;

use super::agent::{DEADLINE, eventually};
use super::scene::Scene;

fn json(scene: &mut Scene, path: &str) -> (u16, Value) {
    let answer = scene.agent.get(path).expect("an answer");
    let value = serde_json::from_str(&answer.body);
    (
        answer.status,
        value.unwrap_or_else(|_| panic!("{answer:?}")),
    )
}

/// Values of all points of a series, by minute.
fn points(series: &Value) -> Vec<(i64, u64)> {
    let points = series["points"].as_array().unwrap().iter();
    points
        .map(|point| (point["at"].as_i64().unwrap(), point["n"].as_u64().unwrap()))
        .collect()
}

#[test]
fn every_minute_of_every_label_is_what_the_log_holds() {
    let mut scene = Scene::new();
    scene.writer.lines(700);
    scene.agent.start_ready();
    scene.counted();
    let path = "/api/v1/series?metric=cdn_origin_requests_total&by=provider,code&from=-60m";
    let (status, answer) = json(&mut scene, path);
    assert_eq!(status, 200);
    let mut total = 0;
    for series in answer["series"].as_array().unwrap() {
        let (provider, code) = (&series["labels"][0], &series["labels"][1]);
        let name = format!("cdn_origin_requests_total{{code={code},provider={provider}}}");
        let sum: u64 = points(series).iter().map(|(_, n)| n).sum();
        let truth = scene.writer.truth.series.get(&name).copied();
        assert_eq!(sum, truth.unwrap_or_default(), "{name}");
        total += sum;
    }
    let truth = scene.writer.truth.series.iter();
    let own = truth.filter(|(name, _)| name.starts_with("cdn_origin_requests_total"));
    assert_eq!(total, own.map(|(_, n)| n).sum::<u64>());
    let steps = answer["steps"].as_array().unwrap().iter();
    let lines: Vec<(i64, u64)> = steps
        .map(|step| {
            (
                step["at"].as_i64().unwrap(),
                step["lines"].as_u64().unwrap(),
            )
        })
        .collect();
    let minutes = scene.writer.truth.minutes.iter();
    assert_eq!(lines, minutes.map(|(at, n)| (*at, *n)).collect::<Vec<_>>());
    // The same in hours, with a matcher.
    let path = "/api/v1/series?metric=cdn_origin_requests_total&by=code&from=-3h&step=1h\
                &match=code=~%225..%22";
    let (_, answer) = json(&mut scene, path);
    for series in answer["series"].as_array().unwrap() {
        let code = series["labels"][0].as_str().unwrap();
        assert!(code.starts_with('5'), "{code}");
    }
    scene.ends_exact();
}

#[test]
fn the_status_names_logs_outputs_and_metrics() {
    let mut scene = Scene::started();
    scene.sent();
    let agent = &mut scene.agent;
    eventually(
        DEADLINE,
        "the log is idle, its time goes on, and all is sent",
        || {
            let answer = agent.get("/api/v1/status").ok_or("no answer")?;
            let status: Value = serde_json::from_str(&answer.body).map_err(|e| e.to_string())?;
            let log = &status["logs"][0];
            let age = status["now_ms"].as_i64().ok_or("no now")? / 1000
                - log["watermark"].as_i64().ok_or("no watermark")?;
            let waits = status["outputs"][0]["queue_windows"].as_u64();
            let rests = age < 120 && waits == Some(0);
            rests.then_some(()).ok_or(format!("{status}"))
        },
    );
    let (code, status) = json(&mut scene, "/api/v1/status");
    assert_eq!((code, &status["ready"]), (200, &Value::from("ready")));
    assert_eq!(status["held"], Value::from(true));
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    let log = &status["logs"][0];
    assert_eq!(log["name"], "access");
    assert_eq!(
        (log["lag_bytes"].as_u64(), log["lines"][0].as_u64()),
        (Some(0), Some(10))
    );
    assert_eq!(log["files"][0]["state"], "live");
    assert_eq!(log["files"][0]["offset"], log["files"][0]["size"]);
    assert_eq!(status["outputs"][0]["name"], "carbon");
    let metrics = status["metrics"].as_array().unwrap();
    let beacons = metrics
        .iter()
        .find(|m| m["name"] == "cdn_failure_beacons_total");
    assert_eq!(beacons.unwrap()["logs"][0], "access");
    scene.ends_exact();
}

#[test]
fn a_silent_declared_provider_is_0_and_an_unknown_metric_is_none() {
    let mut scene = Scene::started();
    let path = "/api/v1/series?metric=cdn_failure_beacons_total&by=provider&from=-1m";
    let (_, answer) = json(&mut scene, path);
    let names: Vec<_> = answer["series"].as_array().unwrap().iter().collect();
    assert!(
        names.iter().any(|series| series["labels"][0] == "fastly"),
        "{answer}"
    );
    for (path, code, expected) in [
        ("/api/v1/series", 400, "`metric` is missing"),
        (
            "/api/v1/series?metric=cdn_beacons",
            404,
            "`cdn_failure_beacons_total`",
        ),
        (
            "/api/v1/series?metric=cdn_failure_beacons_total&by=pop",
            404,
            "no label `pop` of",
        ),
        (
            "/api/v1/series?metric=cdn_failure_beacons_total&from=x",
            400,
            "expected Unix seconds",
        ),
        (
            "/api/v1/series?metric=cdn_failure_beacons_total&step=90",
            400,
            "multiple of 60",
        ),
        (
            "/api/v1/series?metric=beacontail_gaps_total",
            400,
            "keeps no minutes",
        ),
        ("/api/v1/nothing", 404, "no such page"),
    ] {
        let (status, answer) = json(&mut scene, path);
        let error = answer["error"].as_str().unwrap();
        assert_eq!(status, code, "{path}: {error}");
        assert!(error.contains(expected), "{path}: {error}");
    }
    scene.ends_exact();
}
