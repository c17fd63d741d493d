//! Where a program writes that takes Apache's log through a pipe: `rotatelogs` (rotatelogs(8)) and `cronolog` name their
//! files, others do not.
//!
//! Invariant: no program is run; what is not understood is said to be away.

use super::apache::words;
use super::found::{Destination, literal};

/// Where a program behind a pipe writes: `rotatelogs` and `cronolog` name their files.
pub(super) fn piped(command: &str) -> Destination {
    let command = command.trim_start_matches(['|', '$']).trim();
    let words = words(command);
    let program = words
        .first()
        .map(|word| word.rsplit('/').next().unwrap_or_default());
    let names = match program {
        Some("rotatelogs" | "rotatelogs2") => rotated(words.get(1..).unwrap_or_default()),
        Some("cronolog") => operand(
            words.get(1..).unwrap_or_default(),
            &["-S", "-p", "-x", "-d"],
        )
        .map(|path| dated(&path)),
        _ => None,
    };
    names.map_or_else(
        || Destination::Away {
            why: "a program behind a pipe takes them".to_owned(),
            repair: "add a second log, to a file: CustomLog /var/log/apache2/access.log combined"
                .to_owned(),
        },
        Destination::Files,
    )
}

/// The pattern of rotatelogs' files (rotatelogs(8)): a date in the name, or a number behind it.
fn rotated(words: &[String]) -> Option<String> {
    let path = operand(words, &["-L", "-p", "-n"])?;
    if words.iter().any(|word| word == "-n") || path.contains('%') {
        return Some(dated(&path));
    }
    Some(format!("{}.*", literal(&path)))
}

/// The first absolute path that is not an option's value.
fn operand(words: &[String], with_value: &[&str]) -> Option<String> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if with_value.contains(&word.as_str()) {
            words.next();
        } else if !word.starts_with('-') {
            return word.starts_with('/').then(|| word.clone());
        }
    }
    None
}

/// The pattern of a path with strftime conversions.
fn dated(path: &str) -> String {
    let mut pattern = String::new();
    let mut letters = path.chars();
    let mut plain = String::new();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            plain.push(letter);
            continue;
        }
        let conversion = letters.next();
        if conversion == Some('%') {
            plain.push('%');
            continue;
        }
        pattern.push_str(&literal(&plain));
        plain.clear();
        if !pattern.ends_with('*') {
            pattern.push('*');
        }
    }
    pattern + &literal(&plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipes_to_rotatelogs_and_cronolog_are_patterns() {
        let files = |pattern: &str| Destination::Files(pattern.to_owned());
        for (command, pattern) in [
            (
                "/usr/bin/rotatelogs -l /var/log/a.%Y%m%d.log 86400",
                "/var/log/a.*.log",
            ),
            ("bin/rotatelogs /var/log/a.log 5M", "/var/log/a.log.*"),
            (
                "rotatelogs -L /var/log/link -n 5 /var/log/a.log 86400",
                "/var/log/a.log",
            ),
            (
                "$/usr/bin/cronolog -S /x /var/log/%Y/%m/a.log",
                "/var/log/*/*/a.log",
            ),
        ] {
            assert_eq!(piped(command), files(pattern), "{command}");
        }
        assert!(matches!(
            piped("/usr/bin/logger -t x"),
            Destination::Away { .. }
        ));
        assert!(matches!(piped(""), Destination::Away { .. }));
    }
}
