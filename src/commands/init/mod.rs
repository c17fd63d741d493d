//! `init`: a configuration from what the web servers of this host say.
//!
//! The text of their configuration is read, no program is run, no file of theirs is changed. Invariant: nothing outside
//! the root is read; nothing is written when nothing was found, nor over what is there unless that is asked for; what is
//! written is a configuration that loads.

mod apache;
mod choose;
mod found;
mod haproxy;
mod nginx;
mod nginx_words;
mod pipes;
mod plan;
mod repair;
mod report;
mod rsyslog;
mod sample;
mod tree;
mod varnish;
mod written;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::cli::{InitArgs, ParserArgs};
use crate::config::{Config, LogInput};
use crate::diagnostic::{SourceText, Untrusted};

use super::engine::Engine;
use super::host::environment;
use super::{Done, Failure, print, say};
use choose::Chooser;
use found::{Destination, Survey};
use plan::{LogPlan, Plan};
use tree::{Limits, Tree};
use written::Wishes;

/// Where a service's configuration is.
const SERVICE_FILE: &str = "/etc/beacontail/beacontail.toml";

/// Runs the command.
pub(super) fn run(args: &InitArgs) -> Result<Done, Failure> {
    let tree = tree(&args.root)?;
    let survey = survey(&tree);
    if survey.servers.is_empty() {
        return Err(nobody(&survey, &args.root));
    }
    let mut chooser = Chooser::new(engine()?);
    let plan = Plan::new(survey, &mut chooser);
    let told = report::report(&plan, &tree, &chooser, &again(args));
    if plan.logs.is_empty() {
        tell(args, &told)?;
        return Err(Failure::Refused {
            code: 1,
            message: "no log was found that an agent could follow; nothing was written".to_owned(),
            help: None,
        });
    }
    let out = out(args, &tree);
    let is_service = environment().is_root;
    let graphite = args.graphite.as_deref().zip(args.prefix.as_deref());
    let text = written::text(
        &plan,
        &Wishes {
            graphite,
            is_service,
        },
    );
    check(&out, &text)?;
    tell(args, &told)?;
    if args.print {
        return printed(&plan, &text);
    }
    if !args.force {
        refuse_existing(&out, &plan)?;
    }
    write(&out, &plan, &text)?;
    next_steps(&out, &plan)?;
    Ok(Done::Complete)
}

/// What all known servers say.
fn survey(tree: &Tree) -> Survey {
    let mut survey = Survey::default();
    nginx::survey(tree, &mut survey);
    apache::survey(tree, &mut survey);
    haproxy::survey(tree, &mut survey);
    varnish::survey(tree, &mut survey);
    survey
}

fn tree(root: &Path) -> Result<Tree, Failure> {
    let shown = Untrusted(root.as_os_str().as_encoded_bytes()).to_string();
    let real = fs::canonicalize(root)
        .map_err(|error| Failure::Inputs(vec![format!("cannot read {shown}: {error}")]))?;
    if !real.is_dir() {
        return Err(Failure::Inputs(vec![format!("{shown} is no folder")]));
    }
    Ok(Tree::new(&real, Limits::default()))
}

fn engine() -> Result<Engine, Failure> {
    let args = ParserArgs {
        timezone: "UTC".to_owned(),
        ..ParserArgs::default()
    };
    Ok(Engine::open(&args)?)
}

fn nobody(survey: &Survey, root: &Path) -> Failure {
    let below = if root == Path::new("/") {
        String::new()
    } else {
        format!(" below {}", Untrusted(root.as_os_str().as_encoded_bytes()))
    };
    Failure::Refused {
        code: 1,
        message: format!(
            "no nginx, Apache, HAProxy or Varnish was found{below}; nothing was written"
        ),
        help: Some(format!(
            "looked for {}; for another place of these files give the folder above `etc` as --root, for another server \
             see `beacontail parsers list` and write a [[log]] with its path",
            survey.looked.join(", ")
        )),
    }
}

/// The file to write. The configuration of another host does not become this one's by itself.
fn out(args: &InitArgs, tree: &Tree) -> PathBuf {
    let usual = if environment().is_root && tree.is_this_host() {
        SERVICE_FILE
    } else {
        "beacontail.toml"
    };
    args.out.clone().unwrap_or_else(|| PathBuf::from(usual))
}

/// The command that looks once more when a server logs what it lacked.
fn again(args: &InitArgs) -> String {
    let mut words = vec!["beacontail init --force".to_owned()];
    let paths = [
        (
            "--root",
            Some(&args.root).filter(|root| *root != Path::new("/")),
        ),
        ("--out", args.out.as_ref()),
    ];
    for (option, path) in paths {
        if let Some(path) = path {
            let path = Untrusted(path.as_os_str().as_encoded_bytes());
            words.push(format!("{option} {path}"));
        }
    }
    if let (Some(graphite), Some(prefix)) = (&args.graphite, &args.prefix) {
        words.push(format!("--graphite {graphite} --prefix {prefix}"));
    }
    words.join(" ")
}

/// What `--graphite` gave may be wrong; anything else that does not load is a mistake of ours.
fn check(out: &Path, text: &str) -> Result<(), Failure> {
    let environment = environment();
    let absolute = environment.folder.join(out);
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    // The place shown is in a text that nobody has yet.
    let name = format!("{}, not written", out.display());
    Config::parse(&SourceText::new(name, text), folder, &environment)?;
    Ok(())
}

/// The report: on standard error where the configuration itself is printed.
fn tell(args: &InitArgs, text: &str) -> Result<(), Failure> {
    if args.print {
        say(text);
        Ok(())
    } else {
        print(text.as_bytes())
    }
}

/// The configuration, and behind it the parser files as comments, so that all of it is TOML.
fn printed(plan: &Plan, text: &str) -> Result<Done, Failure> {
    let mut all = text.to_owned();
    for file in &plan.files {
        all.push_str(&format!("\n# parsers/{}.toml:\n", file.name));
        file.text
            .lines()
            .for_each(|line| all.push_str(&format!("# {line}\n")));
    }
    print(all.as_bytes())?;
    Ok(Done::Complete)
}

/// Leaves a configuration that is there alone, and shows what it lacks.
fn refuse_existing(out: &Path, plan: &Plan) -> Result<(), Failure> {
    let shown = Untrusted(out.as_os_str().as_encoded_bytes()).to_string();
    let file = |name: &str| parser_file(out, name);
    let other = plan
        .files
        .iter()
        .find(|one| fs::read_to_string(file(&one.name)).is_ok_and(|text| text != one.text));
    if fs::symlink_metadata(out).is_err() {
        let Some(other) = other else {
            return Ok(());
        };
        let path = file(&other.name);
        return Err(refused(format!(
            "{} is there already, with another text",
            Untrusted(path.as_os_str().as_encoded_bytes())
        )));
    }
    let environment = environment();
    let lacking = match Config::load(out, &environment) {
        Ok(config) => lacking(plan, &config, &environment.folder.join(out)),
        Err(_) => {
            return Err(refused(format!(
                "{shown} is there already, and is not a configuration that loads"
            )));
        }
    };
    if lacking.is_empty() {
        return Err(refused(format!(
            "{shown} is there already, and has every log that was found"
        )));
    }
    let mut text = format!("\n{shown} is there already. What it lacks, to be pasted:\n");
    for log in &lacking {
        text.push('\n');
        text.push_str(&written::log_table(plan, log));
    }
    let wanted = |name: &str| {
        lacking.iter().any(|log| {
            log.parsers
                .iter()
                .any(|parser| !parser.is_shipped && parser.name == name)
        })
    };
    for file in plan.files.iter().filter(|file| wanted(&file.name)) {
        text.push_str(&format!(
            "\nand, as parsers/{}.toml beside it:\n\n{}",
            file.name, file.text
        ));
    }
    print(text.as_bytes())?;
    Err(refused(format!(
        "{shown} is there already; nothing was written"
    )))
}

fn refused(message: String) -> Failure {
    Failure::Refused {
        code: 1,
        message,
        help: Some(
            "--force writes over it and keeps the old text beside it; --out FILE writes elsewhere"
                .to_owned(),
        ),
    }
}

/// The logs that a configuration does not have.
fn lacking<'p>(plan: &'p Plan, config: &Config, file: &Path) -> Vec<&'p LogPlan> {
    let folder = glob::Pattern::escape(&file.parent().unwrap_or(Path::new("/")).to_string_lossy());
    let has = |destination: &Destination| {
        config
            .logs
            .iter()
            .any(|log| match (&log.input, destination) {
                (LogInput::Files { paths, .. }, Destination::Files(pattern)) => {
                    let pattern = PathBuf::from(&folder).join(pattern);
                    paths.iter().any(|path| path.value == pattern)
                }
                (LogInput::Syslog(address), Destination::Syslog(wanted)) => {
                    let place = &address.place;
                    let written = place.source().text.get(place.span()).unwrap_or_default();
                    written.trim_matches(['"', '\'']) == wanted
                }
                _ => false,
            })
    };
    plan.logs
        .iter()
        .filter(|log| !has(&log.destination))
        .collect()
}

fn parser_file(out: &Path, name: &str) -> PathBuf {
    out.with_file_name("parsers").join(format!("{name}.toml"))
}

/// The parser files first: a configuration never names one that is not there.
fn write(out: &Path, plan: &Plan, text: &str) -> Result<(), Failure> {
    for file in &plan.files {
        replace(&parser_file(out, &file.name), &file.text)?;
    }
    replace(out, text)
}

/// Writes a file whole or not at all; what was there is kept as FILE.old.
fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let shown = Untrusted(path.as_os_str().as_encoded_bytes()).to_string();
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder of {shown}"))?;
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    if path.exists() {
        keep(path, folder).with_context(|| format!("cannot keep the old {shown}"))?;
    }
    // The agent is another user, and nothing in it is secret.
    let rights = fs::Permissions::from_mode(0o644);
    put(path, folder, text.as_bytes(), rights).with_context(|| format!("cannot write {shown}"))?;
    Ok(())
}

/// What is there, as FILE.old, with its rights: an operator may have put secrets into it.
fn keep(path: &Path, folder: &Path) -> std::io::Result<()> {
    let mut old = path.as_os_str().to_owned();
    old.push(".old");
    let rights = fs::metadata(path)?.permissions();
    put(Path::new(&old), folder, &fs::read(path)?, rights)
}

/// Puts a whole file in the place of whatever has its name: a link there is replaced, not followed.
fn put(path: &Path, folder: &Path, text: &[u8], rights: fs::Permissions) -> std::io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text)?;
    file.as_file().set_permissions(rights)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

fn next_steps(out: &Path, plan: &Plan) -> Result<(), Failure> {
    let shown = Untrusted(out.as_os_str().as_encoded_bytes()).to_string();
    let mut text = format!("\nwritten: {shown}\n");
    for file in &plan.files {
        let path = parser_file(out, &file.name);
        text.push_str(&format!(
            "written: {}\n",
            Untrusted(path.as_os_str().as_encoded_bytes())
        ));
    }
    if out == Path::new(SERVICE_FILE) {
        text.push_str(&format!(
            "next:    beacontail check-config -c {shown} --as beacontail\n         systemctl enable --now beacontail\n"
        ));
    } else {
        text.push_str(&format!(
            "next:    beacontail check-config -c {shown}\n         beacontail run -c {shown}\n"
        ));
    }
    print(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_was_there_is_kept_with_its_rights_and_no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("elsewhere"), "precious").unwrap();
        symlink(at("elsewhere"), at("a.toml.old")).unwrap();
        fs::write(at("a.toml"), "secret").unwrap();
        fs::set_permissions(at("a.toml"), fs::Permissions::from_mode(0o600)).unwrap();
        replace(&at("a.toml"), "new").unwrap();
        assert_eq!(fs::read_to_string(at("elsewhere")).unwrap(), "precious");
        assert_eq!(fs::read_to_string(at("a.toml.old")).unwrap(), "secret");
        assert_eq!(fs::read_to_string(at("a.toml")).unwrap(), "new");
        let rights = fs::symlink_metadata(at("a.toml.old")).unwrap();
        assert_eq!(rights.permissions().mode() & 0o777, 0o600);
    }
}
