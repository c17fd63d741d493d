//! One picture for each mistake in `[[log]]`.

use super::check;

#[test]
fn no_log_is_nothing_to_do() {
    check(
        r#"[agent]
"#,
        r#"error: no `[[log]]`: there is nothing to read
 --> beacontail.toml:1:1
  |
1 | [agent]
  | ^ in this file
  |
  = help: [[log]]
          name = "access"
          path = "/var/log/nginx/access.log"
"#,
    );
}

#[test]
fn an_empty_list_of_logs_is_no_log() {
    check(
        r#"log = []
"#,
        r#"error: no `[[log]]`: there is nothing to read
 --> beacontail.toml:1:1
  |
1 | log = []
  | ^ in this file
  |
  = help: [[log]]
          name = "access"
          path = "/var/log/nginx/access.log"
"#,
    );
}

#[test]
fn two_logs_of_one_name() {
    check(
        r#"[[log]]
name = "a"
path = "/a.log"
[[log]]
name = "a"
path = "/b.log"
"#,
        r#"error: two logs of one name
 --> beacontail.toml:5:9
  |
5 | name = "a"
  |         ^
  |
note: the other is here
 --> beacontail.toml:2:9
  |
2 | name = "a"
  |         ^
"#,
    );
}

#[test]
fn one_path_or_address_belongs_to_one_log() {
    check(
        r#"[[log]]
name = "a"
path = ["/a.log", "/etc/beacontail/b.log"]
[[log]]
name = "b"
path = "b.log"
[[log]]
name = "c"
listen = "udp://127.0.0.1:1"
[[log]]
name = "d"
listen = "udp://127.0.0.1:1"
[[log]]
name = "e"
path = "-"
[[log]]
name = "f"
path = "-"
"#,
        r#"error: the same path twice: its lines would be counted twice
 --> beacontail.toml:6:9
  |
6 | path = "b.log"
  |         ^^^^^
  |
note: the other is here
 --> beacontail.toml:3:20
  |
3 | path = ["/a.log", "/etc/beacontail/b.log"]
  |                    ^^^^^^^^^^^^^^^^^^^^^

error: the same address twice
  --> beacontail.toml:12:11
   |
12 | listen = "udp://127.0.0.1:1"
   |           ^^^^^^^^^^^^^^^^^
   |
note: the other is here
  --> beacontail.toml:9:11
   |
 9 | listen = "udp://127.0.0.1:1"
   |           ^^^^^^^^^^^^^^^^^

error: standard input twice
  --> beacontail.toml:18:9
   |
18 | path = "-"
   |         ^
   |
note: the other is here
  --> beacontail.toml:15:9
   |
15 | path = "-"
   |         ^
"#,
    );
}

#[test]
fn a_log_has_a_path_or_an_address() {
    check(
        r#"[[log]]
name = "a"
[[log]]
name = "b"
path = "/b"
listen = "udp://127.0.0.1:1"
"#,
        r#"error: missing key `path`
 --> beacontail.toml:1:1
  |
1 | [[log]]
  | ^^^^^^^ in this log
  |
  = help: or `listen`, for syslog

error: both `path` and `listen`
 --> beacontail.toml:6:1
  |
6 | listen = "udp://127.0.0.1:1"
  | ^^^^^^ one of them
  |
note: the other is here
 --> beacontail.toml:5:1
  |
5 | path = "/b"
  | ^^^^
"#,
    );
}

#[test]
fn names_of_logs_have_plain_letters() {
    check(
        r#"[[log]]
name = "a b"
path = "/a.log"
[[log]]
name = ""
path = "/b.log"
[[log]]
path = "/c.log"
"#,
        r#"error: `a b` is no name of a log
 --> beacontail.toml:2:9
  |
2 | name = "a b"
  |         ^^^
  |
  = help: 1 to 64 letters, digits, `_`, `.` and `-`

error: empty text
 --> beacontail.toml:5:8
  |
5 | name = ""
  |        ^^

error: missing key `name`
 --> beacontail.toml:7:1
  |
7 | [[log]]
  | ^^^^^^^ in this log
  |
  = help: name = "access"
"#,
    );
}

#[test]
fn standard_input_is_alone() {
    check(
        r#"[[log]]
name = "a"
path = ["/a.log", "-"]
[[log]]
name = "b"
path = "-"
rotated = "/b.log*"
"#,
        r#"error: `-` together with other paths
 --> beacontail.toml:3:20
  |
3 | path = ["/a.log", "-"]
  |                    ^ standard input
  |
  = help: a log of its own

error: `rotated` without files to follow
 --> beacontail.toml:7:1
  |
7 | rotated = "/b.log*"
  | ^^^^^^^ leave it out
"#,
    );
}

#[test]
fn addresses_of_syslog_are_urls() {
    check(
        r#"[[log]]
name = "a"
listen = "localhost:514"
"#,
        r#"error: expected `udp://ADDRESS:PORT`, `tcp://ADDRESS:PORT` or `unix:///PATH`, found `localhost:514`
 --> beacontail.toml:3:11
  |
3 | listen = "localhost:514"
  |           ^^^^^^^^^^^^^
"#,
    );
}

#[test]
fn patterns_of_paths_are_checked() {
    check(
        r#"[[log]]
name = "a"
path = "/var/[log"
rotated = ["/b/***", "/b/*"]
"#,
        r#"error: not a pattern of paths
 --> beacontail.toml:3:14
  |
3 | path = "/var/[log"
  |              ^ invalid range pattern
  |
  = help: `*`, `?`, `[a-z]` and `**/` are special; `[*]` is a star

error: not a pattern of paths
 --> beacontail.toml:4:18
  |
4 | rotated = ["/b/***", "/b/*"]
  |                  ^ wildcards are either regular `*` or recursive `**`
  |
  = help: `*`, `?`, `[a-z]` and `**/` are special; `[*]` is a star
"#,
    );
}

#[test]
fn labels_have_names_of_prometheus() {
    check(
        r#"[[log]]
name = "a"
path = "/a.log"
labels = { log = "a", le = "b", "a-b" = "c", __x = "d", site = "" }
"#,
        r#"error: label `log` is taken
 --> beacontail.toml:4:12
  |
4 | labels = { log = "a", le = "b", "a-b" = "c", __x = "d", site = "" }
  |            ^^^
  |
  = help: give it another name

error: label `le` is taken
 --> beacontail.toml:4:23
  |
4 | labels = { log = "a", le = "b", "a-b" = "c", __x = "d", site = "" }
  |                       ^^
  |
  = help: give it another name

error: `a-b` is no name of a label
 --> beacontail.toml:4:34
  |
4 | labels = { log = "a", le = "b", "a-b" = "c", __x = "d", site = "" }
  |                                  ^^^
  |
  = help: letters, digits and `_`; neither a digit nor `__` in front

error: `__x` is no name of a label
 --> beacontail.toml:4:46
  |
4 | labels = { log = "a", le = "b", "a-b" = "c", __x = "d", site = "" }
  |                                              ^^^
  |
  = help: letters, digits and `_`; neither a digit nor `__` in front

error: empty text
 --> beacontail.toml:4:64
  |
4 | labels = { log = "a", le = "b", "a-b" = "c", __x = "d", site = "" }
  |                                                                ^^
"#,
    );
}

#[test]
fn variables_that_are_not_set_are_mistakes() {
    check(
        r#"[[log]]
name = "a"
path = "/a.log"
labels = { site = "${SITE}-${SHOPP}", b = "${", c = "${a-b}" }
"#,
        r#"error: environment variable `SITE` is not set
 --> beacontail.toml:4:20
  |
4 | labels = { site = "${SITE}-${SHOPP}", b = "${", c = "${a-b}" }
  |                    ^^^^^^^
  |
  = help: set it, or write `$${` for the text `${`

error: environment variable `SHOPP` is not set
 --> beacontail.toml:4:28
  |
4 | labels = { site = "${SITE}-${SHOPP}", b = "${", c = "${a-b}" }
  |                            ^^^^^^^^
  |
  = help: a variable with a similar name is set: `SHOP`

error: `${` without `}`
 --> beacontail.toml:4:44
  |
4 | labels = { site = "${SITE}-${SHOPP}", b = "${", c = "${a-b}" }
  |                                            ^^
  |
  = help: write `$${` for the text `${`

error: `${a-b}` does not name a variable
 --> beacontail.toml:4:54
  |
4 | labels = { site = "${SITE}-${SHOPP}", b = "${", c = "${a-b}" }
  |                                                      ^^^^^^
  |
  = help: write `$${` for the text `${`
"#,
    );
}
