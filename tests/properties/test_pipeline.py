"""Random networks through the whole compiler: every simulation agrees bit for bit, and every corruption is caught."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurocomp import pipeline, registry
from neurocomp.artifact import Artifact
from neurocomp.backend import Options, Stimulus, Witness
from neurocomp.energy.counts import PER_CORE, count
from neurocomp.errors import NetworkError
from neurocomp.ir.network import Network
from neurocomp.testing.random_networks import random_network, random_real_network
from neurocomp.verify import VerifyReport, verify

Generator = Callable[[int], tuple[Network, Stimulus]]

NATIVE = range(150)
REAL = range(1000, 1100)
INJECTED = range(2000, 2060)
LAVA = (*((random_network, seed) for seed in range(3000, 3012)), *((random_real_network, seed) for seed in range(4000, 4006)))
KINDS = ("weight", "delay", "target", "threshold")


def compiled(network: Network) -> Artifact:
    """Compile for Loihi."""
    spec = registry.find_spec("loihi")
    backend = registry.backend("loihi")
    return pipeline.compile_network(network, spec, backend, registry.simulator("reference"), Options())


def compared(artifact: Artifact, stimulus: Stimulus, **arguments: Any) -> VerifyReport:
    """Verify the artifact."""
    return verify(artifact, stimulus, backend=registry.backend("loihi"), reference=registry.simulator("reference"), **arguments)


@pytest.mark.parametrize(
    ("generator", "seeds"), [(random_network, NATIVE), (random_real_network, REAL)], ids=["native", "real"]
)
def test_reference_equals_chip(generator: Generator, seeds: range) -> None:
    """Quantized equals lowered up to the lag, and lowered equals the chip simulation, in spikes, u and v of every tick."""
    spikes = 0
    for seed in seeds:
        network, stimulus = generator(seed)
        report = compared(compiled(network), stimulus)
        assert report.bit_exact, f"seed {seed}: {report.first_divergence}"
        spikes += report.spikes_compared
    assert spikes > 50 * len(seeds)


def test_reference_equals_lava() -> None:
    """The lowered network in Lava's own processes gives the same spikes, u and v."""
    lava: Witness = registry.backend("loihi").witnesses[0]
    if reason := lava.unavailable():
        pytest.skip(f"Lava is not installed: {reason}")
    for generator, seed in LAVA:
        network, stimulus = generator(seed)
        report = compared(compiled(network), stimulus, witnesses=[lava])
        assert report.engines == ("reference", "chip", "lava")
        assert report.bit_exact, f"seed {seed}: {report.first_divergence}"


@pytest.mark.parametrize("kind", KINDS)
def test_every_corruption_is_caught(kind: str) -> None:
    """One corrupted table entry that the stimulus exercises always shows."""
    caught = 0
    for seed in INJECTED:
        network, stimulus = random_network(seed)
        try:
            report = compared(compiled(network), stimulus, inject=(kind, seed))
        except NetworkError as error:
            if error.diagnostics[0].code != "NC0702":
                raise
            continue
        assert report.injection
        assert not report.bit_exact, f"seed {seed}: not caught: {report.injection}"
        caught += 1
    assert caught >= 50


def test_counts_equal_the_counters_of_the_chip() -> None:
    """Counts from spikes and the mapping equal what the chip simulation counted while it decoded the bytes."""
    for seed in (*NATIVE[:40], *REAL[:10]):
        network, stimulus = random_network(seed)
        artifact = compiled(network)
        reference, chip = registry.simulator("reference"), registry.backend("loihi").chip_simulator()
        trace = reference.run(artifact.lowered.network, stimulus, lag=artifact.lowered.lag)
        counts = count(trace, artifact.mapped, artifact.spec)
        counters = chip.run(artifact.program, stimulus).counters
        for event in PER_CORE:
            assert np.array_equal(counts.per_core[event], counters[event]), f"seed {seed}: {event}"
        sops = sum(entry["sops"] for entry in counts.per_projection.values())
        assert sops == counts.totals()["sops"]


def test_batches_do_not_change_results() -> None:
    """Samples simulated together give what each gives alone."""
    network, stimulus = random_network(NATIVE[7])
    artifact = compiled(network)
    reference = registry.simulator("reference")
    together = reference.run(artifact.quantized.network, stimulus)
    samples = next(iter(stimulus.values())).shape[0]
    for sample in range(samples):
        one: dict[str, NDArray[Any]] = {name: values[sample : sample + 1] for name, values in stimulus.items()}
        alone = reference.run(artifact.quantized.network, one)
        for name in alone.spikes:
            assert np.array_equal(alone.spikes[name][0], together.spikes[name][sample])
