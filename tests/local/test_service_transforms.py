"""Model transform jobs: what they are made of, what they tell, and the SageMaker jobs that a training is seen as."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from service_clients import OUT, refused

from neptune_airflow.local.registry import Job, Status
from neptune_airflow.local.server import LocalNeptune

Start = Callable[..., dict[str, Any]]
LOCATION = "s3://neptune-ml/transformed"
BOTH = "dataProcessingJobId and mlModelTrainingJobId or trainingJobName"
CUSTOM = {"sourceS3DirectoryPath": "s3://neptune-ml/scripts"}


@pytest.fixture(scope="module")
def trained(play: LocalNeptune, ml: Any) -> Job:
    """A completed training of three trials."""
    processed = ml.start_ml_data_processing_job(inputDataS3Location=OUT, processedDataS3Location=OUT)["id"]
    play.wait_for("dataprocessing", processed, Status.COMPLETED)
    job_id = ml.start_ml_model_training_job(
        dataProcessingJobId=processed, trainModelS3Location=OUT, maxHPONumberOfTrainingJobs=3
    )["id"]
    return play.wait_for("modeltraining", job_id, Status.COMPLETED)


@pytest.fixture
def sources(trained: Job) -> dict[str, str]:
    """The ids that a transform is made of."""
    return {"dataProcessingJobId": trained.request["dataProcessingJobId"], "mlModelTrainingJobId": trained.id}


def test_a_transform_of_the_best_model(play: LocalNeptune, ml: Any, trained: Job, sources: dict[str, str]) -> None:
    started = ml.start_ml_model_transform_job(id="transform-1", modelTransformOutputS3Location=LOCATION, **sources)
    job = play.wait_for("modeltransform", "transform-1", Status.COMPLETED)
    body = ml.get_ml_model_transform_job(id="transform-1")
    assert re.fullmatch(r"transfor-transform-\d{4}-\d\d-\d\d-\d\d-\d\d-\d{1,7}", job.name)
    assert body["status"] == body["baseProcessingJob"]["status"] == body["remoteModelTransformJob"]["status"]
    assert body["baseProcessingJob"]["arn"] == started["arn"]
    assert body["baseProcessingJob"]["outputLocation"] == f"{LOCATION}/{job.name}/transform-output"
    assert body["remoteModelTransformJob"]["outputLocation"] == job.output_location
    assert ":model/" in body["models"][0]["arn"]
    assert job.state.result["inputs"] == {
        "processed": trained.inputs["processed"],
        "trained": trained.output_location,
    }
    assert ml.list_ml_model_transform_jobs()["ids"][0] == "transform-1"
    twin = play.client("sagemaker").describe_processing_job(ProcessingJobName=job.name)
    assert twin["ProcessingJobStatus"] == "Completed"


def test_a_transform_of_one_training_job_found_in_sagemaker(play: LocalNeptune, ml: Any, trained: Job) -> None:
    sagemaker = play.client("sagemaker")
    hpo = ml.get_ml_model_training_job(id=trained.id)["hpoJob"]["name"]
    found = sagemaker.list_training_jobs(NameContains=hpo, SortBy="Name", SortOrder="Ascending")
    names = sorted(summary["TrainingJobName"] for summary in found["TrainingJobSummaries"])
    assert [name[:-9] for name in names] == [f"{hpo}-00{number}" for number in (1, 2, 3)]
    described = sagemaker.describe_training_job(TrainingJobName=names[1])
    assert described["TrainingJobStatus"] == "Completed"
    assert described["ModelArtifacts"]["S3ModelArtifacts"] == f"{trained.output_location}/trials/002"
    tuning = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=hpo)
    assert tuning["HyperParameterTuningJobStatus"] == "Completed"
    assert tuning["TrainingJobStatusCounters"] == {"Completed": 3}
    job_id = ml.start_ml_model_transform_job(trainingJobName=names[1], modelTransformOutputS3Location=LOCATION)["id"]
    assert play.wait_for("modeltransform", job_id, Status.COMPLETED).state.result["inputs"] == {
        "processed": trained.inputs["processed"],
        "trained": trained.output_location,
        "trial": "2",
    }


def test_a_training_job_that_is_still_running(play: LocalNeptune, ml: Any, sources: dict[str, str]) -> None:
    play.fault("StartMLModelTrainingJob", never_ends=True)
    job_id = ml.start_ml_model_training_job(
        dataProcessingJobId=sources["dataProcessingJobId"], trainModelS3Location=OUT
    )["id"]
    running = play.wait_for("modeltraining", job_id, Status.RUNNING)
    name = running.trial_names[0]
    assert play.client("sagemaker").describe_training_job(TrainingJobName=name)["TrainingJobStatus"] == "InProgress"
    target = {"modelTransformOutputS3Location": LOCATION}
    assert refused(play, "POST", "/ml/modeltransform", target | {"trainingJobName": name})[1] == (
        "Provided SageMaker AI Training job has not completed."
    )
    assert refused(play, "POST", "/ml/modeltransform", target | sources | {"mlModelTrainingJobId": job_id})[1] == (
        "Provided ModelTraining job has not completed."
    )
    ml.cancel_ml_model_training_job(id=job_id)
    play.wait_for("modeltraining", job_id, Status.STOPPED)
    twin = play.client("sagemaker").describe_training_job(TrainingJobName=name)
    assert twin["TrainingJobStatus"] == "Stopped"


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        (
            {"dataProcessingJobId": None, "mlModelTrainingJobId": None},
            "MissingParameterException",
            f"Required parameter is missing: {BOTH}.",
        ),
        ({"trainingJobName": "any"}, "InvalidParameterException", f"Only one of {BOTH} can be given."),
        (
            {"dataProcessingJobId": ""},
            "MissingParameterException",
            "Required parameter is missing: dataProcessingJobId.",
        ),
        (
            {"mlModelTrainingJobId": None},
            "MissingParameterException",
            "Required parameter is missing: mlModelTrainingJobId.",
        ),
        (
            {"modelTransformOutputS3Location": ""},
            "MissingParameterException",
            "Required parameter is missing: modelTransformOutputS3Location.",
        ),
        (
            {"mlModelTrainingJobId": "nobody"},
            "BadRequestException",
            "Provided MLModelTraining job doesn't exist.",
        ),
        (
            {"dataProcessingJobId": "nobody"},
            "InvalidParameterException",
            "Invalid ID provided. Please check whether a resource with the given ID exists.",
        ),
        (
            {"dataProcessingJobId": None, "mlModelTrainingJobId": None, "trainingJobName": "nobody-001-abcdef12"},
            "BadRequestException",
            "Unable to find SageMaker AI resource. Please check your input.",
        ),
        (
            {"dataProcessingJobId": None, "mlModelTrainingJobId": None, "trainingJobName": {"name": "nobody"}},
            "BadRequestException",
            "Unable to find SageMaker AI resource. Please check your input.",
        ),
        ({"baseProcessingInstanceType": "ml.r5.huge"}, "InvalidParameterException", "Invalid ML instance type."),
        (
            {"baseProcessingInstanceVolumeSizeInGB": 16_385},
            "InvalidParameterException",
            "Invalid value for parameter baseProcessingInstanceVolumeSizeInGB: 16385."
            " Expected a whole number from 0 to 16384.",
        ),
        (
            {"modelTransformOutputS3Location": "s3://nowhere-to-be-found/x"},
            "BadRequestException",
            "Invalid S3 URL or incorrect S3 permissions. Please check your S3 configuration.",
        ),
        (
            {"customModelTransformParameters": {"transformEntryPointScript": "transform.py"}},
            "MissingParameterException",
            "Required parameter is missing: customModelTransformParameters.sourceS3DirectoryPath.",
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_refusals(play: LocalNeptune, sources: dict[str, str], change: Any, code: str, text: str) -> None:
    body = {"modelTransformOutputS3Location": LOCATION} | sources | change
    assert refused(play, "POST", "/ml/modeltransform", body) == (code, text)


def test_a_transform_can_be_cancelled_and_cleaned(play: LocalNeptune, ml: Any, sources: dict[str, str]) -> None:
    play.fault("StartMLModelTransformJob", never_ends=True)
    job_id = ml.start_ml_model_transform_job(modelTransformOutputS3Location=LOCATION, **sources)["id"]
    job = play.wait_for("modeltransform", job_id, Status.RUNNING)
    s3, prefix = play.client("s3"), f"transformed/{job.name}/"
    s3.put_object(Bucket="neptune-ml", Key=f"{prefix}transform-output/mapping.info", Body=b"half")
    assert ml.get_ml_model_transform_job(id=job_id)["models"] == []
    ml.cancel_ml_model_transform_job(id=job_id, clean=True)
    play.wait_for("modeltransform", job_id, Status.STOPPED)
    assert ml.get_ml_model_transform_job(id=job_id)["status"] == "Stopped"
    assert s3.list_objects_v2(Bucket="neptune-ml", Prefix=prefix)["KeyCount"] == 0


def test_a_transform_that_fails(play: LocalNeptune, ml: Any, sources: dict[str, str]) -> None:
    play.fault("StartMLModelTransformJob", fail="the graph has other relations")
    play.fault("GetMLModelTransformJob", status="Tired")
    job_id = ml.start_ml_model_transform_job(modelTransformOutputS3Location=LOCATION, **sources)["id"]
    play.wait_for("modeltransform", job_id, Status.FAILED)
    tired, body = (ml.get_ml_model_transform_job(id=job_id) for _ in range(2))
    assert tired["status"] == tired["baseProcessingJob"]["status"] == "Tired"
    assert body["status"] == "Failed"
    assert body["baseProcessingJob"]["failureReason"] == "the graph has other relations"


@pytest.mark.parametrize(
    ("path", "change", "name"),
    [
        ("modeltraining", {"customModelTrainingParameters": CUSTOM}, "customModelTrainingParameters"),
        ("modeltraining", {"modelName": "custom"}, "modelName"),
        ("modeltransform", {"customModelTransformParameters": CUSTOM}, "customModelTransformParameters"),
        ("endpoints", {"modelName": "custom"}, "modelName"),
    ],
)
def test_the_service_itself_refuses_custom_models(service: LocalNeptune, path: str, change: Any, name: str) -> None:
    """Before a job exists, and before the jobs that the request refers to are looked for."""
    need = {
        "modeltraining": {"dataProcessingJobId": "d", "trainModelS3Location": OUT},
        "modeltransform": {"trainingJobName": "t", "modelTransformOutputS3Location": OUT},
        "endpoints": {"mlModelTrainingJobId": "m"},
    }
    code, text = refused(service, "POST", f"/ml/{path}", need[path] | change | {"id": "custom"})
    assert code == "UnsupportedOperationException"
    assert text.startswith(f"{name}: the local service does not run custom models")
    assert refused(service, "GET", f"/ml/{path}/custom")[1].startswith("Invalid ID provided.")


def test_a_custom_model_is_transformed_by_its_own_script(play: LocalNeptune, ml: Any, sources: dict[str, str]) -> None:
    processed = sources["dataProcessingJobId"]
    job_id = ml.start_ml_model_training_job(
        dataProcessingJobId=processed, trainModelS3Location=OUT, customModelTrainingParameters=CUSTOM
    )["id"]
    custom = play.wait_for("modeltraining", job_id, Status.COMPLETED)
    for source in (
        {"dataProcessingJobId": processed, "mlModelTrainingJobId": job_id},
        {"trainingJobName": custom.trial_names[1]},
    ):
        with pytest.raises(ClientError) as caught:
            ml.start_ml_model_transform_job(modelTransformOutputS3Location=LOCATION, **source)
        assert caught.value.response["Error"]["Code"] == "MissingParameterException"
        assert caught.value.response["detailedMessage"] == (
            f"Required parameter is missing: customModelTransformParameters. The model of {job_id} is a custom one."
        )
        started = ml.start_ml_model_transform_job(
            modelTransformOutputS3Location=LOCATION, customModelTransformParameters=CUSTOM, **source
        )
        play.wait_for("modeltransform", started["id"], Status.COMPLETED)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"maxWaitTime": 90_000}, "90000. Expected none without enableManagedSpotTraining."),
        (
            {"maxWaitTime": 600, "trainingTimeOutInSeconds": 600, "enableManagedSpotTraining": True},
            "600. Expected more than trainingTimeOutInSeconds (600).",
        ),
        (
            {"maxWaitTime": 86_400, "enableManagedSpotTraining": "TRUE"},
            "86400. Expected more than trainingTimeOutInSeconds (86400).",
        ),
    ],
)
def test_spot_refusals(play: LocalNeptune, sources: dict[str, str], change: Any, expected: str) -> None:
    body = {"dataProcessingJobId": sources["dataProcessingJobId"], "trainModelS3Location": OUT}
    assert refused(play, "POST", "/ml/modeltraining", body | change) == (
        "InvalidParameterException",
        f"Invalid value for parameter maxWaitTime: {expected}",
    )


def test_spot_training_is_accepted(play: LocalNeptune, ml: Any, sources: dict[str, str]) -> None:
    job_id = ml.start_ml_model_training_job(
        dataProcessingJobId=sources["dataProcessingJobId"], trainModelS3Location=OUT, enableManagedSpotTraining=True
    )["id"]
    job = play.wait_for("modeltraining", job_id, Status.COMPLETED)
    twin = play.client("sagemaker").describe_training_job(TrainingJobName=job.trial_names[0])
    assert twin["EnableManagedSpotTraining"] is True
    code, text = refused(
        play,
        "POST",
        "/ml/modeltraining",
        {
            "dataProcessingJobId": sources["dataProcessingJobId"],
            "trainModelS3Location": OUT,
            "enableManagedSpotTraining": "perhaps",
        },
    )
    assert (code, text.rpartition(". ")[2]) == ("InvalidParameterException", "Expected true or false.")
