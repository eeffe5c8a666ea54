"""`atomic-guide alerts check|export`: whether rules can be taken, and the same rules for Prometheus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from atomic_guide import errors
from atomic_guide.cli.options import Context, data_options
from atomic_guide.toml import NotToml, read_toml

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(name="check")
@click.argument("file", type=_FILE, required=False)
@data_options
def check(context: Context, file: Path | None) -> None:
    """Check the rules, channels and routes of a TOML file, or of the settings in force; every fault is told.

    FILE is a settings file, of which only [alerts] is looked at, or one that has only what belongs there. The exit
    status is 1 where something is wrong. A server refuses the same at its start.
    """
    from atomic_guide.operations.alerts.checking import faults_of
    from atomic_guide.operations.alerts.rules import rules_of

    settings = context.settings.alerts if file is None else _read(file)
    found = rules_of(settings.rules, settings.runbooks)
    # A file may be checked where there is no mail server.
    mail = file is not None or context.settings.mail.on
    told = [{"key": "rules", **fault._asdict(), "said": fault.said} for fault in found.faults]
    told += [{"key": key, "said": f"{key}: {why}"} for key, why in faults_of(settings, mail=mail)]
    own = sum(not rule.given.shipped for rule in found.rules.values())
    rules = f"{len(found.rules)} rules ({own} of your own, {len(found.rules) - len(found.enabled)} switched off)"
    summary = f"{rules}; channels: {len(settings.channels)}, routes: {len(settings.routes)}"
    faults = [str(one["said"]) for one in told]
    context.emit({"faults": told, "rules": sorted(found.rules)}, "\n".join([*faults, summary]))
    if faults:
        where = file.name if file is not None else "the settings"
        raise errors.Invalid(f"{where}: {len(faults)} {'fault' if len(faults) == 1 else 'faults'}; see above")


@click.command(name="export")
@data_options
@click.option("--prometheus", is_flag=True, help="As a rules file of Prometheus (YAML); the only form there is.")
@click.option("--match", "matchers", metavar="MATCHERS", default="",
              help="More label matchers for every series, such as 'job=\"guide\"'.")  # fmt: skip
def export(context: Context, *, prometheus: bool, matchers: str) -> None:
    """Print the rules that are in force for Prometheus, which then raises the same alerts.

    Prometheus has to scrape /metrics of every process that may lead, each 15 s. `promtool check rules` takes the file.
    """
    from datetime import UTC, datetime

    from atomic_guide.operations.alerts.export import rules_file
    from atomic_guide.operations.alerts.matchers import read_matchers
    from atomic_guide.operations.alerts.promql import Scope
    from atomic_guide.operations.alerts.rules import rules_of
    from atomic_guide.operations.scaling.settings import zone_of

    if not prometheus:
        raise click.UsageError("Name the form: --prometheus.")
    more = ",".join(one.said for one in read_matchers(matchers.split(",") if matchers else ()))
    today = datetime.now(UTC).date().isoformat()
    own = context.settings.alerts
    rules = rules_of(own.rules, own.runbooks).enabled
    text = rules_file(rules, Scope(more, zone_of(context.settings.scaling), today))
    context.emit({"rules": text}, text.rstrip("\n"))


def _read(file: Path) -> Any:
    """The settings of alerts that a file holds. Raises `Invalid` naming what is wrong with it."""
    from atomic_guide.operations.alerts.settings import AlertSettings

    try:
        tree = read_toml(file)
    except OSError as error:
        raise errors.Invalid(f"{file.name} cannot be read: {error.strerror}") from error
    except NotToml as error:
        raise errors.Invalid(f"{file.name} {error}") from error
    fields = {field.encode_name for field in msgspec.structs.fields(AlertSettings)}
    own = tree.get("alerts", tree if fields & tree.keys() else {})
    try:
        return msgspec.convert(own, AlertSettings, strict=False)
    except msgspec.ValidationError as error:
        raise errors.Invalid(f"{file.name}: {str(error).replace('`$', '`alerts')}") from error
