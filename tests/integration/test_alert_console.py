"""The console's lines of the log."""

import pytest

from atomic_guide.operations.alerts.channels.console import ConsoleChannel
from tests.alert_notices import notice


async def test_the_console_takes_everything(capsys: pytest.CaptureFixture[str]) -> None:
    await ConsoleChannel().send(notice())
    said = capsys.readouterr().out
    assert said.count("an alert fires") == 2
    assert said.count("an alert has ended") == 1
