"""Make tests/golden/lava/*.npz by running Lava 0.10, and nothing else: ``python tests/golden/make_lava_vectors.py``.

It needs an environment with Lava (``make setup`` on Python 3.10 to 3.12). lava/README.md describes the files. Everything is
drawn from fixed seeds and Lava's fixed-point models are deterministic, so running it again changes no number.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Spec = dict[str, Any]
FOLDER = Path(__file__).parent / "lava"


class Case:
    """One network for Lava: its description (JSON), its arrays, and what Lava made of it."""

    def __init__(self, name: str, ticks: int, seed: int) -> None:
        self.name, self.ticks = name, ticks
        self.random = np.random.default_rng(seed)
        self.spec: Spec = {"populations": {}, "connections": []}
        self.arrays: dict[str, Array] = {}

    def neurons(self, name: str, n: int | tuple[int, int, int], **parameters: Any) -> Case:
        """Add n or (x, y, channels) LIF neurons: LIFReset where ``reset_interval`` is given, TernaryLIF with ``vth_lo``."""
        values = {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in parameters.items()}
        self.spec["populations"][name] = {"n": n, **values}
        return self

    def source(self, name: str, values: Array) -> Case:
        """Add a source that sends column k of ``values`` (n, ticks) or (x, y, channels, ticks) in step k + 1."""
        n = values.shape[:-1]
        self.spec["populations"][name] = {"n": n if len(n) > 1 else len(values), "source": True}
        self.arrays[f"in/{name}"] = values.astype(np.int32)
        return self

    def direct(self, source: str, target: str) -> Case:
        """Connect a source to neurons without synapses, which takes no step."""
        self.spec["connections"].append({"process": "none", "from": source, "to": target})
        return self

    def connect(
        self, process: str, source: str, target: str, weights: Array, delays: Array | None = None, **options: Any
    ) -> Case:
        """Connect by Dense, Sparse, DelayDense, DelaySparse or Conv, whose weights are (out, x, y, in / groups)."""
        index = len(self.spec["connections"])
        self.arrays[f"weights/{index}"] = weights.astype(np.int16)
        if delays is not None:
            self.arrays[f"delays/{index}"] = delays.astype(np.int8)
        self.spec["connections"].append({"process": process, "from": source, "to": target, **options})
        return self

    def weights(self, n_target: int, n_source: int, low: int = -280, high: int = 280, density: float = 1.0) -> Array:
        """Draw weights, also beyond the range that Lava clips to."""
        drawn = self.random.integers(low, high, (n_target, n_source))
        return drawn * (self.random.random((n_target, n_source)) < density)

    def spikes(self, *n: int, rate: float = 0.3) -> Array:
        """Draw a stimulus of zeros and ones."""
        return (self.random.random((*n, self.ticks)) < rate).astype(np.int64)

    def drive(self, n: int, low: int, high: int) -> Array:
        """Draw a stimulus of integers."""
        return self.random.integers(low, high, (n, self.ticks))


def lif_cases() -> Iterator[Case]:
    """Neurons alone: parameters, states, overflows."""
    case = Case("lif_bias", 30, 1)
    case.neurons(
        "n", 12, du=2048, dv=128, vth=500,
        bias_mant=np.array([1, -1, 4095, -4095, 77, -77, 100, -100, 5, -5, 1023, 300]),
        bias_exp=np.array([0, 0, 7, 7, 3, 3, -1, -1, -2, -2, 4, 5]),
    ).source("a", case.drive(12, -40, 60)).direct("a", "n")  # fmt: skip
    yield case

    case = Case("lif_decays", 30, 2)
    case.neurons(
        "n", 10, vth=np.array([150, 150, 150, 90, 90, 90, 300, 300, 1, 0]),
        du=np.array([0, 1, 409, 2048, 4094, 4095, 4095, 0, 100, 4095]),
        dv=np.array([0, 409, 1, 2048, 4095, 4095, 0, 4095, 4000, 0]),
    ).source("a", case.drive(10, -120, 200)).direct("a", "n")  # fmt: skip
    yield case

    case = Case("lif_initial_state", 20, 3)
    case.neurons(
        "n", 8, du=100, dv=300, vth=131071,
        u=np.array([1000, -1000, 8388607, -8388607, 4095, -4095, 63, -63]),
        v=np.array([1, -1, 8388607, -8388607, 4096, -4097, 77777, -77777]),
    ).source("a", case.drive(8, -3, 4)).direct("a", "n")  # fmt: skip
    yield case

    for interval, offset in ((4, 2), (5, 0), (1, 0), (3, 7)):
        case = Case(f"lifreset_{interval}_{offset}", 24, 4)
        case.neurons(
            "n", 6, du=500, dv=300, vth=300, u=200, v=-3000, bias_mant=np.array([0, 0, 50, -50, 900, 4000]),
            reset_interval=interval, reset_offset=offset,
        ).source("a", case.drive(6, -100, 200)).direct("a", "n")  # fmt: skip
        yield case

    case = Case("v_saturates", 24, 5)
    case.neurons(
        "n", 6, du=4095, dv=0, vth=131071, bias_exp=7, bias_mant=np.array([0, 0, 4095, -4095, 50, -50])
    ).source("a", case.drive(6, -131071, 131072)).direct("a", "n")  # fmt: skip
    yield case

    case = Case("v_saturates_below", 20, 6)
    case.neurons("n", 4, du=0, dv=np.array([0, 1, 4095, 4096]), vth=131071)
    case.source("a", case.drive(4, -40000, 1000)).direct("a", "n")
    yield case

    case = Case("u_folds", 24, 7)
    corners = np.array([131071, 131072, 131073, -131071, -131072, -131073, 262144, 393216, 393217, 524288, -393216, -524288])
    case.neurons("n", 12, du=4095, dv=4095, vth=131071).source("a", np.stack([np.roll(corners, k) for k in range(24)], axis=1))
    case.direct("a", "n").neurons("m", 12, du=1000, dv=100, vth=131071).direct("a", "m")
    yield case

    case = Case("a_overflows", 24, 8)
    corners = np.array(
        [2**25, 2**25 - 1, -(2**25), -(2**25) - 1, 2**26 + 5, 2**30, -(2**30), 2**31 - 1, -(2**31), 33554431 + 7]
    )
    case.neurons("n", 10, du=4095, dv=4095, vth=100).source("a", np.stack([np.roll(corners, k) for k in range(24)], axis=1))
    case.direct("a", "n").neurons("m", 10, du=200, dv=100, vth=100).direct("a", "m")
    yield case

    case = Case("out_of_range", 24, 9)
    case.source("a", case.drive(4, -3000, 6000))
    variants: dict[str, dict[str, Any]] = {
        "du": {"du": 5000, "dv": 100, "vth": 200},
        "du_negative": {"du": -1, "dv": 4096, "vth": 200},
        "dv": {"du": 100, "dv": 5000, "vth": 200},
        "dv_clears": {"du": 100, "dv": 4096, "vth": 200},
        "vth": {"du": 100, "dv": 3, "vth": 200000},
        "vth_negative": {"du": 100, "dv": 3, "vth": -5},
        "vth_beyond_32_bits": {"du": 100, "dv": 3, "vth": 2**26},
        "bias_exp": {"du": 100, "dv": 3, "vth": 200, "bias_mant": np.array([1, -1, 4095, 7]), "bias_exp": 12},
        "bias_overflows": {"du": 100, "dv": 3, "vth": 200, "bias_mant": 4095, "bias_exp": np.array([20, 25, 31, 40])},
        "bias_mant": {"du": 100, "dv": 3, "vth": 200, "bias_mant": np.array([40000, -40000, 32768, 70000]), "bias_exp": -40},
        "states": {"du": -9000, "dv": -9000, "vth": 131071, "u": 2**31 - 1, "v": -(2**31)},
    }
    for name, parameters in variants.items():
        case.neurons(name, 4, **parameters).direct("a", name)
    yield case


READER = {"du": 409, "dv": 100, "vth": 300}


def connection_cases() -> Iterator[Case]:
    """Synapses between a source and neurons, and between neurons."""
    case = Case("dense_signs", 16, 20)
    case.source("x", case.spikes(9))
    ranges = {"pos": (0, 280), "neg": (-280, 1), "mix": (-280, 280)}
    variants = [("mix", None, 8), ("pos", None, 8), ("neg", None, 8), ("mix", "MIXED", 6), ("mix", "EXCITATORY", 8)]
    variants += [("mix", "INHIBITORY", 8), ("mix", "NULL", 8), ("pos", "MIXED", 8), ("pos", None, 5), ("neg", None, 5)]
    variants += [("pos", "INHIBITORY", 7)]
    for drawn, mode, bits in variants:
        name = f"{drawn}_{mode}_{bits}".lower()
        case.neurons(name, 5, **READER)
        case.connect("Dense", "x", name, case.weights(5, 9, *ranges[drawn]), sign_mode=mode, num_weight_bits=bits)
    yield case

    case = Case("weight_exponents", 16, 21)
    case.source("x", case.spikes(9))
    for exponent in (-9, -4, -1, 0, 1, 3, 7):
        for process in ("Dense", "Sparse"):
            name = f"{process}{exponent}"
            case.neurons(name, 4, **READER).connect(
                process, "x", name, case.weights(4, 9), sign_mode="MIXED", weight_exp=exponent
            )
    yield case

    case = Case("graded", 16, 22)
    case.source("x", case.drive(9, -40, 90))
    for process, exponent in (("Dense", 0), ("Dense", -4), ("Dense", 3), ("Sparse", -2)):
        name = f"{process}{exponent}"
        case.neurons(name, 4, du=4095, dv=100, vth=3000)
        case.connect(process, "x", name, case.weights(4, 9), sign_mode="MIXED", weight_exp=exponent, num_message_bits=16)
    yield case

    case = Case("graded_overflow", 16, 23)
    case.source("x", case.drive(9, -(2**31), 2**31))
    for exponent in (0, -3, 2):
        case.neurons(f"n{exponent}", 4, du=4095, dv=100, vth=3000)
        case.connect(
            "Dense", "x", f"n{exponent}", case.weights(4, 9), sign_mode="MIXED", weight_exp=exponent, num_message_bits=24
        )
    yield case

    case = Case("sparse", 16, 24)
    case.source("x", case.spikes(12, rate=0.4))
    for mode, bits in (("MIXED", 8), ("EXCITATORY", 8), ("INHIBITORY", 8), ("MIXED", 4)):
        name = f"{mode}_{bits}".lower()
        case.neurons(name, 6, **READER)
        case.connect("Sparse", "x", name, case.weights(6, 12, density=0.3), sign_mode=mode, num_weight_bits=bits)
    yield case

    case = Case("delays", 24, 25)
    case.source("x", case.spikes(7))
    for process in ("DelayDense", "DelaySparse"):
        for exponent in (0, -3, 2):
            name = f"{process}{exponent}"
            delays = case.random.integers(0, 7, (5, 7))
            case.neurons(name, 5, **READER)
            case.connect(process, "x", name, case.weights(5, 7, density=0.7), delays, sign_mode="MIXED", weight_exp=exponent)
    yield case

    case = Case("chain", 40, 26)
    case.source("x", case.spikes(12, rate=0.25))
    case.neurons("a", 10, du=409, dv=200, vth=90).neurons("b", 8, du=4095, dv=409, vth=60, bias_mant=20)
    case.neurons("c", 6, du=1500, dv=0, vth=80, bias_mant=-3)
    case.connect("Dense", "x", "a", case.weights(10, 12, -80, 128)).connect(
        "Dense", "a", "b", case.weights(8, 10, -100, 128), weight_exp=1
    )
    case.connect("Dense", "b", "c", case.weights(6, 8, -100, 128), weight_exp=-1)
    case.connect("DelayDense", "x", "c", case.weights(6, 12, -60, 64), np.full((6, 12), 2))
    yield case

    case = Case("recurrence", 50, 27)
    case.source("x", case.spikes(6, rate=0.25)).neurons("n", 10, du=1024, dv=256, vth=100, bias_mant=40).neurons(
        "m", 4, du=0, dv=300, vth=700
    )
    case.connect("Dense", "x", "n", case.weights(10, 6, -40, 128)).connect("Dense", "n", "n", case.weights(10, 10, -100, 80))
    case.connect("DelayDense", "n", "m", case.weights(4, 10, -20, 128), case.random.integers(0, 5, (4, 10)))
    case.connect("Sparse", "m", "n", case.weights(10, 4, -200, 100, 0.5), sign_mode="MIXED")
    yield case


def spiking_cases() -> Iterator[Case]:
    """Convolutions, spikes of both signs, and reset schedules in networks."""
    case = Case("conv", 12, 40)
    case.source("x", case.spikes(7, 6, 4)).source("line", case.spikes(9, 1, 3)).source("graded", case.drive(60, -9, 20).reshape(
        5, 4, 3, case.ticks
    ))  # fmt: skip
    shapes = {
        "same": (7, 6, 3), "strided": (3, 4, 2), "groups": (3, 5, 6), "depthwise": (3, 3, 4), "long": (4, 1, 2),
        "values": (4, 4, 2), "deeper": (3, 3, 2),
    }  # fmt: skip
    for name, shape in shapes.items():
        case.neurons(name, shape, du=1500, dv=200, vth=250 if name == "values" else 80)
    # Lava runs what is connected, so every population hangs together with x.
    geometries: list[tuple[str, str, tuple[int, int, int, int], dict[str, Any]]] = [
        ("x", "same", (3, 3, 3, 4), {"padding": (1, 1)}),
        ("x", "strided", (2, 3, 2, 4), {"padding": (1, 0), "stride": (3, 1), "dilation": (1, 2)}),
        ("x", "groups", (6, 1, 2, 2), {"stride": (3, 1), "groups": 2}),
        ("x", "depthwise", (4, 2, 2, 1), {"stride": (2, 2), "groups": 4}),
        ("line", "long", (2, 3, 1, 3), {"padding": (1, 0), "dilation": (2, 1), "stride": (2, 1)}),
        ("x", "long", (2, 4, 6, 4), {}),
        ("graded", "values", (2, 2, 3, 3), {"padding": (0, 1), "num_message_bits": 8}),
        ("x", "values", (2, 4, 3, 4), {}),
        ("same", "deeper", (2, 3, 2, 3), {"stride": (2, 2)}),
    ]
    for source, name, kernel, options in geometries:
        drawn = case.random.integers(-90, 140, kernel)
        case.connect("Conv", source, name, drawn, input_shape=case.spec["populations"][source]["n"], **options)
    yield case

    case = Case("ternary", 24, 41)
    case.source("x", case.spikes(6))
    case.neurons("t", 8, du=2000, dv=200, vth_hi=70, vth_lo=-50, bias_mant=np.array([0, 0, 40, -40, 9, -9, 0, 5]), bias_exp=4)
    case.neurons("own_sign", 8, du=4095, dv=0, vth_hi=130, vth_lo=-130, u=900, v=np.array([0, 1, -1, 8383, -8383, 640, -64, 7]))
    case.connect("Dense", "x", "t", case.weights(8, 6, -128, 128)).connect("Dense", "x", "own_sign", case.weights(8, 6))
    for name, source, bits in (("signed", "t", 8), ("counted", "t", 0), ("signed2", "own_sign", 8)):
        case.neurons(name, 4, **READER)
        case.connect("Dense", source, name, case.weights(4, 8, -128, 160), sign_mode="MIXED", num_message_bits=bits)
    case.neurons("back", 4, du=1000, dv=300, vth_hi=60, vth_lo=-60)
    case.connect(
        "DelayDense", "t", "back", case.weights(4, 8, -128, 128), case.random.integers(0, 4, (4, 8)), num_message_bits=8
    )
    case.connect("Dense", "back", "t", case.weights(8, 4, -128, 128), num_message_bits=8)
    yield case

    case = Case("lifreset_layers", 40, 42)
    case.source("x", case.spikes(8, rate=0.35))
    for layer, (name, source, n) in enumerate([("a", "x", 7), ("b", "a", 6), ("c", "b", 5)]):
        case.neurons(name, n, du=400, dv=30, vth=150, bias_mant=12, bias_exp=3, reset_interval=8, reset_offset=layer + 2)
        case.connect("Dense", source, name, case.weights(n, 8 - layer, -60, 128))
    case.neurons("d", 5, du=0, dv=0, vth=700, reset_interval=12, reset_offset=0)
    case.connect("Dense", "c", "d", case.weights(5, 5, -60, 100)).connect("Dense", "d", "a", case.weights(7, 5, -128, 128))
    yield case


def run_lava(case: Case) -> dict[str, Array]:
    """Run a case and return ``s/<population>``, ``u/<population>`` and ``v/<population>``, (n, ticks)."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi1SimCfg
    from lava.proc.conv.process import Conv
    from lava.proc.dense.process import DelayDense, Dense
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Source
    from lava.proc.lif.process import LIF, LIFReset, TernaryLIF
    from lava.proc.sparse.process import DelaySparse, Sparse
    from lava.utils.weightutils import SignMode
    from scipy.sparse import csr_matrix

    processes = {"Dense": Dense, "Sparse": Sparse, "DelayDense": DelayDense, "DelaySparse": DelaySparse, "Conv": Conv}
    outputs: dict[str, Any] = {}
    neurons: dict[str, Any] = {}
    sinks: dict[str, Any] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for name, description in case.spec["populations"].items():
        options = {key: np.array(value) if isinstance(value, list) else value for key, value in description.items()}
        n = options.pop("n")
        shapes[name] = (n,) if isinstance(n, int) else tuple(n)
        if options.pop("source", False):
            outputs[name] = Source(data=case.arrays[f"in/{name}"]).s_out
            continue
        process = LIFReset if "reset_interval" in options else TernaryLIF if "vth_lo" in options else LIF
        neurons[name] = process(shape=shapes[name], **options)
        outputs[name] = neurons[name].s_out
        sinks[name] = Sink(shape=shapes[name], buffer=case.ticks)
        outputs[name].connect(sinks[name].a_in)
    for index, connection in enumerate(case.spec["connections"]):
        options = dict(connection)
        kind, source, target = options.pop("process"), options.pop("from"), options.pop("to")
        if kind == "none":
            outputs[source].connect(neurons[target].a_in)
            continue
        store = csr_matrix if "Sparse" in kind else np.asarray
        options["weight" if kind == "Conv" else "weights"] = store(case.arrays[f"weights/{index}"].astype(np.int32))
        if f"delays/{index}" in case.arrays:
            options["delays"] = store(case.arrays[f"delays/{index}"].astype(int))
        if options.get("sign_mode"):
            options["sign_mode"] = SignMode[options["sign_mode"]]
        synapses = processes[kind](**options)
        outputs[source].connect(synapses.s_in)
        synapses.a_out.connect(neurons[target].a_in)

    found: dict[str, Array] = {}
    for name in neurons:
        for register in "uv":
            found[f"{register}/{name}"] = np.zeros((*shapes[name], case.ticks), np.int32)
    first = next(iter(neurons.values()))
    configuration = Loihi1SimCfg(select_tag="fixed_pt")
    for tick in range(case.ticks):
        first.run(condition=RunSteps(num_steps=1), run_cfg=configuration)
        for name, process in neurons.items():
            found[f"u/{name}"][..., tick] = process.u.get()
            found[f"v/{name}"][..., tick] = process.v.get()
    for name, sink in sinks.items():
        found[f"s/{name}"] = sink.data.get().astype(np.int8)
    first.stop()
    return found


def main() -> None:
    """Make the vectors named on the command line, or all."""
    from neurocomp_loihi import lava_shim

    lava_shim.install()
    FOLDER.mkdir(exist_ok=True)
    for case in (*lif_cases(), *connection_cases(), *spiking_cases()):
        if sys.argv[1:] and case.name not in sys.argv[1:]:
            continue
        found = run_lava(case)
        content: dict[str, Any] = {"spec": np.array(json.dumps(case.spec)), **case.arrays, **found}
        np.savez_compressed(FOLDER / f"{case.name}.npz", **content)
        spikes = {key[2:]: np.count_nonzero(values) for key, values in found.items() if key.startswith("s/")}
        print(f"{case.name}: {sum(spikes.values())} spikes; silent: {[name for name, n in spikes.items() if not n]}")


if __name__ == "__main__":
    main()
