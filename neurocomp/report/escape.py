"""Any text of the user in LaTeX."""

from __future__ import annotations

import unicodedata

_SIGNS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": "'",
    "`": r"\textasciigrave{}",
    "-": r"-{}",  # no dashes out of two hyphens
    "\n": " ",
    "\t": " ",
    "µ": r"\textmu{}",
    "μ": r"\textmu{}",
    "×": r"\texttimes{}",
    "·": r"\textperiodcentered{}",
    "±": r"\textpm{}",
    "°": r"\textdegree{}",
    "–": "--",
    "—": "---",
    "−": r"\ensuremath{-}",
    "…": r"\ldots{}",
    "’": "'",
    "‘": "`",
    "“": "``",
    "”": "''",
    "→": r"\ensuremath{\rightarrow}",
    "←": r"\ensuremath{\leftarrow}",
    "≤": r"\ensuremath{\leq}",
    "≥": r"\ensuremath{\geq}",
    "§": r"\S{}",
    "ß": r"\ss{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "å": r"\aa{}",
    "Å": r"\AA{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
    "\N{NO-BREAK SPACE}": "~",
}
_ACCENTS = {
    "\N{COMBINING GRAVE ACCENT}": "`",
    "\N{COMBINING ACUTE ACCENT}": "'",
    "\N{COMBINING CIRCUMFLEX ACCENT}": "^",
    "\N{COMBINING TILDE}": "~",
    "\N{COMBINING MACRON}": "=",
    "\N{COMBINING BREVE}": "u",
    "\N{COMBINING DOT ABOVE}": ".",
    "\N{COMBINING DIAERESIS}": '"',
    "\N{COMBINING RING ABOVE}": "r",
    "\N{COMBINING DOUBLE ACUTE ACCENT}": "H",
    "\N{COMBINING CARON}": "v",
    "\N{COMBINING CEDILLA}": "c",
    "\N{COMBINING OGONEK}": "k",
}
_GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi omega"
_CAPITALS = ("gamma", "delta", "theta", "lambda", "xi", "pi", "sigma", "upsilon", "phi", "psi", "omega")


def _greek() -> dict[str, str]:
    signs = {}
    for name in _GREEK.split():
        letter = "LAMDA" if name == "lambda" else name.upper()
        signs[unicodedata.lookup(f"GREEK SMALL LETTER {letter}")] = rf"\ensuremath{{\{name}}}"
        if name in _CAPITALS:
            signs[unicodedata.lookup(f"GREEK CAPITAL LETTER {letter}")] = rf"\ensuremath{{\{name.capitalize()}}}"
    return signs


_SIGNS = {**_greek(), **_SIGNS}


def latex(text: str) -> str:
    r"""Return text that LaTeX prints as it is; what its fonts lack is printed as the number of the sign.

    >>> latex("a_b & 50%"), latex("Loïc"), latex("漢")
    ('a\\_b \\& 50\\%', 'Lo\\"{\\i}c', '[U+6F22]')
    """
    return "".join(_sign(sign) for sign in unicodedata.normalize("NFC", text))


def _sign(sign: str) -> str:
    if sign in _SIGNS:
        return _SIGNS[sign]
    if " " <= sign <= "~":
        return sign
    letter, *accents = list(unicodedata.normalize("NFD", sign))
    if len(accents) == 1 and accents[0] in _ACCENTS and letter.isascii():
        base = rf"\{letter}" if letter in "ij" else letter
        return rf"\{_ACCENTS[accents[0]]}{{{base}}}"
    return f"[U+{ord(sign):04X}]"
