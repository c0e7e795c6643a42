"""Trials, in processes side by side, each with one BLAS thread so that they share the cores and not fight for them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from neptune_airflow.local.step import StepFailed
from neptune_airflow.local.training.family import Family, Trained, Trial

ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Result:
    """What came of a trial; its weights lie in the trial's file.

    :param value: the metric on the held-out split at the best epoch.
    """

    trial: Trial
    value: float
    best_epoch: int
    seconds: float
    curve: dict[str, list[float]]


def run_all(
    family: Family, trials: list[Trial], graph: Path, info: Path, parallel: int, trained: Trained | None = None
) -> Iterator[Result]:
    """Run trials, so many at a time, and give each result as it comes.

    :param trained: the model that they start from.
    :raises StepFailed: when a process dies, say for want of memory.
    """
    # Fresh interpreters, not forks: BLAS reads its thread count when numpy loads, and this process may have threads.
    with (
        _environment(ONE_THREAD),
        ProcessPoolExecutor(
            parallel, get_context("spawn"), initializer=_load, initargs=(family, graph, info, trained)
        ) as pool,
    ):
        running = [pool.submit(_train, trial) for trial in trials]
        try:
            for done in as_completed(running):
                yield done.result()
        except BrokenProcessPool as error:
            raise StepFailed(
                "A training process died; the machine may lack memory for so many trials at once"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _environment(names: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


_loaded: list[tuple[Family, Any]] = []
"""In a trial's process: the family and the problem, read once for all its trials."""


def _load(family: Family, graph: Path, info: Path, trained: Trained | None) -> None:
    _loaded.append((family, family.load(graph, info, trained)))


def _train(trial: Trial) -> Result:
    family, problem = _loaded[0]
    made = family.fit(problem, trial)
    np.savez(trial.weights, **made.weights)  # type: ignore[arg-type]
    return Result(trial, made.value, made.best_epoch, round(made.seconds, 3), made.curve)
