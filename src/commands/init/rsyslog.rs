//! Where syslog puts a server's lines: the file that rsyslog writes them to, or a socket on which the
//! agent can listen by itself (rsyslog manual, "Filter Conditions" and "omfile").
//!
//! Rules are not evaluated: a rule that names the program, or else its facility, and the next file behind it are
//! what is looked for. What is found is shown with its place, for a person to judge.

use std::net::{IpAddr, SocketAddr};

use super::found::{Destination, Spot, literal};
use super::tree::Tree;

/// Where the agent listens when it is proposed that a server sends to it.
pub(super) const LISTEN: &str = "127.0.0.1:5140";

/// Lines behind a rule's first in which its file may stand.
const RULE_LINES: usize = 6;

/// Where lines go that a server sends to `server` under the name `program`.
pub(super) fn target(tree: &Tree, server: &str, program: &str, facility: &str) -> Destination {
    let socket = server.strip_prefix("unix:").unwrap_or(server);
    if socket == "/dev/log" || socket.ends_with("/dev/log") {
        return written(tree, program, facility)
            .unwrap_or_else(|| away("rsyslog has no rule that writes them to a file"));
    }
    if socket.starts_with('/') {
        return Destination::Syslog(format!("unix://{socket}"));
    }
    let Some(address) = address(server) else {
        return away("the syslog server is not this host");
    };
    if !(address.ip().is_loopback() || address.ip().is_unspecified()) {
        return away("the syslog server is not this host");
    }
    // Below 1024 only root listens, and most likely does.
    if address.port() < 1024 {
        return written(tree, program, facility)
            .unwrap_or_else(|| away("no rule of rsyslog writes them to a file"));
    }
    Destination::Syslog(format!("udp://{address}"))
}

fn away(why: &str) -> Destination {
    Destination::Away {
        why: why.to_owned(),
        repair: format!(
            "let the server send a copy to the agent, at {LISTEN}, and add to its [[log]]: listen = \"udp://{LISTEN}\""
        ),
    }
}

/// An address with a port, 514 when there is none.
fn address(server: &str) -> Option<SocketAddr> {
    let server = server.strip_prefix("udp@").unwrap_or(server);
    let server = match server.strip_prefix("localhost") {
        Some(rest) => format!("127.0.0.1{rest}"),
        None => server.to_owned(),
    };
    let bare = server.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some(SocketAddr::new(address, 514));
    }
    server.parse().ok()
}

/// The file that rsyslog writes these lines to.
fn written(tree: &Tree, program: &str, facility: &str) -> Option<Destination> {
    let found = rule(tree, |line| names_program(line, program))
        .or_else(|| rule(tree, |line| names_facility(line, facility)));
    found.map(|(path, _)| Destination::Files(literal(&path)))
}

/// The rule that puts a program's or a facility's lines into a file.
pub(super) fn rule_of(tree: &Tree, program: &str, facility: &str) -> Option<Spot> {
    let found = rule(tree, |line| names_program(line, program))
        .or_else(|| rule(tree, |line| names_facility(line, facility)));
    found.map(|(_, spot)| spot)
}

fn rule(tree: &Tree, selects: impl Fn(&str) -> bool) -> Option<(String, Spot)> {
    let mut files = tree.matching("/etc/rsyslog.d/*.conf");
    files.push("/etc/rsyslog.conf".to_owned());
    for file in files {
        let Ok(text) = tree.read(&file) else {
            continue;
        };
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (number, line) in lines.iter().enumerate() {
            if line.starts_with(['#', '$', '&']) || !selects(line) {
                continue;
            }
            let rule = lines.iter().skip(number).take(RULE_LINES);
            let own = rule
                .enumerate()
                .take_while(|(at, line)| *at == 0 || !is_end(line));
            for (at, line) in own {
                if let Some(path) = file_of(line) {
                    let line = number + at + 1;
                    return Some((path, Spot { file, line }));
                }
            }
        }
    }
    None
}

/// True behind the end of a rule.
fn is_end(line: &str) -> bool {
    line.is_empty() || line.starts_with('#') || line.starts_with(':')
}

/// `:programname, startswith, "haproxy"`, `if $programname == 'haproxy'`, `!haproxy`.
fn names_program(line: &str, program: &str) -> bool {
    let quoted = [
        format!("\"{program}\""),
        format!("'{program}'"),
        format!("\"{program}["),
    ];
    (line.contains("programname") || line.contains("syslogtag"))
        && quoted.iter().any(|name| line.contains(name.as_str()))
}

/// `local0.*  -/var/log/x`
fn names_facility(line: &str, facility: &str) -> bool {
    let selector = line.split_whitespace().next().unwrap_or_default();
    let parts = selector.split([';', ',']);
    !facility.is_empty()
        && parts
            .filter(|part| !part.ends_with(".none"))
            .any(|part| part.split('.').next() == Some(facility))
}

/// The file of an action: `-/var/log/x`, `/var/log/x;Template`, `action(type="omfile" file="/var/log/x")`.
fn file_of(line: &str) -> Option<String> {
    let words = line.split(|letter: char| {
        letter.is_whitespace() || matches!(letter, '"' | '\'' | '(' | ')' | '{' | '}' | ';')
    });
    let mut paths = words.filter_map(|word| {
        let word = word.trim_start_matches('-');
        let is_file = word.starts_with('/') && !word.starts_with("/dev/") && word.len() > 1;
        is_file.then(|| word.to_owned())
    });
    paths.next()
}

#[cfg(test)]
mod tests {
    use super::super::tree::Limits;
    use super::*;
    use std::fs;

    fn host(rules: &str) -> (tempfile::TempDir, Tree) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("etc/rsyslog.d")).unwrap();
        fs::write(folder.path().join("etc/rsyslog.d/49-x.conf"), rules).unwrap();
        let tree = Tree::new(folder.path(), Limits::default());
        (folder, tree)
    }

    fn files(path: &str) -> Destination {
        Destination::Files(path.to_owned())
    }

    #[test]
    fn the_file_of_a_rule_is_found_in_each_of_its_forms() {
        for rules in [
            ":programname, startswith, \"haproxy\" {\n  /var/log/h.log\n  stop\n}",
            ":programname, isequal, \"haproxy\" -/var/log/h.log",
            "if $programname == 'haproxy' then /var/log/h.log;Short",
            "if $programname == \"haproxy\" then {\n  action(type=\"omfile\" file=\"/var/log/h.log\")\n}",
            "*.info;local0.none /var/log/messages\nlocal0.*   -/var/log/h.log",
        ] {
            let (_folder, tree) = host(rules);
            assert_eq!(
                target(&tree, "/dev/log", "haproxy", "local0"),
                files("/var/log/h.log"),
                "{rules}"
            );
        }
        let (_folder, tree) = host("# local0.* /var/log/h.log\nlocal1.* /var/log/other");
        assert!(matches!(
            target(&tree, "/dev/log", "haproxy", "local0"),
            Destination::Away { .. }
        ));
        assert_eq!(rule_of(&tree, "x", "local1").unwrap().line, 2);
    }

    #[test]
    fn a_port_of_this_host_is_listened_at_and_another_host_is_not() {
        let (_folder, tree) = host("");
        let at = |server: &str| target(&tree, server, "nginx", "local7");
        assert_eq!(
            at("127.0.0.1:5140"),
            Destination::Syslog("udp://127.0.0.1:5140".to_owned())
        );
        assert_eq!(
            at("[::1]:5140"),
            Destination::Syslog("udp://[::1]:5140".to_owned())
        );
        assert_eq!(
            at("unix:/run/x.sock"),
            Destination::Syslog("unix:///run/x.sock".to_owned())
        );
        for server in ["192.0.2.1:5140", "logs.example.com", "localhost", ""] {
            assert!(matches!(at(server), Destination::Away { .. }), "{server}");
        }
    }
}
