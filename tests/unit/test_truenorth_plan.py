"""The plan: which technique runs where, what it costs, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import neurocomp
from neurocomp.api import Compiled
from neurocomp.errors import CapacityError, NeurocompError
from neurocomp.ir.network import Decoder, NativeWeights, Network, Neuron, Population, Projection, Stage, frozen
from neurocomp.models.neurons import Semantics
from neurocomp.models.patterns import Pattern

Array = NDArray[Any]
TICKS = 16


def plain(n: int, threshold: float = 2.0, **given: Any) -> Neuron:
    """Integrate and fire that resets by subtraction."""
    parameters = {"v_threshold": frozen(np.array(threshold)), "v_init": frozen(np.array(0.0))}
    return Neuron("if", parameters, Semantics(**({"compare": ">=", "reset": "subtract"} | given)))


def native(n: int, **given: Any) -> Neuron:
    """TrueNorth neurons with alpha 2, and some parameters."""
    zero = ("lambda", "c_lambda", "epsilon", "TM", "gamma", "kappa", "R", "V", "b", "symmetric", "seed")
    values = dict.fromkeys(zero, 0) | {"alpha": 2, "beta": 100} | {key.rstrip("_"): value for key, value in given.items()}
    return Neuron(
        "truenorth", {key: frozen(np.resize(value, n).astype(np.int64)) for key, value in values.items()},
        Semantics(compare=">="), "truenorth",
    )  # fmt: skip


class Net:
    """Builds a network step by step."""

    def __init__(self, **inputs: int) -> None:
        self.populations = {name: Population(name, (size,)) for name, size in inputs.items()}
        self.projections: list[Projection] = []

    def add(self, name: str, n: int, neuron: Neuron | None = None) -> Net:
        self.populations[name] = Population(name, (n,), neuron or plain(n))
        return self

    def join(
        self, source: str, target: str, weights: Any = None, delay: Any = 0, pattern: Pattern | None = None,
        before: tuple[Stage, ...] = (), bias: Any = None,
    ) -> Net:  # fmt: skip
        a, b = self.populations[source], self.populations[target]
        assert b.neuron is not None
        values = np.ones((b.size, before[-1].shape[0] if before else a.size)) if weights is None else np.asarray(weights)
        is_native = b.neuron.number_format is not None
        self.projections.append(
            Projection(
                f"{source}->{target}#{len(self.projections)}", source, target, pattern or Pattern("dense"),
                frozen(values.astype(np.int16) if is_native else values.astype(np.float64)),
                None if bias is None else frozen(np.full(b.size, float(bias))), frozen(np.asarray(delay, np.int64)),
                NativeWeights() if is_native else None, before,
            )
        )  # fmt: skip
        return self

    def network(self, *decoded: str) -> Network:
        decoders = {name: Decoder("count", {}) for name in decoded}
        return Network("n", 1e-3, TICKS, self.populations, tuple(self.projections), {}, decoders).verify()

    def compile(self, *decoded: str, **options: Any) -> Compiled:
        """Compile, and verify on random spikes."""
        network = self.network(*decoded)
        made = neurocomp.compile(network, "truenorth", **options)
        rng = np.random.default_rng(0)
        inputs = {p.name: (rng.random((3, TICKS, p.size)) < 0.3).astype(np.uint8) for p in network.inputs}
        report = made.verify(["reference", "chip"], inputs=inputs)
        assert report.bit_exact, report.first_divergence
        return made

    def refused(self, *decoded: str, **options: Any) -> set[str]:
        """Return the codes of what is refused."""
        with pytest.raises(NeurocompError) as caught:
            neurocomp.compile(self.network(*decoded), "truenorth", **options)
        return {d.code for d in caught.value.diagnostics}


def copies(made: Compiled, name: str) -> Array:
    """Return how many physical neurons each logical one has."""
    part = made.artifact.lowered.parts[name]
    return np.bincount(part.neurons)


def roles(made: Compiled) -> set[str]:
    return {part.role for part in made.artifact.lowered.parts.values()}


def lossy(made: Compiled) -> set[str]:
    return set(made.artifact.lowered.reached_by_loss(TICKS))


WEIGHTS = np.random.default_rng(3).integers(-7, 8, (6, 10))


class TestFanOut:
    """Copies and relays."""

    def chain(self) -> Net:
        """Two layers; the second one hears each neuron of the first on four axons."""
        return Net(i=8).add("a", 10).add("b", 6).join("i", "a").join("a", "b", WEIGHTS)

    def test_copies_serve_every_axon(self) -> None:
        """A neuron has a copy for each axon that it drives."""
        made = self.chain().compile(fan_out="duplicate")
        assert roles(made) == {"neuron"}
        q = next(q for q in made.artifact.lowered.network.projections if q.target == "b.axons")
        assert int(copies(made, "a").sum()) == q.mantissa.size
        assert copies(made, "a").max() == 4
        assert made.artifact.lowered.lag["b"] == 1

    def test_relays_take_a_tick(self) -> None:
        """``split``: each neuron once, its relays as often as needed, what is behind a tick later."""
        made = self.chain().compile(fan_out="split")
        assert roles(made) == {"neuron", "relay"}
        assert (copies(made, "a") == 1).all()
        assert copies(made, "a.relay").max() == 4
        assert made.artifact.lowered.lag["b"] == 2
        assert not lossy(made)

    def test_auto_takes_fewer_cores(self) -> None:
        """Where copies need copies of their own sources, relays are cheaper."""
        rng = np.random.default_rng(0)
        net = Net(i=60).add("a", 100, plain(100, 30.0)).add("b", 60, plain(60, 30.0))
        net.join("i", "a", rng.integers(-7, 8, (100, 60)))
        net.join("a", "b", rng.integers(-7, 8, (60, 100)), rng.integers(0, 2, (60, 100)))
        cores = {way: len(net.compile(fan_out=way).artifact.mapped.cores) for way in ("auto", "duplicate", "split")}
        assert cores["auto"] <= min(cores["duplicate"], cores["split"]) + 1

    def test_stochastic_neurons_are_never_copied(self) -> None:
        """Whatever the option says; what they send off the chip passes the relays as well."""
        for way in ("auto", "duplicate", "split"):
            net = Net(i=8).add("a", 10, native(10, TM=3, seed=4)).add("b", 6).join("i", "a").join("a", "b", WEIGHTS)
            made = net.compile("a", "b", fan_out=way)
            assert (copies(made, "a") == 1).all()
            assert copies(made, "a.relay").max() == 5
            assert not lossy(made)

    def test_one_target_needs_no_relay(self) -> None:
        """A stochastic neuron that drives a single axon drives it itself."""
        net = Net(i=5).add("a", 5, native(5, TM=3)).add("b", 5)
        made = net.join("i", "a").join("a", "b", np.ones(5), pattern=Pattern("one_to_one")).compile()
        assert roles(made) == {"neuron"}

    def test_relays_in_a_loop_need_its_delay(self) -> None:
        """A stochastic population that hears itself: two ticks are enough, one is not (NC0315)."""

        def net(delay: int) -> Net:
            return Net(i=5).add("a", 6, native(6, TM=3)).join("i", "a").join("a", "a", np.ones((6, 6)), delay)

        assert "relay" in roles(net(2).compile())
        assert net(1).refused() == {"NC0315"}

    def test_a_loop_of_copies_grows_until_it_suffices(self) -> None:
        """A population that hears itself has copies that are heard by copies."""
        rng = np.random.default_rng(1)
        net = Net(i=8).add("a", 40, plain(40, 20.0)).join("i", "a", rng.integers(-7, 8, (40, 8)))
        made = net.join("a", "a", rng.integers(-7, 8, (40, 40)), 1).compile(fan_out="duplicate")
        assert copies(made, "a").max() >= 4
        blocks = next(c for c in made.artifact.lowered.network.crossbars if c.neurons == "a").blocks
        assert int(copies(made, "a").max()) == 4 * blocks + 1  # and a line off the chip

    def test_more_axons_than_neurons_of_a_core(self) -> None:
        """Copies beyond 256 are refused where relays are not wanted, and relays help where they are few enough."""
        rng = np.random.default_rng(2)
        net = Net(i=4).add("a", 4, plain(4, 1.0)).join("i", "a", np.ones((4, 4)))
        for k in range(14):
            net.add(f"b{k}", 16, plain(16, 9.0))
            net.join("a", f"b{k}", rng.integers(-7, 8, (16, 4)), rng.integers(0, 14, (16, 4)))
        assert net.refused(fan_out="duplicate") == {"NC0414"}


class TestFanIn:
    """Axons of a core."""

    def test_partial_sums_where_they_are_allowed(self) -> None:
        """300 inputs of int4 are beyond 256 axons: refused, or cut, which is lossy."""
        rng = np.random.default_rng(0)
        net = Net(i=300).add("a", 5, plain(5, 40.0)).join("i", "a", rng.integers(-7, 8, (5, 300)))
        assert net.refused() == {"NC0412"}
        made = net.compile(partial_sums=True)
        assert roles(made) == {"neuron", "channel"}
        assert lossy(made) == {"a"}
        assert made.artifact.lowered.lag["a"] == 1
        largest = max(int(np.diff(c.axon_start).max()) for c in made.artifact.lowered.network.crossbars)
        assert largest <= 256

    def test_stochastic_synapses_have_no_partial_sums(self) -> None:
        """A sum of draws is no draw of a sum."""
        net = Net(i=300).add("a", 5, native(5, b=1)).join("i", "a", np.full((5, 300), 3))
        assert net.refused() == {"NC0412"}

    def test_what_fits_is_left_alone(self) -> None:
        """The option changes nothing where no fan-in is too large."""
        net = Net(i=30).add("a", 5, plain(5, 9.0)).join("i", "a", np.random.default_rng(0).integers(-7, 8, (5, 30)))
        assert net.compile(partial_sums=True).artifact.program.digest() == net.compile().artifact.program.digest()

    def test_tiles(self) -> None:
        """More lines than a core has axons, few for each neuron: several blocks, each with what it needs."""
        rng = np.random.default_rng(0)
        sources, targets = rng.integers(0, 400, 600), np.repeat(np.arange(40), 15)
        pattern = Pattern("sparse", {"sources": frozen(sources), "targets": frozen(targets)})
        net = Net(i=400).add("a", 40, plain(40, 5.0)).join("i", "a", rng.integers(-7, 8, 600), pattern=pattern)
        made = net.compile()
        crossbar = made.artifact.lowered.network.crossbars[0]
        assert crossbar.blocks > 2
        assert int(np.diff(crossbar.axon_start).max()) <= 256


class TestSharing:
    """Populations that hear the same spikes at the same time."""

    def test_one_core_for_two(self) -> None:
        """200 axons each: two cores, or one where they share."""
        rng = np.random.default_rng(0)
        net = Net(i=50)
        for name in ("a", "b"):
            net.add(name, 9, plain(9, 9.0)).join("i", name, np.clip(rng.integers(-8, 9, (9, 50)), -7, 7))
        made = net.compile()
        assert len({c.axons for c in made.artifact.lowered.network.crossbars}) == 1
        assert len(made.artifact.mapped.cores) == 1

    def test_another_delay_is_another_axon(self) -> None:
        """Nothing to share between lines of different ticks."""
        rng = np.random.default_rng(0)
        net = Net(i=50)
        for delay, name in enumerate(("a", "b")):
            net.add(name, 9, plain(9, 9.0)).join("i", name, np.clip(rng.integers(-8, 9, (9, 50)), -7, 7), delay)
        assert len(net.compile().artifact.mapped.cores) == 2


class TestStarts:
    """Leaks in the ticks before a population's own time."""

    def behind(self, **given: Any) -> Net:
        """Two hops from the input: a start below a floor would not stay there."""
        net = Net(i=6).add("a", 6).add("m", 6).add("p", 3, plain(3, 4.0, **given)).join("i", "a").join("a", "m")
        return net.join("m", "p", np.ones((3, 6)), bias=1.0)

    def test_corrected(self) -> None:
        """A bias is made up for by a lower start."""
        made = self.behind().compile()
        assert not lossy(made)
        assert any("corrected potential" in note for note in made.artifact.notes)

    def test_held(self) -> None:
        """With a floor, the host drives an axon that takes the bias back."""
        made = self.behind(v_floor=0.0).compile()
        assert not lossy(made)
        assert "p.hold" in made.artifact.lowered.network.populations

    def test_no_type_is_left(self) -> None:
        """Four types in use and a floor: lossy, and said so."""
        net = Net(i=6).add("a", 6).add("m", 10).add("p", 6, plain(6, 9.0, v_floor=0.0)).join("i", "a").join("a", "m")
        made = net.join("m", "p", WEIGHTS, bias=1.0).compile()
        assert lossy(made) == {"p"}

    def test_hold_and_loss_in_one_network(self) -> None:
        """One population is held, another one lossy: a hold axon each at most."""
        net = self.behind(v_floor=0.0).add("z", 6, plain(6, 9.0, v_floor=0.0)).add("y", 10)
        net.join("a", "y", np.ones((10, 6))).join("y", "z", WEIGHTS, bias=1.0)
        made = net.compile()
        assert lossy(made) == {"z"}
        holds = [q for q in made.artifact.lowered.network.projections if q.source.endswith(".hold")]
        assert [q.source for q in holds] == ["p.hold"]


class TestMaxima:
    """The OR of spikes is free."""

    POOL = Pattern("maxpool1d", {}, {"kernel": (2,), "stride": (2,), "padding": (0,)})

    def test_of_neurons(self) -> None:
        """Two neurons drive one axon, declared as a merge."""
        net = Net(i=6)
        net.populations["a"] = Population("a", (1, 8), plain(8))
        net.join("i", "a", np.ones((8, 6))).add("b", 3, plain(3, 3.0))
        flat = Stage(Pattern("flatten"), frozen(np.float64(1.0)), (4,))
        pooled = Stage(self.POOL, frozen(np.float64(1.0)), (1, 4))
        made = net.join("a", "b", np.ones((3, 4)), before=(pooled, flat)).compile()
        assert len(made.artifact.lowered.declared_merges["b.axons"]) == 4
        assert (copies(made, "a") == 1).all()
        assert not lossy(made)


def test_populations_without_synapses_that_weigh() -> None:
    """They stay silent, or fire by themselves, and cost no axon that anybody drives."""
    net = Net(i=3).add("a", 2).join("i", "a", np.zeros((2, 3)))
    made = net.compile()
    assert not lossy(made)
    alone = Net(i=3).add("a", 2, native(2, lambda_=1)).join("i", "a", np.zeros((2, 3))).compile()
    assert not lossy(alone)


def test_capacity_errors_name_the_population() -> None:
    """Weights that no types represent."""
    net = Net(i=40).add("a", 1, native(1)).join("i", "a", np.random.default_rng(0).integers(-255, 256, (1, 40)))
    with pytest.raises(CapacityError) as caught:
        neurocomp.compile(net.network(), "truenorth")
    assert caught.value.diagnostics[0].code == "NC0413"
    assert "'a'" in caught.value.diagnostics[0].message
