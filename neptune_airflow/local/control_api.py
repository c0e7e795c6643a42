"""``/local/…``: what tests ask of the service itself: to misbehave, and to tell what happened."""

from __future__ import annotations

from werkzeug.wrappers import Request

from neptune_airflow.local.faults import Faults
from neptune_airflow.local.ledger import Ledger
from neptune_airflow.local.refusals import BAD_METHOD, BAD_ROUTE, Refusal, RefusedError
from neptune_airflow.local.wire import NEPTUNE, Answer, json_object, neptune_error

BODY_LIMIT = 1 << 20


class ControlApi:
    """Faults and the ledger."""

    signers = NEPTUNE

    def __init__(self, faults: Faults, ledger: Ledger) -> None:
        self._faults, self._ledger = faults, ledger

    def owns(self, path: str) -> bool:
        """``/local`` and everything below."""
        return path.startswith("/local/")

    def refuse(self, refusal: Refusal, request_id: str) -> Answer:
        """The same shape as Neptune's."""
        return neptune_error(refusal, request_id)

    def understand(self, request: Request) -> Answer:
        """Answer at once: no fault spoils these calls.

        :raises RefusedError: for a wrong path, method or rule.
        """
        path = request.path.rstrip("/")
        actions = {
            ("GET", "/local/faults"): lambda: {"faults": self._faults.rules()},
            ("POST", "/local/faults"): lambda: self._add(request),
            ("DELETE", "/local/faults"): self._clear,
            ("GET", "/local/ledger"): self._ledger.history,
        }
        if path not in {known for _, known in actions}:
            raise RefusedError(BAD_ROUTE.about(path=request.path))
        action = actions.get((request.method, path))
        if action is None:
            raise RefusedError(BAD_METHOD.about(method=request.method, path=request.path))
        return Answer(action())

    def _add(self, request: Request) -> dict[str, object]:
        self._faults.add(json_object(request, BODY_LIMIT))
        return {"faults": self._faults.rules()}

    def _clear(self) -> dict[str, object]:
        self._faults.clear()
        return {"faults": []}
