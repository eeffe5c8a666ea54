"""/openapi.json is true: calls made from it are answered as it says, whatever is sent."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from atomic_guide.web.sessions import Role
from atomic_guide.web.table import DECLARED, document
from tests.running import RunningServer, running_server

OPERATOR = "a-token-of-the-operators"
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
METHODS = {"get", "put", "post", "delete", "patch", "options", "head"}
SCHEMA = schemathesis.openapi.from_dict(document())
OPERATIONS = {
    f"{method.upper()} {path}": SCHEMA[path][method.upper()]
    for path, calls in document()["paths"].items()
    for method in calls
    # It has no end; test_console_live.py is about it.
    if path != "/api/ops/live"
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    variables = {"OPERATOR_TOKEN": OPERATOR, "OPERATORS_REFUSED_TOKENS": "1000000"}
    with running_server(tmp_path_factory.mktemp("openapi") / "data", variables) as found:
        yield found


@pytest.fixture(scope="module")
def callers(server: RunningServer) -> list[dict[str, str]]:
    """The headers of an instructor, a learner, and of nobody."""
    found = [{}, {"Authorization": "Bearer nonsense"}]
    for user, role in (("student", "learner"), ("prof", "instructor")):
        with server.enter(user, cast("Role", role)) as client:
            found.append({"Authorization": client.headers["Authorization"]})
    return found


def test_the_server_serves_the_description(server: RunningServer) -> None:
    answer = httpx.get(f"{server.url}/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == document()


@pytest.mark.parametrize("name", OPERATIONS)
def test_calls_are_answered_as_described(server: RunningServer, callers: list[dict[str, str]], name: str) -> None:
    operation = OPERATIONS[name]
    strategy = st.one_of(
        operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE),
        operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE),
    )

    # Mostly who may call it: the others are refused before anything is read.
    often = {"Authorization": f"Bearer {OPERATOR}"} if "/api/ops/" in name else callers[-1]

    @settings(
        max_examples=settings().max_examples // 5,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy, st.sampled_from([*callers, *[often] * 6]))
    def call(case: Case[Any], caller: dict[str, str]) -> None:
        case.headers.pop("Authorization", None)
        answer = case.call(base_url=server.url, headers=caller, allow_redirects=False, timeout=20)
        case.validate_response(answer, checks=CHECKS)

    call()


def test_every_call_is_described_once_and_fully() -> None:
    found = document()
    described = {
        (method.upper(), path): call for path, calls in found["paths"].items() for method, call in calls.items()
    }
    assert len(described) == len(DECLARED)
    for call in described.values():
        assert call["summary"]
        assert call["operationId"]
    identities = [call["operationId"] for call in described.values()]
    assert len(set(identities)) == len(identities)


def test_every_post_takes_an_idempotency_key() -> None:
    for path, calls in document()["paths"].items():
        # An LMS posts these, as forms of the specification; a login's state makes each good once.
        if "post" in calls and not path.startswith("/lti/"):
            assert "Idempotency-Key" in [parameter["name"] for parameter in calls["post"]["parameters"]]


def test_every_reference_leads_somewhere() -> None:
    found = document()

    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for inner in value.values():
                yield from references(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from references(inner)

    names = {reference.removeprefix("#/components/schemas/") for reference in references(found)}
    assert names <= set(found["components"]["schemas"])
    assert "Problem" in names


def test_failures_of_the_route_table_are_described() -> None:
    post = document()["paths"]["/api/analytics/performance"]["post"]
    assert set(post["requestBody"]["content"]) == {"application/json", "text/csv", "application/x-ndjson"}
    assert set(post["responses"]) >= {"200", "400", "401", "403", "413", "415", "503"}
    assert post["security"] == [{"session": []}]


def test_a_big_body_at_an_unknown_path_is_refused(server: RunningServer) -> None:
    def body() -> Iterator[bytes]:
        for _ in range(64):
            yield b"x" * 2**20

    answer = httpx.post(f"{server.url}/nowhere", content=body(), timeout=30)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "NOT_FOUND"


def test_the_first_address_tells_people_what_is_here_and_programs_that_nothing_is(server: RunningServer) -> None:
    page = httpx.get(f"{server.url}/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert 'href="/ops"' in page.text
    practice = httpx.get(f"{server.url}/practice").status_code < 400
    assert ('href="/practice"' in page.text) == practice
    elsewhere = httpx.get(f"{server.url}/", headers={"Accept": "text/html", "X-Forwarded-For": "203.0.113.7"})
    assert "/practice" not in elsewhere.text
    for accept in ("application/json", "*/*"):
        answer = httpx.get(f"{server.url}/", headers={"Accept": accept})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


def test_pages_of_the_data_directory_are_not_served(server: RunningServer) -> None:
    assert Path(server.data / "databases").is_dir()
    for path in ("/static/../databases/directory.sqlite", "/static/%2e%2e/%2e%2e/server.py"):
        assert httpx.get(f"{server.url}{path}").status_code == 404
