"""The two services: moto's Glue, and the local Neptune ML service; their jobs run until they are told to finish."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol

from chaos.beside import held
from chaos.beside.proxy import Call, Refusals

ACCOUNT, REGION = "123456789012", "us-east-1"

#: A refusal that both services can give, in their own words, by the name that `chaos.beside.faults` uses.
FAILING, THROTTLED, EXPIRED = "500", "throttled", "expired credentials"


@dataclass(frozen=True)
class Life:
    """One job's life.

    :param began: seconds since the epoch.
    :param ended: seconds since the epoch; None while it lives, and costs.
    :param succeeded: whether it ended well.
    """

    began: float
    ended: float | None = None
    succeeded: bool = False


class Service(Protocol):
    """Where jobs run."""

    url: str
    refusals: ClassVar[Refusals]

    def read(self, method: str, path: str, headers: Mapping[str, str], sent: Any, answered: Any) -> Call:
        """Say what a request is about."""

    def lives(self, job_ids: Sequence[str]) -> list[Life]:
        """Say how jobs live, in the order given."""

    def finish(self, job_ids: Sequence[str]) -> None:
        """Let jobs succeed now."""

    def stop(self) -> None:
        """End the service."""


class Glue:
    """Glue on moto, in this process.

    moto has no BatchStopJobRun, so that is added: the run is ``STOPPED`` at once. Its runs end by themselves only when
    they have been asked for often enough; here that is never.
    """

    _VERBS = {
        "AWSGlue.StartJobRun": "start",
        "AWSGlue.GetJobRun": "describe",
        "AWSGlue.BatchStopJobRun": "cancel",
    }
    refusals: ClassVar[Refusals] = {
        FAILING: (500, {}, {"__type": "InternalServiceException", "Message": "An internal service error occurred."}),
        THROTTLED: (400, {}, {"__type": "ThrottlingException", "message": "Rate exceeded"}),
        EXPIRED: (
            400,
            {},
            {"__type": "ExpiredTokenException", "message": "The security token included in the request is expired"},
        ),
    }

    def __init__(self) -> None:
        from moto.core.responses import ActionResult
        from moto.glue.responses import GlueResponse
        from moto.moto_api import state_manager
        from moto.server import ThreadedMotoServer

        glue = self

        def batch_stop_job_run(response: Any) -> ActionResult:
            runs = response._get_param("JobRunIds")
            stopped = [{"JobName": response._get_param("JobName"), "JobRunId": run} for run in runs if glue._stop(run)]
            return ActionResult({"SuccessfulSubmissions": stopped, "Errors": []})

        GlueResponse.batch_stop_job_run = batch_stop_job_run  # type: ignore[attr-defined]
        state_manager.set_transition("glue::job_run", {"progression": "manual", "times": 1_000_000})
        self._ended: dict[str, float] = {}
        self._lock = threading.Lock()
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        self.url = "http://{}:{}".format(*self._server.get_host_and_port())

    def read(self, method: str, path: str, headers: Mapping[str, str], sent: Any, answered: Any) -> Call:
        """Read the operation's name of its header, and the run of the body."""
        del method, path
        verb = self._VERBS.get(headers.get("X-Amz-Target") or "", "other")
        named = {**(sent or {}), **(answered or {})} if isinstance(answered or {}, dict) else {}
        return Call(verb, named.get("JobRunId") or named.get("RunId") or next(iter(named.get("JobRunIds", [])), ""))

    def lives(self, job_ids: Sequence[str]) -> list[Life]:
        """Read them of moto's own objects."""
        runs = [self._run(job_id) for job_id in job_ids]
        return [
            Life(
                datetime.fromisoformat(f"{run.started_on.isoformat()}+00:00").timestamp(),
                self._ended.get(run.job_run_id),
                run.status == "SUCCEEDED",
            )
            for run in runs
        ]

    def finish(self, job_ids: Sequence[str]) -> None:
        """Let runs succeed now."""
        for job_id in job_ids:
            self._end(job_id, "SUCCEEDED")

    def stop(self) -> None:
        """End the server."""
        self._server.stop()

    def _stop(self, job_id: str) -> bool:
        return self._end(job_id, "STOPPED")

    def _end(self, job_id: str, status: str) -> bool:
        with self._lock:
            if job_id in self._ended:
                return False
            self._run(job_id).status = status
            self._ended[job_id] = time.time()
            return True

    @staticmethod
    def _run(job_id: str) -> Any:
        from moto.backends import get_backend

        jobs = get_backend("glue")[ACCOUNT][REGION].jobs.values()
        return next(run for job in jobs for run in job.job_runs if run.job_run_id == job_id)


class Neptune:
    """The local Neptune ML service, in this process; its jobs are processes that wait."""

    _VERBS = {"POST": "start", "GET": "describe", "DELETE": "cancel"}
    refusals: ClassVar[Refusals] = {
        FAILING: (500, {}, {"code": "InternalFailureException", "detailedMessage": "An internal failure occurred."}),
        THROTTLED: (429, {}, {"code": "TooManyRequestsException", "detailedMessage": "Too many requests."}),
        EXPIRED: (
            403,
            {},
            {
                "code": "ExpiredTokenException",
                "detailedMessage": "The security token included in the request is expired",
            },
        ),
    }

    def __init__(self, parallel: int) -> None:
        from neptune_airflow.local.server import LocalNeptune
        from neptune_airflow.local.settings import STEPS, Settings

        self._folder = tempfile.TemporaryDirectory(prefix="neptune-ml-held-")
        os.environ[held.FOLDER] = self._folder.name
        steps = dict.fromkeys(STEPS, held.__name__)
        # A fault may leave a job behind, and more than one.
        self._service = LocalNeptune(Settings(steps=steps, parallel_jobs=4 * parallel, grace=0.5, region=REGION))
        self._service.start()
        self.url = self._service.endpoint_url

    def read(self, method: str, path: str, headers: Mapping[str, str], sent: Any, answered: Any) -> Call:
        """Read the verb of the method, and the job of the path or of a start's answer."""
        del headers
        _, _, rest = path.partition("/ml/dataprocessing")
        if rest == path or not path.startswith("/ml/"):
            return Call("other")
        named = {**(sent or {}), **(answered or {})}
        return Call(self._VERBS.get(method, "other"), rest.partition("?")[0].strip("/") or named.get("id", ""))

    def lives(self, job_ids: Sequence[str]) -> list[Life]:
        """Read them of the service's ledger."""
        lives: dict[str, Life] = {}
        for entry in self._service.ledger()["statuses"]:
            if entry["id"] in job_ids:
                at = datetime.fromisoformat(entry["at"]).timestamp()
                began = lives[entry["id"]].began if entry["id"] in lives else at
                ended = at if entry["status"] in ("stopped", "completed", "failed") else None
                lives[entry["id"]] = Life(began, ended, entry["status"] == "completed")
        return [lives[job_id] for job_id in job_ids]

    def finish(self, job_ids: Sequence[str]) -> None:
        """Let jobs succeed, and wait until they have."""
        for job_id in job_ids:
            Path(self._folder.name, job_id).touch()
        for job_id in job_ids:
            self._service.wait_for("dataprocessing", job_id, timeout=120)

    def stop(self) -> None:
        """End the service and its jobs."""
        self._service.stop()
        self._folder.cleanup()
