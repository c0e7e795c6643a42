"""A gate before a deployment: one figure of a finished training, or a clear word on why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neptune_airflow.errors import NeptuneMLMetricsError


def metric(job: Mapping[str, Any], name: str) -> float:
    """Read one metric off the result of a training task: the test split's, or else the evaluation's.

    :param job: what `NeptuneMLModelTrainingOperator` returned.
    :param name: the metric's name in AWS's files, such as ``acc``.
    :return: its value.
    :raises NeptuneMLMetricsError: when the training wrote no metrics that could be read, or not this one.
    """
    files = job.get("metrics") or {}
    if not files:
        raise NeptuneMLMetricsError(
            f"The training {job.get('id')!r} gave no metrics. What to do: its task's log says why they could not "
            f"be read from {job.get('output_location')}; most often the connection lacks s3:GetObject there."
        )
    for values in (files.get("test"), files.get("eval")):
        value = values.get(name) if isinstance(values, Mapping) else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    known = sorted({each for values in files.values() if isinstance(values, Mapping) for each in values})
    raise NeptuneMLMetricsError(
        f"The training {job.get('id')!r} has no metric {name!r}. What to do: name one that it has: {', '.join(known)}."
    )
