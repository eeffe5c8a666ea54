"""Settings of costs: which price list, how large a unit is, how far recommendations look back."""

from __future__ import annotations

from typing import Annotated

import msgspec

from atomic_guide.errors import ConfigurationError, GuideError
from atomic_guide.operations.costs.shipped import load_prices
from atomic_guide.setting import setting


class CostSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What things cost. A fleet's own `scaling.FLEET.unit_price` goes before the price list."""

    prices: Annotated[
        str,
        setting(
            "A shipped price list (`costs prices list` names them), or the path of a file of your own; empty for none.",
            "name or path",
        ),
    ] = ""
    currency: Annotated[
        str,
        setting("Of `unit_price`, where there is no price list, which has its own.", "ISO 4217", pattern="^[A-Z]{3}$"),
    ] = "EUR"
    region: Annotated[
        str, setting("What this installation's place is called in reports.", "name", min_length=1, max_length=40)
    ] = "main"
    web_cores: Annotated[
        float, setting("Cores of a process that answers; its loop fills one.", "cores", gt=0, le=1024)
    ] = 1.0
    web_memory_gb: Annotated[
        float, setting("Its memory: 0.2 measured at rest, 0.3 more for 60,000 sockets.", "GB", gt=0, le=4096)
    ] = 0.5
    worker_cores: Annotated[
        float, setting("Cores of a process that runs jobs, with its media programs.", "cores", gt=0, le=1024)
    ] = 2.0
    worker_memory_gb: Annotated[
        float, setting("Its memory: an encoder of a lecture takes up to one.", "GB", gt=0, le=4096)
    ] = 2.0
    database_cores: Annotated[
        float, setting("Cores of a database server or replica; files have no servers.", "cores", gt=0, le=1024)
    ] = 2.0
    database_memory_gb: Annotated[
        float, setting("Its memory: four for each core, as providers sell it.", "GB", gt=0, le=4096)
    ] = 8.0
    nats_nodes: Annotated[
        int, setting("Servers of NATS beside ours, which runs within the first process.", "servers", ge=0, le=99)
    ] = 0
    nats_cores: Annotated[float, setting("Cores of such a server.", "cores", gt=0, le=1024)] = 1.0
    nats_memory_gb: Annotated[float, setting("Its memory.", "GB", gt=0, le=4096)] = 1.0
    tenants: Annotated[
        int,
        setting("Tenants that are told apart, those with most work; the rest are `others`.", "tenants", ge=1, le=100),
    ] = 20
    look_back_days: Annotated[
        int, setting("How much of the record recommendations are made from: four weeks have every weekday four times.",
                     "days", ge=7, le=120),
    ] = 28  # fmt: skip
    most_audit: Annotated[
        int,
        setting("Entries of the audit of changes, about 300 bytes each; the oldest ones go.", "entries", ge=100,
                le=1_000_000),
    ] = 10_000  # fmt: skip
    verdict_hours: Annotated[
        int, setting("How long after a change its real saving is measured: a week has every weekday.", "h", ge=1,
                     le=2160),
    ] = 168  # fmt: skip


def check_costs(settings: CostSettings) -> None:
    """Raise `ConfigurationError` where the price list cannot be used, naming file, line and reason."""
    if settings.prices:
        try:
            load_prices(settings.prices)
        except GuideError as error:
            raise ConfigurationError(f"setting costs.prices: {error.message}") from error
