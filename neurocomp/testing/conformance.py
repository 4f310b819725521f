"""The conformance suite: what every backend must pass. A plug-in subclasses `BackendConformance` in its own tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from typing import Any, ClassVar

import numpy as np
import pytest

from neurocomp import pipeline, registry
from neurocomp.artifact import Artifact
from neurocomp.backend import Backend, IntegerSimulator, Options, Stimulus
from neurocomp.energy.counts import PER_CORE, count, counts_of, wiring_of
from neurocomp.engine.simulator import FastSimulator
from neurocomp.errors import NetworkError
from neurocomp.ir.network import Network
from neurocomp.testing.random_networks import random_network, random_real_network
from neurocomp.testing.traces import trace_difference
from neurocomp.verify import VerifyReport, verify

Generator = Callable[[int], tuple[Network, Stimulus]]
Case = tuple[Generator, int]


class BackendConformance:
    """Random networks through the whole compiler: all simulations agree bit for bit, and every corruption is caught.

    A subclass sets ``target``. ``simulator`` names what executes integer networks wherever that is needed: in calibration, in
    verification, in counts. ``unsupported`` maps the name of a test to the reason why the backend cannot pass it yet; such
    tests are strict expected failures, so that a gap that closes shows up.
    """

    target: ClassVar[str]
    simulator: ClassVar[str] = "reference"
    unsupported: ClassVar[Mapping[str, str]] = {}
    native: ClassVar[Sequence[Case]] = tuple((random_network, seed) for seed in range(300))
    real: ClassVar[Sequence[Case]] = tuple((random_real_network, seed) for seed in range(1000, 1210))
    injected: ClassVar[Sequence[Case]] = tuple((random_network, seed) for seed in range(2000, 2060))
    witnessed: ClassVar[Sequence[Case]] = (
        *((random_network, seed) for seed in range(3000, 3020)),
        *((random_real_network, seed) for seed in range(4000, 4012)),
    )
    least_injected: ClassVar[int] = 50
    """In so many of ``injected`` there must be something to corrupt."""

    def __init_subclass__(cls) -> None:
        for name, reason in cls.unsupported.items():
            test = getattr(cls, name)
            expected_to_fail = pytest.mark.xfail(reason=reason, strict=True)
            setattr(cls, name, expected_to_fail(wraps(test)(lambda *a, _test=test, **k: _test(*a, **k))))

    @property
    def backend(self) -> Backend:
        """The backend of the target."""
        return registry.backend(registry.find_spec(self.target).backend)

    @property
    def reference(self) -> IntegerSimulator:
        """What executes integer networks: by default the executable specification."""
        return registry.simulator(self.simulator)

    def compiled(self, case: Case) -> tuple[Artifact, Stimulus]:
        """Compile a random network; the last ones are kept, as several tests use the same."""
        return _compiled(self.target, self.simulator, *case)

    def compared(self, artifact: Artifact, stimulus: Stimulus, **arguments: Any) -> VerifyReport:
        """Verify an artifact."""
        return verify(artifact, stimulus, backend=self.backend, reference=self.reference, **arguments)

    @pytest.mark.parametrize("group", ["native", "real"])
    def test_reference_equals_chip(self, group: str) -> None:
        """Quantized equals lowered up to the lag, lowered equals the chip simulation: spikes, u and v of every tick."""
        cases: Sequence[Case] = getattr(self, group)
        spikes = 0
        for case in cases:
            report = self.compared(*self.compiled(case))
            assert report.bit_exact, f"{case}: {report.first_divergence}"
            spikes += report.spikes_compared
        assert spikes > 50 * len(cases)

    def test_reference_equals_fast(self) -> None:
        """The compiled simulator gives the spikes, u, v and events of the reference, quantized and lowered."""
        reference, fast = registry.simulator("reference"), registry.simulator("fast")
        for case in (*self.native, *self.real, *self.injected, *self.witnessed):
            artifact, stimulus = self.compiled(case)
            lowered = artifact.lowered
            for network, lag in ((artifact.integers.network, None), (lowered.network, lowered.lag)):
                wanted, found = (simulator.run(network, stimulus, lag=lag) for simulator in (reference, fast))
                difference = trace_difference(found, wanted)
                assert difference is None, f"{case}, {'quantized' if lag is None else 'lowered'}: {difference}"

    def test_reference_equals_witnesses(self) -> None:
        """The programs of others give the same spikes, u and v for the lowered network."""
        assert self.backend.witnesses, (
            f"the backend '{self.backend.name}' names no program of others that executes its networks"
        )
        reasons = {witness.name: witness.unavailable() for witness in self.backend.witnesses}
        available = [witness for witness in self.backend.witnesses if reasons[witness.name] is None]
        if not available:
            pytest.skip("; ".join(f"{name}: {reason}" for name, reason in reasons.items()))
        for case in self.witnessed:
            report = self.compared(*self.compiled(case), witnesses=available)
            assert set(report.engines) == {self.reference.name, "chip", *(witness.name for witness in available)}
            assert report.bit_exact, f"{case}: {report.first_divergence}"

    @pytest.mark.parametrize("kind", ["weight", "delay", "target", "threshold"])
    def test_every_corruption_is_caught(self, kind: str) -> None:
        """One corrupted table entry that the stimulus exercises always shows."""
        caught = 0
        for case in self.injected:
            artifact, stimulus = self.compiled(case)
            try:
                report = self.compared(artifact, stimulus, inject=(kind, case[1]))
            except NetworkError as error:
                codes = [diagnostic.code for diagnostic in error.diagnostics]
                if codes != ["NC0702"]:
                    raise
                continue
            assert report.injection
            assert not report.bit_exact, f"{case}: not caught: {report.injection}"
            caught += 1
        assert caught >= self.least_injected

    def test_counts_equal_the_counters_of_the_chip(self) -> None:
        """Counts from spikes and the mapping equal what the chip simulation counted while it decoded the bytes.

        And what the compiled simulator counted while it ran.
        """
        for case in (*self.native[:40], *self.real[:10]):
            artifact, stimulus = self.compiled(case)
            lowered, mapped = artifact.lowered, artifact.mapped
            trace = self.reference.run(lowered.network, stimulus, lag=lowered.lag)
            counts = count(trace, mapped, artifact.spec)
            counters = self.backend.chip_simulator().run(artifact.program, stimulus).counters
            wiring = wiring_of(mapped, artifact.spec)
            for event in (event for event in PER_CORE if event in counters):
                assert np.array_equal(counts.per_core[event], counters[event]), f"{case}: {event}"
            assert sum(entry["sops"] for entry in counts.per_projection.values()) == counts.totals()["sops"]
            if lowered.network.crossbars:
                continue  # the compiled simulator has none
            _, tally = FastSimulator().count(lowered.network, stimulus, wiring, lag=lowered.lag, record=(), state=False)
            counted = counts_of(tally, mapped, trace.ticks)
            for event in PER_CORE:
                assert np.array_equal(counts.per_core[event], counted.per_core[event]), f"{case}: {event}, while it ran"
            assert counts.per_projection == counted.per_projection, str(case)
            assert counts.totals() == counted.totals(), str(case)

    def test_samples_do_not_touch_one_another(self) -> None:
        """Samples simulated together give what each gives alone, in the reference and in the chip simulation."""
        for case in self.native[:20]:
            artifact, stimulus = self.compiled(case)
            chip = self.backend.chip_simulator()
            together = self.reference.run(artifact.lowered.network, stimulus, lag=artifact.lowered.lag)
            for sample in range(next(iter(stimulus.values())).shape[0]):
                one = {name: values[sample : sample + 1] for name, values in stimulus.items()}
                alone = chip.run(artifact.program, one, first_sample=sample)
                for register in ("spikes", "u", "v"):
                    for name, values in getattr(alone, register).items():
                        assert np.array_equal(values[0], getattr(together, register)[name][sample]), f"{case}: {name}"

    def test_any_number_of_ticks(self) -> None:
        """A stimulus may be shorter or longer than the declared samples."""
        for case in self.native[:20]:
            artifact, stimulus = self.compiled(case)
            for ticks in (1, 2 * next(iter(stimulus.values())).shape[1] + 1):
                other = {name: np.resize(values, (2, ticks, values.shape[2])) for name, values in stimulus.items()}
                report = self.compared(artifact, other)
                assert report.ticks == ticks
                assert report.bit_exact, f"{case}, {ticks} ticks: {report.first_divergence}"

    def test_the_program_is_deterministic(self) -> None:
        """The same network gives the same bytes."""
        for case in self.real[:5]:
            network, _ = case[0](case[1])
            spec = registry.find_spec(self.target)
            again = pipeline.compile_network(network, spec, self.backend, self.reference, Options())
            assert again.program.digest() == self.compiled(case)[0].program.digest()

    def test_utilization_keeps_the_limits(self) -> None:
        """No core uses more of a resource than the spec allows, read from the bytes."""
        for case in (*self.native[:20], *self.real[:20]):
            artifact, _ = self.compiled(case)
            for resource, (used, available, worst) in self.backend.utilization(artifact.program, artifact.spec).items():
                assert 0 <= worst <= available, f"{case}: {resource}"
                assert worst <= used <= worst * len(artifact.mapped.cores), f"{case}: {resource}"


@cache
def _compiled(target: str, simulator: str, generator: Generator, seed: int) -> tuple[Artifact, Stimulus]:
    network, stimulus = generator(seed)
    spec = registry.find_spec(target)
    backend = registry.backend(spec.backend)
    return pipeline.compile_network(network, spec, backend, registry.simulator(simulator), Options()), stimulus
