"""The pages of `docs/` that are printed from the code: commands, settings, HTTP calls. Runs in `.venv`."""

from __future__ import annotations

import importlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import click

from tools.bounds import bounds
from tools.environment import VENV
from tools.locks import ROOT

PRINTED = "<!-- Printed from the code by `python3 dev.py docs`. -->\n"
LIMIT_SECONDS = 60


def command_group() -> click.Group | None:
    """Return the command line as click knows it, or None before it exists."""
    if importlib.util.find_spec("atomic_guide.cli") is None:
        return None
    program = getattr(importlib.import_module("atomic_guide.cli"), "program", None)
    return program if isinstance(program, click.Group) else None


def subcommands(group: click.Group) -> dict[str, click.Command]:
    """Return a group's visible commands by name, in order."""
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in sorted(group.list_commands(context))}
    return {name: command for name, command in found.items() if command is not None and not command.hidden}


def _commands(command: click.Command, path: str) -> Iterator[str]:
    context = click.Context(command, info_name=path)
    yield f"\n## {path}\n\n{(command.help or '').strip()}\n" if " " in path else ""
    options = [record for parameter in command.params if (record := parameter.get_help_record(context))]
    if " " in path and not isinstance(command, click.Group):
        yield f"\n```\n{path} {' '.join(command.collect_usage_pieces(context))}\n```\n"
    if options:
        rows = ("| `{}` | {} |".format(*(cell.replace("|", r"\|") for cell in record)) for record in options)
        yield "\n| option | |\n|---|---|\n" + "\n".join(rows) + "\n"
    if isinstance(command, click.Group):
        for name, found in subcommands(command).items():
            yield from _commands(found, f"{path} {name}")


def commands_page(group: click.Group) -> str:
    """Return the page of every command with its options."""
    intro = (group.help or "").strip()
    return f"{PRINTED}\n# Commands\n\n{intro}\n" + "".join(_commands(group, "atomic-guide"))


def settings_page() -> str:
    """Return the page of every setting, which the command itself prints."""
    command = [str(VENV / "bin" / "atomic-guide"), "settings", "--markdown"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=LIMIT_SECONDS)
    return f"{PRINTED}\n# Settings\n\n{done.stdout.strip()}\n"


def _shape(schema: Any) -> str:
    if not isinstance(schema, dict):
        return ""
    if "$ref" in schema:
        return f"`{schema['$ref'].rpartition('/')[2]}`"
    return f"`{schema.get('type', json.dumps(schema))}`"


def _contents(part: dict[str, Any]) -> str:
    return ", ".join(f"{kind} {_shape(body.get('schema'))}".strip() for kind, body in part.get("content", {}).items())


_BOOKMARKS = """\
Calls by a person's session answer with the header `Atomic-Guide-Bookmark`: what the caller has seen by now. Sent
with the next call, it makes that one show at least as much, from whichever replica and process answers. Calls that
were under way at the same time give a bookmark each; send them together, with commas between them, and keep the one
that comes back. Without the header, a call shows all that was committed when it came. A bookmark that is not this
installation's is taken for none."""


_CODES = """\
An answer that refuses has the form `{"error": {"code", "message", "details", "timestamp"}}`; 429 and 503 carry
`Retry-After` in seconds. Refused launches are pages with codes of their own ([lti.md](lti.md)). Frames `error` of a
socket carry the same codes, and its close codes are in [rooms.md](rooms.md). Which limit is behind a refusal says
[limits.md](limits.md)."""


def _errors() -> str:
    """The table of codes, by status."""
    root = importlib.import_module("atomic_guide.errors").GuideError
    importlib.import_module("atomic_guide.app.build")
    kinds, waiting = {}, [root]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        ours = kind.__module__.startswith("atomic_guide.") and kind.__module__ != "atomic_guide.course.lti.refusals"
        if ours and "code" in vars(kind) and kind.code != "CONFIGURATION_ERROR":
            kinds[kind.status, kind.code] = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
    kinds[root.status, root.code] = "Something unexpected went wrong; the server's log has it."
    rows = [f"| {status} | `{code}` | {text} |" for (status, code), text in sorted(kinds.items())]
    return "| status | code | when |\n|---|---|---|\n" + "\n".join(rows)


def http_page(document: dict[str, Any]) -> str:
    """Return the page of every HTTP call, from the description the server serves as /openapi.json."""
    rows = []
    for path, calls in sorted(document["paths"].items()):
        for method, call in calls.items():
            good = [(status, reply) for status, reply in call["responses"].items() if status < "4"]
            bad = ", ".join(sorted(status for status in call["responses"] if status >= "4"))
            reply = "; ".join(f"{status} {_contents(part)}".strip() for status, part in good)
            body = _contents(call.get("requestBody", {}))
            rows.append(f"| `{method.upper()} {path}` | {call.get('summary', '')} | {body} | {reply} | {bad} |")
    table = "| call | does | takes | answers | refuses |\n|---|---|---|---|---|\n" + "\n".join(rows)
    intro = "Shapes and fields are in `GET /openapi.json`."
    codes = f"## Errors\n\n{_CODES}\n\n{_errors()}"
    return f"{PRINTED}\n# HTTP calls\n\n{intro}\n\n{_BOOKMARKS}\n\n{table}\n\n{codes}\n"


_BOUNDS = """\
What no setting changes: bounds that keep a defect, or somebody with bad intent, from taking a process along. They lie
far beyond what is used; where somebody meets one, the answer says so. What people and operators do meet is a setting,
and is measured: [limits.md](limits.md). Of alerts, costs, load tests and capacity planning only bounds of form are left
here: how long a condition, a price file, an answer or a message may be, and what one look takes in."""


def bounds_page() -> str:
    """Return the page of the bounds that are constants."""
    found = bounds(ROOT / "src" / "atomic_guide")
    rows = [f"| `{one.name.strip('_').lower()}` | {one.value} | `{one.place}` | {one.why} |" for one in found]
    table = "| bound | value | where | why |\n|---|---|---|---|\n" + "\n".join(rows)
    return f"{PRINTED}\n# Fixed bounds\n\n{_BOUNDS}\n\n{table}\n"


def pages() -> dict[str, str]:
    """Return each printed page by its name in `docs/`; those whose code does not exist yet are left out."""
    found: dict[str, str] = {}
    group = command_group()
    if group is not None:
        found["commands.md"] = commands_page(group)
        if "settings" in subcommands(group):
            found["settings.md"] = settings_page()
    if importlib.util.find_spec("atomic_guide.web.table") is not None:
        describe = importlib.import_module("atomic_guide.web.table")
        found["http.md"] = http_page(describe.document())
    return found


def chart_rules() -> str:
    """Return the shipped alert rules as the chart carries them for Prometheus."""
    command = [str(VENV / "bin" / "atomic-guide"), "alerts", "export", "--prometheus"]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT_SECONDS).stdout


def main() -> int:
    """Write the pages, and the rules of the chart."""
    (ROOT / "docs").mkdir(exist_ok=True)
    # A constant more makes no page wrong; what the page says is compared by a test.
    for name, text in {**pages(), "bounds.md": bounds_page()}.items():
        (ROOT / "docs" / name).write_text(text, "utf-8")
        print(f"docs/{name}")
    (ROOT / "deploy" / "chart" / "files" / "rules.yaml").write_text(chart_rules(), "utf-8")
    print("deploy/chart/files/rules.yaml")
    return 0


if __name__ == "__main__":
    sys.exit(main())
