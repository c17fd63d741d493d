//! Rows 4 and 18 to 24: carbon fails, stalls, forgets, wakes up late; lines come late.

use super::agent::{DEADLINE, eventually, pause};
use super::config::quoted;
use super::random::{Random, long, seeds};
use super::scene::{Scene, has, is_root};
use super::truth::PREFIX;
use crate::carbon::{Carbon, Mode};

/// Minutes pass in front of a carbon in this mode; it recovers; everything arrives.
fn outage(mode: Mode) {
    let mut scene = Scene::started();
    scene.sent();
    scene.carbon.set(mode);
    for _ in 0..3 {
        scene.writer.lines(120);
        scene.counted();
        pause(150);
    }
    scene.carbon.set(Mode::Sound);
    scene.ends_exact();
}

#[test]
fn values_arrive_after_carbon_was_down() {
    outage(Mode::Refuse);
}

#[test]
fn values_arrive_after_resets_on_accept() {
    outage(Mode::Reset);
}

#[test]
fn values_that_tcp_took_and_carbon_forgot_arrive() {
    outage(Mode::Swallow);
}

#[test]
fn values_cut_off_in_mid_line_arrive_and_no_half_line_counts() {
    outage(Mode::CutLine);
}

#[test]
fn values_arrive_through_a_slow_carbon() {
    outage(Mode::Slow);
}

#[test]
fn values_arrive_after_a_carbon_that_never_acknowledged() {
    outage(Mode::Open);
}

#[test]
fn values_arrive_after_a_black_hole_and_reading_goes_on() {
    outage(Mode::Blackhole);
}

#[test]
fn stale_bytes_of_a_stalled_carbon_do_not_win_in_the_end() {
    let mut scene = Scene::started();
    scene.sent();
    scene.carbon.set(Mode::Stall);
    // One minute, sent again and again as it grows: the queued values are all too low.
    scene.writer.per_minute = 100_000;
    for _ in 0..5 {
        scene.writer.lines(20);
        scene.counted();
        pause(200);
    }
    let held = scene.carbon.connections();
    assert!(held > 0, "nothing was sent to the stalled carbon");
    scene.carbon.set(Mode::Sound);
    scene.ends_exact();
}

#[test]
fn stale_bytes_do_not_win_over_a_killed_agent() {
    let mut scene = Scene::started();
    scene.sent();
    scene.carbon.set(Mode::Stall);
    scene.writer.per_minute = 100_000;
    scene.writer.lines(20);
    scene.counted();
    pause(200);
    scene.agent.kill();
    scene.writer.lines(20);
    scene.agent.start_ready();
    scene.counted();
    pause(200);
    scene.carbon.set(Mode::Sound);
    scene.ends_exact();
}

#[test]
fn a_stop_in_front_of_a_stalled_carbon_is_quick_and_loses_nothing() {
    for mode in [Mode::Stall, Mode::Open, Mode::Slow, Mode::Blackhole] {
        let mut scene = Scene::new();
        scene
            .agent
            .config
            .set("[output].ack_timeout", quoted("60s"));
        scene
            .agent
            .config
            .set("[output].write_timeout", quoted("30s"));
        scene
            .agent
            .config
            .set("[output].connect_timeout", quoted("30s"));
        scene.writer.lines(100);
        scene.carbon.set(mode);
        scene.agent.start_ready();
        scene.counted();
        pause(100);
        scene.agent.term();
        scene.carbon.set(Mode::Sound);
        scene.writer.lines(20);
        scene.agent.start_ready();
        scene.ends_exact();
    }
}

#[test]
fn a_flapping_carbon_is_exact_in_the_end() {
    for seed in seeds(if long() { 20 } else { 2 }) {
        let mut random = Random::new("flapping", seed);
        let mut scene = Scene::started();
        scene.carbon.set(Mode::Flap);
        for _ in 0..12 {
            scene
                .writer
                .lines(usize::try_from(random.below(80)).unwrap() + 1);
            pause(random.below(150));
        }
        scene.carbon.set(Mode::Sound);
        scene.ends_exact();
    }
}

#[test]
fn an_outage_costs_no_memory() {
    let mut scene = Scene::started();
    scene.sent();
    let before = scene.agent.rss();
    scene.carbon.set(Mode::Refuse);
    for _ in 0..20 {
        scene.writer.lines(500);
        pause(30);
    }
    scene.counted();
    let after = scene.agent.rss();
    assert!(
        after < before + 32 * 1024,
        "{before} KiB before, {after} after"
    );
    scene.carbon.set(Mode::Sound);
    scene.ends_exact();
}

#[test]
fn a_late_line_corrects_its_minute_upwards() {
    let mut scene = Scene::started();
    scene.writer.lines(300);
    scene.counted();
    scene.sent();
    let base = scene.writer.base();
    for minutes in [0, 2, 0, 1] {
        scene.writer.line_at(base + 60 * minutes);
        scene.counted();
        scene.sent();
    }
    let late =
        |scrape: &super::scrape::Scrape| scrape.sum("beacontail_late_lines_total", &[]) >= 4.0;
    scene.agent.scrapes("late lines are counted", late);
    let path = scene.carbon.history();
    let mut last = std::collections::BTreeMap::new();
    for (path, minute, value) in path
        .into_iter()
        .filter(|(path, ..)| path.ends_with("count"))
    {
        let before = last.insert((path.clone(), minute), value).unwrap_or(0.0);
        assert!(
            before <= value,
            "{path} {minute} went from {before} to {value}"
        );
    }
    scene.ends_exact();
}

#[test]
fn declared_series_are_zero_in_minutes_with_lines_and_absent_in_others() {
    let mut scene = Scene::new();
    let base = scene.writer.base();
    // Three minutes; in the second there are no lines.
    scene.writer.line_at(base);
    scene.writer.line_at(base + 120);
    scene.agent.start_ready();
    scene.counted();
    scene.sent();
    let carbon = &scene.carbon;
    for provider in ["akamai", "cloudflare", "cloudfront", "edgecast", "fastly"] {
        let path = format!("{PREFIX}.beacons.{provider}.count");
        eventually(DEADLINE, "zeros arrive", || {
            let points = carbon.points();
            let has = |minute| points.contains_key(&(path.clone(), minute));
            (has(base) && has(base + 120))
                .then_some(())
                .ok_or_else(|| path.clone())
        });
        let points = scene.carbon.points();
        assert!(!points.contains_key(&(path, base + 60)));
    }
    scene.ends_exact();
}

#[test]
fn without_backfill_a_first_start_sends_no_minute_that_it_did_not_see_whole() {
    let mut scene = Scene::new();
    scene.agent.arguments.clear();
    let base = scene.writer.base();
    // The first line read is in the middle of its minute.
    scene.writer.line_at(base + 30);
    scene.writer.lines(200);
    scene.agent.start_ready();
    scene.counted();
    pause(500);
    let first = |(path, minute, _): &crate::carbon::Stored| {
        *minute == base && !path.contains(".beacontail.")
    };
    let history = scene.carbon.history();
    assert!(!history.iter().any(first), "the first minute was sent");
    scene.is_sound();
    scene.agent.term();
}

#[test]
fn a_horizon_sends_again_what_carbon_lost_in_its_memory() {
    let mut scene = Scene::new();
    scene
        .agent
        .config
        .set("[output].resend_horizon", quoted("60m"));
    scene.writer.lines(150);
    scene.agent.start_ready();
    scene.counted();
    scene.sent();
    // Carbon comes back at its address and has forgotten everything.
    let address = scene.carbon.address();
    scene.carbon = Carbon::start(Mode::Refuse);
    scene.writer.lines(5);
    scene.counted();
    pause(300);
    scene.carbon = Carbon::at(address, Mode::Sound);
    scene.ends_exact();
}

/// Row 54: the name of carbon leads elsewhere; the next delivery goes there.
#[test]
fn a_changed_name_is_resolved_anew() {
    if !(is_root() && has("unshare") && has("mount")) {
        return;
    }
    let mut scene = Scene::new();
    let port = scene.carbon.address().port();
    let other = Carbon::at(format!("127.0.0.2:{port}").parse().unwrap(), Mode::Sound);
    let hosts = scene.folder().join("hosts");
    std::fs::write(&hosts, "127.0.0.1 localhost carbon.test\n").unwrap();
    let bind = format!("mount --bind {} /etc/hosts && exec \"$@\"", hosts.display());
    let probe = std::process::Command::new("unshare")
        .args(["-m", "sh", "-c", &bind, "sh", "true"])
        .status();
    if !probe.is_ok_and(|status| status.success()) {
        return super::scene::not_run_here("no mount namespace");
    }
    scene.agent.through = ["unshare", "-m", "sh", "-c", &bind, "sh"]
        .map(str::to_owned)
        .to_vec();
    scene
        .agent
        .config
        .set("[output].address", quoted(format!("carbon.test:{port}")));
    scene.writer.lines(50);
    scene.agent.start_ready();
    scene.counted();
    scene.sent();
    std::fs::write(&hosts, "127.0.0.2 localhost carbon.test\n").unwrap();
    scene.writer.lines(50);
    scene.counted();
    eventually(DEADLINE, "the other carbon is fed", || {
        (!other.history().is_empty())
            .then_some(())
            .ok_or_else(String::new)
    });
    scene.is_sound();
    scene.agent.term();
}
