"""``/endpoints/<name>/invocations``: SageMaker's runtime, behind which the endpoints' models answer."""

from __future__ import annotations

import re
from typing import Any

from werkzeug.wrappers import Request

from neptune_airflow.local.refusals import BROKEN, Refusal, RefusedError
from neptune_airflow.local.registry import Job
from neptune_airflow.local.services import Services
from neptune_airflow.local.step import Model, StepFailed
from neptune_airflow.local.twins import ACCOUNT, word
from neptune_airflow.local.wire import Answer, json_object

ROUTE = re.compile(r"/endpoints/(?P<name>[^/]+)/invocations")
BODY_LIMIT = 6 << 20
"""SageMaker's own limit of an invocation's payload, in bytes."""
VARIANT = {"x-Amzn-Invoked-Production-Variant": "AllTraffic"}
NOT_FOUND = Refusal("ValidationError", "Endpoint {name} of account {account} not found.")
NOT_IN_SERVICE = Refusal("ValidationError", "Endpoint {name} of account {account} is not in service: it is {status}.")
BAD_METHOD = Refusal("ValidationError", "An endpoint is invoked with POST.")
MODEL_ERROR = Refusal(
    "ModelError",
    'Received client error (400) from primary with message "{reason}". See {log} for more information.',
    424,
)


class InvocationApi:
    """InvokeEndpoint, of the endpoints of this service."""

    signers = frozenset({"sagemaker"})

    def __init__(self, services: Services) -> None:
        self._services = services

    def owns(self, path: str) -> bool:
        """The invocations of any endpoint."""
        return ROUTE.fullmatch(path) is not None

    def refuse(self, refusal: Refusal, _request_id: str) -> Answer:
        """SageMaker's error shape."""
        code = "InternalFailure" if refusal.code == BROKEN.code else refusal.code
        return Answer({"Message": refusal.text}, refusal.status, headers={"x-amzn-ErrorType": code})

    def understand(self, request: Request) -> Answer:
        """Answer at once: faults are for Neptune's API.

        :raises RefusedError: for an endpoint that is unknown or not in service.
        """
        route = ROUTE.fullmatch(request.path)
        assert route is not None
        if request.method != "POST":
            raise RefusedError(BAD_METHOD)
        endpoint, model = self._endpoint(route["name"])
        try:
            return Answer(model(_payload(request)), headers=VARIANT)
        except StepFailed as failure:
            return self._model_error(endpoint, str(failure))

    def _endpoint(self, name: str) -> tuple[Job, Model]:
        """Give an endpoint with its model, which stays whole even if it is deleted or updated meanwhile."""
        endpoint = self._services.registry.find_named("endpoints", name)
        if endpoint is None:
            raise RefusedError(NOT_FOUND.about(name=name, account=ACCOUNT))
        model = endpoint.model
        if model is None:
            status = word(endpoint, endpoint.state)
            raise RefusedError(NOT_IN_SERVICE.about(name=name, account=ACCOUNT, status=status))
        return endpoint, model

    def _model_error(self, endpoint: Job, reason: str) -> Answer:
        refusal = MODEL_ERROR.about(reason=reason, log=self._services.cloud.log_url(endpoint))
        body = {"Message": refusal.text, "OriginalStatusCode": 400, "OriginalMessage": reason}
        return Answer(body, refusal.status, headers={"x-amzn-ErrorType": refusal.code})


def _payload(request: Request) -> dict[str, Any]:
    """Read what the model is given; what is no JSON object is the model's to refuse."""
    try:
        return json_object(request, BODY_LIMIT)
    except RefusedError as refused:
        raise StepFailed(refused.refusal.text) from None
