"""Errors become messages for users, and exit codes."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import click

from neurocomp.cli.output import has_color, print_json
from neurocomp.errors import Diagnostic, InternalError, NeurocompError, UsageError, did_you_mean

INTERRUPTED = 130
BROKEN_PIPE = 141
"""What a shell says of a program that SIGPIPE ended: the reader had enough."""

_HEAD = re.compile(r"^((?:\S+:)?.*?)\b(error|warning)(\[NC\d{4} [a-z-]+\])", re.MULTILINE)


class ReaderWentAway(Exception):
    """Nobody reads stdout any more."""


class UnknownCommand(click.UsageError):
    """A command that does not exist."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"there is no command '{name}'")
        self.suggestion = did_you_mean(name, known)


def report(error: BaseException, *, as_json: bool) -> int:
    """Print an error and return the exit code of the process."""
    if os.environ.get("NEUROCOMP_DEBUG") == "1":
        traceback.print_exception(error)
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        _write("interrupted")
        return INTERRUPTED
    if isinstance(error, (ReaderWentAway, BrokenPipeError)):
        # Whatever Python still flushes at exit goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return BROKEN_PIPE
    known = _known(error)
    _write(colored(known.render(), has_color(sys.stderr)))
    if as_json:
        try:
            print_json({"schema": 1, "error": as_document(known)})
            sys.stdout.flush()
        except OSError:  # it was stdout itself that failed
            pass
    return known.exit_code


def as_document(error: NeurocompError) -> dict[str, Any]:
    """Return an error as ``--json`` prints it."""
    return {"exit_code": error.exit_code, "diagnostics": [_document(d) for d in error.diagnostics]}


def colored(text: str, color: bool) -> str:
    """Return rendered diagnostics with the word error and its code in red."""
    return _HEAD.sub("\\1\x1b[1;31m\\2\\3\x1b[0m", text) if color else text


def _document(diagnostic: Diagnostic) -> dict[str, Any]:
    from neurocomp.errors.catalogue import CATALOGUE

    where = diagnostic.location
    place = where and {"file": where.file, "line": where.line, "column": where.column}
    keys = ("message", "limit", "also", "hint")
    return {
        "code": diagnostic.code,
        "name": CATALOGUE[diagnostic.code].name,
        "location": place,
        **{key: getattr(diagnostic, key) for key in keys},
    }


def _known(error: BaseException) -> NeurocompError:
    """Return any error as one of ours."""
    if isinstance(error, NeurocompError):
        return error
    if isinstance(error, click.ClickException):
        return UsageError(_usage(error))
    if isinstance(error, MemoryError):
        hint = "give less at once, such as --samples 10, or use a machine with more memory"
        return InternalError(Diagnostic("NC0901", "the memory of this machine is used up", hint=hint))
    if isinstance(error, OSError) and error.strerror:
        where = f"'{error.filename}'" if error.filename else "the output"
        return InternalError(Diagnostic("NC0901", f"the system refused {where}: {error.strerror.lower()}"))
    message = f"neurocomp failed where it should not: {type(error).__name__}: {error}"
    hint = "this is a bug of neurocomp; please report it with the network file and the output under NEUROCOMP_DEBUG=1"
    return InternalError(Diagnostic("NC0901", message, hint=hint))


def _usage(error: click.ClickException) -> Diagnostic:
    """Return what click says about a command line in our form."""
    ctx = getattr(error, "ctx", None)
    hint: str | None = f"see '{ctx.command_path if ctx else 'neurocomp'} --help'"
    message = error.format_message()
    message = message[:1].lower() + message[1:].rstrip(".")
    # Click's word for what a number with bounds must be.
    message = message.replace("a valid integer range", "a whole number")
    match error:
        case UnknownCommand():
            hint = error.suggestion
        case click.NoSuchOption():
            message = f"there is no option '{error.option_name}'"
            hint = f"did you mean '{error.possibilities[0]}'?" if error.possibilities else hint
        case click.MissingParameter():
            param = error.param
            name = (
                f"option '{param.opts[0]}'"
                if isinstance(param, click.Option)
                else f"argument {param.make_metavar(ctx) if ctx and param else ''}"
            )
            message = f"the {name} is missing"
            if isinstance(param, click.Option) and param.help:
                hint = f"{param.opts[0]}: {param.help[:1].lower()}{param.help[1:].rstrip('.')}"
        case _:
            pass
    return Diagnostic("NC0801", message, hint=hint)


def _write(text: str) -> None:
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except OSError:  # nowhere left to say it; the exit code still does
        pass
