"""Properties of compiled networks, with Hypothesis to shrink what fails."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurocomp import pipeline, registry
from neurocomp.backend import Options
from neurocomp.testing.strategies import native_networks, real_networks, stimuli
from neurocomp.verify import verify


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_reference_equals_chip(pytestconfig: pytest.Config, data: st.DataObject) -> None:
    """Whatever network Hypothesis draws, quantized, lowered and chip agree."""
    network = data.draw(st.one_of(native_networks(), real_networks()))
    stimulus = data.draw(stimuli(network))
    spec, backend = registry.find_spec("loihi"), registry.backend("loihi")
    reference = registry.simulator(pytestconfig.getoption("engine"))
    artifact = pipeline.compile_network(network, spec, backend, reference, Options())
    report = verify(artifact, stimulus, backend=backend, reference=reference)
    assert report.bit_exact, report.first_divergence
