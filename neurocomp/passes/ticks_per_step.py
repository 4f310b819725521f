"""Ticks per step: every tick of a network becomes several of the chip, Network to Network, so that short cycles have time.

A hop takes a tick of the chip, so a cycle needs as many delay ticks as hops. With K ticks of the chip per tick of the network
its delays count K times, and the input of a step arrives in the first of its K ticks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import Diagnostic, UnsupportedError
from neurocomp.ir.network import Network, Neuron, Population, Projection, frozen
from neurocomp.models.neurons import NEURON_MODELS, ProgrammedModel
from neurocomp.models.patterns import PATTERNS, expanded

Array = NDArray[Any]
FloatArray = NDArray[np.float64]

TICKS = 2**31 - 1
"""Ticks per sample that a network may have."""

MOST = 1024
"""The largest K. A cycle needs no more ticks than it has hops; beyond this the refractory rest of a step and the ticks of a
sample exceed what chips count anyway."""


def ticks_per_step(network: Network, k: int) -> tuple[Network, tuple[str, ...]]:
    """Return a network of K times as many and as short ticks that does what the given one does, and notes.

    Decays become their K-th roots. What a bias adds to the potential in a step stays the same, spread evenly over its ticks. A
    synaptic current adds to the potential in each tick, so weights into it are lowered until its sum over a step is what one
    tick added before. A neuron still spikes at most once per step: refractory periods last for the rest of the step too, except
    where nothing can make it spike again.

    In real numbers, a population without synaptic current and bias that resets to zero, and hears only from such ones and
    from inputs, keeps its spikes and, in the first tick of each step, its potential. Others compare with their threshold within
    the step as well, so they may spike early and lose what they would integrate in the rest of the step: that is the price,
    which ``neurocomp evaluate`` measures.

    Args:
        network: A legal network: one pattern per projection.
        k: Ticks of the chip per tick of the network; 1 returns the network itself.

    Raises:
        UnsupportedError: Parameters that cannot be re-derived (NC0321), with all that there are.
    """
    if k == 1:
        return network, ()
    if k > MOST or network.ticks * k > TICKS:
        most = min(MOST, TICKS // network.ticks)
        hint = "a cycle needs no more ticks per step than it has hops"
        raise UnsupportedError(
            Diagnostic("NC0321", f"{k} ticks per step for {network.ticks} ticks per sample: at most {most}", hint=hint)
        )
    if learning := [q for q in network.projections if q.learning is not None]:
        message = f"projection '{learning[0].name}' learns, in epochs of ticks that cannot be stretched"
        hint = "raise the delays along the cycle instead"
        raise UnsupportedError(Diagnostic("NC0321", message, learning[0].origin, hint=hint))
    problems = [d for p in network.populations.values() if p.neuron is not None for d in _problems(p, p.neuron)]
    if problems:
        raise UnsupportedError(problems)
    steps = {p.name: _Step.of(network, p, p.neuron, k) for p in network.populations.values() if p.neuron is not None}
    projections = tuple(_projection(network, q, steps[q.target], k) for q in network.projections)
    punctual = _punctual(network)
    populations = {
        p.name: p if p.neuron is None else replace(p, neuron=_neuron(network, p, p.neuron, steps[p.name], k, punctual))
        for p in network.populations.values()
    }
    stepped = replace(
        network, timestep=network.timestep / k, ticks=network.ticks * k, populations=populations, projections=projections
    )
    note = (
        f"{k} ticks of the chip per tick of the network: decays are their roots, delays and periods {k} times as long; "
        "thresholds are compared in each of them, so that neurons with a synaptic current or a bias may spike early "
        "('neurocomp evaluate' measures it)"
    )
    return stepped.verify(), (note,)


def stretched(stimulus: Array, k: int) -> Array:
    """Return a stimulus (samples, ticks, n) with its spikes in the first of the K ticks of each step."""
    result = np.zeros((stimulus.shape[0], stimulus.shape[1] * k, *stimulus.shape[2:]), stimulus.dtype)
    result[:, ::k] = stimulus
    return result


def spikes_per_step(spikes: Array, k: int) -> Array:
    """Return spikes (samples, ticks of the chip, n) summed over each step."""
    return np.asarray(spikes.reshape(spikes.shape[0], -1, k, *spikes.shape[2:]).sum(axis=2, dtype=spikes.dtype))


def state_per_step(state: Array, k: int, has_current: bool) -> Array:
    """Return a register (samples, ticks of the chip, n) at the tick of each step that stands for it.

    With a synaptic current that is the last one, by which the current has added what it does in a step; else the first one, in
    which the input arrives.
    """
    return state[:, k - 1 :: k] if has_current else state[:, ::k]


def _problems(p: Population, neuron: Neuron) -> list[Diagnostic]:
    """Return what keeps a population from several ticks per step."""
    semantics = neuron.semantics
    found = []
    if isinstance(NEURON_MODELS[neuron.model], ProgrammedModel):
        hint = "raise the delays along the cycle instead"
        found.append((f"has the model {neuron.model}, a program whose steps are whole ticks", hint))
    if neuron.number_format is not None:
        hint = "drop 'format' and give real values, or raise the delays along the cycle"
        found.append((f"holds integers of '{neuron.number_format}', which stand for whole ticks of the chip", hint))
    if semantics.threshold_on != "new" or semantics.reset_when != "same_tick" or semantics.spikes_per_tick != "one":
        hint = "write 'threshold_on: new', 'reset_when: same_tick' and 'spikes_per_tick: one'"
        found.append(("spreads its update over ticks in a way that has no counterpart within a step", hint))
    return [Diagnostic("NC0321", f"population '{p.name}' {what}", p.origin, hint=hint) for what, hint in found]


@dataclass(frozen=True, slots=True)
class _Step:
    """The factors that keep what a step does to one population; 0-d or one per neuron."""

    decay_u: FloatArray
    decay_v: FloatArray
    weight: FloatArray
    """On weights."""
    bias: FloatArray
    """On biases."""
    whole_bias: FloatArray
    """What the biases add to the potential, or to the current, in a tick of the network: the input gain."""

    @staticmethod
    def of(network: Network, p: Population, neuron: Neuron, k: int) -> _Step:
        model = NEURON_MODELS[neuron.model]
        decays = model.decays(neuron.parameters, neuron.semantics, network.timestep)
        u, v = (np.maximum(np.asarray(d, np.float64), 0.0) for d in decays)
        gain = np.asarray(model.input_gain(neuron.parameters, neuron.semantics, network.timestep), np.float64)
        ticks = range(k)
        spread: FloatArray = np.asarray(sum(v ** (j / k) for j in ticks))
        if not model.has_current:
            return _Step(u, v, gain, gain / spread, gain)
        added: FloatArray = np.asarray(sum(v ** ((k - 1 - j) / k) * u ** (j / k) for j in ticks))
        # A steady current is b / (1 - decay) before and after; 1 - u = (1 - root)(1 + root + ...), also where u is 1.
        steady: FloatArray = np.asarray(sum(u ** (j / k) for j in ticks))
        return _Step(u, v, gain / added, gain / (steady * spread), gain)


def _projection(network: Network, q: Projection, step: _Step, k: int) -> Projection:
    target = network.populations[q.target]
    pattern, weights = q.pattern, q.weights
    if step.weight.ndim:
        shapes = q.source_shape(network.populations[q.source].shape), target.shape
        found = PATTERNS[pattern.kind].scaled(pattern, weights, step.weight, *shapes)
        if found is None:
            pattern, weights = expanded(pattern, weights, *shapes)
            found = PATTERNS[pattern.kind].scaled(pattern, weights, step.weight, *shapes)
        assert found is not None
        pattern, weights = found
    elif float(step.weight) != 1.0:
        weights = np.asarray(weights, np.float64) * float(step.weight)
    bias = None if q.bias is None else frozen(np.asarray(q.bias, np.float64) * step.bias)
    return replace(q, pattern=pattern, weights=frozen(weights), bias=bias, delay=frozen(np.asarray(q.delay, np.int64) * k))


def _punctual(network: Network) -> set[str]:
    """Return the populations that spike in the first tick of a step alone, inputs among them."""
    punctual = {
        p.name
        for p in network.populations.values()
        if p.neuron is None or (_forgets(p.neuron) and not _bias(network, p.name).any())
    }
    while late := {q.target for q in network.projections if q.target in punctual and q.source not in punctual}:
        punctual -= late
    return punctual


def _forgets(neuron: Neuron) -> bool:
    """Return whether the potential is all that a neuron keeps, and a spike clears it."""
    return not NEURON_MODELS[neuron.model].has_current and neuron.semantics.reset == "zero"


def _bias(network: Network, name: str) -> FloatArray:
    """Return the sum of the biases of a population, 0-d or (n,)."""
    biases = [np.asarray(q.bias, np.float64) for q in network.projections if q.target == name and q.bias is not None]
    return np.asarray(sum(biases, np.zeros(())))


def _may_repeat(network: Network, p: Population, neuron: Neuron, step: _Step, punctual: set[str]) -> bool:
    """Return whether a neuron that has spiked could do so again in the same step."""
    if not _forgets(neuron) or any(q.target == p.name and q.source not in punctual for q in network.projections):
        return True
    return bool((_bias(network, p.name) * step.whole_bias > np.asarray(neuron.parameters["v_threshold"])).any())


def _neuron(network: Network, p: Population, neuron: Neuron, step: _Step, k: int, punctual: set[str]) -> Neuron:
    model, semantics, dt = NEURON_MODELS[neuron.model], neuron.semantics, network.timestep
    parameters = dict(neuron.parameters)
    if semantics.integration == "euler":
        for name, decay in (("tau_syn", step.decay_u), ("tau_mem", step.decay_v)):
            if name in parameters:
                parameters[name] = frozen(_exact_tau(decay, dt))
    if model.has_current:
        added = step.whole_bias / step.weight
        parameters["u_init"] = frozen(np.asarray(parameters["u_init"] * step.decay_u ** ((k - 1) / k) / added))
    else:
        bias = _bias(network, p.name)
        root = step.decay_v ** (1 / k)
        # The first tick is the only one of the first step that comes before its threshold: it gets all of the bias.
        wanted = step.decay_v * parameters["v_init"] + bias * step.whole_bias - bias * step.bias
        start = np.where(root > 0, wanted / np.where(root > 0, root, 1.0), parameters["v_init"])
        parameters["v_init"] = frozen(start)
    silent = semantics.refractory * k
    if model.fires and _may_repeat(network, p, neuron, step, punctual):
        silent += k - 1
    interval = semantics.reset_interval
    changed = replace(
        semantics, integration="exact", input="delta", refractory=silent,
        reset_interval=None if interval is None else interval * k, reset_offset=semantics.reset_offset * k,
    )  # fmt: skip
    return replace(neuron, parameters=parameters, semantics=changed)


def _exact_tau(decay: FloatArray, dt: float) -> FloatArray:
    """Return the time constant (s) that decays as much per tick exactly as Euler's step does; a decay of 0 has next to none."""
    with np.errstate(divide="ignore"):
        tau = np.where(decay >= 1.0, np.inf, -dt / np.log(np.where(decay > 0, decay, 0.5)))
    return np.where(decay > 0, tau, dt * 1e-6)
