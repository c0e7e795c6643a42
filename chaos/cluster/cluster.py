"""Airflow on PostgreSQL, with its workers in the scheduler or on Celery and Redis, behind two proxies."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from chaos.cluster.proxy import HOST, Proxy
from chaos.cluster.step import GATES
from demo.backends import DATABASE, check_packages, start_postgres, start_redis
from demo.stack import AIRFLOW_PARTS, Stack, connection, free_port

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent
#: How long Airflow waits for an answer of the service: less than what hangs, more than it takes to find who is held.
READ_SECONDS = 15
WORKERS = ("worker-1", "worker-2")
SECOND_TRIGGERER = "triggerer-2"

GATED = ("--step", "dataprocessing=chaos.cluster.step", "--parallel-jobs", "100")

# What takes Airflow minutes to notice, for people's sake, takes it seconds here; nothing else is changed by these.
SETTINGS = {
    "AIRFLOW__CORE__PARALLELISM": "8",
    "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "64",
    "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "2",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
    "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "3",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
}


class Cluster(Stack):
    """A stack on PostgreSQL, and on Celery if so wished, whose network can be spoilt.

    :param home: the throwaway folder; it must be within reach of everybody where this is run by root.
    :param celery: run tasks on two Celery workers, not in the scheduler's processes.
    :param seed: of the proxy before the local service.
    :param dags: the folder of DAG files.
    :param settings: environment variables for every part, stronger than the cluster's own.
    :param service: further options of ``neptune-ml-local serve``; by default data processing jobs wait at a gate.
    :raises DemoError: when a Debian package is missing.
    """

    def __init__(
        self,
        home: Path,
        *,
        celery: bool,
        seed: int = 0,
        tell: Callable[[str], None] = print,
        dags: Path = HERE / "dags",
        settings: Mapping[str, str] | None = None,
        service: Sequence[str] = GATED,
    ) -> None:
        check_packages()
        self.celery = celery
        #: Before the local service; only what is asked of Neptune ML is spoilt.
        self.neptune = Proxy(seed, spoils=lambda seen: seen.path.startswith("/ml/"))
        #: Before Airflow's API server, where its workers report.
        self.reports = Proxy()
        workers = {name: _worker(name) for name in WORKERS} if celery else {}
        gates = home.resolve() / "gates"
        super().__init__(
            home,
            dags,
            tell,
            parts=AIRFLOW_PARTS | workers,
            settings=SETTINGS
            | {
                "PYTHONPATH": str(PROJECT),
                "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor" if celery else "LocalExecutor",
                GATES: str(gates),
                **(settings or {}),
            },
            service=service,
        )
        self._gates = gates
        self._secret = secrets.token_hex(16)

    def __enter__(self) -> Self:
        self.neptune.__enter__()
        self.reports.__enter__()
        try:
            super().__enter__()
        except BaseException as error:
            self._close_proxies(error)
            raise
        self.neptune.target = self.service
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            super().__exit__(kind, error, trace)
        finally:
            self._close_proxies(error)

    def backends(self) -> dict[str, str]:
        """Start the database and the broker, and put the proxies in place."""
        self._gates.mkdir()
        self.reports.target = self.ui
        port = free_port()
        start_postgres(self, self._secret, port)
        database = f"{DATABASE}:{self._secret}@{HOST}:{port}/{DATABASE}"
        settings = {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{database}",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.reports.url}/execution/",
            "AIRFLOW_CONN_AWS_DEFAULT": connection(self.neptune.url, connect_timeout=3, read_timeout=READ_SECONDS),
        }
        if not self.celery:
            return settings
        port = free_port()
        start_redis(self, self._secret, port)
        return settings | {
            "AIRFLOW__CELERY__BROKER_URL": f"redis://:{self._secret}@{HOST}:{port}/0",
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql://{database}",
        }

    def open_gate(self, gate: str, reason: str = "") -> None:
        """Let the jobs behind a gate end.

        :param reason: why they fail; none lets them succeed.
        """
        unfinished = self._gates / f"{gate}.part"
        unfinished.write_text(reason)
        unfinished.rename(self._gates / gate)

    def _close_proxies(self, error: BaseException | None) -> None:
        for proxy in (self.neptune, self.reports):
            proxy.__exit__(type(error) if error else None, error, None)


def _worker(name: str) -> list[str]:
    return ["celery", "worker", "--concurrency", "4", "--celery-hostname", f"{name}@%h", "--skip-serve-logs"]
