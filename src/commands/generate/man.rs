//! One manual page for each command, nested ones too: what clap knows of it, then what only a person
//! can say, from `texts`.
//!
//! Invariant: every command has a page, and every page names only pages that exist beside it.

use std::collections::BTreeSet;

use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, line_break, roman};

use super::texts::{self, Texts};

/// A page.
pub(super) struct Page {
    /// `beacontail-run.1`
    pub(super) file: String,
    /// In roff, with the macros of man(7).
    pub(super) text: Vec<u8>,
}

/// All pages of a command line, that of the program first.
pub(super) fn pages(definition: &clap::Command) -> Vec<Page> {
    let mut whole = definition.clone().disable_help_subcommand(true);
    whole.build();
    let mut pages = Vec::new();
    add(&whole, &mut pages);
    pages
}

fn add(command: &clap::Command, pages: &mut Vec<Page>) {
    pages.push(page(command));
    for below in command.get_subcommands().filter(|one| !one.is_hide_set()) {
        add(below, pages);
    }
}

/// `beacontail-parsers-new`
fn name(command: &clap::Command) -> &str {
    command
        .get_display_name()
        .unwrap_or_else(|| command.get_name())
}

fn page(command: &clap::Command) -> Page {
    let name = name(command);
    let man = Man::new(command.clone());
    // By hand: an empty date has to be there for what is behind it to be in its place.
    let title = format!(
        ".TH {} 1 \"\" \"beacontail {}\" \"User Commands\"\n",
        name.to_uppercase(),
        env!("CARGO_PKG_VERSION")
    );
    let mut text = title.into_bytes();
    let parts = [
        Man::render_name_section,
        Man::render_synopsis_section,
        Man::render_description_section,
    ];
    for part in parts {
        part(&man, &mut text).expect("writing to a `Vec` does not fail");
    }
    let texts = texts::of(name);
    let mut roff = Roff::new();
    for paragraph in texts.about {
        roff.control("PP", []);
        roff.text([roman(*paragraph)]);
    }
    push(&mut text, &roff);
    if command.get_arguments().any(|one| !one.is_hide_set()) {
        man.render_options_section(&mut text)
            .expect("writing to a `Vec` does not fail");
    }
    push(&mut text, &commands(command));
    push(&mut text, &said(&texts));
    push(&mut text, &see_also(command, &texts));
    Page {
        file: format!("{name}.1"),
        text,
    }
}

fn push(text: &mut Vec<u8>, roff: &Roff) {
    roff.to_writer(text)
        .expect("writing to a `Vec` does not fail");
}

/// The commands below, each with its page.
fn commands(command: &clap::Command) -> Roff {
    let mut roff = Roff::new();
    let mut below = command
        .get_subcommands()
        .filter(|one| !one.is_hide_set())
        .peekable();
    if below.peek().is_none() {
        return roff;
    }
    roff.control("SH", ["COMMANDS"]);
    for one in below {
        roff.control("TP", []);
        roff.text([bold(name(one)), roman("(1)")]);
        let about = one.get_about().map(ToString::to_string);
        roff.text([roman(about.unwrap_or_default())]);
    }
    roff
}

fn said(texts: &Texts) -> Roff {
    let mut roff = Roff::new();
    pairs(&mut roff, "EXIT STATUS", texts.exits);
    pairs(&mut roff, "ENVIRONMENT", texts.environment);
    pairs(&mut roff, "FILES", texts.files);
    if !texts.examples.is_empty() {
        roff.control("SH", ["EXAMPLES"]);
    }
    for (number, (what, command)) in texts.examples.iter().enumerate() {
        if number > 0 {
            roff.control("PP", []);
        }
        roff.text([roman(*what)]);
        roff.control("PP", []);
        roff.control("RS", ["4"]);
        roff.control("nf", []);
        for line in command.lines() {
            roff.text([roman(line)]);
        }
        roff.control("fi", []);
        roff.control("RE", []);
    }
    roff
}

fn pairs(roff: &mut Roff, heading: &str, pairs: &[(&str, &str)]) {
    if pairs.is_empty() {
        return;
    }
    roff.control("SH", [heading]);
    for (word, meaning) in pairs {
        roff.control("TP", []);
        roff.text([bold(*word)]);
        roff.text([roman(*meaning)]);
    }
}

/// The page above, those that the texts name, and the papers.
fn see_also(command: &clap::Command, texts: &Texts) -> Roff {
    let own = name(command);
    let above = own.rsplit_once('-').map(|(above, _)| above);
    // `check-config` is one word: the page above is that of the program.
    let above = above.map(|above| match above {
        "beacontail-check" => "beacontail",
        other => other,
    });
    let mut pages: BTreeSet<String> = texts
        .see
        .iter()
        .map(|page| format!("beacontail-{page}(1)"))
        .collect();
    pages.extend(above.map(|above| format!("{above}(1)")));
    let list: Vec<String> = pages.into_iter().collect();
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    if !list.is_empty() {
        roff.text([roman(list.join(", "))]);
        roff.control("PP", []);
    }
    roff.text([
        roman("The papers in /usr/share/doc/beacontail:"),
        line_break(),
        roman(texts.papers.join(", ")),
    ]);
    roff
}

#[cfg(test)]
mod tests {
    use super::super::definition;
    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_sections() {
        let pages = pages(&definition());
        let files: Vec<&str> = pages.iter().map(|page| page.file.as_str()).collect();
        for file in [
            "beacontail.1",
            "beacontail-run.1",
            "beacontail-check-config.1",
            "beacontail-parsers.1",
            "beacontail-parsers-new.1",
            "beacontail-init.1",
        ] {
            assert!(files.contains(&file), "{file} is not in {files:?}");
        }
        for page in &pages {
            let text = String::from_utf8(page.text.clone()).unwrap();
            for section in [
                "NAME",
                "SYNOPSIS",
                "\"EXIT STATUS\"",
                "EXAMPLES",
                "\"SEE ALSO\"",
            ] {
                let heading = format!(".SH {section}\n");
                assert!(text.contains(&heading), "{}: no {section}", page.file);
            }
        }
    }

    #[test]
    fn pages_name_only_pages_that_exist() {
        let pages = pages(&definition());
        let files: BTreeSet<&str> = pages.iter().map(|page| page.file.as_str()).collect();
        for page in &pages {
            let text = String::from_utf8(page.text.clone())
                .unwrap()
                .replace("\\-", "-");
            for word in text.split([' ', ',', '\n']) {
                let Some(named) = word.strip_suffix("(1)") else {
                    continue;
                };
                let named = named.trim_start_matches("\\fB").replace("\\fR", "");
                if named.starts_with("beacontail") {
                    let file = format!("{named}.1");
                    assert!(files.contains(file.as_str()), "{}: {named}", page.file);
                }
            }
        }
    }
}
