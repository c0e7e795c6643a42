"""What an answer or a job's end means, and what to do about it: the rules, each by the words it was written for."""

from __future__ import annotations

import pytest

from neptune_airflow.compat import AirflowFailException
from neptune_airflow.errors import (
    LONGEST_TEXT,
    NeptuneMLCapacityError,
    NeptuneMLCredentialsError,
    NeptuneMLError,
    NeptuneMLJobCapacityError,
    NeptuneMLJobEndedError,
    NeptuneMLJobExistsError,
    NeptuneMLJobFailedError,
    NeptuneMLJobInputError,
    NeptuneMLJobInputForGoodError,
    NeptuneMLJobInterruptedError,
    NeptuneMLJobNotFoundError,
    NeptuneMLRequestError,
    NeptuneMLThrottledError,
    NeptuneMLUnavailableError,
)
from neptune_airflow.verdicts import classify, classify_failure, revive, split_remedies, with_remedies

SIGNATURE = "X-Amz-Signature=0123456789abcdef0123456789abcdef"
QUIET = ["epoch 1"] * 20


@pytest.mark.parametrize(
    ("status", "code", "text", "error", "maybe_done"),
    [
        (
            400,
            "InvalidParameterException",
            "Another resource with SAME id already exists.",
            NeptuneMLJobExistsError,
            None,
        ),
        (400, "BadRequestException", "Job is already completed or failed", NeptuneMLJobEndedError, None),
        (400, "MLResourceNotFoundException", "no", NeptuneMLJobNotFoundError, None),
        (400, "X", "MLResourceNotFound is only a word here", NeptuneMLRequestError, None),
        (404, "X", "gone", NeptuneMLJobNotFoundError, None),
        (403, "ExpiredTokenException", "", NeptuneMLCredentialsError, False),
        (
            403,
            "AccessDenied",
            "The security token included in the request is invalid",
            NeptuneMLCredentialsError,
            False,
        ),
        (400, "ResourceLimitExceeded", "", NeptuneMLCapacityError, None),
        (400, "ThrottlingException", "", NeptuneMLThrottledError, False),
        (429, "X", "", NeptuneMLThrottledError, False),
        (400, "ConcurrentModificationException", "", NeptuneMLUnavailableError, False),
        (400, "InternalFailureException", "", NeptuneMLUnavailableError, True),
        (408, "X", "", NeptuneMLUnavailableError, True),
        (500, "X", "", NeptuneMLUnavailableError, True),
        (599, "X", "", NeptuneMLUnavailableError, True),
        (499, "X", "", NeptuneMLRequestError, None),
        (600, "X", "", NeptuneMLRequestError, None),
        (500, "ThrottlingException", "the first rule counts", NeptuneMLThrottledError, False),
    ],
)
def test_an_answer_is_an_error(
    status: int, code: str, text: str, error: type[NeptuneMLError], maybe_done: bool | None
) -> None:
    made = classify(status, code, text, "start job 'x'")
    assert type(made) is error
    assert str(made).splitlines()[0] == f"Could not start job 'x': {code}: {text} (HTTP {status})"
    assert getattr(made, "maybe_done", None) is maybe_done


def test_an_answers_error_says_what_to_do() -> None:
    advised = [classify(400, "X", "Invalid ML instance type", "do it"), classify(503, "X", "VPC endpoint", "do it")]
    assert all("\nWhat to do: " in str(each) for each in advised)


def test_nobody_is_shown_a_signature() -> None:
    made = classify(400, "X", f"https://bucket/x?{SIGNATURE}", "do it")
    assert "0123456789abcdef" not in str(made)
    assert "0123456789abcdef" not in str(NeptuneMLError(SIGNATURE))


def test_a_long_text_is_cut() -> None:
    assert LONGEST_TEXT - 100 < len(str(NeptuneMLError("x" * 2 * LONGEST_TEXT))) < LONGEST_TEXT + 100


def test_it_is_not_known_whether_a_service_that_was_away_has_acted() -> None:
    assert NeptuneMLUnavailableError("away").maybe_done is True
    assert NeptuneMLUnavailableError("away", maybe_done=False).maybe_done is False
    assert str(NeptuneMLUnavailableError("away")) == "away"


@pytest.mark.parametrize(
    ("reason", "log", "error"),
    [
        ("CapacityError: Unable to provision", QUIET, NeptuneMLJobCapacityError),
        ("resourcelimitexceeded", QUIET, NeptuneMLJobCapacityError),
        ("MaxWaitTimeExceeded", QUIET, NeptuneMLJobCapacityError),
        ("the spot instance was reclaimed", QUIET, NeptuneMLJobInterruptedError),
        ("InternalServerError: We encountered an internal error", QUIET, NeptuneMLJobInterruptedError),
        ("MaxRuntimeExceeded", QUIET, NeptuneMLJobInputError),
        ("AlgorithmError: See job logs", QUIET, NeptuneMLJobInputError),
        ("It was an AlgorithmError", QUIET, NeptuneMLJobFailedError),
        ("AlgorithmError", [*QUIET, "botocore: SlowDown"], NeptuneMLJobInterruptedError),
        ("", [*QUIET, "NoSuchBucket"], NeptuneMLJobInputError),
        (None, [*QUIET, "MemoryError"], NeptuneMLJobInputError),
        (None, ["MemoryError", *QUIET], NeptuneMLJobFailedError),  # it was borne
        ("", ["MemoryError", *QUIET[:10]], NeptuneMLJobFailedError),
        ("", ["MemoryError", *QUIET[:9]], NeptuneMLJobInputError),
        # A log that talks about capacity says nothing of the job's own.
        ("", [*QUIET, "ResourceLimitExceeded"], NeptuneMLJobFailedError),
        # Reason and log are two texts.
        ("Slow", ["Down"], NeptuneMLJobFailedError),
        (None, [], NeptuneMLJobFailedError),
    ],
)
def test_a_jobs_end_is_an_error(reason: str | None, log: list[str], error: type[NeptuneMLError]) -> None:
    made = classify_failure(reason, log, "The job is Failed: AlgorithmError")
    assert type(made) is error
    assert str(made).startswith("The job is Failed: AlgorithmError\nWhat to do: The reason is in the job's log")


def test_every_remedy_that_fits_is_shown_once_and_can_be_taken_off_again() -> None:
    text = "could not connect\nto it: timed out, certificate verify failed"
    told = with_remedies(text)
    assert told.splitlines()[:2] == text.splitlines()
    advice = [line for line in told.splitlines() if line.startswith("What to do: ")]
    assert len(advice) == len(set(advice)) == 2
    assert "8182" in advice[0]
    assert "CA bundle" in advice[1]
    said, remedies = split_remedies(told)
    assert said == text
    assert remedies == "\n".join(line.removeprefix("What to do: ") for line in advice)


def test_a_text_without_a_remedy_stays_as_it_is() -> None:
    assert with_remedies("the moon") == "the moon"
    assert with_remedies("invalid ml INSTANCE type") != "invalid ml INSTANCE type"
    assert split_remedies("the moon\nand the sun") == ("the moon\nand the sun", None)


@pytest.mark.parametrize("error", [NeptuneMLError, NeptuneMLJobInputForGoodError, NeptuneMLThrottledError])
def test_an_event_brings_every_error_back(error: type[NeptuneMLError]) -> None:
    again = revive(error.__name__, "why")
    assert type(again) is error
    assert str(again) == "why"
    assert isinstance(again, AirflowFailException) is issubclass(error, AirflowFailException)


def test_an_event_of_another_version_is_an_error_all_the_same() -> None:
    assert type(revive("NeptuneMLOfLater", "why")) is NeptuneMLError
