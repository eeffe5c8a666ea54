"""`atomic-guide dependencies`: what the product depends on, how it is bounded, and what goes on without it."""

from __future__ import annotations

import click

from atomic_guide.cli.options import Context, data_options


@click.command()
@data_options
@click.option("--markdown", is_flag=True, help="Print the table of docs/resilience.md.")
def command(context: Context, *, markdown: bool) -> None:
    """List every dependency: time-out, breaker, retries, bulkhead with their values, and what goes on without it.

    How each stands in a running server is at /api/ops/dependencies and in its metrics.
    """
    from atomic_guide.app.dependencies import in_force, table

    if markdown:
        click.echo(table())
        return
    found = in_force(context.settings)
    lines = [
        f"{one.name}\n  time-out {one.time_out}; breaker {one.breaker}\n  retries {one.retries}; at most"
        f" {one.bulkhead}\n  without it: {one.without}"
        + "".join(f"\n    {key} = {value}" for key, value in one.values.items())
        for one in found
    ]
    context.emit({"dependencies": found}, "\n".join(lines))
