"""Arguments: all that the API takes, rendered or not, refused early and clearly."""

from __future__ import annotations

import re
from typing import Any

import botocore.session
import pendulum
import pytest

from neptune_airflow import parameters as api
from neptune_airflow.compat import DAG, task
from neptune_airflow.errors import NeptuneMLParameterError
from neptune_airflow.operators.neptune_export import NeptuneExportOperator
from neptune_airflow.operators.neptune_ml import (
    NeptuneMLCreateEndpointOperator,
    NeptuneMLDataProcessingOperator,
    NeptuneMLDeleteEndpointOperator,
    NeptuneMLModelTrainingOperator,
    NeptuneMLModelTransformOperator,
)
from neptune_airflow.parameters import Parameter

PROCESS = {"input_data_s3_location": "s3://bucket/in", "processed_data_s3_location": "s3://bucket/out"}
TRAIN = {"data_processing_job_id": "p", "train_model_s3_location": "s3://bucket/m"}
TRANSFORM = {
    "model_transform_output_s3_location": "s3://bucket/t",
    "data_processing_job_id": "p",
    "ml_model_training_job_id": "m",
}
ENDPOINT = {"ml_model_training_job_id": "m"}
EXPORT = {"command": "export-pg", "output_s3_path": "s3://bucket/e"}
CUSTOM = {"sourceS3DirectoryPath": "s3://bucket/code"}
REST_ONLY = {
    "StartMLDataProcessingJob": {"enableInterContainerTrafficEncryption"},
    "StartMLModelTrainingJob": {"enableInterContainerTrafficEncryption", "modelName", "maxWaitTime"},
    "StartMLModelTransformJob": {"enableInterContainerTrafficEncryption"},
    "CreateMLEndpoint": set(),
    "DeleteMLEndpoint": set(),
}


@pytest.mark.parametrize(
    ("operation", "table"),
    [
        ("StartMLDataProcessingJob", api.DATA_PROCESSING),
        ("StartMLModelTrainingJob", api.MODEL_TRAINING),
        ("StartMLModelTransformJob", api.MODEL_TRANSFORM),
        ("CreateMLEndpoint", api.ENDPOINT),
        ("DeleteMLEndpoint", api.ENDPOINT_DELETION),
    ],
)
def test_every_parameter_of_the_api_is_an_argument(operation: str, table: tuple[Parameter, ...]) -> None:
    model = botocore.session.get_session().get_service_model("neptunedata").operation_model(operation)
    assert {each.wire for each in table} == set(model.input_shape.members) | REST_ONLY[operation]
    for each in table:
        plain = each.wire.replace("KMS", "Kms").replace("HPO", "Hpo").replace("GB", "Gb")
        own = {"job_id", "endpoint_id"} if each.wire == "id" else {re.sub(r"(?<!^)(?=[A-Z])", "_", plain).lower()}
        assert each.name in own
    assert {each.wire for each in table if each.required} == set(model.input_shape.required_members)


WRONG = [
    (NeptuneMLDataProcessingOperator, PROCESS, "input_data_s3_location", "bucket/in", "s3://bucket/prefix"),
    (NeptuneMLDataProcessingOperator, PROCESS, "input_data_s3_location", "", "requires it"),
    (NeptuneMLDataProcessingOperator, PROCESS, "processed_data_s3_location", "https://b/x", "s3://bucket/prefix"),
    (NeptuneMLDataProcessingOperator, PROCESS, "model_type", "rgcn", "heterogeneous, kge"),
    (NeptuneMLDataProcessingOperator, PROCESS, "processing_instance_volume_size_in_gb", 20_000, "0 to 16,384"),
    (NeptuneMLDataProcessingOperator, PROCESS, "processing_instance_volume_size_in_gb", "ten", "whole number"),
    (NeptuneMLDataProcessingOperator, PROCESS, "processing_instance_volume_size_in_gb", 1.5, "whole number"),
    (NeptuneMLDataProcessingOperator, PROCESS, "processing_time_out_in_seconds", 0, "from 1 to 777,600"),
    (NeptuneMLDataProcessingOperator, PROCESS, "processing_instance_type", "r5.large", "ml.r5.xlarge"),
    (NeptuneMLDataProcessingOperator, PROCESS, "sagemaker_iam_role_arn", "MyRole", "arn:aws:iam"),
    (NeptuneMLDataProcessingOperator, PROCESS, "neptune_iam_role_arn", "arn:aws:iam::1:role/x", "arn:aws:iam"),
    (NeptuneMLDataProcessingOperator, PROCESS, "previous_data_processing_job_id", "a b", "letters, digits"),
    (NeptuneMLDataProcessingOperator, PROCESS, "config_file_name", "a/b.json", "without a folder"),
    (NeptuneMLDataProcessingOperator, PROCESS, "subnets", [], "list of texts"),
    (NeptuneMLDataProcessingOperator, PROCESS, "job_id", "x" * 49, "1 to 48"),
    (NeptuneMLDataProcessingOperator, PROCESS, "job_id", "under_score", "letters, digits or hyphens"),
    (NeptuneMLDataProcessingOperator, PROCESS, "enable_inter_container_traffic_encryption", "maybe", "True or False"),
    (NeptuneMLDataProcessingOperator, PROCESS, "waiter_delay", 0, "more than 0"),
    (NeptuneMLDataProcessingOperator, PROCESS, "wait_timeout", -1, "more than 0"),
    (NeptuneMLModelTrainingOperator, TRAIN, "max_hpo_number_of_training_jobs", 0, "from 1 to 500"),
    (NeptuneMLModelTrainingOperator, TRAIN, "model_name", "gcn", "rgcn, transe"),
    (NeptuneMLModelTrainingOperator, TRAIN, "model_name", "custom", "needs custom_model_training_parameters"),
    (NeptuneMLModelTrainingOperator, TRAIN, "max_wait_time", 100, "enable_managed_spot_training"),
    (NeptuneMLModelTrainingOperator, TRAIN, "custom_model_training_parameters", {"x": 1}, "no other keys"),
    (NeptuneMLModelTrainingOperator, TRAIN, "custom_model_training_parameters", {}, "sourceS3DirectoryPath"),
    (NeptuneMLModelTransformOperator, TRANSFORM, "ml_model_training_job_id", None, "either both"),
    (NeptuneMLModelTransformOperator, TRANSFORM, "data_processing_job_id", "", "either both"),
    (NeptuneMLModelTransformOperator, TRANSFORM, "training_job_name", "best", "or the last alone"),
    (NeptuneMLModelTransformOperator, TRANSFORM, "training_job_name", "a_b", "1 to 63 letters"),
    (NeptuneMLModelTransformOperator, TRANSFORM, "model_transform_output_s3_location", None, "requires it"),
    (
        NeptuneMLModelTransformOperator,
        TRANSFORM,
        "custom_model_transform_parameters",
        {**CUSTOM, "trainingEntryPointScript": "train.py"},
        "no other keys than sourceS3DirectoryPath, transformEntryPointScript",
    ),
    (
        NeptuneMLModelTransformOperator,
        TRANSFORM,
        "custom_model_transform_parameters",
        {**CUSTOM, "transformEntryPointScript": "code/transform.py"},
        "without a folder",
    ),
    (NeptuneMLCreateEndpointOperator, ENDPOINT, "ml_model_transform_job_id", "t", "exactly one of them"),
    (NeptuneMLCreateEndpointOperator, ENDPOINT, "ml_model_training_job_id", None, "exactly one of them"),
    (NeptuneMLCreateEndpointOperator, ENDPOINT, "update", True, "needs endpoint_id"),
    (NeptuneMLCreateEndpointOperator, ENDPOINT, "update", "perhaps", "True, False or 'auto'"),
    (NeptuneMLCreateEndpointOperator, ENDPOINT, "instance_count", 0, "from 1 to 1,000"),
    (NeptuneMLCreateEndpointOperator, ENDPOINT, "endpoint_id", "my_endpoint", "letters, digits or hyphens"),
    (NeptuneMLDeleteEndpointOperator, {}, "endpoint_id", "", "requires it"),
    (NeptuneExportOperator, EXPORT, "command", "export", "export-pg, export-rdf"),
    (NeptuneExportOperator, EXPORT, "job_size", "huge", "small, medium"),
    (NeptuneExportOperator, EXPORT, "additional_params", "neptune_ml", "give a dict"),
]


@pytest.mark.parametrize(("operator", "right", "name", "value", "remedy"), WRONG)
def test_wrong_argument_fails_the_dag_and_names_it(
    operator: Any, right: dict[str, Any], name: str, value: Any, remedy: str
) -> None:
    with pytest.raises(NeptuneMLParameterError) as error:
        operator(task_id="this-one", **{**right, name: value})
    assert "this-one" in str(error.value)
    assert name in str(error.value)
    assert remedy in str(error.value)
    assert isinstance(error.value, ValueError)


def test_together_wrong() -> None:
    spot = {"enable_managed_spot_training": True, "training_time_out_in_seconds": 100}
    with pytest.raises(NeptuneMLParameterError, match="must be more than training_time_out_in_seconds=100"):
        NeptuneMLModelTrainingOperator(task_id="t", max_wait_time=100, **spot, **TRAIN)
    NeptuneMLModelTrainingOperator(task_id="t", max_wait_time=101, **spot, **TRAIN)
    with pytest.raises(NeptuneMLParameterError, match="give 'custom'"):
        NeptuneMLModelTrainingOperator(task_id="t", model_name="rgcn", custom_model_training_parameters=CUSTOM, **TRAIN)


def test_templated_arguments_are_checked_once_they_are_rendered() -> None:
    operator = NeptuneMLModelTrainingOperator(
        task_id="t",
        data_processing_job_id="{{ ti.xcom_pull('x') }}",
        train_model_s3_location="s3://{{ params.bucket }}/m",
        max_wait_time="{{ 1 }}",
    )
    operator.render_template_fields({"params": {"bucket": "Bad_Bucket"}, "ti": _Pulls("p-1")})
    with pytest.raises(NeptuneMLParameterError, match="train_model_s3_location='s3://Bad_Bucket/m'"):
        operator._request()
    operator.train_model_s3_location = "s3://good/m"
    with pytest.raises(NeptuneMLParameterError, match="max_wait_time=1 is for spot instances"):
        operator._request()


class _Pulls:
    def __init__(self, value: Any) -> None:
        self.value = value

    def xcom_pull(self, *_: Any) -> Any:
        return self.value


def test_rendered_texts_become_what_the_api_wants() -> None:
    operator = NeptuneMLDataProcessingOperator(
        task_id="t",
        processing_instance_volume_size_in_gb="{{ 100 }}",
        processing_time_out_in_seconds="3600",
        enable_inter_container_traffic_encryption="{{ False }}",
        subnets="{{ ['subnet-1', 'subnet-2'] | tojson }}",
        security_group_ids="sg-1, sg-2",
        model_type="{{ None }}",
        config_file_name="{{ '' }}",
        **PROCESS,
    )
    operator.render_template_fields({})
    assert operator._request() == {
        "inputDataS3Location": "s3://bucket/in",
        "processedDataS3Location": "s3://bucket/out",
        "processingInstanceVolumeSizeInGB": 100,
        "processingTimeOutInSeconds": 3600,
        "enableInterContainerTrafficEncryption": False,
        "subnets": ["subnet-1", "subnet-2"],
        "securityGroupIds": ["sg-1", "sg-2"],
    }


def test_everything_that_the_api_takes_is_templated() -> None:
    for operator, table in (
        (NeptuneMLDataProcessingOperator, api.DATA_PROCESSING),
        (NeptuneMLModelTrainingOperator, api.MODEL_TRAINING),
        (NeptuneMLModelTransformOperator, api.MODEL_TRANSFORM),
        (NeptuneMLCreateEndpointOperator, api.ENDPOINT),
        (NeptuneMLDeleteEndpointOperator, api.ENDPOINT_DELETION),
        (NeptuneExportOperator, api.EXPORT),
    ):
        assert {each.name for each in table} <= set(operator.template_fields)
        assert {"endpoint_url", "aws_conn_id", "region_name"} <= set(operator.template_fields)


def test_export_keeps_its_params_apart_from_the_dags() -> None:
    with DAG("d", params={"bucket": "of-the-dag"}, start_date=pendulum.datetime(2026, 1, 1)):
        operator = NeptuneExportOperator(task_id="e", params={"endpoint": "{{ params.bucket }}"}, **EXPORT)
    operator.render_template_fields({"params": {"bucket": "rendered"}})
    assert operator._request()["params"] == {"endpoint": "rendered"}
    assert "params" not in NeptuneExportOperator(task_id="f", **EXPORT)._request()


def test_default_args_reach_every_argument() -> None:
    shared = {"aws_conn_id": "mine", "endpoint_url": "https://c:8182", "deferrable": True, "cancel_on_kill": False}
    with DAG("d", default_args={**shared, "subnets": ["s"]}, start_date=pendulum.datetime(2026, 1, 1)):
        operator = NeptuneMLDataProcessingOperator(task_id="p", **PROCESS)
    assert {name: getattr(operator, name) for name in shared} == shared
    assert operator._request()["subnets"] == ["s"]


def test_mapping_over_any_argument() -> None:
    with DAG("d", start_date=pendulum.datetime(2026, 1, 1)) as dag:

        @task
        def inputs() -> list[str]:
            return ["s3://aaa/in", "s3://bbb/in"]

        NeptuneMLDataProcessingOperator.partial(
            task_id="each", processed_data_s3_location="s3://ccc/out", aws_conn_id="mine", waiter_delay=5
        ).expand(input_data_s3_location=inputs())
        NeptuneExportOperator.partial(task_id="exports", command="export-pg", params={"endpoint": "x"}).expand(
            output_s3_path=["s3://aaa/e", "s3://bbb/e"]
        )
    one = dag.task_dict["each"].unmap({"input_data_s3_location": "s3://aaa/in"})
    assert one._request() == {"inputDataS3Location": "s3://aaa/in", "processedDataS3Location": "s3://ccc/out"}
    assert (one.aws_conn_id, one.waiter_delay) == ("mine", 5)
    one = dag.task_dict["exports"].unmap({"output_s3_path": "s3://aaa/e"})
    assert one._request() == {"command": "export-pg", "outputS3Path": "s3://aaa/e", "params": {"endpoint": "x"}}
