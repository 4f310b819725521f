"""Files of RANC and IBM's model files: what is read, what is refused and how, what is written."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurocomp import api
from neurocomp.cli import run as command_line
from neurocomp.errors import ArtifactError, NetworkError, UnsupportedError, UsageError
from neurocomp.ir.text import lowered_text, mapped_text, program_text
from neurocomp.testing.ranc import Json, random_network, rows_of, simulated, write
from neurocomp_truenorth import formats as fm

TICKS = 40


def small() -> tuple[Json, Json]:
    """Two cores of two neurons and three axons, and a bus of two lines: a packet wanders from core to core to the bus."""
    neuron = {
        "reset_potential": 0,
        "weights": [1, -1],
        "leak": 0,
        "positive_threshold": 1,
        "negative_threshold": 0,
        "destination_core_offset": [1, 0],
        "destination_axon": 0,
        "destination_tick": 0,
        "current_potential": 0,
        "reset_mode": 0,
    }
    cores = [
        {
            "coordinates": [x, 0],
            "axons": [0, 1, 0],
            "connections": [[1, 1, 0], [0, 0, 1]],
            "neurons": [dict(neuron, destination_axon=number) for number in range(2)],
        }
        for x in range(2)
    ]
    packet = {"destination_core": [0, 0], "destination_axon": 0, "destination_tick": 0}
    document = {"packets": [[packet]], "output_bus": {"coordinates": [2, 0], "num_outputs": 2}, "cores": cores}
    config = {"num_neurons": 2, "num_axons": 3, "num_cores_x": 3, "num_cores_y": 1, "num_weights": 2, "neuron_reset_type": 0}
    return document, config | {"max_tick_offset": 16}


def read(folder: Path, document: Json, config: Json, ticks: int | None = None) -> api.Compiled:
    return api.import_network(write(folder, document, config), "ranc", ticks)


@pytest.mark.parametrize("seed", range(40))
def test_random_networks_do_what_ranc_does(seed: int, tmp_path: Path) -> None:
    document, config = random_network(seed)
    compiled = read(tmp_path / "net", document, config, TICKS)
    expected = simulated(document, config, TICKS)
    for engine in ("reference", "chip"):
        assert compiled.run(engine).arrays["spikes/bus"][0].tolist() == expected
    assert compiled.verify(["chip"]).bit_exact
    compiled.export("ranc", tmp_path / "again")
    assert rows_of(write(tmp_path / "again", *files(tmp_path / "again"), TICKS)) == expected
    again = api.import_network(tmp_path / "again", "ranc")
    assert lowered_text(again.artifact.lowered).replace("again", "net") == lowered_text(compiled.artifact.lowered)


def files(folder: Path) -> tuple[Json, Json]:
    document, config = (json.loads((folder / name).read_text()) for name in ("input.json", "config.json"))
    return document, config


# Time


def test_a_packet_takes_a_tick_per_hop(tmp_path: Path) -> None:
    document, config = small()
    compiled = read(tmp_path / "net", document, config, 6)
    trace = compiled.run("chip", state=True)
    assert trace.arrays["spikes/bus"][0].tolist() == [[0, 0], [0, 0], [1, 0], [0, 0], [0, 0], [0, 0]]
    assert list(trace.arrays) == ["spikes/bus"]
    everything = compiled.run("reference", probe="all", state=True).arrays
    assert everything["spikes/packets"].shape == (1, 6, 1)


def test_a_destination_tick_is_a_delay_and_the_last_one_is_dropped(tmp_path: Path) -> None:
    document, config = small()
    for tick, first in ((0, 2), (3, 5), (14, 16)):
        document["cores"][0]["neurons"][0]["destination_tick"] = tick
        rows = read(tmp_path / f"{tick}", document, config, 20).run("chip").arrays["spikes/bus"][0]
        assert np.argwhere(rows).tolist() == [[first, 0]]
    document["cores"][0]["neurons"][0]["destination_tick"] = 15
    compiled = read(tmp_path / "15", document, config, 40)
    assert not compiled.run("chip").arrays["spikes/bus"].any()
    assert compiled.imported["dropped"] == 1
    assert any("1 neuron" in note for note in compiled.artifact.notes)


def test_a_smaller_scheduler_drops_its_own_last_tick(tmp_path: Path) -> None:
    document, config = small()
    config["max_tick_offset"] = 4
    document["cores"][0]["neurons"][0]["destination_tick"] = 3
    document["cores"][0]["neurons"][1]["destination_tick"] = 2
    compiled = read(tmp_path / "net", document, config, 20)
    assert compiled.imported["dropped"] == 1
    assert not compiled.run("chip").arrays["spikes/bus"].any()
    compiled.export("ranc", tmp_path / "again")
    assert files(tmp_path / "again")[1]["max_tick_offset"] == 4
    document["cores"][0]["neurons"][0]["destination_tick"] = 4
    with pytest.raises(NetworkError, match=r"cores\[0\].neurons\[0\].destination_tick is 4, not 0 to 3"):
        read(tmp_path / "net", document, config)


def test_ticks_come_from_the_output_else_the_meta_file_else_the_packets(tmp_path: Path) -> None:
    document, config = small()
    assert read(tmp_path / "net", document, config).network.ticks == 1 + 16
    (tmp_path / "net" / "meta.json").write_text('{"ticks": 33}')
    assert api.import_network(tmp_path / "net", "ranc").network.ticks == 33
    (tmp_path / "net" / "output.txt").write_text("0 0 \n" * 7 + "\n", encoding="utf-8-sig")
    assert api.import_network(tmp_path / "net", "ranc").network.ticks == 7
    assert api.import_network(tmp_path / "net", "ranc", 9).network.ticks == 9


# Packets


def test_packets_that_change_nothing_are_counted(tmp_path: Path) -> None:
    document, config = small()
    config["num_cores_y"] = 2
    packet = document["packets"][0][0]
    document["packets"] = [
        [packet, dict(packet, destination_tick=1), dict(packet, destination_tick=15)],
        [packet, dict(packet, destination_core=[1, 1]), dict(packet, destination_tick=14)],
    ]
    compiled = read(tmp_path / "net", document, config, 5)
    counts = compiled.imported
    found = [counts[f"packets{name}"] for name in ("", "_merged", "_dropped", "_lost", "_late")]
    assert found == [6, 1, 1, 1, 1]
    assert compiled.stimulus()["packets"][0, :, 0].tolist() == [1, 1, 0, 0, 0]
    assert len([note for note in compiled.artifact.notes if "of the host" in note]) == 4
    loaded = api.load(saved(compiled, tmp_path))
    assert isinstance(loaded, api.Compiled)
    assert loaded.artifact.notes == compiled.artifact.notes


def saved(compiled: api.Compiled, folder: Path) -> Path:
    compiled.save(folder / "net.ncz")
    return folder / "net.ncz"


def test_a_network_without_packets_has_no_input(tmp_path: Path) -> None:
    document, config = small()
    document["packets"] = []
    document["cores"][0]["neurons"][0]["leak"] = 1
    compiled = api.load(saved(read(tmp_path / "net", document, config, 4), tmp_path))
    assert isinstance(compiled, api.Compiled)
    assert compiled.network.inputs == ()
    for engine in ("reference", "chip"):
        assert compiled.run(engine).arrays["spikes/bus"][0, :, 0].tolist() == [0, 0, 1, 1]
    assert compiled.verify().bit_exact


# Tolerance


def test_what_smaller_cores_leave_out_is_what_ranc_takes(tmp_path: Path) -> None:
    document, config = small()
    core = document["cores"][0]
    core["axons"], core["neurons"] = [0], core["neurons"][:1]
    core["neurons"][0]["weights"] = [1]
    core["connections"] = [[1], [1, 1, 1]]
    compiled = read(tmp_path / "net", document, config, 6)
    assert compiled.imported["neurons"] == 3
    assert compiled.imported["axons"] == 6
    assert compiled.run("chip").arrays["spikes/bus"][0].tolist() == simulated(document, config, 6)


def test_a_byte_order_mark_and_missing_defaults_are_read(tmp_path: Path) -> None:
    document, config = small()
    folder = write(
        tmp_path / "net", document, {k: v for k, v in config.items() if k not in ("max_tick_offset", "neuron_reset_type")}
    )
    (folder / "input.json").write_text(json.dumps(document), encoding="utf-8-sig")
    assert api.import_network(folder, "ranc", 6).run("chip").arrays["spikes/bus"].sum() == 1


def test_the_old_name_of_the_offset_is_read_where_it_means_one_thing(tmp_path: Path) -> None:
    document, config = small()
    for neuron in document["cores"][0]["neurons"]:
        neuron["destination_core"] = neuron.pop("destination_core_offset")
    assert read(tmp_path / "net", document, config, 6).run("chip").arrays["spikes/bus"].sum() == 1
    neuron = document["cores"][1]["neurons"][0]
    neuron["destination_core"] = neuron.pop("destination_core_offset")
    with pytest.raises(NetworkError, match=r"cores\[1\].neurons\[0\] has no 'destination_core_offset'(.|\n)*relative"):
        read(tmp_path / "net", document, config)


# Errors


def at(*path: str | int, to: Any) -> Callable[[Json, Json], None]:
    """Return a change of the document, or of the configuration where the path begins with ``config``."""

    def change(document: Json, config: Json) -> None:
        place: Any = config if path[0] == "config" else document
        keys = path[1:] if path[0] == "config" else path
        for key in keys[:-1]:
            place = place[key]
        if to is KeyError:
            del place[keys[-1]]
        else:
            place[keys[-1]] = to

    return change


NEURON = ("cores", 0, "neurons", 1)
FAULTS: list[tuple[Callable[[Json, Json], None], str, str]] = [
    (at("config", "num_axons", to=KeyError), "NC0105", "the file has no 'num_axons'"),
    (at("config", "num_axons", to=257), "NC0341", "num_axons is 257, not 1 to 256"),
    (at("config", "num_weights", to=5), "NC0341", "num_weights is 5, not 1 to 4"),
    (at("config", "num_cores_x", to=1 << 20), "NC0341", "a grid of 1048576 cores"),
    (at("config", "num_cores_y", to=0), "NC0209", "num_cores_y is 0"),
    (at("config", "max_tick_offset", to=32), "NC0341", "max_tick_offset is 32"),
    (at("config", "neuron_reset_type", to="x"), "NC0104", "neuron_reset_type is text, not a whole number"),
    (at("packets", to=KeyError), "NC0105", "the file has no 'packets'"),
    (at("packets", to={}), "NC0104", "packets is an object, not a list"),
    (at("packets", 0, to=1), "NC0104", r"packets\[0\] is a whole number, not a list"),
    (at("packets", 0, 0, "destination_core", to=[0]), "NC0209", r"packets\[0\]\[0\].destination_core has 1 numbers; 2"),
    (at("packets", 0, 0, "destination_core", to=[0, 1]), "NC0209", "outside of the grid of 3 by 1"),
    (at("packets", 0, 0, "destination_core", to=[2, 0]), "NC0341", "is the output bus"),
    (at("packets", 0, 0, "destination_axon", to=3), "NC0209", "destination_axon is 3, not 0 to 2"),
    (at("packets", 0, 0, "destination_tick", to=1.5), "NC0104", "destination_tick is a fraction"),
    (at("output_bus", to=KeyError), "NC0105", "has no 'output_bus'"),
    (at("output_bus", "num_outputs", to=0), "NC0209", "output_bus.num_outputs is 0"),
    (at("output_bus", "coordinates", to=[1, 0]), "NC0206", r"cores\[1\].coordinates is the place of the output bus"),
    (at("cores", to=[]), "NC0213", "cores hold no neurons"),
    (at("cores", 1, "coordinates", to=[0, 0]), "NC0206", r"cores\[1\].coordinates is the place of another core"),
    (at("cores", 1, "coordinates", to=[-1, 0]), "NC0209", r"\(-1, 0\), outside of the grid"),
    (at("cores", 0, "axons", 2, to=2), "NC0209", r"cores\[0\].axons\[2\] is 2, not 0 to 1"),
    (at("cores", 0, "axons", to=[0] * 4), "NC0209", r"cores\[0\].axons has 4 axons; 0 to 3"),
    (at("cores", 0, "connections", 0, to=[1, 2]), "NC0209", r"connections\[0\]\[1\] is a whole number other than 0 and 1"),
    (at("cores", 0, "connections", 0, to=[0.0]), "NC0209", r"connections\[0\]\[0\] is a fraction"),
    (at("cores", 0, "connections", 0, to=[[]]), "NC0209", r"connections\[0\]\[0\] is a list"),
    (at("cores", 0, "connections", to=[]), "NC0209", r"cores\[0\].connections has 0 rows; 2 are"),
    (at(*NEURON, "leak", to=KeyError), "NC0105", r"cores\[0\].neurons\[1\] has no 'leak'"),
    (at(*NEURON, "leak", to=True), "NC0104", "leak is true or false"),
    (at(*NEURON, "leak", to=256), "NC0341", "leak is 256, not -255 to 255"),
    (at(*NEURON, "weights", to=[0, 0, 0]), "NC0209", "weights has 3 weights; 0 to 2"),
    (at(*NEURON, "weights", to=[-256]), "NC0341", r"weights\[0\] is -256"),
    (at(*NEURON, "positive_threshold", to=1 << 18), "NC0341", "positive_threshold is 262144, not 0 to 262143"),
    (at(*NEURON, "positive_threshold", to=-1), "NC0341", "positive_threshold is -1"),
    (at(*NEURON, "negative_threshold", to=1), "NC0341", "negative_threshold is 1, not -262143 to 0"),
    (at(*NEURON, "reset_potential", to=1 << 18), "NC0341", "reset_potential is 262144"),
    (at(*NEURON, "current_potential", to=1 << 19), "NC0341", "current_potential is 524288"),
    (at(*NEURON, "reset_mode", to=3), "NC0209", "reset_mode is 3, not 0 to 2"),
    (at(*NEURON, "destination_core_offset", to=[-1, 0]), "NC0209", r"leads to \(-1, 0\), outside of the grid"),
    (at(*NEURON, "destination_axon", to=-1), "NC0209", "destination_axon is -1, not 0 to 2"),
    (at("cores", 1, "neurons", 0, "destination_axon", to=2), "NC0209", "destination_axon is 2, not 0 to 1"),
    (at(*NEURON, "leak", to=10**400), "NC0209", "leak is a number beyond 64 bits"),
    (at("cores", 0, to=None), "NC0104", r"cores\[0\] is null, not an object"),
]


def code_of_config(message: str) -> bool:
    """Return whether a message is about ``config.json``."""
    words = ("num_axons", "num_weights", "grid of 1048576", "num_cores_y", "max_tick_offset", "neuron_reset_type")
    return any(word in message for word in words)


@pytest.mark.parametrize(("change", "code", "message"), FAULTS, ids=[f"{number}" for number in range(len(FAULTS))])
def test_what_is_wrong_is_said_with_file_and_place(
    change: Callable[[Json, Json], None], code: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document, config = small()
    change(document, config)
    folder = write(tmp_path / "net", document, config)
    with pytest.raises((NetworkError, UnsupportedError), match=message) as raised:
        api.import_network(folder, "ranc")
    (diagnostic,) = raised.value.diagnostics
    assert (diagnostic.code, str(diagnostic.location)) == (code, "config.json" if code_of_config(message) else "input.json")
    assert command_line(["import", str(folder), "--format", "ranc", "-o", str(tmp_path / "net.ncz")]) == (
        4 if code == "NC0341" else 3
    )
    assert code in capsys.readouterr().err
    assert not (tmp_path / "net.ncz").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "NC0108"),
        (b"{", "NC0108"),
        (b"\xff\xfe", "NC0108(.|\n)*not UTF-8"),
        (b"[" * 100_000, "NC0108"),
        (b"[]", "is a list, not an object"),
        (b'{"packets": NaN}', "output_bus"),
        (b"1" * 5000, "NC0108"),
    ],
)
def test_files_that_are_no_such_json_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "net", *small())
    (folder / "input.json").write_bytes(content)
    with pytest.raises(NetworkError, match=message):
        api.import_network(folder, "ranc")


def test_missing_files_and_formats_are_said(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"NC0101(.|\n)*is no folder"):
        api.import_network(tmp_path / "nothing", "ranc")
    with pytest.raises(NetworkError, match=r"NC0101(.|\n)*cannot read 'config.json'"):
        api.import_network(tmp_path, "ranc")
    with pytest.raises(UsageError, match=r"no backend imports the format 'rank'(.|\n)*ranc"):
        api.import_network(tmp_path, "rank")


def test_damaged_documents_end_in_errors_of_ours(tmp_path: Path) -> None:
    """Any value of any kind in any place: never another exception."""
    document, config = small()
    rng = np.random.default_rng(0)
    strange: list[Any] = [None, True, -1, 0, 1 << 40, 0.5, "x", [], {}, [0], {"a": 1}]

    def places(value: Any, path: tuple[str | int, ...]) -> list[tuple[str | int, ...]]:
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        return [path, *(place for key, child in inner for place in places(child, (*path, key)))]

    for root, prefix in ((document, ()), (config, ("config",))):
        for place in places(root, ())[1:]:
            for to in (strange[int(rng.integers(len(strange)))], KeyError):
                changed, limits = copy.deepcopy(document), dict(config)
                at(*prefix, *place, to=to)(changed, limits)
                try:
                    read(tmp_path / "net", changed, limits, 4)
                except (NetworkError, UnsupportedError):
                    continue


# The artifact


def test_an_imported_artifact_is_read_back_and_explains_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document, config = random_network(53)
    made = read(tmp_path / "net", document, config, TICKS)
    path = saved(made, tmp_path)
    loaded = api.load(path)
    assert isinstance(loaded, api.Compiled)
    assert loaded.artifact.quantized is None
    assert loaded.artifact.program.digest() == made.artifact.program.digest()
    assert loaded.artifact.spec.name == "ranc"
    assert loaded.save(tmp_path / "again.ncz") == made.save(path)
    assert mapped_text(loaded.artifact.mapped) == mapped_text(made.artifact.mapped)
    assert "crossbars\n  cores: axons -> neurons" in lowered_text(loaded.artifact.lowered)
    assert "bus [" in program_text(loaded.artifact.program)
    for arguments in (
        ["run", str(path)],
        ["run", str(path), "--probe", "all", "--state", "--json"],
        ["verify", str(path)],
        ["verify", str(path), "--engines", "reference,chip", "--json"],
        ["report", str(path)],
        ["report", str(path), "--json"],
        ["export", str(path), "--format", "integers", "-o", str(tmp_path / "x.npz")],
        ["export", str(path), "--format", "ranc", "-o", str(tmp_path / "x"), "--json"],
    ):
        assert command_line(arguments) == 0, arguments
        capsys.readouterr()
    for arguments, code, text in (
        (["run", str(path), "--engine", "float"], 4, "NC0320"),
        (["run", str(path), "--stage", "quantized"], 2, "NC0801"),
        (["export", str(path), "--format", "integers", "--stage", "quantized", "-o", str(tmp_path / "y.npz")], 2, "NC0801"),
        (["evaluate", str(path)], 3, "NC0212"),
    ):
        assert command_line(arguments) == code, arguments
        assert text in capsys.readouterr().err


def test_an_artifact_without_quantized_network_must_say_what_is_read(tmp_path: Path) -> None:
    made = read(tmp_path / "net", *small()).artifact
    lowered = replace(made.lowered, map={"bus": made.lowered.map["bus"]})
    broken = replace(made, lowered=lowered, mapped=replace(made.mapped, lowered=lowered))
    broken_path = tmp_path / "broken.ncz"
    from neurocomp import artifact as artifacts

    artifacts.write(broken, broken_path)
    with pytest.raises(ArtifactError, match="NC0602"):
        api.load(broken_path)


@pytest.mark.parametrize("kind", ["weight", "delay", "target", "threshold"])
def test_verify_finds_a_corrupted_entry(kind: str, tmp_path: Path) -> None:
    document, config = random_network(53)
    compiled = read(tmp_path / "net", document, config, TICKS)
    report = compiled.verify(["reference", "chip"], inject=(kind, 1))
    assert not report.bit_exact
    assert report.first_divergence is not None


# Exports


def edited(compiled: api.Compiled, index: int = 0, **fields: Any) -> api.Compiled:
    """Return the artifact with other values in the fields of all neurons of its program."""
    from neurocomp.ir.program import CoreTables

    cores = []
    for core in compiled.artifact.program.cores:
        image = fm.unpack(core)
        neurons = image.neurons.copy()
        for name, value in fields.items():
            where = image.used if index is None else np.flatnonzero(image.used)[index : index + 1]
            neurons[name][where] = neurons[name][where] | value if name == "flags" else value
        zeros = np.zeros(fm.NEURONS, fm.KEY), np.zeros(fm.AXONS, fm.SLOT)
        cores.append(CoreTables(core.chip, core.core, fm.pack(replace(image, neurons=neurons, keys=zeros[0], slots=zeros[1]))))
    program = replace(compiled.artifact.program, cores=tuple(cores))
    return api.Compiled(replace(compiled.artifact, program=program))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"flags": 1}, "b, stochastic synapses"),
        ({"flags": fm.STOCHASTIC_LEAK, "lambda": 1}, "c_lambda, a stochastic leak"),
        ({"flags": fm.LEAK_REVERSAL, "lambda": 1}, "epsilon"),
        ({"flags": fm.SATURATES, "beta": 1}, "kappa"),
        ({"flags": fm.KEEP << fm.RESET_SHIFT}, "gamma = 2"),
        ({"TM": 1}, "TM, a stochastic threshold"),
        ({"flags": fm.SYMMETRIC}, "symmetric: 2 of 4 neurons"),
    ],
)
def test_what_ranc_lacks_is_refused_by_name(fields: dict[str, Any], message: str, tmp_path: Path) -> None:
    compiled = edited(read(tmp_path / "net", *small()), **fields)
    with pytest.raises(UnsupportedError, match=f"NC0342(.|\n)*{message}"):
        compiled.export("ranc", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_parameters_without_effect_are_not_refused(tmp_path: Path) -> None:
    compiled = edited(read(tmp_path / "net", *small()), flags=fm.STOCHASTIC_LEAK | fm.LEAK_REVERSAL | fm.SATURATES)
    compiled.export("ranc", tmp_path / "out")


def test_an_export_without_data_has_no_packets(tmp_path: Path) -> None:
    compiled = read(tmp_path / "net", *small())
    bare = api.Compiled(replace(compiled.artifact, samples=None))
    assert bare.export("ranc", tmp_path / "out")["packets"] == 0
    assert files(tmp_path / "out")[0]["packets"] == [[]]


def read_model(path: Path) -> dict[str, Any]:
    """Read a model file, whose key ``core`` stands once per core."""

    def table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if "core" in result:
            result["core"] = [value for key, value in pairs if key == "core"]
        return result

    model: dict[str, Any] = json.loads(path.read_text(), object_pairs_hook=table)
    return model


@pytest.mark.parametrize("seed", range(8))
def test_a_model_file_holds_every_integer(seed: int, tmp_path: Path) -> None:
    document, config = random_network(seed, neuron_reset_type=0)
    rng = np.random.default_rng(seed)
    for core in document["cores"]:
        for neuron in core["neurons"]:
            neuron["reset_potential"] = int(rng.choice([0, 1, -1, 3, -7, 63]))
    compiled = read(tmp_path / "net", document, config)
    found = compiled.export("truenorth-json", tmp_path / "net.json")
    model = read_model(tmp_path / "net.json")
    assert model["model"]["coreCount"] == len(model["core"]) == found["cores"]
    types = {entry["name"]: entry for entry in model["neuronTypes"]}
    assert len(types) == found["neuron_types"]
    program = compiled.artifact.program
    ids = [core["id"] for core in model["core"]]
    images = [fm.unpack(core) for core in program.cores]
    for image, core in zip(images, model["core"], strict=True):
        rows = core["crossbar"]["rows"]
        assert [int(row["type"][1]) for row in rows] == image.types.tolist()
        bits = np.array([list(bytes.fromhex(row["synapses"])) for row in rows], np.uint8)
        np.testing.assert_array_equal(np.unpackbits(bits, axis=1).astype(bool), image.bits)
        assert [neuron["dendrite"] for neuron in core["neurons"]] == np.flatnonzero(image.used).tolist()
        for neuron in core["neurons"]:
            record, kind = image.neurons[neuron["dendrite"]], types[neuron["type"]]
            assert [kind[f"sigma{g}"] * kind[f"s{g}"] for g in range(4)] == record["s"].tolist()
            assert kind["sigma_VR"] * (2 ** kind["VR"] - 1) == record["R"]
            assert kind["sigma_lambda"] * kind["lambda"] == record["lambda"]
            assert [kind[name] for name in ("alpha", "beta", "TM", "V")] == [record[n] for n in ("alpha", "beta", "TM", "V")]
            assert kind["gamma"] == (record["flags"] >> fm.RESET_SHIFT) & 3
            assert not any(kind[name] for name in ("b0", "b1", "b2", "b3", "c_lambda", "epsilon", "kappa"))
            if record["target"] == fm.OUTPUT:
                assert (neuron["destCore"], neuron["destAxon"]) == (-32, record["axon"])
            elif record["target"] == fm.CORE and record["delay"] <= 15:
                there = images[ids.index(neuron["destCore"])]
                assert (there.x - image.x, there.y - image.y) == (record["dx"], record["dy"])
                assert (neuron["destAxon"], neuron["delay"]) == (record["axon"], record["delay"])
            else:
                assert "destCore" not in neuron
    if found["spikes"]:
        lines = (tmp_path / "net.spikes.json").read_text().splitlines()
        spikes = sorted(tuple(json.loads(line)["spike"].values()) for line in lines)
        stimulus, source = compiled.stimulus()["packets"][0], program.inputs["packets"]
        tick, message = np.nonzero(stimulus[:, source.neuron])
        assert spikes == sorted(
            zip(tick.tolist(), [ids[c] for c in source.core[message]], source.axon[message].tolist(), strict=True)
        )


def test_what_a_model_file_cannot_say_is_refused(tmp_path: Path) -> None:
    compiled = read(tmp_path / "net", *small())
    with pytest.raises(UnsupportedError, match=r"NC0342(.|\n)*R: (.|\n)*such as 5"):
        edited(compiled, R=5).export("truenorth-json", tmp_path / "net.json")
    with pytest.raises(UnsupportedError, match="symmetric"):
        edited(compiled, flags=fm.SYMMETRIC).export("truenorth-json", tmp_path / "net.json")
    assert not (tmp_path / "net.json").exists()


def test_exports_that_a_target_does_not_have_are_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(read(tmp_path / "net", *small()), tmp_path)
    for arguments in (
        ["export", str(path), "--format", "truenorth-json", "-o", str(tmp_path / "x.npz")],
        ["export", str(path), "--format", "ranc", "--stage", "quantized", "-o", str(tmp_path / "x")],
        ["export", str(path), "--format", "integers", "-o", str(tmp_path / "x.json")],
    ):
        assert command_line(arguments) == 2
        assert "NC0801" in capsys.readouterr().err
    compiled = api.load(path)
    assert isinstance(compiled, api.Compiled)
    with pytest.raises(UsageError, match="cannot be written in the format 'rank'"):
        compiled.export("rank", tmp_path / "x")
