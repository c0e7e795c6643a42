"""What Airflow's Providers page and the provider registry are told. No Airflow import: every component loads this."""

from __future__ import annotations

from typing import Any

_INTEGRATION = "Amazon Neptune ML"


def get_provider_info() -> dict[str, Any]:
    """Give the provider's metadata, by Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-neptune-ml",
        "name": _INTEGRATION,
        "description": "Machine learning on graphs: jobs that are submitted once, waited for and never left behind. "
        "`Amazon Neptune ML <https://docs.aws.amazon.com/neptune/latest/userguide/machine-learning.html>`__",
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://docs.aws.amazon.com/neptune/latest/userguide/machine-learning.html",
                "tags": ["aws"],
            }
        ],
        "hooks": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": ["neptune_airflow.hooks.neptune_ml", "neptune_airflow.hooks.neptune_export"],
            }
        ],
        "operators": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [
                    "neptune_airflow.operators.neptune_ml",
                    "neptune_airflow.operators.neptune_export",
                    "neptune_airflow.operators.neptune_ml_check",
                ],
            }
        ],
        "sensors": [{"integration-name": _INTEGRATION, "python-modules": ["neptune_airflow.sensors.neptune_ml"]}],
        "triggers": [{"integration-name": _INTEGRATION, "python-modules": ["neptune_airflow.triggers.neptune_ml"]}],
        "extra-links": [
            "neptune_airflow.links.SageMakerJobLink",
            "neptune_airflow.links.CloudWatchLogLink",
            "neptune_airflow.links.S3OutputLink",
        ],
    }
