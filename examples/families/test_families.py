"""The set of families, and the page that shows them."""

from __future__ import annotations

from examples.families import families, table


def test_the_page_has_every_family_and_no_other() -> None:
    assert table.keys() == list(families())


def test_every_network_is_tried_on_both_chips() -> None:
    for key, family in families().items():
        assert "" in family.parts, key
        for name, part in family.parts.items():
            assert {"loihi", "truenorth"} <= set(part.targets), (key, name)


def test_chips_reached() -> None:
    """At least 16 families reach Loihi and 8 reach TrueNorth."""
    rows = {key: table.documented(key)[0].split(" | ") for key in families()}
    column = {"loihi": 2, "truenorth": 4}
    reached = {target: sum(row[at].startswith(("exact", "lossy")) for row in rows.values()) for target, at in column.items()}
    assert reached["loihi"] >= 16
    assert reached["truenorth"] >= 8
