//! What a person is told: each log with its parser, what was read of it, what it lacks, and the line to change.
//!
//! Invariant: one line of the report is one line on the terminal, whatever a configuration holds.

use std::fmt::Write as _;

use super::choose::{Chooser, Facts};
use super::found::{AccessLog, Destination, Server};
use super::plan::{LogPlan, Plan};
use super::repair::{self, Change};
use super::sample::{self, Sampled};
use super::tree::Tree;
use super::written::parser_name;
use crate::diagnostic::Untrusted;

/// Changes that are shown; a site with a thousand virtual hosts has one for each format.
const MOST_CHANGES: usize = 30;

/// The report on all that was found; `again` is the command that looks once more.
pub(super) fn report(plan: &Plan, tree: &Tree, chooser: &Chooser, again: &str) -> String {
    let mut out = String::new();
    for server in &plan.survey.servers {
        writeln!(out, "{}", server.name()).ok();
        let of_server = |source: &usize| {
            plan.survey
                .logs
                .get(*source)
                .is_some_and(|log| log.server == *server)
        };
        let logs = plan
            .logs
            .iter()
            .filter(|log| log.sources.first().is_some_and(of_server));
        for log in logs {
            self::log(&mut out, plan, tree, chooser, log);
        }
        left_out(&mut out, plan, *server);
    }
    changes(&mut out, plan, again);
    remarks(&mut out, plan);
    out
}

fn log(out: &mut String, plan: &Plan, tree: &Tree, chooser: &Chooser, log: &LogPlan) {
    let place = match &log.destination {
        Destination::Files(path) | Destination::Syslog(path) => path.as_str(),
        Destination::Away { .. } => "",
    };
    writeln!(out, "  {}", shown(place)).ok();
    let sources: Vec<&AccessLog> = log
        .sources
        .iter()
        .filter_map(|source| plan.survey.logs.get(*source))
        .collect();
    let spots: Vec<String> = sources
        .iter()
        .take(5)
        .map(|source| source.spot.to_string())
        .collect();
    let more = sources.len().saturating_sub(5);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    row(out, "from", &format!("{}{more}", spots.join(", ")));
    let parsers: Vec<String> = log
        .parsers
        .iter()
        .map(|parser| {
            let made = if parser.is_shipped {
                ""
            } else {
                " (made of its format)"
            };
            format!("{}{made}", parser_name(parser))
        })
        .collect();
    row(out, "parser", &parsers.join(", "));
    row(out, "rules", &log.rules.join(", "));
    if let Destination::Files(pattern) = &log.destination {
        let names: Vec<String> = log
            .parsers
            .iter()
            .map(|parser| parser.name.clone())
            .collect();
        row(
            out,
            "reads",
            &sentence(&sample::sampled(tree, chooser, pattern, &names)),
        );
    }
    let missing = missing(log);
    if !missing.is_empty() {
        row(out, "lacks", &missing.join(", "));
    }
    for remark in sources.iter().flat_map(|source| &source.remarks).take(10) {
        row(out, "note", remark);
    }
}

fn row(out: &mut String, word: &str, text: &str) {
    writeln!(out, "    {word:<8}{}", shown(text)).ok();
}

/// What any of the formats of a log lacks.
fn missing(log: &LogPlan) -> Vec<&'static str> {
    let all = log.parsers.iter().map(|parser| parser.facts);
    let facts = all.fold(
        Facts {
            request: true,
            provider: true,
            forwarded: true,
            duration: true,
        },
        |a, b| Facts {
            request: a.request && b.request,
            provider: a.provider && b.provider,
            forwarded: a.forwarded && b.forwarded,
            duration: a.duration && b.duration,
        },
    );
    facts.missing()
}

fn sentence(sampled: &Sampled) -> String {
    match sampled {
        Sampled::Nothing => "no line is there yet".to_owned(),
        Sampled::Unreadable(why) => format!("not looked at: {why}"),
        Sampled::Lines {
            read,
            lines,
            better: None,
        } => format!("{read} of the last {lines} lines"),
        Sampled::Lines {
            read,
            lines,
            better: Some((name, more)),
        } => format!(
            "{read} of the last {lines} lines; `{name}` reads {more}: is the server running with another configuration?"
        ),
    }
}

fn left_out(out: &mut String, plan: &Plan, server: Server) {
    for left in plan.left.iter().take(50) {
        let log = plan
            .survey
            .logs
            .get(left.source)
            .filter(|log| log.server == server);
        let Some(log) = log else {
            continue;
        };
        writeln!(out, "  {}: not counted", log.spot).ok();
        row(out, "because", &left.why);
        if !left.repair.is_empty() {
            row(out, "repair", &left.repair);
        }
        for remark in &log.remarks {
            row(out, "note", remark);
        }
    }
}

/// The lines to change, each once.
fn changes(out: &mut String, plan: &Plan, again: &str) {
    let mut seen: Vec<Change> = Vec::new();
    for (log, chosen) in plan.survey.logs.iter().zip(&plan.chosen) {
        let Some(facts) = chosen.as_ref().map(|chosen| chosen.facts) else {
            continue;
        };
        let Some(change) = repair::change(log, facts).filter(|change| !seen.contains(change))
        else {
            continue;
        };
        if seen.len() == MOST_CHANGES {
            writeln!(out, "\nand more like these").ok();
            return;
        }
        shown_change(out, &change, facts, again);
        seen.push(change);
    }
}

fn shown_change(out: &mut String, change: &Change, facts: Facts, again: &str) {
    let missing = facts.missing().join(", ");
    let first = if change.old.is_empty() {
        "Add"
    } else {
        "In place of"
    };
    writeln!(out, "\n{} logs no {missing}. {first}\n", change.spot).ok();
    if !change.old.is_empty() {
        change.old.iter().for_each(|line| paste(out, line));
        writeln!(out, "\n  write\n").ok();
    }
    change.new.iter().for_each(|line| paste(out, line));
    writeln!(out, "\n  then: {}; {again}", change.then).ok();
}

/// A line of a configuration to be copied. A tab at its beginning is shown as blanks; one further on may be part of a
/// format, and `\t` means the same to the servers.
fn paste(out: &mut String, line: &str) {
    let text = line.trim_start_matches('\t');
    let indent = "    ".repeat(line.len() - text.len());
    writeln!(out, "    {indent}{}", shown(text)).ok();
}

fn remarks(out: &mut String, plan: &Plan) {
    let covered = plan.covered_errors().map(|(log, error)| {
        format!("the pattern of `{log}` matches the error log {} too, whose lines it cannot read: give errors another folder", error.path)
    });
    let all: Vec<String> = plan.survey.remarks.iter().cloned().chain(covered).collect();
    if !all.is_empty() {
        out.push('\n');
    }
    for remark in all {
        writeln!(out, "note: {}", shown(&remark)).ok();
    }
}

fn shown(text: &str) -> Untrusted<'_> {
    Untrusted(text.as_bytes())
}
