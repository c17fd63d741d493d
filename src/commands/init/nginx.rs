//! nginx: `nginx.conf` with all that it includes, as the nginx manual has it (ngx_http_log_module,
//! ngx_core_module).
//!
//! Only what concerns logs is looked at. Invariant: any text ends: includes are followed to a depth and never
//! into a file that is being read; a quote or block that is not closed ends with its file.

use std::collections::BTreeMap;

use super::found::{
    AccessLog, Destination, ErrorLog, Layout, Server, Spot, Survey, below, folder, literal,
    standard_stream,
};
use super::nginx_words::{End, Scanner, Statement};
use super::rsyslog;
use super::tree::{Kind, Tree, Unread};

/// Includes within includes.
const MOST_DEPTH: usize = 16;

/// Blocks within blocks.
const MOST_BLOCKS: usize = 200;

/// nginx' own format (ngx_http_log_module, `log_format`).
pub(super) const COMBINED: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status \
    $body_bytes_sent \"$http_referer\" \"$http_user_agent\"";

/// The access log of distributions' builds where no directive names one.
const USUAL_LOG: &str = "/var/log/nginx/access.log";

/// Where nginx.conf is looked for: packages, then builds from source and OpenResty.
const PLACES: [&str; 4] = [
    "/etc/nginx/nginx.conf",
    "/usr/local/nginx/conf/nginx.conf",
    "/usr/local/etc/nginx/nginx.conf",
    "/usr/local/openresty/nginx/conf/nginx.conf",
];

/// The same in a folder of a project, where the root is one.
const PROJECT_PLACES: [&str; 4] = [
    "/nginx.conf",
    "/nginx/nginx.conf",
    "/conf/nginx.conf",
    "/config/nginx/nginx.conf",
];

/// Adds what nginx' configuration says.
pub(super) fn survey(tree: &Tree, survey: &mut Survey) {
    for place in survey.main_files(tree, Server::Nginx, &PLACES, &PROJECT_PLACES) {
        let mut reading = Reading {
            tree,
            main: place,
            blocks: Vec::new(),
            files: Vec::new(),
            formats: BTreeMap::new(),
            asked: Vec::new(),
            errors: Vec::new(),
            remarks: Vec::new(),
            unlogged: None,
            http_logs: false,
        };
        reading.file(place, None);
        reading.finish(survey);
    }
}

/// An `access_log` whose format may be defined further on.
struct Asked {
    spot: Spot,
    source: String,
    words: Vec<String>,
}

/// A block that is open.
struct Block {
    name: String,
    spot: Spot,
    /// It has an `access_log` of its own.
    logs: bool,
}

struct Reading<'t> {
    tree: &'t Tree,
    /// The main file.
    main: &'t str,
    blocks: Vec<Block>,
    /// Files being read, the outermost first.
    files: Vec<String>,
    formats: BTreeMap<String, Layout>,
    asked: Vec<Asked>,
    errors: Vec<ErrorLog>,
    remarks: Vec<String>,
    /// A server that has no `access_log`.
    unlogged: Option<Spot>,
    http_logs: bool,
}

impl Reading<'_> {
    fn file(&mut self, path: &str, from: Option<&Spot>) {
        let text = match self.tree.read(path) {
            Ok(text) => text,
            Err(Unread::Missing) => return,
            Err(Unread::Refused(why)) => {
                let by = from.map(|spot| format!(", included at {spot}"));
                let by = by.unwrap_or_default();
                let path = crate::diagnostic::Untrusted(path.as_bytes());
                self.remarks.push(format!("{path} was not read: {why}{by}"));
                return;
            }
        };
        self.files.push(path.to_owned());
        let depth = self.blocks.len();
        let mut scanner = Scanner::new(&text);
        while let Some(statement) = scanner.next() {
            self.statement(path, &text, statement);
        }
        self.blocks.truncate(depth);
        self.files.pop();
    }

    fn statement(&mut self, path: &str, text: &str, statement: Statement) {
        let Statement {
            words,
            range,
            line,
            end,
        } = statement;
        let values: Vec<String> = words.iter().map(|word| word.value(text)).collect();
        let spot = Spot {
            file: path.to_owned(),
            line,
        };
        match end {
            End::Close => self.close(),
            End::Block => self.open(values.into_iter().next().unwrap_or_default(), spot),
            End::Simple => {
                let source = text.get(range).unwrap_or_default().to_owned();
                self.directive(spot, source, values);
            }
        }
    }

    fn open(&mut self, name: String, spot: Spot) {
        if self.blocks.len() < MOST_BLOCKS {
            let logs = false;
            self.blocks.push(Block { name, spot, logs });
        }
    }

    fn close(&mut self) {
        let is_http = self.is_http();
        let Some(block) = self.blocks.pop() else {
            return;
        };
        if block.name == "server" && is_http && !block.logs && self.unlogged.is_none() {
            self.unlogged = Some(block.spot);
        }
    }

    /// True outside any block that has logs of another kind: `stream`, `mail`. A file that is read alone
    /// may begin inside `http`.
    fn is_http(&self) -> bool {
        let outermost = self.blocks.first().map(|block| block.name.as_str());
        !matches!(outermost, Some("stream" | "mail" | "events"))
    }

    fn directive(&mut self, spot: Spot, source: String, words: Vec<String>) {
        let name = words.first().map(String::as_str).unwrap_or_default();
        match name {
            "include" => self.include(&spot, words.get(1).map(String::as_str).unwrap_or_default()),
            "log_format" if self.is_http() => {
                let name = words.get(1).cloned().unwrap_or_default();
                let layout = Layout {
                    name: name.clone(),
                    pasted: format!("{source};"),
                    spot: Some(spot),
                    source: format!("{source};"),
                };
                self.formats.insert(name, layout);
            }
            "access_log" if self.is_http() => {
                self.http_logs |= self.blocks.len() <= 1;
                if let Some(block) = self.blocks.last_mut() {
                    block.logs = true;
                }
                let source = format!("{source};");
                self.asked.push(Asked {
                    spot,
                    source,
                    words,
                });
            }
            "error_log" => {
                self.error_log(spot, words.get(1).map(String::as_str).unwrap_or_default())
            }
            _ => {}
        }
    }

    fn include(&mut self, spot: &Spot, pattern: &str) {
        let pattern = below(folder(self.main), pattern);
        let files = if pattern.contains(['*', '?', '[']) {
            self.tree.matching(&pattern)
        } else {
            vec![pattern]
        };
        for file in files {
            if self.files.contains(&file) || self.files.len() >= MOST_DEPTH {
                self.remarks.push(format!("{spot} includes itself"));
            } else {
                self.file(&file, Some(spot));
            }
        }
    }

    fn error_log(&mut self, spot: Spot, path: &str) {
        let is_file =
            !path.starts_with("syslog:") && !path.starts_with("memory:") && path != "stderr";
        if is_file && standard_stream(path).is_none() && path != "/dev/null" && !path.is_empty() {
            let path = pattern(&below(self.prefix(), path));
            self.errors.push(ErrorLog {
                server: Server::Nginx,
                spot,
                path,
            });
        }
    }

    /// Where relative paths of logs begin: nginx' prefix, which only the program itself knows.
    fn prefix(&self) -> &'static str {
        match self.main {
            main if main.starts_with("/usr/local/openresty/") => "/usr/local/openresty/nginx",
            main if main.starts_with("/usr/local/nginx/") => "/usr/local/nginx",
            // Debian's and Red Hat's builds; that of nginx.org has /etc/nginx.
            _ if self.tree.kind("/usr/share/nginx") == Some(Kind::Folder) => "/usr/share/nginx",
            _ => "/etc/nginx",
        }
    }

    fn finish(mut self, survey: &mut Survey) {
        if !self.http_logs
            && let Some(spot) = self.unlogged.take()
        {
            let mut log = self.log(Asked {
                source: String::new(),
                words: vec![String::new(), USUAL_LOG.to_owned()],
                spot,
            });
            if let Some(log) = &mut log {
                log.remarks.push(
                    "no access_log is set here: this is the usual place of a build".to_owned(),
                );
            }
            log.into_iter().for_each(|log| survey.add(log));
        }
        for asked in std::mem::take(&mut self.asked) {
            if let Some(log) = self.log(asked) {
                survey.add(log);
            }
        }
        for log in self.errors {
            survey.add_error(log);
        }
        for remark in self.remarks {
            survey.remark(remark);
        }
    }

    /// The log that a directive asks for; `None` for none.
    fn log(&self, asked: Asked) -> Option<AccessLog> {
        let path = asked.words.get(1).map(String::as_str).unwrap_or_default();
        if matches!(path, "" | "off" | "/dev/null") {
            return None;
        }
        let options = asked.words.get(2..).unwrap_or_default();
        let named = options.first().filter(|word| !is_option(word));
        let name = named.map_or("combined", String::as_str);
        let mut remarks = Vec::new();
        let layout = self.layout(name);
        if layout.is_none() {
            remarks.push(format!(
                "`log_format {}` is not defined in any file that was read",
                shown(name)
            ));
        }
        let destination = self.destination(path, options, &mut remarks);
        Some(AccessLog {
            server: Server::Nginx,
            spot: asked.spot,
            source: asked.source,
            destination,
            layout,
            remarks,
        })
    }

    fn layout(&self, name: &str) -> Option<Layout> {
        let own = self.formats.get(name).cloned();
        own.or_else(|| {
            (name == "combined").then(|| Layout {
                name: name.to_owned(),
                pasted: COMBINED.to_owned(),
                spot: None,
                source: String::new(),
            })
        })
    }

    fn destination(
        &self,
        path: &str,
        options: &[String],
        remarks: &mut Vec<String>,
    ) -> Destination {
        let has = |name: &str| {
            options
                .iter()
                .any(|word| word.split('=').next() == Some(name))
        };
        if has("if") {
            remarks.push(
                "`if=`: only requests that meet the condition are in the log, and counted"
                    .to_owned(),
            );
        }
        if let Some(target) = path.strip_prefix("syslog:") {
            return syslog(self.tree, target);
        }
        if has("gzip") {
            return Destination::Away {
                why: "`gzip`: it is compressed while it is written, so a live log cannot be followed".to_owned(),
                repair: "take `gzip` out of this line; archived logs can be compressed when they are rotated, and \
                         `beacontail replay` reads them"
                    .to_owned(),
            };
        }
        if has("buffer") && !has("flush") {
            remarks.push(
                "`buffer=` without `flush=`: on a quiet site lines come late; add flush=10s"
                    .to_owned(),
            );
        }
        let path = below(self.prefix(), path);
        let stream = standard_stream(&path);
        let stream = stream.or_else(|| standard_stream(&self.tree.link(&path)?));
        if let Some(stream) = stream {
            return stream;
        }
        if path.contains('$') {
            remarks
                .push("the path has variables: what they stand for is matched by `*`".to_owned());
        }
        Destination::Files(pattern(&path))
    }
}

/// nginx' `syslog:server=…,facility=…,tag=…` (nginx manual, "Logging to syslog").
fn syslog(tree: &Tree, target: &str) -> Destination {
    let part = |name: &str| {
        let parts = target.split(',').filter_map(|part| part.split_once('='));
        let mut found = parts.filter(|(key, _)| *key == name);
        found.next().map(|(_, value)| value)
    };
    let server = part("server").unwrap_or_default();
    rsyslog::target(
        tree,
        server,
        part("tag").unwrap_or("nginx"),
        part("facility").unwrap_or("local7"),
    )
}

fn is_option(word: &str) -> bool {
    let name = word.split('=').next().unwrap_or_default();
    matches!(name, "buffer" | "gzip" | "flush" | "if")
}

fn shown(text: &str) -> crate::diagnostic::Untrusted<'_> {
    crate::diagnostic::Untrusted(text.as_bytes())
}

/// The pattern of a path with variables.
fn pattern(path: &str) -> String {
    let mut pattern = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('$') {
        pattern.push_str(&literal(before));
        let name = |text: &str| {
            let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            end.unwrap_or(text.len())
        };
        rest = match after.strip_prefix('{') {
            Some(braced) => braced.split_once('}').map_or("", |(_, rest)| rest),
            None => after.get(name(after)..).unwrap_or_default(),
        };
        if !pattern.ends_with('*') {
            pattern.push('*');
        }
    }
    pattern + &literal(rest)
}
