"""Dynamic registration: the LMS sends its configuration, the tool posts its own, both are registered.

Anybody can open `/lti/register`, so an operator's invitation is needed (development mode lets everybody in). The
configuration comes from an address in the query: it is fetched by the guarded way out, and has to lie at the
issuer that it names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from atomic_guide import errors
from atomic_guide.course.lti import configuration
from atomic_guide.course.lti.addresses import origin_of, problem_with
from atomic_guide.course.lti.claims import Id, LongText, Url, one_line
from atomic_guide.course.lti.outbound import Outbound, OutboundFailed
from atomic_guide.course.lti.refusals import Refusal, Refused
from atomic_guide.course.lti.registration import Draft, Platform, Platforms

_T = TypeVar("_T")

_OK = {200, 201}
_NAME_LIMIT = 100


class _Product(msgspec.Struct, frozen=True):
    product_family_code: LongText = ""


class _Discovery(msgspec.Struct, frozen=True):
    """The platform's OpenID configuration, as far as it is used."""

    issuer: Url
    authorization_endpoint: Url
    token_endpoint: Url
    jwks_uri: Url
    registration_endpoint: Url
    authorization_server: LongText | None = None
    platform: _Product = msgspec.field(
        name="https://purl.imsglobal.org/spec/lti-platform-configuration", default_factory=_Product
    )


class _ToolPart(msgspec.Struct, frozen=True):
    deployment_id: Id | None = None


class _Registered(msgspec.Struct, frozen=True):
    """The platform's answer."""

    client_id: Id
    tool: _ToolPart = msgspec.field(
        name="https://purl.imsglobal.org/spec/lti-tool-configuration", default_factory=_ToolPart
    )


async def register(
    configuration_url: str, token: str | None, own: Sequence[str], outbound: Outbound, platforms: Platforms
) -> Platform:
    """Register with the platform whose OpenID configuration is at the address. Raises `Refused` saying what is wrong.

    `own` are the tool's addresses, the one that everybody knows first.

    A platform that names no deployment is registered without one: its launches are refused until an operator adds
    the deployment.
    """
    try:
        found = await _discover(configuration_url, outbound)
        _check_issuer(found, configuration_url)
        registered = await _post(found, token, own, outbound)
        change = await platforms.add(
            Draft(
                issuer=found.issuer,
                client_id=registered.client_id,
                auth_url=found.authorization_endpoint,
                token_url=found.token_endpoint,
                keyset_url=found.jwks_uri,
                deployment_id=registered.tool.deployment_id,
                name=one_line(found.platform.product_family_code, _NAME_LIMIT),
                auth_audience=found.authorization_server,
            )
        )
    except (OutboundFailed, errors.Invalid) as error:
        raise Refused(Refusal.LTI_REGISTRATION_FAILED, f"{error.message[:1].upper()}{error.message[1:]}.") from error
    return change.platform


async def _discover(url: str, outbound: Outbound) -> _Discovery:
    wrong = problem_with(url, outbound.reach)
    if wrong:
        message = f"the address of the configuration cannot be used: {wrong}"
        raise errors.Invalid(message)
    reply = await outbound.get(url, {"Accept": "application/json"}, "registration")
    if reply.status not in _OK:
        message = f"{url} answered with status {reply.status}"
        raise OutboundFailed(message)
    return _decoded(reply.body, _Discovery, url)


async def _post(found: _Discovery, token: str | None, own: Sequence[str], outbound: Outbound) -> _Registered:
    body = msgspec.json.encode(configuration.registration(own[0], own))
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    reply = await outbound.post(found.registration_endpoint, body, headers, "registration")
    if reply.status not in _OK:
        reason = one_line(reply.body[:300].decode("utf-8", "replace"), 200)
        message = f"{found.registration_endpoint} answered with status {reply.status}: {reason}"
        raise OutboundFailed(message)
    return _decoded(reply.body, _Registered, reply.url)


def _check_issuer(found: _Discovery, url: str) -> None:
    """The configuration lies at the issuer it names, and so do the addresses that get our secrets.

    Otherwise a page on a host of its own could register itself as somebody else's LMS.
    """
    for address, what in ((url, "the configuration"), (found.registration_endpoint, "the registration address")):
        try:
            fits = origin_of(address) == origin_of(found.issuer)
        except ValueError:
            fits = False
        if not fits:
            message = f"{what} {address} is not at the issuer {found.issuer}"
            raise errors.Invalid(message)


def _decoded(body: bytes, kind: type[_T], url: str) -> _T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        message = f"{url} answered with something else than the specification says ({error})"
        raise OutboundFailed(message) from error
