"""The same stack on Airflow 2: the older API, a web server that serves it, and a scheduler that reads the DAG files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from demo.airflow_api import AirflowAPI
from demo.processes import Part
from demo.stack import HOST, START_SECONDS, USER, Stack

PARTS = {
    "webserver": ["webserver"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}


class AirflowAPI1(AirflowAPI):
    """Airflow's REST API v1, which asks for the password with each call."""

    root = "/api/v1"
    earnest = {"dry_run": False}

    def __init__(self, address: str, user: str, password: str) -> None:
        super().__init__(address, user, password)
        self._client.auth = httpx.BasicAuth(user, password)

    def healthy(self) -> bool:
        """Tell whether the API answers and has seen a heartbeat of every other part."""
        try:
            parts = self._get("/health")
        except httpx.HTTPError:
            return False
        return all(parts[name]["status"] == "healthy" for name in PARTS if name in parts)

    def trigger(self, dag_id: str, conf: dict[str, Any], logical_date: str | None = None) -> str:
        """Start a run of a DAG; one without a date has that of now."""
        self.unpause(dag_id)
        body = {"conf": conf} | ({"logical_date": logical_date} if logical_date else {})
        run_id: str = self._call("POST", f"/dags/{dag_id}/dagRuns", body).raise_for_status().json()["dag_run_id"]
        return run_id

    def log(self, dag_id: str, run_id: str, task: dict[str, Any]) -> list[str]:
        """Give the lines of a task's last try."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task['task_id']}/logs/{task['try_number'] or 1}"
        answer = self._client.get(
            f"{self.root}{path}", params={"full_content": "true"}, headers={"Accept": "text/plain"}
        )
        return answer.raise_for_status().text.splitlines()


class Airflow2(Stack):
    """The running stack of an Airflow 2, which on SQLite runs one task at a time."""

    def __init__(self, home: Path, dags: Path, tell: Callable[[str], None] = print) -> None:
        super().__init__(home, dags, tell, parts=PARTS)
        self.api = AirflowAPI1(self.ui, USER, self.password)

    def users(self) -> None:
        """Make the user who may log in."""
        who = ["--username", USER, "--password", self.password, "--role", "Admin"]
        name = ["--firstname", USER, "--lastname", USER, "--email", f"{USER}@localhost"]
        made = Part.start("users", ["airflow", "users", "create", *who, *name], self.home, self._environment)
        made.finish(START_SECONDS)

    def _surroundings(self) -> dict[str, str]:
        return super()._surroundings() | {
            "AIRFLOW__CORE__EXECUTOR": "SequentialExecutor",
            "AIRFLOW__WEBSERVER__WEB_SERVER_HOST": HOST,
            "AIRFLOW__WEBSERVER__WEB_SERVER_PORT": self.ui.rpartition(":")[2],
            "AIRFLOW__WEBSERVER__WORKERS": "1",
            "AIRFLOW__API__AUTH_BACKENDS": "airflow.providers.fab.auth_manager.api.auth.backend.basic_auth",
        }
