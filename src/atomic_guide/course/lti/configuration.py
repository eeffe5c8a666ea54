"""What the tool says of itself: its addresses, the Canvas JSON, the message of a dynamic registration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from atomic_guide.course.lti import grades, roster

NAME = "Atomic Guide"
DESCRIPTION = "Live course rooms, lecture videos and performance figures."
SCOPES = (roster.SCOPE, grades.LINE_ITEM_SCOPE, grades.SCORE_SCOPE)
CUSTOM = {"context_id_history": "$Context.id.history", "resource_link_id_history": "$ResourceLink.id.history"}
"""Custom parameters by which a platform says what a course was copied from; one that cannot sends the names back."""
_CLAIMS = ("iss", "sub", "name", "given_name", "family_name")


def addresses(base_url: str) -> dict[str, str]:
    """What an operator copies into the LMS, by what the LMS calls it."""
    return {
        "login_initiation_url": f"{base_url}/lti/init",
        "redirect_url": f"{base_url}/lti/launch",
        "target_link_url": f"{base_url}/lti/launch",
        "deep_linking_url": f"{base_url}/lti/launch",
        "public_keyset_url": f"{base_url}/lti/jwks",
        "dynamic_registration_url": f"{base_url}/lti/register",
        "canvas_configuration_url": f"{base_url}/lti/config.json",
    }


def redirects(base_url: str, launched: Sequence[str] = ()) -> list[str]:
    """The addresses at which launches end: one, and that of every region where there are several."""
    return [addresses(each)["redirect_url"] for each in dict.fromkeys([base_url, *launched])]


def canvas(base_url: str, launched: Sequence[str] = ()) -> dict[str, Any]:
    """The configuration that Canvas reads for a developer key (LTI 1.3 JSON)."""
    known = addresses(base_url)
    placements = [
        {
            "placement": "course_navigation",
            "message_type": "LtiResourceLinkRequest",
            "target_link_uri": known["target_link_url"],
            "text": NAME,
            "windowTarget": "_self",
        },
        {
            "placement": "link_selection",
            "message_type": "LtiDeepLinkingRequest",
            "target_link_uri": known["deep_linking_url"],
            "text": NAME,
        },
    ]
    return {
        "title": NAME,
        "description": DESCRIPTION,
        "oidc_initiation_url": known["login_initiation_url"],
        "target_link_uri": known["target_link_url"],
        "redirect_uris": redirects(base_url, launched),
        "public_jwk_url": known["public_keyset_url"],
        "scopes": list(SCOPES),
        "custom_fields": dict(CUSTOM),
        "extensions": [
            {
                "platform": "canvas.instructure.com",
                "domain": urlsplit(base_url).netloc,
                "tool_id": "atomic-guide",
                "privacy_level": "name_only",
                "settings": {"platform": "canvas.instructure.com", "text": NAME, "placements": placements},
            }
        ],
    }


def registration(base_url: str, launched: Sequence[str] = ()) -> dict[str, Any]:
    """What the tool posts to a platform that registers it dynamically."""
    known = addresses(base_url)
    return {
        "application_type": "web",
        "response_types": ["id_token"],
        "grant_types": ["implicit", "client_credentials"],
        "initiate_login_uri": known["login_initiation_url"],
        "redirect_uris": redirects(base_url, launched),
        "client_name": NAME,
        "jwks_uri": known["public_keyset_url"],
        "token_endpoint_auth_method": "private_key_jwt",
        "scope": " ".join(SCOPES),
        "https://purl.imsglobal.org/spec/lti-tool-configuration": {
            "domain": urlsplit(base_url).netloc,
            "description": DESCRIPTION,
            "target_link_uri": known["target_link_url"],
            "claims": list(_CLAIMS),
            "custom_parameters": dict(CUSTOM),
            "messages": [
                {"type": "LtiResourceLinkRequest", "target_link_uri": known["target_link_url"], "label": NAME},
                {"type": "LtiDeepLinkingRequest", "target_link_uri": known["deep_linking_url"], "label": NAME},
            ],
        },
    }
