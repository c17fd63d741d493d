//! The papers' commands, run: what README.md and `docs/` show is what the program does.
//!
//! In a ```` ```console ```` block a line that begins with `$ ` is a command (a backslash at its end
//! continues it), the lines after it are parts of its output, in order: a paper shows what matters
//! and leaves the rest out. Blanks are compared as one, and `…` stands for anything. A block whose
//! first line names a file, as in ```` ```toml mine/acme.toml ````, is written to that file for the
//! commands after it. Commands run in a folder of their own that has the repository's files in it.
//!
//! A command that fails fails the test; one that should fail ends in `; echo $?`. Programs that a
//! block needs beside ours are named by `needs=NAME`; without them the block is passed over, aloud.
//!
//! The commands of a block marked `session` share one shell, for a daemon that some of them start; so
//! that it meets no other one, they have a network and a `/var/lib` of their own. Where the machine
//! does not give these to us, the block is passed over. Marked `store`, they find a store that was made
//! by counting a few lines.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "the commands of the papers are processes, and what is passed over is said"
)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Shell commands for people that no test can run inside itself.
const FOR_PEOPLE: [&str; 2] = ["bash tests/run", "cargo install --path ."];

/// A fenced block.
struct Block {
    /// Number of its first line.
    line: usize,
    /// The words behind the fence.
    info: Vec<String>,
    text: String,
}

impl Block {
    fn language(&self) -> &str {
        self.info.first().map_or("", String::as_str)
    }

    /// The file that the block is, when it is one.
    fn file(&self) -> Option<&str> {
        let name = self.info.get(1).map(String::as_str);
        name.filter(|name| !name.contains('='))
    }

    /// Whether its commands share a shell.
    fn is_session(&self) -> bool {
        self.has("session")
    }

    /// What stands before the commands of a session.
    fn made(&self) -> &'static str {
        if self.has("store") { STORE } else { "" }
    }

    fn has(&self, mark: &str) -> bool {
        self.info.iter().any(|word| word == mark)
    }

    /// A program, or else, that the block needs and this machine lacks.
    fn lacks(&self) -> Option<&str> {
        if self.is_session() && !alone("true", Path::new("/")).1 {
            return Some("network namespace for us");
        }
        let needs = self
            .info
            .iter()
            .find_map(|word| word.strip_prefix("needs="));
        needs.filter(|program| !is_installed(program))
    }
}

/// A command and parts of its output.
struct Shown {
    command: String,
    output: Vec<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = false;
    for (number, line) in text.lines().enumerate() {
        if let Some(info) = line.strip_prefix("```") {
            if !inside {
                blocks.push(Block {
                    line: number + 1,
                    info: info.split_whitespace().map(str::to_owned).collect(),
                    text: String::new(),
                });
            }
            inside = !inside;
        } else if let Some(block) = blocks.last_mut().filter(|_| inside) {
            block.text.push_str(line);
            block.text.push('\n');
        }
    }
    assert!(!inside, "a block is not closed");
    blocks
}

fn shown(block: &Block) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    let mut continued = false;
    for line in block.text.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            all.push(Shown {
                command: command.to_owned(),
                output: Vec::new(),
            });
            continued = command.ends_with('\\');
        } else if let Some(last) = all.last_mut() {
            if continued {
                last.command.push('\n');
                last.command.push_str(line);
                continued = line.ends_with('\\');
            } else if !line.trim().is_empty() {
                last.output.push(line.to_owned());
            }
        } else {
            panic!("line {}: a console block begins with `$ `", block.line);
        }
    }
    all
}

/// Blanks as one, none at the ends.
fn plain(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether the line holds the parts between `…`, in order.
fn holds(line: &str, expected: &str) -> bool {
    let mut rest = line;
    expected.split('…').map(str::trim).all(|part| {
        let found = rest.split_once(part);
        rest = found.map_or("", |(_, after)| after);
        found.is_some()
    })
}

/// The first expected line that the output lacks, behind those before it.
fn lacking<'e>(output: &str, expected: &'e [String]) -> Option<&'e String> {
    let mut lines = output.lines().map(plain);
    expected.iter().find(|wanted| {
        let wanted = plain(wanted);
        !lines.any(|line| holds(&line, &wanted))
    })
}

/// A folder that looks like the repository and may be written to.
fn workplace() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for entry in fs::read_dir(root()).expect("the repository can be read") {
        let entry = entry.expect("the repository can be read");
        let name = entry.file_name();
        if name != "target" && name != ".git" {
            symlink(entry.path(), folder.path().join(name)).expect("links can be made");
        }
    }
    folder
}

/// Runs a script in a network and with a `/var/lib` of its own.
fn alone(script: &str, folder: &Path) -> (String, bool) {
    let outer = "unshare --map-root-user --net --mount bash -c \
        'ip link set lo up && mount -t tmpfs state /var/lib && exec bash -c \"$0\"' \"$SCRIPT\"";
    let quoted = script.replace('\'', "'\\''");
    run(&format!("SCRIPT='{quoted}'\n{outer}"), folder)
}

/// Stands before the output of each command of a session.
const NEXT: &str = "== the next command";

/// Counts six lines of this minute, with an output that is away: two beacons by fastly, one by akamai,
/// and three requests that fastly forwarded, one of which failed.
const STORE: &str = r#"
cat >beacontail.toml <<END
[[log]]
name = "access"
path = "access.log"
parser = "nginx-cdn"
from = "start"
[[output]]
type = "graphite"
address = "127.0.0.1:1"
prefix = "web"
END
now=$(LC_ALL=C date '+%d/%b/%Y:%H:%M:%S %z')
line() { printf '192.0.2.7 - - [%s] "GET %s HTTP/1.1" %s 43 "-" "-" "%s" 0.1\n' "$now" "$@" >>access.log; }
for source in fastly fastly akamai; do line "/status/images/beacon.gif?source=$source" 200 -; done
for code in 200 404 503; do line / $code fastly; done
beacontail once --backfill --close -c beacontail.toml || [ $? = 1 ]
"#;

/// Runs the commands of a session; what is wrong with it.
fn session(shown: &[Shown], made: &str, folder: &Path) -> Vec<String> {
    let mut script = "trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\nset -e\n".to_owned();
    script.push_str(made);
    for shown in shown {
        // One that should fail ends in `; echo $?`, and does not end the session.
        let may_fail = shown.command.ends_with("; echo $?");
        let errors = if may_fail { "set +e" } else { "set -e" };
        script.push_str(&format!("echo '{NEXT}'\n{errors}\n{}\n", shown.command));
    }
    let (output, succeeded) = alone(&script, folder);
    let mut mistakes = Vec::new();
    for (shown, output) in shown.iter().zip(output.split(NEXT).skip(1)) {
        if let Some(wanted) = lacking(output, &shown.output) {
            let command = &shown.command;
            mistakes.push(format!(
                "`{command}` does not print `{wanted}` there:\n{output}"
            ));
        }
    }
    if !succeeded {
        mistakes.push(format!("the session failed:\n{output}"));
    }
    mistakes
}

/// Runs a command; its output, and whether it succeeded.
fn run(command: &str, folder: &Path) -> (String, bool) {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_beacontail"));
    let own = program.parent().expect("a program is in a folder");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(own.to_owned()).chain(std::env::split_paths(&path));
    let script = command.replace("cargo run --release -- ", "beacontail ");
    let done = Command::new("bash")
        .args(["-c", &format!("exec 2>&1\n{script}")])
        .current_dir(folder)
        .env(
            "PATH",
            std::env::join_paths(folders).expect("no colon in paths"),
        )
        .env("LC_ALL", "C.UTF-8")
        .env("COLUMNS", "100")
        .stdin(Stdio::null())
        .output()
        .expect("bash runs");
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    (text, done.status.success())
}

/// Everything in a paper that does not hold.
fn mistakes(paper: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(paper)).expect("the paper can be read");
    let folder = workplace();
    let mut mistakes = Vec::new();
    for block in blocks(&text) {
        let place = format!("{paper}:{}", block.line);
        match (block.language(), block.file()) {
            ("console", _) => match block.lacks() {
                Some(program) => eprintln!("{place}: passed over, there is no {program}"),
                None if block.is_session() => mistakes.extend(
                    session(&shown(&block), block.made(), folder.path())
                        .iter()
                        .map(|mistake| format!("{place}: {mistake}")),
                ),
                None => mistakes.extend(
                    shown(&block)
                        .iter()
                        .filter_map(|shown| mistake(shown, folder.path()))
                        .map(|mistake| format!("{place}: {mistake}")),
                ),
            },
            ("sh" | "bash", _) => mistakes.extend(
                block
                    .text
                    .lines()
                    .filter(|line| !FOR_PEOPLE.contains(line))
                    .map(|line| format!("{place}: no test runs `{line}`")),
            ),
            (_, Some(name)) => {
                let path = folder.path().join(name);
                fs::create_dir_all(path.parent().expect("a file is in a folder"))
                    .expect("the folder can be made");
                fs::write(path, &block.text).expect("the file can be written");
            }
            _ => {}
        }
    }
    mistakes
}

fn mistake(shown: &Shown, folder: &Path) -> Option<String> {
    let (output, succeeded) = run(&shown.command, folder);
    let command = &shown.command;
    if !succeeded {
        return Some(format!("`{command}` failed:\n{output}"));
    }
    let wanted = lacking(&output, &shown.output)?;
    Some(format!(
        "`{command}` does not print `{wanted}` there:\n{output}"
    ))
}

#[track_caller]
fn check(paper: &str) {
    let mistakes = mistakes(paper);
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n\n"));
}

#[test]
fn readme_shows_what_the_program_does() {
    check("README.md");
}

#[test]
fn parser_paper_shows_what_the_program_does() {
    check("docs/parsers.md");
}

#[test]
fn kit_paper_shows_what_the_program_does() {
    check("docs/kit.md");
}

#[test]
fn providers_paper_shows_what_the_program_does() {
    check("docs/providers.md");
}

#[test]
fn author_paper_shows_what_the_program_does() {
    check("docs/authors.md");
}

#[test]
fn rule_paper_shows_what_the_program_does() {
    check("docs/rules.md");
}

#[test]
fn explain_paper_shows_what_the_program_does() {
    check("docs/explain.md");
}

#[test]
fn replay_paper_shows_what_the_program_does() {
    check("docs/replay.md");
}

#[test]
fn configuration_paper_shows_what_the_program_does() {
    check("docs/configuration.md");
}

#[test]
fn check_paper_shows_what_the_program_does() {
    check("docs/check.md");
}

#[test]
fn init_paper_shows_what_the_program_does() {
    check("docs/init.md");
}

#[test]
fn status_paper_shows_what_the_program_does() {
    check("docs/status.md");
}

#[test]
fn operating_paper_shows_what_the_program_does() {
    check("docs/operating.md");
}

#[test]
fn alerts_paper_shows_what_the_program_does() {
    check("docs/alerts.md");
}

#[test]
fn api_paper_shows_what_the_program_does() {
    check("docs/api.md");
}

#[test]
fn reports_paper_shows_what_the_program_does() {
    check("docs/reports.md");
}

#[test]
fn papers_of_formats_show_what_the_program_does() {
    let entries = fs::read_dir(root().join("docs/formats")).expect("docs/formats/ can be read");
    let names = entries.map(|entry| entry.expect("docs/formats/ can be read").file_name());
    for name in names {
        check(&format!("docs/formats/{}", name.to_string_lossy()));
    }
}

#[test]
fn every_paper_of_the_folder_is_checked() {
    let entries = fs::read_dir(root().join("docs")).expect("docs/ can be read");
    let names = entries.map(|entry| entry.expect("docs/ can be read").file_name());
    let mut papers: Vec<String> = names
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".md"))
        .collect();
    papers.sort();
    assert_eq!(
        papers,
        [
            "alerts.md",
            "api.md",
            "authors.md",
            "check.md",
            "configuration.md",
            "explain.md",
            "init.md",
            "kit.md",
            "operating.md",
            "parsers.md",
            "providers.md",
            "replay.md",
            "reports.md",
            "rules.md",
            "status.md"
        ]
    );
}

/// The names of the files of a folder that end so, without the ending.
fn stems(folder: &str, ending: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).expect("the folder can be read");
    let names = entries.map(|entry| entry.expect("the folder can be read").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names
        .filter_map(|name| Some(name.strip_suffix(ending)?.to_owned()))
        .collect()
}

#[test]
fn every_shipped_parser_and_every_page_of_formats_is_named() {
    let read = |path: &str| fs::read_to_string(root().join(path)).expect("papers can be read");
    let pages = stems("docs/formats", ".md");
    let formats: String = pages
        .iter()
        .map(|page| read(&format!("docs/formats/{page}.md")))
        .collect();
    let (readme, changes) = (read("README.md"), read("CHANGELOG.md"));
    for parser in stems("parsers", ".toml") {
        for (paper, text) in [
            ("README.md", &readme),
            ("docs/formats", &formats),
            ("CHANGELOG.md", &changes),
        ] {
            let named = text.contains(&format!("`{parser}`"));
            assert!(named, "`{parser}` is not in {paper}");
        }
    }
    let index = read("docs/parsers.md");
    for page in pages {
        assert!(index.contains(&format!("(formats/{page}.md)")), "{page}");
    }
}

#[test]
fn output_is_compared_in_order_with_blanks_as_one() {
    let expected = |lines: &[&str]| lines.iter().map(ToString::to_string).collect::<Vec<_>>();
    let output = "a   1\nb 2 and more\nc 3\n";
    assert_eq!(lacking(output, &expected(&["a 1", "b … more", "c"])), None);
    assert_eq!(
        lacking(output, &expected(&["c 3", "a 1"])),
        Some(&"a 1".to_owned())
    );
    assert_eq!(
        lacking(output, &expected(&["b … less"])),
        Some(&"b … less".to_owned())
    );
}

#[test]
fn commands_and_files_are_told_apart() {
    let text = "```console needs=x\n$ a \\\n  b\nout\n$ c\n```\n```toml f/g.toml\nk = 1\n```\n";
    let blocks = blocks(text);
    let [console, file] = blocks.as_slice() else {
        panic!("two blocks");
    };
    assert_eq!((console.language(), console.file()), ("console", None));
    assert_eq!(
        (file.file(), file.text.as_str()),
        (Some("f/g.toml"), "k = 1\n")
    );
    let commands: Vec<String> = shown(console)
        .into_iter()
        .map(|shown| shown.command)
        .collect();
    assert_eq!(commands, ["a \\\n  b", "c"]);
}
