"""The e-mail about a notification: plain text and the same as HTML, in the person's language. Pure.

Whatever a person or a program chose (titles, names, reasons) becomes one line before it is put anywhere, and headers
are made by `email`, which refuses what would begin another header.
"""

from __future__ import annotations

import html
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING, NamedTuple

from atomic_guide.clock import from_iso
from atomic_guide.course.notifications.notice import message_id
from atomic_guide.course.notifications.texts import TEXTS, Language, Texts

if TYPE_CHECKING:
    from atomic_guide.course.notifications.notice import Notification
    from atomic_guide.engines.data.placement import CourseKey

_LINE = 300
"""Characters of a value in a sentence; a subject of this length is still one that programs show."""


class Envelope(NamedTuple):
    """From whom, to whom, about which course, and the address that ends further e-mail, if there is one."""

    sender: str
    sender_name: str
    recipient: str
    course: str
    course_url: str | None
    stop_url: str | None


def compose(key: CourseKey, user: str, entry: Notification, envelope: Envelope, language: Language) -> EmailMessage:
    """The message. Raises ValueError for a kind that has no e-mail."""
    texts = TEXTS[language]
    course = _line(envelope.course)
    subject, lines = _said(entry, texts, course)
    message = EmailMessage(policy=SMTP)
    message["From"] = Address(_line(envelope.sender_name), addr_spec=envelope.sender)
    message["To"] = Address(addr_spec=envelope.recipient)
    message["Subject"] = subject
    message["Date"] = format_datetime(datetime.fromtimestamp(from_iso(entry.created_at), UTC))
    message["Message-ID"] = message_id(key, user, entry.id, envelope.sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    if envelope.stop_url:
        message["List-Unsubscribe"] = f"<{envelope.stop_url}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    parts = _parts(lines, texts, course, envelope)
    message.set_content("\n\n".join("\n".join(part for part in pair if part) for pair in parts) + "\n")
    message.add_alternative(_html(parts, texts, language), subtype="html")
    # Setting the content removes every header that begins so.
    message["Content-Language"] = language
    return message


def _said(entry: Notification, texts: Texts, course: str) -> tuple[str, list[str]]:
    """The subject and what the e-mail says."""
    values = {name: _line(str(value)) for name, value in entry.data.items()} | {"course": course}
    if entry.kind == "video.ready":
        subject, text = texts.ready
        lines = [text] if entry.data.get("captions") else [text, texts.no_captions]
    elif entry.kind == "video.failed":
        subject, text = texts.failed
        lines = [text]
    elif entry.kind == "scores.posted":
        subject, text = texts.scores_of if entry.data.get("activity") else texts.scores
        lines = [text]
    else:
        message = f"there is no e-mail about {entry.kind}"
        raise ValueError(message)
    return subject.format_map(values), [line.format_map(values) for line in lines]


def _parts(lines: list[str], texts: Texts, course: str, envelope: Envelope) -> list[tuple[str, str | None]]:
    """Paragraphs, each a text and the address behind it, if any."""
    way = (texts.open, envelope.course_url) if envelope.course_url else (texts.find, None)
    parts: list[tuple[str, str | None]] = [*((line, None) for line in lines), way]
    parts.append((texts.why.format(course=course), None))
    return [*parts, (texts.stop, envelope.stop_url)] if envelope.stop_url else parts


def _html(parts: list[tuple[str, str | None]], texts: Texts, language: Language) -> str:
    body = "".join(f"<p>{html.escape(text)}{_link(url)}</p>\n" for text, url in parts)
    head = '<meta charset="utf-8">'
    opened = f'<html lang="{language}" dir="{texts.direction}">'
    return f"<!doctype html>\n{opened}<head>{head}</head><body>\n{body}</body></html>\n"


def _link(url: str | None) -> str:
    escaped = html.escape(url or "", quote=True)
    return f'<br><a href="{escaped}" dir="ltr">{escaped}</a>' if url else ""


def _line(text: str) -> str:
    """One line of what somebody wrote: without control characters, and without marks that turn the text around."""
    shown = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(shown.split())[:_LINE]
