//! All formats and rule sets that can be named: the shipped ones and the user's.
//!
//! Invariant: every entry is complete, `extends` resolved and its rule sets known. Of two files
//! with one name the later wins: shipped, then each folder in the order given, then single files.
//! A file with a mistake gives no entry, and its children give no mistake of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::extend::extended;
use super::flat::flat;
use super::load::{self, FormatFile};
use super::load_rules::{self, Folder};
use super::{FormatDefinition, RuleSetDefinition};
use crate::diagnostic::{Diagnostic, SourceText};

// `FORMATS` and `RULE_SETS`: name and text of every file in `parsers/`, by the build script.
include!(concat!(env!("OUT_DIR"), "/shipped.rs"));

/// Where a parser file comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The user's file.
    File(PathBuf),
    /// Compiled into the program.
    Shipped,
}

/// A format, ready to be compiled.
#[derive(Clone, Debug)]
pub struct FormatEntry {
    /// What the file says, its parents worked in.
    pub definition: FormatDefinition,
    /// Where the file is.
    pub origin: Origin,
    /// The format it extends.
    pub parent: Option<String>,
    source: Arc<SourceText>,
}

impl FormatEntry {
    /// The file as its author wrote it.
    pub fn text(&self) -> &str {
        &self.source.text
    }

    /// The format as one file without `extends`; loads back to the same definition.
    pub fn flat(&self) -> String {
        flat(&self.definition)
    }
}

/// A rule set, ready to be compiled.
#[derive(Clone, Debug)]
pub struct RuleSetEntry {
    /// What the file says.
    pub definition: RuleSetDefinition,
    /// Where the file is.
    pub origin: Origin,
    source: Arc<SourceText>,
}

impl RuleSetEntry {
    /// The file as its author wrote it.
    pub fn text(&self) -> &str {
        &self.source.text
    }
}

/// A format file before its parent is worked in.
#[derive(Debug)]
struct Read {
    file: FormatFile,
    origin: Origin,
    source: Arc<SourceText>,
}

/// Formats and rule sets by name.
#[derive(Debug, Default)]
pub struct Catalog {
    files: BTreeMap<String, Read>,
    formats: BTreeMap<String, FormatEntry>,
    rule_sets: BTreeMap<String, RuleSetEntry>,
    /// Names of files with mistakes: known, but without an entry.
    broken_formats: BTreeSet<String>,
    broken_rule_sets: BTreeSet<String>,
}

impl Catalog {
    /// The shipped files and those of the user's folders, `*.toml` and `rules/*.toml` in each;
    /// later folders win. The mistakes of all files come with it.
    pub fn open(folders: &[PathBuf]) -> (Catalog, Vec<Diagnostic>) {
        let mut catalog = Catalog::default();
        let mut mistakes = catalog.add_shipped();
        for folder in folders {
            mistakes.extend(catalog.add_folder(folder));
        }
        mistakes.extend(catalog.resolve());
        (catalog, mistakes)
    }

    /// Adds one format file and returns its name, the file's without `.toml`.
    ///
    /// # Errors
    /// All mistakes of the file, or that it cannot be read.
    pub fn add_file(&mut self, path: &Path) -> Result<String, Vec<Diagnostic>> {
        let (name, source) = read(path).map_err(|mistake| vec![mistake])?;
        let mut mistakes = self.add_format(&name, source, Origin::File(path.to_owned()));
        mistakes.extend(self.resolve());
        if mistakes.is_empty() {
            Ok(name)
        } else {
            Err(mistakes)
        }
    }

    /// Adds a format from its text, shown under `shown` in mistakes.
    ///
    /// # Errors
    /// All mistakes of the text.
    pub fn add_text(&mut self, name: &str, shown: &str, text: &str) -> Result<(), Vec<Diagnostic>> {
        let origin = Origin::File(PathBuf::from(shown));
        let mut mistakes = self.add_format(name, SourceText::new(shown, text), origin);
        mistakes.extend(self.resolve());
        if mistakes.is_empty() {
            Ok(())
        } else {
            Err(mistakes)
        }
    }

    /// True when what was given as a parser's name is a path to its file.
    pub fn is_path(parser: &str) -> bool {
        parser.contains('/') || parser.ends_with(".toml")
    }

    /// The format of that name.
    ///
    /// # Errors
    /// A mistake without a place and with the similar name as help.
    pub fn format(&self, name: &str) -> Result<&FormatEntry, Diagnostic> {
        let unknown = || Diagnostic::new(format!("unknown format `{name}`"));
        let names = self.formats.keys().map(String::as_str);
        self.formats
            .get(name)
            .ok_or_else(|| unknown().help_from(name, "format", names))
    }

    /// The rule set of that name.
    ///
    /// # Errors
    /// A mistake without a place and with the similar name as help.
    pub fn rule_set(&self, name: &str) -> Result<&RuleSetEntry, Diagnostic> {
        let unknown = || Diagnostic::new(format!("unknown rule set `{name}`"));
        let names = self.rule_sets.keys().map(String::as_str);
        self.rule_sets
            .get(name)
            .ok_or_else(|| unknown().help_from(name, "rule set", names))
    }

    /// All formats by name.
    pub fn formats(&self) -> impl Iterator<Item = &FormatEntry> {
        self.formats.values()
    }

    /// All rule sets by name.
    pub fn rule_sets(&self) -> impl Iterator<Item = &RuleSetEntry> {
        self.rule_sets.values()
    }

    /// Formats that take part in detection: by their `detect`, the user's before shipped ones,
    /// then by name.
    pub fn detection_order(&self) -> Vec<&FormatEntry> {
        let mut order: Vec<&FormatEntry> = self
            .formats()
            .filter(|entry| entry.definition.detect.is_some())
            .collect();
        order.sort_by_key(|entry| (entry.definition.detect, entry.origin == Origin::Shipped));
        order
    }

    fn add_shipped(&mut self) -> Vec<Diagnostic> {
        let mut mistakes = Vec::new();
        for (name, text) in FORMATS {
            let source = SourceText::new(format!("parsers/{name}.toml (shipped)"), *text);
            mistakes.extend(self.add_format(name, source, Origin::Shipped));
        }
        for (name, text) in RULE_SETS {
            let source = SourceText::new(format!("parsers/rules/{name}.toml (shipped)"), *text);
            mistakes.extend(self.add_rule_set(name, source, Origin::Shipped));
        }
        mistakes
    }

    fn add_folder(&mut self, folder: &Path) -> Vec<Diagnostic> {
        let mut mistakes = Vec::new();
        for path in toml_files(folder, &mut mistakes) {
            match read(&path) {
                Ok((name, source)) => {
                    mistakes.extend(self.add_format(&name, source, Origin::File(path)));
                }
                Err(mistake) => mistakes.push(mistake),
            }
        }
        let rules = folder.join("rules");
        let paths = if rules.is_dir() {
            toml_files(&rules, &mut mistakes)
        } else {
            Vec::new()
        };
        for path in paths {
            match read(&path) {
                Ok((name, source)) => {
                    mistakes.extend(self.add_rule_set(&name, source, Origin::File(path)));
                }
                Err(mistake) => mistakes.push(mistake),
            }
        }
        mistakes
    }

    fn add_format(
        &mut self,
        name: &str,
        source: Arc<SourceText>,
        origin: Origin,
    ) -> Vec<Diagnostic> {
        self.files.remove(name);
        self.broken_formats.remove(name);
        match load::format(&source, name) {
            Ok(file) => {
                self.files.insert(
                    name.to_owned(),
                    Read {
                        file,
                        origin,
                        source,
                    },
                );
                Vec::new()
            }
            Err(mistakes) => {
                self.broken_formats.insert(name.to_owned());
                mistakes
            }
        }
    }

    fn add_rule_set(
        &mut self,
        name: &str,
        source: Arc<SourceText>,
        origin: Origin,
    ) -> Vec<Diagnostic> {
        self.rule_sets.remove(name);
        self.broken_rule_sets.remove(name);
        let folder = match &origin {
            Origin::Shipped => None,
            Origin::File(path) => {
                let path = path.parent().unwrap_or(Path::new("")).to_owned();
                Some(Folder {
                    path,
                    read: &|path| fs::read_to_string(path),
                })
            }
        };
        match load_rules::rule_set(&source, name, folder.as_ref()) {
            Ok(definition) => {
                let entry = RuleSetEntry {
                    definition,
                    origin,
                    source,
                };
                self.rule_sets.insert(name.to_owned(), entry);
                Vec::new()
            }
            Err(mistakes) => {
                self.broken_rule_sets.insert(name.to_owned());
                mistakes
            }
        }
    }

    /// Works the parents in, for all formats anew: an added file may be a parent.
    fn resolve(&mut self) -> Vec<Diagnostic> {
        let mut mistakes = Vec::new();
        let mut failed = self.broken_formats.clone();
        self.formats.clear();
        let names: Vec<String> = self.files.keys().cloned().collect();
        for name in &names {
            self.resolve_chain(name, &mut failed, &mut mistakes);
        }
        mistakes.extend(
            self.files
                .values()
                .flat_map(|read| self.unknown_rule_sets(&read.file)),
        );
        mistakes
    }

    /// Resolves a format after its parents, oldest first.
    fn resolve_chain(
        &mut self,
        name: &str,
        failed: &mut BTreeSet<String>,
        mistakes: &mut Vec<Diagnostic>,
    ) {
        let mut chain = Vec::new();
        let mut next = Some(name.to_owned());
        while let Some(name) = next.take_if(|name| !self.formats.contains_key(name)) {
            if failed.contains(&name) {
                break;
            }
            next = match self.parent(&name, &chain) {
                Ok(parent) => parent,
                Err(mistake) => {
                    mistakes.push(*mistake);
                    failed.insert(name.clone());
                    None
                }
            };
            chain.push(name);
        }
        for name in chain.into_iter().rev() {
            if let Err(mistake) = self.resolve_one(&name, failed) {
                mistakes.extend(mistake);
                failed.insert(name);
            }
        }
    }

    /// The name of the parent, when there is one; `children` are the formats on the way to it.
    fn parent(&self, name: &str, children: &[String]) -> Result<Option<String>, Box<Diagnostic>> {
        let extends = self
            .files
            .get(name)
            .and_then(|read| read.file.extends.as_ref());
        let Some(extends) = extends else {
            return Ok(None);
        };
        let parent = &extends.value;
        if parent == name || children.contains(parent) {
            let message = format!("format `{name}` extends itself by way of `{parent}`");
            return Err(Box::new(extends.place.error(message, "closes the circle")));
        }
        if self.files.contains_key(parent) || self.broken_formats.contains(parent) {
            return Ok(Some(parent.clone()));
        }
        let error = extends
            .place
            .error(format!("unknown format `{parent}`"), "");
        let names = self
            .files
            .keys()
            .map(String::as_str)
            .filter(|other| *other != name);
        Err(Box::new(error.help_from(parent, "format", names)))
    }

    /// Makes the entry of a format whose parent is done; `Err(None)` when the parent has failed.
    fn resolve_one(
        &mut self,
        name: &str,
        failed: &BTreeSet<String>,
    ) -> Result<(), Option<Diagnostic>> {
        let Some(read) = self.files.get(name).filter(|_| !failed.contains(name)) else {
            return Err(None);
        };
        let parent = match &read.file.extends {
            Some(parent) => Some(self.formats.get(&parent.value).ok_or(None)?),
            None => None,
        };
        let definition = extended(name, &read.file, parent.map(|entry| &entry.definition))?;
        let entry = FormatEntry {
            definition,
            origin: read.origin.clone(),
            parent: read
                .file
                .extends
                .as_ref()
                .map(|parent| parent.value.clone()),
            source: Arc::clone(&read.source),
        };
        self.formats.insert(name.to_owned(), entry);
        Ok(())
    }

    fn unknown_rule_sets(&self, file: &FormatFile) -> Vec<Diagnostic> {
        let is_known = |name: &String| {
            self.rule_sets.contains_key(name) || self.broken_rule_sets.contains(name)
        };
        let unknown = file
            .rules
            .iter()
            .flatten()
            .filter(|rules| !is_known(&rules.value));
        unknown
            .map(|rules| {
                let error = rules
                    .place
                    .error(format!("unknown rule set `{}`", rules.value), "");
                let names = self.rule_sets.keys().map(String::as_str);
                error.help_from(&rules.value, "rule set", names)
            })
            .collect()
    }
}

/// Name and text of a file.
fn read(path: &Path) -> Result<(String, Arc<SourceText>), Diagnostic> {
    let shown = path.display().to_string();
    let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else {
        return Err(Diagnostic::new(format!(
            "the name of `{shown}` is not UTF-8"
        )));
    };
    let text = fs::read_to_string(path)
        .map_err(|error| Diagnostic::new(format!("cannot read `{shown}`: {error}")))?;
    Ok((name.to_owned(), SourceText::new(shown, text)))
}

/// The parser files of a folder by name, without hidden ones (an editor's own).
fn toml_files(folder: &Path, mistakes: &mut Vec<Diagnostic>) -> Vec<PathBuf> {
    let listed = fs::read_dir(folder).and_then(|entries| {
        entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>()
    });
    let mut paths = listed.unwrap_or_else(|error| {
        let message = format!("cannot read folder `{}`: {error}", folder.display());
        mistakes.push(Diagnostic::new(message));
        Vec::new()
    });
    paths.retain(|path| path.extension().is_some_and(|end| end == "toml") && !is_hidden(path));
    paths.sort();
    paths
}

fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::{At, Dialect, LayoutDefinition, NginxEscape};
    use crate::diagnostic::render;
    use proptest::prelude::*;

    /// A catalog of the user's formats alone, `name` and text each.
    fn catalog(files: &[(&str, &str)]) -> (Catalog, String) {
        let mut catalog = Catalog::default();
        let mut mistakes = Vec::new();
        for (name, text) in files {
            let path = PathBuf::from(format!("parsers/{name}.toml"));
            let source = SourceText::new(path.display().to_string(), *text);
            mistakes.extend(catalog.add_format(name, source, Origin::File(path)));
        }
        mistakes.extend(catalog.resolve());
        (catalog, render(&mistakes, false))
    }

    fn good(files: &[(&str, &str)]) -> Catalog {
        let (catalog, mistakes) = catalog(files);
        assert_eq!(mistakes, "");
        catalog
    }

    fn text_of(catalog: &Catalog, name: &str) -> At<String> {
        match &catalog.format(name).unwrap().definition.layout.value {
            LayoutDefinition::Server { text, .. } => text.clone(),
            other => panic!("no text: {other:?}"),
        }
    }

    const PARENT: &str = "description = 'p'\ndetect = 5\nrequire = ['status']\n\
        format = { nginx = '$a \"$b\"', escape = 'json' }\nunits = { x = 'ms', y = 'us' }\n\
        time = { field = 'ts', format = 'epoch' }\nexample = [{ line = 'l' }]\n";

    #[test]
    fn shipped_files_have_no_mistakes() {
        let (catalog, mistakes) = Catalog::open(&[]);
        assert_eq!(render(&mistakes, false), "");
        assert_eq!(catalog.formats().count(), FORMATS.len());
        assert_eq!(catalog.rule_sets().count(), RULE_SETS.len());
    }

    #[test]
    fn child_inherits_what_it_does_not_say() {
        let child = "description = 'c'\nextends = 'p'\nformat.append = ' $c'\n\
            units = { y = 's', z = 'ns' }\ntime.format = 'clf'\n";
        let catalog = good(&[("c", child), ("p", PARENT)]);
        let entry = catalog.format("c").unwrap();
        let expected = "\
description = \"c\"
require = [\"status\"]
detect = 5

[format]
nginx = '$a \"$b\" $c'
escape = \"json\"

[time]
field = \"ts\"
format = \"clf\"

[units]
x = \"ms\"
y = \"s\"
z = \"ns\"
";
        assert_eq!(entry.flat(), expected);
        assert_eq!((entry.parent.as_deref(), entry.text()), (Some("p"), child));
    }

    #[test]
    fn part_of_an_appended_layout_is_shown_in_its_own_file() {
        let child = "description = 'c'\nextends = 'p'\nformat.append = ' $c'\n";
        let grandchild = "description = 'g'\nextends = 'c'\nformat.append = ' $d'\n";
        let catalog = good(&[("c", child), ("g", grandchild), ("p", PARENT)]);
        let text = text_of(&catalog, "g");
        assert_eq!(text.value, "$a \"$b\" $c $d");
        for (part, file) in [("$b", "p"), ("$c", "c"), ("$d", "g")] {
            let start = text.value.find(part).unwrap();
            let place = text.place.inside(start..start + part.len());
            assert_eq!(place.source().name, format!("parsers/{file}.toml"));
            assert_eq!(place.source().text.get(place.span()), Some(part));
        }
    }

    #[test]
    fn unknown_parent_and_circles_are_mistakes() {
        let file = |parent: &str| format!("description = 'd'\nextends = '{parent}'\n");
        let (_, mistakes) = catalog(&[("nginx", PARENT), ("x", &file("ngnix"))]);
        let expected = "\
error: unknown format `ngnix`
 --> parsers/x.toml:2:12
  |
2 | extends = 'ngnix'
  |            ^^^^^
  |
  = help: a format with a similar name exists: `nginx`
";
        assert_eq!(mistakes, expected);
        let files = [
            ("a", &*file("b")),
            ("b", &file("c")),
            ("c", &file("b")),
            ("d", &file("a")),
        ];
        let (found, mistakes) = catalog(&files);
        assert_eq!(mistakes.matches("error: ").count(), 1, "{mistakes}");
        assert!(
            mistakes.contains("format `c` extends itself by way of `b`"),
            "{mistakes}"
        );
        assert_eq!(found.formats().count(), 0);
    }

    #[test]
    fn children_of_a_broken_file_are_silent() {
        let child = "description = 'd'\nextends = 'p'\n";
        let (found, mistakes) = catalog(&[("p", "description = 1\nextends = 'q'"), ("x", child)]);
        assert_eq!(mistakes.matches("error: ").count(), 1, "{mistakes}");
        assert!(found.format("x").is_err());
    }

    #[test]
    fn only_format_strings_can_be_added_to() {
        let parent = "description = 'p'\nformat.regex = 'x'\n";
        let child = "description = 'c'\nextends = 'p'\nformat.append = 'y'\n";
        let expected = "\
error: `append` adds to a server's format string only
 --> parsers/c.toml:3:8
  |
3 | format.append = 'y'
  |        ^^^^^^
  |
note: the parent's layout is here
 --> parsers/p.toml:2:8
  |
2 | format.regex = 'x'
  |        ^^^^^
";
        assert_eq!(catalog(&[("p", parent), ("c", child)]).1, expected);
        let apache = "description = 'p'\nformat.apache = '%h \\\"%r\\\"'\n";
        let found = good(&[("p", apache), ("c", &child.replace('y', " \\\\\"%D\\\\\""))]);
        assert_eq!(text_of(&found, "c").value, "%h \"%r\" \\\"%D\\\"");
    }

    #[test]
    fn unknown_rule_set_is_a_mistake() {
        let file = "description = 'p'\nformat.regex = 'x'\nrules = ['beacn']\n";
        assert!(
            catalog(&[("p", file)])
                .1
                .starts_with("error: unknown rule set `beacn`\n")
        );
    }

    #[test]
    fn detection_goes_by_number_then_the_users_then_name() {
        let mut catalog = Catalog::default();
        let file = |order: &str| format!("description = 'd'\nformat.regex = 'x'\n{order}\n");
        let files = [
            ("b", "detect = 1", Origin::Shipped),
            ("a", "detect = 1", Origin::Shipped),
            ("z", "detect = 1", Origin::File(PathBuf::from("z"))),
            ("y", "detect = 0", Origin::Shipped),
            ("n", "detect = false", Origin::Shipped),
        ];
        for (name, order, origin) in files {
            catalog.add_format(name, SourceText::new(name, file(order)), origin);
        }
        catalog.resolve();
        let order: Vec<&str> = catalog
            .detection_order()
            .iter()
            .map(|entry| &*entry.definition.name)
            .collect();
        assert_eq!(order, ["y", "z", "a", "b"]);
    }

    #[test]
    fn flat_text_loads_back_to_the_same_definition() {
        let hard = [
            "format.nginx = \"log_format a 'log_format \\\\'b\\\\\\\\ ';\"\nunits = { 'a b' = 's' }",
            "format.apache = '%h \\\\\"%r\\\\\\\" \\\"'",
            "format.apache = 'LogFormat \"LogFormat \\\"a\\\\\\\\\" x'",
            "format.varnishncsa = 'LogFormat \\\"%r\\\"'",
            "format.regex = '''\n(?x) 'a' # \\d\r\n\t\"'''\nrules = []\ndetect = -1",
            "format.json = { status = 's', 'http_*' = \"re'q\\u0007.*\" }\ntime.search = '(\\d+)'",
            "format.w3c = {}",
            "format.csv = 'a b:c -'",
            "format.tsv = { columns = ['a b', \"\u{e9}'\"], fields = { x = 'Y z' }, header = true }",
            "format.csv = { separator = ' ', quote = '', repeat = true, optional = 2, absent = '-1', escape = 'form' }",
            "format.logfmt = { status = 'res.status', \"a b\" = 'c' }",
            "format.w3c = { fields = { a = 'b c', \"\" = '' }, columns = 'x', escape = 'plus' }\n\
                [[example]]\nline = '\u{e9}'\nfields = { a = 5, 'b.c' = \"\\\\\" }",
        ];
        for text in hard {
            let text = format!("description = 'd'\n{text}\n");
            let flat = good(&[("x", &text)]).format("x").unwrap().flat();
            let again = good(&[("x", &flat)]);
            assert_eq!(
                without_places(&again, "x"),
                without_places(&good(&[("x", &text)]), "x")
            );
            assert_eq!(again.format("x").unwrap().flat(), flat);
        }
        for entry in Catalog::open(&[]).0.formats() {
            let mut again = Catalog::open(&[]).0;
            let name = &entry.definition.name;
            again.add_format(name, SourceText::new("flat", entry.flat()), Origin::Shipped);
            assert_eq!(render(&again.resolve(), false), "");
            assert_eq!(again.format(name).unwrap().flat(), entry.flat());
        }
    }

    /// Everything a definition says: its debug output with the places cut out.
    fn without_places(catalog: &Catalog, name: &str) -> String {
        let shown = format!("{:#?}", catalog.format(name).unwrap().definition);
        let lines = shown
            .lines()
            .filter(|line| !line.trim_start().starts_with("place: "));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn pasted_escape_survives_flattening() {
        let text = "description = 'd'\nformat.nginx = \"log_format a escape=none '$a';\"\n";
        let flat = good(&[("x", text)]).format("x").unwrap().flat();
        match &good(&[("x", &flat)])
            .format("x")
            .unwrap()
            .definition
            .layout
            .value
        {
            LayoutDefinition::Server { dialect, text } => {
                assert_eq!(text.value, "$a");
                assert_eq!(*dialect, Dialect::Nginx(NginxEscape::None));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn folders_win_over_shipped_files_and_later_folders_over_earlier() {
        let root = tempfile::tempdir().unwrap();
        let (one, two) = (root.path().join("one"), root.path().join("two"));
        let file = |what: &str| format!("description = '{what}'\nformat.regex = 'x'\n");
        fs::create_dir_all(one.join("rules")).unwrap();
        fs::create_dir_all(&two).unwrap();
        fs::write(one.join("caddy.toml"), file("one")).unwrap();
        fs::write(one.join("mine.toml"), file("one") + "rules = ['own']\n").unwrap();
        fs::write(one.join(".#mine.toml"), "lock").unwrap();
        fs::write(
            one.join("rules/own.toml"),
            "fields.a = { from = 'b', map_file = 'm' }",
        )
        .unwrap();
        fs::write(one.join("rules/m"), "k v\n").unwrap();
        fs::write(two.join("caddy.toml"), file("two")).unwrap();
        let (mut catalog, mistakes) = Catalog::open(&[one.clone(), two.clone()]);
        assert_eq!(render(&mistakes, false), "");
        assert_eq!(
            catalog.format("caddy").unwrap().definition.description,
            "two"
        );
        assert_eq!(catalog.rule_set("own").unwrap().definition.fields.len(), 1);
        assert_eq!(
            catalog.format("mine").unwrap().origin,
            Origin::File(one.join("mine.toml"))
        );
        let path = root.path().join("caddy.toml");
        fs::write(&path, file("three")).unwrap();
        assert_eq!(catalog.add_file(&path).unwrap(), "caddy");
        assert_eq!(
            catalog.format("caddy").unwrap().definition.description,
            "three"
        );
        assert!(catalog.add_file(&root.path().join("absent.toml")).is_err());
        assert_eq!(Catalog::open(&[root.path().join("absent")]).1.len(), 1);
    }

    #[test]
    fn unknown_name_comes_with_the_similar_one() {
        let catalog = good(&[("nginx", PARENT)]);
        let mistake = catalog.format("ngnix").unwrap_err();
        assert_eq!(mistake.message, "unknown format `ngnix`");
        assert_eq!(
            mistake.help.unwrap(),
            "a format with a similar name exists: `nginx`"
        );
        assert!(Catalog::is_path("./x") && Catalog::is_path("x.toml") && !Catalog::is_path("x"));
    }

    proptest! {
        #[test]
        fn whatever_loads_is_the_same_when_flat(
            edits in prop::collection::vec((0..PARENT.len(), 0usize..9, "['\"\\\\= a1\n]{0,3}"), 0..4)
        ) {
            let mut text = PARENT.to_owned();
            for (at, length, new) in edits {
                let start = at.min(text.len());
                let end = (at + length).min(text.len()).max(start);
                text.replace_range(start..end, &new);
            }
            let (found, _) = catalog(&[("x", &text)]);
            if let Ok(entry) = found.format("x") {
                let again = good(&[("x", &entry.flat())]);
                prop_assert_eq!(again.format("x").unwrap().flat(), entry.flat());
            }
        }
    }
}
