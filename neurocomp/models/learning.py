"""Learning rules in real numbers: parameters, and the sums of products that each of them is.

Every rule is a sum of products, the form in which the cores of the Loihi family learn (Davies et al., IEEE Micro 38, 2018):

    weight <- weight + sum over products of  coefficient * condition * factor * factor ...

A condition is ``x0`` (the source spiked in the epoch), ``y0`` (the target did) or ``u`` (every 2**k epochs). Factors are traces
(``x1``, ``x2`` of the source; ``y1``, ``y2``, ``y3`` of the target), the weight ``w`` or the tag ``t`` of the synapse, plus a
constant, or the sign of that. Traces grow by their impulse with a spike and decay exponentially; they and tags are in the
chip's units everywhere, 7 and 9 bits, weights in the network's own. docs/learning.md writes out when what happens.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from neurocomp.models.neurons import Parameter
from neurocomp.models.registration import Table

Condition = Literal["x0", "y0", "u"]
Values = Mapping[str, float | str]
"""Parameters of a rule by name: numbers, times in seconds, and text where the parameter is one."""

TRACES = ("x1", "x2", "y1", "y2", "y3")
"""Traces of the source and of the target; with a modulator ``y2`` is what it sends, with a second one ``y3``."""
VARIABLES = (*TRACES, "w", "t")
IMPULSE = 16.0
"""What a spike adds to the traces of the named rules: eight spikes in a row fit the 7 bits of a trace."""
MOST_IMPULSE, LONGEST_EPOCH, SLOWEST = 127, 63, 9
"""Of a trace; of ticks; k of the condition ``uk``."""


@dataclass(frozen=True, slots=True)
class Factor:
    """``variable + constant``, or its sign; ``one``: the constant alone."""

    variable: str
    constant: float = 0.0
    sign: bool = False


@dataclass(frozen=True, slots=True)
class Product:
    """``coefficient * condition * factors``; with the condition ``u`` in every ``2**decimation``-th epoch."""

    coefficient: float
    condition: Condition
    factors: tuple[Factor, ...] = ()
    decimation: int = 0


@dataclass(frozen=True, slots=True)
class TraceForm:
    """A trace: what a spike adds, and the time constant of its decay in seconds (inf: none, 0: no memory)."""

    impulse: float
    tau: float


@dataclass(frozen=True, slots=True)
class LearningForm:
    """A rule as sums of products."""

    traces: Mapping[str, TraceForm]
    weights: tuple[Product, ...]
    tags: tuple[Product, ...] = ()


@dataclass(frozen=True, slots=True)
class LearningRule:
    """A registered rule; ``modulated``: how many populations may modulate it, at least and at most."""

    name: str
    doc: str
    form: Callable[[Values], LearningForm]
    """Raises ValueError, with a message for the user, where parameters do not go together."""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    texts: tuple[str, ...] = ()
    """Parameters that are text; they may be left out."""
    modulated: tuple[int, int] = (0, 0)


def _pair(values: Values) -> LearningForm:
    """Pair STDP: a_plus exp(-dt/tau_plus) where the target spikes dt after the source, -a_minus exp(-dt/tau_minus) before."""
    n = {name: float(value) for name, value in values.items()}
    return LearningForm(
        {"x1": TraceForm(IMPULSE, n["tau_plus"]), "y1": TraceForm(IMPULSE, n["tau_minus"])},
        (
            Product(-n["a_minus"] / IMPULSE, "x0", (Factor("y1"),)),
            Product(n["a_plus"] / IMPULSE, "y0", (Factor("x1"),)),
        ),
    )


def _soft(values: Values) -> LearningForm:
    """Pair STDP whose steps shrink with what is left to the bounds: a_plus (w_max - w), a_minus (w - w_min)."""
    pair, low, high = _pair(values), float(values["w_min"]), float(values["w_max"])
    down, up = pair.weights
    return LearningForm(
        pair.traces,
        (
            Product(down.coefficient, "x0", (*down.factors, Factor("w", -low))),
            Product(-up.coefficient, "y0", (*up.factors, Factor("w", -high))),
        ),
    )


def _order(values: Values, factors: tuple[Factor, ...], unit: float) -> LearningForm:
    """A spike of the target: +a_plus for every source that spiked before it in the sample, -a_minus for the others."""
    up, down = float(values["a_plus"]) * unit, float(values["a_minus"]) * unit
    return LearningForm(
        # Without decay the trace is full from the first spike of a sample on.
        {"x1": TraceForm(float(MOST_IMPULSE), math.inf)},
        (
            Product(-down, "y0", factors),
            Product((up + down) / MOST_IMPULSE, "y0", (Factor("x1"), *factors)),
        ),
    )


def _stdp_sign(values: Values) -> LearningForm:
    return _order(values, (), 1.0)


def _stdp_multiplicative(values: Values) -> LearningForm:
    """The same times (w - w_min) (w_max - w)."""
    low, high = float(values["w_min"]), float(values["w_max"])
    return _order(values, (Factor("w", -low), Factor("w", -high)), -1.0)


def _rstdp(values: Values) -> LearningForm:
    """Pairs leave a tag that decays; where the modulator sends a value r the weight moves by rate * tag * r / impulse."""
    n = {name: float(value) for name, value in values.items()}
    tag = (
        Product(-n["a_minus"], "x0", (Factor("y1"),)),
        Product(n["a_plus"], "y0", (Factor("x1"),)),
        Product(-n["tag_leak"], "u", (Factor("t"),)),
    )
    weights = [Product(n["rate"] / IMPULSE, "u", (Factor("t"), Factor("y2")))]
    if n["modulators"] > 1:
        weights.append(Product(-n["rate"] / IMPULSE, "u", (Factor("t"), Factor("y3"))))
    traces = {"x1": TraceForm(IMPULSE, n["tau_plus"]), "y1": TraceForm(IMPULSE, n["tau_minus"])}
    return LearningForm(traces, tuple(weights), tag)


def _homeostasis(values: Values) -> LearningForm:
    """A spike of the target costs ``rate``; every so many epochs comes back what so many cost at the target rate."""
    rate, target, every = (float(values[name]) for name in ("rate", "target_rate", "every"))
    if not 0 < target < 1:
        raise ValueError(f"target_rate is {target:g}; it is a share of epochs between 0 and 1")
    decimation = round(math.log2(every)) if every >= 1 else -1
    if not 0 <= decimation <= SLOWEST or every != 1 << decimation:
        raise ValueError(f"every is {every:g}; it is a power of two between 1 and {1 << SLOWEST}")
    return LearningForm({}, (Product(-rate, "y0"), Product(rate * target * every, "u", decimation=decimation)))


def products_of(text: str) -> tuple[Product, ...]:
    """Read a sum of products, such as ``2^-2*y0*x1 - 0.5*x0*y1*(w + 4) + u1*sgn(t)``.

    Raises:
        ValueError: The text is no such sum.

    >>> [(p.coefficient, p.condition, [f.variable for f in p.factors]) for p in products_of("2^-2*y0*x1 - x0*(w - 4)")]
    [(0.25, 'y0', ['x1']), (-1.0, 'x0', ['w'])]
    """
    return tuple(_product(sign, term) for sign, term in _split(text))


def _split(text: str) -> list[tuple[int, str]]:
    """Split at + and - that stand outside of brackets and do not begin an exponent."""
    terms: list[tuple[int, str]] = []
    depth, sign, current = 0, 1, ""
    for character in text.replace(" ", ""):
        depth += (character == "(") - (character == ")")
        if character in "+-" and depth == 0 and not current.endswith(("^", "*", "e")):
            if current:
                terms.append((sign, current))
            elif terms or sign < 0:
                raise ValueError(f"'{text}' has two signs in a row")
            sign, current = -1 if character == "-" else 1, ""
        else:
            current += character
    if not current or depth:
        raise ValueError(f"'{text}' is no sum of products")
    return [*terms, (sign, current)]


def _product(sign: int, term: str) -> Product:
    coefficient, condition, decimation = float(sign), None, 0
    factors: list[Factor] = []
    for part in term.split("*"):
        number = re.fullmatch(r"\(?(-?\d+(?:\.\d+)?(?:e-?\d+)?)(?:\^(-?\d+))?\)?", part)
        if number:
            base, power = float(number[1]), number[2]
            coefficient *= base if power is None else base ** int(power)
        elif found := re.fullmatch(r"(x0|y0)|u(\d?)", part):
            if condition is not None:
                raise ValueError(f"'{term}' has two conditions; x0 and y0 together are no condition")
            condition, decimation = found[1] or "u", int(found[2] or 0)
        elif found := re.fullmatch(r"(sgn)?\(?([xy][123]|w|t)(?:([+-])(\d+(?:\.\d+)?))?\)?", part):
            if found[2] not in VARIABLES:
                raise ValueError(f"there is no variable '{found[2]}'; there are {', '.join(VARIABLES)}")
            if found[1] and found[2] in TRACES:
                raise ValueError(f"'{part}': only w and t have a sign")
            constant = float(found[4] or 0) * (-1 if found[3] == "-" else 1)
            factors.append(Factor(found[2], constant, bool(found[1])))
        else:
            raise ValueError(f"'{part}' is neither a number, a condition (x0, y0, u), nor a variable ({', '.join(VARIABLES)})")
    if condition is None:
        raise ValueError(f"'{term}' needs a condition: x0, y0 or u")
    return Product(coefficient, condition, tuple(factors), decimation)  # type: ignore[arg-type]


def _products(values: Values) -> LearningForm:
    traces: dict[str, TraceForm] = {}
    for name in TRACES:
        impulse, tau = (float(values.get(f"{name}_{what}", 0.0)) for what in ("impulse", "tau"))
        if not 0 <= impulse <= MOST_IMPULSE:
            raise ValueError(f"{name}_impulse is {impulse:g}; a trace takes 0..{MOST_IMPULSE}")
        if impulse:
            traces[name] = TraceForm(impulse, tau)
    if not values.get("dw"):
        raise ValueError("the rule 'products' needs 'dw', the sum by which weights move")
    dt = str(values.get("dt", ""))
    return LearningForm(traces, products_of(str(values["dw"])), products_of(dt) if dt else ())


def _seconds(doc: str, default: float | None = None) -> Parameter:
    return Parameter("s", doc, default=default)


def _number(doc: str, default: float | None = None) -> Parameter:
    return Parameter("1", doc, default=default)


_BOUNDS = {
    "w_min": _number("smallest weight: 0, or -w_max", 0.0),
    "w_max": _number("largest weight", 1.0),
}
_WINDOW = {
    "tau_plus": _seconds("time constant of the trace of the source", 0.02),
    "tau_minus": _seconds("time constant of the trace of the target", 0.02),
}
_STEPS = {
    "a_plus": _number("step where the source spikes before the target"),
    "a_minus": _number("step, downwards, where it does not"),
}

LEARNING_RULES: Table[LearningRule] = Table("learning rule")
_rules = (
    LearningRule("stdp", "pair STDP with exponential windows", _pair, {**_STEPS, **_WINDOW, **_BOUNDS}),
    LearningRule(
        "stdp_soft", "pair STDP, steps times the distance to the bound ahead", _soft, {**_STEPS, **_WINDOW, **_BOUNDS}
    ),
    LearningRule(
        "stdp_sign", "at a spike of the target: a fixed step up for sources that spiked before it in the sample, else down",
        _stdp_sign, {**_STEPS, **_BOUNDS},
    ),
    LearningRule(
        "stdp_multiplicative", "stdp_sign, steps times (w - w_min) (w_max - w)", _stdp_multiplicative, {**_STEPS, **_BOUNDS}
    ),
    LearningRule(
        "rstdp", "pairs leave a tag, and weights move by tag times reward", _rstdp,
        {
            "rate": _number("step of the weight for a fresh pair and a reward of 1"),
            "a_plus": _number("share of the pair 'source before target' in the tag", 1.0),
            "a_minus": _number("share of the pair 'target before source'", 1.0),
            "tag_leak": _number("share of the tag that an epoch takes", 0.0625),
            **_WINDOW, **_BOUNDS,
        },
        modulated=(1, 2),
    ),
    LearningRule(
        "homeostasis", "the weight of a tonic input falls at each spike of the target and rises else, toward a rate of spikes",
        _homeostasis,
        {
            "rate": _number("step, downwards, at a spike of the target"),
            "target_rate": _number("share of epochs in which the target shall spike"),
            "every": _number("epochs from one rise to the next, a power of two", 1.0),
            **_BOUNDS,
        },
    ),
    LearningRule(
        "products", "any sum of products, in the chip's own terms", _products,
        {
            **{f"{name}_impulse": _number(f"what a spike adds to {name}", 0.0) for name in TRACES},
            **{f"{name}_tau": _seconds(f"time constant of {name}", 0.0) for name in TRACES},
            **_BOUNDS,
        },
        texts=("dw", "dt"), modulated=(0, 2),
    ),
)  # fmt: skip
for _rule in _rules:
    LEARNING_RULES.register(_rule.name, _rule)
