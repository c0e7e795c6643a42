"""What every task that submits a job tells of it: in its log, in its record and links, and in Airflow's metrics."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from neptune_airflow.compat import masked
from neptune_airflow.errors import LONGEST_TEXT, NeptuneMLError
from neptune_airflow.jobs import KINDS, SUBMITS, Job
from neptune_airflow.parameters import Parameter
from neptune_airflow.task import NeptuneMLTask


class JobTeller(NeptuneMLTask):
    """A task that submits a job."""

    parameters: ClassVar[tuple[Parameter, ...]]
    part = SUBMITS

    def _log_request(self, doing: str, request: Mapping[str, Any]) -> None:
        """Say what the service is asked for, but for what is secret."""
        from neptune_airflow.redaction import redact

        sent = redact(json.dumps(masked(dict(request)), sort_keys=True), LONGEST_TEXT)
        self.log.info("%s the %s: %s", doing, self.kind.title, sent)

    def _adopted(self) -> None:
        """Keep that an earlier try has sent this."""
        from neptune_airflow import stats

        self.record.tell(adopted=True)
        stats.adopted(self.kind)

    def _accepted(self, request: Mapping[str, Any]) -> None:
        """Keep that the service has taken a request, and when."""
        from neptune_airflow import stats
        from neptune_airflow.records import moment

        self.record.tell(submitted=moment(time.time()), parameters=masked(dict(request)))
        stats.submitted(self.kind)

    def _announce(self, job: Job, request: Mapping[str, Any]) -> None:
        """Say which job it is, and where to look at it, in the log and as links."""
        self._show(job)
        self.log.info(
            "The %s of this task is %r%s.", self.kind.title, job.id, f", {job.name} on SageMaker" if job.name else ""
        )
        self.record.tell(input_location=self.record.values["input_location"] or self._written_by_earlier(request))
        self._show(job)
        for name, url in self.record.values["links"].items():
            self.log.info("%s: %s", name, url)
        self._keep_links()

    def _location(self, request: Mapping[str, Any], role: str) -> str | None:
        """Give the S3 URI in a request that the job reads from, its ``source``, or writes to, its ``target``."""
        return next(
            (request[each.wire] for each in self.parameters if getattr(each, role) and each.wire in request), None
        )

    def _written_by_earlier(self, request: Mapping[str, Any]) -> str | None:
        """Ask where the job wrote whose output this one reads; it is not needed to go on."""
        for each in self.parameters:
            if each.refers_to and each.wire in request:
                earlier = self._ask(request[each.wire], KINDS[each.refers_to])
                return earlier.output_location if isinstance(earlier, Job) else None
        return None

    def _with_metrics(self, job: Job) -> Job:
        """Add what a training says of its model; one without is finished and paid for all the same."""
        if not self.kind.metrics_files:
            return job
        try:
            metrics = self.hook.read_metrics(job)
        except NeptuneMLError as error:
            self.log.warning("%s\nThe result has no metrics.", error)
            return job
        self.log.info("Its metrics: %s", json.dumps(metrics, sort_keys=True))
        return job._replace(metrics=metrics)

    def _keep_report(self, job: Job) -> None:
        """Keep what the job has written about its work, as far as it can be read."""
        from neptune_airflow.config import option

        if not option("read_reports"):
            return
        from neptune_airflow import reports

        known = self.record.values
        figures, report = reports.read(self.hook, job, known["parameters"], known["input_location"], self.log)
        self.record.tell(figures=figures or reports.of_metrics(job.metrics), report=report)
        self._store()
