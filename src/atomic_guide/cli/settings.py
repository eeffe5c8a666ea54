"""`atomic-guide settings`: every key with its unit, value and reason."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

import click

from atomic_guide.cli.options import Context, data_options
from atomic_guide.errors import NotFound

if TYPE_CHECKING:
    from atomic_guide.config import Described
    from atomic_guide.setting import Shown

_MEANT = 3

_INTRODUCTION = """\
One TOML file (`--config FILE`, or `ATOMIC_GUIDE_CONFIG`) and the environment, which wins. The key `section.name` is
`[section]` and `name = ...` in the file, and the variable below in the environment; lists are separated by commas
there. Unknown keys and impossible values are refused at start."""


@click.command()
@click.argument("section", required=False)
@data_options
@click.option("--changed", is_flag=True, help="Only what differs from the default.")
@click.option("--markdown", is_flag=True, help="Print the reference page, with defaults.")
def command(context: Context, *, section: str | None, changed: bool, markdown: bool) -> None:
    """Print every setting with unit, value, where that came from, default and reason.

    With SECTION, such as `alerts` or `rooms.room_sockets`, those below it, or that one. Secrets are shown only as
    whether they are set.
    """
    from atomic_guide.config import Sourced, describe, shown

    if markdown:
        click.echo(_page(describe()))
        return
    rows = _of_section(shown(Sourced(context.settings, context.origins)), section)
    rows = [row for row in rows if not changed or row.value != row.default]
    context.emit({"settings": rows}, "\n".join(_line(row) for row in rows) or "every setting has its default")


def _of_section(rows: list[Shown], section: str | None) -> list[Shown]:
    """The settings below a name, or of it. Raises `NotFound` with names that are nearly it."""
    if section is None:
        return rows
    name = section.strip(".").replace("-", "_")
    found = [row for row in rows if row.key == name or row.key.startswith(f"{name}.")]
    if not found:
        raise NotFound(f"there is no setting {section}{_meant(name, [row.key for row in rows])}")
    return found


def _meant(name: str, keys: list[str]) -> str:
    """What may have been meant: keys that end in it, else what is written nearly so."""
    sections = {key[:place] for key in keys for place in range(len(key)) if key[place] == "."}
    ends = [key for key in keys if key.endswith(f".{name}")]
    meant = ends[:_MEANT] or difflib.get_close_matches(name, [*sections, *keys], _MEANT)
    if meant:
        return f"; there is {', '.join(meant)}"
    return f"; sections are {', '.join(sorted(one for one in sections if '.' not in one))}"


def _line(row: Shown) -> str:
    said = [] if row.value == row.default else [f"default {_plain(row.default)}"]
    said += [] if row.origin == "default" else [f"from {row.origin}"]
    origin = f" ({'; '.join(said)})" if said else ""
    return f"{row.key} = {_plain(row.value)} {row.unit}{origin}\n    {row.reason}"


def _plain(value: Any) -> str:
    """A value as TOML writes it; `none` where there is none."""
    if value is None:
        return "none"
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def _page(rows: list[Described]) -> str:
    lines = [_INTRODUCTION]
    section = None
    for row in rows:
        name = row.key.rpartition(".")[0] or "general"
        if name != section:
            section = name
            lines += ["", f"## {name}", "", "| key | default | unit | why |", "|---|---|---|---|"]
        reason = row.reason.replace("|", "\\|")
        lines.append(f"| `{row.key}`<br>`{row.variable}` | `{_plain(row.default)}` | {row.unit} | {reason} |")
    return "\n".join(lines)
