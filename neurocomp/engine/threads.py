"""Items computed by threads and handed on in order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

WAIT_SECONDS = 0.1


def available_processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def in_order(function: Callable[[Any], Any], items: Sequence[Any], jobs: int, *, interruptible: bool = False) -> Iterator[Any]:
    """Yield ``function(item)`` for every item in order, computed by ``jobs`` threads, which run at most a little ahead.

    After an error or an interruption no further item is begun, and those that threads are at are not waited for.
    ``interruptible``: even a single job has a thread of its own, so that the caller's sees an interruption at once.
    """
    if not interruptible and (jobs <= 1 or len(items) <= 1):
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(max(1, min(jobs, len(items))), thread_name_prefix="neurocomp")
    try:
        waiting = [pool.submit(function, item) for item in items[: 2 * jobs]]
        for index in range(len(items)):
            while not waiting[index].done():
                # A signal that comes just before a wait does not end it, so that none may last long.
                wait([waiting[index]], WAIT_SECONDS)
            yield waiting[index].result()
            waiting[index] = None  # type: ignore[call-overload]
            if len(waiting) < len(items):
                waiting.append(pool.submit(function, items[len(waiting)]))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
