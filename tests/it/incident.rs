//! The shipped incident: what a first run on it shows, and every number of it.

use serde_json::{Value, json};

use crate::program::{minutes, own, replay, run, total_of};

const POPS: &str = "cdn_failure_beacons_by_pop_total";

fn incident() -> String {
    own("origin-incident.log.gz").to_str().unwrap().to_owned()
}

#[test]
fn every_number_of_the_incident_is_as_expected() {
    let mut found = replay(&[&incident(), "--by=provider,pop,code"]);
    // The country depends on the databases of the machine, the path on the folder.
    found["inputs"][0]["path"] = "origin-incident.log.gz".into();
    found.as_object_mut().unwrap().remove("notices");
    let path = own("origin-incident.expected.json");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, expected_text(&found)).unwrap();
    }
    let expected: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(found, expected);
}

/// One line for each series: as readable as a diff needs.
fn expected_text(document: &Value) -> String {
    let mut head = document.clone();
    let series = head.as_object_mut().unwrap().remove("series").unwrap();
    let series: Vec<String> = series
        .as_array()
        .unwrap()
        .iter()
        .map(Value::to_string)
        .collect();
    let head = head.to_string();
    let head = head.strip_suffix('}').unwrap();
    format!("{head},\"series\":[\n{}\n]}}\n", series.join(",\n"))
}

#[test]
fn the_table_says_who_was_hurt_since_when_and_where() {
    let text = run(&["replay", &incident()]).exits(0).text();
    for part in [
        "nginx-cdn (99.",
        "provider fastly: ",
        "from 07:06 to 07:21",
        "cdn_failure_beacons_by_pop_total",
        "Unparsed lines",
        "beacon_source!=\"\": 20",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let row = |line: &&str| {
        let mut words = line.split_whitespace();
        (words.next(), words.next()) == (Some("fastly"), Some("HKG"))
    };
    assert!(
        text.lines()
            .find(row)
            .is_some_and(|line| line.contains('█')),
        "{text}"
    );
}

#[test]
fn asian_pops_of_fastly_fail_from_seven_oh_six_on() {
    let document = replay(&[incident()]);
    let pops = minutes(&document, POPS);
    for pop in ["NRT", "HKG", "SIN"] {
        let labels = json!({"provider": "fastly", "pop": pop});
        let series = pops
            .iter()
            .find(|(key, _)| serde_json::from_str::<Value>(key).unwrap() == labels);
        let (first, _) = series.unwrap().1.first_key_value().unwrap();
        assert_eq!(first, "2013-10-31T07:06:00Z", "{pop}");
        assert!(total_of(&document, POPS, &labels) > 300);
    }
}
