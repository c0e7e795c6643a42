"""Whoever is not signed in gets nothing of the page, and whoever is sees the DAGs that Airflow lets them read."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlencode

import httpx
import pytest
from fastapi.routing import APIRoute

from neptune_airflow.plugin import PREFIX
from neptune_airflow.plugin.app import make_app
from neptune_airflow.plugin.auth import signed_in
from neptune_airflow.plugin.files import shipped_files
from tests.plugin.history import BAD_DAG, BAD_RUN
from tests.plugin.rights import OPEN

SignIn = Callable[[str | None], httpx.Client]
RUN = {"dag_id": "film_ratings", "run_id": "manual__mapped"}
JOB = {**RUN, "task_id": "wait"}
# Spelt as a browser or a proxy would pass them on, with nothing made simple before.
CRAFTED = (
    "/static/..%2fapp.py",
    "/static/..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/static/%2e%2e/app.py",
    "/static/../app.py",
    "/static/%252e%252e%252fapp.py",
    "/static/page.html%00.css",
    "/static//etc/passwd",
    "/static/",
    "/static/style.css/",
    "/static/..%5capp.py",
    "/api/runs/",
    "/api/runs%2f",
    "/api/../api/runs",
    "/api/%2e%2e/api/runs",
    "//api/runs",
    "/api/RUNS",
    "/openapi.json",
    "/docs",
    "/redoc",
    "/__init__.py",
    "/%f0%28%8c%28",
    "/" + "a" * 8_000,
)


def paths() -> list[str]:
    """Every route of the application, as it is made, and every file."""
    found = []
    for route in make_app().routes:
        assert isinstance(route, APIRoute), f"{route} asks nobody who is there"
        files = list(shipped_files()) if "{name}" in route.path else [""]
        found += [route.path.replace("{name}", name).replace("{_:path}", "anything/else") for name in files]
    return found


def test_routes_ask_who_is_there() -> None:
    for route in make_app().routes:
        assert isinstance(route, APIRoute)
        assert signed_in in [each.call for each in route.dependant.dependencies], route.path
    assert {"/", "/run", "/job", "/api/runs", "/static/page.html", "/static/runs.js"} <= set(paths())


@pytest.mark.parametrize("path", paths())
def test_nobody_gets_nothing(sign_in: SignIn, path: str) -> None:
    nobody = sign_in(None)
    assert nobody.get(PREFIX + path).status_code == 401
    assert nobody.get(PREFIX + path, params=JOB).status_code == 401
    for method in ("HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        assert not nobody.request(method, PREFIX + path).is_success
    forged = {"Cookie": "_token=eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsInJvbGUiOiJhZG1pbiJ9."}
    assert nobody.get(PREFIX + path, headers=forged).status_code in (401, 403)
    assert sign_in("no_website").get(PREFIX + path).status_code == 403


@pytest.mark.parametrize("path", CRAFTED)
def test_crafted_paths_lead_nowhere(sign_in: SignIn, path: str) -> None:
    assert answer_to(sign_in(None), path) == 401
    assert answer_to(sign_in("viewer"), path) == 404


def answer_to(client: httpx.Client, path: str) -> int:
    """Ask for a path as it is spelt: httpx would make it simple first."""
    with closing(HTTPConnection(client.base_url.netloc.decode(), timeout=60)) as connection:
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        connection.request("GET", f"{client.base_url.path.rstrip('/')}{PREFIX}{path}", headers={"Cookie": cookie})
        return connection.getresponse().status


def runs_seen(client: httpx.Client) -> tuple[set[str], set[str]]:
    """The DAGs of the runs that a user sees, and those that are offered for the filter."""
    answer = client.get(f"{PREFIX}/api/runs").raise_for_status().json()
    return {run["dag_id"] for run in answer["runs"]}, {dag["id"] for dag in answer["dags"]}


def test_users_see_the_dags_that_they_may_read(sign_in: SignIn) -> None:
    everything = runs_seen(sign_in("admin"))
    assert {OPEN, "film_ratings", BAD_DAG} <= everything[0] <= everything[1]
    assert runs_seen(sign_in("viewer")) == everything
    assert runs_seen(sign_in("narrow")) == ({OPEN}, {OPEN})
    assert runs_seen(sign_in("no_xcoms")) == (set(), set())


@pytest.mark.parametrize(("path", "what"), [("/api/run", RUN), ("/api/job", JOB)])
def test_what_may_not_be_read_is_as_if_it_were_not(sign_in: SignIn, path: str, what: dict[str, str]) -> None:
    assert sign_in("viewer").get(PREFIX + path, params=what).is_success
    for user in ("narrow", "no_xcoms"):
        refused = sign_in(user).get(PREFIX + path, params=what)
        missing = sign_in(user).get(PREFIX + path, params={**what, "dag_id": "there_is_none"})
        assert (
            (refused.status_code, refused.content) == (missing.status_code, missing.content) == (404, missing.content)
        )


def test_a_filter_does_not_widen_what_is_seen(sign_in: SignIn) -> None:
    answer = sign_in("narrow").get(f"{PREFIX}/api/runs", params={"dag_id": "film_ratings"})
    assert answer.raise_for_status().json()["runs"] == []


def test_odd_ids_are_found_and_others_are_not(admin: httpx.Client) -> None:
    found = admin.get(f"{PREFIX}/api/run", params={"dag_id": BAD_DAG, "run_id": BAD_RUN}).raise_for_status().json()
    assert (found["dag_id"], found["run_id"], len(found["tasks"])) == (BAD_DAG, BAD_RUN, 1)
    for odd in (
        "..",
        "../" * 20,
        "' or '1'='1",
        "%",
        "_",
        "*",
        "\u202e☆",
        "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
        " ",
        "",
    ):
        assert admin.get(f"{PREFIX}/api/run", params={"dag_id": BAD_DAG, "run_id": odd}).status_code == 404
    for wrong in ("x" * 5_000, "a\0b"):
        assert admin.get(f"{PREFIX}/api/run", params={"dag_id": BAD_DAG, "run_id": wrong}).status_code == 422


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "x"},
        {"status": "x"},
        {"since": "yesterday"},
        {"until": "9999-12-31"},
        {"since": "0001-01-01"},
        {"before": "2026-01-01T00:00:00"},
        {"before": "0001-01-01T00:00:00+14:00"},
        {"before": "2026-01-01T00:00:00Z", "before_id": str(10**30)},
        {"dag_id": "a\0b"},
    ],
    ids=urlencode,
)
def test_wrong_parameters_are_refused(admin: httpx.Client, wrong: dict[str, str]) -> None:
    assert admin.get(f"{PREFIX}/api/runs", params=wrong).status_code == 422


def test_answers_say_what_a_browser_may_do(sign_in: SignIn) -> None:
    for answer in (sign_in("viewer").get(f"{PREFIX}/"), sign_in(None).get(f"{PREFIX}/api/runs")):
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'self'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert sign_in("viewer").get(f"{PREFIX}/api/runs").headers["Cache-Control"] == "no-store"
