//! What a manual page says that the command line does not know: exit status, files, examples.
//!
//! Only words; which page they go to is the command's name. A command that is not here gets the
//! program's own exit status and an example that shows its help, so that no page lacks a section.

/// The words of one page.
pub(super) struct Texts {
    /// Paragraphs behind the description.
    pub(super) about: &'static [&'static str],
    /// Exit codes and what they mean.
    pub(super) exits: &'static [(&'static str, &'static str)],
    /// Variables of the environment.
    pub(super) environment: &'static [(&'static str, &'static str)],
    /// Paths and what is there.
    pub(super) files: &'static [(&'static str, &'static str)],
    /// A sentence, and the command line that does it.
    pub(super) examples: &'static [(&'static str, &'static str)],
    /// Related commands, without the program's name.
    pub(super) see: &'static [&'static str],
    /// Papers of the documentation.
    pub(super) papers: &'static [&'static str],
}

const EXITS: &[(&str, &str)] = &[
    ("0", "Done."),
    (
        "1",
        "An input could not be read, or what was printed is not complete.",
    ),
    (
        "2",
        "A mistake on the command line, in the configuration or in a parser file. All mistakes are shown, each at its place.",
    ),
];

const DAEMON_EXITS: &[(&str, &str)] = &[
    ("0", "Stopped, with everything committed."),
    ("1", "Something outside failed."),
    (
        "2",
        "A mistake in the configuration or in a parser file, or a store that cannot be used.",
    ),
    ("3", "Another process holds the store."),
    ("4", "The store was written by a newer version."),
];

const PLUGIN_EXITS: &[(&str, &str)] = &[
    ("0", "OK"),
    ("1", "WARNING"),
    ("2", "CRITICAL"),
    (
        "3",
        "UNKNOWN: stale or incomplete data, nobody to ask, a mistake in the arguments.",
    ),
];

const CONFIGURATION: (&str, &str) = (
    "/etc/beacontail/beacontail.toml",
    "The configuration. Every key is in configuration.md.",
);
const STORE: (&str, &str) = (
    "/var/lib/beacontail/store.db",
    "Positions in the logs, totals and minutes: one SQLite file.",
);
const GEO: (&str, &str) = (
    "/var/lib/GeoIP, /usr/share/GeoIP",
    "Where MaxMind databases are looked for when none is named.",
);
const COLOR: &[(&str, &str)] = &[("NO_COLOR", "When set, mistakes are shown without colours.")];

const COMMON: Texts = Texts {
    about: &[],
    exits: EXITS,
    environment: COLOR,
    files: &[],
    examples: &[],
    see: &[],
    papers: &["README.md", "configuration.md", "operating.md"],
};

/// The words for the page of that name.
pub(super) fn of(page: &str) -> Texts {
    match page.strip_prefix("beacontail-").unwrap_or_default() {
        "" => program(),
        "run" => run(),
        "once" => once(),
        "check-config" => check_config(),
        "check" => check(),
        "replay" => replay(),
        "explain" => explain(),
        "grep" => grep(),
        "init" => init(),
        "mark" => mark(),
        "kit" => kit(),
        "reports" => reports(),
        parsers => of_parsers(parsers),
    }
}

fn program() -> Texts {
    Texts {
        about: &[
            "Begin with beacontail-init(1), which writes a configuration for the web servers of this \
             host; or count an archive with beacontail-replay(1), which needs none.",
        ],
        files: &[CONFIGURATION, STORE, GEO],
        examples: &[
            (
                "Count what is in archived logs:",
                "beacontail replay /var/log/nginx/access.log*",
            ),
            (
                "Write a configuration for this host, check it, and start:",
                "beacontail init\nbeacontail check-config -c /etc/beacontail/beacontail.toml --as beacontail\nsystemctl enable --now beacontail",
            ),
        ],
        see: &["init", "replay", "run", "check", "parsers"],
        ..COMMON
    }
}

fn run() -> Texts {
    Texts {
        about: &[
            "SIGHUP reads the configuration again: a wrong one changes nothing. SIGTERM and SIGINT end \
             the process once all is committed. Under systemd it says when it is ready, and what it does.",
        ],
        exits: DAEMON_EXITS,
        environment: &[
            ("NAME", "Stands for ${NAME} in the configuration."),
            ("NO_COLOR", "When set, mistakes are shown without colours."),
            (
                "XDG_STATE_HOME",
                "Where an ordinary user's store is when no file names one.",
            ),
        ],
        files: &[CONFIGURATION, STORE, GEO],
        examples: &[
            (
                "As the service does:",
                "beacontail run --config /etc/beacontail/beacontail.toml",
            ),
            (
                "Follow a log without a configuration:",
                "beacontail run /var/log/nginx/access.log",
            ),
        ],
        see: &["check-config", "once", "init", "check"],
        ..COMMON
    }
}

fn once() -> Texts {
    Texts {
        exits: DAEMON_EXITS,
        files: &[CONFIGURATION, STORE],
        examples: &[(
            "Every minute from cron, for node_exporter:",
            "beacontail once -c /etc/beacontail/beacontail.toml --textfile /var/lib/node_exporter/beacontail.prom",
        )],
        see: &["run", "check-config"],
        ..COMMON
    }
}

fn check_config() -> Texts {
    Texts {
        files: &[CONFIGURATION],
        examples: &[
            (
                "Before a start, for the account that the service runs as:",
                "beacontail check-config -c /etc/beacontail/beacontail.toml --as beacontail",
            ),
            (
                "In a repository of configurations:",
                "beacontail check-config -c beacontail.toml --offline",
            ),
        ],
        see: &["run", "init"],
        papers: &["configuration.md", "operating.md"],
        ..COMMON
    }
}

fn check() -> Texts {
    Texts {
        about: &[
            "What is not known is never OK: stale, missing and incomplete data are UNKNOWN, each in words of its own. A \
             RANGE is that of the Monitoring Plugins: 10 is an alarm below 0 and above 10, 10: below 10, @10:20 from \
             10 to 20.",
            "Without --store, --prometheus and --graphite the agent of this host is asked.",
        ],
        exits: PLUGIN_EXITS,
        files: &[STORE],
        examples: &[
            (
                "Warn above 10 beacons in five minutes by any provider, critical above 50:",
                "beacontail check --metric cdn_failure_beacons_total --by provider --window 5m -w 10 -c 50",
            ),
            (
                "The same of the store, also when the agent is dead:",
                "beacontail check --store /var/lib/beacontail/store.db \\\n    --metric cdn_failure_beacons_total --by provider -w 10 -c 50",
            ),
            (
                "Share of 5xx by provider, for a whole site:",
                "beacontail check --prometheus http://prometheus.example.com:9090 --by provider -w 2 -c 5 \\\n    --ratio 'cdn_origin_requests_total{code=~\"5..\"}/cdn_origin_requests_total'",
            ),
        ],
        see: &["grep", "mark", "run"],
        papers: &["check.md", "alerts.md"],
        ..COMMON
    }
}

fn replay() -> Texts {
    Texts {
        files: &[GEO],
        examples: &[
            (
                "A day of compressed logs, as a table:",
                "beacontail replay /srv/logs/2026-11-21/",
            ),
            (
                "Beacons by POP in one hour, as CSV:",
                "beacontail replay access.log.gz --metric cdn_failure_beacons_by_pop_total \\\n    --since 2026-11-21T10:00Z --until 2026-11-21T11:00Z --output csv",
            ),
        ],
        see: &["explain", "grep", "parsers"],
        papers: &["replay.md", "rules.md"],
        ..COMMON
    }
}

fn explain() -> Texts {
    Texts {
        examples: &[(
            "Why is this line not counted?",
            "tail -n 1 access.log | beacontail explain",
        )],
        see: &["grep", "parsers-new"],
        papers: &["explain.md", "parsers.md"],
        ..COMMON
    }
}

fn grep() -> Texts {
    Texts {
        examples: &[(
            "The lines behind one provider's beacons at one POP:",
            "beacontail grep 'cdn_failure_beacons_by_pop_total{provider=\"fastly\",pop=\"IAD\"}' access.log",
        )],
        see: &["explain", "replay"],
        papers: &["explain.md"],
        ..COMMON
    }
}

fn init() -> Texts {
    Texts {
        about: &[
            "Reads the text of the configuration of nginx, Apache, HAProxy and Varnish below the root; runs no \
             program and changes no file of theirs. Says where each log is, which parser reads its format, which \
             facts the format lacks, and the line to change for them.",
        ],
        exits: &[
            ("0", "Written, or printed."),
            (
                "1",
                "No web server or no log to follow was found, or the file is there already: nothing was written.",
            ),
            ("2", "A mistake on the command line."),
        ],
        files: &[
            CONFIGURATION,
            (
                "/etc/beacontail/parsers",
                "Parser files for formats that no shipped parser has.",
            ),
            (
                "/etc/nginx/nginx.conf, /etc/apache2/apache2.conf, /etc/httpd/conf/httpd.conf, /etc/haproxy/haproxy.cfg",
                "What is read, with all that they include.",
            ),
        ],
        examples: &[
            ("Look first, write nothing:", "beacontail init --print"),
            (
                "With Graphite as an output:",
                "beacontail init --graphite graphite.example.com:2003 --prefix 'web.{host}'",
            ),
            (
                "The files of another host, mounted here:",
                "beacontail init --root /mnt/web1 --out web1.toml",
            ),
        ],
        see: &["check-config", "run", "parsers-new"],
        papers: &["init.md", "configuration.md", "parsers.md"],
        ..COMMON
    }
}

fn mark() -> Texts {
    Texts {
        about: &[
            "The store decides: once it has the mark, a Graphite or Grafana that cannot be reached costs nothing but \
             the exit status. Whoever calls it must be allowed to write the store.",
        ],
        exits: &[
            ("0", "Recorded, everywhere."),
            (
                "1",
                "In the store, and not in Graphite or Grafana; or the store failed.",
            ),
            (
                "2",
                "A mistake on the command line or in the configuration, or no store that this user may write.",
            ),
            ("4", "The store was written by a newer version."),
        ],
        files: &[CONFIGURATION, STORE],
        examples: &[
            (
                "From a deploy script:",
                "sudo -u beacontail beacontail mark \"deploy 1234\" --tag deploy",
            ),
            (
                "Ten minutes late:",
                "beacontail mark \"database failed over\" --at -10m",
            ),
        ],
        see: &["run", "check"],
        papers: &["api.md", "configuration.md"],
        ..COMMON
    }
}

fn kit() -> Texts {
    Texts {
        about: &[
            "README.md in the folder says what to paste where, and how to see that it works. A kit is written whole \
             or not at all; a folder that is no kit is never touched.",
        ],
        exits: &[
            ("0", "Written."),
            ("1", "The folder cannot be written."),
            (
                "2",
                "A mistake on the command line, or the folder is there already.",
            ),
        ],
        examples: &[
            (
                "For one provider, with the pixel on a host that is not behind it:",
                "beacontail kit --provider fastly --pixel-host px.example.net --out kit",
            ),
            (
                "For all of them, in three languages:",
                "beacontail kit --provider all --pixel-host px.example.net --languages en,de,fr --out kits",
            ),
        ],
        see: &["reports"],
        papers: &["kit.md"],
        ..COMMON
    }
}

fn reports() -> Texts {
    Texts {
        about: &[
            "Browsers post to HTTPS only: name a certificate with --web-config, or put a TLS server in front. SIGHUP opens \
             the log anew, for who has renamed it; SIGTERM and SIGINT end the process.",
        ],
        exits: &[
            ("0", "Stopped."),
            ("1", "Something outside failed."),
            (
                "2",
                "A mistake on the command line, or a log or an address that cannot be had.",
            ),
            ("3", "Another collector writes the log."),
        ],
        files: &[
            (
                "/var/log/beacontail/nel.log",
                "The log of the service beacontail-reports.",
            ),
            ("/etc/default/beacontail-reports", "OPTIONS of the service."),
        ],
        examples: &[(
            "Behind a TLS server on this host:",
            "beacontail reports --log /var/log/beacontail/nel.log --allow-origin-host www.example.com",
        )],
        see: &["kit", "run"],
        papers: &["reports.md"],
        ..COMMON
    }
}

fn of_parsers(command: &str) -> Texts {
    let (examples, see): (&'static [_], &'static [_]) = match command {
        "parsers" => (
            &[("What there is:", "beacontail parsers list")],
            &["explain"],
        ),
        "parsers-list" => (
            &[(
                "With those of a folder:",
                "beacontail parsers list --parsers ./mine",
            )],
            &["parsers-show"],
        ),
        "parsers-show" => (
            &[(
                "With everything it inherits:",
                "beacontail parsers show nginx-cdn --flat",
            )],
            &["parsers-list"],
        ),
        "parsers-test" => (
            &[("One file:", "beacontail parsers test ./mine/shop.toml")],
            &["parsers-lint", "parsers-new"],
        ),
        "parsers-new" => (
            &[
                (
                    "From the lines alone:",
                    "beacontail parsers new access.log -o shop.toml",
                ),
                (
                    "With nginx's own words:",
                    "beacontail parsers new access.log --nginx-conf /etc/nginx/nginx.conf -o shop.toml",
                ),
            ],
            &["parsers-test", "init"],
        ),
        "parsers-lint" => (
            &[("One file:", "beacontail parsers lint ./mine/shop.toml")],
            &["parsers-test"],
        ),
        "parsers-cost" => (
            &[(
                "Before it is used:",
                "beacontail parsers cost ./mine/shop.toml access.log",
            )],
            &["parsers-diff"],
        ),
        "parsers-diff" => (
            &[(
                "What a change changes:",
                "beacontail parsers diff nginx-combined ./mine/shop.toml access.log",
            )],
            &["parsers-cost"],
        ),
        _ => (&[("The commands:", "beacontail --help")], &[]),
    };
    Texts {
        examples,
        see,
        papers: &["parsers.md", "authors.md", "rules.md"],
        ..COMMON
    }
}
