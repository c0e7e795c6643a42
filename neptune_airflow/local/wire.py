"""HTTP as the APIs of the service see it: a call, its answer, and the request's body."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wrappers import Request, Response

from neptune_airflow.local.refusals import NOT_AN_OBJECT, TOO_LARGE, Refusal, RefusedError

NEPTUNE = frozenset({"neptune-db", "execute-api"})
"""The services for which requests to Neptune and to the export service are signed."""


@dataclass(frozen=True)
class Call:
    """One request, understood.

    :param operation: its AWS name.
    :param job_id: the job that it is about, where the caller named one.
    :param work: does what is asked and gives the answer's body.
    """

    operation: str
    job_id: str | None
    work: Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class Answer:
    """What goes back: JSON, or text as it is."""

    body: Any
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self, request_id: str) -> Response:
        """Give it as HTTP."""
        text = self.body if isinstance(self.body, str) else json.dumps(self.body)
        headers = {"x-amzn-RequestId": request_id, **self.headers}
        return Response(text, self.status, headers, content_type=self.content_type)


class Api(Protocol):
    """One of the APIs that share the port.

    :param signers: the names of the services for which a signature may be; unsigned requests are answered too.
    """

    signers: frozenset[str]

    def owns(self, path: str) -> bool:
        """Whether a path belongs to it."""

    def understand(self, request: Request) -> Call | Answer:
        """Give the call that a request makes, or its answer where nothing may interfere with it.

        :raises RefusedError: when it makes none.
        """

    def refuse(self, refusal: Refusal, request_id: str, /) -> Answer:
        """Put a refusal in this API's words."""


def neptune_error(refusal: Refusal, request_id: str) -> Answer:
    """Put a refusal as Neptune does."""
    body = {"requestId": request_id, "code": refusal.code, "detailedMessage": refusal.text}
    return Answer(body, refusal.status, "application/x-amz-json-1.0")


def new_id() -> str:
    """Give a fresh job or request id."""
    return str(uuid.uuid4())


def json_object(request: Request, limit: int) -> dict[str, Any]:
    """Read a body without regard to its content type; fields that are empty or null count as absent.

    :param limit: the largest body, in bytes.
    :raises RefusedError: when it is too large or no JSON object.
    """
    request.max_content_length = limit
    try:
        body = json.loads(request.get_data() or b"{}")
    except RequestEntityTooLarge:
        raise RefusedError(TOO_LARGE.about(limit=limit)) from None
    except ValueError:
        raise RefusedError(NOT_AN_OBJECT) from None
    if not isinstance(body, dict):
        raise RefusedError(NOT_AN_OBJECT)
    return {name: value for name, value in body.items() if value not in ("", None)}


def truth(value: Any) -> bool:
    """Read a flag however a client spells it: ``true``, ``True``, ``TRUE``."""
    return str(value).strip().lower() == "true"


def argument(arguments: Mapping[str, str], name: str) -> str | None:
    """Give a query argument; an empty one counts as absent."""
    return arguments.get(name) or None
