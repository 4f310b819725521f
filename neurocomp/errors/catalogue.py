"""The catalogue of diagnostics that ``neurocomp explain CODE`` prints."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """What a code means, why it happens and what to do."""

    name: str
    cause: str
    fix: str
    exit_code: int


def _e(name: str, exit_code: int, cause: str, fix: str) -> Entry:
    return Entry(name, cause, fix, exit_code)


CATALOGUE: dict[str, Entry] = {
    # 01: reading files
    "NC0101": _e(
        "file-not-found",
        3,
        "A file named on the command line or in the network file does not exist or cannot be read.",
        "Check the name; names inside net.yaml are relative to its own folder.",
    ),
    "NC0102": _e("yaml-syntax", 3, "The file is not valid YAML.", "Mend the syntax at the place shown."),
    "NC0103": _e(
        "unknown-key",
        3,
        "A mapping holds a key that the schema does not know; it is refused because it would be ignored silently.",
        "Correct the spelling, or remove the key. The schema: docs/net.schema.json.",
    ),
    "NC0104": _e("wrong-type", 3, "A value has another type than the schema asks for.", "Write the type that is named."),
    "NC0105": _e("missing-key", 3, "A key that has no default is missing.", "Add it."),
    "NC0106": _e(
        "unit",
        3,
        "A physical quantity has no unit, an unknown one, or one of another dimension.",
        "Write a number and a unit, such as '20 ms'.",
    ),
    "NC0107": _e("schema-version", 3, "The file declares another schema version.", "Write 'neurocomp: 1'."),
    "NC0108": _e("json-syntax", 3, "The file is not valid JSON.", "Mend the syntax at the place shown."),
    "NC0109": _e(
        "not-nir",
        3,
        "The file is not HDF5 or is damaged, or it is HDF5 but holds no NIR graph.",
        "Write it with nir.write(...), or copy it again.",
    ),
    "NC0119": _e(
        "not-onnx",
        3,
        "The file is no ONNX model or is damaged, or it has no single input and output.",
        "Write it with torch.onnx.export(...) or onnx.save(...), with one input and one output, or copy it again.",
    ),
    # 02: the network
    "NC0201": _e("unknown-population", 3, "A projection, encoder, decoder or stimulus names no population.", "Correct it."),
    "NC0202": _e(
        "shape-mismatch",
        3,
        "An array's shape does not follow from the shapes of the populations it belongs to.",
        "Dense weights have the shape (targets, sources), as torch.nn.Linear stores them; 'transpose: true' turns them.",
    ),
    "NC0203": _e("array-not-found", 3, "The file exists but holds no array of that key.", "Name one of the keys listed."),
    "NC0204": _e("not-finite", 3, "An array holds NaN or infinity.", "Find out in training where it comes from."),
    "NC0205": _e(
        "zero-delay-cycle",
        3,
        "A cycle of projections has a total delay of 0 ticks: a spike would depend on itself within one tick.",
        "Give at least one projection of the cycle 'delay: 1'.",
    ),
    "NC0206": _e("duplicate-name", 3, "Two things of one kind have the same name.", "Rename one of them."),
    "NC0207": _e("wrong-dtype", 3, "An array's element type cannot be used here.", "Store it as the type that is named."),
    "NC0208": _e("unknown-kind", 3, "A model, pattern, encoder or decoder of that name is not registered.", "Correct it."),
    "NC0209": _e("out-of-range", 3, "A value lies outside the range in which it has a meaning.", "Use a value in the range."),
    "NC0210": _e("data-mismatch", 3, "The declared data, labels and populations do not belong together.", "Correct it."),
    "NC0211": _e(
        "bad-stimulus",
        3,
        "A stimulus has a wrong name, shape, dtype or values.",
        "It is an .npz with one integer array per input population, named as it, of shape (samples, ticks, *shape).",
    ),
    "NC0212": _e("no-data", 3, "The command needs data or labels and the network declares none.", "Declare or pass them."),
    "NC0213": _e("no-neurons", 3, "The network has no population of neurons.", "Add one, and projections into it."),
    "NC0214": _e(
        "time-varying-current",
        3,
        "The encoder 'current' takes one value per sample and neuron, which holds for all ticks; the data have one per tick.",
        "Average the data over the ticks, or turn them into spikes and use 'scheme: direct'.",
    ),
    "NC0215": _e("model-axis", 3, "A neuron model does not have a semantic axis in this form.", "Use a form that is named."),
    "NC0216": _e(
        "weights-of-a-chain",
        3,
        "The projection's 'weights' are those of the one pattern of a chain that needs weights and states none of its own.",
        "Let all other patterns state theirs, such as {scale: {weights: F.npz#s}}.",
    ),
    "NC0217": _e(
        "open-shape",
        3,
        "The shape that a pattern within a chain makes does not follow from what it starts from.",
        "Put it last, where the shape is the target's, or use two projections with a population between them.",
    ),
    "NC0218": _e(
        "graph",
        3,
        "The edges of a graph name nodes that do not exist, or join nodes in a way that means nothing.",
        "Correct the edges, or the nodes that they join.",
    ),
    "NC0219": _e(
        "left-open",
        3,
        "A file leaves open what cannot be guessed, or two of its statements or options contradict one another.",
        "Say it with the option that the message names.",
    ),
    "NC0220": _e(
        "learning",
        3,
        "The 'learn' of a projection does not fit it: weights that are shared, delays that differ, parameters of another rule.",
        "Change what the message names; docs/learning.md lists the rules.",
    ),
    # 03: the target cannot do it
    "NC0301": _e("reset", 4, "The target resets a neuron in another way.", "Use a reset that it has, and retrain."),
    "NC0302": _e(
        "comparison",
        4,
        "The target compares the potential with the threshold in another way. '>=' is '>' with the next lower threshold "
        "where the potential moves in steps of thresholds: without leaks, and with biases and starts that are multiples.",
        "Use the one that it has, or let it be taken for the other (--compare gt on Loihi, ge on TrueNorth); that is measured.",
    ),
    "NC0303": _e(
        "refractory", 4, "The target has no refractory periods, or none that long.", "Shorten it, or lengthen the timestep."
    ),
    "NC0304": _e("update-order", 4, "The target applies threshold and reset in another order.", "Use the order it has."),
    "NC0305": _e("many-spikes", 4, "The target sends at most one spike per neuron and tick.", "Use 'spikes_per_tick: one'."),
    "NC0306": _e("potential-floor", 4, "The target has no such floor of the potential.", "Remove 'v_floor'."),
    "NC0307": _e("reset-schedule", 4, "The target has no periodic resets.", "Reset per sample."),
    "NC0308": _e("pattern", 4, "The target has no such synapse pattern.", "Write it as one that the message names."),
    "NC0309": _e("delay-limit", 4, "A delay, with the lag that the chip adds, exceeds what a synapse stores.", "Shorten it."),
    "NC0310": _e(
        "native-integers",
        4,
        "Integers that the file declares as a chip's own do not fit that chip's number format.",
        "Bring them into the format's range, or drop 'format' so that real values are quantized.",
    ),
    "NC0311": _e(
        "learning", 4, "Learning rules, groups and modulators are not compiled: a program holds fixed weights.", "Remove them."
    ),
    "NC0312": _e(
        "precision",
        4,
        "No scale of the target's number format represents weights, threshold, bias and state of a population together, or one "
        "of them has no integer there at all, such as a negative threshold.",
        "Do what the message says for a single value; else rescale the population, or clip its largest weights in training.",
    ),
    "NC0313": _e("neuron-model", 4, "The target has no lowering for a neuron model.", "Use a model it has."),
    "NC0314": _e(
        "graded-input",
        3,
        "A stimulus holds another value than 0 or 1; spikes of an input carry no value, whatever the target.",
        "Give 0 or 1 per tick; for a constant value per sample use the encoder 'current'.",
    ),
    "NC0315": _e(
        "cycle-too-short",
        4,
        "Every hop between neurons takes a tick on the chip; a cycle with fewer delay ticks than hops cannot keep its timing.",
        "Raise the delays along the cycle and train with them, or compile with --ticks-per-step K: the chip then takes K ticks "
        "for each of the network's.",
    ),
    "NC0316": _e(
        "max-pool",
        4,
        "A maximum over spikes of a window is no weighted sum, and the target only adds weighted spikes up.",
        "Use average or sum pooling, or '--target reference'.",
    ),
    "NC0317": _e(
        "chain",
        4,
        "A chain of patterns folds into one pattern neither exactly nor within the size that is written out.",
        "Put a population of neurons between its parts.",
    ),
    "NC0318": _e(
        "not-on-this-chip",
        4,
        "The network needs something that the chip does not do and simulations of it can.",
        "Use a target that does it, or allow it by --allow-extension; every output then says that it is not on this chip.",
    ),
    "NC0319": _e(
        "current",
        4,
        "A direct current is written by the host once per sample, beside the bias: it cannot change within a sample, nor flow "
        "into a synaptic current.",
        "Encode what changes as spikes, and give the population a model without synaptic current.",
    ),
    "NC0330": _e(
        "constant-input",
        4,
        "A constant analog input reaches neurons in a way that a bias per sample cannot stand for.",
        "Put a population of 'if' neurons behind the input, or encode it as spikes.",
    ),
    "NC0332": _e(
        "constant-input-range",
        3,
        "A sample's constant input is larger than the bias register of the target holds at the scale that calibration chose.",
        "Declare calibration data that has such values, and compile again.",
    ),
    "NC0345": _e(
        "nir-node",
        4,
        "A node of a NIR file does what networks of neurocomp have no words for.",
        "Write it as the hint says, or give it the rule of another framework.",
    ),
    "NC0349": _e(
        "onnx-node",
        4,
        "A node of an ONNX file does what a spiking network of rates does not: only weighted sums and ReLU convert.",
        "Replace it as the hint says, and train again.",
    ),
    "NC0350": _e(
        "no-learning",
        4,
        "The target has no synapses that learn, or not from such messages.",
        "Train before compiling and leave 'learn' out, or use a target that learns.",
    ),
    "NC0351": _e(
        "learning-range",
        4,
        "A coefficient or bound of a learning rule lies outside of what mantissas, exponents and 9-bit weights hold.",
        "Change the rate, the bounds or the number of factors as the message says.",
    ),
    "NC0320": _e("engine-unavailable", 4, "A simulation engine is not there.", "Install it as said, or use another one."),
    "NC0321": _e(
        "ticks-per-step",
        4,
        "A network's parameters cannot be re-derived for several ticks of the chip per tick of the network.",
        "Do what the message says, or raise the delays along the cycle instead.",
    ),
    "NC0322": _e("reserved-name", 4, "A population has the name of a part that lowering makes for another one.", "Rename it."),
    "NC0323": _e(
        "spikes-alone",
        4,
        "Only spikes of 0 and 1 enter and leave the target: no direct currents, no spikes that carry values, no potentials.",
        "Encode inputs as spikes (rate, bernoulli, latency, threshold), and decode spikes (count, first_spike, vote).",
    ),
    "NC0324": _e(
        "not-expressible",
        4,
        "A network names a construct of the literature that is no local arithmetic on spikes: no neuron model or learning rule "
        "can be it, on any target.",
        "Do what the hint says, or compute that part outside of the network.",
    ),
    "NC0341": _e(
        "foreign-network",
        4,
        "The network of another tool asks for something that the chip family does not have: wider integers, larger cores or "
        "grids, longer delays.",
        "Change the value that is named.",
    ),
    "NC0342": _e(
        "foreign-format",
        4,
        "The format of another tool cannot say what the compiled network does.",
        "Change the parameter that is named and compile again, or export in another format.",
    ),
    "NC0343": _e(
        "export-size",
        4,
        "The network has more synapses than files of another tool, which list each of them, may hold.",
        "Export a smaller network, or with --format integers, which keeps the patterns of connections.",
    ),
    "NC0344": _e(
        "pins",
        4,
        "Neurons can be pinned to cores that store rows of synapses, or spread over them by another mapper; crossbars are "
        "planned in blocks, and the reference has one core.",
        "Leave --mapping, or --mapper, out.",
    ),
    "NC0346": _e(
        "claim",
        3,
        "A file given to 'report lint' is neither a text nor a report, or a claim in it has a field that there is not.",
        "Write 'claims:' and a list of mappings; docs/energy.md lists the fields.",
    ),
    "NC0347": _e(
        "replay",
        3,
        "What is given to --replay is no report with its provenance, or its artifact is not there or is another one.",
        "Give what 'neurocomp report ART --json' printed, and the artifact that it was made from.",
    ),
    # 04: it does not fit
    "NC0401": _e("cores", 5, "The network needs more cores than the target has.", "Use more chips or a smaller network."),
    "NC0402": _e(
        "synapse-memory",
        5,
        "The synapses of one neuron alone exceed the synaptic memory of a core.",
        "Lower the fan-in or the weight bits.",
    ),
    "NC0405": _e("output-axons", 5, "A neuron sends to more places than a core's output table holds.", "Lower the fan-out."),
    "NC0406": _e(
        "profiles",
        5,
        "One neuron alone needs more parameter profiles than a core has: a reset by subtraction takes a decay profile of its "
        "own. Populations with many profiles are spread over cores.",
        "Use another reset, or a target with more profiles.",
    ),
    "NC0407": _e(
        "compartments",
        5,
        "One neuron needs more compartments than a core has: a reset by subtraction takes a second one.",
        "Use another reset, or a target with larger cores.",
    ),
    "NC0408": _e(
        "synapse-formats",
        5,
        "The projections into one neuron need more synapse formats (sign, exponent, weight bits, delay bits, layout) than a "
        "core has.",
        "Let projections share them, or use fewer projections into the population.",
    ),
    "NC0409": _e(
        "delay-address",
        5,
        "Long delays leave a synapse too few bits to address the compartments of one neuron.",
        "Shorten the delays.",
    ),
    "NC0412": _e(
        "fan-in",
        5,
        "One neuron has more distinct sources than a core has input axons; no split of the population changes that.",
        "Lower the fan-in, e.g. with a layer in between.",
    ),
    "NC0413": _e(
        "axon-types",
        5,
        "A core has a few types of input axons, and each neuron one weight per type; sums of them do not make up the weights.",
        "Use fewer levels of weights; --weights names those that there are.",
    ),
    "NC0414": _e(
        "fan-out",
        5,
        "A neuron sends to one axon; it reaches more by copies of itself or relays, and not even a core full of them suffices.",
        "Use fewer distinct delays, coarser weights, or partial sums in the layer behind it.",
    ),
    "NC0415": _e(
        "pinned-core",
        5,
        "A mapping of the user puts neurons on a core that does not exist, or more than it can hold.",
        "Change the pins that are named; 'neurocomp map export' writes a mapping that fits.",
    ),
    # 05: specs
    "NC0501": _e("unknown-target", 2, "There is no hardware spec of that name or at that path.", "See 'neurocomp targets'."),
    "NC0502": _e("invalid-spec", 3, "A hardware spec holds a value that cannot be.", "Correct it at the place shown."),
    # 06: artifacts
    "NC0601": _e("not-an-artifact", 3, "The file is not a .ncz of neurocomp.", "Make one with 'neurocomp compile'."),
    "NC0602": _e("damaged-artifact", 3, "The .ncz is truncated or its contents do not match their digests.", "Compile again."),
    "NC0603": _e("artifact-version", 3, "The .ncz was written by another format version.", "Compile again."),
    "NC0604": _e("data-not-stored", 3, "The artifact holds only the digest of its data.", "Pass --data and --labels."),
    # 07: verify
    "NC0701": _e(
        "mismatch",
        6,
        "Two simulations of the same network disagree.",
        "Please report it with the network file; do not deploy the program.",
    ),
    "NC0702": _e(
        "nothing-to-inject",
        3,
        "The stimulus exercises no table entry of the kind asked for.",
        "Give a stimulus that makes the network spike.",
    ),
    # 08: usage
    "NC0801": _e("usage", 2, "The command line or call is not valid.", "See --help."),
    # 09: ours
    "NC0901": _e("internal", 1, "A compiler stage broke one of its own invariants.", "Please report it."),
}
