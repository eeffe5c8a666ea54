"""An e-mail says what the notification says, in the person's language, and nothing that somebody smuggled in."""

import email
import email.policy
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.course.notifications.address import usable_address
from atomic_guide.course.notifications.message import Envelope, compose
from atomic_guide.course.notifications.notice import Notification, scores_posted, video_failed, video_ready
from atomic_guide.course.notifications.texts import TEXTS, Language, language_of
from atomic_guide.engines.data.placement import CourseKey

KEY = CourseKey.of("t-1", "waves")
ENVELOPE = Envelope(
    "guide@tool.example", "Guide", "ada@example.edu", "Waves & optics", "https://lms.example/c/1", "https://tool/stop/x"
)


def entry(kind: str = "video.ready", **data: object) -> Notification:
    return Notification("n0123456789abcdef", kind, "v1", data, "2026-11-02T10:00:00Z", read=False)


def parsed(told: Notification, language: Language = "en", envelope: Envelope = ENVELOPE) -> email.message.EmailMessage:
    raw = compose(KEY, "ada", told, envelope, language).as_bytes()
    assert all(len(line) <= 998 for line in raw.splitlines())
    return email.message_from_bytes(raw, policy=email.policy.default)


def text(message: email.message.EmailMessage, kind: str = "plain") -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def test_a_ready_lecture_is_told_with_the_way_there_and_the_way_out() -> None:
    message = parsed(entry(title="Two slits", captions=False))
    assert message["Subject"] == "“Two slits” is ready"
    assert message["From"] == "Guide <guide@tool.example>"
    assert message["To"] == "ada@example.edu"
    assert message["Date"] == "Mon, 02 Nov 2026 10:00:00 +0000"
    assert message["List-Unsubscribe"] == "<https://tool/stop/x>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Auto-Submitted"] == "auto-generated"
    for part in ("Students of Waves & optics can watch", "no captions", "https://lms.example/c/1", "https://tool/stop"):
        assert part in text(message)
    assert "Waves &amp; optics" in text(message, "html")
    assert "captions" not in text(parsed(entry(title="Two slits", captions=True)))


def test_the_message_id_is_the_same_at_every_attempt_and_another_for_anybody_else() -> None:
    ids = [parsed(entry(title="a"))["Message-ID"], parsed(entry(title="b", captions=True), "ar")["Message-ID"]]
    assert ids[0] == ids[1]
    other = compose(KEY, "bob", entry(title="a"), ENVELOPE, "en")["Message-ID"]
    assert other != ids[0]
    assert re.fullmatch(r"<n[0-9a-f]{16}\.[0-9a-f]{32}@tool\.example>", other)


def test_arabic_is_whole_and_runs_from_right_to_left() -> None:
    message = parsed(entry("scores.posted", activity="تمرين 1"), "ar")
    assert message["Subject"] == "درجتك في تمرين 1"
    assert message["Content-Language"] == "ar"
    assert 'lang="ar" dir="rtl"' in text(message, "html")


@pytest.mark.parametrize("language", list(TEXTS))
def test_every_kind_that_is_mailed_has_an_e_mail(language: Language) -> None:
    ready, missing = video_ready("v1", "T", "ada", "j1", captions=False)
    (failed,) = video_failed("v1", "T", "ada", "j1", "It is cut short.")
    assert not missing.mailed
    for notice in (ready, failed, scores_posted("ada", "x", None), scores_posted("ada", "x", "E1")):
        assert notice.mailed
        assert parsed(entry(notice.kind, **notice.data), language)["Subject"]


@given(st.text(min_size=1, max_size=400))
def test_no_text_of_anybody_makes_a_header_or_a_tag(chosen: str) -> None:
    envelope = ENVELOPE._replace(course=chosen, sender_name=chosen)
    told = entry("video.failed", title=chosen + "\r\nBcc: eve@example.com", reason="{course} <b>\nX: y")
    raw = compose(KEY, "ada", told, envelope, "en").as_bytes()
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert not {"bcc", "x"} & {name.lower() for name in message.keys()}  # noqa: SIM118 - a message has no iterator of names
    assert message["To"] == "ada@example.edu"
    assert "<b>" not in text(message, "html")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("ada@example.edu", "ada@example.edu"),
        (" ada.l+x@sub.example.edu ", "ada.l+x@sub.example.edu"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@localhost", "ada@localhost"),
        ("", ""),
        (None, ""),
        ("ada", ""),
        ("@example.edu", ""),
        ("ada@", ""),
        ("ada@exa mple.edu", ""),
        ("ada@example.edu\r\nBcc: eve@example.com", ""),
        ("ada@example.edu,eve@example.com", ""),
        ("<ada@example.edu>", ""),
        ('"a b"@example.edu', ""),
        ("äda@example.edu", ""),
        (f"{'a' * 65}@example.edu", ""),
        (f"ada@{'a.' * 130}edu", ""),
        ("ada@-example.edu", ""),
    ],
)
def test_only_addresses_that_can_be_mailed_safely_are_kept(sent: str | None, kept: str) -> None:
    assert usable_address(sent) == kept


def test_the_page_s_language_comes_before_the_lms_s() -> None:
    assert language_of("", "ar-EG") == "ar"
    assert language_of("en", "ar") == "en"
    assert language_of("", "de") == "en"
    assert language_of("", "") == "en"
