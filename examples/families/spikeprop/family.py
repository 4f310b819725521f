"""SpikeProp: exclusive or in spike times, with sixteen delayed synapses per connection (Bohte, Kok and La Poutré 2002).

As in the paper: two inputs fire at 0 or at 6 ms, a third one always at 0; five hidden neurons, the last of them inhibitory,
and every connection has 16 terminals of 1 to 16 ms, each with a weight of its own; a spike makes t exp(-t / 7 ms) of a
potential, the kernel of ``cuba_lif`` with equal time constants. A neuron fires once. The answer is time: 10 ms is yes and 16 ms
is no. Other than in the paper there is an output for each answer, so that the first one to fire is the answer.

SpikeProp needs a potential with a slope. The part ``steps`` is a network of the same form for TrueNorth, of ``if`` neurons
that may fire again, 8 terminals of up to 15 ticks and weights of -7 to 7, found by random changes.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from examples.families import Family, Part
from neurocomp.frontends import from_yaml
from neurocomp.ir.network import Data, Network, Samples

Array = NDArray[Any]
HERE = Path(__file__).parent
INPUTS, HIDDEN, ANSWERS, TICKS, TAU = 3, 5, 2, 40, 7.0
TIMES = np.array([[0, 0, 0], [0, 6, 0], [6, 0, 0], [6, 6, 0]])
"""Ticks at which the inputs fire, (patterns, inputs)."""
EARLY, LATE = 10, 16
LABELS = np.array([0, 1, 1, 0])
WANTED = np.where(LABELS[:, np.newaxis] == np.arange(ANSWERS), EARLY, LATE)
"""Ticks at which the outputs, of no and of yes, shall fire, (patterns, answers)."""
DELAYS = {"smooth": np.arange(1, 17), "steps": np.arange(1, 16, 2)}
SIGNS = np.where(np.arange(HIDDEN) == HIDDEN - 1, -1.0, 1.0)
"""Of the hidden neurons."""
THRESHOLD = 10
"""Of the steps."""


def spikes() -> Array:
    """Return the four patterns, (patterns, ticks, inputs)."""
    found = np.zeros((len(TIMES), TICKS, INPUTS), np.uint8)
    found[np.arange(len(TIMES))[:, np.newaxis], TIMES, np.arange(INPUTS)] = 1
    return found


def fired(before: Array, weights: Array) -> tuple[Array, Array, Array]:
    """Run a layer of smooth neurons.

    Args:
        before: When the sources fire, (patterns, sources); `TICKS` for never.
        weights: (targets, sources, delays).

    Returns:
        When the neurons fire (patterns, targets), their potentials (patterns, ticks, targets), and what a weight of 1 makes of
        them, (patterns, ticks, sources, delays).
    """
    age = np.arange(TICKS)[:, np.newaxis, np.newaxis] - before[:, np.newaxis, :, np.newaxis] - DELAYS["smooth"]
    made = np.where((age >= 0) & (before < TICKS)[:, np.newaxis, :, np.newaxis], (age + 1) * np.exp(-age / TAU), 0.0)
    v = np.einsum("stik,jik->stj", made, weights)
    return np.where((v > 1).any(axis=1), (v > 1).argmax(axis=1), TICKS), v, made


def spikeprop(seed: int = 1, rounds: int = 1000, rate: float = 0.1) -> tuple[Array, Array]:
    """Return weights (hidden, inputs, delays) and (answers, hidden, delays): descent of the squared errors of spike times.

    A time moves by -1 / slope of what the potential moves by. Times are whole ticks here, and so is the slope's difference.
    """
    rng = np.random.default_rng(seed)
    unit = 0.02
    first, second = rng.uniform(-0.2, 1.0, (HIDDEN, INPUTS, 16)) * unit, rng.uniform(0.0, 0.9, (ANSWERS, HIDDEN, 16)) * unit
    for _ in range(rounds):
        hidden, v1, made1 = fired(TIMES, first)
        out, v2, made2 = fired(hidden, second * SIGNS[:, np.newaxis])
        error = out - WANTED
        if not error.any():
            break
        step1, step2 = np.zeros_like(first), np.zeros_like(second)
        for s in range(len(TIMES)):
            back = np.zeros(HIDDEN)
            for o in range(ANSWERS):
                t = min(int(out[s, o]), TICKS - 1)
                slope = max(v2[s, t, o] - v2[s, t - 1, o], 0.05)
                step2[o] += error[s, o] * made2[s, t] / slope * SIGNS[:, np.newaxis]
                rise = (made2[s, t] - made2[s, t - 1]) * SIGNS[:, np.newaxis] * second[o]
                back += error[s, o] * rise.sum(axis=1) / slope
            for h in range(HIDDEN):
                t = min(int(hidden[s, h]), TICKS - 1)
                slope = max(v1[s, t, h] - v1[s, t - 1, h], 0.05)
                # A neuron that does not fire is pulled up.
                late = np.clip(back[h], -5, 5) if hidden[s, h] < TICKS else 1.0
                step1[h] += late * made1[s, t] / slope
        for weights, step in ((first, step1), (second, step2)):
            weights += rate * unit * step / max(float(np.sqrt((step**2).mean())), 1.0)
        np.maximum(second, 0.0, out=second)
    return first, second * SIGNS[:, np.newaxis]


def stepped(x: Array, weights: Array) -> Array:
    """Run a layer of steps: spikes (candidates, patterns, ticks, sources), weights (candidates, targets, sources, delays)."""
    drive = np.zeros((*np.broadcast_shapes(x.shape[:1], weights.shape[:1]), *x.shape[1:3], weights.shape[1]))
    for k, delay in enumerate(DELAYS["steps"]):
        drive[:, :, delay:] += np.matmul(x[:, :, : TICKS - delay], weights[:, np.newaxis, :, :, k].swapaxes(-1, -2))
    v, found = np.zeros((*drive.shape[:2], drive.shape[3])), np.zeros_like(drive)
    for tick in range(TICKS):
        v += drive[:, :, tick]
        found[:, :, tick] = v >= THRESHOLD
        v[v >= THRESHOLD] = 0.0
    return found


def errors(first: Array, second: Array) -> Array:
    """Return the sum of squared errors of each candidate's times."""
    found = stepped(stepped(spikes()[np.newaxis], first), second)
    times = np.where(found.any(axis=2), found.argmax(axis=2), TICKS)
    return np.asarray(((times - WANTED) ** 2).sum(axis=(1, 2)))


def searched(rounds: int = 5000, candidates: int = 48) -> tuple[Array, Array]:
    """Return weights of the steps: of some random changes at a time, the best one is kept where it is no worse."""
    rng = np.random.default_rng(0)
    k = len(DELAYS["steps"])
    best = [rng.integers(-2, 5, (1, HIDDEN, INPUTS, k)), rng.integers(-2, 4, (1, ANSWERS, HIDDEN, k))]
    least = int(errors(*best)[0])
    for _ in range(rounds):
        if not least:
            break
        tried = []
        for weights in best:
            many = np.repeat(weights, candidates, axis=0)
            moves = rng.integers(-3, 4, many.shape) * (rng.random(many.shape) < 2 / weights.size)
            tried.append((many + moves).clip(-7, 7))
        found = errors(*tried)
        number = int(found.argmin())
        if found[number] <= least:
            least, best = int(found[number]), [many[number : number + 1] for many in tried]
    print(f"steps: squared error of spike times {least}", file=sys.stderr)
    return best[0][0], best[1][0]


def train() -> None:
    """Find both networks' weights."""
    first, second = spikeprop()
    error = int(((fired(fired(TIMES, first)[0], second)[0] - WANTED) ** 2).sum())
    print(f"SpikeProp: squared error of spike times {error}", file=sys.stderr)
    arrays: dict[str, Array] = {"smooth_hidden": first.astype(np.float32), "smooth_answers": second.astype(np.float32)}
    found = searched()
    arrays |= {"steps_hidden": found[0].astype(np.int8), "steps_answers": found[1].astype(np.int8)}
    for kind, delays in DELAYS.items():
        for name in ("hidden", "answers"):
            targets, of, k = np.indices(arrays[f"{kind}_{name}"].shape, np.int8).reshape(3, -1)
            arrays |= {
                f"{kind}_{name}_to": targets,
                f"{kind}_{name}_from": of,
                f"{kind}_{name}_delay": delays[k].astype(np.int8),
            }
            arrays[f"{kind}_{name}"] = arrays[f"{kind}_{name}"].ravel()
    np.savez_compressed(HERE / "spikeprop.npz", **cast("dict[str, Any]", arrays))


NEURONS = {
    "smooth": f"{{model: cuba_lif, tau_mem: {TAU:g} ms, tau_syn: {TAU:g} ms, reset: zero, compare: '>', refractory: {TICKS}}}",
    "steps": f"{{model: if, v_threshold: {THRESHOLD}, reset: zero, compare: '>='}}",
}


def network(kind: str) -> Network:
    """Return the network of ``smooth`` kernels or of ``steps``, with the four patterns."""

    def joined(source: str, target: str) -> str:
        at = f"spikeprop.npz#{kind}_{target}"
        ends = f"{{sparse: {{sources: {at}_from, targets: {at}_to}}}}"
        return f"{{from: {source}, to: {target}, pattern: {ends}, weights: {at}, delay: {at}_delay}}"

    text = f"""
        neurocomp: 1
        name: spikeprop-{kind}
        timestep: 1 ms
        ticks: {TICKS}
        populations:
          inputs: {{kind: input, shape: [{INPUTS}]}}
          hidden: {{shape: [{HIDDEN}], neuron: {NEURONS[kind]}}}
          answers: {{shape: [{ANSWERS}], neuron: {NEURONS[kind]}}}
        projections:
          - {joined("inputs", "hidden")}
          - {joined("hidden", "answers")}
        encode: {{inputs: {{scheme: direct}}}}
        decode: {{answers: {{scheme: first_spike}}}}
    """
    return replace(from_yaml.loads(text, HERE), data=Data(Samples({"inputs": spikes()}, LABELS)))


FAMILY = Family(
    "SpikeProp: exclusive or in spike times, with 16 delayed synapses per connection",
    "Bohte, Kok, La Poutré, Error-backpropagation in temporally encoded networks of spiking neurons, Neurocomputing 48, 2002",
    {"": Part(lambda: network("smooth"), samples=4), "steps": Part(lambda: network("steps"), samples=4)},
    train,
)
"""What becomes of SpikeProp's network on each chip."""
