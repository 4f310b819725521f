"""Random backpropagation: digits are learned from errors that the host sends, as the outputs ask for, or the network has."""

from __future__ import annotations

import numpy as np
import pytest

import neurocomp
from examples.families import Measured
from examples.families.erbp.family import (
    ALONE,
    CLASSES,
    HERE,
    HIDDEN,
    TOLD,
    TRIALS,
    errors_of,
    initial,
    network,
    spread,
    trials,
    with_error_neurons,
)
from neurocomp.api import Run, run_network
from neurocomp.ir.network import Samples

EARLY, LATE = slice(0, 40), slice(TRIALS - 80, TRIALS)


def right(run: Run, part: slice) -> float:
    """Return the share of trials in which the right output spikes the most before the error comes."""
    _, labels = trials()
    counts = run.arrays["spikes/digits"][:, :ALONE].sum(axis=1, dtype=np.int64)
    return float((counts.argmax(axis=1) == labels)[part].mean())


@pytest.fixture(scope="module")
def learned() -> Run:
    """Return what the integers of Loihi do and learn."""
    return neurocomp.compile(network(), "loihi").run("fast", probe="all")


def test_the_stimulus_is_what_a_host_in_the_loop_sends(learned: Run) -> None:
    """In every trial the errors in the second half are those that the answer in the first half asks for."""
    with np.load(HERE / "errors.npz") as data:
        errors = data["errors"].astype(np.int64)
    wanted = errors_of(learned.arrays["spikes/digits"])
    assert np.array_equal(errors, wanted)
    sent = learned.arrays["spikes/error_plus"].sum(axis=1) - learned.arrays["spikes/error_minus"].sum(axis=1)
    assert np.array_equal(sent, wanted)
    assert np.abs(wanted).max() <= TOLD


def test_it_learns(learned: Run) -> None:
    assert right(learned, LATE) >= 0.85
    assert right(learned, LATE) > right(learned, EARLY) + 0.15


def test_both_layers_have_learned(learned: Run) -> None:
    hidden, outputs, _ = initial()
    for name, start in (("pixels->hidden", hidden), ("hidden->digits", outputs)):
        weights = learned.arrays[f"weights/{name}"].reshape(-1, *start.shape)[-1] / 255
        assert np.abs(weights - start).mean() > 0.03


def test_hidden_neurons_hear_the_error_through_random_weights(learned: Run) -> None:
    """Which are fixed, and not those of the forward synapses."""
    feedback = learned.arrays["spikes/feedback_plus"].sum(axis=1) - learned.arrays["spikes/feedback_minus"].sum(axis=1)
    with np.load(HERE / "errors.npz") as data:
        wanted = np.clip(np.rint(data["errors"] @ initial()[2].T), -TOLD, TOLD)
    assert np.array_equal(feedback, wanted)
    outputs = learned.arrays["weights/hidden->digits"].reshape(-1, CLASSES, HIDDEN)[-1]
    assert abs(np.corrcoef(outputs.T.ravel(), initial()[2].ravel())[0, 1]) < 0.6


def test_silent_neurons_keep_their_weights() -> None:
    """One trial: the rows of hidden neurons that did not spike are as they were, others with feedback have moved."""
    made = network()
    assert made.data.samples is not None
    start, first = initial()[0], Samples({name: values[:1] for name, values in made.data.samples.inputs.items()})
    arrays = run_network(made, samples=first, probe="all").arrays
    moved = (np.abs(arrays["weights/pixels->hidden"].reshape(-1, *start.shape)[-1] - start) > 1e-9).any(axis=1)
    feedback = (arrays["spikes/feedback_plus"] + arrays["spikes/feedback_minus"])[0].any(axis=0)
    spiked = arrays["spikes/hidden"][0].any(axis=0)
    assert 0 < spiked.sum() < HIDDEN
    assert not moved[~spiked | ~feedback].any()
    assert moved.any()


def test_spikes_are_spread_evenly() -> None:
    spikes = spread(np.array([[0, 1, 5, TOLD]]))
    assert spikes[:, :ALONE].sum() == 0
    assert spikes.sum(axis=1).tolist() == [[0, 1, 5, TOLD]]
    assert spikes.max() == 1


@pytest.mark.slow
def test_error_neurons_learn_in_real_numbers_and_integers() -> None:
    made = with_error_neurons()
    for run in (run_network(made, probe="all"), neurocomp.compile(made, "reference").run("fast", probe="all")):
        assert right(run, LATE) >= 0.8
        assert right(run, LATE) > right(run, EARLY) + 0.1


@pytest.mark.slow
def test_erbp(measured: Measured) -> None:
    found = measured("erbp")
    part = found.pop("parts")["error_neurons"]
    assert {target: entry["lowering"] for target, entry in found.items()} == {
        "reference": "exact",
        "loihi": "exact",
        "truenorth": "refused",
    }
    assert {target: entry["lowering"] for target, entry in part.items()} == {
        "reference": "exact",
        "loihi": "refused",
        "truenorth": "refused",
    }
    assert {entry["code"] for entry in (found["truenorth"], part["loihi"], part["truenorth"])} == {"NC0350"}
