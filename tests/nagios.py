#!/usr/bin/env python3
"""`beacontail check` through a real Nagios 4, and the objects of contrib/nagios under `nagios4 -v`.

A store is made by `beacontail once` of a log whose counts are known. Then Nagios runs one service for each
question: every form of a range at its borders, every state, hostile label values, usage errors, an agent that
is not there. What is looked at is what Nagios has understood: states, output, perfdata and long output in its
status.dat, and the mail of the shipped notification command.

Needs nagios4-core, nagios4-common, monitoring-plugins-basic and faketime; without them a failure where CI=true.
"""

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PROGRAM = ROOT / "target/debug/beacontail"
SHIPPED = ROOT / "contrib/nagios"
SCRIPT = HERE / "components/nagios.sh"
DEBIANS = ("/etc/nagios4/objects/commands.cfg", "/etc/nagios4/objects/contacts.cfg", "/etc/nagios4/objects/templates.cfg",
           "/etc/nagios4/objects/timeperiods.cfg")
OK, WARNING, CRITICAL, UNKNOWN = range(4)

# The table of the Monitoring Plugins guidelines: a range, and whether a value raises the alarm.
RANGES = {
    "10": lambda value: value < 0 or value > 10,
    "10:": lambda value: value < 10,
    "~:10": lambda value: value > 10,
    "10:20": lambda value: value < 10 or value > 20,
    "@10:20": lambda value: 10 <= value <= 20,
}
VALUES = (0, 9, 10, 11, 15, 20, 21)
# What a client may send, and a server writes as it is.
AGENTS = ("up|load=99;1;2;;", "'; touch HARM; '", "$(touch HARM)`touch HARM`", "<script>alert(1)</script>", "semi;colon=equals",
          "\u202egnirts", "\x1b[31mred", "a" * 4000)

LABEL = r"'(?:[^'=]|'')+'|[^\s'=]+"
NUMBER = r"-?\d+(?:\.\d+)?"
RANGE = rf"@?(?:(?:~|{NUMBER})?:)?(?:{NUMBER})?"
PERFDATA = re.compile(rf"({LABEL})=(U|{NUMBER})([a-zA-Z%]*)(?:;({RANGE}))?(?:;({RANGE}))?(?:;({NUMBER})?)?(?:;({NUMBER})?)?")


def perfdata(text):
    """label -> (value, warning, critical); a ValueError where the text is not all perfdata."""
    found, rest = {}, text
    while rest:
        one = PERFDATA.match(rest)
        if not one or (rest[one.end():] and not rest[one.end():].startswith(" ")):
            raise ValueError(rest)
        label = one[1][1:-1].replace("''", "'") if one[1].startswith("'") else one[1]
        found[label] = (one[2], one[4] or "", one[5] or "")
        rest = rest[one.end():].lstrip(" ")
    return found


def log_lines(now):
    """An hour of a line a minute, and in it the beacons and agents that are to be counted."""
    def line(when, target, agent="Mozilla/5.0"):
        stamp = when.strftime("%d/%b/%Y:%H:%M:%S +0000")
        written = "".join(c if " " <= c <= "~" and c not in '"\\' else "".join(f"\\x{b:02X}" for b in c.encode()) for c in agent)
        return f'192.0.2.7 - - [{stamp}] "GET {target} HTTP/1.1" 200 43 "-" "{written}"\n'

    start = now.replace(second=0, microsecond=0) - timedelta(minutes=60)
    lines = []
    for minute in range(60):
        lines.append(line(start + timedelta(minutes=minute), "/"))
        if minute == 50:
            for value in VALUES:
                lines += [line(start + timedelta(minutes=50, seconds=1), f"/status/images/beacon.gif?source=v{value}&server_identity=cache-ny57-NYC")] * value
            lines += [line(start + timedelta(minutes=50, seconds=2), "/hostile", agent) for agent in AGENTS]
    return "".join(lines)


def make_store(folder, hours_ago=0):
    """Counts the log, as an agent did that stopped so long ago; the path of the store."""
    (folder / "parsers/rules").mkdir(parents=True)
    (folder / "parsers/rules/agents.toml").write_text("""description = "Requests by what the client calls itself"

[[metric]]
name = "agent_requests_total"
help = "Requests by user agent."
match = 'path="/hostile"'
labels = { agent = "http_user_agent" }
""")
    (folder / "access.log").write_text(log_lines(datetime.now(timezone.utc) - timedelta(hours=hours_ago)))
    (folder / "beacontail.toml").write_text(f"""parsers = ["{folder}/parsers"]
[store]
path = "{folder}/store/store.db"
[vars]
providers = [{", ".join(f'"v{value}"' for value in VALUES)}]
[[log]]
name = "access"
path = "{folder}/access.log"
parser = "nginx-combined"
rules = ["beacon", "origin", "agents"]
from = "start"
""")
    (folder / "store").mkdir()
    then = ["faketime", "-f", f"-{hours_ago}h"] if hours_ago else []
    subprocess.run([*then, PROGRAM, "once", "-c", folder / "beacontail.toml", "--close", "--backfill"], check=True,
                   stderr=subprocess.DEVNULL)
    # As the package's account has it: the group may read, nobody else.
    if os.geteuid() == 0:
        for path in (folder / "store", *(folder / "store").iterdir()):
            shutil.chown(path, group="nagios")
    (folder / "store").chmod(0o750)
    return folder / "store/store.db"


class Services:
    """Questions for Nagios, each a service, with what is expected of it."""

    def __init__(self, program, store, old_store):
        self.program, self.store, self.old_store = program, store, old_store
        self.asked = []
        self.expected = {}

    def ask(self, name, state, *options, source=None, **wanted):
        source = ["--store", self.store, "--max-lag", "30m", "--window", "30m"] if source is None else source
        command = shlex.join(map(str, [self.program, "check", *source, *options]))
        command = command.replace("$", "$$").replace(";", "\\;")
        self.asked.append(f"""define command {{
    command_name {name}
    command_line {command}
}}
define service {{
    use asked
    service_description {name}
    check_command {name}
    check_interval 3600
    retry_interval 3600
}}
""")
        self.expected[name] = (state, wanted)


def questions(services):
    beacons = 'cdn_failure_beacons_total{provider="v%d"}'
    for place, (text, alarms) in enumerate(RANGES.items()):
        for value in VALUES:
            options = ("--metric", beacons % value, "--by", "provider")
            values = {f"v{value}": (str(value), "", text)}
            services.ask(f"critical-{place}-{value}", CRITICAL if alarms(value) else OK, *options, "-c", text, perf=values)
            values = {f"v{value}": (str(value), text, "")}
            services.ask(f"warning-{place}-{value}", WARNING if alarms(value) else OK, *options, "-w", text, perf=values)
    for value, state in ((9, OK), (10, OK), (11, WARNING), (20, WARNING), (21, CRITICAL)):
        services.ask(f"both-{value}", state, "--metric", beacons % value, "-w", "10", "-c", "20")
    by = ("--metric", "cdn_failure_beacons_total", "--by", "provider")
    services.ask("all", CRITICAL, *by, "-w", "10", "-c", "20", words=("v21",), long=("NYC", "beacontail grep"),
                 perf={f"v{value}": (str(value), "10", "20") for value in VALUES})
    services.ask("one-has-its-own", WARNING, *by, "-w", "10", "-c", "20", "-c", "v21=100")
    services.ask("the-sum", CRITICAL, "--metric", "cdn_failure_beacons_total", "-c", str(sum(VALUES) - 1))
    services.ask("the-sum-is-not-above", OK, "--metric", "cdn_failure_beacons_total", "-c", str(sum(VALUES)))
    services.ask("hostile", CRITICAL, "--metric", "agent_requests_total", "--by", "agent", "-c", "0", hostile=True)
    services.ask("hostile-and-ok", OK, "--metric", "agent_requests_total", "--by", "agent", "-c", "5", hostile=True)
    # Whatever it counted: a value that is two hours old says nothing of now.
    for limit in (1000, 1):
        services.ask(f"stale-{limit}", UNKNOWN, *by, "-c", limit, source=["--store", services.old_store], words=("stale",))
    services.ask("no-store", UNKNOWN, *by, "-c", "20", source=["--store", "/nonexistent/store.db"])
    services.ask("no-agent", UNKNOWN, *by, "-c", "20", source=["--agent", "http://127.0.0.1:1"])
    services.ask("no-prometheus", UNKNOWN, *by, "-c", "20", source=["--prometheus", "http://127.0.0.1:1"])
    services.ask("no-metric", UNKNOWN, "--metric", "cdn_failure_beacon_total", "-c", "20", words=("cdn_failure_beacons_total",))
    for number, wrong in enumerate((["-c", "20:10"], ["-c", "ten"], ["-c", ""], [], ["--by", "colour", "-c", "1"], ["--window", "0", "-c", "1"],
                                    ["--no-such-option"], ["--rate", "--anomaly", "-c", "1"])):
        services.ask(f"usage-{number}", UNKNOWN, *by, *wrong, source=["--store", services.store])
    services.ask("help", UNKNOWN, "--help", source=[], free=True)


def states(folder):
    """service -> what status.dat has of it, of services that were checked."""
    found = {}
    with contextlib.suppress(FileNotFoundError):
        for block in re.findall(r"servicestatus \{\n(.*?)\n\t\}", (folder / "status.dat").read_text(), re.S):
            values = dict(line.strip().split("=", 1) for line in block.splitlines() if "=" in line)
            if values["has_been_checked"] == "1":
                found[values["service_description"]] = values
    return found


def judge(name, got, state, wanted):
    """What is wrong with one service."""
    output, long = got["plugin_output"], got["long_plugin_output"]
    shown = f"{output} | {got['performance_data']}\n    {long}"
    wrong = []
    if got["current_state"] != str(state):
        wrong.append(f"state {got['current_state']}, expected {state}")
    word = ("OK", "WARNING", "CRITICAL", "UNKNOWN")[state]
    if not wanted.get("free") and not output.startswith(f"BEACONTAIL {word} - "):
        wrong.append(f"the output does not begin with BEACONTAIL {word}")
    wrong += [f"the output lacks {part}" for part in wanted.get("words", ()) if part not in output + long]
    wrong += [f"the long output lacks {part}" for part in wanted.get("long", ()) if part not in long]
    try:
        values = perfdata(got["performance_data"])
        if "perf" in wanted and not wanted["perf"].items() <= values.items():
            wrong.append(f"perfdata {values}, expected {wanted['perf']}")
    except ValueError as rest:
        wrong.append(f"no perfdata: {rest}")
    if not wanted.get("free") and re.search(r"[^ -~\u00a1-\u024f–—’…]", output + long.replace("\\n", "") + got["performance_data"]):
        wrong.append("a character that nobody may see")
    if wanted.get("hostile") and ("load=99" in got["performance_data"] and "load" in perfdata(got["performance_data"])):
        wrong.append("a label became perfdata")
    if wanted.get("hostile") and re.search(r"[<>`]|\$\(", output + long):
        wrong.append("markup or a substitution")
    return [f"{name}: {what}: {shown}" for what in wrong]


def verified(folder):
    """What `nagios4 -v` says of the shipped objects beside those of Debian, as they are and with all turned on."""
    wrong = []
    for name, edit in (("as-shipped", lambda text: text), ("all-on", lambda text: re.sub(r"register             0", "register             1", text))):
        place = folder / name
        (place / "objects").mkdir(parents=True)
        for file in ("beacontail.cfg", "hosts.example.cfg"):
            (place / "objects" / file).write_text(edit((SHIPPED / file).read_text()))
        # Debian has it in another package's folder.
        (place / "objects/alive.cfg").write_text("define command {\n    command_name check-host-alive\n    command_line /bin/true\n}\n")
        user = "nagios" if os.geteuid() == 0 else os.environ.get("USER", "nobody")
        main = place / "nagios.cfg"
        main.write_text("".join(f"cfg_file={path}\n" for path in DEBIANS) + f"""cfg_dir={place}/objects
log_file={place}/nagios.log
nagios_user={user}
nagios_group={user}
check_result_path={place}
lock_file={place}/lock
temp_file={place}/temp
temp_path={place}
resource_file=/etc/nagios4/resource.cfg
illegal_macro_output_chars=`~$&|'"<>
""")
        if os.geteuid() == 0:
            shutil.chown(place, "nagios")
        ran = subprocess.run(["nagios4", "-v", main], capture_output=True, text=True)
        if ran.returncode or "Total Warnings: 0" not in ran.stdout or "Checked 6 services" not in ran.stdout and name == "as-shipped":
            wrong.append(f"nagios4 -v, {name}:\n" + "\n".join(re.findall(r"(?m)^(?:Warning|Error|Total|\s+Checked).*", ran.stdout)))
    return wrong


def nrpe(store):
    """What is wrong with the commands of nrpe.d: each is a question that the program understands."""
    wrong = []
    for name, command in re.findall(r"(?m)^command\[(\w+)\]=/usr/bin/beacontail (.*)$", (SHIPPED / "nrpe.d/beacontail.cfg").read_text()):
        ran = subprocess.run(f"{shlex.quote(str(PROGRAM))} {command} --store {shlex.quote(str(store))}", shell=True, capture_output=True, text=True)
        # An hour is too short a past for an anomaly. Whatever else is UNKNOWN was understood wrongly.
        understood = ran.returncode < 3 or "past" in ran.stdout
        if not understood or not ran.stdout.startswith("BEACONTAIL "):
            wrong.append(f"nrpe command {name}: exit {ran.returncode}: {ran.stdout}{ran.stderr}")
    return wrong


def mail_command(folder):
    """The shipped notification command with a mail program that writes a file; the contact gets it."""
    program = folder / "mail"
    program.write_text(f"#!/bin/sh\n{{ printf '%s\\n' \"$@\"; /bin/cat; echo; }} >>{folder}/mails\n")
    program.chmod(0o755)
    block = re.search(r"define command \{\n    command_name  notify-service-by-email-in-full\n.*?\n\}\n", (SHIPPED / "beacontail.cfg").read_text(), re.S)
    return block[0].replace("/usr/bin/mail", str(program)) + """define contact {
    contact_name                  mailed
    email                         oncall@example.com
    service_notification_period   always
    host_notification_period      always
    service_notification_options  w,u,c,r
    host_notification_options     n
    service_notification_commands notify-service-by-email-in-full
    host_notification_commands    ok
}
"""


def run(folder):
    program = folder / "beacontail"
    shutil.copy(PROGRAM, program)
    program.chmod(0o755)
    store = make_store(folder / "now")
    services = Services(program, store, make_store(folder / "before", hours_ago=2))
    questions(services)
    nagios = folder / "nagios"
    (nagios / "objects").mkdir(parents=True)
    text = "".join(services.asked).replace("service_description all\n", "service_description all\n    contacts mailed\n")
    text = text.replace("service_description hostile\n", "service_description hostile\n    contacts mailed\n")
    (nagios / "objects/asked.cfg").write_text(text + mail_command(nagios))
    wrong = verified(folder / "verified") + nrpe(store)
    subprocess.run(["bash", SCRIPT, "start", nagios], check=True)
    try:
        deadline = time.monotonic() + 180
        while len(states(nagios)) < len(services.expected) and time.monotonic() < deadline:
            time.sleep(0.2)
        got = states(nagios)
    finally:
        subprocess.run(["bash", SCRIPT, "stop", nagios], check=False)
    for name, (state, wanted) in services.expected.items():
        wrong += judge(name, got[name], state, wanted) if name in got else [f"{name}: Nagios never had an answer"]
    mails = (nagios / "mails").read_text() if (nagios / "mails").exists() else ""
    for what, pattern in (("its subject", r"(?m)^CRITICAL all$"), ("a line of long output", r"(?m)^.*beacontail grep "), ("its receiver", "oncall@example.com")):
        wrong += [] if re.search(pattern, mails) else [f"the mail lacks {what}:\n{mails}"]
    if re.search("[^ -~\n\u00a1-\u024f–—’…]", mails):
        wrong.append(f"the mail has a character that nobody may see: {mails!r}")
    wrong += [f"somebody ran a command: {path}" for path in folder.rglob("HARM")] + (["HARM"] if Path("HARM").exists() else [])
    print(f"{len(services.expected)} services asked through Nagios, {len(wrong)} mistakes")
    return wrong


def main():
    missing = [name for name in ("nagios4", "faketime") if not shutil.which(name)] + [path for path in DEBIANS if not Path(path).exists()]
    if missing:
        print(f"nothing is asked through Nagios: {', '.join(missing)} missing (nagios4-core, nagios4-common, monitoring-plugins-basic, faketime)")
        return 1 if os.environ.get("CI") == "true" else 0
    with tempfile.TemporaryDirectory(prefix="beacontail-nagios-") as folder:
        os.chmod(folder, 0o755)
        mistakes = run(Path(folder))
    for mistake in mistakes:
        print(mistake, file=sys.stderr)
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main())
