"""A phased LSTM is refused on every target, with the construct, the limit and a way out."""

from __future__ import annotations

from pathlib import Path

from examples.families import Measured


def test_phased_lstm_is_refused(measured: Measured, tmp_path: Path) -> None:
    found = measured("phased_lstm")
    assert {(entry["lowering"], entry["code"]) for entry in found.values()} == {("refused", "NC0324")}
    assert set(found) == {"reference", "loihi", "loihi2", "truenorth"}
    entry = found["truenorth"]
    assert entry["message"] == (
        "population 'memory': model: 'phased_lstm' is no neuron model that synapses and neurons of spikes can be: a time gate "
        "k(t) of real times multiplies the cell state, c = k c' + (1 - k) c, and so do the gates of an LSTM, in floating point "
        "(Neil, Pfeiffer and Liu 2016)"
    )
    assert entry["limit"].endswith("none multiplies its state by a real number that another one computes")
    assert entry["hint"].startswith("gate by subtraction")
    assert not list(tmp_path.iterdir())
