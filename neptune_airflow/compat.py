"""Every branch on an Airflow version, and nowhere else.

Airflow 3.3 is written for; where 3.2 differs, this says so once.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from airflow.sdk import Context

from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
    AirflowRuntimeError,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferralError,
    TaskDeferralTimeout,
    TaskDeferred,
)

#: How Airflow says that a deferral has failed, and that it did because of its time-out.
TRIGGER_FAIL = "__fail__"
TRIGGER_TIMEOUT = "Trigger timeout"


def default_deferrable() -> bool:
    """Read ``[operators] default_deferrable``."""
    from airflow.sdk import conf

    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))


def airflow_stats() -> tuple[Any, bool]:
    """Give Airflow's metrics, and whether they are exported under names without tags as well.

    A triggerer sets up a copy of them that is not the workers'.
    """
    from airflow.sdk import conf

    if "airflow.jobs.triggerer_job_runner" in sys.modules:
        from airflow.observability.stats import Stats
    else:
        from airflow.sdk.observability.stats import Stats  # type: ignore[assignment]

    return Stats, conf.getboolean("metrics", "legacy_names_on", fallback=True)


def worker_lingers() -> float:
    """Give the seconds for which Airflow may not notice that a worker has ended, with as many again to spare.

    It fails a task that comes back from its deferral before then.
    """
    from airflow.sdk import conf

    return 2 * conf.getfloat("workers", "min_heartbeat_interval", fallback=5)


def stored_link(ti_key: Any, key: str) -> str:
    """Read the URL that a task stored under a link's XCom key; empty where it stored none."""
    from airflow.sdk.execution_time.xcom import XCom

    return XCom.get_value(ti_key=ti_key, key=key) or ""


def remember(context: Context, key: str, value: dict[str, Any]) -> None:
    """Keep a small JSON value for the later tries of this task instance.

    Airflow 3.3's task state store survives retries. Before, it is an XCom, which a retry wipes.
    """
    if "task_state_store" in context:
        context["task_state_store"].set(key, value)
    else:
        context["ti"].xcom_push(key=key, value=value)


def recall(context: Context, key: str) -> dict[str, Any] | None:
    """Read what `remember` kept, of this task instance alone."""
    if "task_state_store" in context:
        value: Any = context["task_state_store"].get(key)
    else:
        value = own_xcom(context, key)
    return value or None


def own_xcom(context: Context | Mapping[str, Any], key: str) -> Any:
    """Read an XCom of this task instance; a mapped one would be given a sibling's without its own index."""
    ti = context["ti"]
    return ti.xcom_pull(task_ids=ti.task_id, key=key, map_indexes=ti.map_index)


def earlier_result(context: Context) -> dict[str, Any] | None:
    """Give what this task returned in the newest earlier run of its DAG in which it returned something."""
    ti = context["ti"]
    result = ti.xcom_pull(task_ids=ti.task_id, map_indexes=ti.map_index, include_prior_dates=True)
    return result if isinstance(result, dict) else None


def tell_assets(context: Context, outlets: Sequence[Any], extra: dict[str, Any], uri: str | None) -> None:
    """Put a job into the events of a task's assets, and under its aliases an asset for what the job has written.

    :param uri: what an alias's asset is; None leaves aliases alone.
    """
    from airflow.sdk import Asset, AssetAlias

    for outlet in outlets:
        if isinstance(outlet, AssetAlias):
            if uri:
                context["outlet_events"][outlet].add(Asset(uri), extra=extra)
        elif isinstance(outlet, Asset):
            context["outlet_events"][outlet].extra.update(extra)


def own_params(params: Mapping[str, Any] | None) -> dict[str, Any]:
    """Take from a task's ``params``, into which Airflow has merged its DAG's, those that were given to the task."""
    from airflow.sdk.definitions.param import ParamsDict

    if not isinstance(params, ParamsDict):
        return dict(params or {})
    return dict(ParamsDict.filter_params_by_source(params, source="task"))


def has_retry_policies() -> bool:
    """Airflow 3.3 asks a task's ``retry_policy`` what to do about an exception."""
    return "retry_policy" in BaseOperator.__dataclass_fields__


def make_retry_policy(rules: Sequence[tuple[str, timedelta | None, str]]) -> Any:
    """Make Airflow's retry policy of rules; where there are none, the rules stand for it.

    :param rules: of each the dotted name of an exception, the delay (None fails the task) and the reason.
    """
    if not has_retry_policies():
        return tuple(rules)
    from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

    return ExceptionRetryPolicy(
        [
            RetryRule(name, RetryAction.FAIL if delay is None else RetryAction.RETRY, delay, reason)
            for name, delay, reason in rules
        ]
    )


def masked(value: Any) -> Any:
    """Hide in a value, however nested, what Airflow knows to be secret: masked values, and those of sensitive keys."""
    from airflow.sdk.log import redact  # type: ignore[attr-defined]

    return redact(value)


def triggers_are_told_of_kills() -> bool:
    """Airflow 3.3 calls a trigger's ``on_kill``; before, a trigger learns of it only by being cancelled."""
    from airflow.triggers.base import BaseTrigger  # 7 ms: not for every DAG file

    return hasattr(BaseTrigger, "on_kill")


def task_state(ti: Any) -> str | None:
    """Ask Airflow for the state of a task instance, whichever of its tries has it now; None where it has none.

    Call it from a thread: it blocks until the API server has answered.

    :param ti: a running task's ``ti``, or what the triggerer put on a trigger as ``task_instance``.
    """
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    index = -1 if ti.map_index is None else ti.map_index
    states = RuntimeTaskInstance.get_task_states(
        dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=index
    )
    name = ti.task_id if index < 0 else f"{ti.task_id}_{index}"
    state = states.get(ti.run_id, {}).get(name)
    return str(state) if state else None


__all__ = [
    "TRIGGER_FAIL",
    "TRIGGER_TIMEOUT",
    "AirflowException",
    "AirflowFailException",
    "AirflowRescheduleException",
    "AirflowRuntimeError",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "AirflowTaskTimeout",
    "BaseOperator",
    "BaseOperatorLink",
    "TaskDeferralError",
    "TaskDeferralTimeout",
    "TaskDeferred",
    "airflow_stats",
    "default_deferrable",
    "earlier_result",
    "has_retry_policies",
    "make_retry_policy",
    "masked",
    "own_params",
    "own_xcom",
    "recall",
    "remember",
    "stored_link",
    "task_state",
    "tell_assets",
    "triggers_are_told_of_kills",
    "worker_lingers",
]
