"""From a mapped network to the bytes that each core is loaded with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import broken_invariant
from neurocomp.hardware import HardwareSpec, NumberFormat
from neurocomp.ir.mapped import MappedNetwork
from neurocomp.ir.network import frozen
from neurocomp.ir.program import CoreTables, InputSymbol, PopulationSymbol, Program
from neurocomp.ir.quantized import IntegerNetwork
from neurocomp.mapping.synapse_words import CoreRows, Members, members_of, rows_of_core
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


def emit(mapped: MappedNetwork, spec: HardwareSpec) -> Program:
    """Write the tables of every core.

    Raises:
        InternalError: The network is not what the stages before promise, or a core's synapse words are not as many as the
            mapper counted.
    """
    network, lowered = mapped.lowered.network, mapped.lowered
    for q in network.projections:
        _claim(q.binary, f"the spikes of '{q.source}' carry no value")
    for p in network.populations.values():
        _claim(p.is_input or (p.fires and p.reset_interval is None), f"'{p.name}' fires, and no clock resets it")
    members = [members_of(mapped, index) for index in range(len(mapped.cores))]
    rows = [rows_of_core(network, own, spec) for own in members]
    for core, r in zip(mapped.cores, rows, strict=True):
        same = np.array_equal(core.axon_population, r.axon_population) and np.array_equal(core.axon_neuron, r.axon_neuron)
        _claim(same, f"the input axons of core {core.core} are in canonical order")
        _claim(core.synapse_words == r.words, f"core {core.core} has the synapse words that the mapper counted")
    outputs = _outputs(mapped, rows)
    cores = tuple(
        CoreTables(core.chip, core.core, _tables(network, own, r, output, spec))
        for core, own, r, output in zip(mapped.cores, members, rows, outputs, strict=True)
    )
    populations = {
        name: PopulationSymbol(network.populations[name].shape, lowered.lag[name], frozen(place.core), frozen(place.slot))
        for name, place in ((p.name, mapped.placements[p.name]) for p in network.populations.values() if not p.is_input)
    }
    inputs = {p.name: _input_symbol(mapped, rows, p.name) for p in network.populations.values() if p.is_input}
    return Program("loihi", fm.PROGRAM_FORMAT, cores, populations, inputs, network.ticks)


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
    return InputSymbol(mapped.lowered.network.populations[name].shape, neuron, core, axon)


# The tables of one core


def _tables(
    network: IntegerNetwork,
    members: Members,
    rows: CoreRows,
    output: tuple[IntArray, IntArray, IntArray],
    spec: HardwareSpec,
) -> Mapping[str, fm.ByteArray]:
    compartments, decays, thresholds = _compartments(network, members)
    for limit, profiles in (("decay_profiles", decays), ("threshold_profiles", thresholds), ("synapse_formats", rows.formats)):
        _claim(len(profiles) <= spec.limit(limit), f"a core has at most {spec.limit(limit)} {limit.replace('_', ' ')}")
    header = _header(network.number_format, len(compartments), rows)
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
    }
    return {name: fm.to_bytes(records[name]) for name in fm.RECORDS}


def _header(form: NumberFormat, compartments: int, rows: CoreRows) -> Array:
    header = np.zeros((), fm.HEADER)
    header["compartments"] = compartments
    header["cost_formula"] = fm.COST_FORMULAS[rows.formula]
    header["synapses_per_entry"] = rows.per_entry if rows.formula == "nxtf" else 1 << fm.COUNT_BITS
    header["u_overflow"] = fm.WRAP if form.u_overflow == "wrap" else fm.FOLD
    for name in ("decay_bits", "current_decay_offset", "state_shift", "u_bits", "v_bits", "accumulator_bits"):
        header[name] = getattr(form, name)
    return header


def _compartments(network: IntegerNetwork, members: Members) -> tuple[Array, Array, Array]:
    """Return the compartment, decay profile and threshold profile tables; profiles sorted, equal ones once."""
    slots = np.concatenate([np.zeros(0, np.int64), *(slot for _, _, slot in members)])
    _claim(np.array_equal(np.sort(slots), np.arange(len(slots))), "the compartments of a core are numbered from 0")

    def of(name: str) -> IntArray:
        values = [network.populations[p].values(name)[neurons] for p, neurons, _ in members]
        return np.concatenate([np.zeros(0, np.int64), *values])[np.argsort(slots)]

    table = np.zeros(len(slots), fm.COMPARTMENT)
    pairs, decay = np.unique((of("du") << 16) + of("dv"), return_inverse=True)
    mantissas, threshold = np.unique(of("vth"), return_inverse=True)
    table["decay_profile"], table["threshold_profile"] = decay, threshold
    table["bias_mantissa"], table["bias_exponent"] = of("bias_mant"), of("bias_exp")
    table["u_init"], table["v_init"] = of("u_init"), of("v_init")
    decays, thresholds = np.zeros(len(pairs), fm.DECAY_PROFILE), np.zeros(len(mantissas), fm.THRESHOLD_PROFILE)
    decays["du"], decays["dv"] = pairs >> 16, pairs & 0xFFFF
    thresholds["mantissa"] = mantissas
    return table, decays, thresholds


def _formats(rows: CoreRows) -> fm.Formats:
    columns = [
        (SIGN_MODES[f.sign_mode], f.weight_bits, f.exponent, f.delay_bits, f.index_bits, fm.SPARSE if f.sparse else fm.DENSE)
        for f in rows.formats
    ]
    return fm.Formats(*np.array(columns, np.int64).reshape(-1, 6).T)
