#!/usr/bin/env python3
"""Holds the dependency graph to deny.toml: licences, banned crates, registries.

Reads what `cargo metadata` says and needs no network beyond what a build needs. Every crate that
the lock file brings to this host is looked at, build and test dependencies included. It does not
read licence files and knows no advisories; `cargo deny check` does both.
"""

import hashlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def host():
    """The triple that cargo builds for."""
    text = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    return re.search(r"^host: (\S+)$", text, re.M)[1]


def packages():
    """Every package that takes part in a build on this host."""
    command = ["cargo", "metadata", "--format-version=1", "--locked", "--filter-platform", host()]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit("licences: `cargo metadata` failed")
    graph = json.loads(done.stdout)
    built = {node["id"] for node in graph["resolve"]["nodes"]}
    return [package for package in graph["packages"] if package["id"] in built]


def accepts(expression, allowed):
    """Whether an SPDX expression can be met with the licences allowed. `/` is cargo's old OR."""
    tokens = re.findall(r"\(|\)|[^\s()/]+|/", expression)
    tokens = ["OR" if token == "/" else token for token in tokens]

    def alternatives(at):
        met, at = together(at)
        while tokens[at:at + 1] == ["OR"]:
            more, at = together(at + 1)
            met = met or more
        return met, at

    def together(at):
        met, at = single(at)
        while tokens[at:at + 1] == ["AND"]:
            more, at = single(at + 1)
            met = met and more
        return met, at

    def single(at):
        if tokens[at] == "(":
            met, at = alternatives(at + 1)
            return met, at + 1
        if tokens[at + 1:at + 2] == ["WITH"]:
            return f"{tokens[at]} WITH {tokens[at + 2]}" in allowed, at + 3
        return tokens[at] in allowed, at + 1

    met, end = alternatives(0)
    return met and end == len(tokens)


def mistakes(rules, found):
    """One sentence for each rule that a package breaks."""
    allowed = set(rules["licenses"]["allow"])
    banned = {entry["crate"] for entry in rules["bans"]["deny"]}
    registries = {f"registry+{url}" for url in rules["sources"]["allow-registry"]}
    for package in found:
        name = f"{package['name']} {package['version']}"
        licence = package["license"]
        if package["name"] in banned:
            yield f"{name} is banned"
        if package["source"] and package["source"] not in registries:
            yield f"{name} comes from {package['source']}"
        if not licence:
            yield f"{name} names no licence"
        elif not accepts(licence, allowed):
            yield f"{name} is under `{licence}`, which deny.toml does not allow"


def vendored():
    """Files that are not ours, as the THIRD-PARTY.md beside them says: path, licence, SHA-256."""
    for note in sorted((ROOT / "src").rglob("THIRD-PARTY.md")):
        for name, licence, digest in re.findall(r"^\| `(\S+)` \| .* \| (\S+) \| `([0-9a-f]{64})` \|$", note.read_text(), re.M):
            yield note.parent / name, licence, digest


def changed(rules, files):
    """One sentence for each file that is not what its note says, or under a licence that is not allowed."""
    for path, licence, digest in files:
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            yield f"{path.relative_to(ROOT)} is not the file that its THIRD-PARTY.md names"
        if licence not in rules["licenses"]["allow"]:
            yield f"{path.relative_to(ROOT)} is under `{licence}`, which deny.toml does not allow"


def main():
    rules = tomllib.loads((ROOT / "deny.toml").read_text())
    found = packages()
    files = list(vendored())
    broken = [*mistakes(rules, found), *changed(rules, files)]
    for sentence in broken:
        print(f"licences: {sentence}", file=sys.stderr)
    print(f"licences: {len(found)} crates, {len(files)} vendored files, {len(broken)} mistakes")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
