"""How a task comes by its job: what it asks of its hook, in which order and when, with the answers given.

The same with a real service, real processes and Airflow's own runner is in `tests/provider`; here it takes no time.
"""

from __future__ import annotations

from typing import Any

import pytest

from neptune_airflow.errors import (
    NeptuneMLAnswerLostError,
    NeptuneMLCredentialsError,
    NeptuneMLJobExistsError,
    NeptuneMLJobFailedError,
    NeptuneMLJobNotFoundError,
    NeptuneMLRequestError,
    NeptuneMLTimeoutError,
    NeptuneMLUnavailableError,
)
from neptune_airflow.operators.neptune_export import NeptuneExportOperator
from tests.domain.story import AWAY, EXPIRED, IN, LATER, OUT, REFUSED, TAKEN, Clock, Hook, ids, tried
from tests.versions import needs_state_store

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
