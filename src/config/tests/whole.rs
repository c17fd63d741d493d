//! Files without mistakes, the values that hold without a file, and what the pages say.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::{LEAST, environment, read};
use crate::config::{
    Config, Environment, GraphiteProtocol, LogInput, OutputKind, ProxyEntry, Start, SyslogAddress,
};
use crate::definition::Var;
use crate::diagnostic::render;

const PAGE: &str = include_str!("../../../docs/configuration.md");
const EXAMPLE: &str = include_str!("../../../contrib/beacontail.toml");

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn files(config: &Config, at: usize) -> Vec<PathBuf> {
    match &config.logs[at].input {
        LogInput::Files { paths, .. } => paths.iter().map(|path| path.value.clone()).collect(),
        other => panic!("no files: {other:?}"),
    }
}

/// The keys that the loader asks for in each table: the help of an unknown key names them.
fn known_keys() -> Vec<(&'static str, BTreeSet<String>)> {
    let graphite = "type = \"graphite\"\naddress = \"g:1\"\nprefix = \"a\"\n";
    let tables = [
        ("", ""),
        ("[agent]", ""),
        ("[store]", ""),
        ("[http]", ""),
        ("[status]", ""),
        ("[geoip]", ""),
        ("[limits]", ""),
        ("[[log]]", "name = \"b\"\npath = \"/b\"\n"),
        ("[[output]]", graphite),
        ("[marks]", ""),
    ];
    let keys = tables.map(|(header, inside)| {
        let unknown = format!("{header}\n\"zzzzzzzzzz zzzz\" = 1\n{inside}");
        let text = if header.is_empty() {
            unknown + LEAST
        } else {
            LEAST.to_owned() + &unknown
        };
        let mistakes = read(&text).unwrap_err();
        assert_eq!(mistakes.len(), 1, "{}", render(&mistakes, false));
        let help = mistakes[0].help.clone().unwrap();
        let keys = help.split('`').skip(1).step_by(2).map(str::to_owned);
        (header, keys.collect())
    });
    keys.to_vec()
}

/// The part of the page about one table of the file.
fn section(header: &str) -> &'static str {
    let title = match header {
        "" => "## The file itself\n".to_owned(),
        header => format!("## `{header}`\n"),
    };
    let (_, after) = PAGE.split_once(&title).expect("each table has a section");
    after.split("\n## ").next().unwrap()
}

/// Key and default of each row of a section.
fn rows(section: &str) -> Vec<(&str, &str)> {
    let rows = section.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        Some((cells.next()?.strip_suffix('`')?, cells.next()?))
    });
    rows.collect()
}

#[test]
fn the_page_has_each_key_that_the_loader_knows_and_no_other() {
    let tables = [
        "agent",
        "geoip",
        "http",
        "limits",
        "log",
        "marks",
        "output",
        "providers",
        "status",
        "store",
        "vars",
    ];
    for (header, known) in known_keys() {
        let mut page: BTreeSet<String> = rows(section(header))
            .iter()
            .map(|(key, _)| (*key).to_owned())
            .collect();
        if header.is_empty() {
            page.extend(tables.map(str::to_owned));
        }
        assert_eq!(page, known, "{header}");
    }
    assert!(PAGE.contains("## `[vars]`") && PAGE.contains("## `[providers]`"));
}

#[test]
fn the_example_has_each_key_that_the_loader_knows() {
    for (header, known) in known_keys() {
        for key in known {
            let is_there = EXAMPLE.lines().any(|line| {
                let line = line.trim_start_matches(['#', ' ', '[']);
                let rest = line.strip_prefix(key.as_str()).unwrap_or_default();
                rest.starts_with(" =") || rest.starts_with(']')
            });
            assert!(is_there, "`{key}` of `{header}`");
        }
    }
}

#[test]
fn documented_defaults_are_those_that_hold() {
    let mut text = String::new();
    for (header, _) in known_keys() {
        text += &format!("{header}\n");
        for (key, default) in rows(section(header)) {
            let written = default
                .strip_prefix('`')
                .and_then(|rest| rest.strip_suffix('`'));
            text += &match (header, key, written) {
                (_, _, Some(written)) => format!("{key} = {written}\n"),
                ("[[log]]", "name", _) => "name = \"a\"\n".to_owned(),
                ("[[log]]", "path", _) => "path = \"/a.log\"\n".to_owned(),
                ("[[output]]", "type", _) => "type = \"graphite\"\n".to_owned(),
                ("[[output]]", "address", _) => "address = \"g:2003\"\n".to_owned(),
                ("[[output]]", "prefix", _) => "prefix = \"web\"\n".to_owned(),
                _ => String::new(),
            };
        }
    }
    let least =
        format!("{LEAST}[[output]]\ntype = \"graphite\"\naddress = \"g:2003\"\nprefix = \"web\"\n");
    let (written, assumed) = (read(&text).unwrap(), read(&least).unwrap());
    assert!(text.lines().count() > 35, "{text}");
    assert_eq!(written.canonical(), assumed.canonical());
    assert_eq!(written.digest(), assumed.digest());
}

#[test]
fn the_example_is_a_whole_configuration() {
    let config = read(EXAMPLE)
        .map_err(|mistakes| render(&mistakes, false))
        .unwrap();
    assert!(config.warnings.is_empty());
    assert_eq!(config.agent.max_lateness, seconds(604_800));
    assert_eq!(config.limits.line_bytes, 1 << 20);
    let providers = ["fastly", "akamai"].map(str::to_owned).to_vec();
    assert_eq!(
        config.variables().get("providers"),
        Some(&Var::List(providers))
    );
    assert_eq!(files(&config, 0), [Path::new("/var/log/nginx/access.log")]);
    let LogInput::Syslog(address) = &config.logs[1].input else {
        panic!("no syslog");
    };
    assert_eq!(
        address.value,
        SyslogAddress::Udp("127.0.0.1:5140".parse().unwrap())
    );
    let OutputKind::Graphite(graphite) = &config.outputs[0].kind;
    assert_eq!(graphite.prefix.value.as_str(), "web.web1_example_com");
    assert_eq!(
        graphite.paths[0].1[0].value.as_str(),
        "beacons.{provider}.count"
    );
    assert_eq!(
        config.outputs[0].settle,
        [60, 120, 300, 900, 3600].map(seconds)
    );
}

/// Lines of a file, those with a key each with another value that it could have.
const CHANGES: [(&str, &str); 51] = [
    ("parsers = '/p'", "'/q'"),
    ("[agent]", ""),
    ("flush = '1s'", "'2s'"),
    ("allowed_lateness = '60s'", "'61s'"),
    ("max_lateness = '6d'", "'5d'"),
    ("max_future = '1d'", "'2d'"),
    ("timezone = 'UTC'", "'Europe/Berlin'"),
    ("poll = '1s'", "'2s'"),
    ("idle = '2s'", "'3s'"),
    ("exclude_lag = '15m'", "'16m'"),
    ("rotate_wait = '5s'", "'6s'"),
    ("unparsed_share = 0.05", "0.06"),
    ("[store]", ""),
    ("path = '/s'", "'/t'"),
    ("retention = '7d'", "'8d'"),
    ("rollups = '400d'", "'401d'"),
    ("max_bytes = '1GiB'", "'2GiB'"),
    ("[http]", ""),
    ("listen = '127.0.0.1:1'", "''"),
    ("web_config = '/w'", "'/x'"),
    ("[geoip]", ""),
    ("database = '/d'", "'/e'"),
    ("trusted_proxies = 'private'", "'10.0.0.0/8'"),
    ("[providers]", ""),
    ("fastly = '/f'", "['/f', '/g']"),
    ("[limits]", ""),
    ("series_per_metric = 1000", "999"),
    ("line_bytes = '1MiB'", "'2MiB'"),
    ("[vars]", ""),
    ("v = 'x'", "['x']"),
    ("[[log]]", ""),
    ("name = 'a'", "'b'"),
    ("path = '/a'", "'-'"),
    ("parser = 'p'", "'q'"),
    ("rules = 'r'", "'s'"),
    ("labels = { site = 'x' }", "{ site = 'y' }"),
    ("from = 'end'", "'start'"),
    ("follow_symlinks = true", "false"),
    ("[[output]]\ntype = 'graphite'", ""),
    ("name = 'g'", "'h'"),
    ("address = 'g:1'", "'g:2'"),
    ("prefix = 'web'", "'bew'"),
    ("path = { a_total = 'x' }", "{ a_total = 'y' }"),
    ("protocol = 'tcp'", "'udp'"),
    ("tags = false", "true"),
    ("connect_timeout = '5s'", "'6s'"),
    ("write_timeout = '30s'", "'31s'"),
    ("ack_timeout = '60s'", "'61s'"),
    ("retry = '5s'", "'6s'"),
    ("settle = ['1m']", "['2m']"),
    ("resend_horizon = '0s'", "'1s'"),
];

#[test]
fn every_key_counts_in_the_digest() {
    let digest = |lines: &[String]| {
        let config = read(&lines.join("\n")).map_err(|mistakes| render(&mistakes, false));
        config.unwrap().digest()
    };
    let base: Vec<String> = CHANGES.iter().map(|(line, _)| (*line).to_owned()).collect();
    let spaced: Vec<String> = base.iter().map(|line| line.replace('=', " =  ")).collect();
    let mut seen = BTreeSet::from([digest(&base)]);
    assert!(seen.contains(&digest(&spaced)), "spaces do not count");
    for (at, (line, other)) in CHANGES.iter().enumerate() {
        if !other.is_empty() {
            let (key, _) = line.split_once('=').unwrap();
            let mut changed = base.clone();
            changed[at] = format!("{key}= {other}");
            assert!(seen.insert(digest(&changed)), "`{line}` or {other}");
        }
    }
    let rotated = base
        .join("\n")
        .replace("path = '/a'", "path = '/a'\nrotated = '/r'");
    assert!(seen.insert(read(&rotated).unwrap().digest()));
}

#[test]
fn relative_paths_begin_at_the_folder_of_the_file() {
    let text = "parsers = 'p'\n[store]\npath = 's.db'\n[providers]\nfastly = ['f.cidr', '/g']\n\
        [geoip]\ndatabase = 'd'\ntrusted_proxies = ['private', '10.0.0.0/8', 'p.txt']\n[http]\nweb_config = '../w'\n\
        [[log]]\nname = 'a'\npath = ['l/*.log', '${STATE_DIR}/x']\nparser = ['x.toml', 'nginx']\n";
    let config = read(text).unwrap();
    let folder = Path::new("/etc/beacontail");
    assert_eq!(config.parsers[0].value, folder.join("p"));
    assert_eq!(config.store.path.value, folder.join("s.db"));
    assert_eq!(config.geoip.databases[0].value, folder.join("d"));
    let (name, ranges) = &config.providers[0];
    let ranges: Vec<_> = ranges.iter().map(|file| file.value.clone()).collect();
    assert_eq!(name.value, "fastly");
    assert_eq!(ranges, [folder.join("f.cidr"), PathBuf::from("/g")]);
    let file = ProxyEntry::File(folder.join("p.txt"));
    assert_eq!(config.geoip.trusted_proxies[2].value, file);
    assert_eq!(
        config.http.web_config.clone().unwrap().value,
        folder.join("../w")
    );
    assert_eq!(
        files(&config, 0),
        [folder.join("l/*.log"), PathBuf::from("/state/x")]
    );
    let parsers = config.logs[0].parsers.iter().map(|one| one.value.as_str());
    assert_eq!(
        parsers.collect::<Vec<_>>(),
        ["/etc/beacontail/x.toml", "nginx"]
    );
}

#[test]
fn what_the_environment_gave_is_used_but_neither_shown_nor_in_the_digest() {
    let text = format!(
        "{LEAST}labels = {{ key = '${{SECRET}}', host = '{{host}}' }}\nparser = '${{SECRET}}'\n\
        [vars]\nv = ['${{SECRET}}', '$${{SECRET}}']\n[agent]\nflush = '${{FLUSH}}'\n\
        [[output]]\ntype = 'graphite'\naddress = 'g:1'\nprefix = '${{SECRET}}.{{host}}'\n\
        path = {{ a_total = '${{SECRET}}.{{x}}' }}\n"
    );
    let config = read(&text).unwrap();
    assert_eq!(config.agent.flush, seconds(2));
    assert_eq!(config.logs[0].labels[0].1.value.as_str(), "s3cret");
    assert_eq!(
        config.logs[0].labels[1].1.value.as_str(),
        "web1.example.com"
    );
    let list = ["s3cret", "${SECRET}"].map(str::to_owned).to_vec();
    assert_eq!(config.variables().get("v"), Some(&Var::List(list)));
    let OutputKind::Graphite(graphite) = &config.outputs[0].kind;
    assert_eq!(graphite.prefix.value.as_str(), "s3cret.web1_example_com");
    assert_eq!(config.outputs[0].name.value, "graphite-g-1");
    let shown = format!("{config:?}{}", config.canonical());
    assert!(!shown.contains("s3cret"), "{shown}");
    assert!(shown.contains("${SECRET}.{host}"));
}

#[test]
fn the_status_page_has_an_address_of_its_own() {
    let config = read(LEAST).unwrap();
    assert_eq!(config.status.listen[0].value.to_string(), "127.0.0.1:9578");
    let text = format!("{LEAST}[status]\nlisten = ''\nhosts = 'Ops.example.com.'\n");
    let config = read(&text).unwrap();
    assert!(config.status.listen.is_empty());
    assert_eq!(config.status.hosts[0].value, "ops.example.com");
}

#[test]
fn http_is_off_with_an_empty_text() {
    let config = read(&format!("{LEAST}[http]\nlisten = ''\n")).unwrap();
    assert!(config.http.listen.is_empty());
}

#[test]
fn words_choose_what_they_say() {
    let text = format!(
        "{LEAST}from = 'start'\n[[output]]\ntype = 'graphite'\naddress = 'g:1'\nprefix = 'a'\n\
        protocol = 'pickle'\ntags = true\nsettle = []\n[[log]]\nname = 'b'\npath = '-'\n"
    );
    let config = read(&text).unwrap();
    assert_eq!(config.logs[0].from, Start::Start);
    assert!(matches!(config.logs[1].input, LogInput::StandardInput(_)));
    assert!(config.outputs[0].settle.is_empty());
    let OutputKind::Graphite(graphite) = &config.outputs[0].kind;
    assert_eq!(
        (graphite.protocol, graphite.tags),
        (GraphiteProtocol::Pickle, true)
    );
}

#[test]
fn settle_ends_where_the_store_forgets() {
    let text = format!(
        "{LEAST}[agent]\nmax_lateness = '10m'\n[store]\nretention = '10m'\n\
        [[output]]\ntype = 'graphite'\naddress = 'g:1'\nprefix = 'a'\n"
    );
    assert_eq!(
        read(&text).unwrap().outputs[0].settle,
        [60, 120, 300].map(seconds)
    );
}

#[test]
fn files_are_found_from_the_current_folder() {
    let folder = tempfile::tempdir().unwrap();
    let environment = Environment {
        folder: folder.path().to_owned(),
        ..environment()
    };
    fs::create_dir(folder.path().join("[c]")).unwrap();
    let text = "[[log]]\nname = \"a\"\npath = \"x.log\"\n";
    fs::write(folder.path().join("[c]/b.toml"), text).unwrap();
    let config = Config::load(Path::new("[c]/b.toml"), &environment).unwrap();
    assert_eq!(config.path, Some(folder.path().join("[c]/b.toml")));
    let pattern = folder.path().join("[[]c[]]/x.log");
    assert_eq!(
        files(&config, 0),
        [pattern],
        "the folder's name is no pattern"
    );
}

#[test]
fn files_that_cannot_be_read_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let environment = Environment {
        folder: folder.path().to_owned(),
        ..environment()
    };
    let picture = |name: &str| {
        let mistakes = Config::load(Path::new(name), &environment).unwrap_err();
        render(&mistakes, false)
    };
    let missing = "error: cannot read `no.toml`: No such file or directory (os error 2)\n";
    assert_eq!(picture("no.toml"), missing);
    assert!(picture(".").starts_with("error: cannot read `.`: "));
    fs::write(
        folder.path().join("l.toml"),
        b"\xef\xbb\xbfa = 1\n# caf\xe9\n",
    )
    .unwrap();
    let expected = "\
error: the file is not UTF-8
 --> l.toml:2:6
  |
2 | # caf\u{fffd}
  |      ^ from here on
  |
  = help: save it as UTF-8
";
    assert_eq!(picture("l.toml"), expected);
}

#[test]
fn paths_of_the_command_line_are_logs_with_names_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x[1].log"), "").unwrap();
    let environment = Environment {
        folder: folder.path().to_owned(),
        ..environment()
    };
    let paths = [
        "/v/a.log",
        "/w/a.log",
        "x[1].log",
        "*.log",
        "-",
        "/v/é?.log",
        "/v/a.log",
        "/",
    ];
    let config = Config::for_paths(&paths.map(str::to_owned), &environment);
    let names: Vec<_> = config
        .logs
        .iter()
        .map(|log| log.name.value.as_str())
        .collect();
    assert_eq!(names, ["a", "a-2", "x_1_", "_", "stdin", "__", "_-2"]);
    assert_eq!(files(&config, 2), [folder.path().join("x[[]1[]].log")]);
    assert_eq!(files(&config, 3), [folder.path().join("*.log")]);
    assert!(config.outputs.is_empty());
}

#[test]
fn the_store_is_where_the_user_may_write() {
    let path = |change: &dyn Fn(&mut Environment)| {
        let mut environment = environment();
        change(&mut environment);
        Config::for_paths(&[], &environment).store.path.value
    };
    let home = Path::new("/home/ada/.local/state/beacontail/store.db");
    let service = Path::new("/var/lib/beacontail/store.db");
    assert_eq!(path(&|_| {}), home);
    assert_eq!(path(&|environment| environment.is_root = true), service);
    let state = |value: &'static str| {
        move |environment: &mut Environment| {
            let name = "XDG_STATE_HOME".to_owned();
            environment.variables.insert(name, value.to_owned());
        }
    };
    assert_eq!(path(&state("/s")), Path::new("/s/beacontail/store.db"));
    assert_eq!(path(&state("relative")), home);
    assert_eq!(path(&|environment| environment.variables.clear()), service);
}

proptest! {
    #[test]
    fn a_damaged_file_is_read_or_refused_printably(
        edits in prop::collection::vec(
            (0..EXAMPLE.len(), 0usize..20, "[\"'\\[\\]{}=.,#\n\r\u{1b}\\\\a1é$ \t]{0,4}"),
            1..6,
        ),
    ) {
        let mut text = EXAMPLE.to_owned();
        for (at, length, new) in edits {
            let start = text.floor_char_boundary(at);
            let end = text.floor_char_boundary(at + length).max(start);
            text.replace_range(start..end, &new);
        }
        match read(&text) {
            Ok(config) => prop_assert_eq!(config.digest().len(), 12),
            Err(mistakes) => {
                let picture = render(&mistakes, false);
                prop_assert!(!mistakes.is_empty());
                prop_assert!(!picture.chars().any(|c| c != '\n' && c.is_control()));
            }
        }
    }

    #[test]
    fn any_value_of_any_key_is_read_or_refused(
        key in 0usize..60,
        value in "(\"[^\"\\\\\u{0}-\u{1f}]{0,12}\"|-?[0-9]{1,20}|true|\\[\\]|\\{\\}|[0-9]\\.[0-9]|\"[0-9]{1,18}(ms|d|MiB)\")",
    ) {
        let lines: Vec<&str> = EXAMPLE.lines().filter(|line| line.contains(" = ")).collect();
        let line = lines[key % lines.len()];
        let (name, _) = line.split_once(" = ").unwrap();
        let text = EXAMPLE.replacen(line, &format!("{} = {value}", name.trim_start_matches("# ")), 1);
        match read(&text) {
            Ok(config) => prop_assert!(!config.digest().is_empty() && config.logs.len() < 9),
            Err(mistakes) => prop_assert!(!render(&mistakes, false).is_empty()),
        }
    }
}
