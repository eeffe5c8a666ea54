"""What a rehearsal found, as JSON, as text and as a page."""

from __future__ import annotations

import html
from typing import Any

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """Something that has to be so: whether it is, and by which figures."""

    name: str
    passed: bool
    said: str


class Report(msgspec.Struct):
    """A whole rehearsal."""

    passed: bool
    seconds: float
    phases: dict[str, float]
    findings: list[Finding]
    figures: dict[str, Any]
    folder: str | None = None


def as_text(report: Report) -> str:
    """For a terminal."""
    lines = [f"{'ok    ' if one.passed else 'FAILED'} {one.name}: {one.said}" for one in report.findings]
    lines += ["", *(f"{name:12} {seconds:6.1f} s" for name, seconds in report.phases.items())]
    failed = sum(not one.passed for one in report.findings)
    lines.append(f"{'all findings are as they should be' if not failed else f'{failed} findings failed'},"
                 f" in {report.seconds:.0f} s")  # fmt: skip
    if report.folder:
        lines.append(f"everything is left in {report.folder}")
    return "\n".join(lines)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Rehearsal of regions</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ border-bottom: 1px solid #ccc; padding: .4rem .6rem; text-align: left; vertical-align: top; }}
.failed {{ color: #a00; font-weight: bold; }}
</style></head><body>
<h1>Rehearsal of regions</h1>
<p>{verdict}, in {seconds:.0f} s.</p>
<table><tr><th>Finding</th><th></th><th>Figures</th></tr>
{findings}
</table>
<h2>Phases</h2>
<table>
{phases}
</table>
<h2>All figures</h2>
<pre>{figures}</pre>
</body></html>
"""


def as_page(report: Report) -> str:
    """For a browser; it loads nothing."""
    findings = "\n".join(
        f"<tr><td>{html.escape(one.name)}</td>"
        f"<td{'' if one.passed else ' class=failed'}>{'ok' if one.passed else 'failed'}</td>"
        f"<td>{html.escape(one.said)}</td></tr>"
        for one in report.findings
    )
    phases = "\n".join(
        f"<tr><td>{html.escape(name)}</td><td>{seconds:.1f} s</td></tr>" for name, seconds in report.phases.items()
    )
    figures = msgspec.json.format(msgspec.json.encode(report.figures), indent=2).decode()
    verdict = "All findings are as they should be" if report.passed else "Some findings failed"
    return _PAGE.format(
        verdict=verdict, seconds=report.seconds, findings=findings, phases=phases, figures=html.escape(figures)
    )
