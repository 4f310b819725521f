"""A report as CSV, tidy: a row for each quantity of each subject, and in each row which run it is of."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, fields

from neurocomp.report.quantities import Document, Quantity, quantities

RUN = ("network", "target", "costs", "samples", "ticks")
"""Columns that tell runs apart where rows of several reports stand in one table."""
COLUMNS = (*RUN, *(field.name for field in fields(Quantity)), "basis")


def csv_text(document: Document) -> str:
    """Return the CSV of a report; what is not known, or not defined, is an empty field.

    Args:
        document: What ``report --json`` prints.
    """
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    writer.writeheader()
    run = {name: document[name] for name in RUN if name in document} | {"costs": document["energy"]["costs"]}
    basis = document["badge"]
    if document.get("not_on_this_chip"):
        basis += f" · NOT ON THIS CHIP: {', '.join(document['not_on_this_chip'])}"
    for quantity in quantities(document):
        writer.writerow({**run, **asdict(quantity), "basis": basis})
    return file.getvalue()
