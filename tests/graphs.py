"""The addresses of contrib/graphite, asked of a real graphite-web that holds a known week.

Paths are sent as the agents send them, those of the shipped rules with the prefix `web.{host}`. Every address
must name paths that the rules have, answer with a picture, and answer as JSON with the series expected.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import tomllib
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SCRIPT = HERE / "components/graphite.sh"
DAY = 24 * 60
# Below web.HOST., what each minute counts on each host at most: today, and a day and a week ago.
SENT = {
    "beacons.fastly.count": (9, 1, 2),
    "beacons.akamai.count": (0, 0, 0),
    "beacons.fastly.pop.NYC.count": (6, 0, 0),
    "beacons.fastly.pop.LHR.count": (3, 0, 0),
    "beacons.fastly.country.US.count": (9, 0, 0),
    "origin.fastly.requests.2xx.count": (60, 90, 80),
    "origin.fastly.requests.503.count": (15, 0, 0),
    "origin.akamai.requests.2xx.count": (100, 100, 100),
    "origin.akamai.requests.500.count": (0, 0, 0),
    "edge.fastly.requests.hit.2xx.count": (30, 0, 0),
    "edge.fastly.requests.miss.2xx.count": (10, 0, 0),
    "network_errors.fastly.dns.count": (4, 0, 0),
    "beacontail.access.incomplete": (1, 0, 0),
}
# What each graph shows of the last minutes, two hosts added up; a line of deploys is named `deploy`.
SHOWN = {
    "Failure beacons by provider": {"fastly": 18, "akamai": 0, "deploy": 1},
    "Failure beacons against yesterday and last week": {"today": 18, "yesterday": 2, "last week": 4, "deploy": 1},
    "Failure beacons by POP: the ten with most": {"fastly.NYC": 12, "fastly.LHR": 6},
    "Failure beacons by country: the ten with most": {"US": 18},
    "Requests by provider": {"fastly": 150, "akamai": 200, "deploy": 1},
    "Requests of one provider against yesterday and last week": {"today": 150, "yesterday": 180, "last week": 160, "deploy": 1},
    "5xx of the origin by provider, percent": {"fastly": 20, "akamai": 0, "deploy": 1},
    "Answered by the CDN's cache, percent": {"fastly": 75},
    "Network errors that browsers reported": {"fastly.dns": 8},
    "Minutes that are incomplete, by host": {"web1": 1, "web2": 1},
}


def addresses():
    """heading -> address, of the paper."""
    text = (ROOT / "contrib/graphite/urls.md").read_text()
    return dict(re.findall(r"^## (.+)\n(?:(?!## ).*\n)*?```url\n(\S+)\n```", text, re.M))


def declared():
    """Paths of the shipped rules below the prefix, as patterns."""
    found = ["beacontail.{log}.incomplete"]
    for path in (ROOT / "parsers/rules").glob("*.toml"):
        for metric in tomllib.loads(path.read_text())["metric"]:
            found += metric.get("graphite", [])
    return [re.compile("".join(r"(?:\w+|\*|\{[\w,]+\}|\d\*)" if part.startswith("{") else re.escape(part)
                               for part in re.split(r"(\{\w+\})", path)) + "$") for path in found]


def strangers():
    """Paths in addresses that no rule writes, and headings that are not looked at."""
    known, wrong = declared(), []
    for heading, address in addresses().items():
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(address).query)
        for target in query["target"]:
            for path in re.findall(r"web\.\*\.([^()'\s]+?)(?=[,)](?![\w,]*\}))", target):
                wrong += [] if any(one.match(path) for one in known) else [f"{heading}: nobody writes web.*.{path}"]
    return wrong + [f"urls.md and tests/graphs.py: {heading!r} is in one of them only" for heading in SHOWN.keys() ^ addresses().keys()]


def send(port, now):
    """Ten minutes of each of the three days, from both hosts, and a deploy."""
    lines = []
    for path, values in SENT.items():
        for days, value in zip((0, 1, 7), values):
            for minute in range(1, 11):
                at = now - now % 60 - (days * DAY + minute) * 60
                lines += [f"web.{host}.{path} {value} {at}\n" for host in ("web1", "web2")]
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall("".join(lines).encode())


def get(url, data=None):
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"} if data else {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def shown(url):
    """series -> its newest value, of the JSON of an address."""
    status, body = get(url.replace("format=png", "format=json"))
    if status != 200:
        return {"": f"status {status}: {body[-300:]!r}"}
    found = {}
    for series in json.loads(body):
        values = [value for value, _ in series["datapoints"] if value is not None]
        found[series["target"]] = values[-1] if values else None
    return found


def asked(web):
    """What is wrong with the answers."""
    wrong = []
    for heading, address in addresses().items():
        url = address.replace("http://graphite.example.com", f"http://127.0.0.1:{web}").replace("from=-6h", "from=-8min")
        deadline = time.monotonic() + 30
        while (found := shown(url)) != SHOWN.get(heading) and time.monotonic() < deadline:
            time.sleep(0.3)
        wrong += [] if found == SHOWN.get(heading) else [f"{heading}: shows {found}, expected {SHOWN.get(heading)}"]
        status, body = get(url)
        wrong += [] if status == 200 and body.startswith(b"\x89PNG") else [f"{heading}: no picture, status {status}"]
        plain = re.sub(r"&target=[^&]*events\([^&]*", "", url)
        if plain != url and get(plain)[1] == body:
            wrong.append(f"{heading}: the deploy is not drawn")
    return wrong


def mistakes():
    """What is wrong with contrib/graphite; `None` where there is no Graphite to ask."""
    wrong = strangers()
    if not shutil.which("carbon-cache") or not Path("/usr/share/graphite-web").exists():
        return wrong or None
    with tempfile.TemporaryDirectory() as folder:
        probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
        line, pickle, query, web = [probe.getsockname()[1] for probe in probes]
        for probe in probes:
            probe.close()
        subprocess.run(["bash", SCRIPT, "start", folder, *map(str, (line, pickle, query, web))], check=True)
        try:
            now = int(time.time())
            send(line, now)
            event = {"what": "deploy 1234", "tags": ["deploy"], "when": now - 180, "data": ""}
            status, body = get(f"http://127.0.0.1:{web}/events/", json.dumps(event).encode())
            wrong += [] if status == 200 else [f"the deploy is refused: {status} {body[-300:]!r}"]
            return wrong + asked(web)
        finally:
            subprocess.run(["bash", SCRIPT, "stop", folder], check=False)


if __name__ == "__main__":
    outcome = mistakes()
    print("no Graphite here" if outcome is None else "\n".join(outcome) or f"{len(SHOWN)} graphs show what they should")
    raise SystemExit(1 if outcome or (outcome is None and os.environ.get("CI") == "true") else 0)
