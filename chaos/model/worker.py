"""A worker process of Airflow, and what it brings to a task."""

from __future__ import annotations

import contextvars
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from chaos.model.service import moment
from chaos.model.stage import EPOCH, DiedError, Process
from chaos.versions import HAS_STATE_STORE, unguarded
from neptune_airflow.compat import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferred,
)
from neptune_airflow.operators.base import _SUBMITTED
from neptune_airflow.records import KEY

if TYPE_CHECKING:
    from chaos.model.airflow import Airflow, TaskInstance

#: Seconds without a report after which the scheduler takes a worker for dead.
LOST_SIGHT = 300.0
#: The states in which a task instance stays.
ENDED = ("success", "failed", "skipped")


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


def call(task: Any, method: str, *arguments: Any, **named: Any) -> Any:
    """Call one of a task's methods as the task runner does."""
    context = contextvars.copy_context()
    return context.run(unguarded, getattr(task, method), *arguments, **named)


@dataclass
class Work:
    """One worker process at work on one try, or on a part of it; to its task, it is the task instance."""

    airflow: Airflow
    ti: TaskInstance
    uid: int
    process: Process
    began: bool = False
    told: bool = False

    # What a task uses of its task instance.

    def __post_init__(self) -> None:
        self.work = self
        self.dag_id, self.task_id, self.run_id = self.ti.dag_id, self.ti.task_id, self.ti.run_id
        self.map_index, self.try_number = self.ti.map_index, self.ti.try_number
        self.max_tries, self.start_date = self.ti.max_tries, self.ti.start_date

    def xcom_push(self, key: str, value: Any) -> None:
        if key == KEY and value["deadline"]:
            self.ti.deadlines.setdefault(value["id"], value["deadline"])
        self._reach_airflow()
        self.ti.xcoms[key] = json.loads(json.dumps(value))
        if not HAS_STATE_STORE and key == _SUBMITTED:
            self.ti.store.kept.append(value["id"])

    def xcom_pull(self, task_ids: str, map_indexes: int, key: str = "return_value", **_: Any) -> Any:
        assert (task_ids, map_indexes) == (self.task_id, self.map_index)
        self._reach_airflow()
        return self.ti.xcoms.get(key)

    def get_first_reschedule_date(self, _context: Any) -> datetime | None:
        return self.ti.first_reschedule

    @property
    def context(self) -> dict[str, Any]:
        store = {"task_state_store": self.ti.store} if HAS_STATE_STORE else {}
        return {"ti": self, "outlet_events": {}, **store}

    # What its process does.

    def _reach_airflow(self) -> None:
        stage = self.airflow.stage
        stage.step(stage.draw.uniform(0.0, 0.05))
        while self.process.cut_off:
            stage.step(1.0)

    def run(self) -> None:
        """Run the task, and report how it went."""
        self._reach_airflow()
        ti, stage = self.ti, self.airflow.stage
        if (ti.uid, ti.state) != (self.uid, "queued"):
            return
        if ti.next_method and stage.now < ti.noticed_at:
            stage.note("airflow", f"{ti.owner} comes back before its last worker was seen to end: state mismatch")
            self.airflow.failed(ti)
            return
        ti.state, ti.worker, self.began = "running", self.process, True
        ti.store.reach = self._reach_airflow
        if ti.next_method is None:
            ti.xcoms.clear()
            if not HAS_STATE_STORE:
                ti.store.kept.clear()
            if ti.first_reschedule is None:
                ti.start_date = datetime.fromtimestamp(EPOCH + stage.now, UTC)
        self.start_date = ti.start_date
        task = ti.make(ti.try_number)
        self.process.on_kill = task.on_kill
        if task.execution_timeout:
            self.process.alarm = (stage.now + task.execution_timeout.total_seconds(), self._too_long)
        report = self._outcome(task)
        self.process.alarm = None
        self._reach_airflow()
        if (ti.uid, ti.state) == (self.uid, "running"):
            report()
        elif isinstance(report, partial) and report.func == self.airflow.deferred:
            ti.lost = ti.lost or "ended in the moment of its deferral"
        elif isinstance(report, partial) and report.args[-1] == "success":
            ti.lost = ti.lost or "ended in the moment in which its job succeeded"

    def _outcome(self, task: Any) -> Callable[[], None]:
        ti, airflow = self.ti, self.airflow
        try:
            if ti.next_method:
                result = call(task, "resume_execution", ti.next_method, ti.next_kwargs, self.context)
            else:
                result = call(task, "execute", self.context)
        except TaskDeferred as deferral:
            return partial(airflow.deferred, ti, deferral)
        except AirflowRescheduleException as again:
            return partial(self._reschedule, again.reschedule_date)
        except AirflowSkipException:
            return partial(airflow.set_state, ti, "skipped")
        except (AirflowFailException, AirflowSensorTimeout) as error:
            return self._failure(error, retry=False)
        except AirflowTaskTimeout as error:
            task.on_kill()
            return self._failure(error)
        except DiedError:
            raise
        except BaseException as error:
            return self._failure(error)
        ti.xcoms["return_value"] = result
        return partial(airflow.set_state, ti, "success")

    def _too_long(self) -> AirflowTaskTimeout:
        self.ti.asked = self.ti.asked or moment(self.airflow.stage.now)
        return AirflowTaskTimeout()

    def _failure(self, error: BaseException, retry: bool = True) -> Callable[[], None]:
        self.airflow.stage.say(f"{type(error).__name__}: {error}")
        self.ti.failure = f"{type(error).__name__}: {error}"
        return partial(self.airflow.failed, self.ti, retry)

    def _reschedule(self, when: datetime) -> None:
        ti, airflow = self.ti, self.airflow
        uid, now = ti.uid, airflow.stage.now
        ti.first_reschedule = ti.first_reschedule or ti.start_date
        ti.state = "up_for_reschedule"

        def again() -> None:
            if (ti.uid, ti.state) == (uid, "up_for_reschedule"):
                ti.state = "scheduled"
                airflow.queue(ti)

        airflow.stage.at(max(when.timestamp() - EPOCH - now, 0), again)

    # How it ends otherwise.

    def ended(self) -> None:
        """Let Airflow notice that the process has gone."""
        ti, stage, airflow = self.ti, self.airflow.stage, self.airflow
        if not self.began or ti.uid != self.uid:
            return
        if ti.state in ENDED and self.process.fell:
            ti.lost = ti.lost or "ended as its worker was killed"
        if ti.state == "restarting":
            delay = stage.draw.uniform(0.1, airflow.lingers)
            stage.at(delay, partial(airflow.next_try_if, ti, self.uid, "restarting"))
        elif ti.state == "running" and ti.worker is self.process:
            # The supervisor reports at once, if it is still there; otherwise the scheduler misses the heartbeats.
            notices = LOST_SIGHT if self.process.cut_off or stage.draw.random() < 0.3 else 0.5
            if not (ti.try_number <= ti.max_tries and ti.make(ti.try_number).retries):
                ti.lost = ti.lost or "its worker was killed, and no try was left"
            stage.at(notices, self._lost)

    def lose_sight(self) -> None:
        """Let its reports get lost for a while, which ends it one way or the other."""
        stage = self.airflow.stage

        def begin() -> None:
            if self.ti.state in ENDED:
                self.ti.lost = self.ti.lost or "ended while its worker could not reach Airflow"
            self.process.cut_off = True
            stage.note(self.process.name, "is cut off from Airflow")
            stage.at(LOST_SIGHT, self._lost)
            stage.at(stage.draw.uniform(20, 900), self._seen_again)

        stage.at(stage.draw.uniform(1, 60), begin)

    def _seen_again(self) -> None:
        """End as a supervisor does that has missed too many reports, or hears that the task is another's by now."""
        stage = self.airflow.stage
        if stage.draw.random() < 0.5:
            self.process.cut_off = False
        if not (self.try_number <= self.max_tries and self.ti.make(self.try_number).retries):
            self.ti.asked = self.ti.asked or moment(stage.now)  # nobody else would find the job
        self.airflow.tell(self.ti, self.process)

    def _lost(self) -> None:
        ti = self.ti
        if (ti.uid, ti.state) == (self.uid, "running") and ti.worker is self.process:
            self.airflow.failed(ti)
            if ti.state == "failed":
                ti.lost = ti.lost or "Airflow lost sight of its worker, and no try was left"
                ti.asked = ti.asked or moment(self.airflow.stage.now)
