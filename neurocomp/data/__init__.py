"""Arrays that network files name: weights, samples, labels and stimuli, read-only and memory-mapped where possible."""

from neurocomp.data.arrays import is_reference, load_array, load_stimulus, load_trace
from neurocomp.data.samples import Reference, load_samples

__all__ = ["Reference", "is_reference", "load_array", "load_samples", "load_stimulus", "load_trace"]
