"""Why a job failed, and what the retry policy makes of it: with Airflow's own policy, and in Airflow's own task run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from neptune_airflow import errors
from neptune_airflow.compat import DAG, AirflowFailException, has_retry_policies
from neptune_airflow.errors import (
    NeptuneMLCapacityError,
    NeptuneMLCredentialsError,
    NeptuneMLError,
    NeptuneMLJobCapacityError,
    NeptuneMLJobFailedError,
    NeptuneMLJobInputError,
    NeptuneMLJobInputForGoodError,
    NeptuneMLJobInterruptedError,
    NeptuneMLRequestError,
    NeptuneMLThrottledError,
    NeptuneMLTimeoutError,
    NeptuneMLUnavailableError,
    NeptuneMLWatchedJobFailedError,
)
from neptune_airflow.local.server import LocalNeptune
from neptune_airflow.operators.neptune_ml import NeptuneMLDataProcessingOperator
from neptune_airflow.retries import NEPTUNE_ML_RETRY_POLICY, ROWS, retry_policy
from neptune_airflow.sensors.neptune_ml import NeptuneMLDataProcessingSensor
from neptune_airflow.verdicts import classify_failure, revive
from tests.provider.airflow_home import dag_run, marked
from tests.provider.conftest import LOCATIONS
from tests.provider.worker import Run

NO_ROOM = "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML instance"
BAD_DATA = "AlgorithmError: See job logs for more information"

with_policies = pytest.mark.skipif(not has_retry_policies(), reason="this Airflow has no retry policies")


@pytest.mark.parametrize(
    ("reason", "log", "expected"),
    [
        (NO_ROOM, [], NeptuneMLJobCapacityError),
        ("InsufficientInstanceCapacity: no ml.r5.24xlarge in us-east-1a", [], NeptuneMLJobCapacityError),
        ("ResourceLimitExceeded: The account-level service limit 'ml.g5.xlarge' is 0", [], NeptuneMLJobCapacityError),
        ("MaxWaitTimeExceeded", [], NeptuneMLJobCapacityError),
        ("The managed spot training instances were interrupted", [], NeptuneMLJobInterruptedError),
        ("InternalServerError: We encountered an internal error. Please try again.", [], NeptuneMLJobInterruptedError),
        ("MaxRuntimeExceeded", [], NeptuneMLJobInputError),
        ("ClientError: AccessDenied when calling GetObject", [], NeptuneMLJobInputError),
        ("ClientError: Data download failed: NoSuchKey", [], NeptuneMLJobInputError),
        (BAD_DATA, [], NeptuneMLJobInputError),
        (BAD_DATA, ["ValueError: node person: column 'age' has no imputer"], NeptuneMLJobInputError),
        (BAD_DATA, ["numpy.core._exceptions._ArrayMemoryError: Unable to allocate 80 GiB"], NeptuneMLJobInputError),
        (BAD_DATA, ["OSError: [Errno 28] No space left on device"], NeptuneMLJobInputError),
        (BAD_DATA, ["ClientError: (SlowDown) when calling PutObject"], NeptuneMLJobInterruptedError),
        (BAD_DATA, ["botocore.exceptions.ReadTimeoutError: Read timeout"], NeptuneMLJobInterruptedError),
        # What the script bore long before it gave up does not count.
        (BAD_DATA, ["ReadTimeoutError, again in 1 s", *["epoch"] * 10, "KeyError: 'age'"], NeptuneMLJobInputError),
        # A log says many things; the reason alone says that there was no room, or that AWS failed.
        ("Failed", ["CapacityError", "InternalServerError"], NeptuneMLJobFailedError),
        ("Something that nobody documented", [], NeptuneMLJobFailedError),
        (None, [], NeptuneMLJobFailedError),
    ],
)
def test_why_a_job_failed(reason: str | None, log: list[str], expected: type[NeptuneMLError]) -> None:
    error = classify_failure(reason, log, f"The job is Failed: {reason}")
    assert type(error) is expected
    assert str(reason) in str(error)


def _family(base: type[NeptuneMLError]) -> Iterator[type[NeptuneMLError]]:
    yield base
    for child in base.__subclasses__():
        yield from _family(child)


@pytest.mark.parametrize("error", sorted(set(_family(NeptuneMLError)), key=lambda each: each.__name__))
def test_every_error_survives_the_way_from_the_triggerer(error: type[NeptuneMLError]) -> None:
    sent = json.loads(json.dumps({"error_type": error.__name__, "error": str(error("why"))}))
    back = revive(sent["error_type"], sent["error"])
    assert (type(back), str(back)) == (error, "why")


@with_policies
@pytest.mark.parametrize(
    ("error", "action", "delay"),
    [
        (NeptuneMLJobInputError, "fail", None),
        (NeptuneMLJobCapacityError, "retry", timedelta(minutes=20)),
        (NeptuneMLCapacityError, "retry", timedelta(minutes=20)),
        (NeptuneMLJobInterruptedError, "retry", timedelta(minutes=1)),
        (NeptuneMLThrottledError, "retry", timedelta(seconds=30)),
        (NeptuneMLCredentialsError, "retry", timedelta(minutes=5)),
        (NeptuneMLUnavailableError, "retry", timedelta(minutes=5)),
        (NeptuneMLJobFailedError, "default", None),
        (NeptuneMLTimeoutError, "default", None),
        (KeyError, "default", None),
    ],
)
def test_what_the_policy_makes_of_an_error(error: type[Exception], action: str, delay: timedelta | None) -> None:
    decision = NEPTUNE_ML_RETRY_POLICY.evaluate(error("why"), try_number=1, max_tries=3)
    assert (decision.action.value, decision.retry_delay) == (action, delay)
    assert action == "default" or decision.reason in {row.reason for row in ROWS}


@with_policies
def test_a_policy_with_other_delays() -> None:
    policy = retry_policy(capacity=timedelta(hours=2))
    decisions = [policy.evaluate(each("why"), 1, 3) for each in (NeptuneMLJobCapacityError, NeptuneMLThrottledError)]
    assert [each.retry_delay for each in decisions] == [timedelta(hours=2), timedelta(seconds=30)]
    with pytest.raises(TypeError, match="no delay is called input"):
        retry_policy(input=timedelta(hours=2))


@with_policies
def test_every_row_names_an_error_and_survives_serialization() -> None:
    assert {row.path for row in ROWS} == {f"{row.error.__module__}.{row.error.__name__}" for row in ROWS}
    assert all(getattr(errors, row.error.__name__) is row.error for row in ROWS)
    again = type(NEPTUNE_ML_RETRY_POLICY).deserialize(NEPTUNE_ML_RETRY_POLICY.serialize())
    assert again.evaluate(NeptuneMLJobInputError("why"), 1, 3).action.value == "fail"


def test_a_dag_gives_it_to_all_of_its_tasks() -> None:
    with DAG("d", schedule=None, default_args={"retry_policy": NEPTUNE_ML_RETRY_POLICY, "endpoint_url": "http://c"}):
        process = NeptuneMLDataProcessingOperator(task_id="process", **LOCATIONS)
        sensor = NeptuneMLDataProcessingSensor(task_id="sense", job_id="x")
        without = NeptuneMLDataProcessingOperator(task_id="without", retry_policy=None, **LOCATIONS)
    assert [bool(task.retry_policy) for task in (process, sensor, without)] == [True, True, False]


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(
    ("reason", "expected"), [(BAD_DATA, NeptuneMLJobInputError), (NO_ROOM, NeptuneMLJobCapacityError)]
)
def test_a_task_fails_by_what_its_job_failed_of(
    play: LocalNeptune,
    process: Callable[..., Run],
    reason: str,
    expected: type[NeptuneMLError],
    deferrable: bool,
) -> None:
    play.fault("StartMLDataProcessingJob", fail=reason)
    with pytest.raises(NeptuneMLJobFailedError, match=reason) as error:
        process(deferrable=deferrable).to_end()
    assert type(error.value) is expected
    assert not isinstance(error.value, AirflowFailException)  # without a policy, it is tried again as retries say


def test_before_airflow_33_the_policy_fails_for_good_by_the_type_of_the_exception(
    play: LocalNeptune, process: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neptune_airflow.task.has_retry_policies", lambda: False)
    failures: list[NeptuneMLJobFailedError] = []
    for reason in (BAD_DATA, NO_ROOM):
        play.fault("StartMLDataProcessingJob", fail=reason)
        run = process(retry_policy=NEPTUNE_ML_RETRY_POLICY)
        run.ti.run_id = reason.partition(":")[0]
        with pytest.raises(NeptuneMLJobFailedError) as error:
            run.to_end()
        failures.append(error.value)
    assert [type(each) for each in failures] == [NeptuneMLJobInputForGoodError, NeptuneMLJobCapacityError]
    assert [isinstance(each, AirflowFailException) for each in failures] == [True, False]


def test_a_sensor_is_not_retried_whatever_the_job_failed_of(play: LocalNeptune) -> None:
    play.fault("StartMLDataProcessingJob", fail=NO_ROOM)
    submitted = play.client("neptunedata").start_ml_data_processing_job(
        inputDataS3Location="s3://neptune-ml/in", processedDataS3Location="s3://neptune-ml/out"
    )
    sensor = NeptuneMLDataProcessingSensor(task_id="sense", job_id=submitted["id"], poke_interval=0.1)
    with pytest.raises(NeptuneMLWatchedJobFailedError, match="CapacityError") as error:
        Run(sensor).to_end()
    assert isinstance(error.value, NeptuneMLRequestError)


DAG_FILE = """
from datetime import timedelta

import pendulum
from neptune_airflow.compat import DAG

from neptune_airflow.compat import has_retry_policies
from neptune_airflow.operators.neptune_ml import NeptuneMLDataProcessingOperator
from neptune_airflow.retries import retry_policy

with DAG(
    "policed",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    default_args={
        "retries": 2,
        "retry_delay": timedelta(hours=5) if has_retry_policies() else timedelta(seconds=1),
        "retry_policy": retry_policy(capacity=timedelta(seconds=2)),
        "waiter_delay": 0.1,
        "input_data_s3_location": "s3://neptune-ml/in",
        "processed_data_s3_location": "s3://neptune-ml/out",
        "deferrable": True,
    },
) as dag:
    bad_data = NeptuneMLDataProcessingOperator(task_id="bad-data", job_id="bad-data-{{ ti.try_number }}")
    no_room = NeptuneMLDataProcessingOperator(task_id="no-room", job_id="no-room-{{ ti.try_number }}")

if __name__ == "__main__":
    run = dag.test()
    for ti in run.get_task_instances():
        print("TI", ti.task_id, ti.state, ti.try_number)
"""


def test_in_airflow_bad_data_ends_the_task_and_a_lack_of_room_is_waited_out(
    airflow: dict[str, str], play: LocalNeptune, jobs: Any
) -> None:
    play.fault("StartMLDataProcessingJob", id="bad-data-1", fail=BAD_DATA)
    play.fault("StartMLDataProcessingJob", id="no-room-1", fail=NO_ROOM)
    said = dag_run(airflow, "policed", DAG_FILE)
    # By the policy's delay, where there is one: the task's own is five hours.
    assert sorted(marked(said, "TI")) == ["bad-data failed 1", "no-room success 2"]
    assert sorted(call["id"] for call in jobs()) == ["bad-data-1", "no-room-1", "no-room-2"]
    assert not has_retry_policies() or any("Waiting for an instance" in line for line in said)
