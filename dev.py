#!/usr/bin/env python3
"""The one way in: `python3 dev.py run` starts Atomic Guide, `python3 dev.py test` runs its suite.

Everything is set up in `.venv` beside this file, from hash-locked requirement files in `locks/`. Only the standard
library is used. This file must parse on every Python 3, so that an old one gets a sentence and no traceback; the rest
is in `tools/`.
"""

import os
import sys

OLDEST = (3, 11)


def main() -> int:
    """Refuse an old Python in plain words, then hand over to `tools.commands`."""
    if sys.version_info < OLDEST:
        found = "%d.%d" % sys.version_info[:2]  # noqa: UP031 - as above
        sys.stderr.write("Atomic Guide needs Python 3.11 or newer; this is Python " + found + ".\n")
        sys.stderr.write(
            "Install one (on Debian 12 and Ubuntu 24.04: apt install python3 python3-venv), then run it again.\n"
        )
        return 1
    if os.name != "posix":
        sys.stderr.write("Atomic Guide runs on Linux and macOS; on Windows, use it inside WSL.\n")
        return 1
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - as above
    from tools import commands  # noqa: PLC0415 - only a Python that is new enough may read it

    return commands.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
