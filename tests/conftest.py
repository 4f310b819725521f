"""Which simulator executes integer networks where the suites need one, and what is left out where Lava cannot run."""

from __future__ import annotations

import pytest

from neurocomp_loihi import lava_shim

ENGINES = ("reference", "fast")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--engine``; only tests/conformance and tests/properties read it."""
    parser.addoption(
        "--engine",
        choices=ENGINES,
        default=ENGINES[0],
        help="the simulator that compiles, verifies and counts in tests/conformance and tests/properties",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Give the conformance suite its simulator."""
    if (engine := config.getoption("engine")) != ENGINES[0]:
        from neurocomp.testing.conformance import BackendConformance

        BackendConformance.simulator = engine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave tests that run Lava out where there is none: on Python 3.13, as `test_lava_is_there_wherever_it_runs` asserts."""
    reason = lava_shim.available() if any(item.get_closest_marker("lava") for item in items) else None
    if reason is not None:
        for item in items:
            if item.get_closest_marker("lava"):
                item.add_marker(pytest.mark.skip(reason=reason))
