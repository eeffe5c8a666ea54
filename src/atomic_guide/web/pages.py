"""HTML that the server writes itself: strict escaping, strict policies, no inline script or style.

`render` escapes every value that is not `Markup`. Scripts and styles come from the front end's build, by the names
in its manifest, and from `pages.css` beside this file.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from starlette.responses import Response

from atomic_guide import errors
from atomic_guide.course.lti.refusals import Refused

STATIC = Path(__file__).parent / "static"
MANIFEST = STATIC / "manifest.json"
STYLE = (Path(__file__).parent / "pages.css").read_bytes()
STYLE_URL = f"/lti/pages.css?v={hashlib.sha256(STYLE).hexdigest()[:12]}"

COURSE = "src/course.ts"
"""The entry of the page that launches end with."""

ANYWHERE = ("*",)
"""For pages that hold nothing to press and nothing to read but why they are there."""

NOBODY = ("'none'",)
"""For pages that are never framed, not even by our own."""

_RIGHT_TO_LEFT = {"ar", "he", "fa", "ur", "ps", "sd", "ug", "yi", "dv", "ckb"}


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


class Asset(NamedTuple):
    """What an entry of the front end's build needs: a script or none, and styles."""

    script: str | None
    styles: tuple[str, ...]


class NotBuilt(errors.Unavailable):
    """The front end's files are not there."""

    code = "FRONT_END_MISSING"


class _Manifest:
    """The build's manifest, read again when it changes."""

    def __init__(self) -> None:
        self._stamp = 0
        self._entries: dict[str, dict[str, Any]] = {}

    def entry(self, name: str) -> dict[str, Any]:
        try:
            stamp = MANIFEST.stat().st_mtime_ns
            if stamp != self._stamp:
                self._entries, self._stamp = msgspec.json.decode(MANIFEST.read_bytes()), stamp
            return self._entries[name]
        except (OSError, KeyError, msgspec.DecodeError) as error:
            message = "the pages' scripts are not built; `python3 dev.py run` builds them, then open the course again"
            raise NotBuilt(message, retry_after=30) from error


_manifest = _Manifest()


def asset(name: str) -> Asset:
    """The files of an entry, such as "src/course.ts". Raises `NotBuilt`."""
    entry = _manifest.entry(name)
    if entry["file"].endswith(".css"):
        return Asset(None, (f"/static/{entry['file']}",))
    return Asset(f"/static/{entry['file']}", tuple(f"/static/{style}" for style in _styles(name)))


def is_built(name: str) -> bool:
    """Whether the files of an entry are there."""
    try:
        asset(name)
    except NotBuilt:
        return False
    return True


def _styles(name: str) -> list[str]:
    """The styles of an entry: those of the parts that it shares with others come first."""
    found: dict[str, None] = {}
    waiting, seen = [name], {name}
    order: list[str] = []
    while waiting:
        order.append(waiting.pop())
        fresh = [one for one in _manifest.entry(order[-1]).get("imports", ()) if one not in seen]
        seen.update(fresh)
        waiting += fresh
    for part in reversed(order):
        found.update(dict.fromkeys(_manifest.entry(part).get("css", ())))
    return list(found)


def plain_styles() -> tuple[str, ...]:
    """The styles of a page without script; without the build it is plainer, but there."""
    try:
        return (*asset("src/tokens.css").styles, STYLE_URL)
    except NotBuilt:
        return (STYLE_URL,)


def render(template: str, **values: object) -> Markup:
    """Fill `{name}` in a template; every value is escaped unless it is `Markup`."""
    return Markup(template.format_map({name: escaped(value) for name, value in values.items()}))


def escaped(value: object) -> Markup:
    """A value as HTML text or attribute."""
    return value if isinstance(value, Markup) else Markup(html.escape(str(value), quote=True))


def joined(parts: Sequence[Markup]) -> Markup:
    """Pieces of HTML one after the other."""
    return Markup("\n".join(parts))


def meta(name: str, content: str) -> Markup:
    """A `<meta>` of the product."""
    return render('<meta name="atomic-guide-{name}" content="{content}">', name=name, content=content)


class Page(NamedTuple):
    """A whole page but for its frame. `origins` may frame it, forms may go to `form_targets` beside the tool.

    What it plays may come from `stores`.
    """

    title: str
    body: Markup
    metas: tuple[Markup, ...] = ()
    asset: Asset = Asset(None, ())
    locale: str = "en"
    origins: Sequence[str] = ()
    form_targets: Sequence[str] = ()
    frames: Sequence[str] = ()
    stores: Sequence[str] = ()


_FRAME = """<!doctype html>
<html lang="{lang}" dir="{direction}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>{title}</title>
{head}
</head>
<body>
{body}
</body>
</html>
"""


def answer(page: Page, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """The page as a response, with the policies that every page of the product has."""
    language = page.locale.partition("-")[0].lower()
    head = [*page.metas]
    head += [render('<link rel="stylesheet" href="{href}">', href=href) for href in page.asset.styles]
    if page.asset.script:
        head.append(render('<script type="module" src="{src}"></script>', src=page.asset.script))
    text = render(
        _FRAME,
        lang=page.locale,
        direction="rtl" if language in _RIGHT_TO_LEFT else "ltr",
        title=page.title,
        head=joined(head),
        body=page.body,
    )
    sent = {
        "Content-Security-Policy": policy(page),
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        **(headers or {}),
    }
    return Response(text.encode("utf-8", "replace"), status, sent, "text/html; charset=utf-8")


def policy(page: Page) -> str:
    """The content security policy of a page."""
    stores = "".join(f" {origin}" for origin in page.stores)
    ancestors = " ".join(page.origins if page.origins in {ANYWHERE, NOBODY} else ("'self'", *page.origins))
    parts = [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        f"img-src 'self' blob: data:{stores}",
        f"media-src 'self' blob:{stores}",
        f"connect-src 'self'{stores}",
        "worker-src 'self' blob:",
        "font-src 'self'",
        " ".join(["form-action 'self'", *page.form_targets]),
        "base-uri 'none'",
        f"frame-ancestors {ancestors}",
    ]
    if page.frames:
        parts.append(f"frame-src {' '.join(page.frames)}")
    return "; ".join(parts)


_NOTICE = """<main class="notice-page">
<div class="card notice-card">
<h1>{title}</h1>
<p>{message}</p>
<p>{remedy}</p>
<p class="note">Code for your support: <code>{code}</code></p>
</div>
</main>"""


def _with_commands(text: str) -> Markup:
    """A text in which what stands between backticks is code."""
    parts = enumerate(text.split("`"))
    return Markup("".join(render("<code>{text}</code>" if place % 2 else "{text}", text=part) for place, part in parts))


def refusal(
    error: errors.GuideError,
    title: str = "The course cannot be opened just now",
    remedy: str = "Try again in a minute.",
    origins: Sequence[str] = ANYWHERE,
) -> Response:
    """The page for somebody who is not let in: why, what to do, and the code."""
    if isinstance(error, Refused):
        code, status, remedy = error.refusal.code, error.refusal.status, error.refusal.remedy
        title = "The course cannot be opened"
    else:
        code, status = error.code, error.status
    text = error.message[:1].upper() + error.message[1:]
    body = render(_NOTICE, title=title, message=text if text.endswith((".", ")")) else f"{text}.",
                  remedy=_with_commands(remedy), code=code)  # fmt: skip
    headers = {}
    if status in {429, 503}:
        headers["Retry-After"] = str(max(1, round(error.retry_after or 1)))
    page = Page(title, body, (meta("error", code),), Asset(None, plain_styles()), origins=origins)
    return answer(page, status, headers)
