"""The training job: trials of an R-GCN beside its baselines, the best one's artifacts by AWS's names."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from neptune_airflow.local.step import Step, StepFailed
from neptune_airflow.local.store import join
from neptune_airflow.local.training import artifacts, hyperparameters, problem
from neptune_airflow.local.training.artifacts import Comparison, Report
from neptune_airflow.local.training.baselines import BASELINES
from neptune_airflow.local.training.hyperparameters import HPO_FILE, MODEL, Search
from neptune_airflow.local.training.metrics import Metric
from neptune_airflow.local.training.problem import GRAPH_FILE, INFO_FILE, SPLITS, Floats, Problem
from neptune_airflow.local.training.rgcn import class_weights
from neptune_airflow.local.training.trials import Result, Trial, run_all

SEED = 0
DEFAULT_TRIALS = DEFAULT_PARALLEL = 2


def run(step: Step) -> dict[str, Any]:
    """Train a node classification on what a data processing job wrote.

    :param step: ``request`` is StartMLModelTrainingJob's body, ``inputs["processed"]`` where data processing wrote.
    :return: the metric's name, its value for each split and model, and the trials' number.
    :raises StepFailed: when the task, the model or the data is none that can be trained here, or a process dies.
    """
    started = time.perf_counter()
    _refuse(step.request)
    wanted = int(step.request.get("maxHPONumberOfTrainingJobs") or DEFAULT_TRIALS)
    allowed = int(step.request.get("maxHPOParallelTrainingJobs") or DEFAULT_PARALLEL)
    parallel = min(allowed, wanted, os.cpu_count() or 1)
    with tempfile.TemporaryDirectory(prefix="neptune-ml-training-") as name:
        folder = Path(name)
        graph, info, task, search = _read(step, folder)
        warnings = _warnings(step.request, task, search)
        for line in (_summary(task), *warnings):
            step.log(line)
        step.log(f"trials: {wanted}, {parallel} at a time, compared by {task.held_out} {search.metric.name}")
        trials = [
            Trial(number, values, search.settings(values), SEED + number, folder / f"trial-{number}.npz")
            for number, values in enumerate(search.draw(wanted, SEED), start=1)
        ]
        running = run_all(trials, search.metric, graph, info, parallel)
        results = _follow(step, search.metric, task.held_out, running)
        best = max(results, key=lambda result: (result.value, -result.trial.number))
        model = artifacts.load(task, best)
        scores = {MODEL: model.scores}
        balance = class_weights(task, search.metric.even)
        scores |= {name: baseline(task, balance) for name, baseline in BASELINES.items()}
        comparison = _compare(task, search.metric, scores)
        report = Report(search.metric.name, results, best, comparison, warnings, time.perf_counter() - started)
        artifacts.write(step.store, step.output_location, task, model, report, folder)
    return _result(task, report, step.log)


def _refuse(request: dict[str, Any]) -> None:
    name = request.get("modelName") or MODEL
    if name != MODEL:
        raise StepFailed(f"The model {name!r} cannot be trained here yet; {MODEL!r} can")
    if request.get("customModelTrainingParameters"):
        raise StepFailed("Custom models cannot be trained here yet; leave customModelTrainingParameters out")


def _read(step: Step, folder: Path) -> tuple[Path, Path, Problem, Search]:
    source = step.inputs["processed"]
    try:
        configuration = step.store.read(join(source, HPO_FILE))
        # What cannot be trained is refused before a large graph is fetched.
        hyperparameters.parse(configuration)
        graph, info = (step.store.fetch(join(source, file), folder / file) for file in (GRAPH_FILE, INFO_FILE))
        task = problem.load(graph, info)
    except FileNotFoundError as error:
        raise StepFailed(f"The data processing job left no {error.filename or error} in {source}") from error
    edges = sum(link.matrix.nnz for link in task.links)
    return graph, info, task, hyperparameters.parse(configuration, sum(task.counts.values()), edges)


def _warnings(request: dict[str, Any], task: Problem, search: Search) -> list[str]:
    warnings = []
    if search.unused:
        warnings.append(
            f"{HPO_FILE} names hyperparameters that this full-batch model ignores: {', '.join(search.unused)}"
        )
    if request.get("previousModelTrainingJobId"):
        warnings.append("previousModelTrainingJobId: trials start afresh, not from the earlier job's tuning")
    if any(task.info["edge_feat_meta"].values()):
        warnings.append("Edge features are not used: every edge of a relation counts alike")
    raw = [
        f"{ntype}.{name}"
        for ntype, features in task.info["node_feat_meta"].items()
        for name, meta in features.items()
        if meta.get("type") == "raw_feat"
    ]
    if raw:
        warnings.append(f"Features without an encoding are not used: {', '.join(raw)}")
    if task.held_out != "valid":
        warnings.append("No node is in the validation split, so trials are compared by the nodes they train on")
    return warnings


def _summary(task: Problem) -> str:
    sizes = ", ".join(f"{task.masks[split].sum():,} {split}" for split in SPLITS)
    return (
        f"node classification: {task.target}.{task.label}, {task.truth.shape[1]} classes, {sizes};"
        f" {sum(task.counts.values()):,} nodes, {len(task.links)} relations"
    )


def _follow(step: Step, metric: Metric, split: str, running: Iterator[Result]) -> list[Result]:
    """Log each trial as it ends, and give all by number."""
    results = []
    for result in running:
        values = ", ".join(f"{name} {value}" for name, value in result.trial.values.items())
        step.log(
            f"trial {result.trial.number}: {split} {metric.name} {result.value:.4f}"
            f" at epoch {result.best_epoch} of {result.curve['epoch'][-1]}, {result.seconds:.1f} s; {values}"
        )
        results.append(result)
    return sorted(results, key=lambda result: result.trial.number)


def _compare(task: Problem, metric: Metric, scores: dict[str, Floats]) -> Comparison:
    """Give every model's metrics for each split that has nodes."""
    return {
        split: {name: metric.all_of(task, table, mask) for name, table in scores.items()}
        for split, mask in task.masks.items()
        if mask.any()
    }


def _result(task: Problem, report: Report, log: Callable[[str], None]) -> dict[str, Any]:
    """Log the metric of every model beside each other, and give the same as the job's result."""
    result: dict[str, Any] = {
        "metric": report.metric,
        "trials": len(report.results),
        "best_trial": report.best.trial.number,
    }
    for split in (task.held_out, "test"):
        if split in report.comparison:
            result[split] = {name: round(values[report.metric], 4) for name, values in report.comparison[split].items()}
            log(
                f"{split} {report.metric}: " + ", ".join(f"{name} {value:.4f}" for name, value in result[split].items())
            )
    return result
