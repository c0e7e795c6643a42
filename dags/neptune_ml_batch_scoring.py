"""Score a list of nodes on an endpoint that lives only as long as that takes.

Creating the endpoint is the setup and deleting it the teardown: whatever happens in between, also a failure, the
endpoint is deleted, so that it is never billed longer than it is used. (A task that is killed while it creates the
endpoint deletes it by itself.)
"""

from __future__ import annotations

import json
from typing import Any

import pendulum
from neptune_ml_settings import POLL_SECONDS, WAITING

from neptune_airflow.compat import DAG, Param, task
from neptune_airflow.operators.neptune_ml import NeptuneMLCreateEndpointOperator, NeptuneMLDeleteEndpointOperator

with DAG(
    dag_id="neptune_ml_batch_scoring",
    description="Create an endpoint, score nodes, delete the endpoint whatever happens",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args=WAITING,
    params={
        "ml_model_training_job_id": Param(type="string", minLength=1, description="The training whose model scores"),
        "nodes": Param(["customer-1", "customer-2"], type="array", minItems=1, description="Ids of the nodes to score"),
        "property": Param("segment", type="string", description="The property that the model predicts"),
        "scores_s3_uri": Param("s3://neptune-ml/scores", type="string", description="Where the scores are written"),
        "instance_type": Param("ml.m5.xlarge", type="string"),
        **POLL_SECONDS,
    },
    tags=["neptune-ml"],
    doc_md=__doc__,
):
    create = NeptuneMLCreateEndpointOperator(
        task_id="create_endpoint",
        ml_model_training_job_id="{{ params.ml_model_training_job_id }}",
        instance_type="{{ params.instance_type }}",
    )

    @task
    def score(endpoint: str, params: Any = None, run_id: Any = None) -> str:
        """Ask the endpoint for all nodes at once, and write its answer to S3."""
        from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        question = {
            "version": "v1",
            "data": {
                "globalParameters": {"property": params["property"]},
                "nodes": [{"nodeId": node} for node in params["nodes"]],
            },
        }
        runtime = AwsGenericHook(client_type="sagemaker-runtime").conn
        answer = runtime.invoke_endpoint(
            EndpointName=endpoint, ContentType="application/json", Body=json.dumps(question)
        )
        place = f"{params['scores_s3_uri'].rstrip('/')}/{run_id}.json"
        bucket, key = S3Hook.parse_s3_url(place)
        S3Hook().load_bytes(answer["Body"].read(), key=key, bucket_name=bucket, replace=True)
        return place

    delete = NeptuneMLDeleteEndpointOperator(task_id="delete_endpoint", endpoint_id=create.output["id"])
    create >> score(create.output["name"]) >> delete.as_teardown(setups=create)
