"""net.yaml becomes a `Network`; every problem is reported at its place, all of a stage together.

docs/net-yaml.md describes the format, docs/net.schema.json is its schema.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.data import Reference, is_event_file, is_reference, load_array, load_samples
from neurocomp.encoding import (
    DECODERS,
    ENCODERS,
    FILTERS,
    Option,
    Problem,
    changes_in_time,
    data_shape,
    decoder_problem,
    encoder_problem,
    time_varying,
)
from neurocomp.errors import Diagnostic, Location, NetworkError, UnsupportedError, did_you_mean
from neurocomp.frontends.chain import Chain, ChainReader, per_neuron
from neurocomp.frontends.files import content
from neurocomp.frontends.reader import described
from neurocomp.frontends.vocabulary import (
    DATA_KEYS,
    FORMATS,
    INPUT_KEYS,
    LEARN_KEYS,
    MAX_COUNT,
    MEMBRANE_AXES,
    NATIVE_PROJECTION_KEYS,
    NETWORK_KEYS,
    NETWORK_NEEDS,
    OTHER_AXES,
    POPULATION_KEYS,
    PROJECTION_KEYS,
    PROJECTION_NEEDS,
    SCHEMA_VERSION,
    SIGNS,
    WEIGHT_BITS,
    WORD_AXES,
    axes_of,
    native_defaults,
)
from neurocomp.ir.network import (
    Choice,
    Data,
    Decoder,
    Encoder,
    FrontFilter,
    Learning,
    NativeWeights,
    Network,
    Neuron,
    Population,
    Projection,
    Samples,
    frozen,
)
from neurocomp.ir.quantized import learned_range
from neurocomp.located import Path as Place
from neurocomp.located import parse
from neurocomp.models.learning import LEARNING_RULES, LONGEST_EPOCH
from neurocomp.models.neurons import NATIVE_FORMATS, NEURON_MODELS, NeuronModel, Parameter, Semantics

Array = NDArray[Any]


def load(path: Path) -> Network:
    """Read a network file.

    Args:
        path: The file; arrays that it names are relative to its folder.

    Raises:
        NetworkError: The file cannot be read (NC0101), is not text or YAML (NC0102), or see `loads`.
        UnsupportedError: See `loads`.
    """
    name = path.name
    where = Location(name)
    try:
        text = content(path, "*.y*ml", "net.yaml").decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NetworkError(Diagnostic("NC0102", "the file is not text in UTF-8", where)) from None
    return loads(text, path.parent, name)


def loads(text: str, folder: Path, file: str = "net.yaml") -> Network:
    """Read the text of a network file.

    Args:
        text: YAML as docs/net-yaml.md describes it.
        folder: What array references are relative to.
        file: The name that messages and origins carry.

    Raises:
        NetworkError: With every problem of the file's form and arrays; if there is none, every problem of the network.
        UnsupportedError: The file is right but uses what is not there yet, groups (NC0311), or what cannot be said (NC0324).
    """
    return _NetworkReader(parse(text, file), folder).network().verify()


def _timed(encoders: Mapping[str, Encoder]) -> list[str]:
    return [name for name, encoder in encoders.items() if ENCODERS[encoder.scheme].timed]


def _of_events(encoders: Mapping[str, Encoder]) -> list[str]:
    return [name for name, encoder in encoders.items() if ENCODERS[encoder.scheme].events]


class _NetworkReader(ChainReader):
    """Reads one network file."""

    timestep: Fraction | None = None

    def network(self) -> Network:
        """Return the network, or raise every problem at once."""
        root = self.document.value
        if not isinstance(root, dict):
            hint = "it begins with 'neurocomp: 1'"
            self.bad("NC0104", (), f"a network file is a mapping, not {described(root)}", hint)
            raise NetworkError(self.problems)
        if root.get("neurocomp", SCHEMA_VERSION) != SCHEMA_VERSION or root.get("neurocomp") is True:
            message = f"schema version {root['neurocomp']!r} is not known"
            self.bad("NC0107", ("neurocomp",), message, f"write 'neurocomp: {SCHEMA_VERSION}'")
        self.fields((), "the network", root, NETWORK_KEYS, NETWORK_NEEDS)
        name = self.text(("name",), root["name"], "name") if "name" in root else None
        if "timestep" in root:
            timestep = self.time(("timestep",), root["timestep"], "timestep")
            self.timestep = Fraction(timestep) if timestep is not None else None
        ticks = self.integer(("ticks",), root["ticks"], "ticks", 1, MAX_COUNT) if "ticks" in root else None
        self.choices: list[Choice] = []
        self.populations = self._populations(root.get("populations", {}))
        projections = self._projections(root.get("projections", []))
        encoders = self._encoders(root.get("encode", {}), ticks)
        decoders = self._decoders(root.get("decode", {}), ticks)
        data = self._data(root["data"], encoders) if "data" in root else Data()
        if self.problems:
            unsupported = all(problem.code in ("NC0311", "NC0324") for problem in self.problems)
            raise (UnsupportedError if unsupported else NetworkError)(self.problems)
        assert name is not None
        assert ticks is not None
        assert self.timestep is not None
        populations = {key: population for key, population in self.populations.items() if population is not None}
        return Network(
            name, float(self.timestep), ticks, populations, tuple(projections), encoders, decoders, data, tuple(self.choices)
        )

    # populations

    def _populations(self, value: Any) -> dict[str, Population | None]:
        table = self.mapping(("populations",), value, "populations")
        if table is None:
            return {}
        if not table and ("populations",) in self.document.values:
            self.bad("NC0105", ("populations",), "a network needs at least one population")
        return {key: self._population(("populations", key), key, entry) for key, entry in table.items()}

    def _population(self, place: Place, name: str, value: Any) -> Population | None:
        what = f"population '{name}'"
        known_name = self.identifier(place, name, "the name of a population")
        table = self.mapping(place, value, what)
        if table is None or known_name is None:
            return None
        is_input = "kind" in table
        if is_input:
            self.fields(place, what, table, INPUT_KEYS, INPUT_KEYS)
            kind = self.word((*place, "kind"), table["kind"], f"{what}: kind", ("input",))
            if kind is None:
                return None
        else:
            self.fields(place, what, table, (*POPULATION_KEYS, "kind"), POPULATION_KEYS)
        shape = self._shape((*place, "shape"), table["shape"], what) if "shape" in table else None
        neuron: Neuron | None = None
        if not is_input and "neuron" in table:
            neuron = self._neuron((*place, "neuron"), name, table["neuron"], shape)
        if shape is None or (neuron is None and not is_input):
            return None
        return Population(name, shape, neuron, self.entry_at(place))

    def _shape(self, place: Place, value: Any, what: str) -> tuple[int, ...] | None:
        if not isinstance(value, list) or not value:
            hint = f"write [{value}]" if isinstance(value, int) and not isinstance(value, bool) else None
            self.bad("NC0104", place, f"{what}: shape must be a list of sizes, not {described(value)}", hint)
            return None
        extents = [
            self.integer((*place, index), extent, f"{what}: an extent of the shape", 1, MAX_COUNT)
            for index, extent in enumerate(value)
        ]
        shape = tuple(extent for extent in extents if extent is not None)
        if len(shape) < len(value):
            return None
        if math.prod(shape) > MAX_COUNT:
            self.bad("NC0209", place, f"{what} has {math.prod(shape)} neurons; at most {MAX_COUNT} are possible")
            return None
        return shape

    def _neuron(self, place: Place, population: str, value: Any, shape: tuple[int, ...] | None) -> Neuron | None:
        what = f"population '{population}'"
        table = self.mapping(place, value, f"{what}: neuron")
        if table is None:
            return None
        if "model" not in table:
            self.bad("NC0105", place, f"{what}: the key 'model' is missing", did_you_mean("", list(NEURON_MODELS)))
            return None
        name = self.member((*place, "model"), table["model"], f"{what}: model", "neuron model", NEURON_MODELS)
        if name is None:
            return None
        model = NEURON_MODELS[name]
        implied = NATIVE_FORMATS.get(name)
        native = "format" in table or implied is not None
        table = {**table, "format": implied} if implied is not None and "format" not in table else table
        if native and self.word((*place, "format"), table["format"], f"{what}: format", FORMATS) is None:
            return None
        if native and (table["format"] == "truenorth") != (implied is not None):
            message = f"{what}: the model '{name}' has no integers of the format '{table['format']}'"
            self.bad("NC0104", (*place, "format"), message, f"write 'format: {implied or 'loihi'}'")
            return None
        if native and not native_defaults(model):
            message = f"{what}: the model '{name}' has no integers that a file could state"
            self.bad("NC0104", (*place, "format"), message, "leave 'format' out")
            return None
        self._neuron_keys(place, what, table, model, native)
        semantics = self._semantics(place, population, table, model, native)
        read = self._native_parameters if native else self._parameters
        parameters = read(place, what, table, model, shape)
        if not native:
            self._check_euler(place, what, parameters, semantics)
        return Neuron(name, parameters, semantics, table["format"] if native else None)

    def _neuron_keys(self, place: Place, what: str, table: Mapping[str, Any], model: NeuronModel, native: bool) -> None:
        axes = [axis for axis in (*WORD_AXES, *OTHER_AXES) if not (native and axis in MEMBRANE_AXES)]
        integers = tuple(native_defaults(model))
        known = ["model", "format", *axes, *(integers if native else model.parameters)]
        others = (*model.parameters, *MEMBRANE_AXES) if native else integers
        for key in table:
            if key in known:
                continue
            hint = did_you_mean(key, known)
            if native and key in others:
                hint = f"with 'format: {table['format']}' a neuron states {', '.join(integers)}"
            elif key in others:
                hint = "integers of a chip need 'format: loihi'"
            self.unknown_key((*place, key), f"{what}: neuron", hint)

    def _semantics(
        self, place: Place, population: str, table: Mapping[str, Any], model: NeuronModel, native: bool
    ) -> Semantics:
        what = f"population '{population}'"
        default = Semantics()
        values: dict[str, Any] = {}
        for axis, words in WORD_AXES.items():
            if axis not in table:
                if getattr(default, axis) not in model.axes.get(axis, words):
                    values[axis] = model.axes[axis][0]
                if axis in axes_of(model) and not (native and axis in MEMBRANE_AXES):
                    self.choices.append(Choice(population, axis, str(getattr(default, axis)), "default"))
                continue
            at, value = (*place, axis), table[axis]
            if axis == "reset" and isinstance(value, dict):
                self.fields(at, f"{what}: reset", value, ("value",), ("value",))
                if "value" in value:
                    number = self.number((*at, "value"), value["value"], f"{what}: reset value")
                    values |= {"reset": "value", "reset_value": number or 0.0}
            elif axis == "reset" and value in ("value", "{value: x}"):
                self.bad("NC0104", at, f"{what}: reset to a value must say which", "write 'reset: {value: 0.5}'")
            else:
                choices = ("zero", "subtract", "none", "{value: x}") if axis == "reset" else words
                word = self.word(at, value, f"{what}: {axis}", choices)
                values |= {axis: word} if word in words else {}
        if "refractory" in table:
            at = (*place, "refractory")
            ticks = self.ticks(at, table["refractory"], f"{what}: refractory", self.timestep, MAX_COUNT)
            values["refractory"] = ticks or 0
        if "v_floor" in table:
            values["v_floor"] = self.number((*place, "v_floor"), table["v_floor"], f"{what}: v_floor")
        if "reset_every" in table:
            values |= self._reset_every((*place, "reset_every"), what, table["reset_every"])
        return Semantics(**values)

    def _reset_every(self, place: Place, what: str, value: Any) -> dict[str, int]:
        table = self.mapping(place, value, f"{what}: reset_every")
        if table is None:
            return {}
        self.fields(place, f"{what}: reset_every", table, ("interval", "offset"), ("interval",))
        if "interval" not in table:
            return {}
        interval = self.integer((*place, "interval"), table["interval"], f"{what}: interval", 1, MAX_COUNT)
        if interval is None:
            return {}
        offset = self.integer((*place, "offset"), table.get("offset", 0), f"{what}: offset", 0, interval - 1)
        return {"reset_interval": interval, "reset_offset": offset or 0}

    def _parameters(
        self, place: Place, what: str, table: Mapping[str, Any], model: NeuronModel, shape: tuple[int, ...] | None
    ) -> dict[str, Array]:
        parameters: dict[str, Array] = {}
        for key, parameter in model.parameters.items():
            if key not in table:
                if parameter.default is None:
                    self.bad("NC0105", place, f"{what}: model '{model.name}' needs '{key}', the {parameter.doc}")
                else:
                    parameters[key] = frozen(parameter.default, np.float64)
                continue
            array = self._parameter((*place, key), f"{what}: {key}", table[key], parameter, shape)
            if array is not None:
                parameters[key] = array
        many = table.get("spikes_per_tick") == "many" and "v_threshold" in parameters
        if many and not (parameters["v_threshold"] > 0).all():
            at = (*place, "v_threshold")
            self.bad("NC0209", at, f"{what}: v_threshold must be positive where a tick can have many spikes")
        return parameters

    def _parameter(
        self, place: Place, what: str, value: Any, parameter: Parameter, shape: tuple[int, ...] | None
    ) -> Array | None:
        """Read one number or time, a list of them, or an array in a file (of seconds, for times)."""

        def scalar(at: Place, item: Any) -> float | None:
            if parameter.unit == "s":
                seconds = self.time(at, item, what, endless=True)
                return None if seconds is None else float(seconds)
            return self.number(at, item, what)

        if isinstance(value, str) and is_reference(value):
            array = self.reference(place, value, what)
            if array is None:
                return None
            if array.dtype.kind == "b":
                self.bad("NC0207", place, f"{what} has the dtype bool; numbers are needed")
                return None
            return frozen(per_neuron(array, shape), np.float64)
        if isinstance(value, list):
            numbers = [scalar((*place, index), item) for index, item in enumerate(value)]
            return None if None in numbers else frozen(numbers, np.float64)
        number = scalar(place, value)
        return None if number is None else frozen(number, np.float64)

    def _check_euler(self, place: Place, what: str, parameters: Mapping[str, Array], semantics: Semantics) -> None:
        if semantics.integration != "euler" or self.timestep is None:
            return
        for key in ("tau_mem", "tau_syn"):
            if key in parameters and parameters[key].size and parameters[key].min() < float(self.timestep):
                message = f"{what}: {key} {parameters[key].min():g} s is shorter than the timestep {float(self.timestep):g} s"
                self.bad("NC0209", (*place, key), f"{message}, which 'integration: euler' cannot follow", "write 'exact'")

    def _native_parameters(
        self, place: Place, what: str, table: Mapping[str, Any], model: NeuronModel, shape: tuple[int, ...] | None
    ) -> dict[str, Array]:
        parameters: dict[str, Array] = {}
        for key, default in native_defaults(model).items():
            if key in table:
                value = table[key]
                if isinstance(value, (list, str)):
                    array = self.array((*place, key), value, f"{what}: {key}")
                    array = self.whole((*place, key), array, f"{what}: {key}") if array is not None else None
                else:
                    number = self.integer((*place, key), value, f"{what}: {key}", -(2**31), 2**31 - 1)
                    array = np.array(number, np.int64) if number is not None else None
                if array is not None:
                    parameters[key] = frozen(per_neuron(array, shape), np.int64)
            elif default is None:
                self.bad("NC0105", place, f"{what}: model '{model.name}' in a chip's integers needs '{key}'")
            else:
                parameters[key] = frozen(default, np.int64)
        return parameters

    # projections

    def _projections(self, value: Any) -> list[Projection]:
        if not isinstance(value, list):
            self.bad("NC0104", ("projections",), f"projections must be a list, not {described(value)}")
            return []
        read = [self._projection(("projections", index), entry) for index, entry in enumerate(value)]
        names: set[str] = set()
        projections: list[Projection] = []
        for index, projection in enumerate(read):
            if projection is None:
                continue
            name, number = projection.name, 2
            if "name" in value[index]:
                if name in names:
                    self.bad("NC0206", ("projections", index, "name"), f"there are two projections '{name}'")
            else:
                while name in names:
                    name, number = f"{projection.name}#{number}", number + 1
            names.add(name)
            projections.append(replace(projection, name=name))
        return projections

    def _projection(self, place: Place, value: Any) -> Projection | None:
        table = self.mapping(place, value, "a projection")
        if table is None:
            return None
        what = "projection"
        ends = [table.get(key) for key in ("from", "to")]
        if all(isinstance(end, str) for end in ends):
            what = f"projection '{ends[0]}->{ends[1]}'"
        if isinstance(table.get("name"), str):
            what = f"projection '{table['name']}'"
        before = len(self.problems)
        self.fields(place, what, table, PROJECTION_KEYS, PROJECTION_NEEDS)
        self._name_of_population((*place, "from"), table.get("from"), what)
        self._name_of_population((*place, "to"), table.get("to"), what)
        name = f"{table.get('from')}->{table.get('to')}"
        if "name" in table:
            name = self.identifier((*place, "name"), table["name"], f"{what}: name") or name
        source, target = (self.populations.get(end) if isinstance(end, str) else None for end in ends)
        native = target is not None and target.neuron is not None and target.neuron.number_format is not None
        others = () if target is None or native else NATIVE_PROJECTION_KEYS
        chain = self.chain(place, what, table, source, target, whole=native)
        bias = self._bias((*place, "bias"), what, table["bias"], target) if "bias" in table and not native else None
        delay = self._delay((*place, "delay"), what, table.get("delay", 0), table.get("transpose") is True)
        form = target.neuron.number_format if target is not None and target.neuron is not None else None
        integers = self._native_weights(place, what, table, chain, form) if native else None
        learning = None
        if "learn" in table:
            learning = self._learning((*place, "learn"), what, table["learn"], integers)
            if learning is not None and integers is not None and "sign" not in table:
                integers = replace(integers, sign_mode="mixed")  # weights that learn may change their sign
        for key in others:
            if key in table:
                self.unknown_key((*place, key), what, f"it belongs to integers of a chip; '{ends[1]}' has no 'format'")
        if len(self.problems) > before or chain is None or delay is None:
            return None
        where = self.document.at(place)
        return Projection(
            name, str(ends[0]), str(ends[1]), chain.pattern, chain.weights, bias, delay, integers, chain.before, where, learning
        )

    def _learning(self, place: Place, what: str, value: Any, native: NativeWeights | None) -> Learning | None:
        what = f"{what}: learn"
        table = self.mapping(place, value, what)
        if table is None:
            return None
        if "rule" not in table:
            self.bad("NC0105", place, f"{what}: the key 'rule' is missing", did_you_mean("", list(LEARNING_RULES)))
            return None
        name = self.member((*place, "rule"), table["rule"], f"{what}: rule", "learning rule", LEARNING_RULES)
        if name is None:
            return None
        before, rule = len(self.problems), LEARNING_RULES[name]
        self.fields(place, what, table, (*LEARN_KEYS, *rule.parameters, *rule.texts))
        parameters: dict[str, float | str] = {}
        low, high = learned_range(native.sign_mode if native is not None and native.sign_mode is not None else "mixed")
        defaults = {} if native is None else {"w_min": float(low), "w_max": float(high)}
        for key, parameter in rule.parameters.items():
            at, default = (*place, key), defaults.get(key, parameter.default)
            if key in table:
                read = self.time(at, table[key], f"{what}: {key}", endless=True) if parameter.unit == "s" else None
                number = self.number(at, table[key], f"{what}: {key}") if parameter.unit != "s" else read
                if number is not None:
                    parameters[key] = float(number)
            elif default is None:
                self.bad("NC0105", place, f"{what}: the rule '{name}' needs '{key}', the {parameter.doc}")
            else:
                parameters[key] = default
        for key in rule.texts:
            text = self.text((*place, key), table[key], f"{what}: {key}") if key in table else None
            parameters |= {} if text is None else {key: text}
        modulators = table.get("modulator", [])
        modulators = modulators if isinstance(modulators, list) else [modulators]
        for modulator in modulators:
            self._name_of_population((*place, "modulator"), modulator, what)
        epoch = self.integer((*place, "epoch"), table.get("epoch", 1), f"{what}: epoch", 1, LONGEST_EPOCH)
        seed = self.integer((*place, "seed"), table.get("seed", 0), f"{what}: seed", 0, MAX_COUNT)
        across = self.flag((*place, "across_samples"), table.get("across_samples", True), f"{what}: across_samples")
        if len(self.problems) > before or epoch is None or seed is None or across is None:
            return None
        return Learning(name, parameters, tuple(modulators), epoch, seed, across)

    def _name_of_population(self, place: Place, value: Any, what: str) -> None:
        if value is None and place not in self.document.values:
            return
        if not isinstance(value, str):
            self.bad("NC0104", place, f"{what}: '{place[-1]}' must name a population, not {described(value)}")
        elif value not in self.populations:
            hint = did_you_mean(value, list(self.populations))
            self.bad("NC0201", place, f"{what}: there is no population '{value}'", hint)

    def _bias(self, place: Place, what: str, value: Any, target: Population | None) -> Array | None:
        array = self.array(place, value, f"{what}: bias")
        if array is None or target is None:
            return None
        array = per_neuron(array, target.shape)
        return frozen(array.reshape(-1) if array.size == target.size else array)

    def _delay(self, place: Place, what: str, value: Any, transposed: bool) -> Array | None:
        if isinstance(value, list) or (isinstance(value, str) and is_reference(value)):
            array = self.array(place, value, f"{what}: delay")
            if array is None:
                return None
            if array.dtype.kind not in "iu":
                self.bad("NC0207", place, f"{what}: delay has the dtype {array.dtype}; whole ticks are needed")
                return None
            return frozen(array.T if transposed else array, np.int64)
        ticks = self.ticks(place, value, f"{what}: delay", self.timestep, MAX_COUNT)
        return None if ticks is None else frozen(ticks, np.int64)

    def _native_weights(
        self, place: Place, what: str, table: Mapping[str, Any], chain: Chain | None, form: str | None
    ) -> NativeWeights | None:
        if "bias" in table:
            own = "lambda" if form == "truenorth" else "bias_mant, bias_exp"
            hint = f"integers of a chip have their bias in the neuron: {own}"
            self.unknown_key((*place, "bias"), what, hint)
        exponent = self.integer((*place, "weight_exp"), table.get("weight_exp", 0), f"{what}: weight_exp", -64, 64)
        bits = self.integer((*place, "weight_bits"), table.get("weight_bits", 8), f"{what}: weight_bits", *WEIGHT_BITS)
        sign: str | None = None
        if "sign" in table:
            sign = self.word((*place, "sign"), table["sign"], f"{what}: sign", SIGNS)
        if chain is None or exponent is None or bits is None:
            return None
        if sign is None and not chain.before:
            sign = _sign_of(chain.weights)  # what the weights of a chain are is known when it is folded
        return NativeWeights(exponent, bits, sign)

    # encode, decode, data

    def _encoders(self, value: Any, ticks: int | None) -> dict[str, Encoder]:
        encoders: dict[str, Encoder] = {}
        for key, scheme, options in self._schemes("encode", value):
            place, before = ("encode", key), len(self.problems)
            front = self._front((*place, "front"), f"encoder of '{key}': front", value[key].get("front", []))
            encoder = Encoder(scheme, options, self.entry_at(place), front)
            population = self.populations.get(key)
            if (
                len(self.problems) > before
                or population is None
                or ticks is None
                or len(options) < len(ENCODERS[scheme].options)
            ):
                continue
            wrong = encoder_problem(encoder, population.shape, ticks)
            if wrong is None:
                encoders[key] = encoder
            else:
                self._scheme_problem(wrong[0], place, f"encoder of '{key}'", wrong[1])
        return encoders

    def _decoders(self, value: Any, ticks: int | None) -> dict[str, Decoder]:
        decoders: dict[str, Decoder] = {}
        for key, scheme, options in self._schemes("decode", value):
            decoder = Decoder(scheme, options, self.entry_at(("decode", key)))
            population = self.populations.get(key)
            if population is None or ticks is None or len(options) < len(DECODERS[scheme].options):
                continue
            wrong = decoder_problem(decoder, population.size, ticks)
            if wrong is None:
                decoders[key] = decoder
            else:
                self._scheme_problem("NC0209", ("decode", key), f"decoder of '{key}'", wrong)
        return decoders

    def _scheme_problem(self, code: str, place: Place, what: str, problem: Problem) -> None:
        """Note a problem where its option stands, or else where the scheme does."""
        parts: Place = tuple(int(part) if part.isdigit() else part for part in problem.option.split("."))
        tried: list[Place] = [parts, (*parts[:1], *parts[2:]), parts[:2], parts[:1], ("scheme",)]
        at = next((*place, *end) for end in tried if (*place, *end) in self.document.values)
        self.bad(code, at, f"{what}: {problem.message}", problem.hint)

    def _front(self, place: Place, what: str, value: Any) -> tuple[FrontFilter, ...]:
        """Read a filter, its name with options, or a list of these."""
        entries = value if isinstance(value, list) else [value]
        found: list[FrontFilter] = []
        for index, entry in enumerate(entries):
            at = (*place, index) if isinstance(value, list) else place
            name: Any = entry
            options: Any = {}
            if isinstance(entry, dict):
                if len(entry) != 1:
                    hint = "write such as 'front: [{dog: {sigma: 1}}]'"
                    self.bad("NC0104", at, f"{what} must name one filter, not {described(entry)}", hint)
                    continue
                name, options = next(iter(entry.items()))
            kind = self.member(at, name, what, "filter", FILTERS)
            if kind is None:
                continue
            table = self.mapping((*at, kind), options, f"{what}: {kind}")
            if table is None:
                continue
            known = FILTERS[kind].options
            self.fields((*at, kind) if isinstance(entry, dict) else at, f"{what}: {kind}", table, tuple(known))
            read = self._options((*at, kind), f"{what}: {kind}", table, known)
            if len(read) == len(known):
                found.append(FrontFilter(kind, read))
        return tuple(found)

    def _options(
        self, place: Place, what: str, table: Mapping[str, Any], known: Mapping[str, Option]
    ) -> dict[str, float | int | str]:
        options: dict[str, float | int | str] = {}
        for key, option in known.items():
            number = self._option((*place, key), f"{what}: {key}", table.get(key, option.default), option)
            if number is not None:
                options[key] = number
        return options

    def _schemes(self, section: str, value: Any) -> Iterable[tuple[str, str, dict[str, float | int | str]]]:
        kind, members = ("encoder", ENCODERS) if section == "encode" else ("decoder", DECODERS)
        for name, entry in (self.mapping((section,), value, section) or {}).items():
            place: Place = (section, name)
            what = f"{kind} of '{name}'"
            self._check_end(place, name, what, is_input=section == "encode")
            table = self.mapping(place, entry, what)
            if table is None:
                continue
            if "scheme" not in table:
                self.bad("NC0105", place, f"{what}: the key 'scheme' is missing", did_you_mean("", list(members)))
                continue
            scheme = self.member((*place, "scheme"), table["scheme"], f"{what}: scheme", kind, members)
            if scheme is None:
                continue
            self._check_decoder(place, name, scheme)
            known = members[scheme].options
            self.fields(place, what, table, ("scheme", *known, *(("front",) if section == "encode" else ())))
            yield name, scheme, self._options(place, what, table, known)

    def _check_decoder(self, place: Place, name: str, scheme: str) -> None:
        """Note a decoder of spikes on a population that never spikes."""
        population = self.populations.get(name)
        if place[0] != "decode" or population is None or population.neuron is None or DECODERS[scheme].reads_potential:
            return
        if not NEURON_MODELS[population.neuron.model].fires:
            message = f"decoder of '{name}': '{scheme}' reads spikes, and the model '{population.neuron.model}' never spikes"
            self.bad("NC0209", (*place, "scheme"), message, "write 'scheme: potential', or use a model that spikes")

    def _option(self, place: Place, what: str, value: Any, option: Option) -> int | float | str | None:
        if option.words:
            return self.word(place, value, what, option.words)
        read = self.integer if option.integer else self.number
        return read(place, value, what, option.minimum, option.maximum)

    def _check_end(self, place: Place, name: str, what: str, *, is_input: bool) -> None:
        where = self.document.key_at(place)
        if name not in self.populations:
            hint = did_you_mean(name, list(self.populations))
            self.problems.append(Diagnostic("NC0201", f"{what}: there is no population '{name}'", where, hint=hint))
            return
        population = self.populations[name]
        if population is not None and population.is_input != is_input:
            needed = "must be an input" if is_input else "must not be an input"
            self.problems.append(Diagnostic("NC0201", f"{what}: the population {needed}", where))

    def _data(self, value: Any, encoders: Mapping[str, Encoder]) -> Data:
        table = self.mapping(("data",), value, "data")
        if table is None:
            return Data()
        self.fields(("data",), "data", table, DATA_KEYS, ("inputs",) if "labels" in table else ())
        scale = self._scale(("data", "scale"), table["scale"]) if "scale" in table else 1.0
        labels = self._data_reference(("data", "labels"), table["labels"]) if "labels" in table else None
        samples = self._samples(("data", "inputs"), table["inputs"], labels, encoders) if "inputs" in table else None
        calibration: Samples | None = None
        if "calibration" in table:
            calibration = self._samples(("data", "calibration"), table["calibration"], None, encoders)
        return Data(samples, calibration, scale if scale is not None else 1.0)

    def _samples(self, place: Place, value: Any, labels: Reference | None, encoders: Mapping[str, Encoder]) -> Samples | None:
        table = self.mapping(place, value, ".".join(str(part) for part in place))
        if table is None:
            return None
        before = len(self.problems)
        references: dict[str, Reference] = {}
        for name, entry in table.items():
            self._check_end((*place, name), name, f"data of '{name}'", is_input=True)
            events = name in _of_events(encoders)
            reference = self._event_reference((*place, name), entry) if events else self._data_reference((*place, name), entry)
            if reference is not None:
                references[name] = reference
        if len(self.problems) > before or any(population is None for population in self.populations.values()):
            return None
        inputs = [p for p in self.populations.values() if p is not None and p.is_input]
        shapes = {p.name: data_shape(encoders[p.name], p.shape) if p.name in encoders else p.shape for p in inputs}
        if not table:
            self.bad("NC0105", place, f"{place[-1]} must name the data of every input population")
            return None
        try:
            return load_samples(
                references, labels, shapes=shapes, timed=_timed(encoders), events=_of_events(encoders), folder=self.folder
            )
        except NetworkError as error:
            analog = {
                name: references[name] for name in references if name in encoders and ENCODERS[encoders[name].scheme].analog
            }
            for problem in error.diagnostics:
                self.problems.append(self._time_varying(problem, analog, shapes) or problem)
            return None

    def _time_varying(
        self, problem: Diagnostic, analog: Mapping[str, Reference], shapes: Mapping[str, tuple[int, ...]]
    ) -> Diagnostic | None:
        """Return what is wrong where a shape does not fit because the data of a current have ticks."""
        for name, reference in analog.items():
            if problem.code == "NC0210" and problem.location == reference.location:
                shape = load_array(reference.text, self.folder, reference.location).shape
                if changes_in_time(shape, math.prod(shapes[name])):
                    return time_varying(f"data of '{name}'", shape, problem.location)
        return None

    def _event_reference(self, place: Place, value: Any) -> Reference | None:
        files = value if isinstance(value, list) else [value]
        if files and all(isinstance(file, str) and is_event_file(file) for file in files):
            return Reference(files[0], self.document.at(place), tuple(files[1:]))
        message = f"{'.'.join(str(part) for part in place)} must name files of events, not {described(value)}"
        self.bad("NC0104", place, message, "write such as 'FILE.npz', 'FILE.npz#key', 'FILE.aedat' or a list of them")
        return None

    def _data_reference(self, place: Place, value: Any) -> Reference | None:
        if isinstance(value, str) and is_reference(value):
            return Reference(value, self.document.at(place))
        message = f"{'.'.join(str(part) for part in place)} must name an array in a file, not {described(value)}"
        self.bad("NC0104", place, message, "write 'FILE.npz#key' or 'FILE.npy'")
        return None

    def _scale(self, place: Place, value: Any) -> float | None:
        numerator, slash, denominator = value.partition("/") if isinstance(value, str) else ("", "", "")
        if slash:
            try:
                value = float(numerator) / float(denominator)
            except (ValueError, ZeroDivisionError, OverflowError):
                self.bad("NC0104", place, f"data.scale must be a number or a fraction, not '{value}'", "write such as 1/255")
                return None
        scale = self.number(place, value, "data.scale")
        if scale is not None and scale <= 0:
            self.bad("NC0209", place, f"data.scale is {scale:g}; it must be positive")
            return None
        return scale


def _sign_of(weights: Array) -> str:
    """Return the sign mode that Lava infers."""
    if weights.size == 0 or weights.min() >= 0:
        return "excitatory"
    return "inhibitory" if weights.max() <= 0 else "mixed"
