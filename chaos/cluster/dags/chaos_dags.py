"""Tasks whose jobs end when their gate opens; the gate is named by the run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NoReturn

import pendulum
from airflow.sdk import DAG, Param

from neptune_airflow.operators.neptune_ml import NeptuneMLDataProcessingOperator

RUN: dict[str, Any] = {
    "schedule": None,
    "start_date": pendulum.datetime(2026, 1, 1),
    "params": {"gate": Param("", type="string")},
    "render_template_as_native_obj": True,
}
JOB: dict[str, Any] = {
    "task_id": "job",
    "processed_data_s3_location": "s3://neptune-ml/out",
    "config_file_name": "{{ params.gate }}",
    "waiter_delay": 1,
    "retries": 3,
    "retry_delay": timedelta(seconds=2),
}
SOURCE = "s3://neptune-ml/in"
#: The sizes of the mapped DAGs.
MANY = (2, 4, 10, 20, 50)


class SilentTrigger(NeptuneMLDataProcessingOperator):
    """Its deferral is ended by Airflow, soon: as if the triggerer said nothing until long after the deadline."""

    def defer(self, **kwargs: Any) -> NoReturn:
        """Defer for less time than the job takes."""
        super().defer(**{**kwargs, "timeout": timedelta(seconds=12)})


# While the API server is away, Airflow tries again and fails again, without the task: its retries must outlast that.
PAUSES = {"deferred": timedelta(seconds=2), "in_a_worker": timedelta(seconds=20)}

for mode, pause in PAUSES.items():
    for size in MANY:
        with DAG(f"{mode}_{size}", **RUN):
            NeptuneMLDataProcessingOperator.partial(
                deferrable=mode == "deferred", **{**JOB, "retry_delay": pause}
            ).expand(input_data_s3_location=[f"{SOURCE}/{number}" for number in range(size)])

once = JOB | {"input_data_s3_location": SOURCE, "deferrable": True, "retries": 0}

with DAG("timed_out_run", dagrun_timeout=timedelta(seconds=60), **RUN):
    NeptuneMLDataProcessingOperator(**once)

with DAG("timed_out_wait", **RUN):
    NeptuneMLDataProcessingOperator(wait_timeout=12, **once)

with DAG("timed_out_task", **RUN):
    NeptuneMLDataProcessingOperator(execution_timeout=timedelta(seconds=12), **once)

with DAG("timed_out_deferral", **RUN):
    SilentTrigger(**once)
