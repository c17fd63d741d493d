//! Providers told by their addresses: ranges, conflicts with what is claimed, headers that name the
//! client.

use serde_json::json;

use crate::program::{Folder, replay, run, total, total_of};

const CONFLICTS: &str = "cdn_identity_conflicts_total";
const REQUESTS: &str = "cdn_origin_requests_total";

/// A request at the origin; `-` for no header.
fn request(peer: &str, header: &str) -> String {
    format!(
        "{peer} - - [31/Oct/2013:07:06:42 +0000] \"GET /shop HTTP/1.1\" 200 43 \"-\" \"a\" \"{header}\" 0.1\n"
    )
}

fn beacon(peer: &str, source: &str) -> String {
    format!(
        "{peer} - - [31/Oct/2013:07:06:42 +0000] \"GET /status/images/beacon.gif?source={source} HTTP/1.1\" 200 43 \"-\" \"a\" \"-\" 0.1\n"
    )
}

/// The flags for two providers whose ranges stand in files of the folder.
fn ranges(folder: &Folder) -> [String; 2] {
    let fastly = "# edges\n151.101.0.0/16\n2a04:4e40::/32\n";
    let akamai = "{\"prefixes\": [{\"ip_prefix\": \"23.32.0.0/11\"}]}";
    [("fastly", fastly), ("akamai", akamai)].map(|(name, text)| {
        let file = folder.file(name, text);
        format!("--provider-ranges={name}={file}")
    })
}

fn count(document: &serde_json::Value, claimed: &str, seen: &str) -> u64 {
    total_of(
        document,
        CONFLICTS,
        &json!({"claimed": claimed, "seen": seen}),
    )
}

#[test]
fn a_peer_that_contradicts_its_header_is_counted_and_believed() {
    let folder = Folder::new();
    let log: String = [
        request("151.101.3.4", "Fastly"),
        request("23.40.0.1", "fastly"),
        request("8.8.8.8", "fastly"),
        request("8.8.8.8", "cloudflare"),
        request("10.0.0.1", "fastly"),
        request("2a04:4e40::1", "someone"),
        request("151.101.3.4", "-"),
        request("8.8.8.8", "-"),
    ]
    .concat();
    let path = folder.file("access.log", log);
    let [fastly, akamai] = ranges(&folder);
    let document = replay(&[&path, &fastly, &akamai]);
    assert_eq!(count(&document, "fastly", "akamai"), 1);
    assert_eq!(count(&document, "fastly", "none"), 1);
    assert_eq!(count(&document, "other", "fastly"), 1);
    assert_eq!(total(&document, CONFLICTS), 3);
    let requests = |provider: &str| {
        total_of(
            &document,
            REQUESTS,
            &json!({"provider": provider, "code": "2xx"}),
        )
    };
    assert_eq!(
        requests("fastly"),
        5,
        "the header stands, and the address of one without it"
    );
    assert_eq!((requests("other"), requests("direct")), (1, 1));

    let unknown = replay(&[&path]);
    assert_eq!(total(&unknown, CONFLICTS), 0, "nobody is known");
    let ours = replay(&[
        &path,
        &fastly,
        &akamai,
        &"--trusted-proxies=8.8.8.8".to_owned(),
    ]);
    assert_eq!(
        count(&ours, "fastly", "none"),
        0,
        "a proxy of ours says nothing"
    );
}

#[test]
fn a_visitor_without_a_cdn_contradicts_no_beacon() {
    let folder = Folder::new();
    let log: String = [
        beacon("8.8.8.8", "fastly"),
        beacon("151.101.3.4", "fastly"),
        beacon("151.101.3.4", "AKAMAI"),
    ]
    .concat();
    let path = folder.file("access.log", log);
    let [fastly, akamai] = ranges(&folder);
    let document = replay(&[&path, &fastly, &akamai]);
    assert_eq!(count(&document, "akamai", "fastly"), 1);
    assert_eq!(total(&document, CONFLICTS), 1);
    assert_eq!(total(&document, "cdn_failure_beacons_total"), 3);
}

#[test]
fn explain_and_grep_know_the_ranges() {
    let folder = Folder::new();
    let [fastly, akamai] = ranges(&folder);
    let line = request("23.40.0.1", "fastly");
    let text = run(&["explain", line.trim_end(), &fastly, &akamai])
        .exits(0)
        .text();
    let series = r#"cdn_identity_conflicts_total{claimed="fastly",seen="akamai"}"#;
    assert!(text.contains(&format!("{series} 1")), "{text}");
    let path = folder.file(
        "access.log",
        format!("{line}{}", request("151.101.3.4", "fastly")),
    );
    let found = run(&["grep", series, &path, &fastly, &akamai])
        .exits(0)
        .text();
    assert_eq!(found.lines().count(), 1, "{found}");
    assert!(found.starts_with("23.40.0.x "), "{found}");
}

#[test]
fn wrong_ranges_are_shown_together() {
    let folder = Folder::new();
    let log = folder.file("access.log", request("8.8.8.8", "fastly"));
    let empty = folder.file("empty", "# to come\n");
    let wrong = folder.file("wrong", "151.101.0.0/16\n151.101.0.0/33\n");
    let args = [
        "replay".to_owned(),
        log,
        format!("--provider-ranges=fastly={wrong}"),
        format!("--provider-ranges=akamai={empty}"),
        "--provider-ranges=cloudflare=/no/such/file".to_owned(),
        "--provider-ranges=Fast ly=/dev/null".to_owned(),
        "--trusted-proxies=providers".to_owned(),
    ];
    let ran = run(&args).exits(2);
    for part in [
        "line 2: `151.101.0.0/33` is not an address",
        "there is no network in it",
        "cannot read this file",
        "`Fast ly` is no name of a provider",
        "`providers` without ranges of any",
    ] {
        assert!(ran.err.contains(part), "{part}\n{}", ran.err);
    }
    let ran = run(&["explain", "x", "--provider-ranges=fastly"]).exits(2);
    assert!(ran.err.contains("expected NAME=FILE"), "{}", ran.err);
}

#[test]
fn ranges_of_providers_may_be_trusted_proxies() {
    let folder = Folder::new();
    let [fastly, akamai] = ranges(&folder);
    let line = request("8.8.8.8, 151.101.3.4", "fastly");
    let walk = |more: &[&str]| {
        let mut args = vec![
            "explain",
            "-p",
            "nginx-cdn-xff",
            "--rules=origin-geo",
            line.trim_end(),
        ];
        args.extend([fastly.as_str(), akamai.as_str()]);
        args.extend(more);
        run(&args).exits(0).text()
    };
    let text = walk(&["--trusted-proxies=providers"]);
    assert!(text.contains("client 8.8.8.x"), "{text}");
    let text = walk(&["--trusted-proxies=private"]);
    assert!(text.contains("client 151.101.3.x"), "{text}");
}
