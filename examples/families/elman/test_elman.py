"""What becomes of elman on each chip."""

from __future__ import annotations

import pytest

from examples.families import Measured


@pytest.mark.slow
def test_elman(measured: Measured) -> None:
    found = measured("elman")
    assert found["truenorth"]["lowering"] == "exact"
    assert found["truenorth"]["accuracy_fixed"] == found["truenorth"]["accuracy_float"]
    cuba = found["parts"]["cuba_lif"]["loihi"]
    assert (cuba["lowering"], cuba["accuracy_float"], cuba["accuracy_fixed"]) == ("exact", 0.98, 0.98)
