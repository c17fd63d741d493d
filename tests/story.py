#!/usr/bin/env python3
"""One incident, from the browser to the person who is woken, with real parts only.

    tests/story.py [--keep FOLDER]

Varnish stands for a CDN in front of nginx. For some minutes all is well. Then nginx dies: headless Chromium
loads the page in three languages and gets the error page of `beacontail kit`, its pixel is logged by a
second nginx, and then within their times

* the agent counts the beacons, with provider and POP;
* Graphite's render API and Prometheus show them;
* the shipped alert reaches Alertmanager;
* Nagios is CRITICAL in two checks and stays so (HARD), with a plugin output that says what happened;
* when nginx is back, Nagios is OK again;
* an agent that is stopped (SIGSTOP) is UNKNOWN, never OK, and OK once it goes on.

Needs the programs that tests/run installs, and Playwright in target/playwright (tests/browser.py puts it
there). A part that is missing is named: a failure where CI=true, else the story is not told. It takes about
a quarter of an hour, nearly all of it waiting: the alerts leave out agents that started seven minutes ago.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

import browser
from servers import free_port

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PROGRAM = ROOT / "target/debug/beacontail"
PROVIDER, NODE, POP = "fastly", "cache-ny57-NYC", "NYC"
PIXEL_HOST = "beacon.example.com"
# What the reader's browser asks for, and how the page then begins.
READERS = {"en-GB": "en", "de-DE": "de", "ja-JP": "ja"}
NEEDED = ("varnishd", "nginx", "carbon-cache", "prometheus", "prometheus-alertmanager", "nagios4", "chromium", "openssl")


def fetched(url, **query):
    if query:
        url += "?" + urllib.parse.urlencode(query)
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


class Told:
    """What held so far; the first thing that does not ends the story."""

    def __init__(self):
        self.held = 0

    def that(self, what, holds=True):
        if not holds:
            raise SystemExit(f"FAILED  {what}\n{self.held} passed, 1 failed")
        self.held += 1
        print(f"  ok  {what}", flush=True)

    def soon(self, what, within, seen):
        """Until `seen` gives something true, `within` seconds at most; gives it."""
        begun, last = time.monotonic(), None
        while time.monotonic() - begun < within:
            try:
                last = seen()
                if last:
                    self.that(f"{what} ({time.monotonic() - begun:.0f} s)")
                    return last
            except (OSError, ValueError, KeyError, IndexError) as error:
                last = error
            time.sleep(0.5)
        raise SystemExit(f"FAILED  {what}: not within {within} s; at last {last!r}\n{self.held} passed, 1 failed")


class Parts:
    """Everything that runs, each in a folder of its own, stopped in reverse."""

    def __init__(self, folder):
        self.folder = folder
        self.ports = {}
        self.running = {}
        self.components = []
        self.kit = folder / "kit"

    def port(self, name):
        return self.ports.setdefault(name, free_port())

    def place(self, name):
        place = self.folder / name
        place.mkdir(exist_ok=True)
        return place

    def start(self, name, *command):
        out = open(self.place(name) / "out", "ab")
        self.running[name] = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=out,
                                              stderr=out, cwd=self.place(name), start_new_session=True)

    def component(self, name, *arguments):
        script = HERE / "components" / f"{name}.sh"
        subprocess.run(["bash", script, "start", self.place(name), *map(str, arguments)], check=True)
        self.components.append((script, self.place(name)))

    def end(self, name):
        process = self.running.pop(name)
        for number in (signal.SIGCONT, signal.SIGTERM):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def end_all(self):
        for name in reversed(list(self.running)):
            self.end(name)
        for script, place in reversed(self.components):
            subprocess.run(["bash", script, "stop", place], check=False)


def nginx_configuration(parts, place, server):
    """With the log format of the kit, which is the one of the parser nginx-cdn."""
    user = "user root;" if os.geteuid() == 0 else ""
    temporary = " ".join(f"{kind}_temp_path {place}/{kind};" for kind in
                         ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    layout = "".join(line for line in (parts.kit / "nginx.conf").read_text().splitlines(True) if "access_log" not in line)
    (place / "nginx.conf").write_text(f"""{user} daemon off; worker_processes 1; pid {place}/pid; error_log {place}/error.log;
events {{ worker_connections 64; }}
http {{
    {temporary}
    {layout}
    server {{ access_log {place}/access.log beacontail_cdn; {server} }}
}}
""")
    return ("nginx", "-c", place / "nginx.conf", "-p", place, "-e", place / "error.log")


def start_origin(parts):
    place = parts.place("origin")
    (place / "index.html").write_text("<!doctype html><title>Shop</title><p>All is well.")
    server = f"listen 127.0.0.1:{parts.port('origin')}; root {place};"
    parts.start("origin", *nginx_configuration(parts, place, server))


def start_pixel_host(parts):
    """Where the pixel is asked for: a host of its own, which lives when the origin does not."""
    place = parts.place("pixel")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={PIXEL_HOST}",
                    "-keyout", place / "key.pem", "-out", place / "cert.pem"], check=True, capture_output=True)
    pixel = (parts.kit / "nginx-pixel.conf").read_text().replace("/var/log/nginx/beacons.log", f"{place}/access.log")
    server = f"""listen 127.0.0.1:{parts.port('pixel')} ssl;
        ssl_certificate {place}/cert.pem; ssl_certificate_key {place}/key.pem;
        {pixel}
        location / {{ return 404; }}"""
    parts.start("pixel", *nginx_configuration(parts, place, server))


def start_edge(parts):
    """Varnish, as the kit would have it, passing everything on."""
    place = parts.place("edge")
    (place / "edge.vcl").write_text(f"""vcl 4.1;
backend origin {{ .host = "127.0.0.1"; .port = "{parts.port('origin')}"; }}
include "{parts.kit}/varnish-edge.vcl";
sub vcl_recv {{ return (pass); }}
""")
    parts.component("varnish", parts.port("edge"), place / "edge.vcl", NODE)


def start_agent(parts):
    place = parts.place("agent")
    place.chmod(0o755)
    (place / "beacontail.toml").write_text(f"""[http]
listen = "127.0.0.1:{parts.port('agent')}"
[status]
listen = "127.0.0.1:{parts.port('status')}"
[store]
path = "{place}/state/store.db"
[[log]]
name = "origin"
path = "{parts.folder}/origin/access.log"
parser = "nginx-cdn"
[[log]]
name = "pixel"
path = "{parts.folder}/pixel/access.log"
parser = "nginx-cdn"
[[output]]
type = "graphite"
address = "127.0.0.1:{parts.port('carbon')}"
prefix = "story"
""")
    parts.start("agent", PROGRAM, "run", "-c", place / "beacontail.toml")


def start_watchers(parts):
    parts.component("graphite", parts.port("carbon"), parts.port("pickle"), parts.port("query"), parts.port("web"))
    parts.component("alertmanager", parts.port("alertmanager"))
    rules = parts.place("prometheus") / "rules"
    rules.mkdir()
    shutil.copy(ROOT / "contrib/prometheus/beacontail.rules.yml", rules)
    os.environ["ALERTMANAGER"] = f"127.0.0.1:{parts.port('alertmanager')}"
    parts.component("prometheus", parts.port("prometheus"), f"127.0.0.1:{parts.port('agent')}")


def start_nagios(parts):
    """With a service that asks as the shipped one does, each ten seconds, HARD at the second time."""
    program = parts.place("nagios") / "beacontail"
    shutil.copy(PROGRAM, program)
    program.chmod(0o755)
    command = (f"{program} check --agent http://127.0.0.1:{parts.port('agent')} --metric cdn_failure_beacons_total --by provider "
               "--window 2m -w 0 -c 2 -t 5s")
    parts.component("nagios", "beacons", 10, 2, command)


def nagios(parts, service="beacons"):
    """State, whether it is HARD, output and long output, as Nagios has them."""
    text = (parts.place("nagios") / "status.dat").read_text()
    for block in re.findall(r"servicestatus \{\n(.*?)\n\t\}", text, re.S):
        values = dict(line.strip().split("=", 1) for line in block.splitlines() if "=" in line)
        if values.get("service_description") == service:
            return values
    return {}


def is_in_state(parts, state, hard=True):
    values = nagios(parts)
    return values if values.get("current_state") == str(state) and (not hard or values["state_type"] == "1") else None


def visitors(parts, stop):
    """Somebody asks for the page each second, through the CDN."""
    while not stop.wait(1):
        with contextlib.suppress(OSError):
            fetched(f"http://127.0.0.1:{parts.port('edge')}/")


def series(parts, expression):
    answer = json.loads(fetched(f"http://127.0.0.1:{parts.port('prometheus')}/api/v1/query", query=expression))
    return answer["data"]["result"]


def graphite_sum(parts, target):
    text = fetched(f"http://127.0.0.1:{parts.port('web')}/render", target=target, format="json", **{"from": "-20min"})
    return sum(value for line in json.loads(text) for value, _ in line["datapoints"] if value)


def beacons(parts):
    text = fetched(f"http://127.0.0.1:{parts.port('agent')}/metrics")
    found = re.search(rf'^cdn_failure_beacons_total{{provider="{PROVIDER}"}} (\d+)$', text, re.M)
    return int(found[1]) if found else 0


def before(told, parts):
    """All is well, until the alerts trust the agent."""
    edge = f"http://127.0.0.1:{parts.port('edge')}/"
    told.soon("the CDN answers from the origin", 30, lambda: "All is well" in fetched(edge))
    told.soon("the agent counts requests of the CDN", 60, lambda: re.search(
        rf'^cdn_origin_requests_total{{provider="{PROVIDER}",code="200"}} [1-9]|^cdn_origin_requests_total{{provider="{PROVIDER}",code="2xx"}} [1-9]',
        fetched(f"http://127.0.0.1:{parts.port('agent')}/metrics"), re.M))
    values = told.soon("Nagios says OK", 240, lambda: is_in_state(parts, 0))
    told.that("and in words", "OK" in values["plugin_output"])
    told.soon("the alerts trust the agent", 600, lambda: series(parts, "beacontail:settled"))


def incident(told, parts, shots):
    """The origin dies, and three people see it."""
    parts.end("origin")
    with browser.chromium(f"--host-resolver-rules=MAP {PIXEL_HOST}:443 127.0.0.1:{parts.port('pixel')}",
                          "--ignore-certificate-errors") as chromium:
        for locale, language in READERS.items():
            page = chromium.new_context(locale=locale, ignore_https_errors=True).new_page()
            asked = []
            page.on("request", lambda request: asked.append(request.url))
            answer = page.goto(f"http://127.0.0.1:{parts.port('edge')}/")
            page.wait_for_load_state("load")
            told.that(f"{locale}: the error page has status 503", answer.status == 503)
            shown = page.evaluate("""() => [...document.querySelectorAll('section[lang]')]
                .filter(section => section.checkVisibility()).map(section => section.lang)""")
            told.that(f"{locale}: it is shown in {language} ({', '.join(shown)})", shown == [language])
            others = [url for url in asked if "beacon.gif" not in url]
            told.that(f"{locale}: one pixel and no other request", len(asked) - len(others) == 1 and len(others) == 1)
            page.screenshot(path=shots / f"whoopsie-{language}.png")
            page.context.close()


def consequences(told, parts, since):
    seen = len(READERS)
    log = parts.folder / "pixel/access.log"
    wanted = f"source={PROVIDER}&server_identity={NODE}"
    told.soon("each pixel is a line of the log", 20, lambda: log.read_text().count(wanted) == seen)
    told.soon(f"the agent has counted {seen} beacons", 60, lambda: beacons(parts) == seen)
    text = fetched(f"http://127.0.0.1:{parts.port('agent')}/metrics")
    told.that("with the POP of the cache node", f'cdn_failure_beacons_by_pop_total{{provider="{PROVIDER}",pop="{POP}"}} {seen}' in text)
    told.that("within a minute", time.monotonic() - since < 60)
    told.soon("Prometheus shows them", 30, lambda: series(
        parts, f'cdn_failure_beacons_total{{provider="{PROVIDER}"}} == {seen}'))
    values = told.soon("Nagios is CRITICAL after two checks, HARD", 90, lambda: is_in_state(parts, 2))
    told.that("in two checks", values["current_attempt"] == "2" and values["max_attempts"] == "2")
    print("      " + values["plugin_output"])
    told.that("the summary names provider and number", PROVIDER in values["plugin_output"] and f" {seen} " in values["plugin_output"])
    told.that("the long output names the POP", POP in values["long_plugin_output"])
    told.that("and how to see the lines", "beacontail grep" in values["long_plugin_output"])
    told.that("performance data is there", f"{PROVIDER}" in values["performance_data"])
    told.soon("the alert reaches Alertmanager", 120, lambda: [alert for alert in json.loads(
        fetched(f"http://127.0.0.1:{parts.port('alertmanager')}/api/v2/alerts"))
        if alert["labels"].get("provider") == PROVIDER and alert["labels"]["alertname"] == "FirstFailureBeacon"])
    told.soon("Graphite's render API shows them, in their minutes", 240, lambda: graphite_sum(
        parts, f"story.beacons.{PROVIDER}.count") == seen)


def after(told, parts):
    """The origin is back; then the agent is stopped."""
    start_origin(parts)
    told.soon("the CDN answers from the origin again", 30, lambda: "All is well" in fetched(f"http://127.0.0.1:{parts.port('edge')}/"))
    told.soon("Nagios says OK again", 300, lambda: is_in_state(parts, 0))
    agent = parts.running["agent"]
    os.killpg(agent.pid, signal.SIGSTOP)
    values = told.soon("an agent that is stopped is UNKNOWN", 120, lambda: is_in_state(parts, 3))
    print("      " + values["plugin_output"])
    os.killpg(agent.pid, signal.SIGCONT)
    told.soon("an agent that goes on is OK", 240, lambda: is_in_state(parts, 0))
    told.that("nothing was counted twice", beacons(parts) == len(READERS))


def tell(parts, shots):
    told, quiet = Told(), threading.Event()
    subprocess.run([PROGRAM, "kit", "--provider", PROVIDER, "--pixel-host", PIXEL_HOST, "--site-name", "The Shop",
                    "--out", parts.kit], check=True, capture_output=True)
    start_origin(parts)
    start_pixel_host(parts)
    start_edge(parts)
    start_agent(parts)
    start_watchers(parts)
    start_nagios(parts)
    threading.Thread(target=visitors, args=(parts, quiet), daemon=True).start()
    before(told, parts)
    since = time.monotonic()
    incident(told, parts, shots)
    consequences(told, parts, since)
    after(told, parts)
    quiet.set()
    print(f"{told.held} passed, 0 failed")


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--keep", type=Path, metavar="FOLDER", help="put everything there, and leave it")
    options = options.parse_args()
    missing = [name for name in NEEDED if not shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")]
    if missing:
        print("the story is not told, these are missing: " + ", ".join(missing))
        sys.exit(1 if os.environ.get("CI") == "true" else 0)
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    folder = options.keep or Path(tempfile.mkdtemp(prefix="story-"))
    folder.mkdir(exist_ok=True)
    folder = folder.resolve()
    # Nagios runs as its own user and looks at its folder.
    folder.chmod(0o755)
    shots = folder / "shots"
    shots.mkdir(exist_ok=True)
    parts = Parts(folder)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("the story was broken off"))
    try:
        tell(parts, shots)
    finally:
        parts.end_all()
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
