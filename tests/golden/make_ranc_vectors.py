"""Writes the vectors in tests/golden/ranc: networks in RANC's format with the output of `neurocomp.testing.ranc.simulated`.

Run it from the root of the repository: ``python tests/golden/make_ranc_vectors.py``.
"""

from __future__ import annotations

from pathlib import Path

from neurocomp.testing.ranc import random_network, write

FOLDER = Path(__file__).parent / "ranc"
VECTORS = {"asymmetric": (53, 0), "symmetric": (82, 1)}
"""Name -> seed and ``neuron_reset_type``."""

if __name__ == "__main__":
    for name, (seed, reset) in VECTORS.items():
        write(FOLDER / name, *random_network(seed, neuron_reset_type=reset), ticks=40)
