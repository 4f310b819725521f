"""Constructs of the literature that no member of a table can be: what they are, which limit rules them out, a way out.

A file that names one is refused with NC0324, which says so, where any other unknown name is a question of spelling (NC0208).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Inexpressible:
    """One construct; the texts are for users."""

    what: str
    """What it computes and what of that cannot be said, with its source."""
    limit: str
    """What there is instead."""
    hint: str


_GATES = (
    "a neuron adds weighted spikes to a state of its own; none multiplies its state by a real number that another one computes"
)
_FACTORS = "factors of a rule are traces of spikes, the weight and the tag of the synapse, and what a modulator sends, 0 to 127"
_OFFLINE = "train it outside and load the weights without 'learn'"

INEXPRESSIBLE: Mapping[str, Mapping[str, Inexpressible]] = {
    "neuron model": {
        "phased_lstm": Inexpressible(
            "a time gate k(t) of real times multiplies the cell state, c = k c' + (1 - k) c, and so do the gates of an LSTM, "
            "in floating point (Neil, Pfeiffer and Liu 2016)",
            _GATES,
            "gate by subtraction ('lif' and an inhibitory projection), or build gates from 'if' neurons",
        ),
        "lstm": Inexpressible(
            "its gates multiply the cell state, c = f c + i g, in floating point (Hochreiter and Schmidhuber 1997)",
            _GATES,
            "gate by subtraction ('lif' and an inhibitory projection), or build gates from 'if' neurons",
        ),
        "gru": Inexpressible(
            "its gates multiply the state, h = (1 - z) h + z h', in floating point (Cho et al. 2014)",
            _GATES,
            "gate by subtraction ('lif' and an inhibitory projection), or build gates from 'if' neurons",
        ),
    },
    "learning rule": {
        "eprop": Inexpressible(
            "it moves a weight by a learning signal of either sign times an eligibility trace, a filtered product of the "
            "source's trace and the pseudo-derivative of the target's potential (Bellec et al. 2020)",
            f"{_FACTORS}; there is none of the potential, and tags add up pairs of spikes",
            f"'rule: rstdp' or 'products' with a modulator, which learn from spikes and rewards; or {_OFFLINE}",
        ),
        "bptt": Inexpressible(
            "it sends errors back through time, over all ticks of a sample and all weights (Neftci, Mostafa and Zenke 2019)",
            f"{_FACTORS}, all of the present epoch",
            _OFFLINE,
        ),
    },
}
"""Kind of table -> name -> the construct."""


def inexpressible(kind: str, name: str) -> Inexpressible | None:
    """Return what a name means that no member of a table can be; case, '-' and '_' make no difference.

    >>> inexpressible("learning rule", "E-prop") is INEXPRESSIBLE["learning rule"]["eprop"]
    True
    """
    plain = _plain(name)
    return next((found for key, found in INEXPRESSIBLE.get(kind, {}).items() if _plain(key) == plain), None)


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
