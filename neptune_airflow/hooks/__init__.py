"""The code that talks to Neptune and to the export service."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neptune_airflow.hooks.base import JobHook
    from neptune_airflow.jobs import JobKind

# By name, so that a DAG file that only names operators does not import boto3.
_HOOKS = {
    "neptune-db": ("neptune_airflow.hooks.neptune_ml", "NeptuneMLHook"),
    "execute-api": ("neptune_airflow.hooks.neptune_export", "NeptuneExportHook"),
}


def make_hook(kind: JobKind, arguments: Mapping[str, Any]) -> JobHook:
    """Make the hook of the service that runs a kind of job."""
    module, name = _HOOKS[kind.service]
    hook: JobHook = getattr(import_module(module), name)(**arguments)
    return hook
