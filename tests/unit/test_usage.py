"""What cores use is what the bytes say, on every target."""

from __future__ import annotations

import numpy as np
import pytest

from neurocomp import api
from neurocomp.mapping.usage import usage_of
from neurocomp.testing.random_crossbars import random_lowerable_network
from neurocomp.testing.random_networks import random_real_network

RESOURCES = {
    "loihi": ["neurons", "synapse_words", "input_axons", "output_axons"],
    "truenorth": ["neurons", "input_axons"],
    "reference": ["neurons", "synapse_words"],
}


@pytest.mark.parametrize("target", RESOURCES)
@pytest.mark.parametrize("seed", range(6))
def test_usage_is_that_of_the_bytes(target: str, seed: int) -> None:
    network, _ = random_lowerable_network(seed) if target == "truenorth" else random_real_network(seed)
    compiled = api.compile(network, target)
    mapped, spec = compiled.artifact.mapped, compiled.artifact.spec
    usage, expected = usage_of(mapped, spec), compiled.utilization()
    assert list(usage.used) == RESOURCES[target]
    for name, used in usage.used.items():
        entry = expected[name]
        assert (int(used.sum()), int(used.max()), usage.limits[name]) == (entry["used"], entry["worst_core"], entry["per_core"])
        if name == "neurons":
            assert sum(usage.of(population)[name]["used"] for population in usage.residents) == entry["used"]
    assert list(usage.residents) == list(mapped.placements)
    assert usage.load.shape == (len(mapped.cores),)
    for index, name in enumerate(usage.fullest()):
        assert usage.load[index] == usage.used[name][index] / usage.limits[name]


def test_population_on_shared_cores() -> None:
    """All of a shared core counts for each population, but for the neurons, which are its own."""
    compiled = api.compile(random_real_network(1)[0], "loihi")
    usage = usage_of(compiled.artifact.mapped, compiled.artifact.spec)
    assert usage.shared.tolist() == [True]
    for name, here in usage.residents.items():
        of = usage.of(name)
        assert of["neurons"]["used"] == int(here.compartments.sum()) < int(usage.used["neurons"][0])
        assert here.neurons == compiled.artifact.lowered.network.populations[name].size
        assert of["input_axons"] == {
            "used": int(usage.used["input_axons"][0]),
            "available": 4096,
            "worst_core": int(usage.used["input_axons"][0]),
            "per_core": 4096,
        }
    np.testing.assert_array_equal(usage.residents[name].core, [0])
