"""Networks of neurocomp's own, which the importers of other frameworks read from NIR and run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.network import Network, Neuron, Population, Projection, frozen
from neurocomp.models.neurons import NEURON_MODELS, Semantics
from neurocomp.models.patterns import Pattern
from neurocomp.simulation import simulate

Array = NDArray[Any]
DT = 1e-4
SAMPLES, TICKS = 8, 16


def numbers(seed: int, *shape: int, largest: int = 8) -> Array:
    """Return multiples of 1/8 from -largest/8 to largest/8, as read-only float32."""
    drawn = np.random.default_rng(seed).integers(-largest, largest, shape, endpoint=True)
    return frozen((drawn / 8).astype(np.float32))


def neuron(model: str, threshold: float = 1.0, **axes: Any) -> Neuron:
    """Return neurons of which a tick leaves half of every state."""
    parameters = {key: frozen(np.float64(2 * DT if key.startswith("tau") else p.default or 0.0))
                  for key, p in NEURON_MODELS[model].parameters.items()}  # fmt: skip
    parameters["v_threshold"] = frozen(np.float64(threshold))
    return Neuron(model, parameters, Semantics(integration="euler", **axes))


def layers(model: str, *, recurrent: bool = False, **axes: Any) -> Network:
    """Return two layers with biases, as sinabs' importer skips what has none, the first recurrent where that is wanted."""
    cell = neuron(model, **axes)
    populations = {
        "input": Population("input", (6,)),
        "hidden": Population("hidden", (10,), cell),
        "out": Population("out", (5,), cell),
    }
    projections = [
        Projection("input->hidden", "input", "hidden", Pattern("dense"), numbers(1, 10, 6), numbers(2, 10, largest=1)),
        Projection("hidden->out", "hidden", "out", Pattern("dense"), numbers(3, 5, 10), numbers(4, 5, largest=2)),
    ]
    if recurrent:
        one = frozen(np.asarray(1, np.int64))
        loop = Projection("hidden->hidden", "hidden", "hidden", Pattern("dense"), numbers(5, 10, 10, largest=4), None, one)
        projections.insert(1, loop)
    return Network("ours", DT, TICKS, populations, tuple(projections)).verify()


def convolution(model: str, **axes: Any) -> Network:
    """Return a convolution and a linear layer."""
    cell = neuron(model, **axes)
    two = {key: (value, value) for key, value in (("stride", 2), ("padding", 1), ("dilation", 1))}
    pattern = Pattern("conv2d", {}, {"kernel": (3, 3), **two, "groups": (1,)})
    populations = {
        "input": Population("input", (2, 6, 6)),
        "hidden": Population("hidden", (4, 3, 3), cell),
        "out": Population("out", (5,), cell),
    }
    bias = frozen(np.repeat(numbers(2, 4, largest=1), 9))
    projections = (
        Projection("input->hidden", "input", "hidden", pattern, numbers(1, 4, 2, 3, 3, largest=4), bias),
        Projection("hidden->out", "hidden", "out", Pattern("dense"), numbers(3, 5, 36), numbers(4, 5, largest=1)),
    )
    return Network("ours", DT, TICKS, populations, projections).verify()


AT_LEAST: Mapping[str, Any] = {"compare": ">="}
CURRENT: Mapping[str, Any] = {"input": "current", "threshold": 0.25}
MANY: Mapping[str, Any] = {"compare": ">=", "spikes_per_tick": "many", "reset": "subtract", "v_floor": -1.0}
NETWORKS: Mapping[str, Callable[[], Network]] = {
    "lif": lambda: layers("lif"),
    "lif_at_least": lambda: layers("lif", **AT_LEAST),
    "lif_current": lambda: layers("lif", **CURRENT),
    "lif_current_at_least": lambda: layers("lif", **CURRENT, **AT_LEAST),
    "cuba": lambda: layers("cuba_lif"),
    "cuba_at_least": lambda: layers("cuba_lif", **AT_LEAST),
    "if": lambda: layers("if"),
    "if_at_least": lambda: layers("if", **AT_LEAST),
    "if_many": lambda: layers("if", **MANY),
    "recurrent": lambda: layers("lif", recurrent=True),
    "recurrent_current": lambda: layers("lif", recurrent=True, **CURRENT),
    "recurrent_at_least": lambda: layers("lif", recurrent=True, **AT_LEAST),
    "conv": lambda: convolution("lif"),
    "conv_at_least": lambda: convolution("lif", **AT_LEAST),
    "conv_if": lambda: convolution("if"),
    "conv_many": lambda: convolution("if", **MANY),
}


def stimulus(network: Network) -> Array:
    """Return seeded spikes, (samples, ticks, *shape)."""
    shape = network.inputs[0].shape
    return (np.random.default_rng(7).random((SAMPLES, TICKS, *shape)) < 0.4).astype(np.int8)


def spikes_of(network: Network, x: Array) -> list[Array]:
    """Return what neurons do in the float simulation: spikes, or potentials of those that have none."""
    trace = simulate(network, {network.inputs[0].name: x.astype(np.int32)})
    return [
        trace.spikes[p.name] if NEURON_MODELS[p.neuron.model].fires else trace.v[p.name]
        for p in network.populations.values()
        if p.neuron is not None
    ]
