"""``neurocomp import --to-snn``: options, and what is printed of a conversion."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from neurocomp.cli.output import Output
from neurocomp.cli.written import network_document, print_network
from neurocomp.errors import Diagnostic, UsageError

if TYPE_CHECKING:
    from neurocomp.conversion.waterfall import Waterfall

Function = TypeVar("Function", bound=Callable[..., Any])

_TITLES = {
    "ANN": "ANN",
    "averages": "averages for maxima",
    "clipped": "clipped at lambda",
    "ticks": "T ticks",
    "quantized": "quantized",
    "mapped": "mapped",
}
_NAMES = (
    "calibration", "test", "labels", "scale", "normalize", "percentile", "input", "max_pool", "start", "readout", "timesteps",
    "accuracy", "target", "integers", "code",
)  # fmt: skip


def conversion(function: Function) -> Function:
    """Add the options of a conversion, which arrive as ``to_snn`` and a mapping ``conversion`` of those that are given."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        said = {name: value for name in _NAMES if (value := kwargs.pop(name)) is not None}
        return function(*args, conversion=said, **kwargs)

    array, word = "FILE.npz#key", click.Choice
    for option in reversed((
        click.option("--to-snn", is_flag=True, help="ONNX: make a spiking network of it (docs/ann-to-snn.md)."),
        click.option("--calibration", metavar=array, help="ONNX: data (samples, *shape) that set scales and quantization."),
        click.option("--test", metavar=array, help="ONNX: data to measure on. [default: those of --calibration]"),
        click.option("--labels", metavar=array, help="ONNX: the right answers of the data that are measured."),
        click.option("--scale", metavar="S", help="ONNX: factor on the data, such as 1/255. [default: 1]"),
        click.option("--normalize", type=word(["none", "model", "data", "percentile", "spikes"]),
                     help="ONNX: what sets the scale of a layer. [default: percentile]"),
        click.option("--percentile", type=click.FloatRange(0, 100, min_open=True), metavar="P",
                     help="ONNX: of the activations above 0. [default: 99.9]"),
        click.option("--input", type=word(["current", "rate", "bernoulli", "poisson"]),
                     help="ONNX: how data enter. [default: current]"),
        click.option("--code", type=word(["rate", "ttfs"]),
                     help="ONNX: rates, or times of first spikes, stand for values. [default: rate]"),
        click.option("--max-pool", type=word(["refuse", "average", "spikes", "neurons"]),
                     help="ONNX: what stands for a maximum. [default: refuse]"),
        click.option("--start", type=word(["half", "zero"]),
                     help="ONNX: where potentials start, of the threshold. [default: half]"),
        click.option("--readout", type=word(["potential", "count"]), help="ONNX: the answer of outputs. [default: potential]"),
        click.option("--timesteps", metavar="N|auto", help="ONNX: ticks per sample; ttfs: per layer. [default: 64, 32]"),
        click.option("--accuracy", type=click.FloatRange(0, 1, min_open=True), metavar="A",
                     help="ONNX: what --timesteps auto must reach. [default: 0.99]"),
        click.option("--target", metavar="T", help="ONNX: whose integers are measured; none: no one's. [default: loihi]"),
        click.option("--integers", type=click.IntRange(min=0), metavar="N",
                     help="ONNX: samples that are run in integers. [default: 200]"),
    )):  # fmt: skip
        call = option(call)
    return cast("Function", call)


def convert(path: Path, out: Path, said: Mapping[str, Any], reading: Mapping[str, Any], output: Output) -> None:
    """Convert, write net.yaml and its arrays, and print the choices and the waterfall."""
    from neurocomp import api
    from neurocomp.conversion.options import RESETS, Options
    from neurocomp.data.arrays import load_array

    others = [f"--{name.replace('_', '-')}" for name in reading if name not in ("reset", "ticks")]
    if others:
        raise UsageError(Diagnostic("NC0801", f"{', '.join(others)}: a conversion decides this"))
    if reading.get("reset", "subtract") not in RESETS:
        raise UsageError(Diagnostic("NC0801", "--reset: a conversion resets by 'subtract' or to 'zero'"))
    if "calibration" not in said:
        hint = "name data with --calibration FILE.npz#key"
        raise UsageError(Diagnostic("NC0801", "--to-snn needs calibration data", hint=hint))
    if "test" in said and "labels" not in said:
        output.warn("--test without --labels: agreement is measured, not accuracy")
    if said.get("code") == "ttfs":
        decided = [f"--{name}" for name in ("input", "readout", "reset") if name in said or name in reading]
        if decided:
            raise UsageError(Diagnostic("NC0801", f"{', '.join(decided)}: --code ttfs decides this", hint="leave it out"))
        if said.get("normalize") == "spikes":
            hint = "choose --normalize data or percentile"
            raise UsageError(Diagnostic("NC0801", "--normalize spikes needs rates, which --code ttfs has not", hint=hint))
    ticks, is_auto = _ticks(said.get("timesteps"), reading.get("ticks"), 32 if said.get("code") == "ttfs" else 64)
    if "accuracy" in said and not is_auto:
        raise UsageError(Diagnostic("NC0801", "--accuracy says what --timesteps auto must reach", hint="add --timesteps auto"))
    named = ("normalize", "percentile", "input", "max_pool", "start", "readout", "code")
    chosen = {name: said[name] for name in named if name in said}
    options = Options(**chosen, reset=reading.get("reset", "subtract"), ticks=ticks)
    data = {name: load_array(said[name], Path()) for name in ("calibration", "test", "labels") if name in said}
    scale = _scale(said.get("scale"))
    if scale is None:
        scale = 1.0
        if data["calibration"].dtype.kind in "iu" and data["calibration"].max(initial=0) > 1:
            output.warn(f"the data are {data['calibration'].dtype}; --scale 1/255 brings bytes to 0..1")
    target = said.get("target", "loihi")
    with output.progress(f"converting {path.name}") as advance:
        made = api.to_snn(
            path, data["calibration"], test=data.get("test"), labels=data.get("labels"), scale=scale, options=options,
            accuracy=said.get("accuracy", 0.99) if is_auto else None, target=None if target == "none" else target,
            count=said.get("integers", 200), progress=advance,
        )  # fmt: skip
    files = api.write_network(made.network, out, path.name)
    network = made.network
    if output.as_json:
        output.json({"format": "onnx", **network_document(network, files), "waterfall": made.waterfall.as_json()})
        return
    print_network(network, files, output)
    if not output.quiet:
        _print(made.waterfall, target, output)
    output.suggest(f"neurocomp compile {files[0]} --target {target if target != 'none' else 'loihi'}")


def _ticks(timesteps: str | None, ticks: int | None, default: int) -> tuple[int, bool]:
    """Return the ticks, and whether they are to be chosen."""
    if timesteps is not None and ticks is not None:
        raise UsageError(Diagnostic("NC0801", "--timesteps and --ticks say the same", hint="say one"))
    if timesteps is None:
        return ticks or default, False
    if timesteps == "auto":
        return default, True
    if not timesteps.isascii() or not timesteps.isdigit() or not 0 < int(timesteps) <= 1 << 20:
        message = f"--timesteps is '{timesteps}'; a whole number from 1 on or 'auto' is needed"
        raise UsageError(Diagnostic("NC0801", message))
    return int(timesteps), False


def _scale(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        value = float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        value = 0.0
    if not value > 0:
        message = f"--scale is '{text}'; a number or a fraction above 0 is needed"
        raise UsageError(Diagnostic("NC0801", message, hint="write such as 1/255"))
    return value


def _print(waterfall: Waterfall, target: str, output: Output) -> None:
    """Print the accuracies step by step, and the layers' part in them."""
    from neurocomp.report import terminal

    rows: list[Sequence[str]] = []
    for stage in waterfall.stages:
        title = _TITLES[stage.name]
        if stage.name == "ticks":
            title = terminal.counted(waterfall.ticks, "tick")
            if waterfall.window is not None:
                title = f"first spikes, {title}"
        elif stage.name in ("quantized", "mapped"):
            title = f"{title} ({target})"
        has = stage.accuracy is not None and stage.before is not None
        change = f"{100 * ((stage.accuracy or 0) - (stage.before or 0)):+.2f}" if has else ""
        accuracy = "" if stage.accuracy is None else f"{100 * stage.accuracy:.2f} %"
        rows.append((title, accuracy, change, f"{100 * stage.agreement:.2f} %", f"{stage.samples:,}"))
    output.summary("", terminal.table(("step", "accuracy", "points", "same answer", "samples"), rows))
    found = waterfall.layers
    steps = list(dict.fromkeys(loss.stage for loss in found))
    lines = []
    for layer in dict.fromkeys(loss.layer for loss in found):
        own = {loss.stage: loss for loss in found if loss.layer == layer}
        last = own[steps[-1]]
        lines.append((layer, *(f"{100 * own[step].error:.2f} %" for step in steps), f"{last.correlation:.4f}"))
    output.summary("", terminal.table(("mean error of values", *(_TITLES[step] for step in steps), "correlation"), lines))
    costliest = waterfall.costliest
    if costliest is not None:
        step, loss = costliest
        text = f"layer '{loss.layer}', step '{_TITLES[step.name]}': {waterfall.cause(step)} (adds {100 * loss.added:.2f} %)"
        output.summary("", terminal.facts([("largest loss", text)]))
