"""Citations: which sources a report uses, their BibTeX entries, and how they are marked in text.

Text with citations marks them as ``[@key]``. `plain`, and the writers of LaTeX and HTML, make of it what their format has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from neurocomp.report.escape import latex

MARK = re.compile(r"\[@([A-Za-z0-9:._+-]+)\]")
_ACCENTS = {'{\\"i}': "ï", "{\\^i}": "î", '{\\"o}': "ö", '{\\"u}': "ü", "{\\'e}": "é"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A BibTeX entry."""

    key: str
    text: str
    """As it stands in the file."""
    fields: Mapping[str, str]

    @property
    def plain(self) -> str:
        """The entry as one line of text: authors, title, where, year."""
        authors = [name.strip() for name in _clean(self.fields.get("author", "")).split(" and ") if name.strip()]
        shown = (
            authors[0] + (" et al." if len(authors) > 3 else "")
            if len(authors) > 3 or len(authors) == 1
            else "; ".join(authors)
        )
        where = next(
            (self.fields[name] for name in ("journal", "booktitle", "howpublished", "type") if name in self.fields), ""
        )
        doi = f"doi:{self.fields['doi']}" if "doi" in self.fields else ""
        parts = (shown, _clean(self.fields.get("title", "")), _clean(where), self.fields.get("year", ""), doi)
        return ", ".join(part for part in parts if part)


def entries(text: str) -> dict[str, Entry]:
    """Return the entries of a .bib file by key; what stands between entries is a comment."""
    found = {}
    for start in re.finditer(r"^@(\w+)\{([^,\s]+),", text, re.MULTILINE):
        end = _closing(text, text.index("{", start.start()))
        inside = text[start.end() : end]
        fields = {name.lower(): value for name, value in _fields(inside)}
        found[start.group(2)] = Entry(start.group(2), text[start.start() : end + 1], fields)
    return found


def _fields(inside: str) -> list[tuple[str, str]]:
    result, at = [], 0
    while (match := re.compile(r"\s*(\w+)\s*=\s*\{").match(inside, at)) is not None:
        end = _closing(inside, match.end() - 1)
        result.append((match.group(1), inside[match.end() : end]))
        at = end + 2 if inside[end + 1 : end + 2] == "," else end + 1
    return result


def _closing(text: str, brace: int) -> int:
    """Return where the brace at a place is closed."""
    depth = 0
    for index in range(brace, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if not depth:
            return index
    raise ValueError(f"a brace is never closed: {text[brace : brace + 40]!r}")


def _clean(text: str) -> str:
    for sign, letter in _ACCENTS.items():
        text = text.replace(sign, letter)
    return text.replace("{", "").replace("}", "").replace("--", "–")


@dataclass(frozen=True, slots=True)
class Sources:
    """What can be cited: the sources that a spec states, and the works of the .bib files beside the installed specs."""

    stated: Mapping[str, str]
    """Key of the spec -> its text."""
    known: Mapping[str, Entry]
    keys: Mapping[str, str] = field(init=False)
    """Key of the spec -> the key that is cited."""

    def __post_init__(self) -> None:
        keys: dict[str, str] = {}
        for key, text in self.stated.items():
            if key in self.known and _is_of(self.known[key], text):
                keys[key] = key
                continue
            # A key of the user's own: BibTeX takes few signs, and another work may have the name already.
            safe = base = re.sub(r"[^A-Za-z0-9:._+-]+", "-", key).strip("-_") or "source"
            count = 1
            while safe in self.known or safe in keys.values():
                count += 1
                safe = f"{base}-{count}"
            keys[key] = safe
        object.__setattr__(self, "keys", keys)

    def marked(self, text: str) -> str:
        """Return the text of a ``source`` of the spec with its keys marked as citations."""
        return _marked(text, self.keys)

    def marked_works(self, text: str) -> str:
        """Return text that names works of the .bib files, or sources of the spec, with them marked as citations."""
        return _marked(text, {**{key: key for key in self.known}, **self.keys})

    def entry(self, cited: str) -> Entry:
        """Return the entry of a cited key; a source of the spec without one becomes @misc with the text of the spec."""
        own = {safe: key for key, safe in self.keys.items()}
        if cited in own and not (own[cited] == cited and cited in self.known):
            text = self.stated[own[cited]]
            return Entry(
                cited, f"@misc{{{cited},\n  key   = {{{cited}}},\n  title = {{{{{latex(text)}}}}}\n}}", {"title": text}
            )
        return self.known[cited]

    def plain(self, cited: str) -> str:
        """Return a cited work as one line: as the spec states it, else from its entry."""
        own = {safe: key for key, safe in self.keys.items()}
        return self.stated[own[cited]] if cited in own else self.entry(cited).plain

    def bib(self, cited: list[str]) -> str:
        """Return a .bib file of exactly these keys."""
        return "\n\n".join(self.entry(key).text for key in cited) + "\n"


def _is_of(entry: Entry, text: str) -> bool:
    """Whether the text of a spec means the work of an entry: it names the first author, or the first word of the title."""
    author = _clean(entry.fields.get("author", "")).split(" and ")[0].split(",")[0]
    names = [author.split(" Corporation")[0], _clean(entry.fields.get("title", "")).split()[0].rstrip(":")]
    return any(name and name.lower() in text.lower() for name in names)


def _marked(text: str, keys: Mapping[str, str]) -> str:
    if not keys:
        return text
    longest_first = sorted(keys, key=lambda key: (-len(key), key))
    words = "|".join(re.escape(key) for key in longest_first)
    return re.sub(rf"(?<![\w/.-])(?:{words})(?![\w/-])", lambda match: f"[@{keys[match.group()]}]", text)


def cited(text: str) -> list[str]:
    """Return the keys that are marked in a text, each once, in their order."""
    return list(dict.fromkeys(MARK.findall(text)))


def replaced(text: str, prose: Callable[[str], str], citation: Callable[[str], str]) -> str:
    """Return marked text with its prose and its citations turned into another format."""
    parts = MARK.split(text)
    return "".join(citation(part) if index % 2 else prose(part) for index, part in enumerate(parts))


def plain(text: str) -> str:
    """Return marked text for people: ``[key]``.

    >>> plain("as in [@efron1979]")
    'as in [efron1979]'
    """
    return MARK.sub(r"[\1]", text)
