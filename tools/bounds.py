"""The fixed bounds of the code, for the page that lists them: constants whose name says so. Standard library only."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeGuard

NAMED = re.compile(r"(^|_)(LIMIT|MOST|LONGEST|LARGEST)(_|$)")
_LEFT_OUT = ("engines/data/migrations", "course/lti/practice")


class Bound(NamedTuple):
    """A constant: where it stands below `src/atomic_guide`, its name, its value as written, and why."""

    place: str
    name: str
    value: str
    why: str


def bounds(source: Path) -> list[Bound]:
    """Every bound below a folder, in the order of files."""
    found: list[Bound] = []
    for path in sorted(source.rglob("*.py")):
        place = path.relative_to(source).as_posix()
        if not place.startswith(_LEFT_OUT):
            found += [Bound(place, *rest) for rest in _of(ast.parse(path.read_text("utf-8")))]
    return found


def _of(module: ast.Module) -> Iterator[tuple[str, str, str]]:
    following = [*module.body[1:], None]
    for statement, after in zip(module.body, following, strict=True):
        if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
            continue
        name = statement.targets[0].id
        if _is_page(value := statement.value):
            yield name, _plain(value.args[1]), _text(after)
        elif NAMED.search(name) and _is_number(value):
            yield name, _plain(value), _text(after)


def _is_page(value: ast.expr) -> TypeGuard[ast.Call]:
    """Whether it is `Limit(shown, most)` of a list (web/paging.py) with the most as a number."""
    return isinstance(value, ast.Call) and ast.unparse(value.func) == "Limit" and _is_number(value.args[1])


def _is_number(value: ast.expr) -> bool:
    if isinstance(value, ast.BinOp):
        return _is_number(value.left) and _is_number(value.right)
    return isinstance(value, ast.Constant) and isinstance(value.value, int | float)


def _plain(value: ast.expr) -> str:
    number = eval(compile(ast.Expression(value), "bound", "eval"))  # noqa: S307 - numbers and operators, as checked
    return f"{number:,}"


def _text(after: ast.stmt | None) -> str:
    if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
        return " ".join(after.value.value.split()).replace("|", "\\|")
    return ""
