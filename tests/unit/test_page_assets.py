"""Which files of the front end's build a page links."""

import json
from pathlib import Path

import pytest

from atomic_guide.web import pages
from atomic_guide.web.pages import Asset, NotBuilt, asset

MANIFEST = {
    "src/course.ts": {
        "file": "assets/course-1.js",
        "css": ["assets/course-1.css"],
        "imports": ["_dialog.js", "_badge.js"],
    },
    "src/ops.ts": {"file": "assets/ops-1.js", "css": ["assets/ops-1.css"], "imports": ["_badge.js"]},
    "_dialog.js": {"file": "assets/dialog-1.js", "css": ["assets/dialog-1.css"], "imports": ["_badge.js"]},
    "_badge.js": {"file": "assets/badge-1.js", "css": ["assets/badge-1.css"], "imports": ["_dialog.js"]},
    "src/binding.ts": {"file": "assets/binding-1.js"},
    "src/tokens.css": {"file": "assets/tokens-1.css"},
}


@pytest.fixture(autouse=True)
def _built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(MANIFEST), encoding="utf-8")
    monkeypatch.setattr(pages, "MANIFEST", path)


def test_a_page_has_the_styles_of_all_that_it_shares_with_others_before_its_own() -> None:
    course = asset("src/course.ts")
    assert course.script == "/static/assets/course-1.js"
    assert set(course.styles[:2]) == {"/static/assets/badge-1.css", "/static/assets/dialog-1.css"}
    assert course.styles[2:] == ("/static/assets/course-1.css",)
    assert asset("src/ops.ts").styles[-1] == "/static/assets/ops-1.css"


def test_a_script_alone_and_a_style_alone() -> None:
    assert asset("src/binding.ts") == Asset("/static/assets/binding-1.js", ())
    assert asset("src/tokens.css") == Asset(None, ("/static/assets/tokens-1.css",))


def test_what_is_not_built_is_said_to_be() -> None:
    with pytest.raises(NotBuilt, match="the pages' scripts are not built"):
        asset("src/other.ts")
