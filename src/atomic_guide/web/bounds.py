"""The limits of requests, whatever they are about."""

from __future__ import annotations

from atomic_guide.limit import Limit

REQUESTS = Limit(
    "web",
    "requests",
    "requests",
    "server.requests",
    refuses="The request, unless it is a probe or an operator's.",
    answer="503 UNAVAILABLE",
    use="Requests that a process is answering.",
)
HANDSHAKES = Limit(
    "web",
    "handshakes",
    "handshakes",
    "server.handshakes",
    refuses="The opening of a socket.",
    answer="503 UNAVAILABLE",
    use="Handshakes of sockets under way in a process.",
)
HEAD_BYTES = Limit(
    "web",
    "head_bytes",
    "bytes",
    "server.head_bytes",
    refuses="The request, with its connection.",
    answer="413 TOO_LARGE",
    use="The largest address with its header lines lately.",
    about="size",
)
BODY_BYTES = Limit(
    "web",
    "body_bytes",
    "bytes",
    "server.body_bytes",
    refuses="The request.",
    answer="413 TOO_LARGE",
    use="The largest JSON body lately.",
    about="size",
)
TICKETS = Limit(
    "web",
    "refused_tickets",
    "attempts/min",
    "limits.refused_tickets",
    refuses="The opening of a socket, after so many without a valid ticket from one address.",
    answer="429 RATE_LIMITED",
    use="What the busiest address has spent of a minute, as far as this process knows.",
    about="own",
)
BUDGETS = Limit(
    "web",
    "budgets",
    "budgets",
    "limits.remembered",
    refuses="Nothing: the budget that was used least recently is forgotten.",
    answer="forgets",
    use="Budgets that are remembered, of the fullest kind.",
    about="kept",
)
LIMITS = (REQUESTS, HANDSHAKES, HEAD_BYTES, BODY_BYTES, TICKETS, BUDGETS)
