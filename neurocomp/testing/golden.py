"""Integer networks built by hand, and their comparison with vectors that another simulator made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurocomp.hardware import LAVA_UNCHECKED, NumberFormat
from neurocomp.ir.network import Network, frozen
from neurocomp.ir.quantized import DYNAMICS, IntegerNetwork, IntegerPopulation, IntegerProjection, SignMode
from neurocomp.models.neurons import NEURON_MODELS
from neurocomp.models.patterns import Pattern

Array = NDArray[Any]
IntArray = NDArray[np.int64]


def sign_mode_of(weights: ArrayLike) -> SignMode:
    """Return the sign mode that Lava infers: one sign where all weights have it (zeros: excitatory), else mixed."""
    values = np.asarray(weights)
    if not (values < 0).any():
        return "excitatory"
    return "mixed" if (values > 0).any() else "inhibitory"


def _low_bits(sign_mode: SignMode, weight_bits: int) -> int:
    """Return how many low bits of an 8-bit weight Lava cuts off; written here once more, as an oracle shares no arithmetic."""
    return 9 - weight_bits if sign_mode == "mixed" else 8 - weight_bits


def canonical_weights(weights: ArrayLike, sign_mode: SignMode, weight_bits: int = 8) -> IntArray:
    """Return what Lava 0.10 makes of integer weights in its first step: clipped to 8 bits, then low bits cut off.

    Mixed signs keep -256..255 and lose one bit more than a single sign does; they are rounded to minus infinity, so that -3
    becomes -4. Magnitudes of one sign are rounded toward zero; weights of the other sign become 0.

    Args:
        weights: Integers at 8-bit scale, any shape.
        sign_mode: Lava's ``NULL`` is ``excitatory``.
        weight_bits: Lava's ``num_weight_bits``. It does not rescale.

    >>> canonical_weights([-300, -3, 3, 300], "mixed"), canonical_weights([-3, 300], "inhibitory", 7)
    (array([-256,   -4,    2,  254]), array([-2,  0]))
    """
    values = np.asarray(weights, np.int64)
    low_bits = _low_bits(sign_mode, weight_bits)
    if sign_mode == "mixed":
        return np.asarray((np.clip(values, -256, 255) >> low_bits) << low_bits)
    sign = -1 if sign_mode == "inhibitory" else 1
    magnitudes = np.clip(sign * values, 0, 255)
    return np.asarray(sign * ((magnitudes >> low_bits) << low_bits))


Shape = tuple[int, ...]


def _shape(n: int | Shape) -> Shape:
    return (n,) if isinstance(n, int) else n


def input_population(name: str, n: int | Shape) -> IntegerPopulation:
    """Return a population that a stimulus of spikes feeds: ``n`` neurons, or neurons of a shape such as (C, H, W)."""
    return IntegerPopulation(name, _shape(n), "input", {})


def current_population(name: str, n: int | Shape) -> IntegerPopulation:
    """Return a population whose stimulus is the current per neuron that another one names."""
    return IntegerPopulation(name, _shape(n), "current", {})


def compartments(
    name: str,
    n: int | Shape,
    parameters: Mapping[str, ArrayLike],
    *,
    fires: bool = True,
    reset: Literal["zero", "subtract", "none"] = "zero",
    compare: Literal[">", ">="] = ">",
    refractory: int = 0,
    reset_interval: int | None = None,
    reset_offset: int = 0,
    current: str | None = None,
) -> IntegerPopulation:
    """Return compartments, ``n`` or of a shape, with the given integers, one or per neuron; those not given are 0.

    With ``vth_low`` among the parameters they are ternary. The other arguments are the fields of `IntegerPopulation`.
    """
    dynamics = "ternary" if "vth_low" in parameters else "compartment"
    unknown = parameters.keys() - set(DYNAMICS[dynamics])
    if unknown:
        raise TypeError(f"a compartment has no parameter {sorted(unknown)}; it has {DYNAMICS[dynamics]}")
    values = {key: frozen(np.array(parameters.get(key, 0), np.int64)) for key in DYNAMICS[dynamics]}
    return IntegerPopulation(
        name,
        _shape(n),
        dynamics,
        values,
        fires,
        reset,
        compare,
        refractory,
        reset_interval,
        reset_offset,
        current,
        has_current=True,
    )


def conv(
    kernel: Shape, *, stride: int | Shape = 1, padding: int | Shape = 0, dilation: int | Shape = 1, groups: int = 1
) -> Pattern:
    """Return a convolution over as many axes as ``kernel`` has extents; a number is that of every axis.

    >>> conv((3, 2), stride=2, padding=(1, 0)).options["stride"]
    (2, 2)
    """
    options = {"kernel": kernel, "groups": (groups,)}
    for key, value in (("stride", stride), ("padding", padding), ("dilation", dilation)):
        options[key] = (value,) * len(kernel) if isinstance(value, int) else value
    return Pattern(f"conv{len(kernel)}d", {}, options)


def max_pool(kernel: Shape, *, stride: Shape | None = None, padding: int | Shape = 0) -> Pattern:
    """Return a maximum over windows; ``stride`` None: that of the kernel."""
    around = (padding,) * len(kernel) if isinstance(padding, int) else padding
    return Pattern(f"maxpool{len(kernel)}d", {}, {"kernel": kernel, "stride": stride or kernel, "padding": around})


def synapses(
    source: str,
    target: str,
    weights: ArrayLike,
    *,
    name: str | None = None,
    pattern: Pattern | None = None,
    sign_mode: SignMode | None = None,
    weight_bits: int = 8,
    exponent: int = 0,
    delay: ArrayLike = 0,
    binary: bool = True,
    pool: Pattern | None = None,
) -> IntegerProjection:
    """Return a projection with the weights that Lava's Dense and Sparse would use; see `canonical_weights`.

    Args:
        source: Population that sends.
        target: Population that receives.
        weights: Integers of the pattern's shape, before Lava's clip and truncation.
        name: None: ``source->target``.
        pattern: None: dense.
        sign_mode: None: by the content, as Lava does it.
        weight_bits: Lava's ``num_weight_bits``.
        exponent: Lava's ``weight_exp``.
        delay: Ticks from spike to effect, one or of the weights' shape.
        binary: False: the value of a spike multiplies the weight.
        pool: A maximum that the spikes of the source pass first.
    """
    mode = sign_mode if sign_mode is not None else sign_mode_of(weights)
    low_bits = _low_bits(mode, weight_bits)
    values = canonical_weights(weights, mode, weight_bits)
    mantissa = (values >> low_bits).astype(np.int8) if mode == "mixed" else (np.abs(values) >> low_bits).astype(np.uint8)
    return IntegerProjection(
        name or f"{source}->{target}",
        source,
        target,
        pattern or Pattern("dense"),
        frozen(mantissa),
        low_bits,
        mode,
        weight_bits,
        exponent,
        frozen(np.array(delay, np.int64)),
        binary,
        pool,
    )


def raw_synapses(
    source: str,
    target: str,
    weights: ArrayLike,
    *,
    pattern: Pattern | None = None,
    exponent: int = 0,
    delay: ArrayLike = 0,
    binary: bool = True,
) -> IntegerProjection:
    """Return a projection with 16-bit weights as they are, neither clipped nor cut; the format must be unchecked."""
    mantissa = frozen(np.asarray(weights), np.int16)
    if not np.array_equal(mantissa, weights):
        raise ValueError("the weights are beyond 16 bits")
    steps = frozen(np.array(delay, np.int64))
    return IntegerProjection(
        f"{source}->{target}", source, target, pattern or Pattern("dense"), mantissa, 0, "mixed", 8, exponent, steps, binary
    )


def integer_network(
    populations: Sequence[IntegerPopulation],
    projections: Sequence[IntegerProjection],
    *,
    form: NumberFormat = LAVA_UNCHECKED,
    name: str = "golden",
    ticks: int = 1,
) -> IntegerNetwork:
    """Return a verified network of the parts."""
    network = IntegerNetwork(name, 1e-3, ticks, form, {p.name: p for p in populations}, tuple(projections))
    network.verify("the test")
    return network


def driven(population: IntegerPopulation, *, form: NumberFormat = LAVA_UNCHECKED) -> IntegerNetwork:
    """Return a network in which the input ``a_in`` (any integers) is added to the population's synaptic input as it is."""
    drive = synapses("a_in", population.name, np.ones(population.size), pattern=Pattern("one_to_one"), binary=False)
    return integer_network([input_population("a_in", population.size), population], [drive], form=form)


def integers_of(network: Network) -> IntegerNetwork:
    """Return a legal network of a chip's own integers as an integer network, without the compiler.

    Raises:
        ValueError: A weight is not what the chip stores.
    """
    populations = []
    for p in network.populations.values():
        if p.neuron is None:
            populations.append(input_population(p.name, p.shape))
            continue
        semantics, fires = p.neuron.semantics, NEURON_MODELS[p.neuron.model].fires
        reset = semantics.reset if fires and semantics.reset != "value" else "zero"
        populations.append(
            compartments(
                p.name, p.shape, p.neuron.parameters, fires=fires, reset=reset,
                compare=semantics.compare if fires else ">", refractory=semantics.refractory if fires else 0,
                reset_interval=semantics.reset_interval, reset_offset=semantics.reset_offset,
            )
        )  # fmt: skip
    projections = []
    for q in network.projections:
        if q.native is None:
            raise ValueError(f"'{q.name}' holds real numbers")
        projection = synapses(
            q.source, q.target, q.weights, name=q.name, pattern=q.pattern, sign_mode=q.native.sign_mode,  # type: ignore[arg-type]
            weight_bits=q.native.weight_bits, exponent=q.native.weight_exp, delay=q.delay,
            pool=q.before[0].pattern if q.before else None,
        )  # fmt: skip
        if not np.array_equal(projection.weights, q.weights):
            raise ValueError(f"Lava would clip or cut weights of '{q.name}'")
        projections.append(projection)
    return integer_network(populations, projections, form=NumberFormat("loihi"), name=network.name, ticks=network.ticks)


def first_difference(actual: Mapping[str, Array], expected: Mapping[str, Array]) -> str | None:
    """Return one line about the first element that differs, or None if all arrays are equal.

    Args:
        actual: Register -> integers (ticks, n), of the network under test.
        expected: The same of the other simulator; its registers are compared.

    >>> first_difference({"v": np.array([[1, 2]])}, {"v": np.array([[1, 3]])})
    'v[tick 0, neuron 1] is 2, expected 3'
    """
    for register, wanted in expected.items():
        found = actual[register]
        if found.shape != wanted.shape:
            return f"{register} has the shape {found.shape}, expected {wanted.shape}"
        where = np.argwhere(found != wanted)
        if len(where):
            tick, neuron = (int(i) for i in where[0])
            return f"{register}[tick {tick}, neuron {neuron}] is {found[tick, neuron]}, expected {wanted[tick, neuron]}"
    return None
