"""NeuCube: a cube of neurons whose recurrent synapses learn by STDP, and a classifier of its spikes (Kasabov 2014).

Eight signals become spikes by the step-forward code, which enter the cube of 5 x 5 x 5 neurons at 16 places. Neurons are joined
as in a small world: near ones with a probability that falls with the distance, and a few with others anywhere; a fifth of them
are inhibitory, and the synapses of the others learn by pair STDP. The toy task: the signals are the same wave, which runs along
the eight channels in one of two directions at one of two speeds, from a random phase; noise is added.

As in NeuCube, the cube first learns without labels, from 64 samples one after the other; then spikes are counted per neuron,
and a linear classifier learns from the counts. Here its weights are those of neurons that vote, five for a class, each of
which hears a fifth of the cube. In use the synapses go on learning within a sample (``across_samples: false``). The part
``frozen`` is the same cube after its learning has stopped. Before it has learned, the cube is overexcited: a neuron fires in
69 % of the ticks, and the classifier is right in 62 % of 200 samples; after that in 9 % of the ticks, and 98.5 %.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from examples.families import Family, Part
from examples.families.lsm.family import four_bits
from neurocomp.api import run_network
from neurocomp.frontends import from_yaml
from neurocomp.ir.network import Data, Network, Samples

Array = NDArray[Any]
HERE = Path(__file__).parent
SIDE, NEURONS, CHANNELS, CLASSES, PARTS, TICKS = 5, 125, 8, 4, 5, 60
NEAR, FAR = 1.5, 0.01
"""Range of local synapses in neurons; probability of any other one."""
DRIVE, W_MAX, INHIBIT = 1.2, 0.5, -0.2
SHOWN, TRAINED, TESTED, CALIBRATED = 64, 600, 200, 16


def cube() -> dict[str, Array]:
    """Return the ends of synapses, ``in``, ``excite`` and ``inhibit``, and the weights that learning starts from."""
    rng = np.random.default_rng(1)
    places = np.indices((SIDE, SIDE, SIDE)).reshape(3, -1).T
    distance = np.sqrt(((places[:, np.newaxis] - places) ** 2).sum(axis=2))
    joined = (rng.random(distance.shape) < np.exp(-((distance / NEAR) ** 2)) + FAR) & ~np.eye(NEURONS, dtype=bool)
    inhibitory = (rng.permutation(NEURONS) < NEURONS // 5)[:, np.newaxis]
    excite, inhibit = np.nonzero(joined & ~inhibitory), np.nonzero(joined & inhibitory)
    entries = np.linspace(0, NEURONS - 1, 2 * CHANNELS).astype(int)
    return {
        "in_from": np.arange(2 * CHANNELS), "in_to": entries,
        "excite_from": excite[0], "excite_to": excite[1], "inhibit_from": inhibit[0], "inhibit_to": inhibit[1],
        "start": (rng.uniform(0.1, 0.4, len(excite[0]))).astype(np.float32),
    }  # fmt: skip


def signals(seed: int, count: int) -> tuple[Array, Array]:
    """Return waves (samples, ticks, channels) in 0 .. 255 and their classes: direction, plus 2 where they are fast."""
    rng = np.random.default_rng(seed)
    classes = rng.permutation(np.arange(count) % CLASSES)
    direction, period = np.where(classes % 2, 1, -1), np.where(classes // 2, 14.0, 20.0)
    tick, channel = np.arange(TICKS)[:, np.newaxis], np.arange(CHANNELS)
    phase = tick / period[:, None, None] + channel / CHANNELS * direction[:, None, None] + rng.random((count, 1, 1))
    noisy = 0.5 + 0.4 * np.sin(2 * np.pi * phase) + rng.normal(0, 0.04, phase.shape)
    return np.rint(255 * noisy).clip(0, 255).astype(np.uint8), classes


TEXT = """
neurocomp: 1
name: neucube
timestep: 1 ms
ticks: {ticks}
populations:
  signals: {{kind: input, shape: [2, {channels}]}}
  cube: {{shape: [{side}, {side}, {side}], neuron: {{model: lif, tau_mem: 10 ms, reset: zero, compare: '>'}}}}
  classes: {{shape: [{parts}, {classes}], neuron: {{model: if, reset: subtract, compare: '>'}}}}
projections:
  - from: signals
    to: cube
    pattern: {{sparse: {{sources: neucube.npz#in_from, targets: neucube.npz#in_to}}}}
    weights: {drive}
  - from: cube
    to: cube
    pattern: {{sparse: {{sources: neucube.npz#excite_from, targets: neucube.npz#excite_to}}}}
    weights: neucube.npz#{weights}
    delay: 1
    name: learned
    {learn}
  - from: cube
    to: cube
    pattern: {{sparse: {{sources: neucube.npz#inhibit_from, targets: neucube.npz#inhibit_to}}}}
    weights: {inhibit}
    delay: 1
    name: inhibit
  - from: cube
    to: classes
    pattern: {{block: {{indices: {blocks}}}}}
    weights: neucube.npz#{kind}_weights
    bias: neucube.npz#{kind}_bias
encode: {{signals: {{scheme: step_forward, threshold: 0.2}}}}
decode: {{classes: {{scheme: vote, classes: {classes}}}}}
data:
  inputs: {{signals: neucube.npz#test}}
  labels: neucube.npz#labels
  calibration: {{signals: neucube.npz#calibration}}
  scale: 1/255
"""
LEARN = (
    f"learn: {{rule: stdp, a_plus: 0.01, a_minus: 0.011, tau_plus: 10 ms, tau_minus: 10 ms, w_max: {W_MAX}, seed: 1, "
    "across_samples: ACROSS}"
)


def network(*, learns: bool = True, across: bool = False, weights: str = "learned") -> Network:
    """Return signals -> cube -> classes.

    Args:
        learns: Whether the cube's synapses learn while it runs.
        across: Whether a sample starts with what the ones before it have learned.
        weights: What it starts from: ``start``, as drawn, or ``learned``.
    """
    learn = LEARN.replace("ACROSS", str(across).lower()) if learns else ""
    text = TEXT.format(
        ticks=TICKS, channels=CHANNELS, side=SIDE, classes=CLASSES, drive=DRIVE, inhibit=INHIBIT, weights=weights, learn=learn,
        kind="learning" if learns else "frozen", parts=PARTS, blocks=np.arange(NEURONS).reshape(PARTS, -1).tolist(),
    )  # fmt: skip
    return from_yaml.loads(text, HERE)


def counts(made: Network, values: Array) -> Array:
    """Return how often each neuron of the cube fires for signals (samples, ticks, channels), (samples, 125)."""
    shown = replace(made, data=Data(Samples({"signals": values}), scale=1 / 255))
    return np.asarray(run_network(shown, None, count=len(values), probe="all").arrays["spikes/cube"].sum(axis=1)).reshape(
        -1, NEURONS
    )


def classifier(x: Array, labels: Array) -> dict[str, Array]:
    """Return 4-bit weights (5, 4, 25) and biases (20,) of neurons of threshold 1 that classify counts, by ridge regression."""
    mean = x.mean(axis=0)
    gram = (x - mean).T @ (x - mean) + 0.3 * len(x) * np.eye(NEURONS)
    weights = np.linalg.solve(gram, (x - mean).T @ (np.eye(CLASSES)[labels] - 1 / CLASSES))
    rows = np.array([[four_bits(row) for row in part.T] for part in np.split(weights, PARTS)])
    # No sum of a whole sample goes further than 10 thresholds from a spike in half of the ticks.
    rows *= 10 / np.abs(np.einsum("pck,spk->spc", rows, (x - mean).reshape(-1, PARTS, NEURONS // PARTS))).max()
    bias = 0.5 - np.einsum("pck,pk->pc", rows, mean.reshape(PARTS, -1)) / TICKS
    return {"weights": rows.astype(np.float32), "bias": bias.ravel().astype(np.float32)}


def right(found: dict[str, Array], x: Array, labels: Array) -> float:
    """Return the share of right answers of the classifier outside of the network."""
    sums = np.einsum("pck,spk->sc", found["weights"], x.reshape(-1, PARTS, NEURONS // PARTS))
    return float(((sums + TICKS * found["bias"].reshape(PARTS, -1).sum(axis=0)).argmax(axis=1) == labels).mean())


def train() -> None:
    """Let the cube learn, then the classifiers."""
    none = {"weights": np.zeros((PARTS, CLASSES, NEURONS // PARTS)), "bias": np.zeros(PARTS * CLASSES)}
    test, wanted = signals(4, TESTED)
    arrays = cube() | {"test": test, "labels": wanted, "calibration": signals(5, CALIBRATED)[0]}
    arrays["learned"] = arrays["start"]

    def save() -> None:
        small = {key: value.astype(np.uint8) if value.dtype == np.int64 else value for key, value in arrays.items()}
        np.savez_compressed(HERE / "neucube.npz", **cast("dict[str, Any]", small))

    for kind in ("learning", "frozen"):
        arrays |= {f"{kind}_{key}": value for key, value in none.items()}
    save()
    made = network(across=True, weights="start")
    shown = replace(made, data=Data(Samples({"signals": signals(3, SHOWN)[0]}), scale=1 / 255))
    learned = run_network(shown, None, count=SHOWN).arrays["weights/learned"]
    arrays["learned"] = np.asarray(learned).reshape(-1, len(arrays["start"]))[-1].astype(np.float32)
    save()
    values, labels = signals(6, TRAINED)
    for kind, options in (
        ("start", {"learns": False, "weights": "start"}),
        ("frozen", {"learns": False}),
        ("learning", {}),
    ):
        found = network(**options)
        x, seen = counts(found, values), counts(found, test)
        answers = classifier(x, labels)
        print(
            f"{kind}: {100 * right(answers, seen, wanted):.1f} % of {TESTED}; a spike in {x.mean() / TICKS:.3f} of ticks",
            file=sys.stderr,
        )
        if kind != "start":
            arrays |= {f"{kind}_{key}": value for key, value in answers.items()}
    save()


FAMILY = Family(
    "NeuCube: a three-dimensional reservoir with STDP, and a classifier of its spike counts",
    "Kasabov, NeuCube: a spiking neural network architecture for spatio-temporal brain data, Neural Networks 52, 2014",
    {
        "": Part(network, samples=3, evaluated=60),
        "frozen": Part(lambda: network(learns=False), {"truenorth": {"approximate_leak": True, "compare": "ge"}}, samples=3),
    },
    train,
)
"""What becomes of NeuCube on each chip."""
