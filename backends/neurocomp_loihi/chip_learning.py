"""Learning on the simulated chip: the rules in a core's tables move the weights that the core was loaded with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.engine.kernels import learning
from neurocomp.errors import ArtifactError, Diagnostic
from neurocomp.ir.program import LearnedSymbol, Program
from neurocomp_loihi import formats as fm

Array = NDArray[Any]
IntArray = NDArray[np.int64]

RANGES = {fm.MIXED: (-256, 255), fm.EXCITATORY: (0, 255), fm.INHIBITORY: (-255, 0)}
"""Smallest and largest weight by the sign mode of the format."""


@dataclass(slots=True, eq=False)
class Learner:
    """The synapses of a core that learn by one rule, from its input axons to its compartments."""

    core: int
    axons: slice
    """Of the core, among those of the whole machine."""
    compartments: slice
    lesson: fm.Lesson
    rule: learning.Rule
    exponent: int
    synapses: learning.Synapses
    axon: IntArray
    """Of each synapse, counted on the core."""
    compartment: IntArray
    start: NDArray[np.int32]
    state: learning.State
    modulators: tuple[tuple[str, IntArray | None], ...]
    """Inputs whose values the host writes, and which neuron's each compartment gets; None: all get the one that there is."""
    generators: learning.Generators = field(init=False)
    numbers: learning.Numbers = field(init=False)

    def load(self) -> None:
        """Take the weights that were loaded, and the random numbers from their beginning."""
        self.state.weight[:] = self.start
        self.generators = learning.generators_of(self.lesson.fields["seed"])

    @property
    def across_samples(self) -> bool:
        """Whether a sample goes on with the weights of the one before."""
        return bool(self.lesson.fields["across_samples"])

    def begin(self, ticks: int) -> None:
        """Begin a sample of so many ticks of the user."""
        if not self.across_samples:
            self.load()
        learning.begin(self.state)
        steps = max(0, self.lesson.fields["lag"] + ticks - self.lesson.fields["start"])
        self.numbers = learning.numbers_of(self.generators, steps, self.rule.epoch)

    def add(self, active: Array, arriving: Array) -> None:
        """Add what the messages of a tick, (axons,) of the machine, send to the compartments, (compartments,) of it."""
        sums = np.zeros(self.compartments.stop - self.compartments.start, np.int64)
        learning.add(self.synapses, self.state.weight, np.flatnonzero(active[self.axons]), sums)
        exponent = self.exponent
        arriving[self.compartments] += sums << exponent if exponent > 0 else sums >> -exponent

    def learn(self, active: Array, spiked: Array, stimulus: Mapping[str, Array], sample: int, tick: int, ticks: int) -> None:
        """Take the step at the end of a tick, if it is one of the sample's."""
        lesson = self.lesson.fields
        if not lesson["start"] <= tick + 1 < lesson["lag"] + ticks:
            return
        given = [np.zeros(self.compartments.stop - self.compartments.start, np.int64) for _ in range(2)]
        at = tick - lesson["modulator_delay"]
        for values, (name, neuron) in zip(given, self.modulators, strict=False):
            if 0 <= at < stimulus[name].shape[1]:
                sent = stimulus[name][sample, at]
                values[:] = sent[0] if neuron is None else np.where(neuron >= 0, sent[neuron], 0)
        learning.step(
            self.rule, self.synapses, self.state, self.numbers, np.flatnonzero(active[self.axons]),
            np.flatnonzero(spiked[self.compartments]), *given,
        )  # fmt: skip


def learners_of(
    program: Program, number: int, d: fm.DecodedCore, axon: IntArray, compartment: IntArray, form: IntArray, weight: IntArray,
    axons: slice, compartments: slice,
) -> list[Learner]:  # fmt: skip
    """Return the learners of a core.

    Args:
        program: Its symbols say which inputs modulate.
        number: Of the core.
        d: The decoded core.
        axon: Of each synapse, (synapses,).
        compartment: Likewise.
        form: Index of its format.
        weight: At 8-bit scale, before its exponent.
        axons: The core's, among all.
        compartments: Likewise.
    """
    found = []
    n_axons, n = axons.stop - axons.start, compartments.stop - compartments.start
    for lesson in d.lessons:
        own = np.flatnonzero(d.formats.learning[form] == lesson.fields["rule"])
        if not len(own):
            continue
        modes, exponents = (np.unique(values[form[own]]) for values in (d.formats.sign_mode, d.formats.exponent))
        if len(modes) > 1 or len(exponents) > 1:
            message = f"core {d.core} of chip {d.chip}: synapses of one rule have formats that differ in sign or exponent"
            raise ArtifactError(Diagnostic("NC0602", message, hint="compile the network again"))
        low, high = RANGES[int(modes[0])]
        rule = learning.Rule(
            lesson.products, lesson.factors, lesson.keep, lesson.impulse, lesson.fields["epoch"], low, high,
            lesson.fields["modulators"],
        )  # fmt: skip
        synapses, order = learning.synapses_of(axon[own], compartment[own], n_axons, n)
        start = weight[own][order].astype(np.int32)
        symbol = next(s for s in program.learned.values() if s.rule == lesson.fields["rule"])
        target = program.populations[symbol.target]
        neuron = np.full(n, -1)
        here = target.core == number
        neuron[target.compartment[here]] = np.flatnonzero(here)
        modulators = tuple(
            (name, None if int(np.prod(program.inputs[name].shape)) == 1 else neuron) for name in symbol.modulators
        )
        learner = Learner(
            number, axons, compartments, lesson, rule, int(exponents[0]), synapses, axon[own][order], compartment[own][order],
            start, learning.state_of(rule, synapses, start.copy()), modulators,
        )  # fmt: skip
        found.append(learner)
    return found


def weights_of(program: Program, symbol: LearnedSymbol, learners: Sequence[Learner], sent: IntArray) -> NDArray[np.int16]:
    """Return the weights of a projection as they stand.

    Args:
        program: For the symbols of its ends.
        symbol: The projection.
        learners: Of all cores.
        sent: Messages from compartments as (core, compartment, target core, axon), (messages, 4).
    """
    target = program.populations[symbol.target]
    if symbol.source in program.inputs:
        source = program.inputs[symbol.source]
        places = np.stack([source.neuron, source.core, source.axon], axis=1)
    else:
        own = program.populations[symbol.source]
        by_place = {place: neuron for neuron, place in enumerate(zip(own.core.tolist(), own.compartment.tolist(), strict=True))}
        rows = [(by_place[c, k], to, a) for c, k, to, a in sent.tolist() if (c, k) in by_place]
        places = np.array(rows, np.int64).reshape(-1, 3)
    result = np.zeros(len(symbol.source_neuron), np.int16)
    core = target.core[symbol.target_neuron]
    for learner in (one for one in learners if one.lesson.fields["rule"] == symbol.rule):
        # Axons that lead from the source to this core: several where messages of other projections come from it too.
        neuron_of = np.full(learner.axons.stop - learner.axons.start, -1)
        here = places[places[:, 1] == learner.core]
        neuron_of[here[:, 2]] = here[:, 0]
        n = int(target.compartment.max(initial=0)) + 1 + int(learner.compartment.max(initial=0))
        keys = neuron_of[learner.axon] * n + learner.compartment
        order = np.argsort(keys, kind="stable")
        wanted = np.flatnonzero(core == learner.core)
        key = symbol.source_neuron[wanted] * n + target.compartment[symbol.target_neuron[wanted]]
        at = np.searchsorted(keys[order], key)
        hit = at < len(order)
        hit[hit] = keys[order][at[hit]] == key[hit]
        result[wanted[hit]] = learner.state.weight[order[at[hit]]]
    return result.reshape(symbol.shape)
