"""The tempotron: a neuron learns for which patterns of latencies to fire, and for which not (Gütig and Sompolinsky 2006).

Each of 20 afferents fires once in 50 ticks. Ten templates of such latencies are split into two classes at random, and a sample
is a template whose spikes are off by 1 tick (standard deviation). A neuron for each class is to fire for its own class alone,
whenever it likes; the first to fire answers. An afferent joins a neuron by three synapses of 0, 5 and 10 ticks, each with a
weight of its own.

The rule of the paper: where a neuron errs, its weights move along the potential that each synapse makes at the time of the
largest potential. The kernel of a synapse is that of ``cuba_lif``, a difference of exponentials; in the part ``steps`` it is a
step, the kernel of ``if``, and weights have 4 bits, as TrueNorth has no exponentials.
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
AFFERENTS, TEMPLATES, CLASSES, WINDOW, TICKS, JITTER = 20, 10, 2, 50, 80, 1.0
DELAYS = (0, 5, 10)
TAU_MEM, TAU_SYN = 15, 4
"""Of the kernel, in ticks; the paper has 15 ms and a quarter of it."""
TRAINED, TESTED, CALIBRATED, EPOCHS, RATE, MARGIN = 400, 240, 32, 400, 0.03, 0.6


def patterns(seed: int, count: int) -> tuple[Array, Array]:
    """Return spikes (samples, ticks, afferents) and their classes."""
    rng = np.random.default_rng(1)
    templates, classes = rng.uniform(3, WINDOW - 3, (TEMPLATES, AFFERENTS)), rng.permutation(np.arange(TEMPLATES) % CLASSES)
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(np.arange(count) % TEMPLATES)
    ticks = np.rint(templates[chosen] + rng.normal(0, JITTER, (count, AFFERENTS))).clip(0, WINDOW - 1).astype(int)
    spikes = np.zeros((count, TICKS, AFFERENTS), np.uint8)
    spikes[np.arange(count)[:, np.newaxis], ticks, np.arange(AFFERENTS)] = 1
    return spikes, classes[chosen]


def potentials(spikes: Array, kernel: str) -> Array:
    """Return what each synapse of weight 1 makes of the potential of a neuron that does not fire, (samples, ticks, 60).

    Args:
        spikes: (samples, ticks, 20).
        kernel: ``exponential`` or ``step``.
    """
    a, b = (np.exp(-1 / TAU_SYN), np.exp(-1 / TAU_MEM)) if kernel == "exponential" else (0.0, 1.0)
    late = [np.pad(spikes, ((0, 0), (delay, 0), (0, 0)))[:, :TICKS] for delay in DELAYS]
    x = np.concatenate(late, axis=2).astype(np.float64)
    u, v = np.zeros_like(x[:, 0]), np.zeros_like(x[:, 0])
    found = np.zeros_like(x)
    for tick in range(TICKS):
        u = a * u + x[:, tick]
        v = b * v + u
        found[:, tick] = v
    return found


def learned(spikes: Array, labels: Array, kernel: str) -> Array:
    """Return weights (2, 60) by the tempotron's rule, for thresholds of 1, with a margin on both sides.

    Steps are scaled per weight as Adam does it, and become smaller to the end.
    """
    seen = potentials(spikes, kernel)
    peak = seen.max()
    seen = seen / peak
    wanted = labels[:, np.newaxis] == np.arange(CLASSES)
    weights = np.random.default_rng(2).normal(0.02, 0.02, (CLASSES, seen.shape[2]))
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    for epoch in range(EPOCHS):
        v = seen @ weights.T
        at, top = v.argmax(axis=1), v.max(axis=1)
        wrong = np.where(wanted, top < 1 + MARGIN, 0.0) - np.where(wanted, 0.0, top > 1 - MARGIN)
        step = np.stack([wrong[:, c] @ seen[np.arange(len(seen)), at[:, c]] for c in range(CLASSES)]) / len(seen)
        mean, square = 0.9 * mean + 0.1 * step, 0.999 * square + 0.001 * step**2
        unbiased = mean / (1 - 0.9 ** (epoch + 1)), square / (1 - 0.999 ** (epoch + 1))
        weights = weights + RATE * (1 - epoch / EPOCHS) * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-8)
    return np.asarray(weights / peak)


def four_bits(row: Array) -> Array:
    """Return weights of one neuron in -7 .. 7 steps of a power of two."""
    step = 2.0 ** np.ceil(np.log2(np.abs(row).max() / 7))
    return np.asarray(np.rint(row / step) * step)


def right(weights: Array, spikes: Array, labels: Array, kernel: str) -> float:
    """Return how often the neuron of the right class, and no other, fires."""
    fired = (potentials(spikes, kernel) @ weights.T).max(axis=1) > 1
    return float((fired == (labels[:, np.newaxis] == np.arange(CLASSES))).all(axis=1).mean())


def train() -> None:
    """Learn both kinds of synapses."""
    spikes, labels = patterns(3, TRAINED)
    test, wanted = patterns(4, TESTED)
    arrays = {"test": test, "labels": wanted.astype(np.uint8), "calibration": patterns(5, CALIBRATED)[0]}
    for kernel in ("exponential", "step"):
        weights = learned(spikes, labels, kernel)
        if kernel == "step":
            weights = np.stack([four_bits(row) for row in weights])
        share = right(weights, test, wanted, kernel)
        print(f"{kernel}: the right neuron, and no other, fires for {100 * share:.2f} % of {TESTED}", file=sys.stderr)
        for delay, part in zip(DELAYS, np.split(weights, len(DELAYS), axis=1), strict=True):
            arrays[f"{kernel}_{delay}"] = part.astype(np.float32)
    np.savez_compressed(HERE / "tempotron.npz", **cast("dict[str, Any]", arrays))


NEURONS = {
    "exponential": f"{{model: cuba_lif, tau_mem: {TAU_MEM} ms, tau_syn: {TAU_SYN} ms, reset: zero, compare: '>'}}",
    "step": "{model: if, reset: zero, compare: '>'}",
}


def network(kernel: str) -> Network:
    """Return the two neurons with one of the kernels."""
    arrays = {delay: f"weights: tempotron.npz#{kernel}_{delay}, delay: {delay}, name: after-{delay}" for delay in DELAYS}
    joined = "".join(f"\n          - {{from: afferents, to: tempotrons, {array}}}" for array in arrays.values())
    text = f"""
        neurocomp: 1
        name: tempotron-{kernel}
        timestep: 1 ms
        ticks: {TICKS}
        populations:
          afferents: {{kind: input, shape: [{AFFERENTS}]}}
          tempotrons: {{shape: [{CLASSES}], neuron: {NEURONS[kernel]}}}
        projections:{joined}
        encode: {{afferents: {{scheme: direct}}}}
        decode: {{tempotrons: {{scheme: first_spike}}}}
        data:
          inputs: {{afferents: tempotron.npz#test}}
          labels: tempotron.npz#labels
          calibration: {{afferents: tempotron.npz#calibration}}
    """
    return from_yaml.loads(text, HERE)


FAMILY = Family(
    "Tempotron: a decision on latencies by whether a neuron fires, with three delayed synapses per pair",
    "Gütig and Sompolinsky, The tempotron: a neuron that learns spike timing-based decisions, Nature Neuroscience 9, 2006",
    {
        "": Part(lambda: network("exponential"), {"truenorth": {"approximate_leak": True}}),
        "steps": Part(lambda: network("step")),
    },
    train,
)
"""What becomes of a tempotron on each chip."""
