"""One input through every encoder and decoder: which of eight values is the largest?

Eight values, whose order differs from sample to sample, are encoded, and eight integrate-and-fire neurons pass on what they
receive; the decoder names one of them. So the accuracy is that of the code itself in `TICKS` ticks. Codes of signals take
waves of that height, those of a camera as many events as the value says. ``examples/codes`` has pictures of all codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.families import Family, Part
from neurocomp.frontends import from_yaml
from neurocomp.ir.network import NO_EVENT, Data, Network, Samples

Array = NDArray[Any]
VALUES, SAMPLES, TICKS = 8, 100, 32


def values() -> Array:
    """Return 0.1, 0.2, ... 0.8, each off by less than 0.03, in another order for every sample: (samples, 8)."""
    rng = np.random.default_rng(11)
    levels = rng.permuted(np.tile(np.arange(1, VALUES + 1) / 10, (SAMPLES, 1)), axis=1)
    return np.asarray(levels + rng.uniform(-0.03, 0.03, levels.shape))


def waves() -> Array:
    """Return 1.7 waves of the height of each value, (samples, ticks, 8)."""
    return np.asarray(values()[:, np.newaxis] * (0.5 - 0.5 * np.cos(np.arange(TICKS) / TICKS * 3.4 * np.pi))[:, np.newaxis])


def own_spikes() -> Array:
    """Return the spikes of a user's own encoder, which fires when the waves have added up to another 1."""
    return np.asarray(np.diff(np.floor(waves().cumsum(axis=1)), axis=1, prepend=0.0), np.int8)


def events() -> Array:
    """Return what a camera of one row of eight pixels sends, one pixel per value, (samples, events, 4): t in us, x, y, p."""
    rng = np.random.default_rng(12)
    sent = rng.poisson(1.5 * np.broadcast_to(values()[:, np.newaxis], (SAMPLES, TICKS, VALUES)))
    found = np.zeros((SAMPLES, sent.sum(axis=(1, 2)).max(), 4), np.int64)
    found[:, :, 0] = NO_EVENT
    for row, counts in zip(found, sent, strict=True):
        tick, pixel = (np.repeat(index, counts.ravel()) for index in np.indices(counts.shape).reshape(2, -1))
        row[: len(tick)] = np.stack([1000 * tick, pixel, 0 * tick, np.arange(len(tick)) % 2], axis=1)
    return found


@dataclass(frozen=True)
class Code:
    """An encoder, a decoder, and what lies between them."""

    scheme: str
    decoder: str = "{scheme: count}"
    data: Array = field(default_factory=values)
    options: str = ""
    """Of the encoder, as net.yaml writes them."""
    per_value: int = 1
    """Neurons of the input per value."""
    shape: str = "[8]"
    """Of the input; value i is in column i of rows of eight, or in row i where the last axis is not eight."""
    cells: int = VALUES
    """Neurons that are read; neuron i hears value i mod 8."""
    neuron: str = "{model: if, v_threshold: 0.5, reset: zero, compare: '>'}"
    weights: Array | None = None
    """Of a value's input neurons; None: all 1."""

    def network(self) -> Network:
        """Return input -> cells, with the samples and the indices of the largest values as labels."""
        own = np.ones(self.per_value) if self.weights is None else self.weights
        by_row = np.kron(np.eye(VALUES), own[np.newaxis])
        joined = by_row if self.shape.startswith("[8, ") else np.tile(np.eye(VALUES), self.per_value)
        text = f"""
            neurocomp: 1
            name: code-{self.scheme}
            timestep: 1 ms
            ticks: {TICKS}
            populations:
              input: {{kind: input, shape: {self.shape}}}
              cells: {{shape: [{self.cells}], neuron: {self.neuron}}}
            projections: [{{from: input, to: cells, weights: {np.tile(joined, (self.cells // VALUES, 1)).tolist()}}}]
            encode: {{input: {{scheme: {self.scheme}{self.options}}}}}
            decode: {{cells: {self.decoder}}}
        """
        made = from_yaml.loads(text, Path(__file__).parent)
        return replace(made, data=Data(Samples({"input": self.data}, values().argmax(axis=1))))


FIRST, RANK, POTENTIAL = "{scheme: first_spike}", "{scheme: rank, classes: 8}", "{scheme: potential}"
COUNTS = "{model: if, v_threshold: 100, reset: subtract, compare: '>'}"
"""Many spikes, or larger values, make one spike of the count."""
SUM = "{model: i}"
CAMERA: Mapping[str, Any] = {"data": events(), "shape": "[2, 1, 8]", "per_value": 2}

CODES = {
    "": Code("rate"),
    "rate_window": Code("rate", "{scheme: window, first: 8}"),
    "rate_vote": Code("rate", "{scheme: vote, classes: 8}", cells=2 * VALUES),
    "rate_potential": Code("rate", POTENTIAL, neuron=SUM),
    "bernoulli": Code("bernoulli", options=", seed: 1"),
    "poisson": Code("poisson", options=", seed: 1"),
    "threshold": Code("threshold", options=", threshold: 0.75"),
    "latency": Code("latency", FIRST),
    "latency_rank": Code("latency", RANK),
    "latency_count": Code("latency"),
    "log_latency": Code("log_latency", FIRST, options=", tau: 150, threshold: 0.05"),
    "rank_order": Code("rank_order", RANK),
    "phase": Code("phase", FIRST, options=", period: 8"),
    "burst": Code("burst", options=", spikes: 8, interval_max: 4"),
    "population": Code("population", options=", fields: 4, code: rate", shape="[8, 4]", per_value=4,
                       neuron=COUNTS.replace("100", "1"), weights=np.array([-1.0, -1.0, 1.0, 1.0])),
    "delta": Code("delta", data=waves(), options=", threshold: 0.12", shape="[2, 8]", per_value=2),
    "step_forward": Code("step_forward", data=waves(), options=", threshold: 0.08", shape="[2, 8]", per_value=2),
    "hsa": Code("hsa", data=waves(), options=", length: 4, area: 0.5"),
    "bsa": Code("bsa", data=waves(), options=", length: 4, area: 0.5, threshold: 0.05"),
    "direct": Code("direct", data=own_spikes()),
    "graded": Code("graded", data=np.rint(255 * waves()).astype(np.int64), neuron=COUNTS),
    "current": Code("current", neuron=COUNTS.replace("100", "1")),
    "events": Code("events", **CAMERA),
    "event_counts": Code("event_counts", neuron=COUNTS.replace("100", "2"), **CAMERA),
}  # fmt: skip
"""Part -> the code; the parts are named by their encoder, and by their decoder where an encoder has several."""

ENGINES = dict.fromkeys(("loihi", "loihi2"), ("fast", "chip"))
"""What differs between codes is the host's, before any engine: Lava, which takes a process each time, runs `rate` alone."""


def _part(name: str, code: Code) -> Part:
    subtracts = "subtract" in code.neuron
    targets = ("reference", "loihi", "loihi2", "truenorth") if code.scheme in ("graded", "event_counts") else None
    return Part(
        code.network,
        {"truenorth": {"compare": "ge"}} if subtracts else {},
        targets or ("reference", "loihi", "truenorth"),
        engines=ENGINES if name else {},
    )


FAMILY = Family(
    "Codes: one input through every encoder and decoder",
    "docs/encoders.md names the source of each",
    {name: _part(name, code) for name, code in CODES.items()},
)
"""What becomes of each code on each chip."""
