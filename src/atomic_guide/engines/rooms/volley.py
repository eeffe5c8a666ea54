"""The same bytes to many sockets with one call of the kernel: its submission ring, io_uring.

A call for each socket is what a message to a full room mostly costs; here the kernel goes through the list itself, each
send done before the next and before the call returns, none left to a thread or to later. Reached through the C library,
because what is needed of it is little: fill in a table, call, look at what did not go well.

Kernels before 5.18 cannot do it, and many containers may not (Docker's profile of system calls refuses it). So what is
opened must first show, on a pair of sockets, that it sends, refuses and stops half-way as it is relied on to.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import socket as sockets
import struct
import sys
import weakref
from array import array
from typing import NamedTuple

_SETUP, _ENTER = 425, 426
"""io_uring_setup and io_uring_enter, the same numbers on every architecture in use."""

_PLACES = 1024
"""Sends in one call; a full room has 1,000 sockets."""

_SUBMIT_ALL = 1 << 7
"""Of the set-up: go on behind a send that fails."""
_SINGLE_MMAP, _CQE_SKIP = 1 << 0, 1 << 11
"""What the kernel must know: both queues in one piece, no word of what went well."""

_REQUEST = struct.Struct("=BBHiQQIIQ24x")
"""`struct io_uring_sqe`: operation, its flags, -, descriptor, -, address, size, flags of send, number."""
_SEND, _SKIP_SUCCESS = 26, 1 << 6
_FAILED = struct.Struct("=Qi4x")
"""`struct io_uring_cqe`: number of the request, what came of it."""
_REQUESTS_AT = 0x10000000
"""Where the table of requests is mapped from; the queues are at 0."""


class _Layout(NamedTuple):
    """Of `struct io_uring_params`, as 32-bit words: where in the mapped queues things are, and how many."""

    places: int
    failures: int
    head: int
    tail: int
    order: int
    failed_head: int
    failed_tail: int
    failed: int


class Volley:
    """A ring of the kernel. For one thread; `open_volley` makes it."""

    def __init__(self) -> None:
        """Raise OSError where this kernel has none, or does not let it be used."""
        self._syscall = ctypes.CDLL(None, use_errno=True).syscall
        self._syscall.argtypes = [ctypes.c_long] * 7
        self._syscall.restype = ctypes.c_long
        words = (ctypes.c_uint32 * 30)()
        words[2] = _SUBMIT_ALL
        self._descriptor = self._syscall(_SETUP, _PLACES, ctypes.addressof(words), 0, 0, 0, 0)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "io_uring_setup")
        weakref.finalize(self, os.close, self._descriptor)
        if ~words[5] & (_SINGLE_MMAP | _CQE_SKIP):
            raise OSError(0, "this kernel's io_uring is too old")
        self._map(_Layout(words[0], words[1], words[10], words[11], words[16], words[20], words[21], words[25]))

    def _map(self, at: _Layout) -> None:
        size = max(at.order + 4 * at.places, at.failed + _FAILED.size * at.failures)
        queues = memoryview(mmap.mmap(self._descriptor, size))
        self._head, self._tail = _word(queues, at.head), _word(queues, at.tail)
        self._order = queues[at.order : at.order + 4 * at.places].cast("I")
        self._failed_head, self._failed_tail = _word(queues, at.failed_head), _word(queues, at.failed_tail)
        self._failed = queues[at.failed : at.failed + _FAILED.size * at.failures]
        self._requests = memoryview(mmap.mmap(self._descriptor, at.places * _REQUEST.size, offset=_REQUESTS_AT))
        self._descriptors = self._requests.cast("i")[1 :: _REQUEST.size // 4]
        self._numbers = self._requests.cast("Q")[4 :: _REQUEST.size // 8]
        self._places, self._failures = at.places, at.failures
        self._count = memoryview(array("Q", range(at.places)))
        self._turned = memoryview(array("I", [*range(at.places)] * 2))

    def send(self, descriptors: array[int], data: bytes) -> list[tuple[int, int]]:
        """Send to each socket; (place among them, bytes taken) of those that did not take all."""
        short: list[tuple[int, int]] = []
        for start in range(0, len(descriptors), self._places):
            part = descriptors[start : start + self._places]
            short += [(start + place, taken) for place, taken in self._send(part, data)]
        return short

    def _send(self, descriptors: array[int], data: bytes) -> list[tuple[int, int]]:
        wanted = len(descriptors)
        address = ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0
        # MSG_WAITALL makes a send that stops half-way one that failed, of which the kernel tells.
        flags = sockets.MSG_DONTWAIT | sockets.MSG_NOSIGNAL | sockets.MSG_WAITALL
        request = _REQUEST.pack(_SEND, _SKIP_SUCCESS, 0, -1, 0, address, len(data), flags, 0)
        self._requests[: wanted * _REQUEST.size] = request * wanted
        self._descriptors[:wanted] = memoryview(descriptors)
        self._numbers[:wanted] = self._count[:wanted]
        # From where the kernel has come to: what it left, without memory or by an interruption here, never goes out.
        head = self._head[0]
        # The queue goes round, and the table of requests begins at 0 each time.
        turn = -head % self._places
        self._order[:] = self._turned[turn : turn + self._places]
        self._tail[0] = (head + wanted) & 0xFFFFFFFF
        told = self._failed_tail[0]
        sent = max(self._syscall(_ENTER, self._descriptor, wanted, 0, 0, 0, 0), 0)
        return [*self._failures_since(told), *((place, 0) for place in range(sent, wanted))]

    def _failures_since(self, head: int) -> list[tuple[int, int]]:
        found = []
        while head != self._failed_tail[0]:
            place, result = _FAILED.unpack_from(self._failed, head % self._failures * _FAILED.size)
            found.append((place, max(result, 0)))
            head = (head + 1) & 0xFFFFFFFF
        self._failed_head[0] = head
        return found


def _word(queues: memoryview, at: int) -> memoryview:
    return queues[at : at + 4].cast("I")


def open_volley() -> Volley | None:
    """A ring that was seen to work; None where there is none."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        volley = Volley()
        return volley if _works(volley) else None
    except OSError:
        return None


def _works(volley: Volley) -> bool:
    """Whether what is relied on holds: all is sent, a bad descriptor is told of, and how much of what is too much."""
    ours, theirs = sockets.socketpair()
    with contextlib.closing(ours), contextlib.closing(theirs):
        ours.settimeout(0)
        theirs.settimeout(0)
        ours.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, 8192)
        if volley.send(array("i", [ours.fileno(), -1, ours.fileno()]), b"x") != [(1, 0)] or theirs.recv(3) != b"xx":
            return False
        too_much = 64 * 1024
        told = volley.send(array("i", [ours.fileno()]), bytes(too_much))
        taken = 0
        with contextlib.suppress(BlockingIOError):
            while part := len(theirs.recv(too_much)):
                taken += part
        return told == [(0, taken)] and 0 < taken < too_much
