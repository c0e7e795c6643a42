"""A trained model's files, by the names under which AWS's clients look for them, and a report for people.

Training and model transform write the same layout::

    mapping.info  embeddings/entity.npy  predictions/result.npz  eval_metrics_info.json  test_metrics_info.json
    infer_instance_recommendation.json   model/config.json  model/weights.npz

and a training adds ``training_report.json`` and, for each trial, ``trials/001/config.json`` and ``weights.npz``. Names
and keys are those of AWS's toolkit (``neptuneml_toolkit.transform``); ``weights.npz`` is this service's own.
"""

from __future__ import annotations

import json
import pickle
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neptune_airflow.local.step import StepFailed
from neptune_airflow.local.training.family import About, Comparison, Family, Inference, Trained, Weights
from neptune_airflow.local.training.trials import Result
from neptune_airflow.local.training.unpickling import unpickle
from neptune_airflow.store import Store, join

# AWS's restricted unpickler refuses what numpy writes under protocol 5.
PICKLE_PROTOCOL = 4
MAPPING_FILE, REPORT_FILE = "mapping.info", "training_report.json"
CONFIG_FILE, WEIGHTS_FILE, MODEL_FOLDER = "config.json", "weights.npz", "model"
# The one kind of inference that needs no model at the endpoint: predictions for known nodes are looked up.
INFER_TYPE = "online-transductive-infer"
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


@dataclass(frozen=True)
class Report:
    """How the training went, for people.

    :param started_from: the earlier training whose weights it began with.
    """

    results: list[Result]
    best: Result
    comparison: Comparison
    warnings: list[str]
    seconds: float
    started_from: str | None = None


def trial_folder(number: int) -> str:
    """Give the folder of one trial's model below a training's output."""
    return f"trials/{number:03d}"


def config(family: Family, name: str, about: About, result: Result) -> dict[str, Any]:
    """Give a model's ``config.json``: AWS's keys, and what it takes to run the model on another graph.

    :param name: the job's.
    """
    trial = result.trial
    return {
        "task": family.task,
        "model": family.model,
        "name": name,
        "infer_type": INFER_TYPE,
        **about.config,
        "trial": trial.number,
        "hyperparameters": trial.values,
        "settings": asdict(trial.settings),
        "seed": trial.seed,
        "metric": {"name": family.metric, "split": about.held_out, "value": result.value, "epoch": result.best_epoch},
    }


def write_trials(store: Store, location: str, configs: dict[int, dict[str, Any]], results: list[Result]) -> None:
    """Keep every trial's model, since a model transform may name any of them."""
    for result in results:
        number = result.trial.number
        folder = join(location, trial_folder(number))
        _write_model(store, folder, configs[number], result.trial.weights)


def write(
    store: Store,
    location: str,
    made: Inference,
    about: About,
    model: tuple[dict[str, Any], Weights],
    folder: Path,
) -> None:
    """Write what a model says of a graph, and the model.

    :param location: where the files go, without trailing slash.
    :param model: its ``config.json`` and its weights.
    :param folder: a local folder through which the large ones pass.
    """
    name = str(model[0]["model"])
    for file, content in made.arrays.items():
        path = folder / Path(file).name
        if isinstance(content, dict):
            np.savez(path, **content)  # type: ignore[arg-type]
        else:
            np.save(path, content)
        store.upload(path, join(location, file))
    store.write(join(location, MAPPING_FILE), pickle.dumps(made.mapping, protocol=PICKLE_PROTOCOL))
    texts: dict[str, Any] = {"infer_instance_recommendation.json": _instance(made.size)}
    for file, split in (("eval_metrics_info.json", about.held_out), ("test_metrics_info.json", "test")):
        if split in made.comparison:
            texts[file] = made.comparison[split][name]
    for file, text in texts.items():
        write_json(store, join(location, file), text)
    weights = folder / WEIGHTS_FILE
    np.savez(weights, **model[1])  # type: ignore[arg-type]
    _write_model(store, join(location, MODEL_FOLDER), model[0], weights)


def write_json(store: Store, location: str, content: Any) -> None:
    """Write a JSON file for machines and people."""
    store.write(location, json.dumps(content, indent=2).encode())


def _write_model(store: Store, location: str, about: dict[str, Any], weights: Path) -> None:
    write_json(store, join(location, CONFIG_FILE), about)
    store.upload(weights, join(location, WEIGHTS_FILE))


def read_trained(store: Store, location: str, folder: Path, trial: str | None = None) -> Trained:
    """Read the model that a training left, its best one unless a trial is named.

    :param trial: the trial's number, as text.
    :raises StepFailed: when it left none, or there is no such trial.
    """
    where = MODEL_FOLDER if trial is None else trial_folder(int(trial))
    try:
        about = json.loads(store.read(join(location, where, CONFIG_FILE)))
        weights = store.fetch(join(location, where, WEIGHTS_FILE), folder / "trained.npz")
        mapping = unpickle(store.read(join(location, MAPPING_FILE)))
        with np.load(weights) as saved:
            return Trained(location, about, dict(saved), mapping)
    except FileNotFoundError as error:
        raise StepFailed(f"The training left no {error.filename or error} in {location}: train a model first") from None
    except (ValueError, EOFError, pickle.UnpicklingError) as error:
        raise StepFailed(f"The model in {join(location, where)} cannot be read: {error}") from None


def _instance(size: int) -> dict[str, Any]:
    """Give the smallest endpoint instance that holds graph and model, sizes in bytes."""
    fitting = [name for name, memory in INSTANCES.items() if memory * GIB >= size * MEMORY_FACTOR]
    return {"instance": (fitting or list(INSTANCES)[-1:])[0], "disk_size": size, "mem_size": size * MEMORY_FACTOR}


def report(family: Family, about: About, made: Report) -> dict[str, Any]:
    """Give the content of ``training_report.json``."""
    return {
        "task": family.task,
        "model": family.model,
        "target": about.target,
        **{key: about.config[key] for key in ("classes",) if key in about.config},
        "split": about.split,
        "metric": family.metric,
        "compared_on": about.held_out,
        "started_from": made.started_from,
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
            for result in made.results
        ],
        "best_trial": made.best.trial.number,
        "comparison": made.comparison,
        "warnings": made.warnings,
        "seconds": round(made.seconds, 3),
    }
