#!/usr/bin/env python3
"""Compares `replay --output json` of the benchmark rules with an oracle's answer.

  compare.py ORACLE.json REPLAY.json...

ORACLE.json holds any of the parts beacons, cdn, country, keyed `minute|label|label` (epoch seconds).
Exit status 1 on any difference.
"""
import calendar
import json
import sys
import time


def minute(text):
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


def answer(paths):
    parts = {"beacons": {}, "cdn": {}, "country": {}}
    for path in paths:
        for series in json.load(open(path))["series"]:
            labels = "|".join(series["labels"].values())
            for at, value in series["minutes"].items():
                put(parts, series["metric"], f"{minute(at)}|{labels}", value)
    return parts


def put(parts, metric, key, value):
    if metric == "beacons_total":
        parts["beacons"][key] = value
    elif metric == "countries_total":
        parts["country"][key] = value
    else:
        cell = parts["cdn"].setdefault(key, {})
        if metric == "requests_total":
            cell["n"] = value
        elif metric == "bytes_total":
            cell["bytes"] = value
        else:
            cumulative = list(value["buckets"].values())
            cell["le"] = [b - a for a, b in zip([0] + cumulative, cumulative)]
            cell["ms"] = round(float(value["sum"]) * 1000)


def main():
    oracle = json.load(open(sys.argv[1]))
    got = answer(sys.argv[2:])
    bad = 0
    for part in got:
        if part in oracle and got[part]:
            keys = set(oracle[part]) | set(got[part])
            wrong = [k for k in sorted(keys) if oracle[part].get(k) != got[part].get(k)]
            for key in wrong[:5]:
                print(f"{part} {key}: right {oracle[part].get(key)}, got {got[part].get(key)}")
            print(f"{part}: {len(keys) - len(wrong)} of {len(keys)} cells equal")
            bad += len(wrong)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
