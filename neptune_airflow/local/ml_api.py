"""``/ml/…``: Neptune's management API of machine learning jobs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from werkzeug.wrappers import Request

from neptune_airflow.local import refusals, rules
from neptune_airflow.local.cloud import SAGEMAKER_STATUS, Cloud
from neptune_airflow.local.faults import Faults
from neptune_airflow.local.kinds import KINDS, LATER, Earlier, Kind, operation
from neptune_airflow.local.refusals import Refusal, RefusedError
from neptune_airflow.local.registry import Job, Registry, Status
from neptune_airflow.local.runner import Runner
from neptune_airflow.local.settings import Settings
from neptune_airflow.local.wire import Answer, Call, argument, json_object, neptune_error, new_id, truth

ROUTE = re.compile(r"/ml/(?P<kind>[^/]+)(?:/(?P<id>.+?))?/?")
METHODS = {("POST", False): "Start", ("GET", True): "Get", ("GET", False): "List", ("DELETE", True): "Cancel"}
"""The verb, by HTTP method and whether the path ends with an id."""
MAX_ITEMS = range(1, 1025)
DEFAULT_ITEMS = "10"
ML_KINDS = ("dataprocessing", "modeltraining")


@dataclass(frozen=True)
class Services:
    """What the APIs work with."""

    settings: Settings
    registry: Registry
    runner: Runner
    cloud: Cloud
    faults: Faults

    def launch(self, job: Job) -> None:
        """Take a job in and run it, as badly as it was told to.

        :raises RefusedError: when its id is taken.
        """
        self.registry.add(job)
        job.quirk = self.faults.take(operation("Start", job.kind), job.id, job=True)
        self.runner.start(job)


class MlApi:
    """Data processing and model training."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def owns(self, path: str) -> bool:
        """``/ml`` and everything below."""
        return path == "/ml" or path.startswith("/ml/")

    def refuse(self, refusal: Refusal, request_id: str) -> Answer:
        """Neptune's own error shape."""
        return neptune_error(refusal, request_id)

    def understand(self, request: Request) -> Call:
        """Find the operation; ids may hold anything, even slashes, for then they are merely unknown.

        :raises RefusedError: for a wrong path, method or body.
        """
        route = ROUTE.fullmatch(request.path)
        name = route["kind"] if route else ""
        if name in LATER:
            raise RefusedError(refusals.NOT_YET.about(what=LATER[name]))
        if route is None or name not in ML_KINDS:
            raise RefusedError(refusals.BAD_ROUTE.about(path=request.path))
        kind, job_id = KINDS[name], route["id"]
        verb = METHODS.get((request.method, job_id is not None))
        if verb is None:
            raise RefusedError(refusals.BAD_METHOD.about(method=request.method, path=request.path))
        if verb == "Start":
            body = json_object(request, self._services.settings.body_limit)
            return Call(operation(verb, kind), _text(body.get("id")), lambda: self._start(kind, body))
        return Call(operation(verb, kind), job_id, lambda: self._verbs[verb](self, kind, job_id, request.args))

    def _start(self, kind: Kind, body: dict[str, Any]) -> dict[str, Any]:
        services = self._services
        rules.check(rules.Ask(kind, body, services.registry, services.cloud))
        job = Job(kind, body.get("id") or new_id(), body, inputs=self._inputs(kind, body))
        services.launch(job)
        arn = services.cloud.arn("processing-job", job.name)
        return {"id": job.id, "arn": arn, "creationTimeInMillis": job.created_millis}

    def _inputs(self, kind: Kind, body: dict[str, Any]) -> dict[str, str]:
        earlier = {name: row for name, row in kind.fields.items() if isinstance(row, Earlier) and name in body}
        find = self._services.registry.get
        return {row.role: find(row.kind, body[name]).output_location for name, row in earlier.items()}

    def _get(self, kind: Kind, job_id: str, arguments: Mapping[str, str]) -> dict[str, Any]:
        self._require_role(arguments)
        job = self._services.registry.get(kind.name, job_id)
        return DESCRIPTIONS[kind.name](job, self._services.cloud)

    def _list(self, kind: Kind, _id: str, arguments: Mapping[str, str]) -> dict[str, Any]:
        most = argument(arguments, "maxItems") or DEFAULT_ITEMS
        if not re.fullmatch(r"\d{1,9}", most) or int(most) not in MAX_ITEMS:
            expected = f"a whole number from {MAX_ITEMS[0]} to {MAX_ITEMS[-1]}"
            raise RefusedError(refusals.BAD_VALUE.about(name="maxItems", value=most, expected=expected))
        return {"ids": self._services.registry.ids(kind.name)[: int(most)]}

    def _cancel(self, kind: Kind, job_id: str, arguments: Mapping[str, str]) -> dict[str, Any]:
        self._require_role(arguments)
        services = self._services
        job = services.registry.get(kind.name, job_id)
        if services.registry.stop(job, clean=truth(arguments.get("clean"))):
            services.runner.stop(job)
        return {"status": "200 OK"}

    def _require_role(self, arguments: Mapping[str, str]) -> None:
        for objection in rules.role_objections(self._services.cloud, argument(arguments, rules.ROLE)):
            raise RefusedError(objection)

    _verbs = {"Get": _get, "List": _list, "Cancel": _cancel}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _definition(job: Job, cloud: Cloud) -> dict[str, Any]:
    """Give the job as a resource definition; a failed one alone has a reason and the address of its log."""
    state = job.state
    definition = {
        "name": job.name,
        "arn": cloud.arn("processing-job", job.name),
        "status": SAGEMAKER_STATUS[state.status],
        "outputLocation": job.output_location,
    }
    if state.status is Status.FAILED:
        definition |= {"failureReason": state.reason or "", "cloudwatchLogUrl": cloud.log_url(job)}
    return definition


def _processing(job: Job, cloud: Cloud) -> dict[str, Any]:
    definition = _definition(job, cloud)
    return {"processingJob": definition, "id": job.id, "status": definition["status"]}


def _training(job: Job, cloud: Cloud) -> dict[str, Any]:
    """Give a training job: the tuning job is there from the start, the transform and the model at the end."""
    body = _processing(job, cloud)
    status = body["status"]
    ticks = job.name.rpartition("-")[2]
    tuning = f"{job.id[:8]}-hpo-{job.created:%y%m%d%H%M}-{ticks}"
    body["hpoJob"] = {"name": tuning, "arn": cloud.arn("hyper-parameter-tuning-job", tuning), "status": status}
    if job.state.status is Status.COMPLETED:
        transform, model = f"{job.name}-transform", f"{tuning}-model"
        body["modelTransformJob"] = {
            "name": transform,
            "arn": cloud.arn("processing-job", transform),
            "status": status,
            "outputLocation": job.output_location,
        }
        body["mlModels"] = [{"name": model, "arn": cloud.arn("model", model)}]
    return body


DESCRIPTIONS: dict[str, Callable[[Job, Cloud], dict[str, Any]]] = {
    "dataprocessing": _processing,
    "modeltraining": _training,
}
