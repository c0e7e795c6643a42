"""Deploy a model only if it is good enough, better than the one in service, and a person says yes.

The gate reads the metrics that the training wrote to S3. A metric that is missing is an error, and nothing is deployed.
Approval is Airflow's own (3.1 and later: Required Actions in the UI); an older Airflow goes on without.
"""

from __future__ import annotations

from typing import Any

import pendulum
from neptune_ml_settings import EXPORT, PARAMS, WAITING

from neptune_airflow.compat import DAG, Param, task
from neptune_airflow.metrics import metric
from neptune_airflow.operators.neptune_ml import NeptuneMLCreateEndpointOperator
from neptune_airflow.pipeline import NeptuneMLPipelineOptions, neptune_ml_pipeline

try:
    from airflow.providers.standard.operators.hitl import ApprovalOperator
except Exception:  # before 3.1 there is none, and the provider may say so by an exception of its own
    ApprovalOperator = None

with DAG(
    dag_id="neptune_ml_gated_deploy",
    description="Deploy above a threshold, better than the model in service, and approved",
    schedule="@weekly",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    params={
        **PARAMS,
        "endpoint_id": Param("neptune-ml-gated", type="string", description="The endpoint, made if need be"),
        "metric": Param("acc", type="string", description="What is compared, by its name in AWS's files"),
        "threshold": Param(0.8, type="number", description="What a model must reach"),
        "larger_is_better": Param(True, type="boolean", description="False for errors, such as mse"),
    },
    tags=["neptune-ml"],
    doc_md=__doc__,
):
    pipeline = neptune_ml_pipeline(
        NeptuneMLPipelineOptions(s3_base="{{ params.s3_base }}", export=EXPORT, common=WAITING)
    )

    @task
    def measure(trained: Any, params: Any = None) -> float:
        """Read the metric of the model that was trained."""
        return metric(trained, params["metric"])

    @task.branch
    def good_enough(value: float, ti: Any = None, params: Any = None) -> str:
        """Compare it with the threshold and with the model in service, whose metric an earlier run has kept."""
        sign = 1 if params["larger_is_better"] else -1
        in_service = ti.xcom_pull(task_ids="in_service", map_indexes=-1, include_prior_dates=True)
        better = sign * value >= sign * params["threshold"] and (in_service is None or sign * value > sign * in_service)
        print(f"{params['metric']} {value}, threshold {params['threshold']}, in service {in_service}: {better=}")
        return "approve" if better and ApprovalOperator else "deploy" if better else "keep"

    @task
    def keep() -> None:
        """Leave the model in service where it is."""

    deploy = NeptuneMLCreateEndpointOperator(
        task_id="deploy",
        endpoint_id="{{ params.endpoint_id }}",
        update="auto",
        ml_model_training_job_id=pipeline.train.output["id"],
        **WAITING,
    )

    @task
    def in_service(value: float) -> float:
        """Keep the metric of what is now in service, for the next run's gate."""
        return value

    value = measure(pipeline.train.output)
    gate = good_enough(value)
    gate >> keep()
    if ApprovalOperator:
        approve = ApprovalOperator(
            task_id="approve",
            subject="Deploy the new model to {{ params.endpoint_id }}?",
            body="{{ params.metric }} is {{ ti.xcom_pull(task_ids='measure') }}.",
        )
        gate >> approve >> deploy
    else:
        gate >> deploy
    deploy >> in_service(value)
