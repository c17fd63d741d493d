//! Which parsers read which input.

use super::Failure;
use super::detect::{self, Fit, SAMPLE_BYTES};
use super::engine::Engine;
use crate::parse::Format;
use crate::source::{Archive, ArchiveError, Compression, Input, InputKind, Limits};

/// Parsers by number, and what reads each input.
pub(super) struct Chosen {
    pub(super) parsers: Vec<String>,
    pub(super) inputs: Vec<Choice>,
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
}

/// Finds the parsers of each input: those named, or the one that reads its first lines best.
/// Standard input is left open in `stdin`, with what was read of it.
///
/// # Errors
/// Inputs that cannot be opened (unless `partial`), and those that no parser reads.
pub(super) fn choose(
    engine: &Engine,
    named: &[String],
    found: &[Input],
    same: &[Option<usize>],
    limits: Limits,
    partial: bool,
    stdin: &mut Option<(Archive, Vec<u8>)>,
) -> Result<Chosen, Failure> {
    let candidates = if named.is_empty() {
        candidates(engine)?
    } else {
        Vec::new()
    };
    let mut chosen = Chosen {
        parsers: named.to_vec(),
        inputs: Vec::new(),
    };
    let mut failures = Vec::new();
    for (input, same) in found.iter().zip(same) {
        if same.is_some() {
            chosen.inputs.push(Choice::default());
            continue;
        }
        let (archive, head) = match sample(input, limits) {
            Ok(sampled) => sampled,
            Err(error) => {
                if !partial {
                    failures.push(error.to_string());
                }
                chosen.inputs.push(Choice::default());
                continue;
            }
        };
        let plain = archive.compression() == Compression::Plain;
        let (parsers, fit) = if named.is_empty() {
            match detected(&candidates, &head, input, &mut chosen.parsers) {
                Ok((parsers, fit)) => (parsers, fit),
                Err(failure) => {
                    failures.push(failure);
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
        });
    }
    if failures.is_empty() {
        Ok(chosen)
    } else {
        Err(Failure::Inputs(failures))
    }
}

/// The formats that take part in detection, in the documented order.
fn candidates(engine: &Engine) -> Result<Vec<Format>, Failure> {
    let order = engine.catalog.detection_order();
    let mut formats = Vec::new();
    for entry in order {
        formats.push(Format::compile(&entry.definition)?);
    }
    Ok(formats)
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
    let whole = if head.len() < SAMPLE_BYTES {
        head.len()
    } else {
        memchr::memrchr(b'\n', head).map_or(head.len(), |lf| lf + 1)
    };
    let fits = detect::rank(candidates, head.get(..whole).unwrap_or_default());
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
            let (at, expected) = fit.failure.clone()?;
            let name = &candidates.get(fit.candidate)?.name;
            Some((
                at,
                format!("\n    {name}: at byte {at} of the first line expected {expected}"),
            ))
        })
        .collect();
    nearest.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let nearest: String = nearest.into_iter().take(3).map(|(_, text)| text).collect();
    let path = crate::diagnostic::Untrusted(input.path.as_os_str().as_encoded_bytes()).to_string();
    format!(
        "{path}: no parser reads its first lines; name one with --parser, `beacontail parsers list` shows them. The nearest were:{nearest}"
    )
}
