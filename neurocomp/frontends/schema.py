"""The JSON Schema of net.yaml, from the tables that the reader uses.

``python -m neurocomp.frontends.schema > docs/net.schema.json`` writes the published one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from neurocomp.data import EVENT_FILE
from neurocomp.encoding import DECODERS, ENCODERS, FILTERS, Option, takes_front
from neurocomp.frontends.vocabulary import (
    DATA_KEYS,
    FORMATS,
    IDENTIFIER,
    MAX_COUNT,
    MEMBRANE_AXES,
    NETWORK_KEYS,
    NETWORK_NEEDS,
    OTHER_AXES,
    PROJECTION_KEYS,
    PROJECTION_NEEDS,
    SCHEMA_VERSION,
    SIGNS,
    UNITS,
    WEIGHT_BITS,
    WORD_AXES,
    native_defaults,
)
from neurocomp.models.learning import LEARNING_RULES, LONGEST_EPOCH, LearningRule
from neurocomp.models.neurons import NATIVE_FORMATS, NEURON_MODELS, NeuronModel, Parameter
from neurocomp.models.patterns import PATTERNS, PatternOption, PatternType

Schema = dict[str, Any]

_NUMBER = r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?"
_UNIT = "|".join(UNITS)


def schema() -> Schema:
    """Return the schema (draft 2020-12) of net.yaml with every registered model, pattern and scheme."""
    populations = {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": f"^{IDENTIFIER}$"},
        "additionalProperties": {"oneOf": [_ref("input_population"), _ref("neuron_population")]},
    }
    properties: Schema = {
        "neurocomp": {"const": SCHEMA_VERSION, "description": "schema version"},
        "name": {"type": "string", "minLength": 1},
        "timestep": _ref("time") | {"description": "length of a tick"},
        "ticks": {"type": "integer", "minimum": 1, "maximum": MAX_COUNT, "description": "per sample"},
        "populations": populations,
        "projections": {"type": "array", "items": _ref("projection")},
        "encode": {"type": "object", "additionalProperties": {"oneOf": _schemes(ENCODERS, front=True)}},
        "decode": {"type": "object", "additionalProperties": {"oneOf": _schemes(DECODERS)}},
        "data": _data(),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "net.yaml of neurocomp",
        **_object({key: properties[key] for key in NETWORK_KEYS}, NETWORK_NEEDS),
        "$defs": {
            "time": {"type": "string", "pattern": rf"^\s*{_NUMBER}\s*({_UNIT})\s*$"},
            "reference": {
                "type": "string",
                "pattern": r"^.+\.(npy|npz#.+)$",
                "description": "FILE.npy or FILE.npz#key, relative to the folder of net.yaml",
            },
            "numbers": {"type": "array", "items": {"anyOf": [{"type": "number"}, _ref("numbers")]}},
            "array": {"anyOf": [_ref("reference"), _ref("numbers")]},
            "shape": {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 1, "maximum": MAX_COUNT}},
            "times": _each_or_all({"anyOf": [_ref("time"), _ref("endless")]}),
            "endless": {"type": "string", "pattern": rf"^\s*\+?\.?inf\s*({_UNIT})?\s*$"},
            "values": _each_or_all({"type": "number"}),
            "integers": _each_or_all({"type": "integer"}),
            "ticks": {"anyOf": [{"type": "integer", "minimum": 0, "maximum": MAX_COUNT}, _ref("time")]},
            "input_population": _object({"kind": {"const": "input"}, "shape": _ref("shape")}, ("kind", "shape")),
            "neuron_population": _object({"shape": _ref("shape"), "neuron": _ref("neuron")}, ("shape", "neuron")),
            "neuron": {"oneOf": [form(NEURON_MODELS[name]) for name in NEURON_MODELS for form in _forms(NEURON_MODELS[name])]},
            **_axis_definitions(),
            **_pattern_forms(),
            "front": _front(),
            "pattern": _pattern(own_weights=False),
            "weighted_pattern": _pattern(own_weights=True),
            "learn": {"oneOf": [_learn(LEARNING_RULES[name]) for name in LEARNING_RULES]},
            "projection": _projection(),
        },
    }


def text() -> str:
    """Return the schema as the published file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _object(properties: Mapping[str, Schema], required: Sequence[str] = ()) -> Schema:
    result: Schema = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return result | {"required": list(required)} if required else result


def _forms(model: NeuronModel) -> tuple[Callable[[NeuronModel], Schema], ...]:
    """Return the forms of a neuron: in real numbers, in a chip's integers."""
    if model.name in NATIVE_FORMATS:
        return (_native,)
    return (_real, _native) if native_defaults(model) else (_real,)


def _real(model: NeuronModel) -> Schema:
    """Return the schema of a neuron in real numbers."""

    def value(parameter: Parameter) -> Schema:
        default = {} if parameter.default is None else {"default": parameter.default}
        return _ref("times" if parameter.unit == "s" else "values") | {"description": parameter.doc} | default

    parameters = {name: value(parameter) for name, parameter in model.parameters.items()}
    needed = [name for name, parameter in model.parameters.items() if parameter.default is None]
    model_name: Schema = {"const": model.name, "description": model.doc}
    return _object({"model": model_name, **parameters, **_axes(model, native=False)}, ("model", *needed))


def _native(model: NeuronModel) -> Schema:
    """Return the schema of a neuron in a chip's integers."""
    defaults = native_defaults(model)
    parameters: Schema = {
        name: _ref("integers") | ({} if default is None else {"default": default}) for name, default in defaults.items()
    }
    needed = [name for name, default in defaults.items() if default is None]
    own = NATIVE_FORMATS.get(model.name)
    formats = [own] if own else [name for name in FORMATS if name not in NATIVE_FORMATS.values()]
    names: Schema = {"model": {"const": model.name}, "format": {"enum": formats}}
    stated = ("model",) if own else ("model", "format")
    return _object(names | parameters | _axes(model, native=True), (*stated, *needed))


def _axes(model: NeuronModel, *, native: bool) -> Schema:
    axes = [axis for axis in (*WORD_AXES, *OTHER_AXES) if not (native and axis in MEMBRANE_AXES)]
    return {axis: {"enum": list(model.axes[axis])} if axis in model.axes else _ref(axis) for axis in axes}


def _axis_definitions() -> Schema:
    axes: Schema = {axis: {"enum": list(words)} for axis, words in WORD_AXES.items()}
    words = [word for word in WORD_AXES["reset"] if word != "value"]
    axes["reset"] = {"anyOf": [{"enum": words}, _object({"value": {"type": "number"}}, ("value",))]}
    axes["refractory"] = _ref("ticks")
    axes["v_floor"] = {"type": "number"}
    interval: Schema = {"type": "integer", "minimum": 1}
    offset: Schema = {"type": "integer", "minimum": 0, "default": 0}
    axes["reset_every"] = _object({"interval": interval, "offset": offset}, ("interval",))
    return axes


def _each_or_all(value: Schema) -> Schema:
    """Return the schema of one value for a population, a list with one per neuron, or an array in a file."""
    return {"anyOf": [value, {"type": "array", "items": value}, _ref("reference")]}


def _needed(kind: PatternType) -> list[str]:
    """Return the keys that a pattern must state."""
    return [*kind.array_names, *(key for key, o in kind.options.items() if o.default is None and o.like is None)]


def _pattern(*, own_weights: bool) -> Schema:
    """Return the schema of a pattern or a chain; ``own_weights``: where the projection states none."""
    kinds = [PATTERNS[name] for name in PATTERNS]
    bare = [kind.kind for kind in kinds if not _needed(kind) and not (own_weights and kind.weighting == "array")]
    forms = [_ref(_form(kind, own_weights=own_weights)) for kind in kinds]
    one: Schema = {"anyOf": [{"enum": bare}, *forms]}
    return {"anyOf": [*one["anyOf"], {"type": "array", "items": one, "minItems": 1}]}


def _form(kind: PatternType, *, own_weights: bool) -> str:
    """Return the name of the definition of a pattern with its options."""
    return f"{kind.kind}_weighted" if own_weights and kind.weighting == "array" else kind.kind


def _pattern_forms() -> Schema:
    forms: Schema = {}
    for kind in (PATTERNS[name] for name in PATTERNS):
        needed = _needed(kind)
        keys: Schema = dict.fromkeys(kind.array_names, _ref("array"))
        keys |= {key: _pattern_option(kind, option) for key, option in kind.options.items()}
        weights: Schema = {"type": "number"} if kind.weighting == "scalar" else {"anyOf": [_ref("array"), {"type": "number"}]}
        keys["weights"] = weights | ({"default": 1} if kind.weighting == "scalar" else {})
        form = _object(keys, needed)
        if len(needed) == 1 and needed[0] in kind.options:
            form = {"anyOf": [_pattern_option(kind, kind.options[needed[0]]), form]}
        forms[kind.kind] = _object({kind.kind: form}, (kind.kind,))
        if kind.weighting == "array":
            forms[f"{kind.kind}_weighted"] = _object({kind.kind: _object(keys, [*needed, "weights"])}, (kind.kind,))
    return forms


def _pattern_option(kind: PatternType, option: PatternOption) -> Schema:
    number: Schema = {"type": "integer", "minimum": option.minimum, "maximum": MAX_COUNT}
    count = kind.dims if option.per_axis else 1
    one: Schema = number
    if option.per_axis:
        one = {"anyOf": [number, {"type": "array", "items": number, "minItems": count, "maxItems": count}]}
    return one | {"description": option.doc} | ({} if option.default is None else {"default": option.default})


def _projection() -> Schema:
    low, high = WEIGHT_BITS
    properties: Schema = {
        "name": {"type": "string", "pattern": f"^{IDENTIFIER}$", "description": "default: from->to"},
        "from": {"type": "string"},
        "to": {"type": "string"},
        "pattern": _ref("pattern") | {"default": "dense"},
        "weights": {"anyOf": [_ref("array"), {"type": "number"}]},
        "transpose": {"type": "boolean", "default": False},
        "bias": _ref("array") | {"description": "one per channel or per neuron"},
        "delay": {"anyOf": [_ref("ticks"), _ref("array")], "default": 0},
        "learn": _ref("learn") | {"description": "how the weights learn while the network runs"},
        "weight_exp": {"type": "integer", "minimum": -64, "maximum": 64, "default": 0},
        "weight_bits": {"type": "integer", "minimum": low, "maximum": high, "default": 8},
        "sign": {"enum": list(SIGNS), "description": "default: by the weights"},
    }
    weighted: Schema = {"required": ["pattern"], "properties": {"pattern": _ref("weighted_pattern")}}
    projection = _object({key: properties[key] for key in PROJECTION_KEYS}, PROJECTION_NEEDS)
    return projection | {"anyOf": [{"required": ["weights"]}, weighted]}


def _learn(rule: LearningRule) -> Schema:
    """Return the schema of what a projection says about its learning."""

    def value(parameter: Parameter) -> Schema:
        times: Schema = {"anyOf": [_ref("time"), _ref("endless")]}
        default = {} if parameter.default is None or parameter.unit == "s" else {"default": parameter.default}
        return (times if parameter.unit == "s" else {"type": "number"}) | {"description": parameter.doc} | default

    one: Schema = {"type": "string"}
    several: Schema = {"type": "array", "items": one, "minItems": 1, "maxItems": 2}
    properties: Schema = {
        "rule": {"const": rule.name, "description": rule.doc},
        **{name: value(parameter) for name, parameter in rule.parameters.items()},
        **{name: {"type": "string", "description": "a sum of products"} for name in rule.texts},
        "modulator": {"anyOf": [one, several], "description": "populations whose values are the traces y2 and y3"},
        "epoch": {"type": "integer", "minimum": 1, "maximum": LONGEST_EPOCH, "default": 1, "description": "ticks"},
        "seed": {"type": "integer", "minimum": 0, "maximum": MAX_COUNT, "default": 0},
        "across_samples": {"type": "boolean", "default": True},
    }
    needed = [name for name, parameter in rule.parameters.items() if parameter.default is None]
    return _object(properties, ("rule", *needed))


def _schemes(table: Any, *, front: bool = False) -> list[Schema]:
    return [
        _object(
            {
                "scheme": {"const": name, "description": table[name].doc},
                **{key: _option(option) for key, option in table[name].options.items()},
                **({"front": _ref("front")} if front and takes_front(table[name]) else {}),
            },
            ("scheme",),
        )
        for name in table
    ]


def _front() -> Schema:
    """Return the schema of filters in front of an encoder: a name, a name with options, or a list of these."""
    options = {name: _object({key: _option(o) for key, o in FILTERS[name].options.items()}) for name in FILTERS}
    forms = [_object({name: form}, (name,)) | {"description": FILTERS[name].doc} for name, form in options.items()]
    one: list[Schema] = [{"enum": list(FILTERS)}, *forms]
    return {"anyOf": [*one, {"type": "array", "items": {"anyOf": one}, "minItems": 1}]}


def _option(option: Option) -> Schema:
    if option.words:
        return {"enum": list(option.words), "description": option.doc, "default": option.default}
    bounds = {"minimum": option.minimum, "maximum": option.maximum}
    kind = "integer" if option.integer else "number"
    limits = {key: value for key, value in bounds.items() if value is not None}
    return {"type": kind, "description": option.doc, "default": option.default, **limits}


def _data() -> Schema:
    events = {"type": "string", "pattern": EVENT_FILE, "description": "events of a camera"}
    several = {"type": "array", "items": events, "minItems": 1, "description": "events of a camera, a file per sample"}
    one = {"anyOf": [_ref("reference"), events, several]}
    per_input = {"type": "object", "minProperties": 1, "additionalProperties": one}
    fraction = {"type": "string", "pattern": rf"^\s*{_NUMBER}\s*/\s*{_NUMBER}\s*$"}
    properties: Schema = {
        "inputs": per_input,
        "labels": _ref("reference"),
        "calibration": per_input,
        "scale": {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, fraction], "default": 1},
    }
    result = _object({key: properties[key] for key in DATA_KEYS})
    return result | {"dependentRequired": {"labels": ["inputs"]}}


if __name__ == "__main__":
    print(text(), end="")
