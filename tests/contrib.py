#!/usr/bin/env python3
"""What stands in contrib/ for those who watch names only what beacontail exposes, and works with the real ones.

The rules and the dashboard are read, their expressions taken, and every metric name and label in them is
held against the papers: parsers/rules/*.toml for what is counted of log lines, the tables of
docs/operating.md for the rest. With promtool at hand the expressions are parsed and the stories in
*.test.yml are played; without it that is said and left out.
"""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import alertmanager
import graphs

ROOT = Path(__file__).resolve().parent.parent
RULES = ROOT / "contrib/prometheus/beacontail.rules.yml"
DASHBOARD = ROOT / "contrib/grafana/beacontail.json"

# What a scrape adds, whatever is scraped.
FROM_SCRAPE = {"job", "instance"}
# What stands in no table: Prometheus' own series, and the marks, which are there when somebody made one.
PROMETHEUS = {"up": set(), "ALERTS": None, "beacontail_mark_timestamp_seconds": {"text"}}

WORDS = set(
    "and or unless on ignoring by without group_left group_right offset bool sum min max avg count group "
    "topk bottomk quantile time vector absent rate increase delta deriv histogram_quantile "
    "sort_desc sqrt clamp_min label_replace "
    "max_over_time min_over_time avg_over_time last_over_time quantile_over_time".split()
)
STRING = r'"(?:[^"\\]|\\.)*"'


def counted():
    """Metric name -> labels, of the shipped rule sets."""
    known = {}
    for path in sorted((ROOT / "parsers/rules").glob("*.toml")):
        for metric in tomllib.loads(path.read_text())["metric"]:
            name, labels = metric["name"], set(metric.get("labels", []))
            known[name] = labels
            if metric.get("type") == "histogram":
                known[name + "_bucket"] = labels | {"le"}
                known[name + "_sum"] = known[name + "_count"] = labels
            if "near" in metric:
                near = name.removesuffix("_total").removesuffix("s") + "_near_misses_total"
                known[near] = {"reason"}
    return known


def documented():
    """Metric name -> labels, of the tables in docs/operating.md."""
    known = {}
    for line in (ROOT / "docs/operating.md").read_text().splitlines():
        found = re.match(r"\| `([a-z_]+)(?:\{([a-z_,]*)\})?` \|", line)
        if found:
            labels = set(filter(None, (found[2] or "").split(",")))
            known[found[1]] = labels
            if "(histogram)" in line:
                known[found[1] + "_bucket"] = labels | {"le"}
    return known


def strangers(expression, known):
    """Names and labels in a PromQL expression that nobody exposes."""
    out = []
    plain = re.sub(STRING, '""', expression)
    for name, matchers in re.findall(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*\{([^}]*)\}", plain):
        labels = set(re.findall(r"([a-z_]+)\s*[=!]", matchers))
        allowed = known.get(name, set())
        if allowed is not None:
            out += [f"{name}{{{label}}}" for label in sorted(labels - allowed - FROM_SCRAPE)]
    every_label = set().union(*filter(None, known.values())) | FROM_SCRAPE
    bare = re.sub(r"\{[^}]*\}", "", plain)
    for group in re.findall(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)", bare):
        labels = set(filter(None, re.split(r"[,\s]+", group)))
        out += [f"by ({label})" for label in sorted(labels - every_label)]
    bare = re.sub(r"\b(by|on|without|ignoring)\s*\([^)]*\)", " ", bare)
    bare = re.sub(r"\[[^\]]*\]|\boffset\s+\w+|\$\w+", " ", bare)
    for name in re.findall(r"(?<![\w:])[a-zA-Z_:][a-zA-Z0-9_:]*", bare):
        if name not in WORDS and name not in known:
            out.append(name)
    return out


def rules():
    """(what, expression) of the rule file, and the names it records. A block in YAML is taken by its indent."""
    found, records, name = [], [], None
    lines = RULES.read_text().splitlines()
    for number, line in enumerate(lines):
        head = re.match(r"\s*- (record|alert): (\S+)", line)
        if head:
            name = head[2]
            records += [name] if head[1] == "record" else []
        one = re.match(r"( *)expr: (.*)", line)
        if one and one[2] != "|":
            found.append((name, one[2]))
        elif one:
            deeper = " " * (len(one[1]) + 1)
            inside = itertools.takewhile(lambda inner: inner.startswith(deeper), lines[number + 1 :])
            found.append((name, "\n".join(inside)))
    return found + asked_by_annotations(), records


def asked_by_annotations():
    """(what, expression) that the rules' annotations ask, as templates do."""
    text = RULES.read_text()
    printed = re.findall(r"printf\s+`([^`]+)`[^`}|]*\|\s*query", text)
    return [("an annotation", one.replace("%q", '"x"')) for one in printed + re.findall(r'query "([^"]+)"', text)]


def panels():
    """(what, expression) of the dashboard."""
    board = json.loads(DASHBOARD.read_text())
    found = []
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            found.append((panel["title"], target["expr"]))
            assert target["datasource"]["uid"] == "${datasource}", f"{panel['title']}: a fixed data source"
    for note in board["annotations"]["list"]:
        if "expr" in note:
            found.append((note["name"], note["expr"]))
    for variable in board["templating"]["list"]:
        inner = re.fullmatch(r"label_values\((.*), (\w+)\)", variable.get("definition", ""))
        if inner:
            found.append((variable["name"], f"count by ({inner[2]}) ({inner[1]})"))
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids)), "two panels have one id"
    assert board["schemaVersion"] >= 36, "older than Grafana 9"
    return found


def parsed_by_promtool(expressions):
    """promtool's complaint about expressions, with Grafana's variables filled in."""
    filled = []
    for _, expression in expressions:
        expression = re.sub(r"\$__(rate_interval|range|interval)", "5m", expression)
        filled.append(re.sub(r"\$\w+", ".*", expression))
    unique = sorted(set(filled))
    text = {"groups": [{"name": "g", "rules": [{"record": f"r{n}", "expr": e} for n, e in enumerate(unique)]}]}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dashboard.yml"
        path.write_text(json.dumps(text))  # JSON is YAML
        return promtool("check", "rules", str(path))


def without_a_runbook():
    """Alerts that docs/alerts.md has no section for, or that do not name it."""
    text, paper = RULES.read_text(), (ROOT / "docs/alerts.md").read_text()
    found = []
    for name in re.findall(r"- alert: (\S+)", text):
        found += [] if f"runbook: alerts.md#{name.lower()}\n" in text else [f"{name}: no runbook"]
        found += [] if re.search(rf"^#+ {name}$", paper, re.M) else [f"{name}: docs/alerts.md has no section of this name"]
    for name in re.findall(r"^### ([A-Z]\w+)$", paper, re.M):
        found += [] if f"- alert: {name}\n" in text else [f"docs/alerts.md: no alert has the name {name}"]
    return found


def promtool(*arguments, cwd=None):
    ran = subprocess.run(["promtool", *arguments], cwd=cwd, capture_output=True, text=True)
    return None if ran.returncode == 0 else ran.stdout + ran.stderr


def main():
    mistakes = []
    alerts, records = rules()
    known = {**counted(), **documented(), **PROMETHEUS, **{name: None for name in records}}
    shown = panels()
    assert len(alerts) > 10 and len(shown) > 20, "rules or panels were not found"
    # The check itself: it must notice these.
    for wrong in ("rate(beacontail_line_total[5m])", 'up{jib="x"}', "sum by (provider, codes) (up)"):
        assert strangers(wrong, known), f"not noticed: {wrong}"
    for what, expression in alerts + shown:
        mistakes += [f"{what}: nobody exposes {name}" for name in strangers(expression, known)]
    if shutil.which("promtool"):
        for complaint in (
            promtool("check", "rules", str(RULES)),
            promtool("test", "rules", *sorted(path.name for path in RULES.parent.glob("*.test.yml")), cwd=RULES.parent),
            parsed_by_promtool(shown + asked_by_annotations()),
        ):
            mistakes += [complaint] if complaint else []
    else:
        print("the alerts are not played: promtool is missing (Debian's package prometheus)")
    mistakes += without_a_runbook()
    for what, found in (("mails", alertmanager.mistakes()), ("graphs of Graphite", graphs.mistakes())):
        mistakes += found or []
        if found is None:
            print(f"the {what} are not looked at: a program is missing")
            mistakes += [f"{what}: not looked at, though this is CI"] if os.environ.get("CI") == "true" else []
    for mistake in mistakes:
        print(mistake, file=sys.stderr)
    print(f"{len(alerts)} rules and {len(shown)} expressions of the dashboard, {len(mistakes)} mistakes")
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main())
