"""The engine ``float``: a network in float64, before any integer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from neurocomp.backend import Stimulus
from neurocomp.errors import Diagnostic, EngineUnavailable
from neurocomp.fixedpoint import PROGRAM, philox
from neurocomp.hardware import LAVA_UNCHECKED
from neurocomp.ir.network import Network, Neuron, Population, Projection
from neurocomp.ir.trace import Trace
from neurocomp.models.neurons import NEURON_MODELS, IntegrateAndFire, NeuronModel, Semantics, State
from neurocomp.models.patterns import PATTERNS, size_of
from neurocomp.simulation.learning import Learner

Array = NDArray[Any]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_CHUNK_BYTES = 32 << 20
"""Bound of the live state of the samples that run together."""
_MAX_CHUNK = 512


def simulate(
    network: Network,
    stimulus: Stimulus,
    *,
    record: Collection[str] | None = None,
    state: bool = True,
    first_sample: int = 0,
) -> Trace:
    """Run all samples from the initial state, for the ticks of the stimulus.

    In each tick the populations run in an order in which every projection with delay 0 comes from one that already ran. A
    spike of tick t that a synapse delays by d acts in tick t + d; a bias acts in every tick. Weights of any dtype are
    computed in float64. A population of a chip's integers runs on the same integers as real numbers: with x the sum of
    ``weight * 2**weight_exp`` and the symbols of `neurocomp.hardware.NumberFormat`, neither rounded nor clipped,

        u <- u (1 - (du + 1) / 4096) + 64 x
        v <- v (1 - dv / 4096) + u + bias_mant 2**bias_exp
        spike where v > 64 vth

    and the reset, the comparison, the refractory period and the reset schedule of its semantics; the ternary model also spikes,
    by -1, where v < 64 vth_low. A spike's value, 1, -1 or the count of a tick with many, multiplies the weights.

    Sums are those of the linear algebra library, whose order of additions is its own.

    Args:
        network: A verified network.
        stimulus: One array (samples, ticks, n) per input population: spikes as integers, or a current (`EncoderScheme.analog`)
            in float64, which the weights multiply as it is; a network without inputs runs one sample.
        record: Populations whose spikes (and state) the trace holds; None: all.
        state: Whether u and v are recorded: v of every population with neurons, u where its model has one.
        first_sample: The number of the first sample, which keys random numbers.

    Returns:
        A trace in the user's time: spikes int32, u and v float64, (samples, ticks, n), read after the tick. An input that is a
        current has no spikes: its array holds zeros.
    """
    recorded = [name for name in network.populations if record is None or name in record]
    samples, ticks = next((values.shape[:2] for values in stimulus.values()), (1, network.ticks))
    spikes = {name: np.zeros((samples, ticks, network.populations[name].size), np.int32) for name in recorded}
    neurons = {name: network.populations[name].neuron for name in recorded}
    with_state = {name: neuron for name, neuron in neurons.items() if state and neuron is not None}
    recorded_as = {name: NEURON_MODELS[neuron.model].recorded for name, neuron in with_state.items()}
    v = {name: np.zeros(spikes[name].shape) for name in with_state}
    u = {name: np.zeros_like(v[name]) for name, states in recorded_as.items() if "u" in states}

    plan = _Plan.of(network, ticks)
    learners = [
        Learner(network, s.projection, s.factor, s.weights)
        for synapses in plan.synapses.values()
        for s in synapses
        if s.projection.learning is not None
    ]
    kept: dict[str, list[FloatArray]] = {learner.projection.name: [] for learner in learners}
    step = 1 if learners else _chunk_size(network, ticks)
    for start in range(0, samples, step):
        chunk = slice(start, min(start + step, samples))
        numbers = first_sample + np.arange(chunk.start, chunk.stop)
        run = _Run(network, plan, {name: values[chunk] for name, values in stimulus.items()}, numbers)
        for learner in learners:
            learner.begin()
        for tick in range(ticks):
            run.tick(tick)
            for learner in learners:
                run.learn(learner, tick)
            for name in recorded:
                if name not in run.currents:
                    spikes[name][chunk, tick] = run.spikes[name]
            for name in v:
                v[name][chunk, tick] = run.states[name][recorded_as[name]["v"]]
            for name in u:
                u[name][chunk, tick] = run.states[name][recorded_as[name]["u"]]
        for learner in learners:
            if state or not learner.learning.across_samples or chunk.stop == samples:
                kept[learner.projection.name].append(learner.stored())
    lag = dict.fromkeys(network.populations, 0)
    weights = {name: np.stack(values) for name, values in kept.items()}
    return Trace("float", ticks, lag, spikes, u, v, windowed=True, weights=weights)


@dataclass(frozen=True, slots=True, eq=False)
class _Synapses:
    """The synapses of one projection that have one delay, in float64."""

    projection: Projection
    before: tuple[FloatArray, ...]
    """Weights of the stages before its pattern."""
    weights: FloatArray
    delay: int
    factor: float = 1.0
    """On the weights of the network."""


@dataclass(frozen=True, slots=True, eq=False)
class _Neurons:
    """What runs one population: its model and parameters, and the constant part of its input."""

    model: NeuronModel | _Compartment
    parameters: Mapping[str, Array]
    semantics: Semantics
    bias: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """What all chunks of samples share."""

    order: Sequence[str]
    neurons: Mapping[str, _Neurons]
    synapses: Mapping[str, Sequence[_Synapses]]
    """Target -> its synapses, in the order of the projections."""
    memory: Mapping[str, int]
    """Source -> the ticks back that its spikes are still needed."""

    @staticmethod
    def of(network: Network, ticks: int) -> _Plan:
        synapses: dict[str, list[_Synapses]] = {name: [] for name in network.populations}
        memory = dict.fromkeys(network.populations, 0)
        for projection in network.projections:
            factor = 1.0
            if projection.native is not None and not _is_truenorth(network.populations[projection.target]):
                factor = 2.0 ** (projection.native.weight_exp + LAVA_UNCHECKED.state_shift)
            weights = np.asarray(projection.weights, np.float64)
            weights = weights if factor == 1.0 else weights * factor
            before = tuple(np.asarray(stage.weights, np.float64) for stage in projection.before)
            arriving = projection.delay < ticks
            for delay in np.unique(projection.delay[arriving]):
                chosen = np.where(projection.delay == delay, weights, 0.0) if projection.delay.ndim else weights
                chosen = chosen.copy() if projection.learning is not None else chosen
                synapses[projection.target].append(_Synapses(projection, before, chosen, int(delay), factor))
                memory[projection.source] = max(memory[projection.source], int(delay))
            if projection.learning is not None:
                memory[projection.target] = max(memory[projection.target], 1)
                for name in projection.learning.modulators:
                    memory[name] = max(memory[name], int(projection.delay))
        neurons = {
            population.name: _neurons(network, population, population.neuron)
            for population in network.populations.values()
            if population.neuron is not None
        }
        return _Plan(_order(network), neurons, synapses, memory)


class _Run:
    """Some samples of a run."""

    def __init__(self, network: Network, plan: _Plan, stimulus: Mapping[str, Array], numbers: IntArray) -> None:
        self.network, self.plan, self.stimulus, self.samples = network, plan, stimulus, len(numbers)
        self.samples_from = numbers
        self.spikes: dict[str, FloatArray] = {}
        """Population -> what it sends in this tick, (samples, n)."""
        self.currents = {name for name, values in stimulus.items() if values.dtype.kind == "f"}
        self.steady: dict[str, dict[int, FloatArray]] = {name: {} for name in self.currents if stimulus[name].strides[1] == 0}
        """Input that is the same in every tick -> what its synapses carry, by their place in the plan."""
        self.states: dict[str, State] = {
            name: neurons.model.start(neurons.parameters, (self.samples, network.populations[name].size))
            for name, neurons in plan.neurons.items()
        }
        self.past = {
            name: np.zeros((memory + 1, self.samples, network.populations[name].size))
            for name, memory in plan.memory.items()
            if memory
        }

    def tick(self, tick: int) -> None:
        """Advance by one tick; ``spikes`` and ``states`` then hold its results."""
        for name in self.plan.order:
            if name in self.plan.neurons:
                neurons = self.plan.neurons[name]
                if neurons.model.draws:
                    self.states[name]["random"] = self._words(name, neurons, tick)
                x = self._input(name, tick)
                self.spikes[name] = neurons.model.step(
                    self.states[name], x, neurons.parameters, neurons.semantics, self.network.timestep, tick
                )
            else:
                self.spikes[name] = np.asarray(self.stimulus[name][:, tick], np.float64)
            if name in self.past:
                self.past[name][tick % len(self.past[name])] = self.spikes[name]

    def _words(self, name: str, neurons: _Neurons, tick: int) -> FloatArray:
        """Return a random word for each sample and neuron, keyed as those of integers are, as float64."""
        first = 0
        for p in self.network.populations.values():
            if p.name == name:
                break
            first += p.size
        size = self.network.populations[name].size
        shape = (self.samples, size)
        parts = (first + np.arange(size), tick, self.samples_from[:, None], PROGRAM << 24)
        key, when, sample, purpose = (np.broadcast_to(np.asarray(part, np.uint64), shape) for part in parts)
        seed = np.asarray(neurons.parameters["seed"], np.uint64)
        return philox((key, when, sample, purpose), (seed, 0))[0].astype(np.float64)

    def _input(self, name: str, tick: int) -> FloatArray:
        x: FloatArray = np.tile(self.plan.neurons[name].bias, (self.samples, 1))
        for synapses in self.plan.synapses[name]:
            source = synapses.projection.source
            if synapses.delay > tick:
                continue
            if source in self.steady and synapses.projection.learning is None:
                known = self.steady[source]
                if id(synapses) not in known:
                    known[id(synapses)] = self._carried(synapses, self.spikes[source])
                x += known[id(synapses)]
            elif synapses.delay:
                x += self._carried(synapses, self.past[source][(tick - synapses.delay) % len(self.past[source])])
            else:
                x += self._carried(synapses, self.spikes[source])
        return x

    def learn(self, learner: Learner, tick: int) -> None:
        """Let a projection take its step: the spikes that have just arrived, and what the target sent in the tick before."""
        q, delay = learner.projection, int(learner.projection.delay)
        if tick < delay:
            return
        before = self.sent(q.target, tick - 1)[0] != 0 if tick else np.zeros(learner.sizes["y"], np.bool_)
        size = (learner.sizes["y"],)
        modulators = {
            trace: np.broadcast_to(self.sent(name, tick - delay)[0], size)
            for trace, name in zip(("y2", "y3"), learner.learning.modulators, strict=False)
        }
        learner.learn(self.sent(q.source, tick - delay)[0] != 0, before, modulators)

    def sent(self, name: str, tick: int) -> FloatArray:
        """Return what a population sent in this tick or one that is still kept, (samples, n)."""
        past = self.past.get(name)
        return self.spikes[name] if past is None else np.asarray(past[tick % len(past)], np.float64)

    def _carried(self, synapses: _Synapses, arriving: FloatArray) -> FloatArray:
        """Return what synapses make of spikes (samples, n_source), (samples, n_target)."""
        q, shape = synapses.projection, self.network.populations[synapses.projection.source].shape
        for stage, weights in zip(q.before, synapses.before, strict=True):
            arriving = PATTERNS[stage.pattern.kind].forward(stage.pattern, weights, arriving, shape, stage.shape)
            shape = stage.shape
        target = self.network.populations[q.target].shape
        return PATTERNS[q.pattern.kind].forward(q.pattern, synapses.weights, arriving, shape, target)


@dataclass(frozen=True, slots=True)
class _Compartment:
    """A chip's compartment in real numbers: every one has a current, and the bias enters the potential."""

    model: IntegrateAndFire
    """What compares and resets."""
    draws: bool = False

    def start(self, parameters: Mapping[str, Array], shape: tuple[int, ...]) -> State:
        return self.model.start(parameters, shape)

    def step(
        self, state: State, x: FloatArray, parameters: Mapping[str, Array], semantics: Semantics, dt: float, tick: int
    ) -> FloatArray:
        if semantics.reset_interval is not None and tick % semantics.reset_interval == semantics.reset_offset:
            for values in state.values():
                values[:] = 0.0
        state["u"] *= parameters["decay_u"]
        state["u"] += x
        return self.model.membrane(state, state["u"] + parameters["bias"], parameters["decay_v"], parameters, semantics)


def _is_truenorth(population: Population) -> bool:
    return population.neuron is not None and population.neuron.number_format == "truenorth"


def _neurons(network: Network, population: Population, neuron: Neuron) -> _Neurons:
    bias = np.zeros(population.size)
    for projection in network.projections:
        if projection.target == population.name and projection.bias is not None:
            bias = bias + projection.bias
    model = NEURON_MODELS[neuron.model]
    if neuron.number_format is None:
        return _Neurons(model, neuron.parameters, neuron.semantics, bias)
    if neuron.number_format == "truenorth":
        noisy = [key for key in ("b", "c_lambda", "TM") if np.any(neuron.parameters[key])]
        if noisy:
            message = (
                f"the neurons of '{population.name}' draw random numbers ({', '.join(noisy)}), which real numbers do not have"
            )
            hint = "compile the network and use the engine 'reference' or 'chip'"
            raise EngineUnavailable(Diagnostic("NC0320", message, population.origin, hint=hint))
        return _Neurons(model, neuron.parameters, neuron.semantics, bias)
    form = LAVA_UNCHECKED
    real = {key: np.asarray(value, np.float64) for key, value in neuron.parameters.items()}
    parameters = {
        "decay_u": 1.0 - (real["du"] + form.current_decay_offset) / form.decay_one,
        "decay_v": 1.0 - real["dv"] / form.decay_one,
        "v_threshold": real["vth"] * 2.0**form.state_shift,
        "bias": real["bias_mant"] * 2.0 ** real["bias_exp"],
        "u_init": real["u_init"],
        "v_init": real["v_init"],
    }
    if model.signed:
        parameters["v_threshold_low"] = real["vth_low"] * 2.0**form.state_shift
    doc = "a chip's compartment"
    membrane = IntegrateAndFire(population.name, doc, leaky=True, has_current=True, fires=model.fires, signed=model.signed)
    return _Neurons(_Compartment(membrane), parameters, neuron.semantics, bias)


def _order(network: Network) -> list[str]:
    """Return the populations so that every projection with a delay of 0 leads forward; else in file order."""
    graph = nx.DiGraph()
    graph.add_nodes_from(network.populations)
    graph.add_edges_from((q.source, q.target) for q in network.projections if q.delay.size and q.delay.min() == 0)
    rank = {name: index for index, name in enumerate(network.populations)}
    return list(nx.lexicographical_topological_sort(graph, key=rank.__getitem__))


def _chunk_size(network: Network, ticks: int) -> int:
    """Return how many samples run together."""
    sizes = {population.name: population.size for population in network.populations.values()}
    delayed = sum(sizes[q.source] * min(int(q.delay.max()), ticks) for q in network.projections if q.delay.size)
    synapses = sum(q.weights.size for q in network.projections if q.weights.ndim == 1)
    between = sum(size_of(stage.shape) for q in network.projections for stage in q.before)
    per_sample = 8 * (8 * sum(sizes.values()) + delayed + synapses + 2 * between)
    return max(1, min(_MAX_CHUNK, _CHUNK_BYTES // max(1, per_sample)))
