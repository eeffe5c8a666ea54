"""`atomic-guide settings`: every key with its unit, value and reason."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from atomic_guide.cli.options import Context, data_options

if TYPE_CHECKING:
    from atomic_guide.config import Described
    from atomic_guide.setting import Shown

_INTRODUCTION = """\
One TOML file (`--config FILE`, or `ATOMIC_GUIDE_CONFIG`) and the environment, which wins. The key `section.name` is
`[section]` and `name = ...` in the file, and the variable below in the environment; lists are separated by commas
there. Unknown keys and impossible values are refused at start."""


@click.command()
@data_options
@click.option("--changed", is_flag=True, help="Only what differs from the default.")
@click.option("--markdown", is_flag=True, help="Print the reference page, with defaults.")
def command(context: Context, *, changed: bool, markdown: bool) -> None:
    """Print every setting with unit, value, where that came from, default and reason.

    Secrets are shown only as whether they are set.
    """
    from atomic_guide.config import Sourced, describe, shown

    if markdown:
        click.echo(_page(describe()))
        return
    rows = [row for row in shown(Sourced(context.settings, context.origins)) if not changed or row.value != row.default]
    context.emit({"settings": rows}, "\n".join(_line(row) for row in rows) or "every setting has its default")


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
