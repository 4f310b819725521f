"""The command line: one module per command; each parses, calls `neurocomp.api` and prints.

A command's module is imported when the command is invoked, and what it computes with when it runs, so that ``--help`` needs
click alone.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

import click

from neurocomp import __version__
from neurocomp.cli import failures, output

COMMANDS = {
    "compile": "Compile a network for a chip into one file (.ncz).",
    "check": "List every reason why a network does not run on a chip.",
    "run": "Simulate a network, or what was compiled from it.",
    "verify": "Prove that all simulations agree bit for bit.",
    "evaluate": "Compare accuracies: real numbers and the chip's integers.",
    "report": "Count events, and estimate energy from them.",
    "report lint": "Look for what reviewers find in claims about energy.",
    "cite": "Say how to cite neurocomp, and what its numbers rest on.",
    "map": "Show where everything is on the chip, and what it sends.",
    "export": "Write what was compiled in a form for other tools.",
    "import": "Read a network of another tool into one file (.ncz).",
    "targets": "List the chips that are installed.",
    "explain": "Say what a code such as NC0412 means.",
    "doctor": "Test this installation.",
}
"""Command -> its line in ``neurocomp --help``, in the order of use. The module has the command's name, or that of `MODULES`."""
MODULES = {"import": "import_", "report lint": "report_lint"}
"""Modules of commands whose names no module can have."""

EPILOG = """\
'neurocomp COMMAND --help' begins with examples. Every command takes --json, --quiet and --verbose. docs/cli.md lists exit
codes, environment variables and how to get completion in your shell."""


class Commands(click.Group):
    """Imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"neurocomp.cli.{MODULES.get(cmd_name, cmd_name)}").command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments name."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise failures.UnknownCommand(args[0], list(COMMANDS))
        if " ".join(args[:2]) in COMMANDS:
            args = [" ".join(args[:2]), *args[2:]]
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a reader of stdout that went away is told apart from other errors, which click does not."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise failures.ReaderWentAway from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, invoke_without_command=True, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="neurocomp", message="%(prog)s %(version)s")
@click.pass_context
def commands(ctx: click.Context) -> None:
    """Compile spiking neural networks for neuromorphic chips, and prove what was done.

    \b
      neurocomp compile net.yaml --target loihi
      neurocomp verify  net.ncz
      neurocomp report  net.ncz
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; whatever goes wrong is printed as users read it."""
    output.prepare_streams()
    try:
        code: Any = commands.main(list(arguments), prog_name="neurocomp", standalone_mode=False)
        sys.stdout.flush()
    except SystemExit:
        raise
    except BaseException as error:
        return failures.report(error, as_json="--json" in arguments)
    return code if isinstance(code, int) else 0


def main() -> None:
    """Run the command line of this process."""
    # One thread per process, unless the user asks for more: on matrices of this size the threads of numpy's linear algebra
    # cost more than they give, and far more on a busy machine. Results do not depend on it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            # An exit instead of a sudden death, so that temporary files are removed on the way.
            signal.signal(getattr(signal, name), lambda number, _: sys.exit(128 + number))
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if code == failures.INTERRUPTED:
        # What is wanted is written. Threads that are still at a batch would hold up the end of Python.
        os._exit(code)
    sys.exit(code)


__all__ = ["main", "run"]
