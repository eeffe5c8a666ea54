"""Who a cost is for: its lines divided by features and by tenants, each division adding up to the whole. Pure.

| cost | by feature | by tenant |
|---|---|---|
| web | response time | work: response time, and slots of jobs |
| workers | busy slots | work |
| databases, fixed prices | response time and slots together | work |
| NATS | chat | work |
| storage, its requests | video | what is stored; for requests, what was sent |
| traffic | what was sent | what was sent |

What stood idle goes along with who used the rest. Where nobody did anything it is `idle`, and nobody's: `shared`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal

from atomic_guide.operations.costs.money import ZERO, exact, shared
from atomic_guide.operations.costs.pricing import Line, Priced
from atomic_guide.operations.costs.state import NATS
from atomic_guide.operations.costs.usage import Usage
from atomic_guide.operations.scaling.model import WEB, WORKERS

IDLE, SHARED = "idle", "shared"

_VIDEO, _CHAT = "video", "chat"


def by_feature(priced: Priced, usage: Usage) -> dict[str, Decimal]:
    """A cost by feature."""
    both: defaultdict[str, float] = defaultdict(float)
    for work in usage.work.values():
        for name, amount in work.items():
            both[name] += amount

    def weights(line: Line) -> Mapping[str, float]:
        if line.subject in {WEB, WORKERS}:
            return usage.work.get(line.subject, {})
        if line.subject.startswith("storage"):
            return {_VIDEO: 1.0}
        if line.subject == NATS:
            return {_CHAT: 1.0}
        return usage.sent if line.subject == "traffic" else both

    found: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    for line in priced.lines:
        _add(found, line, weights(line), IDLE)
    return dict(sorted(found.items()))


def by_tenant(priced: Priced, usage: Usage) -> dict[str, Decimal]:
    """A cost by tenant."""
    work, sent, stored = (usage.tenants.get(name, {}) for name in ("work", "sent", "stored"))
    found: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    for line in priced.lines:
        weights = work
        if line.subject in {"traffic", "storage requests"}:
            weights = sent or work
        elif line.subject.startswith("storage "):
            weights = stored or work
        _add(found, line, weights, SHARED)
    return dict(sorted(found.items()))


def _add(found: defaultdict[str, Decimal], line: Line, weights: Mapping[str, float], nobody: str) -> None:
    parts = shared(line.amount, {name: exact(weight) for name, weight in weights.items() if weight > 0})
    for name, part in (parts or {nobody: line.amount}).items():
        if part:
            found[name] += part
