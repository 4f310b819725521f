"""What the tests of families share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from examples.families import Measured, families, measure, table


@pytest.fixture
def measured(tmp_path: Path) -> Measured:
    """Return a function that measures a family, and asserts that docs/families.md says what came out."""

    def of(key: str) -> dict[str, Any]:
        family = families()[key]
        found = measure(key, family, tmp_path)
        assert table.documented(key) == table.rows(key, family, found), "python -m examples.families --write"
        return found

    return of
