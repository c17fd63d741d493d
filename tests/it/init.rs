//! `init`: what it makes of the configurations of distributions, of projects, and of nobody's.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;

use crate::program::{Ran, run};

/// A host made of these files.
fn host(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        put(&folder.path().join("root"), path, text);
    }
    fs::create_dir_all(folder.path().join("root")).unwrap();
    folder
}

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn at(folder: &TempDir, path: &str) -> String {
    folder.path().join(path).to_string_lossy().into_owned()
}

fn init(folder: &TempDir, more: &[&str]) -> Ran {
    let (root, out) = (at(folder, "root"), at(folder, "out/beacontail.toml"));
    let mut args = vec!["init", "--root", &root, "--out", &out];
    args.extend(more);
    run(&args)
}

/// The configuration that comes of it, after `check-config` took it, and the report.
#[track_caller]
fn written(folder: &TempDir) -> (String, String) {
    let told = init(folder, &[]).exits(0).text();
    let out = at(folder, "out/beacontail.toml");
    run(&["check-config", "--offline", "--config", &out]).exits(0);
    (fs::read_to_string(out).unwrap(), told)
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

const DEBIAN_NGINX: &str = "user www-data;\nerror_log /var/log/nginx/error.log;\ninclude /etc/nginx/modules-enabled/*.conf;\n\
    events { worker_connections 768; }\nhttp {\n    include /etc/nginx/mime.types;\n    access_log /var/log/nginx/access.log;\n\
    \tinclude /etc/nginx/conf.d/*.conf;\n\tinclude /etc/nginx/sites-enabled/*;\n}\n";

const DEBIAN_APACHE: &str = "ErrorLog ${APACHE_LOG_DIR}/error.log\nIncludeOptional mods-enabled/*.load\nInclude ports.conf\n\
    LogFormat \"%v:%p %h %l %u %t \\\"%r\\\" %>s %O \\\"%{Referer}i\\\" \\\"%{User-Agent}i\\\"\" vhost_combined\n\
    LogFormat \"%h %l %u %t \\\"%r\\\" %>s %O \\\"%{Referer}i\\\" \\\"%{User-Agent}i\\\"\" combined\n\
    LogFormat \"%{Referer}i -> %U\" referer\nIncludeOptional conf-enabled/*.conf\nIncludeOptional sites-enabled/*.conf\n";

fn debian() -> TempDir {
    let folder = host(&[
        ("etc/nginx/nginx.conf", DEBIAN_NGINX),
        (
            "etc/nginx/sites-available/default",
            "server {\n listen 80 default_server;\n location / { try_files $uri =404; }\n}\n",
        ),
        ("etc/apache2/apache2.conf", DEBIAN_APACHE),
        (
            "etc/apache2/envvars",
            "SUFFIX=\nexport APACHE_LOG_DIR=/var/log/apache2$SUFFIX\n",
        ),
        ("etc/apache2/ports.conf", "Listen 80\n"),
        (
            "etc/apache2/conf-available/other.conf",
            "CustomLog ${APACHE_LOG_DIR}/other_vhosts_access.log vhost_combined\n",
        ),
        (
            "etc/apache2/sites-available/000-default.conf",
            "<VirtualHost *:80>\n  CustomLog ${APACHE_LOG_DIR}/access.log combined\n  CustomLog ${APACHE_LOG_DIR}/ref.log referer\n</VirtualHost>\n",
        ),
        (
            "etc/haproxy/haproxy.cfg",
            "global\n  log /dev/log local0\n  log /dev/log local1 notice\ndefaults\n  log global\n  mode http\n  option httplog\n",
        ),
        (
            "etc/rsyslog.d/49-haproxy.conf",
            ":programname, startswith, \"haproxy\" {\n  /var/log/haproxy.log\n  stop\n}\n",
        ),
        (
            "usr/lib/systemd/system/varnishncsa.service",
            "[Service]\nExecStart=/usr/bin/varnishncsa -a -w /var/log/varnish/varnishncsa.log -D\n",
        ),
    ]);
    let root = folder.path().join("root");
    for (link, target) in [
        (
            "etc/nginx/sites-enabled/default",
            "/etc/nginx/sites-available/default",
        ),
        (
            "etc/apache2/conf-enabled/other.conf",
            "../conf-available/other.conf",
        ),
        (
            "etc/apache2/sites-enabled/000-default.conf",
            "../sites-available/000-default.conf",
        ),
    ] {
        fs::create_dir_all(root.join(link).parent().unwrap()).unwrap();
        symlink(target, root.join(link)).unwrap();
    }
    folder
}

#[test]
fn debians_defaults_are_read_with_shipped_parsers() {
    let folder = debian();
    let (text, told) = written(&folder);
    for (path, parser) in [
        ("/var/log/nginx/access.log", "nginx-combined"),
        ("/var/log/apache2/access.log", "apache-combined"),
        (
            "/var/log/apache2/other_vhosts_access.log",
            "apache-vhost-combined",
        ),
        ("/var/log/haproxy.log", "haproxy-http"),
        ("/var/log/varnish/varnishncsa.log", "varnishncsa"),
    ] {
        has(
            &text,
            &[&format!(
                "path = \"{path}\"\nparser = \"{parser}\"\nrules = [\"beacon\"]"
            )],
        );
    }
    has(
        &text,
        &[
            "# [[log]]\n# name = \"nginx-error\"\n# path = \"/var/log/nginx/error.log\"",
            "# path = \"/var/log/apache2/error.log\"",
            "# Not counted: Apache /etc/apache2/sites-enabled/000-default.conf:3",
        ],
    );
    has(
        &told,
        &[
            "/etc/nginx/nginx.conf:7 logs no X-CDN-Provider, X-Forwarded-For, request time. In place of\n\n    access_log /var/log/nginx/access.log;\n",
            "access_log /var/log/nginx/access.log beacontail;",
            "/etc/apache2/apache2.conf:5 logs no",
            "%>s %O \\\"%{Referer}i\\\" \\\"%{User-Agent}i\\\" \\\"%{X-CDN-Provider}i\\\" %D \\\"%{X-Forwarded-For}i\\\"\" combined",
            "rsyslog writes them there: /etc/rsyslog.d/49-haproxy.conf:2",
            "capture request header X-CDN-Provider len 32",
            "%%{X-CDN-Provider}i",
        ],
    );
    assert!(!at(&folder, "out/parsers").is_empty() && !folder.path().join("out/parsers").exists());
}

#[test]
fn red_hats_layout_gets_parsers_of_its_own_formats() {
    let folder = host(&[
        (
            "etc/nginx/nginx.conf",
            "http {\n    log_format  main  '$remote_addr - $remote_user [$time_local] \"$request\" '\n                      '$status $body_bytes_sent \"$http_referer\" '\n                      '\"$http_user_agent\" \"$http_x_forwarded_for\"';\n    access_log  /var/log/nginx/access.log  main;\n    server { listen 80; location /x { access_log off; } }\n}\n",
        ),
        (
            "etc/httpd/conf/httpd.conf",
            "ServerRoot \"/etc/httpd\"\nInclude conf.modules.d/*.conf\n<IfModule log_config_module>\n  LogFormat \"%h %l %u %t \\\"%r\\\" %>s %b\" common\n  CustomLog \"logs/access_log\" common\n</IfModule>\nErrorLog \"logs/error_log\"\nIncludeOptional conf.d/*.conf\n",
        ),
        (
            "etc/httpd/conf.d/ssl.conf",
            "<VirtualHost *:443>\nErrorLog logs/ssl_error_log\nTransferLog logs/ssl_access_log\nCustomLog logs/ssl_request_log \\\n  \"%t %h %{SSL_PROTOCOL}x \\\"%r\\\" %b %{X-CDN-Provider}i\"\n</VirtualHost>\n",
        ),
        (
            "etc/haproxy/haproxy.cfg",
            "global\n  log 127.0.0.1 local2\ndefaults\n  mode http\n  log global\n  option httplog\nfrontend main\n  bind *:5000\n",
        ),
        ("var/log/httpd/access_log", ""),
    ]);
    symlink(
        "../../var/log/httpd",
        folder.path().join("root/etc/httpd/logs"),
    )
    .unwrap();
    let (text, told) = written(&folder);
    has(
        &text,
        &[
            "path = \"/var/log/nginx/access.log\"\nparser = \"parsers/nginx-main.toml\"\nrules = [\"beacon\"]",
            "path = \"/var/log/httpd/access_log\"\nparser = \"apache-common\"",
            "path = \"/var/log/httpd/ssl_access_log\"\nparser = \"apache-common\"",
            "path = \"/var/log/httpd/ssl_request_log\"\nparser = \"parsers/apache-log.toml\"\nrules = [\"beacon\", \"origin\"]",
            "listen = \"udp://127.0.0.1:5140\"\nparser = \"haproxy-http\"",
            "trusted_proxies",
        ],
    );
    has(
        &told,
        &[
            "'\"$http_user_agent\" \"$http_x_forwarded_for\"'\n        ' \"$http_x_cdn_provider\" $request_time';",
        ],
    );
    let parsers = at(&folder, "out/parsers");
    run(&[
        "parsers",
        "test",
        "--parsers",
        &parsers,
        "nginx-main",
        "apache-log",
    ])
    .exits(0);
    // A second run changes nothing and says so; a log that came later is shown to be pasted.
    let again = init(&folder, &[]).exits(1);
    has(
        &again.err,
        &[
            "is there already, and has every log that was found",
            "--force",
        ],
    );
    put(
        &folder.path().join("root"),
        "etc/httpd/conf.d/new.conf",
        "CustomLog /srv/new.log common\n",
    );
    let again = init(&folder, &[]).exits(1);
    has(
        &again.text(),
        &[
            "What it lacks, to be pasted:\n\n# Apache: /etc/httpd/conf.d/new.conf:1\n[[log]]\nname = \"apache-new\"\npath = \"/srv/new.log\"",
        ],
    );
    assert_eq!(
        fs::read_to_string(at(&folder, "out/beacontail.toml")).unwrap(),
        text
    );
    init(&folder, &["--force"]).exits(0);
    has(
        &fs::read_to_string(at(&folder, "out/beacontail.toml")).unwrap(),
        &["/srv/new.log"],
    );
    assert_eq!(
        fs::read_to_string(at(&folder, "out/beacontail.toml.old")).unwrap(),
        text
    );
}

#[test]
fn each_option_of_access_log_is_understood_or_said_to_be_in_the_way() {
    let folder = host(&[(
        "nginx/nginx.conf",
        "http {\n log_format j escape=json '{\"at\":\"$time_iso8601\",\"r\":\"$request\",\"s\":\"$status\",\"c\":\"$http_x_cdn_provider\"}';\n\
             access_log /logs/zipped.log j gzip=5;\n access_log /logs/held.log j buffer=32k if=$loggable;\n\
             access_log syslog:server=127.0.0.1:5514,tag=web j;\n access_log syslog:server=192.0.2.1 j;\n\
             access_log /dev/stdout j;\n access_log /logs/none.log nowhere;\n access_log off;\n\
             server { server_name a; access_log /logs/$host/${server_port}.log j; error_log /logs/a/error.log; }\n\
             server { access_log /logs/a/plain.log combined; content_by_lua_block { ngx.say(\"}\") -- } {\n } }\n}\n\
             stream { log_format j '$remote_addr'; access_log /logs/stream.log j; }\n",
    )]);
    let (text, told) = written(&folder);
    has(
        &text,
        &[
            "path = \"/logs/held.log\"\nparser = \"parsers/nginx-j.toml\"",
            "listen = \"udp://127.0.0.1:5514\"",
            "path = \"/logs/*/*.log\"\nparser = [\"parsers/nginx-j.toml\", \"nginx-combined\"]",
        ],
    );
    assert!(
        !text.contains("path = \"/logs/a/plain.log\"") && !text.contains("stream.log"),
        "{text}"
    );
    has(
        &told,
        &[
            "so a live log cannot be followed",
            "`buffer=` without `flush=`",
            "only requests that meet the condition",
            "the syslog server is not this host",
            "the container's runtime or the journal keeps",
            "`log_format nowhere` is not defined",
            "matches the error log /logs/a/error.log too",
            "\"c\":\"$http_x_cdn_provider\",\"request_time\":\"$request_time\",\"http_x_forwarded_for\":\"$http_x_forwarded_for\"}';",
        ],
    );
}

#[test]
fn a_host_without_a_web_server_gets_nothing_and_is_told_where_was_looked() {
    let folder = host(&[("etc/hostname", "x\n")]);
    let ran = init(&folder, &[]).exits(1);
    has(
        &ran.err,
        &[
            "no nginx, Apache, HAProxy or Varnish was found",
            "/etc/nginx/nginx.conf",
            "/etc/httpd/conf/httpd.conf",
        ],
    );
    assert!(!folder.path().join("out").exists());
    let folder = host(&[("etc/nginx/nginx.conf", "http { access_log /dev/stdout; }")]);
    let ran = init(&folder, &[]).exits(1);
    has(&ran.err, &["no log was found that an agent could follow"]);
    assert!(!folder.path().join("out").exists());
    let missing = at(&folder, "not there");
    has(
        &run(&["init", "--root", &missing]).exits(1).err,
        &["cannot read"],
    );
}

#[test]
fn nothing_outside_the_root_is_read() {
    let folder = host(&[(
        "etc/nginx/nginx.conf",
        "http { include ../../../secret.conf; include /etc/nginx/links/*; access_log /var/log/a.log; }",
    )]);
    let outside = folder.path().join("secret.conf");
    fs::write(&outside, "access_log /var/log/secret.log;").unwrap();
    let links = folder.path().join("root/etc/nginx/links");
    fs::create_dir_all(&links).unwrap();
    symlink(&outside, links.join("absolute")).unwrap();
    symlink("../../../../secret.conf", links.join("relative")).unwrap();
    symlink(".", links.join("loop")).unwrap();
    let (text, told) = written(&folder);
    assert!(
        !text.contains("secret") && !told.contains("secret"),
        "{text}{told}"
    );
}

#[test]
fn includes_that_go_round_end_and_what_is_odd_is_said() {
    let folder = host(&[
        (
            "etc/nginx/nginx.conf",
            "http { include *.conf; include conf.d/*; access_log /l/a.log; }",
        ),
        (
            "etc/nginx/other.conf",
            "include nginx.conf; include other.conf;",
        ),
        (
            "etc/apache2/apache2.conf",
            "Include .\nInclude apache2.conf\nDefine A ${A}${A}\nCustomLog ${A} x\nCustomLog \"|/bin/logger\" \"%h\"\nCustomLog /l/a2.log \"%t \\\"%r\\\" \u{202e}\x1b[31m\"\n",
        ),
    ]);
    fs::create_dir_all(folder.path().join("root/etc/nginx/conf.d/folder")).unwrap();
    let (text, told) = written(&folder);
    has(
        &told,
        &["includes itself", "a program behind a pipe takes them"],
    );
    assert!(
        !text.contains(['\x1b', '\u{202e}']) && !told.contains(['\x1b', '\u{202e}']),
        "{text}"
    );
}

#[test]
fn the_newest_lines_say_whether_the_configuration_is_what_runs() {
    let line =
        "203.0.113.9 - - [31/Oct/2013:07:06:42 +0000] \"GET / HTTP/1.1\" 200 612 \"-\" \"-\"\n";
    let folder = host(&[
        (
            "etc/nginx/nginx.conf",
            "http { log_format o '$time_iso8601 $request'; access_log /var/log/a.log; access_log /var/log/b.log o; }",
        ),
        ("var/log/a.log", &line.repeat(1200)),
        ("var/log/b.log", &line.repeat(20)),
    ]);
    let told = init(&folder, &["--print"]).exits(0);
    has(
        &told.err,
        &[
            "1000 of the last 1000 lines",
            "0 of the last 20 lines; `nginx-combined` reads 20",
        ],
    );
    has(&told.text(), &["# parsers/nginx-o.toml:\n# # Pasted by"]);
    assert!(!told.err.contains("203.0.113"), "{}", told.err);
    assert!(!folder.path().join("out").exists());
}

#[test]
fn an_output_is_written_and_a_wrong_one_is_shown() {
    let folder = debian();
    let ran = init(
        &folder,
        &["--graphite", "nowhere", "--prefix", "web.{host}"],
    )
    .exits(2);
    has(&ran.err, &["address = \"nowhere\""]);
    assert!(!folder.path().join("out").exists());
    init(
        &folder,
        &["--graphite", "g.example.com:2003", "--prefix", "web.{host}"],
    )
    .exits(0);
    let text = fs::read_to_string(at(&folder, "out/beacontail.toml")).unwrap();
    has(
        &text,
        &[
            "[[output]]\ntype = \"graphite\"\naddress = \"g.example.com:2003\"\nprefix = \"web.{host}\"",
        ],
    );
    init(&folder, &["--graphite", "g.example.com:2003"]).exits(2);
}

/// What this machine has under /etc may be anything; it must end well, and write nothing.
#[test]
fn the_files_of_this_machine_are_read_without_a_fault() {
    let ran = run(&["init", "--print"]);
    assert!([0, 1].contains(&ran.code), "{}", ran.err);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_text_is_a_configuration_that_ends_in_one_that_loads_or_in_none(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "access_log", "log_format", "x", "'$time_local \"$request\" $status'", "'", "\"", "{", "}", ";", ";\n", "\\",
                "include *;", "$", "${", "#", "\n", " ", "/var/log/$a.log", "gzip", "server", "http {", "_by_lua_block {",
                "CustomLog", "LogFormat", "\"%h %t \\\"%r\\\" %>s\"", "|rotatelogs", "/l/%Y.log", "${A}", "Define A ${A}", "\\\n",
                "frontend f", "log-format", "option httplog", "log /dev/log local0", "log 127.0.0.1:9 x", "capture request header",
                "ExecStart=varnishncsa -F '%%h %%t \"%%r\"' -w /v", "-w", "\u{202e}", "\0", "{host}", "'''", "[*]", "é",
            ]),
            0..40,
        ),
    ) {
        let text: String = words.iter().flat_map(|word| [word, " "]).collect();
        let nginx = format!("{text}\n http {{ access_log /l/n.log; }}");
        let folder = host(&[
            ("etc/nginx/nginx.conf", &nginx),
            ("etc/apache2/apache2.conf", &text),
            ("etc/haproxy/haproxy.cfg", &text),
            ("etc/rsyslog.d/x.conf", &text),
            ("etc/systemd/system/varnishncsa.service", &text),
        ]);
        let ran = init(&folder, &[]);
        prop_assert!([0, 1].contains(&ran.code), "{}", ran.err);
        if ran.code == 0 {
            let out = at(&folder, "out/beacontail.toml");
            let checked = run(&["check-config", "--offline", "--config", &out]);
            prop_assert_eq!(checked.code, 0, "{}\n{}", checked.err, fs::read_to_string(out).unwrap());
        }
    }
}
