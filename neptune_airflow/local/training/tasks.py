"""The tasks that predict a property, one row each; what differs between them is here or follows from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from neptune_airflow.local.training import baselines
from neptune_airflow.local.training.metrics import CLASS_METRICS, NUMBER_METRICS
from neptune_airflow.local.training.problem import Floats, Problem

Baseline = Callable[[Problem, Floats], Floats]


@dataclass(frozen=True)
class Task:
    """One task type.

    :param name: as in ``model-hpo-configuration.json``.
    :param thing: what has the property: ``node`` or ``edge``.
    :param numbers: whether numbers are predicted, and not classes.
    :param metrics: the metrics' names; the first decides where the file names none.
    :param baselines: what a model has to beat, by name.
    """

    name: str
    words: str
    thing: str
    numbers: bool
    metrics: tuple[str, ...]
    baselines: dict[str, Baseline]

    @property
    def on_edges(self) -> bool:
        """Whether edges have the property."""
        return self.thing == "edge"


TASKS = {
    task.name: task
    for task in (
        Task(
            name="node_class",
            words="node classification",
            thing="node",
            numbers=False,
            metrics=CLASS_METRICS,
            baselines={
                "majority": baselines.average,
                "features_only": baselines.logistic,
                "label_propagation": baselines.label_propagation,
            },
        ),
        Task(
            name="node_regression",
            words="node regression",
            thing="node",
            numbers=True,
            metrics=NUMBER_METRICS,
            baselines={
                "mean": baselines.average,
                "features_only": baselines.ridge,
                "neighbour_mean": baselines.neighbour_mean,
            },
        ),
        Task(
            name="edge_class",
            words="edge classification",
            thing="edge",
            numbers=False,
            metrics=CLASS_METRICS,
            baselines={
                "majority": baselines.average,
                "features_only": baselines.logistic,
                "end_rates": baselines.end_means,
            },
        ),
        Task(
            name="edge_regression",
            words="edge regression",
            thing="edge",
            numbers=True,
            metrics=NUMBER_METRICS,
            baselines={
                "mean": baselines.average,
                "features_only": baselines.ridge,
                "end_means": baselines.end_means,
            },
        ),
    )
}
