"""A liquid state machine: drawn recurrent neurons, and a linear readout that alone is learned (Maass 2002).

The liquid is a column of 3 x 3 x 15 neurons, a fifth of them inhibitory; a joins b with the probability C exp(-(D / 2)^2), D
their distance, C = 0.3, 0.2, 0.4, 0.1 for excitatory to excitatory, e to i, i to e and i to i. The task is that of the paper:
from which template do jittered spike trains come? Here 8 templates of 20 channels with 6 spikes each, each off by 2 ticks
(standard deviation). A linear readout of the channels' own counts is right in 44.6 % of 240 trains; of the counts of the
liquid's neurons, by ridge regression, in 93.3 %. That is the liquid's nonlinearity, not its recurrence: without recurrent
synapses it is 97.1 %, as coincidences within a membrane's time constant tell these templates apart.

The readout is spiking neurons, so that it runs on every chip: integrate-and-fire, with a bias that keeps them from falling
silent. Three of them vote for a class, each of which hears a third of the liquid, as a crossbar of TrueNorth has 256 axons,
four per neuron that is heard with 4-bit weights.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from examples.families import Family, Part
from neurocomp.frontends import from_yaml
from neurocomp.ir.network import Network

Array = NDArray[Any]
HERE = Path(__file__).parent
GRID, LIQUID, CHANNELS, CLASSES, THIRDS = (3, 3, 15), 135, 20, 8, 3
TICKS, SPIKES, JITTER, HEARD = 100, 6, 2.0, 4
"""Spikes of a channel; ticks of jitter; channels that a neuron of the liquid hears."""
IN, EXCITE, INHIBIT, THRESHOLD = 0.5, 0.25, -0.5, 1.21875
"""Powers of two, which float64 adds exactly, and a threshold that no sum of them meets: rounding decides no spike."""
TRAINED, TESTED, CALIBRATED = 4000, 240, 32
TAU, LEAK = 10.0, 0.0625
"""Of the exponential leak, in ticks; of the linear one, per tick."""


def liquid() -> dict[str, Array]:
    """Return which channels and neurons join which neurons: the ends of synapses in, excitatory, and inhibitory."""
    rng = np.random.default_rng(1)
    inhibitory = rng.permutation(LIQUID) < LIQUID // 5
    places = np.indices(GRID).reshape(3, -1).T
    squared = ((places[:, np.newaxis] - places) ** 2).sum(axis=2)
    c = np.where(inhibitory[:, np.newaxis], np.where(inhibitory, 0.1, 0.4), np.where(inhibitory, 0.2, 0.3))
    joined = (rng.random(c.shape) < c * np.exp(-squared / 4)) & ~np.eye(LIQUID, dtype=bool)
    heard = np.stack([rng.choice(CHANNELS, HEARD, replace=False) for _ in range(LIQUID)])
    ends = {
        "in": (heard.ravel(), np.repeat(np.arange(LIQUID), HEARD)),
        "excite": np.nonzero(joined & ~inhibitory[:, np.newaxis]),
        "inhibit": np.nonzero(joined & inhibitory[:, np.newaxis]),
    }
    return {f"{name}_{end}": found for name, pair in ends.items() for end, found in zip(("from", "to"), pair, strict=True)}


def trains(seed: int, count: int) -> tuple[Array, Array]:
    """Return jittered spike trains (samples, ticks, channels) and the templates that they come from."""
    templates = np.random.default_rng(2).integers(4, TICKS - 10, (CLASSES, CHANNELS, SPIKES))
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % CLASSES)
    ticks = np.rint(templates[labels] + rng.normal(0, JITTER, (count, CHANNELS, SPIKES)))
    spikes = np.zeros((count, TICKS, CHANNELS), np.uint8)
    spikes[np.arange(count)[:, None, None], ticks.clip(0, TICKS - 1).astype(int), np.arange(CHANNELS)[:, None]] = 1
    return spikes, labels


def counts(spikes: Array, joined: dict[str, Array], *, linear: bool = False, alone: bool = False) -> Array:
    """Return how often each neuron of the liquid fires, (samples, 135): the liquid in numpy.

    Args:
        spikes: (samples, ticks, channels).
        joined: What `liquid` returns.
        linear: Whether the leak is linear.
        alone: Whether the neurons hear no other neuron.
    """
    weights = {}
    for name, size, weight in (("in", CHANNELS, IN), ("excite", LIQUID, EXCITE), ("inhibit", LIQUID, INHIBIT)):
        weights[name] = np.zeros((size, LIQUID))
        weights[name][joined[f"{name}_from"], joined[f"{name}_to"]] = weight * (name == "in" or not alone)
    v, total = np.zeros((len(spikes), LIQUID)), np.zeros((len(spikes), LIQUID), int)
    late = [np.zeros((len(spikes), LIQUID)) for _ in range(2)]
    for tick in range(spikes.shape[1]):
        v = v if linear else v * np.exp(-1 / TAU)
        v = v + spikes[:, tick] @ weights["in"] + late[-1] @ weights["inhibit"] + late[-2] @ weights["excite"]
        v = v - LEAK * np.sign(v) if linear else v
        fired = v > THRESHOLD
        v = np.where(fired, 0.0, v)
        late = [late[-1], fired.astype(float)]
        total += fired
    return total


def ridge(x: Array, labels: Array, penalty: float = 0.03) -> tuple[Array, Array]:
    """Return weights (features, classes) and the mean of the features."""
    mean = x.mean(axis=0)
    gram = (x - mean).T @ (x - mean) + penalty * len(x) * np.eye(x.shape[1])
    return np.linalg.solve(gram, (x - mean).T @ (np.eye(CLASSES)[labels] - 1 / CLASSES)), mean


def four_bits(row: Array) -> Array:
    """Return weights of one neuron in -7 .. 7 steps, of the step with the smallest squared error."""
    steps = np.abs(row).max() / 7 * np.linspace(0.5, 1.0, 11)
    rounded = [np.rint(row / step).clip(-7, 7) * step for step in steps]
    return min(rounded, key=lambda values: float(((values - row) ** 2).sum()))


def readout(x: Array, labels: Array) -> dict[str, Array]:
    """Return weights (3, 8, 45) and biases (24,) of the readout, whose thresholds are 1; x are counts (samples, 135)."""
    weights, mean = ridge(x, labels)
    rows = [[four_bits(row) for row in third.T] for third in np.split(weights, THIRDS)]
    means, seen = np.split(mean, THIRDS), np.split(x - mean, THIRDS, axis=1)
    # Without the bias no sum of a whole sample is beyond 15 thresholds: with more, more is left in the potential when the
    # sample ends. What the mean takes off is spread over the ticks.
    unit = 15 / max(float(np.abs(part @ np.transpose(third)).max()) for third, part in zip(rows, seen, strict=True))
    scaled = unit * np.array(rows)
    bias = 0.5 - np.concatenate([third @ part for third, part in zip(scaled, means, strict=True)]) / TICKS
    return {"weights": scaled.astype(np.float32), "bias": bias.astype(np.float32)}


def train() -> None:
    """Draw the liquid and the trains, and learn the readouts."""
    joined = liquid()
    spikes, labels = trains(3, TRAINED)
    test, wanted = trains(4, TESTED)
    arrays = {**joined, "test": test, "labels": wanted, "calibration": trains(5, CALIBRATED)[0]}
    for name, options in (("lif", {}), ("linear", {"linear": True}), ("alone", {"alone": True})):
        x, seen = counts(spikes, joined, **options), counts(test, joined, **options)
        weights, mean = ridge(x, labels)
        right = (((seen - mean) @ weights).argmax(axis=1) == wanted).mean()
        print(f"{name}: {100 * right:.2f} % of {TESTED}, a spike in {x.mean() / TICKS:.3f} of the ticks", file=sys.stderr)
        if name != "alone":
            arrays |= {f"{name}_{key}": value for key, value in readout(x, labels).items()}
    weights, mean = ridge(spikes.sum(axis=1), labels)
    right = (((test.sum(axis=1) - mean) @ weights).argmax(axis=1) == wanted).mean()
    print(f"the channels' own counts: {100 * right:.2f} %", file=sys.stderr)
    small = {key: value.astype(np.uint8) if value.dtype == np.int64 else value for key, value in arrays.items()}
    np.savez_compressed(HERE / "lsm.npz", **cast("dict[str, Any]", small))


NEURONS = {
    "lif": (
        "{model: lif, tau_mem: 10 ms, v_threshold: 1.21875, reset: zero, compare: '>'}",
        "{model: if, reset: subtract, compare: '>'}",
    ),
    "linear": (
        "{model: linear_lif, leak: 0.0625, v_threshold: 1.21875, reset: zero, compare: '>='}",
        "{model: if, reset: subtract, compare: '>='}",
    ),
}


def network(kind: str) -> Network:
    """Return the machine with neurons of ``lif`` or ``linear``."""
    neuron, answer = NEURONS[kind]

    def ends(name: str) -> str:
        return f"pattern: {{sparse: {{sources: lsm.npz#{name}_from, targets: lsm.npz#{name}_to}}}}"

    text = f"""
        neurocomp: 1
        name: lsm-{kind}
        timestep: 1 ms
        ticks: {TICKS}
        populations:
          channels: {{kind: input, shape: [{CHANNELS}]}}
          liquid: {{shape: {list(GRID)}, neuron: {neuron}}}
          readout: {{shape: [{THIRDS}, {CLASSES}], neuron: {answer}}}
        projections:
          - {{from: channels, to: liquid, {ends("in")}, weights: {IN}}}
          - {{from: liquid, to: liquid, {ends("excite")}, weights: {EXCITE}, delay: 2, name: excite}}
          - {{from: liquid, to: liquid, {ends("inhibit")}, weights: {INHIBIT}, delay: 1, name: inhibit}}
          - from: liquid
            to: readout
            pattern: {{block: {{indices: {np.arange(LIQUID).reshape(THIRDS, -1).tolist()}}}}}
            weights: lsm.npz#{kind}_weights
            bias: lsm.npz#{kind}_bias
        encode: {{channels: {{scheme: direct}}}}
        decode: {{readout: {{scheme: vote, classes: {CLASSES}}}}}
        data: {{inputs: {{channels: lsm.npz#test}}, labels: lsm.npz#labels, calibration: {{channels: lsm.npz#calibration}}}}
    """
    return from_yaml.loads(text, HERE)


FAMILY = Family(
    "Liquid state machine: 80 % excitatory, 20 % inhibitory, joined by distance; a linear readout",
    "Maass, Natschläger and Markram, Real-time computing without stable states, Neural Computation 14, 2002",
    {
        "": Part(lambda: network("lif"), {"truenorth": {"approximate_leak": True, "compare": "ge"}}),
        "linear": Part(lambda: network("linear"), targets=("loihi", "truenorth")),
    },
    train,
)
"""What becomes of a liquid state machine on each chip."""
