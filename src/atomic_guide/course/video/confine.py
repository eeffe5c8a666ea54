"""Run a program under limits: `python -I -S confine.py PARENT MEMORY CPU FILE NICE -- PROGRAM ARGUMENTS`.

Standard library only, and as little of it as will do: this is the start of every media process. It limits
address space, CPU time, the size of each file and the number of open ones, forbids core dumps, lowers the priority,
asks the kernel to end the program with its parent, and becomes the program.
"""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_OPEN_FILES = 64


def main() -> None:
    """Apply the limits and replace this process."""
    parent, memory, cpu, file_size, nice = (int(text) for text in sys.argv[1:6])
    program = sys.argv[7:]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        # The parent may have died before the kernel was asked.
        if os.getppid() != parent:
            sys.exit(1)
    limits = [
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_FSIZE, file_size),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ]
    for kind, value in limits:
        # Never above what this process was given itself.
        ceiling = resource.getrlimit(kind)[1]
        most = value if ceiling == resource.RLIM_INFINITY else min(value, ceiling)
        resource.setrlimit(kind, (most, most))
    os.nice(nice)
    os.umask(0o077)
    os.execv(program[0], program)  # noqa: S606 - that is its purpose


main()
