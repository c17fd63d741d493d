//! The line to change so that a log tells what it lacks: as it stands, and as it would have to be.
//!
//! Invariant: what is behind the last field of a format stays where it is; facts are added at the end, so that whoever
//! else reads the log goes on. Nothing is edited.

use super::choose::Facts;
use super::found::{AccessLog, Layout, Server, Spot};
use super::nginx::COMBINED;

/// A change that a person makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// Where.
    pub(super) spot: Spot,
    /// What stands there; empty for nothing.
    pub(super) old: Vec<String>,
    /// What has to.
    pub(super) new: Vec<String>,
    /// How the server takes it.
    pub(super) then: &'static str,
}

/// The change that adds what is missing; `None` when nothing is, or when the place for it is not known.
pub(super) fn change(log: &AccessLog, facts: Facts) -> Option<Change> {
    let layout = log.layout.as_ref()?;
    if facts.missing().is_empty() || !facts.request {
        return None;
    }
    match log.server {
        Server::Nginx => nginx(log, layout, facts),
        Server::Apache => apache(log, layout, facts),
        Server::Haproxy => haproxy(log, layout, facts),
        Server::Varnish => varnish(log, layout, facts),
    }
}

/// The words of a server for each missing fact, in the order of the shipped `nginx-cdn`.
fn words<'w>(
    facts: Facts,
    provider: &'w str,
    duration: &'w str,
    forwarded: &'w str,
) -> Vec<&'w str> {
    let all = [
        (facts.provider, provider),
        (facts.duration, duration),
        (facts.forwarded, forwarded),
    ];
    let missing = all
        .into_iter()
        .filter(|(is_there, word)| !is_there && !word.is_empty());
    missing.map(|(_, word)| word).collect()
}

fn lines(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

fn nginx(log: &AccessLog, layout: &Layout, facts: Facts) -> Option<Change> {
    let then = "nginx -t && nginx -s reload";
    let more = words(
        facts,
        "\"$http_x_cdn_provider\"",
        "$request_time",
        "\"$http_x_forwarded_for\"",
    )
    .join(" ");
    let Some(spot) = &layout.spot else {
        // The server's own format cannot be changed: a new one, and the log told to use it.
        let path = log
            .source
            .split_whitespace()
            .nth(1)
            .unwrap_or("/var/log/nginx/access.log")
            .trim_end_matches(';');
        let mut new = vec!["# in http { }".to_owned()];
        new.push(format!("log_format beacontail '{COMBINED} {more}';"));
        if !log.source.is_empty() {
            new.push("# in place of the line above".to_owned());
        }
        let options: Vec<&str> = log.source.split_whitespace().skip(3).collect();
        let options = options
            .iter()
            .map(|word| format!(" {}", word.trim_end_matches(';')));
        new.push(format!(
            "access_log {path} beacontail{};",
            options.collect::<String>()
        ));
        return Some(Change {
            spot: log.spot.clone(),
            old: lines(&log.source),
            new,
            then,
        });
    };
    let body = layout.source.strip_suffix(';')?.trim_end();
    let new = match in_json(body) {
        Some((before, after, quote)) => {
            let members = [
                (facts.provider, "http_x_cdn_provider"),
                (facts.duration, "request_time"),
                (facts.forwarded, "http_x_forwarded_for"),
            ];
            format!("{before}{}{after};", json_members(&members, "$", "", quote))
        }
        None => format!("{body}\n    ' {more}';"),
    };
    Some(Change {
        spot: spot.clone(),
        old: lines(&layout.source),
        new: lines(&new),
        then,
    })
}

/// What is before and behind the place of a new member, when a quoted text ends as a JSON object does.
fn in_json(body: &str) -> Option<(&str, &str, char)> {
    let quote = body
        .chars()
        .last()
        .filter(|letter| matches!(letter, '"' | '\''))?;
    let inside = body.strip_suffix(quote)?.trim_end();
    let members = inside.strip_suffix('}')?;
    Some((members, body.get(members.len()..)?, quote))
}

/// `,"name":"$name"` for each that is missing; in double quotes with backslashes.
fn json_members(members: &[(bool, &str)], sign: &str, end: &str, quote: char) -> String {
    let mark = if quote == '"' { "\\\"" } else { "\"" };
    let missing = members.iter().filter(|(is_there, _)| !is_there);
    let member = |name: &str| format!(",{mark}{name}{mark}:{mark}{sign}{name}{end}{mark}");
    missing.map(|(_, name)| member(name)).collect()
}

fn apache(log: &AccessLog, layout: &Layout, facts: Facts) -> Option<Change> {
    let then = "apachectl configtest && apachectl graceful";
    let headers = |mark: &str| {
        (
            format!("{mark}%{{X-CDN-Provider}}i{mark}"),
            format!("{mark}%{{X-Forwarded-For}}i{mark}"),
        )
    };
    let Some(spot) = &layout.spot else {
        let (provider, forwarded) = headers("\\\"");
        let more = words(facts, &provider, "%D", &forwarded).join(" ");
        let path = log.source.split_whitespace().nth(1)?;
        let text = layout.pasted.strip_suffix('"')?;
        let new = vec![
            format!("{text} {more}\" beacontail"),
            format!("CustomLog {path} beacontail"),
        ];
        return Some(Change {
            spot: log.spot.clone(),
            old: lines(&log.source),
            new,
            then,
        });
    };
    let source = &layout.source;
    let at = source.rfind(['"', '\''])?;
    let (before, after) = source.split_at(at);
    let mark = if after.starts_with('"') { "\\\"" } else { "\"" };
    let new = if before.trim_end().ends_with('}') && before.contains("{\\\"") {
        let at = before.rfind('}')?;
        let (members, end) = before.split_at(at);
        let all = [
            (facts.provider, "http_x_cdn_provider", "%{X-CDN-Provider}i"),
            (facts.duration, "request_time_us", "%D"),
            (
                facts.forwarded,
                "http_x_forwarded_for",
                "%{X-Forwarded-For}i",
            ),
        ];
        let missing = all.iter().filter(|(is_there, _, _)| !is_there);
        let added =
            missing.map(|(_, name, word)| format!(",{mark}{name}{mark}:{mark}{word}{mark}"));
        format!("{members}{}{end}{after}", added.collect::<String>())
    } else {
        let (provider, forwarded) = headers(mark);
        let more = words(facts, &provider, "%D", &forwarded).join(" ");
        format!("{before} {more}{after}")
    };
    Some(Change {
        spot: spot.clone(),
        old: lines(source),
        new: lines(&new),
        then,
    })
}

fn haproxy(log: &AccessLog, layout: &Layout, facts: Facts) -> Option<Change> {
    let captures = words(
        Facts {
            duration: true,
            ..facts
        },
        "    capture request header X-CDN-Provider len 32",
        "",
        "    capture request header X-Forwarded-For len 128",
    );
    let mut new = Vec::new();
    if log.source.starts_with("defaults") {
        // `capture` stands in no `defaults` (manual, section 4.2).
        new.push("# in each frontend".to_owned());
    } else {
        new.push(log.source.clone());
    }
    new.extend(captures.iter().map(|line| (*line).to_owned()));
    if layout.source.starts_with("log-format") {
        let duration = if facts.duration { "" } else { " %Ta" };
        let list = if captures.is_empty() || layout.source.contains("%hr") {
            ""
        } else {
            " %hr"
        };
        let line = match layout.source.rfind(['"', '\'']) {
            Some(at) => {
                let (before, after) = layout.source.split_at(at);
                format!("{before}{duration}{list}{after}")
            }
            None => format!(
                "{}{}{}",
                layout.source,
                duration.replace(' ', "\\ "),
                list.replace(' ', "\\ ")
            ),
        };
        new.push(format!("    {line}"));
    }
    let old = if log.source.starts_with("defaults") {
        Vec::new()
    } else {
        vec![log.source.clone()]
    };
    Some(Change {
        spot: log.spot.clone(),
        old,
        new,
        then: "haproxy -c -f /etc/haproxy/haproxy.cfg && systemctl reload haproxy",
    })
}

fn varnish(log: &AccessLog, layout: &Layout, facts: Facts) -> Option<Change> {
    let more = words(
        facts,
        "\"%{X-CDN-Provider}i\"",
        "%D",
        "\"%{X-Forwarded-For}i\"",
    )
    .join(" ");
    let is_unit = log.source.starts_with("ExecStart=");
    let doubled = |text: &str| {
        if is_unit {
            text.replace('%', "%%")
        } else {
            text.to_owned()
        }
    };
    let command = if layout.spot.is_none() {
        format!(
            "{} -F '{} {}'",
            log.source,
            doubled(&layout.pasted),
            doubled(&more)
        )
    } else {
        // Where the text is written with other escapes, there is no place that is surely right.
        let text = doubled(&layout.pasted);
        let end = log.source.find(&text)? + text.len();
        let (before, after) = log.source.split_at_checked(end)?;
        format!("{before} {}{after}", doubled(&more))
    };
    let mut new = Vec::new();
    if is_unit {
        new.extend(["# systemctl edit varnishncsa", "[Service]", "ExecStart="].map(str::to_owned));
    }
    new.push(command);
    Some(Change {
        spot: log.spot.clone(),
        old: lines(&log.source),
        new,
        then: "systemctl restart varnishncsa",
    })
}

#[cfg(test)]
mod tests {
    use super::super::found::Destination;
    use super::*;

    const NOTHING: Facts = Facts {
        request: true,
        provider: false,
        forwarded: false,
        duration: false,
    };

    fn log(server: Server, source: &str, layout: &str, is_own: bool) -> AccessLog {
        let spot = Spot {
            file: "/x".to_owned(),
            line: 7,
        };
        AccessLog {
            server,
            spot: spot.clone(),
            source: source.to_owned(),
            destination: Destination::Files("/l".to_owned()),
            layout: Some(Layout {
                name: "main".to_owned(),
                pasted: layout.to_owned(),
                spot: (!is_own).then_some(spot),
                source: layout.to_owned(),
            }),
            remarks: Vec::new(),
        }
    }

    #[track_caller]
    fn changed(log: &AccessLog, facts: Facts) -> String {
        change(log, facts).unwrap().new.join("\n")
    }

    #[test]
    fn nginx_formats_get_the_facts_at_their_end() {
        let text = log(Server::Nginx, "", "log_format main '$a'\n  '$b';", false);
        assert_eq!(
            changed(&text, NOTHING),
            "log_format main '$a'\n  '$b'\n    ' \"$http_x_cdn_provider\" $request_time \"$http_x_forwarded_for\"';"
        );
        let some = Facts {
            provider: true,
            duration: true,
            ..NOTHING
        };
        let json = log(
            Server::Nginx,
            "",
            "log_format j escape=json '{\"a\":\"$a\"}';",
            false,
        );
        assert_eq!(
            changed(&json, some),
            "log_format j escape=json '{\"a\":\"$a\",\"http_x_forwarded_for\":\"$http_x_forwarded_for\"}';"
        );
        let own = log(
            Server::Nginx,
            "access_log /l combined buffer=8k;",
            COMBINED,
            true,
        );
        let new = changed(&own, some);
        assert!(
            new.ends_with("access_log /l beacontail buffer=8k;"),
            "{new}"
        );
        assert_eq!(
            change(
                &own,
                Facts {
                    request: true,
                    provider: true,
                    forwarded: true,
                    duration: true
                }
            ),
            None
        );
    }

    #[test]
    fn apache_formats_get_them_inside_their_quotes() {
        let text = log(Server::Apache, "", r#"LogFormat "%h \"%r\"" main"#, false);
        assert_eq!(
            changed(&text, NOTHING),
            r#"LogFormat "%h \"%r\" \"%{X-CDN-Provider}i\" %D \"%{X-Forwarded-For}i\"" main"#
        );
        let json = log(
            Server::Apache,
            "",
            r#"LogFormat "{\"a\":\"%h\"}" main"#,
            false,
        );
        let some = Facts {
            provider: true,
            forwarded: true,
            ..NOTHING
        };
        assert_eq!(
            changed(&json, some),
            r#"LogFormat "{\"a\":\"%h\",\"request_time_us\":\"%D\"}" main"#
        );
    }

    #[test]
    fn haproxy_captures_headers_and_varnish_doubles_its_percents() {
        let facts = Facts {
            duration: true,
            ..NOTHING
        };
        let text = log(Server::Haproxy, "frontend web", "option httplog", false);
        assert_eq!(
            changed(&text, facts),
            "frontend web\n    capture request header X-CDN-Provider len 32\n    capture request header X-Forwarded-For len 128"
        );
        let own = log(
            Server::Haproxy,
            "frontend web",
            "log-format \"%ci %r\"",
            false,
        );
        assert!(changed(&own, NOTHING).ends_with("\n    log-format \"%ci %r %Ta %hr\""));
        let unit = log(
            Server::Varnish,
            "ExecStart=varnishncsa -F '%%h %%r' -D",
            "%h %r",
            false,
        );
        assert!(changed(&unit, facts).ends_with(
            "ExecStart=\nExecStart=varnishncsa -F '%%h %%r \"%%{X-CDN-Provider}i\" \"%%{X-Forwarded-For}i\"' -D"
        ));
    }
}
