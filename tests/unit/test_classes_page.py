"""The page that leads from the guide's classes to this code names what is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "classes.md").read_text("utf-8")
CACHE = "\n".join(path.read_text("utf-8") for path in (ROOT / "src/atomic_guide/engines/cache").glob("*.py"))


def test_every_test_and_file_that_is_named_is_there() -> None:
    tests = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_[a-z_0-9]+)`", PAGE))
    assert len(named) > 15
    assert [name for name in sorted(named) if f"def {name}(" not in tests] == []
    linked = set(re.findall(r"\]\(\.\./([^)]+)\)", PAGE))
    assert [path for path in sorted(linked) if not (ROOT / path).exists()] == []


def test_every_method_of_the_cache_that_is_named_is_there() -> None:
    named = set(re.findall(r"`([A-Z]\w+)\.(\w+)`", PAGE))
    assert len(named) > 5
    for kind, method in named:
        body = re.split(rf"^class {kind}\b", CACHE, flags=re.MULTILINE)[-1].partition("\nclass ")[0]
        assert re.search(rf"def {method}\(", body), f"{kind}.{method}"
