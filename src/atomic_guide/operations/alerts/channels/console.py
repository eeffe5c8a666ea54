"""The channel that is always there: a line of the log for each alert. What operators see in the console is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from atomic_guide.operations.alerts.checking import CONSOLE

if TYPE_CHECKING:
    from atomic_guide.operations.alerts.notice import Notice

_log = structlog.get_logger(__name__)


class ConsoleChannel:
    """Writes to the log of the process that leads."""

    name = CONSOLE
    tells_ends = True

    async def send(self, notice: Notice) -> None:
        """Never fails."""
        for one in notice.alerts:
            tell = _log.warning if one.status == "firing" else _log.info
            what = "an alert fires" if one.status == "firing" else "an alert has ended"
            tell(what, alert=one.name, severity=one.severity, description=one.description, **_labels(one.own))


def _labels(own: dict[str, str]) -> dict[str, dict[str, str]]:
    return {"labels": own} if own else {}
