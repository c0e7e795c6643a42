"""Knowledge graph embeddings: a row a node and a row a relation, learnt by Adagrad from batches of known edges.

Each step touches the rows of its batch only, so that a large graph costs no more a step than a small one. AWS's models
are those of DGL-KE: rows start within (gamma + 2) / num-hidden, and the regularisation is the cube of their size.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neptune_airflow.local.step import StepFailed
from neptune_airflow.local.training.family import Fit, Weights
from neptune_airflow.local.training.hyperparameters import HPO_FILE, Names, Search
from neptune_airflow.local.training.links import ranking
from neptune_airflow.local.training.links.batches import Batch, epoch
from neptune_airflow.local.training.links.graph import Indices, LinkGraph
from neptune_airflow.local.training.links.loss import contrast
from neptune_airflow.local.training.links.ranking import Model

ENTITY, RELATION = "entity", "relation"
# Epochs are compared by so many held-out edges a relation; the best one is measured by more in the end.
COMPARED = 500
# Evaluations without a better one before training stops.
PATIENCE = 5
FLOOR = 1e-10

Table = NDArray[np.float32]


@dataclass(frozen=True)
class Settings:
    """One trial's hyperparameters.

    :param hidden: numbers a node; RotatE takes pairs of them for complex ones, so it rounds up to an even one.
    :param negatives: candidates that the edges of a batch share (``num-negs``).
    :param gamma: sets how far apart rows start.
    :param penalty: of the cube of a row's numbers, each time that it is used (``regularization-coef``).
    """

    hidden: int = 64
    epochs: int = 20
    learning_rate: float = 0.1
    batch: int = 1024
    negatives: int = 128
    gamma: float = 12.0
    penalty: float = 0.0
    early_stop: bool = True
    evaluate_every: int = 1


NAMES: Names = {
    "num-hidden": ("hidden", int),
    "num-epochs": ("epochs", int),
    "lr": ("learning_rate", float),
    "batch-size": ("batch", int),
    "num-negs": ("negatives", int),
    "gamma": ("gamma", float),
    "regularization-coef": ("penalty", float),
    "enable-early-stop": ("early_stop", bool),
}
SHAPING = frozenset({"num-hidden"})


def settings(search: Search, values: dict[str, Any]) -> Settings:
    """Give a trial's settings.

    :raises StepFailed: when a value in the file cannot be trained with.
    """
    made = replace(Settings(), **search.fields(values))
    least = min(made.hidden, made.epochs, made.batch, made.negatives)
    if least < 1 or made.learning_rate <= 0 or made.gamma < 0 or made.penalty < 0:
        raise StepFailed(f"{HPO_FILE}: no model can be trained with {values}")
    return replace(made, evaluate_every=search.every(made.epochs))


def widths(model: str, settings: Settings) -> tuple[int, int]:
    """Give the widths of a node's and a relation's row."""
    if model != "rotate":
        return settings.hidden, settings.hidden
    half = -(-settings.hidden // 2)
    return 2 * half, half


def initial(model: str, nodes: int, relations: int, settings: Settings, rng: np.random.Generator) -> Weights:
    """Give fresh rows; RotatE's relations turn by any angle."""
    width, relation_width = widths(model, settings)
    bound = (settings.gamma + 2) / width
    angle = np.pi if model == "rotate" else bound
    return {
        ENTITY: rng.uniform(-bound, bound, (nodes, width)).astype(np.float32),
        RELATION: rng.uniform(-angle, angle, (relations, relation_width)).astype(np.float32),
    }


def fit(graph: LinkGraph, model: str, settings: Settings, metric: str, seed: int, start: Weights | None = None) -> Fit:
    """Train one model; keep the epoch that ranks the held-out edges best.

    :param model: ``distmult``, ``transe`` or ``rotate``.
    :param metric: one of `ranking.METRICS`.
    :param seed: of the first rows, the batches and the candidates; the same seed gives the same rows.
    :param start: rows to begin with instead of fresh ones; they compete as epoch 0.
    """
    started = time.perf_counter()
    rng = np.random.default_rng(seed)
    weights = start or initial(model, graph.total, len(graph.relations), settings, rng)
    learner = _Learner(model, settings, weights)
    known = {number: relation.known for number, relation in enumerate(graph.relations)}
    asked = graph.sample(graph.compared_on, COMPARED)
    progress = ranking.Progress(graph.compared_on, metric)
    if start:
        progress.add(0, 0.0, ranking.of_model(graph, learner.model, asked), weights)
    for number in range(1, settings.epochs + 1):
        batches = epoch(graph, known, settings.batch, settings.negatives, rng)
        losses = [learner.step(batch) for batch in batches]
        if number % settings.evaluate_every and number != settings.epochs:
            continue
        ranks = ranking.of_model(graph, learner.model, asked)
        progress.add(number, sum(losses) / sum(len(pairs.heads) for pairs in known.values()), ranks, weights)
        if settings.early_stop and progress.since_best >= PATIENCE:
            break
    return progress.fit(time.perf_counter() - started)


class _Learner:
    """Rows in training, with the sums of squares by which Adagrad slows down; both change in place."""

    def __init__(self, model: str, settings: Settings, weights: Weights) -> None:
        self.name = model
        self.settings = settings
        self.entity, self.relation = weights[ENTITY], weights[RELATION]
        self.squares = {name: np.zeros_like(rows) for name, rows in weights.items()}

    @property
    def model(self) -> Model:
        return Model(self.name, self.entity, self.relation)

    def step(self, batch: Batch) -> float:
        """Learn from a batch; give its summed loss, of which each edge has two parts."""
        relation = self.relation[batch.relation]
        penalty = np.float32(self.settings.penalty)
        loss, places, slopes = 0.0, [], []
        by_relation = 2 * len(batch) * penalty * np.abs(relation) * relation
        for side in batch.sides:
            given, truth, candidates = (self.entity[rows] for rows in (side.given, side.truth, side.candidates))
            made = contrast(self.name, side.tails, given, relation, truth, candidates, side.right)
            loss += made.loss
            by_relation += made.relation
            places += [side.given, side.truth, side.candidates]
            slopes += [
                made.given + penalty * np.abs(given) * given,
                made.truth + penalty * np.abs(truth) * truth,
                made.candidates,
            ]
        rows, summed = _by_row(np.concatenate(places), np.concatenate(slopes))
        self._move(ENTITY, self.entity, rows, summed)
        self._move(RELATION, self.relation, np.array([batch.relation]), by_relation[None])
        return loss

    def _move(self, name: str, table: Table, rows: Indices, slope: Table) -> None:
        squares = self.squares[name]
        squares[rows] += slope * slope
        table[rows] -= np.float32(self.settings.learning_rate) * slope / (np.sqrt(squares[rows]) + np.float32(FLOOR))


def _by_row(places: Indices, slopes: Table) -> tuple[Indices, Table]:
    """Add up the slopes of each row; always in the same order, so that the same seed gives the same sums."""
    order = np.argsort(places, kind="stable")
    ordered = places[order]
    firsts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    return ordered[firsts], np.add.reduceat(slopes[order], firsts, axis=0)
