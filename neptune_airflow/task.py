"""What every task here has: a connection, one wait in two places, and a way back from a triggerer's failure."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from neptune_airflow.compat import (
    TRIGGER_FAIL,
    TRIGGER_TIMEOUTS,
    default_deferrable,
    has_retry_policies,
    own_xcom,
    worker_lingers,
)
from neptune_airflow.errors import (
    NeptuneMLCredentialsError,
    NeptuneMLError,
    NeptuneMLJobFailedError,
    NeptuneMLJobInputError,
    NeptuneMLJobInputForGoodError,
    NeptuneMLKilledError,
    NeptuneMLParameterError,
)
from neptune_airflow.jobs import Job, JobKind
from neptune_airflow.links import CloudWatchLogLink
from neptune_airflow.parameters import check_address, is_absent, is_templated
from neptune_airflow.recording import Recording

if TYPE_CHECKING:
    from airflow.sdk import Context

    from neptune_airflow.hooks.base import JobHook
    from neptune_airflow.hooks.logs import LogFollower
    from neptune_airflow.watch import Watch

#: Seconds after the deadline at which Airflow itself ends a deferral whose trigger said nothing.
BACKSTOP = 900
#: How often a wait is given back to a triggerer that could not run it, before the worker waits itself.
CRASHES = 3

_WAIT = "neptune_ml_wait"


class NeptuneMLTask(Recording):
    """The base of operators and sensors.

    :param endpoint_url: the service's address: ``https://<cluster endpoint>:8182``, or the export service's
        ``NeptuneExportApiUri``. None takes it from the connection's extra.
    :param iam_auth: whether requests are signed. None takes the connection's word, and else signs.
    :param aws_conn_id: the Airflow connection of type ``aws``; None uses boto3's own credentials.
    :param region_name: AWS region; None takes the connection's, or else the one that the cluster's address names.
    :param verify: whether to verify TLS certificates, or the path of a CA bundle.
    :param botocore_config: arguments of botocore's ``Config``.
    :param deferrable: wait in the triggerer, without a worker; by default ``[operators] default_deferrable``.
    :param waiter_delay: seconds between two polls of a young job. The pause grows with the job's age, to 1/40 of it, so
        that its end is seen within ``waiter_delay`` seconds or 3% of its duration, whichever is more. None takes
        ``[neptune_ml] waiter_delay``, by default 30.
    :param waiter_max_delay: the most seconds between two polls, however old the job is; the same as ``waiter_delay``
        polls at fixed times. None takes ``[neptune_ml] waiter_max_delay``, by default 300.
    :param print_log: show the job's CloudWatch log in the task's own, as it arrives (docs/task-log.md). None takes
        ``[neptune_ml] print_log``, by default True.
    :param retry_policy: what a failure means for the task's ``retries``, such as
        `neptune_airflow.retries.NEPTUNE_ML_RETRY_POLICY`. None tries every failed job again, as a new job.
    """

    kind: ClassVar[JobKind]
    if TYPE_CHECKING:
        # Airflow's own type has no items, and none that fits a parameter that is a text: ``process.output["id"]``.
        output: Any
    _killed = False
    _cancels = False
    connection_fields: ClassVar[tuple[str, ...]] = (
        "endpoint_url",
        "aws_conn_id",
        "region_name",
        "verify",
        "waiter_delay",
        "waiter_max_delay",
    )

    def __init__(
        self,
        *,
        endpoint_url: str | None = None,
        iam_auth: bool | None = None,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        deferrable: bool = default_deferrable(),
        waiter_delay: float | str | None = None,
        waiter_max_delay: float | str | None = None,
        print_log: bool | None = None,
        retry_policy: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs, **({"retry_policy": retry_policy} if has_retry_policies() else {}))
        self.retry_policy = retry_policy
        self.endpoint_url = endpoint_url
        self.iam_auth = iam_auth
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        self.deferrable = deferrable
        self.waiter_delay = waiter_delay
        self.waiter_max_delay = waiter_max_delay
        self.print_log = print_log
        for name in ("waiter_delay", "waiter_max_delay"):
            if not is_templated(given := getattr(self, name)) and not is_absent(given):
                self._seconds(name)
        if not is_templated(endpoint_url):
            self._check_address()

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        """Render the templates; an address with a secret is refused before Airflow stores it among what it shows."""
        super().render_template_fields(context, jinja_env)
        self._check_address()

    @property
    def where(self) -> str:
        """Which task an error speaks of."""
        return f"{type(self).__name__} {self.task_id!r}"

    @property
    def hook_arguments(self) -> dict[str, Any]:
        """The arguments of this task's hook, as a trigger carries them."""
        given = {
            "endpoint_url": self.endpoint_url,
            "iam_auth": self.iam_auth,
            "region_name": self.region_name,
            "verify": self.verify,
            "config": self.botocore_config,
            "neptune_iam_role_arn": getattr(self, "neptune_iam_role_arn", None),
        }
        return {
            "aws_conn_id": self.aws_conn_id,
            **{name: value for name, value in given.items() if not is_absent(value)},
        }

    @cached_property
    def hook(self) -> JobHook:
        """The hook of the service that runs this kind of job."""
        from neptune_airflow.hooks import make_hook

        return make_hook(self.kind, self.hook_arguments)

    @property
    def _region(self) -> str | None:
        return self.hook.signing_region

    def on_kill(self) -> None:
        """Let the wait in this worker end; Airflow calls this from a signal's handler."""
        self._killed = True

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after a deferral. A trigger that died is set up again: the job is none the worse for it."""
        ti, wait = context["ti"], own_xcom(context, _WAIT) or {}
        if wait.get("try", ti.try_number) < ti.try_number:
            # Airflow 3.0 does not forget where the last try was resumed, and would have this one end of the same.
            self.log.info("Try %s is not to go on where try %s had been: it begins anew.", ti.try_number, wait["try"])
            return self.execute(context)
        with self._recording(context, goes_on=True):
            return self._resume(next_method, next_kwargs, context, wait)

    def _resume(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context, wait: Mapping[str, Any]
    ) -> Any:
        """Go on after a deferral.

        :param wait: what the deferral has kept of itself; empty where nothing is known of it.
        """
        failed = next_method == TRIGGER_FAIL and (next_kwargs or {}).get("error") not in TRIGGER_TIMEOUTS
        self._cancels = wait.get("cancel_on_kill", self._cancels)
        if failed and wait:
            crashes = int(wait.get("crashes", 0)) + 1
            self.log.warning("The trigger failed: %s", (next_kwargs or {}).get("error"))
            for line in (next_kwargs or {}).get("traceback") or ():
                self.log.warning("%s", line.rstrip())
            if crashes <= CRASHES:
                self._defer(context, wait["job_id"], wait.get("deadline"), crashes, wait.get("began"))
            self.log.warning("It failed %s times; waiting in this worker instead.", crashes)
            next_method = "execute_complete"
            next_kwargs = {"event": self._wait_as_event(wait["job_id"], wait.get("deadline"))}
        return super().resume_execution(next_method, next_kwargs, context)

    def _check_address(self) -> None:
        if not is_absent(self.endpoint_url):
            check_address(str(self.endpoint_url), self.where)

    def _seconds(self, name: str) -> float:
        given = getattr(self, name)
        if is_absent(given):
            from neptune_airflow.config import option

            given = option(name)
        try:
            seconds = float(given)
        except (TypeError, ValueError):
            seconds = 0.0
        if not 0 < seconds <= 3600:
            raise NeptuneMLParameterError(
                f"{self.where}: {name}={given!r} is not valid: give seconds, more than 0 and at most 3600."
            )
        return seconds

    def _new_watch(self, job_id: str, deadline: float | None, kind: JobKind | None = None) -> Watch:
        from neptune_airflow.watch import Watch

        return Watch(
            kind or self.kind,
            job_id,
            delay=self._seconds("waiter_delay"),
            max_delay=self._seconds("waiter_max_delay"),
            deadline=deadline,
            log=self.log,
            on_change=self._changed,
        )

    def _wait(self, job_id: str, deadline: float | None, kind: JobKind | None = None) -> Job:
        """Wait in this worker until the job has ended.

        :param kind: what its words mean, where that is not this task's kind; nothing of its log is shown then.
        """
        watch = self._new_watch(job_id, deadline, kind)
        lines = None if kind else self._follow_log()
        while True:
            outcome = self._ask(job_id, kind)
            if lines and isinstance(outcome, Job):
                lines.look(outcome)
            if job := watch.take(outcome):
                return job
            if lines:
                lines.pass_time(watch.pause())
            else:
                self._sleep(watch.pause())

    @property
    def _prints_log(self) -> bool:
        from neptune_airflow.config import option

        return bool(option("print_log") if self.print_log is None else self.print_log)

    def _follow_log(self) -> LogFollower | None:
        """Give what shows the log of a job that this worker waits for, if that is wanted."""
        if not self._prints_log:
            return None
        from neptune_airflow.hooks.logs import LogFollower
        from neptune_airflow.job_logs import LogPrinter

        return LogFollower(lambda: self.hook, LogPrinter(self.log), self._sleep)

    def _wait_as_event(self, job_id: str, deadline: float | None) -> dict[str, Any]:
        try:
            return {"job": self._wait(job_id, deadline).as_dict()}
        except NeptuneMLError as error:
            job = Job(self.kind.name, job_id)
            return {"job": job.as_dict(), "error": str(error), "error_type": type(error).__name__}

    def _defer(
        self,
        context: Context,
        job_id: str,
        deadline: float | None,
        crashes: int = 0,
        began: float | None = None,
    ) -> NoReturn:
        """Wait in the triggerer; the task goes on in `execute_complete`.

        :param began: seconds since the epoch at which the job was submitted; None means now.
        """
        from neptune_airflow.triggers.neptune_ml import NeptuneMLJobTrigger

        self._check_killed()
        now = time.time()
        began = began or now
        context["ti"].xcom_push(
            key=_WAIT,
            value={
                "try": context["ti"].try_number,
                "job_id": job_id,
                "deadline": deadline,
                "crashes": crashes,
                "cancel_on_kill": self._cancels,
                "began": began,
            },
        )
        self.defer(
            trigger=NeptuneMLJobTrigger(
                kind=self.kind.name,
                job_id=job_id,
                hook_arguments=self.hook_arguments,
                waiter_delay=self._seconds("waiter_delay"),
                waiter_max_delay=self._seconds("waiter_max_delay"),
                deadline=deadline,
                cancel_on_kill=self._cancels,
                not_before=now + worker_lingers(),
                began=began,
                print_log=self._prints_log,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=max(deadline - now, 0) + BACKSTOP) if deadline else None,
        )
        raise AssertionError("defer() does not return")

    def _revive(self, event: dict[str, Any]) -> Job:
        """Make of a trigger's event what a wait in this worker would have given or raised."""
        from neptune_airflow.verdicts import revive

        self._passed(event.get("timeline", ()))
        if "error" in event:
            raise revive(event.get("error_type", ""), event["error"])
        return Job.from_dict(event["job"])

    def _failure(self, job: Job) -> NeptuneMLJobFailedError:
        """Say why a job failed: the service's reason, the end of its log, where to read on, and what to do."""
        from neptune_airflow.verdicts import classify_failure

        lines = self.hook.log_tail(job)
        log_url = self._urls(job).get(CloudWatchLogLink.name)
        said = [
            f"The {self.kind.title} {job.id!r} is {job.status}: {job.failure_reason or 'no reason was given'}",
            *(["The end of its log:", *(f"  {line}" for line in lines)] if lines else []),
            *([f"Its log: {log_url}"] if log_url else []),
        ]
        error = classify_failure(job.failure_reason, lines, "\n".join(said))
        self.record.failed(error, job.failure_reason, lines)
        if isinstance(error, NeptuneMLJobInputError) and self.retry_policy and not has_retry_policies():
            return NeptuneMLJobInputForGoodError(str(error))
        return error

    def _ask(self, job_id: str, kind: JobKind | None = None) -> Job | NeptuneMLError:
        """Describe the job; when the credentials were refused, the connection is read again for the next time."""
        try:
            return self.hook.describe_job(kind or self.kind, job_id)
        except NeptuneMLCredentialsError as error:
            self.__dict__.pop("hook", None)
            return error
        except NeptuneMLError as error:
            return error

    def _sleep(self, seconds: float) -> None:
        """Sleep, a second at a time: a signal's handler can't end a sleep.

        :raises NeptuneMLKilledError: when Airflow has killed the task.
        """
        until = time.monotonic() + seconds
        while not self._killed and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 1))
        self._check_killed()

    def _check_killed(self) -> None:
        if self._killed:
            raise NeptuneMLKilledError(f"{self.where} was killed.")
