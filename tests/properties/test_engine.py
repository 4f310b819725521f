"""Properties of the fast engine, with Hypothesis to shrink what fails."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurocomp.engine.simulator import FastSimulator
from neurocomp.passes.legalize import legalize
from neurocomp.testing.golden import integers_of
from neurocomp.testing.random_integers import EXTREME, PLAIN
from neurocomp.testing.strategies import integer_networks, native_networks, stimuli
from neurocomp.testing.traces import trace_difference
from neurocomp_reference import ReferenceSimulator

SUPPRESSED = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@settings(max_examples=60, deadline=None, suppress_health_check=SUPPRESSED)
@given(st.data())
def test_any_integer_network_gives_the_trace_of_the_reference(data: st.DataObject) -> None:
    network, stimulus, lag = data.draw(st.one_of(integer_networks(PLAIN), integer_networks(EXTREME)))
    found = FastSimulator(jobs=data.draw(st.integers(1, 3))).run(network, stimulus, lag=lag)
    assert trace_difference(found, ReferenceSimulator().run(network, stimulus, lag=lag)) is None


@settings(max_examples=40, deadline=None, suppress_health_check=SUPPRESSED)
@given(st.data())
def test_any_native_network_gives_the_trace_of_the_reference(data: st.DataObject) -> None:
    network = data.draw(native_networks())
    integers, stimulus = integers_of(legalize(network)[0]), data.draw(stimuli(network))
    found = FastSimulator(jobs=1).run(integers, stimulus)
    assert trace_difference(found, ReferenceSimulator().run(integers, stimulus)) is None
