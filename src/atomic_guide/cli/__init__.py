"""The command line: one module for each command group, loaded when it is called.

Every command exits 0 on success, 1 on failure with one line on stderr, 2 on wrong usage.
"""

from __future__ import annotations

import gc
import importlib
import os
import pkgutil
import sys

import click

from atomic_guide.errors import GuideError

_NOT_COMMANDS = {"options", "__main__"}

_SENTENCE = 500
"""Characters of a command's first sentence at most."""

_GARBAGE = 100_000
"""Objects made and not given back before a process looks for garbage: Python's default takes a tenth of its start."""


class _Commands(click.Group):
    """Finds each command in the module of its name, so that `--help` of one does not import all."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        names = (module.name for module in pkgutil.iter_modules(__path__))
        return sorted(name.replace("_", "-") for name in names if name not in _NOT_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"{__name__}.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        _say_whole(command)
        return command


def _say_whole(command: click.Command) -> None:
    """Let `--help` list a command by its whole first sentence, in lines: click would cut it to one line."""
    command.short_help = command.get_short_help_str(_SENTENCE)
    if isinstance(command, click.Group):
        for one in command.commands.values():
            _say_whole(one)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="atomic-guide")
def program() -> None:
    """A learning tool for an LMS: live course rooms, lecture videos, performance figures."""


def main() -> None:
    """The console script `atomic-guide`."""
    # Whatever a command makes in a data directory is nobody else's to read on a shared computer.
    os.umask(0o077)
    gc.set_threshold(_GARBAGE)
    try:
        # What a command answers stands on stdout, with --json one document; what it logs goes to `obj`.
        program.main(standalone_mode=False, obj=sys.stderr)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.Abort:
        click.echo("stopped", err=True)
        sys.exit(1)
    except click.UsageError as error:
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        click.echo(error.format_message(), err=True)
        sys.exit(1)
    except GuideError as error:
        click.echo(" ".join(error.message.split()), err=True)
        sys.exit(1)
    except BrokenPipeError:
        # The reader of a pipe has seen enough; without this the interpreter complains while closing stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        said = " ".join(str(error).split())
        click.echo(
            f"unexpected {type(error).__name__}: {said} (`python -X dev -m atomic_guide.cli` shows where)", err=True
        )
        sys.exit(1)
