"""The audit log of operators, people and approvals, on both engines."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from atomic_guide.clock import ManualClock
from atomic_guide.engines.data.database import Engine, Transaction
from atomic_guide.errors import Conflict, NotFound
from atomic_guide.operations.operators import approvals
from atomic_guide.operations.operators.approvals import Voter
from atomic_guide.operations.operators.audit import Act, Asked, Audit, objects_of, why_of
from atomic_guide.operations.operators.model import TOKEN, Operator, Role
from atomic_guide.operations.operators.people import Arrival, NotAnOperator, People, Whom
from atomic_guide.operations.operators.settings import OperatorSettings
from tests.engines import ENGINES, opened_database
from tests.postgres import Cluster

ADA = Operator("p-ada", "Ada Lovelace", "operator", "oidc")
ISSUER = "https://id.example.edu"


@pytest.fixture(params=ENGINES)
async def directory(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Engine]:
    async with opened_database(request.param, tmp_path, postgres_cluster) as opened:
        yield opened


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def audit(directory: Engine, clock: ManualClock, **settings: Any) -> Audit:
    return Audit(directory, clock, OperatorSettings(**settings))


async def test_an_act_is_there_before_it_ends_and_whole_afterwards(directory: Engine, clock: ManualClock) -> None:
    log = audit(directory, clock)
    number = await log.begin(ADA, Act("POST", "approve_event", {"id": "ev-1"}))
    open_ = (await log.page(Asked())).entries[0]
    assert (open_.status, open_.objects, open_.who, open_.operator) == (None, {"id": "ev-1"}, "Ada Lovelace", "p-ada")
    await log.finish(number, Act("POST", "approve_event", {"id": "ev-1", "fleet": "web"}, "it is Monday"), 409)
    done = (await log.page(Asked())).entries[0]
    assert (done.status, done.objects["fleet"], done.why) == (409, "web", "it is Monday")


async def test_pages_go_back_without_a_gap(directory: Engine, clock: ManualClock) -> None:
    log = audit(directory, clock)
    for number in range(25):
        await log.note(ADA if number % 2 else TOKEN, Act("POST", f"act_{number}"))
    found, before = [], None
    for _ in range(3):
        page = await log.page(Asked(10, before))
        found += [entry.action for entry in page.entries]
        before = page.before
    assert before is None
    assert found == [f"act_{number}" for number in reversed(range(25))]


@pytest.mark.parametrize(
    ("who", "what", "found"),
    [
        ("Ada Lovelace", "", ["pause_fleet", "approve_event"]),
        ("ada lovelace", "", ["pause_fleet", "approve_event"]),
        ("p-ada", "event", ["approve_event"]),
        ("token", "", ["100%_sure"]),
        ("", "_e", ["approve_event"]),
        ("", "%", ["100%_sure"]),
        ("nobody", "", []),
    ],
)
async def test_who_and_what_are_found(
    directory: Engine, clock: ManualClock, who: str, what: str, found: list[str]
) -> None:
    log = audit(directory, clock)
    for operator, action in ((ADA, "approve_event"), (TOKEN, "100%_sure"), (ADA, "pause_fleet")):
        await log.note(operator, Act("POST", action))
    assert [entry.action for entry in (await log.page(Asked(who=who, what=what))).entries] == found


async def test_what_is_old_or_too_much_is_forgotten(directory: Engine, clock: ManualClock) -> None:
    log = audit(directory, clock, audit_days=1, audit_entries=1000)
    await log.note(ADA, Act("POST", "old"))
    clock.advance(86_401)
    for _ in range(3):
        await log.note(ADA, Act("POST", "new"))
    await log.prune()
    assert [entry.action for entry in (await log.page(Asked())).entries] == ["new"] * 3
    await audit(directory, clock, audit_entries=1000).prune()
    short = msgspec.structs.replace(OperatorSettings(), audit_entries=2)
    await Audit(directory, clock, short).prune()
    assert len((await log.page(Asked())).entries) == 2


class Body(msgspec.Struct):
    fleet: str
    seconds: float
    token: str
    content: str
    why: str
    keys: dict[str, str]


def test_of_a_body_only_what_is_named_is_kept() -> None:
    body = Body("web", 60.5, "secret-of-somebody", "what a member wrote", "the exam", {"key": "secret"})
    assert objects_of({"id": "ev-1"}, body) == {"id": "ev-1", "fleet": "web", "seconds": "60.5"}
    assert why_of(body) == "the exam"
    assert objects_of({}, None) == {}
    assert why_of(None) == ""


def arrival(subject: str = "s-1", email: str = "ada@example.edu", role: Role | None = None) -> Arrival:
    return Arrival(ISSUER, subject, email, "Ada Lovelace", role)


async def test_who_is_listed_by_address_is_known_by_subject_from_then_on(directory: Engine, clock: ManualClock) -> None:
    people = People(directory, clock)
    listed = await people.add(Whom(email="ada@example.edu"), "operator", "root")
    assert (listed.name, listed.signed_in_at) == ("ada@example.edu", None)
    first = await people.arrived(arrival())
    assert (first.id, first.name, first.role) == (listed.id, "Ada Lovelace", "operator")
    # The address is somebody else's by now; the person has another.
    with pytest.raises(NotAnOperator):
        await people.arrived(arrival("s-2"))
    assert (await people.arrived(arrival("s-1", "countess@example.edu"))).id == listed.id
    assert len(await people.listed(10)) == 1


async def test_an_address_that_is_not_verified_is_nobodys(directory: Engine, clock: ManualClock) -> None:
    people = People(directory, clock)
    await people.add(Whom(email="ada@example.edu"), "operator", "root")
    with pytest.raises(NotAnOperator):
        await people.arrived(arrival(email=""))


async def test_a_listed_role_stands_before_a_claim(directory: Engine, clock: ManualClock) -> None:
    people = People(directory, clock)
    await people.add(Whom(email="ada@example.edu"), "read-only", "root")
    assert (await people.arrived(arrival(role="operator"))).role == "read-only"


async def test_a_claim_is_asked_anew_each_time(directory: Engine, clock: ManualClock) -> None:
    people = People(directory, clock)
    assert (await people.arrived(arrival(role="operator"))).role == "operator"
    assert (await people.arrived(arrival(role="read-only"))).role == "read-only"
    with pytest.raises(NotAnOperator):
        await people.arrived(arrival())


async def test_many_first_sign_ins_at_once_are_one_person(directory: Engine, clock: ManualClock) -> None:
    people = People(directory, clock)
    found = await asyncio.gather(*(people.arrived(arrival(role="operator")) for _ in range(8)))
    assert len({one.id for one in found}) == 1
    assert len(await people.listed(10)) == 1


async def test_removing_is_for_good_until_somebody_is_added_again(directory: Engine, clock: ManualClock) -> None:
    people = People(directory, clock)
    await people.arrived(arrival(role="operator"))
    whom = Whom(email="ada@example.edu")
    await people.remove(whom)
    await people.remove(whom)
    assert await people.listed(10) == []
    assert [one.removed_at is not None for one in await people.listed(10, removed=True)] == [True]
    with pytest.raises(NotAnOperator):
        await people.arrived(arrival(role="operator"))
    with pytest.raises(Conflict):
        await people.set_role(whom, "operator")
    again = await people.add(whom, "operator", "root")
    assert (await people.arrived(arrival())).id == again.id


async def test_nobody_is_told_of_who_is_not_there(directory: Engine, clock: ManualClock) -> None:
    people = People(directory, clock)
    for whom in (Whom(email="x@example.edu"), Whom(id="p-x"), Whom(issuer=ISSUER, subject="x"), Whom()):
        with pytest.raises(NotFound):
            await people.find(whom)


async def test_it_takes_two_different_people(directory: Engine, clock: ManualClock) -> None:
    async def agree(person: str, subject: str = "event ev-1", needed: int = 2) -> bool:
        async def work(tx: Transaction) -> bool:
            return await approvals.agree(tx, subject, Voter(person, needed), f"Name of {person}", clock.now())

        return await directory.write(work)

    assert [await agree("ada"), await agree("ada"), await agree("ada", "event ev-2")] == [False] * 3
    assert await agree("ben")
    assert await agree("eve", "event ev-3", 1)
    found = await approvals.agreed(directory, "event", 2)
    assert [one.by for one in found.given["ev-1"]] == ["Name of ada", "Name of ben"]
    assert set(found.given) == {"ev-1", "ev-2"}
    assert (await approvals.agreed(directory, "event", 1)).given == {}
    clock.advance(approvals.KEPT_SECONDS + 1)
    assert not await agree("eve", "event ev-2"), "ada's was too long ago"
    assert await agree("ada", "event ev-2"), "and counts again when she gives it anew"
    await approvals.prune(directory, clock.now())
    assert set((await approvals.agreed(directory, "event", 2)).given) == {"ev-2"}


async def test_of_two_at_once_one_is_the_second(directory: Engine, clock: ManualClock) -> None:
    async def agree(person: str, subject: str) -> bool:
        async def work(tx: Transaction) -> bool:
            return await approvals.agree(tx, subject, Voter(person, 2), person, clock.now())

        return await directory.write(work)

    for number in range(10):
        subject = f"event ev-{number}"
        assert sorted(await asyncio.gather(agree("ada", subject), agree("ben", subject))) == [False, True]
