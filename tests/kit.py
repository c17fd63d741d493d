#!/usr/bin/env python3
"""The beacon kit with real servers and a real browser.

    tests/kit.py [--screenshots DIR]

`beacontail kit` is run, and what it wrote is used as its README says:

* nginx, Apache, HAProxy and Varnish take the lines for them (each server's own check of its configuration
  is asked first), answer for the pixel, and log requests that `beacontail replay` counts by provider and POP;
* nginx, HAProxy and Varnish as edges show the page when the origin is away, name their node in the pixel
  where the kit says so, and send the origin their own X-CDN-Provider in place of a client's;
* Chromium opens the page in its readers' languages, asks for the pixel and nothing else, and nginx logs that
  request over TLS; right-to-left languages are so; without scripts the links choose; nothing overlaps on
  a narrow or a wide screen; the README's Content-Security-Policy lets the page work; it loads itself again
  when that was ordered, and not before.

A program that is missing is left out with a word, and a failure where CI=true. With --screenshots
the page is pictured in English, Arabic and Hebrew.
"""

import argparse
import contextlib
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import browser
import servers

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
PROGRAM = ROOT / "target" / "debug" / "beacontail"
PIXEL = "/status/images/beacon.gif?source=fastly&server_identity=cache-ny57-NYC"
failures = []


def check(is_right, what):
    if not is_right:
        failures.append(what)
        print("  wrong:", what)


def has(*programs):
    """Whether all are installed; else it is said, and wrong in CI."""
    missing = [program for program in programs if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")]
    if missing:
        print("left out, not installed:", ", ".join(missing))
        check(os.environ.get("CI") != "true", f"{missing} is not installed")
    return not missing


def kit(folder, **options):
    given = {"provider": "fastly", "pixel_host": "px.shop.example", "site_name": "Shop & <Söhne>",
             "status_url": "https://status.shop.example/", **options}
    args = [part for name, value in given.items() for part in ("--" + name.replace("_", "-"), str(value))]
    subprocess.run([PROGRAM, "kit", *args, "--out", folder], check=True, stdout=subprocess.DEVNULL)
    folder.chmod(0o755)
    return folder


def snippet(kit_folder, name, **replaced):
    """A file of the kit, its places on the host made ours."""
    text = (kit_folder / name).read_text().replace("/etc/beacontail/kit", str(kit_folder))
    for old, new in replaced.items():
        text = text.replace({"log": "/var/log/nginx/beacons.log", "apache_log": "/var/log/apache2/beacontail.log"}[old], str(new))
    return text


def fetch(url, headers=None, status=200):
    request = urllib.request.Request(url, headers=headers or {})
    try:
        answer = urllib.request.urlopen(request, timeout=20)
    except urllib.error.HTTPError as error:
        answer = error
    body = answer.read()
    check(answer.status == status, f"{url}: status {answer.status}")
    return answer, body


def pixel(url, **headers):
    answer, body = fetch(url, headers)
    check(len(body) == 43 and body.startswith(b"GIF89a\x01\x00\x01\x00"), f"{url}: {body!r}")
    check(answer.headers["Content-Type"] == "image/gif", f"{url}: {answer.headers['Content-Type']}")
    check(answer.headers["Cache-Control"] == "no-store", f"{url}: Cache-Control")
    check(answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin", f"{url}: Cross-Origin-Resource-Policy")
    check(answer.headers["Set-Cookie"] is None, f"{url}: a cookie")


def page(url, identity, **headers):
    answer, body = fetch(url, headers, status=answer_status(url))
    text = body.decode()
    check("<!DOCTYPE html>" in text and "Shop &amp; &lt;Söhne&gt;" in text, f"{url}: no page")
    check(answer.headers["Cache-Control"] == "no-store", f"{url}: Cache-Control of the page")
    check(answer.headers["Retry-After"] == "60", f"{url}: Retry-After")
    check(answer.headers["Content-Type"] == "text/html; charset=utf-8", f"{url}: {answer.headers['Content-Type']}")
    named = re.search(r'source=fastly(?:&amp;server_identity=([^"]*))?"', text)
    check(named and named[1] == identity, f"{url}: node {named and named[1]}")


# nginx says what it saw: 502 for a closed port. The others have one status for every failure.
def answer_status(url):
    return 502 if "nginx" in url else 503


def counts(parser, *logs):
    told = subprocess.run([PROGRAM, "replay", "-p", parser, "-o", "json", *logs], capture_output=True, text=True)
    check(told.returncode == 0, f"replay of {logs}: {told.stderr}")
    counters = [series for series in json.loads(told.stdout or '{"series":[]}')["series"] if series["type"] == "counter"]
    return {series["metric"] + "{" + ",".join(f'{name}="{value}"' for name, value in series["labels"].items()) + "}": series["total"]
            for series in counters}


def counted(parser, logs, pop="NYC", beacons=1, requests=1):
    totals = counts(parser, *logs)
    for series, expected in {
        'cdn_failure_beacons_total{provider="fastly"}': beacons,
        f'cdn_failure_beacons_by_pop_total{{provider="fastly",pop="{pop}"}}': beacons,
        'cdn_origin_requests_total{provider="fastly",code="2xx"}': requests,
    }.items():
        check(totals.get(series, 0) == expected, f"{parser}: {series} is {totals.get(series)}, not {expected}\n{totals}")


class Origin:
    """A server that answers ok and remembers what named the CDN."""

    def __init__(self):
        seen = self.seen = []

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                seen.append(self.headers.get_all("X-CDN-Provider"))
                self.send_response(200)
                self.send_header("Content-Length", "3")
                self.end_headers()
                self.wfile.write(b"ok\n")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def started(name, folder):
    server = servers.Server(folder, None)
    server.name = name
    return server


def checked(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    check(done.returncode == 0, f"{command[0]}: {done.stderr}{done.stdout}")


def nginx(folder, kit_folder, origin, closed):
    certificate(folder)
    server, tls, edge, beside = started("nginx", folder), servers.free_port(), servers.free_port(), servers.free_port()
    access, beacons, rays = folder / "access.log", folder / "beacons.log", folder / "rays.log"
    ray = snippet(kit_folder.parent / "cloudflare", "nginx-cf-ray.conf", log=rays)
    in_http, in_server = ray.split("# server {")
    conf = folder / "conf"
    conf.write_text(servers.nginx_conf(folder, f"""
    {snippet(kit_folder, "nginx.conf")}
    {in_http}
    server {{
        listen 127.0.0.1:{server.port}; listen 127.0.0.1:{tls} ssl;
        ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
        access_log {access} beacontail_cdn;
        {snippet(kit_folder, "nginx-pixel.conf", log=beacons)}
        location / {{ return 200 "ok\\n"; }}
    }}
    server {{
        listen 127.0.0.1:{edge}; access_log off;
        {snippet(kit_folder, "nginx-edge.conf")}
        location / {{ proxy_pass http://127.0.0.1:{closed}; }}
        location /up {{ proxy_pass http://127.0.0.1:{origin.port}; }}
    }}
    server {{
        listen 127.0.0.1:{beside}; access_log off;
        {in_server.replace("# }", "")}
    }}"""))
    checked("nginx", "-t", "-c", conf, "-p", folder)
    server.launch("nginx", "-c", conf, "-p", folder)
    server.await_port(server.port)
    pixel(f"http://127.0.0.1:{server.port}{PIXEL}", Referer="https://shop.example/")
    fetch(f"http://127.0.0.1:{server.port}/shop", {"X-CDN-Provider": "Fastly"})
    page(f"http://127.0.0.1:{edge}/nginx", os.uname().nodename)
    fetch(f"http://127.0.0.1:{edge}/up", {"X-CDN-Provider": "forged"})
    check(origin.seen[-1] == ["fastly"], f"nginx sent {origin.seen[-1]}")
    pixel(f"http://127.0.0.1:{beside}/status/images/beacon.gif?source=fastly")
    pixel(f"http://127.0.0.1:{beside}/status/images/beacon.gif?source=fastly", **{"CF-Ray": "8f1c2d3e4f5a6b7c-FRA"})
    pixel(f"http://127.0.0.1:{beside}/status/images/beacon.gif?source=fastly", **{"CF-Ray": 'x" 200 1 "&source=akamai'})
    settled(access, beacons, rays)
    counted("nginx-cdn", [access, beacons])
    totals = counts("nginx-cdn", rays)
    check(totals.get('cdn_failure_beacons_by_pop_total{provider="fastly",pop="FRA"}') == 1, f"CF-Ray: {totals}")
    check(totals.get('cdn_failure_beacons_by_pop_total{provider="fastly",pop="unknown"}') == 2, f"CF-Ray: {totals}")
    return server, tls, beacons


def apache(folder, kit_folder, *_):
    server = started("apache", folder)
    modules, log, conf = "/usr/lib/apache2/modules", folder / "access.log", folder / "conf"
    user = "User www-data\nGroup www-data" if os.geteuid() == 0 else ""
    loaded = "".join(f"LoadModule {name}_module {modules}/mod_{name}.so\n" for name in ("mpm_event", "authz_core", "alias", "headers", "dir"))
    (folder / "html").mkdir()
    (folder / "html" / "index.html").write_text("ok\n")
    conf.write_text(f"""ServerRoot {folder}
ServerName www.example.com
Listen 127.0.0.1:{server.port}
PidFile {folder}/pid
DefaultRuntimeDir {folder}
Mutex file:{folder} default
{loaded}{user}
DocumentRoot {folder}/html
DirectoryIndex index.html
ErrorLog {folder}/error.log
<Directory {folder}/html>
    Require all granted
</Directory>
<VirtualHost 127.0.0.1:{server.port}>
{snippet(kit_folder, "apache.conf", apache_log=log)}
</VirtualHost>
""")
    checked("apache2", "-t", "-f", conf)
    server.launch("apache2", "-f", conf, "-DFOREGROUND")
    server.await_port(server.port)
    pixel(f"http://127.0.0.1:{server.port}{PIXEL}", **{"User-Agent": 'a "quoted" agent'})
    fetch(f"http://127.0.0.1:{server.port}/", {"X-CDN-Provider": "Fastly"})
    settled(log)
    counted("apache-cdn", [log])
    found = subprocess.run([PROGRAM, "explain"], input=log.read_bytes(), capture_output=True).stdout
    check(found.startswith(b"apache-cdn: read"), f"Apache's line is taken for another's: {found[:60]}")
    server.stop()


def haproxy(folder, kit_folder, origin, closed):
    server, edge = started("haproxy", folder), servers.free_port()
    log, conf = folder / "access.log", folder / "conf"
    conf.write_text(f"""global
  log stdout format raw local0
defaults
  mode http
  timeout connect 5s
  timeout client 10s
  timeout server 10s
frontend web
  log global
  bind 127.0.0.1:{server.port}
{snippet(kit_folder, "haproxy.cfg")}
  default_backend origin
backend origin
  server o1 127.0.0.1:{origin.port}
frontend edge
  bind 127.0.0.1:{edge}
  use_backend up if {{ path /up }}
  default_backend away
backend up
{snippet(kit_folder, "haproxy-edge.cfg")}
  server o1 127.0.0.1:{origin.port}
backend away
  retries 0
{snippet(kit_folder, "haproxy-edge.cfg")}
  server o1 127.0.0.1:{closed}
""")
    checked("haproxy", "-c", "-f", conf)
    server.launch("haproxy", "-db", "-f", conf, stdout=open(log, "ab"))
    server.await_port(server.port)
    pixel(f"http://127.0.0.1:{server.port}{PIXEL}")
    fetch(f"http://127.0.0.1:{server.port}/shop", {"X-CDN-Provider": "Fastly"})
    page(f"http://127.0.0.1:{edge}/haproxy", None)
    fetch(f"http://127.0.0.1:{edge}/up", {"X-CDN-Provider": "forged"})
    check(origin.seen[-1] == ["fastly"], f"HAProxy sent {origin.seen[-1]}")
    settled(log)
    lines = [line for line in log.read_text().splitlines() if " web " in line or " web/" in line]
    (folder / "web.log").write_text("\n".join(lines) + "\n")
    counted("haproxy-cdn", [folder / "web.log"])
    server.stop()


def varnish(folder, kit_folder, origin, closed):
    """Before the origin it answers for the pixel and logs; as an edge it makes the page."""
    log = folder / "access.log"
    server = varnishd(folder, origin.port, f'include "{kit_folder}/varnish.vcl";\nsub vcl_recv {{ return (pass); }}')
    command = re.search(r"-F '(.*)'", (kit_folder / "varnish.vcl").read_text())[1]
    server.launch("varnishncsa", "-n", server.folder / "vsm", "-w", log, "-F", command)
    # The reader attaches a moment after it starts: it is prodded until it writes.
    for _ in range(300):
        if log.exists() and log.stat().st_size:
            break
        fetch(f"http://127.0.0.1:{server.port}/prod")
        time.sleep(0.1)
    pixel(f"http://127.0.0.1:{server.port}{PIXEL}")
    fetch(f"http://127.0.0.1:{server.port}/shop", {"X-CDN-Provider": "Fastly"})
    deadline = time.monotonic() + 20
    while "/shop" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    server.stop()
    counted("varnishncsa-cdn", [log])

    server = varnishd(folder, origin.port, f"""include "{kit_folder}/varnish-edge.vcl";
backend away {{ .host = "127.0.0.1"; .port = "{closed}"; }}
sub vcl_recv {{
    if (req.url ~ "^/away") {{ set req.backend_hint = away; }}
    return (pass);
}}""")
    page(f"http://127.0.0.1:{server.port}/away", "cache-ny57-NYC")
    fetch(f"http://127.0.0.1:{server.port}/shop", {"X-CDN-Provider": "forged"})
    check(origin.seen[-1] == ["fastly"], f"Varnish sent {origin.seen[-1]}")
    server.stop()


def varnishd(folder, origin, body):
    server = started("varnish", folder / str(time.monotonic_ns()))
    server.folder.mkdir()
    vcl = server.folder / "vcl"
    vcl.write_text(f'vcl 4.1;\nbackend default {{ .host = "127.0.0.1"; .port = "{origin}"; }}\n{body}\n')
    checked("varnishd", "-C", "-f", vcl, "-n", server.folder / "check")
    jail = ["-j", "none"] if os.geteuid() == 0 else []
    server.launch("varnishd", *jail, "-F", "-n", server.folder / "vsm", "-f", vcl, "-a", f"127.0.0.1:{server.port}", "-s", "malloc,16m",
                  "-T", "none", "-p", "vsl_space=16m", "-i", "cache-ny57-NYC")
    server.await_port(server.port)
    return server


def settled(*logs):
    """Until each log has a line, and none has grown for half a second."""
    deadline, size, since = time.monotonic() + 20, None, time.monotonic()
    while time.monotonic() < deadline and time.monotonic() - since < 0.5:
        now = [log.stat().st_size if log.exists() else 0 for log in logs]
        if now != size or 0 in now:
            size, since = now, time.monotonic()
        time.sleep(0.05)


def certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost", "-days", "2",
                    "-keyout", folder / "key.pem", "-out", folder / "cert.pem"], check=True, capture_output=True)


class Edge:
    """Serves the page with status 503 at every path, as a CDN does that sends the file as it is."""

    def __init__(self):
        edge = self
        self.html, self.headers = b"", {}

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(503)
                for name, value in {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "Retry-After": "60", **edge.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(edge.html)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextlib.contextmanager
def opened(chromium, url, **options):
    """A page with what it asked for and what it complained about."""
    context = chromium.new_context(ignore_https_errors=True, **options)
    tab = context.new_page()
    tab.asked, tab.complaints = [], []
    tab.on("request", lambda request: tab.asked.append(request.url))
    tab.on("pageerror", lambda error: tab.complaints.append(str(error)))
    # That the page itself came with 503 is as it should be.
    tab.on("console", lambda message: message.type in ("error", "warning") and message.location["url"].split("#")[0] != url
           and tab.complaints.append(message.text))
    yield tab
    context.close()
    check(not tab.complaints, f"{url} {options}: {tab.complaints}")


SHOWN = "[...document.querySelectorAll('section')].filter(e => getComputedStyle(e).display !== 'none').map(e => e.id)"
OVERLAPS = """() => {
    const seen = [...document.querySelectorAll('h1,p.s,p:not(.b):not(.s),.b a,nav a')].filter(e => e.getClientRects().length);
    const boxes = seen.map(e => [e.textContent.slice(0, 30), e.getBoundingClientRect()]), found = [];
    boxes.forEach(([a, p], i) => boxes.slice(i + 1).forEach(([b, q]) => {
        if (p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 1 && q.top < p.bottom - 1) found.push([a, b]);
    }));
    boxes.forEach(([a, p]) => { if (p.left < 0 || p.right > innerWidth) found.push([a, 'the edge']); });
    if (document.documentElement.scrollWidth > innerWidth) found.push(['page', 'sideways']);
    return found;
}"""
LOCALES = {"en-GB": "en", "de-AT": "de", "fr-CA": "fr", "pt-PT": "pt-BR", "ja-JP": "ja", "zh-CN": "zh-Hans", "ar-EG": "ar", "he-IL": "he", "uk-UA": "uk", "fi-FI": "en"}


def browse(kit_folder, tls, beacons, screenshots):
    edge = Edge()
    with browser.chromium() as chromium:
        before = counts("nginx-cdn", beacons).get('cdn_failure_beacons_total{provider="fastly"}', 0)
        folder = kit(kit_folder.parent / "browsed", pixel_host=f"localhost:{tls}", site_name="Shop & Söhne")
        edge.html = (folder / "whoopsie.html").read_bytes()
        looks = languages_are_chosen(chromium, edge, tls)
        looks += without_scripts(chromium, edge)
        looks += screens(chromium, edge, screenshots)
        looks += with_policy(chromium, edge, folder)
        looks += one_language(chromium, edge, folder)
        looks += again_by_itself(chromium, edge, tls, kit_folder.parent)
        settled(beacons)
        after = counts("nginx-cdn", beacons).get('cdn_failure_beacons_total{provider="fastly"}', 0)
        check(after - before == looks, f"{looks} looks at the page, {after - before} beacons")


def languages_are_chosen(chromium, edge, tls):
    for locale, language in LOCALES.items():
        with opened(chromium, edge.url + "/shop", locale=locale) as tab:
            tab.goto(edge.url + "/shop", wait_until="load")
            check(tab.evaluate(SHOWN) == [language], f"{locale}: {tab.evaluate(SHOWN)}")
            check(tab.evaluate("document.documentElement.lang") == language, f"{locale}: lang")
            direction = "rtl" if language in ("ar", "he") else "ltr"
            check(tab.evaluate("getComputedStyle(document.body).direction") == direction, f"{locale}: direction")
            check(tab.title() == tab.inner_text("section.on h1"), f"{locale}: title")
            wanted = [edge.url + "/shop", f"https://localhost:{tls}/status/images/beacon.gif?source=fastly"]
            check(tab.asked == wanted, f"{locale}: asked for {tab.asked}")
            check(tab.evaluate("document.querySelector('img').naturalWidth") == 1, f"{locale}: no pixel")
            tab.click("nav a[lang=de]")
            check(tab.evaluate(SHOWN) == ["de"] and len(tab.asked) == 2, f"{locale}: chooser")
    return len(LOCALES)


def without_scripts(chromium, edge):
    with opened(chromium, edge.url + "/", java_script_enabled=False, locale="de-DE") as tab:
        tab.goto(edge.url + "/", wait_until="load")
        visible = lambda: [one.get_attribute("id") for one in tab.locator("section").all() if one.is_visible()]
        check(visible() == ["en"], f"without scripts: {visible()}")
        for language in ("ar", "zh-Hans", "en"):
            tab.click(f"nav a[lang={language}]")
            check(visible() == [language], f"without scripts, {language}: {visible()}")
        check(len(tab.asked) == 2, f"without scripts: {tab.asked}")
        tab.click("section#en a.r")
        tab.wait_for_load_state("load")
        check(len(tab.asked) == 4, f"the retry link: {tab.asked}")
    return 2


def screens(chromium, edge, screenshots):
    looks = 0
    for locale in ("en-US", "de-DE", "ar-EG", "ja-JP", "ru-RU"):
        for width in (360, 1440):
            with opened(chromium, edge.url + "/", locale=locale, viewport={"width": width, "height": 760}) as tab:
                tab.goto(edge.url + "/", wait_until="load")
                check(not tab.evaluate(OVERLAPS), f"{locale} at {width}: {tab.evaluate(OVERLAPS)}")
                looks += 1
    if screenshots:
        looks += pictures(chromium, edge, screenshots)
    return looks


def pictures(chromium, edge, screenshots):
    for locale, scheme, width in (("en-US", "light", 900), ("ar-EG", "light", 900), ("he-IL", "dark", 360)):
        with opened(chromium, edge.url + "/", locale=locale, color_scheme=scheme, viewport={"width": width, "height": 600}) as tab:
            tab.goto(edge.url + "/", wait_until="load")
            # A machine without their fonts shows boxes for these names.
            tab.evaluate("document.querySelectorAll('nav :is([lang=ja],[lang=ko],[lang^=zh])').forEach(e => e.remove())")
            tab.screenshot(path=screenshots / f"kit-{locale[:2]}.png")
    return 3


def with_policy(chromium, edge, folder):
    policy = re.search(r"^(style-src .*)$", (folder / "README.md").read_text(), re.M)[1]
    edge.headers = {"Content-Security-Policy": "default-src 'none'; " + policy}
    with opened(chromium, edge.url + "/", locale="de-DE") as tab:
        tab.goto(edge.url + "/", wait_until="load")
        check(tab.evaluate(SHOWN) == ["de"], "with the policy: no script")
        check(tab.evaluate("document.querySelector('img').naturalWidth") == 1, "with the policy: no pixel")
    edge.headers = {}
    return 1


def one_language(chromium, edge, folder):
    edge.html = (folder / "whoopsie.he.html").read_bytes()
    with opened(chromium, edge.url + "/", locale="en-US") as tab:
        tab.goto(edge.url + "/", wait_until="load")
        check(tab.evaluate(SHOWN) == ["he"], "one language is not shown")
        check(tab.evaluate("getComputedStyle(document.body).direction") == "rtl", "one language: direction")
    return 1


def again_by_itself(chromium, edge, tls, parent):
    folder = kit(parent / "again", pixel_host=f"localhost:{tls}", auto_retry=60)
    edge.html = (folder / "whoopsie.html").read_bytes()
    with opened(chromium, edge.url + "/", locale="de-DE") as tab:
        tab.clock.install()
        tab.goto(edge.url + "/", wait_until="load")
        tab.clock.run_for(59_000)
        check(len(tab.asked) == 2, f"it came back before its time: {tab.asked}")
        with tab.expect_navigation(wait_until="load", timeout=20_000):
            tab.clock.run_for(62_000)
        check(len(tab.asked) == 4, f"it did not come back: {tab.asked}")
    return 2


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--screenshots", type=pathlib.Path)
    given = options.parse_args()
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        # Apache and nginx read the kit as users of their own.
        folder.chmod(0o755)
        ours = kit(folder / "kit")
        kit(folder / "cloudflare", provider="cloudflare", languages="en,de")
        origin, closed, web = Origin(), servers.free_port(), None
        for start, *programs in ((apache, "apache2"), (haproxy, "haproxy"), (varnish, "varnishd", "varnishncsa"), (nginx, "nginx", "openssl")):
            if has(*programs):
                print(start.__name__, flush=True)
                (folder / start.__name__).mkdir(mode=0o755)
                web = start(folder / start.__name__, ours, origin, closed)
        if web:
            server, tls, beacons = web
            try:
                report()
                print("chromium", flush=True)
                browse(ours, tls, beacons, given.screenshots)
            finally:
                server.stop()
    report()
    print("the kit does what it says")


def report():
    if failures:
        sys.exit(f"{len(failures)} wrong")


if __name__ == "__main__":
    main()
