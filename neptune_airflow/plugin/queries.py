"""What Airflow's database knows of Neptune ML jobs: runs, their tasks, and the tasks' records. It is only read.

A DAG is shown once one of its tasks has left a record; then the tasks are shown that have not begun, too. A page of
runs is one walk along an index, however many runs there are.
"""

from __future__ import annotations

import json
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import Select, and_, case, exists, func, or_, select
from sqlalchemy.orm import Session, aliased
from sqlalchemy.sql import ColumnElement

from neptune_airflow.plugin.stages import STATUSES, operators
from neptune_airflow.records import KEY

#: How many runs a page has.
PAGE = 25
# Of a mapped task, those that somebody has to look at come first.
_URGENCY = {"failed": 0, "running": 1, "retrying": 1}


class Position(NamedTuple):
    """Where a page of runs ends."""

    run_after: datetime
    id: int


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which runs are asked for; None is any.

    :param dag_id: runs of this DAG.
    :param kind: with a job of this kind; with ``status``, one and the same job.
    :param status: with a job that is at this, a word of `STATUSES`.
    :param since, until: that were due from the one time on, and before the other.
    :param before: that come after this position.
    """

    dag_id: str | None = None
    kind: str | None = None
    status: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: Position | None = None


def dags_with_records(session: Session) -> set[str]:
    """Give the ids of the DAGs of which a task has left a record."""
    return set(session.scalars(select(XComModel.dag_id).where(XComModel.key == KEY).distinct()))


def dag_names(session: Session, dag_ids: Set[str]) -> dict[str, str]:
    """Give the names under which DAGs are shown, by their ids."""
    rows = session.scalars(select(DagModel).where(DagModel.dag_id.in_(dag_ids)))
    return {dag.dag_id: dag.dag_display_name for dag in rows}


def runs(session: Session, dag_ids: Set[str], wanted: Wanted) -> tuple[list[Any], bool]:
    """Give a page of runs, those first that were due last, and whether there are more.

    :param dag_ids: the DAGs that may be shown.
    """
    query = _runs().where(
        DagRun.dag_id.in_(dag_ids & {wanted.dag_id} if wanted.dag_id else dag_ids),
        exists().where(
            TaskInstance.dag_id == DagRun.dag_id,
            TaskInstance.run_id == DagRun.run_id,
            _is_stage(wanted.kind),
            *([_is_at(wanted.status)] if wanted.status else []),
        ),
    )
    if wanted.since:
        query = query.where(DagRun.run_after >= wanted.since)
    if wanted.until:
        query = query.where(DagRun.run_after < wanted.until)
    if wanted.before:
        at, key = wanted.before
        query = query.where(DagRun.run_after <= at, or_(DagRun.run_after < at, DagRun.id < key))
    found = session.execute(query.order_by(DagRun.run_after.desc(), DagRun.id.desc()).limit(PAGE + 1)).all()
    return list(found[:PAGE]), len(found) > PAGE


def run(session: Session, dag_id: str, run_id: str) -> Any | None:
    """Give one run, or None."""
    return session.execute(_runs().where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)).one_or_none()


def tasks(
    session: Session, run_keys: Sequence[int], most: int, task_id: str | None = None, map_index: int | None = None
) -> list[Any]:
    """Give the tasks of runs that are about Neptune ML jobs, each with its record.

    :param run_keys: the runs' primary keys.
    :param most: how many instances of each mapped task; ``of`` in the rows says how many there are.
    :param task_id, map_index: one task alone.
    """
    place = (TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id)
    urgency = case(
        *((TaskInstance.state.in_(STATUSES[word]), rank) for word, rank in _URGENCY.items()), else_=len(_URGENCY)
    )
    ranked = (
        select(
            TaskInstance.id,
            DagRun.id.label("run_key"),
            func.row_number().over(partition_by=place, order_by=(urgency, TaskInstance.map_index)).label("rank"),
            func.count().over(partition_by=place).label("of"),
        )
        .join(DagRun, and_(DagRun.dag_id == TaskInstance.dag_id, DagRun.run_id == TaskInstance.run_id))
        .where(DagRun.id.in_(run_keys), _is_stage())
    )
    if task_id is not None:
        ranked = ranked.where(TaskInstance.task_id == task_id, TaskInstance.map_index == map_index)
    few = ranked.subquery()
    query = (
        select(
            few.c.run_key,
            few.c.of,
            TaskInstance.task_id,
            TaskInstance.map_index,
            TaskInstance.try_number,
            TaskInstance.operator,
            TaskInstance.state,
            TaskInstance.start_date,
            TaskInstance.end_date,
            XComModel.value,
        )
        .join(few, few.c.id == TaskInstance.id)
        .outerjoin(
            XComModel,
            and_(
                XComModel.dag_run_id == few.c.run_key,
                XComModel.task_id == TaskInstance.task_id,
                XComModel.map_index == TaskInstance.map_index,
                XComModel.key == KEY,
            ),
        )
        .where(few.c.rank <= most)
        .order_by(few.c.run_key, TaskInstance.task_id, few.c.rank)
    )
    return list(session.execute(query).all())


def as_record(value: Any) -> dict[str, Any]:
    """Give a stored record as it was pushed; nothing where it is not one, or where an XCom backend keeps it."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


def _runs() -> Select[Any]:
    return select(
        DagRun.id,
        DagRun.dag_id,
        DagRun.run_id,
        DagRun.run_type,
        DagRun.state,
        DagRun.run_after,
        DagRun.start_date,
        DagRun.end_date,
    )


def _is_stage(kind: str | None = None) -> ColumnElement[bool]:
    """Say whether a task of a run is about a Neptune ML job: by its operator, or by its record if that is not ours."""
    ours = operators()
    record = aliased(XComModel)
    recorded = (
        exists()
        .where(
            record.dag_run_id == DagRun.id,
            record.task_id == TaskInstance.task_id,
            record.map_index == TaskInstance.map_index,
            record.key == KEY,
            *([record.value["kind"].as_string() == kind] if kind else []),
        )
        .correlate(DagRun, TaskInstance)  # by itself it would do so with the query around it alone
    )
    return or_(
        TaskInstance.operator.in_([name for name, stage in ours.items() if kind in (None, stage.kind)]),
        and_(func.coalesce(TaskInstance.operator, "").not_in(list(ours)), recorded),
    )


def _is_at(status: str) -> ColumnElement[bool]:
    """Say whether a task is at this; hidden from the index of states, by which a run would be sought among all."""
    return func.coalesce(TaskInstance.state, "").in_([state or "" for state in STATUSES[status]])
