//! One picture for each mistake in `[[output]]`.

use super::{check, check_warnings};

#[test]
fn paths_beside_tags_are_a_warning() {
    check_warnings(
        r#"[[log]]
name = "a"
path = "/a.log"
[[output]]
type = "graphite"
address = "g:2003"
prefix = "web"
tags = true
path = { a_total = "b" }
"#,
        r#"warning: `path` is not used with `tags = true`
 --> beacontail.toml:9:10
  |
9 | path = { a_total = "b" }
  |          ^^^^^^^
  |
  = help: with tags, labels are sent beside the metric's name
"#,
    );
}

#[test]
fn words_are_listed() {
    check(
        r#"[[log]]
name = "a"
path = "/a.log"
from = "beginning"
[[output]]
type = "carbon"
address = "g:2003"
prefix = "a"
protocol = "http"
"#,
        r#"error: unknown start `beginning`
 --> beacontail.toml:4:9
  |
4 | from = "beginning"
  |         ^^^^^^^^^
  |
  = help: one of `end`, `start`

error: unknown type `carbon`
 --> beacontail.toml:6:9
  |
6 | type = "carbon"
  |         ^^^^^^
  |
  = help: one of `graphite`

error: unknown protocol `http`
 --> beacontail.toml:9:13
  |
9 | protocol = "http"
  |             ^^^^
  |
  = help: one of `tcp`, `udp`, `pickle`
"#,
    );
}

#[test]
fn addresses_of_outputs_have_a_port() {
    check(
        r#"[[output]]
type = "graphite"
address = "graphite.example.com"
prefix = "a"
[[log]]
name = "a"
path = "/a.log"
"#,
        r#"error: expected a host and a port such as `graphite.example.com:2003`, found `graphite.example.com`
 --> beacontail.toml:3:12
  |
3 | address = "graphite.example.com"
  |            ^^^^^^^^^^^^^^^^^^^^
"#,
    );
}

#[test]
fn an_output_needs_type_address_and_prefix() {
    check(
        r#"[[log]]
name = "a"
path = "/a.log"
[[output]]
name = "g"
"#,
        r#"error: missing key `type`
 --> beacontail.toml:4:1
  |
4 | [[output]]
  | ^^^^^^^^^^ in this output
  |
  = help: type = "graphite"

error: missing key `address`
 --> beacontail.toml:4:1
  |
4 | [[output]]
  | ^^^^^^^^^^ in this output
  |
  = help: address = "graphite.example.com:2003"

error: missing key `prefix`
 --> beacontail.toml:4:1
  |
4 | [[output]]
  | ^^^^^^^^^^ in this output
  |
  = help: prefix = "web.{host}"
"#,
    );
}

#[test]
fn two_outputs_of_one_name() {
    check(
        r#"[[log]]
name = "a"
path = "/a.log"
[[output]]
type = "graphite"
address = "g:2003"
prefix = "web"
[[output]]
type = "graphite"
address = "g:2003"
prefix = "web"
"#,
        r#"error: two outputs of one name
  --> beacontail.toml:10:12
   |
10 | address = "g:2003"
   |            ^^^^^^
   |
note: the other is here
  --> beacontail.toml:6:12
   |
 6 | address = "g:2003"
   |            ^^^^^^
"#,
    );
}

#[test]
fn names_of_outputs_have_plain_letters() {
    check(
        r#"[[log]]
name = "a"
path = "/a.log"
[[output]]
type = "graphite"
address = "g:2003"
prefix = "web"
name = "a/b"
"#,
        r#"error: `a/b` is no name of an output
 --> beacontail.toml:8:9
  |
8 | name = "a/b"
  |         ^^^
  |
  = help: 1 to 64 letters, digits, `_`, `.` and `-`
"#,
    );
}

#[test]
fn settle_rises() {
    check(
        r#"[[log]]
name = "a"
path = "/a.log"
[[output]]
type = "graphite"
address = "g:2003"
prefix = "web"
settle = ["1m", "2m", "2m", "8d", "x"]
resend_horizon = "8d"
"#,
        r#"error: `settle` does not rise
 --> beacontail.toml:8:24
  |
8 | settle = ["1m", "2m", "2m", "8d", "x"]
  |                        ^^
  |
  = help: longer than `2m`

error: `settle` is longer than `store.retention`
 --> beacontail.toml:8:30
  |
8 | settle = ["1m", "2m", "2m", "8d", "x"]
  |                              ^^
  |
  = help: at most `7d`

error: expected a duration such as `90s` or `1h30m`, found `x`
 --> beacontail.toml:8:36
  |
8 | settle = ["1m", "2m", "2m", "8d", "x"]
  |                                    ^

error: `resend_horizon` is longer than `store.retention`
 --> beacontail.toml:9:19
  |
9 | resend_horizon = "8d"
  |                   ^^
  |
  = help: at most `7d`
"#,
    );
}

#[test]
fn paths_have_the_form_that_carbon_takes() {
    check(
        r#"[[log]]
name = "a"
path = "/a.log"
[[output]]
type = "graphite"
address = "g:2003"
prefix = "web.{hots}"
[output.path]
beacons_total = ["a..b", "a.{provider", "a.{b-c}", "a b"]
"9x" = "a"
"#,
        r#"error: braces in `prefix`
 --> beacontail.toml:7:11
  |
7 | prefix = "web.{hots}"
  |           ^^^^^^^^^^
  |
  = help: `{host}` alone is replaced here

error: an empty node in `path`
 --> beacontail.toml:9:19
  |
9 | beacons_total = ["a..b", "a.{provider", "a.{b-c}", "a b"]
  |                   ^^^^
  |
  = help: one dot between two nodes, none at the ends

error: `{` without `}` in `path`
 --> beacontail.toml:9:27
  |
9 | beacons_total = ["a..b", "a.{provider", "a.{b-c}", "a b"]
  |                           ^^^^^^^^^^^
  |
  = help: `{label}` stands for a label's value

error: braces around what is no label in `path`
 --> beacontail.toml:9:42
  |
9 | beacons_total = ["a..b", "a.{provider", "a.{b-c}", "a b"]
  |                                          ^^^^^^^
  |
  = help: `{label}`, such as `{provider}`

error: a character that Graphite does not take in `path`
 --> beacontail.toml:9:53
  |
9 | beacons_total = ["a..b", "a.{provider", "a.{b-c}", "a b"]
  |                                                     ^^^
  |
  = help: letters, digits and `_`, `-`; dots between nodes

error: `9x` is no name of a metric
  --> beacontail.toml:10:2
   |
10 | "9x" = "a"
   |  ^^
"#,
    );
}

#[test]
fn what_a_variable_holds_is_not_shown_in_outputs() {
    check(
        r#"[[log]]
name = "a"
path = "/a.log"
[[output]]
type = "${SECRET}"
address = "${SECRET}"
prefix = "${SECRET} "
name = "${SECRET} "
retry = "${SECRET}"
protocol = "${SECRET}"
settle = ["${SECRET}"]
"#,
        r#"error: unknown type `${SECRET}`
 --> beacontail.toml:5:9
  |
5 | type = "${SECRET}"
  |         ^^^^^^^^^
  |
  = help: one of `graphite`

error: expected a host and a port such as `graphite.example.com:2003`, found `${SECRET}`
 --> beacontail.toml:6:12
  |
6 | address = "${SECRET}"
  |            ^^^^^^^^^

error: a character that Graphite does not take in `prefix`
 --> beacontail.toml:7:11
  |
7 | prefix = "${SECRET} "
  |           ^^^^^^^^^^
  |
  = help: letters, digits and `_`, `-`; dots between nodes

error: `${SECRET} ` is no name of an output
 --> beacontail.toml:8:9
  |
8 | name = "${SECRET} "
  |         ^^^^^^^^^^
  |
  = help: 1 to 64 letters, digits, `_`, `.` and `-`

error: expected a duration such as `250ms`, `90s` or `1h30m`, found `${SECRET}`
 --> beacontail.toml:9:10
  |
9 | retry = "${SECRET}"
  |          ^^^^^^^^^

error: unknown protocol `${SECRET}`
  --> beacontail.toml:10:13
   |
10 | protocol = "${SECRET}"
   |             ^^^^^^^^^
   |
   = help: one of `tcp`, `udp`, `pickle`

error: expected a duration such as `90s` or `1h30m`, found `${SECRET}`
  --> beacontail.toml:11:12
   |
11 | settle = ["${SECRET}"]
   |            ^^^^^^^^^
"#,
    );
}
