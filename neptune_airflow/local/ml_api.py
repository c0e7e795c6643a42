"""``/ml/…``: Neptune's management API of machine learning jobs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from werkzeug.wrappers import Request

from neptune_airflow.local import refusals, rules
from neptune_airflow.local.descriptions import describe
from neptune_airflow.local.kinds import KINDS, Kind, operation
from neptune_airflow.local.refusals import Refusal, RefusedError
from neptune_airflow.local.registry import Job
from neptune_airflow.local.services import Services
from neptune_airflow.local.wire import NEPTUNE, Answer, Call, argument, json_object, neptune_error, new_id, truth

ROUTE = re.compile(r"/ml/(?P<kind>[^/]+)(?:/(?P<id>.+?))?/?")
METHODS = {("POST", False): "Start", ("GET", True): "Get", ("GET", False): "List", ("DELETE", True): "Cancel"}
"""The verb, by HTTP method and whether the path ends with an id."""
MAX_ITEMS = range(1, 1025)
DEFAULT_ITEMS = "10"
ML_KINDS = tuple(name for name, kind in KINDS.items() if kind.resource)


class MlApi:
    """Data processing, model training, model transform and endpoints."""

    signers = NEPTUNE

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
        ask = rules.Ask(kind, body, services.registry, services.cloud, services.settings.custom_models)
        rules.check(ask)
        job = Job(kind, body.get("id") or new_id(), body, inputs=_inputs(ask))
        services.launch(job, ask.updates)
        arn = services.cloud.arn(kind.resource, job.name)
        return {"id": job.id, "arn": arn, "creationTimeInMillis": job.created_millis}

    def _get(self, kind: Kind, job_id: str, arguments: Mapping[str, str]) -> dict[str, Any]:
        self._require_role(arguments)
        return describe(self._services.registry.get(kind.name, job_id), self._services.cloud)

    def _list(self, kind: Kind, _id: str, arguments: Mapping[str, str]) -> dict[str, Any]:
        most = argument(arguments, "maxItems") or DEFAULT_ITEMS
        if not re.fullmatch(r"\d{1,9}", most) or int(most) not in MAX_ITEMS:
            expected = f"a whole number from {MAX_ITEMS[0]} to {MAX_ITEMS[-1]}"
            raise RefusedError(refusals.BAD_VALUE.about(name="maxItems", value=most, expected=expected))
        return {"ids": self._services.registry.ids(kind.name)[: int(most)]}

    def _cancel(self, kind: Kind, job_id: str, arguments: Mapping[str, str]) -> dict[str, Any]:
        self._require_role(arguments)
        services = self._services
        if job := services.registry.stop(kind.name, job_id, clean=truth(arguments.get("clean"))):
            services.runner.stop(job)
        return {"status": "200 OK"}

    def _require_role(self, arguments: Mapping[str, str]) -> None:
        for objection in rules.role_objections(self._services.cloud, argument(arguments, rules.ROLE)):
            raise RefusedError(objection)

    _verbs = {"Get": _get, "List": _list, "Cancel": _cancel}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _inputs(ask: rules.Ask) -> dict[str, str]:
    """Give where a job finds what earlier ones wrote, and what they in turn hand on, by role."""
    inputs: dict[str, str] = {}
    for row, job, trial in ask.earlier():
        if job is not None:
            inputs |= {role: job.inputs[role] for role in row.hands_on} | {row.role: job.output_location}
        if trial is not None:
            inputs["trial"] = str(trial)
    return inputs
