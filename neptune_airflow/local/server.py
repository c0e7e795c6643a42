"""The service as one object: start it, use it, stop it."""

from __future__ import annotations

import logging
import socket
import threading
from types import TracebackType
from typing import Any, ClassVar

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import make_server

from neptune_airflow.local import cloud as aws
from neptune_airflow.local.cloud import Cloud
from neptune_airflow.local.control_api import ControlApi
from neptune_airflow.local.export_api import ExportApi
from neptune_airflow.local.faults import Faults
from neptune_airflow.local.front import Front
from neptune_airflow.local.kinds import KINDS
from neptune_airflow.local.ledger import Ledger
from neptune_airflow.local.ml_api import MlApi
from neptune_airflow.local.pages import Pages
from neptune_airflow.local.registry import Job, Registry, Status
from neptune_airflow.local.runner import Runner
from neptune_airflow.local.runtime_api import InvocationApi
from neptune_airflow.local.services import Services
from neptune_airflow.local.settings import Settings

logger = logging.getLogger(__name__)

BACKLOG = 512
POLL_SECONDS = 0.1
"""How often the listening thread looks whether it should stop."""
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
"""Addresses to listen on that are none to connect to, and the one to use instead."""


class _Handler(MotoRequestHandler):
    """Keeps request lines out of standard error."""

    def log(self, type: str, message: str, *args: Any) -> None:
        logger.log(logging.ERROR if type == "error" else logging.DEBUG, message, *args)


class LocalNeptune:
    """A local Neptune ML service in this process's threads, its jobs in child processes.

    Use it as a context manager, or call `start` and `stop`. Services in one process share one moto, that is, S3 and the
    other AWS services; it is emptied when the last of them stops.

    :param settings: its set-up; by default a free port on the loopback interface.
    """

    _running: ClassVar[set[LocalNeptune]] = set()
    _running_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self._faults, self._ledger, self._registry = Faults(), Ledger(), Registry()
        self._front = Front(aws.moto_application(), self._faults, self._ledger)
        self.endpoint_url = ""

    def __enter__(self) -> LocalNeptune:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> LocalNeptune:
        """Listen, set the cloud up, and take jobs.

        :raises OSError: when the address cannot be listened on.
        """
        settings = self.settings
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        with socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG) as listening:
            port = listening.getsockname()[1]
            self._server = make_server(
                settings.host, port, self._front, threaded=True, request_handler=_Handler, fd=listening.fileno()
            )
        with self._running_lock:
            self._running.add(self)
        host = ANYWHERE.get(settings.host, settings.host)
        self.endpoint_url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(POLL_SECONDS,), name="neptune-ml-http", daemon=True
        )
        self._thread.start()
        try:
            self._open()
        except BaseException:
            self._close_http()
            raise
        return self

    def _open(self) -> None:
        settings = self.settings
        cloud = Cloud(self.endpoint_url, settings.region, settings.cluster_role)
        groups = {kind.log_group for kind in KINDS.values()}
        cloud.set_up(settings.buckets, sorted(group for group in groups if "{" not in group))
        self._registry.listeners += [cloud.twins.show, self._ledger.changed]
        self._runner = Runner(settings, self._registry, cloud, self.endpoint_url)
        services = Services(settings, self._registry, self._runner, cloud, self._faults)
        control = ControlApi(self._faults, self._ledger)
        pages = Pages(services, self._ledger, settings.public_url or self.endpoint_url)
        apis = MlApi(services), ExportApi(services), InvocationApi(services), pages, control
        self._front.open(*apis, pages=pages)

    def stop(self) -> None:
        """Stop every job, then the service; no process and no open port is left."""
        self._front.close()
        self._runner.close()
        self._close_http()

    def _close_http(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        with self._running_lock:
            self._running.discard(self)
            if not self._running:
                aws.forget()

    def client(self, service: str) -> Any:
        """Give a boto3 client of the service: ``neptunedata``, ``s3``, ``logs``, ``sagemaker``, ``iam`` and so on."""
        return aws.client(service, self.endpoint_url, self.settings.region)

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables with which any AWS SDK talks to the service."""
        return {
            **aws.CREDENTIALS,
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_DEFAULT_REGION": self.settings.region,
        }

    def fault(self, operation: str, *, id: str | None = None, times: int = 1, **effect: Any) -> None:
        """Spoil the next calls of an operation, or the next jobs that it starts.

        :param operation: an AWS operation name, such as ``GetMLDataProcessingJob`` or ``StartExport``.
        :param id: only calls about this job.
        :param times: how many of them.
        :param effect: one of ``status``, ``error``, ``body``, ``delay`` (seconds), ``drop``, ``fail``, ``never_ends``.
        :raises RefusedError: when the rule makes no sense.
        """
        self._faults.add({"operation": operation, "times": times, **({} if id is None else {"id": id}), **effect})

    def clear_faults(self) -> None:
        """Behave again."""
        self._faults.clear()

    def ledger(self) -> dict[str, Any]:
        """Give what happened so far: ``calls``, ``statuses`` and ``counts``."""
        return self._ledger.history()

    def wait_for(self, kind: str, job_id: str, *statuses: Status, timeout: float = 30) -> Job:
        """Wait until a job has one of some statuses, by default any final one.

        :param kind: ``dataprocessing``, ``modeltraining``, ``modeltransform``, ``endpoints`` or ``export``. An endpoint
            in service is ``Status.COMPLETED``, one that was deleted ``Status.STOPPED``.
        :param timeout: seconds.
        :raises TimeoutError: when it has not in time.
        """
        wanted = statuses or tuple(status for status in Status if status.ended)
        return self._registry.wait(kind, job_id, lambda job: job.state.status in wanted, timeout)
