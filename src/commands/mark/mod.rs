//! `mark`: an event is written to the store, and to Graphite and Grafana where configured.
//!
//! The store comes first and alone decides whether the mark is kept. Who deploys should not wait for
//! dashboards, nor lose the mark with them: what was not delivered is told with what to do, and the exit
//! code is 1.

mod deliver;

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use jiff::Timestamp;

use crate::cli::MarkArgs;
use crate::config::Config;
use crate::diagnostic::{Diagnostic, Place, Untrusted};
use crate::store::{self, Mark, StoreError};

use super::host::environment;
use super::times::at_or_before;
use super::{Done, Failure, print, say, say_all};

/// Where the configuration of a service is.
const CONFIG: &str = "/etc/beacontail/beacontail.toml";
/// Most bytes of a text and of a tag.
const TEXT: usize = 500;
const TAG: usize = 64;
/// Seconds that a mark may lie ahead: clocks differ.
const AHEAD: i64 = 300;
/// Most tags.
const TAGS: usize = 10;

/// Runs the command.
pub(super) fn run(args: &MarkArgs) -> Result<Done, Failure> {
    let mark = read(args, Timestamp::now())?;
    let (path, config) = match &args.store {
        Some(path) => (path.clone(), None),
        None => {
            let config = configured(args.config.as_deref().unwrap_or(Path::new(CONFIG)))?;
            (config.store.path.value.clone(), Some(config))
        }
    };
    store::record(&path, &mark).map_err(|error| not_recorded(&error))?;
    let mut places = vec!["the store".to_owned()];
    let mut done = Done::Complete;
    for delivery in config.iter().flat_map(|config| deliver::all(&config.marks)) {
        let to = delivery.to;
        match delivery.send(&mark) {
            Ok(warnings) => {
                places.push(to.to_owned());
                warnings
                    .iter()
                    .for_each(|warning| say(&format!("warning: {warning}")));
            }
            Err(error) => {
                say(&format!(
                    "error: the mark is in the store and not in {to}: {error}"
                ));
                say(
                    "  = help: put that right and enter it there by hand; another `mark` would be a second one in the store",
                );
                done = Done::Incomplete;
            }
        }
    }
    let text = Untrusted(mark.text.as_bytes());
    let at = Timestamp::from_millisecond(mark.at_ms).unwrap_or_default();
    let line = format!("marked at {at:.0}: {text} (in {})\n", places.join(", "));
    print(line.as_bytes())?;
    Ok(done)
}

/// Whoever names a wrong file has not damaged a store, and is not told to move that file away.
fn not_recorded(error: &StoreError) -> Failure {
    match error {
        StoreError::Damaged { path, detail } if detail.contains("not a database") => {
            Failure::Refused {
                code: 2,
                message: format!(
                    "{}: this is no store",
                    Untrusted(path.as_os_str().as_bytes())
                ),
                help: Some(
                    "name the file that `path` in `[store]` of the agent's configuration names"
                        .to_owned(),
                ),
            }
        }
        error => Failure::of_store(error),
    }
}

fn configured(path: &Path) -> Result<Config, Vec<Diagnostic>> {
    let config = Config::load(path, &environment())?;
    if !config.warnings.is_empty() {
        say_all(&config.warnings);
    }
    Ok(config)
}

/// The mark that the arguments describe.
///
/// # Errors
/// All that is wrong with them.
fn read(args: &MarkArgs, now: Timestamp) -> Result<Mark, Vec<Diagnostic>> {
    let mut mistakes: Vec<Diagnostic> = Vec::new();
    mistakes.extend(text_mistake(&args.text));
    if args.tags.len() > TAGS {
        mistakes.push(Diagnostic::new(format!("more than {TAGS} tags")));
    }
    mistakes.extend(args.tags.iter().filter_map(|tag| tag_mistake(tag)));
    let at = args
        .at
        .as_deref()
        .map_or(Some(now), |text| at_or_before(text, now));
    if let (None, Some(text)) = (at, &args.at) {
        let place = Place::argument("--at", text);
        mistakes.push(
            place
                .error("this is not a time", "not understood")
                .help("write 2026-11-22T07:06:00Z, Unix seconds, or -10m for ten minutes ago"),
        );
    }
    if let (Some(ahead), Some(text)) = (
        at.filter(|at| at.as_second() > now.as_second() + AHEAD),
        &args.at,
    ) {
        let place = Place::argument("--at", text);
        mistakes.push(
            place
                .error(format!("{ahead:.0} is in the future"), "not yet")
                .help("a mark says what has happened: it would be the newest one until then"),
        );
    }
    match (at, mistakes.is_empty()) {
        (Some(at), true) => Ok(Mark {
            at_ms: at.as_millisecond(),
            text: args.text.trim().to_owned(),
            tags: args.tags.clone(),
        }),
        _ => Err(mistakes),
    }
}

fn text_mistake(text: &str) -> Option<Diagnostic> {
    let place = Place::argument("", text);
    let wrong = |what: String| Some(place.error(what, "in this text"));
    if text.trim().is_empty() {
        return wrong("a mark says what happened: `beacontail mark \"deploy 1234\"`".to_owned());
    }
    if text.len() > TEXT {
        return wrong(format!(
            "the text has {} bytes; at most {TEXT} are kept",
            text.len()
        ));
    }
    if text.trim().contains(char::is_control) {
        return wrong("the text holds control characters; write it on one line".to_owned());
    }
    let hostile = text.chars().find(|&c| is_invisible(c))?;
    wrong(format!(
        "the text holds U+{:04X}, which is not seen and changes how the rest is shown; leave it out",
        u32::from(hostile)
    ))
}

/// Characters that change how others are shown: line and direction marks. Joiners are none of them: they
/// stand in emoji and in Persian words.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn tag_mistake(tag: &str) -> Option<Diagnostic> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_.:/-".contains(c);
    if (1..=TAG).contains(&tag.len()) && tag.chars().all(fits) {
        return None;
    }
    let mistake = Place::argument("--tag", tag).error("this is no tag", "not a word");
    Some(mistake.help(format!(
        "a tag is a word of up to {TAG} letters, digits and `_.:/-`; give --tag several times for several"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str, tags: &[&str], at: Option<&str>) -> MarkArgs {
        MarkArgs {
            text: text.to_owned(),
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            at: at.map(str::to_owned),
            config: None,
            store: None,
        }
    }

    fn now() -> Timestamp {
        "2026-11-22T07:16:00.25Z".parse().unwrap()
    }

    #[test]
    fn a_mark_is_its_text_its_tags_and_its_time() {
        let mark = read(&args(" deploy 1234 ", &["deploy"], None), now()).unwrap();
        assert_eq!(
            (mark.text.as_str(), mark.at_ms),
            ("deploy 1234", now().as_millisecond())
        );
        for at in [
            "2026-11-22T07:06:00Z",
            "2026-11-22T08:06:00+01:00",
            "1795331160",
            "-10m",
            "-600s",
        ] {
            let mark = read(&args("x", &[], Some(at)), now()).unwrap();
            assert_eq!(mark.at_ms.div_euclid(1000), 1_795_331_160, "{at}");
        }
    }

    #[test]
    fn what_would_harm_a_reader_is_refused_with_the_rest() {
        let long = "x".repeat(501);
        let kept = read(&args("👩\u{200d}💻 deploys", &[], None), now()).unwrap();
        assert_eq!(kept.text, "👩\u{200d}💻 deploys");
        for text in ["", "  ", &long, "a\nb", "\u{1b}[2J", "a\u{202e}b"] {
            assert_eq!(
                read(&args(text, &[], None), now()).unwrap_err().len(),
                1,
                "{text:?}"
            );
        }
        assert!(read(&args("x", &[], Some("2026-11-22T07:20:00Z")), now()).is_ok());
        let ahead = read(&args("x", &[], Some("2030-01-01T00:00:00Z")), now()).unwrap_err();
        assert!(ahead[0].message.contains("is in the future"), "{ahead:?}");
        let tags = ["", "a b", "a,b", "ä"];
        let mistakes = read(&args("", &tags, Some("soon")), now()).unwrap_err();
        assert_eq!(mistakes.len(), 6);
    }
}
