//! `generate`: man pages and shell completions, made of the definition of the command line, for who
//! packages the program.
//!
//! Invariant: the same program writes the same bytes, whenever and wherever: there is no date, no
//! path and no name of a host in them.

mod man;
mod texts;

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::{Cli, GenerateArgs};

use super::{Done, Failure, print};

/// The shells, and what each one's file is called where it looks for it.
const SHELLS: [(Shell, &str); 4] = [
    (Shell::Bash, "beacontail"),
    (Shell::Zsh, "_beacontail"),
    (Shell::Fish, "beacontail.fish"),
    (Shell::Elvish, "beacontail.elv"),
];

/// Runs the command.
pub(super) fn run(args: &GenerateArgs) -> Result<Done, Failure> {
    let mut written = 0;
    let manual = args.out.join("man");
    fs::create_dir_all(&manual).with_context(|| cannot("make", &manual))?;
    for page in man::pages(&definition()) {
        write(&manual.join(&page.file), &page.text)?;
        written += 1;
    }
    for (shell, file) in SHELLS {
        let folder = args.out.join("completions").join(shell.to_string());
        fs::create_dir_all(&folder).with_context(|| cannot("make", &folder))?;
        write(&folder.join(file), &completion(shell))?;
        written += 1;
    }
    print(format!("{written} files\n").as_bytes())?;
    Ok(Done::Complete)
}

/// The command line without what is there for packaging only: it is in no page and no completion.
fn definition() -> clap::Command {
    let whole = Cli::command();
    let public = whole.get_subcommands().filter(|one| !one.is_hide_set());
    let public: Vec<clap::Command> = public.cloned().collect();
    let about = whole.get_about().cloned().unwrap_or_default();
    clap::Command::new("beacontail")
        .version(env!("CARGO_PKG_VERSION"))
        .about(about)
        .subcommand_required(true)
        .subcommands(public)
}

fn completion(shell: Shell) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut definition(), "beacontail", &mut text);
    text
}

fn write(path: &Path, text: &[u8]) -> Result<(), Failure> {
    fs::write(path, text).with_context(|| cannot("write", path))?;
    Ok(())
}

fn cannot(what: &str, path: &Path) -> String {
    let path = crate::diagnostic::Untrusted(path.as_os_str().as_encoded_bytes());
    format!("cannot {what} {path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completions_offer_the_commands_and_not_what_is_for_packaging() {
        for (shell, _) in SHELLS {
            let text = String::from_utf8(completion(shell)).unwrap();
            for command in ["parsers", "check-config", "replay", "init"] {
                assert!(text.contains(command), "{shell}: {command}");
            }
            assert!(!text.contains("generate"), "{shell}");
        }
    }

    #[test]
    fn the_same_program_writes_the_same_bytes() {
        assert_eq!(completion(Shell::Bash), completion(Shell::Bash));
        let texts = |pages: Vec<man::Page>| -> Vec<_> {
            pages
                .into_iter()
                .map(|page| (page.file, page.text))
                .collect()
        };
        assert_eq!(
            texts(man::pages(&definition())),
            texts(man::pages(&definition()))
        );
    }
}
