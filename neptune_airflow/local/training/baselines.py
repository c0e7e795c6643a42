"""What any model has to beat: the commonest class, the features alone, and the neighbours' labels alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from neptune_airflow.local.training.problem import Floats, Problem
from neptune_airflow.local.training.rgcn import loss, probabilities

PENALTY = 1e-4
SOFTMAX_STEPS = 200
PROPAGATIONS = 30


def majority(problem: Problem, _balance: Floats) -> Floats:
    """Score every node by how common each class is among the training nodes."""
    shares = problem.truth[problem.masks["train"]].mean(axis=0)
    return np.tile(np.asarray(shares, dtype=np.float32), (len(problem.truth), 1))


def features_only(problem: Problem, balance: Floats) -> Floats:
    """Score by a softmax regression (logistic for multi-label) on the node's own features."""
    from scipy import optimize  # half a second to load, which the processes of the trials need not spend

    features = problem.features[problem.target]
    table = np.concatenate([features, np.ones((len(features), 1), dtype=np.float32)], axis=1).astype(np.float64)
    shape = (table.shape[1], problem.truth.shape[1])
    train = problem.masks["train"]

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[Any]]:
        weights = flat.reshape(shape)
        value, slope = loss(problem, table @ weights, train, balance)
        return value + PENALTY / 2 * float(flat @ flat), (table.T @ slope).ravel() + PENALTY * flat

    start = np.zeros(shape[0] * shape[1])
    found = optimize.minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": SOFTMAX_STEPS})
    return probabilities(table @ found.x.reshape(shape), problem.multilabel)


def label_propagation(problem: Problem, balance: Floats) -> Floats:
    """Score by the training labels, handed on along every relation alike; a node that none reaches gets the majority.

    A node's score is the mean over all its neighbours of whatever type, and the training nodes keep their labels.
    """
    offsets, matrix = _all_edges(problem)
    own = slice(offsets[problem.target], offsets[problem.target] + len(problem.truth))
    train = problem.masks["train"]
    held = np.zeros((matrix.shape[0], problem.truth.shape[1]), dtype=np.float32)
    held[own][train] = problem.truth[train]
    scores = held
    for _ in range(PROPAGATIONS):
        scores = matrix @ scores
        scores[own][train] = problem.truth[train]
        if not problem.multilabel:
            scores /= np.maximum(scores.sum(axis=1, keepdims=True), np.float32(1e-12))
    reached = scores[own]
    silent = ~reached.any(axis=1)
    reached[silent] = majority(problem, balance)[silent]
    return reached


def _all_edges(problem: Problem) -> tuple[dict[str, int], sparse.csr_array]:
    """Give where each type starts in one list of all nodes, and the mean over neighbours in that list."""
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
    return offsets, sparse.coo_array((shares, (row, col)), shape=(total, total)).tocsr()


BASELINES: dict[str, Callable[[Problem, Floats], Floats]] = {
    "majority": majority,
    "features_only": features_only,
    "label_propagation": label_propagation,
}
