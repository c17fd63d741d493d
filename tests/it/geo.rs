//! Countries, from MaxMind's test databases; broken databases.

use serde_json::{Value, json};

use crate::program::{Folder, foreign, own, replay, run, total, total_of};

/// A beacon of a client.
fn beacon(client: &str) -> String {
    format!(
        "{client} - - [31/Oct/2013:07:06:42 +0000] \"GET /status/images/beacon.gif?source=fastly HTTP/1.1\" 200 43 \"-\" \"a\"\n"
    )
}

const BY_COUNTRY: &str = "cdn_failure_beacons_by_country_total";

#[test]
fn beacons_are_counted_by_country() {
    let Some(geo) = foreign("mmdb/test-data/GeoLite2-Country-Test.mmdb") else {
        return;
    };
    let folder = Folder::new();
    let clients = [
        ("81.2.69.142", "GB"),
        ("81.2.69.160", "GB"),
        ("216.160.83.56", "US"),
        ("89.160.20.112", "SE"),
        ("2001:218::1", "JP"),
        ("::ffff:81.2.69.142", "GB"),
        ("10.1.2.3", "private"),
        ("192.0.2.1", "unknown"),
        ("1.2.3.4", "unknown"),
        ("not-an-address", "unknown"),
    ];
    let log: String = clients.iter().map(|(client, _)| beacon(client)).collect();
    let path = folder.file("access.log", log);
    let document = replay(&[&path, &format!("--geoip={}", geo.display())]);
    for (client, country) in clients {
        let expected = clients
            .iter()
            .filter(|(_, other)| *other == country)
            .count();
        let labels = json!({"provider": "fastly", "country": country});
        let found = total_of(&document, BY_COUNTRY, &labels);
        assert_eq!(
            found,
            u64::try_from(expected).unwrap(),
            "{client}\n{document}"
        );
    }
}

#[test]
fn countries_of_the_incident_are_those_of_asia() {
    let Some(geo) = foreign("mmdb/test-data/GeoLite2-Country-Test.mmdb") else {
        return;
    };
    let path = own("origin-incident.log.gz");
    let document = replay(&[
        path.to_str().unwrap(),
        &format!("--geoip={}", geo.display()),
        "--metric",
        BY_COUNTRY,
    ]);
    let of = |country: &str| {
        total_of(
            &document,
            BY_COUNTRY,
            &json!({"provider": "fastly", "country": country}),
        )
    };
    assert!(
        of("JP") > 200 && of("CN") > 100 && of("PH") > 100,
        "{document}"
    );
    assert!(of("GB") < 50 && of("US") < 50, "{document}");
}

#[test]
fn without_a_database_a_notice_says_how_to_get_one_and_nothing_is_lost() {
    let folder = Folder::new();
    let path = folder.file("access.log", beacon("81.2.69.142"));
    let document = replay(&[&path]);
    assert_eq!(total(&document, BY_COUNTRY), 1);
    let labels = json!({"provider": "fastly", "country": "unknown"});
    // A machine may have a database in the standard places.
    if total_of(&document, BY_COUNTRY, &labels) == 1 {
        assert!(
            document["notices"].to_string().contains("--geoip"),
            "{document}"
        );
    }
}

#[test]
fn a_missing_database_is_a_mistake_on_the_command_line() {
    let folder = Folder::new();
    let path = folder.file("access.log", beacon("81.2.69.142"));
    let ran = run(&["replay", &path, "--geoip=/nowhere/GeoLite2.mmdb"]).exits(2);
    assert!(ran.err.contains("/nowhere/GeoLite2.mmdb"), "{}", ran.err);
}

/// Every file of the folders of broken databases.
fn broken() -> Vec<std::path::PathBuf> {
    let Some(folder) = foreign("mmdb") else {
        return Vec::new();
    };
    let listed = std::fs::read(folder.join("broken-behaviour.json")).unwrap();
    let listed: Value = serde_json::from_slice(&listed).unwrap();
    let files: Vec<_> = listed
        .as_object()
        .unwrap()
        .keys()
        .map(|name| folder.join(name))
        .collect();
    assert!(files.len() > 20);
    files
}

#[test]
fn broken_databases_are_refused_or_answer_unknown() {
    let folder = Folder::new();
    let clients = [
        "81.2.69.142",
        "216.160.83.56",
        "2001:218::1",
        "1.1.1.1",
        "::1.1.1.1",
    ];
    let log: String = clients.iter().map(|client| beacon(client)).collect();
    let path = folder.file("access.log", log);
    for database in broken() {
        let geo = format!("--geoip={}", database.display());
        let ran = run(&["replay", &path, &geo, "-o", "json"]);
        if ran.code == 0 {
            // No count is lost to it.
            assert_eq!(total(&ran.json(), BY_COUNTRY), 5, "{}", database.display());
        } else {
            assert_eq!(ran.code, 2, "{}", ran.err);
            let name = database.file_name().unwrap().to_str().unwrap();
            assert!(ran.err.contains(name), "{}", ran.err);
            assert_eq!(ran.text(), "");
        }
    }
}
