"""A browser's session as an operator, and what other sites, other people and old cookies can do with it: nothing."""

import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import msgspec
import pytest

from atomic_guide.clock import ManualClock
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.errors import DataUnavailable
from atomic_guide.operations.operators.people import Arrival
from atomic_guide.setting import Shown
from atomic_guide.web import operators as console
from atomic_guide.web import pages
from atomic_guide.web.routing import Call, Calls
from atomic_guide.web.server import create_app
from atomic_guide.web.table import DECLARED
from tests.engines import installed
from tests.operating import TOKEN, acting, operators

HTTPS = "https://guide.test"
LOCAL = "http://127.0.0.1:8000"
BEARER = {"Authorization": f"Bearer {TOKEN}"}

acts = Calls()
done: list[str] = []


class Acted(msgspec.Struct):
    """Who acted."""

    by: str


@acts.add("GET", "/api/ops/things", access="operator", reply=Acted)
async def show_things(call: Call[None]) -> Acted:
    return Acted(call.operator.name)


@acts.add("DELETE", "/api/ops/things/{id}", access="operator", reply=Acted)
async def drop_thing(call: Call[None]) -> Acted:
    done.append(call.request.path_params["id"])
    return Acted(call.operator.name)


SETTINGS = [Shown("data", "ATOMIC_GUIDE_DATA", "/srv/guide", "./var", "path", "--data", "Where everything is.")]


class Site:
    def __init__(self, app: Any, tool: Any, clock: ManualClock) -> None:
        self.app = app
        self.operators = tool.operators
        self.clock = clock

    @contextlib.asynccontextmanager
    async def browser(self, url: str = HTTPS, address: str = "203.0.113.7") -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(self.app, client=(address, 4711))
        async with httpx.AsyncClient(transport=transport, base_url=url) as client:
            yield client


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    shards = await open_embedded(installed(tmp_path))
    clock = ManualClock()
    tool: Any = SimpleNamespace(
        clock=clock, shards=shards, settings=SETTINGS, operators=operators(shards.directory, clock, refused_tokens=5)
    )
    declared = [row for row in DECLARED if row.access == "operator"]
    rest = [row for row in console.calls.declared if row.access == "none"]
    yield Site(create_app(tool, [*declared, *rest, *acts.declared]), tool, clock)
    await shards.close()


async def signed_in(client: httpx.AsyncClient) -> httpx.Response:
    answer = await client.post("/api/ops/session", json={"token": TOKEN})
    assert answer.status_code == 200, answer.text
    return answer


def code(answer: httpx.Response) -> str:
    return cast("str", answer.json()["error"]["code"])


async def test_the_token_begins_a_session_that_says_who_it_is(site: Site) -> None:
    async with site.browser() as client:
        refused = await client.get("/api/ops/session")
        assert refused.status_code == 401
        assert refused.json()["error"]["details"]["sign_in"] == {"oidc": False, "provider": None}
        shown = (await signed_in(client)).json()
        assert shown["operator"] == {"id": "token", "name": "operator", "role": "operator", "source": "token"}
        assert shown["sign_in"] == {"oidc": False, "provider": None}
        assert (shown["two_person"], shown["demo"], shown["data"]) == (False, False, "/srv/guide")
        again = (await client.get("/api/ops/session")).json()
        assert again == shown
        assert (await client.get("/api/ops/things")).json() == {"by": "operator"}


async def test_a_bearer_needs_no_session(site: Site) -> None:
    async with site.browser() as client:
        answer = await client.get("/api/ops/session", headers=BEARER)
        assert answer.json()["expires_at"] is None
        assert (await client.delete("/api/ops/things/1", headers=BEARER)).status_code == 200
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("url", "name", "secure"),
    [(HTTPS, "__Host-atomic_guide_operator", True), (LOCAL, "atomic_guide_operator", False)],
)
async def test_the_cookie_is_only_for_this_host_and_no_script(site: Site, url: str, name: str, secure: bool) -> None:  # noqa: FBT001
    async with site.browser(url) as client:
        said = (await signed_in(client)).headers["set-cookie"]
    kept, *rules = said.split("; ")
    assert kept.split("=")[0] == name
    assert {"Path=/", "HttpOnly", "SameSite=Strict"} <= set(rules)
    assert ("Secure" in rules) == secure
    assert not any(rule.startswith("Domain") for rule in rules)


async def test_by_plain_http_from_afar_nobody_signs_in(site: Site) -> None:
    async with site.browser("http://guide.test") as client:
        answer = await client.post("/api/ops/session", json={"token": TOKEN})
        assert (answer.status_code, code(answer)) == (403, "HTTPS_NEEDED")
        assert "set-cookie" not in answer.headers


async def test_a_cookie_that_plain_http_could_set_is_none_by_https(site: Site) -> None:
    async with site.browser(LOCAL) as local:
        await signed_in(local)
        value = local.cookies["atomic_guide_operator"]
    async with site.browser() as client:
        for name, status in (("atomic_guide_operator", 401), ("__Host-atomic_guide_operator", 200)):
            answer = await client.get("/api/ops/session", headers={"Cookie": f"{name}={value}"})
            assert answer.status_code == status


ACTS: list[tuple[dict[str, str], int]] = [
    ({"Atomic-Guide-Console": "1", "Origin": HTTPS}, 200),
    ({"Atomic-Guide-Console": "1", "Sec-Fetch-Site": "same-origin"}, 200),
    ({"Atomic-Guide-Console": "1", "Origin": HTTPS, "Sec-Fetch-Site": "same-origin"}, 200),
    ({}, 403),
    ({"Origin": HTTPS}, 403),
    ({"Sec-Fetch-Site": "same-origin"}, 403),
    ({"Atomic-Guide-Console": "1"}, 403),
    ({"Atomic-Guide-Console": "0", "Origin": HTTPS}, 403),
    ({"Atomic-Guide-Console": "1", "Origin": "https://evil.test"}, 403),
    ({"Atomic-Guide-Console": "1", "Origin": "http://guide.test"}, 403),
    ({"Atomic-Guide-Console": "1", "Origin": "https://guide.test:8443"}, 403),
    ({"Atomic-Guide-Console": "1", "Origin": "https://guide.test.evil.test"}, 403),
    ({"Atomic-Guide-Console": "1", "Origin": "null"}, 403),
    ({"Atomic-Guide-Console": "1", "Origin": HTTPS, "Sec-Fetch-Site": "same-site"}, 403),
    ({"Atomic-Guide-Console": "1", "Origin": HTTPS, "Sec-Fetch-Site": "cross-site"}, 403),
    ({"Atomic-Guide-Console": "1", "Sec-Fetch-Site": "none"}, 403),
]


@pytest.mark.parametrize(("headers", "status"), ACTS)
async def test_an_act_with_the_cookie_comes_from_the_console_only(
    site: Site, headers: dict[str, str], status: int
) -> None:
    async with site.browser() as client:
        await signed_in(client)
        answer = await client.delete("/api/ops/things/1", headers=headers)
        assert answer.status_code == status
        if status == 403:
            assert code(answer) == "NOT_FROM_THE_CONSOLE"


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.test"}, {"Sec-Fetch-Site": "cross-site"}])
async def test_no_other_site_signs_a_browser_in_or_out(site: Site, headers: dict[str, str]) -> None:
    async with site.browser() as client:
        answer = await client.post("/api/ops/session", json={"token": TOKEN}, headers=headers)
        assert (answer.status_code, code(answer)) == (403, "NOT_FROM_THE_CONSOLE")
        await signed_in(client)
        assert (await client.post("/api/ops/session/end", headers=headers)).status_code == 403
        assert (await client.get("/api/ops/session")).status_code == 200


async def test_who_may_only_look_is_refused_every_act_there_is(site: Site) -> None:
    reader = await site.operators.people.arrived(Arrival("https://id.test", "s-1", "", "Eve Reader", "read-only"))
    cookie, _ = await site.operators.sessions.begin(reader)
    rows = [row for row in DECLARED if row.access == "operator" and row.method != "GET"]
    assert len(rows) > 20
    async with site.browser() as client:
        client.cookies.set("__Host-atomic_guide_operator", cookie)
        assert (await client.get("/api/ops/things")).json() == {"by": "Eve Reader"}
        for row in rows:
            path = re.sub(r"\{[^}]*\}", "x", row.path)
            answer = await client.request(row.method, path, headers=acting(client))
            assert (answer.status_code, code(answer)) == (403, "READ_ONLY"), row.path
            assert "somebody with the role operator" in answer.json()["error"]["message"]
        entries = (await client.get("/api/ops/audit", params={"who": "Eve Reader"})).json()["entries"]
    assert [(entry["action"], entry["status"]) for entry in entries] == [(row.action, 403) for row in reversed(rows)]


async def test_an_act_that_cannot_be_written_down_is_not_done(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: Any) -> int:
        raise DataUnavailable("the directory is away")

    done.clear()
    async with site.browser() as client:
        monkeypatch.setattr(site.operators.audit, "begin", away)
        assert (await client.delete("/api/ops/things/1", headers=BEARER)).status_code == 503
        assert done == []
        monkeypatch.undo()
        # What was done stays done where only its end cannot be written down.
        monkeypatch.setattr(site.operators.audit, "finish", away)
        assert (await client.delete("/api/ops/things/2", headers=BEARER)).status_code == 200
        assert done == ["2"]
        monkeypatch.undo()
        assert (await client.get("/api/ops/audit", headers=BEARER)).json()["entries"][0]["status"] is None


async def test_signing_out_ends_the_session_and_the_cookie(site: Site) -> None:
    async with site.browser() as client:
        await signed_in(client)
        stolen = dict(client.cookies)
        answer = await client.post("/api/ops/session/end", headers=acting(client))
        assert answer.json() == {"ended": True}
        assert not client.cookies
        assert (await client.get("/api/ops/session")).status_code == 401
        assert (await client.post("/api/ops/session/end", headers=acting(client))).json() == {"ended": False}
    async with site.browser() as thief:
        thief.cookies.update(stolen)
        assert (await thief.get("/api/ops/session")).status_code == 401


async def test_a_cookie_that_was_planted_becomes_no_session(site: Site) -> None:
    name, planted = "__Host-atomic_guide_operator", "planted-by-somebody-else"
    async with site.browser() as client:
        await client.post("/api/ops/session", json={"token": TOKEN}, headers={"Cookie": f"{name}={planted}"})
    async with site.browser() as attacker:
        attacker.cookies.set(name, planted)
        assert (await attacker.get("/api/ops/session")).status_code == 401


async def test_a_session_ends_by_itself(site: Site) -> None:
    async with site.browser() as client:
        await signed_in(client)
        site.clock.advance(8 * 3600)
        assert (await client.get("/api/ops/things")).status_code == 401


async def test_guessing_ends_after_a_few_and_only_for_that_address(site: Site) -> None:
    async with site.browser() as client:
        await signed_in(client)
        for _ in range(5):
            wrong = await client.post("/api/ops/session", json={"token": "x" * 24})
            assert wrong.status_code == 401
        late = await client.post("/api/ops/session", json={"token": TOKEN})
        assert late.status_code == 429
        assert int(late.headers["retry-after"]) >= 1
        assert (await client.get("/api/ops/things", headers=BEARER)).status_code == 429
        # Whoever is signed in already goes on.
        assert (await client.get("/api/ops/things")).status_code == 200
        async with site.browser(address="203.0.113.8") as other:
            assert (await other.get("/api/ops/things", headers=BEARER)).status_code == 200
        site.clock.advance(60)
        assert (await client.get("/api/ops/things", headers=BEARER)).status_code == 200


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = tmp_path / "manifest.json"
    entry = {"src/ops.ts": {"file": "assets/ops-1.js", "css": ["assets/ops-1.css"]}}
    manifest.write_bytes(msgspec.json.encode(entry))
    monkeypatch.setattr(pages, "MANIFEST", manifest)
    monkeypatch.setattr(pages, "_manifest", pages._Manifest())


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("path", ["/ops", "/ops/", "/ops/scaling/decisions/ev-1"])
async def test_the_page_loads_for_everybody_and_is_framed_by_nobody(site: Site, path: str) -> None:
    async with site.browser() as client:
        page = await client.get(path)
    assert page.status_code == 200
    assert '<div id="app"></div>' in page.text
    assert '<script type="module" src="/static/assets/ops-1.js"></script>' in page.text
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["default-src"] == "'none'"
    assert page.headers["cross-origin-opener-policy"] == "same-origin"


async def test_without_the_front_end_the_page_says_so(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MANIFEST", tmp_path / "none.json")
    monkeypatch.setattr(pages, "_manifest", pages._Manifest())
    async with site.browser() as client:
        page = await client.get("/ops")
    assert page.status_code == 503
    assert "The console cannot be opened just now" in page.text
