"""Options that every command takes, and what a command works on."""

from __future__ import annotations

import functools
import inspect
import logging
import os
import pwd
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from atomic_guide.clock import from_iso
from atomic_guide.errors import NotFound

if TYPE_CHECKING:
    from atomic_guide.config import Settings
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.operations.operators.model import Operator

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Context:
    """The settings of one call, and how it prints."""

    def __init__(self, settings: Settings, arguments: tuple[str, ...] = (), *, as_json: bool) -> None:
        self.settings = settings
        self.as_json = as_json
        # The options that chose these settings, for a process that starts others like itself.
        self.arguments = arguments
        self.origins: dict[str, str] = {}
        """Where the settings came from that are not defaults, by key."""

    @property
    def data(self) -> Path:
        """The data directory."""
        return Path(self.settings.data)

    @asynccontextmanager
    async def open_shards(self, *, first: bool = False) -> AsyncIterator[Shards]:
        """The databases, migrated where needed; works beside a running server.

        Makes them where there are none only if the command may be the `first` one of an installation. Raises
        `NotFound` else.
        """
        from atomic_guide.engines.data.opening import open_databases

        if not first:
            check_installed(self.settings)
        shards = await open_databases(self.data, self.settings.databases)
        try:
            yield shards
        finally:
            await shards.close()

    def emit(self, value: Any, text: str) -> None:
        """Print the answer: `value` as one JSON document with --json, else `text`."""
        if self.as_json:
            click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
        elif text:
            click.echo(text)

    def emit_found(self, name: str, rows: list[Any], text: str, missing: dict[str, str]) -> None:
        """Print what was found in all shards, and of which shards it lacks something, and why."""
        lacks = [f"incomplete, without {shard}: {reason}" for shard, reason in missing.items()]
        self.emit({name: rows, "complete": not missing, "missing": missing}, "\n".join([text, *lacks]))


def check_installed(settings: Settings) -> None:
    """Raise `NotFound` for a data directory that nothing was put into; who opens servers finds out by that."""
    from atomic_guide.engines.data.embedded import present_files
    from atomic_guide.engines.data.opening import is_embedded

    if is_embedded(settings.databases) and not present_files(Path(settings.data))[0].exists():
        raise NotFound(
            f"there is no installation at {settings.data}; start one with `atomic-guide serve --data {settings.data}`,"
            " or name the right one with --data"
        )


class Leading(click.Group):
    """A group that is one of its subcommands where none is named: options that are given to it are that one's."""

    def __init__(self, *named: Any, leads: str, **more: Any) -> None:
        """As any group; `leads` is the name of the one, and its help says so."""
        super().__init__(*named, **more)
        self._leads = leads
        self.help = f"{inspect.cleandoc(self.help or '')}\n\nWithout a subcommand: as `{leads}`, with its options."

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the name of that one before them."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = [self._leads, *args]
        return super().parse_args(ctx, args)


class Progress:
    """Prints what goes on to stderr, at most once a second and never for work shorter than that."""

    def __init__(self) -> None:
        self._told_at = time.monotonic()

    def __call__(self, text: str) -> None:
        """Tell of a step that is done."""
        now = time.monotonic()
        if now - self._told_at >= 1:
            self._told_at = now
            click.echo(text, err=True)


def data_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --data, --config and --json, and pass a `Context` as the first argument."""

    @click.option("--data", metavar="DIR", help="Data directory (ATOMIC_GUIDE_DATA; default ./var).")
    @click.option("--config", metavar="FILE", type=click.Path(path_type=Path), help="Settings file in TOML.")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    @functools.wraps(function)
    def wrapped(*, data: str | None, config: Path | None, as_json: bool, **arguments: Any) -> Any:
        from atomic_guide.config import source_settings

        quiet_logs()
        sourced = source_settings(
            file=config, data=data, server__host=arguments.pop("host", None), server__port=arguments.pop("port", None)
        )
        settings = sourced.settings
        chosen = ("--data", settings.data, "--host", settings.server.host, "--port", str(settings.server.port))
        context = Context(settings, chosen + (("--config", str(config)) if config else ()), as_json=as_json)
        context.origins = sourced.origins
        return function(context, **arguments)

    return wrapped


def quiet_logs() -> None:
    """Let only errors be logged, to where `main` says; a command inside another program leaves its logs as they are.

    `serve` sets logs up as its settings say.
    """
    to = click.get_current_context().find_root().obj
    if to is None:
        return
    import structlog

    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(to),
    )


def actor() -> str:
    """Who calls, as the system knows them; for logs of what operators did."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def shell() -> Operator:
    """Whoever has a shell on this machine, by their name there: the one whom the operators' token stands for."""
    from atomic_guide.operations.operators.model import TOKEN_ID, Operator

    return Operator(TOKEN_ID, actor(), "operator", "command")


def moment(text: str) -> float:
    """Seconds since the epoch of an ISO 8601 time, or of so long ago, such as 2h."""
    if ago := re.fullmatch(r"(\d{1,9})([smhd])", text):
        return time.time() - int(ago[1]) * _UNITS[ago[2]]
    try:
        return from_iso(text)
    except ValueError as error:
        raise click.UsageError(f"{text!r} is no time; write it like 2026-11-02T10:00:00Z or 2h") from error
