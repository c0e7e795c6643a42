"""Sensors that wait for a job that another task, or somebody else, has submitted."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from neptune_airflow import jobs
from neptune_airflow.compat import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    TaskDeferralTimeout,
    recall,
    remember,
)
from neptune_airflow.errors import (
    NeptuneMLRequestError,
    NeptuneMLTimeoutError,
    NeptuneMLWatchedJobFailedError,
)
from neptune_airflow.jobs import Job, Phase
from neptune_airflow.parameters import Parameter, check_value, is_templated, job_id, text
from neptune_airflow.task import NeptuneMLTask

if TYPE_CHECKING:
    from airflow.sdk import Context

    from neptune_airflow.hooks.logs import LogFollower
    from neptune_airflow.watch import Watch


_SEEN = "neptune_ml_seen"


class NeptuneMLJobSensor(NeptuneMLTask, BaseSensorOperator):
    """Wait until a job has succeeded, and return it.

    In ``mode="poke"`` or ``mode="reschedule"`` it asks every ``poke_interval`` seconds; with ``deferrable=True`` the
    triggerer does, every ``waiter_delay`` seconds and, as the wait grows long, less often. A service that is away is
    waited out until ``timeout``. A failed job fails the sensor with the job's reason, without retries;
    ``soft_fail=True`` skips it instead. The job is never cancelled: it is not the sensor's.

    :param job_id: the job's id.

    The other parameters are `NeptuneMLTask`'s and those of Airflow's sensors. Returns the job as a dict.

    :raises NeptuneMLWatchedJobFailedError: when the job has failed or was stopped.
    :raises AirflowSensorTimeout: when it has not ended in time.
    :raises NeptuneMLRequestError: when there is no such job, or it may not be asked for.
    """

    template_fields = (*NeptuneMLTask.connection_fields, "job_id")
    ui_color = "#eaf3e0"
    _id = Parameter("job_id", "id", job_id, required=True)

    def __init__(self, *, job_id: str, **kwargs: Any) -> None:
        kwargs.setdefault("multiple_outputs", True)
        super().__init__(**kwargs)
        self._watch: Watch | None = None
        self._lines: LogFollower | None = None
        setattr(self, self.kind.id_argument, job_id)
        if not is_templated(job_id):
            check_value(self._id, job_id, self.where)

    def execute(self, context: Context) -> Any:
        """Wait here, or in the triggerer if the job has not ended yet."""
        with self._recording(context):
            if self.deferrable:
                return self._poke_or_defer(context)
            with self._remembering(context):
                return super().execute(context)

    def _poke_or_defer(self, context: Context) -> Any:
        from neptune_airflow.records import moment

        with self._failing():
            done = self.poke(context)
        if done:
            return done.xcom_value
        deadline = time.time() + self.timeout
        self.record.tell(deadline=moment(deadline))
        self._store()
        return self._defer(context, self._watched_id(), deadline)

    @contextmanager
    def _remembering(self, context: Context) -> Iterator[None]:
        """Keep the changes of the status that are seen: Airflow wipes a sensor's XComs whenever it is rescheduled."""
        if not self.reschedule:
            yield
            return
        watched = self._watched_id()
        kept = recall(context, _SEEN) or {}
        if kept.get("id") == watched:
            self._passed(kept["timeline"])
        seen = self.record.values["timeline"]
        try:
            yield
        finally:
            if (timeline := self.record.values["timeline"]) != seen:
                kept = {"id": watched, "try": context["ti"].try_number, "timeline": timeline}
                remember(context, _SEEN, kept)

    def poke(self, context: Context) -> PokeReturnValue:
        """Ask once."""
        del context
        watched = self._watched_id()
        if self._watch is None:
            self._watch = self._new_watch(watched, deadline=None)
            # One that is rescheduled has another worker each time, which does not know what was shown before.
            self._lines = None if self.deferrable or self.reschedule else self._follow_log()
        outcome = self._ask(watched)
        if isinstance(outcome, Job):
            self._show(outcome)
            if self._lines:
                self._lines.look(outcome)
        ended = self._watch.take(outcome)
        return PokeReturnValue(True, self._result(ended)) if ended else PokeReturnValue(False)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Go on where the trigger's wait has ended."""
        del context
        with self._failing():
            job = self._revive(event)
            self._show(job)
            return self._result(job)

    def _resume(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context, wait: Mapping[str, Any]
    ) -> Any:
        """Go on after a deferral; a time-out by which Airflow ended it is the sensor's, on any Airflow."""
        try:
            return super()._resume(next_method, next_kwargs, context, wait)
        except (AirflowSensorTimeout, TaskDeferralTimeout) as error:
            raise (AirflowSkipException if self.soft_fail else AirflowSensorTimeout)(str(error)) from error

    def _watched_id(self) -> str:
        """Give the id, rendered and checked."""
        return str(check_value(self._id, getattr(self, self.kind.id_argument), self.where))

    def _result(self, job: Job) -> dict[str, Any]:
        if job.phase is Phase.SUCCEEDED:
            return job.as_dict()
        raise NeptuneMLWatchedJobFailedError(str(self._failure(job)))

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Fail as Airflow's sensors do in every mode: a time-out is theirs, and ``soft_fail`` skips."""
        try:
            yield
        except (NeptuneMLTimeoutError, NeptuneMLRequestError) as error:
            if self.soft_fail:
                raise AirflowSkipException(str(error)) from error
            if isinstance(error, NeptuneMLTimeoutError):
                raise AirflowSensorTimeout(str(error)) from error
            raise


class NeptuneMLDataProcessingSensor(NeptuneMLJobSensor):
    """Wait for a data processing job.

    :param job_id: the job's id, such as ``process.output["id"]`` of an operator that does not wait.
    :param neptune_iam_role_arn: the role that Neptune is asked with; by default the cluster's.

    The other parameters, what is returned and what is raised are `NeptuneMLJobSensor`'s.
    """

    kind = jobs.DATA_PROCESSING
    template_fields = (*NeptuneMLJobSensor.template_fields, "neptune_iam_role_arn")

    def __init__(self, *, job_id: str, neptune_iam_role_arn: str | None = None, **kwargs: Any) -> None:
        super().__init__(job_id=job_id, **kwargs)
        self.neptune_iam_role_arn = neptune_iam_role_arn


class NeptuneMLModelTrainingSensor(NeptuneMLDataProcessingSensor):
    """Wait for a model training job; the parameters are `NeptuneMLDataProcessingSensor`'s."""

    kind = jobs.MODEL_TRAINING


class NeptuneMLModelTransformSensor(NeptuneMLDataProcessingSensor):
    """Wait for a model transform job; the parameters are `NeptuneMLDataProcessingSensor`'s."""

    kind = jobs.MODEL_TRANSFORM


class NeptuneMLEndpointSensor(NeptuneMLJobSensor):
    """Wait until an endpoint is in service.

    :param endpoint_id: the endpoint's id, such as ``create.output["id"]`` of an operator that does not wait.
    :param neptune_iam_role_arn: the role that Neptune is asked with; by default the cluster's.

    The other parameters, what is returned and what is raised are `NeptuneMLJobSensor`'s.
    """

    kind = jobs.ENDPOINT
    template_fields = (*NeptuneMLTask.connection_fields, "endpoint_id", "neptune_iam_role_arn")
    _id = Parameter("endpoint_id", "id", job_id, required=True)

    def __init__(self, *, endpoint_id: str, neptune_iam_role_arn: str | None = None, **kwargs: Any) -> None:
        super().__init__(job_id=endpoint_id, **kwargs)
        self.neptune_iam_role_arn = neptune_iam_role_arn


class NeptuneExportSensor(NeptuneMLJobSensor):
    """Wait for an export job; the parameters are `NeptuneMLJobSensor`'s, ``endpoint_url`` is the export service's."""

    kind = jobs.EXPORT
    _id = Parameter("job_id", "id", text, required=True)
