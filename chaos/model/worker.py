"""What a worker process brings to a task, whoever simulates the rest."""

from __future__ import annotations

import contextvars
import json
from collections.abc import Callable
from typing import Any

from airflow.sdk.bases.operator import ExecutorSafeguard


class Store(dict[str, Any]):
    """Airflow 3.3's task state store, as far as it goes here: it outlives tries and clears.

    :ivar reach: what a call of it takes.
    :ivar kept: every job id that was kept in it.
    :ivar late: whether an earlier try has kept something after a later one.
    """

    reach: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[str] = []
        self.late = False

    def set(self, key: str, value: Any) -> None:
        """Keep a JSON value."""
        self.reach()
        self.late = self.late or value["try"] < self.get_now(key).get("try", 0)
        self[key] = json.loads(json.dumps(value))
        self.kept.append(value["id"])

    def get_now(self, key: str) -> dict[str, Any]:
        """Read one, as the database has it."""
        return dict(super().get(key, {}))

    def get(self, key: str, default: Any = None) -> Any:
        """Read one."""
        self.reach()
        return super().get(key, default)


def call(task: Any, method: str, *arguments: Any) -> Any:
    """Call one of a task's methods as the task runner does."""
    context = contextvars.copy_context()
    context.run(ExecutorSafeguard.tracker.set, task)
    return context.run(getattr(task, method), *arguments)
