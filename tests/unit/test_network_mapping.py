"""Networks on cores: atoms from geometry, pins, and mappings that keep every limit of the chip."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import neurocomp
from neurocomp.api import Compiled
from neurocomp.backend import MappingPlan
from neurocomp.errors import CapacityError, EngineUnavailable, NetworkError, UnsupportedError
from neurocomp.hardware import HardwareSpec, load_spec
from neurocomp.ir.quantized import IntegerNetwork
from neurocomp.mapping.filling import Filling, Tile, row_by_row, tiles_of
from neurocomp.mapping.mapper import map_in_order, map_network
from neurocomp.mapping.needs import Needs
from neurocomp.mapping.network_atoms import NetworkAtoms, atoms_of_network
from neurocomp.mapping.spreading import counted
from neurocomp.mapping.traffic import traffic_of
from neurocomp.registry import find_spec

Array = NDArray[Any]

CONVOLUTIONS = """
neurocomp: 1
name: small
timestep: 1 ms
ticks: 4
populations:
  x: {kind: input, shape: [2, 9, 9]}
  a: {shape: [8, 9, 9], neuron: {model: lif, tau_mem: 20 ms, v_threshold: 1.0, reset: zero}}
  b: {shape: [12, 4, 4], neuron: {model: lif, tau_mem: 20 ms, v_threshold: 1.0, reset: zero}}
  c: {shape: [10], neuron: {model: lif, tau_mem: 20 ms, v_threshold: 1.0, reset: zero}}
projections:
  - {from: x, to: a, pattern: {conv2d: {kernel: [3, 3], padding: [1, 1]}}, weights: w.npz#xa}
  - {from: a, to: b, pattern: {conv2d: {kernel: [3, 3], stride: [2, 2]}}, weights: w.npz#ab}
  - {from: b, to: c, pattern: [flatten, dense], weights: w.npz#bc}
  - {from: c, to: c, pattern: one_to_one, weights: w.npz#cc, delay: 1}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("small")
    (place / "net.yaml").write_text(CONVOLUTIONS)
    rng = np.random.default_rng(0)
    shapes = {"xa": (8, 2, 3, 3), "ab": (12, 8, 3, 3), "bc": (10, 192), "cc": (10,)}
    arrays: dict[str, Any] = {name: rng.normal(0, 0.4, shape) for name, shape in shapes.items()}
    np.savez(place / "w.npz", **arrays)
    return place


def tight(**limits: int) -> HardwareSpec:
    """Return Loihi with smaller cores."""
    spec = find_spec("loihi")
    text = spec.text
    for name, value in limits.items():
        start = text.index(f"  {name}: {{value: ")
        stop = text.index(",", start)
        text = f"{text[:start]}  {name}: {{value: {value}{text[stop:]}"
    return load_spec(text, "tight.yaml")


@pytest.fixture(scope="module")
def compiled(folder: Path) -> Compiled:
    return neurocomp.compile(folder / "net.yaml")


def synapses_of(network: IntegerNetwork) -> list[tuple[str, str, Array, Array]]:
    found = ((q, network.synapses(q)) for q in network.projections)
    return [(q.source, q.target, s.source, s.target) for q, s in found]


@pytest.fixture(scope="module")
def atoms(compiled: Compiled) -> NetworkAtoms:
    network = compiled.artifact.lowered.network
    on_cores = {p.name: p.size for p in network.populations.values() if not p.is_input}
    zeros = {name: np.zeros(size, np.int64) for name, size in on_cores.items()}
    ones = {name: np.ones(size) for name, size in on_cores.items()}
    found = atoms_of_network(
        network,
        orders={},
        parts=zeros,
        family=zeros,
        memory=ones,
        rate=MappingPlan().rate,
        outside={},
        largest=lambda p: 5,
        effort="max",
    )
    assert found is not None
    return found


class TestAtoms:
    def test_each_atom_reaches_the_atoms_of_all_that_its_neurons_reach(self, compiled: Compiled, atoms: NetworkAtoms) -> None:
        g = atoms.atoms.graph
        edges = set()
        for source, target, s, t in synapses_of(compiled.artifact.lowered.network):
            edges |= set(zip(atoms.atom_of[source][s].tolist(), atoms.atom_of[target][t].tolist(), strict=True))
        listed = {(a, int(b)) for a in range(atoms.atoms.size) for b in g.out_index[g.out_start[a] : g.out_start[a + 1]]}
        assert listed == edges

    def test_neurons_of_an_atom_have_the_same_sources_and_targets(self, compiled: Compiled, atoms: NetworkAtoms) -> None:
        network = compiled.artifact.lowered.network
        reach: dict[tuple[str, int], set[Any]] = {
            (name, i): set() for name in atoms.populations for i in range(network.populations[name].size)
        }
        for source, target, s, t in synapses_of(network):
            for i, j in zip(s.tolist(), t.tolist(), strict=True):
                reach[source, i].add(("to", target, j))
                reach[target, j].add(("from", source, i))
        for name in atoms.populations:
            for atom in np.unique(atoms.atom_of[name]):
                members = np.flatnonzero(atoms.atom_of[name] == atom).tolist()
                assert len(members) <= 5
                # A neuron that reaches itself is its own only twin.
                assert len({frozenset(reach[name, i]) for i in members}) == 1 or name == "c"

    def test_sizes_and_hosts(self, compiled: Compiled, atoms: NetworkAtoms) -> None:
        network, g = compiled.artifact.lowered.network, atoms.atoms.graph
        for number, name in enumerate(atoms.populations):
            own = atoms.population == number
            assert atoms.atoms.host[own].all() == network.populations[name].is_input
            assert int(g.axons[own].sum()) == network.populations[name].size


class TestMapping:
    @pytest.mark.parametrize("effort", ["fast", "default"])
    @pytest.mark.parametrize(
        "limits",
        [{"neurons": 100}, {"input_axons": 220}, {"synapse_words": 500}, {"neurons": 60, "output_axons": 150}],
        ids=str,
    )
    def test_every_limit_is_kept_and_packets_and_cores_are_no_more(
        self, compiled: Compiled, effort: Any, limits: dict[str, int]
    ) -> None:
        spec, lowered = tight(**limits), compiled.artifact.lowered
        plan = MappingPlan(effort)
        mapped, violations = map_network(lowered, spec, plan)
        in_order, _ = map_in_order(lowered, spec)
        assert not violations
        assert mapped is not None
        assert in_order is not None
        assert len(mapped.cores) > 2
        mapped.verify(spec)
        packets = [found.unicast.packets + found.host for found in (traffic_of(m, spec) for m in (mapped, in_order))]
        assert packets[0] / packets[1] + len(mapped.cores) / len(in_order.cores) <= 2
        sent = np.zeros(len(mapped.cores), np.int64)
        names = mapped.population_names
        for core in mapped.cores:
            for population, neuron in zip(core.axon_population.tolist(), core.axon_neuron.tolist(), strict=True):
                if names[population] in mapped.placements:
                    sent[mapped.placements[names[population]].core[neuron]] += 1
        assert int(sent.max()) <= spec.limit("output_axons")

    def test_another_partitioner_may_give_a_start(self, compiled: Compiled) -> None:
        pytest.importorskip("mtkahypar", reason="Mt-KaHyPar has packages for Linux on x86-64 alone")
        spec, lowered = tight(neurons=100), compiled.artifact.lowered
        one, two = (map_network(lowered, spec, MappingPlan("fast", mapper="quality"))[0] for _ in range(2))
        assert one is not None
        assert two is not None
        one.verify(spec)
        assert all(np.array_equal(one.placements[n].core, two.placements[n].core) for n in one.placements)

    def test_without_it_the_way_out_is_named(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(EngineUnavailable) as caught:
            neurocomp.compile(folder / "net.yaml", mapper="quality")
        assert "--mapper quality needs Mt-KaHyPar, which is not installed" in str(caught.value)

    def test_profiles_that_no_core_holds_together_stay_apart(self, compiled: Compiled) -> None:
        spec = tight(neurons=100, threshold_profiles=1)
        mapped, _ = map_network(compiled.artifact.lowered, spec)
        assert mapped is not None
        mapped.verify(spec)

    def test_the_seed_and_nothing_else_decides(self, compiled: Compiled) -> None:
        spec, lowered = tight(neurons=60), compiled.artifact.lowered

        def cores(plan: MappingPlan) -> list[Array]:
            mapped, _ = map_network(lowered, spec, plan)
            assert mapped is not None
            return [place.core for place in mapped.placements.values()]

        one = cores(MappingPlan("fast", 3, jobs=1))
        assert all(np.array_equal(a, b) for a, b in zip(one, cores(MappingPlan("fast", 3, jobs=4)), strict=True))

    def test_rates_weigh_packets(self, compiled: Compiled) -> None:
        """Where few neurons spike, a mapping that knows which has fewer of their packets than one that does not."""
        spec, lowered = tight(neurons=60), compiled.artifact.lowered
        rates = {name: np.zeros(p.size) for name, p in lowered.network.populations.items()}
        rates["a"][np.arange(648) % 81 < 27] = 1.0  # the upper third of the image
        packets = []
        for known in (None, rates):
            mapped, _ = map_network(lowered, spec, MappingPlan("fast", rates=known))
            assert mapped is not None
            packets.append(traffic_of(mapped, spec, rates).unicast.packets)
        assert packets[1] < packets[0]

    def test_a_network_that_is_too_large_keeps_its_order_and_says_so(
        self, compiled: Compiled, monkeypatch: pytest.MonkeyPatch
    ) -> None:  # fmt: skip
        monkeypatch.setattr("neurocomp.mapping.network_atoms.MOST_PINS", 1)
        monkeypatch.setattr("neurocomp.mapping.network_atoms.MOST_PINS_OF_LAYERS", {"default": 1})
        notes: list[str] = []
        spec = tight(neurons=100)
        mapped, _ = map_network(compiled.artifact.lowered, spec, MappingPlan(note=notes.append))
        assert mapped is not None
        mapped.verify(spec)
        assert "mapping: too large for --effort default to spread across layers; each layer fills cores in order" in notes

    @pytest.mark.parametrize("effort", ["fast", "default", "max"])
    def test_verify_is_bit_exact(self, folder: Path, effort: str) -> None:
        target = folder / "tight.yaml"
        target.write_text(tight(neurons=60).text)
        made = neurocomp.compile(folder / "net.yaml", str(target), effort=effort)
        assert len(made.artifact.mapped.cores) > 10
        spikes = np.random.default_rng(1).integers(0, 2, (2, 4, 162))
        assert made.verify(["reference", "fast", "chip"], inputs={"x": spikes}).bit_exact


IMAGE = """
neurocomp: 1
name: image
timestep: 1 ms
ticks: 4
populations:
  x: {kind: input, shape: [2, 12, 12]}
  a: {shape: [8, 12, 12], neuron: {model: lif, tau_mem: 20 ms, v_threshold: 1.0, reset: zero}}
  b: {shape: [8, 12, 12], neuron: {model: lif, tau_mem: 20 ms, v_threshold: 1.0, reset: zero}}
projections:
  - {from: x, to: a, pattern: {conv2d: {kernel: [3, 3], padding: [1, 1]}}, weights: w.npz#xa}
  - {from: a, to: b, pattern: {conv2d: {kernel: [3, 3], padding: [1, 1]}}, weights: w.npz#ab}
"""


ONE_LAYER = """
neurocomp: 1
name: layer
timestep: 1 ms
ticks: 4
populations:
  x: {kind: input, shape: [3]}
  a: {shape: [2], neuron: {model: if, v_threshold: 2.0, reset: zero, compare: ">="}}
projections:
  - {from: x, to: a, weights: [[1, 1, 0], [0, 1, 1]]}
"""


TWO_STRIDES = """
neurocomp: 1
name: strides
timestep: 1 ms
ticks: 4
populations:
  x: {kind: input, shape: [2, 12]}
  a: {shape: [3, 12], neuron: {model: lif, tau_mem: 20 ms, v_threshold: 1.0, reset: zero}}
projections:
  - {from: x, to: a, name: one, pattern: {conv1d: {kernel: [1]}}, weights: w.npz#one}
  - {from: x, to: a, name: two, pattern: {conv1d: {kernel: [2], stride: [2], padding: [6]}}, weights: w.npz#two}
"""


class TestTiles:
    @pytest.fixture
    def network(self, tmp_path: Path) -> IntegerNetwork:
        (tmp_path / "net.yaml").write_text(IMAGE)
        rng = np.random.default_rng(2)
        np.savez(tmp_path / "w.npz", xa=rng.normal(0, 0.4, (8, 2, 3, 3)), ab=rng.normal(0, 0.4, (8, 8, 3, 3)))
        return neurocomp.compile(tmp_path / "net.yaml").artifact.lowered.network

    def test_the_tile_with_the_fewest_sources_that_fits_is_taken(self, network: IntegerNetwork) -> None:
        spec = tight(neurons=8 * 18)
        filled, _ = Filling(Needs(network, spec)).fill()
        assert filled is not None
        tiles = tiles_of(Needs(network, spec), filled)
        assert tiles == {"a": (3, 6, 8), "b": (3, 6, 8)}
        tiled, _ = Filling(Needs(network, spec)).fill(tiles)
        assert tiled is not None
        held = {name: [neurons for of in tiled.held for n, neurons in of if n == name] for name in tiles}
        for cores in held.values():
            for neurons in cores:
                place = np.unique(neurons % 144)
                assert [int(np.ptp(place // 12)), int(np.ptp(place % 12))] == [2, 5]
        assert len(tiled.held) == len(filled.held)
        assert counted(network, tiled, MappingPlan()).packets < counted(network, filled, MappingPlan()).packets

    @pytest.mark.parametrize("neurons", [8 * 4, 8 * 12, 8 * 18, 8 * 30 + 3])
    def test_cores_that_are_alike_need_what_each_would_alone(self, network: IntegerNetwork, neurons: int) -> None:
        spec = tight(neurons=neurons)
        cut: dict[str, Tile] = {"a": (2, 6, 8), "b": (2, 2, 4)}
        for tiles in ({}, cut):
            filled, _ = Filling(Needs(network, spec)).fill(tiles)
            assert filled is not None
            for held, use in zip(filled.held, filled.uses, strict=True):
                alone = Needs(network, spec).of(held)
                assert (alone.needs, alone.limits, alone.broken) == (use.needs, use.limits, use.broken)
                assert np.array_equal(alone.axon_population, use.axon_population)
                assert np.array_equal(alone.axon_neuron, use.axon_neuron)

    def test_places_are_alike_where_all_their_windows_are(self, tmp_path: Path) -> None:
        """Two convolutions from one source of other strides: their windows move apart, though none is cut."""
        (tmp_path / "net.yaml").write_text(TWO_STRIDES)
        rng = np.random.default_rng(3)
        np.savez(tmp_path / "w.npz", one=rng.normal(0, 0.4, (3, 2, 1)), two=rng.normal(0, 0.4, (3, 2, 2)))
        network = neurocomp.compile(tmp_path / "net.yaml").artifact.lowered.network
        spec = find_spec("loihi")
        together = Needs(network, spec)
        axons = set()
        for place in range(4, 8):
            held = [("a", np.arange(3) * 12 + place)]
            use, alone = together.of(held), Needs(network, spec).of(held)
            assert use.needs == alone.needs
            assert use.needs["input_axons"] == len(use.axon_neuron)
            axons.add(use.needs["input_axons"])
        assert len(axons) > 1

    def test_rows_of_a_core_follow_each_other(self, network: IntegerNetwork) -> None:
        spec = tight(neurons=8 * 18)
        tiled, _ = Filling(Needs(network, spec)).fill({"a": (3, 6, 8), "b": (3, 6, 8)})
        assert tiled is not None
        by_rows = row_by_row(Needs(network, spec), tiled, {"a": (3, 6, 8), "b": (3, 6, 8)})
        assert by_rows is not None
        for before, after in zip(tiled.held, by_rows.held, strict=True):
            for (name, was), (same, now) in zip(before, after, strict=True):
                assert name == same
                assert sorted(was.tolist()) == sorted(now.tolist())
                assert (np.diff(now % 144 * 8 + now // 144) > 0).all()

    def test_channels_are_cut_where_a_place_has_too_many_rows(self, tmp_path: Path) -> None:
        """All channels of a place need more than a core; some channels of several places share their rows."""
        (tmp_path / "net.yaml").write_text(
            IMAGE.replace("a: {shape: [8,", "a: {shape: [16,").replace("b: {shape: [8,", "b: {shape: [64,")
        )
        rng = np.random.default_rng(2)
        np.savez(tmp_path / "w.npz", xa=rng.normal(0, 0.4, (16, 2, 3, 3)), ab=rng.normal(0, 0.4, (64, 16, 3, 3)))
        network = neurocomp.compile(tmp_path / "net.yaml", effort="fast").artifact.lowered.network
        whole = Needs(network, find_spec("loihi")).of([("b", np.arange(64) * 144 + 66)]).needs["synapse_words"]
        spec = tight(synapse_words=whole - 1)
        filling = Filling(Needs(network, spec))
        filled, _ = filling.fill()
        assert filled is not None
        tiles = tiles_of(filling.needs, filled)
        assert tiles["b"][2] < 64
        tiled, _ = filling.fill({"b": tiles["b"]})
        assert tiled is not None
        assert 2 * len(tiled.held) < len(filled.held)
        now, before = (counted(network, found, MappingPlan()) for found in (tiled, filled))
        assert now.packets / before.packets + now.cores / before.cores < 1.6
        for held, use in zip(tiled.held, tiled.uses, strict=True):
            alone = Needs(network, spec).of(held)
            assert (alone.needs, alone.broken) == (use.needs, None)
            assert np.array_equal(alone.axon_neuron, use.axon_neuron)

    def test_a_tile_that_needs_too_many_words_is_not_taken(self, network: IntegerNetwork) -> None:
        spec = tight(neurons=8 * 18)
        filled, _ = Filling(Needs(network, spec)).fill()
        tiled, _ = Filling(Needs(network, spec)).fill({"b": (3, 6, 8)})
        assert filled is not None
        assert tiled is not None
        inner = max(use.needs["synapse_words"] for of, use in zip(tiled.held, tiled.uses, strict=True) if of[0][0] == "b")
        assert tiles_of(Needs(network, tight(neurons=8 * 18, synapse_words=inner)), filled)["b"] == (3, 6, 8)
        assert tiles_of(Needs(network, tight(neurons=8 * 18, synapse_words=inner - 1)), filled).get("b") != (3, 6, 8)


class TestPins:
    def pin(self, folder: Path, *pins: dict[str, Any]) -> Path:
        path = folder / "map.json"
        path.write_text(json.dumps({"neurocomp_mapping": 1, "pins": list(pins)}))
        return path

    def test_pinned_neurons_are_alone_where_they_should_be(self, folder: Path) -> None:
        path = self.pin(folder, {"population": "c", "core": 9}, {"population": "a", "neurons": [3, 40], "chip": 1, "core": 127})
        made = neurocomp.compile(folder / "net.yaml", mapping=path)
        mapped = made.artifact.mapped
        where = [(core.chip, core.core) for core in mapped.cores]
        c, a = (mapped.placements[name].core for name in ("c", "a"))
        assert {where[i] for i in c} == {(0, 9)}
        assert {where[i] for i in a[3:40]} == {(1, 127)}
        others = np.concatenate([a[:3], a[40:], mapped.placements["b"].core])
        assert not {where[i] for i in others} & {(0, 9), (1, 127)}

    def test_an_exported_mapping_is_the_same_mapping(self, folder: Path, compiled: Compiled) -> None:
        from neurocomp.frontends.from_map import pins_text

        path = folder / "all.json"
        path.write_text(pins_text(compiled.pins()))
        again = neurocomp.compile(folder / "net.yaml", mapping=path).artifact.mapped
        first = compiled.artifact.mapped
        assert [(c.chip, c.core) for c in again.cores] == [(c.chip, c.core) for c in first.cores]
        for name, place in first.placements.items():
            assert np.array_equal(place.core, again.placements[name].core)
            assert np.array_equal(place.slot, again.placements[name].slot)

    @pytest.mark.parametrize(
        ("pins", "message"),
        [
            ([{"population": "d", "core": 0}], "map.json:1:50: error[NC0201 unknown-population]: there is no population 'd'"),
            ([{"population": "x", "core": 0}], "there is no population 'x' to pin"),
            ([{"population": "a"}], "error[NC0104 wrong-type]: the core of a pin is missing"),
            ([{"population": "a", "core": -1}], "the core of a pin must be a whole number from 0 on, not the number -1"),
            ([{"population": "a", "core": 0, "neurons": [5]}], "neurons must be [first, last + 1], not a list"),
            ([{"population": "a", "core": 0, "neurons": [5, 649]}], "'a' has neurons 0 to 647; this range is [5, 649]"),
            ([{"population": "a", "core": 0}, {"population": "a", "core": 1}], "neuron 'a[0]' is pinned twice"),
            ([{"population": "a", "core": 0, "chp": 1}], "a pin has no 'chp'"),
        ],
    )
    def test_pins_that_cannot_be_are_named(self, folder: Path, pins: list[dict[str, Any]], message: str) -> None:
        with pytest.raises(NetworkError) as caught:
            neurocomp.compile(folder / "net.yaml", mapping=self.pin(folder, *pins))
        assert message in str(caught.value)

    def test_a_file_that_is_no_mapping(self, folder: Path) -> None:
        path = folder / "other.json"
        path.write_text("{}")
        with pytest.raises(NetworkError, match="this is no mapping"):
            neurocomp.compile(folder / "net.yaml", mapping=path)
        with pytest.raises(NetworkError, match="--mapping: cannot read"):
            neurocomp.compile(folder / "net.yaml", mapping=folder / "none.json")

    def test_more_than_a_core_holds(self, folder: Path) -> None:
        with pytest.raises(CapacityError) as caught:
            neurocomp.compile(folder / "net.yaml", mapping=self.pin(folder, {"population": "a", "core": 128}))
        assert "'a' is pinned to core 128; loihi has 128, counted from 0" in str(caught.value)
        target = folder / "tight.yaml"
        target.write_text(tight(neurons=600).text)
        with pytest.raises(CapacityError) as caught:
            neurocomp.compile(folder / "net.yaml", str(target), mapping=self.pin(folder, {"population": "a", "core": 0}))
        assert "what is pinned to core 0 of chip 0 needs 648 compartments; a loihi core has 600" in str(caught.value)

    def test_crossbars_cannot_be_pinned(self, folder: Path) -> None:
        with pytest.raises(UnsupportedError) as caught:
            neurocomp.compile(folder / "net.yaml", "reference", mapping=self.pin(folder, {"population": "a", "core": 0}))
        assert "neurons cannot be pinned to cores of reference" in str(caught.value)

    @pytest.mark.parametrize("target", ["truenorth", "reference"])
    def test_no_other_mapper_where_neurons_are_not_spread(self, folder: Path, target: str) -> None:
        (folder / "spikes.yaml").write_text(ONE_LAYER)
        with pytest.raises(UnsupportedError) as caught:
            neurocomp.compile(folder / "spikes.yaml", target, mapper="quality")
        assert f"there are no single neurons to spread over cores of {target}" in str(caught.value)

    def test_an_unknown_population_is_said_once(self, folder: Path) -> None:
        with pytest.raises(NetworkError) as caught:
            neurocomp.compile(
                folder / "net.yaml", mapping=self.pin(folder, *({"population": "d", "core": i} for i in range(5)))
            )
        assert str(caught.value).count("there is no population 'd' to pin") == 1
