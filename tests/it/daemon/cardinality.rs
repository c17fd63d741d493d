//! Rows 38 to 40 and 42: more sources, addresses and files than anybody planned for.

use std::fs;
use std::io::Write;

use super::agent::DEADLINE;
use super::config::quoted;
use super::random::long;
use super::scene::Scene;
use super::scrape::Scrape;
use super::truth::Truth;
use super::writer::{Line, Writer, base};

/// A beacon with this source and node, as `nginx-cdn` logs it.
fn beacon(client: &str, source: &str, node: &str) -> String {
    let text = Line::of(0, base()).text(0);
    text.replace("198.51.100.0", client)
        .replace("source=akamai", &format!("source={source}"))
        .replace("cache-x0-NYC", node)
}

/// Three letters that differ for 17,576 numbers.
fn letters(n: u32) -> String {
    let letter = |n: u32| char::from(b'A' + u8::try_from(n % 26).unwrap());
    [letter(n / 676), letter(n / 26), letter(n)]
        .iter()
        .collect()
}

/// Appends these lines and waits until as many were read.
fn read_all(scene: &mut Scene, lines: &[String]) -> Scrape {
    let mut file = fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(scene.log())
        .unwrap();
    for block in lines.chunks(10_000) {
        file.write_all((block.join("\n") + "\n").as_bytes())
            .unwrap();
    }
    let n = f64::from(u32::try_from(lines.len()).unwrap());
    let deadline = DEADLINE * 4;
    super::agent::eventually(deadline, "all lines are counted", || {
        scene.agent.is_alive();
        let scrape = scene.agent.scrape().ok_or("no exposition")?;
        let lines = scrape.sum("beacontail_lines_total", &["result=\"parsed\""]);
        if lines >= n {
            return Ok(scrape);
        }
        Err(format!("{lines} of {n}"))
    })
}

fn ready() -> Scene {
    let mut scene = Scene::new();
    scene.agent.start_ready();
    scene
}

#[test]
fn distinct_sources_make_one_series_and_the_sum_is_exact() {
    let mut scene = ready();
    let n: u32 = if long() { 1_000_000 } else { 50_000 };
    let before = scene.agent.rss();
    let lines: Vec<String> = (0..n)
        .map(|n| beacon("198.51.100.1", &format!("evil{n}"), "x-NYC"))
        .collect();
    let scrape = read_all(&mut scene, &lines);
    let sum = scrape.sum("cdn_failure_beacons_total", &["provider=\"other\""]);
    assert!((sum - f64::from(n)).abs() < 0.5, "{sum} of {n}");
    let after = scene.agent.rss();
    assert!(
        after < before + 96 * 1024,
        "{before} KiB before, {after} after"
    );
    scene.agent.term();
}

#[test]
fn distinct_pops_stay_within_the_limit_and_the_sum_is_exact() {
    let mut scene = Scene::new();
    scene
        .agent
        .config
        .set("limits.series_per_metric", "100".to_owned());
    scene.agent.start_ready();
    let n: u32 = 15_000;
    let lines: Vec<String> = (0..n)
        .map(|n| beacon("198.51.100.1", "fastly", &format!("x-{}", letters(n))))
        .collect();
    let scrape = read_all(&mut scene, &lines);
    let name = "cdn_failure_beacons_by_pop_total";
    let (series, sum) = (
        scrape.of(name).count(),
        scrape.sum(name, &["provider=\"fastly\""]),
    );
    assert!((sum - f64::from(n)).abs() < 0.5, "{sum} of {n}");
    assert!(series <= 110, "{series} series");
    assert!(scrape.sum("beacontail_overflow_total", &[]) > 0.0);
    // The same slots after a restart.
    scene.agent.kill();
    scene.agent.start_ready();
    let again = scene.agent.scrape().unwrap();
    let of = |scrape: &Scrape| {
        scrape
            .of(name)
            .map(|(s, v)| (s.to_owned(), v.to_string()))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(&scrape), of(&again));
    scene.agent.term();
}

#[test]
fn a_hundred_thousand_addresses_cost_little_and_count_exactly() {
    let mut scene = ready();
    let before = scene.agent.rss();
    let n: u32 = 100_000;
    let address = |n: u32| std::net::Ipv4Addr::from(0x0b00_0000 + n * 7).to_string();
    let lines: Vec<String> = (0..n)
        .map(|n| beacon(&address(n), "fastly", "x-NYC"))
        .collect();
    let scrape = read_all(&mut scene, &lines);
    let sum = scrape.sum("cdn_failure_beacons_total", &["provider=\"fastly\""]);
    assert!((sum - f64::from(n)).abs() < 0.5, "{sum} of {n}");
    let after = scene.agent.rss();
    assert!(
        after < before + 96 * 1024,
        "{before} KiB before, {after} after"
    );
    scene.agent.term();
}

/// Follows many files by one pattern, before and after the start, over a kill.
fn many_files(mut scene: Scene, files: u64) {
    let logs = scene.logs();
    scene
        .agent
        .config
        .set("[log].path", quoted(logs.join("*.txt")));
    let mut truth = Truth::default();
    let write = |from: u64, to: u64, truth: &mut Truth| {
        for n in from..to {
            let mut writer = Writer::from(logs.join(format!("{n}.txt")), n * 10);
            writer.lines(3);
            truth.merge(&writer.truth);
        }
    };
    write(0, files / 2, &mut truth);
    scene.agent.start_ready();
    let exact = |scene: &mut Scene, truth: &Truth| {
        super::agent::eventually(DEADLINE * 3, "all files are counted", || {
            scene.agent.is_alive();
            let scrape = scene.agent.scrape().ok_or("no exposition")?;
            super::oracle::verdict(&super::oracle::differences(&scrape, truth))
        });
    };
    exact(&mut scene, &truth);
    write(files / 2, files, &mut truth);
    exact(&mut scene, &truth);
    scene.agent.kill();
    // Each file gets one more line while nobody looks.
    for n in 0..files {
        let mut writer = Writer::from(logs.join(format!("{n}.txt")), n * 10 + 5);
        writer.lines(1);
        truth.merge(&writer.truth);
    }
    scene.agent.start_ready();
    exact(&mut scene, &truth);
    super::oracle::scrapes_are_sound(&scene.agent.seen, &truth);
    scene.agent.term();
}

#[test]
fn many_files_are_followed_and_counted_once() {
    many_files(Scene::new(), if long() { 10_000 } else { 1500 });
}

#[test]
fn sixty_four_descriptors_are_enough_for_three_hundred_files() {
    let mut scene = Scene::new();
    scene.agent.through = ["sh", "-c", "ulimit -n 64 && exec \"$@\"", "sh"]
        .map(str::to_owned)
        .to_vec();
    many_files(scene, 300);
}
