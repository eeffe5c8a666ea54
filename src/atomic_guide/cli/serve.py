"""`atomic-guide serve`: run the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from atomic_guide.cli.options import Context, data_options

if TYPE_CHECKING:
    from atomic_guide.app.run import Role

_ROLES: tuple[Role, ...] = ("all", "web", "worker", "control")


@click.command()
@data_options
@click.option("--role", type=click.Choice(_ROLES), default="all", help="What this process does.")
@click.option("--host", metavar="ADDRESS", help="Address to listen on (default 127.0.0.1).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (default 8000; 0 takes a free one).")
@click.option("--child", type=int, hidden=True)
@click.option("--parent", type=int, hidden=True)
@click.option("--lock-descriptor", type=int, hidden=True)
@click.option("--socket-descriptor", type=int, hidden=True)
@click.option("--ready-descriptor", type=int, hidden=True)
def command(context: Context, role: Role, **options: int | None) -> None:
    """Run the server with everything it needs, until SIGTERM."""
    from atomic_guide.app.run import Launch, serve

    launch = Launch(
        role=role,
        child=options["child"],
        parent=options["parent"],
        lock_descriptor=options["lock_descriptor"],
        socket_descriptor=options["socket_descriptor"],
        ready_descriptor=options["ready_descriptor"],
        arguments=context.arguments,
        origins=context.origins,
    )
    serve(context.settings, launch)
