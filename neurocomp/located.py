"""YAML in which every value keeps its place in the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from neurocomp.errors import Diagnostic, Location, NetworkError

Path = tuple[str | int, ...]

MAX_VALUES = 1_000_000
"""Bounds what a short file of aliases may grow to; arrays of that size belong in .npy files."""


@dataclass(frozen=True, slots=True)
class LocatedYaml:
    """A parsed document: plain values, and the place of each by its path of keys and indices."""

    value: Any
    values: dict[Path, Location]
    keys: dict[Path, Location]

    def at(self, path: Path) -> Location:
        """Return the place of the value at ``path``, or of its closest enclosing value."""
        while path and path not in self.values:
            path = path[:-1]
        return self.values[path]

    def key_at(self, path: Path) -> Location:
        """Return the place of the key at ``path``, or of the closest enclosing value."""
        return self.keys.get(path) or self.at(path)


class _Loader(yaml.SafeLoader):
    """SafeLoader in which ``on``, ``off``, ``yes`` and ``no`` stay text and ``1e-3`` is a number."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:float")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _install_resolvers() -> None:
    import re

    _Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
    _Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(
            r"^[-+]?(?:\d+\.\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+|\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
        ),
        list("-+0123456789."),
    )


_install_resolvers()


def parse(text: str, file: str) -> LocatedYaml:
    """Parse one YAML document.

    Args:
        text: The document.
        file: The name that locations carry.

    Raises:
        NetworkError: The text is not YAML, a key stands twice in one mapping, or the document is empty (NC0102).
    """
    lines = text.splitlines()

    def place(mark: yaml.error.Mark, end: yaml.error.Mark) -> Location:
        line = lines[mark.line] if mark.line < len(lines) else ""
        length = (end.column if end.line == mark.line else len(line)) - mark.column
        return Location(file, mark.line + 1, mark.column + 1, line, max(1, length))

    too_deep = NetworkError(Diagnostic("NC0102", "the file is nested too deeply, or an anchor contains itself", Location(file)))
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
    except RecursionError:
        raise too_deep from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = place(mark, mark) if mark is not None else Location(file)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "not valid YAML"
        raise NetworkError(Diagnostic("NC0102", f"not valid YAML: {problem}", where)) from None
    if root is None:
        raise NetworkError(Diagnostic("NC0102", "the file is empty", Location(file)))

    values: dict[Path, Location] = {}
    keys: dict[Path, Location] = {}

    def scalar(node: yaml.Node, where: Location) -> Any:
        try:
            return loader.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            reason = getattr(error, "problem", None) or error
            raise NetworkError(Diagnostic("NC0102", f"not a value: {reason}", where)) from None

    def convert(node: yaml.Node, path: Path) -> Any:
        values[path] = place(node.start_mark, node.end_mark)
        if len(values) > MAX_VALUES:
            raise NetworkError(Diagnostic("NC0102", f"the file has more than {MAX_VALUES} values", Location(file)))
        if isinstance(node, yaml.MappingNode):
            result: dict[Any, Any] = {}
            for key_node, value_node in node.value:
                where = place(key_node.start_mark, key_node.end_mark)
                key = scalar(key_node, where) if isinstance(key_node, yaml.ScalarNode) else None
                if not isinstance(key, (str, int)) or isinstance(key, bool):
                    raise NetworkError(Diagnostic("NC0102", "a key must be a plain word", where))
                if str(key) in result:
                    raise NetworkError(Diagnostic("NC0206", f"key '{key}' stands twice in one mapping", where))
                below = (*path, str(key))
                keys[below] = where
                result[str(key)] = convert(value_node, below)
            return result
        if isinstance(node, yaml.SequenceNode):
            return [convert(child, (*path, index)) for index, child in enumerate(node.value)]
        return scalar(node, values[path])

    try:
        return LocatedYaml(convert(root, ()), values, keys)
    except RecursionError:
        raise too_deep from None
