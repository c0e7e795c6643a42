"""Jobs: names and bodies, child processes, cancel, time-out, crash, logs, and their twins in SageMaker."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from service_clients import IN, OUT, alive, neptune_client, wait_until

from neptune_airflow.local.registry import Job, Status
from neptune_airflow.local.server import LocalNeptune
from neptune_airflow.local.settings import Settings
from neptune_airflow.store import split_uri

Start = Callable[..., dict[str, Any]]
Twin = Callable[[Job], str]
NAME = re.compile(r"named-jo-preloading-\d{4}-\d\d-\d\d-\d\d-\d\d-\d{1,7}")


def log_of(play: LocalNeptune, job: Job) -> list[str]:
    logs = play.client("logs")
    try:
        stream = logs.get_log_events(
            logGroupName="/aws/sagemaker/ProcessingJobs", logStreamName=job.log_stream, startFromHead=True
        )
    except logs.exceptions.ResourceNotFoundException:
        return []
    return [event["message"] for event in stream["events"]]


@pytest.fixture(scope="session")
def twin_status(play: LocalNeptune) -> Callable[[Job], str]:
    """Ask SageMaker for the status of a job's twin."""
    sagemaker = play.client("sagemaker")
    return lambda job: str(sagemaker.describe_processing_job(ProcessingJobName=job.name)["ProcessingJobStatus"])


def running_pid(job: Job) -> int:
    pid: int = wait_until(lambda: job.pid)
    return pid


def grandchild(play: LocalNeptune, job: Job) -> int:
    line: str = wait_until(lambda: next((line for line in log_of(play, job) if "grandchild" in line), None))
    return int(line.split()[1])


def test_a_completed_job(play: LocalNeptune, ml: Any, start: Start, twin_status: Twin) -> None:
    started = start("write", id="named-job-1")
    assert set(started) == {"id", "arn", "creationTimeInMillis", "ResponseMetadata"}
    job = play.wait_for("dataprocessing", "named-job-1")
    body = ml.get_ml_data_processing_job(id="named-job-1")
    body.pop("ResponseMetadata")
    assert NAME.fullmatch(job.name)
    assert body == {
        "id": "named-job-1",
        "status": "Completed",
        "processingJob": {
            "name": job.name,
            "arn": f"arn:aws:sagemaker:us-east-1:123456789012:processing-job/{job.name}",
            "status": "Completed",
            "outputLocation": f"{OUT}/{job.name}/preloading-output",
        },
    }
    assert started["arn"] == body["processingJob"]["arn"]
    written = play.client("s3").get_object(Bucket="neptune-ml", Key=f"out/{job.name}/preloading-output/written.txt")
    assert written["Body"].read() == b"named-job-1"
    assert log_of(play, job) == [f"writing to {job.output_location}"]
    assert re.fullmatch(rf"{job.name}/algo-1-\d+", job.log_stream)
    assert twin_status(job) == "Completed"


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ("fail", "nodes/person.csv: line 3: no value for 'age' and no imputer"),
        ("break_down", "KeyError: 'no such column'"),
        ("leave", "the process ended with exit code 3 and no result"),
        ("no_json", "TypeError: Object of type object is not JSON serializable"),
    ],
)
def test_a_failed_job_says_why(play: LocalNeptune, ml: Any, start: Start, action: str, reason: str) -> None:
    job = play.wait_for("dataprocessing", start(action)["id"])
    body = ml.get_ml_data_processing_job(id=job.id)
    assert body["status"] == body["processingJob"]["status"] == "Failed"
    assert body["processingJob"]["failureReason"] == reason
    assert body["processingJob"]["cloudwatchLogUrl"].endswith(
        f"home?region=us-east-1#logStream:group=/aws/sagemaker/ProcessingJobs;prefix={job.name}"
    )
    twin = play.client("sagemaker").describe_processing_job(ProcessingJobName=job.name)
    assert (twin["ProcessingJobStatus"], twin["FailureReason"]) == ("Failed", reason)


def test_a_crash_is_a_failed_job_and_leaves_no_grandchild(play: LocalNeptune, start: Start) -> None:
    job = play.wait_for("dataprocessing", start("die")["id"])
    assert job.state.reason == "the process died of signal 9"
    left = grandchild(play, job)
    wait_until(lambda: not alive(left))


def test_cancel_ends_the_whole_process_group(play: LocalNeptune, ml: Any, start: Start, twin_status: Twin) -> None:
    job = play.wait_for("dataprocessing", start("wait_deaf")["id"], Status.RUNNING)
    child, deaf = grandchild(play, job), running_pid(job)
    scratch = Path(f"/proc/{deaf}/cwd").resolve()
    assert twin_status(job) == "InProgress"
    assert ml.cancel_ml_data_processing_job(id=job.id)["status"] == "200 OK"
    play.wait_for("dataprocessing", job.id)
    assert ml.get_ml_data_processing_job(id=job.id)["status"] == "Stopped"
    assert twin_status(job) == "Stopped"
    assert not alive(deaf)
    wait_until(lambda: not alive(child))
    assert not scratch.exists()
    with pytest.raises(ml.exceptions.InvalidParameterException) as refused:
        ml.cancel_ml_data_processing_job(id=job.id)
    assert refused.value.response["detailedMessage"] == (
        "Failed to stop the job because it has already completed or failed."
    )


def test_a_job_that_takes_its_time_to_stop(play: LocalNeptune, twin_status: Twin) -> None:
    with LocalNeptune(Settings(steps={"dataprocessing": "play_step"}, grace=60)) as patient:
        neptune = patient.client("neptunedata")
        job_id = neptune.start_ml_data_processing_job(
            inputDataS3Location=IN, processedDataS3Location=OUT, configFileName="wait_deaf"
        )["id"]
        job = patient.wait_for("dataprocessing", job_id, Status.RUNNING)
        grandchild(patient, job)
        for _ in range(2):
            assert neptune.cancel_ml_data_processing_job(id=job_id)["status"] == "200 OK"
            body = neptune.get_ml_data_processing_job(id=job_id)
            assert body["status"] == body["processingJob"]["status"] == twin_status(job) == "Stopping"
        os.kill(running_pid(job), signal.SIGKILL)
        patient.wait_for("dataprocessing", job_id, Status.STOPPED)


@pytest.mark.parametrize(("clean", "kept"), [(True, 0), (False, 1)])
def test_clean_deletes_the_artifacts(play: LocalNeptune, ml: Any, start: Start, clean: bool, kept: int) -> None:
    job = play.wait_for("dataprocessing", start("write_and_wait")["id"], Status.RUNNING)
    files = {"Bucket": "neptune-ml", "Prefix": f"out/{job.name}/"}
    s3 = play.client("s3")
    wait_until(lambda: "waiting" in log_of(play, job))
    assert s3.list_objects_v2(**files)["KeyCount"] == 1
    ml.cancel_ml_data_processing_job(id=job.id, clean=clean)
    play.wait_for("dataprocessing", job.id, Status.STOPPED)
    assert s3.list_objects_v2(**files)["KeyCount"] == kept


def test_the_time_out_is_honoured(play: LocalNeptune, start: Start) -> None:
    job_id = start("wait", processingTimeOutInSeconds=1)["id"]
    job = play.wait_for("dataprocessing", job_id, Status.RUNNING)
    pid = running_pid(job)
    play.wait_for("dataprocessing", job_id, Status.FAILED)
    assert job.state.reason == "The job ran longer than processingTimeOutInSeconds (1 s) and was stopped."
    assert not alive(pid)


def test_the_log_comes_as_the_job_runs(play: LocalNeptune, start: Start) -> None:
    job = play.wait_for("dataprocessing", start("talk")["id"], Status.RUNNING)
    wait_until(lambda: log_of(play, job) == ["first"])
    assert job.state.status is Status.RUNNING
    bucket, key = split_uri(f"{job.output_location}/heard")
    play.client("s3").put_object(Bucket=bucket, Key=key, Body=b"")
    play.wait_for("dataprocessing", job.id, Status.COMPLETED)
    first, *long, last = log_of(play, job)
    assert (first, "".join(long), last) == ("first", "x" * 300_000, "last ü")


def test_only_so_many_run_at_once_and_a_waiting_one_stops_at_once(play: LocalNeptune, ml: Any, start: Start) -> None:
    running = [start("wait")["id"] for _ in range(play.settings.parallel_jobs)]
    for job_id in running:
        play.wait_for("dataprocessing", job_id, Status.RUNNING)
    waiting = [start()["id"] for _ in range(2)]
    assert {ml.get_ml_data_processing_job(id=job_id)["status"] for job_id in waiting} == {"InProgress"}
    assert play.wait_for("dataprocessing", waiting[0], Status.WAITING).pid is None
    ml.cancel_ml_data_processing_job(id=waiting[0])
    play.wait_for("dataprocessing", waiting[0], Status.STOPPED)
    play.wait_for("dataprocessing", waiting[1], Status.WAITING)
    for job_id in running:
        ml.cancel_ml_data_processing_job(id=job_id)
    play.wait_for("dataprocessing", waiting[1], Status.COMPLETED)


def test_of_two_simultaneous_starts_one_wins(play: LocalNeptune) -> None:
    clients = [neptune_client(play, max_pool_connections=1) for _ in range(6)]
    together = threading.Barrier(len(clients))

    def begin(client: Any) -> str:
        together.wait()
        try:
            client.start_ml_data_processing_job(id="twice", inputDataS3Location=IN, processedDataS3Location=OUT)
        except ClientError as error:
            return str(error.response["detailedMessage"])
        return "accepted"

    with ThreadPoolExecutor(len(clients)) as pool:
        answers = sorted(pool.map(begin, clients))
    assert answers == ["Another resource with same ID already exists. Please use a new ID."] * 5 + ["accepted"]
    calls = [call for call in play.ledger()["calls"] if call["id"] == "twice"]
    assert sum(call["accepted"] for call in calls) == 1
    assert len(calls) == 6


def test_jobs_with_the_same_first_letters_have_names_of_their_own(play: LocalNeptune, start: Start) -> None:
    ids = [start(id=f"same-beginning-{number}")["id"] for number in range(8)]
    names = [play.wait_for("dataprocessing", job_id).name for job_id in ids]
    assert len(set(names)) == len(names)


def test_lists_are_newest_first_and_ids_are_per_kind(play: LocalNeptune, ml: Any, start: Start) -> None:
    ids = [start(id=f"listed-{number}")["id"] for number in range(12)]
    assert ml.list_ml_data_processing_jobs()["ids"] == ids[:1:-1]
    assert ml.list_ml_data_processing_jobs(maxItems=3)["ids"] == ids[:-4:-1]
    assert "listed-1" not in ml.list_ml_model_training_jobs(maxItems=1024)["ids"]
    play.wait_for("dataprocessing", "listed-11")
    started = ml.start_ml_model_training_job(
        id="listed-11", dataProcessingJobId="listed-11", trainModelS3Location="s3://neptune-ml/model/"
    )
    assert started["id"] == "listed-11"
    assert ml.list_ml_model_training_jobs()["ids"][0] == "listed-11"


def test_a_training_job(play: LocalNeptune, ml: Any, start: Start, twin_status: Twin) -> None:
    processed = play.wait_for("dataprocessing", start()["id"])
    first, second = (
        play.wait_for(
            "modeltraining",
            ml.start_ml_model_training_job(
                dataProcessingJobId=processed.id, trainModelS3Location="s3://neptune-ml/model/", **earlier
            )["id"],
        )
        for earlier in ({}, {"previousModelTrainingJobId": ml.list_ml_model_training_jobs()["ids"][0]})
    )
    assert first.state.result == {"inputs": {"processed": processed.output_location}}
    assert second.state.result is not None
    assert set(second.state.result["inputs"]) == {"processed", "previous"}
    body = ml.get_ml_model_training_job(id=first.id)
    body.pop("ResponseMetadata")
    assert set(body) == {"id", "status", "processingJob", "hpoJob", "modelTransformJob", "mlModels"}
    assert body["processingJob"]["outputLocation"] == f"s3://neptune-ml/model/{first.name}/training-output"
    assert len(body["hpoJob"]["name"]) <= 32
    assert ":hyper-parameter-tuning-job/" in body["hpoJob"]["arn"]
    assert ":model/" in body["mlModels"][0]["arn"]
    assert twin_status(first) == "Completed"


def test_an_earlier_processing_job_is_handed_on(play: LocalNeptune, start: Start) -> None:
    earlier = play.wait_for("dataprocessing", start()["id"])
    job = play.wait_for("dataprocessing", start(previousDataProcessingJobId=earlier.id)["id"])
    assert job.state.result == {"inputs": {"previous": earlier.output_location}}
