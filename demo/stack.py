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
from collections.abc import Callable, Mapping, Sequence
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
    :param parts: the commands of Airflow that run, by the name of each.
    :param settings: environment variables for every part, stronger than the stack's own.
    :param service: further options of ``neptune-ml-local serve``.
    :param port: of Airflow's API server; None takes a free one.
    """

    #: The part that begins runs.
    scheduler = "scheduler"

    def __init__(
        self,
        home: Path,
        dags: Path,
        tell: Callable[[str], None] = print,
        *,
        parts: Mapping[str, Sequence[str]] = AIRFLOW_PARTS,
        settings: Mapping[str, str] | None = None,
        service: Sequence[str] = (),
        port: int | None = None,
    ) -> None:
        self.home = home.resolve()
        self.dags = dags.resolve()
        self.password = secrets.token_urlsafe(12)
        self.ui = f"http://{HOST}:{port or free_port()}"
        self.service = ""
        self._kept = False
        self._scheduled = False
        self.api = AirflowAPI(self.ui, USER, self.password)
        self._tell = tell
        self._commands = dict(parts)
        self._settings = dict(settings or {})
        self._service = service
        self._environment: dict[str, str] = {}
        self._parts: dict[str, Part] = {}

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

    def follow_schedules(self) -> None:
        """From now on let DAGs run by their schedules and assets too, once they are unpaused."""
        self._scheduled = True
        self.end(self.scheduler)
        self.restart(self.scheduler)

    def start(self) -> None:
        """Start everything and return when the API answers.

        :raises DemoError: when a part ends or does not get ready in time.
        """
        self._prepare()
        self._environment = self._surroundings()
        self._tell("starting the local Neptune ML service, preparing Airflow's database")
        command = ["neptune-ml-local", "serve", "--host", HOST, "--port", "0", *self._service]
        service = self.launch("service", command)
        self._environment |= self.backends()
        migration = Part.start("database", ["airflow", "db", "migrate"], self.home, self._environment)
        self.service = self.wait_for(lambda: _address(service.log), "the local Neptune ML service")
        migration.finish(START_SECONDS)
        self.users()
        self._environment.setdefault("AIRFLOW_CONN_AWS_DEFAULT", connection(self.service))
        self._tell(f"the service answers at {self.service}; starting Airflow: {', '.join(self._commands)}")
        for name in self._commands:
            self.restart(name)
        self.wait_for(self.api.healthy, "Airflow")
        self._tell(f"Airflow answers at {self.ui}")

    def backends(self) -> dict[str, str]:
        """Start what Airflow needs beside itself, and give the settings that name it: for SQLite, nothing."""
        return {}

    def users(self) -> None:
        """Make the users who may log in, where a setting is not enough."""

    def launch(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Part:
        """Start a program as a part of the stack; its output goes to ``<name>.log``.

        :param environment: None stands for that of the whole stack.
        """
        self._parts[name] = part = Part.start(name, command, self.home, environment or self._environment)
        return part

    def restart(self, name: str) -> Part:
        """Start one of Airflow's parts, anew if it was there before and is gone."""
        return self.launch(name, ["airflow", *self._commands[name]], self._schedules() | self._environment)

    def part(self, name: str) -> Part:
        """Give a part by its name."""
        return self._parts[name]

    def kill(self, name: str, *, alone: bool = False) -> None:
        """Kill a part by SIGKILL, and all that it has started, as a machine that loses its power would.

        :param alone: let what it has started live.
        """
        self._parts.pop(name).kill(alone=alone)

    def end(self, name: str) -> None:
        """Stop a part in order, as a deployment does."""
        part = self._parts.pop(name)
        part.process.terminate()
        part.finish(START_SECONDS)

    def check(self) -> None:
        """Make sure that every part still runs.

        :raises DemoError: when one does not, with the end of its log; or when all have been stopped.
        """
        if not self._parts:
            raise DemoError(f"Everything in {self.home} has been stopped.")
        for part in list(self._parts.values()):
            part.check()

    def wait_for(self, condition: Callable[[], Answer], what: str, seconds: float = START_SECONDS) -> Answer:
        """Wait until a condition gives something true, while every part runs.

        :raises DemoError: when it does not in time, or a part ends.
        """
        deadline = time.monotonic() + seconds
        while not (result := condition()):
            self.check()
            if time.monotonic() > deadline:
                raise DemoError(f"{what} is not ready after {seconds:.0f} s; its logs are in {self.home}")
            time.sleep(0.2)
        return result

    def stop(self) -> None:
        """End every process of the stack, and theirs.

        :raises DemoError: when a process cannot be ended.
        """
        self.api.close()
        left = stop(self.home)
        if left:
            raise DemoError(f"These processes do not end: {left}")
        for part in self._parts.values():
            part.process.wait()
        self._parts.clear()

    def _prepare(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)
        login = self.home / LOGIN_FILE
        login.touch(mode=0o600)
        login.write_text(json.dumps({USER: self.password}))

    def _machine(self) -> dict[str, str]:
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
        }

    def _schedules(self) -> dict[str, str]:
        """Keep weekly runs out of a demo's way, and all that assets would start, until `follow_schedules`."""
        return {"AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": str(self._scheduled)}

    def _surroundings(self) -> dict[str, str]:
        return self._machine() | {
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.ui}/execution/",
            # A failed try is not tried again after the usual five minutes.
            "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "3",
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
            **self._settings,
        }


def free_port() -> int:
    """Give a port of the loopback interface on which nothing listens."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _address(log: Path) -> str:
    found = re.search(r"http://[\w.]+:\d+", log.read_text(errors="replace"))
    return found[0] if found else ""


def connection(service: str, **config: float) -> str:
    """Give an Airflow connection to a local service.

    :param config: arguments of botocore's ``Config``.
    """
    extra = {"endpoint_url": service, "region_name": REGION, **({"config_kwargs": config} if config else {})}
    return json.dumps({"conn_type": "aws", "login": "local", "password": "local", "extra": extra})
