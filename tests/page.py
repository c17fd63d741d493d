#!/usr/bin/env python3
"""The status page in a real browser: its numbers, its charts, its looks, and that hostile text stays text.

A real agent counts a log of the last hour whose every line is known; what the page shows with and without
scripts is held against that log and against the API. `--write` keeps two pictures of the page in docs/.
BEACONTAIL_BIN puts another program in the place of target/debug/beacontail.
"""

import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
import zlib
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import browser  # noqa: E402
from servers import free_port  # noqa: E402

PROGRAM = os.environ.get("BEACONTAIL_BIN", str(ROOT / "target/debug/beacontail"))
EVIL = '<script>window.pwned=1</script>"><img src=x onerror=window.pwned=1>'
BIDI = "\u202eevil\u200b"
PIXEL = "/status/images/beacon.gif"

# What the page's stylesheet promises and a picture cannot tell: nothing beside the page, nothing over
# another. Boxes that scroll may hold more than they show.
LAYOUT = """() => {
  const wrong = [];
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width) wrong.push(`page ${document.documentElement.scrollWidth} > ${width}`);
  const seen = [...document.querySelectorAll("header > *, h2, .findings li, .plot, figcaption, .box, summary, dl, .u-legend")]
    .filter((one) => one.checkVisibility());
  const boxes = seen.map((one) => [one, one.getBoundingClientRect()]);
  for (const [one, box] of boxes) {
    const name = `${one.tagName}.${one.className} ${one.textContent.slice(0, 30)}`;
    if (box.left < -0.5 || box.right > width + 0.5) wrong.push(`beside the page: ${name}`);
    if (!one.matches(".box, .plot, dl") && one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0) wrong.push(`cut: ${name}`);
    for (const [other, place] of boxes) {
      if (one === other || one.contains(other) || other.contains(one)) continue;
      const over = Math.min(box.right, place.right) - Math.max(box.left, place.left);
      const under = Math.min(box.bottom, place.bottom) - Math.max(box.top, place.top);
      if (over > 1 && under > 1) wrong.push(`overlap: ${name} / ${other.tagName} ${other.textContent.slice(0, 30)}`);
    }
  }
  return wrong;
}"""

# WCAG 2.2, 1.4.3: the contrast of each text with what is behind it.
CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
  const behind = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const c = parse(getComputedStyle(at).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const low = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const one = node.parentElement;
    if (!node.textContent.trim() || !one.checkVisibility()) continue;
    const [a, b] = [light(parse(getComputedStyle(one).color)), light(behind(one))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) low.add(`${one.tagName}.${one.className} ${ratio.toFixed(2)} ${node.textContent.slice(0, 20)}`);
  }
  return [...low];
}"""

# What the script gave to the chart library, by figure.
CHARTS = """() => Object.fromEntries([...window.beacontail.charts].map(([id, { plot, names }]) =>
  [id, { names, data: plot.data.map((column) => [...column]) }]))"""

# Whether the lines are there: pixels of a canvas that are not empty.
INK = """() => Object.fromEntries([...window.beacontail.charts].map(([id, { plot }]) => {
  const { width, height } = plot.ctx.canvas;
  const pixels = plot.ctx.getImageData(0, 0, width, height).data;
  let ink = 0;
  for (let at = 3; at < pixels.length; at += 4) ink += pixels[at] > 0 ? 1 : 0;
  return [id, ink];
}))"""


class Log:
    """The last hour, minute by minute, and what it must count. A gap without lines in the middle."""

    GAP = range(31, 37)
    # Minutes pass while the test runs; all of these stay on the page.
    FIRST = 56

    def __init__(self):
        self.now = int(time.time()) // 60 * 60
        self.lines = []
        self.beacons = Counter()
        self.requests = Counter()
        self.pops = Counter()
        for ago in range(self.FIRST, 0, -1):
            if ago not in self.GAP:
                self.minute(ago)
        hostile = self.line(2, f"/?q={EVIL.replace(chr(34), '%22').replace(' ', '+')}", 200, "fastly",
                            agent=EVIL.replace('"', "'") + BIDI, referrer=f"https://evil.example/{EVIL.replace(chr(34), '')}")
        self.lines += [
            hostile,
            self.line(2, f"{PIXEL}?token=s3cret&server_identity={EVIL.replace(chr(34), '').replace(' ', '+')}", 200, "-", agent="near"),
            self.line(2, f"{PIXEL}?source=fastly&server_identity=x-NYC", 200, "-", method="POST"),
            f"{EVIL} {BIDI} \x1b[2J\x07 no line of 198.51.100.77",
            "198.51.100.77 - - [01/Jan/2001:00:00:00 +0000] \"GET /old HTTP/1.1\" 200 5 \"-\" \"-\"",
        ]
        self.requests["fastly", "2xx", self.at(2)] += 1

    def at(self, ago):
        return self.now - ago * 60

    def line(self, ago, path, status, provider, method="GET", agent="Mozilla/5.0", referrer="-"):
        moment = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(self.at(ago) + 5))
        return (f'203.0.113.{ago + 10} - - [{moment}] "{method} {path} HTTP/1.1" {status} 512 "{referrer}" "{agent}" '
                f'"{provider}" 0.010')

    def minute(self, ago):
        for provider, share in (("fastly", 9), ("akamai", 6), ("cloudfront", 4)):
            for number in range(share + (ago * 7 + share) % 4):
                status = 503 if number % 9 == 8 else 404 if number % 7 == 6 else 200
                self.lines.append(self.line(ago, f"/item/{number}", status, provider))
                self.requests[provider, f"{status // 100}xx", self.at(ago)] += 1
        storm = {4: 12, 3: 31, 2: 40, 1: 22}.get(ago, 0)
        for provider, pop, count in (("fastly", "NYC", storm), ("fastly", "LHR", storm // 4), ("akamai", "FRA", ago % 11 == 0)):
            for number in range(count):
                path = f"{PIXEL}?source={provider}&server_identity=cache-{pop.lower()}{number}-{pop}"
                self.lines.append(self.line(ago, path, 200, "-"))
                self.beacons[provider, self.at(ago)] += 1
                self.pops[provider, pop] += 1


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


@contextlib.contextmanager
def agent(folder, log):
    """An agent that has counted the log and has one mark. Gives the page's address."""
    (folder / "access.log").write_text("\n".join(log.lines) + "\n")
    http, page = free_port(), free_port()
    (folder / "beacontail.toml").write_text(f"""
[store]
path = "{folder}/store.db"
[agent]
allowed_lateness = "0s"
idle = "300ms"
[http]
listen = "127.0.0.1:{http}"
[status]
listen = "127.0.0.1:{page}"
[[log]]
name = "access"
path = "{folder}/access.log"
parser = "nginx-cdn"
from = "start"
[[output]]
type = "graphite"
name = "graphite"
address = "127.0.0.1:1"
prefix = "web"
""")
    errors = open(folder / "stderr", "w")
    running = subprocess.Popen([PROGRAM, "run", "--backfill", "-c", folder / "beacontail.toml"], stderr=errors, stdout=errors)
    try:
        address = f"http://127.0.0.1:{page}"
        deadline = time.time() + 30
        while True:
            try:
                counted = json.loads(get(f"{address}/api/v1/status"))
                [access] = counted["logs"]
                if access["lines"][0] and not access["lag_bytes"] and (access["watermark"] or 0) >= log.now:
                    break
            except OSError:
                pass
            if running.poll() is not None or time.time() > deadline:
                sys.exit(f"page: the agent is not ready\n{counted}\n{(folder / 'stderr').read_text()}")
            time.sleep(0.2)
        with contextlib.closing(sqlite3.connect(folder / "store.db", timeout=10)) as store, store:
            mark = (log.at(5) * 1000, f"deploy 1234 {EVIL}", json.dumps(["deploy", "web"]))
            store.execute("INSERT INTO mark (at_ms, text, tags) VALUES (?, ?, ?)", mark)
        yield address
    finally:
        running.terminate()
        running.wait(timeout=20)


class Watched:
    """A page whose console and requests are listened to."""

    def __init__(self, page, address):
        self.page, self.wrong = page, []
        page.on("console", lambda said: said.type in ("error", "warning") and self.wrong.append(said.text))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", lambda asked: asked.url.startswith((address + "/", "data:")) or self.wrong.append(asked.url))
        page.on("dialog", lambda shown: self.wrong.append(shown.message))


def held(what, expected, found):
    if expected != found:
        sys.exit(f"page: {what}\nexpected {expected}\nfound    {found}")


def table(page, part):
    """The rows of a table, as texts."""
    rows = page.locator(f'[data-part="{part}"] tbody tr')
    return rows.evaluate_all("rows => rows.map(row => [...row.cells].map(cell => cell.textContent.trim()))")


def number(text):
    return int(re.sub(r"[≥,\s]", "", text))


def tables_are_right(page, log):
    shown = {row[0]: row for row in table(page, "beacons")}
    for provider in ("fastly", "akamai", "cloudfront"):
        within = sum(n for (name, at), n in log.beacons.items() if name == provider)
        held(f"beacons of {provider} in 60 minutes", within, number(shown[provider][3]))
    minutes = page.locator('[data-part="minutes-beacons"] tbody tr')
    rows = minutes.evaluate_all("""rows => rows.map(row => [row.querySelector("time").dateTime,
        ...[...row.cells].slice(1).map(cell => cell.textContent.trim())])""")
    names = page.locator('[data-part="minutes-beacons"] thead th').all_text_contents()[1:-1]
    for stamp, *cells, state in rows:
        at = int(time.mktime(time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone)
        ago = (log.now - at) // 60
        for name, cell in zip(names, cells):
            if ago in log.GAP:
                held(f"{stamp} has no lines", "no data", cell)
            elif 0 < ago <= log.FIRST:
                held(f"beacons of {name} at {stamp}", log.beacons[name, at], number(cell))
        if ago in log.GAP:
            held(f"state of {stamp}", "no data", state)
    status = {row[0]: row for row in table(page, "origin")}
    classes = page.locator('[data-part="origin"] thead th').all_text_contents()[3:-1]
    for provider in ("fastly", "akamai", "cloudfront"):
        for name, cell in zip(classes, status[provider][3:]):
            within = sum(n for (of, kind, _), n in log.requests.items() if (of, kind) == (provider, name))
            held(f"{provider} {name}", within, number(cell))
    pops = [(row[0], row[1], number(row[2])) for row in table(page, "beacon-pops")]
    expected = sorted(((*key, n) for key, n in log.pops.items() if n), key=lambda one: (-one[2], one[:2]))
    held("POPs", expected, pops)
    return rows


def charts_are_right(page, address, log):
    page.wait_for_function("document.querySelectorAll('figure.chart canvas').length === document.querySelectorAll('figure.chart').length")
    charts = page.evaluate(CHARTS)
    held("charts", {"chart-beacons", "chart-origin-providers", "chart-origin-classes"}, set(charts))
    answer = json.loads(get(address + page.locator("#chart-beacons").get_attribute("data-src")))
    beacons = charts["chart-beacons"]
    known = {step["at"] for step in answer["steps"] if step["at"] + 60 <= answer["watermark"]}
    for name, values in zip(beacons["names"], beacons["data"][1:]):
        series = next(series for series in answer["series"] if series["labels"] == [name])
        points = {point["at"]: point["n"] for point in series["points"]}
        held(f"chart and API of {name}", [points.get(at, 0) if at in known else None for at in beacons["data"][0]], values)
        for at, value in zip(beacons["data"][0], values):
            ago = (log.now - at) // 60
            if ago in log.GAP:
                held("a gap is a gap", None, value)
            elif 0 < ago <= log.FIRST:
                held(f"chart of {name}", log.beacons[name, at], value)
    classes = charts["chart-origin-classes"]
    for name, values in zip(classes["names"], classes["data"][1:]):
        drawn = sum(value or 0 for value in values)
        held(f"chart of {name}", sum(n for (_, kind, _), n in log.requests.items() if kind == name), drawn)
    for figure, ink in page.evaluate(INK).items():
        if ink < 1000:
            sys.exit(f"page: nothing is drawn in {figure}")


def text_is_text(page):
    held("no script of a log ran", None, page.evaluate("window.pwned ?? null"))
    held("elements of a log", 0, page.locator("main img, main script, main iframe").count())
    body = page.locator("body").text_content()
    for part in ("<script>window.pwned=1</script>", "onerror=window.pwned=1", r"\u{202e}evil\u{200b}", r"\u{1b}[2J", "token=…"):
        if part not in body:
            sys.exit(f"page: {part!r} is not on the page")
    for part in ("\u202e", "\x1b", "s3cret", "198.51.100.77"):
        if part in body:
            sys.exit(f"page: {part!r} is on the page")


def looks_right(page, width, scheme):
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.wait_for_timeout(300)
    for opened in (False, True):
        page.evaluate("open => document.querySelectorAll('details').forEach(one => { one.open = open; })", opened)
        held(f"layout at {width} px, {scheme}", [], page.evaluate(LAYOUT))
        held(f"contrast at {width} px, {scheme}", [], page.evaluate(CONTRAST))
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = false; })")


def keyboard_is_seen(page):
    reached = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        outline, kind = page.evaluate("""() => {
            const one = document.activeElement;
            return [getComputedStyle(one).outlineStyle, one.tagName];
        }""")
        if outline == "none":
            sys.exit(f"page: the focus on {kind} cannot be seen")
        reached.add(kind)
    if not {"BUTTON", "SUMMARY", "DIV"} <= reached:
        sys.exit(f"page: the keyboard reaches only {reached}")


def structure_is_sound(page):
    held("language", "en", page.locator("html").get_attribute("lang"))
    held("tables without caption", 0, page.locator("table:not(.u-legend):not(:has(caption))").count())
    held("headers without scope", 0, page.locator("main table:not(.u-legend) th:not([scope])").count())
    if not page.title().startswith("(1) Something is wrong"):
        sys.exit(f"page: the title is {page.title()!r}")
    verdict = page.locator(".findings").inner_text()
    if not re.search(r"beacons from fastly: \d+ in 5 minutes", verdict):
        sys.exit(f"page: the verdict is {verdict!r}")


def goes_on(page, log, folder):
    """What is written now is shown without loading the page again, and a chart keeps up."""
    page.evaluate("window.stayed = true")
    moment = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
    line = f'203.0.113.9 - - [{moment}] "GET {PIXEL}?source=cloudflare&server_identity=a-AMS HTTP/1.1" 200 5 "-" "-" "-" 0.1'
    with open(folder / "access.log", "a") as written:
        written.write(line + "\n")
    for _ in range(100):
        page.evaluate("window.beacontail.refresh()")
        page.wait_for_timeout(200)
        rows = table(page, "beacon-pops")
        if any(row[:2] == ["cloudflare", "AMS"] for row in rows):
            break
    else:
        sys.exit("page: a new beacon is not shown")
    held("the page was not loaded again", True, page.evaluate("window.stayed"))
    # It is drawn once its minute is whole.
    page.wait_for_function("""() => {
        window.beacontail.refresh();
        const { names, plot } = window.beacontail.charts.get("chart-beacons");
        return plot.data[1 + names.indexOf("cloudflare")].includes(1);
    }""", polling=1000, timeout=90_000)


def smaller(picture):
    """The same PNG, compressed with more patience than a browser has."""
    at, head, pixels = 8, [], b""
    while at < len(picture):
        length = int.from_bytes(picture[at:at + 4])
        chunk = picture[at:at + 12 + length]
        if chunk[4:8] == b"IDAT":
            pixels += chunk[8:-4]
        elif chunk[4:8] == b"IHDR":
            head.append(chunk)
        at += len(chunk)
    parts = [(b"IDAT", zlib.compress(zlib.decompress(pixels), 9)), (b"IEND", b"")]
    made = [len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4) for kind, data in parts]
    return picture[:8] + b"".join(head + made)


def main():
    log = Log()
    with tempfile.TemporaryDirectory() as place, browser.chromium() as chromium:
        folder = Path(place)
        with agent(folder, log) as address:
            plain = chromium.new_context(java_script_enabled=False).new_page()
            quiet = Watched(plain, address)
            plain.goto(address)
            tables_are_right(plain, log)
            held("without scripts", [], quiet.wrong)

            page = chromium.new_context(viewport={"width": 1440, "height": 900}).new_page()
            watched = Watched(page, address)
            page.goto(address)
            charts_are_right(page, address, log)
            tables_are_right(page, log)
            text_is_text(page)
            structure_is_sound(page)
            for width in (360, 768, 1440):
                for scheme in ("light", "dark"):
                    looks_right(page, width, scheme)
            goes_on(page, log, folder)
            keyboard_is_seen(page)
            held("console and requests", [], watched.wrong)
            if "--write" in sys.argv:
                for width, scheme in ((1440, "light"), (360, "dark")):
                    looks_right(page, width, scheme)
                    page.evaluate("document.activeElement.blur()")
                    height = page.evaluate("document.documentElement.scrollHeight")
                    clip = {"x": 0, "y": 0, "width": width, "height": min(height, 1700)}
                    picture = page.screenshot(full_page=True, clip=clip)
                    (ROOT / f"docs/status-{width}.png").write_bytes(smaller(picture))
        # The agent is gone: the page says so and keeps what it has.
        page.evaluate("window.beacontail.refresh()")
        page.wait_for_function("document.getElementById('live').textContent.includes('No answer from the agent')")
    print("page: numbers, charts, text and looks are as they should be")


if __name__ == "__main__":
    main()
