"""The practice LMS as a platform: it answers logins with signed tokens, and gives access tokens, roster and grades.

It is as strict as a real one about what it receives, so that practice shows what a real LMS would refuse. A launch
can be spoilt on purpose (`FAULTS`), to see that the tool refuses it.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, KeySetSerialization, RSAKey

from atomic_guide import errors
from atomic_guide.course.lti import grades, roster
from atomic_guide.course.lti.assembly import Lti
from atomic_guide.course.lti.practice import school
from atomic_guide.course.lti.registration import QUERIES, Draft, Platforms
from atomic_guide.engines.data.database import Database, Transaction

# No port: what was tried yesterday is in the same courses today, whatever port is free.
ISSUER = "http://localhost/practice"
CLIENT = "practice"
DEPLOYMENT = "practice-1"
_LTI = "https://purl.imsglobal.org/spec/lti/claim/"
_ROSTER = "https://purl.imsglobal.org/spec/lti-nrps/claim/"
_GRADES = "https://purl.imsglobal.org/spec/lti-ags/claim/"
_TOKEN_SECONDS = 60
_ACCESS_SECONDS = 3600
_ITEMS = 200
_SCORES = 10_000
_ACCESS_TOKENS = 1000

Spoil = Callable[[dict[str, Any], dict[str, Any]], None]


class Fault(NamedTuple):
    """A launch that must be refused: what the page calls it, the code to expect, how claims and header change."""

    label: str
    code: str
    spoil: Spoil


def _set(name: str, value: Any) -> Spoil:
    def spoil(claims: dict[str, Any], _header: dict[str, Any]) -> None:
        claims[name] = value

    return spoil


def _drop(name: str) -> Spoil:
    def spoil(claims: dict[str, Any], _header: dict[str, Any]) -> None:
        claims.pop(name)

    return spoil


def _expire(claims: dict[str, Any], _header: dict[str, Any]) -> None:
    claims.update(iat=claims["iat"] - 3600, exp=claims["exp"] - 3600)


def _rename_key(_claims: dict[str, Any], header: dict[str, Any]) -> None:
    header["kid"] = "nobody"


def _leave(_claims: dict[str, Any], _header: dict[str, Any]) -> None:
    """The token stays as it is; its signature is spoilt afterwards."""


FAULTS: dict[str, Fault] = {
    "expired": Fault("A token that expired an hour ago", "LTI_EXPIRED", _expire),
    "nonce": Fault("The nonce of nobody's login", "LTI_NONCE_UNKNOWN", _set("nonce", "never-given-out")),
    "signature": Fault("A signature that is not the LMS's", "LTI_SIGNATURE_BAD", _leave),
    "key": Fault("A key that is not published", "LTI_KID_UNKNOWN", _rename_key),
    "audience": Fault("A token for another tool", "LTI_AUDIENCE_WRONG", _set("aud", "another-tool")),
    "deployment": Fault("An unknown deployment", "LTI_DEPLOYMENT_UNKNOWN", _set(f"{_LTI}deployment_id", "practice-2")),
    "roles": Fault("No list of roles", "LTI_ROLES_MISSING", _drop(f"{_LTI}roles")),
    "target": Fault(
        "Another page than the login's", "LTI_TARGET_FOREIGN", _set(f"{_LTI}target_link_uri", "https://other.example")
    ),
}


class Choice(NamedTuple):
    """What was chosen on the page; travels as the login hint, as in a real LMS."""

    course: school.PracticeCourse
    person: school.Person
    fault: Fault | None
    fault_name: str

    @property
    def hint(self) -> str:
        """The login hint."""
        return f"{self.course.id}.{self.person.id}.{self.fault_name}"


def choice_of(course: str, person: str, fault: str) -> Choice:
    """What the fields of the page mean. Raises `Invalid`."""
    chosen = school.COURSES.get(course)
    member = school.members(chosen).get(person) if chosen else None
    if chosen is None or member is None or (fault and fault not in FAULTS):
        message = "the practice LMS has no such course, person or fault"
        raise errors.Invalid(message)
    return Choice(chosen, member, FAULTS.get(fault), fault)


class Response(NamedTuple):
    """An answer to a login: where to post it, and what it says in plain."""

    url: str
    state: str
    token: str
    header: dict[str, Any]
    claims: dict[str, Any]


class PracticePlatform:
    """The platform. `front` is its address for browsers, `back` its address for the tool's own calls."""

    def __init__(self, lti: Lti, front: str, back: str, key: RSAKey) -> None:
        self.front = front
        self.tool = lti.launches.base_url
        self._back = back
        self._key = key
        self._kid = key.thumbprint()[:16]
        self._signing = lti.signing
        self._access: dict[str, tuple[float, frozenset[str]]] = {}
        self._items: dict[str, dict[str, Any]] = {}
        self.scores: list[dict[str, Any]] = []

    def key_set(self) -> dict[str, Any]:
        """The platform's public key."""
        return {"keys": [{**self._key.as_dict(private=False), "kid": self._kid, "alg": "RS256", "use": "sig"}]}

    def login(self, choice: Choice) -> dict[str, str]:
        """The login request to the tool."""
        return {
            "iss": ISSUER,
            "client_id": CLIENT,
            "lti_deployment_id": DEPLOYMENT,
            "login_hint": choice.hint,
            "lti_message_hint": choice.course.id,
            "target_link_uri": f"{self.tool}/lti/launch",
        }

    def answer(self, request: Mapping[str, str]) -> Response:
        """The answer to the tool's authentication request. Raises `Invalid` naming what is wrong with that."""
        expected = {
            "scope": "openid",
            "response_type": "id_token",
            "response_mode": "form_post",
            "prompt": "none",
            "client_id": CLIENT,
            "redirect_uri": f"{self.tool}/lti/launch",
        }
        for name, value in expected.items():
            if request.get(name) != value:
                message = f"the tool's request has {name}={request.get(name)!r}, not {value!r}"
                raise errors.Invalid(message)
        state, nonce, hint = (request.get(name, "") for name in ("state", "nonce", "login_hint"))
        if not state or not nonce or hint.count(".") != 2:  # noqa: PLR2004 - course.person.fault
            message = "the tool's request has no state, no nonce or not the login hint that it was given"
            raise errors.Invalid(message)
        choice = choice_of(*hint.split("."))
        header: dict[str, Any] = {"alg": "RS256", "kid": self._kid, "typ": "JWT"}
        claims = self._claims(choice, nonce)
        if choice.fault:
            choice.fault.spoil(claims, header)
        token = jwt.encode(header, claims, self._key)
        if choice.fault_name == "signature":
            start, _, signature = token.rpartition(".")
            token = f"{start}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"
        return Response(f"{self.tool}/lti/launch", state, token, header, claims)

    async def access_token(self, form: Mapping[str, str]) -> dict[str, Any]:
        """An access token for a signed assertion of the tool. Raises `Unauthenticated`."""
        keys = KeySet.import_key_set(cast("KeySetSerialization", await self._signing.published()))
        try:
            claims = jwt.decode(form.get("client_assertion", ""), keys, algorithms=["RS256"]).claims
        except (JoseError, ValueError) as error:
            message = "the assertion is not signed by the tool"
            raise errors.Unauthenticated(message) from error
        good = claims.get("iss") == claims.get("sub") == CLIENT and claims.get("aud") == f"{self._back}/token"
        if not good or not isinstance(claims.get("exp"), int) or claims["exp"] <= time.time():
            message = "the assertion has expired, or is for somebody else"
            raise errors.Unauthenticated(message)
        token = secrets.token_urlsafe(24)
        while len(self._access) >= _ACCESS_TOKENS:
            self._access.pop(next(iter(self._access)))
        scopes = frozenset(form.get("scope", "").split())
        self._access[token] = (time.monotonic() + _ACCESS_SECONDS, scopes)
        return {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": _ACCESS_SECONDS,
            "scope": " ".join(sorted(scopes)),
        }

    def check_access(self, authorization: str, scope: str) -> None:
        """Raise `Unauthenticated` unless the header has a token for this scope."""
        token = authorization.removeprefix("Bearer ")
        for known, (until, scopes) in self._access.items():
            if hmac.compare_digest(known, token) and until > time.monotonic() and scope in scopes:
                return
        message = "there is no such access token, or not for this"
        raise errors.Unauthenticated(message)

    def members(self, course: str, start: int, limit: int) -> tuple[list[dict[str, Any]], bool]:
        """A page of the roster, and whether there are more."""
        everybody = list(school.members(school.COURSES[course]).values())
        listed = [
            {"user_id": person.id, "name": person.name, "roles": [person.role], "status": "Active"}
            for person in everybody[start : start + limit]
        ]
        return listed, start + limit < len(everybody)

    def items(self, course: str) -> list[dict[str, Any]]:
        """The columns of a course's grade book."""
        return [item for item in self._items.values() if item["id"].startswith(f"{self._back}/courses/{course}/")]

    def add_item(self, course: str, item: Mapping[str, Any]) -> dict[str, Any]:
        """A new column. Raises `Invalid`."""
        if len(self._items) >= _ITEMS or not isinstance(item.get("label"), str):
            message = "a column needs a label, and there is room for 200"
            raise errors.Invalid(message)
        number = str(len(self._items) + 1)
        made = {**item, "id": f"{self._back}/courses/{course}/items/{number}?type_id=1"}
        self._items[number] = made
        return made

    def add_score(self, course: str, number: str, score: Mapping[str, Any]) -> None:
        """Take a score. Raises `NotFound` or `Invalid`."""
        if number not in self._items:
            message = "there is no such column"
            raise errors.NotFound(message)
        member = school.members(school.COURSES[course]).get(str(score.get("userId")))
        if member is None or member is school.INSTRUCTOR or len(self.scores) >= _SCORES:
            message = "scores are for students of the course"
            raise errors.Invalid(message)
        self.scores.append({**score, "item": number})

    def _claims(self, choice: Choice, nonce: str) -> dict[str, Any]:
        now = int(time.time())
        course = f"{self._back}/courses/{choice.course.id}"
        return {
            "iss": ISSUER,
            "aud": CLIENT,
            "sub": choice.person.id,
            "nonce": nonce,
            "iat": now,
            "exp": now + _TOKEN_SECONDS,
            "name": choice.person.name,
            # Of a domain that nobody has (RFC 2606): a mail server in the settings has nowhere to send it.
            "email": f"{choice.person.id}@school.example",
            f"{_LTI}version": "1.3.0",
            f"{_LTI}message_type": "LtiResourceLinkRequest",
            f"{_LTI}deployment_id": DEPLOYMENT,
            f"{_LTI}target_link_uri": f"{self.tool}/lti/launch",
            f"{_LTI}resource_link": {"id": f"{choice.course.id}-room", "title": "Course room"},
            f"{_LTI}roles": [choice.person.role],
            f"{_LTI}context": {"id": choice.course.id, "title": choice.course.title},
            f"{_LTI}launch_presentation": {"locale": "en", "return_url": self.front},
            f"{_ROSTER}namesroleservice": {
                "context_memberships_url": f"{course}/members",
                "service_versions": ["2.0"],
            },
            f"{_GRADES}endpoint": {
                "scope": [grades.LINE_ITEM_SCOPE, grades.SCORE_SCOPE],
                "lineitems": f"{course}/items",
            },
        }


SERVICE_SCOPES = {"members": roster.SCOPE, "items": grades.LINE_ITEM_SCOPE, "scores": grades.SCORE_SCOPE}


async def open_practice(lti: Lti, directory: Database, host: str, port: int) -> PracticePlatform:
    """The practice LMS beside a tool that listens on `host`, registered. For development on loopback only."""
    # Another site than the tool's, on the same port.
    name = "127.0.0.1" if urlsplit(lti.launches.base_url).hostname == "localhost" else "localhost"
    shown = f"[{host}]" if ":" in host else host
    front, back = f"http://{name}:{port}/practice", f"http://{shown}:{port}/practice"
    platform = PracticePlatform(lti, front, back, await _key(directory))
    await lti.platforms.add(
        Draft(
            issuer=ISSUER,
            client_id=CLIENT,
            deployment_id=DEPLOYMENT,
            name="Practice LMS",
            auth_url=f"{front}/auth",
            token_url=f"{back}/token",
            keyset_url=f"{back}/jwks",
        )
    )
    return platform


async def close_practice(platforms: Platforms) -> None:
    """Forget the practice LMS of an earlier development run, before a server that the world can reach starts."""
    known = await platforms.get_client(ISSUER, CLIENT)
    if known is not None:
        await platforms.remove(known)


async def _key(directory: Database) -> RSAKey:
    """The platform's key, the same for every process and run."""
    row = await directory.one(QUERIES["read_practice_key"])
    if row is not None:
        return RSAKey.import_key(row["value"])
    private = await asyncio.to_thread(rsa.generate_private_key, public_exponent=65_537, key_size=2048)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    async def work(tx: Transaction) -> str:
        await tx.execute(QUERIES["keep_practice_key"], {"value": pem, "now": time.time()})
        kept = await tx.one(QUERIES["read_practice_key"])
        return str(kept["value"]) if kept else pem

    return RSAKey.import_key(await directory.write(work))
