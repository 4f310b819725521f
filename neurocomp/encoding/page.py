"""The page docs/encoders.md, from the registrations: ``python -m neurocomp.encoding.page > docs/encoders.md``."""

from __future__ import annotations

from collections.abc import Iterator

from neurocomp.encoding import DECODERS, ENCODERS, FILTERS, DecoderScheme, EncoderScheme, FilterScheme, Option
from neurocomp.models.registration import Table

_HEAD = """\
# Encoders, filters and decoders

How data become spikes and spikes become answers: parts of the network, written in net.yaml, stored in the artifact and counted
in the report. `python -m neurocomp.encoding.page` makes this page from the registrations, and a test compares them.

    encode: {pixels: {scheme: latency, front: [{dog: {sigma: 1, sigma_surround: 2}}]}}
    decode: {digits: {scheme: rank, classes: 10}}

In the formulas x = value × `scale` × `gain`, multiplied in float64 in that order, t is the tick from 0, T the number of ticks,
n the number of neurons, v that of values. Every formula gives the same bits on every platform: exponentials are sums and
products ([net-yaml.md](net-yaml.md#encoders)), sums go in a fixed
order, and a random number is a function of the seed, the sample, the
neuron, the tick and the population, whatever the batch and the threads.

A source names where the idea of a scheme comes from. No default is claimed to be a source's number, such as `threshold` of
`bsa`, `beta` and `cutoff` of `population` or the intervals of `burst`: defaults are conventions of this project, near what is
common. So is what a source leaves open: ticks in place of continuous time, where ties go, what is past the end of the data.

## Which shape

The input population has the shape of the spikes; the data follow.

| encoder | population | data |
|---|---|---|
| `delta`, `step_forward` | [2, *shape*], or a doubled first axis; the first half is what rises | (samples, ticks, *shape*) |
| the same with `polarity: up` | *shape* | (samples, ticks, *shape*) |
| `population` | [*shape*, fields], or the last axis times `fields` | (samples, *shape*) |
| `events`, `event_counts` | [2, H, W]: p = 0, then p = 1 | events t, x, y, p |
| `direct`, `graded`, `hsa`, `bsa` | *shape* | (samples, ticks, *shape*); ticks that they lack are silent |
| any other | *shape* | (samples, *shape*) |
| a filter in front | what the encoder takes is [2 C, H, W]: C channels of on, then C of off | [C, H, W] in place of that |

So `{scheme: latency, front: dog}` of a population [2, 28, 28] takes images (samples, 28, 28).

## Counts

The report counts what encoders and decoders compute on the host per sample: multiplications with or without an addition, and
additions alone (MACs), comparisons, and random numbers, by the column "operations"; where the number depends on the data it is
the most that can be. Of energy they are priced by the conventions of papers alone, since they run beside the chip.
"""

_EVENTS = """\
## Events of a camera

    populations: {camera: {kind: input, shape: [2, 128, 128]}}
    encode: {camera: {scheme: events, interval: 1000}}
    data: {inputs: {camera: [left.aedat, right.aedat]}, labels: test.npz#labels}

| file | holds |
|---|---|
| `FILE.npz` | arrays `t`, `x`, `y`, `p` of whole numbers, one value per event, and if it has several samples `sample`, from 0 |
| `FILE.npz#key`, `FILE.npy` | a structured array with these fields |
| `FILE.aedat`, `FILE.aedat4` | one sample: AEDAT 2.0 (DVS128, DAVIS), 3.1 (polarity events), or 4 (needs `pip install aedat`) |

Of a list each file's samples follow those of the file before. Time stamps are not negative and need not be in order; `interval`
of them make a tick (AEDAT counts microseconds: 1000 are 1 ms), and what comes after the last tick is left out, with a warning
that counts it. An event beside the camera is an error. p = 1 is brighter; of AEDAT 2.0, x and y are the address bits as stored.
"""


def text() -> str:
    """Return the page."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield _HEAD
    yield "## Encoders\n"
    yield from _table("scheme", "spikes", ENCODERS)
    yield "\n## Filters in front\n"
    yield (
        "`front: NAME`, `front: {NAME: {OPTION: VALUE}}`, or a list, applied in its order, before `scale` and `gain`. "
        "The positive part of the response is on, the negative part off. r is the distance from the middle in pixels; "
        "the image goes on beyond its edges as at them. They stand in front of any encoder of values or signals.\n"
    )
    yield from _table("filter", "response", FILTERS)
    yield "\n" + _EVENTS
    yield "## Decoders\n"
    yield "Of equals the lowest index, or class, wins.\n"
    yield from _table("scheme", "answer", DECODERS)
    yield ""


def _table(
    kind: str, gives: str, members: Table[EncoderScheme] | Table[FilterScheme] | Table[DecoderScheme]
) -> Iterator[str]:  # fmt: skip
    yield f"| {kind} | options (default) | {gives} | operations | source |"
    yield "|---|---|---|---|---|"
    for name in members:
        scheme = members[name]
        stated = ", ".join(f"`{key}` ({_default(option)})" for key, option in scheme.options.items())
        cells = (f"`{name}`", stated, scheme.formula, scheme.cost, scheme.source)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(option: Option) -> str:
    others = [word for word in option.words if word != option.default]
    value = option.default if isinstance(option.default, str) else f"{option.default:g}"
    return f"{value}; or {', '.join(others)}" if others else value


if __name__ == "__main__":
    print(text(), end="")
