"""How a task's wait ends, what comes of it, and which arguments it takes: by itself, as in `test_submitting`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chaos.versions import alias_events
from neptune_airflow import task
from neptune_airflow.compat import Asset, AssetAlias, TaskDeferralTimeout
from neptune_airflow.errors import (
    NeptuneMLError,
    NeptuneMLJobFailedError,
    NeptuneMLKilledError,
    NeptuneMLParameterError,
    NeptuneMLTimeoutError,
)
from neptune_airflow.operators.base import template_fields
from neptune_airflow.operators.neptune_ml import (
    NeptuneMLDataProcessingOperator,
    NeptuneMLModelTrainingOperator,
)
from neptune_airflow.records import moment
from tests.domain.story import IN, OUT, Clock, Hook, ids
from tests.provider.worker import Run

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


def test_what_a_job_has_written_is_an_asset_of_an_alias(process: Any, hook: Hook) -> None:
    alias = AssetAlias("made")
    run = process(outlets=[alias])
    job = run.execute()
    assert alias_events(run.events[alias]) == [(OUT, job)]


def test_a_task_that_is_resumed_and_ended_asks_airflow_about_itself(
    process: Any, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = process(deferrable=True)
    hook.new = ["Pending"]
    run.deferred()
    asked: list[Any] = []
    monkeypatch.setattr("neptune_airflow.operators.owner.task_state", lambda ti: asked.append(ti) or "failed")
    monkeypatch.setattr(task.NeptuneMLTask, "_revive", lambda self, event: self.on_kill() or self._check_killed())
    with pytest.raises(NeptuneMLKilledError):
        run.resume("execute_complete", event={"job": {"kind": "data_processing", "id": "7"}})
    assert asked == [run.ti]
    assert hook.verbs("describe", "start") == [("cancel", "7")]


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
