"""An R-GCN before a DistMult: rows made of features and neighbours instead of learnt one by one.

An edge must not be predicted from itself. So the known edges are dealt into folds: each step predicts those of one fold
from messages along the others. Measured and served are the rows that messages along all known edges give; edges that
are held out carry none in either direction.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from neptune_airflow.local.graphbin import Relation
from neptune_airflow.local.step import StepFailed
from neptune_airflow.local.training import fitting, loading
from neptune_airflow.local.training import settings as rgcn_settings
from neptune_airflow.local.training.family import Fit, Weights
from neptune_airflow.local.training.hyperparameters import HPO_FILE, Names, Search
from neptune_airflow.local.training.links import ranking
from neptune_airflow.local.training.links.batches import Batch, epoch
from neptune_airflow.local.training.links.graph import REVERSE, Indices, LinkGraph, Pairs
from neptune_airflow.local.training.links.kge import COMPARED, RELATION
from neptune_airflow.local.training.links.loss import contrast
from neptune_airflow.local.training.links.ranking import Model
from neptune_airflow.local.training.links.scores import Rows
from neptune_airflow.local.training.problem import Problem
from neptune_airflow.local.training.rgcn import RGCN, Spoken

MODEL = "rgcn"
FOLDS = 4
BATCH = 4096
PATIENCE = 15
# Ids are learnt from edges, of which there are more than labels; what holds them back here is chiefly dropout.
ID_PENALTY = 0.001
# Relations start alike, so that what both ends say is compared as it is; small, so that the softmax starts even.
RELATION_START = 0.3


@dataclass(frozen=True)
class Settings(rgcn_settings.Settings):
    """One trial's hyperparameters.

    :param negatives: candidates that the edges of a batch share (``num-negs``).
    """

    negatives: int = 128


NAMES: Names = {**rgcn_settings.NAMES, "num-negs": ("negatives", int)}


def settings(search: Search, values: dict[str, Any]) -> Settings:
    """Give a trial's settings.

    :raises StepFailed: when a value in the file cannot be trained with.
    """
    shared = rgcn_settings.settings(search, {name: values[name] for name in values if name in rgcn_settings.NAMES})
    made = Settings(**{**vars(shared), "negatives": int(values.get("num-negs", Settings.negatives))})
    if made.negatives < 1:
        raise StepFailed(f"{HPO_FILE}: no model can be trained with {values}")
    return made


class Surroundings(Problem):
    """What the R-GCN reads when nothing has a label: every type of nodes speaks."""

    @property
    def voices(self) -> dict[str, str]:
        """Every node type, as itself."""
        return {ntype: ntype for ntype in self.counts}


class Encoder:
    """The R-GCN over messages along some edges; its weights are handed in."""

    def __init__(self, around: Surroundings, graph: LinkGraph, edges: dict[int, Pairs], settings: Settings) -> None:
        links = [
            loading.link(relation, graph.counts)
            for number, pairs in edges.items()
            if len(pairs.heads)
            for relation in _both_ways(graph, number, pairs)
        ]
        said = np.empty((0, settings.hidden), dtype=np.float32)
        self.graph = graph
        self.net = RGCN(replace(around, links=links, truth=said), settings)

    def initial(self, rng: np.random.Generator) -> Weights:
        """Give fresh weights, those of the decoder among them."""
        shape = len(self.graph.relations), self.net.settings.hidden
        return self.net.initial(rng) | {RELATION: np.full(shape, RELATION_START, dtype=np.float32)}

    def model(self, weights: Weights) -> Model:
        """Give the rows of all nodes."""
        return Model(MODEL, self.rows(self.net.speak(weights)), weights[RELATION])

    def rows(self, made: Spoken) -> Rows:
        """Put what nodes say in the order of their global ids."""
        return np.concatenate([made.said[ntype] for ntype in self.graph.counts])

    def loss(self, weights: Weights, batches: list[Batch], rng: np.random.Generator | None) -> tuple[float, Weights]:
        """Give the mean loss over the edges of some batches and the gradient of every weight.

        :param rng: drops some hidden units, as in training.
        """
        made = self.net.speak(weights, rng=rng)
        rows = self.rows(made)
        slopes, by_relation = np.zeros_like(rows), np.zeros_like(weights[RELATION])
        total, edges = 0.0, max(sum(len(batch) for batch in batches), 1)
        for batch in batches:
            for side in batch.sides:
                relation = weights[RELATION][batch.relation]
                given, truth, candidates = rows[side.given], rows[side.truth], rows[side.candidates]
                part = contrast(MODEL, side.tails, given, relation, truth, candidates, side.right)
                total += part.loss
                by_relation[batch.relation] += part.relation
                for places, slope in (
                    (side.given, part.given),
                    (side.truth, part.truth),
                    (side.candidates, part.candidates),
                ):
                    slopes += _sum_at(places, len(rows)) @ slope
        by_type = {
            ntype: slopes[start : start + self.graph.counts[ntype]] / edges
            for ntype, start in self.graph.offsets.items()
        }
        return total / edges, self.net.backward_said(weights, made, by_type) | {RELATION: by_relation / edges}


def _both_ways(graph: LinkGraph, number: int, pairs: Pairs) -> tuple[Relation, Relation]:
    source, name, dest = graph.relations[number].canonical
    return (
        Relation(source, name, dest, pairs.heads, pairs.tails),
        Relation(dest, f"{REVERSE}{name}", source, pairs.tails, pairs.heads),
    )


def _sum_at(places: Indices, count: int) -> sparse.csr_array:
    """Give the matrix that adds up rows at their places."""
    ones = np.ones(len(places), dtype=np.float32)
    return sparse.coo_array((ones, (places, np.arange(len(places)))), shape=(count, len(places))).tocsr()


def known(graph: LinkGraph) -> dict[int, Pairs]:
    """Give the edges that messages may pass along."""
    return {number: relation.known for number, relation in enumerate(graph.relations)}


def fit(
    graph: LinkGraph, around: Surroundings, settings: Settings, metric: str, seed: int, start: Weights | None = None
) -> Fit:
    """Train one model; keep the epoch that ranks the held-out edges best. Arguments as of `kge.fit`."""
    started = time.perf_counter()
    rng = np.random.default_rng(seed)
    folds = _folds(graph, rng)
    encoders = [Encoder(around, graph, _but(folds, fold), settings) for fold in range(FOLDS)]
    whole = Encoder(around, graph, known(graph), settings)
    weights = whole.initial(rng) | (start or {})
    mean, square = ({name: np.zeros_like(table) for name, table in weights.items()} for _ in range(2))
    asked = graph.sample(graph.compared_on, COMPARED)
    progress = ranking.Progress(graph.compared_on, metric)
    if start:
        progress.add(0, 0.0, ranking.of_model(graph, whole.model(weights), asked), weights)
    step = 0
    for number in range(1, settings.epochs + 1):
        losses = []
        for fold, encoder in enumerate(encoders):
            predicted = {relation: parts[fold] for relation, parts in folds.items()}
            batches = list(epoch(graph, predicted, BATCH, settings.negatives, rng))
            loss, grads = encoder.loss(weights, batches, rng)
            step += 1
            fitting.adam(weights, grads, mean, square, step, settings, ID_PENALTY)
            losses.append(loss)
        if number % settings.evaluate_every and number != settings.epochs:
            continue
        progress.add(number, sum(losses) / FOLDS, ranking.of_model(graph, whole.model(weights), asked), weights)
        if settings.early_stop and progress.since_best >= PATIENCE:
            break
    return progress.fit(time.perf_counter() - started)


def _folds(graph: LinkGraph, rng: np.random.Generator) -> dict[int, list[Pairs]]:
    """Deal the known edges of each relation into folds."""
    dealt = {}
    for number, relation in enumerate(graph.relations):
        heads, tails = relation.known.heads, relation.known.tails
        parts = np.array_split(rng.permutation(len(heads)), FOLDS)
        dealt[number] = [Pairs(heads[part], tails[part], relation.sizes) for part in parts]
    return dealt


def _but(folds: dict[int, list[Pairs]], fold: int) -> dict[int, Pairs]:
    """Give the edges of all folds but one."""
    kept = {}
    for number, parts in folds.items():
        others = [part for place, part in enumerate(parts) if place != fold]
        heads, tails = (np.concatenate([getattr(part, end) for part in others]) for end in ("heads", "tails"))
        kept[number] = Pairs(heads, tails, parts[0].sizes)
    return kept
