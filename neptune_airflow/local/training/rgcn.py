"""A two-layer R-GCN in numpy, full batch: one weight a relation, the mean over a node's neighbours, its own row beside.

    hidden[t] = relu(own[t] W[t] + sum over relations r into t of mean_r(own[source]) W[r] + b[t])
    scores    = hidden[target] S + sum over relations r into the target of mean_r(hidden[source]) R[r] + c

A node's own row is its features and, where a type has none or the hyperparameters ask for it, a learnt id. The means of
the features never change, so they are taken once, and the first layer is one dense product a type.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from neptune_airflow.local.training.hyperparameters import Settings
from neptune_airflow.local.training.metrics import Metric
from neptune_airflow.local.training.problem import Floats, Link, Mask, Problem

# Wider ids cost time in every epoch and memorise more; num-hidden sets them up to here.
MAX_ID_SIZE = 32
# An id is memory: unless held back, a training node's own id learns its label by heart and tells others nothing.
ID_PENALTY = 0.01
PATIENCE = 30
ADAM_MEAN, ADAM_SQUARE, ADAM_FLOOR = 0.9, 0.999, 1e-8

Weights = dict[str, NDArray[Any]]


@dataclass
class Sums:
    """The hidden layer before its relu, by type, and the mean ids over each relation, by its key."""

    by_type: dict[str, NDArray[Any]]
    id_means: dict[str, NDArray[Any]]


@dataclass
class Pass:
    """One forward pass: the scores before softmax or sigmoid, and what the way back needs."""

    logits: NDArray[Any]
    hidden: dict[str, NDArray[Any]]
    gates: dict[str, NDArray[Any]]
    sums: Sums


class RGCN:
    """The network over one problem; its weights are handed in, so that a gradient can be checked."""

    def __init__(self, problem: Problem, settings: Settings) -> None:
        self.problem = problem
        self.settings = settings
        self.outer = [link for link in problem.links if link.dest == problem.target]
        self.types = sorted({problem.target, *(link.source for link in self.outer)})
        self.inner = {ntype: [link for link in problem.links if link.dest == ntype] for ntype in self.types}
        self.dense = {ntype: self._dense(ntype) for ntype in self.types}
        read = {*self.types, *(link.source for links in self.inner.values() for link in links)}
        self.with_ids = {ntype for ntype in read if settings.node_ids or not problem.features[ntype].shape[1]}

    def _dense(self, ntype: str) -> Floats:
        """Give a type's own features and, beside them, the mean features over each relation into it."""
        features = self.problem.features
        means = [link.matrix @ features[link.source] for link in self.inner[ntype]]
        return np.ascontiguousarray(np.concatenate([features[ntype], *means], axis=1))

    def _id_links(self, ntype: str) -> list[Link]:
        return [link for link in self.inner[ntype] if link.source in self.with_ids]

    def initial(self, rng: np.random.Generator) -> Weights:
        """Give fresh weights, Glorot-uniform; ids and the biases start small."""
        hidden, classes = self.settings.hidden, self.problem.truth.shape[1]
        width = min(hidden, MAX_ID_SIZE)
        weights: Weights = {}

        def glorot(name: str, rows: int, columns: int) -> None:
            bound = np.sqrt(6 / max(rows + columns, 1))
            weights[name] = rng.uniform(-bound, bound, (rows, columns)).astype(np.float32)

        for ntype in sorted(self.with_ids):
            count = self.problem.counts[ntype]
            weights[f"ids/{ntype}"] = (rng.standard_normal((count, width)) * 0.1).astype(np.float32)
        for ntype in self.types:
            glorot(f"dense/{ntype}", self.dense[ntype].shape[1], hidden)
            weights[f"bias/{ntype}"] = np.zeros(hidden, dtype=np.float32)
            if ntype in self.with_ids:
                glorot(f"own_id/{ntype}", width, hidden)
            for link in self._id_links(ntype):
                glorot(f"id/{link.key}", width, hidden)
        glorot("out_own", hidden, classes)
        weights["out_bias"] = np.zeros(classes, dtype=np.float32)
        for link in self.outer:
            glorot(f"out/{link.key}", hidden, classes)
        return weights

    def sums(self, weights: Weights) -> Sums:
        """Give the first layer, which is most of the work and the same whether units are dropped or not."""
        made = Sums({}, {})
        for ntype in self.types:
            sums = self.dense[ntype] @ weights[f"dense/{ntype}"] + weights[f"bias/{ntype}"]
            if ntype in self.with_ids:
                sums += weights[f"ids/{ntype}"] @ weights[f"own_id/{ntype}"]
            for link in self._id_links(ntype):
                made.id_means[link.key] = link.matrix @ weights[f"ids/{link.source}"]
                sums += made.id_means[link.key] @ weights[f"id/{link.key}"]
            made.by_type[ntype] = sums
        return made

    def forward(self, weights: Weights, known: Sums | None = None, rng: np.random.Generator | None = None) -> Pass:
        """Score every target node.

        :param known: these weights' first layer, where it is known already.
        :param rng: drops some hidden units, as in training; without it all are kept.
        """
        made = known or self.sums(weights)
        hidden, gates = {}, {}
        for ntype, sums in made.by_type.items():
            gate = (sums > 0).astype(sums.dtype)
            if rng is not None and self.settings.dropout:
                kept = 1 - self.settings.dropout
                gate *= (rng.random(sums.shape, dtype=np.float32) < kept) / np.float32(kept)
            gates[ntype] = gate
            hidden[ntype] = sums * gate
        logits = hidden[self.problem.target] @ weights["out_own"] + weights["out_bias"]
        for link in self.outer:
            logits += link.matrix @ (hidden[link.source] @ weights[f"out/{link.key}"])
        return Pass(logits, hidden, gates, made)

    def backward(self, weights: Weights, made: Pass, slope: NDArray[Any]) -> Weights:
        """Give the gradient of every weight, from that of the logits."""
        target = self.problem.target
        grads: Weights = {"out_bias": slope.sum(axis=0), "out_own": made.hidden[target].T @ slope}
        back = {ntype: np.zeros_like(made.hidden[ntype]) for ntype in self.types}
        back[target] += slope @ weights["out_own"].T
        for link in self.outer:
            sent = link.matrix.T @ slope
            grads[f"out/{link.key}"] = made.hidden[link.source].T @ sent
            back[link.source] += sent @ weights[f"out/{link.key}"].T
        for ntype in self.with_ids:
            grads[f"ids/{ntype}"] = np.zeros_like(weights[f"ids/{ntype}"])
        for ntype in self.types:
            inner = back[ntype] * made.gates[ntype]
            grads[f"dense/{ntype}"] = self.dense[ntype].T @ inner
            grads[f"bias/{ntype}"] = inner.sum(axis=0)
            if ntype in self.with_ids:
                grads[f"own_id/{ntype}"] = weights[f"ids/{ntype}"].T @ inner
                grads[f"ids/{ntype}"] += inner @ weights[f"own_id/{ntype}"].T
            for link in self._id_links(ntype):
                grads[f"id/{link.key}"] = made.sums.id_means[link.key].T @ inner
                grads[f"ids/{link.source}"] += link.matrix.T @ (inner @ weights[f"id/{link.key}"].T)
        return grads


def probabilities(logits: NDArray[Any], multilabel: bool) -> Floats:
    """Turn logits into probabilities."""
    table = special.expit(logits) if multilabel else special.softmax(logits, axis=1)
    return np.asarray(table, dtype=np.float32)


def class_weights(problem: Problem, even: bool) -> Floats:
    """Give each class's weight in the loss: 1, or the inverse of its share of the training nodes, 1 on average."""
    counts = problem.truth[problem.masks["train"]].sum(axis=0)
    if not even or problem.multilabel:
        return np.ones(len(counts), dtype=np.float32)
    return np.asarray(counts.sum() / np.maximum(counts, 1) / (counts > 0).sum(), dtype=np.float32)


def loss(problem: Problem, logits: NDArray[Any], nodes: Mask, weights: Floats) -> tuple[float, NDArray[Any]]:
    """Give the mean cross-entropy over some nodes and its gradient by the logits of all."""
    truth, made = problem.truth[nodes], logits[nodes]
    if problem.multilabel:
        value = float((np.logaddexp(0, made) - truth * made).mean())
        part = (special.expit(made) - truth) / truth.size
    else:
        each = truth @ weights
        total = each.sum()
        value = float(-(each * (special.log_softmax(made, axis=1) * truth).sum(axis=1)).sum() / total)
        part = (special.softmax(made, axis=1) - truth) * (each / total)[:, None]
    slope = np.zeros_like(logits)
    slope[nodes] = part
    return value, slope


@dataclass
class Fit:
    """A finished training: the best weights, and how the metric went epoch by epoch."""

    weights: Weights
    value: float
    best_epoch: int
    curve: dict[str, list[float]]
    seconds: float


def fit(problem: Problem, settings: Settings, metric: Metric, seed: int) -> Fit:
    """Train one network with Adam; keep the epoch that is best on the held-out nodes.

    :param settings: the trial's hyperparameters.
    :param metric: what "best" means; the loss decides between equals.
    :param seed: of the first weights and of dropout; the same seed gives the same weights.
    """
    started = time.perf_counter()
    rng = np.random.default_rng(seed)
    net = RGCN(problem, settings)
    weights = net.initial(rng)
    balance = class_weights(problem, metric.even)
    train, held_out = problem.masks["train"], problem.masks[problem.held_out]
    mean = {name: np.zeros_like(value) for name, value in weights.items()}
    square = {name: np.zeros_like(value) for name, value in weights.items()}
    curve: dict[str, list[float]] = {"epoch": [], "loss": [], problem.held_out: []}
    best, best_rank, best_epoch = weights, (-np.inf, -np.inf), 0
    sums = net.sums(weights)
    for epoch in range(1, settings.epochs + 1):
        made = net.forward(weights, sums, rng)
        training_loss, slope = loss(problem, made.logits, train, balance)
        grads = net.backward(weights, made, slope)
        _adam(weights, grads, mean, square, epoch, settings)
        sums = net.sums(weights)
        if epoch % settings.evaluate_every and epoch != settings.epochs:
            continue
        logits = net.forward(weights, sums).logits
        value = metric.of(problem, probabilities(logits, problem.multilabel), held_out)
        rank = (value, -loss(problem, logits, held_out, balance)[0])
        for name, point in zip(curve, (epoch, training_loss, value), strict=True):
            curve[name].append(round(point, 6))
        if rank > best_rank:
            best_rank, best_epoch = rank, epoch
            best = {name: value.copy() for name, value in weights.items()}
        elif settings.early_stop and epoch - best_epoch >= PATIENCE:
            break
    return Fit(best, best_rank[0], best_epoch, curve, time.perf_counter() - started)


def _adam(weights: Weights, grads: Weights, mean: Weights, square: Weights, epoch: int, settings: Settings) -> None:
    """Take one step, in place."""
    rate = settings.learning_rate * np.sqrt(1 - ADAM_SQUARE**epoch) / (1 - ADAM_MEAN**epoch)
    for name, value in weights.items():
        penalty = settings.weight_decay + (ID_PENALTY if name.startswith("ids/") else 0)
        grad = grads[name] + np.float32(penalty) * value
        mean[name] += (1 - ADAM_MEAN) * (grad - mean[name])
        square[name] += (1 - ADAM_SQUARE) * (grad * grad - square[name])
        value -= np.float32(rate) * mean[name] / (np.sqrt(square[name]) + np.float32(ADAM_FLOOR))
