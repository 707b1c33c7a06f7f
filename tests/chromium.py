"""The browser of the console's tests: found, or installed where one may. `python -m tests.chromium` installs it.

Debian's chromium, Chrome, or the one that `playwright install chromium` fetches: whichever is there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
MISSING = (
    "The console's tests need Chromium: `apt-get install chromium`, or `.venv/bin/playwright install chromium`, "
    f"which gives one of {', '.join(NAMES)} on the PATH or Playwright's own."
)


def find():
    """Give the path of a browser, or None."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = Path(playwright.chromium.executable_path)
    return str(path) if path.is_file() else None


def install():
    """Install one, by apt as root and by Playwright otherwise; tells whether there is one now."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", "chromium"]):
            if subprocess.run(command, env=environment, stdout=subprocess.DEVNULL).returncode:
                break
    if not find():
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], stdout=subprocess.DEVNULL)
    return find() is not None


if __name__ == "__main__" and not find() and not install():
    # No error of `make test`: all other tests run, and those of the console say it again.
    sys.stderr.write(f"{MISSING}\n")
