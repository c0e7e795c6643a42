"""The record of a job in every mode of every task: written while it runs, true when it has ended or failed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from neptune_airflow.attempt import Attempt
from neptune_airflow.compat import AirflowRescheduleException, TaskDeferred
from neptune_airflow.errors import NeptuneMLError, NeptuneMLJobFailedError
from neptune_airflow.links import CHECK_LINKS
from neptune_airflow.local.server import LocalNeptune
from neptune_airflow.operators.neptune_ml import NeptuneMLDeleteEndpointOperator
from neptune_airflow.operators.neptune_ml_check import NeptuneMLCheckExportOperator
from neptune_airflow.records import FIELDS, KEY
from neptune_airflow.sensors.neptune_ml import NeptuneMLDataProcessingSensor
from tests.provider.worker import Run
from tests.versions import needs_state_store

Make = Callable[..., Run]


def record_of(run: Run) -> dict[str, Any]:
    record: dict[str, Any] = run.ti.xcoms[KEY]
    assert set(record) == set(FIELDS)
    return record


def statuses(record: dict[str, Any]) -> list[str]:
    return [status for _, status in record["timeline"]]


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_finished_job(process: Make, deferrable: bool) -> None:
    run = process("short", deferrable=deferrable, processing_instance_type="ml.r5.2xlarge")
    run.to_end()
    record = record_of(run)
    assert record["id"] == Attempt.of(run.ti, 0).job_id()
    assert (record["kind"], record["part"], record["try_number"]) == ("data_processing", "submits", 1)
    assert (record["status"], record["phase"], record["failure"]) == ("Completed", "succeeded", None)
    assert statuses(record) == ["InProgress", "Completed"]
    assert record["submitted"] <= record["timeline"][0][0] < record["ended"] < record["deadline"]
    assert record["ended"] == record["timeline"][1][0]
    assert record["arn"].endswith(record["name"])
    assert record["parameters"]["processingInstanceType"] == "ml.r5.2xlarge"
    assert record["parameters"]["id"] == record["id"]
    assert record["input_location"] == "s3://neptune-ml/in"
    assert record["output_location"].startswith("s3://neptune-ml/out/")
    assert {"SageMaker job", "CloudWatch log", "S3 input", "S3 output"} == set(record["links"])
    assert record["adopted"] is False


def test_a_record_is_there_while_the_job_is_waited_for(process: Make) -> None:
    run = process("short", deferrable=True)
    run.deferred()
    record = record_of(run)
    assert (record["status"], record["phase"], record["ended"]) == ("InProgress", "active", None)
    assert record["deadline"]


def test_what_the_triggerer_has_seen_keeps_its_time(process: Make) -> None:
    run = process("short", deferrable=True)
    deferral = run.deferred()
    job = {"kind": "data_processing", "id": deferral.trigger.job_id, "status": "Completed"}
    timeline = [["2099-01-01T00:00:00.000+00:00", "InProgress"], ["2099-01-01T00:01:00.000+00:00", "Completed"]]
    run.resume("execute_complete", event={"job": job, "timeline": timeline})
    assert record_of(run)["ended"] == "2099-01-01T00:01:00.000+00:00"


def test_an_event_of_an_older_trigger_is_understood(process: Make) -> None:
    run = process("short", deferrable=True)
    job = {"kind": "data_processing", "id": run.deferred().trigger.job_id, "status": "Completed"}
    run.resume("execute_complete", event={"job": job})
    assert record_of(run)["phase"] == "succeeded"


def test_a_task_that_only_submits(process: Make) -> None:
    run = process("wait", wait_for_completion=False)
    run.execute()
    record = record_of(run)
    assert (record["status"], record["ended"], record["deadline"]) == ("InProgress", None, None)
    run.task.hook.cancel_job(run.task.kind, record["id"])  # type: ignore[attr-defined]


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_failed_job(process: Make, deferrable: bool) -> None:
    run = process("fail", deferrable=deferrable)
    with pytest.raises(NeptuneMLJobFailedError):
        run.to_end()
    record = record_of(run)
    assert (record["status"], record["phase"]) == ("Failed", "failed")
    failure = record["failure"]
    assert failure["error_type"] == "NeptuneMLJobFailedError"
    assert failure["reason"] == "nodes/person.csv: line 3: no value for 'age' and no imputer"
    assert any("no imputer" in line for line in failure["log"])


def test_a_refused_request(process: Make) -> None:
    run = process(input_data_s3_location="s3://no-such-bucket/in")
    with pytest.raises(NeptuneMLError):
        run.execute()
    record = record_of(run)
    assert (record["id"], record["phase"], record["submitted"]) == (None, "failed", None)
    assert "no-such-bucket" in json.dumps(record["parameters"])
    assert record["failure"]["error_type"] == "NeptuneMLRequestError"
    assert "bucket exists" in record["failure"]["remedy"]


def test_a_job_of_an_earlier_try(process: Make) -> None:
    run = process("short", deferrable=True, retries=1)
    first = run.deferred().trigger.job_id
    run.next_try()
    run.to_end()
    record = record_of(run)
    assert (record["id"], record["adopted"], record["submitted"]) == (first, True, None)
    assert (record["try_number"], record["phase"]) == (2, "succeeded")


def test_a_record_that_cannot_be_stored_fails_no_job(process: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = process("write")
    push = run.ti.xcom_push

    def refuse(key: str, value: Any) -> None:
        if key == KEY:
            raise OSError("Airflow is away")
        push(key, value)

    monkeypatch.setattr(run.ti, "xcom_push", refuse)
    assert run.execute()["status"] == "Completed"
    assert KEY not in run.ti.xcoms


@pytest.fixture
def watched(process: Make) -> Callable[[str], str]:
    """Submit a job that nobody waits for; give its id."""
    return lambda action: str(process(action, wait_for_completion=False).execute()["id"])


@pytest.mark.parametrize("how", [{"mode": "poke"}, {"deferrable": True}])
@pytest.mark.parametrize(("action", "phase"), [("short", "succeeded"), ("fail", "failed")])
def test_a_sensor(watched: Callable[[str], str], how: dict[str, Any], action: str, phase: str) -> None:
    job_id = watched(action)
    given = {"job_id": job_id, "poke_interval": 0.05, "waiter_delay": 0.05, **how}
    run = Run(NeptuneMLDataProcessingSensor(task_id="watch", **given))
    if phase == "failed":
        with pytest.raises(NeptuneMLJobFailedError):
            run.to_end()
    else:
        run.to_end()
    record = record_of(run)
    assert (record["part"], record["id"], record["phase"]) == ("waits", job_id, phase)
    assert statuses(record)[-1] == record["status"]
    assert (record["submitted"], bool(record["ended"])) == (None, True)
    assert bool(record["failure"]) == (phase == "failed")
    assert {"SageMaker job", "CloudWatch log", "S3 output"} == set(record["links"])


@needs_state_store
def test_a_rescheduled_sensor_remembers_what_it_saw(
    watched: Callable[[str], str], play: LocalNeptune, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = watched("wait")
    make = lambda: NeptuneMLDataProcessingSensor(  # noqa: E731
        task_id="again", job_id=job_id, mode="reschedule", poke_interval=60
    )
    run = Run(make())
    monkeypatch.setattr(type(run.ti), "get_first_reschedule_date", lambda *_: None, raising=False)
    with pytest.raises(AirflowRescheduleException):
        run.execute()
    first = record_of(run)
    assert (statuses(first), first["failure"]) == (["InProgress"], None)
    play.client("neptunedata").cancel_ml_data_processing_job(id=job_id)
    play.wait_for("dataprocessing", job_id)
    run.ti.xcoms.clear()
    run.task = make()
    with pytest.raises(NeptuneMLJobFailedError):
        run.execute()
    record = record_of(run)
    assert statuses(record) == ["InProgress", "Stopped"]
    assert record["timeline"][0] == first["timeline"][0]


def test_an_endpoint_and_its_deletion(endpoint: Make) -> None:
    run = endpoint()
    made = run.execute()
    record = record_of(run)
    assert (record["kind"], record["phase"], statuses(record)[-1]) == ("endpoint", "succeeded", "InService")
    assert record["input_location"].endswith("training-output")
    assert {"Endpoint", "CloudWatch log", "S3 input"} == set(record["links"])
    removal = Run(NeptuneMLDeleteEndpointOperator(task_id="remove", endpoint_id=made["id"], waiter_delay=0.05))
    removal.to_end()
    removed = record_of(removal)
    assert (removed["kind"], removed["part"], removed["id"]) == ("endpoint_deletion", "removes", made["id"])
    assert (removed["phase"], statuses(removed)[-1]) == ("succeeded", "Deleted")
    assert removed["submitted"]


def test_an_export(export: Make) -> None:
    run = export(command="export-pg")
    run.to_end()
    record = record_of(run)
    assert (record["kind"], record["phase"]) == ("export", "succeeded")
    assert record["output_location"] == f"s3://neptune-ml/export/{record['id']}"


def test_a_check_keeps_what_it_found(play: LocalNeptune) -> None:
    s3 = play.client("s3")
    for name, content in EXPORT.items():
        s3.put_object(Bucket="neptune-ml", Key=f"checked/{name}", Body=content.encode())
    run = Run(NeptuneMLCheckExportOperator(task_id="check", input_data_s3_location="s3://neptune-ml/checked"))
    run.execute()
    record = record_of(run)
    assert (record["kind"], record["part"], record["phase"]) == ("data_processing", "checks", "succeeded")
    assert record["figures"] | {"nodes": 3, "edges": 1, "features": 1} == record["figures"]
    assert record["report"]["features"][0]["property"] == "age"
    page = f"{play.endpoint_url}/local/s3?location=s3%3A%2F%2Fneptune-ml%2Fchecked"
    assert record["links"] == {"S3 input": page}
    assert run.ti.xcoms[CHECK_LINKS[0].xcom_key] == page
    wrong = Run(NeptuneMLCheckExportOperator(task_id="none", input_data_s3_location="s3://neptune-ml/nothing"))
    with pytest.raises(NeptuneMLError):
        wrong.execute()
    assert record_of(wrong)["failure"]["reason"]


EXPORT = {
    "nodes/person.csv": "~id,~label,age,kind\n1,person,20,a\n2,person,30,b\n3,person,40,a\n",
    "edges/knows.csv": "~id,~label,~from,~to\n1,knows,1,2\n",
    "training-data-configuration.json": json.dumps(
        {
            "version": "v2.0",
            "query_engine": "gremlin",
            "graph": {
                "nodes": [
                    {
                        "file_name": "nodes/person.csv",
                        "separator": ",",
                        "node": ["~id", "person"],
                        "features": [{"feature": ["age", "age", "numerical"], "norm": "min-max"}],
                        "labels": [{"label": ["kind", "classification"], "split_rate": [0.8, 0.1, 0.1]}],
                    }
                ],
                "edges": [
                    {
                        "file_name": "edges/knows.csv",
                        "separator": ",",
                        "source": ["~from", "person"],
                        "relation": ["", "knows"],
                        "dest": ["~to", "person"],
                    }
                ],
            },
        }
    ),
}


def test_a_deferral_is_no_failure(process: Make) -> None:
    run = process("wait", deferrable=True)
    with pytest.raises(TaskDeferred):
        run.execute()
    record = record_of(run)
    assert record["failure"] is None
    run.task.hook.cancel_job(run.task.kind, record["id"])  # type: ignore[attr-defined]
