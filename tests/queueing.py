"""Queues that a test declares for itself."""

from typing import Any

import msgspec

from atomic_guide.engines.queues.settings import QueueRules, QueueSettings


def declaring(**values: Any) -> QueueSettings:
    """Settings with further queues, each a `QueueRules`; other values are those of `QueueSettings`."""
    rules = {name: value for name, value in values.items() if isinstance(value, QueueRules)}
    declared = msgspec.defstruct(
        "Declared", [(name, QueueRules, value) for name, value in rules.items()], bases=(QueueSettings,), frozen=True
    )
    made = declared(**{name: value for name, value in values.items() if name not in rules})
    assert isinstance(made, QueueSettings)
    return made
