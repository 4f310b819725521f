"""Event-driven random backpropagation: two layers learn from errors while the network runs (Neftci 2017).

The error of the outputs reaches the hidden neurons through fixed random weights, not the transpose of the forward ones.
A spike of an error neuron moves each weight of its neuron by the trace of the synapse's source: up for the positive part of the
error, down for the negative one; in the hidden layer only where the neuron has spiked in the trial, the derivative of its rate:

    outputs:  dw = rate x1 (error+ - error-)      hidden:  dw = rate x1 [has spiked] (feedback+ - feedback-)

It learns which of 3 digits 7 x 7 pixels show, in `TRIALS` trials, 120 images twice: 57 % of the first 40 answers are right and
91 % of the last 80, in the integers of Loihi. A trial shows the image alone first, in which the outputs answer, then with the
error. The paper learns all of MNIST, with more neurons and over many epochs.

In the main network the host computes the errors, as chips of the Loihi family take third factors from the host alone: target
less spikes of an output in the first half become spikes of error neurons in the second half. They are recorded in
`errors.npz`, from the run itself (`train`), so that the stimulus is what a host in the loop would send. In the part
``error_neurons`` the network computes the errors: neurons that hear the label and the outputs.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import neurocomp
from examples.families import Family, Part
from examples.families.digits import shipped_digits, small
from neurocomp.frontends.from_yaml import loads
from neurocomp.ir.network import Data, Network, Samples

Array = NDArray[Any]
HERE = Path(__file__).parent
CLASSES, HIDDEN, PIXELS, TRIALS = 3, 40, 49, 240
ALONE, TOLD, TARGET = 16, 16, 8
"""Ticks without and with the error; spikes that the right output should send in `ALONE`."""
TICKS = ALONE + TOLD
CALIBRATED = 6
AHEAD = 6
"""Trials beyond those that are settled that a round of the recording runs."""
LIF = "{model: lif, tau_mem: 10 ms, v_threshold: 1.0, reset: zero}"
X1 = "x1_impulse: 16, x1_tau: 10 ms, w_min: -1, w_max: 1"
RATES = (0.002, 0.005)
"""Of the hidden layer, of the outputs: what an error spike moves a weight by whose source has just spiked once."""


def initial() -> tuple[Array, Array, Array]:
    """Return the weights (to, from) of both layers at the start, and those of the feedback (hidden, classes)."""
    rng = np.random.default_rng(1)
    hidden, outputs = rng.uniform(-0.2, 0.3, (HIDDEN, PIXELS)), rng.uniform(-0.25, 0.25, (CLASSES, HIDDEN))
    return hidden.round(3), outputs.round(3), rng.normal(0, 1, (HIDDEN, CLASSES)).round(3)


def trials() -> tuple[Array, Array]:
    """Return images (trials, 49) and what they show."""
    images, labels = shipped_digits(500)
    chosen = np.flatnonzero(labels < CLASSES)[: TRIALS // 2]
    return np.tile(small(images[chosen], 4), (2, 1)), np.tile(labels[chosen], 2)


def spread(numbers: Array) -> Array:
    """Return as many spikes as the numbers (trials, n) say, 0 to `TOLD`, evenly over the second half, (trials, ticks, n)."""
    tick = np.arange(TOLD + 1)[:, np.newaxis]
    spikes = np.diff(numbers[:, np.newaxis].astype(np.int64) * tick // TOLD, axis=1)
    return np.concatenate([np.zeros((len(numbers), ALONE, numbers.shape[1]), np.int8), spikes.astype(np.int8)], axis=1)


def text(name: str, errors: str) -> str:
    """Return a network that learns; ``errors`` are lines of populations and, after a line of ---, of projections."""
    hidden, outputs, _ = initial()
    fast, slow = RATES[0] / (16 * 127), RATES[1] / 16
    populations, _, projections = errors.partition("---\n")
    return f"""neurocomp: 1
name: {name}
timestep: 1 ms
ticks: {TICKS}
populations:
  pixels: {{kind: input, shape: [{PIXELS}]}}
  hidden: {{shape: [{HIDDEN}], neuron: {LIF}}}
  digits: {{shape: [{CLASSES}], neuron: {LIF}}}
{populations}projections:
  - from: pixels
    to: hidden
    weights: {hidden.tolist()}
    learn: {{rule: products, dw: {fast:.10f}*u*x1*y1*y2 - {fast:.10f}*u*x1*y1*y3, {X1}, y1_impulse: 127, y1_tau: inf,
            modulator: [feedback_plus, feedback_minus], seed: 1}}
  - from: hidden
    to: digits
    weights: {outputs.tolist()}
    learn: {{rule: products, dw: {slow:.10f}*u*x1*y2 - {slow:.10f}*u*x1*y3, {X1},
            modulator: [error_plus, error_minus], seed: 2}}
{projections}decode: {{digits: {{scheme: window, first: 0, last: {ALONE - 1}}}}}
encode:
  pixels: {{scheme: bernoulli, gain: 0.5, seed: 1}}
"""


def _data(inputs: Mapping[str, Array], labels: Array) -> Data:
    """Return trials to learn from; the first few calibrate, which changes no scale here: `w_max` fixes them."""
    return Data(Samples(inputs, labels), Samples({name: values[:CALIBRATED] for name, values in inputs.items()}))


def network(errors: Array | None = None) -> Network:
    """Return the network whose errors the host sends; ``errors`` (trials, classes): of the outputs, else those recorded."""
    if errors is None:
        with np.load(HERE / "errors.npz") as data:
            errors = data["errors"]
    feedback = np.clip(np.rint(errors @ initial()[2].T), -TOLD, TOLD).astype(np.int64)
    sent = {"error": errors, "feedback": feedback}
    names = [f"{what}_{sign}" for what in sent for sign in ("plus", "minus")]
    populations = "".join(f"  {name}: {{kind: input, shape: [{sent[name.split('_')[0]].shape[1]}]}}\n" for name in names)
    encode = "".join(f"  {name}: {{scheme: direct}}\n" for name in names)
    images, labels = trials()
    inputs = {"pixels": images}
    for what, numbers in sent.items():
        inputs |= {f"{what}_plus": spread(np.maximum(numbers, 0)), f"{what}_minus": spread(np.maximum(-numbers, 0))}
    return replace(loads(text("erbp", populations) + encode, HERE), data=_data(inputs, labels)).verify()


def errors_of(answers: Array) -> Array:
    """Return target less spikes in the first half, (trials, classes), for spikes of the outputs (trials, ticks, classes)."""
    _, labels = trials()
    target = TARGET * (labels[: len(answers), np.newaxis] == np.arange(CLASSES))
    return np.asarray(target - answers[:, :ALONE].sum(axis=1, dtype=np.int64))


def train() -> None:
    """Record the errors: run the first trials, send the errors that their answers ask for, and run again.

    The answer of a trial depends on the errors of those before it, so that each round settles at least one trial more.
    """
    errors, settled = np.zeros((TRIALS, CLASSES), np.int64), 0
    made = neurocomp.compile(network(errors), "loihi")
    while settled < TRIALS:
        samples, count = network(errors).data.samples, min(settled + AHEAD, TRIALS)
        assert samples is not None
        first = Samples({name: values[:count] for name, values in samples.inputs.items()})
        wanted = errors_of(made.run("fast", samples=first).arrays["spikes/digits"])
        changed = (wanted != errors[:count]).any(axis=1)
        settled, errors[:count] = int(changed.argmax()) if changed.any() else count, wanted
        print(f"{settled} of {TRIALS} trials are settled", file=sys.stderr, flush=True)
    np.savez_compressed(HERE / "errors.npz", errors=errors.astype(np.int8))


def with_error_neurons() -> Network:
    """Return the network that computes its errors: error neurons hear label and outputs, but in the first half.

    There ``quiet`` inhibits them.
    """
    feedback = initial()[2]
    neuron = "{model: lif, tau_mem: 4 ms, v_threshold: 0.9, reset: subtract}"
    lines = [f"  label: {{kind: input, shape: [{CLASSES}]}}", "  quiet: {kind: input, shape: [1]}"]
    for sign in ("plus", "minus"):
        lines += [f"  error_{sign}: {{shape: [{CLASSES}], neuron: {neuron}}}"]
        lines += [f"  feedback_{sign}: {{shape: [{HIDDEN}], neuron: {neuron}}}"]
    lines += ["---"]
    for sign, one in (("plus", 1), ("minus", -1)):
        lines += [
            f"  - {{from: label, to: error_{sign}, pattern: one_to_one, weights: {one}}}",
            f"  - {{from: digits, to: error_{sign}, pattern: one_to_one, weights: {-one}, delay: 1}}",
            f"  - {{from: quiet, to: error_{sign}, weights: {[[-1.2]] * CLASSES}}}",
            f"  - {{from: error_plus, to: feedback_{sign}, weights: {(one * feedback).tolist()}}}",
            f"  - {{from: error_minus, to: feedback_{sign}, weights: {(-one * feedback).tolist()}}}",
        ]
    encode = "  label: {scheme: direct}\n  quiet: {scheme: direct}\n"
    images, labels = trials()
    told = spread(TARGET * (labels[:, np.newaxis] == np.arange(CLASSES)))
    quiet = np.broadcast_to(np.arange(TICKS) < ALONE, (TRIALS, TICKS)).astype(np.int8)[:, :, np.newaxis]
    inputs = {"pixels": images, "label": told, "quiet": quiet}
    made = loads(text("erbp-error-neurons", "\n".join(lines) + "\n") + encode, HERE)
    return replace(made, data=_data(inputs, labels)).verify()


FAMILY = Family(
    "Event-driven random backpropagation: three factors, errors through fixed random weights, learned while it runs",
    "Neftci, Augustine, Paul and Detorakis, Frontiers in Neuroscience 11, 2017",
    {"": Part(network, samples=4, evaluated=30), "error_neurons": Part(with_error_neurons, samples=4, evaluated=30)},
    train,
)
"""What becomes of three-factor error learning on each chip."""
