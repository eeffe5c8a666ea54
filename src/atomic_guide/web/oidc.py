"""The provider at which operators sign in: OpenID Connect, authorization code with PKCE.

Its description is read below the issuer and must name that issuer itself; where it leads to, the tool calls only by the
rules for LMSs: https, no private network but those of `operators.allow_networks`, bounded in time and size. The ID
token is taken from the provider itself, over the tool's own connection, and verified all the same, as a launch is.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

import msgspec
import structlog

from atomic_guide import errors
from atomic_guide.course.lti.addresses import problem_with, with_query
from atomic_guide.course.lti.outbound import OutboundFailed
from atomic_guide.course.lti.refusals import Refused
from atomic_guide.course.lti.signed import verified
from atomic_guide.operations.operators.logins import Begun, SignInRefused
from atomic_guide.operations.operators.people import CLAIM, DOMAIN, Arrival
from atomic_guide.operations.operators.settings import client_secret

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.course.lti.keysets import KeySets
    from atomic_guide.course.lti.outbound import Outbound
    from atomic_guide.operations.operators.model import Role
    from atomic_guide.operations.operators.settings import OperatorSettings
    from atomic_guide.resilience import Guard

_log = structlog.get_logger(__name__)

DESCRIBED_SECONDS = 3600.0
"""How long a provider's description serves; key sets have a life of their own."""

TOKEN_BYTES = 65_536
"""An ID token at most; one with 200 groups of 100 characters has 30 kB."""

_SKEW = 60.0
_OK = 200
_CLAIM_DEPTH = 4
_MOST_VALUES = 1000


class ProviderAway(errors.Unavailable):
    """The provider cannot be called, or answers what cannot be used."""

    code = "SIGN_IN_UNAVAILABLE"


class _Described(msgspec.Struct, frozen=True):
    """What a provider says of itself (OpenID Connect Discovery 1.0)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str


class _Claims(msgspec.Struct, frozen=True):
    """The claims that decide; `raw` has the others."""

    iss: str
    aud: str | list[str]
    sub: str
    exp: float
    iat: float
    nonce: str
    azp: str | None = None
    nbf: float | None = None
    name: str | None = None
    preferred_username: str | None = None
    email: str | None = None
    email_verified: Any = None


class Code(NamedTuple):
    """What came back through the browser, and what the sign-in has kept."""

    code: str
    verifier: str
    nonce: str
    redirect: str


class Provider:
    """The provider of an installation. `outbound` reaches it, `keysets` hold its keys."""

    def __init__(self, settings: OperatorSettings, outbound: Outbound, keysets: KeySets, clock: Clock) -> None:
        self._settings = settings
        self._issuer = settings.issuer or ""
        self._outbound = outbound
        self._keysets = keysets
        self._clock = clock
        self._described: _Described | None = None
        self._described_at = float("-inf")

    async def way_there(self, begun: Begun, redirect: str) -> str:
        """Where the browser goes to sign in. Raises `ProviderAway`."""
        described = await self._description()
        if wrong := problem_with(described.authorization_endpoint, self._outbound.reach):
            raise ProviderAway(f"the provider sends people to {described.authorization_endpoint}: {wrong}")
        asked = [
            ("response_type", "code"),
            ("client_id", self._settings.client_id),
            ("redirect_uri", redirect),
            ("scope", " ".join(self._settings.scopes)),
            ("state", begun.state),
            ("nonce", begun.nonce),
            ("code_challenge", challenge(begun.verifier)),
            ("code_challenge_method", "S256"),
        ]
        return with_query(described.authorization_endpoint, asked)

    async def arrival(self, back: Code) -> Arrival:
        """Who has signed in. Raises `ProviderAway`, and `SignInRefused` for an answer that does not count."""
        described = await self._description()
        token = await self._id_token(described, back)
        try:
            payload = await verified(token, self._keysets, described.jwks_uri, TOKEN_BYTES)
        except Refused as error:
            words = error.refusal.name.removeprefix("LTI_").replace("_", " ").lower()
            raise SignInRefused(f"the provider's ID token cannot be used: {words}") from error
        try:
            claims = msgspec.json.decode(payload, type=_Claims)
            raw = msgspec.json.decode(payload, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise SignInRefused(f"the provider's ID token lacks what it must say ({error})") from error
        self._check(claims, back.nonce)
        return self._arrival(claims, raw)

    @property
    def guards(self) -> list[Guard]:
        """What bounds its calls."""
        return list(self._outbound.guards.values())

    async def close(self) -> None:
        """End calls that are under way."""
        await self._keysets.close()
        await self._outbound.close()

    async def _description(self) -> _Described:
        now = self._clock.monotonic()
        if self._described is not None and now - self._described_at < DESCRIBED_SECONDS:
            return self._described
        url = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            reply = await self._outbound.get(url, {"Accept": "application/json"})
            found = msgspec.convert(reply.json(), _Described)
        except (OutboundFailed, msgspec.ValidationError) as error:
            said = error.message if isinstance(error, OutboundFailed) else str(error)
            raise ProviderAway(f"the provider does not describe itself: {said}", retry_after=5) from error
        # Else one provider could speak for another.
        if found.issuer != self._issuer:
            raise ProviderAway(f"the provider calls itself {found.issuer}, and the setting operators.issuer does not")
        self._described, self._described_at = found, now
        return found

    async def _id_token(self, described: _Described, back: Code) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": back.code,
            "redirect_uri": back.redirect,
            "code_verifier": back.verifier,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        secret = client_secret(self._settings)
        if secret is None:
            form["client_id"] = self._settings.client_id
        elif "client_secret_basic" in described.token_endpoint_auth_methods_supported:
            pair = f"{quote(self._settings.client_id, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form |= {"client_id": self._settings.client_id, "client_secret": secret}
        try:
            reply = await self._outbound.post(described.token_endpoint, urlencode(form).encode(), headers)
        except OutboundFailed as error:
            raise ProviderAway(f"the provider gives no token: {error.message}", retry_after=5) from error
        if reply.status != _OK:
            # Its reason is for who runs this, not for the page: it may hold what a stranger has written.
            _log.warning(
                "the provider gave no token", status=reply.status, said=reply.body[:200].decode("utf-8", "replace")
            )
            raise SignInRefused(f"the provider gave no token for this sign-in (status {reply.status}); begin it again")
        try:
            return msgspec.json.decode(reply.body, type=_Tokens).id_token
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ProviderAway("the provider answered with no ID token") from error

    def _check(self, claims: _Claims, nonce: str) -> None:
        """Raise `SignInRefused` unless the token is for us, now, and of this sign-in."""
        now = self._clock.now()
        audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        wrong = ""
        if claims.iss != self._issuer:
            wrong = "it is of another issuer"
        elif (
            self._settings.client_id not in audiences
            or (claims.azp or self._settings.client_id) != self._settings.client_id
        ):
            wrong = "it is for another program"
        elif len(audiences) > 1 and claims.azp is None:
            wrong = "it is for several programs and does not say for which"
        elif claims.exp <= now:
            wrong = "it has expired"
        elif claims.iat > now + _SKEW or (claims.nbf or 0.0) > now + _SKEW:
            wrong = "it is of the future; compare the clocks"
        elif not hmac.compare_digest(claims.nonce.encode(), nonce.encode()):
            wrong = "it is of another sign-in"
        elif not claims.sub or len(claims.sub) > 255 or not claims.sub.isprintable():  # noqa: PLR2004 - as the standard says
            wrong = "it does not say who it is"
        if wrong:
            raise SignInRefused(f"the provider's ID token cannot be used: {wrong}")

    def _arrival(self, claims: _Claims, raw: dict[str, Any]) -> Arrival:
        # Some providers write it as text.
        is_verified = claims.email_verified is True or claims.email_verified == "true"
        email = (claims.email or "").strip().lower() if is_verified else ""
        email = email if email.isprintable() and len(email) <= 255 else ""  # noqa: PLR2004 - what an address may have
        role = self._role(values_of(raw, self._settings.role_claim))
        source = CLAIM
        if role is None and email.partition("@")[2] in {domain.lower() for domain in self._settings.email_domains}:
            role, source = "read-only", DOMAIN
        name = claims.name or claims.preferred_username or email or claims.sub
        return Arrival(claims.iss, claims.sub, email, name, role, source)

    def _role(self, values: set[str]) -> Role | None:
        if values & set(self._settings.operator_values):
            return "operator"
        return "read-only" if values & set(self._settings.read_only_values) else None


def values_of(claims: dict[str, Any], path: str) -> set[str]:
    """What a claim lists. One whose name holds dots, such as an address, is taken by its whole name first."""
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for name in path.split(".", _CLAIM_DEPTH):
            found = found.get(name) if isinstance(found, dict) else None
    if isinstance(found, str):
        return {found}
    return {one for one in found[:_MOST_VALUES] if isinstance(one, str)} if isinstance(found, list) else set()


def challenge(verifier: str) -> str:
    """What the provider is shown of a verifier beforehand (RFC 7636, S256)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
