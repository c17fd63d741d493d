//! Varnish: the command line of `varnishncsa`, in its systemd unit or in the file of defaults that start
//! scripts read (varnishncsa(1), systemd.service(5), "Command lines").
//!
//! Invariant: the last `ExecStart=` of the unit that systemd would take is the one that counts; `%%` in a unit is a
//! plain `%`. The unit is not run and systemd is not asked.

use super::found::{AccessLog, Destination, Layout, Server, Spot, Survey, literal};
use super::tree::{Kind, Tree};

/// Folders of units, the first wins.
const UNITS: [&str; 3] = [
    "/etc/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// Files with options for start scripts, and the variable.
const DEFAULTS: [(&str, &str); 2] = [
    ("/etc/default/varnishncsa", "DAEMON_OPTS"),
    ("/etc/sysconfig/varnishncsa", "DAEMON_OPTS"),
];

/// The layout when no `-F` is given.
pub(super) const USUAL: &str = "%h %l %u %t \"%r\" %s %b \"%{Referer}i\" \"%{User-agent}i\"";

/// Adds what varnishncsa is told.
pub(super) fn survey(tree: &Tree, survey: &mut Survey) {
    for folder in UNITS {
        survey.looked.push(format!("{folder}/varnishncsa.service"));
    }
    let Some((spot, source, words)) = command(tree) else {
        survey.looked.push("/etc/varnish".to_owned());
        if tree.kind("/etc/varnish") == Some(Kind::Folder) {
            survey.has(Server::Varnish);
            survey.remark(
                "Varnish is here, and nothing that logs its requests: varnishncsa does".to_owned(),
            );
        }
        return;
    };
    survey.has(Server::Varnish);
    let mut remarks = Vec::new();
    let layout = layout(tree, &spot, &source, &words, &mut remarks);
    if !is_enabled(tree) {
        remarks.push("varnishncsa is not enabled: systemctl enable --now varnishncsa".to_owned());
    }
    if option(&words, 'q').is_some() {
        remarks.push(
            "`-q`: only transactions that the query selects are in the log, and counted".to_owned(),
        );
    }
    let destination = match option(&words, 'w') {
        Some("-") | None => Destination::Away {
            why: "without `-w` they go to the journal".to_owned(),
            repair: "varnishncsa -a -w /var/log/varnish/varnishncsa.log".to_owned(),
        },
        Some(path) if path.starts_with('/') => Destination::Files(literal(path)),
        Some(_) => Destination::Away {
            why: "the path behind `-w` is not absolute".to_owned(),
            repair: "varnishncsa -a -w /var/log/varnish/varnishncsa.log".to_owned(),
        },
    };
    survey.add(AccessLog {
        server: Server::Varnish,
        spot,
        source,
        destination,
        layout,
        remarks,
    });
}

/// The command line, its place, and its words.
fn command(tree: &Tree) -> Option<(Spot, String, Vec<String>)> {
    unit(tree).or_else(|| {
        DEFAULTS
            .iter()
            .find_map(|(file, variable)| default(tree, file, variable))
    })
}

/// `ExecStart=` of the unit and of the files that add to it.
fn unit(tree: &Tree) -> Option<(Spot, String, Vec<String>)> {
    let files = UNITS
        .iter()
        .map(|folder| format!("{folder}/varnishncsa.service"));
    let main = files
        .into_iter()
        .find(|file| tree.kind(file) == Some(Kind::File))?;
    let mut files = vec![main];
    for folder in UNITS.iter().rev() {
        files.extend(tree.matching(&format!("{folder}/varnishncsa.service.d/*.conf")));
    }
    let mut found = None;
    for file in files {
        let text = tree.read(&file).unwrap_or_default();
        for (line, statement) in lines(&text) {
            let Some(command) = statement.strip_prefix("ExecStart=") else {
                continue;
            };
            let spot = Spot {
                file: file.clone(),
                line,
            };
            let words = unit_words(command.trim_start_matches(['-', '@', ':', '+', '!']));
            found = (!command.trim().is_empty()).then(|| (spot, statement.clone(), words));
        }
    }
    found.filter(|(_, _, words)| {
        words
            .first()
            .is_some_and(|word| word.ends_with("varnishncsa"))
    })
}

/// The options of a start script, which is asked only where there is no unit.
fn default(tree: &Tree, file: &str, variable: &str) -> Option<(Spot, String, Vec<String>)> {
    let text = tree.read(file).ok()?;
    let (line, statement) = lines(&text)
        .into_iter()
        .rfind(|(_, line)| line.starts_with(variable))?;
    let value = statement
        .strip_prefix(variable)?
        .trim_start()
        .strip_prefix('=')?;
    let value = value.trim().trim_matches('"').replace("\\\"", "\"");
    let value = value.replace("${LOGFILE}", "/var/log/varnish/varnishncsa.log");
    let value = value.replace("$LOGFILE", "/var/log/varnish/varnishncsa.log");
    Some((
        Spot {
            file: file.to_owned(),
            line,
        },
        statement,
        words(&value),
    ))
}

/// Lines joined at backslashes, comments left out.
fn lines(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let (mut whole, mut first) = (String::new(), None);
    for (number, line) in text.lines().enumerate() {
        let start = *first.get_or_insert(number + 1);
        let line = line.trim();
        if let Some(part) = line.strip_suffix('\\') {
            whole.push_str(part);
            whole.push(' ');
            continue;
        }
        whole.push_str(line);
        if !whole.starts_with(['#', ';']) && !whole.is_empty() {
            found.push((start, whole.clone()));
        }
        whole.clear();
        first = None;
    }
    found
}

/// Words of a unit's command line, with `%%` for `%` and `$$` for `$`.
fn unit_words(text: &str) -> Vec<String> {
    let plain = |word: String| word.replace("%%", "%").replace("$$", "$");
    words(text).into_iter().map(plain).collect()
}

/// Words in quotes of either kind; a backslash keeps what is behind it but for what is written as `\t` and the like.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (_, '\\') => match letters.next_if(|next| matches!(next, '"' | '\'' | '\\' | ' ')) {
                Some(next) => word.get_or_insert_default().push(next),
                None => word.get_or_insert_default().push('\\'),
            },
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (_, letter) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// The value behind `-X`, or in the same word.
fn option(words: &[String], letter: char) -> Option<&str> {
    let flag = format!("-{letter}");
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if let Some(rest) = word.strip_prefix(&flag) {
            return if rest.is_empty() {
                words.next().map(String::as_str)
            } else {
                Some(rest)
            };
        }
    }
    None
}

fn layout(
    tree: &Tree,
    spot: &Spot,
    source: &str,
    words: &[String],
    remarks: &mut Vec<String>,
) -> Option<Layout> {
    let own = |pasted: String, spot: Option<Spot>| Layout {
        name: "log".to_owned(),
        pasted,
        spot,
        source: source.to_owned(),
    };
    if let Some(text) = option(words, 'F') {
        return Some(own(text.to_owned(), Some(spot.clone())));
    }
    if let Some(file) = option(words, 'f') {
        return match tree.read(file) {
            Ok(text) => {
                let text = text.lines().next().unwrap_or_default().to_owned();
                Some(own(
                    text,
                    Some(Spot {
                        file: file.to_owned(),
                        line: 1,
                    }),
                ))
            }
            Err(_) => {
                remarks.push(format!(
                    "the format's file {} was not read",
                    crate::diagnostic::Untrusted(file.as_bytes())
                ));
                None
            }
        };
    }
    Some(own(USUAL.to_owned(), None))
}

/// Whether the unit is started with the host.
fn is_enabled(tree: &Tree) -> bool {
    let folder = "/etc/systemd/system";
    let mut wants = tree
        .list(folder)
        .into_iter()
        .filter(|name| name.ends_with(".wants"));
    wants.any(|name| {
        tree.link(&format!("{folder}/{name}/varnishncsa.service"))
            .is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_units_command_line_is_read_as_systemd_reads_it() {
        let words = unit_words(
            r#"/usr/bin/varnishncsa -a -w /var/log/v.log -F '%%h "%%r" %%{X-CDN-Provider}i' -D"#,
        );
        assert_eq!(option(&words, 'F'), Some(r#"%h "%r" %{X-CDN-Provider}i"#));
        assert_eq!(option(&words, 'w'), Some("/var/log/v.log"));
        assert_eq!(option(&words, 'q'), None);
        let words = unit_words(r#"varnishncsa -F "%%h \"%%r\"""#);
        assert_eq!(option(&words, 'F'), Some(r#"%h "%r""#));
        assert_eq!(lines("# a\nB=1 \\\n 2\n;c\n"), [(2, "B=1  2".to_owned())]);
    }
}
