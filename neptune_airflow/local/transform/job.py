"""The model transform job: predictions, embeddings, ids and metrics of a trained model on a graph that may have grown.

``training/family.py`` says what a family of models brings; this is its second course.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from neptune_airflow.local.step import Step, StepFailed
from neptune_airflow.local.training import artifacts
from neptune_airflow.local.training.artifacts import read_trained
from neptune_airflow.local.training.choice import choose
from neptune_airflow.local.training.family import Trained, family_of
from neptune_airflow.local.training.job import figures
from neptune_airflow.local.training.problem import fetch
from neptune_airflow.store import join

REPORT_FILE = "transform_report.json"


def run(step: Step) -> dict[str, Any]:
    """Run a trained model on what a data processing job prepared.

    :param step: ``request`` is StartMLModelTransformJob's body, ``inputs["processed"]`` where data processing wrote,
        ``inputs["trained"]`` where the training did, and ``inputs["trial"]`` the number of the trial (as text) when the
        request named one of its SageMaker training jobs; otherwise its best model is taken.
    :return: ``metric`` (its name), ``trial``, ``new_nodes`` by type, and for each split the metric's value by model.
    :raises StepFailed: when the model does not fit the data, naming what differs, or a file is missing.
    """
    started = time.perf_counter()
    if step.request.get("customModelTransformParameters"):
        raise StepFailed("Custom models cannot be transformed here; leave customModelTransformParameters out")
    source = step.inputs["processed"]
    with tempfile.TemporaryDirectory(prefix="neptune-ml-transform-") as name:
        folder = Path(name)
        trained = read_trained(step.store, step.inputs["trained"], folder, step.inputs.get("trial"))
        model = choose(step.store, source, trained.config["model"])
        task = trained.config["task"]
        if model["task_type"] != task:
            raise StepFailed(
                f"The model is one for {task}, and the data is for {model['task_type']}: transform data that was"
                " processed for the model's own task"
            )
        metric = model.get("eval_metric", {}) | {"metric": trained.config["metric"]["name"]}
        family = family_of(model | {"eval_metric": metric})
        graph, info = fetch(step.store, source, folder)
        problem = family.load(graph, info, trained)
        about = family.about(problem)
        for line in (about.summary, *about.warnings):
            step.log(line)
        settings, weights = family.transfer(problem, trained)
        step.log(f"model: trial {trained.config['trial']} of {trained.location}")
        made = family.infer(problem, settings, weights)
        new = _new_nodes(trained, made.mapping)
        for ntype, (count, total) in new.items():
            step.log(f"new nodes of {ntype}: {count:,} of {total:,}; AWS advises to train anew from 10 to 20 % on")
        config = trained.config | about.config | {"name": step.job_name}
        artifacts.write(step.store, step.output_location, made, about, (config, weights), folder)
        report = {
            "task": family.task,
            "model": family.model,
            "target": about.target,
            "metric": family.metric,
            "compared_on": about.held_out,
            "split": about.split,
            "trained": trained.location,
            "trial": trained.config["trial"],
            "new_nodes": {ntype: count for ntype, (count, _) in new.items()},
            "comparison": made.comparison,
            "seconds": round(time.perf_counter() - started, 3),
        }
        artifacts.write_json(step.store, join(step.output_location, REPORT_FILE), report)
    result = {name: report[name] for name in ("metric", "trial", "new_nodes")}
    return result | figures(made.comparison, family.metric, about.held_out, step.log)


def _new_nodes(trained: Trained, mapping: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Give, by type, how many nodes the training did not know, of how many, where there are any."""
    known = trained.mapping["node2id"]
    counts = {
        ntype: (sum(raw not in known.get(ntype, {}) for raw in ids), len(ids))
        for ntype, ids in mapping["node2id"].items()
    }
    return {ntype: pair for ntype, pair in counts.items() if pair[0]}
