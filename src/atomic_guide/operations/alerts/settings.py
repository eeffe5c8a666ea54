"""Settings of alerts: rules beside the shipped ones, who is told, when, and what is kept quiet.

Within tables, times are written as Prometheus does (`5m`, `1h30m`) or as a number of seconds.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from atomic_guide.operations.alerts.rule import Severity, Unmeasured
from atomic_guide.setting import setting

_NAME = msgspec.Meta(min_length=1, max_length=60, pattern=r"^[a-z0-9][a-z0-9-]*$")
_TEXT = msgspec.Meta(max_length=1000)
Span = float | str

MOST_ALERTS, MOST_GROUPS = 2000, 1000
"""As shipped."""


class RuleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rule. One with the name of a shipped rule changes what it gives of that one, and leaves the rest."""

    name: Annotated[str, _NAME]
    condition: str | None = None
    for_: Span | None = msgspec.field(name="for", default=None)
    keep_firing_for: Span | None = None
    severity: Severity | None = None
    limit: float | None = None
    labels: dict[str, str] | None = None
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] | None = None
    description: Annotated[str, _TEXT] | None = None
    runbook: Annotated[str, _TEXT] | None = None
    unmeasured: Unmeasured | None = None
    unmeasured_after: Span | None = None
    enabled: bool | None = None


class ChannelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where alerts are told. `url` and `secret` are never shown: an address for incoming messages is a key to them."""

    name: Annotated[str, _NAME]
    kind: Literal["email", "webhook", "slack"]
    to: tuple[str, ...] = ()
    url: Annotated[str, setting("Where it is posted to.", "secret")] | None = None
    secret: Annotated[str, setting("What its messages are signed with.", "secret", min_length=16)] | None = None
    send_resolved: bool = True


class RouteSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which alerts go to which channels: the first route that matches, and the next ones as long as `go_on`."""

    matchers: tuple[str, ...] = ()
    channels: tuple[str, ...]
    go_on: bool = False
    group_by: tuple[str, ...] | None = None
    group_wait: Span | None = None
    group_interval: Span | None = None
    repeat_interval: Span | None = None


class InhibitionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Alerts that match `target` are not told while one fires that matches `source` and has `equal` labels."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    equal: tuple[str, ...] = ()


class AlertSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is told of what is measured."""

    enabled: Annotated[bool, setting("Whether rules are evaluated at all.", "switch")] = True
    rules: Annotated[
        tuple[RuleSettings, ...],
        setting(
            "Rules, and changes of shipped ones (docs/alerts.md): name, condition, for, keep_firing_for, severity,"
            " limit, labels, title, description, runbook, unmeasured, unmeasured_after, enabled.",
            "tables",
        ),
    ] = ()
    runbooks: Annotated[
        str | None,
        setting(
            "Where docs/alerts.md can be read: a shipped rule's runbook is this address with # and its name.", "address"
        ),
    ] = None
    channels: Annotated[
        tuple[ChannelSettings, ...],
        setting(
            "Where alerts are told beside the log and the console: name, kind (email, webhook, slack), to, url, secret,"
            " send_resolved.",
            "tables",
        ),
    ] = ()
    routes: Annotated[
        tuple[RouteSettings, ...],
        setting(
            "Which alerts go where: matchers, channels, go_on, group_by, group_wait, group_interval, repeat_interval."
            " What no route matches goes to every channel.",
            "tables",
        ),
    ] = ()
    inhibitions: Annotated[
        tuple[InhibitionSettings, ...],
        setting("What is not told while something worse is: source, target, equal.", "tables"),
    ] = ()
    group_by: Annotated[
        tuple[str, ...], setting("Labels whose alerts are told together; none: all in one.", "labels")
    ] = ("alertname",)
    group_wait_seconds: Annotated[
        float, setting("How long a first message waits for others of its group.", "s", ge=0, le=3600)
    ] = 30.0
    group_interval_seconds: Annotated[
        float, setting("How long after a message the next one tells of what has changed.", "s", ge=1, le=86400)
    ] = 300.0
    repeat_interval_seconds: Annotated[
        float, setting("After how long an alert that goes on is told again.", "s", ge=60, le=30 * 86400)
    ] = 4 * 3600.0
    retry_seconds: Annotated[
        float,
        setting(
            "For how long a message that a channel does not take is tried again; then its group begins anew.",
            "s",
            ge=10,
            le=7 * 86400,
        ),
    ] = 3600.0
    most_alerts: Annotated[
        int,
        setting(
            "Alerts that are kept at once; what is above is left out and counted. A cluster of 100 shards has a few"
            " hundred series that a rule can be about.",
            "alerts",
            ge=10,
            le=20_000,
        ),
    ] = MOST_ALERTS
    most_groups: Annotated[
        int,
        setting("Groups over all channels; what is above is told when others have ended.", "groups", ge=10, le=20_000),
    ] = MOST_GROUPS
    most_silences: Annotated[
        int, setting("Silences in force at once: each alert is compared with each of them.", "silences", ge=10,
                     le=10_000),
    ] = 1000  # fmt: skip
    most_entries: Annotated[
        int,
        setting("Entries of the log of alerts, about 300 bytes each; the oldest ones go.", "entries", ge=1000,
                le=10_000_000),
    ] = 100_000  # fmt: skip
    timeout_seconds: Annotated[float, setting("What a channel may take for one message.", "s", ge=0.1, le=10)] = 8.0
    """Below the ten seconds for which the lead is sure: nobody else sends the same meanwhile."""
