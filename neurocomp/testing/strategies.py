"""Hypothesis strategies for networks and stimuli; the only module of neurocomp that imports Hypothesis.

The structure of a network is drawn choice by choice and shrinks; the elements of its arrays come from a generator with a drawn
seed, because thousands of single draws per example would be slow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from hypothesis import strategies as st

from neurocomp.backend import Stimulus
from neurocomp.ir.network import Network
from neurocomp.testing.random_integers import PLAIN, Case, IntegerVariety, any_integer_network
from neurocomp.testing.random_networks import (
    DEFAULT,
    Variety,
    native_network,
    random_network,
    random_real_network,
    real_network,
    stimulus,
)

__all__ = [
    "Variety",
    "integer_networks",
    "native_networks",
    "random_network",
    "random_real_network",
    "real_networks",
    "stimuli",
]

T = TypeVar("T")


class _Drawn:
    """Choices made by Hypothesis."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def integer(self, low: int, high: int) -> int:
        """See `neurocomp.testing.random_networks.Choices.integer`."""
        return self.draw(st.integers(low, high))

    def one_of(self, options: Sequence[T]) -> T:
        """See `neurocomp.testing.random_networks.Choices.one_of`."""
        return self.draw(st.sampled_from(options))

    def chance(self, percent: int) -> bool:
        """See `neurocomp.testing.random_networks.Choices.chance`."""
        return self.draw(st.integers(0, 99)) >= 100 - percent


@st.composite
def native_networks(draw: st.DrawFn, variety: Variety = DEFAULT) -> Network:
    """Draw a network whose populations and weights are integers of the format ``loihi``."""
    return native_network(_Drawn(draw), variety)


@st.composite
def real_networks(draw: st.DrawFn, variety: Variety = DEFAULT) -> Network:
    """Draw a network of real numbers."""
    return real_network(_Drawn(draw), variety)


@st.composite
def integer_networks(draw: st.DrawFn, variety: IntegerVariety = PLAIN) -> Case:
    """Draw an integer network that no compiler made, a stimulus for it, and lags."""
    return any_integer_network(_Drawn(draw), variety)


@st.composite
def stimuli(draw: st.DrawFn, network: Network) -> Stimulus:
    """Draw zeros and ones for each input of ``network``: uint8 (samples 1..3, ticks 1..24, n)."""
    return stimulus(_Drawn(draw), network)
