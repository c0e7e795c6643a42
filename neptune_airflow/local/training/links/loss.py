"""The loss of a batch and its slopes: each right end is to be told from the candidates by a softmax over the scores.

The slopes are worked out by hand for each way to score. They go from the scores to the queries and rows, and from the
queries to the given ends and the relation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from neptune_airflow.local.training.links.scores import BLOCK, SCORES, TINY, Rows, turned
from neptune_airflow.local.training.problem import Mask


@dataclass(frozen=True)
class Slopes:
    """The slope of the summed loss by each input.

    :param loss: the sum over the edges.
    """

    loss: float
    given: Rows
    relation: Rows
    truth: Rows
    candidates: Rows


def contrast(
    model: str, asks_tails: bool, given: Rows, relation: Rows, truth: Rows, candidates: Rows, right: Mask
) -> Slopes:
    """Score edges beside their candidates.

    :param given: the given ends' rows, [n, d].
    :param relation: the relation's row.
    :param truth: the right ends' rows, [n, d].
    :param candidates: the candidates' rows, [m, d].
    :param right: candidates that are right too and count neither way, [n, m].
    """
    way, back = SCORES[model], BACKWARD[model]
    query = (way.tail_query if asks_tails else way.head_query)(given, relation)
    reached, table = way.pairs(query, truth), way.table(query, candidates)
    scores = np.concatenate([reached[:, None], np.where(right, -np.inf, table)], axis=1)
    slope = special.softmax(scores, axis=1)
    loss = float((special.logsumexp(scores, axis=1) - reached).sum())
    slope[:, 0] -= 1
    by_query, by_candidates = back.table(query, candidates, table, slope[:, 1:])
    by_pairs, by_truth = back.pairs(query, truth, reached, slope[:, 0])
    by_given, by_relation = back.query(asks_tails, by_query + by_pairs, query, given, relation)
    return Slopes(loss, by_given, by_relation, by_truth, by_candidates)


@dataclass(frozen=True)
class Backward:
    """The way back through one way to score; each gives the slopes by its first two inputs, or by given and relation.

    :param pairs: from queries, rows, their scores and the slopes of these.
    :param table: the same for every query with every row.
    :param query: from whether tails are asked for, the slope of the queries, these, the given ends and the relation.
    """

    pairs: Callable[[Rows, Rows, Rows, Rows], tuple[Rows, Rows]]
    table: Callable[[Rows, Rows, Rows, Rows], tuple[Rows, Rows]]
    query: Callable[[bool, Rows, Rows, Rows, Rows], tuple[Rows, Rows]]


def _product_pairs(query: Rows, rows: Rows, _: Rows, slope: Rows) -> tuple[Rows, Rows]:
    return slope[:, None] * rows, slope[:, None] * query


def _product_table(query: Rows, rows: Rows, _: Rows, slope: Rows) -> tuple[Rows, Rows]:
    return slope @ rows, slope.T @ query


def _product_query(_: bool, slope: Rows, __: Rows, given: Rows, relation: Rows) -> tuple[Rows, Rows]:
    return slope * relation, (slope * given).sum(axis=0)


def _distance_pairs(query: Rows, rows: Rows, scores: Rows, slope: Rows) -> tuple[Rows, Rows]:
    pull = (slope / np.minimum(scores, -TINY))[:, None] * (query - rows)
    return pull, -pull


def _distance_table(query: Rows, rows: Rows, scores: Rows, slope: Rows) -> tuple[Rows, Rows]:
    pull = slope / np.minimum(scores, -TINY)
    return (
        pull.sum(axis=1)[:, None] * query - pull @ rows,
        pull.sum(axis=0)[:, None] * rows - pull.T @ query,
    )


def _distance_query(asks_tails: bool, slope: Rows, _: Rows, __: Rows, ___: Rows) -> tuple[Rows, Rows]:
    return slope, slope.sum(axis=0) * np.float32(1 if asks_tails else -1)


def _complex_pairs(query: Rows, rows: Rows, _: Rows, slope: Rows) -> tuple[Rows, Rows]:
    apart = query - rows
    real, imaginary = np.split(apart, 2, axis=-1)
    pull = -slope[:, None] / np.sqrt(np.maximum(real * real + imaginary * imaginary, TINY))
    made = np.concatenate([real * pull, imaginary * pull], axis=-1)
    return made, -made


def _complex_table(query: Rows, rows: Rows, _: Rows, slope: Rows) -> tuple[Rows, Rows]:
    by_query, by_rows = np.empty_like(query), np.zeros_like(rows)
    half = query.shape[1] // 2
    real_rows, imaginary_rows = np.ascontiguousarray(rows[:, :half]), np.ascontiguousarray(rows[:, half:])
    step = max(BLOCK // max(real_rows.size, 1), 1)
    for start in range(0, len(query), step):
        block = slice(start, start + step)
        real = query[block, None, :half] - real_rows
        imaginary = query[block, None, half:] - imaginary_rows
        pull = -slope[block, :, None] / np.sqrt(np.maximum(real * real + imaginary * imaginary, TINY))
        real *= pull
        imaginary *= pull
        for part, places in ((real, slice(0, half)), (imaginary, slice(half, None))):
            by_query[block, places] = part.sum(axis=1)
            by_rows[:, places] -= part.sum(axis=0)
    return by_query, by_rows


def _turned_query(asks_tails: bool, slope: Rows, query: Rows, _: Rows, relation: Rows) -> tuple[Rows, Rows]:
    sign = np.float32(1 if asks_tails else -1)
    real, imaginary = np.split(query, 2, axis=-1)
    by_real, by_imaginary = np.split(slope, 2, axis=-1)
    return turned(slope, -sign * relation), sign * (by_imaginary * real - by_real * imaginary).sum(axis=0)


_DISTMULT = Backward(_product_pairs, _product_table, _product_query)
BACKWARD: dict[str, Backward] = {
    "distmult": _DISTMULT,
    "rgcn": _DISTMULT,
    "transe": Backward(_distance_pairs, _distance_table, _distance_query),
    "rotate": Backward(_complex_pairs, _complex_table, _turned_query),
}
"""The way back through each way to score."""
