//! Which parsers read which input.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use super::Failure;
use super::detect::{self, Fit, SAMPLE_BYTES};
use super::engine::Engine;
use crate::diagnostic::Diagnostic;
use crate::parse::{Format, are_pieces};
use crate::source::{
    Archive, ArchiveError, Compression, Input, InputError, InputKind, Limits, expand,
};

/// Parsers by number, and what reads each input.
pub(super) struct Chosen {
    pub(super) parsers: Vec<String>,
    pub(super) inputs: Vec<Choice>,
    /// Files that a folder or pattern led to and that no parser reads, one sentence each.
    pub(super) left_out: Vec<String>,
}

/// What the user said about inputs.
pub(super) struct Wanted<'w> {
    /// Parsers by name; detection when there is none.
    pub(super) named: &'w [String],
    /// The arguments that led to the inputs.
    pub(super) paths: &'w [OsString],
    pub(super) limits: Limits,
    /// Inputs that cannot be opened are no reason to stop.
    pub(super) partial: bool,
}

impl Wanted<'_> {
    /// True when the user named this very input: then it must be read.
    fn names(&self, input: &Input) -> bool {
        let named = |path: &OsString| Path::new(path) == input.path;
        input.kind == InputKind::Stdin || self.paths.iter().any(named)
    }
}

/// What reads one input.
#[derive(Default)]
pub(super) struct Choice {
    /// Numbers of parsers to try on each line.
    pub(super) parsers: Vec<usize>,
    /// How the parser was found, when it was detected.
    pub(super) fit: Option<Fit>,
    /// The input is not compressed.
    pub(super) plain: bool,
    /// Its first lines are in envelopes that cut or escape them: it is read as one, from the beginning.
    pub(super) in_pieces: bool,
    /// No parser reads it, and nobody asked for it by name.
    pub(super) left_out: bool,
}

/// The inputs that arguments lead to.
///
/// # Errors
/// Every argument that leads to none.
pub(super) fn expanded(paths: &[OsString]) -> Result<Vec<Input>, Failure> {
    let said = |errors: Vec<InputError>| errors.iter().map(ToString::to_string).collect();
    expand(paths).map_err(|errors| Failure::Inputs(said(errors)))
}

/// Finds the parsers of each input: those named, or the one that reads its first lines best.
/// Standard input is left open in `stdin`, with what was read of it.
///
/// # Errors
/// Inputs that cannot be opened (unless `partial`), those named that no parser reads, and that no
/// input is read.
pub(super) fn choose(
    engine: &Engine,
    wanted: &Wanted<'_>,
    found: &[Input],
    same: &[Option<usize>],
    stdin: &mut Option<(Archive, Vec<u8>)>,
) -> Result<Chosen, Failure> {
    let named = wanted.named;
    let candidates = if named.is_empty() {
        engine.candidates()?
    } else {
        Vec::new()
    };
    let mut chosen = Chosen {
        parsers: named.to_vec(),
        inputs: Vec::new(),
        left_out: Vec::new(),
    };
    let mut failures = Vec::new();
    for (input, same) in found.iter().zip(same) {
        if same.is_some() {
            chosen.inputs.push(Choice::default());
            continue;
        }
        let (archive, head) = match sample(input, wanted.limits) {
            Ok(sampled) => sampled,
            Err(error) => {
                if !wanted.partial {
                    failures.push(error.to_string());
                }
                chosen.inputs.push(Choice::default());
                continue;
            }
        };
        let plain = archive.compression() == Compression::Plain;
        let in_pieces = are_pieces(&head);
        let mut left_out = false;
        let (parsers, fit) = if named.is_empty() {
            match detected(&candidates, &head, input, &mut chosen.parsers) {
                Ok((parsers, fit)) => (parsers, fit),
                Err(reason) => {
                    left_out = !wanted.names(input);
                    let reasons = if left_out {
                        &mut chosen.left_out
                    } else {
                        &mut failures
                    };
                    reasons.push(reason);
                    (Vec::new(), None)
                }
            }
        } else {
            ((0..named.len()).collect(), None)
        };
        if input.kind == InputKind::Stdin {
            *stdin = Some((archive, head));
        }
        chosen.inputs.push(Choice {
            parsers,
            fit,
            plain,
            in_pieces,
            left_out,
        });
    }
    if chosen.parsers.is_empty() {
        failures.append(&mut chosen.left_out);
    }
    if failures.is_empty() {
        Ok(chosen)
    } else {
        Err(Failure::Inputs(failures))
    }
}

/// Reads what detection has taken from an archive, then the rest of it.
pub(super) fn resumed(
    head: Vec<u8>,
    mut archive: Archive,
) -> impl FnMut(&mut [u8]) -> Result<usize, ArchiveError> {
    let mut head = io::Cursor::new(head);
    move |buffer| match io::Read::read(&mut head, buffer).unwrap_or_default() {
        0 => archive.read(buffer),
        ready => Ok(ready),
    }
}

/// The parser that reads the first of these files with lines that any parser reads; `None` when there is
/// no such file.
///
/// # Errors
/// Mistakes in parser files.
pub(super) fn parser_of(
    engine: &Engine,
    paths: &[OsString],
) -> Result<Option<String>, Vec<Diagnostic>> {
    let candidates = engine.candidates()?;
    for input in paths
        .iter()
        .flat_map(|path| expand(std::slice::from_ref(path)))
        .flatten()
    {
        let Ok((_, head)) = sample(&input, Limits::default()) else {
            continue;
        };
        let mut names = Vec::new();
        if let Ok((numbers, Some(_))) = detected(&candidates, &head, &input, &mut names) {
            return Ok(numbers
                .first()
                .and_then(|&number| names.get(number).cloned()));
        }
    }
    Ok(None)
}

/// The beginning of an input's text. An error after it shows when the input is read.
fn sample(input: &Input, limits: Limits) -> Result<(Archive, Vec<u8>), ArchiveError> {
    let mut archive = match input.kind {
        InputKind::Stdin => Archive::stdin(limits)?,
        InputKind::File => Archive::open(&input.path, limits)?,
    };
    let mut head = vec![0; SAMPLE_BYTES];
    let mut length = 0;
    while let Some(free) = head.get_mut(length..).filter(|free| !free.is_empty()) {
        match archive.read(free) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(_) if input.kind == InputKind::File => break,
            Err(error) => return Err(error),
        }
    }
    head.truncate(length);
    Ok((archive, head))
}

type Detected = (Vec<usize>, Option<Fit>);

fn detected(
    candidates: &[Format],
    head: &[u8],
    input: &Input,
    parsers: &mut Vec<String>,
) -> Result<Detected, String> {
    let fits = detect::rank(candidates, head);
    let Some(best) = fits.first().filter(|fit| fit.read > 0) else {
        let lines = fits.iter().map(|fit| fit.lines).max().unwrap_or_default();
        return if lines == 0 {
            Ok((Vec::new(), None))
        } else {
            Err(nothing_fits(candidates, &fits, input))
        };
    };
    let name = candidates
        .get(best.candidate)
        .map(|format| format.name.clone())
        .unwrap_or_default();
    let number = parsers
        .iter()
        .position(|known| *known == name)
        .unwrap_or_else(|| {
            parsers.push(name);
            parsers.len() - 1
        });
    Ok((vec![number], Some(best.clone())))
}

/// The three parsers that got furthest, and where they failed.
fn nothing_fits(candidates: &[Format], fits: &[Fit], input: &Input) -> String {
    let mut nearest: Vec<(u32, String)> = fits
        .iter()
        .filter_map(|fit| {
            let (at, reason) = fit.failure.clone()?;
            let name = &candidates.get(fit.candidate)?.name;
            Some((at, format!("\n    {name}: {reason}")))
        })
        .collect();
    nearest.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let nearest: String = nearest.into_iter().take(3).map(|(_, text)| text).collect();
    let path = crate::diagnostic::Untrusted(input.path.as_os_str().as_encoded_bytes()).to_string();
    format!(
        "{path}: no parser reads its first lines; name one with --parser, `beacontail parsers list` shows them. The nearest were:{nearest}"
    )
}
