"""Every integer parameter and connection of a compiled network, flat and by documented keys, for other simulators.

docs/integers.md lists the keys and writes out the update; nothing of neurocomp is needed to use them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.lowered import LoweredNetwork
from neurocomp.ir.mapped import MappedNetwork
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, IntegerProjection, QuantizedNetwork
from neurocomp.models.patterns import Shape, Synapses

Array = NDArray[Any]

SCHEMA = 2


def from_quantized(quantized: QuantizedNetwork) -> dict[str, Array]:
    """Return the integers of the logical populations, before lowering: no lags, no places."""
    network = quantized.network
    lag = dict.fromkeys(network.populations, 0)
    logical = {name: {"population": name, "lag": 0, "lossy": False} for name in network.populations}
    return {**_network(network, "quantized", lag, logical), **_lags(lag)}


def host_layers(quantized: QuantizedNetwork) -> dict[str, Array]:
    """Return what the host needs to make the integers of constant analog inputs; no key without such inputs."""
    arrays: dict[str, Array] = {}
    layers = []
    for name, current in quantized.currents.items():
        arrays[f"host/{name}/scale"] = np.broadcast_to(np.asarray(current.scale, np.float64), (current.scale.size,))
        projections = []
        for q in current.projections:
            arrays[f"host/{name}/{q.name}/weights"] = q.weights
            if q.bias is not None:
                arrays[f"host/{name}/{q.name}/bias"] = q.bias
            for key, indices in q.pattern.arrays.items():
                arrays[f"host/{name}/{q.name}/{key}"] = indices
            options = {key: list(values) for key, values in q.pattern.options.items()}
            projections.append(
                {"name": q.name, "source": q.source, "source_shape": list(q.source_shape), "pattern": q.pattern.kind, **options}
            )
        entry = {"population": name, "target": current.target, "target_shape": list(current.target_shape)}
        bits = {"mantissa_bits": current.mantissa_bits, "exponent_max": current.exponent_max}
        layers.append(entry | bits | {"projections": projections})
    if layers:
        arrays["host"] = np.array(json.dumps(layers))
    return arrays


def from_mapped(mapped: MappedNetwork) -> dict[str, Array]:
    """Return the integers of the chip's own populations, with their lags and places."""
    lowered = mapped.lowered
    parts = {name: {"logical": part.logical, "role": part.role} for name, part in lowered.parts.items()}
    arrays = {**_network(lowered.network, "lowered", lowered.lag, _logical(lowered), parts), **_lags(lowered.lag)}
    for name, placement in (*mapped.placements.items(), *mapped.axons.items()):
        arrays[f"population/{name}/core"] = placement.core.astype(np.int64)
        arrays[f"population/{name}/slot"] = placement.slot.astype(np.int64)
    for key, values in (
        ("chip", [core.chip for core in mapped.cores]),
        ("core", [core.core for core in mapped.cores]),
        ("tile_x", [core.tile[0] for core in mapped.cores]),
        ("tile_y", [core.tile[1] for core in mapped.cores]),
    ):
        arrays[f"cores/{key}"] = np.array(values, np.int64)
    for name, part in lowered.parts.items():
        arrays[f"population/{name}/neuron"] = part.neurons.astype(np.int64)
        if part.unit is not None:
            arrays[f"population/{name}/unit"] = part.unit.astype(np.int64)
    for name, r in lowered.map.items():
        if r.neurons is not None:
            arrays[f"logical/{name}/neurons"] = r.neurons.astype(np.int64)
    for bank, axons in lowered.declared_merges.items():
        arrays[f"merge/{bank}"] = axons.astype(np.int64)
    return arrays


def _logical(lowered: LoweredNetwork) -> dict[str, dict[str, Any]]:
    """Return where each of the user's populations is."""
    return {name: {"population": r.population, "lag": r.lag, "lossy": r.lossy} for name, r in lowered.map.items()}


def _lags(lag: Mapping[str, int]) -> dict[str, Array]:
    return {f"lag/{name}": np.array(ticks, np.int64) for name, ticks in lag.items()}


def _network(
    network: IntegerNetwork, stage: str, lag: Mapping[str, int], logical: Mapping[str, Mapping[str, Any]],
    parts: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Array]:  # fmt: skip
    meta: dict[str, Any] = {
        "schema": SCHEMA,
        "name": network.name,
        "stage": stage,
        "timestep_s": network.timestep,
        "ticks": network.ticks,
        "chip_ticks": network.ticks + max(lag.values(), default=0),
        "number_format": asdict(network.number_format),
        "populations": [_population_entry(p, lag[p.name]) for p in network.populations.values()],
        "projections": [_projection_entry(q, network.shapes(q)[0]) for q in network.projections],
        "logical": {name: dict(entry) for name, entry in logical.items()},
    }
    if network.crossbars:
        meta["crossbars"] = [{"name": c.name, "axons": c.axons, "neurons": c.neurons} for c in network.crossbars]
        meta["outputs"] = list(network.outputs)
        meta["parts"] = {name: dict(entry) for name, entry in (parts or {}).items()}
    arrays: dict[str, Array] = {"meta": np.array(json.dumps(meta))}
    for c in network.crossbars:
        for key in ("axon_start", "neuron_start", "types", "s", "b", "slots"):
            arrays[f"crossbar/{c.name}/{key}"] = np.asarray(getattr(c, key), np.int64)
        arrays[f"crossbar/{c.name}/bits"] = c.bits
    for p in network.populations.values():
        if p.dynamics == "pulse":
            arrays |= {f"population/{p.name}/{key}": p.values(key).astype(np.int64) for key in p.parameters}
        if not p.is_input:
            for key in p.parameters:
                arrays[f"population/{p.name}/{key}"] = p.values(key).astype(np.int64)
            arrays[f"population/{p.name}/fires"] = np.full(p.size, p.fires, np.int64)
    for q in network.projections:
        arrays |= _projection(q, network.synapses(q))
    return arrays


def _population_entry(p: IntegerPopulation, lag: int) -> dict[str, Any]:
    return {
        "name": p.name,
        "shape": list(p.shape),
        "dynamics": p.dynamics,
        "lag": lag,
        "reset": p.reset,
        "compare": p.compare,
        "refractory": p.refractory,
        "reset_interval": p.reset_interval,
        "reset_offset": p.reset_offset,
        "current": p.current,
        "start": p.start,
        "compartments": p.compartments,
    } | ({} if p.program is None else {"program": p.program})


def _projection_entry(q: IntegerProjection, source: Shape) -> dict[str, Any]:
    pool: dict[str, Any] | None = None
    if q.pool is not None:
        pool = {
            "pattern": q.pool.kind,
            **{name: list(values) for name, values in q.pool.options.items()},
            "shape": list(source),
        }
    return {
        "name": q.name,
        "source": q.source,
        "target": q.target,
        "pattern": q.pattern.kind,
        "exponent": q.exponent,
        "sign_mode": q.sign_mode,
        "weight_bits": q.weight_bits,
        "binary": q.binary,
        "group_of": q.group_of,
        "pool": pool,
        **({} if q.learning is None else {"learning": q.learning.as_json()}),
    }


def _projection(q: IntegerProjection, synapses: Synapses) -> dict[str, Array]:
    delay = np.broadcast_to(q.delay, q.mantissa.shape).ravel()
    values = {
        "source": synapses.source,
        "target": synapses.target,
        "weight": q.weights.ravel()[synapses.slot],
        "delay": delay[synapses.slot],
        "exponent": np.int64(q.exponent),
    }
    return {f"projection/{q.name}/{key}": np.asarray(value, np.int64) for key, value in values.items()}
