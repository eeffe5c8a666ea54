"""The price lists that come with the product, and the operator's own file."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from atomic_guide.errors import Invalid, NotFound
from atomic_guide.operations.costs.prices import Prices
from atomic_guide.operations.costs.reading import LIMIT_BYTES, read_prices

_SUFFIX = ".toml"


def names() -> list[str]:
    """The names of the shipped lists."""
    folder = resources.files(__package__) / "lists"
    return sorted(file.name.removesuffix(_SUFFIX) for file in folder.iterdir() if file.name.endswith(_SUFFIX))


def shipped(name: str) -> Prices:
    """A shipped list. Raises `NotFound` naming those that there are."""
    if name not in names():
        raise NotFound(f"no price list is called {name}; there are {', '.join(names())}, or give a file's path")
    text = (resources.files(__package__) / "lists" / f"{name}{_SUFFIX}").read_text("utf-8")
    return read_prices(text, name)


def load_prices(where: str) -> Prices:
    """The list of a name, or the file of a path (with a slash, or ending in .toml).

    Raises `Invalid` naming file, line and reason, `NotFound` for a name that there is not.
    """
    if "/" not in where and not where.endswith(_SUFFIX):
        return shipped(where)
    path = Path(where)
    try:
        with path.open("rb") as file:
            content = file.read(LIMIT_BYTES + 1)
        return read_prices(content.decode("utf-8"), path.name)
    except OSError as error:
        raise Invalid(f"the price file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise Invalid(f"{path.name}, line {line}: it is no text in UTF-8") from error
