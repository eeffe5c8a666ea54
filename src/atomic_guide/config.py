"""Settings: composed from every part's own struct, read from one TOML file and the environment, checked at start.

The only reader of the environment. A key `section.name` is written `[section] name = ...` in the file and
`ATOMIC_GUIDE_SECTION_NAME` in the environment, which wins. Unknown keys and impossible values are refused with
the key's name.
"""

from __future__ import annotations

import difflib
import functools
import os
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from atomic_guide.course.analytics.settings import AnalyticsSettings
from atomic_guide.course.chat.settings import ChatSettings
from atomic_guide.course.keeping.settings import BackupSettings, KeepingSettings
from atomic_guide.course.lti.settings import LmsSettings, LtiSettings
from atomic_guide.course.notifications.settings import MAIL, MailSettings, NotificationSettings, check_mail
from atomic_guide.course.video.settings import VideoSettings
from atomic_guide.course.watching.settings import EventSettings
from atomic_guide.engines.assets.settings import AssetSettings, check_assets
from atomic_guide.engines.assets.sign import SigningSettings
from atomic_guide.engines.cache.settings import CacheSettings
from atomic_guide.engines.data.settings import DataSettings, check_servers
from atomic_guide.engines.nats.settings import NatsSettings
from atomic_guide.engines.queues.settings import QueueSettings, check_queues
from atomic_guide.engines.rooms.settings import RoomSettings
from atomic_guide.errors import ConfigurationError
from atomic_guide.operations.alerts.checking import check_alerts
from atomic_guide.operations.alerts.settings import AlertSettings
from atomic_guide.operations.capacity.settings import CapacitySettings
from atomic_guide.operations.costs.settings import CostSettings, check_costs
from atomic_guide.operations.costs.terms import with_unit_prices
from atomic_guide.operations.limits.presets import PRESETS
from atomic_guide.operations.loadtest.settings import LoadtestSettings
from atomic_guide.operations.operators.settings import OperatorSettings, check_operators
from atomic_guide.operations.scaling.kubernetes import KubernetesSettings, check_kubernetes
from atomic_guide.operations.scaling.settings import ScalingSettings, check_scaling
from atomic_guide.regions.settings import (
    MainStore,
    RegionsSettings,
    ShardPlace,
    StorePlace,
    check_main_store,
    check_regions,
    check_stores,
    primaries,
)
from atomic_guide.resilience import GuardSettings
from atomic_guide.setting import Shown, setting
from atomic_guide.toml import NotToml, read_toml
from atomic_guide.tracing import TracingSettings
from atomic_guide.web.limits import LimitSettings
from atomic_guide.web.overload import SheddingSettings
from atomic_guide.web.settings import RepeatSettings, ServerSettings, SessionSettings

PREFIX = "ATOMIC_GUIDE_"


class ProcessSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which processes a server runs beside its first one."""

    web: Annotated[
        int,
        setting("Processes that answer requests; they share one port.", "processes", ge=1, le=64),
    ] = 1
    worker: Annotated[
        int,
        setting("Processes that only run jobs; the first process runs jobs too.", "processes", ge=0, le=64),
    ] = 0


class LogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is logged, and how it looks."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        setting("The least level that is written.", "level"),
    ] = "info"
    format: Annotated[
        Literal["auto", "json", "text"],
        setting("json for machines, text for people; auto: text where stderr is a terminal.", "form"),
    ] = "auto"
    requests: Annotated[
        bool | None,
        setting(
            "A line for each request; metrics count them anyway. Unset: yes, but not on a terminal, where they would"
            " drive away what people look for.",
            "switch",
        ),
    ] = None


class ResilienceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the product bears repeated requests, overload and dependencies that are away."""

    repeats: RepeatSettings = RepeatSettings()
    lms: LmsSettings = LmsSettings()
    mail: GuardSettings = MAIL
    shedding: SheddingSettings = SheddingSettings()


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every setting of the product, by section."""

    data: Annotated[
        str,
        setting("The data directory: databases, objects, keys.", "path", min_length=1),
    ] = "./var"
    operator_token: Annotated[
        Annotated[str, msgspec.Meta(min_length=16)] | None,
        setting("The operators' bearer token; without it one is made and kept in the data directory.", "secret"),
    ] = None
    server: ServerSettings = ServerSettings()
    processes: ProcessSettings = ProcessSettings()
    logs: LogSettings = LogSettings()
    tracing: TracingSettings = TracingSettings()
    databases: DataSettings = DataSettings()
    regions: RegionsSettings = RegionsSettings()
    nats: NatsSettings = NatsSettings()
    cache: CacheSettings = CacheSettings()
    rooms: RoomSettings = RoomSettings()
    queues: QueueSettings = QueueSettings()
    assets: AssetSettings = AssetSettings()
    playback: SigningSettings = SigningSettings()
    sessions: SessionSettings = SessionSettings()
    operators: OperatorSettings = OperatorSettings()
    limits: LimitSettings = LimitSettings()
    resilience: ResilienceSettings = ResilienceSettings()
    chat: ChatSettings = ChatSettings()
    lti: LtiSettings = LtiSettings()
    video: VideoSettings = VideoSettings()
    analytics: AnalyticsSettings = AnalyticsSettings()
    notifications: NotificationSettings = NotificationSettings()
    mail: MailSettings = MailSettings()
    events: EventSettings = EventSettings()
    keeping: KeepingSettings = KeepingSettings()
    backups: BackupSettings = BackupSettings()
    scaling: ScalingSettings = ScalingSettings()
    capacity: CapacitySettings = CapacitySettings()
    kubernetes: KubernetesSettings = KubernetesSettings()
    alerts: AlertSettings = AlertSettings()
    costs: CostSettings = CostSettings()
    loadtest: LoadtestSettings = LoadtestSettings()


class Described(NamedTuple):
    """One setting as the reference page and `atomic-guide settings` show it."""

    key: str
    variable: str
    kind: str
    unit: str
    default: Any
    reason: str


class Sourced(NamedTuple):
    """Settings, and where each that is not a default came from, by key."""

    settings: Settings
    origins: dict[str, str]


def load_settings(environment: Mapping[str, str] | None = None, file: Path | None = None, **overrides: Any) -> Settings:
    """The settings as `source_settings` finds them."""
    return source_settings(environment, file, **overrides).settings


def source_settings(
    environment: Mapping[str, str] | None = None, file: Path | None = None, **overrides: Any
) -> Sourced:
    """The settings from a TOML file, the environment and the command line, the last of them winning.

    `overrides` are dotted keys with `__` for the dot, such as `server__port=8000`; None means not given. What none of
    them says is of the preset of limits, where that is lower, else the default. Raises `ConfigurationError` naming the
    key.
    """
    environment = os.environ if environment is None else environment
    named = environment.get(f"{PREFIX}CONFIG")
    path = file or (Path(named) if named else None)
    tree = _read_file(path) if path else {}
    keys = {_variable(key): key for key, _ in _leaves(Settings(), "")}
    origins = {key: f"file {path}" for key in keys.values() if _given(tree, key) is not None}
    for variable, value in environment.items():
        if variable.startswith(PREFIX) and variable != f"{PREFIX}CONFIG":
            if variable not in keys:
                raise ConfigurationError(_unknown(variable, list(keys)))
            _put(tree, keys[variable], value)
            origins[keys[variable]] = f"environment {variable}"
    for name, value in overrides.items():
        if value is not None:
            key = name.replace("__", ".")
            _put(tree, key, value)
            origins[key] = "command line"
    _refuse_unknown(tree, Settings, "")
    origins |= _prefer(tree)
    _fill(tree, Settings())
    try:
        settings = msgspec.convert(tree, Settings, strict=False)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$.")
        key = place.rstrip("`")
        raise ConfigurationError(f"setting {key or '(top level)'}: {text}", details={"key": key}) from error
    check_servers(settings.databases)
    databases = _placed(settings)
    check_queues(settings.queues)
    check_assets(settings.assets)
    check_mail(settings.mail)
    check_operators(settings.operators)
    check_costs(settings.costs)
    scaling = with_unit_prices(settings.scaling, settings.costs)
    check_scaling(scaling)
    check_kubernetes(settings.kubernetes)
    check_alerts(settings.alerts, mail=settings.mail.on)
    return Sourced(msgspec.structs.replace(settings, databases=databases, scaling=scaling), origins)


def describe() -> list[Described]:
    """Every setting with unit, default and reason, in the order of the sections."""
    return list(_described())


def as_tree(settings: Settings) -> dict[str, Any]:
    """The values in force by dotted key, secrets as their presence only."""
    return {row.key: _secret(row, value_at(settings, row.key)) for row in describe()}


def shown(sourced: Sourced) -> list[Shown]:
    """Every setting as it is in force, in the order of the sections; secrets as their presence only."""
    values = as_tree(sourced.settings)
    return [
        Shown(
            key=row.key,
            variable=row.variable,
            value=values[row.key],
            default=row.default,
            unit=row.unit,
            origin=sourced.origins.get(row.key, "default"),
            reason=row.reason,
        )
        for row in describe()
    ]


def value_at(settings: msgspec.Struct, key: str) -> Any:
    """The value of a dotted key."""
    value: Any = settings
    for name in key.split("."):
        value = getattr(value, name)
    return value


def _leaves(values: msgspec.Struct, prefix: str) -> Iterator[tuple[str, msgspec.Struct]]:
    """Every setting's dotted key, and the struct that holds it, in the order of the sections."""
    for name in values.__struct_fields__:
        value = getattr(values, name)
        if isinstance(value, msgspec.Struct):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", values


def _variable(key: str) -> str:
    return PREFIX + key.replace(".", "_").upper()


@functools.cache
def _hints(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)


@functools.cache
def _described() -> tuple[Described, ...]:
    return tuple(_describe())


def _describe() -> Iterator[Described]:
    for key, values in _leaves(Settings(), ""):
        name = key.rpartition(".")[2]
        hint = _hints(type(values))[name]
        meta = next((part for part in getattr(hint, "__metadata__", ()) if isinstance(part, msgspec.Meta)), None)
        plain = typing.get_args(hint)[0] if meta else hint
        yield Described(
            key=key,
            variable=_variable(key),
            kind=plain.__name__ if isinstance(plain, type) else str(plain).replace("typing.", ""),
            unit=str((meta.extra or {}).get("unit", "")) if meta else "",
            default=getattr(values, name),
            reason=(meta.description or "") if meta else "",
        )


def _placed(settings: Settings) -> DataSettings:
    """The databases with the regions of their primaries, once both agree. Raises as `check_regions` does."""
    databases, regions = settings.databases, settings.regions
    places = [
        ShardPlace(one.name, one.zone, one.region, tuple(replica.region for replica in one.replicas))
        for one in databases.servers
    ]
    store = settings.assets.main_store
    main = MainStore(store.name, store.region, store.zone) if store is not None else None
    check_regions(regions, places, databases.region, main)
    check_stores(regions, {store.name: StorePlace(store.region, store.zone) for store in settings.assets.stores})
    if main is not None:
        own = regions.named(databases.region)
        kept = {one.zone for one in databases.servers if own is None or one.zone in own.zones}
        check_main_store(regions, main, databases.region, kept)
    standing = primaries(regions)
    servers = tuple(
        msgspec.structs.replace(one, region=one.region or standing.get(one.name, "")) for one in databases.servers
    )
    return msgspec.structs.replace(databases, servers=servers)


def _prefer(tree: dict[str, Any]) -> dict[str, str]:
    """Put the limits of the chosen preset where nothing else is given and they are lower; where from, by key."""
    name = _given(tree, "limits.preset")
    origins = {}
    for key, preferred in PRESETS.get(name, {}).items() if isinstance(name, str) else ():
        if _given(tree, key) is None and preferred.lowers(value_at(Settings(), key)):
            _put(tree, key, preferred.value)
            origins[key] = f"preset {name}"
    return origins


def _given(tree: Mapping[str, Any], key: str) -> Any:
    """What is given of a key; None where nothing is."""
    value: Any = tree
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _fill(tree: dict[str, Any], defaults: msgspec.Struct) -> None:
    """Put a section's own defaults beside the keys that are given of it: they may differ from those of its kind."""
    for name, given in tree.items():
        default = getattr(defaults, name, None)
        if isinstance(given, dict) and isinstance(default, msgspec.Struct):
            for field in default.__struct_fields__:
                if field not in given:
                    given[field] = msgspec.to_builtins(getattr(default, field))
            _fill(given, default)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path)
    except OSError as error:
        raise ConfigurationError(f"the settings file {path} cannot be read: {error.strerror}") from error
    except NotToml as error:
        raise ConfigurationError(f"the settings file {path} {error}") from error


def _put(tree: dict[str, Any], key: str, value: Any) -> None:
    *sections, name = key.split(".")
    for section in sections:
        tree = tree.setdefault(section, {})
        if not isinstance(tree, dict):
            raise ConfigurationError(f"setting {section} is a section, not a value")
    hint = _hint(key)
    if isinstance(value, str) and typing.get_origin(hint) in {list, tuple}:
        value = _listed(key, value)
    tree[name] = value


def _listed(key: str, text: str) -> list[Any]:
    """A list in the environment: JSON where it begins like it, as tables must, else words between commas."""
    if not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        listed: list[Any] = msgspec.json.decode(text, type=list)
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"setting {key}: the list is not JSON ({error})", details={"key": key}) from error
    return listed


def _hint(key: str) -> Any:
    kind: Any = Settings
    for name in key.split("."):
        kind = typing.get_type_hints(kind)[name]
    return kind


def _secret(row: Described, value: Any) -> Any:
    if row.unit == "secret" and value:
        return "(set)"
    return tuple(_table(one) for one in value) if isinstance(value, tuple) else value


def _table(value: Any) -> Any:
    """An entry of a list as it is written in the file, what is secret in a table as its presence only."""
    if not isinstance(value, msgspec.Struct):
        return value
    hints = typing.get_type_hints(type(value), include_extras=True)
    written = msgspec.to_builtins(value)
    for field in msgspec.structs.fields(value):
        if written[field.encode_name] and "secret" in _units(hints[field.name]):
            written[field.encode_name] = "(set)"
    return written


def _units(hint: Any) -> list[str]:
    """The units that a field's type speaks of."""
    own = [str((part.extra or {}).get("unit", "")) for part in getattr(hint, "__metadata__", ())]
    return own + [unit for part in typing.get_args(hint) for unit in _units(part)]


def _refuse_unknown(tree: Mapping[str, Any], kind: type[msgspec.Struct], prefix: str) -> None:
    hints = typing.get_type_hints(kind)
    for name, value in tree.items():
        if name not in hints:
            known = [row.key for row in describe()]
            raise ConfigurationError(_unknown(f"{prefix}{name}", known), details={"key": f"{prefix}{name}"})
        inner = hints[name]
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct) and isinstance(value, dict):
            _refuse_unknown(value, inner, f"{prefix}{name}.")


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"unknown setting {name}" + (f"; did you mean {near[0]}?" if near else "; `atomic-guide settings` lists all")
