"""A real API server of Airflow's, alone, on a database that a test has filled."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from demo.processes import Part
from demo.stack import HOST, LOGIN_FILE, START_SECONDS, Stack

PROJECT = Path(__file__).parents[2]
#: Who may sign in, with the role that the simple auth manager gives them; `rights.py` takes more from some of them.
USERS = {
    "admin": "admin",
    "viewer": "viewer",
    "narrow": "viewer",
    "no_xcoms": "viewer",
    "no_website": "viewer",
}


class ApiServer(Stack):
    """The stack with nothing of it but the database and the API server.

    :param home: the throwaway folder.
    :param prefix: the path of ``[api] base_url``, such as ``/team/airflow``.
    :param runs: how many runs of pipelines the past has, besides those of `history.special`; None is no past at all.
    :param others: how many runs of a DAG that has nothing to do with Neptune ML.
    :param settings: environment variables, stronger than the stack's own.
    :param more: further arguments of the stack that this one is mixed into.
    """

    def __init__(
        self,
        home: Path,
        *,
        prefix: str = "",
        runs: int | None = None,
        others: int = 0,
        settings: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        own = {
            "PYTHONPATH": str(PROJECT),
            "AIRFLOW__CORE__AUTH_MANAGER": "tests.plugin.rights.SomeRightsAuthManager",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in USERS.items()),
            "AIRFLOW__API__WORKERS": "1",
            # The same for the programs that fill the database and for the server.
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__CORE__FERNET_KEY": "",
        }
        super().__init__(home, dags=home / "dags", tell=lambda _: None, settings=own | dict(settings or {}), **more)
        self.prefix = prefix
        self.address = f"{self.ui}{prefix}"
        self._past = ["--runs", str(runs), "--others", str(others)] if runs is not None else []

    def start(self) -> None:
        """Prepare the database, fill it, start the server and wait until it answers."""
        self._prepare()
        self._environment = self._surroundings() | {"AIRFLOW__API__BASE_URL": self.address}
        self._environment |= self.backends()
        Part.start("database", ["airflow", "db", "migrate"], self.home, self._environment).finish(START_SECONDS)
        if self._past:
            self.run("-m", "tests.plugin.history", *self._past)
        self.launch("api-server", ["airflow", "api-server"])
        self.wait_for(self._answers, "Airflow's API server")

    def run(self, *arguments: str) -> None:
        """Run a Python program in the environment of this Airflow."""
        Part.start("program", [Path(sys.executable).name, *arguments], self.home, self._environment).finish(300)

    def client(self, user: str | None = None) -> httpx.Client:
        """Give an HTTP client that carries a user's cookie, as a browser would; nobody's, without a user."""
        client = httpx.Client(base_url=self.address, trust_env=False, timeout=60)
        if user:
            login = {"username": user, "password": self.password}
            token = client.post("/auth/token", json=login).raise_for_status().json()["access_token"]
            client.cookies.set("_token", token, domain=HOST)
        return client

    def _prepare(self) -> None:
        super()._prepare()
        (self.home / LOGIN_FILE).write_text(json.dumps(dict.fromkeys(USERS, self.password)))

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.address}/api/v2/version", trust_env=False).is_success
        except httpx.HTTPError:
            return False
