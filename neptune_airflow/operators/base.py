"""The story of every job that a task submits: submit once, wait, give the result; whoever ends the task ends the job.

It stands here once, in the order in which it happens. An operator adds its parameters and its row of the job table.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from neptune_airflow.compat import (
    TaskDeferralTimeout,
    earlier_result,
    recall,
    remember,
    tell_assets,
)
from neptune_airflow.errors import (
    NeptuneMLAnswerLostError,
    NeptuneMLCredentialsError,
    NeptuneMLError,
    NeptuneMLJobExistsError,
    NeptuneMLJobNotFoundError,
    NeptuneMLParameterError,
    NeptuneMLTimeoutError,
    NeptuneMLUnavailableError,
)
from neptune_airflow.jobs import KINDS, Job, Phase
from neptune_airflow.lineage import Lineage, asset_uri
from neptune_airflow.operators.owner import JobOwner
from neptune_airflow.operators.teller import JobTeller
from neptune_airflow.parameters import AUTO, Parameter, build_request, check_value, is_templated
from neptune_airflow.task import NeptuneMLTask

if TYPE_CHECKING:
    from airflow.sdk import Context

    from neptune_airflow.attempt import Attempt

T = TypeVar("T")

#: Seconds over the job's own time-out before a wait is given up: the service needs some to end it.
SLACK = 3600
#: Seconds for which it is asked again with credentials that it refuses; each time the connection is read anew.
CREDENTIALS_PATIENCE = 60
#: Seconds given to an earlier job to stop.
STOP_PATIENCE = 1800

_SUBMITTED = "neptune_ml_submitted"


class NeptuneMLJobOperator(Lineage, JobTeller, JobOwner):
    """Submit one job, wait for it, return it.

    The job's id is computed from the task instance, so that a retry, a second delivery of the task or a crash finds
    the job that is already there. A clear submits a new one, after the old one has been cancelled.

    Assets among the task's ``outlets`` get the job as their event's ``extra``; an ``AssetAlias`` among them gets an
    asset of its own for what the job has made, with the same ``extra``.

    :param wait_for_completion: False ends the task once the job is accepted; a sensor can wait for it.
    :param wait_timeout: seconds to wait at the most. None takes the job's own time-out and an hour; the task's
        ``execution_timeout`` counts as well, also while deferred.
    :param cancel_on_kill: whether the job is cancelled when its task ends first: killed, marked, cleared, timed out.

    The other parameters are `NeptuneMLTask`'s. Returns the job as a dict: ``id``, ``status``, ``arn``, ``name``,
    ``output_location`` and what else is known, each also as an XCom of its own (``task.output["id"]``).

    :raises NeptuneMLParameterError: for wrong arguments; when the DAG is parsed, if nothing is templated.
    :raises NeptuneMLJobFailedError: when the job fails or is stopped.
    :raises NeptuneMLTimeoutError: when it has not ended in time; it is cancelled then.
    :raises NeptuneMLRequestError: when the service refuses the request; not retried.
    """

    parameters: ClassVar[tuple[Parameter, ...]]
    ui_color = "#d9e8ff"

    def __init__(
        self,
        *,
        wait_for_completion: bool = True,
        wait_timeout: float | timedelta | None = None,
        cancel_on_kill: bool = True,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("multiple_outputs", True)
        super().__init__(**kwargs)
        self.wait_for_completion = wait_for_completion
        self.wait_timeout = wait_timeout.total_seconds() if isinstance(wait_timeout, timedelta) else wait_timeout
        self.cancel_on_kill = self._cancels = cancel_on_kill

    def _take(self, given: Mapping[str, Any]) -> None:
        """Keep an operator's own arguments, and refuse at once those that are wrong whatever is rendered."""
        # Not one by one: `BaseOperator.__setattr__` has much to look up for each, and none of these is Airflow's.
        vars(self).update({each.name: given[each.name] for each in self.parameters})
        where, values = self.where, {}
        for each in self.parameters:
            value = given[each.name]
            if not is_templated(value):
                values[each.name] = check_value(each, value, where)
        if self.wait_timeout is not None and self.wait_timeout <= 0:
            raise NeptuneMLParameterError(
                f"{self.where}: wait_timeout={self.wait_timeout!r} is not valid: give seconds, more than 0."
            )
        if len(values) == len(self.parameters):
            self.check_together(values)

    def check_together(self, values: Mapping[str, Any]) -> None:
        """Refuse arguments that are right each by itself and wrong together.

        :param values: every argument of the API as it will be sent, None where nothing is.
        :raises NeptuneMLParameterError: names them.
        """

    # 1. Submit once.

    def execute(self, context: Context) -> dict[str, Any]:
        """Submit the job, or find the one that this task instance has submitted before, and see it through."""
        self._ti = context["ti"]
        with self._recording(context):
            return self._see_through(context)

    def _see_through(self, context: Context) -> dict[str, Any]:
        request = self._build_on_earlier(context, self._request())
        self._asks_for(request, self._location(request, "source"), self._location(request, "target"))
        with self._owning():
            job = self._submit_once(context, request)
            self._holding = (job.id,)
            self._announce(job, request)
            if not self.wait_for_completion and not job.phase.ended:
                self._holding = ()
                tell_assets(context, self.outlets, job.as_dict(), asset_uri(job))
                return job.as_dict()
            deadline = self._deadline(context, request)
            if self.deferrable and not job.phase.ended:
                self._stop_if_ended()
                self._defer(context, job.id, deadline)
            return self._finish(context, self._wait(job.id, deadline))

    def _request(self) -> dict[str, Any]:
        """Make the request of the rendered arguments."""
        values = {each.name: getattr(self, each.name) for each in self.parameters}
        request = build_request(self.parameters, values, self.where)
        self.check_together({each.name: request.get(each.wire) for each in self.parameters})
        return request

    def _build_on_earlier(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        """Put the earlier job where ``"auto"`` stands, and tell the tasks that come whether this is a full run."""
        for each in self.parameters:
            if not each.auto:
                continue
            earlier = request.pop(each.wire, None)
            if earlier == AUTO:
                earlier = self._earlier_job(context, each.name)
            if earlier:
                request[each.wire] = earlier
            context["ti"].xcom_push(key=each.name, value=earlier or "")
        return request

    def _earlier_job(self, context: Context, argument: str) -> str | None:
        """Give the id of this task's newest successful job of an earlier run, if the cluster has it still."""
        earlier = (earlier_result(context) or {}).get("id")
        if earlier is None:
            self.log.info("%s='auto': no earlier run of this DAG has one, so this is a full run.", argument)
            return None
        job = self._describe_or_none(earlier)
        if job is None or job.phase is not Phase.SUCCEEDED:
            state = f"is {job.status}" if job else "is not known to the cluster any more"
            self.log.warning("%s='auto': the job %r %s, so this is a full run.", argument, earlier, state)
            return None
        self.log.info("%s='auto': this run builds on the job %r.", argument, earlier)
        return str(earlier)

    def _submit_once(self, context: Context, request: dict[str, Any]) -> Job:
        from neptune_airflow.attempt import Attempt, Move

        attempt = Attempt.of(context["ti"], self.retries or 0)
        if "id" in request:
            return self._submit_under_given_id(context, request)
        number, job = self._find(context, attempt) or (0, None)
        if job:
            move = attempt.next_move(number, job.phase, lasts=self.kind.removal is not None)
            self.log.info(
                "This task has submitted the %s %r before, which is %s: %s.",
                self.kind.title,
                job.id,
                job.status,
                move.value,
            )
            if move is Move.KEEP:
                self._adopted()
                return job
            if move is not Move.SUBMIT:
                self._make_way(job, cancel=move is Move.REPLACE)
        # The first id that no job has, and not this try's own: a start of an earlier try that a slow network delivers
        # only now must find its id taken. What can be taken away tells no more by its absence that it was there.
        free = attempt.try_number if self.kind.removal else max(number + 1, attempt.first_try)
        own_id = {"id": attempt.job_id(free)} if self.kind.caller_names_it else {}
        return self._submit(context, attempt, {**request, **own_id})

    def _submit_under_given_id(self, context: Context, request: dict[str, Any]) -> Job:
        """Submit under an id of the user's: whoever has it already, it can't be told to be this task's."""
        existing = self._describe_or_none(request["id"])
        try:
            if existing is None:
                return self._submit(context, None, request)
            problem = f"It is {existing.status}."
        except NeptuneMLJobExistsError as error:
            problem = str(error)
        raise NeptuneMLJobExistsError(
            f"{self.where}: the {self.kind.title} {request['id']!r} exists already. {problem}\nWhat to do: leave "
            f"{self.kind.id_argument} out, and an id is made that is this task's own; or make it unique, for example "
            "with {{ run_id | replace(':', '-') }} and {{ ti.try_number }}."
        )

    def _find(self, context: Context, attempt: Attempt) -> tuple[int, Job] | None:
        """Give the newest job that this task instance has submitted, and the number of the try that did."""
        if self.kind.caller_names_it:
            tries = list(attempt.job_ids())
        else:
            kept = recall(context, _SUBMITTED)
            tries = [(int(kept["try"]), str(kept["id"]))] if kept else []
        # An endpoint that an earlier attempt has created is not deleted because somebody who looked for it was ended.
        own = attempt.first_try if self.kind.removal else 1
        self._looking, self._holding = True, tuple(each for number, each in tries if number >= own)
        found = next(((number, job) for number, each in tries if (job := self._describe_or_none(each))), None)
        alive = found and self._holding and not found[1].phase.ended
        self._looking, self._holding = False, (found[1].id,) if found and alive else ()
        return found

    def _make_way(self, job: Job, cancel: bool) -> None:
        """Wait until an earlier job has stopped: two at once would cost twice and write to the same place."""
        if cancel:
            self._patiently(lambda: self.hook.cancel_job(self.kind, job.id))
        self._wait(job.id, time.time() + STOP_PATIENCE, KINDS.get(self.kind.removal or "", self.kind))

    def _submit(self, context: Context, attempt: Attempt | None, request: dict[str, Any]) -> Job:
        """Send the request until it is known that the service has it: under one id, it can't have it twice."""
        self._log_request("Submitting", request)
        own_id = request.get("id")
        sent_before = False

        def send() -> Job:
            nonlocal sent_before
            self._check_killed()
            self._holding = (own_id,) if own_id else ()
            try:
                return self.hook.start_job(self.kind, request)
            except NeptuneMLUnavailableError as error:
                sent_before = sent_before or error.maybe_done
                if own_id is None and error.maybe_done:
                    raise NeptuneMLAnswerLostError(
                        f"{error}\nThe service picks its jobs' ids, so it can't be asked whether it has this one: look "
                        "for it before you clear this task."
                    ) from error
                raise
            except NeptuneMLError as error:
                if isinstance(error, NeptuneMLJobExistsError) and own_id and (attempt or sent_before):
                    return Job(self.kind.name, own_id)
                if not sent_before:
                    self._holding = ()
                raise

        job = self._patiently(send)
        self._holding = (job.id,)
        self._accepted(request)
        self._check_killed()
        if attempt and not self.kind.caller_names_it:
            remember(context, _SUBMITTED, {"id": job.id, "try": attempt.try_number})
        described = self._ask(job.id)
        return described if isinstance(described, Job) else job

    # 2. Wait: see NeptuneMLTask; this is how long.

    def _deadline(self, context: Context, request: Mapping[str, Any]) -> float:
        """Give the seconds since the epoch at which this try gives its job up."""
        from neptune_airflow.records import moment
        from neptune_airflow.watch import as_words

        longest = self.wait_timeout or self.kind.longest(request) + SLACK
        deadline = time.time() + longest
        if self.execution_timeout:
            started = getattr(context["ti"], "start_date", None)
            began = started.timestamp() if started else time.time()
            deadline = min(deadline, began + self.execution_timeout.total_seconds())
        self.log.info("Waiting for it for %s at the most.", as_words(deadline - time.time()))
        self.record.tell(deadline=moment(deadline))
        self._store()
        return deadline

    # 3. The result.

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Go on where the trigger's wait has ended."""
        self._holding = (event["job"]["id"],)
        with self._owning():
            return self._finish(context, self._revive(event))

    def _finish(self, context: Context, job: Job) -> dict[str, Any]:
        self._show(job)
        succeeded = job.phase is Phase.SUCCEEDED
        if succeeded or self.kind.removal is None:
            self._holding = ()
        if not succeeded:
            raise self._failure(job)
        job = self._with_metrics(job)
        self._keep_report(job)
        wrote = f"; it wrote {job.output_location}" if job.output_location else ""
        self.log.info("The %s %r is %s%s.", self.kind.title, job.id, job.status, wrote)
        self._finished = job
        tell_assets(context, self.outlets, job.as_dict(), asset_uri(job))
        return job.as_dict()

    def _resume(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context, wait: Mapping[str, Any]
    ) -> Any:
        """Go on after a deferral; where Airflow itself ended it, the job may have ended as well meanwhile."""
        self._ti = context["ti"]
        try:
            return super()._resume(next_method, next_kwargs, context, wait)
        except TaskDeferralTimeout as error:
            job_id = wait.get("job_id")
            self._holding = (job_id,) if job_id else ()
            with self._owning():
                job = self._ask(job_id) if job_id else None
                if isinstance(job, Job) and job.phase.ended:
                    return self._finish(context, job)
                raise NeptuneMLTimeoutError(
                    f"{self.where}: the triggerer did not report on the job {job_id!r} in time ({error})."
                ) from error

    # 4. Whoever ends the task ends the job: see JobOwner.

    def _describe_or_none(self, each: str) -> Job | None:
        try:
            return self._patiently(lambda: self.hook.describe_job(self.kind, each))
        except NeptuneMLJobNotFoundError:
            return None

    def _patiently(self, call: Callable[[], T]) -> T:
        """Make a call again while the service is away, for `letting_go.PATIENCE` seconds: longer than a failover.

        :raises NeptuneMLUnavailableError: when it stays away.
        """
        from neptune_airflow.letting_go import PATIENCE
        from neptune_airflow.watch import as_words

        pause, give_up = 1.0, time.monotonic() + PATIENCE
        refused_until: float | None = None
        while True:
            try:
                return call()
            except NeptuneMLUnavailableError as error:
                until = give_up
                if isinstance(error, NeptuneMLCredentialsError):
                    # From the first refusal on: what came before it may have hung for a minute.
                    until = refused_until = refused_until or time.monotonic() + CREDENTIALS_PATIENCE
                    self.__dict__.pop("hook", None)
                if time.monotonic() + pause > until:
                    raise
                self.log.warning("%s\nAsking again in %s.", error, as_words(pause))
            self._sleep(pause)
            pause = min(pause * 2, 30)


def template_fields(parameters: tuple[Parameter, ...]) -> tuple[str, ...]:
    """Name every argument that Airflow renders: all that the API takes, and the connection's."""
    return tuple(sorted({*(each.name for each in parameters), *NeptuneMLTask.connection_fields}))
