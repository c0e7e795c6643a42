"""The whole stack on one machine: the local Neptune ML service and the parts of Airflow, on free loopback ports."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from demo.airflow_api import AirflowAPI
from demo.processes import DemoError, Part, running, stop

HOST = "127.0.0.1"
USER = "admin"
REGION = "us-east-1"
START_SECONDS = 120.0
LOGIN_FILE = "login.json"
# The user's own settings must not reach the demo, and the demo must not reach the user's AWS account.
FOREIGN = re.compile(r"AIRFLOW_|AWS_|BOTO|PYTHON")
# Each reads the task logs from disk, so neither serves them on a port of its own.
AIRFLOW_PARTS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}

Answer = TypeVar("Answer")


class Stack:
    """The running stack; a context manager that leaves no process behind, however its body ends; see `keep`.

    Entering it raises `DemoError` when a demo already runs in the folder, or a part does not get ready.

    :param home: the throwaway folder: Airflow's database, the logs, the login.
    :param dags: the folder of DAG files.
    :param tell: takes a line about each step of the start.
    :param scheduled: whether DAGs also run by their schedules, once they are unpaused.
    """

    def __init__(self, home: Path, dags: Path, tell: Callable[[str], None] = print, *, scheduled: bool = False) -> None:
        self.home = home.resolve()
        self.dags = dags.resolve()
        self.password = secrets.token_urlsafe(12)
        self.ui = f"http://{HOST}:{_free_port()}"
        self.service = ""
        self._kept = False
        self._scheduled = scheduled
        self.api = AirflowAPI(self.ui, USER, self.password)
        self._tell = tell
        self._parts: list[Part] = []

    def __enter__(self) -> Self:
        if running(self.home):
            raise DemoError(f"A demo is running in {self.home}. Stop it first: make demo-stop")
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None or not self._kept:
            self.stop()

    def keep(self) -> None:
        """Let the stack run on when its body ends without an error; `demo.processes.stop` ends it."""
        self._kept = True

    def start(self) -> None:
        """Start everything and return when the API answers.

        :raises DemoError: when a part ends or does not get ready in time.
        """
        self._prepare()
        environment = self._environment()
        self._tell("starting the local Neptune ML service, preparing Airflow's database")
        service = self._start("service", ["neptune-ml-local", "serve", "--host", HOST, "--port", "0"], environment)
        migration = Part.start("database", ["airflow", "db", "migrate"], self.home, environment)
        self.service = self._wait_for(lambda: _address(service.log), "the local Neptune ML service")
        migration.finish(START_SECONDS)
        environment["AIRFLOW_CONN_AWS_DEFAULT"] = _connection(self.service)
        self._tell(f"the service answers at {self.service}; starting Airflow: {', '.join(AIRFLOW_PARTS)}")
        for name, command in AIRFLOW_PARTS.items():
            self._start(name, ["airflow", *command], environment)
        self._wait_for(self.api.healthy, "Airflow")
        self._tell(f"Airflow answers at {self.ui}")

    def check(self) -> None:
        """Make sure that every part still runs.

        :raises DemoError: when one does not, with the end of its log.
        """
        for part in self._parts:
            part.check()

    def stop(self) -> None:
        """End every process of the stack, and theirs.

        :raises DemoError: when a process cannot be ended.
        """
        self.api.close()
        left = stop(self.home)
        if left:
            raise DemoError(f"These processes do not end: {left}")
        for part in self._parts:
            part.process.wait()
        self._parts.clear()

    def _prepare(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)
        login = self.home / LOGIN_FILE
        login.touch(mode=0o600)
        login.write_text(json.dumps({USER: self.password}))

    def _start(self, name: str, command: list[str], environment: dict[str, str]) -> Part:
        part = Part.start(name, command, self.home, environment)
        self._parts.append(part)
        return part

    def _wait_for(self, condition: Callable[[], Answer], what: str) -> Answer:
        deadline = time.monotonic() + START_SECONDS
        while not (result := condition()):
            self.check()
            if time.monotonic() > deadline:
                raise DemoError(f"{what} is not ready after {START_SECONDS:.0f} s; its logs are in {self.home}")
            time.sleep(0.2)
        return result

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not FOREIGN.match(name)}
        loopback = ",".join(filter(None, [os.environ.get("no_proxy"), HOST, "localhost"]))
        return kept | {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "PYTHONUNBUFFERED": "1",
            "NO_PROXY": loopback,
            "no_proxy": loopback,
            # Without this a changed process title overwrites the environment, by which processes are told apart.
            "SPT_NOENV": "1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.ui}/execution/",
            # A failed try is not tried again after the usual five minutes, and no weekly run gets in the way of a demo.
            "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "3",
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": str(self._scheduled),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.home / LOGIN_FILE),
            "AIRFLOW__API__HOST": HOST,
            "AIRFLOW__API__PORT": self.ui.rpartition(":")[2],
            "AIRFLOW__API__BASE_URL": self.ui,
            # Airflow may notice only this many seconds later that a worker has ended. A trigger that fires before then
            # resumes the task too early, and the scheduler fails it: "state mismatch", seen with the usual 5 s.
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _address(log: Path) -> str:
    found = re.search(r"http://[\w.]+:\d+", log.read_text(errors="replace"))
    return found[0] if found else ""


def _connection(service: str) -> str:
    extra = {"endpoint_url": service, "region_name": REGION}
    return json.dumps({"conn_type": "aws", "login": "local", "password": "local", "extra": extra})
