"""Writes a program as a model file of IBM's TrueNorth tools, as far as its format is public; docs/ranc.md describes it.

The key ``core`` stands once for each core in one JSON object, so the text is put together here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.backend import Stimulus
from neurocomp.data.whole_file import whole_file
from neurocomp.errors import Diagnostic, UnsupportedError
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.mapped import MappedNetwork
from neurocomp.ir.program import Program
from neurocomp_truenorth import formats as fm
from neurocomp_truenorth.ranc_export import packets_of

Array = NDArray[Any]

OFF_CHIP = -32
"""``destCore`` of spikes that leave the chip; their ``destAxon`` is the output line."""


def export_model(
    path: Path, mapped: MappedNetwork, program: Program, spec: HardwareSpec, stimulus: Stimulus
) -> Mapping[str, int]:
    """Write the model, and beside it ``NAME.spikes.json`` with what the host sends, if it sends anything.

    Raises:
        UnsupportedError: A reset potential is no +-(2**k - 1), or a negative threshold is symmetric (NC0342).
    """
    images = [fm.unpack(core) for core in program.cores]
    records = np.concatenate([image.neurons[image.used] for image in images])
    _check(records)
    ids = [core.chip * spec.limit("cores_per_chip") + core.core for core in program.cores]
    id_of = {(image.x, image.y): number for image, number in zip(images, ids, strict=True)}
    types: dict[bytes, int] = {}
    cores = [_core(image, number, id_of, types) for image, number in zip(images, ids, strict=True)]
    kinds = [_type(np.frombuffer(key, fm.NEURON)[0], number) for key, number in types.items()]
    model = {
        "neuronclass": "NeuronGeneral",
        "crossbarclass": "CrossbarBinary",
        "crossbarSize": fm.AXONS,
        "coreCount": len(cores),
        "networking": "INTRA",
    }
    with whole_file(path) as file:
        file.write(f'{{\n"model":{_json(model)},\n"neuronTypes":[\n'.encode())
        file.write(",\n".join(_json(kind) for kind in kinds).encode())
        file.write(b"\n]")
        for core in cores:
            file.write(f',\n"core":{_json(core)}'.encode())
        file.write(b"\n}\n")
    rows = packets_of(program, stimulus, program.ticks + program.largest_lag)
    spikes = [
        {"spike": {"srcTime": tick, "destCore": ids[core], "destAxon": axon}}
        for tick, row in enumerate(rows)
        for core, axon in row
    ]
    if spikes:
        with whole_file(path.with_suffix(".spikes.json")) as file:
            file.write("".join(f"{_json(spike)}\n" for spike in spikes).encode())
    return {"cores": len(cores), "neurons": len(records), "neuron_types": len(kinds), "spikes": len(spikes)}


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _check(records: Array) -> None:
    """Refuse what the format cannot say."""
    size = np.abs(records["R"].astype(np.int64))
    wrong = (size & (size + 1)) != 0
    problems = []
    if wrong.any():
        worst = int(records["R"][wrong][0])
        message = (
            f"R: a model file states reset potentials as +-(2^VR - 1); {int(wrong.sum())} neurons have others, such as {worst}"
        )
        problems.append(Diagnostic("NC0342", message, hint="use a reset potential of 0, 1, 3, 7, 15, ..."))
    symmetric = (records["flags"] & fm.SYMMETRIC) != 0
    if symmetric.any():
        message = f"symmetric: {int(symmetric.sum())} neurons act at V = -beta already; TrueNorth's neurons do below it"
        problems.append(Diagnostic("NC0342", message))
    if problems:
        raise UnsupportedError(problems)


def _parameters(record: Array) -> bytes:
    """Return a record without what the neuron types leave out: the target."""
    kept = record.copy()
    for name in ("target", "dx", "dy", "delay", "axon"):
        kept[name] = 0
    return bytes(kept.tobytes())


def _type(record: Array, number: int) -> dict[str, Any]:
    """Return the parameters of neurons by the names of the format."""
    flags, reset, leak = int(record["flags"]), int(record["R"]), int(record["lambda"])
    weights = record["s"].tolist()
    return {
        "name": f"N{number:08X}",
        "class": "NeuronGeneral",
        **{f"sigma{g}": -1 if s < 0 else 1 for g, s in enumerate(weights)},
        **{f"s{g}": abs(s) for g, s in enumerate(weights)},
        **{f"b{g}": bool(flags >> g & 1) for g in range(fm.TYPES)},
        "sigma_lambda": -1 if leak < 0 else 1,
        "lambda": abs(leak),
        "c_lambda": bool(flags & fm.STOCHASTIC_LEAK),
        "epsilon": bool(flags & fm.LEAK_REVERSAL),
        "alpha": int(record["alpha"]),
        "beta": int(record["beta"]),
        "TM": int(record["TM"]),
        "gamma": flags >> fm.RESET_SHIFT & fm.RESET_MASK,
        "kappa": bool(flags & fm.SATURATES),
        "sigma_VR": -1 if reset < 0 else 1,
        "VR": abs(reset).bit_length(),
        "V": int(record["V"]),
    }


def _core(image: fm.CoreImage, number: int, id_of: Mapping[tuple[int, int], int], types: dict[bytes, int]) -> dict[str, Any]:
    """Return one core; ``types`` gets the neuron types that it needs."""
    rows = np.packbits(image.bits, axis=1)
    seeds = [] if image.keys is None else image.keys["seed"][fm.is_stochastic(image.neurons)].tolist()
    return {
        "id": number,
        "rngSeed": seeds[0] if seeds else 0,
        "timeScaleExponent": 0,
        "neurons": [_neuron(image, index, id_of, types) for index in np.flatnonzero(image.used).tolist()],
        "crossbar": {
            "rows": [
                {"type": f"S{kind}", "synapses": " ".join(f"{byte:02X}" for byte in row)}
                for kind, row in zip(image.types.tolist(), rows.tolist(), strict=True)
            ]
        },
    }


def _neuron(image: fm.CoreImage, index: int, id_of: Mapping[tuple[int, int], int], types: dict[bytes, int]) -> dict[str, Any]:
    """Return one neuron; without a target, or with one that is never reached, it has no ``destCore``."""
    record = image.neurons[index]
    kind = types.setdefault(_parameters(record), len(types))
    found = {"type": f"N{kind:08X}", "dendrite": index}
    if record["target"] == fm.OUTPUT:
        return {**found, "destCore": OFF_CHIP, "destAxon": int(record["axon"]), "delay": 1}
    there = (image.x + int(record["dx"]), image.y + int(record["dy"]))
    if record["target"] == fm.CORE and record["delay"] <= fm.LAST_DELAY and there in id_of:
        return {**found, "destCore": id_of[there], "destAxon": int(record["axon"]), "delay": int(record["delay"])}
    return found
