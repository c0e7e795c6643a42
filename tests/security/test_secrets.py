"""No credential, signed URL or connection extra leaves a process: by log, XCom, link, rendered field, event or error.

The services here tell all that they can, and every secret that a user can have is planted. A run of Airflow is then
searched through: all that it printed, its logs, its database, what OpenLineage was told.
"""

from __future__ import annotations

import base64
import json
import re
import sqlite3
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from neptune_airflow.compat import TaskDeferred
from neptune_airflow.errors import NeptuneMLError, NeptuneMLKilledError, NeptuneMLParameterError
from neptune_airflow.operators.neptune_ml import NeptuneMLDataProcessingOperator
from neptune_airflow.redaction import LONGEST, redact
from neptune_airflow.sensors.neptune_ml import NeptuneMLDataProcessingSensor
from tests.provider.airflow_home import dag_run, environment_of, marked
from tests.provider.worker import Run, event_of, revived
from tests.security.planted import SECRETS, Talkative, connections, presigned
from tests.security.servers import Server
from tests.security.ways import SERVICES, WAYS

DAG_FILE = """
import pendulum
from chaos.versions import log_as_a_worker
from neptune_airflow.compat import DAG
from neptune_airflow.operators.neptune_export import NeptuneExportOperator
from neptune_airflow.operators.neptune_ml import NeptuneMLDataProcessingOperator
from neptune_airflow.sensors.neptune_ml import NeptuneMLDataProcessingSensor

TO = {"input_data_s3_location": "s3://neptune-ml/in", "processed_data_s3_location": "s3://neptune-ml/out"}
CLUSTER = "http://cluster.invalid:8182"

with DAG(
    "planted",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    default_args={"waiter_delay": 0.1, "poke_interval": 0.1, "trigger_rule": "all_done"},
) as dag:
    given = {"endpoint": "x", "note": {"api_key": "{{ var.value.other }}"}}
    tasks = [
        NeptuneExportOperator(
            task_id="export",
            command="export-pg",
            output_s3_path="s3://neptune-ml/e",
            params=given,
            additional_params=given,
        ),
        NeptuneMLDataProcessingOperator(task_id="sync", deferrable=False, **TO),
        NeptuneMLDataProcessingOperator(task_id="deferred", deferrable=True, **TO),
        NeptuneMLDataProcessingOperator(task_id="role", aws_conn_id="role", deferrable=True, **TO),
        NeptuneMLDataProcessingOperator(task_id="refused", config_file_name="refuse", **TO),
        NeptuneMLDataProcessingOperator(task_id="page", config_file_name="page", **TO),
        NeptuneMLDataProcessingOperator(task_id="bad-connection", aws_conn_id="bad_url", **TO),
        NeptuneMLDataProcessingOperator(task_id="bad-address", endpoint_url="{{ var.value.address }}", **TO),
        NeptuneMLDataProcessingSensor(task_id="poke", job_id="known"),
        NeptuneMLDataProcessingSensor(
            task_id="dead-proxy",
            job_id="{{ 'known' }}",
            aws_conn_id="dead_proxy",
            endpoint_url=CLUSTER,
            timeout=0.5,
            deferrable=True,
        ),
    ]

if __name__ == "__main__":
    log_as_a_worker()
    run = dag.test()
    print("STATES", sorted(f"{ti.task_id}:{ti.state}" for ti in run.get_task_instances()))
"""


@pytest.fixture
def talkative(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A service that tells too much, and the connections that lead to it."""
    with Server(Talkative()) as server:
        for name, value in connections(server.url).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("neptune_airflow.task.worker_lingers", lambda: 0)
        yield server


def _found_in(texts: dict[str, str]) -> dict[str, set[str]]:
    found = {where: {name for name, secret in SECRETS.items() if secret in text} for where, text in texts.items()}
    return {where: names for where, names in found.items() if names}


def _readable(line: str) -> str:
    """Show a database's bytes as text: Airflow 2 keeps XComs so."""
    return re.sub(r"X'([0-9A-F]+)'", lambda found: bytes.fromhex(found[1]).decode(errors="replace"), line)


def test_nothing_leaves_a_run_of_airflow(talkative: Server, tmp_path: Path) -> None:
    airflow = environment_of(tmp_path)
    told = tmp_path / "lineage.jsonl"
    transport = json.dumps({"type": "file", "log_file_path": str(told), "append": True})
    printed = dag_run({**airflow, "AIRFLOW__OPENLINEAGE__TRANSPORT": transport}, "planted", DAG_FILE)

    (states,) = marked(printed, "STATES")
    assert states.count(":success") == 1
    assert states.count(":failed") == 9
    # It was all said, and hidden.
    everything = "\n".join(printed).replace('\\"', '"')  # as it was before it became JSON
    reason = r"Failed: AlgorithmError: could not read https\S+Token=\*\*\*&X-Amz-Signature=\*\*\*"
    assert len(re.findall(reason, everything)) >= 4
    assert "AWS_SECRET_ACCESS_KEY=***" in everything
    assert "x-amz-security-token:***" in everything
    assert '"api_key": "***"' in everything
    assert "would be shown with the task" in everything
    with sqlite3.connect(tmp_path / "airflow.db") as database:
        kept = "\n".join(map(_readable, database.iterdump()))
    assert "X-Amz-Signature=***" in kept
    logs = {str(path): path.read_text(errors="replace") for path in (tmp_path / "logs").rglob("*") if path.is_file()}
    assert "X-Amz-Signature=***" in told.read_text()
    assert _found_in({"printed": everything, "database": kept, "lineage": told.read_text(), **logs}) == {}


def _everything_of(error: BaseException) -> str:
    """Give all that a reporter could find in an error: its traceback, and what it does not show of its causes."""
    texts = []
    each: BaseException | None = error
    while each is not None:
        texts += traceback.format_exception(each)
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
    return "\n".join(texts)


MODES: dict[str, dict[str, Any]] = {
    "sync": {"deferrable": False},
    "deferred": {"deferrable": True},
    "role": {"deferrable": True, "aws_conn_id": "role"},
    "refused": {"config_file_name": "refuse"},
    "proxied": {
        "deferrable": True,
        "endpoint_url": "http://cluster.invalid:8182",
        "aws_conn_id": "proxy",
    },
}
TO = {
    "input_data_s3_location": "s3://neptune-ml/in",
    "processed_data_s3_location": "s3://neptune-ml/out",
    "waiter_delay": 0.1,
}


def _to_end(run: Run, left: dict[str, str]) -> None:
    try:
        run.execute()
    except TaskDeferred as deferral:
        trigger = revived(deferral.trigger)
        left["trigger"] = json.dumps(trigger.serialize()) + repr(trigger)
        event = event_of(trigger)
        left["event"] = json.dumps(event)
        run.resume(deferral.method_name, event=event)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_leaves_a_task(
    talkative: Server, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, mode: str
) -> None:
    run = Run(NeptuneMLDataProcessingOperator(task_id=mode, **{**TO, **MODES[mode]}))
    left: dict[str, str] = {}
    with pytest.raises(NeptuneMLError) as error:
        _to_end(run, left)
    left["error"] = _everything_of(error.value)
    left["xcoms"] = json.dumps(run.ti.xcoms)
    left["store"] = json.dumps(run.store)
    left["printed"] = "".join(capfd.readouterr())
    left["logged"] = caplog.text
    assert _found_in(left) == {}
    assert "***" in left["error"]
    if mode == "proxied":
        assert {seen.headers.get("proxy-authorization", "")[:5] for seen in talkative.seen} == {"Basic"}


def test_nothing_leaves_a_task_that_is_killed(talkative: Server, capfd: pytest.CaptureFixture[str]) -> None:
    run = Run(NeptuneMLDataProcessingOperator(task_id="killed", deferrable=False, config_file_name="live", **TO))

    def kill() -> None:
        while [seen.method for seen in talkative.seen].count("GET") < 3:
            time.sleep(0.01)
        run.task.on_kill()

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    with pytest.raises(NeptuneMLKilledError) as error:
        run.execute()
    killer.join(30)
    printed = "".join(capfd.readouterr())
    assert "may still run, and cost: Could not cancel" in printed
    assert "x-amz-security-token:***" in printed
    assert _found_in({"error": _everything_of(error.value), "printed": printed}) == {}


@pytest.mark.parametrize("way", ["describe", "describe-in-triggerer", "export-describe", "logs", "metrics"])
def test_a_proxy_that_refuses_is_not_told_of_with_its_password(connect: Callable[..., None], way: str) -> None:
    with Server(lambda seen: (407, {"Content-Length": "0"}, [])) as proxy:
        password = SECRETS["proxy_password"]
        proxies = {"https": f"http://user:{password}@{proxy.url.removeprefix('http://')}"}
        connect("https://cluster.invalid:8182", config_kwargs={"proxies": proxies})
        with pytest.raises(Exception, match="Failed to connect to proxy") as error:
            WAYS[way]()
        assert way not in SERVICES or "407" in str(error.value)
        assert {seen.method for seen in proxy.seen} == {"CONNECT"}
        assert base64.b64encode(f"user:{password}".encode()).decode() in proxy.seen[0].headers["proxy-authorization"]
    assert _found_in({"error": _everything_of(error.value)}) == {}


@pytest.mark.parametrize("where", ["http://user:{url_password}@cluster:8182", "http://cluster:8182/?key={url_query}"])
def test_an_address_with_a_secret_is_refused_when_the_dag_is_parsed(where: str) -> None:
    for make in (
        lambda url: NeptuneMLDataProcessingOperator(task_id="x", endpoint_url=url, **TO),
        lambda url: NeptuneMLDataProcessingSensor(task_id="x", job_id="x", endpoint_url=url),
    ):
        with pytest.raises(NeptuneMLParameterError, match="endpoint_url is not valid") as error:
            make(where.format(**SECRETS))
        assert _found_in({"error": str(error.value)}) == {}


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (presigned("reason_signature"), "X-Amz-Signature=***"),
        ("https://u:p%40x@host/y", "https://***@host/y"),
        ("?AWSAccessKeyId=AKID&Expires=1&Signature=abc%2F", "?AWSAccessKeyId=***&Expires=1&Signature=***"),
        ("x-amz-security-token:Fwo\nhost", "x-amz-security-token:***\nhost"),
        ('{"SecretAccessKey": "abc", "n": 1}', '{"SecretAccessKey": "***", "n": 1}'),
        ("aws_session_token = abc", "aws_session_token = ***"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("to=https%3A%2F%2Fx%3FX-Amz-Signature%3Dabc", "X-Amz-Signature%3D***"),
    ],
)
def test_what_is_hidden(said: str, shown: str) -> None:
    assert shown in redact(said)


@pytest.mark.parametrize(
    "said",
    [
        "Signature expired: 20261124T000000Z is now earlier than 20261124T001500Z",
        "Credential should be scoped to a valid Region.",
        "s3://bucket/key@1 and https://host/?mail=a@b.c",
        "The security token included in the request is expired",
    ],
)
def test_what_is_not_hidden(said: str) -> None:
    assert redact(said) == said


def test_a_secret_at_the_cut_is_hidden() -> None:
    text = "x" * (LONGEST - 20) + presigned("reason_signature", "reason_token")
    for more in range(60):
        assert SECRETS["reason_signature"][:12] not in redact("x" * more + text)
    assert redact("x" * (LONGEST + 1)).endswith("… (1 characters more)")
