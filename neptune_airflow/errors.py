"""What can go wrong, and which of it is worth another try.

An error is raised where a service's answer is read (`hooks/`), by what `neptune_airflow.verdicts` makes of it. The
class says what follows: `NeptuneMLUnavailableError` is waited out, `NeptuneMLRequestError` fails the task for good, the
rest fails the try and leaves the next one to the task's ``retries``; `neptune_airflow.retries` has a policy that goes
by what a job has failed of.
"""

from __future__ import annotations

from neptune_airflow.compat import AirflowException, AirflowFailException

#: The most characters of an error's text: the reason, fifty lines of log, what to do.
LONGEST_TEXT = 64_000


class NeptuneMLError(AirflowException):
    """Anything that went wrong with Neptune ML or its export service; as itself, the task's retries apply.

    :param text: what happened; credentials and signatures in it are hidden.
    """

    def __init__(self, text: str) -> None:
        from neptune_airflow.redaction import redact

        super().__init__(redact(text, LONGEST_TEXT))


class NeptuneMLUnavailableError(NeptuneMLError):
    """The service could not answer now: network, 5xx, throttling, a failover. Asked again until the deadline.

    :param text: what happened.
    :param maybe_done: whether the request may have been carried out although its answer is missing.
    """

    def __init__(self, text: str, maybe_done: bool = True) -> None:
        super().__init__(text)
        self.maybe_done = maybe_done


class NeptuneMLCredentialsError(NeptuneMLUnavailableError):
    """The credentials have expired or were rotated: the connection is read again before the next request."""


class NeptuneMLThrottledError(NeptuneMLUnavailableError):
    """The service was asked too often: by all of its users together, mostly."""


class NeptuneMLCapacityError(NeptuneMLError):
    """A quota or a capacity limit: a later try may find room."""


class NeptuneMLJobFailedError(NeptuneMLError):
    """The job ended in failure or was stopped: the next try submits a new one."""


class NeptuneMLJobInputError(NeptuneMLJobFailedError):
    """The job failed of what it was given: data, permissions, parameters. A new one of the same would fail again.

    The task's ``retries`` apply all the same, for the data may be mended meanwhile; `NEPTUNE_ML_RETRY_POLICY` ends it.
    """


class NeptuneMLJobInputForGoodError(NeptuneMLJobInputError, AirflowFailException):
    """As `NeptuneMLJobInputError`, of a task with a ``retry_policy``, on an Airflow that knows no such thing."""


class NeptuneMLJobCapacityError(NeptuneMLJobFailedError, NeptuneMLCapacityError):
    """The job found no instance, or no more of its quota: a later one may."""


class NeptuneMLJobInterruptedError(NeptuneMLJobFailedError):
    """The job fell to an error of AWS's own, of the moment: a new one may well succeed."""


class NeptuneMLTimeoutError(NeptuneMLError):
    """The job did not end before the deadline."""


class NeptuneMLMetricsError(NeptuneMLError):
    """A training's metrics are not there, or not the one that was asked for."""


class NeptuneMLKilledError(NeptuneMLError):
    """Airflow killed the task while it waited."""


class NeptuneMLRequestError(NeptuneMLError, AirflowFailException):
    """A request that can never succeed: fails the task at once, without retries."""


class NeptuneMLParameterError(NeptuneMLRequestError, ValueError):
    """An argument that the service would refuse, or would misunderstand."""


class NeptuneMLJobNotFoundError(NeptuneMLRequestError):
    """The service knows no job by this id."""


class NeptuneMLJobExistsError(NeptuneMLRequestError):
    """The id is taken."""


class NeptuneMLJobEndedError(NeptuneMLRequestError):
    """A cancel came too late."""


class NeptuneMLAnswerLostError(NeptuneMLRequestError):
    """The service may have a job that can't be asked for: another try could only start a second one."""


class NeptuneMLWatchedJobFailedError(NeptuneMLJobFailedError, NeptuneMLRequestError):
    """The job that a sensor waits for has failed: no other try of the sensor can change that."""
