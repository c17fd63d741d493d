//! One picture for each mistake in the tables of a file.

use super::{check, check_warnings};

#[test]
fn listening_beyond_this_host_without_passwords_is_a_warning() {
    let text = "[http]\nlisten = ['0.0.0.0:9577', '[::1]:1']\n[[log]]\nname = 'a'\npath = '/a'\n";
    let expected = r#"warning: everyone in the network can read `http.listen`
 --> beacontail.toml:2:12
  |
2 | listen = ['0.0.0.0:9577', '[::1]:1']
  |            ^^^^^^^^^^^^ not this host alone
  |
  = help: `http.web_config` names a file with passwords or certificates
"#;
    check_warnings(text, expected);
    check_warnings(&text.replace("[http]", "[http]\nweb_config = '/w'"), "");
}

#[test]
fn a_status_page_for_everyone_is_a_warning_and_its_hosts_are_names() {
    let text = "[status]\nlisten = '[::]:9578'\n[[log]]\nname = 'a'\npath = '/a'\n";
    let expected = r#"warning: everyone in the network can read `status.listen`
 --> beacontail.toml:2:11
  |
2 | listen = '[::]:9578'
  |           ^^^^^^^^^ not this host alone
  |
  = help: `http.web_config` names a file with passwords or certificates
"#;
    check_warnings(text, expected);
    check(
        "[status]\nhosts = ['ops.example.com', 'ops:9578']\n[[log]]\nname = 'a'\npath = '/a'\n",
        r#"error: expected a host name without a port, found `ops:9578`
 --> beacontail.toml:2:30
  |
2 | hosts = ['ops.example.com', 'ops:9578']
  |                              ^^^^^^^^
"#,
    );
}

#[test]
fn unknown_keys_and_tables_are_named_with_the_similar_ones() {
    check(
        r#"parser = "x"
[agnt]
[store]
retension = "1d"
[[log]]
name = "a"
path = "/a.log"
pth = 1
[[output]]
type = "graphite"
address = "g:2003"
prefix = "web"
setle = []
"#,
        r#"error: unknown key `parser`
 --> beacontail.toml:1:1
  |
1 | parser = "x"
  | ^^^^^^
  |
  = help: a key with a similar name exists: `parsers`

error: unknown key `agnt`
 --> beacontail.toml:2:2
  |
2 | [agnt]
  |  ^^^^
  |
  = help: a key with a similar name exists: `agent`

error: unknown key `retension`
 --> beacontail.toml:4:1
  |
4 | retension = "1d"
  | ^^^^^^^^^
  |
  = help: a key with a similar name exists: `retention`

error: unknown key `pth`
 --> beacontail.toml:8:1
  |
8 | pth = 1
  | ^^^
  |
  = help: a key with a similar name exists: `path`

error: unknown key `setle`
  --> beacontail.toml:13:1
   |
13 | setle = []
   | ^^^^^
   |
   = help: a key with a similar name exists: `settle`
"#,
    );
}

#[test]
fn wrong_types_say_what_was_expected() {
    check(
        r#"http = 1
[agent]
flush = 1
unparsed_share = "5%"
[store]
max_bytes = 1.5
[limits]
series_per_metric = "many"
line_bytes = -1
[[log]]
name = 1
path = { }
labels = "x"
follow_symlinks = "yes"
"#,
        r#"error: expected a table, found an integer
 --> beacontail.toml:1:8
  |
1 | http = 1
  |        ^ for `http`

error: expected a string, found an integer
 --> beacontail.toml:3:9
  |
3 | flush = 1
  |         ^ for `flush`

error: expected a number from 0 to 1, found a string
 --> beacontail.toml:4:18
  |
4 | unparsed_share = "5%"
  |                  ^^^^ for `unparsed_share`

error: expected a number of bytes such as `1048576` or `"64KiB"`, found a float
 --> beacontail.toml:6:13
  |
6 | max_bytes = 1.5
  |             ^^^ for `max_bytes`

error: expected a number of series, found a string
 --> beacontail.toml:8:21
  |
8 | series_per_metric = "many"
  |                     ^^^^^^ for `series_per_metric`

error: expected a number of bytes such as `1048576` or `"64KiB"`, found `-1`
 --> beacontail.toml:9:14
  |
9 | line_bytes = -1
  |              ^^ out of range

error: expected a string, found an integer
  --> beacontail.toml:11:8
   |
11 | name = 1
   |        ^ for `name`

error: expected a string or a list of strings, found a table
  --> beacontail.toml:12:8
   |
12 | path = { }
   |        ^^^ for `path`

error: expected a table, found a string
  --> beacontail.toml:13:10
   |
13 | labels = "x"
   |          ^^^ for `labels`
   |
   = help: `labels = { NAME = "x" }`

error: expected `true` or `false`, found a string
  --> beacontail.toml:14:19
   |
14 | follow_symlinks = "yes"
   |                   ^^^^^ for `follow_symlinks`
"#,
    );
}

#[test]
fn a_table_instead_of_a_list_of_tables() {
    check(
        r#"[log]
name = "a"
"#,
        r#"error: expected a list of tables, found a table
 --> beacontail.toml:1:1
  |
1 | [log]
  | ^^^^^ for `log`
"#,
    );
}

#[test]
fn values_that_cannot_be_read() {
    check(
        r#"[agent]
flush = "1 s"
poll = "0s"
timezone = "Berlin"
unparsed_share = 1.5
[store]
max_bytes = "1G"
retention = "0d"
[limits]
series_per_metric = 0
line_bytes = "1GiB"
[[log]]
name = "a"
path = "/a.log"
"#,
        r#"error: expected a duration such as `250ms`, `90s` or `1h30m`, found `1 s`
 --> beacontail.toml:2:10
  |
2 | flush = "1 s"
  |          ^^^

error: `poll` is zero
 --> beacontail.toml:3:9
  |
3 | poll = "0s"
  |         ^^
  |
  = help: at least `1ms`

error: expected a time zone such as `UTC` or `Europe/Berlin`, found `Berlin`
 --> beacontail.toml:4:13
  |
4 | timezone = "Berlin"
  |             ^^^^^^

error: expected a number from 0 to 1, found `1.5`
 --> beacontail.toml:5:18
  |
5 | unparsed_share = 1.5
  |                  ^^^ out of range

error: expected a number of bytes such as `1048576` or `"64KiB"`, found `1G`
 --> beacontail.toml:7:14
  |
7 | max_bytes = "1G"
  |              ^^

error: `retention` is zero
 --> beacontail.toml:8:14
  |
8 | retention = "0d"
  |              ^^
  |
  = help: at least `1ms`

error: `series_per_metric` is zero
  --> beacontail.toml:10:21
   |
10 | series_per_metric = 0
   |                     ^
   |
   = help: nothing could be counted; at least 1

error: `line_bytes` is too small or too large
  --> beacontail.toml:11:15
   |
11 | line_bytes = "1GiB"
   |               ^^^^
   |
   = help: from 64 to 268435456 bytes
"#,
    );
}

#[test]
fn zero_flush_is_refused() {
    check(
        r#"[agent]
flush = "0s"
[[log]]
name = "a"
path = "/a.log"
"#,
        r#"error: `flush` is zero
 --> beacontail.toml:2:10
  |
2 | flush = "0s"
  |          ^^
  |
  = help: at least `1ms`
"#,
    );
}

#[test]
fn max_lateness_ends_with_the_retention() {
    check(
        r#"[agent]
max_lateness = "8d"
allowed_lateness = "9d"
[store]
retention = "7d"
[[log]]
name = "a"
path = "/a.log"
"#,
        r#"error: `agent.max_lateness` is longer than `store.retention`
 --> beacontail.toml:2:17
  |
2 | max_lateness = "8d"
  |                 ^^
  |
  = help: at most `7d`: windows of older lines are gone from the store
note: the shorter one
 --> beacontail.toml:5:14
  |
5 | retention = "7d"
  |              ^^

error: `allowed_lateness` is longer than `max_lateness`
 --> beacontail.toml:3:21
  |
3 | allowed_lateness = "9d"
  |                     ^^
  |
  = help: at most `8d`
note: the shorter one
 --> beacontail.toml:2:17
  |
2 | max_lateness = "8d"
  |                 ^^
"#,
    );
}

#[test]
fn short_retention_needs_a_short_max_lateness() {
    check(
        r#"[store]
retention = "2d"
[[log]]
name = "a"
path = "/a.log"
"#,
        r#"error: `agent.max_lateness` is longer than `store.retention`
 --> beacontail.toml:2:14
  |
2 | retention = "2d"
  |              ^^
  |
  = help: `max_lateness` is `7d`; windows of older lines are gone from the store
"#,
    );
}

#[test]
fn empty_lists_are_refused() {
    check(
        r#"parsers = []
[http]
listen = []
[geoip]
database = []
[[log]]
name = "a"
path = "/a.log"
parser = []
rules = []
"#,
        r#"error: `parsers` is an empty list
 --> beacontail.toml:1:11
  |
1 | parsers = []
  |           ^^ leave it out, or name one

error: `listen` is an empty list
 --> beacontail.toml:3:10
  |
3 | listen = []
  |          ^^ leave it out, or name one

error: `database` is an empty list
 --> beacontail.toml:5:12
  |
5 | database = []
  |            ^^ leave it out, or name one

error: `parser` is an empty list
 --> beacontail.toml:9:10
  |
9 | parser = []
  |          ^^ leave it out, or name one

error: `rules` is an empty list
  --> beacontail.toml:10:9
   |
10 | rules = []
   |         ^^ leave it out, or name one
"#,
    );
}

#[test]
fn addresses_to_listen_on_are_numbers() {
    check(
        r#"[http]
listen = ["localhost:80", "127.0.0.1:80", "127.0.0.1:80", ""]
[[log]]
name = "a"
path = "/a.log"
"#,
        r#"error: expected an address and a port such as `127.0.0.1:9577` or `[::1]:9577`, found `localhost:80`
 --> beacontail.toml:2:12
  |
2 | listen = ["localhost:80", "127.0.0.1:80", "127.0.0.1:80", ""]
  |            ^^^^^^^^^^^^

error: the same address twice
 --> beacontail.toml:2:44
  |
2 | listen = ["localhost:80", "127.0.0.1:80", "127.0.0.1:80", ""]
  |                                            ^^^^^^^^^^^^
  |
note: the other is here
 --> beacontail.toml:2:28
  |
2 | listen = ["localhost:80", "127.0.0.1:80", "127.0.0.1:80", ""]
  |                            ^^^^^^^^^^^^

error: empty text
 --> beacontail.toml:2:59
  |
2 | listen = ["localhost:80", "127.0.0.1:80", "127.0.0.1:80", ""]
  |                                                           ^^
"#,
    );
}

#[test]
fn what_a_variable_holds_is_not_shown() {
    check(
        r#"[[log]]
name = "a"
path = "/a.log"
[http]
listen = "${SECRET}"
[agent]
timezone = "${SECRET}"
[geoip]
database = "${EMPTY}"
"#,
        r#"error: expected an address and a port such as `127.0.0.1:9577` or `[::1]:9577`, found `${SECRET}`
 --> beacontail.toml:5:11
  |
5 | listen = "${SECRET}"
  |           ^^^^^^^^^

error: expected a time zone such as `UTC` or `Europe/Berlin`, found `${SECRET}`
 --> beacontail.toml:7:13
  |
7 | timezone = "${SECRET}"
  |             ^^^^^^^^^

error: empty text
 --> beacontail.toml:9:13
  |
9 | database = "${EMPTY}"
  |             ^^^^^^^^ the variable is empty
"#,
    );
}

#[test]
fn syntax_errors_are_shown_alone_in_their_line() {
    check(
        r#"[agent
flush = "0s"
[[log]]
name = "a"
path = "/a.log"
"#,
        r#"error: unclosed table, expected `]`
 --> beacontail.toml:1:7
  |
1 | [agent
  |       ^
"#,
    );
}
