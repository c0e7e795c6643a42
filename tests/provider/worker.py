"""A worker and a triggerer in one: runs a task as Airflow does, with the parts of a task instance that tasks here use.

What needs a scheduler, a database or an API server is tested with the real ones (`test_dags.py`, `tests/e2e`); this is
for the seams between them, where a real worker would have to be killed at the right instruction.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from chaos.model.worker import call
from chaos.versions import HAS_STATE_STORE, outlet_events
from neptune_airflow.compat import BaseOperator, TaskDeferred


@dataclass
class TaskInstance:
    """What an operator sees of its task instance; XComs last for one try, as on Airflow 3.

    :param earlier: what the task returned in an earlier run of its DAG.
    """

    task_id: str
    dag_id: str = "neptune"
    run_id: str = "manual__2026-11-23"
    map_index: int = -1
    try_number: int = 1
    max_tries: int = 0
    xcoms: dict[str, Any] = field(default_factory=dict)
    earlier: dict[str, Any] | None = None
    start_date: datetime = field(default_factory=lambda: datetime.now(UTC))

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value

    def xcom_pull(
        self, task_ids: str, map_indexes: int, key: str = "return_value", include_prior_dates: bool = False
    ) -> Any:
        assert (task_ids, map_indexes) == (self.task_id, self.map_index)
        return self.xcoms.get(key) or (self.earlier if include_prior_dates and key == "return_value" else None)


class Store(dict[str, Any]):
    """Airflow 3.3's task state store, as far as it goes here: it outlives a try."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


@dataclass
class Run:
    """One task instance through its tries."""

    task: BaseOperator
    ti: TaskInstance = None  # type: ignore[assignment]
    store: Store = field(default_factory=Store)
    events: Any = field(default_factory=outlet_events)

    def __post_init__(self) -> None:
        self.ti = self.ti or TaskInstance(self.task.task_id, max_tries=self.task.retries or 0)

    @property
    def context(self) -> dict[str, Any]:
        store = {"task_state_store": self.store} if HAS_STATE_STORE else {}
        return {"ti": self.ti, "outlet_events": self.events, **store}

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call one of the task's methods as the task runner does."""
        return call(self.task, method, *args, **kwargs)

    def execute(self) -> Any:
        """Run the task's first part; a deferral comes out as it is raised."""
        return self.call("execute", context=self.context)

    def deferred(self) -> TaskDeferred:
        """Run the task's first part, which must end in a deferral."""
        try:
            result = self.execute()
        except TaskDeferred as deferral:
            return deferral
        raise AssertionError(f"the task ended without a deferral: {result!r}")

    def resume(self, method: str, **kwargs: Any) -> Any:
        return self.call("resume_execution", method, kwargs, self.context)

    def to_end(self) -> Any:
        """Run the task to its end, its deferrals in a triggerer of their own."""
        try:
            return self.execute()
        except TaskDeferred as deferral:
            while True:
                try:
                    return self.resume(deferral.method_name, event=event_of(revived(deferral.trigger)))
                except TaskDeferred as again:
                    deferral = again

    def next_try(self) -> None:
        """Retry: XComs are gone, the store stays, the operator is a new object to Airflow."""
        self.ti = TaskInstance(
            self.ti.task_id, map_index=self.ti.map_index, try_number=self.ti.try_number + 1, max_tries=self.ti.max_tries
        )
        self.task._killed, self.task._holding = False, ()  # type: ignore[attr-defined]
        self.task._farewell, self.task._deferred = None, False  # type: ignore[attr-defined]
        self.task._cancels = self.task.cancel_on_kill  # type: ignore[attr-defined]

    def clear(self) -> None:
        """Clear the task: Airflow then allows as many tries more as it has retries."""
        tries = self.ti.try_number
        self.next_try()
        self.ti.max_tries = tries + (self.task.retries or 0)


def revived(trigger: Any) -> Any:
    """Make a trigger again of what it serializes to, which must be JSON, as the triggerer gets it."""
    path, kwargs = trigger.serialize()
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)(**json.loads(json.dumps(kwargs)))


def event_of(trigger: Any) -> dict[str, Any]:
    """Run a trigger until it has something to tell."""

    async def first() -> dict[str, Any]:
        async for event in trigger.run():
            return dict(event.payload)
        raise AssertionError("the trigger ended without an event")

    return asyncio.run(first())
