"""The table of job kinds, what answers say of a job, and which job a task may call its own: nothing but values."""

from __future__ import annotations

import hashlib
import re
from types import SimpleNamespace
from typing import Any

import pytest

from neptune_airflow.attempt import Attempt, Move
from neptune_airflow.jobs import (
    DATA_PROCESSING,
    ENDPOINT,
    ENDPOINT_DELETION,
    EXPORT,
    ID_LENGTH,
    KINDS,
    MODEL_TRAINING,
    MODEL_TRANSFORM,
    Job,
    JobKind,
    Phase,
)

WORDS = {
    "data_processing model_training model_transform": {
        Phase.ACTIVE: "Pending Starting InProgress inprogress",
        Phase.STOPPING: "Stopping",
        Phase.SUCCEEDED: "Completed COMPLETED",
        Phase.FAILED: "Failed",
        Phase.STOPPED: "Stopped",
        Phase.UNKNOWN: "Deleted InService Succeeded",
    },
    "endpoint": {
        Phase.ACTIVE: "Creating Updating SystemUpdating RollingBack",
        Phase.STOPPING: "Deleting",
        Phase.SUCCEEDED: "InService",
        Phase.FAILED: "Failed OutOfService UpdateRollbackFailed",
        Phase.UNKNOWN: "Completed Deleted",
    },
    "endpoint_deletion": {
        Phase.ACTIVE: "Creating Updating InService Deleting Failed OutOfService",
        Phase.SUCCEEDED: "Deleted deleted",
        Phase.UNKNOWN: "Completed",
    },
    "export": {
        Phase.ACTIVE: "submitted pending runnable starting running RUNNING",
        Phase.STOPPING: "cancelling",
        Phase.SUCCEEDED: "succeeded",
        Phase.FAILED: "failed",
        Phase.STOPPED: "cancelled",
        Phase.UNKNOWN: "Completed",
    },
}
ARN = "arn:aws:sagemaker:eu-west-1:123456789012:processing-job/abc"
ATTEMPT = Attempt("dag", "run", "group.my task", -1, 1)


@pytest.mark.parametrize(
    ("kind", "word", "phase"),
    [
        (KINDS[kind], word, phase)
        for kinds, phases in WORDS.items()
        for kind in kinds.split()
        for phase, words in phases.items()
        for word in words.split()
    ],
)
def test_what_a_word_means(kind: JobKind, word: str, phase: Phase) -> None:
    assert kind.phase(word) is phase


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("nothing", [None, ""])
def test_no_word_is_none_that_is_known(kind: JobKind, nothing: str | None) -> None:
    assert kind.phase(nothing) is Phase.UNKNOWN


def test_what_has_ended() -> None:
    assert [phase for phase in Phase if phase.ended] == [Phase.SUCCEEDED, Phase.FAILED, Phase.STOPPED]


@pytest.mark.parametrize(
    ("kind", "name", "place"),
    [
        (DATA_PROCESSING, "abc", ("/aws/sagemaker/ProcessingJobs", "abc")),
        (ENDPOINT, "abc", ("/aws/sagemaker/Endpoints/abc", "")),
        (EXPORT, "abc", (None, "")),
        (DATA_PROCESSING, None, (None, "")),
        (DATA_PROCESSING, "", (None, "")),
    ],
)
def test_where_a_log_is(kind: JobKind, name: str | None, place: tuple[str | None, str]) -> None:
    assert kind.log_place(name) == place


@pytest.mark.parametrize(
    ("kind", "request_", "seconds"),
    [
        (DATA_PROCESSING, {}, 86_400),
        (DATA_PROCESSING, {"processingTimeOutInSeconds": 600}, 600),
        (DATA_PROCESSING, {"processingTimeOutInSeconds": None}, 86_400),
        (DATA_PROCESSING, {"trainingTimeOutInSeconds": 600}, 86_400),
        (EXPORT, {"": 5}, 5),  # it has no such field, so nothing can be sent under its name
        (ENDPOINT, {}, 3600),
        (ENDPOINT_DELETION, {}, 600),
        # Two trainings at once by default, of two: one round.
        (MODEL_TRAINING, {}, 86_400),
        (MODEL_TRAINING, {"trainingTimeOutInSeconds": "60"}, 60),
        (MODEL_TRAINING, {"trainingTimeOutInSeconds": 60, "maxHPONumberOfTrainingJobs": 10}, 300),
        (
            MODEL_TRAINING,
            {"trainingTimeOutInSeconds": 60, "maxHPONumberOfTrainingJobs": 10, "maxHPOParallelTrainingJobs": 4},
            180,
        ),
        (
            MODEL_TRAINING,
            {"trainingTimeOutInSeconds": 60, "maxHPONumberOfTrainingJobs": 2, "maxHPOParallelTrainingJobs": 10},
            60,
        ),
        (MODEL_TRAINING, {"trainingTimeOutInSeconds": 60, "maxHPOParallelTrainingJobs": 1}, 120),
    ],
)
def test_the_longest_that_a_job_may_take(kind: JobKind, request_: dict[str, Any], seconds: int) -> None:
    assert kind.longest(request_) == seconds


def test_an_answer_is_read_in_full() -> None:
    answer = {
        "id": "own",
        "status": "Failed",
        "processingJob": {
            "arn": ARN,
            "name": "abc",
            "status": "Stopped",
            "outputLocation": "s3://out",
            "failureReason": "no",
            "cloudwatchLogUrl": "https://log",
        },
        "hpoJob": {"name": "tuning"},
        "modelTransformJob": {"name": "abc"},
        "ResponseMetadata": {"HTTPHeaders": {"x-neptune-ml-console": "http://console"}},
    }
    assert Job.from_answer(MODEL_TRAINING, answer, "asked") == Job(
        kind="model_training",
        id="own",
        status="Failed",
        arn=ARN,
        name="abc",
        output_location="s3://out",
        failure_reason="no",
        log_url="https://log",
        parts={"hpoJob": "tuning"},
        console="http://console",
    )


def test_what_an_answer_does_not_say_is_taken_from_where_else_it_stands() -> None:
    assert Job.from_answer(DATA_PROCESSING, {}) == Job("data_processing", "")
    assert Job.from_answer(DATA_PROCESSING, {}, "asked").id == "asked"
    part = {"processingJob": {"status": "InProgress"}, "arn": ARN, "name": "outer", "failureReason": "outer too"}
    job = Job.from_answer(DATA_PROCESSING, part)
    assert (job.status, job.arn, job.name, job.failure_reason) == ("InProgress", ARN, "outer", "outer too")
    # A part that is no object is none, and an empty one says nothing; the reason may be another part's.
    odd = {"processingJob": "x", "processingJobDefinition": {"name": ""}, "hpoJob": {"failureReason": "trial"}}
    job = Job.from_answer(MODEL_TRAINING, odd)
    assert (job.name, job.failure_reason, job.parts) == (None, "trial", None)


def test_an_answer_of_another_service_has_other_words() -> None:
    answer = {"jobId": "7", "status": "succeeded", "jobName": "name", "outputS3Uri": "s3://out", "logs": "https://log"}
    job = Job.from_answer(EXPORT, answer)
    assert (job.id, job.name, job.output_location, job.log_url) == ("7", "name", "s3://out", "https://log")
    assert job.as_dict() == {
        "kind": "export",
        "id": "7",
        "status": "succeeded",
        "name": "name",
        "output_location": "s3://out",
        "log_url": "https://log",
        "output_s3_uri": "s3://out",
    }


def test_an_endpoint_names_its_configuration() -> None:
    assert Job.from_answer(ENDPOINT, {"endpointConfig": {"name": "config-2"}}).configuration == "config-2"
    assert Job.from_answer(ENDPOINT, {"endpointConfig": None}).configuration is None


def test_what_an_answer_tells_hides_its_secrets() -> None:
    signed = "https://bucket/x?X-Amz-Signature=0123456789abcdef0123456789abcdef"
    transform = {"processingJob": {"name": "own", "failureReason": signed}, "remoteModelTransformJob": {"name": signed}}
    job = Job.from_answer(MODEL_TRANSFORM, transform)
    assert "0123456789abcdef" not in str(job)
    assert job.parts is not None
    assert set(job.parts) == {"remoteModelTransformJob"}


def test_an_output_that_is_not_known_has_no_further_name() -> None:
    assert Job("export", "7").as_dict() == {"kind": "export", "id": "7"}
    assert Job("data_processing", "7", output_location="s3://out").as_dict() == {
        "kind": "data_processing",
        "id": "7",
        "output_location": "s3://out",
    }


def test_a_dict_is_read_again_whatever_else_it_has() -> None:
    job = Job("export", "7", "running", output_location="s3://out", metrics={"eval": {"acc": 1.0}})
    assert Job.from_dict({**job.as_dict(), "of_a_later_version": 1}) == job


@pytest.mark.parametrize(
    ("arn", "region"),
    [
        (ARN, "eu-west-1"),
        (None, None),
        ("", None),
        ("arn:aws:s3:::bucket", None),
        ("a:b:c:d", None),
        ("a:b:c:d:e", "d"),
    ],
)
def test_the_region_is_the_arns(arn: str | None, region: str | None) -> None:
    assert Job("export", "7", arn=arn).region == region


def test_the_phase_is_its_kinds() -> None:
    assert Job("endpoint", "7", "InService").phase is Phase.SUCCEEDED
    assert Job("export", "7").phase is Phase.UNKNOWN


@pytest.mark.parametrize(
    ("max_tries", "retries", "try_number", "first"),
    [
        (0, 0, 1, 1),
        (0, 0, 2, 1),
        (2, 2, 1, 1),
        (2, 2, 3, 1),
        (4, 2, 3, 3),  # cleared after two tries
        (4, 2, 5, 3),
        (1, 0, 2, 2),
        (None, 0, 1, 1),
        (None, 3, 1, 1),
        (9, 0, 2, 2),  # never later than this try
    ],
)
def test_an_attempt_begins_with_the_first_try_or_a_clear(
    max_tries: int | None, retries: int, try_number: int, first: int
) -> None:
    ti = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=4, try_number=try_number, max_tries=max_tries)
    assert Attempt.of(ti, retries) == Attempt("d", "r", "t", 4, try_number, first)


def test_a_jobs_id_is_a_digest_the_tasks_name_and_the_try() -> None:
    digest = hashlib.sha256(b"dag\nrun\ngroup.my task\n-1").hexdigest()[:12]
    assert ATTEMPT.job_id() == f"{digest}-my-task-1"
    assert ATTEMPT.job_id(12) == f"{digest}-my-task-12"


@pytest.mark.parametrize(
    ("task_id", "slug"),
    [
        ("a.b.c", "c"),
        ("__x__y__", "x-y"),
        ("ünïcode", "n-code"),
        ("Xx-X", "Xx-X"),
        ("t" * 60, "t" * 33),
        ("t" * 32 + "-_" + "u" * 9, "t" * 32),
        ("t" * 31 + "X-" + "u" * 9, "t" * 31 + "X"),
        ("é", ""),
    ],
)
def test_the_name_in_an_id_is_what_ids_may_have(task_id: str, slug: str) -> None:
    job_id = ATTEMPT._replace(task_id=task_id).job_id()
    assert re.fullmatch(rf"[A-Za-z0-9-]{{1,{ID_LENGTH}}}", job_id)
    assert job_id[12:] == (f"-{slug}-1" if slug else "-1")


def test_each_of_dag_run_task_and_map_index_makes_another_id() -> None:
    others = [ATTEMPT._replace(**{field: "x"}) for field in ("dag_id", "run_id", "task_id")]
    ids = {each.job_id()[:12] for each in (ATTEMPT, ATTEMPT._replace(map_index=0), *others)}
    assert len(ids) == 5


def test_ids_are_given_from_this_try_back_to_the_first() -> None:
    attempt = ATTEMPT._replace(try_number=3, first_try=3)
    assert list(attempt.job_ids()) == [(number, attempt.job_id(number)) for number in (3, 2, 1)]


@pytest.mark.parametrize(
    ("phase", "own", "older"),
    [
        (Phase.ACTIVE, Move.KEEP, Move.REPLACE),
        (Phase.UNKNOWN, Move.KEEP, Move.REPLACE),
        (Phase.STOPPING, Move.WAIT_OUT, Move.WAIT_OUT),
        (Phase.SUCCEEDED, Move.KEEP, Move.SUBMIT),
        (Phase.FAILED, Move.SUBMIT, Move.SUBMIT),
        (Phase.STOPPED, Move.SUBMIT, Move.SUBMIT),
    ],
)
def test_what_becomes_of_an_earlier_job(phase: Phase, own: Move, older: Move) -> None:
    attempt = ATTEMPT._replace(try_number=4, first_try=3)
    assert attempt.next_move(4, phase) is Move.KEEP
    assert attempt.next_move(3, phase) is own
    assert attempt.next_move(2, phase) is older
    lasting = {Move.SUBMIT: Move.REPLACE}
    assert attempt.next_move(4, phase, lasts=True) is Move.KEEP
    assert attempt.next_move(3, phase, lasts=True) is lasting.get(own, own)
    assert attempt.next_move(2, phase, lasts=True) is lasting.get(older, older)
