"""What happened, for tests that count: every start and cancel, every change of a status, how often each call came."""

from __future__ import annotations

import threading
from collections import Counter, deque
from datetime import UTC, datetime
from typing import Any

from neptune_airflow.local.kinds import OPERATIONS
from neptune_airflow.local.registry import Job, State

RECORDED_VERBS = ("Start", "Cancel")
LONGEST = 100_000


class Ledger:
    """The history of one service, its newest `LONGEST` entries."""

    def __init__(self) -> None:
        self._calls: deque[dict[str, Any]] = deque(maxlen=LONGEST)
        self._statuses: deque[dict[str, Any]] = deque(maxlen=LONGEST)
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def called(self, operation: str, job_id: str | None, code: str | None = None) -> None:
        """Note a call that was answered.

        :param code: the error code of one that was refused.
        """
        with self._lock:
            self._counts[operation] += 1
            if OPERATIONS[operation][0] in RECORDED_VERBS:
                entry = {"at": _now(), "operation": operation, "id": job_id, "accepted": code is None, "code": code}
                self._calls.append(entry)

    def changed(self, job: Job, state: State) -> None:
        """Note a job's new status."""
        entry = {"at": _now(), "kind": job.kind.name, "id": job.id, "status": state.status.value}
        with self._lock:
            self._statuses.append(entry)

    def changes(self, kind: str, job_id: str) -> list[dict[str, Any]]:
        """Give the changes of one job's status, in order."""
        with self._lock:
            return [each for each in self._statuses if (each["kind"], each["id"]) == (kind, job_id)]

    def history(self) -> dict[str, Any]:
        """Give everything: ``calls`` and ``statuses`` in order, and ``counts`` of calls by operation."""
        with self._lock:
            return {"calls": list(self._calls), "statuses": list(self._statuses), "counts": dict(self._counts)}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
