"""Plays a schedule, and judges it."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from unittest import mock

from botocore.loaders import JSONFileLoader, Loader

from chaos.invariants import End, Owned, violations
from chaos.model.airflow import Airflow, TaskInstance
from chaos.model.schedule import EARLIER, Schedule, draw
from chaos.model.service import Service, moment
from chaos.model.stage import EPOCH, Stage, StuckError, Thread
from chaos.model.triggerer import Triggerer
from chaos.versions import SENSOR_CLOCK
from neptune_airflow.local.kinds import KINDS as LOCAL_KINDS
from neptune_airflow.local.registry import Job, State, Status
from neptune_airflow.triggers import neptune_ml as triggers

#: Seconds after the last task has ended in which its job must have been let go of.
GRACE = 900.0


@dataclass(frozen=True)
class Verdict:
    """How a schedule went.

    :param broken: the promises that were broken, a sentence each.
    :param windows: why a job may have been left, where that is not promised (``docs/reliability.md``).
    :param jobs: how many jobs were submitted.
    :param trace: what happened, a line each.
    """

    schedule: Schedule
    broken: list[str]
    windows: list[str]
    jobs: int
    trace: list[str]

    def __str__(self) -> str:
        return "\n".join(
            [
                f"schedule {self.schedule.number} breaks what is promised:",
                *(f"  {sentence}" for sentence in self.broken),
                "",
                str(self.schedule),
                "",
                *self.trace,
                "",
                f"Again: python -m chaos.model --replay {self.schedule.number}",
            ]
        )


def play(number: int) -> Verdict:
    """Play the schedule of a number, and hold its ledger against what is promised."""
    schedule = draw(number)
    stage = Stage(random.Random(number))
    random.seed(number)
    service = Service(stage, schedule.weather, itertools.cycle(schedule.courses), schedule.stops_in)
    airflow = Airflow(stage, service, schedule.lingers)
    scene = _Scene(schedule, stage, airflow)
    with _simulation(stage, service, airflow):
        _earlier_jobs(service)
        scene.begin()
        broken = []
        try:
            stage.run(scene.quiet, GRACE)
        except StuckError as error:
            broken.append(str(error))
        broken += [f"broken: {error!r}" for error in stage.broken] + service.broken + scene.judge()
    windows = [ti.lost for ti in airflow.tasks if ti.lost]
    return Verdict(schedule, broken, windows, len(scene.owned), stage.trace)


class _Scene:
    """The task instances of a schedule and what befalls them."""

    def __init__(self, schedule: Schedule, stage: Stage, airflow: Airflow) -> None:
        self.schedule, self.stage, self.airflow = schedule, stage, airflow
        self.owned: dict[str, Owned] = {}
        self.unknown: set[str] = set()
        self.sensed: str | None = None

    def begin(self) -> None:
        """Start the triggerers and the tasks, and let fate take its course."""
        schedule, airflow = self.schedule, self.airflow
        airflow.service.registry.listeners.append(self._own)
        airflow.succeeded = self._sense
        airflow.service.runner.awaited = self._awaited
        for number in range(schedule.triggerers):
            airflow.triggerers.append(Triggerer(airflow, f"triggerer {number + 1}"))
        for number in range(schedule.siblings):
            ti = TaskInstance(airflow, "job", schedule.task, map_index=number if schedule.siblings > 1 else -1)
            if number == 0:
                ti.deaths, ti.lost_sight = list(schedule.deaths), list(schedule.lost_sight)
                ti.delivered = 2 if schedule.delivered_twice else 1
            airflow.begin(ti)
        for seconds, action in schedule.actions:
            self.stage.at(seconds, partial(self._act, action))
        for seconds, event in schedule.triggerer_events:
            self.stage.at(seconds, partial(self._befall, event))

    def quiet(self) -> bool:
        """Say whether nothing will happen any more."""
        last_action = max((seconds for seconds, _ in self.schedule.actions), default=0.0)
        return self.stage.now > last_action and all(ti.over for ti in self.airflow.tasks)

    def _own(self, job: Job, state: State) -> None:
        """Note whose a job is: that of the worker that has submitted it."""
        actor = self.stage.actor
        if state.status is Status.WAITING and actor is not None:
            whose = actor.process.owned()
            # An export whose id was not kept before the next one began: nobody could know of it.
            kept = {each for ti in self.airflow.tasks for each in ti.store.kept}
            self.unknown |= {each for each, other in self.owned.items() if other.owner == whose.owner} - kept
            self.owned[job.id] = whose

    def _awaited(self, job_id: str) -> bool:
        owner = self.owned[job_id].owner
        return self.schedule.form == "submits only" or any(
            ti.owner == owner and not ti.over for ti in self.airflow.tasks
        )

    def _sense(self, ti: TaskInstance) -> None:
        """Let a sensor wait for the job of a task that has only submitted it."""
        if self.schedule.form == "submits only" and ti.name == "job" and self.sensed is None:
            job_id = self.sensed = str(ti.xcoms["return_value"]["id"])
            deaths = list(reversed(self.schedule.deaths))
            self.airflow.begin(TaskInstance(self.airflow, "sensor", lambda _: self.schedule.sensor(job_id), deaths))

    def _act(self, action: str) -> None:
        ti = self.airflow.tasks[0]
        if action == "clear":
            self.airflow.clear(ti)
        else:
            self.airflow.mark(ti, MARKS[action])

    def _befall(self, event: str) -> None:
        alive = [triggerer for triggerer in self.airflow.triggerers if not triggerer.process.over]
        if not alive:
            return
        triggerer = self.stage.draw.choice(alive)
        if event == "trigger crashes":
            for row in [ti.row for ti in self.airflow.tasks if ti.row]:
                row.crash()
        else:
            {"killed": triggerer.process.kill, "not heard": triggerer.lose, "stopped": triggerer.stop}[event]()

    def judge(self) -> list[str]:
        """Hold the ledger, and what the sensor made of it, against what is promised."""
        jobs = [ti for ti in self.airflow.tasks if ti.name == "job"]
        history = self.airflow.service.history()
        return [
            *violations(history, self._owner, {ti.owner: self._end(ti) for ti in jobs}),
            *(said for ti in self.airflow.tasks if ti.name == "sensor" for said in self._sensed(ti)),
        ]

    def _owner(self, job_id: str) -> Owned | None:
        exported = self.schedule.kind == "export"
        kept = any(job_id in ti.store.kept for ti in self.airflow.tasks)
        if job_id == EARLIER or (exported and (not kept or job_id in self.unknown)):
            return None
        return self.owned.get(job_id, Owned("nobody"))

    def _end(self, ti: TaskInstance) -> End:
        if LOST_EXPORT in ti.failure:
            ti.lost = "the answer to an export's submission was lost"
        if ti.store.late:
            ti.lost = "an export's id was kept by a worker that Airflow had lost sight of"
        keeps = not self.schedule.cancel_on_kill or self.schedule.form == "submits only" or bool(ti.lost)
        timed_out = ti.failure.startswith(("AirflowTaskTimeout", "NeptuneMLTimeoutError"))
        return End(ti.state or "none", not ti.over, ti.asked, ti.deadlines, keeps, ti.marked or timed_out)

    def _sensed(self, ti: TaskInstance) -> Iterator[str]:
        """A sensor succeeds if its job does, and fails otherwise, unless it has lost its patience or its worker."""
        statuses = self.airflow.service.history()["statuses"]
        succeeded = any(entry["id"] == self.sensed and entry["status"] == "completed" for entry in statuses)
        excused = "SensorTimeout" in ti.failure or bool(ti.lost) or any(each.clears for each in self.airflow.tasks)
        if ti.state == "success" and not succeeded:
            yield f"the sensor has succeeded, its job {self.sensed} has not"
        if ti.state == "failed" and succeeded and not excused:
            yield f"the sensor has failed, its job {self.sensed} has not: {ti.failure}"


#: How the operator says that it can't know the id of an export.
LOST_EXPORT = "picks its jobs' ids"
MARKS = {"mark failed": "failed", "mark success": "success", "dag run timeout": "skipped"}


def _earlier_jobs(service: Service) -> None:
    """Have a completed job of each kind to build on."""
    for name in ("dataprocessing", "modeltraining", "modeltransform"):
        job = Job(LOCAL_KINDS[name], EARLIER, {LOCAL_KINDS[name].base or "": "s3://bucket/earlier"})
        job.inputs = {"processed": "s3://bucket/earlier"}
        service.registry.add(job)
        service.registry.run(job)
        service.registry.end(job, State(Status.COMPLETED))


class _Log:
    """A logger that writes into the trace."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def info(self, text: str, *values: Any, **_: Any) -> None:
        self._stage.say("  " + (text % values if values else text).replace("\n", " | "))
        if "could not be cancelled" in text and self._stage.actor:
            self._stage.actor.process.gave_up()

    warning = error = exception = debug = info


@contextlib.contextmanager
def _simulation(stage: Stage, service: Service, airflow: Airflow) -> Iterator[None]:
    """Put everything that the package has from outside on the stage: time, threads, the network, Airflow's answers."""

    def or_real(simulated_call: Callable[..., Any], real: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments: (simulated_call if stage.actor else real)(*arguments)

    log = property(lambda _: _Log(stage))
    Thread.stage = stage
    patches = {
        "time.time": or_real(lambda: EPOCH + stage.now, time.time),
        "time.monotonic": or_real(lambda: stage.now, time.monotonic),
        "time.sleep": or_real(stage.step, time.sleep),
        SENSOR_CLOCK: lambda: datetime.fromtimestamp(EPOCH + stage.now, UTC),
        "botocore.httpsession.URLLib3Session.send": service.send,
        "neptune_airflow.hooks.asynchronous.AsyncSession.send": service.send_asynchronously,
        "botocore.loaders.JSONFileLoader.load_file": lambda _, path: _load_file(path),
        "botocore.loaders.Loader.list_available_services": lambda _, type_name: _list_services(type_name),
        "neptune_airflow.local.ledger._now": lambda: moment(stage.now),
        "neptune_airflow.operators.owner.Thread": Thread,
        "neptune_airflow.operators.owner.task_state": airflow.state_of,
        "neptune_airflow.triggers.neptune_ml.task_state": airflow.state_of,
        "airflow.providers.amazon.aws.hooks.base_aws.BaseSessionFactory.log": log,
        "neptune_airflow.task.NeptuneMLTask.log": log,
        "neptune_airflow.triggers.neptune_ml.NeptuneMLJobTrigger.log": log,
        "sys.unraisablehook": lambda _: None,
    }
    triggers._hook_of.cache_clear()
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, ENVIRONMENT))
        for name, replacement in patches.items():
            stack.enter_context(mock.patch(name, replacement, create=name.endswith(".log")))
        logging.disable()  # what the package says is in the trace; the rest is botocore's
        stack.callback(logging.disable, logging.NOTSET)
        yield
        for triggerer in airflow.triggerers:
            triggerer.forget()


ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "model", "AWS_SECRET_ACCESS_KEY": "model", "AWS_EC2_METADATA_DISABLED": "true"}
# A new worker has a new session of botocore's, which would read all of botocore's files again.
_load_file = functools.cache(partial(JSONFileLoader.load_file, JSONFileLoader()))
_list_services = functools.cache(partial(Loader.list_available_services, Loader()))
