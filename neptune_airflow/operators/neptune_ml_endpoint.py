"""Neptune ML's inference endpoints as Airflow tasks: created, updated, deleted.

https://docs.aws.amazon.com/neptune/latest/userguide/machine-learning-api-endpoints.html
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from neptune_airflow import jobs
from neptune_airflow import parameters as api
from neptune_airflow.compat import recall, remember
from neptune_airflow.errors import (
    NeptuneMLError,
    NeptuneMLJobNotFoundError,
    NeptuneMLParameterError,
    NeptuneMLUnavailableError,
)
from neptune_airflow.jobs import REMOVES, Job, Phase
from neptune_airflow.operators.base import STOP_PATIENCE, NeptuneMLJobOperator, template_fields

if TYPE_CHECKING:
    from airflow.sdk import Context

#: Seconds in which an accepted update shows in the endpoint's status.
SHOWS_WITHIN = 60

_DEPLOYED = "neptune_ml_deployed"


class NeptuneMLCreateEndpointOperator(NeptuneMLJobOperator):
    """Serve a trained model on a SageMaker endpoint, or give an endpoint another model.

    An endpoint costs until it is deleted. Make it the setup of what uses it, and its deletion the teardown: then a
    failure between them leaves none behind. One that does not come into service, or whose task is killed, is deleted
    again. An update can't be taken back, so it is left to end: until the new model serves, the old one does.
    https://docs.aws.amazon.com/neptune/latest/userguide/machine-learning-api-endpoints.html

    :param ml_model_training_job_id: the completed training whose best model is served; or else
    :param ml_model_transform_job_id: the completed model transform whose model is served.
    :param endpoint_id: an id of your own, 1 to 48 letters, digits or hyphens. Without ``update`` an endpoint with this
        id that exists already is an error; leave it out there where you can.
    :param update: True gives the endpoint ``endpoint_id``, which must exist, this model. ``"auto"`` does so where it
        exists, and else creates it; one that has failed, and so serves nothing, it deletes and makes anew.
    :param model_name: ``rgcn``, ``transe``, ``distmult``, ``rotate`` or ``custom``; by default what was trained.
    :param instance_type: such as ``ml.m5.xlarge``; by default one that is big enough.
    :param instance_count: how many instances serve; by default 1.
    :param volume_encryption_kms_key: KMS key for the instances' disks.
    :param neptune_iam_role_arn: the role that Neptune creates it with; by default the cluster parameter
        ``neptune_ml_iam_role``.

    The other parameters, what is returned and what is raised are `NeptuneMLJobOperator`'s; the result's ``name`` is the
    SageMaker endpoint's, for ``Neptune#ml.endpoint`` in queries.

    :raises NeptuneMLJobNotFoundError: when the endpoint to update does not exist.
    """

    kind = jobs.ENDPOINT
    parameters = api.ENDPOINT
    template_fields = template_fields(api.ENDPOINT)

    def __init__(
        self,
        *,
        ml_model_training_job_id: str | None = None,
        ml_model_transform_job_id: str | None = None,
        endpoint_id: str | None = None,
        update: bool | str | None = None,
        model_name: str | None = None,
        instance_type: str | None = None,
        instance_count: int | str | None = None,
        volume_encryption_kms_key: str | None = None,
        neptune_iam_role_arn: str | None = None,
        **kwargs: Any,
    ) -> None:
        given = dict(locals())
        super().__init__(**kwargs)
        self._take(given)

    def check_together(self, values: Mapping[str, Any]) -> None:
        """Refuse two models or none, and an update of no endpoint in particular."""
        training, transform = values["ml_model_training_job_id"], values["ml_model_transform_job_id"]
        if (training is None) == (transform is None):
            raise NeptuneMLParameterError(
                f"{self.where}: ml_model_training_job_id={training!r}, ml_model_transform_job_id={transform!r}: give "
                "exactly one of them, the job whose model is to be served."
            )
        if values["update"] and values["endpoint_id"] is None:
            raise NeptuneMLParameterError(
                f"{self.where}: update={values['update']!r} needs endpoint_id, the endpoint that is to be updated."
            )

    def _submit_once(self, context: Context, request: dict[str, Any]) -> Job:
        update = request.pop("update", False)
        if not update:
            return super()._submit_once(context, request)
        existing = self._describe_or_none(request["id"])
        if existing and update == api.AUTO and existing.phase is Phase.FAILED:
            self.log.info("The endpoint %r is %s: it is made anew.", existing.id, existing.status)
            self._make_way(existing, cancel=True)
            existing = None
        if existing:
            return self._update(context, {**request, "update": True}, existing)
        if update != api.AUTO:
            raise NeptuneMLJobNotFoundError(
                f"{self.where}: there is no endpoint {request['id']!r} to update.\nWhat to do: create it first, or set "
                "update='auto', which creates it where it does not exist."
            )
        self._remember(context, Job(self.kind.name, request["id"]))
        return super()._submit_once(context, request)

    def _update(self, context: Context, request: dict[str, Any], existing: Job) -> Job:
        """Give an endpoint another model, once: it is the endpoint's configuration that says whether that was done."""
        sent = self._sent_before(context, existing)
        if sent is not None and (existing.phase is Phase.ACTIVE or existing.configuration != sent):
            self.log.info("An earlier try has sent this; the endpoint %r is %s.", existing.id, existing.status)
            self._cancels = self.cancel_on_kill and not sent
            self._adopted()
            return existing
        self._cancels = False
        if existing.phase is Phase.ACTIVE:
            self.log.info("The endpoint %r is %s; waiting until it can be updated.", existing.id, existing.status)
            existing = self._wait(existing.id, time.time() + STOP_PATIENCE)
        self._remember(context, existing)
        self._log_request("Updating", request)
        job = self._patiently(lambda: self._send_update(request, existing))
        self._accepted(request)
        return job

    def _send_update(self, request: dict[str, Any], existing: Job) -> Job:
        self._check_killed()
        try:
            self.hook.start_job(self.kind, request)
        except NeptuneMLUnavailableError as error:
            if not error.maybe_done or not _shows_update(self._ask(existing.id), existing):
                raise
        until = time.monotonic() + SHOWS_WITHIN
        while not _shows_update(now := self._ask(existing.id), existing) and time.monotonic() < until:
            self._sleep(min(self._seconds("waiter_delay"), 5))
        return now if isinstance(now, Job) else Job(self.kind.name, existing.id)

    def _remember(self, context: Context, before: Job) -> None:
        kept = {"id": before.id, "try": context["ti"].try_number, "configuration": before.configuration or ""}
        remember(context, _DEPLOYED, kept)

    def _sent_before(self, context: Context, endpoint: Job) -> str | None:
        """Give the configuration that an endpoint had before this attempt changed or, then empty, created it."""
        from neptune_airflow.attempt import Attempt

        kept = recall(context, _DEPLOYED)
        first_try = Attempt.of(context["ti"], self.retries or 0).first_try
        if not kept or kept["id"] != endpoint.id or int(kept["try"]) < first_try:
            return None
        return str(kept["configuration"])

    def _finish(self, context: Context, job: Job) -> dict[str, Any]:
        before = self._sent_before(context, job)
        if before and before == job.configuration and job.phase is Phase.SUCCEEDED:
            reason = f"the update was rolled back: it still serves the configuration {before!r}"
            job = job._replace(status="RollingBack", failure_reason=job.failure_reason or reason)
        return super()._finish(context, job)


def _shows_update(now: Job | NeptuneMLError, before: Job) -> bool:
    """Say whether an endpoint is seen to be updated, or to have been."""
    return isinstance(now, Job) and (now.phase is Phase.ACTIVE or now.configuration != before.configuration)


class NeptuneMLDeleteEndpointOperator(NeptuneMLJobOperator):
    """Delete an endpoint, so that it no longer costs. One that is gone already is a success.

    https://docs.aws.amazon.com/neptune/latest/userguide/machine-learning-api-endpoints.html

    :param endpoint_id: the endpoint's id, such as ``create.output["id"]``.
    :param clean: whether the model's files in S3 are deleted as well; by default False.
    :param neptune_iam_role_arn: the role that Neptune deletes it with; by default the cluster parameter
        ``neptune_ml_iam_role``.

    The other parameters are `NeptuneMLJobOperator`'s, but for ``cancel_on_kill``: a deletion goes on. Returns ``id``
    and ``status``.
    """

    kind = jobs.ENDPOINT_DELETION
    part = REMOVES
    parameters = api.ENDPOINT_DELETION
    template_fields = template_fields(api.ENDPOINT_DELETION)

    def __init__(
        self,
        *,
        endpoint_id: str,
        clean: bool | str | None = None,
        neptune_iam_role_arn: str | None = None,
        **kwargs: Any,
    ) -> None:
        given = dict(locals())
        super().__init__(cancel_on_kill=False, **kwargs)
        self._take(given)

    def _submit_once(self, context: Context, request: dict[str, Any]) -> Job:
        """Ask for the deletion as often as it takes: asking twice does no harm."""
        del context
        self._log_request("Asking for", request)
        job = self._describe_or_none(request["id"])
        if job is None or job.phase is Phase.SUCCEEDED:
            self.log.info("There is no endpoint %r, so there is nothing to delete.", request["id"])
            return Job(self.kind.name, request["id"], status=self.kind.gone)
        try:
            self._patiently(lambda: self.hook.start_job(self.kind, request))
            self._accepted(request)
        except NeptuneMLJobNotFoundError:
            self.log.info("The endpoint %r has gone meanwhile.", request["id"])
        described = self._ask(request["id"])
        return described if isinstance(described, Job) else job
