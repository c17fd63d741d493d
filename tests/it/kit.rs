//! The beacon kit: what is written where, and that its pixel is what the rules count.

use std::fs;
use std::path::Path;

use crate::program::{Ran, run, run_with};

const PROVIDERS: [&str; 5] = ["akamai", "cloudflare", "cloudfront", "edgecast", "fastly"];

fn kit(out: &Path, more: &[&str]) -> Ran {
    let out = out.to_str().unwrap();
    let mut args = vec!["kit", "--pixel-host", "px.shop.example", "--out", out];
    args.extend(more);
    run(&args)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The format string of a shipped parser, as `parsers show` has it on one line.
fn format_of(parser: &str) -> String {
    let flat = run(&["parsers", "show", parser, "--flat"]).exits(0).text();
    let behind = flat.split_once("[format]").unwrap().1;
    let (_, text) = behind.split_once(" = '").unwrap();
    text.split_once("'\n").unwrap().0.to_owned()
}

#[test]
fn the_pixel_of_each_page_is_a_beacon_of_its_provider() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("kit");
    kit(&out, &["--provider", "all", "--languages", "en,he"]).exits(0);
    for provider in PROVIDERS {
        let page = fs::read_to_string(out.join(provider).join("whoopsie.html")).unwrap();
        let (_, behind) = page
            .split_once("<img src=\"https://px.shop.example")
            .unwrap();
        let (target, _) = behind.split_once('"').unwrap();
        let target = target.replace("&amp;", "&");
        let line = format!(
            "203.0.113.9 - - [31/Oct/2013:07:06:42 +0000] \"GET {target} HTTP/2.0\" 200 43 \"-\" \"-\" \"-\" 0.000\n"
        );
        let told = run_with(&["explain", "--json"], line.as_bytes())
            .exits(0)
            .json_lines();
        let series = format!("cdn_failure_beacons_total{{provider=\"{provider}\"}}");
        assert_eq!(told[0]["counts"][series.as_str()], 1, "{line}");
    }
}

#[test]
fn servers_write_what_the_shipped_parsers_read() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("kit");
    kit(&out, &["--provider", "fastly"]).exits(0);
    let text = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    assert!(text("nginx.conf").contains(&format!("'{}'", format_of("nginx-cdn"))));
    let apache = format_of("apache-cdn").replace('"', "\\\"");
    assert!(text("apache.conf").contains(&format!("LogFormat \"{apache}\" ")));
    assert!(text("varnish.vcl").contains(&format!("-F '{}'", format_of("varnishncsa-cdn"))));
    let pasted = include_str!("../../parsers/haproxy-cdn.toml");
    for line in pasted.split("'''").nth(1).unwrap().lines() {
        assert!(text("haproxy.cfg").contains(line.trim()), "{line}");
    }
}

#[test]
fn a_folder_of_somebodys_is_never_touched() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("mine");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("README.md"), "my notes").unwrap();
    let refused = kit(&out, &["--provider", "fastly", "--force"]).exits(2);
    assert!(refused.err.contains("is no beacon kit"), "{}", refused.err);
    assert_eq!(names(&out), ["README.md"]);
    assert_eq!(names(temporary.path()), ["mine"]);
}

#[test]
fn a_kit_is_replaced_by_force_only_and_as_a_whole() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("deep/kit");
    kit(&out, &["--provider", "fastly", "--languages", "en,de"]).exits(0);
    let refused = kit(&out, &["--provider", "akamai"]).exits(2);
    assert!(refused.err.contains("--force"), "{}", refused.err);
    assert!(out.join("fastly.vcl").exists());
    kit(
        &out,
        &["--provider", "akamai", "--languages", "en", "--force"],
    )
    .exits(0);
    let now = names(&out);
    assert!(now.contains(&"akamai.json".to_owned()) && !now.contains(&"fastly.vcl".to_owned()));
    assert!(!now.contains(&"whoopsie.de.html".to_owned()));
    assert_eq!(names(&temporary.path().join("deep")), ["kit"]);
}

#[test]
fn an_empty_folder_is_filled() {
    let temporary = tempfile::tempdir().unwrap();
    kit(temporary.path(), &["--provider", "fastly"]).exits(0);
    assert!(temporary.path().join("whoopsie.html").exists());
}

#[test]
fn mistakes_write_nothing_and_are_all_told() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("kit");
    let args = [
        "--provider",
        "Fastly",
        "--status-url",
        "http://a.example/",
        "--languages",
        "en,tlh",
    ];
    let ran = kit(&out, &args).exits(2);
    for told in [
        "`fastly`",
        "--status-url https://status.example.com/",
        "there is: en,",
    ] {
        assert!(ran.err.contains(told), "{told}: {}", ran.err);
    }
    assert!(names(temporary.path()).is_empty());
}

#[test]
fn an_unknown_provider_is_made_with_a_warning() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("kit");
    let ran = kit(&out, &["--provider", "fasty"]).exits(0);
    assert!(
        ran.err.contains("warning: ") && ran.err.contains("`fastly`"),
        "{}",
        ran.err
    );
    let readme = fs::read_to_string(out.join("README.md")).unwrap();
    assert!(readme.contains("provider=\"other\""));
}

#[test]
fn one_kit_is_the_same_byte_for_byte_whenever_it_is_made() {
    let temporary = tempfile::tempdir().unwrap();
    let (one, two) = (temporary.path().join("one"), temporary.path().join("two"));
    for out in [&one, &two] {
        kit(
            out,
            &[
                "--provider",
                "cloudflare",
                "--report-host",
                "r.shop.example",
            ],
        )
        .exits(0);
    }
    for name in names(&one) {
        assert_eq!(
            fs::read(one.join(&name)).unwrap(),
            fs::read(two.join(&name)).unwrap(),
            "{name}"
        );
    }
}
