"""Settings of scaling: how a fleet may change, what a minute over capacity is worth, whose clock counts, which rules.

`check_scaling` refuses what cannot work together; the modules below `decide/` read the rest.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec

from atomic_guide.errors import ConfigurationError
from atomic_guide.operations.scaling.model import REPLICAS, SHARDS, WEB, WORKERS, Action, Mode, Urgency
from atomic_guide.operations.scaling.patience import ActSettings
from atomic_guide.operations.scaling.simulator.settings import SimulatorSettings
from atomic_guide.setting import setting

_SPAN = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")
_LAST_HOUR, _LAST_MINUTE = 23, 59


class FleetSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds for one fleet."""

    mode: Annotated[
        Mode,
        setting(
            "off: nothing is decided; shadow: decided and judged, not done; approve: done when an operator agrees;"
            " auto: done.",
            "mode",
        ),
    ] = "auto"
    min: Annotated[
        int, setting("Fewest units by day; the first process of a server is one of web and of workers.", "units", ge=0,
                     le=10_000)
    ] = 1  # fmt: skip
    max: Annotated[int, setting("Most units, whatever asks for more.", "units", ge=0, le=10_000)] = 4
    quiet_share: Annotated[
        float, setting("What of the fewest, and of a daily peak, is kept in quiet hours.", "share", ge=0, le=1)
    ] = 0.5
    start_delay_seconds: Annotated[
        float, setting("From a start to ready: how far ahead must be seen.", "s", ge=0, le=86400)
    ] = 90.0
    up_most: Annotated[int, setting("Most units added at once; or as many as run, where those are more.", "units",
                                    ge=1, le=10_000)] = 4  # fmt: skip
    down_share: Annotated[
        float, setting("Most of the units taken away at once, at least one: a wrong figure costs half.", "share",
                       gt=0, le=1)] = 0.5  # fmt: skip
    up_window_seconds: Annotated[
        float, setting("How long more must be wanted. None: the wait for a start is long enough.", "s", ge=0, le=3600)
    ] = 0.0
    down_window_seconds: Annotated[
        float,
        setting(
            "The most that was wanted in it stays, beside what the policy that tunes itself waits: 5 to 60 min.",
            "s",
            ge=0,
            le=86400,
        ),
    ] = 60.0
    up_cool_down_seconds: Annotated[
        float, setting("After a change by a rule, before a rule adds again: its effect must show.", "s", ge=0, le=86400)
    ] = 180.0
    down_cool_down_seconds: Annotated[
        float,
        setting(
            "After a step up, before one down; the policy that tunes itself chooses 5 or 10 min.", "s", ge=0, le=86400
        ),
    ] = 300.0
    unit_price: Annotated[
        float, setting("What a unit costs in an hour, in the currency of the budget.", "money/h", ge=0)
    ] = 0.0

    @property
    def floor(self) -> int:
        """Fewest units in quiet hours: never fewer."""
        return math.ceil(self.min * self.quiet_share)


class RuleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule: what is looked at, when it holds, what is done. One with the name of a shipped rule replaces it.

    It holds where the quantile of the window has been above (or below) the limit for the whole window, and until it
    is back beyond `clear`. A part of `*` is each part by itself; a fleet that ends in `/` is the one of that part.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=60, pattern=r"^[a-z0-9-]+$")]
    fleet: str
    component: str
    metric: str
    action: Action
    part: str = ""
    above: float | None = None
    below: float | None = None
    clear: float | None = None
    quantile: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5
    for_seconds: Annotated[float, msgspec.Meta(ge=0, le=86400)] = 60.0
    urgency: Urgency = "medium"
    cause: str = ""
    units: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    enabled: bool = True


class ScalingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds for all fleets, and the bounds of each."""

    tick_seconds: Annotated[
        float, setting("How often is measured and decided; a start takes several.", "s", ge=1, le=300)
    ] = 15.0
    series_limit: Annotated[
        int,
        setting("Series that are recorded; a cluster of 100 shards has 1,500.", "series", ge=100, le=1_000_000),
    ] = 20_000
    minute_price: Annotated[
        float,
        setting(
            "What a minute over capacity a day is worth, as a share of the least capacity: 0.2 pays a fifth more for"
            " each minute less. The one knob of the policy that tunes itself; `scale status` shows the frontier.",
            "share",
            ge=0.001,
            le=100,
        ),
    ] = 0.2
    change_price: Annotated[float, setting("What a change a day is worth.", "share", ge=0, le=10)] = 0.001
    flap_price: Annotated[
        float, setting("What a change of direction within ten minutes a day is worth.", "share", ge=0, le=10)
    ] = 0.0075
    budget_per_day: Annotated[
        float,
        setting("Most that all fleets cost in 24 hours; nothing goes below its fewest for it. 0 is no limit.", "money",
                ge=0),
    ] = 0.0  # fmt: skip
    budget_per_month: Annotated[
        float,
        setting(
            "Most that all fleets cost in a month (UTC); where what is spent and the forecast of the rest exceed it,"
            " the dearest hours are cut. 0 is no limit.",
            "money",
            ge=0,
        ),
    ] = 0.0
    forecast_floor: Annotated[
        Literal["off", "p50", "p95"],
        setting(
            "Which of the forecast is kept ready, where the forecast has been right: p50 is what is expected; p95 costs"
            " an eighth more for a quarter fewer minutes over capacity.",
            "quantile",
        ),
    ] = "p50"
    forecast_ahead_seconds: Annotated[
        float, setting("How far the floor looks ahead beside the time of a start.", "s", ge=0, le=86400)
    ] = 900.0
    time_zone: Annotated[
        str, setting("The clock that people live by, such as Europe/Berlin: peaks and quiet hours go by it.", "zone")
    ] = "UTC"
    quiet_hours: Annotated[
        str,
        setting("Hours by that clock, such as 22:00-06:00, in which less is kept ready; empty for none.", "hours"),
    ] = "23:00-06:00"
    acts: ActSettings = ActSettings()
    simulator: SimulatorSettings = SimulatorSettings()
    rules: Annotated[
        tuple[RuleSettings, ...],
        setting(
            "Rules beside the shipped ones (docs/policies.md): name, fleet, component, metric, part, above or below,"
            " clear, quantile, for_seconds, action, urgency, units, enabled.",
            "tables",
        ),
    ] = ()
    web: FleetSettings = FleetSettings(mode="shadow", min=1, max=4)
    """Shadow: to take a web process away moves the sockets in it, and its processes are what people look at; what it
    would have done is judged, and an operator who has seen that switches it on."""
    workers: FleetSettings = FleetSettings(mode="auto", min=1, max=4, start_delay_seconds=30.0)
    """Auto: a worker comes in seconds, what it takes away is handed back, and jobs wait without it."""
    replicas: FleetSettings = FleetSettings(
        mode="approve", min=0, max=2, start_delay_seconds=300.0, down_window_seconds=3600.0,
        up_cool_down_seconds=1800.0, down_cool_down_seconds=7200.0,
    )  # fmt: skip
    """Approve: a copy of a whole shard takes disk and reads the primary once; that is for a person to weigh."""
    shards: FleetSettings = FleetSettings(
        mode="approve", min=1, max=8, start_delay_seconds=1800.0, down_window_seconds=86_400.0,
        up_cool_down_seconds=21_600.0, down_cool_down_seconds=86_400.0,
    )  # fmt: skip
    """Approve: courses move to it, which reads all of them once; and no rule that is shipped takes one away."""

    def fleet(self, name: str) -> FleetSettings:
        """What holds for a fleet by its name. Raises `ConfigurationError` for one that there is not."""
        if name == WEB:
            return self.web
        if name == WORKERS:
            return self.workers
        if name == SHARDS:
            return self.shards
        if name.startswith(REPLICAS):
            return self.replicas
        raise ConfigurationError(f"no fleet is called {name}; there are {WEB}, {WORKERS}, {SHARDS} and {REPLICAS}SHARD")


def quiet_span(text: str) -> tuple[int, int] | None:
    """Minutes of the day at which quiet hours begin and end, from `22:00-06:00`. Raises `ConfigurationError`."""
    if not text:
        return None
    match = _SPAN.fullmatch(text)
    numbers = [int(part) for part in match.groups()] if match else []
    if not numbers or max(numbers[::2]) > _LAST_HOUR or max(numbers[1::2]) > _LAST_MINUTE:
        raise ConfigurationError(
            f"setting scaling.quiet_hours: {text!r} is no span of hours; write 22:00-06:00, or nothing for none"
        )
    return 60 * numbers[0] + numbers[1], 60 * numbers[2] + numbers[3]


def zone_of(settings: ScalingSettings) -> ZoneInfo:
    """The time zone of the settings. Raises `ConfigurationError` for one that there is not."""
    try:
        return ZoneInfo(settings.time_zone)
    except (KeyError, OSError, ValueError) as error:
        raise ConfigurationError(
            f"setting scaling.time_zone: there is no time zone {settings.time_zone!r}; write an IANA name such as"
            " Europe/Berlin"
        ) from error


def check_scaling(settings: ScalingSettings) -> None:
    """Raise `ConfigurationError` for settings that cannot work together, naming them."""
    zone_of(settings)
    quiet_span(settings.quiet_hours)
    for name in (WEB, WORKERS, "replicas", SHARDS):
        fleet: FleetSettings = getattr(settings, name)
        if fleet.min > fleet.max:
            raise ConfigurationError(
                f"setting scaling.{name}.min: {fleet.min} units are more than scaling.{name}.max ({fleet.max})"
            )
        for span in ("day", "month"):
            budget = getattr(settings, f"budget_per_{span}")
            if fleet.mode not in {"off", "shadow"} and budget and not fleet.unit_price:
                raise ConfigurationError(
                    f"setting scaling.{name}.unit_price: without a price scaling.budget_per_{span} cannot be kept"
                )
    for rule in settings.rules:
        _check_rule(settings, rule)


def _check_rule(settings: ScalingSettings, rule: RuleSettings) -> None:
    def refuse(what: str) -> None:
        raise ConfigurationError(f"setting scaling.rules: the rule {rule.name} {what}")

    if (rule.above is None) == (rule.below is None):
        refuse("has exactly one of above and below")
    if rule.fleet != REPLICAS:
        settings.fleet(rule.fleet)
    if rule.fleet == REPLICAS and rule.part != "*":
        refuse(f"is for the fleet of each shard ({REPLICAS}) and so has part = '*'")
    if rule.clear is not None and rule.above is not None and rule.clear > rule.above:
        refuse("clears above its limit")
    if rule.clear is not None and rule.below is not None and rule.clear < rule.below:
        refuse("clears below its limit")
    adds = rule.action in {"add_read_replica", "add_consumer", "increase_sharding", "add_process"}
    if rule.action in {"hold", "pre_scale_resources"} or adds != (rule.above is not None):
        refuse(f"cannot {rule.action}: what is above its limit adds, what is below takes away")
    if rule.cause not in {"", "reads", "writes", "drain"}:
        refuse(f"checks no cause called {rule.cause!r}; there are reads, writes and drain")
