"""Every way in which this package sends a signed request, for tests that hold for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from neptune_airflow.hooks import make_hook
from neptune_airflow.hooks.shared import polling
from neptune_airflow.jobs import DATA_PROCESSING, EXPORT, MODEL_TRAINING, Job, JobKind

Way = Callable[..., Any]

REQUEST = {"id": "x", "inputDataS3Location": "s3://bucket/in", "processedDataS3Location": "s3://bucket/out"}


def _start(kind: JobKind) -> Way:
    return lambda **arguments: make_hook(kind, arguments).start_job(kind, REQUEST if kind is DATA_PROCESSING else {})


def _describe(kind: JobKind) -> Way:
    return lambda **arguments: make_hook(kind, arguments).describe_job(kind, "x")


def _describe_in_triggerer(kind: JobKind) -> Way:
    async def describe(arguments: dict[str, Any]) -> Job:
        async with polling(kind, "x", arguments) as poll:
            outcome = await poll.next(0)
        if isinstance(outcome, Job):
            return outcome
        raise outcome

    return lambda **arguments: asyncio.run(describe(arguments))


def _log_tail(**arguments: Any) -> Any:
    (line,) = make_hook(DATA_PROCESSING, arguments).log_tail(Job(DATA_PROCESSING.name, "x", name="x"))
    raise RuntimeError(line)  # it never raises itself: a log must not hide the failure that it would explain


def _metrics(**arguments: Any) -> Any:
    job = Job(MODEL_TRAINING.name, "x", output_location="s3://bucket/model")
    return make_hook(MODEL_TRAINING, arguments).read_metrics(job)


#: Those that talk to Neptune or to the export service.
SERVICES: dict[str, Way] = {
    "start": _start(DATA_PROCESSING),
    "describe": _describe(DATA_PROCESSING),
    "describe-in-triggerer": _describe_in_triggerer(DATA_PROCESSING),
    "export-start": _start(EXPORT),
    "export-describe": _describe(EXPORT),
    "export-describe-in-triggerer": _describe_in_triggerer(EXPORT),
}
#: And those to the rest of AWS.
WAYS: dict[str, Way] = {**SERVICES, "logs": _log_tail, "metrics": _metrics}
#: One way for each client or session: those that start go by the same one as those that describe.
CLIENTS: dict[str, Way] = {name: way for name, way in WAYS.items() if "start" not in name}
