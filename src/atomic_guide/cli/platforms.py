"""`atomic-guide platforms`: which LMSs may open the tool."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from atomic_guide.cli.options import Context, Leading, data_options

if TYPE_CHECKING:
    from atomic_guide.course.lti.assembly import Lti
    from atomic_guide.course.lti.registration import Platform

T = TypeVar("T")

_MARKS = {"good": "ok     ", "warning": "look   ", "bad": "WRONG  "}


@click.group(cls=Leading, leads="list")
def command() -> None:
    """Register, list, test and remove the LMSs that may open the tool."""


@command.command()
@data_options
@click.option("--issuer", required=True, metavar="URL", help="What the LMS calls itself (iss).")
@click.option("--client-id", required=True, metavar="ID", help="What the LMS calls this tool.")
@click.option("--deployment-id", required=True, metavar="ID", help="The deployment; give the command again for more.")
@click.option("--auth-url", required=True, metavar="URL", help="Authentication request address of the LMS.")
@click.option("--token-url", required=True, metavar="URL", help="Access token address of the LMS.")
@click.option(
    "--keyset-url",
    required=True,
    metavar="URL",
    help="Public key set address of the LMS, or the set itself as data:application/json;base64,...",
)
@click.option("--name", default="", help="What people call it.")
@click.option("--auth-audience", metavar="TEXT", help="Audience of access token requests, where not the token address.")
@click.option("--origin", "origins", multiple=True, metavar="ORIGIN", help="One more origin that may frame the tool.")
@click.option("--active/--inactive", default=True, help="Whether launches are let in.")
def add(context: Context, **options: Any) -> None:
    """Register an LMS or one more deployment of the tool in it; the same again changes nothing."""
    from atomic_guide.course.lti import configuration
    from atomic_guide.course.lti.registration import Change, Draft

    draft = Draft(**{**options, "origins": tuple(options["origins"])})

    async def work(lti: Lti) -> Change:
        return await lti.platforms.add(draft)

    change = _run(context, work, first=True)
    addresses = configuration.addresses(_base_url(context))
    said = {"added": "registered", "updated": "registration updated:", "unchanged": "already registered, unchanged:"}
    lines = [
        f"{said[change.kind]} {_described(change.platform)}, deployment {draft.deployment_id}",
        "",
        "addresses of this tool, for the LMS:",
        *(f"  {name.replace('_', ' '):26} {url}" for name, url in addresses.items()),
    ]
    context.emit({"change": change.kind, "platform": _facts(change.platform), "tool": addresses}, "\n".join(lines))


@command.command("list")
@data_options
def list_platforms(context: Context) -> None:
    """List the registrations with their deployments."""

    async def work(lti: Lti) -> list[Platform]:
        return await lti.platforms.all()

    known = _run(context, work)
    lines = []
    for platform in known:
        lines.append(f"{_described(platform)}{'' if platform.active else '  (inactive)'}")
        lines += [f"  deployment {deployment}  tenant {tenant}" for deployment, tenant in platform.deployments.items()]
    text = "\n".join(lines) or "no LMS is registered; `atomic-guide platforms add` registers one"
    context.emit({"platforms": [_facts(platform) for platform in known]}, text)


@command.command()
@data_options
@click.option("--issuer", metavar="URL", help="Only this issuer.")
@click.option("--client-id", metavar="ID", help="Only this client.")
def test(context: Context, issuer: str | None, client_id: str | None) -> None:
    """Say what is wrong with registrations: keys, clocks, access tokens, misspelt issuers."""
    from atomic_guide.course.lti.diagnosis import Finding, as_facts, worst

    async def work(lti: Lti) -> list[tuple[Platform, list[Finding]]]:
        everybody = await lti.platforms.all()
        chosen = _chosen(everybody, issuer, client_id)
        return [(platform, await lti.diagnosis.examine(platform, everybody)) for platform in chosen]

    examined = _run(context, work)
    lines = []
    for platform, findings in examined:
        lines.append(_described(platform))
        lines += [f"  {_MARKS[finding.level]}{finding.check}: {finding.text}" for finding in findings]
    context.emit({"platforms": [as_facts(*one) for one in examined]}, "\n".join(lines))
    wrong = [platform for platform, findings in examined if worst(findings) == "bad"]
    if wrong:
        message = f"{len(wrong)} of {len(examined)} registrations will not work as they are"
        raise click.ClickException(message)


@command.command()
@data_options
@click.option("--issuer", required=True, metavar="URL", help="The issuer.")
@click.option("--client-id", metavar="ID", help="The client; needed where the issuer has several.")
@click.option("--deployment-id", metavar="ID", help="Only this deployment.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(context: Context, issuer: str, client_id: str | None, deployment_id: str | None, *, yes: bool) -> None:
    """Remove a registration or one deployment of it; the courses and their contents stay."""
    from atomic_guide.errors import Invalid, NotFound

    async def find(lti: Lti) -> Platform:
        chosen = _chosen(await lti.platforms.all(), issuer, client_id)
        if len(chosen) > 1:
            message = f"{issuer} has {len(chosen)} clients; say which with --client-id"
            raise Invalid(message)
        if deployment_id is not None and deployment_id not in chosen[0].deployments:
            message = f"{_described(chosen[0])} has no deployment {deployment_id}"
            raise NotFound(message)
        return chosen[0]

    async def drop(lti: Lti) -> None:
        await lti.platforms.remove(await find(lti), deployment_id)

    platform = _run(context, find)
    what = _described(platform) + (f", deployment {deployment_id}" if deployment_id else " with all deployments")
    if not yes:
        click.confirm(f"Remove {what}? Nobody can open its courses then", abort=True, err=True)
    _run(context, drop)
    context.emit({"removed": _facts(platform), "deployment_id": deployment_id}, f"removed {what}")


@command.command()
@data_options
@click.option("--days", type=click.IntRange(1, 90), default=7, show_default=True, help="How long it is good.")
def invite(context: Context, days: int) -> None:
    """Print an address by which one LMS can register itself, once."""

    async def work(lti: Lti) -> str:
        return await lti.invitations.issue(days * 86_400)

    url = f"{_base_url(context)}/lti/register?invitation={_run(context, work, first=True)}"
    text = f"{url}\ngive it to the administrator of the LMS (tool registration URL); good once, for {days} days"
    context.emit({"url": url, "days": days}, text)


def _run(context: Context, work: Callable[[Lti], Awaitable[T]], *, first: bool = False) -> T:
    async def whole() -> T:
        async with _opened(context, first=first) as lti:
            return await work(lti)

    return asyncio.run(whole())


@asynccontextmanager
async def _opened(context: Context, *, first: bool) -> AsyncIterator[Lti]:
    from atomic_guide.app.build import address, lti_settings
    from atomic_guide.clock import SystemClock
    from atomic_guide.course.lti.assembly import build_lti

    where = address(context.settings, context.settings.server.port)
    async with context.open_shards(first=first) as shards:
        settings = lti_settings(context.settings, where)
        lti = build_lti(_base_url(context), shards.directory, SystemClock(), settings)
        try:
            yield lti
        finally:
            await lti.close()


def _base_url(context: Context) -> str:
    """The tool's address: that of the running server, else what the settings say."""
    from atomic_guide.app.build import address
    from atomic_guide.app.supervisor import holder

    where = address(context.settings, context.settings.server.port)
    if context.settings.server.public_url:
        return where.public_url
    _, _, running = (holder(context.data) or "").partition(" at ")
    return running or where.public_url


def _chosen(known: list[Platform], issuer: str | None, client_id: str | None) -> list[Platform]:
    from atomic_guide.errors import NotFound

    chosen = [
        platform for platform in known if issuer in {None, platform.issuer} and client_id in {None, platform.client_id}
    ]
    if not chosen:
        message = "no such LMS is registered; `atomic-guide platforms list` shows those that are"
        raise NotFound(message)
    return chosen


def _described(platform: Platform) -> str:
    named = f"{platform.name} " if platform.name else ""
    return f"{named}{platform.issuer} client {platform.client_id}"


def _facts(platform: Platform) -> dict[str, Any]:
    return {
        "issuer": platform.issuer,
        "client_id": platform.client_id,
        "name": platform.name,
        "active": platform.active,
        "auth_url": platform.auth_url,
        "token_url": platform.token_url,
        "keyset_url": platform.keyset_url,
        "auth_audience": platform.auth_audience,
        "origins": list(platform.origins),
        "deployments": [
            {"deployment_id": deployment, "tenant": tenant} for deployment, tenant in platform.deployments.items()
        ],
    }
