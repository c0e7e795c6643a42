"""Sensors: poke, reschedule, deferrable; the job's reason, soft_fail, bad weather."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from neptune_airflow.compat import (
    TRIGGER_FAIL,
    TRIGGER_TIMEOUTS,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)
from neptune_airflow.errors import (
    NeptuneMLJobNotFoundError,
    NeptuneMLParameterError,
    NeptuneMLRequestError,
    NeptuneMLWatchedJobFailedError,
)
from neptune_airflow.local.server import LocalNeptune
from neptune_airflow.sensors.neptune_ml import (
    NeptuneExportSensor,
    NeptuneMLDataProcessingSensor,
    NeptuneMLModelTrainingSensor,
)
from tests.provider.worker import Run

Make = Callable[..., Run]
MODES = pytest.mark.parametrize(
    "how",
    [{"mode": "poke"}, {"mode": "reschedule"}, {"deferrable": True}],
    ids=["poke", "reschedule", "deferrable"],
)


def sensor(job_id: str, cls: type = NeptuneMLDataProcessingSensor, **kwargs: Any) -> Run:
    given = {"task_id": "wait", "poke_interval": 0.05, "waiter_delay": 0.05, "timeout": 30, **kwargs}
    return Run(cls(job_id=job_id, **given))


def to_end(run: Run) -> Any:
    """Run a sensor to its end, through its reschedules."""
    while True:
        try:
            return run.to_end()
        except AirflowRescheduleException as pause:
            time.sleep(max(pause.reschedule_date.timestamp() - time.time(), 0))
            run.task._watch = None  # type: ignore[attr-defined]  # the next poke is in a new process


@pytest.fixture(autouse=True)
def _no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.provider.worker.TaskInstance.get_first_reschedule_date", lambda *_: None, raising=False)


@MODES
def test_finished_job_is_the_result(process: Make, how: dict[str, Any]) -> None:
    job = process("short", wait_for_completion=False).execute()
    result = to_end(sensor(job["id"], **how))
    assert result["id"] == job["id"]
    assert result["status"] == "Completed"
    assert result["output_location"].endswith("/preloading-output")


@MODES
def test_failed_job_fails_the_sensor_for_good_with_the_reason(process: Make, how: dict[str, Any]) -> None:
    job = process("fail", wait_for_completion=False).execute()
    with pytest.raises(NeptuneMLWatchedJobFailedError, match="no imputer") as error:
        to_end(sensor(job["id"], **how))
    assert isinstance(error.value, NeptuneMLRequestError)


@MODES
def test_soft_fail_skips(process: Make, how: dict[str, Any]) -> None:
    job = process("fail", wait_for_completion=False).execute()
    with pytest.raises(AirflowSkipException):
        to_end(sensor(job["id"], soft_fail=True, **how))


@MODES
def test_bad_weather_is_waited_out(play: LocalNeptune, process: Make, how: dict[str, Any]) -> None:
    job = process("short", wait_for_completion=False).execute()
    play.fault("GetMLDataProcessingJob", times=2, error={"http": 503, "code": "ServiceUnavailable"})
    assert to_end(sensor(job["id"], **how))["status"] == "Completed"


@MODES
def test_timeout_is_airflows_own_and_the_job_goes_on(play: LocalNeptune, process: Make, how: dict[str, Any]) -> None:
    job = process("wait", wait_for_completion=False).execute()
    run = sensor(job["id"], **{**how, "timeout": 0.2})
    if how.get("mode") == "reschedule":
        began = run.ti.start_date
        run.ti.get_first_reschedule_date = lambda _: began  # type: ignore[attr-defined]
    with pytest.raises(AirflowSensorTimeout):
        to_end(run)
    client = play.client("neptunedata")
    assert client.get_ml_data_processing_job(id=job["id"])["status"] == "InProgress"
    client.cancel_ml_data_processing_job(id=job["id"])


@MODES
def test_unknown_job_fails_at_once(how: dict[str, Any]) -> None:
    with pytest.raises(NeptuneMLJobNotFoundError, match="never-was"):
        to_end(sensor("never-was", **how))


def test_job_that_has_ended_is_not_deferred_for(process: Make) -> None:
    job = process().to_end()
    assert sensor(job["id"], deferrable=True).execute()["id"] == job["id"]


def test_kill_of_a_deferred_sensor_leaves_the_job(play: LocalNeptune, process: Make) -> None:
    job = process("wait", wait_for_completion=False).execute()
    deferral = sensor(job["id"], deferrable=True).deferred()
    assert deferral.trigger.cancel_on_kill is False
    play.client("neptunedata").cancel_ml_data_processing_job(id=job["id"])


def test_trigger_that_crashed_is_set_up_again(process: Make) -> None:
    job = process("short", wait_for_completion=False).execute()
    run = sensor(job["id"], deferrable=True, soft_fail=True)
    run.deferred()
    with pytest.raises(TaskDeferred):
        run.resume(TRIGGER_FAIL, error="Trigger failure")
    with pytest.raises(AirflowSkipException):
        run.resume(TRIGGER_FAIL, error=TRIGGER_TIMEOUTS[0])


@pytest.mark.parametrize("cls", [NeptuneMLModelTrainingSensor, NeptuneExportSensor])
def test_siblings_ask_for_their_own_kind(play: LocalNeptune, export: Make, process: Make, cls: type) -> None:
    if cls is NeptuneExportSensor:
        job = export(wait_for_completion=False).execute()
        assert sensor(job["id"], cls).to_end()["output_s3_uri"].startswith("s3://neptune-ml/export/")
    else:
        processed = process().to_end()
        client = play.client("neptunedata")
        request = {"dataProcessingJobId": processed["id"], "trainModelS3Location": "s3://neptune-ml/m"}
        job = client.start_ml_model_training_job(id="sensed-training", **request)
        assert sensor(job["id"], cls, deferrable=True).to_end()["kind"] == "model_training"


def test_wrong_id_is_refused_when_the_dag_is_parsed() -> None:
    with pytest.raises(NeptuneMLParameterError, match=r"'wait': job_id='a_b' .* letters, digits or hyphens"):
        sensor("a_b")
