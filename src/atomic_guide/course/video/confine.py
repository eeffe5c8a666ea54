"""Run a program under limits: `python -I -S confine.py PARENT MEMORY CPU FILE NICE SOURCE -- PROGRAM ARGUMENTS`.

Standard library only, and as little of it as will do: this is the start of every media process. It limits
address space, CPU time, the size of each file and the number of open ones, forbids core dumps, lowers the priority,
asks the kernel to end the program with its parent, and becomes the program. Where the kernel has Landlock, the
program can also read nothing but itself, the system's libraries and SOURCE (a file, or a folder), and write nowhere
but in the working folder. A filter of system calls refuses sockets of every kind, other processes' memory and what
leads out of a sandbox: a decoder that is taken over finds nothing to take, and nowhere to send it.
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


# Of seccomp(2) and <linux/filter.h>: load a word of `struct seccomp_data`, compare, answer.
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_LOAD, _EQUAL, _AT_LEAST, _ANSWER = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4
_ALLOWED, _REFUSED = 0x7FFF0000, 0x00050001
_FOREIGN_ABI = 0x40000000
"""Where x32's numbers begin: the same calls under others."""
_REFUSED_CALLS = {
    # socket, ptrace, process_vm_readv, process_vm_writev, io_uring_setup, bpf, perf_event_open, unshare, setns,
    # mount, keyctl, userfaultfd: <asm/unistd_64.h> and <asm-generic/unistd.h>.
    "x86_64": (0xC000003E, (41, 101, 310, 311, 425, 321, 298, 272, 308, 165, 250, 323)),
    "aarch64": (0xC00000B7, (198, 117, 270, 271, 425, 280, 241, 97, 268, 40, 219, 282)),
}


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("true", ctypes.c_ubyte), ("false", ctypes.c_ubyte), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(_Instruction)))


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


def refuse_calls(libc: ctypes.CDLL) -> None:
    """Refuse the listed system calls from here on, as far as this machine's numbers are known."""
    architecture, calls = _REFUSED_CALLS.get(os.uname().machine, (0, ()))
    if not architecture:
        return
    # Jumps count the instructions that they skip; the refusal is the last one, the leave the one before it.
    checks = len(calls)
    lines = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 0, checks + 3, architecture),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AT_LEAST, checks + 1, 0, _FOREIGN_ABI),
        *((_EQUAL, checks - at, 0, number) for at, number in enumerate(calls)),
        (_ANSWER, 0, 0, _ALLOWED),
        (_ANSWER, 0, 0, _REFUSED),
    ]
    instructions = (_Instruction * len(lines))(*(_Instruction(*line) for line in lines))
    program = _Program(len(lines), instructions)
    libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0)


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
        refuse_calls(libc)
    os.execv(program[0], program)  # noqa: S606 - that is its purpose


main()
