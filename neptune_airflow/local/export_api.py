"""``/v1/neptune-export``: the Neptune-Export service, as its API Gateway answers."""

from __future__ import annotations

import re
import time
from typing import Any

from werkzeug.wrappers import Request

from neptune_airflow.local.kinds import KINDS, operation
from neptune_airflow.local.refusals import UNKNOWN_ID, Refusal, RefusedError
from neptune_airflow.local.registry import Job, Status
from neptune_airflow.local.services import Services
from neptune_airflow.local.wire import NEPTUNE, Answer, Call, json_object, new_id, truth
from neptune_airflow.store import join, split_uri

ROUTE = re.compile(r"/[^/]+/neptune-export(?:/(?P<id>[^/]+))?/?")
METHODS = {("POST", False): "Start", ("GET", True): "Get", ("DELETE", True): "Cancel"}
COMMANDS = ("export-pg", "export-rdf", "export-pg-from-config", "export-pg-from-queries")
WORDS = {
    Status.WAITING: "pending",
    Status.RUNNING: "running",
    Status.STOPPING: "running",
    Status.STOPPED: "failed",
    Status.COMPLETED: "succeeded",
    Status.FAILED: "failed",
}
KIND = KINDS["export"]
NO_ROUTE = Refusal("ForbiddenException", "Missing Authentication Token", 403)
"""What API Gateway says of any path or method that it does not know."""
BAD_COMMAND = Refusal("BadRequestException", f"command must be one of {', '.join(COMMANDS)}")
BAD_OUTPUT = Refusal("BadRequestException", "outputS3Path must be an S3 URI (s3://bucket/prefix)")
UNKNOWN_JOB = Refusal("NotFoundException", "There is no export job {job_id}", 404)
ENDED = Refusal("BadRequestException", "The export job has already succeeded or failed")


class ExportApi:
    """Start, status and cancel of exports; the service picks the ids."""

    signers = NEPTUNE

    def __init__(self, services: Services) -> None:
        self._services = services

    def owns(self, path: str) -> bool:
        """``/neptune-export`` below any stage."""
        return ROUTE.fullmatch(path) is not None

    def refuse(self, refusal: Refusal, _request_id: str) -> Answer:
        """API Gateway's error shape."""
        return Answer({"message": refusal.text}, refusal.status)

    def understand(self, request: Request) -> Call:
        """Find the operation.

        :raises RefusedError: for a wrong method or body.
        """
        route = ROUTE.fullmatch(request.path)
        assert route is not None
        job_id = route["id"]
        verb = METHODS.get((request.method, job_id is not None))
        if verb is None:
            raise RefusedError(NO_ROUTE)
        if verb == "Start":
            body = json_object(request, self._services.settings.body_limit)
            return Call(operation(verb, KIND), None, lambda: self._start(body))
        return Call(operation(verb, KIND), job_id, lambda: self._verbs[verb](self, job_id))

    def _start(self, body: dict[str, Any]) -> dict[str, Any]:
        if body.get("command") not in COMMANDS:
            raise RefusedError(BAD_COMMAND)
        try:
            split_uri(body.get("outputS3Path", ""))
        except (ValueError, AttributeError):
            raise RefusedError(BAD_OUTPUT) from None
        job_id = new_id()
        graph = self._services.settings.graph
        below = truth(body.get("createExportSubdirectory", True))
        job = Job(
            KIND,
            job_id,
            body,
            name=f"neptune-export-{job_id[:8]}-{int(time.time() * 1000)}",
            output_location=join(body["outputS3Path"], *([job_id] if below else [])),
            inputs={} if graph is None else {"graph": graph},
        )
        self._services.launch(job)
        return {"jobName": job.name, "jobId": job.id}

    def _get(self, job_id: str) -> dict[str, Any]:
        job = self._find(job_id)
        state = job.state
        body: dict[str, Any] = {"jobId": job.id, "status": WORDS[state.status]}
        if state.status is not Status.WAITING:
            body["logs"] = self._services.cloud.log_url(job)
        if state.status is Status.COMPLETED:
            body["outputS3Uri"] = job.output_location
        if state.reason:
            body["failureReason"] = state.reason
        return body

    def _cancel(self, job_id: str) -> dict[str, Any]:
        self._find(job_id)
        if job := self._services.registry.stop(KIND.name, job_id, refusal=ENDED):
            self._services.runner.stop(job)
        return self._get(job_id)

    def _find(self, job_id: str) -> Job:
        try:
            return self._services.registry.get(KIND.name, job_id)
        except RefusedError as refused:
            if refused.refusal is not UNKNOWN_ID:
                raise
            raise RefusedError(UNKNOWN_JOB.about(job_id=job_id)) from None

    _verbs = {"Get": _get, "Cancel": _cancel}
