//! From what the servers say to what the agent is told: one `[[log]]` for each place that lines go to.
//!
//! Invariant: no file and no address is in two logs, since its lines would be counted twice; every log that was found is in
//! the plan or among those left out, with the reason.

use super::choose::{Chooser, Chosen, ParserFile};
use super::found::{AccessLog, Destination, ErrorLog, Server, Survey};

/// A `[[log]]`.
#[derive(Clone, Debug)]
pub(super) struct LogPlan {
    pub(super) name: String,
    pub(super) destination: Destination,
    pub(super) parsers: Vec<Chosen>,
    pub(super) rules: Vec<&'static str>,
    /// The logs that go there, by their numbers in the survey.
    pub(super) sources: Vec<usize>,
}

/// A log that the agent cannot count.
#[derive(Clone, Debug)]
pub(super) struct LeftOut {
    pub(super) source: usize,
    pub(super) why: String,
    /// What would help; empty when nothing is known to.
    pub(super) repair: String,
}

/// All that is to be written.
pub(super) struct Plan {
    pub(super) survey: Survey,
    /// The parser of each log of the survey.
    pub(super) chosen: Vec<Option<Chosen>>,
    pub(super) logs: Vec<LogPlan>,
    pub(super) left: Vec<LeftOut>,
    pub(super) files: Vec<ParserFile>,
}

impl Plan {
    /// Chooses parsers and sorts the logs.
    pub(super) fn new(survey: Survey, chooser: &mut Chooser) -> Plan {
        let mut plan = Plan {
            chosen: Vec::new(),
            logs: Vec::new(),
            left: Vec::new(),
            files: Vec::new(),
            survey,
        };
        for (source, log) in plan.survey.logs.iter().enumerate() {
            let chosen = match usable(log, chooser) {
                Ok(chosen) => {
                    put(&mut plan.logs, source, log, &chosen);
                    Some(chosen)
                }
                Err((why, repair)) => {
                    plan.left.push(LeftOut {
                        source,
                        why,
                        repair,
                    });
                    None
                }
            };
            plan.chosen.push(chosen);
        }
        merge_covered(&mut plan.logs);
        name_all(&mut plan.logs, &plan.survey.logs);
        let used = |file: &ParserFile| {
            let mut parsers = plan.logs.iter().flat_map(|log| &log.parsers);
            parsers.any(|parser| !parser.is_shipped && parser.name == file.name)
        };
        plan.files = chooser
            .files
            .iter()
            .filter(|file| used(file))
            .cloned()
            .collect();
        plan
    }

    /// The error logs that no pattern of a log covers.
    pub(super) fn errors(&self) -> impl Iterator<Item = &ErrorLog> {
        self.survey.errors.iter().filter(|error| {
            !self
                .logs
                .iter()
                .any(|log| covers(&log.destination, &error.path))
        })
    }

    /// Error logs that a pattern of a log covers, with the log's name.
    pub(super) fn covered_errors(&self) -> impl Iterator<Item = (&str, &ErrorLog)> {
        self.logs.iter().flat_map(|log| {
            let errors = self
                .survey
                .errors
                .iter()
                .filter(|error| covers(&log.destination, &error.path));
            errors.map(|error| (log.name.as_str(), error))
        })
    }
}

/// The parser of a log whose lines an agent can have and count; else why not and what would help.
fn usable(log: &AccessLog, chooser: &mut Chooser) -> Result<Chosen, (String, String)> {
    if let Destination::Away { why, repair } = &log.destination {
        return Err((why.clone(), repair.clone()));
    }
    let Some(layout) = &log.layout else {
        return Err(("its format is not known".to_owned(), String::new()));
    };
    let chosen = chooser.choose(log.server, layout);
    let chosen =
        chosen.map_err(|why| (format!("no parser reads its format: {why}"), String::new()))?;
    if chosen.facts.rules().is_empty() {
        return Err((
            "its lines do not hold the request, so nothing can be counted".to_owned(),
            String::new(),
        ));
    }
    Ok(chosen)
}

/// Adds a log to the others with its destination.
fn put(logs: &mut Vec<LogPlan>, source: usize, log: &AccessLog, chosen: &Chosen) {
    let found = logs
        .iter_mut()
        .find(|known| known.destination == log.destination);
    let Some(known) = found else {
        logs.push(LogPlan {
            name: String::new(),
            destination: log.destination.clone(),
            parsers: vec![chosen.clone()],
            rules: chosen.facts.rules(),
            sources: vec![source],
        });
        return;
    };
    known.sources.push(source);
    add_parsers(known, std::slice::from_ref(chosen));
}

fn add_parsers(log: &mut LogPlan, parsers: &[Chosen]) {
    for parser in parsers {
        if !log.parsers.iter().any(|known| known.name == parser.name) {
            log.parsers.push(parser.clone());
        }
        for rule in parser.facts.rules() {
            if !log.rules.contains(&rule) {
                log.rules.push(rule);
            }
        }
    }
}

/// True when a pattern with variables matches another log's path.
fn covers(pattern: &Destination, path: &str) -> bool {
    let Destination::Files(pattern) = pattern else {
        return false;
    };
    let options = glob::MatchOptions {
        require_literal_separator: true,
        ..glob::MatchOptions::new()
    };
    pattern != path
        && pattern.contains('*')
        && glob::Pattern::new(pattern).is_ok_and(|pattern| pattern.matches_with(path, options))
}

/// A log whose path another's pattern matches is part of that one.
fn merge_covered(logs: &mut Vec<LogPlan>) {
    let all = std::mem::take(logs);
    let (mut patterns, mut plain): (Vec<LogPlan>, Vec<LogPlan>) = all.into_iter().partition(
        |log| matches!(&log.destination, Destination::Files(path) if path.contains('*')),
    );
    plain.retain(|log| {
        let Destination::Files(path) = &log.destination else {
            return true;
        };
        let Some(pattern) = patterns
            .iter_mut()
            .find(|pattern| covers(&pattern.destination, path))
        else {
            return true;
        };
        pattern.sources.extend(&log.sources);
        add_parsers(pattern, &log.parsers);
        false
    });
    logs.append(&mut patterns);
    logs.append(&mut plain);
    logs.sort_by_key(|log| log.sources.iter().min().copied());
}

/// Names each log after its server and file; no two alike.
fn name_all(logs: &mut [LogPlan], all: &[AccessLog]) {
    let mut taken: Vec<String> = Vec::new();
    for log in logs {
        let server = log
            .sources
            .first()
            .and_then(|source| all.get(*source))
            .map(|log| log.server);
        let base = name_of(server.unwrap_or(Server::Nginx), &log.destination);
        let mut name = base.clone();
        let mut number = 1;
        while taken.contains(&name) {
            number += 1;
            name = format!("{base}-{number}");
        }
        taken.push(name.clone());
        log.name = name;
    }
}

/// `nginx-access` for /var/log/nginx/access.log, `haproxy` for /var/log/haproxy.log.
fn name_of(server: Server, destination: &Destination) -> String {
    let stem = match destination {
        Destination::Files(pattern) => {
            let file = pattern.rsplit('/').next().unwrap_or_default();
            file.split(".log").next().unwrap_or_default().to_owned()
        }
        _ => "syslog".to_owned(),
    };
    let plain = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    let stem: String = stem.chars().take(40).map(plain).collect();
    let words: Vec<&str> = stem.split('-').filter(|word| !word.is_empty()).collect();
    let (server, stem) = (server.key(), words.join("-"));
    if stem.is_empty() {
        server.to_owned()
    } else if stem.starts_with(server) {
        stem
    } else {
        format!("{server}-{stem}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_named_after_server_and_file() {
        let files = |path: &str| Destination::Files(path.to_owned());
        for (server, path, name) in [
            (Server::Nginx, "/var/log/nginx/access.log", "nginx-access"),
            (Server::Nginx, "/var/log/nginx/*.log", "nginx"),
            (
                Server::Apache,
                "/var/log/apache2/other_vhosts_access.log",
                "apache-other-vhosts-access",
            ),
            (Server::Haproxy, "/var/log/haproxy.log", "haproxy"),
            (Server::Apache, "/var/log/a.*.log.gz", "apache-a"),
        ] {
            assert_eq!(name_of(server, &files(path)), name);
        }
        assert_eq!(
            name_of(Server::Haproxy, &Destination::Syslog(String::new())),
            "haproxy-syslog"
        );
    }

    #[test]
    fn a_pattern_covers_what_it_matches_in_its_folder() {
        let pattern = Destination::Files("/var/log/*.log".to_owned());
        assert!(covers(&pattern, "/var/log/a.log"));
        assert!(!covers(&pattern, "/var/log/x/a.log"));
        assert!(!covers(
            &Destination::Files("/var/log/a.log".to_owned()),
            "/var/log/a.log"
        ));
    }
}
