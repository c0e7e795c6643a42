"""One trial of an R-GCN: Adam over full batches, the epoch kept that is best on the held-out rows."""

from __future__ import annotations

import time

import numpy as np

from neptune_airflow.local.training.family import Fit, Weights
from neptune_airflow.local.training.losses import class_weights, loss, scores
from neptune_airflow.local.training.metrics import Metric
from neptune_airflow.local.training.problem import Problem
from neptune_airflow.local.training.rgcn import IDS, RGCN
from neptune_airflow.local.training.settings import Settings

# An id is memory: unless held back, a training node's own id learns its label by heart and tells others nothing.
ID_PENALTY = 0.01
PATIENCE = 30
ADAM_MEAN, ADAM_SQUARE, ADAM_FLOOR = 0.9, 0.999, 1e-8


def fit(problem: Problem, settings: Settings, metric: Metric, seed: int, start: Weights | None = None) -> Fit:
    """Train one network; keep the epoch that is best on the held-out rows.

    :param settings: the trial's hyperparameters.
    :param metric: what "best" means; the loss decides between equals.
    :param seed: of the first weights and of dropout; the same seed gives the same weights.
    :param start: weights to begin with instead of fresh ones; they compete as epoch 0.
    """
    started = time.perf_counter()
    rng = np.random.default_rng(seed)
    net = RGCN(problem, settings)
    weights = net.initial(rng) | (start or {})
    balance = class_weights(problem, metric.even)
    train, held_out = problem.masks["train"], problem.masks[problem.held_out]
    mean = {name: np.zeros_like(value) for name, value in weights.items()}
    square = {name: np.zeros_like(value) for name, value in weights.items()}
    curve: dict[str, list[float]] = {"epoch": [], "loss": [], problem.held_out: []}
    best, best_rank, best_value, best_epoch = weights, (-np.inf, -np.inf), 0.0, 0
    sums = net.sums(weights)
    for epoch in range(0 if start else 1, settings.epochs + 1):
        made = net.forward(weights, sums, rng if epoch else None)
        training_loss, slope = loss(problem, made.logits, train, balance)
        if epoch:
            adam(weights, net.backward(weights, made, slope), mean, square, epoch, settings)
            sums = net.sums(weights)
            if epoch % settings.evaluate_every and epoch != settings.epochs:
                continue
        logits = net.forward(weights, sums).logits
        value = metric.of(problem, scores(problem, logits), held_out)
        rank = (metric.rank(value), -loss(problem, logits, held_out, balance)[0])
        for name, point in zip(curve, (epoch, training_loss, value), strict=True):
            curve[name].append(float(f"{point:.6g}"))
        if rank > best_rank:
            best_rank, best_value, best_epoch = rank, value, epoch
            best = {name: value.copy() for name, value in weights.items()}
        elif settings.early_stop and epoch - best_epoch >= PATIENCE:
            break
    return Fit(best, best_value, best_epoch, curve, time.perf_counter() - started)


def adam(
    weights: Weights,
    grads: Weights,
    mean: Weights,
    square: Weights,
    step: int,
    settings: Settings,
    id_penalty: float = ID_PENALTY,
) -> None:
    """Take one step, in place; the first has number 1, and the means and squares are zeros then."""
    rate = settings.learning_rate * np.sqrt(1 - ADAM_SQUARE**step) / (1 - ADAM_MEAN**step)
    for name, value in weights.items():
        penalty = settings.weight_decay + (id_penalty if name.startswith(IDS) else 0)
        grad = grads[name] + np.float32(penalty) * value
        mean[name] += (1 - ADAM_MEAN) * (grad - mean[name])
        square[name] += (1 - ADAM_SQUARE) * (grad * grad - square[name])
        value -= np.float32(rate) * mean[name] / (np.sqrt(square[name]) + np.float32(ADAM_FLOOR))
