"""A neptune-export on S3: its training-data configuration, parsed and checked. Pure Python, no tables."""

from __future__ import annotations

from neptune_airflow.dataset.configuration import Configuration, EdgeFile, Feature, Label, NodeFile
from neptune_airflow.dataset.consistency import LINK_PREDICTION, deletions, task_type
from neptune_airflow.dataset.parsing import DEFAULT_NAME, ConfigurationError, parse

__all__ = [
    "DEFAULT_NAME",
    "LINK_PREDICTION",
    "Configuration",
    "ConfigurationError",
    "EdgeFile",
    "Feature",
    "Label",
    "NodeFile",
    "deletions",
    "parse",
    "task_type",
]
