"""E-prop is refused on every target, with the construct, the limit and a way out; the way out compiles."""

from __future__ import annotations

from pathlib import Path

import neurocomp
from examples.families import Measured
from neurocomp.frontends.from_yaml import loads


def test_eprop_is_refused(measured: Measured) -> None:
    found = measured("eprop")
    assert {(entry["lowering"], entry["code"]) for entry in found.values()} == {("refused", "NC0324")}
    assert set(found) == {"reference", "loihi", "loihi2", "truenorth"}
    entry = found["loihi"]
    assert entry["message"].startswith("projection 'cells->cells': learn: rule: 'eprop' is no learning rule")
    assert "pseudo-derivative of the target's potential" in entry["message"]
    assert entry["limit"].startswith("factors of a rule are traces of spikes")
    assert entry["hint"].startswith("'rule: rstdp' or 'products' with a modulator")


def test_the_hint_of_the_refusal_compiles() -> None:
    """Three factors of which one is the modulator: pairs of spikes leave a tag, the error moves tagged weights."""
    text = (Path(__file__).parent / "net.yaml").read_text(encoding="utf-8")
    made = loads(text.replace("rule: eprop, rate: 0.01, dampening: 0.3", "rule: rstdp, rate: 0.01"), Path())
    assert neurocomp.compile(made, "loihi").verify(count=2).bit_exact
