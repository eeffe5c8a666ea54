"""`atomic-guide capacity`: what the system can bear, what it will need, and what runs out first."""

from __future__ import annotations

from atomic_guide.cli.capacity.fit import fit
from atomic_guide.cli.capacity.plan import plan
from atomic_guide.cli.capacity.queue import queue
from atomic_guide.cli.options import Leading

command = Leading(
    "capacity",
    leads="plan",
    commands=[plan, fit, queue],
    help="Plan what must be added by when, fit how the system scales, and ask how long a queue waits.",
)
