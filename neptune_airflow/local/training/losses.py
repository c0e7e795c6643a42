"""What training makes small, and what a network's last layer says, by the kind of truth."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from neptune_airflow.local.training.problem import MANY, NUMBERS, SINGLE, Floats, Mask, Problem


def scores(problem: Problem, logits: NDArray[Any]) -> Floats:
    """Turn logits into probabilities, or into numbers in the label's own unit."""
    if problem.kind == NUMBERS:
        mean, deviation = problem.scales["truth"]
        return np.asarray(logits * deviation + mean, dtype=np.float32)
    table = special.expit(logits) if problem.kind == MANY else special.softmax(logits, axis=1)
    return np.asarray(table, dtype=np.float32)


def class_weights(problem: Problem, even: bool) -> Floats:
    """Give each class's weight in the loss: 1, or the inverse of its share of the training rows, 1 on average."""
    counts = problem.truth[problem.masks["train"]].sum(axis=0)
    if not even or problem.kind != SINGLE:
        return np.ones(len(counts), dtype=np.float32)
    return np.asarray(counts.sum() / np.maximum(counts, 1) / (counts > 0).sum(), dtype=np.float32)


def loss(problem: Problem, logits: NDArray[Any], rows: Mask, weights: Floats) -> tuple[float, NDArray[Any]]:
    """Give the mean loss over some rows and its gradient by the logits of all."""
    value, part = _LOSSES[problem.kind](problem, logits[rows], problem.truth[rows], weights)
    slope = np.zeros_like(logits)
    slope[rows] = part
    return value, slope


def _cross_entropy(_problem: Problem, made: NDArray[Any], truth: Floats, weights: Floats) -> tuple[float, NDArray[Any]]:
    each = truth @ weights
    total = each.sum()
    value = float(-(each * (special.log_softmax(made, axis=1) * truth).sum(axis=1)).sum() / total)
    return value, (special.softmax(made, axis=1) - truth) * (each / total)[:, None]


def _binary(_problem: Problem, made: NDArray[Any], truth: Floats, _weights: Floats) -> tuple[float, NDArray[Any]]:
    value = float((np.logaddexp(0, made) - truth * made).mean())
    return value, (special.expit(made) - truth) / truth.size


def _squared_error(problem: Problem, made: NDArray[Any], truth: Floats, _weights: Floats) -> tuple[float, NDArray[Any]]:
    """Errors count in deviations of the label, so that rates of learning mean the same for every unit."""
    mean, deviation = problem.scales["truth"]
    errors = made - (truth - mean) / deviation
    return float((errors**2).mean() / 2), errors / truth.size


_LOSSES = {SINGLE: _cross_entropy, MANY: _binary, NUMBERS: _squared_error}
