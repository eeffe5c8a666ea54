"""The limits of what is said in a room."""

from __future__ import annotations

from atomic_guide.limit import Limit

PERSON_MESSAGES = Limit(
    "chat",
    "person_messages",
    "messages/min",
    "limits.person_messages",
    refuses="The message.",
    answer="429 RATE_LIMITED",
    use="What the busiest person has spent of a minute, as far as this process knows.",
    about="own",
)
INSTRUCTOR_MESSAGES = Limit(
    "chat",
    "instructor_messages",
    "messages/min",
    "limits.instructor_messages",
    refuses="The message.",
    answer="429 RATE_LIMITED",
    use="What the busiest instructor has spent of a minute, likewise.",
    about="own",
)
ROOM_MESSAGES = Limit(
    "chat",
    "room_messages",
    "messages/min",
    "limits.room_messages",
    refuses="The message, of whomever in the room.",
    answer="429 RATE_LIMITED",
    use="What the busiest room has spent of a minute, likewise.",
)
MESSAGE_CHARACTERS = Limit(
    "chat",
    "message_characters",
    "characters",
    "chat.message_characters",
    refuses="The message.",
    answer="400 VALIDATION_ERROR",
    use="The longest message lately.",
    about="size",
)
PENDING_MESSAGES = Limit(
    "chat",
    "pending_messages",
    "messages",
    "chat.pending_messages",
    refuses="The message, while so many wait for a commit of its shard.",
    answer="503 UNAVAILABLE",
    use="Messages of this process that wait for the next commit, of the shard that most wait for.",
)
LIMITS = (PERSON_MESSAGES, INSTRUCTOR_MESSAGES, ROOM_MESSAGES, MESSAGE_CHARACTERS, PENDING_MESSAGES)
