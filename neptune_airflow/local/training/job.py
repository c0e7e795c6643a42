"""The training job: trials of one family's model beside its baselines, the best one's artifacts by AWS's names.

`family.py` says what a family of models is and what this course asks of it.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from neptune_airflow.local.kinds import DEFAULT_TRIALS
from neptune_airflow.local.step import Step, StepFailed
from neptune_airflow.local.training import artifacts, hyperparameters
from neptune_airflow.local.training.artifacts import REPORT_FILE, Report, read_trained
from neptune_airflow.local.training.choice import choose
from neptune_airflow.local.training.family import Comparison, Family, Trained, Trial, family_of
from neptune_airflow.local.training.hyperparameters import HPO_FILE, Search
from neptune_airflow.local.training.problem import fetch
from neptune_airflow.local.training.trials import Result, run_all
from neptune_airflow.store import join

SEED = 0
DEFAULT_PARALLEL = 2
SMALL = 0.01


def run(step: Step) -> dict[str, Any]:
    """Train what a data processing job prepared, by the task in its file of hyperparameters.

    :param step: ``request`` is StartMLModelTrainingJob's body, ``inputs["processed"]`` where data processing wrote, and
        ``inputs["previous"]`` where an earlier training did, whose hyperparameters and weights the trials begin with.
    :return: ``metric`` (its name), ``trials`` (how many), ``best_trial``, and for each split its value by model.
    :raises StepFailed: when the task, the model or the data is none that can be trained here, or a process dies.
    """
    started = time.perf_counter()
    if step.request.get("customModelTrainingParameters"):
        raise StepFailed("Custom models cannot be trained here; leave customModelTrainingParameters out")
    wanted = int(step.request.get("maxHPONumberOfTrainingJobs") or DEFAULT_TRIALS)
    allowed = int(step.request.get("maxHPOParallelTrainingJobs") or DEFAULT_PARALLEL)
    parallel = min(allowed, wanted, os.cpu_count() or 1)
    source = step.inputs["processed"]
    model = choose(step.store, source, step.request.get("modelName") or None)
    family = family_of(model)
    # What cannot be trained is refused before a large graph is fetched.
    hyperparameters.parse(model, family.names)
    with tempfile.TemporaryDirectory(prefix="neptune-ml-training-") as name:
        folder = Path(name)
        trained = _earlier(step, family, folder)
        graph, info = fetch(step.store, source, folder)
        problem = family.load(graph, info, trained)
        search = hyperparameters.parse(model, family.names, *family.size(problem))
        about = family.about(problem)
        warnings = [*_ignored(search), *about.warnings]
        for line in (about.summary, *warnings):
            step.log(line)
        step.log(f"trials: {wanted}, {parallel} at a time, compared by {about.held_out} {family.metric}")
        trials = _trials(step, family, problem, search, wanted, trained, folder)
        results = _follow(step, family, about.held_out, run_all(family, trials, graph, info, parallel, trained))
        best = max(results, key=lambda result: (family.rank(result.value), -result.trial.number))
        with np.load(best.trial.weights) as saved:
            weights = dict(saved)
        made = family.infer(problem, best.trial.settings, weights)
        configs = {result.trial.number: artifacts.config(family, step.job_name, about, result) for result in results}
        artifacts.write_trials(step.store, step.output_location, configs, results)
        chosen = configs[best.trial.number], weights
        artifacts.write(step.store, step.output_location, made, about, chosen, folder)
        seconds = time.perf_counter() - started
        report = Report(results, best, made.comparison, warnings, seconds, trained.location if trained else None)
        artifacts.write_json(
            step.store, join(step.output_location, REPORT_FILE), artifacts.report(family, about, report)
        )
    result = {"metric": family.metric, "trials": len(results), "best_trial": best.trial.number}
    return result | figures(made.comparison, family.metric, about.held_out, step.log)


def _earlier(step: Step, family: Family, folder: Path) -> Trained | None:
    """Give the earlier training's best model, where there is one to start from."""
    location = step.inputs.get("previous")
    if location is None:
        return None
    trained = read_trained(step.store, location, folder)
    was, now = (trained.config["task"], trained.config["model"]), (family.task, family.model)
    if was != now:
        raise StepFailed(
            f"previousModelTrainingJobId: the earlier training was for {was[0]} with the model {was[1]}, this is for"
            f" {now[0]} with {now[1]}; leave it out to train afresh"
        )
    return trained


def _ignored(search: Search) -> list[str]:
    if not search.unused:
        return []
    return [f"{HPO_FILE} names hyperparameters that this model ignores: {', '.join(search.unused)}"]


def _trials(
    step: Step, family: Family, problem: Any, search: Search, wanted: int, trained: Trained | None, folder: Path
) -> list[Trial]:
    """Give the trials: as drawn, or beginning with an earlier training's hyperparameters and weights."""
    drawn = search.draw(wanted, SEED)
    start = None
    if trained is not None:
        drawn = _begin_with(drawn, trained.config["hyperparameters"], family)
        weights, lines = family.adopt(problem, family.settings(search, drawn[0]), trained)
        for line in lines:
            step.log(line)
        start = folder / "start.npz"
        np.savez(start, **weights)  # type: ignore[arg-type]
    return [
        Trial(number, values, family.settings(search, values), SEED + number, folder / f"trial-{number}.npz", start)
        for number, values in enumerate(drawn, start=1)
    ]


def _begin_with(drawn: list[dict[str, Any]], earlier: dict[str, Any], family: Family) -> list[dict[str, Any]]:
    """Let the first trial repeat the earlier best; the others vary it, but for what decides the weights' shapes."""
    known = {name: value for name, value in earlier.items() if name in family.names}
    kept = {name: value for name, value in known.items() if name in family.shaping}
    return [drawn[0] | known, *(values | kept for values in drawn[1:])]


def _follow(step: Step, family: Family, split: str, running: Iterator[Result]) -> list[Result]:
    """Log each trial as it ends, and give all by number."""
    results = []
    for result in running:
        values = ", ".join(f"{name} {value}" for name, value in result.trial.values.items())
        step.log(
            f"trial {result.trial.number}: {split} {family.metric} {_told(result.value)}"
            f" at epoch {result.best_epoch} of {result.curve['epoch'][-1]:.0f}, {result.seconds:.1f} s; {values}"
        )
        results.append(result)
    return sorted(results, key=lambda result: result.trial.number)


def figures(comparison: Comparison, metric: str, held_out: str, log: Callable[[str], None]) -> dict[str, Any]:
    """Log the metric of every model beside each other, and give the same as the job's result."""
    result: dict[str, Any] = {}
    for split in (held_out, "test"):
        if split in comparison:
            told = {name: _told(values[metric]) for name, values in comparison[split].items()}
            result[split] = {name: float(value) for name, value in told.items()}
            log(f"{split} {metric}: " + ", ".join(f"{name} {value}" for name, value in told.items()))
    return result


def _told(value: float) -> str:
    """Give a figure with four decimals, or a small one with three digits: a label's unit may be anything."""
    return f"{value:.4f}" if abs(value) >= SMALL or not value else f"{value:.3g}"
