"""Checks a launch, every claim of it, and lets it in once.

`check` is everything that can be known without the browser: the pending login of the state, the token's header,
signature and claims, the nonce. `admit` uses the login up, and only with the browser's secret. So a forged token
uses nothing up, and exactly one of many posts of a good one is let in. Each refusal has its own code (`refusals`).

The order matters: nothing of the payload is believed before the signature is verified with a key of the platform
that the login began with, and the algorithm is ours to choose, never the token's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from atomic_guide.clock import Clock
from atomic_guide.course.enrolment import Arrival, Services
from atomic_guide.course.lti import claims as read
from atomic_guide.course.lti.addresses import origin_of
from atomic_guide.course.lti.claims import Claims, DeepLinking
from atomic_guide.course.lti.keysets import KeySets
from atomic_guide.course.lti.logins import Begun, Login, LoginRequest, Logins
from atomic_guide.course.lti.refusals import Refusal, Refused
from atomic_guide.course.lti.registration import Platform, Platforms
from atomic_guide.course.lti.settings import LtiSettings
from atomic_guide.course.lti.signed import verified
from atomic_guide.engines.data.placement import CourseKey

_RESOURCE = "LtiResourceLinkRequest"
_DEEP_LINKING = "LtiDeepLinkingRequest"


class Checked(msgspec.Struct, frozen=True):
    """A launch that is good but for the browser's proof."""

    login: Login
    platform: Platform
    claims: Claims


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who was let in. `context` is the platform's id of the course; the rest is what is shown or stored."""

    platform: Platform
    deployment_id: str
    key: CourseKey
    context: str
    title: str | None
    user: str
    name: str
    role: Literal["instructor", "learner"]
    email: str
    locale: str
    return_url: str | None
    services: Services
    deep_linking: DeepLinking | None
    history: tuple[str, ...]

    @property
    def arrival(self) -> Arrival:
        """What the launch says of its course and member."""
        return Arrival(
            key=self.key,
            platform=self.platform.id,
            context=self.context,
            title=self.title,
            return_url=self.return_url,
            user=self.user,
            name=self.name,
            role=self.role,
            services=self.services,
            email=self.email,
            locale=self.locale,
            history=self.history,
        )


class Launches:
    """The way in. `base_url` is what browsers and platforms call the tool, without a slash at its end."""

    def __init__(
        self, base_url: str, platforms: Platforms, logins: Logins, keysets: KeySets, clock: Clock, settings: LtiSettings
    ) -> None:
        self.base_url = base_url
        self.own_url = base_url
        """Where this process is reached, in its region: a launch ends where its login began."""
        self.addresses: tuple[str, ...] = (base_url,)
        """Every address that a launch may be for."""
        self.platforms = platforms
        self.logins = logins
        self._keysets = keysets
        self._clock = clock
        self._settings = settings
        self._claims = msgspec.json.Decoder(Claims)
        self.admitted = 0
        """Launches that were let in here since the process began."""

    def stand(self, own_url: str, addresses: Iterable[str]) -> None:
        """Say where this process is reached, and where those of the other regions are."""
        self.own_url = own_url
        self.addresses = tuple(dict.fromkeys([self.base_url, own_url, *addresses]))

    async def begin(self, request: LoginRequest, address: str) -> tuple[Platform, Begun]:
        """Begin a login for a browser at `address`. Raises `Refused`."""
        self.logins.check_rate(address)
        if not request.iss or not request.login_hint:
            raise Refused(Refusal.LTI_LOGIN_INCOMPLETE)
        platform = await self.platforms.find(request.iss, request.client_id, request.lti_deployment_id)
        self._check_here(request.target_link_uri)
        return platform, await self.logins.begin(platform, request)

    async def check(self, state: str | None, token: str | None) -> Checked:
        """Check a launch without using its login up. Raises `Refused`."""
        login = await self.logins.read(state)
        platform = await self.platforms.get(login.platform)
        if platform is None:
            raise Refused(Refusal.LTI_PLATFORM_UNKNOWN)
        if not platform.active:
            raise Refused(Refusal.LTI_PLATFORM_INACTIVE)
        payload = await verified(token, self._keysets, platform.keyset_url, self._settings.token_bytes)
        try:
            claims = self._claims.decode(payload)
        except msgspec.ValidationError as error:
            raise Refused(Refusal.LTI_CLAIMS_MALFORMED, f"({error})") from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refused(Refusal.LTI_TOKEN_MALFORMED) from error
        self._check_identity(platform, claims)
        self._check_time(claims)
        await self.logins.check_nonce(login, claims.nonce)
        _check_message(platform, claims)
        if claims.target_link_uri is None:
            raise Refused(Refusal.LTI_TARGET_MISSING)
        # The specification demands the very address of the login request.
        if claims.target_link_uri != login.request.target_link_uri:
            raise Refused(Refusal.LTI_TARGET_FOREIGN)
        return Checked(login, platform, claims)

    async def admit(self, checked: Checked, binding: str) -> Launch:
        """Use the login up with the browser's secret and let the launch in. Raises `Refused`."""
        await self.logins.use(checked.login, binding)
        self.admitted += 1
        return _launch(checked.platform, checked.claims)

    def _check_identity(self, platform: Platform, claims: Claims) -> None:
        audiences = claims.aud if isinstance(claims.aud, list) else [claims.aud] if claims.aud else []
        if claims.iss != platform.issuer or platform.client_id not in audiences:
            # A token that is good for another registration was posted with this one's state.
            if any(self.platforms.known(claims.iss or "", client) for client in audiences):
                raise Refused(Refusal.LTI_STATE_FOREIGN)
            wrong_issuer = claims.iss != platform.issuer
            raise Refused(Refusal.LTI_ISSUER_WRONG if wrong_issuer else Refusal.LTI_AUDIENCE_WRONG)
        if len(audiences) > 1 and claims.azp is None:
            raise Refused(Refusal.LTI_AZP_MISSING)
        if claims.azp is not None and claims.azp != platform.client_id:
            raise Refused(Refusal.LTI_AZP_FOREIGN)
        if not claims.sub:
            raise Refused(Refusal.LTI_SUBJECT_MISSING)

    def _check_time(self, claims: Claims) -> None:
        now, skew = self._clock.now(), self._settings.clock_skew
        if claims.exp is None:
            raise Refused(Refusal.LTI_EXP_MISSING)
        if claims.exp <= now:
            raise Refused(Refusal.LTI_EXPIRED)
        if claims.iat is None:
            raise Refused(Refusal.LTI_IAT_MISSING)
        if claims.iat > now + skew:
            raise Refused(Refusal.LTI_IAT_FUTURE)
        if claims.nbf is not None and claims.nbf > now + skew:
            raise Refused(Refusal.LTI_NOT_YET_VALID)

    def _check_here(self, target: str) -> None:
        if not target:
            raise Refused(Refusal.LTI_TARGET_MISSING)
        try:
            here = origin_of(target) in {origin_of(each) for each in self.addresses}
        except ValueError:
            here = False
        if not here:
            raise Refused(Refusal.LTI_TARGET_FOREIGN, f"This tool is at {self.base_url}.")


def _check_message(platform: Platform, claims: Claims) -> None:
    if claims.version is None:
        raise Refused(Refusal.LTI_VERSION_MISSING)
    if claims.version != "1.3.0":
        raise Refused(Refusal.LTI_VERSION_WRONG)
    if claims.message_type is None:
        raise Refused(Refusal.LTI_MESSAGE_TYPE_MISSING)
    if claims.message_type not in {_RESOURCE, _DEEP_LINKING}:
        raise Refused(Refusal.LTI_MESSAGE_TYPE_UNKNOWN)
    if not claims.deployment_id:
        raise Refused(Refusal.LTI_DEPLOYMENT_MISSING)
    if claims.deployment_id not in platform.deployments:
        raise Refused(Refusal.LTI_DEPLOYMENT_UNKNOWN)
    if claims.roles is None:
        raise Refused(Refusal.LTI_ROLES_MISSING)
    _check_message_parts(claims)


def _check_message_parts(claims: Claims) -> None:
    if claims.message_type == _RESOURCE:
        if claims.resource_link is None or not claims.resource_link.id:
            raise Refused(Refusal.LTI_RESOURCE_LINK_MISSING)
    elif claims.deep_linking is None:
        raise Refused(Refusal.LTI_DEEP_LINKING_SETTINGS_MISSING)
    elif not _is_address(claims.deep_linking.deep_link_return_url):
        raise Refused(Refusal.LTI_DEEP_LINKING_RETURN_MISSING)


def _is_address(url: str | None) -> bool:
    try:
        return bool(url and origin_of(url))
    except ValueError:
        return False


def _launch(platform: Platform, claims: Claims) -> Launch:
    deployment = claims.deployment_id or ""
    context = read.context_of(claims)
    grades = claims.grades
    return Launch(
        platform=platform,
        deployment_id=deployment,
        key=CourseKey.of(platform.deployments[deployment], context),
        context=context,
        title=read.title_of(claims),
        user=claims.sub or "",
        name=read.name_of(claims),
        role=read.role_of(claims.roles or []),
        email=claims.email or "",
        locale=read.locale_of(claims),
        return_url=read.return_url_of(claims),
        services=Services(
            roster_url=(claims.roster and claims.roster.context_memberships_url) or "",
            line_items_url=(grades and grades.lineitems) or "",
            scopes=tuple((grades and grades.scope) or ()),
        ),
        deep_linking=claims.deep_linking if claims.message_type == _DEEP_LINKING else None,
        history=read.history_of(claims),
    )
