//! Mistakes in parser files and on the command line: all of them at once, each with its place, a
//! caret and a way out; exit 2.

use crate::program::{Folder, Ran, run, test_parsers};

const LINE: &str = r#"203.0.113.9 - - [31/Oct/2013:07:06:42 +0000] "GET / HTTP/1.1" 200 1 "-" "-""#;

/// Runs `replay` on a good log with more arguments; they must be refused.
#[track_caller]
fn refused(more: &[&str]) -> Ran {
    let folder = Folder::new();
    let path = folder.file("access.log", LINE);
    let mut args = vec!["replay", path.as_str()];
    args.extend(more);
    let ran = run(&args).exits(2);
    assert_eq!(ran.text(), "");
    ran
}

/// The diagnostic's message, its place and its help are there, and a caret.
#[track_caller]
fn shows(ran: &Ran, parts: &[&str]) {
    for part in parts {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
    assert!(ran.err.contains('^'), "{}", ran.err);
}

#[test]
fn all_mistakes_of_files_and_command_line_are_shown_at_once() {
    let folder = Folder::new();
    let format = folder.file(
        "bad.toml",
        "description = \"bad\"\nrules = [\"bad\"]\ncolour = \"red\"\n\n[format]\nnginx = '$remote_addr [$time_local] \"$request\" $status'\n\n[units]\nrequest_time = \"hours\"\n",
    );
    let rules = folder.file(
        "rules/bad.toml",
        "description = \"bad rules\"\n\n[fields]\npop = { from = [\"arg_server_identity\"], regexp = '-([A-Z]{3})$' }\n\n[[metric]]\nname = \"bad_total\"\nmatch = 'path=\"/x\"'\ntype = \"countr\"\n",
    );
    let parsers = format!("--parsers={}", folder.0.path().display());
    let ran = refused(&[&parsers, "--timezone=Europa/Berlin", "--var=beacon_pth=/x"]);
    shows(
        &ran,
        &[
            "unknown key `colour`",
            &format!("{format}:3:1"),
            "unknown unit `hours`",
            &format!("{format}:9:17"),
            "one of `s`, `ms`, `us`, `ns`",
            "unknown key `regexp`",
            &format!("{rules}:4:41"),
            "a key with a similar name exists: `regex`",
            "missing key `help`",
            &format!("{rules}:6:1"),
            "unknown type `countr`",
            &format!("{rules}:9:9"),
            "unknown variable `beacon_pth`",
            "a variable with a similar name exists: `beacon_path`",
            "unknown time zone `Europa/Berlin`",
        ],
    );
    assert_eq!(ran.err.matches("error: ").count(), 7, "{}", ran.err);
}

#[test]
fn a_label_that_is_no_field_is_shown_in_its_file() {
    let folder = Folder::new();
    let rules = folder.file(
        "rules/mine.toml",
        "description = \"mine\"\n[fields]\nprovider = { from = [\"arg_x\"] }\n[[metric]]\nname = \"x_total\"\nhelp = \"x\"\nlabels = [\"provder\"]\n",
    );
    let parsers = format!("--parsers={}", folder.0.path().display());
    let ran = refused(&[&parsers, "--rules=mine"]);
    shows(
        &ran,
        &[
            "unknown field `provder`",
            &format!("{rules}:7:12"),
            "similar name exists: `provider`",
        ],
    );
}

#[test]
fn broken_toml_is_shown_where_it_breaks() {
    let folder = Folder::new();
    let path = folder.file("broken.toml", "description = \"x\nformat = 1\n");
    let ran = refused(&[&format!("--parsers={}", folder.0.path().display())]);
    shows(&ran, &["error: ", &format!("{path}:1:")]);
}

#[test]
fn unknown_metrics_have_a_similar_one() {
    let ran = refused(&["--metric=cdn_failure_beacon_total"]);
    shows(
        &ran,
        &[
            "unknown metric `cdn_failure_beacon_total`",
            "--metric",
            "`cdn_failure_beacons_total`",
        ],
    );
}

#[test]
fn unknown_labels_have_a_similar_one() {
    shows(
        &refused(&["--by=providr"]),
        &["unknown label `providr`", "`provider`"],
    );
}

#[test]
fn unknown_parsers_have_a_similar_one() {
    shows(
        &refused(&["--parser=nginx-combned"]),
        &["`nginx-combned`", "`nginx-combined`"],
    );
}

#[test]
fn unknown_rule_sets_have_a_similar_one() {
    shows(
        &refused(&["--rules=beacn"]),
        &["unknown rule set `beacn`", "`beacon`"],
    );
}

#[test]
fn unknown_zones_and_times_show_what_would_do() {
    shows(
        &refused(&["--timezone=Berlin"]),
        &["unknown time zone `Berlin`", "Europe/Berlin"],
    );
    shows(
        &refused(&["--since=yesterday"]),
        &["`yesterday` is not a time", "2013-10-31T07:06:00Z"],
    );
}

#[test]
fn an_empty_time_range_is_a_mistake() {
    let ran = refused(&["--since=2013-11-01", "--until=2013-10-31"]);
    shows(&ran, &["--until is not after --since"]);
}

#[test]
fn graphite_needs_a_prefix() {
    let ran = refused(&["--output=graphite"]);
    assert!(ran.err.contains("--prefix"), "{}", ran.err);
}

#[test]
fn path_labels_are_checked() {
    shows(
        &refused(&["--label=host=@("]),
        &["not a regular expression"],
    );
    shows(&refused(&["--label=host"]), &["expected NAME=@REGEX"]);
}

#[test]
fn a_file_that_no_parser_reads_names_the_nearest() {
    let folder = Folder::new();
    let path = folder.file("odd.log", "what a strange line\nand another\n");
    let ran = run(&["replay", &path]).exits(1);
    for part in ["odd.log", "--parser", "The nearest were:"] {
        assert!(ran.err.contains(part), "{}", ran.err);
    }
}

#[test]
fn grep_points_into_its_matchers() {
    let folder = Folder::new();
    let path = folder.file("access.log", LINE);
    let ran = run(&["grep", r#"provider="x"#, &path]).exits(2);
    shows(&ran, &["closing `\"`"]);
    shows(
        &run(&["grep", r#"providr="x""#, &path]).exits(2),
        &["`providr`", "`provider`"],
    );
}

#[test]
fn the_tests_own_parser_files_pass_their_examples() {
    let ran = run(&["parsers", "test", &test_parsers()]).exits(0);
    assert!(
        ran.text().ends_with("examples, 0 mistakes\n"),
        "{}",
        ran.text()
    );
}

/// A parser file with these lines behind its head, and its mistake: the place, and parts of the picture.
#[track_caller]
fn wrong(lines: &str, place: &str, parts: &[&str]) {
    let folder = Folder::new();
    let file = folder.file(
        "wrong.toml",
        format!("description = \"x\"\nrules = [\"origin\"]\n{lines}\n"),
    );
    let ran = run(&["parsers", "test", &file]).exits(2);
    shows(&ran, &[&format!("{file}:{place}\n")]);
    shows(&ran, parts);
    assert_eq!(ran.err.matches("error: ").count(), 1, "{}", ran.err);
}

#[test]
fn columns_that_are_no_fields_or_named_twice_are_shown() {
    wrong(
        "format.csv = \"time status us status\"",
        "3:30",
        &["two columns are called `status`", "note: the first"],
    );
    wrong(
        "format.csv = \"time sta-tus\"",
        "3:20",
        &["no field can be called `sta-tus`", "^^^^^^^ letters"],
    );
    wrong(
        "format.csv = \"time,status\"",
        "3:15",
        &["`columns = \"time remote_addr status\"`"],
    );
    wrong(
        "[format.csv]\ncolumns = \"time status\"\noptional = 5",
        "3:9",
        &["all 2 columns may be missing: `optional = 5`"],
    );
}

#[test]
fn keys_that_no_line_has_are_shown() {
    wrong(
        "[format.logfmt]\ntime = \"t s\"",
        "4:9",
        &["no line has a key `t s`", "a key ends at a blank"],
    );
    wrong(
        "[format.logfmt]\ntime = \"\"",
        "4:8",
        &["no line has a key ``"],
    );
    wrong(
        "[format.logfmt]\ntime = \"ts\"\n\"sta tus\" = \"s\"",
        "5:2",
        &["no field can be called `sta tus`"],
    );
    wrong(
        "[format.json]\ntime = \"ts\"\n\"client-ip\" = \"s\"",
        "5:2",
        &["no field can be called `client-ip`", "`remote_addr`"],
    );
}

#[test]
fn a_patterns_mistake_is_shown_at_its_bytes() {
    wrong(
        r"format.regex = '^(?<time>\S+) (?<status>\d+$'",
        "3:31",
        &["unclosed group", " ^ here"],
    );
    wrong(
        r"format.regex = '^é (?<time>\S+) (?=x)'",
        "3:33",
        &["look-around", "^^^ here", "without `(?=`"],
    );
    wrong(
        "format.regex = \"^(?<time>\\S+)\"",
        "3:27",
        &["put the text into single quotes, '…'"],
    );
}

#[test]
fn a_time_that_another_program_writes_so_has_our_words_for_it() {
    let time = |format: &str| {
        format!("format.csv = \"time status\"\n[time]\nfield = \"time\"\nformat = \"{format}\"")
    };
    wrong(&time("iso8601"), "6:11", &["help: `format = \"rfc3339\"`"]);
    wrong(&time("unix"), "6:11", &["help: `format = \"epoch\"`"]);
    wrong(
        &time("yyyy-MM-dd'T'HH:mm:ss.SSS"),
        "6:11",
        &["help: `format = \"%Y-%m-%dT%H:%M:%S%.f\"`"],
    );
    wrong(
        "format.csv = \"when status\"\n[time]\nsearch = \"at <.*>\"\nformat = \"clf\"",
        "5:11",
        &["no group in this pattern", "`at <([^>]+)>`"],
    );
}

#[test]
fn a_value_of_another_type_has_the_line_to_paste() {
    let csv = "format.csv = \"time status\"\n";
    wrong(
        &format!("{csv}require = \"status\""),
        "4:11",
        &["help: `require = [\"status\"]`"],
    );
    wrong(
        &format!("{csv}time = \"time\""),
        "4:8",
        &["help: `time = { NAME = \"time\" }`"],
    );
    wrong(
        "format = \"$remote_addr\"",
        "3:11",
        &["a format without its kind", "`format.nginx = '…'`"],
    );
}
