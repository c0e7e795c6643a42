"""The story of a job by itself: what a task asks of its hook, in which order and when, with the answers given.

The same with a real service, real processes and Airflow's own runner is in `tests/provider`; here it takes no time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from neptune_airflow import letting_go, task, watch
from neptune_airflow.attempt import Attempt
from neptune_airflow.compat import Asset, TaskDeferralTimeout
from neptune_airflow.errors import (
    NeptuneMLAnswerLostError,
    NeptuneMLCredentialsError,
    NeptuneMLError,
    NeptuneMLJobExistsError,
    NeptuneMLJobFailedError,
    NeptuneMLJobNotFoundError,
    NeptuneMLParameterError,
    NeptuneMLRequestError,
    NeptuneMLTimeoutError,
    NeptuneMLUnavailableError,
)
from neptune_airflow.jobs import Job, JobKind
from neptune_airflow.operators import base, teller
from neptune_airflow.operators.base import template_fields
from neptune_airflow.operators.neptune_export import NeptuneExportOperator
from neptune_airflow.operators.neptune_ml import (
    NeptuneMLCreateEndpointOperator,
    NeptuneMLDataProcessingOperator,
    NeptuneMLModelTrainingOperator,
)
from neptune_airflow.records import moment
from tests.provider.worker import Run, TaskInstance
from tests.versions import needs_state_store

IN, OUT = "s3://bucket/in", "s3://bucket/out"
AWAY = NeptuneMLUnavailableError("away")
LATER = NeptuneMLUnavailableError("later", maybe_done=False)
EXPIRED = NeptuneMLCredentialsError("expired")
REFUSED = NeptuneMLRequestError("refused")
TAKEN = NeptuneMLJobExistsError("taken")


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now, self.slept = 1_700_000_000.0, [0.0]

    def time(self) -> float:
        return self.now

    monotonic = time

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept[-1] += seconds


class Hook:
    """A service that knows the jobs that were started, and answers as it is told before that.

    :ivar words: what a job's status is at each further look; the last one stays.
    :ivar first: errors for the next calls of a verb.
    """

    signing_region = "us-east-1"
    endpoint_url = "https://cluster:8182"

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.calls: list[tuple[str, str]] = []
        self.requests: list[dict[str, Any]] = []
        self.words: dict[str, list[str]] = {}
        self.first: defaultdict[str, list[Exception]] = defaultdict(list)
        self.new = ["Completed"]
        self.made = 0

    def _called(self, verb: str, what: str) -> None:
        self.calls.append((verb, what))
        self.clock.slept.append(0.0)
        if self.first[verb]:
            raise self.first[verb].pop(0)

    def start_job(self, kind: JobKind, request: dict[str, Any]) -> Job:
        self.requests.append(dict(request))
        job_id = request.get("id", "picked")
        self._called("start", job_id)
        self.words[job_id] = list(self.new)
        return Job(kind.name, job_id)

    def describe_job(self, kind: JobKind, job_id: str) -> Job:
        self._called("describe", job_id)
        if job_id not in self.words:
            if kind.gone:
                return Job(kind.name, job_id, kind.gone)
            raise NeptuneMLJobNotFoundError(f"no job {job_id}")
        words = self.words[job_id]
        return Job(kind.name, job_id, words.pop(0) if len(words) > 1 else words[0], output_location=OUT)

    def cancel_job(self, kind: JobKind, job_id: str, clean: bool = False) -> bool:
        self._called("cancel", job_id)
        if kind.removal:
            del self.words[job_id]
        else:
            self.words[job_id] = ["Stopped"]
        return True

    def log_tail(self, job: Job, lines: int = 50) -> list[str]:
        return []

    def read_metrics(self, job: Job) -> dict[str, Any]:
        return {"eval": {"acc": 1.0}}

    def verbs(self, *left_out: str) -> list[tuple[str, str]]:
        return [call for call in self.calls if call[0] not in left_out]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    passing = Clock()
    for module in (base, task, teller, letting_go, watch):
        monkeypatch.setattr(module, "time", passing)
    return passing


@pytest.fixture
def hook(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Hook:
    """What every task's hook is, and asks Airflow's state of no task."""
    answering = Hook(clock)

    def make(*_: Any) -> Hook:
        answering.made += 1
        return answering

    monkeypatch.setattr("neptune_airflow.hooks.make_hook", make)
    monkeypatch.setattr("neptune_airflow.operators.owner.task_state", lambda _: "running")
    monkeypatch.setenv("AIRFLOW__NEPTUNE_ML__READ_REPORTS", "False")
    return answering


@pytest.fixture
def process(hook: Hook) -> Callable[..., Run]:
    def make(operator: Any = NeptuneMLDataProcessingOperator, **given: Any) -> Run:
        locations = {"input_data_s3_location": IN, "processed_data_s3_location": OUT}
        given = {"deferrable": False, "print_log": False, "waiter_delay": 10, **given}
        if operator is NeptuneMLDataProcessingOperator:
            given = locations | given
        return Run(operator(task_id="t", **given))

    return make


@pytest.fixture
def endpoint(process: Callable[..., Run], hook: Hook) -> Callable[..., Run]:
    def make(**given: Any) -> Run:
        hook.new = ["InService"]
        return process(NeptuneMLCreateEndpointOperator, ml_model_training_job_id="training", **given)

    return make


def ids(run: Run) -> Iterator[str]:
    """Give the ids of the task's first, second, … try."""
    attempt = Attempt.of(run.ti, 0)
    return (attempt.job_id(number) for number in range(1, 9))


def tried(run: Run, number: int, retries: int = 0) -> Run:
    """Let earlier tries have been, without a trace but in the service; ``retries`` of them by themselves."""
    run.task.retries = retries
    run.ti = TaskInstance("t", try_number=number, max_tries=max(number - 1, retries) if retries else number - 1)
    return run


# Submit once.


def test_a_job_is_looked_for_submitted_and_looked_at_until_it_has_ended(process: Any, hook: Hook, clock: Clock) -> None:
    run = process()
    first = next(ids(run))
    hook.new = ["Pending", "InProgress", "Completed"]
    assert run.execute() == {"kind": "data_processing", "id": first, "status": "Completed", "output_location": OUT}
    assert hook.calls == [("describe", first), ("start", first), *[("describe", first)] * 3]
    assert hook.requests == [{"id": first, "inputDataS3Location": IN, "processedDataS3Location": OUT}]
    # How soon after its start it is looked at again is `Watch`'s; here only that it is not at once.
    assert clock.slept[-2] > 0


def test_a_job_that_is_not_waited_for_is_left(process: Any, hook: Hook) -> None:
    run = process(wait_for_completion=False)
    hook.new = ["Pending"]
    assert run.execute()["status"] == "Pending"
    assert [verb for verb, _ in hook.calls] == ["describe", "start", "describe"]
    run.task.on_kill()
    assert hook.verbs("describe", "start") == []


def test_a_job_that_has_failed_already_fails_the_task_that_would_not_wait(process: Any, hook: Hook) -> None:
    hook.new = ["Failed"]
    with pytest.raises(NeptuneMLJobFailedError, match="is Failed: no reason was given"):
        process(wait_for_completion=False).execute()
    assert hook.verbs("describe", "start") == []  # nothing to cancel


@pytest.mark.parametrize("verb", ["describe", "start"])
def test_a_service_that_is_away_is_asked_again_ever_more_seldom(
    process: Any, hook: Hook, clock: Clock, verb: str
) -> None:
    hook.first[verb] = [AWAY] * 7
    began = clock.now
    process().execute()
    pauses = [1, 2, 4, 8, 16, 30, 30]
    assert [pause for pause in clock.slept if pause][:7] == pytest.approx(pauses)
    assert clock.now - began == pytest.approx(sum(pauses))


def test_a_service_that_stays_away_is_given_up_after_five_minutes(process: Any, hook: Hook, clock: Clock) -> None:
    hook.first["describe"] = [AWAY] * 100
    began = clock.now
    with pytest.raises(NeptuneMLUnavailableError, match="away"):
        process().execute()
    # 1 + 2 + 4 + 8 + 16 are 31, and eight times 30 are 240; one more would be later than 300.
    assert clock.now - began == pytest.approx(271)


def test_a_pause_that_ends_with_the_patience_is_still_taken(
    process: Any, hook: Hook, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neptune_airflow.letting_go.PATIENCE", 3)
    hook.first["describe"] = [AWAY] * 3
    with pytest.raises(NeptuneMLUnavailableError, match="away"):
        process().execute()
    assert hook.verbs("cancel") == [hook.calls[0]] * 3


def test_refused_credentials_are_read_again_for_a_minute_from_the_first_refusal(
    process: Any, hook: Hook, clock: Clock
) -> None:
    hook.first["describe"] = [*[AWAY] * 7, *[EXPIRED] * 100]
    began = clock.now
    with pytest.raises(NeptuneMLCredentialsError):
        process().execute()
    # The seventh pause ends after 91 s, where the minute begins; two of 30 s fit into it.
    assert clock.now - began == pytest.approx(151)
    assert hook.made == 1 + 3


def test_an_answer_that_is_lost_is_asked_for_by_its_id(process: Any, hook: Hook) -> None:
    run = process()
    first = next(ids(run))
    hook.first["start"] = [AWAY, TAKEN]
    hook.first["describe"] = [NeptuneMLJobNotFoundError("none")]
    hook.words[first] = ["Completed"]
    assert run.execute()["status"] == "Completed"
    assert [verb for verb, _ in hook.calls] == ["describe", "start", "start", "describe", "describe"]


def test_an_id_that_is_taken_all_at_once_is_this_tasks(process: Any, hook: Hook) -> None:
    """Its start by a worker that is gone was slow."""
    run = process()
    hook.first["describe"] = [NeptuneMLJobNotFoundError("none")]
    hook.first["start"] = [TAKEN]
    hook.words[next(ids(run))] = ["Completed"]
    assert run.execute()["id"] == next(ids(run))


def test_what_can_not_be_described_after_its_start_is_known_by_its_id(process: Any, hook: Hook) -> None:
    run = process(wait_for_completion=False)
    hook.first["describe"] = [NeptuneMLJobNotFoundError("none"), AWAY]
    assert run.execute() == {"kind": "data_processing", "id": next(ids(run))}


@pytest.mark.parametrize("first", [[REFUSED], [LATER, REFUSED]], ids=["at once", "after a refusal for now"])
def test_a_refused_start_leaves_nothing_to_cancel(process: Any, hook: Hook, first: list[Exception]) -> None:
    hook.first["start"] = list(first)
    with pytest.raises(NeptuneMLRequestError, match="refused"):
        process().execute()
    assert hook.verbs("describe", "start") == []


def test_a_start_that_may_have_been_done_is_cancelled_when_the_next_is_refused(process: Any, hook: Hook) -> None:
    run = process()
    hook.first["start"] = [AWAY, LATER, REFUSED]
    with pytest.raises(NeptuneMLRequestError, match="refused"):
        run.execute()
    assert hook.verbs("describe", "start") == [("cancel", next(ids(run)))]


def test_cancel_on_kill_false_leaves_it(process: Any, hook: Hook) -> None:
    hook.first["start"] = [AWAY, REFUSED]
    with pytest.raises(NeptuneMLRequestError):
        process(cancel_on_kill=False).execute()
    assert hook.verbs("describe", "start") == []


# An id of the user's.


def test_an_id_of_the_users_is_used_as_it_is(process: Any, hook: Hook) -> None:
    assert process(job_id="mine").execute()["id"] == "mine"
    assert hook.calls[:2] == [("describe", "mine"), ("start", "mine")]


@pytest.mark.parametrize("first", [[], [TAKEN], [LATER, TAKEN]], ids=["there", "meanwhile", "after a refusal for now"])
def test_an_id_of_the_users_that_exists_is_an_error(process: Any, hook: Hook, first: list[Exception]) -> None:
    if first:
        hook.first["start"] = list(first)
    else:
        hook.words["mine"] = ["InProgress"]
    with pytest.raises(NeptuneMLJobExistsError) as error:
        process(job_id="mine").execute()
    said = str(error.value)
    assert "NeptuneMLDataProcessingOperator 't': the data processing job 'mine' exists already. " in said
    assert ("It is InProgress." if not first else "taken") in said
    assert "What to do: leave job_id out" in said
    assert "{{ run_id | replace(':', '-') }} and {{ ti.try_number }}" in said
    assert hook.verbs("describe", "start") == []


def test_an_id_of_the_users_survives_a_lost_answer(process: Any, hook: Hook) -> None:
    hook.first["start"] = [AWAY, LATER, TAKEN]
    hook.first["describe"] = [NeptuneMLJobNotFoundError("none")]
    hook.words["mine"] = ["Completed"]
    # It is looked for first, and not there yet.
    assert process(job_id="mine").execute()["id"] == "mine"


# Another try.


def test_a_retry_goes_on_with_the_newest_job_that_is_there(process: Any, hook: Hook) -> None:
    run = tried(process(), 4, retries=3)
    first, second, third, fourth, *_ = ids(run)
    hook.words |= {first: ["Completed"], second: ["InProgress", "Completed"]}
    assert run.execute()["id"] == second
    assert hook.calls[:3] == [("describe", each) for each in (fourth, third, second)]
    assert ("describe", first) not in hook.calls
    assert hook.verbs("describe") == []
    assert run.task.record.values["adopted"] is True


def test_a_retry_after_a_failure_takes_the_first_id_that_is_free(process: Any, hook: Hook) -> None:
    run = tried(process(), 4, retries=3)
    first, second, *_ = ids(run)
    hook.words |= {first: ["Failed"]}
    assert run.execute()["id"] == second
    assert not run.task.record.values["adopted"]


def test_a_clear_takes_the_first_id_of_its_attempt(process: Any, hook: Hook) -> None:
    run = tried(process(), 3)
    first, _, third, *_ = ids(run)
    hook.words |= {first: ["Completed"]}
    assert run.execute()["id"] == third


def test_a_clear_cancels_a_job_that_lives_and_waits_until_it_has_stopped(process: Any, hook: Hook) -> None:
    run = tried(process(), 2)
    first, second, *_ = ids(run)
    hook.words |= {first: ["InProgress"]}
    assert run.execute()["id"] == second
    assert hook.verbs("describe") == [("cancel", first), ("start", second)]
    assert hook.calls.index(("cancel", first)) < hook.calls.index(("describe", first), 3)


def test_a_job_that_stops_is_waited_out_and_not_cancelled_again(process: Any, hook: Hook) -> None:
    run = tried(process(), 2, retries=1)
    first, second, *_ = ids(run)
    hook.words |= {first: ["Stopping", "Stopping", "Stopped"]}
    assert run.execute()["id"] == second
    assert hook.verbs("describe") == [("start", second)]
    assert hook.calls.count(("describe", first)) == 3


def test_a_job_that_does_not_stop_in_half_an_hour_fails_the_try(process: Any, hook: Hook, clock: Clock) -> None:
    run = tried(process(), 2, retries=1)
    hook.words |= {next(ids(run)): ["Stopping"]}
    began = clock.now
    with pytest.raises(NeptuneMLTimeoutError):
        run.execute()
    assert 1800 <= clock.now - began < 1900
    assert hook.verbs("describe", "start") == [("cancel", next(ids(run)))]


def test_an_endpoint_that_failed_is_taken_away_before_another_is_made(endpoint: Any, hook: Hook) -> None:
    run = tried(endpoint(), 2, retries=1)
    first, second, *_ = ids(run)
    hook.words |= {first: ["Failed"]}
    assert run.execute()["id"] == second
    assert hook.verbs("describe") == [("cancel", first), ("start", second)]


def test_an_endpoint_takes_its_own_trys_id(endpoint: Any, hook: Hook) -> None:
    """One that was taken away tells no more by its absence that it was there."""
    run = tried(endpoint(), 3, retries=2)
    assert run.execute()["id"] == list(ids(run))[2]


def test_an_endpoint_that_fails_is_deleted(endpoint: Any, hook: Hook) -> None:
    run = endpoint()
    hook.new = ["Creating", "Failed"]
    with pytest.raises(NeptuneMLJobFailedError):
        run.execute()
    assert hook.verbs("describe", "start") == [("cancel", next(ids(run)))]


def test_an_endpoint_outlives_its_task_once_it_is_in_service(endpoint: Any, hook: Hook) -> None:
    run = endpoint()
    run.execute()
    run.task.on_kill()
    assert hook.verbs("describe", "start") == []


def test_a_service_that_does_not_say_whether_there_is_a_job_ends_none(process: Any, hook: Hook) -> None:
    run = tried(process(), 2, retries=2)
    run.ti.max_tries = 2
    hook.first["describe"] = [AWAY] * 100
    with pytest.raises(NeptuneMLUnavailableError):
        run.execute()
    assert hook.verbs("describe") == []


# The export service picks its ids.


@needs_state_store
def test_an_export_is_found_by_the_id_that_was_kept(process: Any, hook: Hook) -> None:
    run = process(NeptuneExportOperator, command="export-pg", output_s3_path=OUT, retries=1)
    hook.new = ["running", "failed"]
    with pytest.raises(NeptuneMLJobFailedError):
        run.execute()
    assert run.store["neptune_ml_submitted"] == {"id": "picked", "try": 1}
    assert "id" not in hook.requests[0]
    run.next_try()
    hook.words["picked"] = ["running", "succeeded"]
    assert run.execute()["id"] == "picked"
    assert [verb for verb, _ in hook.calls].count("start") == 1


def test_an_export_whose_answer_is_lost_fails_for_good(process: Any, hook: Hook) -> None:
    run = process(NeptuneExportOperator, command="export-pg", output_s3_path=OUT, retries=1)
    hook.first["start"] = [LATER, AWAY]
    with pytest.raises(NeptuneMLAnswerLostError) as error:
        run.execute()
    assert str(error.value) == (
        "away\nThe service picks its jobs' ids, so it can't be asked whether it has this one: look for it before you "
        "clear this task."
    )
    assert [verb for verb, _ in hook.calls] == ["start", "start"]


# How long.


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({}, 86_400 + 3600),
        ({"processing_time_out_in_seconds": 600}, 600 + 3600),
        ({"wait_timeout": 50}, 50),
        ({"wait_timeout": timedelta(minutes=2)}, 120),
        ({"wait_timeout": 500, "execution_timeout": timedelta(seconds=400)}, 400 - 60),
        ({"wait_timeout": 50, "execution_timeout": timedelta(seconds=400)}, 50),
    ],
)
def test_the_deadline_is_the_sooner_of_two(
    process: Any, hook: Hook, clock: Clock, given: dict[str, Any], seconds: float
) -> None:
    run = process(deferrable=True, **given)
    run.ti.start_date = datetime.fromtimestamp(clock.now - 60, UTC)
    hook.new = ["Pending"]
    deferral = run.deferred()
    assert deferral.trigger.deadline == pytest.approx(clock.now + seconds)
    assert deferral.method_name == "execute_complete"
    assert run.task.record.values["deadline"] == moment(clock.now + seconds)


def test_without_a_beginning_the_time_out_counts_from_now(process: Any, hook: Hook, clock: Clock) -> None:
    run = process(deferrable=True, execution_timeout=timedelta(seconds=400))
    run.ti.start_date = None
    hook.new = ["Pending"]
    assert run.deferred().trigger.deadline == pytest.approx(clock.now + 400)


def test_a_job_that_has_ended_is_not_deferred(process: Any, hook: Hook) -> None:
    assert process(deferrable=True).execute()["status"] == "Completed"


def test_the_deadline_ends_task_and_job(process: Any, hook: Hook, clock: Clock) -> None:
    run = process(wait_timeout=100)
    hook.new = ["InProgress"]
    began = clock.now
    with pytest.raises(NeptuneMLTimeoutError):
        run.execute()
    assert clock.now - began == pytest.approx(100, abs=1)
    assert hook.verbs("describe", "start") == [("cancel", next(ids(run)))]


# The result.


def test_a_trigger_that_has_seen_the_end_ends_the_task_and_tells_its_assets(process: Any, hook: Hook) -> None:
    made = Asset("s3://bucket/made")
    run = process(deferrable=True, outlets=[made])
    hook.new = ["Pending"]
    run.deferred()
    job = {"kind": "data_processing", "id": "7", "status": "Completed"}
    assert run.resume("execute_complete", event={"job": job}) == job
    assert run.events[made].extra == job
    assert hook.verbs("describe", "start") == []


@pytest.mark.parametrize(
    ("event", "error", "cancelled"),
    [
        ({"job": {"kind": "data_processing", "id": "7", "status": "Failed"}}, NeptuneMLJobFailedError, []),
        (
            {"job": {"kind": "data_processing", "id": "7"}, "error": "late", "error_type": "NeptuneMLTimeoutError"},
            NeptuneMLTimeoutError,
            [("cancel", "7")],
        ),
    ],
)
def test_a_trigger_that_has_seen_a_failure_fails_it(
    process: Any, hook: Hook, event: dict[str, Any], error: type[NeptuneMLError], cancelled: list[Any]
) -> None:
    run = process(deferrable=True)
    hook.new = ["Pending"]
    run.deferred()
    with pytest.raises(error):
        run.resume("execute_complete", event=event)
    assert hook.verbs("describe", "start") == cancelled


def test_a_training_brings_its_metrics(process: Any, hook: Hook) -> None:
    training = {"data_processing_job_id": "processing", "train_model_s3_location": OUT}
    run = process(NeptuneMLModelTrainingOperator, **training)
    assert run.execute()["metrics"] == {"eval": {"acc": 1.0}}
    assert run.task._finished.metrics == {"eval": {"acc": 1.0}}


def timed_out(run: Run, monkeypatch: pytest.MonkeyPatch) -> Any:
    def resume(*_: Any, **__: Any) -> None:
        raise TaskDeferralTimeout("Trigger timeout")

    monkeypatch.setattr(task.Recording, "resume_execution", resume, raising=False)
    return run.resume("__fail__", error="Trigger timeout")


def test_a_deferral_that_timed_out_asks_for_the_job_before_it_gives_it_up(
    process: Any, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = process(deferrable=True)
    hook.new = ["Pending", "Pending", "Completed"]
    job_id = run.deferred().trigger.job_id
    with pytest.raises(NeptuneMLTimeoutError) as error:
        timed_out(run, monkeypatch)
    assert f"NeptuneMLDataProcessingOperator 't': the triggerer did not report on the job {job_id!r}" in str(
        error.value
    )
    assert "in time (Trigger timeout)" in str(error.value)
    assert hook.verbs("describe", "start") == [("cancel", job_id)]
    hook.words[job_id] = ["Completed"]
    assert timed_out(run, monkeypatch)["status"] == "Completed"
    assert hook.verbs("describe", "start") == [("cancel", job_id)]


def test_a_deferral_without_a_trace_has_no_job_to_ask_for(
    process: Any, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NeptuneMLTimeoutError, match="on the job None in time"):
        timed_out(process(deferrable=True), monkeypatch)
    assert hook.calls == []


# What it builds on.


@pytest.mark.parametrize(
    ("earlier", "words", "builds_on"),
    [
        (None, {}, ""),
        ({"status": "Completed"}, {}, ""),
        ({"id": "old"}, {"old": ["Completed"]}, "old"),
        ({"id": "old"}, {"old": ["Failed"]}, ""),
        ({"id": "old"}, {"old": ["InProgress"]}, ""),
        ({"id": "old"}, {}, ""),
    ],
)
def test_auto_builds_on_the_last_run_if_that_has_succeeded(
    process: Any, hook: Hook, earlier: Any, words: dict[str, list[str]], builds_on: str
) -> None:
    run = process(previous_data_processing_job_id="auto")
    run.ti.earlier = earlier
    hook.words |= words
    run.execute()
    assert hook.requests[0].get("previousDataProcessingJobId", "") == builds_on
    assert run.ti.xcoms["previous_data_processing_job_id"] == builds_on


def test_a_given_job_is_built_on_unasked(process: Any, hook: Hook) -> None:
    run = process(previous_data_processing_job_id="given")
    hook.words["given"] = ["Completed"]
    run.execute()
    assert hook.requests[0]["previousDataProcessingJobId"] == "given"
    assert run.ti.xcoms["previous_data_processing_job_id"] == "given"


def test_without_an_earlier_job_it_is_told_so(process: Any, hook: Hook) -> None:
    run = process()
    run.execute()
    assert run.ti.xcoms["previous_data_processing_job_id"] == ""


# Arguments.


@pytest.mark.parametrize("wait_timeout", [0, -1, timedelta(0)])
def test_no_time_at_all_is_refused(process: Any, wait_timeout: Any) -> None:
    with pytest.raises(NeptuneMLParameterError) as error:
        process(wait_timeout=wait_timeout)
    seconds = wait_timeout.total_seconds() if isinstance(wait_timeout, timedelta) else wait_timeout
    assert str(error.value) == (
        f"NeptuneMLDataProcessingOperator 't': wait_timeout={seconds!r} is not valid: give seconds, more than 0."
    )


def test_defaults_wait_and_cancel(process: Any) -> None:
    made = process().task
    assert (made.wait_for_completion, made.wait_timeout, made.cancel_on_kill, made._cancels) == (True, None, True, True)
    assert made.multiple_outputs is True
    assert process(cancel_on_kill=False).task._cancels is False
    assert process(multiple_outputs=False).task.multiple_outputs is False
    assert process(wait_timeout=0.5).task.wait_timeout == 0.5


class Together(NeptuneMLDataProcessingOperator):
    """Keeps what is checked together."""

    checked: list[Any]

    def check_together(self, values: Any) -> None:
        vars(self).setdefault("checked", []).append(dict(values))


def test_arguments_are_checked_together_once_all_are_known_and_again_when_rendered(process: Any, hook: Hook) -> None:
    locations = {"input_data_s3_location": IN, "processed_data_s3_location": OUT}
    run = process(Together, processing_time_out_in_seconds="600", **locations)
    known = {"input_data_s3_location": IN, "processing_time_out_in_seconds": 600, "model_type": None}
    assert [{name: told[name] for name in known} for told in run.task.checked] == [known]
    run.execute()
    assert [{name: told[name] for name in known} for told in run.task.checked] == [known] * 2
    templated = process(Together, input_data_s3_location="{{ x }}", processed_data_s3_location=OUT)
    assert "checked" not in vars(templated.task)


def test_a_wrong_argument_is_refused_at_once_whatever_else_is_rendered(process: Any) -> None:
    with pytest.raises(NeptuneMLParameterError, match="NeptuneMLDataProcessingOperator 't'"):
        process(input_data_s3_location="{{ x }}", processing_time_out_in_seconds=-1)


def test_every_argument_of_the_api_and_the_connection_is_rendered() -> None:
    parameters = NeptuneMLDataProcessingOperator.parameters
    fields = template_fields(parameters)
    assert set(fields) == {each.name for each in parameters} | set(task.NeptuneMLTask.connection_fields)
    assert list(fields) == sorted(fields)
