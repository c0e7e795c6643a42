"""The WSGI application: it finds whose a request is, lets faults spoil it, and has it answered."""

from __future__ import annotations

import logging
import re
import socket
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from neptune_airflow.jobs import CONSOLE_HEADER
from neptune_airflow.local.faults import Faults
from neptune_airflow.local.kinds import KINDS, OPERATIONS
from neptune_airflow.local.ledger import Ledger
from neptune_airflow.local.refusals import BROKEN, Refusal, RefusedError
from neptune_airflow.local.wire import Answer, Api, Call, new_id

if TYPE_CHECKING:
    from neptune_airflow.local.pages import Pages

logger = logging.getLogger(__name__)

SIGNED_FOR = re.compile(r"Credential=[^,\s]+/(?P<service>[^/,\s]+)/aws4_request")
MOTO_ALONE = ("s3", "iam", "logs")
"""Services that are needed before the APIs are open."""
START_UP_SECONDS = 60
HOLDERS = {kind.holder for kind in KINDS.values()}
"""Fields of status answers whose value has a status of its own."""


class DroppedError(ConnectionAbortedError):
    """The connection was closed on purpose; werkzeug takes it for the client's going away and says nothing."""


class Front:
    """One port for the ML API, the export service, the control API, and everything else that is AWS.

    :param moto: the application that gets what is nobody else's.
    """

    def __init__(self, moto: Any, faults: Faults, ledger: Ledger) -> None:
        self._moto, self._faults, self._ledger = moto, faults, ledger
        self._apis: tuple[Api, ...] = ()
        self._pages: Pages | None = None
        self._open = threading.Event()
        self._closing = threading.Event()

    def open(self, *apis: Api, pages: Pages | None = None) -> None:
        """Begin to answer for these APIs; moto's part answers from the first moment, for the set-up needs it.

        :param pages: where people can look at what answers are about.
        """
        self._apis, self._pages = apis, pages
        self._open.set()

    def close(self) -> None:
        """Let no delayed answer wait any longer."""
        self._closing.set()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        signed = SIGNED_FOR.search(environ.get("HTTP_AUTHORIZATION", ""))
        service = signed and signed["service"]
        if service not in MOTO_ALONE:
            self._open.wait(START_UP_SECONDS)
            request = Request(environ)
            for api in self._apis:
                # A bucket may hold ``neptune-export``, or be called ``local``.
                if (service is None or service in api.signers) and api.owns(request.path):
                    return self._answer(api, request)(environ, start_response)
        if service == "s3" and self._pages:
            start_response = _saying(self._pages.s3, start_response)
        answer: Iterable[bytes] = self._moto(environ, start_response)
        return answer

    def _answer(self, api: Api, request: Request) -> Response:
        request_id = new_id()
        try:
            call = api.understand(request)
            answer = call if isinstance(call, Answer) else self._perform(api, call, request_id)
        except RefusedError as refused:
            answer = api.refuse(refused.refusal, request_id)
        except DroppedError:
            request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise
        except Exception as error:
            logger.exception("%s %s", request.method, request.path)
            answer = api.refuse(BROKEN.about(reason=repr(error)), request_id)
        return answer.response(request_id)

    def _perform(self, api: Api, call: Call, request_id: str) -> Answer:
        """Do what a call asks, in the presence of faults."""
        effects = self._faults.take(call.operation, call.job_id)
        self._closing.wait(effects.get("delay", 0))
        if effects.get("drop") == "before":
            raise DroppedError
        if "error" in effects:
            refusal = _refusal(effects["error"])
            self._ledger.called(call.operation, call.job_id, refusal.code)
            return api.refuse(refusal, request_id)
        if "body" in effects:
            self._ledger.called(call.operation, call.job_id, "body")
            raw = effects["body"]
            return Answer(raw["text"], raw.get("http", 200), raw.get("type", "application/json"))
        body = self._work(call)
        if effects.get("drop") == "after":
            raise DroppedError
        if "status" in effects:
            body = _with_status(body, effects["status"])
        return Answer(body, headers=self._headers(call, body))

    def _headers(self, call: Call, body: dict[str, Any]) -> dict[str, str]:
        """Say in an answer about a job where people can look at it."""
        job_id = call.job_id or body.get("id") or body.get("jobId")
        if self._pages is None or job_id is None:
            return {}
        return {CONSOLE_HEADER: self._pages.address(OPERATIONS[call.operation][1], job_id)}

    def _work(self, call: Call) -> dict[str, Any]:
        try:
            body = call.work()
        except RefusedError as refused:
            self._ledger.called(call.operation, call.job_id, refused.refusal.code)
            raise
        self._ledger.called(call.operation, call.job_id or body.get("id") or body.get("jobId"))
        return body


def _saying(page: str, start_response: Any) -> Any:
    """Let an answer of moto's say where people can look at what it is about."""

    def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
        return start_response(status, [*headers, (CONSOLE_HEADER, page)], *error)

    return start


def _refusal(error: dict[str, Any]) -> Refusal:
    return Refusal(error["code"], error.get("detailedMessage", ""), error.get("http"))


def _with_status(body: dict[str, Any], word: str) -> dict[str, Any]:
    """Give a status answer with another word, at the top and in the job within."""
    inner = {name: value | {"status": word} for name, value in body.items() if name in HOLDERS}
    return body | inner | {"status": word}
