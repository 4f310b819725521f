"""What becomes of mlp_direct on each chip."""

from __future__ import annotations

import pytest

from examples.families import Measured


@pytest.mark.slow
def test_mlp_direct(measured: Measured) -> None:
    found = measured("mlp_direct")
    assert (found["loihi"]["lowering"], found["truenorth"]["lowering"]) == ("exact", "lossy")
    assert found["truenorth"]["accuracy_fixed"] >= 0.97
    assert (found["loihi"]["accuracy_float"], found["loihi"]["accuracy_fixed"]) == (0.99, 0.992)
    parts = found["parts"]
    assert (parts["if"]["loihi"]["lowering"], parts["trinary"]["truenorth"]["lowering"]) == ("lossy", "exact")
    assert parts["trinary"]["truenorth"]["accuracy_fixed"] >= 0.95
    assert parts["if"]["truenorth"]["lowering"] == "lossy"
    assert parts["if"]["truenorth"]["accuracy_fixed"] >= 0.98
