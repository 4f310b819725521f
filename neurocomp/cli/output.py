"""Where output goes: data to stdout, messages and progress to stderr; rich is imported by the first text that needs it."""

from __future__ import annotations

import codecs
import json
import logging
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress, Task
    from rich.text import Text

WIDTH_OF_FILES = 100
"""Columns of text that goes into a file or a pipe."""

_PLAIN = {"·": "-", "→": "->", "×": "x", "µ": "u", "±": "+-", "█": "#", "░": ".", "…": "...", "−": "-", "’": "'"}


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Stand in for signs that a terminal cannot show."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(sign, "?") for sign in error.object[error.start : error.end]), error.end


codecs.register_error("neurocomp", _plain)


def prepare_streams() -> None:
    """Make stdout and stderr usable whatever they are: closed, or of an encoding that lacks some of our signs."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="neurocomp")


def has_color(stream: TextIO) -> bool:
    """Return whether colors are wanted on a stream (NO_COLOR, TERM=dumb, no terminal: no)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def json_text(document: Mapping[str, Any]) -> str:
    """Return one JSON document; ASCII, so that every terminal, pipe and file carries it unchanged."""
    return json.dumps(_json({"schema": 1, **document}), indent=2, allow_nan=False) + "\n"


def print_json(document: Mapping[str, Any]) -> None:
    """Write one JSON document to stdout."""
    sys.stdout.write(json_text(document))


def _json(value: Any) -> Any:
    """Return a value of JSON's types; numbers that JSON does not have become text."""
    if isinstance(value, Mapping):
        return {str(key): _json(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(entry) for entry in value]
    if hasattr(value, "item") and not isinstance(value, str):
        value = value.item()
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(frozen=True, slots=True)
class Output:
    """What one command may print."""

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False

    @contextmanager
    def log(self) -> Iterator[None]:
        """Print what neurocomp logs to stderr: warnings and what takes a while, with ``--verbose`` also what was chosen."""
        logger, handler = logging.getLogger("neurocomp"), _Messages(self)
        before = logger.level
        logger.setLevel(logging.DEBUG if self.verbose else logging.INFO)
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(before)

    def json(self, document: Mapping[str, Any]) -> None:
        """Print the result of a command that was called with ``--json``."""
        print_json(document)

    def show(self, *parts: RenderableType, messages: bool = False) -> None:
        """Print text for people, to stdout; to stderr where stdout carries something else."""
        stream = sys.stderr if messages else sys.stdout
        stream.write(_rendered(_console(stream), parts))

    def summary(self, *parts: RenderableType, messages: bool = False) -> None:
        """Print text for people that ``--quiet`` turns off."""
        if not self.quiet:
            self.show(*parts, messages=messages)

    def not_on_this_chip(self, extensions: Sequence[str], *, messages: bool = False) -> None:
        """Print what was computed with and the chip cannot do: also with ``--quiet``, before any other text."""
        if extensions and not self.as_json:
            line = f"not on this chip: {', '.join(extensions)}"
            stream = sys.stderr if messages else sys.stdout
            stream.write(f"\x1b[1;31m{line}\x1b[0m\n" if has_color(stream) else f"{line}\n")

    def warn(self, message: str) -> None:
        """Print a warning to stderr."""
        if not self.quiet:
            head = "\x1b[33mwarning\x1b[0m" if has_color(sys.stderr) else "warning"
            sys.stderr.write(f"{head}: {message}\n")

    def suggest(self, command: str) -> None:
        """Print the next command that a person would want, where a person sits."""
        if not self.quiet and not self.as_json and sys.stderr.isatty():
            line = f"next: {command}"
            sys.stderr.write(f"\x1b[2m{line}\x1b[0m\n" if has_color(sys.stderr) else f"{line}\n")

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """Show on a terminal that something takes its time."""
        if self.quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
            yield
            return
        with _console(sys.stderr).status(f"{what} ..."):
            yield

    @contextmanager
    def share(self, what: str) -> Iterator[Callable[[float], None] | None]:
        """Show on a terminal which share of a job is done, once it is told; it gives None where nothing is shown."""
        if self.quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
            yield None
            return
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn()
        with Progress(*columns, console=_console(sys.stderr), transient=True) as bar:
            task = bar.add_task(f"{what} ...", total=None)
            yield lambda done: bar.update(task, description=f"{what}: mapping", completed=done, total=1.0)

    @contextmanager
    def progress(self, what: str) -> Iterator[Advance]:
        """Show on a terminal how many samples are done, how many a second, and how long it will take.

        What it gives is told (samples done, samples in all), and remembers them.
        """
        advance = Advance()
        if self.quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
            yield advance
            return
        with _progress(_console(sys.stderr)) as bar:
            task = bar.add_task(what, total=None)
            advance.show = lambda: bar.update(task, completed=advance.done, total=advance.total)
            yield advance

    def interrupted(self, advance: Advance, what: str) -> None:
        """Say that an interruption ended a job, and what became of the samples that were finished; also with ``--quiet``."""
        message = f"interrupted: {advance.done:,} of {advance.total:,} samples were finished; {what}"
        sys.stderr.write(f"{message}\n")


class Advance:
    """How many samples of a job are done."""

    def __init__(self) -> None:
        self.done = self.total = 0
        self.show: Callable[[], None] = lambda: None

    def __call__(self, done: int, total: int) -> None:
        """Take the news."""
        self.done, self.total = done, total
        self.show()


class _Messages(logging.Handler):
    """Prints what is logged to stderr."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self.output = output

    def emit(self, record: logging.LogRecord) -> None:
        """Print one message."""
        if record.levelno >= logging.WARNING:
            self.output.warn(record.getMessage())
        elif not self.output.quiet:
            sys.stderr.write(f"{record.getMessage()}\n")


def _progress(console: Console) -> Progress:
    """Return a bar with the samples that are done, their rate and the time that is left; it vanishes at the end."""
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
    from rich.table import Column
    from rich.text import Text

    class Rate(ProgressColumn):
        """Samples per second so far, and what that means for the others."""

        max_refresh = 0.5

        def render(self, task: Task) -> Text:
            if not task.completed or not task.elapsed or task.total is None:
                return Text("-- samples/s, ETA --:--")
            rate = task.completed / task.elapsed
            left = int((task.total - task.completed) / rate + 0.5)
            minutes, seconds = divmod(left, 60)
            hours, minutes = divmod(minutes, 60)
            clock = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes:02}:{seconds:02}"
            number = f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"
            return Text(f"{number} samples/s, ETA {clock}")

    class Done(ProgressColumn):
        """Samples that are done, of how many."""

        def render(self, task: Task) -> Text:
            return Text(f"{int(task.completed):,}/{int(task.total):,}" if task.total is not None else "")

    narrow = console.width < 64
    widest = max(4, console.width - (40 if narrow else 50))
    title = TextColumn(
        "{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis", max_width=widest), markup=False
    )
    bar = () if narrow else (BarColumn(bar_width=None, table_column=Column(ratio=1)),)
    fixed = (column(table_column=Column(no_wrap=True)) for column in (Done, Rate))
    return Progress(title, *bar, *fixed, console=console, transient=True, expand=not narrow)


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    columns = os.environ.get("COLUMNS", "")
    width = None if stream.isatty() else int(columns) if columns.isdigit() and int(columns) else WIDTH_OF_FILES
    return Console(
        file=stream,
        width=width,
        color_system="auto" if has_color(stream) else None,
        highlight=False,
        markup=False,
        emoji=False,
    )


def text_of(*parts: RenderableType) -> str:
    """Return text for people as it goes into a file."""
    return _rendered(_console(StringIO()), parts)


def _rendered(console: Console, parts: Sequence[RenderableType]) -> str:
    with console.capture() as captured:
        console.print(*parts, sep="\n")
    # rich pads columns with spaces, which are in the way where text is copied or compared.
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def events_as_json(events: Sequence[Any]) -> list[dict[str, Any]]:
    """Return registers that clipped or wrapped as ``--json`` prints them."""
    keys = ("population", "register", "count", "sample", "tick", "neuron")
    return [{key: getattr(event, key) for key in keys} for event in events]


def event_text(event: Any) -> str:
    """Return a register that clipped or wrapped as one line."""
    times = "once" if event.count == 1 else f"{event.count:,} times"
    return (
        f"{event.register} of '{event.population}' left its range {times}, "
        f"first in sample {event.sample}, tick {event.tick}, neuron {event.neuron}"
    )
