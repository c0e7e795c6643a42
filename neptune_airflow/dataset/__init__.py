"""A neptune-export: its training-data configuration, the form of its files, and the table of all that is checked.

Pure Python, but for `tables`, which needs polars and is imported only by who reads everything.
"""

from __future__ import annotations

from neptune_airflow.dataset.checks import CHECKS, fault
from neptune_airflow.dataset.configuration import Configuration, EdgeFile, Feature, Label, NodeFile
from neptune_airflow.dataset.consistency import deletions, task_type
from neptune_airflow.dataset.document import DEFAULT_NAME, ConfigurationError
from neptune_airflow.dataset.findings import Check, Fault, Finding, Place, Severity, Source, rowless
from neptune_airflow.dataset.parsing import parse
from neptune_airflow.dataset.rdf import RdfConfiguration, RdfFile, RdfTarget, parse_rdf
from neptune_airflow.dataset.vocabulary import LINK_PREDICTION

__all__ = [
    "CHECKS",
    "DEFAULT_NAME",
    "LINK_PREDICTION",
    "Check",
    "Configuration",
    "ConfigurationError",
    "EdgeFile",
    "Fault",
    "Feature",
    "Finding",
    "Label",
    "NodeFile",
    "Place",
    "RdfConfiguration",
    "RdfFile",
    "RdfTarget",
    "Severity",
    "Source",
    "deletions",
    "fault",
    "parse",
    "parse_rdf",
    "rowless",
    "task_type",
]
