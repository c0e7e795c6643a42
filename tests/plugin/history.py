"""Fills Airflow's database with a past: runs of pipelines in every state, by Airflow's own models.

``python -m tests.plugin.history --runs 10000`` in the environment of an Airflow.
"""

from __future__ import annotations

import argparse
import math
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from neptune_airflow.errors import NeptuneMLJobFailedError
from neptune_airflow.records import KEY, Record, moment

NOW = datetime.now(UTC).replace(microsecond=0)
DAG_IDS = ("fraud_ring", "film_ratings", "supply_chain")
OTHER_DAG = "nightly_reports"
#: A run whose id, and whose job's texts, are as bad as they can be.
BAD_DAG, BAD_RUN = "odd.dag-id", "manual__1/../../x?y=1&z=\"><img src=x onerror=alert(1)>%2e%2e%2fétoile☆'"
BAD_TEXT = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"
# Of each step: its task, operator, kind of job, part, and seconds that it takes.
STEPS = (
    ("export", "NeptuneExportOperator", "export", "submits", 340),
    ("process", "NeptuneMLDataProcessingOperator", "data_processing", "submits", 1260),
    ("train", "NeptuneMLModelTrainingOperator", "model_training", "submits", 5400),
    ("transform", "NeptuneMLModelTransformOperator", "model_transform", "submits", 900),
    ("endpoint", "NeptuneMLCreateEndpointOperator", "endpoint", "submits", 420),
)
WORDS = {"export": ("submitted", "running", "succeeded"), "endpoint": ("Creating", "InService")}
ML_WORDS = ("Pending", "InProgress", "Completed")
REASON = "AlgorithmError: See job logs for more information"
REMEDY = "The reason is in the job's log, above; most often a column of the export does not fit its configuration."


class Past:
    """Rows of Airflow's tables, as they are made."""

    def __init__(self) -> None:
        self.runs: list[dict[str, Any]] = []
        self.tasks: list[dict[str, Any]] = []
        self.xcoms: list[dict[str, Any]] = []

    def run(self, dag_id: str, run_id: str, state: str, due: datetime, took: float | None) -> dict[str, Any]:
        """Add a run.

        :param took: seconds; None for one that has not ended.
        """
        end = due + timedelta(seconds=took) if took else None
        row = {
            "id": len(self.runs) + 1,
            "dag_id": dag_id,
            "run_id": run_id,
            "run_type": run_id.partition("__")[0],
            "_state": state,
            "run_after": due,
            "start_date": due if state != "queued" else None,
            "end_date": end,
        }
        self.runs.append(row)
        return row

    def task(self, run: dict[str, Any], task_id: str, operator: str, state: str | None, **more: Any) -> None:
        """Add a task of a run; ``record`` and ``returns`` among the further values are what it has left."""
        xcoms = {KEY: more.pop("record", None), "return_value": more.pop("returns", None)}
        row = {"map_index": -1, "start_date": None, "end_date": None, "try_number": 1 if state else 0, **more}
        row |= {"id": uuid.uuid4(), "dag_id": run["dag_id"], "run_id": run["run_id"], "task_id": task_id}
        self.tasks.append({**row, "operator": operator, "state": state, "pool": "default_pool", "max_tries": 0})
        place = {name: row[name] for name in ("dag_id", "run_id", "task_id", "map_index")}
        for key, value in xcoms.items():
            if value:
                self.xcoms.append({**place, "dag_run_id": run["id"], "key": key, "value": value, "timestamp": NOW})


def record(kind: str, part: str, job_id: str, submitted: datetime, took: float | None, status: str, **more: Any) -> Any:
    """Make a record as a worker does.

    :param took: seconds; None for a job that goes on.
    :param status: the last word of the service.
    """
    known = Record(kind, part, 1)
    at = submitted.timestamp()
    known.tell(submitted=moment(at), id=job_id, name=f"neptune-ml-{job_id[:8]}", **more)
    words = [word for word in WORDS.get(kind, ML_WORDS)[:-1] if took or word != status]
    for step, word in enumerate(words):
        known.passed([[moment(at + step * 45), word]])
    known.passed([[moment(at + (took or 45 * len(words))), status]])
    console = "https://console.aws.amazon.com"
    known.tell(
        links={"SageMaker job": f"{console}/sagemaker#/{job_id}", "CloudWatch log": f"{console}/cloudwatch#{job_id}"},
        output_location=f"s3://ml/{kind}/{job_id}",
        deadline=moment(at + 86_400),
    )
    return known


def about(kind: str, number: int) -> dict[str, Any]:
    """Give parameters, figures and the report of a job that has succeeded."""
    size = 1_000 + number % 997
    sizes = {"nodes": size * 41, "edges": size * 233}
    if kind == "export":
        return {"figures": sizes, "parameters": {"command": "export-pg", "outputS3Path": "s3://ml/export"}}
    if kind == "data_processing":
        return {
            "figures": {**sizes, "features": 24, "train": size * 9, "valid": size, "test": size},
            "parameters": {"inputDataS3Location": "s3://ml/export", "processingInstanceType": "ml.r5.xlarge"},
            "report": {
                "features": _features(),
                "warnings": ["Column 'age' of Person has 12 values that are no number."],
                "labels": [
                    {
                        "target": "Account.fraud",
                        "classes": {"yes": size, "no": size * 10},
                        "split": {"train": size * 9, "valid": size, "test": size},
                    }
                ],
            },
        }
    value = round(0.9 + (number % 90) / 1000, 4)
    if kind == "model_training":
        return {
            "figures": {
                "metric_name": "roc_auc",
                "split": "test",
                "value": value,
                "baseline": 0.61,
                "baseline_name": "degree",
            },
            "parameters": {"dataProcessingJobId": "x", "maxHPONumberOfTrainingJobs": 4, "hooks": {"on": ["a", "b"]}},
            "report": {
                "metric": "roc_auc",
                "compared_on": "valid",
                "target": "Account.fraud",
                "comparison": {"rgcn": value, "degree": 0.61, "majority": 0.5},
                "trials": [_trial(each, number) for each in range(4)],
                "best_trial": "1",
            },
        }
    return {"figures": {}, "parameters": {"instanceType": "ml.m5.xlarge"}}


def _features() -> list[dict[str, Any]]:
    names = ("age", "country", "opened", "text", "tags", "balance", "degree", "risk")
    encodings = ("numerical", "category", "datetime", "text_word2vec", "category", "bucket_numerical")
    return [
        {"type": "Account", "property": name, "encoding": encodings[at % len(encodings)]}
        for at, name in enumerate(names)
    ]


def _trial(number: int, seed: int) -> dict[str, Any]:
    rate = 0.15 + 0.07 * number + (seed % 7) / 100
    curve = [[epoch, round(0.95 - 0.4 * math.exp(-rate * epoch) - 0.01 * number, 4)] for epoch in range(30)]
    return {
        "name": str(number + 1),
        "value": curve[-1][1],
        "best_epoch": 29,
        "parameters": {"lr": 0.01 / (number + 1), "num-hidden": 64},
        "metrics": curve,
    }


def pipeline(
    past: Past, number: int, dag_id: str, run_id: str, due: datetime, *, fails: int = 9, runs: int = 9
) -> None:
    """Add a run of the whole pipeline.

    :param fails, runs: the number of the step that has failed, and of the one that runs now.
    """
    ended = fails < len(STEPS) or runs >= len(STEPS)
    total = sum(seconds for *_, seconds in STEPS[: min(fails, runs) + 1])
    state = "failed" if fails < len(STEPS) else "success" if ended else "running"
    run = past.run(dag_id, run_id, state, due, total if ended else None)
    at = due
    for step, (task_id, operator, kind, part, seconds) in enumerate(STEPS):
        stopped = min(fails, runs)
        if step > stopped:
            past.task(run, task_id, operator, "upstream_failed" if fails < len(STEPS) else None)
            continue
        goes_on = step == runs
        job_id = f"{uuid.uuid5(uuid.NAMESPACE_URL, dag_id + run_id + task_id).hex[:12]}-{task_id}-1"
        words = WORDS.get(kind, ML_WORDS)
        status = words[-2] if goes_on else "Failed" if step == fails else words[-1]
        told = {} if goes_on or step == fails else about(kind, number)
        known = record(kind, part, job_id, at, None if goes_on else seconds, status, **told)
        if step == fails:
            text = f"The job {job_id!r} has failed: {REASON}\nWhat to do: {REMEDY}"
            log = [f"2026-11-23T10:00:{each:02} epoch {each}: loss is nan" for each in range(50)]
            known.failed(NeptuneMLJobFailedError(text), REASON, log)
        end = None if goes_on else at + timedelta(seconds=seconds)
        task_state = "deferred" if goes_on else "failed" if step == fails else "success"
        past.task(run, task_id, operator, task_state, start_date=at, end_date=end, record=known.as_dict())
        at = end or at


def special(past: Past) -> None:
    """Add the runs that tests look for by their ids."""
    pipeline(past, 1, "fraud_ring", "manual__finished", NOW - timedelta(hours=4))
    pipeline(past, 2, "fraud_ring", "manual__failed", NOW - timedelta(hours=3), fails=2)
    pipeline(past, 3, "fraud_ring", "manual__running", NOW - timedelta(minutes=40), runs=2)
    waits = past.run("film_ratings", "manual__mapped", "running", NOW - timedelta(minutes=50), None)
    for index in range(12):
        state = "failed" if index == 7 else "deferred" if index > 8 else "success"
        status = {"failed": "Failed", "deferred": "InProgress", "success": "Completed"}[state]
        at = NOW - timedelta(minutes=45 - index)
        known = record("model_training", "submits", f"mapped-{index}", at, None if state == "deferred" else 900, status)
        if state == "failed":
            known.failed(NeptuneMLJobFailedError("no instance"), "ResourceLimitExceeded: ml.p3.2xlarge")
        past.task(waits, "train_each", STEPS[2][1], state, map_index=index, start_date=at, record=known.as_dict())
    known = record("data_processing", "waits", "somebody-elses", NOW - timedelta(minutes=49), None, "InProgress")
    past.task(
        waits,
        "wait",
        "NeptuneMLDataProcessingSensor",
        "up_for_reschedule",
        start_date=NOW - timedelta(minutes=49),
        record=known.as_dict(),
    )
    past.task(waits, "unrelated", "EmptyOperator", "success")
    bad = past.run(BAD_DAG, BAD_RUN, "failed", NOW - timedelta(hours=5), 60)
    known = record(
        "data_processing",
        "submits",
        BAD_TEXT,
        NOW - timedelta(hours=5),
        60,
        "Failed",
        parameters={BAD_TEXT: BAD_TEXT},
        report={"warnings": [BAD_TEXT], "features": [{BAD_TEXT: BAD_TEXT}]},
    )
    known.failed(NeptuneMLJobFailedError(BAD_TEXT), BAD_TEXT, [BAD_TEXT])
    known.tell(links={"Trap": "javascript:alert(1)", BAD_TEXT: "https://example.com/"})
    past.task(bad, "process", STEPS[1][1], "failed", start_date=NOW - timedelta(hours=5), record=known.as_dict())
    wrong = past.run(BAD_DAG, "manual__wrong", "success", NOW - timedelta(hours=6), 60)
    nonsense = {
        "kind": 7,
        "timeline": "no",
        "links": [1],
        "figures": {"value": {}},
        "report": {"trials": 3, "labels": {}},
        "failure": "no",
        "parameters": [],
        "status": ["x"],
    }
    past.task(wrong, "process", "SomebodysOwnOperator", "success", record=nonsense)
    past.run("film_ratings", "manual__empty", "queued", NOW - timedelta(hours=1), None)


def many(past: Past, count: int) -> None:
    """Add runs of three DAGs, of which every ninth fails somewhere."""
    for number in range(count):
        due = NOW - timedelta(days=1, minutes=10 * number)
        run_id = f"scheduled__{due.isoformat()}"
        pipeline(past, number, DAG_IDS[number % 3], run_id, due, fails=number % 5 if number % 9 == 0 else 9)


def others(past: Past, count: int) -> None:
    """Add runs of a DAG that has nothing to do with Neptune ML, with five tasks that have each left an XCom."""
    for number in range(count):
        run = past.run(OTHER_DAG, f"manual__{number}", "success", NOW - timedelta(days=1, minutes=10 * number + 5), 60)
        for task in range(5):
            past.task(
                run, f"task_{task}", "PythonOperator", "success", start_date=run["run_after"], returns={"rows": task}
            )


def store(past: Past) -> None:
    """Put all of it into the database."""
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import insert

    with create_session(scoped=False) as session:
        session.add(DagBundleModel(name="tests"))
        session.flush()
        for dag_id in (*DAG_IDS, BAD_DAG, OTHER_DAG):
            session.add(DagModel(dag_id=dag_id, bundle_name="tests", fileloc="x.py", relative_fileloc="x.py"))
        session.flush()
        for model, rows in ((DagRun, past.runs), (TaskInstance, past.tasks), (XComModel, past.xcoms)):
            for some in _portions(rows):
                session.execute(insert(model), some)


def _portions(rows: list[dict[str, Any]], size: int = 5_000) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--others", type=int, default=0)
    arguments = parser.parse_args()
    past = Past()
    special(past)
    many(past, arguments.runs)
    others(past, arguments.others)
    store(past)
