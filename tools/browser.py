"""Chromium for the end-to-end tests: an installed one, else apt's where this user may install, else none."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tools.environment import SetupError, run, say

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")


def find() -> str | None:
    """Return an installed browser's path, or None."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    return str(MAC) if MAC.exists() else None


def provide() -> str | None:
    """Return a browser's path, installing one as root where apt is; None, said aloud, where there is none."""
    if found := find():
        return found
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        say("installing chromium")
        try:
            env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
            run(["apt-get", "update", "--quiet"], env=env)
            run(["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "chromium"], env=env)
        except SetupError as error:
            say(str(error))
    found = find()
    if not found:
        say("no Chromium: the end-to-end tests are skipped")
    return found
