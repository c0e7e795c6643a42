"""What one family of models brings to training and to model transform, which run alike for all of them.

`job.py` (training) and `transform/job.py` know the course: files, hyperparameters, trials in processes, the best one,
reports, the layout in S3. A family knows the rest. Each task names the module of its family in `FAMILIES`, and that
module has one function::

    def of(model: dict[str, Any]) -> Family

which takes one entry of ``model-hpo-configuration.json`` (``modelName`` already applied) and raises `StepFailed` for a
model or a metric that it does not have. It is imported when a job needs it.

The course of a training, with the family's part in capitals::

    problem = LOAD(graph, info, trained)              once in the job and once in each trial's process; `trained` is
                                                      None, or the earlier training's model with a warm start
    log ABOUT(problem).summary and its warnings
    values  = Search.draw(…)                          by the file's names; those in NAMES are drawn, others ignored
    trials  = [Trial(…, SETTINGS(search, values), …)]
    start   = ADOPT(problem, settings, trained)       when there is an earlier training to start from
    fits    = FIT(problem, trial)                     in processes side by side; what it logs are the curves it returns
    best    = the trial with the largest RANK(value)
    made    = INFER(problem, settings, weights)       for the best: what goes to S3, and the metric beside its baselines

and of a model transform::

    problem           = LOAD(graph, info, trained)
    settings, weights = TRANSFER(problem, trained)    or the refusal that says what differs
    made              = INFER(problem, settings, weights)

A family is a frozen dataclass: it is pickled into the trials' processes, and so are `Trial` and `Fit`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from neptune_airflow.local.step import StepFailed
from neptune_airflow.local.training.hyperparameters import HPO_FILE, Names, Search

FAMILIES = {
    **dict.fromkeys(
        ("node_class", "node_regression", "edge_class", "edge_regression"), "neptune_airflow.local.training.properties"
    ),
    "link_prediction": "neptune_airflow.local.training.links.family",
}
"""The module of each task type's family."""

Weights = dict[str, NDArray[Any]]
"""What a model has learnt, and the scales of what it reads, by name: one ``.npz``."""

Comparison = dict[str, dict[str, dict[str, float]]]
"""Metrics by split, model and name; the model's own name comes first, its baselines follow."""


@dataclass(frozen=True)
class Trial:
    """One training with its own hyperparameters.

    :param values: the hyperparameters by Neptune ML's names.
    :param settings: the same as the family's own dataclass.
    :param weights: the local file that takes the trained weights.
    :param start: a local ``.npz`` with the weights that training begins with, where an earlier training gives them.
    """

    number: int
    values: dict[str, Any]
    settings: Any
    seed: int
    weights: Path
    start: Path | None = None


@dataclass(frozen=True)
class Fit:
    """A finished trial: the best weights, and how the metric went epoch by epoch.

    :param value: the metric on the held-out split at the best epoch, in its own unit.
    :param best_epoch: 0 for the weights that training began with.
    :param curve: lists of one length: ``epoch``, ``loss`` and one named after the held-out split.
    """

    weights: Weights
    value: float
    best_epoch: int
    curve: dict[str, list[float]]
    seconds: float


@dataclass(frozen=True)
class About:
    """What the log and the report say of a problem.

    :param summary: one line for the log.
    :param target: ``type.property``, or the relation.
    :param split: how many nodes or edges each split has.
    :param held_out: the split by which epochs and trials are compared.
    :param config: what goes into the model's ``config.json``: all that `TRANSFER` compares, ``property`` among it.
    """

    summary: str
    target: str
    split: dict[str, int]
    held_out: str
    config: dict[str, Any]
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Inference:
    """What a trained model says of a whole graph.

    :param mapping: ``mapping.info``: builtins and numpy arrays only.
    :param arrays: file name below the output location to its array (``.npy``) or named arrays (``.npz``).
    :param size: bytes that serving holds: graph and model.
    """

    comparison: Comparison
    mapping: dict[str, Any]
    arrays: dict[str, NDArray[Any] | dict[str, NDArray[Any]]]
    size: int


@dataclass(frozen=True)
class Trained:
    """A model that an earlier training left.

    :param config: its ``config.json``: ``task``, ``model``, ``settings``, ``hyperparameters`` and `About.config`.
    :param mapping: the ``mapping.info`` of that training; ``node2id`` says which node each learnt row belongs to.
    """

    location: str
    config: dict[str, Any]
    weights: Weights
    mapping: dict[str, Any]


class Family(Protocol):
    """The models of a kind of task; `Any` stands for the family's own types of problem and settings."""

    @property
    def task(self) -> str:
        """The task type, as in the file of hyperparameters."""

    @property
    def model(self) -> str:
        """The model's name: ``rgcn``, ``distmult`` …; its figures stand under it."""

    @property
    def metric(self) -> str:
        """The name of the metric that decides."""

    @property
    def names(self) -> Names:
        """The hyperparameters that the model has, by the file's names."""

    @property
    def shaping(self) -> frozenset[str]:
        """Those of them that decide the shapes of weights: a warm start keeps them in every trial."""

    def rank(self, value: float) -> float:
        """Give a value of the metric as a number that is larger for a better model."""

    def settings(self, search: Search, values: dict[str, Any]) -> Any:
        """Give one trial's settings, a dataclass of plain values.

        :raises StepFailed: for values that no model can be trained with.
        """

    def load(self, graph: Path, info: Path, trained: Trained | None = None) -> Any:
        """Read what data processing wrote.

        :param trained: with a warm start and a model transform, the model. What it was trained on is then in none of
            the splits by which models are measured, and what it reads is scaled as it was for the model.
        :raises StepFailed: when a file is broken or does not describe this task.
        """

    def size(self, problem: Any) -> tuple[int, int]:
        """Give the numbers of nodes and edges, by which some ranges of hyperparameters scale."""

    def about(self, problem: Any) -> About:
        """Give what people are told, and what is kept beside the model."""

    def fit(self, problem: Any, trial: Trial) -> Fit:
        """Train one trial; the same trial gives the same weights."""

    def infer(self, problem: Any, settings: Any, weights: Weights) -> Inference:
        """Let a trained model speak on the whole graph, and measure it beside its baselines."""

    def adopt(self, problem: Any, settings: Any, trained: Trained) -> tuple[Weights, list[str]]:
        """Give those weights of an earlier model that fit, for `Trial.start`, and lines for the log about them."""

    def transfer(self, problem: Any, trained: Trained) -> tuple[Any, Weights]:
        """Give a trained model's settings and weights for this graph, in which there may be new nodes.

        :raises StepFailed: naming what differs from the graph that the model was trained on, and what to do.
        """


def family_of(model: dict[str, Any]) -> Family:
    """Give the family that trains an entry of ``model-hpo-configuration.json``.

    :raises StepFailed: when there is none, or it has no such model or metric.
    """
    task = model["task_type"]
    if task not in FAMILIES:
        raise StepFailed(f"{HPO_FILE}: the task {task!r} is none of {', '.join(FAMILIES)}")
    family: Family = importlib.import_module(FAMILIES[task]).of(model)
    return family
