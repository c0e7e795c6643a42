"""What Airflow's Providers page, its configuration and the provider registry are told.

No Airflow import: every component loads this.
"""

from __future__ import annotations

from typing import Any

_INTEGRATION = "Amazon Neptune ML"
_GUIDE = "https://docs.aws.amazon.com/neptune/latest/userguide/machine-learning.html"

#: The section of Airflow's configuration, and its options by Airflow's ``provider_info.schema.json``; read by
#: `neptune_airflow.config`.
SECTION = "neptune_ml"
OPTIONS: dict[str, dict[str, Any]] = {
    "waiter_delay": {
        "description": "Seconds between two polls of a young job, of tasks that give no waiter_delay of their own.",
        "version_added": "0.1.0",
        "type": "float",
        "example": "60",
        "default": "30",
    },
    "waiter_max_delay": {
        "description": "The most seconds between two polls, however old the job is, of tasks that give no "
        "waiter_max_delay of their own.",
        "version_added": "0.1.0",
        "type": "float",
        "example": "600",
        "default": "300",
    },
    "print_log": {
        "description": "Whether the job's CloudWatch log is shown in the log of its task as it arrives, of tasks that "
        "do not say so themselves by print_log.",
        "version_added": "0.1.0",
        "type": "boolean",
        "example": None,
        "default": "True",
    },
    "read_reports": {
        "description": "Whether a finished job's small report files are read from S3, for the figures and plots of the "
        "page Neptune ML.",
        "version_added": "0.1.0",
        "type": "boolean",
        "example": None,
        "default": "True",
    },
}


def get_provider_info() -> dict[str, Any]:
    """Give the provider's metadata, by Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-neptune-ml",
        "name": _INTEGRATION,
        "description": "Machine learning on graphs: jobs that are submitted once, waited for and never left behind. "
        f"`Amazon Neptune ML <{_GUIDE}>`__",
        "integrations": [{"integration-name": _INTEGRATION, "external-doc-url": _GUIDE, "tags": ["aws"]}],
        "hooks": _modules("hooks.neptune_ml", "hooks.neptune_export"),
        "operators": _modules("operators.neptune_ml", "operators.neptune_export", "operators.neptune_ml_check"),
        "sensors": _modules("sensors.neptune_ml"),
        "triggers": _modules("triggers.neptune_ml"),
        "extra-links": [
            f"neptune_airflow.links.{name}Link"
            for name in ("SageMakerJob", "Endpoint", "CloudWatchLog", "S3Input", "S3Output")
        ],
        "config": {
            SECTION: {
                "description": "Defaults of the tasks of the Neptune ML provider. Workers read them when a task runs.",
                "options": OPTIONS,
            }
        },
    }


def _modules(*names: str) -> list[dict[str, Any]]:
    return [{"integration-name": _INTEGRATION, "python-modules": [f"neptune_airflow.{name}" for name in names]}]
