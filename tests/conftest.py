"""Which simulator executes integer networks where the suites need one."""

from __future__ import annotations

import pytest

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
