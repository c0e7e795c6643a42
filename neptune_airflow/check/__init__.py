"""Catch a wrong export before SageMaker does: `check_export`, and ``neptune-ml-check`` in a terminal.

Imports neither Airflow nor polars; the full check needs polars, from the extra ``check``.
"""

from __future__ import annotations

from neptune_airflow.check.export import Unreadable, check_export
from neptune_airflow.check.report import Report
from neptune_airflow.dataset import CHECKS, Finding, Severity, Source

__all__ = ["CHECKS", "Finding", "Report", "Severity", "Source", "Unreadable", "check_export"]
