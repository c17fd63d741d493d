//! The configuration of a daemon under test: short times, everything in the test's own folder.

use std::path::Path;

/// Sections with their keys, values as TOML text.
#[derive(Clone)]
pub(crate) struct Config {
    sections: Vec<(String, Vec<(String, String)>)>,
    /// Keys before any section.
    head: String,
    /// Further text at the end: more logs, more outputs.
    pub(crate) extra: String,
}

/// A string as TOML text.
pub(crate) fn quoted(text: impl AsRef<Path>) -> String {
    let text = text.as_ref().to_str().unwrap();
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

impl Config {
    /// One log, followed from its start; no output.
    pub(crate) fn new(folder: &Path, log: &Path) -> Config {
        let mut config = Config {
            sections: Vec::new(),
            head: String::new(),
            extra: String::new(),
        };
        for (key, value) in [
            ("agent.flush", "50ms"),
            ("agent.poll", "50ms"),
            ("agent.idle", "200ms"),
            ("agent.allowed_lateness", "0s"),
            ("agent.max_lateness", "7d"),
            ("agent.exclude_lag", "2h"),
            ("agent.rotate_wait", "200ms"),
            ("http.listen", "127.0.0.1:0"),
            ("status.listen", ""),
            ("[log].name", "access"),
            ("[log].parser", "nginx-cdn"),
            ("[log].from", "start"),
        ] {
            config.set(key, quoted(value));
        }
        config.set("store.path", quoted(folder.join("state/store.db")));
        config.set("[log].path", quoted(log));
        config
    }

    /// Adds the parser files of this folder.
    pub(crate) fn parsers(&mut self, folder: &Path) {
        self.head = format!("parsers = [{}]\n", quoted(folder));
    }

    /// Sends to this carbon, impatiently.
    pub(crate) fn graphite(&mut self, address: &str) {
        for (key, value) in [
            ("type", "graphite"),
            ("name", "carbon"),
            ("address", address),
            ("prefix", super::truth::PREFIX),
            ("connect_timeout", "500ms"),
            ("write_timeout", "500ms"),
            ("ack_timeout", "500ms"),
            ("retry", "50ms"),
        ] {
            self.set(&format!("[output].{key}"), quoted(value));
        }
        self.set("[output].settle", r#"["100ms", "300ms", "1s"]"#.to_owned());
    }

    /// Sets `section.key` or, in the first log or output, `[log].key`, to TOML text.
    pub(crate) fn set(&mut self, name: &str, value: String) {
        let (section, key) = name.split_once('.').expect("a section and a key");
        let at = self.sections.iter().position(|(name, _)| name == section);
        let at = at.unwrap_or_else(|| {
            self.sections.push((section.to_owned(), Vec::new()));
            self.sections.len() - 1
        });
        let keys = &mut self.sections[at].1;
        keys.retain(|(name, _)| name != key);
        keys.push((key.to_owned(), value));
    }

    /// Takes a key away, so that its default holds.
    pub(crate) fn unset(&mut self, name: &str) {
        let (section, key) = name.split_once('.').expect("a section and a key");
        for (name, keys) in &mut self.sections {
            if name == section {
                keys.retain(|(name, _)| name != key);
            }
        }
    }

    /// The file's text.
    pub(crate) fn text(&self) -> String {
        let mut text = self.head.clone();
        for (section, keys) in &self.sections {
            text.push_str(&format!("[{section}]\n"));
            for (key, value) in keys {
                text.push_str(&format!("{key} = {value}\n"));
            }
        }
        text.push_str(&self.extra);
        text
    }
}

#[test]
fn a_key_is_written_once_in_its_section() {
    let mut config = Config::new(Path::new("/x"), Path::new("/x/a\"b.log"));
    config.graphite("127.0.0.1:2003");
    config.set("agent.flush", quoted("1s"));
    config.set("limits.series_per_metric", "10".to_owned());
    config.unset("agent.poll");
    let text = config.text();
    assert_eq!(text.matches("flush = ").count(), 1, "{text}");
    assert!(
        text.contains("flush = \"1s\"\n") && !text.contains("poll ="),
        "{text}"
    );
    assert!(text.contains("path = \"/x/a\\\"b.log\"\n"), "{text}");
    assert!(
        text.contains("[limits]\nseries_per_metric = 10\n"),
        "{text}"
    );
    assert!(text.contains("[[output]]\ntype = \"graphite\"\n"), "{text}");
}

/// What the agent's user may not read is found out before the agent runs as that user.
#[test]
fn check_config_looks_at_every_file_that_the_user_must_read() {
    if !super::scene::is_root() {
        return;
    }
    let scene = super::scene::Scene::new();
    let list = scene.folder().join("proxies.txt");
    std::fs::write(&list, "10.0.0.0/8\n").unwrap();
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&list, closed).unwrap();
    let mut config = scene.agent.config.clone();
    let proxies = format!("[{}]", quoted(&list));
    config.set("geoip.trusted_proxies", proxies.clone());
    let path = scene.agent.config_path();
    std::fs::write(&path, config.text()).unwrap();
    let path = path.to_str().unwrap();
    let ran = crate::program::run(&["check-config", "-c", path, "--as", "nobody"]).exits(2);
    assert!(ran.err.contains("trusted_proxies = ["), "{}", ran.err);
}

/// Continuous integration has neither databases nor lists of addresses.
#[test]
fn check_config_offline_needs_no_file_but_its_own() {
    let scene = super::scene::Scene::new();
    let mut config = scene.agent.config.clone();
    config.set("geoip.database", quoted("/no/such/City.mmdb"));
    config.set(
        "geoip.trusted_proxies",
        "[\"/no/such/list\", \"providers\"]".to_owned(),
    );
    config.set("providers.fastly", quoted("/no/such/ranges"));
    let path = scene.agent.config_path();
    std::fs::write(&path, config.text()).unwrap();
    let path = path.to_str().unwrap();
    let ran = crate::program::run(&["check-config", "-c", path, "--offline"]).exits(0);
    for file in ["/no/such/City.mmdb", "/no/such/list", "/no/such/ranges"] {
        assert!(
            ran.err.contains(&format!("{file} is not here")),
            "{}",
            ran.err
        );
    }
    crate::program::run(&["check-config", "-c", path]).exits(2);
}
