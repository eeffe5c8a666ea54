"""The limits of launches and of calls to an LMS."""

from __future__ import annotations

from atomic_guide.limit import Limit

LOGINS = Limit(
    "lti",
    "logins",
    "logins/min",
    "lti.logins_per_minute",
    refuses="The login.",
    answer="429 LTI_TOO_MANY_LOGINS",
    use="What the busiest address has spent of a minute, in this process.",
)
PENDING_LOGINS = Limit(
    "lti",
    "pending_logins",
    "logins",
    "lti.pending_logins",
    refuses="Nothing: the oldest login is forgotten.",
    answer="forgets",
    use="Logins that are remembered.",
)
FORM_BYTES = Limit(
    "lti",
    "form_bytes",
    "bytes",
    "lti.form_bytes",
    refuses="The launch.",
    answer="413 LTI_FORM_TOO_LARGE",
    use="The largest posted form lately.",
    about="size",
)
TOKEN_BYTES = Limit(
    "lti",
    "token_bytes",
    "bytes",
    "lti.token_bytes",
    refuses="The launch.",
    answer="413 LTI_TOKEN_TOO_LARGE",
    use="The largest token of a launch lately.",
    about="size",
)
ANSWER_BYTES = Limit(
    "lti",
    "answer_bytes",
    "bytes",
    "lti.fetch_bytes",
    refuses="What an LMS answers; the job that asked fails, or the launch where it was for keys.",
    answer="503 LMS_UNAVAILABLE",
    use="The largest answer of an LMS lately.",
    about="size",
)
LIMITS = (LOGINS, PENDING_LOGINS, FORM_BYTES, TOKEN_BYTES, ANSWER_BYTES)
