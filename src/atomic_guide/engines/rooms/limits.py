"""The limits of rooms and sockets."""

from __future__ import annotations

from atomic_guide.limit import Limit

ROOM_SOCKETS = Limit(
    "rooms",
    "room_sockets",
    "sockets",
    "rooms.room_sockets",
    refuses="The next socket of the room in this process; it comes again, and lands in another one.",
    answer="bye 1013 full",
    use="Sockets of the fullest room of a process.",
)
PROCESS_SOCKETS = Limit(
    "rooms",
    "process_sockets",
    "sockets",
    "rooms.process_sockets",
    refuses="The next socket of the process, of whatever room; it comes again, and lands in another one.",
    answer="bye 1013 full",
    use="Sockets of a process.",
)
PERSON_SOCKETS = Limit(
    "rooms",
    "person_sockets",
    "sockets",
    "rooms.person_sockets",
    refuses="The next socket of the person in the room.",
    answer="bye 1013 tabs",
    use="Sockets of the person who has most in one room of a process.",
    about="own",
)
FRAME_BYTES = Limit(
    "rooms",
    "frame_bytes",
    "bytes",
    "rooms.frame_limit",
    refuses="The message, with its socket.",
    answer="close 1009",
    use="The largest message lately.",
    about="size",
)
SOCKET_FRAMES = Limit(
    "rooms",
    "socket_frames",
    "frames/min",
    "rooms.frames_per_minute",
    refuses="The frame.",
    answer="error RATE_LIMITED",
    use="What the busiest socket has spent of its minute.",
    about="own",
)
SOCKET_FAULTS = Limit(
    "rooms",
    "socket_faults",
    "frames/min",
    "rooms.faults_per_minute",
    refuses="The socket, after so many bad or refused frames.",
    answer="bye 1008 policy",
    use="What the worst socket has spent of its minute.",
    about="own",
)
SOCKET_MESSAGES = Limit(
    "rooms",
    "socket_messages",
    "messages",
    "rooms.waiting_messages",
    refuses="Nothing: the socket is not read until one of them is stored.",
    answer="waits",
    use="Messages of one socket on their way to the database, of the socket that has most.",
    about="own",
)
SOCKET_PAGES = Limit(
    "rooms",
    "socket_pages",
    "pages",
    "rooms.history_pages",
    refuses="The next page of history that a socket asks for.",
    answer="error RATE_LIMITED",
    use="Pages on their way to one socket, of the socket that has most.",
    about="own",
)
SOCKET_UNSENT = Limit(
    "rooms",
    "socket_unsent",
    "bytes",
    "rooms.hard_buffer",
    refuses="The socket, which does not take what it is sent.",
    answer="bye 1013 slow",
    use="Unsent bytes of the socket that is furthest behind.",
    about="own",
)
LIMITS = (
    *(ROOM_SOCKETS, PROCESS_SOCKETS, PERSON_SOCKETS, FRAME_BYTES, SOCKET_FRAMES, SOCKET_FAULTS),
    *(SOCKET_MESSAGES, SOCKET_PAGES, SOCKET_UNSENT),
)
