"""How each model scores an edge from its rows; nothing here but numpy, so that serving can use it alone.

In every model an edge is as good as a *query*, made of one end and the relation, is close to the other end:

| model          | query for tails     | query for heads      | closeness                          |
|----------------|---------------------|----------------------|------------------------------------|
| distmult, rgcn | head times relation | tail times relation  | the dot product                    |
| transe         | head plus relation  | tail minus relation  | minus the Euclidean distance       |
| rotate         | head turned         | tail turned back     | minus the sum of complex distances |

RotatE's rows hold the real parts, then the imaginary ones, and its relations the angles in radians: half as many. The
margin of a model's training shifts all its scores alike and is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.floating[Any]]

# A distance that is exactly 0 has no slope.
TINY = 1e-12
# Entries of RotatE's [queries, rows, numbers] that are worked on at once: they should fit a cache.
BLOCK = 1 << 17


@dataclass(frozen=True)
class Score:
    """One model's way to score.

    :param tail_query: gives from heads and relations (rows or one row each) what their tails should be close to.
    :param head_query: the same from tails and relations, for heads.
    :param pairs: gives the closeness of each query to the row beside it.
    :param table: gives the closeness of every query to every row: [queries, rows].
    """

    tail_query: Callable[[Rows, Rows], Rows]
    head_query: Callable[[Rows, Rows], Rows]
    pairs: Callable[[Rows, Rows], Rows]
    table: Callable[[Rows, Rows], Rows]


def score(model: str, head: Rows, relation: Rows, tail: Rows) -> Rows:
    """Score edges; the higher the likelier.

    :param model: ``distmult``, ``transe``, ``rotate`` or ``rgcn``.
    :param head: rows of ``entity.npy``, [n, d] or [d]; shapes broadcast, so one head can meet many tails.
    :param relation: rows of ``relation.npy``, [n, d] or [d] (RotatE: half of d).
    :param tail: rows of ``entity.npy``.
    :return: a score an edge, [n].
    """
    way = SCORES[model]
    return way.pairs(way.tail_query(head, relation), tail)


def score_tails(model: str, heads: Rows, relation: Rows, tails: Rows) -> Rows:
    """Score every head with every tail.

    :param heads: [n, d].
    :param relation: one row for all, [d], or one a head, [n, d].
    :param tails: the candidates, [m, d].
    :return: [n, m].
    """
    way = SCORES[model]
    return way.table(way.tail_query(heads, relation), tails)


def score_heads(model: str, tails: Rows, relation: Rows, heads: Rows) -> Rows:
    """Score every tail with every head: as `score_tails`, with the tails in the rows, [tails, heads]."""
    way = SCORES[model]
    return way.table(way.head_query(tails, relation), heads)


def turned(rows: Rows, angles: Rows) -> Rows:
    """Turn complex rows (real parts, then imaginary parts) by angles in radians."""
    real, imaginary = np.split(rows, 2, axis=-1)
    cosine, sine = np.cos(angles), np.sin(angles)
    return np.concatenate([real * cosine - imaginary * sine, real * sine + imaginary * cosine], axis=-1)


def moduli(rows: Rows) -> Rows:
    """Give the absolute values of complex rows."""
    real, imaginary = np.split(rows, 2, axis=-1)
    lengths: Rows = np.sqrt(real * real + imaginary * imaginary)
    return lengths


def _products(query: Rows, rows: Rows) -> Rows:
    return np.asarray((query * rows).sum(axis=-1))


def _distances(query: Rows, rows: Rows) -> Rows:
    return np.asarray(-np.sqrt(((query - rows) ** 2).sum(axis=-1)))


def _complex_distances(query: Rows, rows: Rows) -> Rows:
    return np.asarray(-moduli(query - rows).sum(axis=-1))


def _product_table(query: Rows, rows: Rows) -> Rows:
    return np.asarray(query @ rows.T)


def _distance_table(query: Rows, rows: Rows) -> Rows:
    squares = (query * query).sum(axis=1)[:, None] + (rows * rows).sum(axis=1) - 2 * (query @ rows.T)
    return np.asarray(-np.sqrt(np.maximum(squares, TINY)))


def _complex_distance_table(query: Rows, rows: Rows) -> Rows:
    made = np.empty((len(query), len(rows)), dtype=np.result_type(query, rows))
    half = query.shape[1] // 2
    real_rows, imaginary_rows = np.ascontiguousarray(rows[:, :half]), np.ascontiguousarray(rows[:, half:])
    step = max(BLOCK // max(real_rows.size, 1), 1)
    for start in range(0, len(query), step):
        block = slice(start, start + step)
        real = query[block, None, :half] - real_rows
        imaginary = query[block, None, half:] - imaginary_rows
        np.sqrt(real * real + imaginary * imaginary, out=real)
        made[block] = -real.sum(axis=2)
    return made


_DISTMULT = Score(
    tail_query=lambda head, relation: head * relation,
    head_query=lambda tail, relation: tail * relation,
    pairs=_products,
    table=_product_table,
)

SCORES: dict[str, Score] = {
    "distmult": _DISTMULT,
    "rgcn": _DISTMULT,
    "transe": Score(
        tail_query=lambda head, relation: head + relation,
        head_query=lambda tail, relation: tail - relation,
        pairs=_distances,
        table=_distance_table,
    ),
    "rotate": Score(
        tail_query=turned,
        head_query=lambda tail, relation: turned(tail, -relation),
        pairs=_complex_distances,
        table=_complex_distance_table,
    ),
}
"""Each model's way to score; the R-GCN's decoder is DistMult."""
