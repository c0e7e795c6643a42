"""What the page is sent: rows of Airflow's database as JSON, with nothing in it but what the page shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from neptune_airflow.jobs import KINDS, PARTS
from neptune_airflow.plugin.queries import as_record
from neptune_airflow.plugin.stages import Stage, operators, status
from neptune_airflow.records import FIELDS

# A record in which nothing is known.
_EMPTY: Mapping[str, Any] = {**FIELDS, "failure": {}}
_WEB = ("https://", "http://")
# What a list of runs shows of a record; the rest is a job's own page.
_BRIEF = ("id", "name", "status", "phase", "adopted", "submitted", "ended", "links", "figures", "failure")


def a_run(row: Any, names: Mapping[str, str], tasks: Iterable[Any] = ()) -> dict[str, Any]:
    """Say what is known of a run.

    :param row: of `queries.runs`.
    :param names: under which name a DAG is shown.
    :param tasks: rows of `queries.tasks`.
    """
    return {
        "dag_id": row.dag_id,
        "dag_name": names.get(row.dag_id, row.dag_id),
        "run_id": row.run_id,
        "run_type": str(row.run_type),
        "state": str(row.state),
        "run_after": written(row.run_after),
        "start": written(row.start_date),
        "end": written(row.end_date),
        "tasks": [brief(task) for task in tasks],
    }


def brief(row: Any) -> dict[str, Any]:
    """Say of a task what a list shows."""
    record = _sound(as_record(row.value))
    shown = {name: record[name] for name in _BRIEF}
    shown["failure"] = {**shown["failure"], "log": []} if shown["failure"] else {}
    return {**_task(row, record), "record": shown if row.value else None}


def full(row: Any) -> dict[str, Any]:
    """Say everything that is known of a task."""
    record = _sound(as_record(row.value))
    return {**_task(row, record), "record": record if row.value else None}


def written(at: datetime | None) -> str | None:
    """Write a time as records do."""
    return at.isoformat(timespec="milliseconds") if at else None


def _task(row: Any, record: Mapping[str, Any]) -> dict[str, Any]:
    known = operators().get(row.operator, Stage("", ""))
    return {
        "task_id": row.task_id,
        "map_index": row.map_index,
        "of": row.of,
        "try_number": row.try_number,
        "operator": row.operator,
        "state": row.state,
        "status": status(row.state),
        "start": written(row.start_date),
        "end": written(row.end_date),
        "kind": record["kind"] if record["kind"] in KINDS else known.kind,
        "part": record["part"] if record["part"] in PARTS else known.part,
    }


def _sound(record: Mapping[str, Any]) -> dict[str, Any]:
    """Give every field its type: a record is an XCom, which a DAG's author can write as well.

    Links are let through if a browser may follow them; what is deeper, the page takes for text.
    """
    sound = {name: _shaped(record.get(name), empty) for name, empty in _EMPTY.items()}
    sound["links"] = {name: url for name, url in sound["links"].items() if str(url).startswith(_WEB)}
    return sound


def _shaped(value: Any, empty: Any) -> Any:
    if empty is None:
        return value if isinstance(value, str | int) else None
    return value if isinstance(value, type(empty)) else empty
