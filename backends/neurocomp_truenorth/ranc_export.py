"""Writes a program for the simulator of RANC, as docs/ranc.md describes: ``input.json``, ``config.json``, ``meta.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.backend import Stimulus
from neurocomp.data.whole_file import made_folder, whole_file
from neurocomp.errors import Diagnostic, UnsupportedError
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.mapped import MappedNetwork
from neurocomp.ir.program import Program
from neurocomp_truenorth import formats as fm

Array = NDArray[Any]
IntArray = NDArray[np.int64]
Place = tuple[int, int]

RANC = "ranc"
"""The name of specs that are a RANC grid, which is kept."""


def export_ranc(
    path: Path, mapped: MappedNetwork, program: Program, spec: HardwareSpec, stimulus: Stimulus
) -> Mapping[str, int]:
    """Write a folder; see `neurocomp.backend.Exporter`.

    Neurons without a target send packets to a place without a core where the network came from RANC, as it was there, else
    packets that RANC drops. Its potentials have 32 bits and do not saturate at 20.

    Raises:
        UnsupportedError: A neuron does what RANC's do not (NC0342).
    """
    images = [fm.unpack(core) for core in program.cores]
    neurons = np.concatenate([image.neurons[image.used] for image in images])
    symmetric = _checked(neurons, program)
    x, y, free = _grid([(image.x, image.y) for image in images], spec)
    bus, nowhere = free[0], free[1] if spec.name == RANC and len(free) > 1 else None
    outputs = sum(len(symbol.line) for symbol in program.outputs.values())
    ticks = program.ticks + program.largest_lag
    rows = packets_of(program, stimulus, ticks)
    ticks += spec.name != RANC  # what neurons send in the last tick is on the bus in the next one
    axons = spec.limit("input_axons")
    dropped = spec.limit("delay")  # the destination_tick whose packets RANC drops
    document = {
        "packets": [
            [
                {"destination_core": [images[core].x, images[core].y], "destination_axon": axon, "destination_tick": 0}
                for core, axon in row
            ]
            for row in rows
        ],
        "output_bus": {"coordinates": list(bus), "num_outputs": max(outputs, 1)},
        "cores": [_core(image, bus, nowhere, spec, dropped) for image in images],
    }
    config = {
        "num_neurons": spec.limit("neurons"),
        "num_axons": axons,
        "num_cores_x": x,
        "num_cores_y": y,
        "num_weights": spec.limit("axon_types"),
        "max_tick_offset": dropped + 1,
        "neuron_block_trace_verbosity": 0,
        "core_controller_trace_verbosity": 0,
        "scheduler_trace_verbosity": 0,
        "neuron_reset_type": symmetric,
    }
    made_folder(path)
    for name, value in (("input.json", document), ("config.json", config), ("meta.json", {"ticks": ticks})):
        with whole_file(path / name) as file:
            file.write(json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n")
    packets = sum(map(len, rows))
    return {"cores": len(images), "neurons": len(neurons), "outputs": outputs, "packets": packets, "ticks": ticks}


def packets_of(program: Program, stimulus: Stimulus, ticks: int) -> list[list[tuple[int, int]]]:
    """Return for each tick the axons (core, axon) that the host makes active, sorted; up to the last tick that has some.

    Args:
        program: Whose inputs and pulses are meant.
        stimulus: One sample; empty: pulses alone.
        ticks: Later ones are left out.
    """
    found = [np.zeros((0, 3), np.int64)]
    for name, source in program.inputs.items():
        if name not in stimulus:
            continue
        delay = source.delay if len(source.delay) else np.zeros_like(source.core)
        tick, message = np.nonzero(stimulus[name][0][:, source.neuron])
        found.append(np.stack([tick + delay[message], source.core[message], source.axon[message]], axis=1))
    for pulse in program.pulses.values():
        for unit, core, axon, delay in zip(
            *(v.tolist() for v in (pulse.unit, pulse.core, pulse.axon, pulse.delay)), strict=True
        ):
            first = int(pulse.first[unit])
            own = np.arange(first, max(first, min(first + int(pulse.count[unit]), ticks))) + delay
            found.append(np.stack([own, np.full(len(own), core), np.full(len(own), axon)], axis=1))
    table = np.unique(np.concatenate(found), axis=0)
    table = table[table[:, 0] < ticks]
    rows: list[list[tuple[int, int]]] = [[] for _ in range(int(table[:, 0].max(initial=0)) + 1)]
    for tick, core, axon in table.tolist():
        rows[tick].append((core, axon))
    return rows


def _checked(neurons: Array, program: Program) -> int:
    """Return whether the negative threshold of all neurons is symmetric, having refused what RANC does not do."""
    flags, gamma = neurons["flags"], (neurons["flags"] >> fm.RESET_SHIFT) & fm.RESET_MASK
    leaks, saturates = neurons["lambda"] != 0, (flags & fm.SATURATES) != 0
    # Where beta = R and gamma = 0, both values of kappa leave the same potential.
    differs = (gamma != fm.TO_VALUE) | (neurons["beta"] != neurons["R"])
    refused = {
        "b, stochastic synapses": (flags & fm.STOCHASTIC_SYNAPSE) != 0,
        "c_lambda, a stochastic leak": leaks & ((flags & fm.STOCHASTIC_LEAK) != 0),
        "epsilon, a leak with the sign of the potential": leaks & ((flags & fm.LEAK_REVERSAL) != 0),
        "TM, a stochastic threshold": neurons["TM"] > 0,
        "kappa, a potential that stays at the negative threshold": saturates & differs,
        "gamma = 2, no reset": gamma == fm.KEEP,
    }
    problems = [
        Diagnostic("NC0342", f"RANC's neurons have no {what}; {int(where.sum())} of {len(neurons)} neurons need it")
        for what, where in refused.items()
        if where.any()
    ]
    symmetric = (flags & fm.SYMMETRIC) != 0
    if symmetric.any() and not symmetric.all():
        message = f"symmetric: {int(symmetric.sum())} of {len(neurons)} neurons have a symmetric negative threshold"
        problems.append(Diagnostic("NC0342", message, hint="in RANC all neurons have it or none"))
    if problems:
        raise UnsupportedError(problems)
    return int(symmetric.any())


def _grid(places: list[Place], spec: HardwareSpec) -> tuple[int, int, list[Place]]:
    """Return the extents of a grid that holds the cores and at least one place more, and what is free, the last place first."""
    x, y = (max(place[axis] for place in places) + 1 for axis in (0, 1))
    if spec.name == RANC:
        x, y = spec.mesh.tiles_x, spec.mesh.tiles_y
    taken = set(places)
    if x * y == len(taken):
        y += 1
    return x, y, [(i, j) for j in range(y - 1, -1, -1) for i in range(x - 1, -1, -1) if (i, j) not in taken]


def _core(image: fm.CoreImage, bus: Place, nowhere: Place | None, spec: HardwareSpec, dropped: int) -> dict[str, Any]:
    """Return one core; of its neurons up to the last that exists."""
    axons, weights = spec.limit("input_axons"), spec.limit("axon_types")
    used = np.flatnonzero(image.used)
    size = int(used[-1]) + 1 if len(used) else 0
    return {
        "coordinates": [image.x, image.y],
        "axons": image.types[:axons].tolist(),
        "connections": image.bits[:axons, :size].T.astype(int).tolist(),
        "neurons": [_neuron(image, record, bus, nowhere, weights, dropped) for record in image.neurons[:size]],
    }


def _neuron(
    image: fm.CoreImage, record: Array, bus: Place, nowhere: Place | None, weights: int, dropped: int
) -> dict[str, Any]:
    """Return one neuron; one that does not exist never spikes."""
    exists, target, flags = int(record["flags"]) & fm.USED, int(record["target"]), int(record["flags"])
    offset, axon, tick = (0, 0), 0, dropped
    if exists and target == fm.NOWHERE and nowhere is not None:
        offset, tick = (nowhere[0] - image.x, nowhere[1] - image.y), 0
    if target == fm.OUTPUT:
        offset, axon, tick = (bus[0] - image.x, bus[1] - image.y), int(record["axon"]), 0
    elif target == fm.CORE:
        offset, axon = (int(record["dx"]), int(record["dy"])), int(record["axon"])
        tick = min(int(record["delay"]) - 1, dropped)
    return {
        "reset_potential": int(record["R"]),
        "weights": record["s"][:weights].tolist(),
        "leak": int(record["lambda"]),
        "positive_threshold": int(record["alpha"]) if exists else 1,
        "negative_threshold": -int(record["beta"]),
        "destination_core_offset": list(offset),
        "destination_axon": axon,
        "destination_tick": tick,
        "current_potential": int(record["V"]),
        "reset_mode": (flags >> fm.RESET_SHIFT) & fm.RESET_MASK,
    }
