"""What the route table does before a handler runs: bodies and their time, fields that are named."""

import asyncio
from typing import Any

import httpx
import msgspec
import pytest
from starlette.requests import Request

from atomic_guide.errors import Invalid
from atomic_guide.web import bodies
from atomic_guide.web.routing import Call, Calls, Repeats
from atomic_guide.web.server import create_app


class Order(msgspec.Struct):
    """A body with something inside something."""

    items: list[int]


async def test_a_body_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.05)
    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", b"application/json")]}
    first: list[dict[str, Any]] = [{"type": "http.request", "body": b"{", "more_body": True}]

    async def receive() -> Any:
        if first:
            return first.pop()
        return await asyncio.Event().wait()

    async with asyncio.timeout(10):
        with pytest.raises(Invalid, match="did not come within"):
            await bodies.read_body(Request(scope, receive), 100, ("application/json",))


@pytest.mark.parametrize(("body", "field"), [('{"items": 5}', "items"), ('{"items": [1, "a"]}', "items[1]")])
async def test_a_wrong_field_is_named_as_the_sender_wrote_it(body: str, field: str) -> None:
    calls = Calls()

    @calls.add("POST", "/orders", access="none", body=Order, repeats=Repeats("none", "a test"))
    async def order(_call: Call[Order]) -> dict[str, str]:
        return {"token": "secret"}

    client = _client(calls)
    refused = await client.post("/orders", content=body, headers={"Content-Type": "application/json"})
    assert refused.status_code == 400
    assert refused.json()["error"]["details"] == {"field": field}
    taken = await client.post("/orders", json={"items": [1]})
    assert (taken.status_code, taken.headers["cache-control"]) == (200, "no-store")


async def test_only_files_whose_name_changes_with_their_content_are_kept_for_good() -> None:
    client = _client(Calls())
    manifest = await client.get("/static/manifest.json")
    if manifest.status_code == 404:
        pytest.skip("the front end is not built")
    assert manifest.headers["cache-control"] == "no-cache"
    script = await client.get(f"/static/{manifest.json()['src/course.ts']['file']}")
    assert "immutable" in script.headers["cache-control"]


@pytest.mark.parametrize("access", ["none", "course"])
def test_a_post_that_the_table_cannot_repeat_says_what_a_key_does(access: Any) -> None:
    with pytest.raises(ValueError, match="repeats"):
        Calls().add("POST", "/orders", access=access, body=None, streamed=access == "course")


def _client(calls: Calls) -> httpx.AsyncClient:
    tool: Any = None
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(tool, calls.declared)), base_url="http://tool.test"
    )
