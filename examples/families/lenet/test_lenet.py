"""What becomes of LeNet on each chip."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.families import Measured


@pytest.mark.slow
def test_lenet(measured: Measured, tmp_path: Path) -> None:
    found = measured("lenet")
    part = found.pop("parts")["if"]
    assert {target: entry["lowering"] for target, entry in found.items()} == {
        "reference": "exact",
        "loihi": "exact",
        "truenorth": "refused",
    }
    assert found["loihi"]["accuracy_float"] == 0.996
    assert found["loihi"]["accuracy_fixed"] >= 0.99
    assert found["truenorth"]["code"] == "NC0313"
    assert (part["loihi"]["code"], part["truenorth"]["lowering"]) == ("NC0316", "lossy")
    assert part["truenorth"]["accuracy_fixed"] >= 0.99
    assert (tmp_path / "lenet" / "loihi.ncz").exists()
