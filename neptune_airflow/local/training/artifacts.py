"""A trained model's files, by the names under which AWS's clients look for them, and a report for people."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neptune_airflow.local.store import Store, join
from neptune_airflow.local.training.hyperparameters import MODEL, TASK
from neptune_airflow.local.training.problem import Floats, Problem
from neptune_airflow.local.training.rgcn import RGCN, probabilities
from neptune_airflow.local.training.trials import Result

# AWS's restricted unpickler refuses what numpy writes under protocol 5.
PICKLE_PROTOCOL = 4
GIB = 1 << 30
# Endpoint instances with their memory in GiB: m5d as far as it goes, then the largest r5d.
INSTANCES = {
    "ml.m5d.large": 8,
    "ml.m5d.xlarge": 16,
    "ml.m5d.2xlarge": 32,
    "ml.m5d.4xlarge": 64,
    "ml.m5d.12xlarge": 192,
    "ml.m5d.24xlarge": 384,
    "ml.r5d.24xlarge": 768,
}
# Serving loads the graph and the model and works on copies of both.
MEMORY_FACTOR = 10

Comparison = dict[str, dict[str, dict[str, float]]]
"""Metrics by split, model and name."""


@dataclass(frozen=True)
class Model:
    """The chosen trial's network, with what it says of the target nodes.

    :param embeddings: the hidden layer, one row a target node.
    """

    net: RGCN
    weights: dict[str, Any]
    scores: Floats
    embeddings: Floats


@dataclass(frozen=True)
class Report:
    """How the training went, for people."""

    metric: str
    results: list[Result]
    best: Result
    comparison: Comparison
    warnings: list[str]
    seconds: float


def load(task: Problem, best: Result) -> Model:
    """Read a trial's weights back and let the network speak on every target node."""
    net = RGCN(task, best.trial.settings)
    with np.load(best.trial.weights) as saved:
        weights = dict(saved)
    made = net.forward(weights)
    return Model(net, weights, probabilities(made.logits, task.multilabel), made.hidden[task.target])


def write(store: Store, location: str, task: Problem, model: Model, report: Report, folder: Path) -> None:
    """Write all files of a finished training.

    :param location: where they go, without trailing slash.
    :param folder: a local folder through which the large ones pass.
    """
    arrays: dict[str, Callable[[Path], None]] = {
        "embeddings/entity.npy": lambda path: np.save(path, model.embeddings),
        "predictions/result.npz": lambda path: np.savez(path, infer_scores=model.scores),
        "model.npz": lambda path: np.savez(path, **_model(task, model, report)),
    }
    for name, save in arrays.items():
        path = folder / Path(name).name
        save(path)
        store.upload(path, join(location, name))
    store.write(join(location, "mapping.info"), pickle.dumps(_mapping(task), protocol=PICKLE_PROTOCOL))
    texts = {
        "eval_metrics_info.json": report.comparison[task.held_out][MODEL],
        "infer_instance_recommendation.json": _instance(task, model),
        "training_report.json": _report(task, report),
    }
    if "test" in report.comparison:
        texts["test_metrics_info.json"] = report.comparison["test"][MODEL]
    for name, content in texts.items():
        store.write(join(location, name), json.dumps(content, indent=2).encode())


def _mapping(task: Problem) -> dict[str, Any]:
    """Give which row of the embeddings and predictions belongs to which node, and which column to which label."""
    return {
        "node2id": task.info["node_id_map"],
        "label_map": task.info["label_map"],
        "target_ntype": task.target,
        "target_ntype_property": task.label,
        "node2gid": {task.target: np.arange(task.counts[task.target])},
    }


def _model(task: Problem, model: Model, report: Report) -> dict[str, Any]:
    """Give the weights and all that is needed to run them on the same graph again."""
    about = {
        "model": MODEL,
        "target": task.target,
        "property": task.label,
        "classes": task.classes,
        "multilabel": task.multilabel,
        "settings": asdict(report.best.trial.settings),
    }
    scales = {
        f"{name}/{ntype}": part
        for ntype, parts in task.scales.items()
        for name, part in zip(("mean", "deviation"), parts, strict=True)
    }
    return {"about": np.array(json.dumps(about)), **scales, **model.weights}


def _instance(task: Problem, model: Model) -> dict[str, Any]:
    """Give the smallest endpoint instance that holds graph and model, sizes in bytes."""
    arrays = [*task.features.values(), *model.weights.values(), model.scores, model.embeddings]
    links = [part for link in task.links for part in (link.matrix.data, link.matrix.indices, link.matrix.indptr)]
    size = sum(int(array.nbytes) for array in (*arrays, *links))
    fitting = [name for name, memory in INSTANCES.items() if memory * GIB >= size * MEMORY_FACTOR]
    return {"instance": (fitting or list(INSTANCES)[-1:])[0], "disk_size": size, "mem_size": size * MEMORY_FACTOR}


def _report(task: Problem, report: Report) -> dict[str, Any]:
    return {
        "task": TASK,
        "target": f"{task.target}.{task.label}",
        "classes": task.classes,
        "split": {split: int(mask.sum()) for split, mask in task.masks.items()},
        "metric": report.metric,
        "compared_on": task.held_out,
        "trials": [
            {
                "trial": result.trial.number,
                "hyperparameters": result.trial.values,
                "seed": result.trial.seed,
                "value": result.value,
                "best_epoch": result.best_epoch,
                "seconds": result.seconds,
                "curve": result.curve,
            }
            for result in report.results
        ],
        "best_trial": report.best.trial.number,
        "comparison": report.comparison,
        "warnings": report.warnings,
        "seconds": round(report.seconds, 3),
    }
