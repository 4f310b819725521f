"""The TrueNorth backend passes the conformance suite."""

from neurocomp.testing.conformance import BackendConformance
from neurocomp.testing.random_crossbars import random_lowerable_network


class TestTrueNorth(BackendConformance):
    """Random networks that lower to crossbars with the default options."""

    target = "truenorth"
    unsupported = {  # noqa: RUF012
        "test_reference_equals_fast": "the compiled simulator has no crossbars; the chip simulation is compiled itself",
        "test_reference_equals_witnesses": "no program of others runs them here; RANC's own vectors are in tests/golden",
    }
    native = tuple((random_lowerable_network, seed) for seed in range(84))
    real = tuple((random_lowerable_network, seed) for seed in range(1000, 1042))
    injected = tuple((random_lowerable_network, seed) for seed in range(2000, 2080))
    witnessed = ()
    least_injected = 40
