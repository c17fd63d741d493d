//! `parsers new`: a parser file for a log that nobody wrote one for.
//!
//! Three steps, each a guess that the next one tries: which layout the lines have, whether the real
//! reader reads them with it, and which lines are its examples. Nothing is printed that `parsers test`
//! would refuse. What is printed holds no address, user or secret that a rule could find.

mod anonymous;
mod columns;
mod csv;
mod draft;
mod examples;
mod json;
mod layout;
mod logfmt;
mod names;
mod nginx_conf;

use std::ffi::OsString;
use std::path::Path;

use anonymous::Anonymous;
use draft::{Draft, Format as DraftFormat};

use super::sample::Sample;
use crate::cli::NewArgs;
use crate::commands::detect::{self, Fit};
use crate::commands::engine::Engine;
use crate::commands::inputs::expanded;
use crate::commands::{Done, Failure, print, say};
use crate::definition::{Dialect, LayoutDefinition};
use crate::diagnostic::Untrusted;
use crate::parse::{Format, Line};
use crate::record::{Reading, Span};

/// Runs the command.
pub(super) fn new(args: &NewArgs) -> Result<Done, Failure> {
    let mut engine = super::engine(&args.parsers)?;
    let log = sampled(args)?;
    let whole: Vec<&[u8]> = log.lines().collect();
    if whole.is_empty() {
        return Err(Failure::Inputs(vec!["the log has no lines yet".to_owned()]));
    }
    let name = name(args, &engine);
    let best = known(&engine, &log.text)?;
    let records = log.records();
    let inside: Option<Vec<&[u8]>> = records
        .as_ref()
        .map(|records| records.iter().map(Vec::as_slice).collect());
    // What stands in an envelope is the record, unless only its header has a time.
    let mut found = None;
    for lines in inside.into_iter().chain([whole]) {
        let tried = tried(&mut engine, &name, args, best.as_ref(), lines)?;
        let is_found = tried.proposal.is_some() || tried.is_known;
        found = Some(tried);
        if is_found {
            break;
        }
    }
    match (found, &best) {
        (Some(Tried { is_known: true, .. }), Some((parent, fit))) => {
            Ok(nothing_to_write(parent, fit))
        }
        (
            Some(Tried {
                proposal, lines, ..
            }),
            best,
        ) => {
            let Some(proposal) = proposal else {
                return Err(cannot(best.as_ref(), &lines));
            };
            written(args, &proposal)?;
            report(&proposal, &lines, args);
            Ok(Done::Complete)
        }
        (None, best) => Err(cannot(best.as_ref(), &[])),
    }
}

/// What came of looking at some lines.
struct Tried<'l> {
    lines: Vec<&'l [u8]>,
    proposal: Option<Proposal>,
    /// A known format says all that could be proposed.
    is_known: bool,
}

/// Looks for a layout of these lines.
fn tried<'l>(
    engine: &mut Engine,
    name: &str,
    args: &NewArgs,
    best: Option<&(String, Fit)>,
    lines: Vec<&'l [u8]>,
) -> Result<Tried<'l>, Failure> {
    let cut = best.is_some_and(|(name, _)| cut(engine, name, &lines));
    let mut drafts = Vec::new();
    let mut goes_on = false;
    if let Some(path) = &args.nginx_conf {
        drafts = nginx_conf::drafts(path)?;
    } else if let Some((parent, _)) = best.filter(|(_, fit)| reads_well(fit) && !cut) {
        match extended(engine, parent, &lines) {
            Extended::By(draft) => drafts.push(draft),
            Extended::Anew => {
                goes_on = true;
                drafts.extend(layout::drafts(&lines));
            }
            Extended::Nothing => {
                return Ok(Tried {
                    lines,
                    proposal: None,
                    is_known: true,
                });
            }
        }
    } else {
        drafts.extend(w3c(&lines));
        drafts.extend(json::draft(&lines));
        drafts.extend(logfmt::draft(&lines));
        drafts.extend(layout::drafts(&lines));
        drafts.extend(csv::drafts(&lines));
    }
    let proposal = proposal(engine, name, &drafts, &lines);
    let is_known = best
        .filter(|_| args.nginx_conf.is_none())
        .is_some_and(|(_, fit)| {
            let read = usize::try_from(fit.read).unwrap_or(usize::MAX);
            let more = proposal
                .as_ref()
                .is_some_and(|p| p.read > read || p.extends || goes_on);
            reads_half(fit) && !more && !cut
        });
    Ok(Tried {
        lines,
        proposal,
        is_known,
    })
}

/// A file that passes its own examples.
struct Proposal {
    name: String,
    text: String,
    read: usize,
    lines: usize,
    /// The first line that it does not read.
    unread: Option<usize>,
    numbered: usize,
    /// It adds to a known format.
    extends: bool,
}

fn sampled(args: &NewArgs) -> Result<Sample, Failure> {
    let inputs = expanded(std::slice::from_ref(&args.log))?;
    match inputs.as_slice() {
        [input] => Sample::of(input, u64::from(args.lines)),
        _ => Err(Failure::Inputs(vec![format!(
            "{} is {} logs: name one of them",
            Untrusted(args.log.as_encoded_bytes()),
            inputs.len()
        )])),
    }
}

/// A name that no format has: what was asked for, or the name of the file.
fn name(args: &NewArgs, engine: &Engine) -> String {
    let stem = |path: &Path| path.file_name().map(|n| n.to_string_lossy().into_owned());
    let output = args.output.as_deref().and_then(Path::file_stem);
    let output = output.map(|stem| stem.to_string_lossy().into_owned());
    let log: &OsString = &args.log;
    let asked = args
        .name
        .clone()
        .or(output)
        .or_else(|| stem(Path::new(log)));
    let asked = asked.unwrap_or_default();
    let first = asked.split('.').next().unwrap_or_default();
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    let name: String = first.chars().map(plain).take(40).collect();
    let name = match name.trim_matches('-') {
        "" => "mine".to_owned(),
        name => name.to_owned(),
    };
    if engine.catalog.format(&name).is_ok() && args.output.is_none() {
        format!("{name}-mine")
    } else {
        name
    }
}

/// The known format that reads the log best.
fn known(engine: &Engine, text: &[u8]) -> Result<Option<(String, Fit)>, Failure> {
    let formats = engine.candidates()?;
    let best = detect::rank(&formats, text).into_iter().next();
    Ok(best.and_then(|fit| Some((formats.get(fit.candidate)?.name.clone(), fit))))
}

fn reads_well(fit: &Fit) -> bool {
    fit.lines > 0 && fit.read * 100 >= fit.lines * 90
}

fn reads_half(fit: &Fit) -> bool {
    fit.lines > 0 && fit.read * 2 >= fit.lines
}

fn nothing_to_write(parent: &str, fit: &Fit) -> Done {
    say(&format!(
        "`{parent}` reads {} of {} lines: no new parser is needed (`parsers show {parent}` prints it)",
        fit.read, fit.lines
    ));
    Done::Complete
}

/// What is to be done where lines go on behind a known format's last field.
enum Extended {
    /// A child of the format.
    By(Draft),
    /// They do, but the parent has no words for what stands there.
    Anew,
    /// They do not.
    Nothing,
}

/// A child of a format behind whose last field most lines go on.
fn extended(engine: &Engine, parent: &str, lines: &[&[u8]]) -> Extended {
    let (Ok(entry), Ok(format)) = (engine.catalog.format(parent), engine.format(parent)) else {
        return Extended::Nothing;
    };
    let apache = match &entry.definition.layout.value {
        LayoutDefinition::Server {
            dialect: Dialect::Nginx(_),
            ..
        } => false,
        LayoutDefinition::Server {
            dialect: Dialect::Apache,
            ..
        } => true,
        _ => return Extended::Nothing,
    };
    let tails: Vec<&[u8]> = lines
        .iter()
        .filter_map(|line| tail(engine, &format, line))
        .collect();
    if tails.len() * 2 < lines.len() {
        return Extended::Nothing;
    }
    match layout::appended(&tails, &format.names(), apache) {
        Some(mut draft) => {
            draft.extends = Some(parent.to_owned());
            Extended::By(draft)
        }
        None => Extended::Anew,
    }
}

/// True when a format reads most lines only as a person would: fields of them are missing or cut.
fn cut(engine: &Engine, name: &str, lines: &[&[u8]]) -> bool {
    let Ok(format) = engine.format(name) else {
        return false;
    };
    let mut reader = format.reader(&[], &engine.zone);
    let mut spans = vec![Span::ABSENT; reader.spans()];
    let mut lenient = 0;
    for line in lines {
        let reading = reader.read(line, &mut spans);
        lenient += usize::from(matches!(reading, Ok(Line::Record(Reading::Partial))));
    }
    lenient * 2 > lines.len()
}

/// What stands behind the last field of a format: the rest behind the shortest beginning of the line
/// that is exactly what the format says.
fn tail<'l>(engine: &Engine, format: &Format, line: &'l [u8]) -> Option<&'l [u8]> {
    let mut reader = format.reader(&[], &engine.zone);
    let mut spans = vec![Span::ABSENT; reader.spans()];
    if !matches!(
        reader.read(line, &mut spans),
        Ok(Line::Record(Reading::Extra))
    ) {
        return None;
    }
    let blanks = memchr::memchr_iter(b' ', line);
    let mut cuts = blanks.filter_map(|at| line.split_at_checked(at));
    let exact = cuts.find(|(head, _)| {
        matches!(
            reader.read(head, &mut spans),
            Ok(Line::Record(Reading::Exact))
        )
    });
    exact.map(|(_, tail)| tail)
}

/// A W3C file says itself what it holds.
fn w3c(lines: &[&[u8]]) -> Option<Draft> {
    let has_columns = lines.iter().any(|line| line.starts_with(b"#Fields:"));
    let records = lines.iter().filter(|line| !line.starts_with(b"#"));
    let percent = records
        .into_iter()
        .any(|line| memchr::memmem::find(line, b"%20").is_some());
    let escape = if percent { "percent" } else { "plus" };
    has_columns.then(|| Draft::of(DraftFormat::W3c(escape)))
}

/// The draft that reads most lines, with examples; `None` when none reads half of them.
fn proposal(
    engine: &mut Engine,
    name: &str,
    drafts: &[Draft],
    lines: &[&[u8]],
) -> Option<Proposal> {
    // Lines read, and those of which nothing is left over.
    let mut tried: Vec<((usize, usize), usize, &Draft)> = Vec::new();
    for (number, draft) in drafts.iter().enumerate() {
        let text = draft.text(&[], "a draft", &[]);
        if engine.catalog.add_text(name, name, &text).is_err() {
            continue;
        }
        let Ok(format) = engine.format(name) else {
            continue;
        };
        let read = examples::reads(engine, &format, lines);
        let read = read.into_iter().filter(|read| *read == Some(true)).count();
        let whole = examples::reads_whole(engine, &format, lines);
        tried.push(((read, whole), number, draft));
    }
    tried.sort_by_key(|(read, number, _)| (std::cmp::Reverse(*read), *number));
    let records = lines.iter().filter(|line| !line.starts_with(b"#")).count();
    let half = |read: usize| read > 0 && read * 2 >= records;
    let (_, _, draft) = tried.into_iter().find(|((read, _), ..)| half(*read))?;
    examples::completed(engine, name, draft, lines, &mut Anonymous::new())
}

fn cannot(best: Option<&(String, Fit)>, lines: &[&[u8]]) -> Failure {
    let timed = lines.iter().filter(|line| has_clock(line)).count();
    if timed * 2 < lines.len() {
        return Failure::Refused {
            code: 1,
            message: format!(
                "no time in most of the {} lines looked at: what a minute holds cannot be counted",
                lines.len()
            ),
            help: Some("let the server write the time into each line".to_owned()),
        };
    }
    let mut message = format!(
        "no layout found that reads half of the {} lines looked at",
        lines.len()
    );
    if let Some((name, fit)) = best.filter(|(_, fit)| fit.read > 0) {
        message.push_str(&format!("; `{name}` reads {} of them", fit.read));
    }
    Failure::Refused {
        code: 1,
        message,
        help: Some(
            "write one by hand: `format.regex` takes any text, see docs/parsers.md; with the \
             server's configuration, --nginx-conf FILE"
                .to_owned(),
        ),
    }
}

/// True when a line holds what may be a time: a time of day, or nine digits and more in a row.
fn has_clock(line: &[u8]) -> bool {
    let digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    let clock = |w: &[u8]| matches!(w, [a, b, b':', c, d] if digits(&[*a, *b, *c, *d]));
    line.windows(5).any(clock) || line.windows(9).any(digits)
}

fn written(args: &NewArgs, proposal: &Proposal) -> Result<(), Failure> {
    let Some(path) = &args.output else {
        return print(proposal.text.as_bytes());
    };
    let file = std::fs::File::create_new(path);
    let result =
        file.and_then(|mut file| std::io::Write::write_all(&mut file, proposal.text.as_bytes()));
    result.map_err(|error| {
        let path = Untrusted(path.as_os_str().as_encoded_bytes());
        Failure::Refused {
            code: 1,
            message: format!("cannot write {path}: {error}"),
            help: (error.kind() == std::io::ErrorKind::AlreadyExists)
                .then(|| "a file that is there is not overwritten: give another name".to_owned()),
        }
    })
}

/// What was found, on standard error: the file alone is on standard output.
fn report(proposal: &Proposal, lines: &[&[u8]], args: &NewArgs) {
    let Proposal {
        name,
        read,
        lines: all,
        ..
    } = proposal;
    say(&format!("`{name}` reads {read} of {all} lines"));
    if let Some(line) = proposal.unread.and_then(|number| lines.get(number)) {
        let mut masked = Vec::new();
        crate::geo::mask_addresses(&Anonymous::new().line(line, &[]), &mut masked);
        say(&format!(
            "the first that it does not read: {}",
            Untrusted(&masked).shortened(200)
        ));
    }
    if proposal.numbered > 0 {
        say(
            "fields called field1, field2, … want a name: what the server's configuration calls them",
        );
    }
    if args.output.is_none() {
        say(&format!(
            "save it as {name}.toml, then: beacontail parsers test ./{name}.toml"
        ));
    }
}
