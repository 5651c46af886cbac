"""Who must come before whom, and the cycles in it: where there is one, there is no order of all."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from enum import IntEnum
from itertools import groupby
from typing import Generic, NamedTuple, TypeVar

N = TypeVar("N")


class Dependency(IntEnum):
    """In the order in which cycles are searched for: a cycle is the worse, the fewer of them it needs."""

    WW = 1
    WR = 2
    RW = 3
    RT = 4


class Edge(NamedTuple, Generic[N]):
    """One must come before the other, and why."""

    before: N
    after: N
    kind: Dependency
    reason: str


class Dependencies(Generic[N]):
    """Who must come before whom. Of several reasons for the same, the worst counts."""

    def __init__(self, edges: Iterable[Edge[N]]) -> None:
        self._edges: defaultdict[N, dict[N, Edge[N]]] = defaultdict(dict)
        for edge in edges:
            known = self._edges[edge.before].get(edge.after)
            if known is None or edge.kind < known.kind:
                self._edges[edge.before][edge.after] = edge

    def cycles(self) -> Iterator[list[Edge[N]]]:
        """Yield one short cycle for each set of nodes that depend on each other; worst first, none inside another."""
        found: list[set[N]] = []
        for limit in Dependency:
            graph = {node: [edge.after for edge in self._from(node, limit)] for node in self._edges}
            for component in Components(graph).found:
                if not any(cycle <= component for cycle in found):
                    cycle = self._shortest(component, limit)
                    found.append({edge.before for edge in cycle})
                    yield _shortened(cycle)

    def _from(self, node: N, limit: int) -> list[Edge[N]]:
        return [edge for edge in self._edges.get(node, {}).values() if edge.kind <= limit]

    def _shortest(self, component: set[N], limit: Dependency) -> list[Edge[N]]:
        """Return the shortest cycle in a component; one with a single edge of the last kind, if there is one."""
        last = [edge for node in component for edge in self._from(node, limit) if edge.kind == limit]
        for rest in (limit - 1, limit):
            paths = [(edge, self._path(edge.after, edge.before, rest, component)) for edge in last]
            cycles = [[edge, *path] for edge, path in paths if path is not None]
            if cycles:
                return min(cycles, key=len)
        raise AssertionError("a component has a cycle")

    def _path(self, start: N, goal: N, limit: int, within: Collection[N]) -> list[Edge[N]] | None:
        """Return a shortest path inside a component, breadth first."""
        if start not in within:
            return None
        reached_by: dict[N, Edge[N] | None] = {start: None}
        pending = deque([start])
        while pending and goal not in reached_by:
            for edge in self._from(pending.popleft(), limit):
                if edge.after in within and edge.after not in reached_by:
                    reached_by[edge.after] = edge
                    pending.append(edge.after)
        return _walked_back(goal, reached_by) if goal in reached_by else None


def _walked_back(goal: N, reached_by: Mapping[N, Edge[N] | None]) -> list[Edge[N]]:
    path = []
    edge = reached_by[goal]
    while edge is not None:
        path.append(edge)
        edge = reached_by[edge.before]
    return path[::-1]


def _shortened(cycle: list[Edge[N]]) -> list[Edge[N]]:
    """Take steps in real time that follow each other as one: they were only kept apart to have fewer of them."""
    start = next((n for n, edge in enumerate(cycle) if edge.kind is not Dependency.RT), 0)
    short: list[Edge[N]] = []
    for kind, run in groupby([*cycle[start:], *cycle[:start]], key=lambda edge: edge.kind):
        edges = list(run)
        if kind is Dependency.RT:
            edges = [edges[0]._replace(after=edges[-1].after)]
        short += edges
    return short


class Components(Generic[N]):
    """The strongly connected components of more than one node: Tarjan's algorithm, with a stack of its own."""

    def __init__(self, graph: Mapping[N, Collection[N]]) -> None:
        self.found: list[set[N]] = []
        self._graph = graph
        self._number: dict[N, int] = {}
        self._lowest: dict[N, int] = {}
        self._open: dict[N, None] = {}
        """Entered and in no component yet, in the order of arrival."""
        for root in graph:
            if root not in self._number:
                self._explore(root)

    def _explore(self, root: N) -> None:
        path = [(root, self._enter(root))]
        while path:
            node, rest = path[-1]
            for following in rest:
                if following not in self._number:
                    path.append((following, self._enter(following)))
                    break
                if following in self._open:
                    self._lowest[node] = min(self._lowest[node], self._number[following])
            else:
                path.pop()
                self._leave(node)
                if path:
                    parent = path[-1][0]
                    self._lowest[parent] = min(self._lowest[parent], self._lowest[node])

    def _enter(self, node: N) -> Iterator[N]:
        self._number[node] = self._lowest[node] = len(self._number)
        self._open[node] = None
        return iter(self._graph.get(node, ()))

    def _leave(self, node: N) -> None:
        """Take a component out once its first node is done: all that came after it and is still open belongs to it."""
        if self._lowest[node] != self._number[node]:
            return
        component: set[N] = set()
        while node not in component:
            component.add(self._open.popitem()[0])
        if len(component) > 1:
            self.found.append(component)
