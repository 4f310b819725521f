"""Arrays that network files name: weights, samples, labels and stimuli, read-only and memory-mapped where possible."""

from neurocomp.data.arrays import is_reference, load_array, load_stimulus, load_trace
from neurocomp.data.events import EVENT_FILE, is_event_file, load_events
from neurocomp.data.samples import Reference, load_samples

__all__ = [
    "EVENT_FILE",
    "Reference",
    "is_event_file",
    "is_reference",
    "load_array",
    "load_events",
    "load_samples",
    "load_stimulus",
    "load_trace",
]
