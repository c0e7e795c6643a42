"""From what both ends of an edge say to the edge's scores: one hidden layer over both, their product and its features.

    unit[k]   = a + b + a * b + features[k] F     with a said by the edge's source, b by its destination
    logits[k] = relu(unit[k]) V + d

The ends' own weights lie in the network's second layer, so that each node is multiplied once and not once an edge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from neptune_airflow.local.training.family import Weights
from neptune_airflow.local.training.problem import Pairs, Problem
from neptune_airflow.local.training.settings import Settings

EDGE = "edge/"
FEATURES, OUT, BIAS = f"{EDGE}features", f"{EDGE}out", f"{EDGE}bias"


def gate(sums: NDArray[Any], dropout: float, rng: np.random.Generator | None) -> NDArray[Any]:
    """Give relu's factor for each unit, 0 or 1; a random generator drops some and raises the rest for it."""
    factors: NDArray[Any] = (sums > 0).astype(sums.dtype)
    if rng is not None and dropout:
        kept = 1 - dropout
        factors *= (rng.random(sums.shape, dtype=np.float32) < kept) / np.float32(kept)
    return factors


@dataclass
class Decoded:
    """One pass over all edges: the logits, and what the way back needs."""

    logits: NDArray[Any]
    hidden: NDArray[Any]
    gates: NDArray[Any]
    source: NDArray[Any]
    dest: NDArray[Any]


class Decoder:
    """The decoder over one problem's edges."""

    def __init__(self, problem: Problem, settings: Settings) -> None:
        assert problem.pairs is not None
        self.pairs: Pairs = problem.pairs
        self.settings = settings
        self.outputs = problem.truth.shape[1]
        self.to_source = _sum_by(self.pairs.rows, problem.counts[self.pairs.source])
        self.to_dest = _sum_by(self.pairs.cols, problem.counts[self.pairs.dest])

    def initial(self, weights: Weights, glorot: Callable[[str, int, int], None]) -> None:
        """Add fresh weights."""
        glorot(FEATURES, self.pairs.features.shape[1], self.settings.hidden)
        glorot(OUT, self.settings.hidden, self.outputs)
        weights[BIAS] = np.zeros(self.outputs, dtype=np.float32)

    def forward(self, weights: Weights, said: Weights, rng: np.random.Generator | None) -> Decoded:
        """Score every edge."""
        source, dest = said["source"][self.pairs.rows], said["dest"][self.pairs.cols]
        sums = source + dest + source * dest + self.pairs.features @ weights[FEATURES]
        gates = gate(sums, self.settings.dropout, rng)
        hidden = sums * gates
        return Decoded(hidden @ weights[OUT] + weights[BIAS], hidden, gates, source, dest)

    def backward(self, weights: Weights, made: Decoded, slope: NDArray[Any], grads: Weights) -> Weights:
        """Add the gradients of the decoder's weights, and give those of what both ends say."""
        grads[BIAS] = slope.sum(axis=0)
        grads[OUT] = made.hidden.T @ slope
        inner = (slope @ weights[OUT].T) * made.gates
        grads[FEATURES] = self.pairs.features.T @ inner
        return {
            "source": self.to_source @ (inner * (1 + made.dest)),
            "dest": self.to_dest @ (inner * (1 + made.source)),
        }


def _sum_by(ends: NDArray[np.int64], count: int) -> sparse.csr_array:
    """Give the matrix that adds up the rows of all edges at each node."""
    ones = np.ones(len(ends), dtype=np.float32)
    return sparse.coo_array((ones, (ends, np.arange(len(ends)))), shape=(count, len(ends))).tocsr()
