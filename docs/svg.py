#!/usr/bin/env python3
"""Draws what `beacontail replay` prints on a terminal: python3 docs/svg.py LOG > docs/replay.svg

The program runs on a pseudo-terminal, so the picture has its colours and its characters. Only the
few escapes that the program uses are understood. $BEACONTAIL names the binary; without it the one in
target/release is taken, or target/debug. $LINES_SHOWN bounds the lines drawn.
"""

import os
import pty
import re
import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = 118
CHARACTER, LINE, MARGIN = 7.7, 17, 16
COLORS = {"1": "b", "1;31": "bad", "33": "warn", "2": "dim", "0": ""}
STYLE = """
text { font: 12.8px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #d7dae0; white-space: pre }
.b { font-weight: bold; fill: #fff } .bad { font-weight: bold; fill: #ff6b5e }
.warn { fill: #e5c07b } .dim { fill: #8b919d }
"""


def binary():
    candidates = [os.environ.get("BEACONTAIL"), ROOT / "target/release/beacontail", ROOT / "target/debug/beacontail"]
    for candidate in filter(None, candidates):
        if Path(candidate).is_file():
            return str(candidate)
    sys.exit("svg: build beacontail first")


def output(command):
    """Everything the command writes to its terminal, but for what it erases again."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(COLUMNS=str(COLUMNS), LC_ALL="C.UTF-8", TERM="xterm-256color")
        os.environ.pop("NO_COLOR", None)
        # Progress goes to standard error and has no place in a still picture.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.chdir(ROOT)
        os.execv(binary(), command)
    parts = []
    while True:
        try:
            part = os.read(terminal, 1 << 16)
        except OSError:
            break
        if not part:
            break
        parts.append(part)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        sys.exit("svg: the command failed:\n" + b"".join(parts).decode())
    return b"".join(parts).decode().replace("\r\n", "\n")


def spans(line):
    """Pairs of a class and a text."""
    style = ""
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if part.startswith("\x1b["):
            style = COLORS.get(part[2:-1], "")
        elif part:
            yield style, part


def wrapped(line):
    """The line as a terminal folds it: lists of spans."""
    rows, width = [[]], 0
    for style, text in spans(line):
        while text:
            if width == COLUMNS:
                rows.append([])
                width = 0
            part, text = text[: COLUMNS - width], text[COLUMNS - width :]
            rows[-1].append((style, part))
            width += len(part)
    return rows


def drawn(number, row):
    """One line of text; each piece says where it stands, whatever the reader's font."""
    column, pieces = 0, []
    for style, text in row:
        for word in re.finditer(r"\S+(?: \S+)*", text):
            x = MARGIN + (column + word.start()) * CHARACTER
            length = (word.end() - word.start()) * CHARACTER
            kind = f' class="{style}"' if style else ""
            pieces.append(f'<tspan x="{x:.1f}" textLength="{length:.1f}"{kind}>{escape(word[0])}</tspan>')
        column += len(text)
    y = MARGIN + 12 + number * LINE
    return f'<text y="{y}">{"".join(pieces)}</text>' if pieces else ""


def main():
    command = ["beacontail", "replay", *sys.argv[1:]]
    lines = output(command).rstrip("\n").split("\n")
    lines = ["$ " + " ".join(command)] + lines
    limit = int(os.environ.get("LINES_SHOWN", "47"))
    if len(lines) > limit:
        lines = lines[:limit] + ["\x1b[2m…\x1b[0m"]
    rows = [row for line in lines for row in wrapped(line)]
    width = int(2 * MARGIN + COLUMNS * CHARACTER)
    height = 2 * MARGIN + len(rows) * LINE
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">')
    print(f"<title>{escape(' '.join(command))}</title><style>{STYLE}</style>")
    print(f'<rect width="{width}" height="{height}" rx="8" fill="#1e2127"/>')
    for number, row in enumerate(rows):
        text = drawn(number, row)
        if text:
            print(text)
    print("</svg>")


if __name__ == "__main__":
    main()
