"""The code that talks to Neptune and to the export service."""

from __future__ import annotations

import time
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from neptune_airflow.errors import NeptuneMLError, NeptuneMLJobNotFoundError, NeptuneMLUnavailableError

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


def let_go(hook: JobHook, kind: JobKind, job_id: str, log: Any, tries: int = 3) -> None:
    """Cancel a job that nobody waits for any more; say so, or say that it goes on and how to end it. Never raises."""
    for left in reversed(range(tries)):
        try:
            if hook.cancel_job(kind, job_id):
                log.info("Cancelled the %s %r: its task has ended.", kind.title, job_id)
            else:
                log.info("The %s %r had already ended.", kind.title, job_id)
            return
        except NeptuneMLJobNotFoundError:
            log.info("There is no %s %r to cancel.", kind.title, job_id)
            return
        except NeptuneMLUnavailableError as error:
            if not left:
                _report(log, kind, job_id, error)
            else:
                time.sleep(1)
        except NeptuneMLError as error:
            _report(log, kind, job_id, error)
            return


def _report(log: Any, kind: JobKind, job_id: str, error: NeptuneMLError) -> None:
    log.error(
        "The %s %r could not be cancelled and may still run, and cost: %s\nWhat to do: cancel it with %s %s.",
        kind.title,
        job_id,
        error,
        kind.operations["cancel"],
        job_id,
    )
