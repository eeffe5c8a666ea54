"""The options that say what a load test sends, over a file that says the rest."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atomic_guide.errors import Invalid

if TYPE_CHECKING:
    from atomic_guide.cli.options import Context
    from atomic_guide.operations.loadtest.plan import Plan
    from atomic_guide.operations.loadtest.spec import Spec

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
_SECRET_BYTES = 16
_LONGEST = 1_000_000
"""Bytes that are read of a file; a spec has far fewer, and is refused where it has not."""


def _steps(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[float, ...] | None:
    del context, parameter
    if value is None:
        return None
    try:
        return tuple(float(part) for part in value.split(",") if part.strip())
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is no list of rates such as 50,100,200") from error


def declared_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a spec, and pass it as `spec`."""

    @click.option("--spec", "file", metavar="FILE", type=_FILE, help="Load test in TOML or JSON; options win over it.")
    @click.option("--rps", type=float, help="Arrivals a second, whatever became of those before.")
    @click.option("--steps", callback=_steps, metavar="RATES", help="Rates to hold one after the other: 50,100,200.")
    @click.option("--duration", metavar="TIME", help="In all, the ramp included (default 10m).")
    @click.option("--ramp", metavar="TIME", help="On the way to the rate (default a fifth; a tenth of each step).")
    @click.option("--settle", metavar="TIME", help="Of each step, not judged (default a tenth of it).")
    @click.option("--arrivals", type=click.Choice(["poisson", "constant"]), help="How they come (default poisson).")
    @click.option("--seed", type=int, help="Of all chance; the same again sends the same (default 1).")
    @click.option("--mix", metavar="SHARES", help="Such as launch=5,message=70,performance=25.")
    @click.option("--think", metavar="TIMES", help="Mean pause between steps, such as launch=500ms.")
    @click.option("--people", type=int, help="Who takes part (default by the rate).")
    @click.option("--courses", type=int, help="In how many courses (default one for 50 people).")
    @click.option("--sockets", type=int, help="Sockets held open (default 0).")
    @click.option("--timeout", metavar="TIME", help="When an answer is given up (default 10s).")
    @click.option("--late", metavar="TIME", help="How late one in a hundred arrivals may begin (default 50ms).")
    @click.option("--in-flight", type=int, help="Most arrivals waited for; beyond it none is begun.")
    @click.option("--slo", "objectives", metavar="BOUNDS", multiple=True,
                  help="What must be kept: p95=300ms,errors=1% or message:p99=1s; may be repeated.")  # fmt: skip
    @functools.wraps(function)
    def wrapped(context: Context, *, file: Path | None, **options: Any) -> Any:
        names = ("rps", "steps", "duration", "ramp", "settle", "arrivals", "seed", "mix", "think", "people", "courses",
                 "sockets", "timeout", "late", "in_flight", "objectives")  # fmt: skip
        chosen = {name: options.pop(name) for name in names}
        return function(context, spec=_spec(file, chosen), **options)

    return wrapped


def _spec(file: Path | None, chosen: dict[str, Any]) -> Spec:
    from atomic_guide.operations.loadtest.spec import Spec, merged, parse_mix, parse_spec

    load = ("rps", "steps", "duration", "ramp", "settle", "arrivals", "seed")
    given: dict[str, dict[str, Any]] = {
        "load": {name: chosen[name] for name in load},
        "mix": dict(parse_mix(chosen["mix"])) if chosen["mix"] else {},
        "think": _pairs("think", chosen["think"]) if chosen["think"] else {},
        "people": {"count": chosen["people"], "courses": chosen["courses"]},
        "sockets": {"count": chosen["sockets"]},
        "limits": {"timeout": chosen["timeout"], "late": chosen["late"], "in_flight": chosen["in_flight"]},
        "slo": {"objectives": chosen["objectives"] or None},
    }
    try:
        return merged(parse_spec(_text(file), file.name) if file else Spec(), given)
    except Invalid as error:
        # Wrong usage either way: in the file, or in the options.
        raise click.UsageError(error.message) from error


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(_LONGEST).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _pairs(name: str, text: str) -> dict[str, str]:
    found = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = part.partition("=")
        if not equals:
            raise click.UsageError(f"--{name} {part!r}: write such as launch=500ms")
        found[key.strip()] = value.strip()
    return found


def make_plan(context: Context, spec: Spec, target: str, testers: int = 1) -> Plan:
    """The plan of a spec. Raises `UsageError` where it is more than the settings let be."""
    from atomic_guide.operations.loadtest import plan

    try:
        return plan.make_plan(spec, target, context.settings.loadtest, testers)
    except Invalid as error:
        raise click.UsageError(error.message) from error


def target_of(context: Context, given: str | None, *, otherwise: str = "") -> str:
    """The address of the target: the given one, that of the server that runs on the data directory, or `otherwise`.

    Raises `UsageError` where it is no web address, or none is known.
    """
    from atomic_guide.app.supervisor import holder
    from atomic_guide.course.lti.addresses import origin_of

    _, _, running = (holder(context.data) or "").partition(" at ")
    address = given or running or otherwise
    if not address:
        raise click.UsageError(
            f"no server runs on {context.data}; give the address of the target with --target https://guide.example.edu"
        )
    try:
        origin = origin_of(address)
    except ValueError as error:
        raise click.UsageError(f"--target {address!r} is no web address such as https://guide.example.edu") from error
    if address.rstrip("/") != origin:
        raise click.UsageError(f"--target {address!r} has a path; give {origin}")
    return origin


def token_of(context: Context, file: Path | None, target: str) -> str:
    """The operator token of a target: of a file, or where it is the server of the data directory, of that.

    Raises `UsageError` where there is none. A token of this server is sent to no other one.
    """
    path = file or context.data / "operator-token"
    if file is None and not _is_own(context, target):
        raise click.UsageError(
            f"{target} is not known as the server of {context.data}, whose operator token is for nobody else; give the"
            " target's with --token-file FILE"
        )
    if file is None and context.settings.operator_token:
        return context.settings.operator_token
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(
            f"{path} cannot be read; give the target's operator token with --token-file FILE"
        ) from error
    if not token.isascii() or not token.isprintable() or len(token) < _SECRET_BYTES:
        raise click.UsageError(f"{path} holds no operator token")
    return token


def _is_own(context: Context, target: str) -> bool:
    """Whether an address is that of the server that runs on the data directory, or its public one."""
    from atomic_guide.app.supervisor import holder

    _, _, running = (holder(context.data) or "").partition(" at ")
    known = {one.rstrip("/") for one in (running, context.settings.server.public_url) if one}
    return target in known or target.replace("://localhost:", "://127.0.0.1:") in known
