"""How good a table of scores is, by Neptune ML's metric names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neptune_airflow.local.training.problem import MANY, NUMBERS, Floats, Mask, Problem


@dataclass(frozen=True)
class Outcome:
    """The scores of some nodes or edges beside the truth: a row each, a column a class or a number.

    :param predicted: with classes, which of them the scores mean.
    """

    scores: Floats
    predicted: NDArray[Any]
    truth: NDArray[Any]
    top: int

    @property
    def hits(self) -> NDArray[np.int64]:
        """How often each class was predicted rightly."""
        hits: NDArray[np.int64] = (self.predicted & self.truth).sum(axis=0)
        return hits

    @property
    def errors(self) -> NDArray[np.float64]:
        """How far off each number is."""
        errors: NDArray[np.float64] = np.asarray(self.scores, dtype=np.float64) - self.truth
        return errors


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
    """Average, over the classes with both kinds of rows, the chance that a row of the class scores higher."""
    from scipy.stats import rankdata  # takes a second to load, and few trainings ask for this metric

    positive = outcome.truth.sum(axis=0)
    negative = len(outcome.truth) - positive
    ranks = rankdata(outcome.scores, axis=0)
    wins = (ranks * outcome.truth).sum(axis=0) - positive * (positive + 1) / 2
    both = (positive > 0) & (negative > 0)
    return float((wins[both] / (positive * negative)[both]).mean()) if both.any() else 0.5


def _mse(outcome: Outcome) -> float:
    return float((outcome.errors**2).mean())


def _rmse(outcome: Outcome) -> float:
    return float(np.sqrt(_mse(outcome)))


def _mae(outcome: Outcome) -> float:
    return float(np.abs(outcome.errors).mean())


def _r2(outcome: Outcome) -> float:
    """Give the share of the variance that is explained, averaged over the columns; without variance it is 0."""
    spread = ((outcome.truth - outcome.truth.mean(axis=0, dtype=np.float64)) ** 2).sum(axis=0)
    varies = spread > 0
    if not varies.any():
        return 0.0
    return float((1 - (outcome.errors**2).sum(axis=0)[varies] / spread[varies]).mean())


METRICS: dict[str, Callable[[Outcome], float]] = {
    "acc": _accuracy,
    "acc_topk": _accuracy_top,
    "F1": _f1,
    "precision": _precision,
    "recall": _recall,
    "roc_auc": _roc_auc,
    "mse": _mse,
    "rmse": _rmse,
    "mae": _mae,
    "R2": _r2,
}
CLASS_METRICS = ("acc", "acc_topk", "F1", "precision", "recall", "roc_auc")
NUMBER_METRICS = ("mse", "rmse", "mae", "R2")
CLASSES_SHOWN = ("acc", "F1")
# These count a rare class as much as a frequent one, so training for them does so too.
EVEN_METRICS = frozenset({"F1", "precision", "recall", "roc_auc"})
# The less, the better.
ERRORS = frozenset({"mse", "rmse", "mae"})


@dataclass(frozen=True)
class Metric:
    """The metric that decides between epochs and trials.

    :param name: one of ``METRICS``.
    :param top: among how many best classes ``acc_topk`` looks.
    """

    name: str
    top: int = 1

    @property
    def even(self) -> bool:
        """Whether rare classes count as much as frequent ones."""
        return self.name in EVEN_METRICS

    def rank(self, value: float) -> float:
        """Give a value of it as a number that is larger for a better model."""
        return -value if self.name in ERRORS else value

    def of(self, problem: Problem, scores: Floats, rows: Mask) -> float:
        """Give the metric of some rows' scores."""
        return METRICS[self.name](_outcome(problem, scores, rows, self.top))

    def all_of(self, problem: Problem, scores: Floats, rows: Mask) -> dict[str, float]:
        """Give the metric first, then those that people always look for."""
        outcome = _outcome(problem, scores, rows, self.top)
        shown = NUMBER_METRICS if problem.kind == NUMBERS else CLASSES_SHOWN
        return {name: METRICS[name](outcome) for name in dict.fromkeys((self.name, *shown))}


def _outcome(problem: Problem, scores: Floats, rows: Mask, top: int) -> Outcome:
    chosen, truth = scores[rows], problem.truth[rows]
    if problem.kind == NUMBERS:
        return Outcome(chosen, chosen, truth, top)
    best = np.arange(chosen.shape[1]) == chosen.argmax(axis=1)[:, None]
    return Outcome(chosen, chosen >= 0.5 if problem.kind == MANY else best, truth > 0, top)
