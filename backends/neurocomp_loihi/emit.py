"""From a mapped network to the bytes that each core is loaded with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import broken_invariant
from neurocomp.hardware import HardwareSpec, NumberFormat
from neurocomp.ir.lowered import LoweredNetwork
from neurocomp.ir.mapped import MappedNetwork
from neurocomp.ir.network import frozen
from neurocomp.ir.program import CoreTables, CurrentSymbol, InputSymbol, LearnedSymbol, PopulationSymbol, Program
from neurocomp.ir.programs import NAME_BYTES, neuron_program
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, IntegerProjection
from neurocomp.mapping.synapse_words import CoreRows, Members, learning_numbers, members_of, rows_of_core
from neurocomp_loihi import formats as fm

Array = NDArray[Any]
IntArray = NDArray[np.int64]

SIGN_MODES = {"mixed": fm.MIXED, "excitatory": fm.EXCITATORY, "inhibitory": fm.INHIBITORY}
RESOURCES = {
    "neurons": "compartments",
    "input_axons": "input_axons",
    "output_axons": "output_axons",
    "synapse_words": "synapse_words",
    "decay_profiles": "decay_profiles",
    "threshold_profiles": "threshold_profiles",
    "synapse_formats": "synapse_formats",
}
"""Resource, named as the spec's limit -> the table whose rows use it."""
RESETS = {"zero": fm.TO_ZERO, "subtract": fm.SUBTRACT_OWN, "none": fm.KEEP}
"""Reset of a neuron that is one compartment."""
LARGEST_REFRACTORY = (1 << 8) - 1
LARGEST_TIME = (1 << 32) - 1
"""Of the reset schedule and of late starts."""


def emit(mapped: MappedNetwork, spec: HardwareSpec) -> Program:
    """Write the tables of every core.

    Raises:
        InternalError: The network is not what the stages before promise, or a core's synapse words are not as many as the
            mapper counted.
    """
    network, lowered = mapped.lowered.network, mapped.lowered
    for q in network.projections:
        _claim(q.pool is None, f"no maximum stands before the weights of '{q.name}'")
        _claim(network.populations[q.source].dynamics != "current", f"the current '{q.source}' has no synapses")
    for p in network.populations.values():
        if not p.is_input:
            _claim_neuron(p, spec)
    members = [members_of(mapped, index) for index in range(len(mapped.cores))]
    rows = [rows_of_core(network, own, spec) for own in members]
    for core, r in zip(mapped.cores, rows, strict=True):
        same = np.array_equal(core.axon_population, r.axon_population) and np.array_equal(core.axon_neuron, r.axon_neuron)
        _claim(same, f"the input axons of core {core.core} are in canonical order")
        _claim(core.synapse_words == r.words, f"core {core.core} has the synapse words that the mapper counted")
    outputs = _outputs(mapped, rows)
    cores = tuple(
        CoreTables(core.chip, core.core, _tables(lowered, own, r, output, _payload(network, own), spec))
        for core, own, r, output in zip(mapped.cores, members, rows, outputs, strict=True)
    )
    populations = {
        name: PopulationSymbol(network.populations[name].shape, lowered.lag[name], frozen(place.core), frozen(place.slot))
        for name, place in ((p.name, mapped.placements[p.name]) for p in network.populations.values() if not p.is_input)
    }
    inputs = {p.name: _input_symbol(mapped, rows, p.name) for p in network.populations.values() if p.dynamics == "input"}
    currents = {
        name: CurrentSymbol(p.shape, tuple(other.name for other in network.populations.values() if other.current == name))
        for name, p in network.populations.items()
        if p.dynamics == "current"
    }
    numbers = learning_numbers(network)
    learned = {
        q.name: LearnedSymbol(q.source, q.target, numbers[q.name], q.mantissa.shape, *_ends(network, q), q.learning.modulators)
        for q in network.projections
        if q.learning is not None
    }
    return Program("loihi", fm.PROGRAM_FORMAT, cores, populations, inputs, network.ticks, currents, learned=learned)


def _ends(network: IntegerNetwork, q: IntegerProjection) -> tuple[IntArray, IntArray]:
    """Return source and target of each weight, in the order of the flat array."""
    found = network.synapses(q)
    order = np.argsort(found.slot, kind="stable")
    _claim(np.array_equal(found.slot[order], np.arange(q.mantissa.size)), f"each synapse of '{q.name}' has a weight of its own")
    return frozen(found.source[order]), frozen(found.target[order])


def utilization(program: Program, spec: HardwareSpec) -> Mapping[str, tuple[int, int, int]]:
    """Return resource -> (used over all cores, available per core, used on the fullest core), read from the bytes."""
    result: dict[str, tuple[int, int, int]] = {}
    for resource, table in RESOURCES.items():
        used = [len(fm.records_of(core, table)) for core in program.cores]
        result[resource] = (sum(used), spec.limit(resource), max(used, default=0))
    return result


def _claim(truth: bool, what: str) -> None:
    if not truth:
        raise broken_invariant("emit", what)


def _claim_neuron(p: IntegerPopulation, spec: HardwareSpec) -> None:
    """Claim that the records of the compartments can say what the neurons of a population do."""
    if p.program is not None:
        _claim(len(p.program.encode("ascii", "replace")) <= NAME_BYTES, f"the name of the program '{p.program}' fits its field")
        _claim(p.start <= LARGEST_TIME, f"the start of '{p.name}' fits its field")
        return
    _claim(p.fires and p.compare == ">", f"'{p.name}' spikes where its potential exceeds its threshold")
    native = p.reset == "zero" or p.reset in spec.native.get("reset", ())
    own = (p.compartments == 1 and native) or (p.compartments == 2 and p.reset == "subtract")
    _claim(own, f"compartments of {spec.name} reset as '{p.name}' does")
    _claim(p.refractory <= LARGEST_REFRACTORY, f"the refractory ticks of '{p.name}' fit their field")
    schedule = max(p.reset_interval or 0, p.reset_offset)
    _claim(p.reset_interval is None or schedule <= LARGEST_TIME, f"the reset schedule of '{p.name}' fits its fields")
    _claim(p.start <= LARGEST_TIME, f"the start of '{p.name}' fits its field")


def _payload(network: IntegerNetwork, members: Members) -> int:
    """Return whether the messages to a core carry values.

    They do if one of its projections needs them; the others must then come from sources whose messages are 1 anyway.
    """
    here = {name for name, _, _ in members}
    own = [q for q in network.projections if q.target in here]
    graded = {q.source for q in network.projections if not q.binary}
    if all(q.binary for q in own):
        return fm.ONE
    for q in own:
        always_one = network.populations[q.source].dynamics != "ternary" and q.source not in graded
        _claim(not q.binary or always_one, f"'{q.name}' counts messages as 1 on a core where they carry values")
    return fm.VALUE


def _outputs(mapped: MappedNetwork, rows: list[CoreRows]) -> list[tuple[IntArray, IntArray, IntArray]]:
    """Return per core its messages: (compartment, index of the target core, axon), sorted."""
    names = mapped.population_names
    found: list[IntArray] = []
    for target, r in enumerate(rows):
        for population in np.unique(r.axon_population):
            place = mapped.placements.get(names[population])
            if place is None:
                continue
            axon = np.flatnonzero(r.axon_population == population)
            neuron = r.axon_neuron[axon]
            found.append(np.stack([place.core[neuron], place.slot[neuron], np.full(len(axon), target), axon], axis=1))
    table = np.concatenate([np.zeros((0, 4), np.int64), *found])
    table = table[np.lexsort(table.T[::-1])]
    parts = np.split(table, np.searchsorted(table[:, 0], np.arange(1, len(rows))))[: len(rows)]
    chips = np.array([(core.chip, core.core) for core in mapped.cores], np.int64).reshape(-1, 2)
    return [(part[:, 1], chips[part[:, 2]], part[:, 3]) for part in parts]


def _input_symbol(mapped: MappedNetwork, rows: list[CoreRows], name: str) -> InputSymbol:
    population = mapped.population_names.index(name)
    triples = [np.zeros((0, 3), np.int64)]
    for index, r in enumerate(rows):
        axon = np.flatnonzero(r.axon_population == population)
        triples.append(np.stack([r.axon_neuron[axon], np.full(len(axon), index), axon], axis=1))
    table = np.concatenate(triples)
    table = table[np.lexsort(table.T[::-1])]
    neuron, core, axon = (frozen(np.ascontiguousarray(column)) for column in table.T)
    network = mapped.lowered.network
    graded = any(q.source == name and not q.binary for q in network.projections)
    return InputSymbol(network.populations[name].shape, neuron, core, axon, graded)


# The tables of one core


def _tables(
    lowered: LoweredNetwork,
    members: Members,
    rows: CoreRows,
    output: tuple[IntArray, IntArray, IntArray],
    payload: int,
    spec: HardwareSpec,
) -> Mapping[str, fm.ByteArray]:
    network = lowered.network
    compartments, decays, thresholds = _compartments(network, members)
    for limit, profiles in (("decay_profiles", decays), ("threshold_profiles", thresholds), ("synapse_formats", rows.formats)):
        _claim(len(profiles) <= spec.limit(limit), f"a core has at most {spec.limit(limit)} {limit.replace('_', ' ')}")
    _claim(not _visits(rows, compartments["role"] == fm.AMOUNT), "no synapse leads to a reset compartment")
    header = _header(network.number_format, len(compartments), rows, payload)
    formats = _formats(rows)
    blocks = fm.Blocks(
        rows.row_start, rows.block_format, rows.block_start, rows.index,
        rows.weight.astype(np.int64), rows.delay.astype(np.int64),
    )  # fmt: skip
    words, lengths = fm.encode_rows(blocks, formats, int(header["cost_formula"]), int(header["synapses_per_entry"]))
    _claim(np.array_equal(lengths, rows.row_words(rows.formula)), "every row has the words of the published formula")
    axons = np.zeros(len(rows.axon_row), fm.INPUT_AXON)
    axons["pointer"] = (np.cumsum(lengths) - lengths)[rows.axon_row]
    axons["length"] = lengths[rows.axon_row]
    axons["base"] = rows.axon_base

    source, place, axon = output
    messages = np.zeros(len(source), fm.OUTPUT_AXON)
    messages["chip"], messages["core"], messages["axon"] = place[:, 0], place[:, 1], axon
    lists = np.zeros(len(compartments), fm.OUTPUT_LIST)
    lists["count"] = np.bincount(source, minlength=len(compartments))
    lists["first"] = np.cumsum(lists["count"]) - lists["count"]
    records = {
        "header": header.reshape(1),
        "compartments": compartments,
        "decay_profiles": decays,
        "threshold_profiles": thresholds,
        "input_axons": axons,
        "synapse_formats": fm.encode_formats(formats),
        "synapse_words": words.astype(fm.SYNAPSE_WORD),
        "output_lists": lists,
        "output_axons": messages,
        "resets": _resets(network, members),
        "starts": _starts(network, members),
        **_lessons(lowered, rows),
    }
    records |= _programs(network, members, lowered.lag)
    return {name: fm.to_bytes(records[name]) for name in fm.RECORDS if len(records[name]) or name not in fm.OPTIONAL}


def _visits(rows: CoreRows, compartments: NDArray[np.bool_]) -> bool:
    """Return whether a row, counted from the base of some of its axons, reaches one of these compartments."""
    if not compartments.any():
        return False
    for row, base in np.unique(np.stack([rows.axon_row, rows.axon_base], axis=1), axis=0).tolist():
        first, last = rows.block_start[rows.row_start[row : row + 2]]
        if compartments[base + rows.index[first:last]].any():
            return True
    return False


def _header(form: NumberFormat, compartments: int, rows: CoreRows, payload: int) -> Array:
    header = np.zeros((), fm.HEADER)
    header["compartments"] = compartments
    header["cost_formula"] = fm.COST_FORMULAS[rows.formula]
    header["synapses_per_entry"] = rows.per_entry if rows.formula == "nxtf" else 1 << fm.COUNT_BITS
    header["u_overflow"] = fm.WRAP if form.u_overflow == "wrap" else fm.FOLD
    header["payload"] = payload
    for name in ("decay_bits", "current_decay_offset", "state_shift", "u_bits", "v_bits", "accumulator_bits"):
        header[name] = getattr(form, name)
    return header


def _slots(p: IntegerPopulation, slots: IntArray) -> IntArray:
    """Return all compartments of neurons in these slots, reset compartments included, ascending."""
    return np.sort((slots[:, None] + np.arange(p.compartments)).ravel())


def _compartments(network: IntegerNetwork, members: Members) -> tuple[Array, Array, Array]:
    """Return the compartment, decay profile and threshold profile tables; profiles sorted, equal ones once."""
    taken = [np.zeros(0, np.int64), *(_slots(network.populations[name], slots) for name, _, slots in members)]
    n = sum(len(slots) for slots in taken)
    _claim(np.array_equal(np.sort(np.concatenate(taken)), np.arange(n)), "the compartments of a core are numbered from 0")

    table = np.zeros(n, fm.COMPARTMENT)
    clearing = network.number_format.decay_one - 1
    du, dv, refractory, vth = (np.zeros(n, np.int64) for _ in range(4))
    for name, neurons, slots in members:
        p = network.populations[name]
        table["u_init"][slots], table["v_init"][slots] = p.values("u_init")[neurons], p.values("v_init")[neurons]
        if p.program is not None:
            table["role"][slots] = fm.PROGRAM
            continue
        du[slots], dv[slots], refractory[slots] = p.values("du")[neurons], p.values("dv")[neurons], p.refractory
        table["bias_mantissa"][slots], table["bias_exponent"][slots] = (p.values(f"bias_{x}")[neurons] for x in ("mant", "exp"))
        table["reset"][slots] = RESETS[p.reset] if p.compartments == 1 else fm.SUBTRACT_NEXT
        if p.dynamics == "ternary":
            table["role"][slots] = fm.TERNARY
        if p.compartments == 2:
            table["role"][slots + 1] = fm.AMOUNT
            du[slots + 1] = dv[slots + 1] = clearing
        for one in range(p.compartments):
            vth[slots + one] = p.values("vth")[neurons]
            if p.dynamics == "ternary":
                table["threshold_low"][slots + one] = p.values("vth_low")[neurons]
    decays, decay = np.unique((du << 32) + (dv << 16) + refractory, return_inverse=True)
    mantissas, threshold = np.unique(vth, return_inverse=True)
    table["decay_profile"], table["threshold_profile"] = decay, threshold
    decay_table, threshold_table = np.zeros(len(decays), fm.DECAY_PROFILE), np.zeros(len(mantissas), fm.THRESHOLD_PROFILE)
    decay_table["du"], decay_table["dv"], decay_table["refractory"] = decays >> 32, decays >> 16 & 0xFFFF, decays & 0xFFFF
    threshold_table["mantissa"] = mantissas
    return table, decay_table, threshold_table


def _resets(network: IntegerNetwork, members: Members) -> Array:
    """Return the reset schedule: the populations that have one as runs of consecutive compartments."""
    entries: list[tuple[int, int, int, int]] = []
    for name, _, slots in members:
        p = network.populations[name]
        if p.reset_interval is not None:
            entries += [(first, count, p.reset_interval, p.reset_offset) for first, count in _runs(p, slots)]
    return np.array(entries, fm.RESET)


def _starts(network: IntegerNetwork, members: Members) -> Array:
    """Return the late starts: the populations that start after tick 0 as runs of consecutive compartments."""
    entries: list[tuple[int, int, int]] = []
    for name, _, slots in members:
        p = network.populations[name]
        if p.start:
            entries += [(first, count, p.start) for first, count in _runs(p, slots)]
    return np.array(entries, fm.START)


def _programs(network: IntegerNetwork, members: Members, lags: Mapping[str, int]) -> dict[str, Array]:
    """Return the runs of programs, and the words of their compartments."""
    runs: list[tuple[bytes, int, int, int, int, int, int]] = []
    words: list[IntArray] = [np.zeros(0, np.int64)]
    pointer = 0
    for name, neurons, slots in members:
        p = network.populations[name]
        if p.program is None:
            continue
        none = np.zeros(p.size, np.int64)
        drawn = [p.values(key) if key in p.parameters else none for key in ("seed", "key")]
        columns = [p.values("bias"), *drawn, *(p.values(word) for word in neuron_program(p.program).words)]
        order = np.argsort(slots)
        own = np.stack(columns, axis=1)[neurons[order]]
        begin = 0
        for first, count in _runs(p, slots):
            runs.append((p.program.encode("ascii"), first, count, own.shape[1], 0, pointer, lags[name]))
            words.append(own[begin : begin + count].reshape(-1))
            begin, pointer = begin + count, pointer + count * own.shape[1]
    return {"programs": np.array(runs, fm.RUN), "program_words": np.concatenate(words).astype(fm.PROGRAM_WORD)}


CONDITIONS = ("x0", "y0", "u")
VARIABLES = ("x1", "x2", "y1", "y2", "y3", "w", "t")
"""By their codes."""


def _lessons(lowered: LoweredNetwork, rows: CoreRows) -> dict[str, Array]:
    """Return the rules by which the synapses of a core learn."""
    network, used = lowered.network, {f.learning for f in rows.formats}
    lessons: list[Array] = []
    products: list[tuple[int, ...]] = []
    factors: list[tuple[int, ...]] = []
    for number, q in enumerate((q for q in network.projections if q.learning is not None), 1):
        if number not in used:
            continue
        assert q.learning is not None
        lesson = np.zeros((), fm.LESSON)
        lesson["rule"], lesson["first_product"] = number, len(products)
        for target, found in enumerate((q.learning.weights, q.learning.tags)):
            for p in found:
                own = CONDITIONS.index(p.condition), p.decimation, p.mantissa, p.exponent
                products.append((target, *own, len(p.factors), len(factors)))
                factors += [(VARIABLES.index(f.variable), int(f.sign), f.constant) for f in p.factors]
        lesson["products"] = len(products) - lesson["first_product"]
        for name in ("epoch", "seed", "modulator_delay", "across_samples"):
            lesson[name] = getattr(q.learning, name)
        lesson["modulators"] = len(q.learning.modulators)
        lesson["start"], lesson["lag"] = lowered.lag[q.source] + int(q.delay), lowered.lag[q.target]
        for at, name in enumerate(VARIABLES[:5]):
            if name in q.learning.traces:
                lesson["keep"][at], lesson["impulse"][at] = q.learning.traces[name].keep, q.learning.traces[name].impulse
        lessons.append(lesson)
    return {
        "lessons": np.array(lessons, fm.LESSON),
        "learning_products": np.array(products, fm.LEARNING_PRODUCT),
        "learning_factors": np.array(factors, fm.LEARNING_FACTOR),
    }


def _runs(p: IntegerPopulation, slots: IntArray) -> list[tuple[int, int]]:
    """Return all compartments of neurons in these slots as runs: (first compartment, how many)."""
    own = _slots(p, slots)
    return [(int(run[0]), len(run)) for run in np.split(own, np.flatnonzero(np.diff(own) != 1) + 1)]


def _formats(rows: CoreRows) -> fm.Formats:
    columns = [
        (
            SIGN_MODES[f.sign_mode],
            f.weight_bits,
            f.exponent,
            f.delay_bits,
            f.index_bits,
            fm.SPARSE if f.sparse else fm.DENSE,
            f.learning,
            f.learning_bits,
        )
        for f in rows.formats
    ]
    return fm.Formats(*np.array(columns, np.int64).reshape(-1, 8).T)
