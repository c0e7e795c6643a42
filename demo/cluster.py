"""The compose file's containers as processes: what ``make cluster`` runs.

Their images are what differs: Airflow is this virtual environment's, PostgreSQL and Redis are Debian's.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import yaml

from demo.backends import check_packages, start_postgres, start_redis
from demo.compose import COMPLETED, Container, containers, here
from demo.processes import MARK, DemoError, Part, tail, undisturbed
from demo.settings import EXAMPLE, filled, values
from demo.stack import HOST, USER, Stack, free_port

PROJECT = Path(__file__).parent.parent
FILE = PROJECT / "docker-compose.yaml"
API_PORT, SERVICE_PORT = "8080", "8182"
WORKER = "airflow-worker"
CELERY = ("celery", "--app", "airflow.providers.celery.executors.celery_executor.app")
READY_SECONDS = 300.0
CHECK_SECONDS = 60.0

#: What stands for an image other than ours: how it is started, its port, and where the file has its password.
Backend = tuple[Callable[[Stack, str, int], None], str, str]
BACKENDS: dict[str, Backend] = {
    "postgres": (start_postgres, "5432", "POSTGRES_PASSWORD"),
    "redis": (start_redis, "6379", "REDISCLI_AUTH"),
}


def default_home() -> Path:
    """Give a folder that PostgreSQL's own user can reach where this is run by root."""
    return Path(tempfile.gettempdir()) / f"neptune-ml-cluster-{os.getuid()}"


class Cluster(Stack):
    """What the compose file starts, with fresh secrets; its folder is gone when it has stopped.

    :param home: the throwaway folder.
    :param dags: what is mounted as the folder of DAG files.
    :param tell: takes a line about each step of the start.
    :raises DemoError: when a Debian package is missing.
    """

    scheduler = "airflow-scheduler"

    def __init__(self, home: Path, dags: Path, tell: Callable[[str], None] = print) -> None:
        check_packages()
        self._ports: defaultdict[str, str] = defaultdict(lambda: str(free_port()))
        super().__init__(home, dags, tell, port=int(self._ports[API_PORT]))
        self.service = f"http://{HOST}:{self._ports[SERVICE_PORT]}"
        text = FILE.read_text()
        services = list(yaml.safe_load(text)["services"])
        login = {"AIRFLOW_ADMIN_USERNAME": USER, "AIRFLOW_ADMIN_PASSWORD": self.password}
        # Secrets come after the addresses, so that none is taken for one.
        variables = values(filled(here(EXAMPLE.read_text(), services, self._ports))) | login
        self._containers = {each.name: each for each in containers(here(text, services, self._ports), variables)}
        self._once: dict[str, Part] = {}
        self._ready: set[str] = set()

    def start(self) -> None:
        """Start every container once what it waits for is there, and return when all are healthy.

        :raises DemoError: when one ends or does not get healthy in time.
        """
        self._prepare()
        self._environment = self._machine()
        every = list(self._containers.values())
        once = {name for each in every for name, condition in each.waits.items() if condition == COMPLETED}
        for container in every:
            self._wait_for(container.waits)
            self._tell(f"starting {container.name}")
            if container.service in once:
                program, environment = self._command(container), self._inside(container)
                self._once[container.name] = Part.start(container.name, program, self.home, environment)
            else:
                self.restart(container.name)
        self._wait_for({container.service for container in every})
        self._tell(f"all are healthy; Airflow answers at {self.ui}")

    def restart(self, name: str) -> Part:
        """Start a container by its name, anew if it was there before and is gone."""
        container = self._containers[name]
        if backend := BACKENDS.get(container.service):
            begin, port, password = backend
            begin(self, container.environment[password], int(self._ports[port]))
            return self.part(name)
        return self.launch(name, self._command(container), self._inside(container))

    def stop(self) -> None:
        """End every process of the stack, and theirs, and remove its folder.

        :raises DemoError: when a process cannot be ended.
        """
        with undisturbed():
            super().stop()
            shutil.rmtree(self.home, ignore_errors=True)

    def workers(self) -> dict[str, int]:
        """Give how many tasks each worker has run; one that was deferred counts twice.

        :raises DemoError: when a worker does not answer.
        """
        workers = [each for each in self._containers.values() if each.service == WORKER]
        told = self._run(workers[0], [*CELERY, "inspect", "--timeout", "10", "--json", "stats"])
        answers = json.loads(told.stdout.splitlines()[-1]) if told.returncode == 0 else {}  # the lines before are logs
        names = {each.name: f"celery@{each.name}" for each in workers}
        if silent := [name for name, node in names.items() if node not in answers]:
            raise DemoError(f"{', '.join(silent)}: no answer.\n{told.stdout}{told.stderr}")
        return {name: sum(answers[node]["total"].values()) for name, node in names.items()}

    def _wait_for(self, services: Collection[str]) -> None:
        """Wait until each container of some services has done its work or is healthy."""
        for name, container in self._containers.items():
            if container.service not in services or name in self._ready:
                continue
            if name in self._once:
                self._once[name].finish(READY_SECONDS)
            elif container.check:
                self._wait_for_health(container)
            self._ready.add(name)

    def _wait_for_health(self, container: Container) -> None:
        said = ""

        def healthy() -> bool:
            nonlocal said
            done = self._run(container, container.check)
            said = done.stdout + done.stderr
            return done.returncode == 0

        try:
            self.wait_for(healthy, container.name, READY_SECONDS)
        except DemoError as error:
            log = tail(self.part(container.name).log)
            raise DemoError(f"{error}\nIts health check says: {said}\nIts log ends:\n{log}") from None

    def _run(self, container: Container, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command as in a container; one that takes too long has failed."""
        environment = self._inside(container) | {MARK: str(self.home)}
        try:
            return subprocess.run(
                command, cwd=self.home, env=environment, capture_output=True, text=True, timeout=CHECK_SECONDS
            )
        except subprocess.TimeoutExpired as late:
            return subprocess.CompletedProcess(command, 1, "", str(late))

    def _command(self, container: Container) -> list[str]:
        program, *arguments = container.command
        # Workers tell each other apart by the names of their hosts, and here they have the same.
        own = ["--celery-hostname", f"celery@{container.name}"] if container.service == WORKER else []
        return [str(shutil.which(program, path=self._environment["PATH"])), *arguments, *own]

    def _inside(self, container: Container) -> dict[str, str]:
        return (
            self._environment
            | container.environment
            | self._schedules()
            | {
                "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
                "HOSTNAME": container.name,
                "AIRFLOW__CORE__HOSTNAME_CALLABLE": "demo.compose.hostname",
                "PYTHONPATH": str(PROJECT),
            }
        )
