"""What came of a run: a table of its tasks, the files that data processing wrote, the metric beside its baselines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import boto3
from rich.console import Console
from rich.table import Table
from rich.text import Text

from demo.follow import Run, Snapshot
from demo.show import coloured
from demo.stack import REGION

LOG_TAIL = 40
TRAINING_REPORT = "training_report.json"
NUMBERS = ("seconds", "bytes", "tasks")


class Outputs:
    """Files that jobs wrote to the local service's S3.

    :param service: the service's address.
    """

    def __init__(self, service: str) -> None:
        keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
        self._s3 = boto3.client("s3", endpoint_url=service, region_name=REGION, **keys)

    def sizes(self, location: str) -> dict[str, int]:
        """Give the files below an S3 URI, by name relative to it, with their sizes in bytes."""
        bucket, prefix = self._split(location.rstrip("/") + "/")
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        found = [item for page in pages for item in page.get("Contents", [])]
        return {item["Key"].removeprefix(prefix): item["Size"] for item in found}

    def document(self, location: str) -> Any:
        """Read a JSON file."""
        bucket, key = self._split(location)
        return json.load(self._s3.get_object(Bucket=bucket, Key=key)["Body"])

    @staticmethod
    def _split(location: str) -> tuple[str, str]:
        bucket, _, key = location.removeprefix("s3://").partition("/")
        return bucket, key


def show(console: Console, run: Run) -> None:
    """Print what came of a run, and of each task that failed the end of its log."""
    results = run.results()
    snapshot = run.snapshot()
    _print(console, f"{run.dag_id}: {snapshot.run_state}", _tasks(snapshot, results))
    outputs = Outputs(run.stack.service)
    for location in _locations(results, "data_processing"):
        _print(console, f"Data processing wrote, below {location}", _files(outputs.sizes(location)))
    for location in _locations(results, "model_training"):
        learnt = outputs.document(f"{location}/{TRAINING_REPORT}")
        _print(console, f"Training: {learnt['metric']} of the model and its baselines", _metrics(learnt))
    for task_id, lines in run.failed_logs().items():
        console.print(f"\nThe end of the log of {task_id}:", style="red")
        console.print("\n".join(lines[-LOG_TAIL:]), markup=False, soft_wrap=True)


def show_workers(console: Console, workers: Mapping[str, int]) -> None:
    """Print how many tasks each worker has run."""
    table = _table("worker", "tasks")
    for name, tasks in workers.items():
        table.add_row(name, str(tasks))
    _print(console, "Run on Celery workers (a task that was deferred counts twice)", table)


def _print(console: Console, title: str, table: Table) -> None:
    console.print(f"\n{title}", style="bold", markup=False, soft_wrap=True)
    console.print(table)


def _tasks(snapshot: Snapshot, results: Mapping[str, Any]) -> Table:
    table = _table("task", "state", "seconds", "job id", "output")
    for task in snapshot.tasks:
        job = results[task.id] if _is_job(results[task.id]) else {}
        seconds = "" if task.seconds is None else f"{task.seconds:.1f}"
        cells = (seconds, job.get("id", ""), job.get("output_location", ""))
        table.add_row(task.id, coloured(task.state), *map(Text, cells))
    return table


def _files(sizes: Mapping[str, int]) -> Table:
    table = _table("file", "bytes")
    for name, size in sizes.items():
        table.add_row(Text(name), f"{size:,}")
    return table


def _metrics(learnt: Mapping[str, Any]) -> Table:
    splits = learnt["comparison"]
    table = _table("model", *splits)
    for model in next(iter(splits.values())):
        table.add_row(model, *(f"{values[model][learnt['metric']]:.3f}" for values in splits.values()))
    return table


def _table(*headings: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="fold", justify="right" if heading in NUMBERS else "left")
    return table


def _locations(results: Mapping[str, Any], kind: str) -> list[str]:
    """Give each place where a finished job of a kind wrote, once, whether an operator or a sensor gave it back."""
    jobs = [job for job in results.values() if _is_job(job) and job["kind"] == kind]
    return list(dict.fromkeys(job["output_location"] for job in jobs if "output_location" in job))


def _is_job(result: Any) -> bool:
    return isinstance(result, dict) and {"kind", "id"} <= result.keys()
