"""How well links of the demo graph are predicted: each model's test metrics beside popularity and chance.

The graph is the built-in shop, the edges to predict are those of ``bought``, split 80/10/10. Each model trains once a
seed with the hyperparameters in the middle of what data processing proposes, one trial, one thread.
"""

from __future__ import annotations

import os

# BLAS reads this when numpy loads; a trial has one thread too.
os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import argparse
import platform
import tempfile
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from neptune_airflow.local.export import job as export
from neptune_airflow.local.processing import job as processing
from neptune_airflow.local.processing.recommendations import hpo_configuration
from neptune_airflow.local.step import Step
from neptune_airflow.local.training import hyperparameters
from neptune_airflow.local.training.family import Trial
from neptune_airflow.local.training.links import family
from neptune_airflow.store import Store

TARGET = {"edge": ["customer", "bought", "product"], "type": "link_prediction", "split_rate": [0.8, 0.1, 0.1]}
SHOWN = ("mrr", "hits@1", "hits@3", "hits@10", "mr")
GOAL = 3


def process(folder: Path) -> Path:
    """Export the demo graph and process it; gives where the output is."""
    exported, processed = str(folder / "export"), str(folder / "processed")
    step = partial(Step, "bench", "bench", store=Store(), log=lambda _: None)
    request = {"command": "export-pg", "additionalParams": {"neptune_ml": {"targets": [TARGET]}}}
    export.run(step(request=request, output_location=exported))
    processing.run(step(request={"inputDataS3Location": exported}, output_location=processed))
    return Path(processed)


def measure(folder: Path, model: str, seed: int) -> dict[str, dict[str, float]]:
    """Train a model; gives its test metrics and its baselines', and its ``seconds``."""
    (proposed,) = hpo_configuration(model, "link_prediction", "mrr")["models"]
    made = family.of(proposed)
    problem = made.load(folder / "graph.bin", folder / "info.pkl")
    search = hyperparameters.parse(proposed, made.names, *made.size(problem))
    (values,) = search.draw(1, 0)
    settings = made.settings(search, values)
    fit = made.fit(problem, Trial(1, values, settings, seed, folder / "unused.npz"))
    found = made.infer(problem, settings, fit.weights).comparison["test"]
    return found | {model: found[model] | {"seconds": fit.seconds}}


def run(models: list[str], seeds: int) -> dict[str, dict[str, float]]:
    """Give the median of every metric over the seeds, by model and baseline."""
    found: dict[str, list[dict[str, float]]] = {"popularity": [], "random": []}
    with tempfile.TemporaryDirectory(prefix="bench-links-") as name:
        folder = process(Path(name))
        for seed in range(1, seeds + 1):
            for model in models:
                for label, metrics in measure(folder, model, seed).items():
                    found.setdefault(label, []).append(metrics)
    return {label: {name: median(each[name] for each in rows) for name in rows[0]} for label, rows in found.items()}


def main() -> None:
    """Print the table; fail when a model misses the goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(family.MODELS), choices=list(family.MODELS))
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    medians: dict[str, dict[str, Any]] = run(given.models, given.seeds)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(f"{machine}, load average {os.getloadavg()[0]:.1f}; median of {given.seeds} seeds")
    print(f"| model | {' | '.join(SHOWN)} | times popularity (Hits@10) | seconds |\n|{'---|' * (len(SHOWN) + 3)}")
    popular = medians["popularity"]["hits@10"]
    for label, metrics in medians.items():
        shown = " | ".join(f"{metrics[name]:.4f}" if name != "mr" else f"{metrics[name]:.0f}" for name in SHOWN)
        seconds = f"{metrics['seconds']:.1f}" if "seconds" in metrics else ""
        print(f"| {label} | {shown} | {metrics['hits@10'] / popular:.1f} | {seconds} |")
    if missed := [model for model in given.models if medians[model]["hits@10"] < GOAL * popular]:
        raise SystemExit(f"less than {GOAL} times the popularity baseline: {', '.join(missed)}")


if __name__ == "__main__":
    main()
