"""Predictions that keep up with a growing graph: a full run with a training on Sundays, incremental runs in between.

An incremental run processes the new export with the encodings and node numbers of the day before and computes the
predictions of Sunday's model anew: nothing is trained, and the endpoint is given the new artifacts without a pause.

**Deletions need a full run.** Neptune ML can't take nodes out of an earlier processing: a graph that has lost nodes
must be processed from scratch (param ``full``). A run is full by itself on Sundays, the first time, after a run that
failed, and when the cluster no longer knows the job of the day before. A full run trains: a model can only read the
encodings that it was trained on.
"""

from __future__ import annotations

from typing import Any

import pendulum
from neptune_ml_settings import EXPORT, PARAMS, WAITING

from neptune_airflow.compat import DAG, Param, task
from neptune_airflow.operators.neptune_export import NeptuneExportOperator
from neptune_airflow.operators.neptune_ml import (
    NeptuneMLCreateEndpointOperator,
    NeptuneMLDataProcessingOperator,
    NeptuneMLModelTrainingOperator,
    NeptuneMLModelTransformOperator,
)

with DAG(
    dag_id="neptune_ml_incremental",
    description="Full on Sundays; on other days incremental processing, transform and endpoint update without training",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args=WAITING,
    params={
        **PARAMS,
        "endpoint_id": Param("neptune-ml-incremental", type="string", description="The endpoint, made if need be"),
        "full": Param(False, type="boolean", description="Process from scratch and train: needed after deletions"),
    },
    tags=["neptune-ml"],
    doc_md=__doc__,
):
    export = NeptuneExportOperator(task_id="export", **EXPORT)

    @task
    def build_on(ti: Any = None, dag_run: Any = None, params: Any = None) -> str:
        """Say what the processing builds on: ``auto``, the day before, or nothing for a full run."""
        day = dag_run.logical_date or dag_run.run_after
        before = ti.get_previous_dagrun()
        full = params["full"] or day.isoweekday() == 7 or before is None or before.state != "success"
        return "" if full else "auto"

    process = NeptuneMLDataProcessingOperator(
        task_id="process",
        input_data_s3_location=export.output["output_s3_uri"],
        processed_data_s3_location="{{ params.s3_base }}/processed",
        previous_data_processing_job_id=build_on(),
    )

    @task.branch
    def train_or_transform(built_on: str, ti: Any = None) -> str:
        """Train after a full run; the newest training of an earlier run does for an incremental one."""
        trained = ti.xcom_pull(task_ids="train", map_indexes=-1, include_prior_dates=True)
        return "transform" if built_on and trained else "train"

    train = NeptuneMLModelTrainingOperator(
        task_id="train",
        data_processing_job_id=process.output["id"],
        train_model_s3_location="{{ params.s3_base }}/models",
    )
    transform = NeptuneMLModelTransformOperator(
        task_id="transform",
        data_processing_job_id=process.output["id"],
        ml_model_training_job_id="{{ ti.xcom_pull(task_ids='train', map_indexes=-1, include_prior_dates=True)['id'] }}",
        model_transform_output_s3_location="{{ params.s3_base }}/transformed",
    )
    serve = {"endpoint_id": "{{ params.endpoint_id }}", "update": "auto"}
    deploy_trained = NeptuneMLCreateEndpointOperator(
        task_id="deploy_trained", ml_model_training_job_id=train.output["id"], **serve
    )
    deploy_transformed = NeptuneMLCreateEndpointOperator(
        task_id="deploy_transformed", ml_model_transform_job_id=transform.output["id"], **serve
    )
    export >> process
    train_or_transform(process.output["previous_data_processing_job_id"]) >> [train, transform]
    train >> deploy_trained
    transform >> deploy_transformed
