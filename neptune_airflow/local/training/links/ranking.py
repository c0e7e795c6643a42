"""How well edges are predicted: the rank of the true end among all nodes of its type, and the same of two baselines.

The ranking is filtered: a candidate that makes another true edge, of whichever split, is no mistake and is left out.
Candidates that score alike share their places, so that a model gains nothing by scoring all alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neptune_airflow.local.training.family import Fit, Weights
from neptune_airflow.local.training.links.graph import Adjacency, Forward, Indices, LinkGraph, Pairs
from neptune_airflow.local.training.links.scores import Rows, score_heads, score_tails

HITS = (1, 3, 10)
METRICS = ("mrr", *(f"hits@{most}" for most in HITS), "mr")
# Entries of one table of scores: 64 MB.
TABLE = 1 << 24

Ranks = NDArray[np.float64]
Tables = Callable[[Indices], NDArray[Any]]


@dataclass(frozen=True)
class Model:
    """A trained model's rows.

    :param name: one of `scores.SCORES`.
    :param entity: a row a node, by global id.
    :param relation: a row a relation, by relation id.
    """

    name: str
    entity: Rows
    relation: Rows


def summary(ranks: Ranks) -> dict[str, float]:
    """Give the mean reciprocal rank, the shares of ranks within the first few, and the mean rank."""
    hits = {f"hits@{most}": float((ranks <= most).mean()) for most in HITS}
    return {"mrr": float((1 / ranks).mean()), **hits, "mr": float(ranks.mean())}


def better(metric: str, value: float) -> float:
    """Give a value of a metric so that more is better."""
    return -value if metric == "mr" else value


@dataclass
class Progress:
    """How a training goes, and the best weights so far.

    :param split: the one that is ranked.
    :param metric: what "best" means.
    """

    split: str
    metric: str
    best: Weights = field(default_factory=dict)
    value: float = 0.0
    best_epoch: int = 0
    since_best: int = 0
    points: list[tuple[int, float, float]] = field(default_factory=list)

    def add(self, epoch: int, loss: float, ranks: Ranks, weights: Weights) -> None:
        """Keep a copy of the weights if they rank better than any before."""
        value = summary(ranks)[self.metric]
        if not self.points or better(self.metric, value) > better(self.metric, self.value):
            self.best = {name: table.copy() for name, table in weights.items()}
            self.value, self.best_epoch, self.since_best = value, epoch, 0
        else:
            self.since_best += 1
        self.points.append((epoch, loss, value))

    def fit(self, seconds: float) -> Fit:
        """Give what came of the training."""
        columns = [[round(value, 6) for value in column] for column in zip(*self.points, strict=True)]
        curve: dict[str, list[float]] = dict(zip(("epoch", "loss", self.split), columns, strict=True))
        return Fit(self.best, self.value, self.best_epoch, curve, seconds)


def of_model(graph: LinkGraph, model: Model, edges: dict[int, Pairs]) -> Ranks:
    """Rank the ends of edges, tails and then heads, relation by relation.

    :param edges: by relation number, the edges to rank.
    """

    def ranks(number: int, asked: Pairs) -> list[Ranks]:
        relation = graph.relations[number]
        heads, tails = (_rows(graph, model.entity, ntype) for ntype in relation.canonical[::2])
        row = model.relation[number]
        return [
            _ranks(
                asked.heads, asked.tails, relation, True, lambda few: score_tails(model.name, heads[few], row, tails)
            ),
            _ranks(
                asked.tails, asked.heads, relation, False, lambda few: score_heads(model.name, tails[few], row, heads)
            ),
        ]

    return _all(ranks, edges)


def of_popularity(graph: LinkGraph, edges: dict[int, Pairs]) -> Ranks:
    """Rank by how many known edges of the relation a candidate has."""

    def ranks(number: int, asked: Pairs) -> list[Ranks]:
        relation = graph.relations[number]
        sent = np.diff(relation.known.tails_of.starts)
        received = np.diff(relation.known.heads_of.starts)
        return [
            _ranks(asked.heads, asked.tails, relation, True, lambda few: np.tile(received, (len(few), 1))),
            _ranks(asked.tails, asked.heads, relation, False, lambda few: np.tile(sent, (len(few), 1))),
        ]

    return _all(ranks, edges)


def of_chance(graph: LinkGraph, edges: dict[int, Pairs]) -> dict[str, float]:
    """Give the expectation of every metric when candidates come in any order."""

    def candidates(number: int, asked: Pairs) -> list[Ranks]:
        relation = graph.relations[number]
        return [
            relation.sizes[1] - _degrees(relation.everything.tails_of, asked.heads) + 1,
            relation.sizes[0] - _degrees(relation.everything.heads_of, asked.tails) + 1,
        ]

    sizes = _all(candidates, edges)
    reciprocal = np.concatenate([[0], np.cumsum(1 / np.arange(1, sizes.max(initial=1) + 1))])
    hits = {f"hits@{most}": float(np.minimum(most / sizes, 1).mean()) for most in HITS}
    return {"mrr": float((reciprocal[sizes.astype(int)] / sizes).mean()), **hits, "mr": float((sizes + 1).mean() / 2)}


def _degrees(adjacency: Adjacency, nodes: Indices) -> Ranks:
    return np.diff(adjacency.starts)[nodes].astype(np.float64)


def _all(ranks: Callable[[int, Pairs], list[Ranks]], edges: dict[int, Pairs]) -> Ranks:
    made = [part for number, asked in edges.items() if len(asked.heads) for part in ranks(number, asked)]
    return np.concatenate(made) if made else np.empty(0)


def _rows(graph: LinkGraph, entity: Rows, ntype: str) -> Rows:
    start = graph.offsets[ntype]
    return entity[start : start + graph.counts[ntype]]


def _ranks(given: Indices, truth: Indices, relation: Forward, tails: bool, table: Tables) -> Ranks:
    """Rank the true ends of edges of which one end is given."""
    others = relation.everything.tails_of if tails else relation.everything.heads_of
    batch = max(TABLE // relation.sizes[int(tails)], 1)
    made = []
    for start in range(0, len(given), batch):
        few, right = given[start : start + batch], truth[start : start + batch]
        scores = table(few)
        reached = scores[np.arange(len(few)), right][:, None]
        left_out = np.zeros(scores.shape, dtype=bool)
        left_out[others.neighbours(few)] = True
        worse = (scores < reached) | left_out
        alike = (scores == reached) & ~left_out
        # What is neither worse nor alike is better, or no number, which must not pass for a good rank.
        made.append(scores.shape[1] - worse.sum(axis=1) - alike.sum(axis=1) / 2 + 1)
    return np.concatenate(made)
