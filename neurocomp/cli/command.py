"""What all commands share: help that begins with examples, ``--json`` and ``--quiet``, options about data."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from neurocomp.cli.failures import UnknownCommand
from neurocomp.cli.output import Output
from neurocomp.errors import Diagnostic, UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

LEVELS = ("auto", "trinary", "int4", "int5", "int6", "int8", "codebook2", "codebook3", "codebook4")
FAN_OUT = ("auto", "duplicate", "split")
MAPPERS = ("default", "quality")
EFFORTS = ("fast", "default", "max")
COMPARISONS = (">", ">=")
"""Words of options, for completion; the pipeline itself checks them."""

Function = TypeVar("Function", bound=Callable[..., Any])


class Command(click.Command):
    """A command whose function gets an ``output: Output`` beside its own parameters and may return an exit code."""

    def __init__(self, *args: Any, examples: tuple[tuple[str, str], ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        """(command line, what it does)"""
        self.params += [
            click.Option(["--json", "as_json"], is_flag=True, help="Print the result as JSON (schema 1)."),
            click.Option(["-q", "--quiet"], is_flag=True, help="Print no summary, warnings or progress."),
            click.Option(["-v", "--verbose"], is_flag=True, help="Say on stderr what was chosen and why."),
        ]

    def invoke(self, ctx: click.Context) -> Any:
        """Call the function."""
        output = ctx.params["output"] = Output(*(ctx.params.pop(name) for name in ("as_json", "quiet", "verbose")))
        with output.log():
            return super().invoke(ctx)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the purpose and the examples first, then usage and options."""
        _examples_first(self, self.examples, ctx, formatter)


class CommandGroup(click.Group):
    """Commands on one subject; without one of them it prints its help, which begins with examples as that of a `Command`."""

    def __init__(self, *args: Any, examples: tuple[tuple[str, str], ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **{"invoke_without_command": True, "callback": _print_help, **kwargs})
        self.examples = examples
        """(command line, what it does)"""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments name."""
        if args[0] not in self.commands and not args[0].startswith("-"):
            raise UnknownCommand(args[0], list(self.commands))
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the purpose and the examples first, then usage, options and commands."""
        _examples_first(self, self.examples, ctx, formatter)


def _print_help() -> None:
    ctx = click.get_current_context()
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _examples_first(
    command: click.Command, examples: tuple[tuple[str, str], ...], ctx: click.Context, formatter: click.HelpFormatter
) -> None:
    lines = [f"{line}\n      {what}" if what else line for line, what in examples]
    purpose, _, rest = (command.help or "").partition("\n\n")
    formatter.write_text(purpose)
    formatter.write("\nExamples:\n" + "".join(f"  {line}\n" for line in lines) + "\n")
    command.format_usage(ctx, formatter)
    if rest:
        formatter.write_paragraph()
        formatter.write_text(rest)
    command.format_options(ctx, formatter)


class FileName(click.ParamType[Path]):
    """The name of a file to write, whose ending says what it holds."""

    name = "file"

    def __init__(self, suffix: str) -> None:
        self.suffix = suffix

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path, if it ends as it should and its folder is there."""
        from neurocomp.data.whole_file import check_folder

        path = Path(value)
        if path.suffix != self.suffix:
            self.fail(f"'{path}' must end with {self.suffix}", param, ctx)
        names = param.opts if param is not None else ["-o"]
        check_folder(path, "-o" if "-o" in names else names[0])
        return path

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Complete with files."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


def network_or_artifact(function: Function) -> Function:
    """Add the argument NET|ART."""
    return click.argument("path", metavar="NET|ART", type=click.Path(path_type=Path))(function)


def network_file(function: Function) -> Function:
    """Add the argument NET."""
    return click.argument("path", metavar="NET", type=click.Path(path_type=Path))(function)


def artifact_file(function: Function) -> Function:
    """Add the argument ART."""
    return click.argument("path", metavar="ART", type=click.Path(path_type=Path))(function)


def target(function: Function) -> Function:
    """Add ``--target``."""
    what = "Name of a chip ('neurocomp targets' lists them), or of a file that describes one, ./my_chip.yaml."
    return click.option("--target", "-t", required=True, metavar="T", help=what, shell_complete=_complete_target)(function)


def compilation(function: Function) -> Function:
    """Add the options of a compilation, which arrive as a mapping ``options`` of those that are given."""
    extension = "Allow what the chip does not do and simulations of it can (its spec lists the names); every output says so."
    steps = "Ticks of the chip per tick of the network, for cycles with fewer delay ticks than hops; parameters are re-derived."
    compare = (
        "What becomes of a comparison that the chip lacks, where no threshold of its own gives the same spikes: 'exact' "
        "refuses it, 'gt' (Loihi) takes '>' and 'ge' (TrueNorth) takes '>=' instead. '>' or '>=': what a file that leaves it "
        "open means. Repeatable."
    )
    levels = (
        "TrueNorth: levels of weights: trinary, int4, int5, int6, int8, codebook2, codebook3, codebook4, or auto, the cheapest "
        "that represents a population's weights exactly, else int4."
    )
    partial = "TrueNorth: cut fan-in beyond a core's axons into rate-coded partial sums; lossy, measured."
    leak = "TrueNorth: replace exponential leaks by the linear leak that changes spikes the least; lossy, measured."
    effort = "How much work the mapping may be, which bounds its time: fast, default or max."
    mapper = "'quality' lets Mt-KaHyPar give the mapping another start (Loihi; pip install 'neurocomp[partition]')."
    seed = "Seed of the mapping's search; the same one gives the same artifact, whatever the number of threads."
    fan_out = "TrueNorth: reach several axons by copies of a neuron (duplicate), by splitter cores (split), or by fewer cores."

    @functools.wraps(function)
    def call(*args: Any, allow_extension: tuple[str, ...], compare: tuple[str, ...], **kwargs: Any) -> Any:
        names = ("ticks_per_step", "weights", "fan_out", "effort", "seed", "mapper")
        given = {"extensions": allow_extension or None, **{name: kwargs.pop(name) for name in names}}
        given["compare"] = _only("--compare", [word for word in compare if word not in COMPARISONS])
        kwargs["compare"] = [word for word in compare if word in COMPARISONS]
        given |= {name: kwargs.pop(name) or None for name in ("partial_sums", "approximate_leak")}
        options = {name: value for name, value in given.items() if value is not None}
        return function(*args, options=options, **kwargs)

    for option in (
        click.option("--mapper", metavar="NAME", shell_complete=completed_by(*MAPPERS), help=f"{mapper} [default: default]"),
        click.option("--seed", type=click.IntRange(min=1), metavar="N", help=f"{seed} [default: 1]"),
        click.option("--effort", metavar="HOW", shell_complete=completed_by(*EFFORTS), help=f"{effort} [default: default]"),
        click.option("--fan-out", metavar="HOW", shell_complete=completed_by(*FAN_OUT), help=f"{fan_out} [default: auto]"),
        click.option("--approximate-leak", is_flag=True, help=leak),
        click.option("--partial-sums", is_flag=True, help=partial),
        click.option("--weights", metavar="LEVELS", shell_complete=completed_by(*LEVELS), help=f"{levels} [default: auto]"),
        click.option(
            "--compare",
            multiple=True,
            metavar="HOW",
            shell_complete=completed_by("exact", "gt", "ge", *COMPARISONS),
            help=f"{compare} [default: exact]",
        ),
        click.option("--ticks-per-step", type=click.IntRange(min=1), metavar="K", help=f"{steps} [default: 1]"),
        click.option("--allow-extension", multiple=True, metavar="NAME", help=f"{extension} Repeatable."),
    ):
        call = option(call)
    return cast("Function", call)


def reading(function: Function) -> Function:
    """Add the options of files that leave things open, which arrive as a mapping ``reading`` of those that are given.

    Above it may stand `compilation`, whose ``--compare`` then serves both.
    """

    @functools.wraps(function)
    def call(*args: Any, compare: Sequence[str], **kwargs: Any) -> Any:
        said = {name: kwargs.pop(name) for name in ("dt", "reset", "reset_when", "integration", "trained_in", "ticks")}
        said["compare"] = _only("--compare", compare)
        return function(*args, reading={name: value for name, value in said.items() if value is not None}, **kwargs)

    frameworks = ("snntorch", "norse", "sinabs", "spyx", "rockpool", "spikingjelly", "lava")
    when = ("same_tick", "next_tick", "next_update")
    trained = "The framework that made the file, whose rules then hold"
    for option in (
        click.option("--ticks", type=click.IntRange(min=1), metavar="N", help="NIR: ticks per sample. [default: 100]"),
        click.option("--integration", type=click.Choice(["exact", "euler"]), help="NIR: how state decays in a tick."),
        click.option("--reset-when", type=click.Choice(when), help="NIR: in which tick, and where in it."),
        click.option("--reset", type=click.Choice(["zero", "subtract", "value", "none"]), help="NIR: what a spike does to v."),
        click.option("--dt", metavar="TIME", help="NIR: length of a tick, 0.1ms or 1e-4; times of the file are seconds."),
        click.option("--trained-in", type=click.Choice(frameworks), help=f"NIR: {trained} (docs/nir.md)."),
    ):
        call = option(call)
    return cast("Function", call)


def comparison(function: Function) -> Function:
    """Add ``--compare`` to a command that does not compile."""
    what = "NIR: whether a potential at the threshold spikes (>=) or not (>)."
    return click.option("--compare", multiple=True, type=click.Choice(COMPARISONS), help=what)(function)


def _only(option: str, words: Sequence[str]) -> str | None:
    """Return the one word of a repeatable option."""
    if len(set(words)) > 1:
        raise UsageError(Diagnostic("NC0801", f"{option} says both {' and '.join(dict.fromkeys(words))}", hint="say one"))
    return words[0] if words else None


def jobs(function: Function) -> Function:
    """Add ``--jobs``."""
    what = "Threads; default: one per processor. Results do not depend on it."
    return click.option("--jobs", "-j", type=click.IntRange(min=1), metavar="N", help=what)(function)


def profile(function: Function) -> Function:
    """Add ``--profile``."""
    what = (
        "A trace of 'neurocomp run ... --probe all': its spikes per tick are the rates of the neurons, by which packets count."
    )
    kind = click.Path(path_type=Path)
    return click.option("--profile", type=kind, metavar="TRACE.npz", help=what)(function)


def samples(function: Function) -> Function:
    """Add ``--samples``."""
    return click.option("--samples", type=click.IntRange(min=1), metavar="N", help="Use at most N samples.")(function)


def stimulus(function: Function) -> Function:
    """Add ``--input``."""
    what = "Spikes as they leave the encoders: an integer array (samples, ticks, *shape) per input population, named as it."
    kind = click.Path(path_type=Path)
    return click.option("--input", "-i", "inputs", type=kind, metavar="X.npz", help=what)(function)


def data(function: Function) -> Function:
    """Add ``--data``."""
    what = "Data (samples, *shape) of an input population, in place of the declared ones; repeatable."
    return click.option("--data", multiple=True, metavar="POP=FILE.npz#key", callback=_references, help=what)(function)


def labels(function: Function) -> Function:
    """Add ``--labels``."""
    return click.option("--labels", metavar="FILE.npz#key", help="The right answers, in place of the declared ones.")(function)


def refuse_two_stimuli(inputs: Path | None, data: Mapping[str, str]) -> None:
    """Refuse ``--input`` beside ``--data``.

    Raises:
        UsageError: Both are given (NC0801).
    """
    if data and inputs is not None:
        raise UsageError(Diagnostic("NC0801", "--input and --data both say what goes in", hint="leave one of them out"))


def completed_by(*words: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Return a completion that knows some words, of a value that may also be another one."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(word) for word in words if word.startswith(incomplete)]

    return complete


def _complete_target(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    from neurocomp import registry

    if "/" in incomplete or incomplete.startswith("."):
        return [CompletionItem(incomplete, type="file")]
    return [CompletionItem(name) for name in registry.spec_files() if name.startswith(incomplete)]


def _references(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Return POP=FILE.npz#key as a table."""
    table: dict[str, str] = {}
    for value in values:
        population, equals, reference = value.partition("=")
        if not (population and equals and reference):
            raise click.BadParameter(f"'{value}' is not POP=FILE.npz#key", ctx, param)
        if population in table:
            raise click.BadParameter(f"'{population}' is given twice", ctx, param)
        table[population] = reference
    return table
