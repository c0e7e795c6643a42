"""What the page is told: the runs of a real database, page by page and filter by filter."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import httpx
import pytest

from neptune_airflow.jobs import KINDS, PARTS
from neptune_airflow.plugin import PREFIX
from neptune_airflow.plugin.stages import STATUSES, operators, status
from tests.plugin.history import BAD_DAG, BAD_TEXT, NOW


def ask(client: httpx.Client, what: str = "runs", **parameters: Any) -> Any:
    return client.get(f"{PREFIX}/api/{what}", params=parameters).raise_for_status().json()


def every_run(client: httpx.Client, **filters: Any) -> list[dict[str, Any]]:
    """All runs, from page to page."""
    answer = ask(client, **filters)
    runs = answer["runs"]
    while answer["next"]:
        answer = ask(client, **filters, **answer["next"])
        runs += answer["runs"]
    return runs


def task_of(client: httpx.Client, dag_id: str, run_id: str, task_id: str, **more: Any) -> Any:
    return ask(client, "job", dag_id=dag_id, run_id=run_id, task_id=task_id, **more)["task"]


def test_pages_give_every_run_once_newest_first(admin: httpx.Client) -> None:
    runs = every_run(admin)
    assert len(ask(admin)["runs"]) == 25
    assert len({(run["dag_id"], run["run_id"]) for run in runs}) == len(runs) == 60 + 6
    assert [run["run_after"] for run in runs] == sorted((run["run_after"] for run in runs), reverse=True)


def test_runs_without_a_task_of_ours_are_left_out(admin: httpx.Client) -> None:
    assert "manual__empty" not in {run["run_id"] for run in every_run(admin)}
    run = ask(admin, "run", dag_id="film_ratings", run_id="manual__mapped")
    assert {task["task_id"] for task in run["tasks"]} == {"wait", "train_each"}


@pytest.mark.parametrize("kind", KINDS)
def test_filter_by_kind(admin: httpx.Client, kind: str) -> None:
    found, runs = every_run(admin, kind=kind), every_run(admin)
    assert found == [run for run in runs if any(task["kind"] == kind for task in run["tasks"])]


@pytest.mark.parametrize("word", STATUSES)
def test_filter_by_status(admin: httpx.Client, word: str) -> None:
    found, runs = every_run(admin, status=word), every_run(admin)
    for run in runs:  # with all of a mapped task, not with the first few
        run["statuses"] = {
            task["status"] for task in ask(admin, "run", dag_id=run["dag_id"], run_id=run["run_id"])["tasks"]
        }
    assert [run["run_id"] for run in found] == [run["run_id"] for run in runs if word in run["statuses"]]


def test_kind_and_status_are_asked_of_one_job(admin: httpx.Client) -> None:
    found, runs = every_run(admin, kind="model_training", status="failed"), every_run(admin)
    failed = [
        run for run in runs if any((t["kind"], t["status"]) == ("model_training", "failed") for t in run["tasks"])
    ]
    assert found == failed
    assert 0 < len(found) < len(every_run(admin, status="failed"))


def test_filter_by_dag_and_time(admin: httpx.Client) -> None:
    assert {run["dag_id"] for run in every_run(admin, dag_id="fraud_ring")} == {"fraud_ring"}
    day = (NOW - timedelta(days=1)).date().isoformat()
    runs = every_run(admin, since=day, until=day)
    assert runs == [run for run in every_run(admin) if run["run_after"][:10] == day]
    assert every_run(admin, until="2020-01-01") == []


def test_stages_are_known_before_they_begin(admin: httpx.Client) -> None:
    run = ask(admin, "run", dag_id="fraud_ring", run_id="manual__running")
    stages = {task["task_id"]: (task["kind"], task["status"], bool(task["record"])) for task in run["tasks"]}
    assert stages == {
        "export": ("export", "succeeded", True),
        "process": ("data_processing", "succeeded", True),
        "train": ("model_training", "running", True),
        "transform": ("model_transform", "waiting", False),
        "endpoint": ("endpoint", "waiting", False),
    }
    assert {stage.part for stage in operators().values()} == set(PARTS)
    assert {stage.kind for stage in operators().values()} == set(KINDS)
    assert status("a state of another Airflow") == "waiting"


def test_a_mapped_task_shows_first_what_went_wrong(admin: httpx.Client) -> None:
    in_list = next(run for run in every_run(admin) if run["run_id"] == "manual__mapped")
    mapped = [task for task in in_list["tasks"] if task["task_id"] == "train_each"]
    assert [(task["map_index"], task["status"], task["of"]) for task in mapped] == [
        (7, "failed", 12),
        (9, "running", 12),
        (10, "running", 12),
    ]
    alone = ask(admin, "run", dag_id="film_ratings", run_id="manual__mapped")
    assert len([task for task in alone["tasks"] if task["task_id"] == "train_each"]) == 12
    assert task_of(admin, "film_ratings", "manual__mapped", "train_each", map_index=7)["record"]["id"] == "mapped-7"
    for none in ({"task_id": "train_each", "map_index": 12}, {"task_id": "unrelated"}, {"task_id": "none_such"}):
        assert ask(admin, "job", dag_id="film_ratings", run_id="manual__mapped", **none)["task"] is None


def test_a_sensor_waits(admin: httpx.Client) -> None:
    wait = task_of(admin, "film_ratings", "manual__mapped", "wait")
    assert (wait["part"], wait["status"], wait["record"]["phase"]) == ("waits", "running", "active")


def test_a_job_is_told_in_full_and_a_list_in_brief(admin: httpx.Client) -> None:
    failed = task_of(admin, "fraud_ring", "manual__failed", "train")["record"]
    assert len(failed["failure"]["log"]) == 50
    assert failed["failure"]["remedy"]
    processed = task_of(admin, "fraud_ring", "manual__finished", "process")["record"]
    assert {"features", "warnings", "labels"} == set(processed["report"])
    brief = next(
        task for run in every_run(admin, dag_id="fraud_ring") for task in run["tasks"] if task["task_id"] == "process"
    )
    assert {"report", "parameters", "timeline"}.isdisjoint(brief["record"])
    assert brief["record"]["figures"]["nodes"]


def test_a_record_may_hold_anything(admin: httpx.Client) -> None:
    """It is an XCom, which a DAG's author can write as well."""
    job = task_of(
        admin,
        BAD_DAG,
        next(r["run_id"] for r in every_run(admin, dag_id=BAD_DAG) if "wrong" not in r["run_id"]),
        "process",
    )
    assert job["record"]["id"] == BAD_TEXT
    assert list(job["record"]["links"].values())[-1:] == ["https://example.com/"]
    assert all(url.startswith("https://") for url in job["record"]["links"].values())
    wrong = task_of(admin, BAD_DAG, "manual__wrong", "process")
    assert wrong["record"]["timeline"] == []
    assert wrong["record"]["links"] == wrong["record"]["parameters"] == wrong["record"]["failure"] == {}
    assert wrong["record"]["status"] is None
    assert ask(admin, dag_id=BAD_DAG)["runs"]


def test_the_page_and_its_files_are_found_below_the_path_of_base_url(admin: httpx.Client) -> None:
    views = [view for each in ask_airflow(admin, "plugins")["plugins"] for view in each["external_views"]]
    ours = {view["destination"]: view for view in views if view["name"] == "Neptune ML"}
    assert set(ours) == {"nav", "dag_run", "task_instance"}
    host = str(admin.base_url.copy_with(path="/")).rstrip("/")
    for view in ours.values():
        page = admin.get(host + view["href"]).raise_for_status()
        assert page.headers["Content-Type"].startswith("text/html")
        for file in re.findall(r'(?:src|href)="([^"#]+)"', page.text):
            assert admin.get(str(httpx.URL(host + view["href"]).join(file))).is_success
        for icon in (view["icon"], view["icon_dark_mode"]):
            assert admin.get(host + icon).raise_for_status().headers["Content-Type"] == "image/svg+xml"
    assert ask_airflow(admin, "plugins/importErrors")["import_errors"] == []


def ask_airflow(client: httpx.Client, what: str) -> Any:
    return client.get(f"/api/v2/{what}").raise_for_status().json()


def test_a_file_that_the_browser_has_is_not_sent_again(admin: httpx.Client) -> None:
    first = admin.get(f"{PREFIX}/static/runs.js").raise_for_status()
    again = admin.get(f"{PREFIX}/static/runs.js", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
