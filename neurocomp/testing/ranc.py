"""Random networks in RANC's format, and what RANC's simulator makes of them: written from its description, in plain Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

Json = dict[str, Any]


def random_network(seed: int, **changes: Any) -> tuple[Json, Json]:
    """Return ``input.json`` and ``config.json`` of a network with recurrence, merges, dropped packets and missing entries."""
    rng = np.random.default_rng(seed)
    config = {
        "num_neurons": int(rng.integers(3, 9)),
        "num_axons": int(rng.integers(3, 9)),
        "num_cores_x": int(rng.integers(2, 4)),
        "num_cores_y": int(rng.integers(1, 4)),
        "num_weights": int(rng.integers(1, 5)),
        "max_tick_offset": 16,
        "neuron_block_trace_verbosity": 0,
        "core_controller_trace_verbosity": 0,
        "scheduler_trace_verbosity": 0,
        "neuron_reset_type": int(rng.integers(2)),
    } | changes
    places = [(x, y) for y in range(config["num_cores_y"]) for x in range(config["num_cores_x"])]
    bus = places.pop(int(rng.integers(len(places))))
    listed = [place for place in places if rng.random() < 0.8] or places[:1]
    outputs = int(rng.integers(1, 12))

    def neuron(x: int, y: int) -> Json:
        to_bus = rng.random() < 0.5
        there = bus if to_bus else places[int(rng.integers(len(places)))]
        return {
            "reset_potential": int(rng.integers(-5, 6)),
            "weights": rng.integers(-8, 9, int(rng.integers(config["num_weights"] + 1))).tolist(),
            "leak": int(rng.integers(-3, 4)),
            "positive_threshold": int(rng.integers(0, 25)),
            "negative_threshold": -int(rng.integers(0, 15)),
            "destination_core_offset": [there[0] - x, there[1] - y],
            "destination_axon": int(rng.integers(outputs if to_bus else config["num_axons"])),
            "destination_tick": int(rng.integers(16)),
            "current_potential": int(rng.integers(-5, 6)),
            "reset_mode": int(rng.integers(2)),
        }

    cores = []
    for x, y in listed:
        n_axons, n_neurons = int(rng.integers(config["num_axons"] + 1)), int(rng.integers(1, config["num_neurons"] + 1))
        rows = (rng.random((config["num_neurons"], config["num_axons"])) < 0.5).astype(int).tolist()
        cores.append(
            {
                "coordinates": [x, y],
                "axons": rng.integers(config["num_weights"], size=n_axons).tolist(),
                "connections": [row[: int(rng.integers(len(row) + 1))] for row in rows],
                "neurons": [neuron(x, y) for _ in range(n_neurons)],
            }
        )
    packets = [
        [
            {
                "destination_core": list(places[int(rng.integers(len(places)))]),
                "destination_axon": int(rng.integers(config["num_axons"])),
                "destination_tick": int(rng.integers(16)),
            }
            for _ in range(int(rng.integers(6)))
        ]
        for _ in range(12)
    ]
    document = {"packets": packets, "output_bus": {"coordinates": list(bus), "num_outputs": outputs}, "cores": cores}
    return document, config


def simulated(document: Json, config: Json, ticks: int) -> list[list[int]]:
    """Return the rows of ``output.txt``: the bus in each tick but the last.

    Ticks count from 1. What is sent in tick t with ``destination_tick`` d is consumed in tick t + 1 + d; packets of row k are
    sent in tick k. Packets of the last ``destination_tick`` are dropped.
    """
    slots, bus = config["max_tick_offset"], tuple(document["output_bus"]["coordinates"])
    arrived: dict[int, set[tuple[int, int, int]]] = {}

    def send(tick: int, packet: tuple[int, int, int, int]) -> None:
        x, y, axon, later = packet
        if later < slots - 1:
            arrived.setdefault(tick + 1 + later, set()).add((x, y, axon))

    for k, row in enumerate(document["packets"]):
        for packet in row:
            send(k, (*packet["destination_core"], packet["destination_axon"], packet["destination_tick"]))
    potentials = [[neuron["current_potential"] for neuron in core["neurons"]] for core in document["cores"]]
    rows = [[0] * document["output_bus"]["num_outputs"] for _ in range(ticks)]
    for tick in range(1, ticks):
        now = arrived.get(tick, set())
        for core, v in zip(document["cores"], potentials, strict=True):
            x, y = core["coordinates"]
            for number, neuron in enumerate(core["neurons"]):
                for axon, connected in enumerate(core["connections"][number]):
                    kind = core["axons"][axon] if axon < len(core["axons"]) else 0
                    if connected and (x, y, axon) in now and kind < len(neuron["weights"]):
                        v[number] += neuron["weights"][kind]
                v[number] += neuron["leak"]
                low, reset = neuron["negative_threshold"], neuron["reset_potential"]
                below = v[number] <= low if config["neuron_reset_type"] else v[number] < low
                if v[number] >= neuron["positive_threshold"]:
                    dx, dy = neuron["destination_core_offset"]
                    there, axon = (x + dx, y + dy), neuron["destination_axon"]
                    if there == bus:
                        rows[tick][axon] = 1
                    else:
                        send(tick, (*there, axon, neuron["destination_tick"]))
                    v[number] = v[number] - neuron["positive_threshold"] if neuron["reset_mode"] else reset
                elif below:
                    v[number] = v[number] - low if neuron["reset_mode"] else -reset
    return rows


def write(folder: Path, document: Json, config: Json, ticks: int | None = None) -> Path:
    """Write a network, with ``output.txt`` as RANC prints it where ``ticks`` are given."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "input.json").write_text(json.dumps(document), encoding="utf-8")
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    if ticks is not None:
        text = "".join("".join(f"{spike} " for spike in row) + "\n" for row in simulated(document, config, ticks))
        (folder / "output.txt").write_text(text, encoding="utf-8-sig")
    return folder


def rows_of(folder: Path) -> list[list[int]]:
    """Read ``output.txt``."""
    text = (folder / "output.txt").read_text(encoding="utf-8-sig")
    return [[int(spike) for spike in line.split()] for line in text.splitlines() if line.strip()]
