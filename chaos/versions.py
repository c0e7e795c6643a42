"""What the simulation and the tests know of the inside of Airflow, on each of its versions.

The package itself asks `neptune_airflow.compat`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from neptune_airflow.compat import BaseOperator, BaseSensorOperator, has_pages, triggers_are_told_of_kills

#: What a version may lack; `docs/versions.md` says how the package does without.
HAS_PAGES = has_pages()
HAS_STATE_STORE = find_spec("airflow.models.task_state_store") is not None
HAS_ON_KILL = triggers_are_told_of_kills()
IS_AIRFLOW_2 = find_spec("airflow.sdk") is None
#: In 3.0, ``dag.test()`` refuses a task with outlets that no scheduler has seen; in 2, they are called otherwise.
TESTS_OUTLETS = HAS_PAGES
#: The argument of ``dag.test()`` that dates the run.
DATE_OF_RUN = "execution_date" if IS_AIRFLOW_2 else "logical_date"

#: The clock by which a sensor counts its time.
SENSOR_CLOCK = f"{BaseSensorOperator.__module__}.timezone.utcnow"

_guard = sys.modules[BaseOperator.__module__].ExecutorSafeguard
_guard.test_mode = True


def unguarded(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Call a method of a task that Airflow guards against being called by any but itself."""
    if IS_AIRFLOW_2:
        _guard._sentinel.callers = {}  # it has them for the main thread alone
    return call(*arguments, **named)


if IS_AIRFLOW_2:
    _sensors = sys.modules[BaseSensorOperator.__module__]
    _execute = BaseSensorOperator.execute

    def _execute_sensor(self: Any, context: Any) -> Any:
        """Let a sensor ask its task instance when it began, as on Airflow 3: there is no database here."""
        _sensors._orig_start_date = lambda **_: context["ti"].get_first_reschedule_date(context)  # type: ignore[attr-defined]
        return _execute(self, context)

    BaseSensorOperator.execute = _execute_sensor  # type: ignore[method-assign]


def dag_bag(folder: str) -> Any:
    """Parse the DAG files in a folder."""
    with suppress(ImportError):
        from airflow.dag_processing.dagbag import DagBag

        return DagBag(folder)
    return import_module("airflow.models.dagbag").DagBag(folder, include_examples=False)


def outlet_events() -> Any:
    """Make what a task has as ``outlet_events``."""
    home = "airflow.utils.context" if IS_AIRFLOW_2 else "airflow.sdk.execution_time.context"
    return import_module(home).OutletEventAccessors()


def alias_events(accessor: Any) -> list[tuple[str, dict[str, Any]]]:
    """Give the URIs of the assets that a task has put under an alias, with what it said of them."""
    if IS_AIRFLOW_2:
        return [(event["dest_dataset_uri"], event["extra"]) for event in accessor.dataset_alias_events]
    return [(event.dest_asset_key.uri, event.extra) for event in accessor.asset_alias_events]


def cannot_reach_airflow() -> Exception:
    """Make what a task is raised that asks Airflow while it is away."""
    if IS_AIRFLOW_2:
        from sqlalchemy.exc import OperationalError

        return OperationalError("select 1", None, Exception("away"))
    from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
    from airflow.sdk.execution_time.comms import ErrorResponse

    return AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR))


def log_as_a_worker() -> None:
    """Let ``dag.test()`` log as a worker does: 3.0 prints what is for its masker, and the variables of tracebacks."""
    if IS_AIRFLOW_2 or HAS_PAGES:
        return
    sys.stderr = sys.stdout
    import_module("airflow.sdk.log").configure_logging(enable_pretty_log=False, output=sys.stdout.buffer)


def set_up_stats() -> None:
    """Set Airflow's metrics up by its configuration, in a process in which they were set up before."""
    with suppress(ImportError):
        from airflow.observability import stats as of_triggerers
        from airflow.sdk.observability import stats as of_workers
        from airflow.sdk.observability.metrics.stats_utils import get_stats_factory

        for each in (of_workers, of_triggerers):
            each.initialize(factory=get_stats_factory(), export_legacy_names=True)
        return
    stats: Any = import_module("airflow.stats").Stats
    kind = type(stats)
    stats.instance = None
    if "factory" in vars(kind):
        del kind.factory
    kind.__init__(stats)
