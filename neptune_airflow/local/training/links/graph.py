"""A processed graph as link prediction sees it: forward relations, what a model may know of them, what is held out.

Data processing gives a target relation masks and its reverse none to train on. Here only forward relations exist, so
that no edge that is held out comes back in through its mirror image; who passes messages adds the other direction to
the known edges only.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from neptune_airflow.local.graphbin import Graph, Relation
from neptune_airflow.local.step import StepFailed
from neptune_airflow.local.training.problem import GRAPH_FILE, SPLITS, Mask

REVERSE = "rev-"
# Ranking compares each edge with every node of a type: at most so many comparisons, and edges, a split and relation.
MOST_COMPARISONS = 1_000_000_000
FEWEST_RANKED, MOST_RANKED = 200, 5_000

Indices = NDArray[np.int64]
Canonical = tuple[str, str, str]


@dataclass(frozen=True)
class Adjacency:
    """The neighbours of each node, one after the other: those of node ``i`` end where those of ``i + 1`` start."""

    starts: Indices
    ends: Indices

    @classmethod
    def of(cls, sources: Indices, ends: Indices, count: int) -> Adjacency:
        """Sort edges by the first of their ends, which has so many nodes."""
        starts = np.concatenate([[0], np.bincount(sources, minlength=count).cumsum()])
        return cls(starts, ends[np.argsort(sources, kind="stable")])

    def neighbours(self, nodes: Indices) -> tuple[Indices, Indices]:
        """Give the place in ``nodes`` and the neighbour, for every neighbour of each."""
        first = self.starts[nodes]
        sizes = self.starts[nodes + 1] - first
        before = sizes.cumsum() - sizes
        return np.repeat(np.arange(len(nodes)), sizes), self.ends[
            np.arange(sizes.sum()) + np.repeat(first - before, sizes)
        ]


@dataclass(frozen=True)
class Pairs:
    """Edges of one relation between numbered nodes; what comes twice counts once."""

    heads: Indices
    tails: Indices
    sizes: tuple[int, int]

    @classmethod
    def of(cls, keys: Indices, sizes: tuple[int, int]) -> Pairs:
        """Make edges of their keys."""
        return cls(keys // max(sizes[1], 1), keys % max(sizes[1], 1), sizes)

    @property
    def keys(self) -> Indices:
        """A number for each edge that is its own."""
        return self.heads * self.sizes[1] + self.tails

    @cached_property
    def tails_of(self) -> Adjacency:
        """The tails of each head."""
        return Adjacency.of(self.heads, self.tails, self.sizes[0])

    @cached_property
    def heads_of(self) -> Adjacency:
        """The heads of each tail."""
        return Adjacency.of(self.tails, self.heads, self.sizes[1])


@dataclass(frozen=True)
class Forward:
    """One forward relation.

    :param everything: all its edges, which no ranking counts as wrong.
    :param known: the edges that a model may learn from and pass messages along.
    :param held_out: by split the edges that are to be predicted, none of them known; empty where it is no target.
    :param taught: the known edges, and those that an earlier model, with which training begins, was trained on.
    """

    canonical: Canonical
    everything: Pairs
    known: Pairs
    held_out: dict[str, Pairs]
    taught: Pairs

    @property
    def key(self) -> str:
        """The name by which arrays of it are saved, as that of `problem.Link`."""
        return "|".join(self.canonical)

    @property
    def name(self) -> str:
        """The name for people, in the exporter's manner."""
        return "({})-{}-({})".format(*self.canonical)

    @property
    def sizes(self) -> tuple[int, int]:
        """How many heads and tails there could be."""
        return self.everything.sizes


@dataclass(frozen=True)
class LinkGraph:
    """All forward relations over all nodes.

    :param counts: nodes by type, in DGL's order, which is that of the global ids.
    :param relations: in DGL's order, which is that of the relation ids.
    :param repeated: held-out edges that are also there for training, and so are not ranked.
    :param withheld: held-out edges that a model, trained earlier, was trained on, and so are not ranked either.
    """

    counts: dict[str, int]
    relations: list[Forward]
    repeated: int
    withheld: int = 0

    @cached_property
    def offsets(self) -> dict[str, int]:
        """The global id of each type's first node."""
        starts = np.concatenate([[0], np.cumsum(list(self.counts.values()))])
        return {ntype: int(start) for ntype, start in zip(self.counts, starts, strict=False)}

    @property
    def total(self) -> int:
        """The number of all nodes."""
        return sum(self.counts.values())

    @property
    def targets(self) -> list[int]:
        """The numbers of the relations whose edges are to be predicted."""
        return [number for number, relation in enumerate(self.relations) if relation.held_out]

    @property
    def compared_on(self) -> str:
        """The split by which epochs and trials are compared: validation, or training where there is none."""
        return "valid" if self.size("valid") else "train"

    def _held_out(self, split: str) -> Iterator[Pairs]:
        return (self.relations[number].held_out[split] for number in self.targets)

    def size(self, split: str) -> int:
        """Give the number of edges in a split."""
        return sum(len(edges.heads) for edges in self._held_out(split))

    def after(self, earlier: Callable[[Forward], Pairs]) -> LinkGraph:
        """Rank no edge that an earlier model was trained on.

        :param earlier: gives these edges, by the nodes' numbers in this graph.
        """
        relations, withheld = [], 0
        for relation in self.relations:
            then = earlier(relation)
            held_out = dict(relation.held_out)
            for split in set(held_out) - {"train"}:
                edges = held_out[split]
                fresh = ~np.isin(edges.keys, then.keys)
                held_out[split] = Pairs(edges.heads[fresh], edges.tails[fresh], edges.sizes)
                withheld += int((~fresh).sum())
            taught = Pairs.of(np.union1d(relation.taught.keys, then.keys), relation.sizes)
            relations.append(replace(relation, held_out=held_out, taught=taught))
        return LinkGraph(self.counts, relations, self.repeated, withheld)

    def sample(self, split: str, most: int = MOST_RANKED) -> dict[int, Pairs]:
        """Give by target the edges of a split that are ranked: all, or always the same few where ranking takes long."""
        return {
            number: _few(self.relations[number].held_out[split], most, f"{number}/{split}") for number in self.targets
        }


def _few(edges: Pairs, most: int, name: str) -> Pairs:
    most = min(most, max(FEWEST_RANKED, MOST_COMPARISONS // max(sum(edges.sizes), 1)))
    if len(edges.heads) <= most:
        return edges
    chosen = np.sort(np.random.default_rng(zlib.crc32(name.encode())).permutation(len(edges.heads))[:most])
    return Pairs(edges.heads[chosen], edges.tails[chosen], edges.sizes)


def read(graph: Graph) -> LinkGraph:
    """Sort a processed graph into what is known and what is to be predicted.

    :raises StepFailed: when no edge is there to be trained on or none to be predicted.
    """
    counts = {ntype: graph.nodes[ntype] for ntype in sorted(graph.nodes)}
    names = {relation.canonical for relation in graph.relations}
    chosen = [relation for relation in graph.relations if not _mirrors(relation, names)]
    forward, repeated = [], 0
    for relation in sorted(chosen, key=lambda one: one.canonical):
        made, again = _forward(relation, (counts[relation.source], counts[relation.dest]))
        forward.append(made)
        repeated += again
    links = LinkGraph(counts, forward, repeated)
    if not links.targets:
        raise StepFailed(f"{GRAPH_FILE}: no relation has a train_mask, so no links can be predicted")
    if not links.size("train"):
        raise StepFailed("No edge of the relations to predict is in the training split")
    return links


def _mirrors(relation: Relation, names: set[Canonical]) -> bool:
    original = (relation.dest, relation.name.removeprefix(REVERSE), relation.source)
    return relation.name.startswith(REVERSE) and original in names


def _forward(relation: Relation, sizes: tuple[int, int]) -> tuple[Forward, int]:
    everyone = np.ones(len(relation.rows), dtype=bool)
    everything = _pairs(relation, everyone, sizes)
    if "train_mask" not in relation.data:
        return Forward(relation.canonical, everything, everything, {}, everything), 0
    nobody = np.zeros(len(relation.rows), dtype=bool)
    masks = {split: relation.data.get(f"{split}_mask", nobody).astype(bool).reshape(-1) for split in SPLITS}
    keys = relation.rows * sizes[1] + relation.cols
    again = np.isin(keys, keys[masks["train"]]) & ~masks["train"]
    repeated = int((again & (masks["valid"] | masks["test"])).sum())
    held_out = {split: _pairs(relation, mask & ~again, sizes) for split, mask in masks.items()}
    known = held_out["train"]
    return Forward(relation.canonical, everything, known, held_out, known), repeated


def _pairs(relation: Relation, chosen: Mask, sizes: tuple[int, int]) -> Pairs:
    return Pairs.of(np.unique(relation.rows[chosen] * sizes[1] + relation.cols[chosen]), sizes)
