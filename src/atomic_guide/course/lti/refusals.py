"""Every reason to refuse a launch: a code, what happened, what to do.

The codes are stable: the page of a refusal carries its code, and docs/lti.md lists them all.
"""

from __future__ import annotations

from enum import Enum

from atomic_guide import errors

_ASK = "Ask the administrator of your LMS to compare the registration with `atomic-guide platforms list`."
_AGAIN = "Open the course again from your LMS."
_REPORT = "Report this page, with its code, to the administrator of your LMS: the LMS sent an incomplete launch."
_CLOCK = "Compare the clocks of the LMS and of this server: `atomic-guide platforms test` shows the difference."


class Refusal(Enum):
    """Name = code; value = (HTTP status, what happened, what to do)."""

    # The request itself.
    LTI_FORM_MALFORMED = (400, "The request is no form in UTF-8 with every field once.", _AGAIN)
    LTI_FORM_TOO_LARGE = (413, "The request is larger than any launch.", _AGAIN)
    LTI_LAUNCH_BY_GET = (405, "This address takes launches only, and those are posted by an LMS.", _AGAIN)
    LTI_PLATFORM_ERROR = (400, "The LMS broke the login off.", "Sign in to your LMS, then open the course again.")
    LTI_TOO_MANY_LOGINS = (429, "Too many logins have begun at your address.", "Wait a minute, then try again.")

    # The beginning of a login.
    LTI_LOGIN_INCOMPLETE = (400, "The LMS began a login without the issuer or the login hint.", _REPORT)
    LTI_PLATFORM_UNKNOWN = (
        403,
        "This LMS is not registered here.",
        "Ask an operator to register it with `atomic-guide platforms add`.",
    )
    LTI_CLIENT_AMBIGUOUS = (400, "The LMS has several registrations here and did not say which one it means.", _ASK)
    LTI_PLATFORM_INACTIVE = (403, "The registration of this LMS is switched off here.", "Ask an operator to allow it.")
    LTI_TARGET_MISSING = (400, "The LMS did not say which page to open.", _REPORT)
    LTI_TARGET_FOREIGN = (400, "The LMS asked for a page that is not the one of this login, or not here.", _ASK)

    # State and browser.
    LTI_STATE_MISSING = (400, "The launch belongs to no login: its state is missing.", _AGAIN)
    LTI_STATE_UNKNOWN = (400, "The launch belongs to no login that began here.", _AGAIN)
    LTI_STATE_EXPIRED = (400, "The login took longer than it may.", _AGAIN)
    LTI_STATE_REUSED = (400, "This launch has been used already, for instance by a reload.", _AGAIN)
    LTI_STATE_FOREIGN = (400, "The launch comes from another LMS than the login.", _AGAIN)
    LTI_BROWSER_FOREIGN = (403, "The login began in another browser.", _AGAIN)

    # The token and its signature.
    LTI_TOKEN_MISSING = (400, "The launch has no token.", _REPORT)
    LTI_TOKEN_TOO_LARGE = (413, "The token is larger than any launch.", _REPORT)
    LTI_TOKEN_MALFORMED = (400, "The token is not a signed JSON document.", _REPORT)
    LTI_ALGORITHM_REFUSED = (400, "The token is not signed with RS256.", _ASK)
    LTI_KEY_EMBEDDED = (400, "The token brings its own key or names where to fetch one.", _REPORT)
    LTI_HEADER_CRITICAL = (400, "The token demands extensions that LTI does not know.", _REPORT)
    LTI_KID_MISSING = (400, "The token does not name its key.", _REPORT)
    LTI_KID_UNKNOWN = (400, "The token names a key that the LMS does not publish.", _ASK)
    LTI_KEY_WEAK = (400, "The key of the LMS is no RSA key of at least 2,048 bits.", _ASK)
    LTI_KEYSET_UNAVAILABLE = (
        503,
        "The keys of the LMS cannot be fetched, so nobody can be let in.",
        "Try again in a minute; an operator finds the cause with `atomic-guide platforms test`.",
    )
    LTI_SIGNATURE_BAD = (400, "The token's signature is not the LMS's.", _AGAIN)

    # Time.
    LTI_EXP_MISSING = (400, "The token does not say when it expires.", _REPORT)
    LTI_EXPIRED = (400, "The token has expired.", f"{_AGAIN} {_CLOCK}")
    LTI_IAT_MISSING = (400, "The token does not say when it was made.", _REPORT)
    LTI_IAT_FUTURE = (400, "The token was made in the future.", _CLOCK)
    LTI_NOT_YET_VALID = (400, "The token is not valid yet.", _CLOCK)

    # Identity.
    LTI_ISSUER_WRONG = (400, "The token was issued by another LMS.", _ASK)
    LTI_AUDIENCE_WRONG = (400, "The token was made for another tool.", _ASK)
    LTI_AZP_MISSING = (400, "The token is for several tools and does not say which one may use it.", _REPORT)
    LTI_AZP_FOREIGN = (400, "The token may be used by another tool only.", _ASK)
    LTI_SUBJECT_MISSING = (400, "The launch does not say who you are; anonymous launches are not taken.", _REPORT)

    # Nonce.
    LTI_NONCE_MISSING = (400, "The token belongs to no login: its nonce is missing.", _REPORT)
    LTI_NONCE_UNKNOWN = (400, "The token's nonce was never given out here.", _AGAIN)
    LTI_NONCE_FOREIGN = (400, "The token belongs to another login.", _AGAIN)
    LTI_NONCE_REUSED = (400, "The token has been used already.", _AGAIN)

    # LTI claims.
    LTI_CLAIMS_MALFORMED = (400, "A claim of the token is of the wrong type or too long.", _REPORT)
    LTI_VERSION_MISSING = (400, "The token does not name its version of LTI.", _REPORT)
    LTI_VERSION_WRONG = (400, "The token is for another version of LTI than 1.3.0.", _ASK)
    LTI_MESSAGE_TYPE_MISSING = (400, "The token does not say what kind of launch it is.", _REPORT)
    LTI_MESSAGE_TYPE_UNKNOWN = (400, "This kind of launch is not known here.", _ASK)
    LTI_DEPLOYMENT_MISSING = (400, "The token does not name the tool's deployment.", _REPORT)
    LTI_DEPLOYMENT_UNKNOWN = (
        403,
        "The LMS is registered here, but not this deployment of the tool.",
        "Ask an operator to add it: `atomic-guide platforms add` with the same client and this deployment.",
    )
    LTI_RESOURCE_LINK_MISSING = (400, "The token does not name the link that was opened.", _REPORT)
    LTI_ROLES_MISSING = (400, "The token has no list of roles, not even an empty one.", _REPORT)
    LTI_DEEP_LINKING_SETTINGS_MISSING = (400, "The LMS wants content chosen but sent no settings for it.", _REPORT)
    LTI_DEEP_LINKING_RETURN_MISSING = (400, "The LMS wants content chosen but did not say where to send it.", _REPORT)
    LTI_DEEP_LINKING_LEARNER = (403, "Only instructors add content to a course.", "Ask an instructor of the course.")
    LTI_DEEP_LINKING_NO_LINKS = (400, "The LMS takes no links to a tool at this place.", "Choose another place in it.")

    # Registration by the LMS itself.
    LTI_REGISTRATION_CLOSED = (
        403,
        "Registering needs an invitation that is still good.",
        "Ask an operator for a new address: `atomic-guide platforms invite`.",
    )
    LTI_REGISTRATION_INCOMPLETE = (400, "The LMS did not send the address of its configuration.", _REPORT)
    LTI_REGISTRATION_FAILED = (
        400,
        "The LMS could not be registered.",
        "Correct what is named, or register by hand with `atomic-guide platforms add`.",
    )

    @property
    def code(self) -> str:
        """The stable name, as the page's `atomic-guide-error` shows it."""
        return self.name

    @property
    def status(self) -> int:
        """The HTTP status of the page."""
        return self.value[0]

    @property
    def message(self) -> str:
        """What happened, in one sentence."""
        return self.value[1]

    @property
    def remedy(self) -> str:
        """What to do, in a sentence or two."""
        return self.value[2]


class Refused(errors.GuideError):
    """A launch, login or registration that is not let in. `note` adds what only this case knows."""

    code = "LTI_REFUSED"
    status = 400

    def __init__(self, refusal: Refusal, note: str = "", *, retry_after: float | None = None) -> None:
        text = f"{refusal.message} {note}".strip()
        super().__init__(text, details={"code": refusal.code}, retry_after=retry_after)
        self.refusal = refusal
        self.note = note
