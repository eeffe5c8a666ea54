"""The limits of operators' sessions."""

from __future__ import annotations

from atomic_guide.limit import Limit

REFUSED_TOKENS = Limit(
    "operators",
    "refused_tokens",
    "attempts/min",
    "operators.refused_tokens",
    refuses="Any operators' token, after so many wrong ones from one address; sessions go on.",
    answer="429 RATE_LIMITED",
    use="What the busiest address has spent of a minute, in this process.",
)
SESSIONS = Limit(
    "operators",
    "operator_sessions",
    "sessions",
    "operators.most_sessions",
    refuses="Nothing: the session that was used least recently ends.",
    answer="forgets",
    use="Sessions that were there when this process last looked.",
)
SIGN_INS = Limit(
    "operators",
    "pending_sign_ins",
    "sign-ins",
    "operators.pending_sign_ins",
    refuses="Nothing: the oldest sign-in is forgotten.",
    answer="forgets",
    use="Sign-ins at the provider that were under way when this process last looked.",
)
STREAMS = Limit(
    "operators",
    "console_streams",
    "streams",
    "operators.streams",
    refuses="The console's live stream; it asks again, and is taken by another process perhaps.",
    answer="429 RATE_LIMITED",
    use="Open consoles that a process keeps up to date.",
)
OPERATOR_STREAMS = Limit(
    "operators",
    "operator_streams",
    "streams",
    "operators.operator_streams",
    refuses="The console's live stream of an operator who has so many open.",
    answer="429 RATE_LIMITED",
    use="Open consoles of the operator who has most, in a process.",
    about="own",
)
LIMITS = (REFUSED_TOKENS, SESSIONS, SIGN_INS, STREAMS, OPERATOR_STREAMS)
