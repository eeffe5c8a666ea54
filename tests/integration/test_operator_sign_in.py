"""Operators sign in at a provider of their own, over real HTTP, and nobody else does."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import OctKey
from starlette.responses import JSONResponse, Response

from atomic_guide.clock import ManualClock, SystemClock
from atomic_guide.course.lti.logins import Logins
from atomic_guide.course.lti.settings import LtiSettings
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.operations.operators.people import Whom
from atomic_guide.web import operators as console
from atomic_guide.web import signing_in
from atomic_guide.web.server import create_app
from tests.engines import installed
from tests.fakes.platform import DROP, _pool
from tests.fakes.provider import CLIENT, SECRET, FakeProvider, provider
from tests.operating import operators

URL = "https://guide.test"


class Site:
    def __init__(self, app: Any, tool: Any, at: FakeProvider) -> None:
        self.app = app
        self.operators = tool.operators
        self.provider = at

    @contextlib.asynccontextmanager
    async def browser(self, url: str = URL) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(self.app, client=("203.0.113.7", 4711))
        async with httpx.AsyncClient(transport=transport, base_url=url) as client:
            yield client

    async def way_back(self, client: httpx.AsyncClient) -> str:
        """Begin a sign-in and do at the provider what a browser does there; where it is sent back to."""
        begun = await client.get("/ops/sign-in")
        assert begun.status_code == 303, begun.text
        async with httpx.AsyncClient() as outside:
            there = await outside.get(begun.headers["location"])
        return there.headers["location"].removeprefix(URL)

    async def sign_in(self, client: httpx.AsyncClient) -> httpx.Response:
        return await client.get(await self.way_back(client))


@contextlib.asynccontextmanager
async def made_site(folder: Path, at: FakeProvider, **settings: Any) -> AsyncIterator[Site]:
    shards = await open_embedded(installed(folder))
    clock = SystemClock()
    chosen = {
        "issuer": at.url, "client_id": CLIENT, "client_secret": SECRET, "provider_name": "Example University",
        "operator_values": ("guide-operators",), "read_only_values": ("guide-readers",), **settings,
    }  # fmt: skip
    tool: Any = SimpleNamespace(
        clock=clock,
        shards=shards,
        settings=[],
        lti=SimpleNamespace(logins=Logins(shards.directory, clock, LtiSettings(logins_per_minute=30))),
        operators=operators(shards.directory, clock, URL, **chosen),
    )
    try:
        yield Site(create_app(tool, [*signing_in.calls.declared, *console.calls.declared]), tool, at)
    finally:
        await tool.operators.close()
        await shards.close()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with provider() as at, made_site(tmp_path, at) as made:
        yield made
        assert at.problems == []


async def who(client: httpx.AsyncClient) -> dict[str, Any] | None:
    answer = await client.get("/api/ops/session")
    return answer.json()["operator"] if answer.status_code == 200 else None


def refusal(answer: httpx.Response) -> str:
    assert "set-cookie" not in answer.headers
    return answer.text.partition('name="atomic-guide-error" content="')[2].partition('"')[0]


async def test_somebody_with_the_claim_is_an_operator_by_name(site: Site) -> None:
    async with site.browser() as client:
        ways = (await client.get("/api/ops/session")).json()["error"]["details"]["sign_in"]
        assert ways == {"oidc": True, "provider": "Example University"}
        answer = await site.sign_in(client)
        assert (answer.status_code, answer.headers["location"]) == (303, "/ops")
        found = await who(client)
        assert found is not None
        assert (found["name"], found["role"], found["source"]) == ("Ada Lovelace", "operator", "oidc")
        assert [entry["action"] for entry in (await client.get("/api/ops/audit")).json()["entries"]] == ["sign_in"]


async def test_what_the_browser_carries_to_the_provider_and_back(site: Site) -> None:
    async with site.browser() as client:
        begun = await client.get("/ops/sign-in")
        cookie = begun.headers["set-cookie"]
        assert cookie.startswith("__Host-atomic_guide_sign_in=")
        assert {"Path=/", "HttpOnly", "Secure", "SameSite=Lax", "Max-Age=600"} <= set(cookie.split("; ")[1:])
        asked = parse_qs(urlsplit(begun.headers["location"]).query)
        assert asked["redirect_uri"] == [f"{URL}/ops/callback"]
        # What is kept for the end is not in the address.
        assert cookie.split("; ")[0].partition("=")[2] not in begun.headers["location"]


async def test_the_client_may_say_who_it_is_in_the_form(site: Site) -> None:
    site.provider.methods = ["client_secret_post"]
    async with site.browser() as client:
        await site.sign_in(client)
        assert await who(client) is not None


BAD: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("another issuer", {"iss": "https://evil.test"}, {}),
    ("another audience", {"aud": "another-program"}, {}),
    ("several audiences", {"aud": [CLIENT, "another-program"]}, {}),
    ("another party", {"aud": [CLIENT, "another-program"], "azp": "another-program"}, {}),
    ("expired", {"exp": 1_000_000_000}, {}),
    ("no end", {"exp": DROP}, {}),
    ("of the future", {"iat": 4_000_000_000}, {}),
    ("not yet", {"nbf": 4_000_000_000}, {}),
    ("another nonce", {"nonce": "x" * 43}, {}),
    ("no nonce", {"nonce": DROP}, {}),
    ("nobody", {"sub": ""}, {}),
    ("no subject", {"sub": DROP}, {}),
    ("an unknown key", {}, {"kid": "another"}),
    ("its own key", {}, {"jwk": {"kty": "RSA"}}),
    ("an extension", {}, {"crit": ["exp"]}),
]


@pytest.mark.parametrize(("claims", "header"), [bad[1:] for bad in BAD], ids=[bad[0] for bad in BAD])
async def test_a_bad_token_lets_nobody_in(site: Site, claims: dict[str, Any], header: dict[str, Any]) -> None:
    real = site.provider.token

    def token(nonce: str) -> str:
        site.provider.changes = claims
        if "crit" in header or "jwk" in header:
            return with_header(real(nonce), header, site.provider)
        site.provider.header = header
        return real(nonce)

    site.provider.token = token  # type: ignore[method-assign]
    async with site.browser() as client:
        assert refusal(await site.sign_in(client)) == "SIGN_IN_REFUSED"
        assert await who(client) is None


def with_header(token: str, more: dict[str, Any], at: FakeProvider) -> str:
    """The token with more in its header, which then is not what was signed; it is refused before that matters."""
    from joserfc.util import json_b64encode  # noqa: PLC0415 - only here

    head = json_b64encode({"alg": "RS256", "kid": at.kid, **more}).decode()
    return ".".join([head, *token.split(".")[1:]])


async def test_no_algorithm_but_the_one_that_is_expected(site: Site) -> None:
    real = site.provider.token

    def unsigned(nonce: str) -> str:
        return f"{with_header(real(nonce), {'alg': 'none'}, site.provider).rpartition('.')[0]}."

    def by_public_key(nonce: str) -> str:
        site.provider.header = {"alg": "HS256"}
        pem = site.provider.key.as_pem(private=False)
        site.provider.signs_with = OctKey.import_key(pem)  # type: ignore[assignment]
        return real(nonce)

    for forged in (unsigned, by_public_key):
        site.provider.token = forged  # type: ignore[method-assign]
        async with site.browser() as client:
            assert refusal(await site.sign_in(client)) == "SIGN_IN_REFUSED"
            assert await who(client) is None


async def test_a_key_that_is_not_published_signs_nobody_in(site: Site) -> None:
    site.provider.signs_with = next(key for key in iter(_pool()) if key is not site.provider.key)
    async with site.browser() as client:
        assert refusal(await site.sign_in(client)) == "SIGN_IN_REFUSED"


async def test_a_way_back_is_good_once_and_in_its_own_browser(site: Site) -> None:
    async with site.browser() as client, site.browser() as other:
        back = await site.way_back(client)
        assert refusal(await other.get(back)) == "SIGN_IN_REFUSED"
        # Somebody who has begun a sign-in of their own does not end this one either.
        await site.way_back(other)
        assert refusal(await other.get(back)) == "SIGN_IN_REFUSED"
        assert (await client.get(back)).status_code == 303
        client.cookies.delete("__Host-atomic_guide_operator")
        assert refusal(await client.get(back)) == "SIGN_IN_REFUSED"
        assert await who(client) is None


async def test_a_code_of_somebody_else_is_none(site: Site) -> None:
    async with site.browser() as victim, site.browser() as attacker:
        mine = parse_qs(urlsplit(await site.way_back(attacker)).query)
        theirs = parse_qs(urlsplit(await site.way_back(victim)).query)
        mixed = {"code": mine["code"][0], "state": theirs["state"][0]}
        answer = await victim.get("/ops/callback", params=mixed)
        # PKCE: the provider finds that the verifier is of another sign-in, and the token would be of another nonce.
        assert refusal(answer) == "SIGN_IN_REFUSED"
    assert site.provider.problems.pop() == "the verifier is not that of the challenge"


@pytest.mark.parametrize(
    "query", ["", "code=x", "code=x&state=y", "state=y", "error=access_denied&state=y", "code=x&state=" + "y" * 5000]
)
async def test_what_nobody_began_ends_nowhere(site: Site, query: str) -> None:
    async with site.browser() as client:
        await client.get("/ops/sign-in")
        assert refusal(await client.get(f"/ops/callback?{query}")) == "SIGN_IN_REFUSED"


async def test_another_provider_in_the_answer_is_refused(site: Site) -> None:
    async with site.browser() as client:
        back = await site.way_back(client)
        changed = httpx.URL(back).copy_set_param("iss", "https://evil.test")
        assert refusal(await client.get(str(changed))) == "SIGN_IN_REFUSED"


async def test_who_is_not_let_in_reads_why(site: Site) -> None:
    site.provider.lets_in = False
    async with site.browser() as client:
        answer = await site.sign_in(client)
        assert refusal(answer) == "SIGN_IN_REFUSED"
        assert "access_denied" in answer.text


async def test_a_sign_in_that_took_too_long_is_begun_again(tmp_path: Path) -> None:
    async with provider() as at, made_site(tmp_path, at) as site, site.browser() as client:
        clock = ManualClock(SystemClock().now() - 601)
        site.operators.logins._clock = clock
        back = await site.way_back(client)
        clock.advance(601)
        assert refusal(await client.get(back)) == "SIGN_IN_REFUSED"


async def test_who_has_no_role_is_told_how_to_get_one(site: Site) -> None:
    site.provider.changes = {"groups": ["students"]}
    async with site.browser() as client:
        answer = await site.sign_in(client)
        assert refusal(answer) == "NOT_AN_OPERATOR"
        assert "atomic-guide operators add ada@example.edu" in answer.text
        assert await who(client) is None


@pytest.mark.parametrize(
    ("claims", "settings", "role"),
    [
        ({"groups": ["guide-readers"]}, {}, "read-only"),
        ({"groups": ["guide-readers", "guide-operators"]}, {}, "operator"),
        ({"groups": "guide-operators"}, {}, "operator"),
        ({"groups": [], "realm": {"roles": ["guide-operators"]}}, {"role_claim": "realm.roles"}, "operator"),
        ({"groups": [], "urn:x.y": ["guide-operators"]}, {"role_claim": "urn:x.y"}, "operator"),
        ({"groups": []}, {"email_domains": ("Example.edu",)}, "read-only"),
        ({"groups": [], "email_verified": False}, {"email_domains": ("example.edu",)}, None),
        ({"groups": [], "email": "ada@example.edu.evil.test"}, {"email_domains": ("example.edu",)}, None),
        ({"groups": {"guide-operators": True}}, {}, None),
    ],
)
async def test_roles_come_from_claims_and_domains(
    tmp_path: Path, claims: dict[str, Any], settings: dict[str, Any], role: str | None
) -> None:
    async with provider() as at, made_site(tmp_path, at, **settings) as site, site.browser() as client:
        at.changes = claims
        await site.sign_in(client)
        found = await who(client)
        assert (found and found["role"]) == role


async def test_who_is_removed_is_out_at_once_and_stays_out(site: Site) -> None:
    async with site.browser() as client:
        await site.sign_in(client)
        person, ended = await site.operators.people.remove(Whom(email="ada@example.edu"))
        assert (person.name, ended) == ("Ada Lovelace", 1)
        assert await who(client) is None
        assert refusal(await site.sign_in(client)) == "NOT_AN_OPERATOR"
        await site.operators.people.add(Whom(email="ada@example.edu"), "read-only", "tests")
        await site.sign_in(client)
        found = await who(client)
        assert found is not None
        assert found["role"] == "read-only"


async def test_a_role_that_changes_holds_for_sessions_that_are_there(site: Site) -> None:
    async with site.browser() as client:
        await site.sign_in(client)
        await site.operators.people.set_role(Whom(email="ada@example.edu"), "read-only")
        found = await who(client)
        assert found is not None
        assert found["role"] == "read-only"


DESCRIPTIONS: list[dict[str, Any]] = [
    {"issuer": "https://evil.test"},
    {"token_endpoint": "http://10.0.0.1/token"},
    {"token_endpoint": "https://10.0.0.1/token"},
    {"jwks_uri": None},
    {"authorization_endpoint": "javascript:alert(1)"},
    {"authorization_endpoint": "http://evil.test/authorize"},
]


@pytest.mark.parametrize("described", DESCRIPTIONS)
async def test_a_provider_that_leads_astray_is_not_followed(site: Site, described: dict[str, Any]) -> None:
    site.provider.described = described
    async with site.browser() as client:
        begun = await client.get("/ops/sign-in")
        if begun.status_code == 303:
            async with httpx.AsyncClient() as outside:
                there = await outside.get(begun.headers["location"])
            begun = await client.get(there.headers["location"].removeprefix(URL))
        assert refusal(begun) == "SIGN_IN_UNAVAILABLE"
        assert await who(client) is None


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (JSONResponse({"error": "server_error"}, 500), "SIGN_IN_REFUSED"),
        (JSONResponse({"access_token": "x"}), "SIGN_IN_UNAVAILABLE"),
        (Response("<html>", media_type="text/html"), "SIGN_IN_UNAVAILABLE"),
        (JSONResponse({"id_token": "x" * 70_000}), "SIGN_IN_REFUSED"),
        (JSONResponse({"id_token": "x" * 300_000}), "SIGN_IN_UNAVAILABLE"),
    ],
)
async def test_an_answer_that_is_no_token_lets_nobody_in(site: Site, answer: Response, code: str) -> None:
    site.provider.token_answer = answer
    async with site.browser() as client:
        assert refusal(await site.sign_in(client)) == code


async def test_the_description_is_read_once_an_hour(site: Site) -> None:
    async with site.browser() as client:
        for _ in range(3):
            await site.sign_in(client)
    assert site.provider.descriptions == 1


async def test_an_address_begins_only_so_many_sign_ins(site: Site) -> None:
    async with site.browser() as client:
        answers = [(await client.get("/ops/sign-in")).status_code for _ in range(31)]
    assert answers == [303] * 30 + [429]


async def test_another_name_of_the_server_is_left_for_its_address(site: Site) -> None:
    async with site.browser("https://other.test") as client:
        answer = await client.get("/ops/sign-in")
        assert answer.headers["location"] == f"{URL}/ops/sign-in?again=1"
        assert "set-cookie" not in answer.headers


async def test_without_a_provider_there_is_nothing_to_go_to(tmp_path: Path) -> None:
    async with provider() as at, made_site(tmp_path, at) as site, site.browser() as client:
        site.operators.provider = None
        for path in ("/ops/sign-in", "/ops/callback?code=x&state=y"):
            assert (await client.get(path)).status_code in {403, 404}
