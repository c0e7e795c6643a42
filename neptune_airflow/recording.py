"""What every task here keeps of its job for those who look at it in the Airflow UI: its record, and its links.

Both are XComs of the task instance, stored while the job runs, so that they are there when it has failed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from neptune_airflow.compat import (
    AirflowRescheduleException,
    BaseOperator,
    TaskDeferred,
    masked,
    own_xcom,
    recall,
    remember,
)
from neptune_airflow.jobs import WAITS, Job, JobKind
from neptune_airflow.links import LINKS, urls

if TYPE_CHECKING:
    from airflow.sdk import Context

    from neptune_airflow.records import Record

_SHOWN = "neptune_ml_shown"


class Recording(BaseOperator):
    """Keeps the record of a task's job, and stores it when it says something new.

    :cvar part: what the task does with its job, one of `neptune_airflow.jobs.PARTS`.
    """

    kind: ClassVar[JobKind]
    part: ClassVar[str] = WAITS
    _context: Context
    _record: Record | None = None

    @contextmanager
    def _recording(self, context: Context, goes_on: bool = False) -> Iterator[None]:
        """Keep a record of what happens in this block; why it failed, too, before the exception leaves.

        :param goes_on: whether this try has a record already; at its beginning Airflow wipes what was there.
        """
        from neptune_airflow import stats
        from neptune_airflow.records import KEY, Record

        self._context = context
        known = own_xcom(context, KEY) if goes_on else None
        self._record = Record(self.kind.name, self.part, context["ti"].try_number, known)
        if not goes_on and context["ti"].try_number > 1:
            self._restore_links()
        try:
            yield
        except (TaskDeferred, AirflowRescheduleException):
            raise
        except BaseException as error:
            stats.failed(self.kind, self.part, error)
            self._record.failed(error)
            self._store()
            raise

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Give the tasks of a kind of job its links."""
        super().__init_subclass__(**kwargs)
        if "kind" in vars(cls) and "operator_extra_links" not in vars(cls):
            cls.operator_extra_links = LINKS[cls.kind.name]

    @property
    def record(self) -> Record:
        """The record of the try that runs."""
        assert self._record is not None
        return self._record

    @property
    def _region(self) -> str | None:
        """The region of the task's connection."""
        return None

    def _asks_for(self, request: Mapping[str, Any], input_location: str | None, output_location: str | None) -> None:
        """Take in what the service is asked for."""
        self.record.tell(
            parameters=masked(dict(request)), input_location=input_location, output_location=output_location
        )

    def _show(self, job: Job) -> None:
        """Store what is known of the job, and its links, as far as that is new."""
        self._sees(job)
        self._show_links(self._urls(job))
        self._store()

    def _show_links(self, links: Mapping[str, str]) -> None:
        """Store the URLs of links, by the links' names, as far as they are new."""
        before = self.record.values["links"]
        self.record.tell(links=links)
        for link in self.operator_extra_links:
            if link.name in links and links[link.name] != before.get(link.name):
                self._context["ti"].xcom_push(key=link.xcom_key, value=links[link.name])

    def _keep_links(self) -> None:
        """Keep the links for the task's later tries, at the beginning of which Airflow wipes its XComs."""
        ti, known = self._context["ti"], self.record.values
        if ti.max_tries:
            kept = {"id": known["id"], "try": ti.try_number, "links": known["links"]}
            remember(self._context, _SHOWN, kept)

    def _restore_links(self) -> None:
        """Show the links of the last try's job until there is one of this try's."""
        try:
            links = (recall(self._context, _SHOWN) or {}).get("links", {})
            for link in self.operator_extra_links:
                if link.name in links:
                    self._context["ti"].xcom_push(key=link.xcom_key, value=links[link.name])
        except Exception as error:  # no try is to fail for the links of another
            self.log.debug("The links of the last try could not be restored: %s", error)

    def _changed(self, job: Job) -> None:
        """Store a new status of the job, once it is known to be this task's."""
        if self._record and self._record.values["id"] == job.id:
            self._sees(job)
            self._store()

    def _sees(self, job: Job) -> None:
        from neptune_airflow import stats

        known_to_run = self.record.values["ended"] is None
        self.record.saw(job, time.time())
        if known_to_run:
            stats.ended(self.kind, self.record.values)

    def _passed(self, timeline: Iterable[tuple[str, str]]) -> None:
        """Take in what a triggerer has seen while the task was deferred."""
        from neptune_airflow import stats

        if self._record:
            self._record.passed(timeline)
            stats.ended(self.kind, self._record.values)

    def _store(self) -> None:
        try:
            self.record.store(lambda key, value: self._context["ti"].xcom_push(key=key, value=value))
        except Exception as error:  # a job is not to fail for its picture
            self.log.warning("The record of this task's job could not be stored: %s", error)

    def _urls(self, job: Job) -> dict[str, str]:
        # An ARN names the region, and then a task whose wait is over needs no hook, nor boto3.
        region = None if job.arn or job.console else self._region
        known = self.record.values
        return urls(job, region, known["input_location"], known["output_location"])
