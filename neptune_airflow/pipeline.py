"""The whole workflow as one task group: export → data processing → training (→ transform) (→ endpoint)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from neptune_airflow.compat import TaskGroup
from neptune_airflow.operators.base import NeptuneMLJobOperator
from neptune_airflow.operators.neptune_export import NeptuneExportOperator
from neptune_airflow.operators.neptune_ml import (
    NeptuneMLCreateEndpointOperator,
    NeptuneMLDataProcessingOperator,
    NeptuneMLModelTrainingOperator,
    NeptuneMLModelTransformOperator,
)

Options = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class NeptuneMLPipelineOptions:
    """What a pipeline's steps are told; a step's own options win over all that the pipeline would say.

    :param s3_base: S3 URI below which each step writes, in a folder of its own: ``export``, ``processed``, ``models``,
        ``transformed``.
    :param export: arguments of `NeptuneExportOperator`; None begins with an export that is there already, whose S3 URI
        is then ``data_processing["input_data_s3_location"]``.
    :param data_processing: arguments of `NeptuneMLDataProcessingOperator`.
    :param model_training: arguments of `NeptuneMLModelTrainingOperator`.
    :param model_transform: arguments of `NeptuneMLModelTransformOperator`; None leaves the step out.
    :param endpoint: arguments of `NeptuneMLCreateEndpointOperator`; None leaves the step out.
    :param common: arguments of every step that takes them: the connection, ``deferrable``, ``retries``, the roles, the
        network. ``endpoint_url`` and ``iam_auth`` are the cluster's, and are not given to the export.
    """

    s3_base: str
    export: Options | None = field(default_factory=dict)
    data_processing: Options = field(default_factory=dict)
    model_training: Options = field(default_factory=dict)
    model_transform: Options | None = None
    endpoint: Options | None = None
    common: Options = field(default_factory=dict)


@dataclass(frozen=True)
class NeptuneMLPipeline:
    """The task group and its tasks; a step that was left out is None.

    What comes after is attached with ``pipeline.group >> …``, what a step returned is ``pipeline.train.output["id"]``.
    """

    group: TaskGroup
    process: NeptuneMLDataProcessingOperator
    train: NeptuneMLModelTrainingOperator
    export: NeptuneExportOperator | None = None
    transform: NeptuneMLModelTransformOperator | None = None
    endpoint: NeptuneMLCreateEndpointOperator | None = None


def neptune_ml_pipeline(options: NeptuneMLPipelineOptions, group_id: str = "neptune_ml") -> NeptuneMLPipeline:
    """Make the task group, in the DAG or group that is being defined.

    :param options: what the steps are told.
    :param group_id: the group's id, and so the prefix of its tasks' ids: ``export``, ``process``, ``train``,
        ``transform``, ``endpoint``.
    :raises NeptuneMLParameterError: for a wrong argument of a step that is not templated.
    """
    tasks: dict[str, Any] = {}
    with TaskGroup(group_id) as group:
        for step in _STEPS:
            own = getattr(options, step.options)
            if own is not None:
                common = {name: value for name, value in options.common.items() if name not in step.foreign}
                told = {**common, **step.wired(options.s3_base.rstrip("/"), tasks), **own}
                tasks[step.task_id] = step.operator(task_id=step.task_id, **told)
    return NeptuneMLPipeline(group=group, **tasks)


@dataclass(frozen=True)
class _Step:
    """One step.

    :param options: its field in the options.
    :param wired: gives the arguments that tie it to the place where it writes and to the tasks before it.
    :param not_common: common arguments that are not meant for it.
    """

    options: str
    task_id: str
    operator: type[NeptuneMLJobOperator]
    wired: Callable[[str, Mapping[str, Any]], dict[str, Any]]
    not_common: tuple[str, ...] = ()

    @property
    def foreign(self) -> set[str]:
        """The arguments that other steps take and this one does not."""
        others = {each.name for step in _STEPS for each in step.operator.parameters}
        return others.union(self.not_common).difference(each.name for each in self.operator.parameters)


def _processing(base: str, tasks: Mapping[str, Any]) -> dict[str, Any]:
    export = {"input_data_s3_location": tasks["export"].output["output_s3_uri"]} if "export" in tasks else {}
    return {**export, "processed_data_s3_location": f"{base}/processed"}


def _training(base: str, tasks: Mapping[str, Any]) -> dict[str, Any]:
    return {"data_processing_job_id": tasks["process"].output["id"], "train_model_s3_location": f"{base}/models"}


def _transform(base: str, tasks: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "data_processing_job_id": tasks["process"].output["id"],
        "ml_model_training_job_id": tasks["train"].output["id"],
        "model_transform_output_s3_location": f"{base}/transformed",
    }


def _endpoint(_: str, tasks: Mapping[str, Any]) -> dict[str, Any]:
    if "transform" in tasks:
        return {"ml_model_transform_job_id": tasks["transform"].output["id"]}
    return {"ml_model_training_job_id": tasks["train"].output["id"]}


_STEPS = (
    _Step(
        "export",
        "export",
        NeptuneExportOperator,
        lambda base, _: {"command": "export-pg", "output_s3_path": f"{base}/export"},
        not_common=("endpoint_url", "iam_auth"),
    ),
    _Step("data_processing", "process", NeptuneMLDataProcessingOperator, _processing),
    _Step("model_training", "train", NeptuneMLModelTrainingOperator, _training),
    _Step("model_transform", "transform", NeptuneMLModelTransformOperator, _transform),
    _Step("endpoint", "endpoint", NeptuneMLCreateEndpointOperator, _endpoint),
)
