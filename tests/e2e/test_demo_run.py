"""Whole DAG runs as ``make demo`` makes them: scheduler, workers, triggerer, and jobs that do their work."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from rich.console import Console

from demo.__main__ import demonstrate
from demo.follow import Run, Snapshot, ledger
from demo.processes import DemoError
from demo.report import Outputs
from demo.show import PlainDisplay
from demo.stack import Stack

STARTS = {
    "export": "StartExport",
    "data_processing": "StartMLDataProcessingJob",
    "model_training": "StartMLModelTrainingJob",
}


@dataclass
class Finished:
    """A demo that has ended: its exit code, what it printed, its run, and the starts that the service was asked for."""

    code: int
    printed: str
    run: Run
    snapshot: Snapshot
    starts: list[dict[str, Any]]

    @property
    def states(self) -> dict[str, str]:
        return {task.id: task.state for task in self.snapshot.tasks}

    def logs(self) -> dict[str, str]:
        """Give the log of each task's last try."""
        api, dag_id, run_id = self.run.stack.api, self.run.dag_id, self.run.run_id
        return {task["task_id"]: "\n".join(api.log(dag_id, run_id, task)) for task in api.tasks(dag_id, run_id)}


def starts(stack: Stack) -> list[dict[str, Any]]:
    return [call for call in ledger(stack.service)["calls"] if call["operation"] in STARTS.values()]


def misbehave(stack: Stack, **fault: Any) -> None:
    httpx.post(f"{stack.service}/local/faults", json=fault, trust_env=False).raise_for_status()


def finish(stack: Stack, dag_id: str) -> Finished:
    before = len(starts(stack))
    run = Run(stack, dag_id)
    console = Console(file=io.StringIO(), width=200)
    code = demonstrate(run, console, PlainDisplay(console))
    return Finished(code, console.file.getvalue(), run, run.snapshot(), starts(stack)[before:])


@pytest.mark.parametrize(
    ("dag_id", "tasks", "deferred"),
    [
        ("neptune_ml_pipeline", ["export", "process", "train"], ["export", "process", "train"]),
        ("neptune_ml_submit_and_sense", ["export", "submit", "wait", "train"], ["wait"]),
    ],
)
def test_a_dag_runs_from_the_export_to_the_model(
    stack: Stack, dag_id: str, tasks: list[str], deferred: list[str]
) -> None:
    # However slow this machine is, the sensor finds its job unfinished at its first look.
    misbehave(stack, operation="GetMLDataProcessingJob", status="InProgress", times=4)

    finished = finish(stack, dag_id)

    assert finished.code == 0, finished.printed
    assert finished.states == dict.fromkeys(tasks, "success")
    # A job may be over before its sensor has looked; an operator defers however short its job is.
    seen = [task for task, log in finished.logs().items() if "DEFERRED" in log]
    assert seen == deferred or (seen == [] and "wait" in tasks)
    jobs = {job["kind"]: job for job in finished.run.results().values()}
    assert Counter((call["operation"], call["id"]) for call in finished.starts) == {
        (STARTS[kind], job["id"]): 1 for kind, job in jobs.items()
    }
    outputs = Outputs(stack.service)
    written = {kind: set(outputs.sizes(job["output_location"])) for kind, job in jobs.items()}
    assert "training-data-configuration.json" in written["export"]
    assert {"graph.bin", "info.pkl"} <= written["data_processing"]
    assert "training_report.json" in written["model_training"]
    assert all(job["id"] in finished.printed for job in jobs.values())
    assert "graph.bin" in finished.printed
    assert "label_propagation" in finished.printed


def test_a_failed_job_is_tried_again_and_then_shown_with_its_reason(stack: Stack) -> None:
    misbehave(stack, operation="StartMLDataProcessingJob", fail="nodes/customer.csv, line 7: no number", times=2)

    finished = finish(stack, "neptune_ml_pipeline")

    assert finished.code == 1
    assert finished.states == {"export": "success", "process": "failed", "train": "upstream_failed"}
    assert "The end of the log of process" in finished.printed
    assert "nodes/customer.csv, line 7: no number" in finished.printed
    processed = [call["id"] for call in finished.starts if call["operation"] == "StartMLDataProcessingJob"]
    assert len(set(processed)) == len(processed) == 2
    assert len(finished.starts) == 3


def test_a_second_demo_leaves_the_first_alone(stack: Stack) -> None:
    with pytest.raises(DemoError, match="make demo-stop"):
        Stack(stack.home, stack.dags).__enter__()

    stack.check()
    assert stack.api.healthy()


def test_an_unknown_dag_is_named(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("demo.follow.DAG_SECONDS", 1.0)

    with pytest.raises(DemoError, match="no_such_dag"):
        Run(stack, "no_such_dag")
