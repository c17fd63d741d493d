#!/usr/bin/env python3
"""Writes the first inputs of each fuzz target: the examples of the shipped parsers and their layouts.

    fuzz/seed.py [PROGRAM]

An input's first line picks a format of the family by its number, or gives a layout behind `=`.
"""

import json
import pathlib
import subprocess
import sys
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
PARSERS = HERE.parent / "parsers"
# No shipped parser is of this family.
LOGFMT = (
    ('{ time = "t", status = "code", remote_addr = "ip", request_uri = "path" }',
     't=2013-10-31T07:06:42Z ip=203.0.113.9 path="/a \\"b\\"" code=200 flag'),
    ('{ time = "ts", request_time = "took" }', 'ts=1383203202.5 took=0.004 empty= quoted="" odd="a\\\\"'),
)
TEXTS = ("nginx", "apache", "haproxy", "varnishncsa", "envoy", "regex")


def flat(program, name):
    shown = subprocess.run([program, "parsers", "show", name, "--flat"], check=True, capture_output=True, text=True)
    return tomllib.loads(shown.stdout)


def inline(value):
    """A TOML value on one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {inline(item)}" for key, item in value.items()) + " }"
    return json.dumps(value, ensure_ascii=True)


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else HERE.parent / "target" / "debug" / "beacontail"
    numbers = {}
    for path in sorted(PARSERS.glob("*.toml")):
        parser = flat(program, path.stem)
        family, layout = next((key, value) for key, value in parser["format"].items() if key != "escape")
        folder = HERE / "corpus" / {"tsv": "csv"}.get(family, family)
        folder.mkdir(parents=True, exist_ok=True)
        number = numbers[folder] = numbers.get(folder, -1) + 1
        text = layout if family in TEXTS else inline(layout)
        for index, example in enumerate(parser.get("example", [])):
            lines = example["line"].strip("\n").encode()
            (folder / f"{path.stem}-{index}").write_bytes(bytes([number]) + b"\n" + lines + b"\n")
            if "\n" not in text:
                (folder / f"{path.stem}-{index}-layout").write_bytes(b"=" + text.encode() + b"\n" + lines + b"\n")
    folder = HERE / "corpus" / "logfmt"
    folder.mkdir(parents=True, exist_ok=True)
    for index, (layout, line) in enumerate(LOGFMT):
        for cut in range(0, len(line), 10):
            text = f"={layout}\n{line}\n{line[cut:]}\n"
            (folder / f"made-{index}-{cut}").write_text(text)


if __name__ == "__main__":
    main()
