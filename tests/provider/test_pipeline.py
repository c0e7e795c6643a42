"""The task group of the whole workflow."""

from __future__ import annotations

from typing import Any

import pendulum
import pytest

from neptune_airflow.compat import DAG, AirflowException, task
from neptune_airflow.errors import NeptuneMLParameterError
from neptune_airflow.pipeline import NeptuneMLPipeline, NeptuneMLPipelineOptions, neptune_ml_pipeline

ROLE = "arn:aws:iam::123456789012:role/x"


def made(**options: Any) -> NeptuneMLPipeline:
    with DAG("d", start_date=pendulum.datetime(2026, 1, 1)):
        return neptune_ml_pipeline(NeptuneMLPipelineOptions(**{"s3_base": "s3://bucket/base/", **options}))


def order(pipeline: NeptuneMLPipeline) -> list[str]:
    return [each.label for each in pipeline.group.topological_sort()]


def test_three_steps_by_default() -> None:
    pipeline = made()
    assert order(pipeline) == ["export", "process", "train"]
    assert (pipeline.transform, pipeline.endpoint) == (None, None)
    assert pipeline.export is not None
    assert pipeline.export.output_s3_path == "s3://bucket/base/export"
    assert pipeline.process.upstream_task_ids == {"neptune_ml.export"}
    assert pipeline.train.upstream_task_ids == {"neptune_ml.process"}


def test_every_step_with_every_option_within_reach() -> None:
    pipeline = made(
        export={"params": {"endpoint": "c"}, "job_size": "large", "endpoint_url": "https://export/v1"},
        data_processing={"config_file_name": "mine.json", "retries": 5},
        model_training={"max_hpo_number_of_training_jobs": 10, "outlets": []},
        model_transform={"base_processing_instance_type": "ml.r5.large"},
        endpoint={"instance_count": 2, "endpoint_id": "e", "update": "auto"},
        common={
            "endpoint_url": "https://c:8182",
            "deferrable": True,
            "retries": 1,
            "subnets": ["s"],
            "neptune_iam_role_arn": ROLE,
        },
    )
    assert order(pipeline) == ["export", "process", "train", "transform", "endpoint"]
    steps = [pipeline.export, pipeline.process, pipeline.train, pipeline.transform, pipeline.endpoint]
    assert all(step is not None and step.deferrable for step in steps)
    assert [step.endpoint_url for step in steps if step] == ["https://export/v1", *["https://c:8182"] * 4]
    assert [step.retries for step in steps if step] == [1, 5, 1, 1, 1]
    assert pipeline.process.subnets == ["s"]
    assert pipeline.endpoint is not None
    assert pipeline.endpoint.neptune_iam_role_arn == ROLE
    assert pipeline.endpoint.ml_model_transform_job_id is not None
    assert pipeline.endpoint.ml_model_training_job_id is None
    assert pipeline.endpoint.upstream_task_ids == {"neptune_ml.transform"}


def test_endpoint_without_a_transform_serves_the_training() -> None:
    pipeline = made(endpoint={})
    assert pipeline.endpoint is not None
    assert pipeline.endpoint.upstream_task_ids == {"neptune_ml.train"}


def test_an_export_that_is_there_already() -> None:
    pipeline = made(export=None, data_processing={"input_data_s3_location": "s3://bucket/export/1"})
    assert order(pipeline) == ["process", "train"]
    assert pipeline.export is None
    with pytest.raises((TypeError, AirflowException), match="input_data_s3_location"):
        made(export=None)


def test_taskflow_before_and_after() -> None:
    with DAG("d", start_date=pendulum.datetime(2026, 1, 1)) as dag:

        @task
        def choose() -> int:
            return 3

        @task
        def tell(metrics: Any) -> Any:
            return metrics

        options = NeptuneMLPipelineOptions(
            s3_base="{{ params.base }}", model_training={"max_hpo_number_of_training_jobs": choose()}
        )
        pipeline = neptune_ml_pipeline(options, group_id="ml")
        tell(pipeline.train.output["metrics"])
    assert dag.get_task("ml.train").upstream_task_ids == {"choose", "ml.process"}
    assert dag.get_task("tell").upstream_task_ids == {"ml.train"}


def test_a_wrong_option_names_its_step() -> None:
    with pytest.raises(NeptuneMLParameterError, match=r"'neptune_ml\.train'.*model_name='gcn'"):
        made(model_training={"model_name": "gcn"})
