//! Apache: `apache2.conf` or `httpd.conf` with all that it includes, as the documentation of httpd 2.4 has it
//! (mod_log_config, core).
//!
//! Conditions (`<IfModule>`, `<IfDefine>`) are taken to hold: a log that is not written costs nothing, one that is
//! missed does. Invariant: any text ends; a file is never read from within itself.

use std::collections::BTreeMap;

use super::found::{
    AccessLog, Destination, ErrorLog, Layout, Server, Spot, Survey, below, folder, literal, normal,
    standard_stream,
};
use super::pipes::piped;
use super::tree::{Kind, Tree, Unread};

/// Includes within includes.
const MOST_DEPTH: usize = 16;

/// The Common Log Format, which a `TransferLog` has when nothing is said.
const COMMON: &str = "%h %l %u %t \\\"%r\\\" %>s %b";

/// Where the main file is: on Debian, Red Hat, in the image `httpd`, on FreeBSD.
const PLACES: [&str; 5] = [
    "/etc/apache2/apache2.conf",
    "/etc/httpd/conf/httpd.conf",
    "/usr/local/apache2/conf/httpd.conf",
    "/usr/local/etc/apache24/httpd.conf",
    "/etc/apache2/httpd.conf",
];

/// The same in a folder of a project, where the root is one.
const PROJECT_PLACES: [&str; 3] = ["/httpd.conf", "/apache/httpd.conf", "/apache2/apache2.conf"];

/// Adds what Apache's configuration says.
pub(super) fn survey(tree: &Tree, survey: &mut Survey) {
    for place in survey.main_files(tree, Server::Apache, &PLACES, &PROJECT_PLACES) {
        let mut reading = Reading {
            tree,
            root: usual_root(place),
            variables: environment(tree, place),
            files: Vec::new(),
            layouts: BTreeMap::new(),
            unnamed: None,
            asked: Vec::new(),
            errors: Vec::new(),
            remarks: Vec::new(),
        };
        reading.file(place, None);
        reading.finish(survey);
    }
}

/// `ServerRoot` as each of the packages is built with.
fn usual_root(main: &str) -> String {
    match folder(main).strip_suffix("/conf") {
        Some(above) => above.to_owned(),
        None => folder(main).to_owned(),
    }
}

/// The variables that Debian's start script exports, from `envvars` beside the main file.
fn environment(tree: &Tree, main: &str) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let text = tree
        .read(&format!("{}/envvars", folder(main)))
        .unwrap_or_default();
    for line in text.lines().take(500) {
        let line = line.trim();
        let assignment = line.strip_prefix("export ").unwrap_or(line);
        if let Some((name, value)) = assignment.split_once('=')
            && name.starts_with("APACHE_")
        {
            let value = value.trim_matches(['"', '\'']);
            // Empty but for a second instance of the server on the host.
            let value = value.replace("${SUFFIX}", "").replace("$SUFFIX", "");
            variables.insert(name.to_owned(), value);
        }
    }
    let usual = || "/var/log/apache2".to_owned();
    variables
        .entry("APACHE_LOG_DIR".to_owned())
        .or_insert_with(usual);
    variables
}

/// A log that is asked for; its format may be defined further on.
struct Asked {
    spot: Spot,
    source: String,
    path: String,
    /// The nickname or text; `None` for that of the last `LogFormat` without a name.
    format: Option<String>,
    unnamed: Option<Layout>,
    is_conditional: bool,
}

struct Reading<'t> {
    tree: &'t Tree,
    root: String,
    variables: BTreeMap<String, String>,
    files: Vec<String>,
    layouts: BTreeMap<String, Layout>,
    /// The last `LogFormat` without a nickname.
    unnamed: Option<Layout>,
    asked: Vec<Asked>,
    errors: Vec<ErrorLog>,
    remarks: Vec<String>,
}

impl Reading<'_> {
    fn file(&mut self, path: &str, from: Option<&Spot>) {
        let text = match self.tree.read(path) {
            Ok(text) => text,
            Err(Unread::Missing) => return,
            Err(Unread::Refused(why)) => {
                let by = from
                    .map(|spot| format!(", included at {spot}"))
                    .unwrap_or_default();
                let path = crate::diagnostic::Untrusted(path.as_bytes());
                self.remarks.push(format!("{path} was not read: {why}{by}"));
                return;
            }
        };
        self.files.push(path.to_owned());
        for (line, source) in statements(&text) {
            let words = words(&source);
            let spot = Spot {
                file: path.to_owned(),
                line,
            };
            self.directive(spot, source, &words);
        }
        self.files.pop();
    }

    fn directive(&mut self, spot: Spot, source: String, words: &[String]) {
        let Some(name) = words.first() else {
            return;
        };
        let word = |at: usize| words.get(at).cloned().unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "include" | "includeoptional" => self.include(&spot, &self.expanded(&word(1))),
            "serverroot" => self.root = self.expanded(&word(1)),
            "define" if words.len() > 2 => {
                let value = self.expanded(&word(2));
                self.variables.insert(word(1), value);
            }
            "logformat" => self.log_format(spot, source, words),
            "customlog" | "globallog" => {
                let option = word(3);
                self.asked.push(Asked {
                    path: self.expanded(&word(1)),
                    format: Some(word(2)).filter(|format| !format.is_empty()),
                    unnamed: self.unnamed.clone(),
                    is_conditional: option.starts_with("env=") || option.starts_with("expr="),
                    spot,
                    source,
                });
            }
            "transferlog" => self.asked.push(Asked {
                path: self.expanded(&word(1)),
                format: None,
                unnamed: self.unnamed.clone(),
                is_conditional: false,
                spot,
                source,
            }),
            "bufferedlogs" if word(1).eq_ignore_ascii_case("on") => self.remarks.push(format!(
                "{spot} BufferedLogs: lines come late while the site is quiet"
            )),
            "errorlog" => self.error_log(spot, &self.expanded(&word(1))),
            _ => {}
        }
    }

    fn log_format(&mut self, spot: Spot, source: String, words: &[String]) {
        let name = words.get(2).cloned();
        let layout = Layout {
            name: name.clone().unwrap_or_else(|| "unnamed".to_owned()),
            pasted: directive(words.get(1).map(String::as_str).unwrap_or_default()),
            spot: Some(spot),
            source,
        };
        match name {
            Some(name) => drop(self.layouts.insert(name, layout)),
            None => self.unnamed = Some(layout),
        }
    }

    /// `${NAME}` replaced by what `Define` or the environment says; others stay.
    fn expanded(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            out.push_str(before);
            let Some((name, behind)) = after.split_once('}') else {
                out.push_str("${");
                rest = after;
                continue;
            };
            match self.variables.get(name) {
                Some(value) if out.len() + value.len() < 8192 => out.push_str(value),
                _ => out.extend(["${", name, "}"]),
            }
            rest = behind;
        }
        out + rest
    }

    fn include(&mut self, spot: &Spot, pattern: &str) {
        let mut todo = vec![below(&self.root, pattern)];
        let mut found = Vec::new();
        while let Some(path) = todo.pop() {
            if found.len() > 2000 {
                break;
            }
            match self.tree.kind(&path) {
                // A folder stands for all files below it.
                Some(Kind::Folder) if path.len() < 1000 && self.files.len() < MOST_DEPTH => {
                    let names = self.tree.list(&path);
                    todo.extend(names.into_iter().rev().map(|name| format!("{path}/{name}")));
                }
                Some(Kind::File) => found.push(path),
                _ => found.extend(self.tree.matching(&path)),
            }
        }
        for file in found {
            if self.files.contains(&file) || self.files.len() >= MOST_DEPTH {
                self.remarks.push(format!("{spot} includes itself"));
            } else {
                self.file(&file, Some(spot));
            }
        }
    }

    /// A path of a log: relative ones begin at `ServerRoot`, in which `logs` is a link on Red Hat.
    fn path(&self, path: &str) -> String {
        let path = below(&self.root, path);
        let logs = format!("{}/logs", normal(&self.root));
        let inside = path
            .strip_prefix(&logs)
            .and_then(|rest| rest.strip_prefix('/'));
        match (inside, self.tree.link(&logs)) {
            (Some(inside), Some(target)) => below(&below(folder(&logs), &target), inside),
            _ => path,
        }
    }

    fn error_log(&mut self, spot: Spot, path: &str) {
        if path.is_empty() || path.starts_with("syslog") || path == "/dev/null" {
            return;
        }
        let path = match path.strip_prefix('|') {
            Some(command) => match piped(command) {
                Destination::Files(pattern) => pattern,
                _ => return,
            },
            None if standard_stream(path).is_some() => return,
            None => literal(&self.path(path)),
        };
        self.errors.push(ErrorLog {
            server: Server::Apache,
            spot,
            path,
        });
    }

    fn finish(mut self, survey: &mut Survey) {
        for asked in std::mem::take(&mut self.asked) {
            if matches!(asked.path.as_str(), "" | "/dev/null") {
                continue;
            }
            let mut remarks = Vec::new();
            let layout = self.layout(&asked, &mut remarks);
            if asked.is_conditional {
                remarks.push("`env=` or `expr=`: only requests that meet the condition are in the log, and counted".to_owned());
            }
            survey.add(AccessLog {
                server: Server::Apache,
                destination: self.destination(&asked.path),
                spot: asked.spot,
                source: asked.source,
                layout,
                remarks,
            });
        }
        self.errors
            .into_iter()
            .for_each(|log| survey.add_error(log));
        self.remarks
            .into_iter()
            .for_each(|remark| survey.remark(remark));
    }

    fn layout(&self, asked: &Asked, remarks: &mut Vec<String>) -> Option<Layout> {
        let Some(format) = &asked.format else {
            return Some(asked.unnamed.clone().unwrap_or_else(|| Layout {
                name: "common".to_owned(),
                pasted: directive(&COMMON.replace('\\', "")),
                spot: None,
                source: String::new(),
            }));
        };
        if let Some(layout) = self.layouts.get(format) {
            return Some(layout.clone());
        }
        if format.contains('%') {
            return Some(Layout {
                name: "log".to_owned(),
                pasted: directive(format),
                spot: Some(asked.spot.clone()),
                source: asked.source.clone(),
            });
        }
        let format = crate::diagnostic::Untrusted(format.as_bytes());
        remarks.push(format!(
            "`LogFormat … {format}` is not defined in any file that was read"
        ));
        None
    }

    fn destination(&self, path: &str) -> Destination {
        if let Some(command) = path.strip_prefix('|') {
            return piped(command);
        }
        if path.starts_with("syslog") || path.contains("${") {
            return Destination::Away {
                why: "what the path stands for is not in the configuration".to_owned(),
                repair: "name a file: CustomLog /var/log/apache2/access.log combined".to_owned(),
            };
        }
        let path = self.path(path);
        let stream = standard_stream(&path).or_else(|| standard_stream(&self.tree.link(&path)?));
        stream.unwrap_or_else(|| Destination::Files(literal(&path)))
    }
}

/// The directive for a parser file, from a text without quotes.
fn directive(format: &str) -> String {
    let escaped = format.replace('\\', "\\\\").replace('"', "\\\"");
    format!("LogFormat \"{escaped}\"")
}

/// Statements with the numbers of their first lines: a backslash at a line's end continues it.
fn statements(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut whole = String::new();
    let mut first = None;
    for (number, line) in text.lines().enumerate() {
        let start = *first.get_or_insert(number + 1);
        if let Some(part) = line.strip_suffix('\\') {
            whole.push_str(part);
            continue;
        }
        whole.push_str(line);
        let statement = whole.trim();
        if !statement.is_empty() && !statement.starts_with(['#', '<']) {
            found.push((start, statement.to_owned()));
        }
        whole.clear();
        first = None;
    }
    found
}

/// Words as Apache reads them (ap_getword_conf): in quotes, a backslash keeps the quote or backslash behind it.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut letters = text.chars().peekable();
    loop {
        while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
        let Some(first) = letters.peek().copied() else {
            return words;
        };
        let quote = matches!(first, '"' | '\'').then_some(first);
        if quote.is_some() {
            letters.next();
        }
        let mut word = String::new();
        while let Some(letter) = letters.next() {
            match (quote, letter) {
                (Some(open), letter) if letter == open => break,
                (None, letter) if letter.is_whitespace() => break,
                (quote, '\\') => {
                    match letters.next_if(|next| *next == '\\' || Some(*next) == quote) {
                        Some(next) => word.push(next),
                        None => word.push('\\'),
                    }
                }
                (_, letter) => word.push(letter),
            }
        }
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lose_their_quotes_as_apache_takes_them() {
        assert_eq!(
            words(r#"LogFormat "%h \"%r\" a\\b" x"#),
            ["LogFormat", r#"%h "%r" a\b"#, "x"]
        );
        assert_eq!(
            words(r"CustomLog '|/bin/x -y' %h\ %l"),
            ["CustomLog", "|/bin/x -y", r"%h\", "%l"]
        );
        assert_eq!(words("a \"b"), ["a", "b"]);
        assert_eq!(
            statements("A \\\n  b\n# c \\\n d\n\n<If x>\nE"),
            [(1, "A   b".to_owned()), (7, "E".to_owned())]
        );
    }
}
