"""Every branch on an Airflow version, and nowhere else: 2.11, 3.0 and onwards. ``docs/versions.md`` says what follows.

Airflow 3.3 is written for. What an older one lacks is asked for by what is there, never by a version's number.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib import import_module
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta

    from airflow.sdk import (
        DAG,
        Asset,
        AssetAlias,
        BaseOperator,
        BaseOperatorLink,
        BaseSensorOperator,
        Context,
        Param,
        PokeReturnValue,
        TaskGroup,
        task,
    )
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
    from airflow.sdk.plugins_manager import AirflowPlugin

T = TypeVar("T")

#: How Airflow says that a deferral has failed, and, 3 and 2, that it did because of its time-out.
TRIGGER_FAIL = "__fail__"
TRIGGER_TIMEOUTS = ("Trigger timeout", "Trigger/execution timeout")

_EXCEPTIONS = ("airflow.sdk.exceptions", "airflow.exceptions")
# Where Airflow has what is used here, newest home first; with another name, where it had one.
_HOMES = {
    "BaseOperator": ("airflow.sdk", "airflow.models.baseoperator"),
    "BaseOperatorLink": ("airflow.sdk", "airflow.models.baseoperatorlink"),
    "BaseSensorOperator": ("airflow.sdk", "airflow.sensors.base"),
    "PokeReturnValue": ("airflow.sdk", "airflow.sensors.base"),
    "TaskGroup": ("airflow.sdk", "airflow.utils.task_group"),
    "Asset": ("airflow.sdk", "airflow.datasets:Dataset"),
    "AssetAlias": ("airflow.sdk", "airflow.datasets:DatasetAlias"),
    "DAG": ("airflow.sdk", "airflow"),
    "Param": ("airflow.sdk", "airflow.models.param"),
    "task": ("airflow.sdk", "airflow.decorators"),
    "AirflowPlugin": ("airflow.sdk.plugins_manager", "airflow.plugins_manager"),
    "ParamsDict": ("airflow.sdk.definitions.param", "airflow.models.param"),
    "Stats": ("airflow.sdk.observability.stats", "airflow.stats"),
    "TriggererStats": ("airflow.observability.stats:Stats", "airflow.stats:Stats"),
    "XCom": ("airflow.sdk.execution_time.xcom", "airflow.models.xcom"),
    "conf": ("airflow.sdk", "airflow.configuration"),
    "redact": ("airflow.sdk.log", "airflow.sdk.execution_time.secrets_masker", "airflow.utils.log.secrets_masker"),
    **dict.fromkeys(
        (
            "AirflowException",
            "AirflowFailException",
            "AirflowRescheduleException",
            "AirflowSensorTimeout",
            "AirflowSkipException",
            "AirflowTaskTimeout",
            "TaskDeferralError",
            "TaskDeferred",
        ),
        _EXCEPTIONS,
    ),
    "TaskDeferralTimeout": (*_EXCEPTIONS, "airflow.exceptions:TaskDeferralError"),
    # What a worker raises that can't reach Airflow: on 2, that is the database.
    "AirflowRuntimeError": ("airflow.sdk.exceptions", "sqlalchemy.exc:DBAPIError"),
}


@cache
def _home(name: str) -> Any:
    for place in _HOMES[name]:
        module, _, other = place.partition(":")
        try:
            return getattr(import_module(module), other or name)
        except (ImportError, AttributeError):
            continue
    raise ImportError(f"this Airflow has no {name} in {' or '.join(_HOMES[name])}")


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Give what Airflow has moved, from where this one has it; only what is asked for is imported."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return _home(name)


def configuration() -> Any:
    """Give Airflow's configuration."""
    return _home("conf")


def default_deferrable() -> bool:
    """Read ``[operators] default_deferrable``."""
    return bool(configuration().getboolean("operators", "default_deferrable", fallback=False))


def airflow_stats() -> tuple[Any, bool]:
    """Give Airflow's metrics, and whether they are exported under names without tags as well.

    A triggerer sets up a copy of them that is not the workers'.
    """
    stats = _home("TriggererStats" if "airflow.jobs.triggerer_job_runner" in sys.modules else "Stats")
    return stats, configuration().getboolean("metrics", "legacy_names_on", fallback=True)


def worker_lingers() -> float:
    """Give the seconds for which Airflow may not notice that a worker has ended, with as many again to spare.

    It fails a task that comes back from its deferral before then.
    """
    return 2 * float(configuration().getfloat("workers", "min_heartbeat_interval", fallback=5))


def stored_link(ti_key: Any, key: str) -> str:
    """Read the URL that a task stored under a link's XCom key; empty where it stored none."""
    return _home("XCom").get_value(ti_key=ti_key, key=key) or ""


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
    for outlet in outlets:
        if isinstance(outlet, _home("AssetAlias")):
            if uri:
                context["outlet_events"][outlet].add(_home("Asset")(uri), extra=extra)
        elif isinstance(outlet, _home("Asset")):
            context["outlet_events"][outlet].extra.update(extra)


def own_params(params: Mapping[str, Any] | None, dag: Any) -> dict[str, Any]:
    """Take from a task's ``params``, into which Airflow has merged its DAG's, those that were given to the task.

    Where Airflow does not mark whose one is, that is what differs from the DAG's.
    """
    kind = _home("ParamsDict")
    if not isinstance(params, kind):
        return dict(params or {})
    if hasattr(kind, "filter_params_by_source"):
        return dict(kind.filter_params_by_source(params, source="task"))
    # On Airflow 2, a task is not told whose `with` it is written in.
    written = getattr(sys.modules.get("airflow.models.dag"), "DagContext", None)
    of_dag: Any = getattr(dag or (written and written.get_current_dag()), "params", {})
    return {
        name: params[name]
        for name in params
        if name not in of_dag or of_dag.get_param(name).value != params.get_param(name).value
    }


def has_retry_policies() -> bool:
    """Airflow 3.3 asks a task's ``retry_policy`` what to do about an exception."""
    return "retry_policy" in getattr(_home("BaseOperator"), "__dataclass_fields__", ())


def has_pages() -> bool:
    """Airflow 3.1 shows pages of plugins; before, there is none, and nothing is served."""
    return hasattr(_home("AirflowPlugin"), "external_views")


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
    return _home("redact")(value)


def triggers_are_told_of_kills() -> bool:
    """Airflow 3.3 calls a trigger's ``on_kill``; before, a trigger learns of it only by being cancelled."""
    from airflow.triggers.base import BaseTrigger  # 7 ms: not for every DAG file

    return hasattr(BaseTrigger, "on_kill")


def task_state(ti: Any) -> str | None:
    """Ask Airflow for the state of a task instance, whichever of its tries has it now; None where it has none.

    Call it from a thread, of a triggerer by way of `reaching_airflow`: it blocks until Airflow has answered.

    :param ti: a running task's ``ti``, or what the triggerer put on a trigger as ``task_instance``.
    """
    index = -1 if ti.map_index is None else ti.map_index
    try:
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
    except ImportError:  # Airflow 2
        return _state_in_database(ti, index)
    states = RuntimeTaskInstance.get_task_states(
        dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=index
    )
    name = ti.task_id if index < 0 else f"{ti.task_id}_{index}"
    state = states.get(ti.run_id, {}).get(name)
    return str(state) if state else None


def _state_in_database(ti: Any, index: int) -> str | None:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    with create_session() as session:
        row = session.query(TaskInstance.state).filter_by(
            dag_id=ti.dag_id, task_id=ti.task_id, run_id=ti.run_id, map_index=index
        )
        state = row.scalar()
    return str(state) if state else None


def reaching_airflow(call: Callable[[], T], loop: asyncio.AbstractEventLoop) -> Callable[[], T]:
    """Make a call that may ask Airflow from a thread of a triggerer.

    Airflow 3.0 takes it from there through asgiref, which must be told on which event loop Airflow can be reached: by
    itself it makes another one, on which no answer arrives. It tells its own threads so, which wait for each other.

    :param loop: the triggerer's.
    """
    runner = sys.modules.get("airflow.jobs.triggerer_job_runner")
    line = getattr(runner, "TriggerCommsDecoder", None)
    if line is None or hasattr(line, "start_reader"):
        return call
    from asgiref.sync import SyncToAsync

    def told() -> T:
        SyncToAsync.threadlocal.main_event_loop = loop
        SyncToAsync.threadlocal.main_event_loop_pid = os.getpid()
        return call()

    return told


def ask_one_by_one() -> None:
    """Let the threads of a worker wait for each other when they ask Airflow.

    Airflow 3.0 does not, and one who is told to end may be in the middle of its talk with Airflow: the thread that asks
    what has become of the task would take the answer to something else.
    """
    talk = sys.modules.get("airflow.sdk.execution_time.comms")
    line = getattr(talk, "CommsDecoder", None)
    if line is None or hasattr(line, "_thread_lock"):
        return
    send, line._thread_lock = line.send, RLock()

    def send_alone(self: Any, *arguments: Any, **named: Any) -> Any:
        with line._thread_lock:
            return send(self, *arguments, **named)

    line.send = send_alone


__all__ = [
    "DAG",
    "TRIGGER_FAIL",
    "TRIGGER_TIMEOUTS",
    "AirflowException",
    "AirflowFailException",
    "AirflowPlugin",
    "AirflowRescheduleException",
    "AirflowRuntimeError",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "AirflowTaskTimeout",
    "Asset",
    "AssetAlias",
    "BaseOperator",
    "BaseOperatorLink",
    "BaseSensorOperator",
    "Param",
    "PokeReturnValue",
    "TaskDeferralError",
    "TaskDeferralTimeout",
    "TaskDeferred",
    "TaskGroup",
    "airflow_stats",
    "ask_one_by_one",
    "configuration",
    "default_deferrable",
    "earlier_result",
    "has_pages",
    "has_retry_policies",
    "make_retry_policy",
    "masked",
    "own_params",
    "own_xcom",
    "reaching_airflow",
    "recall",
    "remember",
    "stored_link",
    "task",
    "task_state",
    "tell_assets",
    "triggers_are_told_of_kills",
    "worker_lingers",
]
