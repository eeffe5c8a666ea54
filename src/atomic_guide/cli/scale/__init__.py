"""`atomic-guide scale`: how much of what runs, and how much should."""

from __future__ import annotations

from atomic_guide.cli.options import Leading
from atomic_guide.cli.scale.answer import approve, bounds, pause, pin, refuse, resume, set_mode
from atomic_guide.cli.scale.explain import explain
from atomic_guide.cli.scale.metrics import metrics
from atomic_guide.cli.scale.processes import processes
from atomic_guide.cli.scale.replay import forecast, simulate
from atomic_guide.cli.scale.schedule import schedule
from atomic_guide.cli.scale.standing import history, status

command = Leading(
    "scale",
    leads="status",
    commands=[
        status,
        explain,
        history,
        metrics,
        approve,
        refuse,
        pause,
        resume,
        set_mode,
        bounds,
        pin,
        processes,
        simulate,
        forecast,
        schedule,
    ],
    help="Look at how much runs and why, answer to what is decided, change it, and try policies on recorded demand.",
)
