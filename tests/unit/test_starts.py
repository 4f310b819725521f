"""Random networks whose populations cannot start early: started by the processor, they are exact, and compared as such."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from neurocomp import pipeline, registry
from neurocomp.backend import Stimulus
from neurocomp.ir.network import Network
from neurocomp.testing.random_networks import random_network, random_real_network
from neurocomp.verify import verify


@pytest.mark.parametrize(("generator", "least"), [(random_network, 10), (random_real_network, 1)])
def test_no_start_is_lossy(generator: Callable[[int], tuple[Network, Stimulus]], least: int) -> None:
    """What is left as lossy is a readout's threshold."""
    spec, backend, reference = registry.find_spec("loihi"), registry.backend("loihi"), registry.simulator("reference")
    started = 0
    for seed in range(60):
        network, stimulus = generator(seed)
        made = pipeline.compile_network(network, spec, backend, reference, backend.options())
        reasons = [r.reason or "" for r in made.lowered.map.values() if r.lossy]
        assert [reason for reason in reasons if "largest threshold" not in reason] == [], seed
        late = {name for name, p in made.lowered.network.populations.items() if p.start}
        if late:
            report = verify(made, stimulus, backend=backend, reference=reference)
            assert report.bit_exact, f"{seed}: {report.first_divergence}"
            reached = made.lowered.reached_by_loss(report.ticks)
            started += len(late - set(reached))
    assert started >= least
