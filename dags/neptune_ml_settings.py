"""What the DAGs here have in common: their params, how they wait, and what they export. No DAG is in this file.

On AWS, the connection ``aws_default`` says where the cluster and the export service are (docs/how-to/connection.md),
and the params say the rest. Against the local service both are right as they are.
"""

from __future__ import annotations

from typing import Any

from neptune_airflow.compat import Param

S3_BASE = {"s3_base": Param("s3://neptune-ml", type="string", description="Where everything is written")}
POLL_SECONDS = {
    "poll_seconds": Param(30, type="number", exclusiveMinimum=0, description="Seconds between two looks at a job")
}
TARGET = {"node": "customer", "property": "segment", "type": "classification", "split_rate": [0.7, 0.1, 0.2]}

#: What a run is told, and may be told otherwise when it is triggered.
PARAMS = {
    **S3_BASE,
    **POLL_SECONDS,
    "cluster": Param("local", type="string", description="The cluster's endpoint, for the export"),
    "export_options": Param(
        {"neptune_ml": {"targets": [TARGET]}},
        type="object",
        description="additionalParams of the export: what to learn",
    ),
}

#: Wait in the triggerer.
WAITING: dict[str, Any] = {"deferrable": True, "waiter_delay": "{{ params.poll_seconds }}"}

#: Arguments of the export.
EXPORT: dict[str, Any] = {
    "command": "export-pg",
    "output_s3_path": "{{ params.s3_base }}/export",
    "params": {"endpoint": "{{ params.cluster }}", "profile": "neptune_ml"},
    "additional_params": "{{ params.export_options | tojson }}",
}
