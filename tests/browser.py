"""Debian's Chromium, driven by Playwright from a virtual environment of its own.

Imported by the tests that look at pages. `chromium(*switches)` is a context with a browser in it. Playwright
is put below target/playwright at the first use; where it or Chromium cannot be had, that is said, and it
is a failure where CI=true.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

PLACE = Path(__file__).resolve().parent.parent / "target/playwright"
WANTED = "playwright==1.65.2"


def absent(what):
    print(f"not looked at: {what}")
    sys.exit(1 if os.environ.get("CI") == "true" else 0)


def playwright():
    """The module, from our environment."""
    packages = PLACE / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    if not (packages / "playwright").exists():
        venv.create(PLACE, with_pip=True, clear=True)
        done = subprocess.run([PLACE / "bin/pip", "install", "--quiet", WANTED])
        if done.returncode:
            absent("Playwright cannot be installed")
    sys.path.insert(0, str(packages))
    from playwright import sync_api
    return sync_api


@contextlib.contextmanager
def chromium(*switches):
    program = shutil.which("chromium")
    if not program:
        absent("chromium is missing")
    # Nothing that this browser does on its own account leaves the machine.
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright().sync_playwright() as running:
        browser = running.chromium.launch(executable_path=program, args=[*quiet, *sandbox, *switches])
        try:
            yield browser
        finally:
            browser.close()


if __name__ == "__main__":
    playwright()
