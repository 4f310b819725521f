"""The TrueNorth backend passes the conformance suite."""

from neurocomp.testing.conformance import BackendConformance
from neurocomp.testing.random_crossbars import lowerable, random_crossbar_network


class TestTrueNorth(BackendConformance):
    """Random crossbars that lower with the default options."""

    target = "truenorth"
    unsupported = {
        "test_reference_equals_fast": "the compiled simulator has no crossbars; the chip simulation is compiled itself",
    }
    native = tuple((random_crossbar_network, seed) for seed in lowerable(150))
    real = tuple((random_crossbar_network, seed) for seed in lowerable(60, 1000))
    injected = tuple((random_crossbar_network, seed) for seed in lowerable(60, 2000))
    witnessed = ()
