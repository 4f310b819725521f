"""What every framework's script needs, inside the framework's environment: seeded networks, their spikes, the report.

Weights are multiples of 1/8, thresholds and what a tick leaves of a state have few binary digits, and runs are short: float32
in the framework and float64 in neurocomp then hold the same numbers, and a potential at its threshold is at it in both.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.peers.interop.ours import Array, spikes_of
from neurocomp.ir.network import Network

SAMPLES, TICKS = 8, 16


def numbers(seed: int, *shape: int, largest: int = 8) -> torch.Tensor:
    """Return multiples of 1/8 from -largest/8 to largest/8."""
    drawn = np.random.default_rng(seed).integers(-largest, largest, shape, endpoint=True)
    return torch.from_numpy((drawn / 8).astype(np.float32))


def stimulus(seed: int, *shape: int) -> torch.Tensor:
    """Return spikes, (ticks, samples, *shape)."""
    drawn = np.random.default_rng(seed).random((TICKS, SAMPLES, *shape)) < 0.4
    return torch.from_numpy(drawn.astype(np.float32))


def linear(seed: int, inputs: int, outputs: int, *, bias: bool = False) -> torch.nn.Linear:
    """Return a linear layer of seeded weights."""
    layer = torch.nn.Linear(inputs, outputs, bias=bias)
    layer.weight = torch.nn.Parameter(numbers(seed, outputs, inputs))
    if bias:
        layer.bias = torch.nn.Parameter(numbers(seed + 1, outputs, largest=2))
    return layer


def convolution(seed: int, inputs: int, outputs: int, **options: Any) -> torch.nn.Conv2d:
    """Return a convolution of seeded weights, with a bias."""
    layer = torch.nn.Conv2d(inputs, outputs, 3, **options)
    layer.weight = torch.nn.Parameter(numbers(seed, *layer.weight.shape, largest=4))
    layer.bias = torch.nn.Parameter(numbers(seed + 1, outputs, largest=1))
    return layer


class Recorder:
    """Collects what neurons give, tick by tick."""

    def __init__(self, net: torch.nn.Module, kinds: tuple[type, ...]) -> None:
        self.layers: list[list[Array]] = []
        for module in net.modules():
            if type(module) in kinds:
                module.register_forward_hook(self._hook(len(self.layers)))
                self.layers.append([])

    def _hook(self, at: int) -> Callable[..., None]:
        def keep(_module: Any, _inputs: Any, output: Any) -> None:
            spikes = output[0] if isinstance(output, tuple) else output
            self.layers[at].append(spikes.detach().numpy().copy())

        return keep

    def arrays(self) -> list[Array]:
        """Return the layers, each (samples, ticks, n)."""
        stacked = [np.stack(steps, axis=1) for steps in self.layers]
        return [layer.reshape(*layer.shape[:2], -1) for layer in stacked]

    def alone(self) -> list[Array]:
        """Return the layers of a run without an axis for samples, each (ticks, n)."""
        return [np.stack(steps).reshape(len(steps), -1) for steps in self.layers]


class Cases:
    """The report of one framework, written into the folder that the command line names."""

    def __init__(self, packages: Sequence[str]) -> None:
        self.folder = Path(sys.argv[1])
        versions = {name: importlib.metadata.version(name) for name in packages}
        self.report: dict[str, Any] = {"versions": versions, "cases": {}}

    def add(
        self, name: str, build: Callable[[], torch.nn.Module], x: torch.Tensor,
        run: Callable[[torch.nn.Module, torch.Tensor], list[Array]],
        export: Callable[[torch.nn.Module, torch.Tensor, Path], None], take: Callable[..., Network],
        sample: torch.Tensor | None = None, **options: Any,
    ) -> None:  # fmt: skip
        """Record the spikes of a network, export it, and let neurocomp take the model itself.

        Args:
            name: Of the case.
            build: Returns the network, the same each time.
            x: Spikes, (ticks, samples, *shape).
            run: Returns the spikes of each layer of neurons, (samples, ticks, n).
            export: Writes the network into a file, given spikes of one tick.
            take: ``neurocomp.from_...``.
            sample: What the exporter is given; None: one tick of one sample.
            options: Of ``take``.
        """
        found: dict[str, str] = {}
        sample = x[0, :1] if sample is None else sample
        with torch.no_grad():
            layers = run(build(), x)
        arrays: dict[str, Any] = {f"layer_{at}": layer for at, layer in enumerate(layers)}
        inputs = x.numpy().swapaxes(0, 1).reshape(x.shape[1], x.shape[0], -1)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            try:
                export(build(), sample, self.folder / f"{name}.nir")
            except Exception as error:
                found["export"] = told(error)
            try:
                network = take(build(), sample, **options)
            except Exception as error:
                found["take"] = told(error)
            else:
                for at, layer in enumerate(spikes_of(network, inputs)):
                    arrays[f"taken_{at}"] = layer
        found["printed"] = printed.getvalue()
        np.savez(self.folder / f"{name}.npz", x=inputs, **arrays)
        self.report["cases"][name] = found

    def foreign(
        self, run: Callable[[Any, torch.Tensor], list[Array]], read: Callable[[Path], Any], which: str, how: str = "",
        *, batched: bool = True,
    ) -> None:  # fmt: skip
        """Run files that we hand over, ``ours/WHICH.nir`` with the spikes of ``ours/WHICH.npz``, in the framework.

        Without ``batched`` each sample runs alone and without an axis for it: an importer may take a Flatten as it stands.
        """
        for path in sorted((self.folder / "ours").glob(f"{which}.nir")):
            found: dict[str, str] = {}
            name = f"read_{path.stem}_{how}" if how else f"read_{path.stem}"
            try:
                with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()), np.load(path.with_suffix(".npz")) as stored:
                    x = torch.from_numpy(stored["x"].swapaxes(0, 1).astype(np.float32))
                    if batched:
                        layers = run(read(path), x)
                    else:
                        alone = [run(read(path), x[:, at]) for at in range(x.shape[1])]
                        layers = [np.stack(same) for same in zip(*alone, strict=True)]
                arrays: dict[str, Any] = {f"layer_{at}": layer for at, layer in enumerate(layers)}
                np.savez(self.folder / f"{name}.npz", **arrays)
            except Exception as error:
                found["read"] = told(error)
            self.report["cases"][name] = found

    def write(self) -> None:
        """Write the report."""
        (self.folder / "report.json").write_text(json.dumps(self.report))


def told(error: Exception) -> str:
    """Return an exception in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
