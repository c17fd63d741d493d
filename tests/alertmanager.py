"""What contrib/alertmanager tells whom, by a real Alertmanager that sends mail to us.

The shipped configuration is used as it is, but for its waits, the mail server, and the path of its
templates. Alerts are posted as Prometheus posts them.
"""

import email
import email.policy
import json
import os
import re
import shutil
import socketserver
import subprocess
import tempfile
import threading
import time
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path

from servers import free_port

HERE = Path(__file__).resolve().parent
SHIPPED = HERE.parent / "contrib/alertmanager"
SCRIPT = HERE / "components/alertmanager.sh"
# What a browser or a log could hold in a label: a new header, a bell, an arrow to the left, a quote.
HOSTILE = "nobody'\r\nBcc: all@example.com\a\u202e"


class Mailbox(socketserver.ThreadingTCPServer):
    """As much of SMTP as a sender needs; every message is kept."""

    allow_reuse_address = daemon_threads = True

    def __init__(self):
        self.mails = []
        super().__init__(("127.0.0.1", 0), Session)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def find(self, receiver, *words):
        """Mails to somebody that hold all words, in subject or text."""
        return [(subject, text) for to, subject, text in list(self.mails)
                if to == receiver and all(word in f"{subject}\n{text}" for word in words)]


class Session(socketserver.StreamRequestHandler):
    """One sender."""

    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self):
        to = ""
        self.say("220 mailbox")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"DATA":
                self.say("354 go on")
                mail = self.message()
                text = mail.get_body(("plain",)).get_content().replace("\r\n", "\n")
                self.server.mails.append((to, mail["Subject"], text))
            elif word == b"RCPT":
                to = re.search(rb"<(.*)>", line)[1].decode()
            self.say("250 mailbox" if word != b"QUIT" else "221 bye")
            if word == b"QUIT":
                return

    def message(self):
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b".") else line)
        return email.message_from_bytes(b"".join(lines), policy=email.policy.default)


def configuration(folder, port):
    """The shipped files, to be used at once and on this machine."""
    shutil.copytree(SHIPPED, folder, dirs_exist_ok=True)
    path = folder / "alertmanager.yml"
    text = path.read_text().replace("127.0.0.1:25", f"127.0.0.1:{port}")
    text = re.sub(r"group_wait: \w+", "group_wait: 4s", text)
    path.write_text(re.sub(r"group_interval: \w+", "group_interval: 1s", text))
    return path


def alert(name, severity, since, ends=None, **labels):
    annotations = {
        "summary": f"{name} of {labels.get('provider', labels.get('instance', 'all'))}",
        "description": "Browsers are served the error page.",
        "pops": "NYC 75 %, LHR 25 %",
        "countries": "US 80 %, \u202eCA 20 %",
        "origin": "0 requests in five minutes reached the origin, 500 are usual",
        "mark": "deploy 1234, 2026-11-22 13:25:00 +0000 UTC",
        "check": "beacontail check --prometheus http://prometheus:9090 --metric cdn_failure_beacons_total --by provider",
        "grep": f'provider="{labels.get("provider")}"',
        "ticket": "browsers are served the error page that we keep at your edges.",
        "runbook": f"alerts.md#{name.lower()}",
    }
    if not labels.get("provider"):
        annotations = {key: annotations[key] for key in ("summary", "description", "runbook")}
    posted = {"labels": {"alertname": name, "severity": severity, **labels}, "annotations": annotations,
              "startsAt": since.isoformat(), "generatorURL": "http://prometheus:9090/graph"}
    return posted | ({"endsAt": ends.isoformat()} if ends else {})


def post(port, *alerts):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/v2/alerts", json.dumps(alerts).encode(),
                                     {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=10).close()


def soon(what, found, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := found():
            return result
        time.sleep(0.1)
    return None


def story(port, box):
    """What is wrong with the mails that an incident makes."""
    # Alerts that are older than the wait are sent at once, in any order, before one can inhibit another.
    since = datetime.now(timezone.utc).replace(microsecond=0)
    agent = {"job": "beacontail", "instance": "web1:9577"}
    post(port,
         alert("FailureBeaconSpike", "critical", since, provider="fastly"),
         alert("FailureBeaconRatio", "critical", since, provider="fastly"),
         alert("FirstFailureBeacon", "warning", since, provider="fastly"),
         alert("FirstFailureBeacon", "warning", since, provider="akamai"),
         alert("FirstFailureBeacon", "warning", since, provider=HOSTILE),
         alert("OriginErrorsOneProvider", "critical", since, provider="edgecast"),
         alert("OriginErrors", "critical", since),
         alert("ProviderDrained", "info", since, provider="cloudfront"),
         alert("BeacontailDown", "critical", since, **agent),
         alert("BeacontailBehind", "warning", since, log="access", **agent),
         alert("BeacontailBehind", "warning", since, log="access", **agent | {"instance": "web2:9577"}))
    page = soon("the page", lambda: box.find("oncall@example.com", "FailureBeaconSpike", "FailureBeaconRatio"))
    if not page:
        return [f"nobody was woken: {[mail[:2] for mail in box.mails]}"]
    subject, text = page[0]
    wrong = [] if subject == "CRITICAL fastly: FailureBeaconRatio of fastly; FailureBeaconSpike of fastly" else [f"the subject is {subject!r}"]
    ten_before = f"{since - timedelta(minutes=10):%Y-%m-%dT%H:%M:%SZ}"
    for part in (
        f"FailureBeaconSpike (critical), since {since:%Y-%m-%d %H:%M:%S} UTC", "POPs:        NYC 75 %, LHR 25 %", "US 80 %,  CA 20 %",
        "The origin:  0 requests in five minutes", "Newest mark: deploy 1234, 2026", "    beacontail check --prometheus http://prometheus:9090 --metric",
        f"    beacontail grep 'provider=\"fastly\"' --since {ten_before} /var/log/nginx/access.log",
        f"Since about {since:%Y-%m-%d %H:%M} UTC browsers are served", "/usr/share/doc/beacontail/alerts.md#failurebeaconspike",
        "http://prometheus:9090/graph",
    ):
        wrong += [] if part in text else [f"the page lacks {part!r}:\n{text}"]
    forged = soon("a hostile label", lambda: box.find("web@example.com", "Bcc"))
    shown = forged[0] if forged else ("", "")
    if not forged or re.search("[\r\n\a\u202e]", shown[0]) or re.search("[\r\a\u202e]|^Bcc", shown[1], re.M):
        wrong.append(f"a hostile label does harm: {shown}")
    if "grep 'provider=\"nobody?Bcc: all@example.com?\"' --since" not in shown[1]:
        wrong.append(f"a hostile label gets into a command: {shown[1]}")
    for what, receiver, words in (
        ("another provider's first beacon is a mail", "web@example.com", ("FirstFailureBeacon", "WARNING akamai")),
        ("errors of one provider are a page", "oncall@example.com", ("OriginErrorsOneProvider",)),
        ("an agent that is down is a page", "oncall@example.com", ("BeacontailDown", "web1:9577")),
        ("an agent that is behind is a mail", "web@example.com", ("BeacontailBehind", "web2:9577")),
    ):
        if not soon(what, lambda to=receiver, all_words=words: box.find(to, *all_words)):
            wrong.append(f"not told: {what}")
    everything = "\n".join(map(" ".join, box.mails))
    for what, pattern in (("a first beacon beside a spike", "FirstFailureBeacon of fastly"), ("a drain", "ProviderDrained"),
                          ("all errors beside those of one", r"OriginErrors of all"), ("a dead agent's lag", "BeacontailBehind of web1")):
        wrong += [f"told, though inhibited or nobody's: {what}"] if re.search(pattern, everything) else []
    post(port, alert("FailureBeaconSpike", "critical", since, datetime.now(timezone.utc), provider="fastly"),
         alert("FailureBeaconRatio", "critical", since, datetime.now(timezone.utc), provider="fastly"))
    if not soon("the end", lambda: box.find("oncall@example.com", "RESOLVED fastly", "RESOLVED FailureBeaconSpike")):
        wrong.append("the end was not told")
    return wrong


def mistakes():
    """What is wrong with what is shipped for Alertmanager; `None` where there is no Alertmanager."""
    if not (shutil.which("prometheus-alertmanager") and shutil.which("amtool")):
        return None
    checked = subprocess.run(["amtool", "check-config", SHIPPED / "alertmanager.yml"], capture_output=True, text=True)
    if checked.returncode:
        return [checked.stdout + checked.stderr]
    with tempfile.TemporaryDirectory() as folder:
        port, box = free_port(), Mailbox()
        path = configuration(Path(folder), box.server_address[1])
        subprocess.run(["bash", SCRIPT, "start", folder, str(port), path], check=True)
        try:
            return story(port, box)
        finally:
            subprocess.run(["bash", SCRIPT, "stop", folder], check=False)
            box.shutdown()
            box.server_close()


if __name__ == "__main__":
    found = mistakes()
    print("no Alertmanager here" if found is None else "\n".join(found) or "the mails are as they should be")
    raise SystemExit(1 if found or (found is None and os.environ.get("CI") == "true") else 0)
