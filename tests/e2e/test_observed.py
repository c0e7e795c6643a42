"""What a person who looks at Airflow sees of a job in a real one: its record, its links, its metrics."""

from __future__ import annotations

from typing import Any

import httpx

from demo.stack import Stack
from tests.e2e.conftest import Statsd
from tests.e2e.test_ended_tasks import GET, Ended, wait_until


def of_task(ended: Ended, what: str) -> dict[str, Any]:
    path = f"/dags/{ended.dag_id}/dagRuns/{ended.run.run_id}/taskInstances/process/{what}"
    answer: dict[str, Any] = ended.stack.api._get(path)
    return answer


def test_a_deferred_job_is_seen_and_counted(stack: Stack, statsd: Statsd) -> None:
    ended = Ended(stack, "deferred")
    ended.watched()

    record = of_task(ended, "xcomEntries/neptune_ml_job")["value"]
    assert (record["id"], record["status"], record["part"]) == (ended.jobs[0], "InProgress", "submits")
    links = of_task(ended, "links")["extra_links"]
    assert set(links) == {"SageMaker job", "CloudWatch log", "S3 input", "S3 output"}
    for url in links.values():
        page = httpx.get(url, trust_env=False)
        assert (page.status_code, ended.jobs[0] in page.text) == (200, True)

    fault = {"operation": GET, "error": {"code": "ThrottlingException", "http": 429}}
    httpx.post(f"{stack.service}/local/faults", json=fault, trust_env=False).raise_for_status()
    counted = "airflow.neptune_ml.{},kind=data_processing:1|c"
    wait_until(lambda: counted.format("poll.error") in statsd.told)  # by the triggerer
    ended.mark_failed()
    ended.let_go()
    wait_until(lambda: counted.format("job.cancelled") in statsd.told)  # by the triggerer
    assert counted.format("job.submitted") in statsd.told  # by a worker
    assert of_task(ended, "links")["extra_links"] == links
