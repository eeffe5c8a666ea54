"""Known vulnerabilities of what the locks pin. Runs in `.venv`, which holds pip-audit then.

Where the advisories cannot be reached it says so, line by line, and ends with status 0: an audit that could not be
made must not stop a release by itself, and must not look like a clean one either.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, NamedTuple

from tools import frontend
from tools.environment import VENV, SetupError
from tools.locks import PLAN, ROOT

# For one lock; every request inside has its own, shorter limit.
LIMIT_SECONDS = 300
REQUEST_SECONDS = 15


class Audit(NamedTuple):
    """What one lock's audit found; `skipped` says why it could not be made, or what it left out."""

    findings: tuple[str, ...] = ()
    skipped: str = ""


def _output(command: list[str], **options: Any) -> tuple[Any, str]:
    """Run an auditor; returns its JSON, or None and the last line it complained with."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
            **options,
        )
        return json.loads(done.stdout), ""
    except subprocess.TimeoutExpired:
        return None, f"no answer within {LIMIT_SECONDS} s"
    except ValueError:
        return None, (done.stderr.strip().splitlines() or ["no output"])[-1]


def python_findings(report: Any) -> Audit:
    """Read pip-audit's JSON report."""
    findings, unknown = [], []
    for package in report["dependencies"]:
        if "skip_reason" in package:
            unknown.append(package["name"])
        for hole in package.get("vulns", ()):
            fixed = ", ".join(hole["fix_versions"]) or "no release yet"
            findings.append(f"{package['name']} {package['version']}: {hole['id']}, mended in {fixed}")
    if unknown and len(unknown) == len(report["dependencies"]):
        return Audit(skipped="the index serves none")
    return Audit(tuple(findings), f"not known there: {', '.join(unknown)}" if unknown else "")


def npm_findings(report: Any) -> Audit:
    """Read npm's JSON report."""
    if "vulnerabilities" not in report:
        return Audit(skipped=str(report.get("message") or report.get("error") or "no answer").splitlines()[0])
    holes = report["vulnerabilities"].values()
    return Audit(tuple(f"{hole['name']} {hole['range']}: {hole['severity']}" for hole in holes))


def audit_lock(name: str) -> Audit:
    """Audit `locks/NAME.txt`."""
    command = [str(VENV / "bin" / "pip-audit"), "--require-hashes", "--disable-pip", "--progress-spinner", "off"]
    command += ["--timeout", str(REQUEST_SECONDS), "--format", "json", "-r", f"locks/{name}.txt"]
    report, why = _output(command, cwd=ROOT)
    return Audit(skipped=why) if report is None else python_findings(report)


def audit_front_end() -> Audit:
    """Audit `frontend/package-lock.json`."""
    try:
        command, env = frontend.npm()
    except SetupError as error:
        return Audit(skipped=str(error).splitlines()[-1])
    report, why = _output([*command, "audit", "--package-lock-only", "--json"], cwd=frontend.SOURCES, env=env)
    return Audit(skipped=why) if report is None else npm_findings(report)


def main() -> int:
    """Audit every lock; returns 1 where a vulnerability is known."""
    found = 0
    parts = [(f"locks/{name}.txt", name) for name in PLAN]
    if frontend.exists():
        parts.append(("frontend/package-lock.json", ""))
    for place, name in parts:
        result = audit_lock(name) if name else audit_front_end()
        found += len(result.findings)
        if result.skipped and not result.findings and not result.skipped.startswith("not known"):
            print(f"{place}: skipped: advisories cannot be reached ({result.skipped})", flush=True)
            continue
        print(f"{place}: {len(result.findings)} known vulnerabilities", *result.findings, sep="\n    ", flush=True)
        if result.skipped:
            print(f"    {result.skipped}", flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
