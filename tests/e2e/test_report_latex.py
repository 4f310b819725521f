"""What ``report`` writes for LaTeX compiles, and BibTeX finds every work."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]

needs_tex = pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("pdflatex", "bibtex")),
    reason="there is no TeX (Debian: apt-get install texlive-latex-extra texlive-science)",
)


def typeset(folder: Path, name: str) -> str:
    """Typeset a document with its bibliography and return the log of the last run."""
    latex = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", name]
    for command in (latex, ["bibtex", name], latex, latex):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
        assert done.returncode == 0, f"{command[0]} failed:\n{done.stdout[-3000:]}"
        if command[0] == "bibtex":
            assert "Warning" not in done.stdout, done.stdout
    return (folder / f"{name}.log").read_text(errors="replace")


@pytest.mark.latex
@needs_tex
@pytest.mark.parametrize("target", ["loihi", "loihi2", "own"])
def test_it_compiles(cli: Cli, folder: Path, target: str) -> None:
    """With costs, without, and with a spec and names that hold what LaTeX reads as commands."""
    name = target
    if target == "own":
        text = (Path(__file__).parents[2] / "hwspecs/neurocomp_hwspecs/loihi.yaml").read_text()
        text = text.replace("sanafe", "my_lab").replace(
            "J. A. Boyle et al., SANA-FE, IEEE TCAD 2025;", "50% of {our} $own_& #1 \\\\x ~^"
        )
        text = text.replace("title: Intel Loihi (2018), 14 nm", 'title: "Chip_#2 & 100% Loïc µ 漢 \\\\alpha"')
        (folder / "chip.yaml").write_text(text)
        net = (folder / "net.yaml").read_text().replace("name: small", 'name: "50%_{small} & \\\\x^~ 漢字 é"')
        (folder / "net.yaml").write_text(net)
        name = "./chip.yaml"
    assert cli("compile", "net.yaml", "--target", name, "-o", "again.ncz").code == 0
    result = cli("report", "again.ncz", "--samples", "6", "-o", "paper.tex")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[-3:] == ["written: paper.tex", "written: paper.bib", "written: paper-document.tex"]
    log = typeset(folder, "paper-document")
    assert not re.search(r"undefined|multiply defined|Overfull|Missing character", log), re.findall(
        r".*(?:undefined|Overfull|Missing).*", log
    )
    assert (folder / "paper-document.pdf").read_bytes().startswith(b"%PDF")
