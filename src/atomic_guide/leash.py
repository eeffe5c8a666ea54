"""Replaces itself by a program that the kernel ends when its parent dies: `leash.py PARENT PROGRAM ARGUMENT...`.

`PARENT:USER:GROUP` also drops root's rights for those of an account, by its numbers.

A file of its own, run by a bare interpreter: between `fork` and `exec` of a process with threads nothing of
Python may run, so the request to the kernel has to be made after the `exec`.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask for the signal, make sure that the parent has not died meanwhile, become the program."""
    parent, *account = map(int, sys.argv[1].split(":"))
    if account:
        os.setgroups([])
        os.setgid(account[1])
        os.setuid(account[0])
    # After that: the kernel forgets the wish when a process changes its account.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == parent:
        os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - no shell is what is wanted


if __name__ == "__main__":
    main()
