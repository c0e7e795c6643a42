"""What any model has to beat: the average, the features alone, and the neighbours' labels alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from neptune_airflow.local.training import linear
from neptune_airflow.local.training.losses import loss, scores
from neptune_airflow.local.training.problem import SINGLE, Floats, Problem

PENALTY = 1e-4
SOFTMAX_STEPS = 200
PROPAGATIONS = 30
# A node that no labelled one is so near to gets the mean.
MAX_HOPS = 4


def average(problem: Problem, _balance: Floats) -> Floats:
    """Score everything alike: by how common each class is in training, or by the mean."""
    mean = problem.truth[problem.masks["train"]].mean(axis=0, dtype=np.float64)
    return np.tile(np.asarray(mean, dtype=np.float32), (len(problem.truth), 1))


def logistic(problem: Problem, balance: Floats) -> Floats:
    """Score by a softmax regression (logistic for multi-label) on the target's own features."""
    from scipy import optimize  # half a second to load, which the processes of the trials need not spend

    table = linear.own_features(problem)
    shape = (table.shape[1], problem.truth.shape[1])
    train = problem.masks["train"]

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[Any]]:
        weights = flat.reshape(shape)
        value, slope = loss(problem, table @ weights, train, balance)
        return value + PENALTY / 2 * float(flat @ flat), (table.T @ slope).ravel() + PENALTY * flat

    start = np.zeros(shape[0] * shape[1])
    found = optimize.minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": SOFTMAX_STEPS})
    return scores(problem, table @ found.x.reshape(shape))


def ridge(problem: Problem, _balance: Floats) -> Floats:
    """Predict by a ridge regression on the target's own features."""
    return scores(problem, linear.own_features(problem) @ linear.ridge(problem))


def label_propagation(problem: Problem, balance: Floats) -> Floats:
    """Score by the training labels, handed on along every relation alike; a node that none reaches gets the majority.

    A node's score is the mean over all its neighbours of whatever type, and the training nodes keep their labels.
    """
    own, matrix = _all_edges(problem)
    train = problem.masks["train"]
    held = np.zeros((matrix.shape[0], problem.truth.shape[1]), dtype=np.float32)
    held[own][train] = problem.truth[train]
    spread = held
    for _ in range(PROPAGATIONS):
        spread = matrix @ spread
        spread[own][train] = problem.truth[train]
        if problem.kind == SINGLE:
            spread /= np.maximum(spread.sum(axis=1, keepdims=True), np.float32(1e-12))
    reached = spread[own]
    silent = ~reached.any(axis=1)
    reached[silent] = average(problem, balance)[silent]
    return reached


def neighbour_mean(problem: Problem, balance: Floats) -> Floats:
    """Predict the mean over the nearest training nodes, along any relations; where several paths lead, so often."""
    own, matrix = _all_edges(problem)
    train = problem.masks["train"]
    # The last column carries how much of a node's neighbourhood has a label.
    spread = np.zeros((matrix.shape[0], problem.truth.shape[1] + 1))
    spread[own][train] = np.concatenate([problem.truth[train], np.ones((train.sum(), 1))], axis=1)
    predicted = average(problem, balance)
    waiting = np.ones(len(predicted), dtype=bool)
    for _ in range(MAX_HOPS):
        spread = matrix @ spread
        found = waiting & (spread[own][:, -1] > 0)
        predicted[found] = spread[own][found, :-1] / spread[own][found, -1:]
        waiting &= ~found
    return predicted


def end_means(problem: Problem, balance: Floats) -> Floats:
    """Score an edge by the training edges at its own two ends: the mean of both means, each drawn to the overall one.

    The overall mean counts at each end as one edge would; an end without training edges says just that.
    """
    assert problem.pairs is not None
    pairs, train = problem.pairs, problem.masks["train"]
    overall = average(problem, balance)
    total = np.zeros_like(overall, dtype=np.float64)
    for ends in (pairs.rows, pairs.cols):
        count = int(ends.max()) + 1
        degrees = np.bincount(ends[train], minlength=count) + 1
        for column in range(overall.shape[1]):
            sums = np.bincount(ends[train], weights=problem.truth[train, column], minlength=count)
            total[:, column] += ((sums + overall[0, column]) / degrees)[ends] / 2
    return total.astype(np.float32)


def _all_edges(problem: Problem) -> tuple[slice, sparse.csr_array]:
    """Give the target's place in one list of all nodes, and the mean over neighbours in that list."""
    starts = np.cumsum([0, *problem.counts.values()])
    offsets = dict(zip(problem.counts, starts.tolist(), strict=False))
    total = int(starts[-1])
    rows, cols = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for link in problem.links:
        edges = link.matrix.tocoo()
        rows.append(edges.row + offsets[link.dest])
        cols.append(edges.col + offsets[link.source])
    row, col = np.concatenate(rows), np.concatenate(cols)
    degrees = np.maximum(np.bincount(row, minlength=total), 1)
    shares = (1 / degrees[row]).astype(np.float32)
    first = offsets[str(problem.target)]
    own = slice(first, first + len(problem.truth))
    return own, sparse.coo_array((shares, (row, col)), shape=(total, total)).tocsr()
