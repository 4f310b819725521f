"""Families measured side by side, each in a process."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from examples.families import families, measure


def in_processes(keys: Sequence[str], keep: Path, jobs: int) -> Iterator[tuple[str, dict[str, Any] | str, float]]:
    """Yield (key, entry or what went wrong, seconds) in the order of the keys, as soon as each is there."""
    with ProcessPoolExecutor(min(jobs, len(keys)), mp_context=get_context("spawn")) as pool:
        for key, (found, seconds) in zip(keys, pool.map(_measure, keys, [keep] * len(keys)), strict=True):
            yield key, found, seconds


def _measure(key: str, keep: Path) -> tuple[dict[str, Any] | str, float]:
    begin = time.perf_counter()
    try:
        found: dict[str, Any] | str = measure(key, families()[key], keep)
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
    return found, time.perf_counter() - begin
