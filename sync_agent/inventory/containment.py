"""Circles among relationships that put one element inside another: A in B, B in C, C in A.

Nothing is inside itself, so at least one of them is wrong, and nobody here can know which.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sync_agent.twins.twin import Key

PEELINGS_MAX = 32


def circles(edges: Iterable[tuple[Key, str]]) -> tuple[tuple[Key, ...], ...]:
    """Return the edges of every circle (of every strongly connected group of elements).

    Edges are ``((source, id), target)``. Tarjan's algorithm without recursion: linear, and a chain
    of any length is fine.
    """
    left = _peeled(list(edges))
    outgoing: dict[str, list[tuple[Key, str]]] = defaultdict(list)
    for key, target in left:
        outgoing[key[0]].append((key, target))
    group_of = _groups({source: [t for _, t in out] for source, out in outgoing.items()})
    found: dict[int, list[Key]] = defaultdict(list)
    for source, out in outgoing.items():
        for key, target in out:
            if group_of[source] == group_of.get(target):
                found[group_of[source]].append(key)
    return tuple(tuple(sorted(keys)) for keys in sorted(found.values()))


def _peeled(edges: list[tuple[Key, str]]) -> list[tuple[Key, str]]:
    """Leave out edges of what contains nothing and into what is in nothing: mostly all of them."""
    outer = {target for _, target in edges}
    edges = [edge for edge in edges if edge[0][0] in outer]
    for _ in range(PEELINGS_MAX):
        inner = {key[0] for key, _ in edges}
        left = [edge for edge in edges if edge[1] in inner]
        if len(left) == len(edges):
            break
        edges = left
    return edges


def _groups(graph: dict[str, list[str]]) -> dict[str, int]:
    """Return the number of each node's strongly connected group."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    group: dict[str, int] = {}
    stack: list[str] = []
    for start, first in graph.items():
        if start in order:
            continue
        work = [(start, iter(first))]
        order[start] = low[start] = len(order)
        stack.append(start)
        while work:
            node, targets = work[-1]
            step = next((t for t in targets if t not in group), None)
            if step is None:
                work.pop()
                _close(node, order, low, group, stack)
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
            elif step in order:
                low[node] = min(low[node], order[step])
            else:
                order[step] = low[step] = len(order)
                stack.append(step)
                work.append((step, iter(graph.get(step, ()))))
    return group


def _close(
    node: str, order: dict[str, int], low: dict[str, int], group: dict[str, int], stack: list[str]
) -> None:
    """Give a group its number when its first node is left."""
    if low[node] != order[node]:
        return
    while True:
        member = stack.pop()
        group[member] = order[node]
        if member == node:
            return
