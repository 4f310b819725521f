"""docs/integers.md says enough about crossbars: a network is simulated from the exported file alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp import api

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/elman_truenorth"
TICKS, SAMPLES = 28, 4


def simulate(path: Path, stimulus: dict[str, NDArray[Any]]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return what the file says beside its arrays, and the spikes (samples, chip ticks, n) of deterministic neurons."""
    with np.load(path) as file:
        arrays = dict(file)
    meta = json.loads(str(arrays["meta"]))
    chip_ticks, half = meta["chip_ticks"], 1 << (meta["number_format"]["v_bits"] - 1)
    spikes = {p["name"]: np.zeros((SAMPLES, chip_ticks, int(np.prod(p["shape"]))), np.int64) for p in meta["populations"]}
    for name, sent in stimulus.items():
        spikes[name][:, : sent.shape[1]] = sent
    v = {
        p["name"]: np.tile(arrays[f"population/{p['name']}/V"], (SAMPLES, 1))
        for p in meta["populations"]
        if p["dynamics"] == "truenorth"
    }
    for t in range(chip_ticks):
        for q in meta["projections"]:
            source, target, weight, delay = (
                arrays[f"projection/{q['name']}/{key}"] for key in ("source", "target", "weight", "delay")
            )
            for d in np.unique(delay):
                here = (delay == d) & (weight == 1)
                if t >= d:
                    sent = spikes[q["source"]][:, t - d, source[here]]
                    np.maximum.at(spikes[q["target"]][:, t].T, target[here], sent.T)
        for c in meta["crossbars"]:
            name, of = (
                c["neurons"],
                {key: arrays[f"crossbar/{c['name']}/{key}"] for key in ("axon_start", "neuron_start", "types", "s")},
            )
            bits = np.unpackbits(arrays[f"crossbar/{c['name']}/bits"], axis=1, bitorder="little")
            added = np.zeros_like(v[name])
            for a, a_stop, n, n_stop in zip(
                of["axon_start"][:-1], of["axon_start"][1:], of["neuron_start"][:-1], of["neuron_start"][1:], strict=True
            ):
                weights = bits[a:a_stop, : n_stop - n] * of["s"][n:n_stop][:, of["types"][a:a_stop]].T
                added[:, n:n_stop] = spikes[c["axons"]][:, t, a:a_stop] @ weights
            p = {
                key: arrays[f"population/{name}/{key}"] for key in ("alpha", "beta", "lambda", "epsilon", "gamma", "kappa", "R")
            }
            now = np.clip(v[name] + added, -half, half - 1)
            now = np.clip(now + np.where(p["epsilon"] == 1, np.sign(now), 1) * p["lambda"], -half, half - 1)
            fired = now >= p["alpha"]
            below = ~fired & (now < -p["beta"])
            up = np.choose(p["gamma"], [np.broadcast_to(p["R"], now.shape), now - p["alpha"], now])
            down = np.choose(p["gamma"], [np.broadcast_to(-p["R"], now.shape), now + p["beta"], now])
            v[name] = np.where(fired, up, np.where(below, np.where(p["kappa"] == 1, -p["beta"], down), now))
            spikes[name][:, t] = fired
    return meta, spikes | {f"logical/{name}": spikes[r["population"]][:, :, arrays[f"logical/{name}/neurons"]]
                           for name, r in meta["logical"].items() if f"logical/{name}/neurons" in arrays}  # fmt: skip


def test_exported_crossbars_are_the_network(tmp_path: Path) -> None:
    compiled = api.compile(EXAMPLE / "net.yaml", "truenorth")
    compiled.export_integers(tmp_path / "net.npz")
    with np.load(EXAMPLE / "test.npz") as file:
        rows = file["spikes"][:SAMPLES]
    meta, spikes = simulate(tmp_path / "net.npz", {"rows": rows.reshape(SAMPLES, TICKS, -1)})
    trace = compiled.run("reference", count=SAMPLES, probe="all")
    for name in ("hidden", "digits"):
        lag = meta["logical"][name]["lag"]
        assert np.array_equal(spikes[f"logical/{name}"][:, lag : lag + TICKS], trace.arrays[f"spikes/{name}"] != 0)
        assert spikes[f"logical/{name}"].any()
    lines = spikes["digits.out"][:, 1:]
    assert np.array_equal(lines, spikes["logical/digits"][:, :-1])
