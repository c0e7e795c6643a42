"""The export service, by plain unsigned HTTP as its clients send it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from service_clients import OUT, send

from neptune_airflow.local.registry import Status
from neptune_airflow.local.server import LocalNeptune
from neptune_airflow.local.settings import STEPS, Settings

EXPORT = {"command": "export-pg", "outputS3Path": f"{OUT}/export/", "params": {"endpoint": "x"}}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def begin(service: LocalNeptune, stage: str = "v1", **more: Any) -> str:
    status, answer, _ = send(service, "POST", f"/{stage}/neptune-export", EXPORT | more)
    assert status == 200
    assert set(answer) == {"jobName", "jobId"}
    assert UUID.fullmatch(answer["jobId"])
    assert re.fullmatch(rf"neptune-export-{answer['jobId'][:8]}-\d{{13}}", answer["jobName"])
    return str(answer["jobId"])


def body(service: LocalNeptune, job_id: str, stage: str = "v1") -> dict[str, Any]:
    status, answer, _ = send(service, "GET", f"/{stage}/neptune-export/{job_id}")
    assert status == 200
    return answer


@pytest.mark.parametrize("stage", ["v1", "Deployment"])
def test_an_export(play: LocalNeptune, stage: str) -> None:
    job_id = begin(play, stage, configFileName="write")
    job = play.wait_for("export", job_id)
    assert body(play, job_id, stage) == {
        "jobId": job_id,
        "status": "succeeded",
        "logs": "https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1"
        f"#logStream:group=/aws/batch/job;prefix={job.name}",
        "outputS3Uri": f"{OUT}/export/{job_id}",
    }
    assert play.client("s3").list_objects_v2(Bucket="neptune-ml", Prefix=f"out/export/{job_id}/")["KeyCount"] == 1
    log = play.client("logs").get_log_events(logGroupName="/aws/batch/job", logStreamName=job.log_stream)
    assert len(log["events"]) == 1
    assert job.name not in str(play.client("sagemaker").list_processing_jobs())


def test_no_sub_directory(play: LocalNeptune) -> None:
    job_id = begin(play, createExportSubdirectory=False)
    play.wait_for("export", job_id)
    assert body(play, job_id)["outputS3Uri"] == f"{OUT}/export"


def test_waiting_running_failed_and_cancelled(play: LocalNeptune) -> None:
    running = [begin(play, configFileName="wait") for _ in range(play.settings.parallel_jobs)]
    for job_id in running:
        play.wait_for("export", job_id, Status.RUNNING)
    waiting = begin(play, configFileName="fail")
    assert body(play, waiting) == {"jobId": waiting, "status": "pending"}
    assert body(play, running[0])["status"] == "running"
    for job_id in running:
        assert send(play, "DELETE", f"/v1/neptune-export/{job_id}")[0] == 200
        play.wait_for("export", job_id, Status.STOPPED)
        assert body(play, job_id)["status"] == "failed"
    play.wait_for("export", waiting)
    failed = body(play, waiting)
    assert (failed["status"], failed["failureReason"][:16]) == ("failed", "nodes/person.csv")
    assert "outputS3Uri" not in failed
    ended = {"message": "The export job has already succeeded or failed"}
    assert send(play, "DELETE", f"/v1/neptune-export/{waiting}")[:2] == (400, ended)


def test_the_graph_is_handed_to_the_step(play: LocalNeptune) -> None:
    assert play.wait_for("export", begin(play)).state.result == {"inputs": {}}
    settings = Settings(graph="s3://graphs/mine", steps=dict.fromkeys(STEPS, "play_step"))
    with LocalNeptune(settings) as other:
        assert other.wait_for("export", begin(other)).state.result == {"inputs": {"graph": "s3://graphs/mine"}}


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "message"),
    [
        ("POST", "", {}, 400, "command must be one of"),
        ("POST", "", {"command": "export-all"}, 400, "command must be one of"),
        ("POST", "", {"command": "export-pg"}, 400, "outputS3Path must be an S3 URI"),
        ("POST", "", {"command": "export-pg", "outputS3Path": 5}, 400, "outputS3Path must be an S3 URI"),
        ("POST", "", b"{", 400, "must be a JSON object"),
        ("GET", "/nobody", None, 404, "There is no export job nobody"),
        ("DELETE", "/nobody", None, 404, "There is no export job nobody"),
        ("GET", "", None, 403, "Missing Authentication Token"),
        ("PUT", "/nobody", None, 403, "Missing Authentication Token"),
    ],
)
def test_refusals(play: LocalNeptune, method: str, path: str, sent: Any, status: int, message: str) -> None:
    got, answer, _ = send(play, method, f"/v1/neptune-export{path}", sent)
    assert (got, set(answer)) == (status, {"message"})
    assert message in answer["message"]
