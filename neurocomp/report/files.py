"""The files of a report: which there are, and how they come to be whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from neurocomp.report import Report
from neurocomp.report.bibliography import Sources, entries

FORMATS = ("text", "json", "csv", "html", "latex", "figures", "all")
ENDINGS = {".txt": "text", ".json": "json", ".csv": "csv", ".html": "html", ".htm": "html", ".tex": "latex"}
"""Ending of a file -> the format that it stands for; a name without an ending is a folder for all."""
FOLDERS = ("figures", "all")
"""Formats of several files, which go into a folder."""
STEM = "report"
"""Files in a folder are named so, with their endings; figures by what they show."""
PICTURED = ("html", "figures", "all")
"""Formats that show the spikes of a sample."""

Files = Iterator[tuple[str, bytes]]
Json = Callable[[Mapping[str, Any]], str]


def files_of(report: Report, form: str, stem: str, references: str, text: Callable[[], str], document: Json) -> Files:
    """Yield the name and the bytes of each file of a format.

    Args:
        report: The report, with its ``raster`` for formats that show it.
        form: One of `FORMATS`.
        stem: The name of the files without their endings; figures have names of their own.
        references: The .bib files beside the installed specs.
        text: Gives the report as text.
        document: Turns a document into JSON.
    """
    sources = Sources(report.spec.sources, entries(references))
    whole = {**report.as_json(), "not_on_this_chip": list(report.not_on_this_chip), "interrupted": report.interrupted}
    if form in ("text", "all"):
        yield f"{stem}.txt", text().encode()
    if form in ("json", "all"):
        yield f"{stem}.json", document(whole).encode()
    if form in ("csv", "all"):
        from neurocomp.report.csv import csv_text

        yield f"{stem}.csv", csv_text(whole).encode()
    if form in ("html", "all"):
        from neurocomp.report.html import html

        yield f"{stem}.html", html(report, sources).encode()
    if form in ("latex", "all"):
        from neurocomp.report.latex import latex_files

        made = latex_files(report, sources, stem)
        yield f"{stem}.tex", made.tables.encode()
        yield f"{stem}.bib", made.bib.encode()
        yield f"{stem}-document.tex", made.document.encode()
    if form in FOLDERS:
        from neurocomp.report.figures import figures

        yield from figures(report)


def format_of(path: Path) -> str | None:
    """Return the format that the name of a file or folder stands for; None: it says nothing.

    >>> format_of(Path("net.tex")), format_of(Path("paper")), format_of(Path("net.odt"))
    ('latex', 'all', None)
    """
    return "all" if not path.suffix or path.is_dir() else ENDINGS.get(path.suffix.lower())
