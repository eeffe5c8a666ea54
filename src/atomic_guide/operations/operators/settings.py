"""The settings of operators: how long they stay signed in, who may by which provider, and what needs two of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from atomic_guide.errors import ConfigurationError
from atomic_guide.setting import setting

_HTTPS = r"^https?://[^\s?#]+$"


class OperatorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who operates this installation. Without `issuer` there is the operators' token only."""

    issuer: Annotated[
        Annotated[str, msgspec.Meta(pattern=_HTTPS)] | None,
        setting(
            "The OpenID Connect provider at which operators sign in; its description is read below it, at"
            " /.well-known/openid-configuration.",
            "URL",
        ),
    ] = None
    client_id: Annotated[str, setting("What the provider calls this installation.", "id", max_length=255)] = ""
    client_secret: Annotated[
        str | None,
        setting("The secret that the provider gave with it; a provider of public clients gives none.", "secret"),
    ] = None
    client_secret_file: Annotated[str | None, setting("A file that holds that secret, in its place.", "path")] = None
    provider_name: Annotated[
        str,
        setting(
            "What the button of the sign-in page calls the provider; its host if not given.", "name", max_length=60
        ),
    ] = ""
    scopes: Annotated[
        tuple[str, ...],
        setting("What is asked of the provider; some tell groups only when asked for them.", "scopes"),
    ] = ("openid", "email", "profile")
    role_claim: Annotated[
        str,
        setting("The claim of the ID token that lists what somebody is; a dot leads into a claim.", "claim"),
    ] = "groups"
    operator_values: Annotated[
        tuple[str, ...],
        setting("Values of that claim that make an operator: who may act. None by default.", "values"),
    ] = ()
    read_only_values: Annotated[
        tuple[str, ...],
        setting("Values of that claim with which somebody may look, and not act. None by default.", "values"),
    ] = ()
    email_domains: Annotated[
        tuple[str, ...],
        setting(
            "Domains whose people may look, where the provider says that it verified their address; none by default."
            " Who may act is listed, or has the claim.",
            "domains",
        ),
    ] = ()
    allow_networks: Annotated[
        tuple[str, ...],
        setting("Private networks in which the provider may stand, such as 10.20.0.0/16.", "networks"),
    ] = ()
    idle_seconds: Annotated[
        float,
        setting("A console that nobody used for so long has to be signed in to again; a working day.", "s",
                ge=60, le=7 * 86_400),
    ] = 8 * 3600.0  # fmt: skip
    session_seconds: Annotated[
        float,
        setting("When a session ends, however much it is used: groups at the provider count anew each day.", "s",
                ge=300, le=30 * 86_400),
    ] = 24 * 3600.0  # fmt: skip
    most_sessions: Annotated[
        int,
        setting("Sessions that are kept; beyond, the one that was used least recently ends.", "sessions",
                ge=10, le=100_000),
    ] = 1000  # fmt: skip
    refused_tokens: Annotated[
        int,
        setting(
            "Wrong operators' tokens from one address, after which none is looked at for a while. A token has 16"
            " characters at least, so 60 a minute find none, and a script with an old one is heard of.",
            "attempts/min",
            ge=1,
            le=1_000_000,
        ),
    ] = 60
    pending_sign_ins: Annotated[
        int,
        setting("Sign-ins at the provider that may be under way; beyond, the oldest is forgotten.", "sign-ins",
                ge=10, le=100_000),
    ] = 1000  # fmt: skip
    two_person: Annotated[
        bool,
        setting(
            "Whether approving a scaling decision, applying a change of cost, draining a region and ordering"
            " shards to move what is in use, in the console or by a command, take two operators.",
            "switch",
        ),
    ] = False
    audit_days: Annotated[
        float,
        setting("How long it is kept who did what; thirteen months, as the history of scaling.", "d", ge=1, le=3650),
    ] = 400.0
    audit_entries: Annotated[
        int,
        setting("Entries of that which are kept at most, the newest; 150 bytes each and their reasons.", "entries",
                ge=1000, le=10_000_000),
    ] = 200_000  # fmt: skip
    streams: Annotated[
        int,
        setting("Open consoles that a process keeps up to date; one costs 23 kB.", "streams", ge=1, le=10_000),
    ] = 200
    operator_streams: Annotated[
        int,
        setting("Open consoles of one operator in a process; the token counts as one operator.", "streams",
                ge=1, le=10_000),
    ] = 20  # fmt: skip

    @property
    def needed(self) -> int:
        """How many operators what is dangerous takes."""
        return 2 if self.two_person else 1

    @property
    def provider(self) -> str:
        """What people call the provider; empty without one."""
        return self.provider_name or (urlsplit(self.issuer).hostname or "" if self.issuer else "")


def check_operators(settings: OperatorSettings) -> None:
    """Raise `ConfigurationError` for settings that do not go together, naming one."""
    if settings.issuer is None:
        given = [name for name in ("client_id", "client_secret", "client_secret_file") if getattr(settings, name)]
        if given:
            raise _wrong(given[0], "is set without operators.issuer; set the provider too, or neither")
        return
    if not settings.client_id:
        raise _wrong("client_id", "is needed with operators.issuer; the provider gives it")
    if settings.client_secret and settings.client_secret_file:
        raise _wrong("client_secret_file", "and operators.client_secret are both set; set one")
    if "openid" not in settings.scopes:
        raise _wrong("scopes", "must hold openid, or the provider gives no ID token")


def client_secret(settings: OperatorSettings) -> str | None:
    """The client's secret, out of its file where there is one. Raises `ConfigurationError`."""
    if settings.client_secret_file is None:
        return settings.client_secret
    try:
        text = Path(settings.client_secret_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong("client_secret_file", f"cannot be read ({error})") from error
    if not text:
        raise _wrong("client_secret_file", "names an empty file")
    return text


def _wrong(name: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"setting operators.{name}: {why}", details={"key": f"operators.{name}"})
