"""Which failed tries are worth another, and after how long: a retry policy for the tasks of this package.

    from neptune_airflow.retries import NEPTUNE_ML_RETRY_POLICY

    with DAG("neptune_ml", default_args={"retries": 3, "retry_policy": NEPTUNE_ML_RETRY_POLICY}):
        ...

Without it, every job that has failed is tried again, as a new job, as the task's ``retries`` and ``retry_delay`` say.
With it, a job that failed of its own data, permissions or parameters is not, and the others are tried again after as
long as the trouble lasts. In both cases a request that the service refuses for good is not retried, and no policy gives
a task more tries than its ``retries``.

Before Airflow 3.3, which has no retry policies, the tasks of this package take the same argument: they fail for good
where the policy would end them, and else wait for their own ``retry_delay``, which only the scheduler decides there.

https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/tasks.html
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from neptune_airflow.compat import make_retry_policy
from neptune_airflow.errors import (
    NeptuneMLCapacityError,
    NeptuneMLCredentialsError,
    NeptuneMLError,
    NeptuneMLJobInputError,
    NeptuneMLJobInterruptedError,
    NeptuneMLThrottledError,
    NeptuneMLUnavailableError,
)


@dataclass(frozen=True)
class RetryRow:
    """One row of the policy.

    :param name: what `retry_policy` calls its delay.
    :param error: the error that it is about, with those derived of it.
    :param delay: how long to wait before the next try; None ends the task.
    :param reason: what Airflow logs, and keeps with the task instance.
    """

    name: str
    error: type[NeptuneMLError]
    delay: timedelta | None
    reason: str

    @property
    def path(self) -> str:
        """The error's dotted name, as a rule carries it."""
        return f"{self.error.__module__}.{self.error.__qualname__}"


#: The first that fits counts; after any other error the task's own ``retries`` and ``retry_delay`` apply.
ROWS = (
    RetryRow(
        "input", NeptuneMLJobInputError, None, "The same job would fail of the same data, permission or parameter."
    ),
    # Instances and quota come free when other jobs end, which take tens of minutes at least.
    RetryRow("capacity", NeptuneMLCapacityError, timedelta(minutes=20), "Waiting for an instance, or for quota."),
    # The next job gets other instances: there is nothing to wait for but the moment's trouble.
    RetryRow(
        "interrupted", NeptuneMLJobInterruptedError, timedelta(minutes=1), "AWS failed the job, not the job itself."
    ),
    # A rate is counted by the second; the try has already asked for minutes.
    RetryRow("throttled", NeptuneMLThrottledError, timedelta(seconds=30), "Waiting until the service is asked less."),
    # The next try reads the connection anew; rotating a secret takes minutes to reach all who read it.
    RetryRow("credentials", NeptuneMLCredentialsError, timedelta(minutes=5), "Waiting for the rotated credentials."),
    # The try has asked for five minutes, longer than a failover; a cluster without a replica is back within ten:
    # https://docs.aws.amazon.com/neptune/latest/userguide/backup-restore-overview-fault-tolerance.html
    RetryRow("unavailable", NeptuneMLUnavailableError, timedelta(minutes=5), "Waiting for the service to be back."),
)


def retry_policy(**delays: timedelta) -> Any:
    """Make a retry policy like `NEPTUNE_ML_RETRY_POLICY`, with other delays.

    :param delays: by the name of their row of `ROWS`: ``capacity``, ``interrupted``, ``throttled``, ``credentials``,
        ``unavailable``; what is not named is as there.
    :return: an ``ExceptionRetryPolicy``; before Airflow 3.3, something that only the tasks of this package understand.
    :raises TypeError: for a name that no row with a delay has.
    """
    if wrong := delays.keys() - {row.name for row in ROWS if row.delay is not None}:
        raise TypeError(f"no delay is called {', '.join(sorted(wrong))}")
    return make_retry_policy([(row.path, delays.get(row.name, row.delay), row.reason) for row in ROWS])


#: For ``retry_policy=`` of a task, or ``default_args`` of a DAG.
NEPTUNE_ML_RETRY_POLICY = retry_policy()
