"""`atomic-guide operators`: who may operate this installation, their sessions, and what they did."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from atomic_guide.cli.options import Context, Leading, actor, data_options, shell
from atomic_guide.clock import SystemClock, iso

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from atomic_guide.engines.data.database import Database
    from atomic_guide.operations.operators.model import Role
    from atomic_guide.operations.operators.people import People, Person, Whom
    from atomic_guide.operations.operators.sessions import Session

T = TypeVar("T")

_MOST = 10_000
_ROLES = click.Choice(["operator", "read-only"])
_SUBJECT = click.option(
    "--subject", is_flag=True, help="WHO is what the provider calls them (the claim sub), not an e-mail address."
)


@click.group(cls=Leading, leads="list")
def command() -> None:
    """Who may operate this installation by a name of their own, their sessions, and what operators did."""


@command.command("list")
@click.option("--removed", is_flag=True, help="With those who were removed.")
@data_options
def list_people(context: Context, *, removed: bool) -> None:
    """List everybody who may sign in, or has, with their role and where it comes from."""
    people = _with_people(context, lambda people: people.listed(_MOST, removed=removed))
    heads = f"{'id':20} {'role':10} {'from':7} {'signed in':25} name"
    text = "\n".join([heads, *map(_line, people)]) if people else _NOBODY
    context.emit({"operators": [_shown(person) for person in people]}, text)


@command.command("add")
@click.argument("who")
@click.option("--role", type=_ROLES, default="operator", show_default=True, help="What they may.")
@click.option("--name", default="", metavar="TEXT", help="What they are called until the provider says it.")
@_SUBJECT
@data_options
def add_person(context: Context, who: str, role: Role, name: str, *, subject: bool) -> None:
    """Let WHO, an e-mail address at the provider, sign in. The provider has to have verified the address."""
    whom = _whom(context, who, subject=subject)
    if not (whom.email or whom.subject):
        raise click.UsageError(f"{who!r} is no e-mail address; with --subject it is what the provider calls somebody")
    person = _noted(
        context, "add_operator", whom, lambda people: people.add(whom, role, actor(), name), first=True, role=role
    )
    without = "" if context.settings.operators.issuer else "; set operators.issuer, so that they have where to sign in"
    context.emit(_shown(person), f"{person.name} may sign in as {person.role}{without}")


@command.command("role")
@click.argument("who")
@click.argument("role", type=_ROLES)
@_SUBJECT
@data_options
def set_role(context: Context, who: str, role: Role, *, subject: bool) -> None:
    """Give WHO (an e-mail address, or an id of the list) a role; it holds from their next request on."""
    whom = _whom(context, who, subject=subject)
    person = _noted(context, "set_operator_role", whom, lambda people: people.set_role(whom, role), role=role)
    context.emit(_shown(person), f"{person.name} is {person.role}")


@command.command("remove")
@click.argument("who")
@_SUBJECT
@data_options
def remove_person(context: Context, who: str, *, subject: bool) -> None:
    """Let WHO in no more, whatever the provider claims of them, and end their sessions at once."""
    whom = _whom(context, who, subject=subject)
    person, ended = _noted(context, "remove_operator", whom, lambda people: people.remove(whom))
    sessions = "1 session has" if ended == 1 else f"{ended} sessions have"
    context.emit({**_shown(person), "sessions_ended": ended}, f"{person.name} is removed; {sessions} ended")


@command.command("sessions")
@data_options
def list_sessions(context: Context) -> None:
    """List who is signed in to the console."""
    from atomic_guide.operations.operators.sessions import OperatorSessions

    async def read(directory: Database) -> list[Session]:
        return await OperatorSessions(directory, SystemClock(), context.settings.operators).listed(_MOST)

    found = _run(context, read)
    heads = f"{'session':13} {'operator':20} {'role':10} {'since':25} {'last used':25} name"
    lines = [
        f"{one.key:13} {one.operator.id:20} {one.operator.role:10} {iso(one.begun_at):25} {iso(one.seen_at):25}"
        f" {one.operator.name}"
        for one in found
    ]
    shown = [
        {
            "session": one.key,
            "operator": msgspec.to_builtins(one.operator),
            "begun_at": iso(one.begun_at),
            "seen_at": iso(one.seen_at),
            "ends_at": iso(one.ends_at),
        }
        for one in found
    ]
    context.emit({"sessions": shown}, "\n".join([heads, *lines]) if found else "nobody is signed in")


@command.command("end")
@click.argument("who")
@_SUBJECT
@data_options
def end_sessions(context: Context, who: str, *, subject: bool) -> None:
    """End the sessions of WHO (an e-mail address, an id of the list, or `token`); they may sign in again."""
    from atomic_guide.operations.operators.model import TOKEN_ID
    from atomic_guide.operations.operators.people import People
    from atomic_guide.operations.operators.sessions import OperatorSessions

    async def end(directory: Database) -> int:
        clock, settings = SystemClock(), context.settings.operators
        person = TOKEN_ID
        if who != TOKEN_ID:
            person = (await People(directory, clock).find(_whom(context, who, subject=subject))).id
        ended = await OperatorSessions(directory, clock, settings).end_of(person)
        await _note(context, directory, "end_sessions", {"operator": person})
        return ended

    ended = _run(context, end)
    said = "1 session has ended" if ended == 1 else f"{ended} sessions have ended"
    context.emit({"operator": who, "sessions_ended": ended}, said)


@command.command("audit")
@click.option("--who", default="", metavar="NAME", help="Only of this operator, by name or id.")
@click.option("--what", default="", metavar="TEXT", help="Only acts with this in their name.")
@click.option("--before", type=click.IntRange(min=1), help="Only entries older than that of this number.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
@data_options
def show_audit(context: Context, who: str, what: str, before: int | None, limit: int) -> None:
    """List what operators did by the console, the API and this command, the newest first."""
    from atomic_guide.operations.operators.audit import Asked, Audit, Page

    async def read(directory: Database) -> Page:
        audit = Audit(directory, SystemClock(), context.settings.operators)
        return await audit.page(Asked(limit, before, who, what))

    page = _run(context, read)
    lines = [
        f"{one.number:7} {one.at} {one.who:24} {one.status or 'open':4} {one.action}"
        f" {' '.join(f'{name}={value}' for name, value in one.objects.items())}{f': {one.why}' if one.why else ''}"
        for one in page.entries
    ]
    more = [f"older ones: --before {page.before}"] if page.before else []
    context.emit(page, "\n".join([*lines, *more]) if lines else "nothing was done yet")


_NOBODY = "nobody has a name of their own here; whoever has the operators' token may do everything"


def _whom(context: Context, who: str, *, subject: bool) -> Whom:
    """How somebody is named on the command line."""
    from atomic_guide.operations.operators.people import Whom

    if subject:
        issuer = context.settings.operators.issuer
        if issuer is None:
            raise click.UsageError("--subject is of the provider that operators.issuer names; set it first")
        return Whom(issuer=issuer, subject=who)
    return Whom(email=who.strip().lower()) if "@" in who else Whom(id=who)


def _run(context: Context, work: Callable[[Database], Awaitable[T]], *, first: bool = False) -> T:
    async def run() -> T:
        async with context.open_shards(first=first) as shards:
            return await work(shards.directory)

    return asyncio.run(run())


def _with_people(context: Context, work: Callable[[People], Awaitable[T]]) -> T:
    from atomic_guide.operations.operators.people import People

    return _run(context, lambda directory: work(People(directory, SystemClock())))


def _noted(
    context: Context,
    action: str,
    whom: Whom,
    work: Callable[[People], Awaitable[T]],
    *,
    first: bool = False,
    **objects: str,
) -> T:
    """Change something of people, and write it down."""
    from atomic_guide.operations.operators.people import People

    async def change(directory: Database) -> T:
        done = await work(People(directory, SystemClock()))
        await _note(context, directory, action, {"operator": str(whom), **objects})
        return done

    return _run(context, change, first=first)


async def _note(context: Context, directory: Database, action: str, objects: dict[str, str]) -> None:
    from atomic_guide.operations.operators.audit import Act, Audit

    await Audit(directory, SystemClock(), context.settings.operators).note(shell(), Act("COMMAND", action, objects))


def _shown(person: Person) -> dict[str, Any]:
    shown = msgspec.to_builtins(person)
    for name in ("added_at", "signed_in_at", "removed_at"):
        shown[name] = iso(shown[name]) if shown[name] is not None else None
    return {**shown}


def _line(person: Person) -> str:
    signed_in = iso(person.signed_in_at) if person.signed_in_at else "never"
    gone = "  REMOVED" if person.removed_at is not None else ""
    return f"{person.id:20} {person.role:10} {person.source:7} {signed_in:25} {person.name} {person.email}{gone}"
