"""Atoms on cores: growth of cores by shared sources, and annealing with exact counts of what every core needs.

An atom is a group of neurons with the same sources and the same targets; it is moved as one. ``reached`` holds for every atom
and core how many atoms on that core it reaches, so that what a move changes is found from the sources of the moved atom alone:
a core loses an axon where what a source reaches there falls to 0, and gains one where it was 0. docs/mapping.md has the
objective.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurocomp.engine.kernels.jit import entry, inlined, kernel

Array = NDArray[Any]

TRIALS = 6
"""Choices of a move for each that is evaluated, at most: many lead to the own core or to another group."""
STEP = np.uint64(0x9E3779B97F4A7C15)
"""Of SplitMix64."""
NOWHERE = -1
"""The core of atoms on the host."""


class Graph(NamedTuple):
    """Who reaches whom, of n atoms; nothing of it changes."""

    neurons: NDArray[np.int64]
    """(n,): compartments that an atom takes on a core."""
    axons: NDArray[np.int64]
    """(n,): its neurons, each of which needs an axon on every core that it reaches."""
    rate: NDArray[np.int64]
    """(n,): packets per unit of time to every core that it reaches."""
    memory: NDArray[np.int64]
    """(n,): synapse memory of its neurons."""
    family: NDArray[np.int64]
    """(n,): atoms of two families never share a core."""
    out_start: NDArray[np.int64]
    out_index: NDArray[np.int32]
    """Atoms that each reaches, ascending, itself included where it does."""
    in_start: NDArray[np.int64]
    in_index: NDArray[np.int32]
    """Atoms that reach each."""


class Cores(NamedTuple):
    """What k cores hold."""

    reached: Array
    """(k, n), zeros at first: how many atoms of each core an atom reaches; by core, so that its part stays in the cache."""
    neurons: NDArray[np.int64]
    axons: NDArray[np.int64]
    memory: NDArray[np.int64]
    family: NDArray[np.int64]
    """Of the atoms that each core holds or held last."""


class Limits(NamedTuple):
    """What a core may hold."""

    neurons: int
    axons: int
    memory: int
    axon_memory: int = 0
    """Synapse memory that an axon takes beside its synapses."""


class Prices(NamedTuple):
    """What a unit beyond a limit costs, in packets."""

    neurons: float
    axons: float
    memory: float


class Queue(NamedTuple):
    """Buckets of atoms as linked lists; -1 ends them."""

    head: NDArray[np.int64]
    before: NDArray[np.int64]
    """(n,)"""
    after: NDArray[np.int64]


@inlined
def finalized(z):
    """Return the finalizer of SplitMix64 (Steele, Lea, Flood 2014): neighbours become unrelated."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@inlined
def random_bits(state):
    """Return 64 random bits by SplitMix64, whose state is one number."""
    state[0] += STEP
    return finalized(state[0])


@inlined
def random_below(state, n):
    """Return a random number of 0 .. n - 1, for n < 2**32."""
    return np.int64(((random_bits(state) >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@inlined
def beyond(used, limit):
    """Return how much of a limit is overdrawn."""
    return used - limit if used > limit else np.int64(0)


@entry
def tally(graph, core, cores):
    """Count what every core needs from the cores of all atoms.

    Returns:
        Packets: the sum over atoms of their rate x cores reached beside their own.
    """
    cores.neurons[:] = 0
    cores.axons[:] = 0
    cores.memory[:] = 0
    packets = np.int64(0)
    for e in range(len(core)):
        own = core[e]
        if own >= 0:
            cores.neurons[own] += graph.neurons[e]
            cores.memory[own] += graph.memory[e]
            cores.family[own] = graph.family[e]
        for i in range(graph.out_start[e], graph.out_start[e + 1]):
            c = core[graph.out_index[i]]
            if cores.reached[c, e] == 0:
                cores.axons[c] += graph.axons[e]
                if c != own:
                    packets += graph.rate[e]
            cores.reached[c, e] += 1
    return packets


@entry
def packets_of(graph, core, stamp):
    """Return the packets of a partition alone, with no table of atoms and cores; ``stamp`` is (k,), all -1."""
    packets = np.int64(0)
    for e in range(len(core)):
        own = core[e]
        for i in range(graph.out_start[e], graph.out_start[e + 1]):
            c = core[graph.out_index[i]]
            if stamp[c] != e:
                stamp[c] = e
                packets += graph.rate[e] * np.int64(c != own)
    return packets


@kernel
def moved(graph, core, reached, v, a, b):
    """Return what changes if atom v moves from core a to core b: packets, axons of a, axons of b."""
    packets, axons_a, axons_b = np.int64(0), np.int64(0), np.int64(0)
    reaches_itself = 0
    row_a, row_b = reached[a], reached[b]
    for i in range(graph.in_start[v], graph.in_start[v + 1]):
        e = graph.in_index[i]
        reaches_itself += np.int64(e == v)
        in_a, in_b = row_a[e], row_b[e]
        if (in_a == 1) | (in_b == 0):
            # One branch, as each of the two would be guessed wrong half of the time.
            last, first, own = np.int64(in_a == 1), np.int64(in_b == 0), core[e]
            axons_a -= graph.axons[e] * last
            axons_b += graph.axons[e] * first
            packets += graph.rate[e] * (first * np.int64(own != b) - last * np.int64(own != a))
    if reaches_itself:
        packets -= graph.rate[v] * np.int64(row_b[v] == 0)
    if reached[a, v] > reaches_itself:
        packets += graph.rate[v]
    if reached[b, v] > 0:
        packets -= graph.rate[v]
    return packets, axons_a, axons_b


@kernel
def move(graph, core, cores, v, a, b, axons_a, axons_b):
    """Move atom v from core a to core b."""
    for i in range(graph.in_start[v], graph.in_start[v + 1]):
        e = graph.in_index[i]
        cores.reached[a, e] -= 1
        cores.reached[b, e] += 1
    core[v] = b
    cores.neurons[a] -= graph.neurons[v]
    cores.neurons[b] += graph.neurons[v]
    cores.memory[a] -= graph.memory[v]
    cores.memory[b] += graph.memory[v]
    cores.axons[a] += axons_a
    cores.axons[b] += axons_b


@kernel
def neighbour(graph, core, state, v):
    """Return the core of a random atom that v reaches, that reaches v, or that has a source in common with v."""
    n_in = graph.in_start[v + 1] - graph.in_start[v]
    n_out = graph.out_start[v + 1] - graph.out_start[v]
    kind = random_bits(state) & np.uint64(3)
    if n_out and (kind == 0 or n_in == 0):
        return core[graph.out_index[graph.out_start[v] + random_below(state, n_out)]]
    if n_in == 0:
        return core[v]
    e = graph.in_index[graph.in_start[v] + random_below(state, n_in)]
    if kind == 1:
        return core[e]
    return core[graph.out_index[graph.out_start[e] + random_below(state, graph.out_start[e + 1] - graph.out_start[e])]]


@entry
def anneal(graph, core, cores, limits, prices, nodes, group, here, hot, cold, steps, state):
    """Move atoms between neighbouring cores of one group for some steps of simulated annealing.

    Nothing of other groups is written, and nothing read of them decides anything: groups may run at the same time.

    Args:
        nodes: Atoms that may move, all on cores of the group.
        group: (k,): the group of each core.
        here: This group.
        hot, cold: Temperature at the first and after the last step, in packets.
        steps: Moves between two cores that are evaluated, unless too many choices of one fail.
        state: (1,): of the random numbers.

    Returns:
        The change in packets.
    """
    total = np.int64(0)
    n = len(nodes)
    temperature = hot
    step = 0
    for trial in range(TRIALS * steps):
        if step == steps:
            break
        if trial & 255 == 0:
            temperature = hot * (cold / hot) ** (step / steps)
        v = nodes[random_below(state, n)]
        a = core[v]
        b = neighbour(graph, core, state, v)
        if b == a or b < 0 or group[b] != here or cores.family[b] != graph.family[v]:
            continue
        step += 1
        packets, axons_a, axons_b = moved(graph, core, cores.reached, v, a, b)
        neurons, memory = graph.neurons[v], graph.memory[v]
        fee = prices.neurons * (
            beyond(cores.neurons[b] + neurons, limits.neurons) - beyond(cores.neurons[b], limits.neurons)
            + beyond(cores.neurons[a] - neurons, limits.neurons) - beyond(cores.neurons[a], limits.neurons)
        )  # fmt: skip
        fee += prices.axons * (
            beyond(cores.axons[b] + axons_b, limits.axons) - beyond(cores.axons[b], limits.axons)
            + beyond(cores.axons[a] + axons_a, limits.axons) - beyond(cores.axons[a], limits.axons)
        )  # fmt: skip
        each = limits.axon_memory
        held_a, held_b = cores.memory[a] + each * cores.axons[a], cores.memory[b] + each * cores.axons[b]
        fee += prices.memory * (
            beyond(held_b + memory + each * axons_b, limits.memory) - beyond(held_b, limits.memory)
            + beyond(held_a - memory + each * axons_a, limits.memory) - beyond(held_a, limits.memory)
        )  # fmt: skip
        cost = packets + fee
        if cost > 0:
            chance = np.float64(random_bits(state) >> np.uint64(11)) * 2.0**-53
            if chance >= np.exp(-cost / temperature):
                continue
        move(graph, core, cores, v, a, b, axons_a, axons_b)
        total += packets
    return total


@inlined
def keeps(cores, limits, c):
    """Return whether a core holds no more than it may."""
    memory = cores.memory[c] + limits.axon_memory * cores.axons[c]
    return (cores.neurons[c] <= limits.neurons) & (cores.axons[c] <= limits.axons) & (memory <= limits.memory)


@entry
def exchange(graph, core, cores, limits, nodes, hot, cold, steps, state, best):
    """Move atoms to any core, or exchange two of different cores, for some steps of annealing that never breaks a limit.

    It is for few atoms, of which hardly one can move alone where cores are full.

    Args:
        core: (n,): keeps every limit; is changed.
        nodes: Atoms that may move.
        hot, cold: Temperature at the first and after the last step, in packets.
        steps: Moves and exchanges that are tried.
        state: (1,): of the random numbers.
        best: (n,): gets the cores with the fewest packets, at first those given.

    Returns:
        The change in packets from the first to the best.
    """
    total, least = np.int64(0), np.int64(0)
    for e in range(len(core)):
        best[e] = core[e]
    n, k = len(nodes), len(cores.neurons)
    temperature = hot
    for step in range(steps):
        if step & 63 == 0:
            temperature = hot * (cold / hot) ** (step / steps)
        v, u = nodes[random_below(state, n)], np.int64(-1)
        a, b = core[v], random_below(state, k)
        if random_bits(state) & np.uint64(1):
            u = nodes[random_below(state, n)]
            b = core[u]
        if a == b or (cores.neurons[b] > 0 and cores.family[b] != graph.family[v]):
            continue
        packets, axons_a, axons_b = moved(graph, core, cores.reached, v, a, b)
        move(graph, core, cores, v, a, b, axons_a, axons_b)
        change = packets
        if u >= 0:
            packets, axons_b, axons_a = moved(graph, core, cores.reached, u, b, a)
            move(graph, core, cores, u, b, a, axons_b, axons_a)
            change += packets
        taken = keeps(cores, limits, a) & keeps(cores, limits, b)
        if taken and change > 0:
            chance = np.float64(random_bits(state) >> np.uint64(11)) * 2.0**-53
            taken = chance < np.exp(-change / temperature)
        if taken:
            cores.family[b] = graph.family[v]
            total += change
            if total < least:
                least = total
                for e in range(len(core)):
                    best[e] = core[e]
            continue
        if u >= 0:
            packets, axons_a, axons_b = moved(graph, core, cores.reached, u, a, b)
            move(graph, core, cores, u, a, b, axons_a, axons_b)
        packets, axons_b, axons_a = moved(graph, core, cores.reached, v, b, a)
        move(graph, core, cores, v, b, a, axons_b, axons_a)
    return least


@kernel
def enqueue(queue, u, bucket):
    """Put an atom at the head of a bucket."""
    old = queue.head[bucket]
    queue.after[u], queue.before[u] = old, -1
    if old >= 0:
        queue.before[old] = u
    queue.head[bucket] = u


@kernel
def dequeue(queue, u, bucket):
    """Take an atom out of its bucket."""
    before, after = queue.before[u], queue.after[u]
    if before >= 0:
        queue.after[before] = after
    else:
        queue.head[bucket] = after
    if after >= 0:
        queue.before[after] = before


@entry
def grow(graph, order, fan_in, limits, core, shared, touched, stamp, queue):
    """Fill one core after the other with atoms that need the fewest further axons; every core keeps its limits.

    A core begins with the atom outside that shares the most sources with the core before, else with the next one in the given
    order; one that is less than half full when no neighbour is left goes on with another atom.

    Args:
        order: The atoms to place, in the order in which cores begin; others stay where they are.
        fan_in: (n,): axons that each atom needs.
        limits: Of every core.
        core: (n,): gets the core of each; -2 where it is to be placed.
        shared: (n,) zeros: axons of an atom that the core has; is overwritten, as are the next three.
        touched: (n,)
        stamp: (n,), all -1.
        queue: Heads of more than ``fan_in.max()`` buckets, all -1.

    Returns:
        The number of cores.
    """
    k, at, left, following = 0, 0, len(order), -1
    while left > 0:
        while core[order[at]] != -2:
            at += 1
        v = following if following >= 0 else order[at]
        neurons, axons, memory, n_touched = np.int64(0), np.int64(0), np.int64(0), 0
        family = graph.family[v]
        lowest = len(queue.head)
        while True:
            if shared[v] > 0:
                dequeue(queue, v, fan_in[v] - shared[v])
            core[v] = k
            left -= 1
            neurons += graph.neurons[v]
            memory += graph.memory[v]
            for i in range(graph.in_start[v], graph.in_start[v + 1]):
                e = graph.in_index[i]
                if stamp[e] == k:
                    continue
                stamp[e] = k
                axons += graph.axons[e]
                for j in range(graph.out_start[e], graph.out_start[e + 1]):
                    u = graph.out_index[j]
                    if core[u] != -2:
                        continue
                    if shared[u] == 0:
                        touched[n_touched] = u
                        n_touched += 1
                    else:
                        dequeue(queue, u, fan_in[u] - shared[u])
                    shared[u] += graph.axons[e]
                    bucket = fan_in[u] - shared[u]
                    enqueue(queue, u, bucket)
                    lowest = min(lowest, bucket)
            best, bucket = -1, lowest
            while best < 0 and bucket < len(queue.head) and axons + bucket <= limits.axons:
                u = queue.head[bucket]
                while u >= 0 and best < 0:
                    if (
                        graph.family[u] == family
                        and neurons + graph.neurons[u] <= limits.neurons
                        and memory + graph.memory[u] + limits.axon_memory * (axons + bucket) <= limits.memory
                    ):
                        best = u
                    u = queue.after[u]
                if queue.head[bucket] < 0 and bucket == lowest:
                    lowest += 1
                bucket += 1
            if best < 0 and 2 * max(neurons / limits.neurons, axons / limits.axons, memory / limits.memory) < 1:
                i, tried = at, 0
                while i < len(order) and tried < 64 and best < 0:
                    u = order[i]
                    if core[u] == -2 and shared[u] == 0:
                        tried += 1
                        needed = axons + fan_in[u]
                        if (
                            graph.family[u] == family
                            and neurons + graph.neurons[u] <= limits.neurons
                            and needed <= limits.axons
                            and memory + graph.memory[u] + limits.axon_memory * needed <= limits.memory
                        ):
                            best = u
                    i += 1
            if best < 0:
                break
            v = best
        following, most = -1, np.int64(0)
        for i in range(n_touched):
            u = touched[i]
            if core[u] == -2:
                if shared[u] > most:
                    following, most = u, shared[u]
                queue.head[fan_in[u] - shared[u]] = -1
            shared[u] = 0
        k += 1
    return k


@entry
def attach(graph, order, core, k, most_neurons, held, family, weight):
    """Put atoms without sources on the core that the most of what they reach is on, and that has room for them.

    Args:
        order: The atoms, each with ``core`` -2.
        core: (n,): gets the core of each.
        k: Cores in use.
        most_neurons: Of a core.
        held: (more than k,): neurons on each core; is updated, as is the next.
        family: Of each core.
        weight: As long, zeros; is overwritten.

    Returns:
        The number of cores in use.
    """
    for index in range(len(order)):
        v = order[index]
        best, most = -1, -1
        for i in range(graph.out_start[v], graph.out_start[v + 1]):
            c = core[graph.out_index[i]]
            if c >= 0:
                weight[c] += 1
        for i in range(graph.out_start[v], graph.out_start[v + 1]):
            c = core[graph.out_index[i]]
            if c >= 0:
                fits = held[c] + graph.neurons[v] <= most_neurons and family[c] == graph.family[v]
                if fits and weight[c] > most:
                    best, most = c, weight[c]
                weight[c] = 0
        c = k - 1
        while best < 0 and c >= 0:
            if held[c] + graph.neurons[v] <= most_neurons and family[c] == graph.family[v]:
                best = c
            c -= 1
        if best < 0:
            best = k
            family[k] = graph.family[v]
            k += 1
        core[v] = best
        held[best] += graph.neurons[v]
    return k


@entry
def hash_neighbours(start, target, label, from_sources, from_targets):
    """Add up the labels of the sources and of the targets of every neuron, (n,) each, modulo 2**64."""
    for s in range(len(start) - 1):
        total = np.uint64(0)
        for i in range(start[s], start[s + 1]):
            t = target[i]
            total += label[t]
            from_sources[t] += label[s]
        from_targets[s] = total


@entry
def count_distinct(start, target, atom, members, stamp, degree):
    """Count the distinct atoms that each of some neurons reaches; ``stamp`` is (atoms,), all -1."""
    for index in range(len(members)):
        s = members[index]
        found = 0
        for i in range(start[s], start[s + 1]):
            a = atom[target[i]]
            if stamp[a] != index:
                stamp[a] = index
                found += 1
        degree[index] = found


@entry
def list_distinct(start, target, atom, members, stamp, first, listed):
    """List them from ``first[index]`` on, in the order of the synapses."""
    for index in range(len(members)):
        s, at = members[index], first[index]
        for i in range(start[s], start[s + 1]):
            a = atom[target[i]]
            if stamp[a] != index:
                stamp[a] = index
                listed[at] = a
                at += 1


@entry
def transpose(start, target, cursor, sources):
    """Write the sources of every target, ascending; ``cursor`` is (n,): where each list begins, and then where it ends."""
    for s in range(len(start) - 1):
        for i in range(start[s], start[s + 1]):
            t = target[i]
            sources[cursor[t]] = s
            cursor[t] += 1


@entry
def reorder(start, target, order, rank, new_start, new_target):
    """Write lists of targets in a new order of the neurons, whose new numbers are ``rank``."""
    for index in range(len(order)):
        s = order[index]
        first = new_start[index]
        for i in range(start[s], start[s + 1]):
            new_target[first + i - start[s]] = rank[target[i]]
