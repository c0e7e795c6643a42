"""Batches of known edges with nodes of the right type to tell them from, for every model alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from neptune_airflow.local.training.links.graph import Adjacency, Indices, LinkGraph, Pairs
from neptune_airflow.local.training.problem import Mask


@dataclass(frozen=True)
class Side:
    """Edges of one relation with one end given and the other asked for; all nodes by global id.

    :param tails: whether tails are asked for, or else heads.
    :param given: the known ends, [n].
    :param truth: the ends that are right, [n].
    :param candidates: nodes of the same type as the right ones, shared by all edges, [m].
    :param right: which candidates make a known edge too, and so are not wrong, [n, m].
    """

    tails: bool
    given: Indices
    truth: Indices
    candidates: Indices
    right: Mask


@dataclass(frozen=True)
class Batch:
    """Some edges of one relation, from both sides.

    :param relation: the relation's number.
    """

    relation: int
    sides: tuple[Side, Side]

    def __len__(self) -> int:
        return len(self.sides[0].given)


def epoch(
    graph: LinkGraph, edges: dict[int, Pairs], size: int, negatives: int, rng: np.random.Generator
) -> Iterator[Batch]:
    """Give every edge once, in batches of one relation each, relations and edges mixed.

    :param edges: by relation number, the edges to learn.
    :param size: edges a batch, at most.
    :param negatives: candidates a batch and side, fewer where a type has not so many nodes.
    """
    parts = [
        (number, part)
        for number, pairs in edges.items()
        if len(pairs.heads)
        for part in np.array_split(rng.permutation(len(pairs.heads)), -(-len(pairs.heads) // size))
    ]
    for place in rng.permutation(len(parts)):
        number, part = parts[place]
        yield batch(graph, number, edges[number].heads[part], edges[number].tails[part], negatives, rng)


def batch(
    graph: LinkGraph, number: int, heads: Indices, tails: Indices, negatives: int, rng: np.random.Generator
) -> Batch:
    """Put edges of one relation together with fresh candidates."""
    relation = graph.relations[number]
    known = relation.known
    of_heads, of_tails = graph.offsets[relation.canonical[0]], graph.offsets[relation.canonical[2]]

    def side(asks_tails: bool, given: Indices, truth: Indices, adjacency: Adjacency, count: int) -> Side:
        before, after = (of_heads, of_tails) if asks_tails else (of_tails, of_heads)
        candidates = np.sort(rng.choice(count, min(negatives, count), replace=False))
        right = _known(adjacency, given, candidates)
        return Side(asks_tails, given + before, truth + after, candidates + after, right)

    return Batch(
        number,
        (
            side(True, heads, tails, known.tails_of, relation.sizes[1]),
            side(False, tails, heads, known.heads_of, relation.sizes[0]),
        ),
    )


def _known(adjacency: Adjacency, given: Indices, candidates: Indices) -> Mask:
    """Say which candidates, sorted ones, each given node has an edge with."""
    # Each node once: a batch of nothing but one hub must not list its neighbours as often as the hub comes.
    few, places = np.unique(given, return_inverse=True)
    rows, ends = adjacency.neighbours(few)
    columns = np.minimum(np.searchsorted(candidates, ends), len(candidates) - 1)
    there = candidates[columns] == ends
    table = np.zeros((len(few), len(candidates)), dtype=bool)
    table[rows[there], columns[there]] = True
    return table[places]
