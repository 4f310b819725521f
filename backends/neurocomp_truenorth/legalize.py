"""What TrueNorth lacks in real numbers: leaks that leave nothing become ``binary``; with leave, others become linear ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from neurocomp.backend import Stimulus
from neurocomp.encoding import decode, encode_samples, scored_output
from neurocomp.ir.distance import spike_distance
from neurocomp.ir.network import Network, Neuron, Population, Samples, frozen
from neurocomp.ir.trace import Trace
from neurocomp.models.neurons import NEURON_MODELS, Semantics
from neurocomp.simulation import simulate
from neurocomp_truenorth.check import LEAKY, forgets

FloatArray = NDArray[np.float64]

LEAKS = (0.0, 0.002, 0.004, 0.008, 0.012, 0.016, 0.024, 0.032, 0.048, 0.064, 0.096, 0.128, 0.192)
"""Linear leaks that are tried, of the threshold."""
MOST_SAMPLES = 200
"""Labelled samples on which accuracies are compared."""
BATCH = 50


def inclusive(network: Network) -> tuple[Network, list[str]]:
    """Return a network that compares with ``>=`` where it resets by subtraction, and what changed."""
    populations, notes = dict(network.populations), []
    for p in network.populations.values():
        if p.neuron is None or (p.neuron.semantics.compare, p.neuron.semantics.reset) != (">", "subtract"):
            continue
        populations[p.name] = replace(p, neuron=replace(p.neuron, semantics=replace(p.neuron.semantics, compare=">=")))
        notes.append(f"comparison: '{p.name}' takes '>=' for '>', lossy where a potential meets its threshold exactly")
    return replace(network, populations=populations), notes


def forgetful(network: Network) -> tuple[Network, list[str]]:
    """Return a network whose ``lif`` neurons that keep nothing of their potential are ``binary``, and what changed."""
    changed, notes = network, []
    for p in network.populations.values():
        if not forgets(p, network.timestep):
            continue
        assert p.neuron is not None
        given, semantics = p.neuron.parameters, p.neuron.semantics
        gain = np.asarray(NEURON_MODELS[p.neuron.model].input_gain(given, semantics, network.timestep), np.float64)
        threshold = {"v_threshold": frozen(np.asarray(given["v_threshold"], np.float64) / gain)}
        changed = _with(changed, replace(p, neuron=Neuron("binary", threshold, Semantics(compare=semantics.compare))))
        notes.append(f"memory: '{p.name}' (lif) keeps nothing of its potential, so it is 'binary', exact")
    return changed, notes


def approximate_leaks(network: Network, calibration: Stimulus | None) -> tuple[Network, Sequence[str]]:
    """Return a network whose leaky neurons have the linear leak that changes their spike counts the least.

    A ``lif`` becomes ``linear_lif``, or ``if`` where no leak is best; so does a ``cuba_lif``, whose current arrives at once
    instead of over many ticks, with the same sum. Populations are replaced one after the other, each measured by the spikes of
    the whole network on the calibration stimulus.
    """
    leaky = [p for p in network.populations.values() if p.neuron is not None and p.neuron.model in LEAKY]
    if not leaky:
        return network, ()
    notes: list[str] = []
    wanted = simulate(network, calibration, state=False) if calibration is not None else None
    changed = network
    for p in leaky:
        if calibration is None or wanted is None:
            part = _half_leak(p, network.timestep)
            changed = _with(changed, _linear(p, part, network.timestep))
            notes.append(f"approximate leak: '{p.name}' loses {part:.3g} of its threshold per tick, lossy, not measured")
            continue
        candidates = [(part, _with(changed, _linear(p, part, network.timestep))) for part in LEAKS]
        error, part = min((_error(candidate, calibration, wanted, p.name), part) for part, candidate in candidates)
        changed = _with(changed, _linear(p, part, network.timestep))
        assert p.neuron is not None
        notes.append(
            f"approximate leak: '{p.name}' ({p.neuron.model}) loses {part:.3g} of its threshold per tick, lossy: "
            f"its spike counts are off by {100 * error:.1f} % on the calibration data"
        )
    notes += _accuracies(network, changed)
    return changed, notes


def _half_leak(p: Population, dt: float) -> float:
    """Return what an exponential leak takes of a potential at half of the threshold, as a part of the threshold."""
    assert p.neuron is not None
    decays = NEURON_MODELS[p.neuron.model].decays(p.neuron.parameters, p.neuron.semantics, dt)
    return (1.0 - float(np.mean(decays[1]))) / 2.0


def _with(network: Network, p: Population) -> Network:
    return replace(network, populations={**network.populations, p.name: p})


def _linear(p: Population, part: float, dt: float) -> Population:
    """Return a population with a linear leak of a part of its threshold."""
    assert p.neuron is not None
    model, semantics = NEURON_MODELS[p.neuron.model], p.neuron.semantics
    given: Mapping[str, FloatArray] = p.neuron.parameters
    # What a unit of input adds to the potential in all: at once in the new model, over the current's time in the old one.
    gain = np.asarray(model.input_gain(given, semantics, dt), np.float64)
    if model.has_current:
        gain = gain / np.maximum(1.0 - np.asarray(model.decays(given, semantics, dt)[0]), 1e-9)
    threshold = np.asarray(given["v_threshold"], np.float64) / gain
    parameters = {"v_threshold": frozen(threshold), "v_init": frozen(np.asarray(given["v_init"]) / gain)}
    floor = None if semantics.v_floor is None else semantics.v_floor / float(np.mean(gain))
    plain = replace(semantics, input="delta", integration="exact", v_floor=floor)
    if part:
        parameters["leak"] = frozen(threshold * part)
    return replace(p, neuron=Neuron("linear_lif" if part else "if", parameters, plain))


def _error(network: Network, stimulus: Stimulus, wanted: Trace, name: str) -> float:
    made = simulate(network, stimulus, record=[name], state=False)
    error = spike_distance(wanted.spikes[name], made.spikes[name])["spike_count_error"]
    return float("inf") if error is None else error


def _accuracies(before: Network, after: Network) -> list[str]:
    """Return the accuracies of both networks on labelled samples, as one line; nothing without any."""
    name, samples = scored_output(before), before.data.samples
    if name is None or samples is None or samples.labels is None:
        return []
    decoder, count = before.decoders[name], min(samples.count, MOST_SAMPLES)
    right = [0, 0]
    for start in range(0, count, BATCH):
        stop = min(start + BATCH, count)
        taken = Samples({key: values[start:stop] for key, values in samples.inputs.items()})
        stimulus = encode_samples(before, taken, start)
        for number, network in enumerate((before, after)):
            spikes = simulate(network, stimulus, record=[name], state=False).spikes[name]
            right[number] += int((decode(decoder, spikes=spikes) == samples.labels[start:stop]).sum())
    a, b = (100 * n / count for n in right)
    return [f"approximate leak: accuracy in real numbers {a:.1f} % before, {b:.1f} % after, on {count} declared samples"]
