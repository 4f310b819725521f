"""Learning rules in integers: the coefficients of a rule become mantissas and exponents of a chip's sums of products."""

from __future__ import annotations

import math

import numpy as np

from neurocomp.errors import Diagnostic, UnsupportedError
from neurocomp.ir.network import Projection
from neurocomp.ir.quantized import (
    EXPONENTS,
    MANTISSA_BITS,
    MANTISSAS,
    MOST_PRODUCT_BITS,
    IntegerFactor,
    IntegerLearning,
    IntegerProduct,
    IntegerTrace,
)
from neurocomp.models.learning import TRACES, Product, TraceForm

COARSE = 0.1
"""Beyond such a share of a coefficient a warning says what became of it."""
MOST_PRODUCTS, MOST_CONSTANT = 32, 1 << 10
"""Of a rule; a larger constant would saturate its factor whatever the variable."""
UNIT = 7
"""An exponent of so much is a factor of 1."""

Rows = list[tuple[str, str, str]]


def integers_of(q: Projection, scale: float, timestep: float, warnings: list[str]) -> tuple[IntegerLearning, Rows]:
    """Return the integers of a projection's rule, and what each coefficient became.

    Args:
        q: A verified projection that learns.
        scale: Steps of the integer weight per 1.0 of the weight.
        timestep: Of the network, in seconds.
        warnings: Receives what is coarse.

    Raises:
        UnsupportedError: A step is too small or too large for mantissa and exponent, or a product too wide (NC0351).
    """
    assert q.learning is not None
    form = q.learning.form()
    if len(form.weights) + len(form.tags) > MOST_PRODUCTS:
        message = f"projection '{q.name}': its rule has {len(form.weights) + len(form.tags)} products"
        raise UnsupportedError(Diagnostic("NC0351", message, q.origin, limit=str(MOST_PRODUCTS), hint="use fewer products"))
    decimations = sorted({p.decimation for p in (*form.weights, *form.tags) if p.condition == "u"})
    if len(decimations) > 1:
        message = (
            f"projection '{q.name}': its rule has the conditions {' and '.join(f'u{k}' for k in decimations)}; one is possible"
        )
        raise UnsupportedError(Diagnostic("NC0351", message, q.origin, hint="use one of them for all products"))
    rows: Rows = []

    def integers(product: Product, unit: float, what: str) -> IntegerProduct:
        made, factor = _product(q, product, unit, scale)
        made_of = made.mantissa * 2.0 ** (made.exponent - UNIT - made.shift)
        rows.append((f"{what} {q.name}", _text(product), f"{made.mantissa} * 2^{made.exponent - UNIT} >> {made.shift}"))
        if abs(made_of / factor - 1) > COARSE:
            warnings.append(
                f"'{q.name}': {_text(product)} becomes {made_of / factor:.2f} times as large, the closest that there is"
            )
        return made

    traces = {name: _trace(form.traces[name], timestep) for name in TRACES if name in form.traces}
    weights = tuple(integers(p, scale, "dw") for p in form.weights if p.coefficient)
    tags = tuple(integers(p, 1.0, "dt") for p in form.tags if p.coefficient)
    learning = q.learning
    return IntegerLearning(
        traces, weights, tags, learning.modulators, learning.epoch, learning.seed, learning.across_samples
    ), rows  # fmt: skip


def _trace(trace: TraceForm, timestep: float) -> IntegerTrace:
    tau = trace.tau / timestep
    keep = float(np.exp(np.array([-1.0 / tau]))[0]) if tau > 0 else 0.0
    return IntegerTrace(round(trace.impulse * 256), keep, tau)


def _product(q: Projection, product: Product, unit: float, scale: float) -> tuple[IntegerProduct, float]:
    """Return a product whose factor is closest, with the largest mantissa of those; and the factor that it should have."""
    factor = product.coefficient * unit
    factors: list[IntegerFactor] = []
    for f in product.factors:
        of_weight = f.variable == "w"
        factor /= scale if of_weight and not f.sign else 1.0
        factors.append(IntegerFactor(f.variable, round(f.constant * (scale if of_weight else 1.0)), f.sign))
        if abs(factors[-1].constant) > MOST_CONSTANT:
            message = f"projection '{q.name}': {_text(product)} adds {factors[-1].constant} steps to {f.variable}"
            hint = "use a constant within the variable's range"
            raise UnsupportedError(Diagnostic("NC0351", message, q.origin, limit=f"{MOST_CONSTANT}", hint=hint))
    made = IntegerProduct(product.condition, 1, UNIT, tuple(factors), product.decimation)
    bits = sum(f.bits for f in factors) + MANTISSA_BITS
    if bits > MOST_PRODUCT_BITS:
        message = f"projection '{q.name}': {_text(product)} has factors of {bits - MANTISSA_BITS} bits together"
        most = f"{MOST_PRODUCT_BITS - MANTISSA_BITS} bits: 7 per trace, 9 for w and t"
        raise UnsupportedError(Diagnostic("NC0351", message, q.origin, limit=most, hint="use fewer factors"))
    found: list[tuple[float, int, int]] = []
    for exponent in range(EXPONENTS[0], EXPONENTS[1] + 1):
        worth = math.ldexp(1.0, exponent - UNIT - made.shift)
        mantissa = min(max(round(factor / worth), MANTISSAS[0]), MANTISSAS[1])
        if mantissa:
            found.append((abs(mantissa * worth / factor - 1), exponent, mantissa))
    if not found or min(found)[0] > 0.5:
        small = abs(factor) < math.ldexp(1.0, EXPONENTS[0] - UNIT - made.shift)
        limit = math.ldexp(1.0 if small else MANTISSAS[1], (EXPONENTS[0] if small else EXPONENTS[1]) - UNIT - made.shift)
        message = f"projection '{q.name}': {_text(product)} moves weights by {factor:.3g} steps for factors of 1"
        way = "a larger rate, or a smaller w_max" if small else "a smaller rate, or a larger w_max"
        extreme = f"{'at least' if small else 'at most'} {limit:.3g}"
        raise UnsupportedError(Diagnostic("NC0351", message, q.origin, limit=extreme, hint=way))
    _, best, mantissa = min(found)
    return IntegerProduct(product.condition, mantissa, best, tuple(factors), product.decimation), factor


def _text(product: Product) -> str:
    """Return a product as one writes it."""
    condition = f"u{product.decimation}" if product.condition == "u" else product.condition
    parts = [f"{product.coefficient:.6g}", condition]
    for f in product.factors:
        text = f"({f.variable} {'-' if f.constant < 0 else '+'} {abs(f.constant):g})" if f.constant else f.variable
        parts.append(f"sgn({text})" if f.sign else text)
    return " * ".join(parts)
