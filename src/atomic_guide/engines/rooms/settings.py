"""The limits of rooms and sockets."""

from __future__ import annotations

from typing import Annotated

import msgspec

from atomic_guide.setting import setting


class RoomSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many may be in a room, and how much each may send and leave unread."""

    room_sockets: Annotated[
        int,
        setting(
            "Sockets of one room in one process; the next one is sent to another process.", "sockets", ge=1, le=100_000
        ),
    ] = 1000
    process_sockets: Annotated[
        int,
        setting(
            "Sockets of one process, in all rooms together; the next one is sent to another process. One takes 5 kB"
            " and a descriptor, and 20,000 that all listen keep a core busy at 5 messages a second.",
            "sockets",
            ge=1,
            le=1_000_000,
        ),
    ] = 20_000
    person_sockets: Annotated[
        int,
        setting(
            "Sockets of one person in one room, over all processes that NATS connects: a few tabs, a phone and"
            " a tablet.",
            "sockets",
            ge=1,
            le=1000,
        ),
    ] = 5
    frame_limit: Annotated[
        int,
        setting(
            "Size of a message that a client sends; a text of 4,000 characters is at most 24 KiB of JSON.",
            "bytes",
            ge=1024,
            le=1 << 20,
        ),
    ] = 64 * 1024
    compress_from: Annotated[
        int,
        setting(
            "Frames of this size and more are compressed, once for a whole room, for clients that offer it;"
            " below a packet nothing is gained. 0: never, and it is not agreed on.",
            "bytes",
            ge=0,
        ),
    ] = 1400
    write_at_once: Annotated[
        bool,
        setting(
            "Write to all members of a room by one call of the kernel (io_uring) where it may be used; a quarter less"
            " CPU time. Off: a call for each.",
            "switch",
        ),
    ] = True
    frames_per_minute: Annotated[
        int,
        setting(
            "Frames of one socket, of whatever type; twice what an instructor may post.",
            "frames/min",
            ge=60,
            le=1_000_000,
        ),
    ] = 2400
    faults_per_minute: Annotated[
        int,
        setting("Bad or refused frames of one socket before it is closed with 1008.", "frames/min", ge=1, le=10_000),
    ] = 60
    waiting_messages: Annotated[
        int,
        setting(
            "Messages of one socket on their way to the database; beyond, it is not read.", "messages", ge=1, le=10_000
        ),
    ] = 64
    history_pages: Annotated[
        int,
        setting(
            "Pages of history on their way to one socket, each up to 3 MB; a peer that asks and does not read gets no"
            " more.",
            "pages",
            ge=1,
            le=100,
        ),
    ] = 4
    soft_buffer: Annotated[
        int,
        setting("Unsent bytes of a socket from which on it gets no typing and presence frames.", "bytes", ge=1024),
    ] = 64 * 1024
    hard_buffer: Annotated[
        int,
        setting("Unsent bytes of a socket at which it is closed with 1013, to resume later.", "bytes", ge=4096),
    ] = 1 << 20
    ping_seconds: Annotated[
        float,
        setting("Silence after which a socket is pinged.", "s", ge=1, le=600),
    ] = 25.0
    silence_seconds: Annotated[
        float,
        setting(
            "Silence after which a socket is given up: a ping and its answer have had their time.", "s", ge=2, le=3600
        ),
    ] = 60.0
    close_seconds: Annotated[
        float,
        setting("How long a closing handshake may take.", "s", ge=0.1, le=8),
    ] = 5.0
    join_seconds: Annotated[
        float,
        setting("How long joining may take, missed messages included.", "s", ge=0.5, le=60),
    ] = 15.0
    ring_messages: Annotated[
        int,
        setting(
            "Newest messages of a room kept in memory, so that a reconnect reads no database.",
            "messages",
            ge=0,
            le=100_000,
        ),
    ] = 512
    ring_bytes: Annotated[
        int,
        setting("Most memory for them.", "bytes", ge=0),
    ] = 1 << 20
    resume_limit: Annotated[
        int,
        setting(
            "Missed messages that are sent one by one; who missed more gets `behind` and the newest page.",
            "messages",
            ge=0,
            le=100_000,
        ),
    ] = 1000
    resume_page: Annotated[
        int,
        setting("Messages read from the database at a time.", "messages", ge=1, le=1000),
    ] = 200
    linger_seconds: Annotated[
        float,
        setting("How long an empty room is kept, for those who reconnect.", "s", ge=0, le=3600),
    ] = 60.0
    reconnects_per_second: Annotated[
        int,
        setting(
            "How many sockets of a process that stops may come back elsewhere each second, by the moments"
            " that it tells them; a join costs about 1 ms.",
            "sockets/s",
            ge=1,
            le=100_000,
        ),
    ] = 200
    leave_seconds: Annotated[
        float,
        setting("How long a person may be gone without having left: a reload.", "s", ge=0, le=60),
    ] = 1.0
    presence_seconds: Annotated[
        float,
        setting(
            "How often a process tells the others that it lives; after 3.25 times that silence its people"
            " have left. All its rooms together are one notice.",
            "s",
            ge=0.1,
            le=60,
        ),
    ] = 1.0
    named_people: Annotated[
        int,
        setting(
            "Up to so many people in a room, each one's coming and going is told by name; beyond, members"
            " get the count once a second, and the names of instructors.",
            "people",
            ge=0,
            le=5000,
        ),
    ] = 200
    check_seconds: Annotated[
        float,
        setting("How often a room compares itself with the database while NATS is away.", "s", ge=0.5, le=300),
    ] = 2.0
    check_connected_seconds: Annotated[
        float,
        setting(
            "The same while NATS is there: it delivers at most once, and a process may die between"
            " storing a message and announcing it.",
            "s",
            ge=1,
            le=3600,
        ),
    ] = 10.0


MEMBERS_SHOWN = 200
"""People listed in `welcome`; the count covers everybody."""

HUSHED_SECONDS = 5.0
"""How often members hear of who came and went while the process sheds load: a list of people may be that old."""

LATE_SECONDS = 0.1
"""Presence and typing are collected this long, so that a class that enters together costs one write each."""

COUNTED_SECONDS = 1.0
"""The same for the count of people in a big room: at 5,000, entering within a minute, 80 join each second."""

LATE_LIMIT = 500
"""Comings and goings that are told one by one, to members or in one notice; for more there is the list."""

MOVES_LIMIT = 10_000
"""Comings and goings of a second that are remembered; the count is exact whatever is forgotten."""

TYPING_LIMIT = 20
"""People of a room that are told to type within one second; nobody reads more names."""

PEOPLE_LIMIT = 500
"""People of one notice: usual names make it 30 kB, and the longest ids and names stay within the 1 MiB of NATS."""
