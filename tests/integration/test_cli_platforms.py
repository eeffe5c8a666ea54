"""`atomic-guide platforms`: register, list, test and remove, beside what is registered already."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import click
import pytest
from click.testing import CliRunner, Result
from joserfc.jwk import RSAKey

from atomic_guide.cli import program
from atomic_guide.errors import GuideError
from tests.engines import installed

KEY = {**RSAKey.generate_key(2048).as_dict(private=False), "kid": "k"}


class Answer(NamedTuple):
    """What the platform answers."""

    status: int = 200
    body: bytes = b""
    ahead: float = 0.0


class _Platform(http.server.BaseHTTPRequestHandler):
    keys: ClassVar[Answer] = Answer()
    token: ClassVar[Answer] = Answer()

    def _send(self, answer: Answer) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.send_response_only(answer.status)
        self.send_header("Date", formatdate(time.time() + answer.ahead, usegmt=True))
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def do_GET(self) -> None:
        self._send(type(self).keys)

    def do_POST(self) -> None:
        self._send(type(self).token)

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture(autouse=True)
def databases(tmp_path: Path) -> None:
    installed(tmp_path)


@pytest.fixture
def platform() -> Iterator[str]:
    _Platform.keys = Answer(body=json.dumps({"keys": [KEY]}).encode())
    _Platform.token = Answer(body=b'{"access_token": "t", "expires_in": 3600}')
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Platform)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(10)
    server.server_close()


def call(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(program, ["platforms", *arguments, "--data", str(folder)])


def add(folder: Path, url: str, *more: str, **changes: str) -> Result:
    options = {
        "issuer": url, "client-id": "c", "deployment-id": "1", "auth-url": f"{url}/auth", "token-url": f"{url}/token",
        "keyset-url": f"{url}/jwks", **{name.replace("_", "-"): value for name, value in changes.items()},
    }  # fmt: skip
    return call(folder, "add", *(part for name, value in options.items() for part in (f"--{name}", value)), *more)


def facts(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_registration_is_added_once_and_prints_the_tools_addresses(tmp_path: Path, platform: str) -> None:
    result = add(tmp_path, platform, name="Our Moodle")
    assert result.exit_code == 0, result.output
    for address in ("/lti/init", "/lti/launch", "/lti/jwks", "/lti/register", "/lti/config.json"):
        assert f"http://127.0.0.1:8000{address}" in result.stdout
    assert facts(add(tmp_path, platform, "--json", name="Our Moodle"))["change"] == "unchanged"
    assert facts(add(tmp_path, platform, "--json", deployment_id="2"))["change"] == "updated"
    listed = facts(call(tmp_path, "list", "--json"))["platforms"]
    assert [(one["name"], [entry["deployment_id"] for entry in one["deployments"]]) for one in listed] == [
        ("Our Moodle", ["1", "2"])
    ]
    assert len({entry["tenant"] for entry in listed[0]["deployments"]}) == 2


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("keyset_url", "http://lms.example.edu/jwks"),
        ("keyset_url", "data:application/json;base64,bm8="),
        ("keyset_url", "data:application/json;base64,eyJrZXlzIjpbXX0="),
        ("keyset_url", f"data:application/json;base64,{'A' * 20_000}"),
        ("token_url", "https://10.0.0.1/token"),
        ("auth_url", "lms.example.edu"),
        ("issuer", "our moodle"),
        ("client_id", ""),
        ("origin", "https://lms.example.edu/path"),
    ],
)
def test_an_address_that_cannot_be_used_is_named(tmp_path: Path, platform: str, option: str, value: str) -> None:
    result = add(tmp_path, platform, **{option: value})
    assert isinstance(result.exception, GuideError)
    assert f"--{option.replace('_', '-')}" in str(result.exception)
    assert facts(call(tmp_path, "list", "--json")) == {"platforms": []}


def test_a_registration_in_order_passes(tmp_path: Path, platform: str) -> None:
    add(tmp_path, platform)
    result = call(tmp_path, "test")
    assert result.exit_code == 0, result.output
    assert "WRONG" not in result.stdout


def broken() -> dict[str, tuple[str, Answer | None, Answer | None]]:
    weak = {"keys": [{**KEY, "n": KEY["n"][:100]}]}
    good = json.dumps({"keys": [KEY]}).encode()
    return {
        "an address that is not there": ("status 404", Answer(404), None),
        "no JSON": ("did not answer with JSON", Answer(body=b"<html>"), None),
        "no key set": ("no key set", Answer(body=b"{}"), None),
        "no usable key": ("no RSA key", Answer(body=b'{"keys": [{"kty": "EC", "kid": "e"}]}'), None),
        "a weak key": ("shorter than 2048", Answer(body=json.dumps(weak).encode()), None),
        "a clock ahead": ("ahead of this server's. Launches are refused", Answer(body=good, ahead=300), None),
        "a token refused": ("invalid_client", None, Answer(400, b'{"error": "invalid_client"}')),
        "no token": ("answered with no token", None, Answer(body=b"{}")),
    }


@pytest.mark.parametrize("case", broken())
def test_what_is_wrong_is_said(tmp_path: Path, platform: str, case: str) -> None:
    said, keys, token = broken()[case]
    _Platform.keys = keys or _Platform.keys
    _Platform.token = token or _Platform.token
    add(tmp_path, platform)
    result = call(tmp_path, "test")
    assert result.exit_code == 1
    assert said in result.stdout
    assert "1 of 1 registrations will not work" in result.output


def test_slips_in_the_issuer_are_said(tmp_path: Path, platform: str) -> None:
    add(tmp_path, platform)
    add(tmp_path, platform, issuer=f"{platform}/")
    result = call(tmp_path, "test", "--issuer", f"{platform}/")
    assert "ends in a slash" in result.stdout
    assert "two issuers" in result.stdout


def test_an_unreachable_platform_is_said(tmp_path: Path, platform: str) -> None:
    add(tmp_path, platform, keyset_url="http://127.0.0.1:1/jwks", token_url="http://127.0.0.1:1/token")
    result = call(tmp_path, "test", "--json")
    assert result.exit_code == 1
    assert "cannot be reached" in result.stdout


def test_removing_asks_once(tmp_path: Path, platform: str) -> None:
    add(tmp_path, platform)
    add(tmp_path, platform, deployment_id="2")
    refused = call(tmp_path, "remove", "--issuer", platform)
    assert isinstance(refused.exception, (click.Abort, SystemExit))
    assert call(tmp_path, "remove", "--issuer", platform, "--deployment-id", "2", "--yes").exit_code == 0
    assert len(facts(call(tmp_path, "list", "--json"))["platforms"][0]["deployments"]) == 1
    assert call(tmp_path, "remove", "--issuer", platform, "--yes").exit_code == 0
    assert isinstance(call(tmp_path, "remove", "--issuer", platform, "--yes").exception, GuideError)
    assert "no LMS is registered" in call(tmp_path, "list").stdout


def test_an_invitation_is_an_address(tmp_path: Path) -> None:
    answer = facts(call(tmp_path, "invite", "--json", "--days", "1"))
    assert answer["url"].startswith("http://127.0.0.1:8000/lti/register?invitation=")
