//! Rows 1 to 3: killed at random points, over writing, rotating, compressing and a carbon that
//! fails in every way. Every line counts once, whatever was in flight.

use super::agent::pause;
use super::random::{Random, long, seeds};
use super::rotate::{WAYS, Way, compress_in_part, numbered, rename_and_create, rotate};
use super::scene::Scene;
use crate::carbon::Mode;

/// Something a server or logrotate does.
fn act(scene: &mut Scene, random: &mut Random, way: Way) {
    let writer = &mut scene.writer;
    let n = usize::try_from(random.below(60)).unwrap();
    match random.below(8) {
        0..=3 => writer.lines(n + 1),
        4 => writer.tear(n * 4 + 1),
        5 => writer.mend(),
        6 => rotate(writer, way, n % 7),
        _ => pause(random.below(40)),
    }
}

/// One history: `kills` kills, and at the end everything is exact.
fn history(seed: u64, kills: u64) {
    let mut random = Random::new("crash", seed);
    let mut scene = Scene::started();
    scene.writer.per_minute = 200;
    let ways = u64::try_from(WAYS.len()).unwrap();
    let way = WAYS[usize::try_from(seed % ways).unwrap()];
    scene.carbon.set(Mode::Flap);
    for _ in 0..kills {
        for _ in 0..random.below(12) {
            act(&mut scene, &mut random, way);
        }
        pause(random.below(60));
        scene.agent.kill();
        for _ in 0..random.below(4) {
            act(&mut scene, &mut random, way);
        }
        if random.once_in(3) {
            scene.agent.start_ready();
            scene.agent.scrape();
        } else {
            scene.agent.start();
            pause(random.below(120));
        }
    }
    scene.writer.lines(5);
    scene.carbon.set(Mode::Sound);
    scene.agent.ready();
    scene.ends_exact();
}

/// Each way of rotation has its histories; seventy kills, or five hundred and sixty in a long run.
#[test]
fn killed_agents_count_each_line_once() {
    let histories = if long() { 56 } else { 7 };
    for some in seeds(histories).chunks(3) {
        std::thread::scope(|scope| {
            for seed in some {
                scope.spawn(|| history(*seed, 10));
            }
        });
    }
}

#[test]
fn an_agent_killed_in_front_of_each_failing_carbon_is_exact() {
    for mode in [
        Mode::Refuse,
        Mode::Reset,
        Mode::Swallow,
        Mode::CutLine,
        Mode::Stall,
        Mode::Slow,
        Mode::Open,
        Mode::Blackhole,
    ] {
        let mut scene = Scene::started();
        scene.carbon.set(mode);
        scene.writer.lines(150);
        scene.counted();
        scene.agent.kill();
        scene.writer.lines(50);
        scene.agent.start_ready();
        scene.counted();
        scene.carbon.set(Mode::Sound);
        scene.ends_exact();
    }
}

#[test]
fn an_agent_killed_while_an_archive_is_being_written_goes_on_inside_it() {
    let mut scene = Scene::started();
    scene.writer.lines(40);
    scene.counted();
    scene.writer.lines(400);
    rename_and_create(&scene.log());
    scene.writer.reopen();
    let half = compress_in_part(&numbered(&scene.log(), 1));
    scene.agent.kill();
    scene.agent.start_ready();
    half.finish();
    scene.writer.lines(10);
    scene.ends_exact();
}

#[test]
fn an_agent_killed_before_anything_was_committed_starts_from_nothing() {
    let mut scene = Scene::new();
    scene.writer.lines(200);
    for wait in 0..8 {
        scene.agent.start();
        pause(wait * 7);
        scene.agent.kill();
    }
    scene.agent.start_ready();
    scene.ends_exact();
}
