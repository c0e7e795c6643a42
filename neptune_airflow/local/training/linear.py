"""What the features of the target alone say of a number: a ridge regression, in closed form.

It is a baseline, and where the networks for numbers begin: they add what the graph knows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neptune_airflow.local.training.problem import Problem

PENALTY = 1.0


def own_features(problem: Problem) -> NDArray[np.float64]:
    """Give each target's features and a 1: of a node its own, of an edge its own and those of its two ends."""
    if problem.pairs is None:
        tables = [problem.features[str(problem.target)]]
    else:
        pairs = problem.pairs
        ends = problem.features[pairs.source][pairs.rows], problem.features[pairs.dest][pairs.cols]
        tables = [pairs.features, *ends]
    ones = np.ones((len(problem.truth), 1), dtype=np.float32)
    return np.concatenate([*tables, ones], axis=1).astype(np.float64)


def columns(layout: dict[str, Any]) -> list[tuple[str, int]]:
    """Give the names and widths of the columns of `own_features`, from what a model's ``config.json`` keeps.

    :param layout: its ``target``, ``features`` and ``edge_features``; link prediction has a target without features.
    """
    target, features = layout["target"], layout["features"]
    if isinstance(target, str):
        parts = {"": features.get(target, {})}
    else:
        parts = {"": layout["edge_features"], "source/": features[target[0]], "dest/": features[target[2]]}
    named = [(f"{place}{name}", width) for place, widths in parts.items() for name, width in widths.items()]
    return [*named, ("1", 1)]


def ridge(problem: Problem) -> NDArray[np.float64]:
    """Give the weights on `own_features`, in deviations of the label, fitted to the training rows."""
    train = problem.masks["train"]
    table = own_features(problem)[train]
    mean, deviation = problem.scales["truth"]
    penalty = PENALTY * np.eye(table.shape[1])
    penalty[-1, -1] = 0
    wanted = (problem.truth[train] - mean) / deviation
    return np.asarray(np.linalg.solve(table.T @ table + penalty, table.T @ wanted), dtype=np.float64)
