"""A model of another framework, in the process that holds it, becomes a `Network`: through that framework's exporter to NIR.

What its exporter leaves out of the graph (resets, floors, the length of a tick) is read off the model's own layers; docs/nir.md
says what that is. The frameworks are imported where they are needed, and are no dependencies.
"""

from __future__ import annotations

import copy
import importlib
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from neurocomp.errors import Diagnostic, UnsupportedError, UsageError
from neurocomp.frontends import from_nir
from neurocomp.frontends.reading import reading_of
from neurocomp.frontends.to_nir import put
from neurocomp.ir.network import Choice, Network

Said = dict[str, dict[str, Any]]
"""Name of a module -> what its node holds beside what the exporter wrote; ``metadata`` adds to the node's own."""


def from_snntorch(model: Any, sample: Any, **reading: Any) -> Network:
    """Return the network of a model of snnTorch.

    Args:
        model: A module whose neurons (Leaky, Synaptic, RLeaky, RSynaptic) have ``init_hidden=True``.
        sample: Input of one tick with a batch in front, (1, *shape), a tensor.
        reading: Choices in place of the model's own, by the names of `neurocomp.frontends.reading.Reading`.

    Raises:
        UsageError: snntorch, nir or nirtorch is not installed, or a choice is not known (NC0801).
        UnsupportedError: A layer does what NIR or neurocomp has no words for, or the exporter fails (NC0345).
        NetworkError: The graph is none that runs; see `neurocomp.frontends.from_nir.load`.
    """
    snn, exporter = _imported("snntorch", "snntorch.export_nir")
    model = copy.deepcopy(model)
    said: Said = {}
    other: list[Choice] = []
    for name, layer in _neurons(model, snn.SpikingNeuron, (snn.Leaky, snn.Synaptic, snn.RLeaky, snn.RSynaptic), "snnTorch"):
        for key, plain in (("inhibition", False), ("state_quant", False), ("graded_spikes_factor", 1.0)):
            if getattr(layer, key, plain) != plain:
                raise _refused(name, layer, f"NIR has no word for {key}", f"leave {key} out")
        how = layer.reset_mechanism
        # After a spike, beta 0 is 0: for Leaky alone a late reset to zero is none.
        late = layer.reset_delay and not (how == "zero" and type(layer) is snn.Leaky)
        said[name] = {"metadata": {"reset_mechanism": how, "reset_when": "next_update" if late else "same_tick"}}
        if how == "subtract" and not layer.reset_delay:
            why = "reset_delay=False; snnTorch's own spikes differ where a potential stays above its threshold"
            other.append(Choice(name, "reset", "subtract", why))
    _give_each_its_own(model, sample, (snn.Leaky, snn.Synaptic))
    graph = _exported("snnTorch", lambda: exporter.export_to_nir(model, sample, ignore_dims=[0]))
    network = _network("snntorch", model, graph, said, reading)
    return replace(network, choices=(*network.choices, *other))


def from_norse(model: Any, sample: Any, **reading: Any) -> Network:
    """Return the network of a model of Norse: a ``SequentialState`` of cells LIFBoxCell, LIFCell, LIBoxCell and IAFCell.

    Args:
        model: The module; all its cells have one ``dt``.
        sample: Input of one tick with a batch in front, (1, *shape), a tensor.
        reading: See `from_snntorch`.

    Raises:
        UsageError: See `from_snntorch`.
        UnsupportedError: See `from_snntorch`.
        NetworkError: See `from_snntorch`.
    """
    norse, base, lif, box, li, iaf = _imported(
        "norse.torch", "norse.torch.module.snn", "norse.torch.module.lif", "norse.torch.module.lif_box",
        "norse.torch.module.leaky_integrator_box", "norse.torch.module.iaf",
    )  # fmt: skip
    resets = importlib.import_module("norse.torch.functional.reset")
    bases = (base.SNNCell, base.SNN, base.SNNRecurrentCell, base.SNNRecurrent)
    said: Said = {}
    lengths: dict[float, str] = {}
    for name, cell in _neurons(model, bases, (lif.LIFCell, box.LIFBoxCell, li.LIBoxCell, iaf.IAFCell), "Norse"):
        lengths.setdefault(float(cell.dt), name)
        method = getattr(cell.p, "reset_method", resets.reset_value)
        if method not in (resets.reset_value, resets.reset_subtract):
            raise _refused(name, cell, "its reset_method is not one of Norse's", "use reset_value or reset_subtract")
        if hasattr(cell.p, "v_reset"):
            said[name] = {"v_reset": cell.p.v_reset}
        if method is resets.reset_subtract:
            said[name]["metadata"] = {"reset_mechanism": "subtract"}
    if len(lengths) > 1:
        listed = ", ".join(f"{dt:g} s in '{name}'" for dt, name in lengths.items())
        raise UnsupportedError(Diagnostic("NC0345", f"cells differ in dt: {listed}", hint="give all of them one dt"))
    # The exporter multiplies times by its dt.
    graph = _exported("Norse", lambda: norse.to_nir(model, sample, dt=1.0))
    for name, node in graph.nodes.items():
        if node is None:
            layer = dict(model.named_modules()).get(name)
            raise _refused(name, layer, "Norse's exporter leaves it out", "use Linear and Conv2d between cells")
    reading = {"dt": next(iter(lengths), None)} | reading
    return _network("norse", model, graph, said, reading, drop_batch=True)


def from_sinabs(model: Any, sample: Any, **reading: Any) -> Network:
    """Return the network of a model of sinabs, of IAF, LIF and ExpLeak and their forms that squeeze.

    Args:
        model: The module.
        sample: Input that the model takes: (ticks, *shape) where its layers squeeze, (1, ticks, *shape) where they do not.
        reading: See `from_snntorch`.

    Raises:
        UsageError: See `from_snntorch`.
        UnsupportedError: See `from_snntorch`.
        NetworkError: See `from_snntorch`.
    """
    layers, activation, exporter = _imported("sinabs.layers", "sinabs.activation", "sinabs.nir")
    kinds = ("IAF", "LIF", "ExpLeak", "IAFSqueeze", "LIFSqueeze", "ExpLeakSqueeze")
    said: Said = {}
    for name, layer in _neurons(model, layers.StatefulLayer, tuple(getattr(layers, kind) for kind in kinds), "sinabs"):
        if layer.tau_syn is not None:
            raise _refused(name, layer, "sinabs's exporter leaves its synaptic current out", "set tau_syn to None")
        floor = None if layer.min_v_mem is None else np.unique(np.asarray(layer.min_v_mem.detach()))
        if floor is not None and len(floor) != 1:
            raise _refused(name, layer, "min_v_mem differs between neurons", "use one min_v_mem")
        metadata: dict[str, Any] = {
            "v_floor": "none" if floor is None else float(floor[0]),
            "input": "equation" if layer.norm_input else "direct",
        }
        if layer.spike_fn is not None:
            counts = {activation.MultiSpike: "many", activation.SingleSpike: "one"}
            if layer.spike_fn not in counts:
                raise _refused(name, layer, "its spike_fn is not read", "use MultiSpike or SingleSpike")
            metadata |= {"spikes_per_tick": counts[layer.spike_fn], "reset_mechanism": _sinabs_reset(name, layer, activation)}
        said[name] = {"metadata": metadata}
    graph = _exported("sinabs", lambda: exporter.to_nir(model, sample))
    return _network("sinabs", model, graph, said, reading)


def _sinabs_reset(name: str, layer: Any, activation: Any) -> str:
    how = layer.reset_fn
    if isinstance(how, activation.MembraneSubtract) and how.subtract_value is None:
        return "subtract"
    if isinstance(how, activation.MembraneReset) and how.reset_value == 0:
        return "zero"
    raise _refused(name, layer, "its reset_fn is not read", "use MembraneSubtract() or MembraneReset()")


def from_spikingjelly(model: Any, sample: Any, **reading: Any) -> Network:
    """Return the network of a model of SpikingJelly, of IFNode, LIFNode, ParametricLIFNode and CUBALIFNode.

    Args:
        model: The module.
        sample: Input of one tick with a batch in front, (1, *shape), or of several with step_mode 'm', (ticks, 1, *shape).
        reading: See `from_snntorch`.

    Raises:
        UsageError: See `from_snntorch`.
        UnsupportedError: See `from_snntorch`.
        NetworkError: See `from_snntorch`.
    """
    neuron, exporter = _imported("spikingjelly.activation_based.neuron", "spikingjelly.activation_based.nir_exchange")
    kinds = (neuron.IFNode, neuron.LIFNode, neuron.ParametricLIFNode, neuron.CUBALIFNode)
    model = copy.deepcopy(model)
    said: Said = {}
    for name, layer in _neurons(model, neuron.BaseNode, kinds, "SpikingJelly"):
        if layer.v_reset is None:  # the exporter refuses it, as NIR has no word for it
            layer.v_reset = 0.0
            said[name] = {"metadata": {"reset_mechanism": "subtract"}}
    graph = _exported("SpikingJelly", lambda: exporter.export_to_nir(model, sample))
    return _network("spikingjelly", model, graph, said, reading)


def _imported(*names: str) -> list[Any]:
    """Return modules, the first of the framework itself."""
    framework = names[0].split(".", maxsplit=1)[0]
    found = []
    for name in ("nir", "nirtorch", *names):
        try:
            found.append(importlib.import_module(name))
        except ImportError as error:
            message = f"from_{framework} needs {framework}, nir and nirtorch: {error}"
            hint = f"install them beside neurocomp: pip install {framework} nir nirtorch"
            raise UsageError(Diagnostic("NC0801", message, hint=hint)) from None
    return found[2:]


def _neurons(model: Any, every: Any, read: tuple[type, ...], framework: str) -> Iterator[tuple[str, Any]]:
    """Yield the neurons of a model by name; refuse those whose kind the exporter does not know."""
    for name, layer in model.named_modules():
        if type(layer) in read:
            yield name, layer
        elif isinstance(layer, every):
            known = ", ".join(kind.__name__ for kind in read)
            raise _refused(name, layer, f"{framework}'s exporter has no form for it", f"use {known}")


def _refused(name: str, layer: Any, what: str, hint: str) -> UnsupportedError:
    return UnsupportedError(Diagnostic("NC0345", f"module '{name}' ({type(layer).__name__}): {what}", hint=hint))


def _exported(framework: str, export: Callable[[], Any]) -> Any:
    """Return the graph that an exporter gives."""
    try:
        return export()
    except Exception as error:  # other people's code, which fails in its own ways
        message = f"{framework}'s exporter to NIR fails: {' '.join(f'{type(error).__name__}: {error}'.split())}"
        raise UnsupportedError(Diagnostic("NC0345", message, hint="docs/nir.md lists what each exporter takes")) from error


def _give_each_its_own(model: Any, sample: Any, kinds: tuple[type, ...]) -> None:
    """Give each neuron of snnTorch parameters of its own: the exporter knows no size where one stands for all."""
    torch = importlib.import_module("torch")

    def spread(layer: Any, _inputs: Any, output: Any) -> None:
        shape = (output[0] if isinstance(output, tuple) else output).shape[1:]
        for key in ("alpha", "beta", "threshold"):
            value = getattr(layer, key, None)
            if value is not None:
                setattr(layer, key, torch.nn.Parameter(value.detach().expand(shape).clone(), requires_grad=False))

    hooks = [layer.register_forward_hook(spread) for layer in model.modules() if type(layer) in kinds]
    with torch.no_grad():
        model(sample)
    for hook in hooks:
        hook.remove()
    for layer in model.modules():
        if hasattr(layer, "reset_mem"):
            layer.reset_mem()


def _network(
    framework: str, model: Any, graph: Any, said: Said, reading: Mapping[str, Any], *, drop_batch: bool = False
) -> Network:
    """Return the network of a graph, read as a file of the framework."""
    content = graph.to_dict()
    nodes = content["nodes"]
    for name, values in said.items():
        node = nodes.get(_node_name(name, nodes))
        if node is None:
            layer = dict(model.named_modules())[name]
            raise _refused(name, layer, "the exported graph has no node of this name", "use each layer once")
        more = dict(values)
        node["metadata"] = {**node.get("metadata", {}), **more.pop("metadata", {})}
        node.update(more)
    if drop_batch:
        for node in nodes.values():
            if node["type"] in ("Input", "Output") and len(node["shape"]) > 1:
                node["shape"] = node["shape"][1:]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{framework}.nir"
        with h5py.File(path, "w") as file:
            put(file, {"node": _plain(content)})
        return from_nir.load(path, reading_of({"trained_in": framework, **reading}))


def _node_name(module: str, nodes: Mapping[str, Any]) -> str:
    """Return the name of a module's node: its own, that of the neurons in a recurrent one, or as torch.fx writes it."""
    written = re.sub(r"\W", "_", module)
    candidates = (module, f"{module}.lif", written, f"_{written}")
    return next((name for name in candidates if name in nodes), module)


def _plain(value: Any) -> Any:
    """Return what a graph holds as arrays, texts and mappings, without what is None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list) and all(isinstance(item, tuple) for item in value):
        return np.array(value, dtype=h5py.string_dtype()).reshape(-1, 2)  # the edges
    return value if isinstance(value, str) else np.asarray(value.detach() if hasattr(value, "detach") else value)
