"""How good a table of scores is, by Neptune ML's metric names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neptune_airflow.local.step import StepFailed
from neptune_airflow.local.training.problem import Floats, Mask, Problem

ALWAYS_SHOWN = ("acc", "F1")


@dataclass(frozen=True)
class Outcome:
    """The scores of some nodes beside the truth: a row each, a column a class."""

    scores: Floats
    predicted: NDArray[np.bool_]
    truth: NDArray[np.bool_]
    top: int

    @property
    def hits(self) -> NDArray[np.int64]:
        """How often each class was predicted rightly."""
        hits: NDArray[np.int64] = (self.predicted & self.truth).sum(axis=0)
        return hits


def _accuracy(outcome: Outcome) -> float:
    return float((outcome.predicted == outcome.truth).all(axis=1).mean())


def _accuracy_top(outcome: Outcome) -> float:
    best = np.argsort(-outcome.scores, axis=1, kind="stable")[:, : outcome.top]
    return float(np.take_along_axis(outcome.truth, best, axis=1).any(axis=1).mean())


def _precision(outcome: Outcome) -> float:
    return _mean_ratio(outcome, outcome.hits, outcome.predicted.sum(axis=0))


def _recall(outcome: Outcome) -> float:
    return _mean_ratio(outcome, outcome.hits, outcome.truth.sum(axis=0))


def _f1(outcome: Outcome) -> float:
    return _mean_ratio(outcome, 2 * outcome.hits, outcome.predicted.sum(axis=0) + outcome.truth.sum(axis=0))


def _mean_ratio(outcome: Outcome, above: NDArray[np.int64], below: NDArray[np.int64]) -> float:
    """Average over the classes that occur at all; a ratio without a denominator counts as 0."""
    occurs = (outcome.predicted | outcome.truth).any(axis=0)
    return float((above / np.maximum(below, 1))[occurs].mean()) if occurs.any() else 0.0


def _roc_auc(outcome: Outcome) -> float:
    """Average, over the classes with both kinds of nodes, the chance that a node of the class scores higher."""
    from scipy.stats import rankdata  # takes a second to load, and few trainings ask for this metric

    positive = outcome.truth.sum(axis=0)
    negative = len(outcome.truth) - positive
    ranks = rankdata(outcome.scores, axis=0)
    wins = (ranks * outcome.truth).sum(axis=0) - positive * (positive + 1) / 2
    both = (positive > 0) & (negative > 0)
    return float((wins[both] / (positive * negative)[both]).mean()) if both.any() else 0.5


METRICS: dict[str, Callable[[Outcome], float]] = {
    "acc": _accuracy,
    "acc_topk": _accuracy_top,
    "F1": _f1,
    "precision": _precision,
    "recall": _recall,
    "roc_auc": _roc_auc,
}
# These count a rare class as much as a frequent one, so training for them does so too.
EVEN_METRICS = frozenset({"F1", "precision", "recall", "roc_auc"})


@dataclass(frozen=True)
class Metric:
    """The metric that decides between epochs and trials.

    :param name: one of ``METRICS``.
    :param top: among how many best classes ``acc_topk`` looks.
    """

    name: str
    top: int = 1

    def __post_init__(self) -> None:
        if self.name not in METRICS:
            raise StepFailed(f"The metric {self.name!r} is none of a node classification's: {', '.join(METRICS)}")

    @property
    def even(self) -> bool:
        """Whether rare classes count as much as frequent ones."""
        return self.name in EVEN_METRICS

    def of(self, problem: Problem, scores: Floats, nodes: Mask) -> float:
        """Give the metric of some nodes' scores."""
        return METRICS[self.name](_outcome(problem, scores, nodes, self.top))

    def all_of(self, problem: Problem, scores: Floats, nodes: Mask) -> dict[str, float]:
        """Give the metric first, then those that people always look for."""
        outcome = _outcome(problem, scores, nodes, self.top)
        return {name: METRICS[name](outcome) for name in dict.fromkeys((self.name, *ALWAYS_SHOWN))}


def _outcome(problem: Problem, scores: Floats, nodes: Mask, top: int) -> Outcome:
    chosen = scores[nodes]
    best = np.arange(chosen.shape[1]) == chosen.argmax(axis=1)[:, None]
    predicted = chosen >= 0.5 if problem.multilabel else best
    return Outcome(chosen, predicted, problem.truth[nodes] > 0, top)
