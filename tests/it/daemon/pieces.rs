//! Lines that a container's runtime cut into pieces: positions never lie between the pieces of one
//! line, so that a kill between them loses none and counts none twice.

use super::agent::pause;
use super::rotate::rename_and_create;
use super::scene::Scene;

/// A line as the lines of a container's log.
type Cut = fn(&str) -> Vec<String>;

/// A line in three.
fn cut(text: &str) -> [&str; 3] {
    let (head, rest) = text.split_at(30);
    let (middle, end) = rest.split_at(40);
    [head, middle, end]
}

fn cri(text: &str) -> Vec<String> {
    let [head, middle, end] = cut(text);
    let time = "2026-11-22T07:00:00.000000001Z";
    vec![
        format!("{time} stdout P {head}\n"),
        format!("{time} stderr F not of the line\n"),
        format!("{time} stdout P {middle}\n"),
        format!("{time} stdout F {end}\n"),
    ]
}

fn docker(text: &str) -> Vec<String> {
    let [head, middle, end] = cut(text);
    let object = |text: &str| {
        let text = serde_json::to_string(text).unwrap();
        format!("{{\"log\":{text},\"stream\":\"stdout\",\"time\":\"2026-11-22T07:00:00Z\"}}\n")
    };
    vec![object(head), object(middle), object(&format!("{end}\n"))]
}

#[test]
fn a_kill_between_pieces_counts_the_line_once() {
    let mut scene = Scene::started();
    for way in [cri as Cut, docker] {
        for kill_after in 0..3 {
            let line = scene.writer.taken();
            let pieces = way(&line.text(0));
            for (number, piece) in pieces.iter().enumerate() {
                scene.writer.bytes(piece.as_bytes());
                if number == kill_after {
                    pause(60);
                    scene.agent.kill();
                    scene.agent.start_ready();
                }
            }
            scene.writer.was_written(line, pieces.len() - 1);
            scene.counted();
        }
        scene.writer.lines(5);
    }
    scene.ends_exact();
}

#[test]
fn pieces_that_come_one_by_one_make_a_line() {
    let mut scene = Scene::started();
    for _ in 0..20 {
        let line = scene.writer.taken();
        let pieces = cri(&line.text(20_000));
        for piece in &pieces {
            scene.writer.bytes(piece.as_bytes());
            pause(5);
        }
        scene.writer.was_written(line, pieces.len() - 1);
    }
    scene.ends_exact();
}

#[test]
fn a_rotation_between_pieces_lets_the_old_file_end_the_line() {
    let mut scene = Scene::started();
    let line = scene.writer.taken();
    let pieces = docker(&line.text(0));
    for (number, piece) in pieces.iter().enumerate() {
        scene.writer.bytes(piece.as_bytes());
        if number == 0 {
            rename_and_create(&scene.log());
        }
        pause(30);
    }
    scene.writer.was_written(line, pieces.len() - 1);
    scene.writer.reopen();
    scene.writer.lines(5);
    scene.ends_exact();
}

#[test]
fn pieces_whose_end_goes_to_the_next_file_are_a_gap() {
    let mut scene = Scene::started();
    let line = scene.writer.taken();
    let pieces = docker(&line.text(0));
    let (last, begun) = pieces.split_last().unwrap();
    begun
        .iter()
        .for_each(|piece| scene.writer.bytes(piece.as_bytes()));
    pause(60);
    rename_and_create(&scene.log());
    scene.writer.reopen();
    scene.writer.raw(last.as_bytes(), 1);
    scene.writer.lines(5);
    scene.counted();
    let torn = |scrape: &super::scrape::Scrape| {
        scrape.sum("beacontail_gaps_total", &["reason=\"torn\""]) >= 1.0
    };
    scene.agent.scrapes("what was begun is a gap", torn);
    scene.ends_exact();
}
