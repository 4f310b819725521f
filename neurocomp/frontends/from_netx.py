"""A network of lava-dl (netx, HDF5) becomes a `Network` of Loihi's own integers; every problem is reported, all together.

docs/netx.md has the rule for each layer and neuron. Integers come through unchanged: ``du = iDecay - 1``, ``dv = vDecay``,
``vth = vThMant``, ``bias_mant = bias`` with ``bias_exp`` 6, weights as they are; layers act one tick after their input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from neurocomp.encoding import DECODERS, ENCODERS
from neurocomp.errors import Diagnostic, Location, NetworkError, did_you_mean
from neurocomp.frontends.chain import per_neuron
from neurocomp.frontends.files import content
from neurocomp.frontends.netx_values import LARGEST_ARRAY, Values
from neurocomp.frontends.reading import NOTHING_SAID, Reading
from neurocomp.frontends.vocabulary import MAX_COUNT, native_defaults
from neurocomp.ir.network import Choice, Decoder, Encoder, NativeWeights, Network, Neuron, Population, Projection, Stage, frozen
from neurocomp.models.neurons import NEURON_MODELS, Semantics
from neurocomp.models.patterns import PATTERNS, Pattern, Shape, size_of

Array = NDArray[Any]
IntArray = NDArray[np.int64]

DEFAULT_TICKS = 32
DEFAULT_DT = 1e-3
"""Ts is 1 ms in what lava-dl writes."""
LONGEST_DELAY = 62
"""Lava's loader takes longer delays as this."""
NEVER = 1 << 17
"""From this vThMant on a neuron never spikes: v saturates at 2**23 - 1. Lava takes it where no neuron is stated."""
LARGEST_LAYER = 1 << 26
"""Neurons of the largest layer that is read, far more than chips have."""
WITHOUT_MEMORY = 4096
"""The decay, of 12 bits, that keeps nothing."""
BIAS_EXPONENT = 6
WEIGHTS = (-256, 255)
"""Weights of 8 bits; of mixed signs up to 254."""
INPUT_GAIN = 64
"""What Lava's loader multiplies the input with where the input layer states no weight."""

_NEURON_KEYS = ("type", "iDecay", "vDecay", "vThMant", "refDelay", "gradedSpike", "wgtExp")
_UNUSED_NEURON_KEYS = ("theta", "tauRho", "scaleRho")
"""What training alone needs; theta repeats vThMant."""
_KEYS = {
    "input": ("type", "shape", "weight", "bias", "neuron"),
    "dense": ("type", "shape", "weight", "bias", "delay", "neuron", "inFeatures", "outFeatures"),
    "dense_rec": ("type", "shape", "weight", "weight_rec", "bias", "delay", "neuron", "inFeatures", "outFeatures"),
    "conv": (
        "type", "shape", "weight", "bias", "delay", "neuron", "inChannels", "outChannels", "kernelSize", "stride", "padding",
        "dilation", "groups",
    ),
    "pool": ("type", "shape", "weight", "delay", "neuron", "kernelSize", "stride", "padding", "dilation"),
    "flatten": ("type", "shape"),
    "average": ("type", "shape"),
    "concat": ("type", "shape", "layers"),
}  # fmt: skip
_REFUSED_LAYERS = {
    "convT": ("a transposed convolution, which no pattern here is", "use 'conv', or list its synapses in a net.yaml as sparse"),
    "unpool": ("an unpooling, which no pattern here is", "leave it out, or list its synapses in a net.yaml as sparse"),
    "dense_comp": ("a layer of complex weights", "train it with blocks of CUBA neurons"),
}
_REFUSED_NEURONS = {
    "SDNN": "a sigma-delta neuron: it sends graded differences of its activation, and the neurons here send spikes",
    "ALIF": "a neuron with adaptive threshold, which no model here has",
    "ADRF": "an adaptive resonate-and-fire neuron, which no model here is",
    "RF": "a resonate-and-fire neuron with a complex state, which no model here is",
}
_TRAIN_CUBA = "train the layer with CUBA neurons (lava.lib.dl.slayer.block.cuba) and export it again"


def load(path: Path, reading: Reading = NOTHING_SAID) -> Network:
    """Read a netx file.

    Args:
        path: The file.
        reading: What its user says of it. ``compare`` None is ``>``, as Lava and Loihi have it; ``ticks`` and ``dt`` None are
            those of ``/simulation``, else 32 ticks of 1 ms.

    Raises:
        NetworkError: The file cannot be read or is no HDF5 (NC0101), or its content is not a network that can be built here:
            every problem of every layer, by its number.
    """
    name = path.name
    content(path, "*.net", "trained.net", 8)
    where = Location(name)
    try:
        file = h5py.File(path, "r")
    except (OSError, RuntimeError, ValueError) as error:
        cut = "truncated" in str(error)
        message = "the file is cut off: HDF5 says that it was longer" if cut else "the file is no HDF5, as netx files are"
        hint = "copy or export it again" if cut else "a netx file comes from export_hdf5 of a network of lava-dl"
        raise NetworkError(Diagnostic("NC0101", message, where, hint=hint)) from None
    try:
        with file:
            return _NetxReader(file, name, path.stem, reading).network().verify()
    except MemoryError:
        raise NetworkError(Diagnostic("NC0209", "the network needs more memory than there is", where)) from None


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Spikes of one population as a layer sees them."""

    population: str
    shape: Shape
    """What the last of ``stages`` makes, or the population's own."""
    stages: tuple[Stage, ...] = ()
    late: IntArray = field(default_factory=lambda: np.zeros((), np.int64))
    """Ticks by which the neurons' spikes leave late, 0-d or (n,) of the population."""
    divisor: int = 1
    """Weights that follow are to be divided by it: averages are sums until then."""

    @property
    def size(self) -> int:
        """Number of values."""
        return size_of(self.shape)


@dataclass(frozen=True, slots=True, eq=False)
class _Signal:
    """What a layer sends on: parts one behind the other along the first axis of ``shape``."""

    parts: tuple[_Part, ...]
    shape: Shape


class _NetxReader:
    """Reads one file, layer by layer; after a layer that has problems the ones behind it are read as far as they can be."""

    def __init__(self, file: h5py.File, name: str, title: str, reading: Reading) -> None:
        self.where, self.title, self.reading = Location(name), title, reading
        self.problems: list[Diagnostic] = []
        self.root = Values(file, f"'{name}'", self.where, self.problems)
        self.populations: dict[str, Population] = {}
        self.projections: list[Projection] = []
        self.encoders: dict[str, Encoder] = {}
        self.choices: list[Choice] = []
        self.signals: dict[int, _Signal | None] = {}

    def network(self) -> Network:
        """Return the network, or raise every problem at once."""
        self._check_reading()
        dt, ticks = self._time()
        layers = self._layers()
        self.count = len(layers)
        for number, layer in enumerate(layers):
            self.signals[number] = self._layer(number, layer)
        self._check_senders()
        decoders = self._decoders(layers)
        if self.problems:
            raise NetworkError(self.problems)
        return Network(
            self.title, dt, ticks, self.populations, self._named(), self.encoders, decoders, choices=tuple(self.choices)
        )

    def _named(self) -> tuple[Projection, ...]:
        """Return the projections under names that differ."""
        names: set[str] = set()
        named: list[Projection] = []
        for q in self.projections:
            name, number = q.name, 2
            while name in names:
                name, number = f"{q.name}#{number}", number + 1
            names.add(name)
            named.append(replace(q, name=name))
        return tuple(named)

    # what belongs to no layer

    def _check_senders(self) -> None:
        """Note layers that wait for spikes of one that never spikes."""
        for q in self.projections:
            neuron = self.populations[q.source].neuron
            if neuron is not None and not NEURON_MODELS[neuron.model].fires:
                message = (
                    f"'{q.source}' never spikes, for its threshold or the lack of neurons, and '{q.target}' takes its spikes"
                )
                self.root.bad("NC0209", message, "give it neurons with a threshold, or make it the last layer")

    def _check_reading(self) -> None:
        """Note what a user says that a netx file cannot follow."""
        r = self.reading
        if r.trained_in not in (None, "lava"):
            self.root.bad("NC0209", f"trained in '{r.trained_in}': netx files come from lava-dl", "leave it out, or say 'lava'")
        if r.integration is not None:
            message = f"integration '{r.integration}' has no place here: the file states decays as integers, not time constants"
            self.root.bad("NC0209", message, "leave it out")
        if r.reset == "value":
            hint = "choose zero, as Lava has it, subtract or none"
            self.root.bad("NC0209", "a reset to a value needs the value, which no netx file states", hint)
        if r.dt is not None and not (math.isfinite(r.dt) and r.dt > 0):
            self.root.bad("NC0209", f"a tick of {r.dt} s: it must be positive and finite")
        if r.ticks is not None and not 1 <= r.ticks <= MAX_COUNT:
            self.root.bad("NC0209", f"{r.ticks} ticks per sample: 1 to {MAX_COUNT} are possible")

    def _time(self) -> tuple[float, int]:
        """Return the seconds of a tick and the ticks of a sample: as the user says, by /simulation, or the defaults."""
        stated = self.root.inner("simulation") if "simulation" in self.root else None
        sampling = stated.real("Ts") if stated is not None and "Ts" in stated else None
        length = stated.real("tSample") if stated is not None and "tSample" in stated else None
        dt, ticks = self.reading.dt, self.reading.ticks
        if dt is None and sampling is not None:
            dt = sampling * 1e-3
        elif dt is None:
            dt = DEFAULT_DT
            self.choices.append(Choice("network", "timestep", f"{dt:g} s", "default"))
        if ticks is None and length is not None:
            exact = length / (sampling or 1.0)
            ticks = round(exact) if exact < MAX_COUNT else MAX_COUNT
            if ticks != exact or ticks < 1:
                message = f"/simulation: tSample {length:g} is {exact:g} times Ts {sampling or 1:g}; whole ticks are needed"
                self.root.bad("NC0209", message, "say the ticks per sample")
        elif ticks is None:
            ticks = DEFAULT_TICKS
            self.choices.append(Choice("network", "ticks", str(ticks), "default"))
        return dt, ticks

    def _layers(self) -> list[Values]:
        """Return the layers in the order of their numbers."""
        if not self.root.need(["layer"]):
            return []
        layers = self.root.inner("layer")
        if layers is None:
            return []
        keys = layers.names
        numbers = sorted(int(key) for key in keys if key.isascii() and key.isdecimal() and str(int(key[:9])) == key)
        for key in keys:
            if not (key.isascii() and key.isdecimal() and str(int(key[:9])) == key):
                self.root.bad("NC0103", f"/layer holds '{key}'", "layers are named by whole numbers: 0, 1, 2, ...")
        if not numbers:
            self.root.bad("NC0105", "/layer holds no layers", "layers are named by whole numbers: 0, 1, 2, ...")
        missing = sorted(set(range(len(numbers))) - set(numbers))
        if missing:
            self.root.bad("NC0105", f"/layer goes up to {numbers[-1]} and lacks {missing[0]}", "number the layers 0, 1, 2, ...")
            return []
        found: list[Values] = []
        for number in numbers:
            layer = layers.inner(str(number), f"layer {number}")
            if layer is not None:
                found.append(layer)
        return found if len(found) == len(numbers) else []

    def _decoders(self, layers: Sequence[Values]) -> dict[str, Decoder]:
        """Return how the last layer is read."""
        last = self.signals.get(len(layers) - 1)
        if last is None:
            return {}
        part, at = last.parts[0], layers[-1]
        if len(last.parts) > 1 or part.divisor != 1 or any(s.pattern.kind != "flatten" for s in part.stages):
            at.bad("NC0105", "the network ends in values that no neuron receives", "end it with a layer that has neurons")
            return {}
        population = self.populations[part.population]
        if population.neuron is None:
            return {}  # that there are no neurons is noted of the network
        if part.late.any():
            self._choose(population.name, "delay of the output", "not applied", "no layer follows; its spikes leave later")
        scheme = "count" if NEURON_MODELS[population.neuron.model].fires else "potential"
        self._choose(population.name, "decoder", scheme, "default")
        options = {key: option.default for key, option in DECODERS[scheme].options.items()}
        return {population.name: Decoder(scheme, options, self.where)}

    def _choose(self, subject: str, axis: str, value: str, origin: str) -> None:
        self.choices.append(Choice(subject, axis, value, origin))

    # layers

    def _layer(self, number: int, layer: Values) -> _Signal | None:
        """Read a layer and return what it sends on; None where that is not known for its problems."""
        if not layer.need(["type"]):
            return None
        kind = layer.text("type")
        if kind is None:
            return None
        layer.what = f"layer {number} ({kind})"
        kind = {"recurrent": "dense_rec"}.get(kind, kind)  # as the old SLAYER names it
        if kind in _REFUSED_LAYERS:
            what, hint = _REFUSED_LAYERS[kind]
            layer.bad("NC0208", f"it is {what}", hint)
            return None
        if kind not in _KEYS:
            layer.bad("NC0208", f"there is no type '{kind}' of layers", did_you_mean(kind, list(_KEYS)))
            return None
        for key in layer.names:
            if key not in _KEYS[kind]:
                self._choose(f"layer{number}", f"'{key}'", "not used", f"no part of a layer '{kind}'")
        readers: dict[str, Callable[[int, Values], _Signal | None]] = {
            "input": self._input,
            "dense": self._dense,
            "dense_rec": partial(self._dense, recurrent=True),
            "conv": self._conv,
            "pool": self._pool,
            "flatten": self._flatten,
            "average": self._average,
            "concat": self._concat,
        }
        return readers[kind](number, layer)

    def _before(self, number: int, first: Shape | None = None) -> _Signal | None:
        """Return what reaches a layer; the first one gets an input of the shape ``first`` where that is known."""
        if number:
            return self.signals[number - 1]
        return self._source(first) if first is not None else None

    def _source(self, shape: Shape) -> _Signal:
        """Add the input population and return its spikes."""
        self.populations["input"] = Population("input", shape, None, self.where)
        self.encoders["input"] = Encoder("direct", _defaults("direct"), self.where)
        return _Signal((_Part("input", shape),), shape)

    def _shape(self, layer: Values, *, needed: bool = True) -> Shape | None:
        """Read the shape of a layer."""
        if "shape" not in layer:
            if needed:
                layer.need(["shape"])
            return None
        array = layer.whole("shape")
        if array is None:
            return None
        shape = tuple(int(extent) for extent in array.reshape(-1))
        if array.ndim > 1 or len(shape) > 4 or min(shape) < 1 or size_of(shape) > LARGEST_LAYER:
            message = f"'shape' is {array.tolist()}; it must be (N,) or (C, H, W) with 1 to {LARGEST_LAYER} neurons"
            layer.bad("NC0209", message)
            return None
        return shape

    def _input(self, number: int, layer: Values) -> _Signal | None:
        if number:
            layer.bad("NC0209", "an input can only be the first layer", "number the layers in the order of the network")
            return None
        if not layer.need(["shape"]):
            return None
        shape = self._shape(layer)
        if shape is None:
            return None
        signal = self._source(shape)
        if "neuron" not in layer:
            for key in ("weight", "bias"):
                if key in layer:
                    self._choose("input", f"'{key}'", "not used", "the layer has no neurons")
            return signal
        gain = layer.one("weight", -(1 << 14), 1 << 14, INPUT_GAIN)
        bias = layer.one("bias", -(1 << 14), 1 << 14, 0)
        neuron = self._neuron(layer, "layer0", shape, np.asarray(bias or 0), takes_values=True)
        if gain is None or bias is None or neuron is None:
            return None
        if "weight" not in layer:
            self._choose("input", "gain", str(gain), "default of Lava's loader")
        self.encoders["input"] = Encoder("graded", _defaults("graded"), self.where)
        largest = self.encoders["input"].options["largest"]
        self._choose("input", "values", f"whole, -{largest}..{largest} per tick", "default")
        self.populations["layer0"] = Population("layer0", shape, neuron, self.where)
        exponent = 0
        while gain and gain % 2 == 0 and abs(gain) > WEIGHTS[1]:
            gain, exponent = gain // 2, exponent + 1
        weights = frozen(np.full(size_of(shape), gain), np.int64)
        self._project("input", "layer0", Pattern("one_to_one"), weights, np.zeros((), np.int64), (), exponent)
        return _Signal((_Part("layer0", shape),), shape)

    def _dense(self, number: int, layer: Values, *, recurrent: bool = False) -> _Signal | None:
        if not layer.need(["shape", "weight", *(["weight_rec"] if recurrent else [])]):
            return None
        shape, weights = self._shape(layer), self._weights(layer, "weight")
        rec = self._weights(layer, "weight_rec") if recurrent else None
        bias, delay = self._optional(layer, "bias"), self._optional(layer, "delay")
        n = size_of(shape) if shape is not None else None
        neuron = self._neuron(layer, f"layer{number}", (n,), bias) if n is not None else None
        if shape is None or n is None or weights is None or (recurrent and rec is None):
            return None
        raw = weights.shape
        before = self._before(number, (math.prod(raw) // n,) if math.prod(raw) % n == 0 and math.prod(raw) >= n else None)
        n_in = size_of(before.shape) if before is not None else math.prod(raw) // max(n, 1)
        matrix = self._matrix(layer, "weight", weights, (n, n_in))
        square = self._matrix(layer, "weight_rec", rec, (n, n)) if rec is not None else None
        self._agrees(layer, "inFeatures", n_in)
        self._agrees(layer, "outFeatures", n)
        synaptic, late = self._delays(layer, f"layer{number}", delay, raw, (n,))
        if matrix is None or neuron is None or (rec is not None and square is None) or synaptic is None or late is None:
            return None
        name = f"layer{number}"
        self.populations[name] = Population(name, (n,), neuron, self.where)
        exponent = self._exponent(layer, name)
        if before is not None:
            if number and len(before.shape) > 1 and len(before.parts[0].shape) > 1 and not self._is_flattened(before):
                self._choose(name, "order of the input", "C, H, W", "default: no 'flatten' comes before")
            delays = synaptic.reshape(matrix.shape) if synaptic.ndim else synaptic
            self._feed(layer, name, before, matrix, delays, exponent)
        if square is not None:
            within = np.zeros((), np.int64)
            if not synaptic.ndim or synaptic.size == square.size == matrix.size:
                within = synaptic.reshape(square.shape) if synaptic.ndim else synaptic
            if synaptic.any():
                self._choose(name, "delay within the layer", _range(1 + within), "as Lava's loader has it")
            self._project(name, name, Pattern("dense"), frozen(square, np.int16), 1 + within, (), exponent)
        return _Signal((_Part(name, (n,), late=late),), (n,))

    def _is_flattened(self, signal: _Signal) -> bool:
        return sum(extent > 1 for extent in signal.shape) <= 1

    def _feed(
        self, layer: Values, name: str, before: _Signal, matrix: IntArray, synaptic: IntArray, exponent: int
    ) -> None:  # fmt: skip
        """Add the projections that bring a signal to a dense layer."""
        start = 0
        for part in before.parts:
            columns = slice(start, start + part.size)
            start += part.size
            weights = self._divided(layer, matrix[:, columns], part)
            delays = 1 + (synaptic[:, columns] if synaptic.ndim else synaptic)
            if part.late.ndim and part.stages:
                self._no_delays(layer)
                continue
            delays = _merged(delays + part.late, weights.shape)
            if delays.ndim and part.stages:
                self._no_delays(layer)
                continue
            self._project(part.population, name, Pattern("dense"), frozen(weights, np.int16), delays, part.stages, exponent)

    def _no_delays(self, layer: Values) -> None:
        message = "delays that differ between synapses, behind a pool or an average that has no neurons of its own"
        layer.bad("NC0209", message, "give the pool neurons, or all synapses the same delay")

    def _conv(self, number: int, layer: Values) -> _Signal | None:
        if not layer.need(["shape", "weight"]):
            return None
        shape, weights = self._shape(layer), self._weights(layer, "weight")
        stride, padding, dilation = (
            layer.pair("stride", 1, (1, 1)), layer.pair("padding", 0, (0, 0)), layer.pair("dilation", 1, (1, 1)),
        )  # fmt: skip
        groups = layer.one("groups", 1, MAX_COUNT, 1)
        bias, delay = self._optional(layer, "bias"), self._optional(layer, "delay")
        neuron = self._neuron(layer, f"layer{number}", shape, bias) if shape is not None else None
        if shape is None or weights is None or stride is None or padding is None or dilation is None or groups is None:
            return None
        raw = weights.shape
        if weights.ndim == 5 and raw[4] == 1:
            weights = weights.reshape(raw[:4])
        if weights.ndim != 4 or len(shape) != 3:
            what = f"'weight' has the shape {raw}, 'shape' is {shape}"
            layer.bad("NC0202", f"{what}; (O, I / groups, height, width) and (C, H, W) are needed")
            return None
        options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": (groups,)}
        before = self._before(number) if number else self._image(layer, shape, weights, options)
        self._agrees(layer, "inChannels", weights.shape[1] * groups)
        self._agrees(layer, "outChannels", weights.shape[0])
        kernel = layer.pair("kernelSize", 1, weights.shape[2:])
        if kernel is not None and kernel != weights.shape[2:]:
            layer.bad("NC0202", f"'kernelSize' is {kernel}, 'weight' has the shape {weights.shape}")
        synaptic, late = self._delays(layer, f"layer{number}", delay, raw, shape)
        if before is None or neuron is None or synaptic is None or late is None:
            return None
        name = f"layer{number}"
        self.populations[name] = Population(name, shape, neuron, self.where)
        delays = synaptic.reshape(weights.shape) if synaptic.ndim else synaptic
        if not self._convolve(layer, name, shape, before, weights, options, delays, self._exponent(layer, name)):
            return None
        return _Signal((_Part(name, shape, late=late),), shape)

    def _image(
        self, layer: Values, shape: Shape, weights: IntArray, options: Mapping[str, tuple[int, ...]]
    ) -> _Signal | None:  # fmt: skip
        """Return an input for a convolution that is the first layer: its extents follow where the stride is 1."""
        if options["stride"] != (1, 1):
            layer.bad("NC0105", "no layer before it says the shape of its input", "put a layer 'input' with its shape first")
            return None
        axes = zip(shape[1:], options["padding"], options["dilation"], weights.shape[2:], strict=True)
        extents = tuple(n - 2 * p + d * (k - 1) for n, p, d, k in axes)
        if min(extents) < 1 or weights.shape[1] * options["groups"][0] * size_of(extents) > LARGEST_LAYER:
            layer.bad(
                "NC0202", f"no input makes {shape} with this kernel and padding", "put a layer 'input' with its shape first"
            )
            return None
        return self._source((weights.shape[1] * options["groups"][0], *extents))

    def _convolve(
        self, layer: Values, name: str, shape: Shape, before: _Signal, weights: IntArray,
        options: Mapping[str, tuple[int, ...]], synaptic: IntArray, exponent: int,
    ) -> bool:  # fmt: skip
        """Add the projections that bring a signal to a layer by convolutions; return whether all fit."""
        if len(before.shape) != 3:
            way_out = "put no 'flatten' before it, or state its shape as (C, H, W)"
            layer.bad("NC0202", f"a window needs an input (C, H, W), not {before.shape}", way_out)
            return False
        groups, kernel = options["groups"][0], tuple(weights.shape[2:])
        channels = weights.shape[1] * groups
        if channels != before.shape[0] or weights.shape[0] != shape[0] or shape[0] % groups:
            message = f"'weight' has the shape {weights.shape} with {groups} groups; {before.shape} -> {shape} needs "
            layer.bad("NC0202", f"{message}{(shape[0], f'{before.shape[0]} / groups', *kernel)}")
            return False
        whole = weights.size * (groups if len(before.parts) > 1 else 1)
        if whole > LARGEST_ARRAY:
            layer.bad("NC0209", f"its kernels are {whole} weights; at most {LARGEST_ARRAY} are read")
            return False
        if len(before.parts) > 1 and groups > 1:
            weights, synaptic = _ungrouped(weights, groups), _ungrouped(synaptic, groups) if synaptic.ndim else synaptic
            groups = 1
        pattern = Pattern("conv2d", {}, {"kernel": kernel, **options, "groups": (groups,)})
        made = PATTERNS["conv2d"].output_shape(pattern, before.shape, weights.shape)
        if made != shape:
            hint = None
            if made is not None and len(made) == len(shape):
                hint = (
                    "the old SLAYER padded windows at the end that do not fit: pad the input, or state the shape that follows"
                )
            layer.bad("NC0202", f"the window makes {made} of {before.shape}, 'shape' says {shape}", hint)
            return False
        start = 0
        for part in before.parts:
            count = channels if len(before.parts) == 1 else part.shape[0]
            inner = slice(None) if len(before.parts) == 1 else slice(start, start + count)
            start += count
            own = self._divided(layer, weights[:, inner], part)
            stages = part.stages
            seen = (count, *before.shape[1:])
            if part.shape != seen:
                stages = (*stages, Stage(Pattern("flatten"), frozen(np.int64(1)), seen))
            delays = 1 + (synaptic[:, inner] if synaptic.ndim else synaptic)
            if part.late.ndim:
                per_channel = part.late.reshape(count, -1) if part.late.size % count == 0 else part.late[:, None]
                if len(per_channel) != count or (per_channel != per_channel[:, :1]).any():
                    layer.bad("NC0209", "delays of the layer before differ within a channel", "give each channel one delay")
                    return False
                out, within = np.arange(own.shape[0])[:, None], np.arange(own.shape[1])
                late = per_channel[:, 0][out // (own.shape[0] // groups) * own.shape[1] + within]
                delays = delays + late[:, :, None, None]
            else:
                delays = delays + part.late
            delays = _merged(delays, own.shape)
            if delays.ndim and stages:
                self._no_delays(layer)
                return False
            self._project(part.population, name, pattern, frozen(own, np.int16), delays, stages, exponent)
        return True

    def _pool(self, number: int, layer: Values) -> _Signal | None:
        if not layer.need(["shape", "weight"]):
            return None
        shape, weights = self._shape(layer), self._weights(layer, "weight")
        kernel = layer.pair("kernelSize", 1, (0, 0))
        padding, dilation = layer.pair("padding", 0, (0, 0)), layer.pair("dilation", 1, (1, 1))
        delay = self._optional(layer, "delay")
        if weights is not None and weights.ndim == 5 and weights.shape[4] == 1:
            weights = weights.reshape(weights.shape[:4])
        if kernel == (0, 0) and weights is not None and weights.ndim == 4:
            kernel = weights.shape[2:]
        elif kernel == (0, 0):
            layer.need(["kernelSize"])
            return None
        stride = layer.pair("stride", 1, kernel) if kernel is not None else None
        has_neurons = "neuron" in layer
        neuron = self._neuron(layer, f"layer{number}", shape, None) if shape is not None and has_neurons else None
        before = self._before(number)
        if number == 0:
            layer.bad("NC0105", "no layer before it says the shape of its input", "put a layer 'input' with its shape first")
        if shape is None or weights is None or kernel is None or stride is None or padding is None or dilation is None:
            return None
        wide = weights.ndim == 4 and weights.size > 1 and weights.shape[2:] != kernel
        if len(shape) != 3 or wide or weights.size not in (1, size_of(kernel), shape[0] * size_of(kernel)):
            message = f"'weight' has the shape {weights.shape}, 'kernelSize' is {kernel} and 'shape' {shape}"
            layer.bad("NC0202", f"{message}; (1, 1, height, width) and (C, H, W) are needed")
            return None
        rows = weights.reshape(-1, 1, *kernel) if weights.size > 1 else weights.reshape(1, 1, 1, 1)
        windows = np.broadcast_to(rows, (shape[0], 1, *kernel))
        options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": (shape[0],)}
        synaptic, late = self._delays(layer, f"layer{number}", delay, (0,), shape)
        if before is None or synaptic is None or late is None:
            return None
        if not has_neurons:
            if delay is not None:
                layer.bad("NC0209", "it has a delay and no neurons", "give it neurons, or remove 'delay'")
                return None
            return self._pooled(layer, before, windows, options, shape)
        if neuron is None:
            return None
        name = f"layer{number}"
        self.populations[name] = Population(name, shape, neuron, self.where)
        if not self._convolve(layer, name, shape, before, windows, options, synaptic, self._exponent(layer, name)):
            return None
        return _Signal((_Part(name, shape, late=late),), shape)

    def _pooled(
        self, layer: Values, before: _Signal, windows: IntArray, options: Mapping[str, tuple[int, ...]], shape: Shape
    ) -> _Signal | None:  # fmt: skip
        """Return a signal behind a pool without neurons, which the next layer sees as it is."""
        if len(before.shape) != 3 or before.shape[0] != shape[0] or windows.size > LARGEST_ARRAY:
            layer.bad("NC0202", f"it makes {shape} of {before.shape}; both must be (C, H, W) with the same channels")
            return None
        parts: list[_Part] = []
        start = 0
        for part in before.parts:
            whole = (before.shape[0] if len(before.parts) == 1 else part.shape[0], *before.shape[1:])
            stages = part.stages
            if part.shape != whole:
                stages = (*stages, Stage(Pattern("flatten"), frozen(np.int64(1)), whole))
            weights = windows[start : start + whole[0]]
            start += whole[0]
            pattern = Pattern("conv2d", {}, {"kernel": windows.shape[2:], **options, "groups": (whole[0],)})
            made = PATTERNS["conv2d"].output_shape(pattern, whole, weights.shape)
            if made is None or made[1:] != shape[1:]:
                layer.bad("NC0202", f"the window makes {made} of {whole}, 'shape' says {shape}")
                return None
            parts.append(replace(part, shape=made, stages=(*stages, Stage(pattern, frozen(weights, np.int64), made))))
        return _Signal(tuple(parts), shape)

    def _flatten(self, number: int, layer: Values) -> _Signal | None:
        before = self._before(number)
        shape = self._shape(layer, needed=False)
        if number == 0:
            layer.bad("NC0105", "no layer before it says the shape of its input", "put a layer 'input' with its shape first")
        if before is None:
            return None
        if shape is not None and size_of(shape) != size_of(before.shape):
            layer.bad("NC0202", f"'shape' is {shape}, {size_of(shape)} values; {size_of(before.shape)} come in")
            return None
        return replace(before, shape=shape or (size_of(before.shape),))

    def _average(self, number: int, layer: Values) -> _Signal | None:
        if not layer.need(["shape"]):
            return None
        shape, before = self._shape(layer), self._before(number)
        if number == 0:
            layer.bad("NC0105", "no layer before it says the shape of its input", "put a layer 'input' with its shape first")
        if shape is None or before is None:
            return None
        groups, n = size_of(shape), size_of(before.shape)
        if n % groups or len(before.parts) > 1:
            what = f"{n} values do not make {groups} groups" if n % groups else "it averages several layers at once"
            layer.bad("NC0202", what, "let the layer before have a multiple of its neurons")
            return None
        part, k = before.parts[0], n // groups
        indices = frozen(np.arange(n).reshape(groups, k), np.int64)
        pattern, weights = Pattern("block", {"indices": indices}), frozen(np.ones((groups, 1, k), np.int64))
        if number + 1 < self.count:
            stage = Stage(pattern, weights, (groups,))
            divided = replace(part, shape=(groups,), stages=(*part.stages, stage), divisor=part.divisor * k)
            return _Signal((divided,), shape)
        if part.divisor != 1 or part.late.ndim:
            layer.bad("NC0209", "it averages what is averaged or delayed already", "leave one of them out")
            return None
        name = f"layer{number}"
        self.populations[name] = Population(name, (groups,), _readout(), self.where)
        self._choose(name, "average", f"the sum of {k} spikes, v = 64 times their number so far", "averages are no integers")
        self._project(part.population, name, pattern, weights, part.late, part.stages, 0)
        return _Signal((_Part(name, (groups,)),), (groups,))

    def _concat(self, number: int, layer: Values) -> _Signal | None:
        if not layer.need(["layers"]):
            return None
        listed, shape = layer.whole("layers"), self._shape(layer, needed=False)
        if number == 0:
            layer.bad("NC0105", "there is no layer before it", "number the layers in the order of the network")
        if listed is None or number == 0:
            return None
        numbers = [int(i) for i in listed.reshape(-1)]
        if number - 1 not in numbers:
            numbers.insert(0, number - 1)
        wrong = [i for i in numbers if not 0 <= i < number]
        if wrong:
            message = f"it joins layer {wrong[0]}, which does not come before it"
            layer.bad("NC0209", message, "recurrent layers are written as 'dense_rec'")
            return None
        signals = [self.signals[i] for i in numbers]
        known = [signal for signal in signals if signal is not None]
        if len(known) < len(signals):
            return None
        rest = {signal.shape[1:] if len(signal.shape) > 1 else () for signal in known}
        flat = all(self._is_flattened(signal) for signal in known)
        if len(rest) > 1 and not flat:
            shapes = " and ".join(str(signal.shape) for signal in known)
            layer.bad("NC0202", f"it joins {shapes}, which differ behind their channels", "put 'flatten' before it")
            return None
        total: Shape = (sum(size_of(signal.shape) for signal in known),)
        if not flat:
            total = (sum(signal.shape[0] for signal in known), *known[0].shape[1:])
        if shape is not None and size_of(shape) != size_of(total):
            layer.bad("NC0202", f"'shape' is {shape}; what it joins makes {total}")
            return None
        return _Signal(tuple(part for signal in known for part in signal.parts), total)

    # what layers have in common

    def _optional(self, layer: Values, key: str) -> IntArray | None:
        return layer.whole(key) if key in layer else None

    def _weights(self, layer: Values, key: str) -> IntArray | None:
        """Read weights of 8 bits."""
        if layer.is_group(key):
            layer.bad("NC0208", f"'{key}' has a real and an imaginary part, for resonate-and-fire neurons", _TRAIN_CUBA)
            return None
        weights = layer.whole(key)
        if weights is None:
            return None
        low, high = int(weights.min()), int(weights.max())
        highest = WEIGHTS[1] - 1 if low < 0 else WEIGHTS[1]
        if low < WEIGHTS[0] or high > highest:
            worst = low if low < WEIGHTS[0] else high
            message = f"'{key}' holds {worst}; weights of 8 bits lie in {WEIGHTS[0]}..{highest}"
            layer.bad("NC0209", message, "clip them in training: Lava's loader would clip, and change the network")
            return None
        return weights

    def _matrix(self, layer: Values, key: str, weights: IntArray, shape: tuple[int, int]) -> IntArray | None:
        """Return the weights of a dense layer as (out, in); one row may be stored flat, and axes of 1 may follow."""
        stored = weights.shape
        fits = stored == shape or (len(stored) > 2 and stored[:2] == shape and weights.size == size_of(shape))
        if fits or (weights.ndim == 1 and weights.size == size_of(shape)):
            return weights.reshape(shape)
        hint = "the array looks transposed: netx stores (out, in)" if stored == shape[::-1] else None
        layer.bad("NC0202", f"'{key}' has the shape {stored}; {shape[1]} values come in and it needs {shape}", hint)
        return None

    def _agrees(self, layer: Values, key: str, expected: int) -> None:
        """Note a count that differs from what the arrays say."""
        if key in layer:
            stated = layer.one(key, 1, MAX_COUNT)
            if stated is not None and stated != expected:
                layer.bad("NC0202", f"'{key}' is {stated}, and {expected} by the arrays and the layer before")

    def _divided(self, layer: Values, weights: IntArray, part: _Part) -> IntArray:
        """Return weights behind an average: divided by what it divides by, where they stay whole."""
        if (weights % part.divisor).any():
            odd = int(weights[weights % part.divisor != 0].reshape(-1)[0])
            message = f"weight {odd} behind an average over {part.divisor} would be {odd / part.divisor:g}, which is not whole"
            layer.bad("NC0209", message, "put a 'pool' with neurons in place of the average, or let it be the last layer")
        return np.asarray(weights // part.divisor)

    def _exponent(self, layer: Values, name: str) -> int:
        """Return the exponent of a layer's weights."""
        neuron = layer.inner("neuron") if "neuron" in layer else None
        exponent = neuron.one("wgtExp", -8, 7, 0) if neuron is not None else 0
        if exponent:
            self._choose(name, "wgtExp", f"weights times 2**{exponent}", "the file; Lava's loader leaves it out")
        return exponent or 0

    def _delays(
        self, layer: Values, name: str, delay: IntArray | None, weights: Shape, shape: Shape
    ) -> tuple[IntArray | None, IntArray | None]:  # fmt: skip
        """Return the delays of the synapses into a layer, 0-d or like ``weights``, and of its outputs, 0-d or (n,)."""
        none = np.zeros((), np.int64)
        if delay is None:
            return (none, none) if "delay" not in layer else (None, None)
        if delay.min() < 0:
            layer.bad("NC0209", f"'delay' is {int(delay.min())}; it must not be negative")
            return None, None
        if delay.max() > LONGEST_DELAY:
            longest = int(delay.max())
            self._choose(name, "delay", f"at most {LONGEST_DELAY}", f"as Lava's loader has it; the file says up to {longest}")
            delay = np.minimum(delay, LONGEST_DELAY)
        if delay.size == 1:
            self._choose(name, "delay", f"{int(delay.reshape(-1)[0])} of all synapses into it", "as Lava's loader has it")
            return delay.reshape(()), none
        if delay.shape == weights or (delay.squeeze().shape == tuple(n for n in weights if n > 1) and delay.ndim > 1):
            self._choose(name, "delay", "one per synapse into it", "its shape")
            return delay, none
        if delay.size in (shape[0], size_of(shape)):
            what = "neuron" if delay.size == size_of(shape) else "channel"
            self._choose(name, "delay", f"one per {what}, of its outputs", "its shape, as SLAYER has it")
            late = np.repeat(delay.reshape(-1), size_of(shape) // delay.size)
            return none, _merged(late, late.shape)
        message = f"'delay' has the shape {delay.shape}; one number, one per synapse {weights} or one per neuron is needed"
        layer.bad("NC0202", message)
        return None, None

    def _project(
        self, source: str, target: str, pattern: Pattern, weights: Array, delay: IntArray, before: tuple[Stage, ...],
        exponent: int,
    ) -> None:  # fmt: skip
        name, native = f"{source}->{target}", NativeWeights(exponent)
        ticks = frozen(delay, np.int64)
        self.projections.append(Projection(name, source, target, pattern, weights, None, ticks, native, before, self.where))

    # neurons

    def _neuron(
        self, layer: Values, name: str, shape: Shape, bias: IntArray | None, *, takes_values: bool = False
    ) -> Neuron | None:  # fmt: skip
        """Read the neurons of a layer.

        Args:
            layer: The layer.
            name: The population that they become.
            shape: Its shape.
            bias: One for all, one per channel or one per neuron; None: none.
            takes_values: The neurons belong to an input layer: Lava writes the input beside the bias, past the current.
        """
        before = len(self.problems)
        biases: Array = np.zeros((), np.int64)
        if bias is not None and bias.size == 1:
            biases = bias.reshape(())
        elif bias is not None:
            biases = per_neuron(bias.reshape(shape) if bias.size == size_of(shape) else bias.reshape(-1), shape)
            if biases.shape != (size_of(shape),):
                layer.bad("NC0202", f"'bias' has the shape {bias.shape}; one per neuron or channel of {shape} is needed")
        if np.abs(biases).max() >= 1 << 31:
            layer.bad("NC0209", f"'bias' holds {int(biases.flat[np.abs(biases).argmax()])}; it must fit 32 bits")
        if "neuron" not in layer:
            self._choose(name, "neuron", "none: v sums what comes in, and nothing spikes", "default of Lava's loader")
            return _readout(biases << BIAS_EXPONENT) if len(self.problems) == before else None
        stated = layer.inner("neuron", f"{layer.what}: neuron")
        if stated is None or not stated.need(["type"]):
            return None
        kind = stated.text("type")
        if kind is None:
            return None
        if kind not in ("CUBA", "LOIHI"):
            family = next((known for known in _REFUSED_NEURONS if kind.startswith(known)), None)
            if family is None:
                stated.bad("NC0208", f"there is no type '{kind}' of neurons", did_you_mean(kind, ["CUBA", "LOIHI"]))
            else:
                stated.bad("NC0208", f"'{kind}' is {_REFUSED_NEURONS[family]}", _TRAIN_CUBA)
            return None
        if not stated.need(["iDecay", "vDecay", "vThMant"]):
            return None
        self._unused(stated, name)
        decay_u = self._per_neuron(stated, "iDecay", shape, 0, WITHOUT_MEMORY)
        decay_v = self._per_neuron(stated, "vDecay", shape, 0, WITHOUT_MEMORY)
        threshold = self._per_neuron(stated, "vThMant", shape, 0, 1 << 24)
        if stated.one("gradedSpike", 0, 1, 0):
            stated.bad("NC0208", "it sends graded spikes, which CUBA neurons here do not", "export it with gradedSpike false")
        rest = stated.one("refDelay", 0, MAX_COUNT, 1)
        if decay_u is None or decay_v is None or threshold is None or rest is None or len(self.problems) > before:
            return None
        if takes_values:
            if (decay_u != WITHOUT_MEMORY).any():
                self._choose(name, "iDecay", "not used", "Lava writes the input beside the bias, past the current")
            decay_u = np.full((), WITHOUT_MEMORY, np.int64)
        fires = threshold < NEVER
        if not fires.any():
            self._choose(name, "neuron", "never spikes, its potential is read", f"vThMant is {int(threshold.max())}")
            return self._integrator(stated, decay_u, decay_v, biases)
        if not fires.all():
            message = f"'vThMant' is {int(threshold.max())} for some neurons, which never spike, and less for others"
            stated.bad("NC0209", message, f"thresholds lie in 0..{NEVER - 1}")
        for key, decays, wrong, why in (
            ("iDecay", decay_u, 0, "the current would never decay (du = iDecay - 1 = -1), and Loihi has no such"),
            ("vDecay", decay_v, WITHOUT_MEMORY, "the potential would have no memory; the largest of 12 bits is 4095"),
        ):
            if (decays == wrong).any():
                stated.bad("NC0209", f"'{key}' is {wrong}: {why}", "train and export with another decay")
        if len(self.problems) > before:
            return None
        semantics = self._semantics(name, rest)
        parameters = {"du": decay_u - 1, "dv": decay_v, "vth": threshold, "bias_mant": biases}
        parameters |= {"bias_exp": np.int64(BIAS_EXPONENT if biases.any() else 0)}
        return Neuron("cuba_lif", _native("cuba_lif", parameters), semantics, "loihi")

    def _integrator(self, stated: Values, decay_u: IntArray, decay_v: IntArray, biases: IntArray) -> Neuron | None:
        """Return neurons that never spike: a current without leak that v copies is a v without leak."""
        if (decay_u == 0).all() and (decay_v == WITHOUT_MEMORY).all():
            return _readout(biases << BIAS_EXPONENT)
        if (decay_u == 0).any() or (decay_v == WITHOUT_MEMORY).any():
            message = "'iDecay' 0 and 'vDecay' 4096, for a sum without leak, must come together and for all neurons"
            stated.bad("NC0209", message, "say other decays")
            return None
        parameters = {"du": decay_u - 1, "dv": decay_v, "bias_mant": biases, "bias_exp": np.int64(BIAS_EXPONENT)}
        return Neuron("cuba_li", _native("cuba_li", parameters), Semantics(), "loihi")

    def _semantics(self, name: str, rest: int) -> Semantics:
        """Return the axes of neurons that spike, and note what the file leaves open."""
        compare = self.reading.compare
        origin = "default, as Lava and Loihi have it" if compare is None else "as the user says"
        self._choose(name, "compare", compare or ">", origin)
        reset: Literal["zero", "subtract", "none"] = "zero"
        if self.reading.reset is not None and self.reading.reset != "value":
            reset = self.reading.reset
            self._choose(name, "reset", reset, "as the user says")
        if rest > 1:
            self._choose(
                name, "refractory", f"{rest - 1} ticks", "refDelay counts the tick of the spike; Lava's loader has none"
            )
        return Semantics(compare=compare or ">", reset=reset, refractory=max(rest - 1, 0))

    def _unused(self, stated: Values, name: str) -> None:
        """Note what a neuron states and nothing here uses."""
        for key in stated.names:
            if key not in (*_NEURON_KEYS, *_UNUSED_NEURON_KEYS):
                self._choose(name, f"'{key}'", "not used", "no part of a CUBA neuron")
        if "theta" in stated and "vThMant" in stated:
            theta, threshold = stated.whole("theta"), stated.whole("vThMant")
            if theta is not None and threshold is not None and (theta.max() != threshold.max() << 6):
                self._choose(name, "'theta'", "not used", f"vThMant is {int(threshold.max())}, theta {int(theta.max())}")

    def _per_neuron(self, stated: Values, key: str, shape: Shape, low: int, high: int) -> IntArray | None:
        """Read one whole number for all neurons, one per channel or one per neuron."""
        array = stated.whole(key)
        if array is None:
            return None
        if array.size == 1:
            array = array.reshape(())
        else:
            array = per_neuron(array.reshape(shape) if array.size == size_of(shape) else array.reshape(-1), shape)
            if array.shape != (size_of(shape),):
                stated.bad("NC0202", f"'{key}' has {array.size} values; one, or one per neuron or channel of {shape} is needed")
                return None
        if array.min() < low or array.max() > high:
            worst = int(array.min()) if array.min() < low else int(array.max())
            stated.bad("NC0209", f"'{key}' is {worst}; it must lie in {low}..{high}")
            return None
        return array


def _defaults(scheme: str) -> dict[str, float | int | str]:
    return {key: option.default for key, option in ENCODERS[scheme].options.items()}


def _native(model: str, stated: Mapping[str, Any]) -> dict[str, Array]:
    """Return the integers of a model of Loihi's format, with defaults for what is not stated."""
    defaults = native_defaults(NEURON_MODELS[model])
    return {key: frozen(stated.get(key, default), np.int64) for key, default in defaults.items()}


def _readout(start: IntArray | None = None) -> Neuron:
    """Return neurons that sum what comes in without leak, from ``start`` on."""
    return Neuron("i", _native("i", {} if start is None else {"v_init": start}), Semantics(), "loihi")


def _merged(delays: Array, shape: Shape) -> IntArray:
    """Return delays as one, where all are equal, or in the shape of the weights."""
    if (delays == delays.reshape(-1)[0]).all():
        return np.asarray(delays.reshape(-1)[0], np.int64)
    return np.asarray(np.broadcast_to(delays, shape), np.int64)


def _range(values: IntArray) -> str:
    low, high = int(values.min()), int(values.max())
    return str(low) if low == high else f"{low}..{high}"


def _ungrouped(weights: IntArray, groups: int) -> IntArray:
    """Return (out, in, *kernel) of weights (out, in / groups, *kernel)."""
    out, inner = weights.shape[0] // groups, weights.shape[1]
    whole = np.zeros((weights.shape[0], inner * groups, *weights.shape[2:]), np.int64)
    for group in range(groups):
        rows = slice(group * out, (group + 1) * out)
        whole[rows, group * inner : (group + 1) * inner] = weights[rows]
    return whole
