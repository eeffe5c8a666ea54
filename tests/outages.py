"""What a server depends on, as switches: stopped and going on, killed and started again."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from atomic_guide.app.rehearsal.postgres import free_port
from atomic_guide.course.lti.registration import Draft
from tests.s3 import S3

W, R = "works", "503"


def outcome(answer: httpx.Response) -> str:
    if answer.is_success:
        return W
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    return R


class Switch(Protocol):
    """Something that can be stopped and go on, or be killed and start again."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def kill(self) -> None: ...
    def start(self) -> None: ...


class Program:
    """A program that listens on a port of its own."""

    def __init__(self, folder: Path, *command: str) -> None:
        self.port = free_port()
        self._folder = folder
        self._command = [sys.executable, *(part.replace("PORT", str(self.port)) for part in command)]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert time.monotonic() < deadline, f"{self._command} does not listen"
            time.sleep(0.05)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def pause(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


class Nats:
    """The NATS server below a server, which starts it again."""

    def __init__(self, parent: int) -> None:
        self._parent = parent
        self._pid = 0

    def pause(self) -> None:
        self._pid = nats_of(self._parent)
        os.kill(self._pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self._pid, signal.SIGCONT)

    def kill(self) -> None:
        os.kill(nats_of(self._parent), signal.SIGKILL)

    def start(self) -> None:
        """It is started by the server."""


class Bucket:
    """An S3 service. It takes 18 s to come back from a kill, so that what kills it comes last, and leaves it so."""

    def __init__(self, service: S3) -> None:
        self.kill = service.stop
        self._service = service

    def start(self) -> None:
        """It stays away."""

    def pause(self) -> None:
        os.kill(self._service.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self._service.pid, signal.SIGCONT)


class Folder:
    """The server's own store: opening what is in it fails, as of a mount that is broken, or it is gone."""

    def __init__(self, path: Path) -> None:
        self._path, self._aside = path, path.with_name("aside")

    def pause(self) -> None:
        self._path.rename(self._aside)
        self._path.symlink_to(self._path)

    def resume(self) -> None:
        self._path.unlink()
        self._aside.rename(self._path)

    def kill(self) -> None:
        self._path.rename(self._aside)

    def start(self) -> None:
        # Whoever stores something meanwhile makes it anew.
        shutil.rmtree(self._path, ignore_errors=True)
        self._aside.rename(self._path)


class Several:
    """Several as one."""

    def __init__(self, *switches: Switch) -> None:
        self._switches = switches

    def pause(self) -> None:
        for one in self._switches:
            one.pause()

    def resume(self) -> None:
        for one in self._switches:
            one.resume()

    def kill(self) -> None:
        for one in self._switches:
            one.kill()

    def start(self) -> None:
        for one in self._switches:
            one.start()


class Lms:
    """Platforms of one key, each with a key set of its own that nobody has asked for yet."""

    def __init__(self, program: Program, folder: Path) -> None:
        self.program = program
        self._folder = folder
        self._key = RSAKey.generate_key(2048)
        self.courses: dict[int, str] = {}
        """The context in which each launches, which is in the course's shard."""

    def draft(self, number: int) -> Draft:
        """The registration of a platform."""
        listed = {"keys": [{**self._key.as_dict(private=False), "kid": "k", "use": "sig", "alg": "RS256"}]}
        (self._folder / f"keys-{number}.json").write_text(json.dumps(listed))
        url = f"http://127.0.0.1:{self.program.port}"
        return Draft(
            issuer=f"{url}/{number}",
            client_id="client",
            auth_url=f"{url}/auth",
            token_url=f"{url}/token",
            keyset_url=f"{url}/keys-{number}.json",
            deployment_id="deployment",
        )

    def launch(self, url: str, number: int) -> str:
        """A launch of a platform whose keys are not known; the first refusal, if there is one."""
        lti, target, issuer = (
            "https://purl.imsglobal.org/spec/lti/claim/",
            f"{url}/lti/launch",
            self.draft(number).issuer,
        )
        fields = {"iss": issuer, "client_id": "client", "login_hint": "h", "target_link_uri": target}
        with httpx.Client(base_url=url, timeout=30, trust_env=False) as browser:
            begun = browser.get("/lti/init", params=fields)
            if begun.status_code >= 400:
                return outcome(begun)
            query = {name: values[0] for name, values in parse_qs(urlsplit(begun.headers["location"]).query).items()}
            now = int(time.time())
            claims = {
                "iss": issuer,
                "aud": "client",
                "sub": "somebody",
                "nonce": query["nonce"],
                "iat": now,
                "exp": now + 60,
                f"{lti}version": "1.3.0",
                f"{lti}message_type": "LtiResourceLinkRequest",
                f"{lti}deployment_id": "deployment",
                f"{lti}target_link_uri": target,
                f"{lti}resource_link": {"id": "link"},
                f"{lti}roles": ["http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"],
                f"{lti}context": {"id": self.courses[number], "title": "Waves"},
            }
            token = jwt.encode({"alg": "RS256", "kid": "k", "typ": "JWT"}, claims, self._key)
            cookie = begun.headers["set-cookie"].partition(";")[0]
            form = {"state": query["state"], "id_token": token}
            answer = browser.post("/lti/launch", data=form, headers={"Cookie": cookie})
            return W if 'name="atomic-guide-code"' in answer.text else outcome(answer)


def nats_of(parent: int) -> int:
    """The process of nats-server below a server."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, _, rest = path.read_text().partition("(")[2].rpartition(")")
            if name == "nats-server" and int(rest.split()[1]) == parent:
                return int(path.parent.name)
    pytest.fail("no nats-server runs below the server")
