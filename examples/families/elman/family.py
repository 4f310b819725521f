"""A recurrent layer that reads an image row by row: the trained networks of examples/recurrent and examples/elman_truenorth."""

from __future__ import annotations

from pathlib import Path

from examples.families import Family, Part

EXAMPLES = Path(__file__).parents[2]

FAMILY = Family(
    "Elman: a recurrent hidden layer, trained through time; with weights of -1, 0, 1 for TrueNorth",
    "Elman 1990; Diehl et al. 2016",
    {
        "": Part(EXAMPLES / "elman_truenorth" / "net.yaml", {"loihi": {"compare": "gt"}}),
        "cuba_lif": Part(EXAMPLES / "recurrent" / "net.yaml"),
    },
)
