"""The numbers of a mapping report fit together, and go into JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neurocomp import registry
from neurocomp.cli.output import print_json
from neurocomp.mapping.profile import Profile
from neurocomp.mapping.usage import usage_of
from neurocomp.report.mapping import MappingReport, mapping_report
from neurocomp.report.mapping_terminal import brief
from neurocomp.testing.mappings import scattered_blocks, scattered_neurons


def report(target: str, profile: Profile | None = None) -> MappingReport:
    spec = registry.find_spec(target)
    if target == "loihi":
        mapped = scattered_neurons(2, spec, (9, 300, 200), 900, np.random.default_rng(1).permutation(500)[:40])
    else:
        mapped = scattered_blocks(2, spec, 40, np.random.default_rng(1).permutation(3 * 4096)[:60])
    usage = usage_of(mapped, spec)
    utilization = {
        name: {"used": int(used.sum()), "available": 1, "worst_core": int(used.max()), "per_core": usage.limits[name]}
        for name, used in usage.used.items()
    }
    return mapping_report(mapped, spec, utilization, profile)


@pytest.mark.parametrize("target", ["loihi", "truenorth"])
def test_sums_agree(target: str) -> None:
    found = report(target)
    document = found.as_json()
    traffic, cores, populations = document["traffic"], document["cores"], document["populations"]
    assert len(cores) == len(found.mapped.cores)
    for end in ("packets_out", "packets_in"):
        assert sum(core[end] for core in cores) == traffic["unicast"]["packets"]
    histogram = traffic["hops"]["histogram"]
    assert sum(histogram) == traffic["unicast"]["packets"]
    assert sum(hops * packets for hops, packets in enumerate(histogram)) == traffic["unicast"]["hops"]
    assert traffic["hops"]["average"] == traffic["unicast"]["hops"] / traffic["unicast"]["packets"]
    for model in ("unicast", "multicast"):
        links = traffic["links"][model]
        assert links["mean"] * links["used"] == pytest.approx(traffic[model]["hops"])
        assert 1 <= links["congestion"] == pytest.approx(links["max"] / links["mean"])
        assert 0 < links["used"] <= links["count"]
    assert traffic["multicast"]["packets"] <= traffic["unicast"]["packets"]
    assert traffic["multicast"]["hops"] <= traffic["unicast"]["hops"]
    for p in populations:
        holding = [core for core in cores if p["name"] in core["populations"]]
        assert (p["cores"], p["chips"]) == (len(holding), len({core["chip"] for core in holding}))
        assert p["shared_cores"] == sum(len(core["populations"]) > 1 for core in holding)
        assert p["neurons"]["used"] == p["size"] == sum(core["populations"][p["name"]] for core in holding)
        assert p["input_axons"]["used"] == sum(core["input_axons"] for core in holding)
        assert p["input_axons"]["worst_core"] == max(core["input_axons"] for core in holding)
    for what in ("cores", "input_axons", "packets", "hops"):
        assert document["bounds"][what]["least"] <= document["bounds"][what]["reached"]


@pytest.mark.parametrize("target", ["loihi", "truenorth"])
def test_busiest_link_begins_on_its_chip(target: str) -> None:
    """Where all chips are one mesh its columns count on from chip to chip."""
    found = report(target)
    busiest = found.as_json()["traffic"]["links"]["unicast"]["busiest"]
    (x, y), (to_x, to_y), width = busiest["from"], busiest["to"], found.spec.mesh.tiles_x
    assert abs(x - to_x) + abs(y - to_y) == 1
    assert busiest["chip"] in {core.chip for core in found.mapped.cores}
    assert (x // width == busiest["chip"]) if target == "truenorth" else max(x, to_x) < width


def test_json_is_printable(capsys: pytest.CaptureFixture[str]) -> None:
    rates: dict[str, Any] = {f"p{index}": np.full(size, 0.1) for index, size in enumerate((9, 300, 200))}
    document = report("loihi", Profile(rates, ("p1",))).as_json()
    print_json(document)
    assert (document["traffic"]["rates"], document["traffic"]["assumed"]) == ("profile", ["p1"])
    assert '"off_core_share"' in capsys.readouterr().out


def test_brief_takes_five_signs() -> None:
    assert [brief(value) for value in (999, 9999.4, 9999.6, 99_950, 999_499, 999_501, 99_960_000, 999_400_000)] == [
        "999", "9,999", "10k", "100k", "999k", "1M", "100M", "999M",
    ]  # fmt: skip
