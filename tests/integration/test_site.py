"""The documentation as a site: it is built strictly, and nothing on it leads nowhere."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tools import site
from tools.environment import VENV

pytestmark = pytest.mark.skipif(
    not (VENV / "bin" / "zensical").is_file(), reason="`python3 dev.py docs --site DIR` installs the site's builder"
)


class Page(HTMLParser):
    """What a page leads to, what it can be led to, and the text of its paragraphs."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()
        self.paragraphs: list[str] = []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"href", "src"} and value is not None:
                self.targets.append(value)
            if name == "id" and value:
                self.anchors.add(value)
        if tag == "p":
            self._inside = True
            self.paragraphs.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "p"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.paragraphs[-1] += data


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "built"
    assert site.build(folder) == ""
    return folder


@pytest.fixture(scope="module")
def pages(built: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text("utf-8")) for path in built.rglob("*.html") if path.name != "404.html"}


def dead(pages: dict[Path, Page]) -> Iterator[str]:
    for path, page in pages.items():
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            aim = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            aim = aim / "index.html" if aim.is_dir() else aim
            anchor = unquote(parts.fragment)
            if not aim.is_file() or (anchor and aim in pages and anchor not in pages[aim].anchors):
                yield f"{path.name}: {target}"


@pytest.mark.timeout(120)
def test_every_page_is_there_and_no_link_or_anchor_is_dead(pages: dict[Path, Page]) -> None:
    assert len(pages) > 50
    assert not list(dead(pages))


@pytest.mark.timeout(120)
def test_readers_fetch_nothing_from_elsewhere(built: Path) -> None:
    """Pages in the browser of somebody who reads about a server at home tell nobody of it."""
    for path in built.rglob("*.html"):
        fetched = re.findall(r'<(?:script|img|link)[^>]+(?:src|href)="(https?:)?//([^"]+)"', path.read_text("utf-8"))
        assert not fetched, path.name


@pytest.mark.timeout(120)
def test_lists_are_lists(pages: dict[Path, Page]) -> None:
    """What the repository's pages show as a list is one here, too: Markdown differs in what begins one."""
    assert not [
        f"{path.name}: {text[:80]}"
        for path, page in pages.items()
        for text in page.paragraphs
        if re.search(r"\n(- |\d+\. )|^\|.*\|$", text)
    ]
