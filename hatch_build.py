"""Build hook: a wheel or a source archive holds the built front end. Needs Node and npm on PATH."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# As long as dev.py gives one step of a set-up.
LIMIT_SECONDS = 900


class FrontEnd(BuildHookInterface[Any]):
    """Runs npm, except for an editable install and for a source archive, which brings the result."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Build `frontend/` into the package; raises `RuntimeError` where npm is missing."""
        sources = Path(self.root) / "frontend"
        if version == "editable" or not sources.is_dir():
            return
        npm = shutil.which("npm")
        if npm is None:
            raise RuntimeError("building a distribution of Atomic Guide needs Node 20.19 or newer with npm on PATH")
        for command in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
            subprocess.run([npm, *command], cwd=sources, check=True, timeout=LIMIT_SECONDS)
