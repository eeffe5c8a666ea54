"""Run a program under limits: `python -I -S confine.py PARENT MEMORY CPU FILE NICE SOURCE -- PROGRAM ARGUMENTS`.

Standard library only, and as little of it as will do: this is the start of every media process. It limits
address space, CPU time, the size of each file and the number of open ones, forbids core dumps, lowers the priority,
asks the kernel to end the program with its parent, and becomes the program. Where the kernel has Landlock, the
program can also read nothing but itself, the system's libraries and SOURCE, write nowhere but in the working
folder, and open no TCP connection: a decoder that is taken over finds nothing to take.
"""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_OPEN_FILES = 64
_GRACE_SECONDS = 10
"""CPU seconds between the signal that ffmpeg reports and the one that nothing survives."""

# Landlock's system calls have the same numbers on every architecture since Linux 5.13.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_EVERY_TCP = 3
_NET_SINCE = 4
# How many of the rights over files each version of the interface knows.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
_LATEST_FILE_RIGHTS = 16
_LIBRARIES = (
    "/usr",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/dev/null",
    "/dev/urandom",
    "/proc/self",
    "/sys/devices/system/cpu",
)


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("rights", ctypes.c_uint64), ("descriptor", ctypes.c_int32))


def shut_in(libc: ctypes.CDLL, readable: list[str], writable: str) -> None:
    """Apply Landlock as far as this kernel knows it; without it the other limits remain."""
    version = libc.syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)
    if version < 1:
        return
    every = (1 << _FILE_RIGHTS.get(version, _LATEST_FILE_RIGHTS)) - 1
    rules = _Ruleset(every, _EVERY_TCP)
    size = ctypes.sizeof(rules) if version >= _NET_SINCE else ctypes.sizeof(ctypes.c_uint64)
    ruleset = libc.syscall(_CREATE_RULESET, ctypes.byref(rules), size, 0)
    if ruleset < 0:
        return
    for path in [*_LIBRARIES, *readable, writable]:
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        allowed = every if path == writable else _EXECUTE | _READ_FILE
        if path != writable and os.path.isdir(path):  # noqa: PTH112 - pathlib takes 15 ms to import
            allowed |= _READ_DIR
        beneath = _Beneath(allowed & every, descriptor)
        libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(beneath), 0)
        os.close(descriptor)
    libc.syscall(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def main() -> None:
    """Apply the limits and replace this process."""
    parent, memory, cpu, file_size, nice = (int(text) for text in sys.argv[1:6])
    source, program = sys.argv[6], sys.argv[8:]
    limits = [
        (resource.RLIMIT_AS, memory, memory),
        (resource.RLIMIT_CPU, cpu, cpu + _GRACE_SECONDS),
        (resource.RLIMIT_FSIZE, file_size, file_size),
        (resource.RLIMIT_NOFILE, _OPEN_FILES, _OPEN_FILES),
        (resource.RLIMIT_CORE, 0, 0),
    ]
    for kind, soft, hard in limits:
        # Never above what this process was given itself.
        ceiling = resource.getrlimit(kind)[1]
        most = hard if ceiling == resource.RLIM_INFINITY else min(hard, ceiling)
        resource.setrlimit(kind, (min(soft, most), most))
    os.nice(nice)
    os.umask(0o077)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        # The parent may have died before the kernel was asked.
        if os.getppid() != parent:
            sys.exit(1)
        shut_in(libc, [os.path.realpath(program[0]), source], os.getcwd())  # noqa: PTH109 - as above
    os.execv(program[0], program)  # noqa: S606 - that is its purpose


main()
