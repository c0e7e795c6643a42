"""Airflow's REST API v2, as far as a demo needs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

PATIENCE = httpx.Timeout(30.0)
LONGEST_PAGE = "100"


class AirflowAPI:
    """A logged-in client.

    :param address: where the API server answers.
    :param user: a user of the simple auth manager.
    :param password: that user's password.
    """

    root = "/api/v2"
    #: What a change has beside, where it is only tried otherwise.
    earnest: Mapping[str, bool] = {}

    def __init__(self, address: str, user: str, password: str) -> None:
        self._login = {"username": user, "password": password}
        self._client = httpx.Client(base_url=address, timeout=PATIENCE, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def healthy(self) -> bool:
        """Tell whether the API answers and has seen a heartbeat of every other part."""
        try:
            parts = self._client.get(f"{self.root}/monitor/health").raise_for_status().json()
        except httpx.HTTPError:
            return False
        return all(part["status"] == "healthy" for part in parts.values() if part)

    def has_dag(self, dag_id: str) -> bool:
        """Tell whether the DAG processor has brought in the DAG."""
        answer = self._call("GET", f"/dags/{dag_id}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return False
        answer.raise_for_status()
        return True

    def params(self, dag_id: str) -> set[str]:
        """Give the names of a DAG's params."""
        return set(self._get(f"/dags/{dag_id}/details")["params"] or {})

    def import_errors(self) -> list[str]:
        """Give the stack trace of every DAG file that could not be read."""
        return [error["stack_trace"] for error in self._get("/importErrors")["import_errors"]]

    def unpause(self, dag_id: str) -> None:
        """Let a DAG's runs begin."""
        self._call("PATCH", f"/dags/{dag_id}", {"is_paused": False}).raise_for_status()

    def pause(self, dag_id: str) -> None:
        """Let no more of a DAG's runs begin."""
        self._call("PATCH", f"/dags/{dag_id}", {"is_paused": True}).raise_for_status()

    def trigger(self, dag_id: str, conf: dict[str, Any], logical_date: str | None = None) -> str:
        """Start a run of a DAG.

        :param conf: the run's values for the DAG's params.
        :param logical_date: the run's date, by ISO 8601; None for a run without one.
        :return: the run's id.
        """
        self.unpause(dag_id)
        answer = self._call("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": logical_date, "conf": conf})
        run_id: str = answer.raise_for_status().json()["dag_run_id"]
        return run_id

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Give the state of a run."""
        state: str = self._get(f"/dags/{dag_id}/dagRuns/{run_id}")["state"]
        return state

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Give the task instances of a run, the upstream ones first: a task's weight counts those after it."""
        found = self._get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=LONGEST_PAGE)["task_instances"]
        return sorted(found, key=lambda task: (-task["priority_weight"], task["task_id"]))

    def set_state(self, dag_id: str, run_id: str, task_id: str, state: str, map_index: int = -1) -> None:
        """Mark a task instance, as a person does.

        :param state: ``failed``, ``success`` or ``skipped``.
        """
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        path += f"/{map_index}" if map_index >= 0 else ""
        self._call("PATCH", path, {"new_state": state, **self.earnest}).raise_for_status()

    def clear(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Let a task run anew, with all of its mapped instances, as a person does."""
        body = {"dry_run": False, "dag_run_id": run_id, "task_ids": [task_id], "only_failed": False}
        self._call("POST", f"/dags/{dag_id}/clearTaskInstances", body).raise_for_status()

    def result(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """Give what a task returned; None when it returned nothing."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        answer = self._call("GET", path, query={"stringify": "false"})
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        return answer.raise_for_status().json()["value"]

    def log(self, dag_id: str, run_id: str, task: dict[str, Any]) -> list[str]:
        """Give the lines of a task's last try."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task['task_id']}/logs/{task['try_number'] or 1}"
        content = self._get(path, full_content="true")["content"]
        lines = [line if isinstance(line, str) else _line(line) for line in content]
        return [line for line in lines if "::group::" not in line and "::endgroup::" not in line]

    def _get(self, path: str, **query: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._call("GET", path, query=query).raise_for_status().json()
        return answer

    def _call(self, method: str, path: str, body: Any = None, query: dict[str, str] | None = None) -> httpx.Response:
        answer = self._client.request(method, f"{self.root}{path}", json=body, params=query)
        if answer.status_code != httpx.codes.UNAUTHORIZED:
            return answer
        token = self._client.post("/auth/token", json=self._login).raise_for_status().json()["access_token"]
        self._client.headers["Authorization"] = f"Bearer {token}"
        return self._client.request(method, f"{self.root}{path}", json=body, params=query)


def _line(entry: dict[str, Any]) -> str:
    words = [str(entry.get("timestamp", ""))[:19], str(entry.get("level", "")).upper(), str(entry.get("event", ""))]
    errors = [f"{error.get('exc_type')}: {error.get('exc_value')}" for error in entry.get("error_detail") or []]
    return " ".join(filter(None, [*words, *errors]))
