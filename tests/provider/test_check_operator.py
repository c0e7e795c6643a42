"""The check of an export as a task, and before a data processing job is submitted."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from chaos.versions import alias_events
from neptune_airflow.compat import AirflowFailException, Asset, AssetAlias, BaseOperator
from neptune_airflow.errors import NeptuneMLParameterError, NeptuneMLRequestError, NeptuneMLUnavailableError
from neptune_airflow.local.server import LocalNeptune
from neptune_airflow.operators.neptune_ml_check import LINES, REPORT, NeptuneMLCheckExportOperator
from tests.provider.airflow_home import dag_run, marked
from tests.provider.conftest import connection, task_id
from tests.provider.worker import Run

BUCKET = "neptune-ml"
#: The step of ``play`` that the data processing job is told to do by its configuration's name.
NAME = "nothing"
NODES = [f'"u{number}",{number % 7}.5,"{"ab"[number % 2]}"' for number in range(40)]
HEADER = "~id,age,plan"


def configuration(**label: Any) -> dict[str, Any]:
    node = {
        "file_name": "nodes/user.csv",
        "node": ["~id", "user"],
        "features": [{"feature": ["age", "age", "numerical"], "norm": "min-max"}],
        "labels": [{"label": ["plan", "classification"], "split_rate": [0.7, 0.1, 0.2], **label}],
    }
    edge = {"file_name": "edges/knows.csv", "source": ["~from", "user"], "relation": ["", "knows"]}
    return {"version": "v2.0", "graph": {"nodes": [node], "edges": [edge | {"dest": ["~to", "user"]}]}}


@pytest.fixture
def export(play: LocalNeptune, request: pytest.FixtureRequest) -> Callable[..., str]:
    """Put an export into the service's S3, and give its URI."""

    def put(nodes: list[str] = NODES, document: Any = None, at: str = "export") -> str:
        prefix = f"{at}/{task_id(request)}"
        edges = ["~from,~to", *(f'"u{number}","u{(number * 3 + 1) % 40}"' for number in range(40))]
        files = {
            "nodes/user.csv": "\n".join([HEADER, *nodes, ""]),
            "edges/knows.csv": "\n".join([*edges, ""]),
            NAME: json.dumps(document or configuration()),
        }
        for name, content in files.items():
            play.client("s3").put_object(Bucket=BUCKET, Key=f"{prefix}/{name}", Body=content.encode())
        return f"s3://{BUCKET}/{prefix}"

    return put


@pytest.fixture
def check(request: pytest.FixtureRequest) -> Callable[..., Run]:
    """Make a check task."""

    def make(location: str, **kwargs: Any) -> Run:
        given = {"input_data_s3_location": location, "config_file_name": NAME, **kwargs}
        return Run(NeptuneMLCheckExportOperator(task_id=task_id(request), **given))

    return make


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """The lines of the task's log; Airflow's own logger writes them elsewhere."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(BaseOperator, "log", logging.getLogger("task"))
    return caplog


@pytest.fixture
def refusing() -> Iterator[Callable[[str], str]]:
    """Give the address of an S3 that refuses everybody, for one of two reasons."""
    servers = []

    def start(code: str) -> str:
        body = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()

        class Refusal(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response({"AccessDenied": 403, "SlowDown": 503}[code])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Refusal))
        Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def s3_at(play: LocalNeptune, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let the connection name another S3."""

    def move(url: str) -> None:
        extra = connection(play.endpoint_url, service_config={"s3": {"endpoint_url": url}})
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", extra)

    return move


Export = Callable[..., str]
Make = Callable[..., Run]


def test_a_healthy_export_goes_on(export: Export, check: Make, log: pytest.LogCaptureFixture) -> None:
    location = export()
    run = check(location)
    assert run.execute() == {"location": location, "errors": 0, "warnings": 0}
    report = run.ti.xcoms[REPORT]
    assert report["ok"]
    assert report["location"] == location
    assert report["errors"] == []
    assert f"Checking the export {location}" in log.text
    assert "user" in log.text


@pytest.mark.parametrize("full", [False, True])
def test_an_error_fails_the_task_for_good_and_tells_of_itself(
    export: Export, check: Make, full: bool, log: pytest.LogCaptureFixture
) -> None:
    run = check(export([*NODES[:2], '"u2",much,"a"', *NODES[3:]]), full=full)
    with pytest.raises(NeptuneMLRequestError, match=r"nodes/user\.csv, line 4, column 'age'") as caught:
        run.execute()
    assert isinstance(caught.value, AirflowFailException)
    (error,) = run.ti.xcoms[REPORT]["errors"]
    assert error["place"] == {"file": "nodes/user.csv", "line": 4, "column": "age"}
    assert f"What to do: {error['fix']}" in str(caught.value)
    assert "'much'" in log.text


def test_a_report_of_very_many_errors_stays_small(export: Export, check: Make, log: pytest.LogCaptureFixture) -> None:
    document = configuration()
    document["graph"]["nodes"] += [
        {"file_name": f"nodes/{'missing' * 10}-{number}.csv", "node": ["~id", f"type-{number}"]}
        for number in range(2_000)
    ]
    run = check(export(document=document))
    with pytest.raises(NeptuneMLRequestError, match="2000 findings of severity error") as caught:
        run.execute()
    assert len(json.dumps(run.ti.xcoms[REPORT])) <= 48_000
    assert len(str(caught.value)) < 10_000
    assert len(log.records) < LINES + 10


def test_warnings_pass_unless_they_are_to_fail(export: Export, check: Make) -> None:
    location = export(document=configuration(split_rate=[0.9, 0.0, 0.1]))
    result = check(location).execute()
    assert result["errors"] == 0
    assert result["warnings"] > 0
    with pytest.raises(NeptuneMLRequestError, match="of severity warning"):
        check(location, fail_on="warning").execute()


def test_a_location_that_is_none_is_refused(check: Make) -> None:
    with pytest.raises(NeptuneMLParameterError, match="input_data_s3_location='/tmp/export' is not valid"):
        check("/tmp/export")
    run = check("{{ params.at }}")
    run.task.input_data_s3_location = "None"  # what a template of nothing renders to
    with pytest.raises(NeptuneMLParameterError, match="input_data_s3_location is missing"):
        run.execute()


def test_what_fails_the_task_is_one_of_two_words(check: Make) -> None:
    with pytest.raises(NeptuneMLParameterError, match="fail_on='never' is not valid: give 'error' or 'warning'"):
        check("s3://neptune-ml/x", fail_on="never")


def test_assets_are_told(export: Export, check: Make) -> None:
    asset, alias = Asset("checked"), AssetAlias("exports")
    location = export()
    run = check(location, outlets=[asset, alias])
    result = run.execute()
    assert run.events[asset].extra == result
    assert alias_events(run.events[alias]) == [(location, result)]


#: The address of no S3 at all.
ABSENT = "http://127.0.0.1:1"
ONCE = {"retries": {"total_max_attempts": 1}}
Refusing = Callable[[str], str]


def test_an_export_that_may_not_be_read_fails_the_task_for_good(
    check: Make, refusing: Refusing, s3_at: Callable[[str], None]
) -> None:
    with pytest.raises(NeptuneMLRequestError, match="NoSuchBucket"):
        check("s3://no-such-bucket/x").execute()
    s3_at(refusing("AccessDenied"))
    with pytest.raises(NeptuneMLRequestError, match=r"AccessDenied(.|\n)*let the connection 'aws_default' list"):
        check("s3://neptune-ml/x").execute()


@pytest.mark.parametrize(("code", "words"), [("SlowDown", "SlowDown"), ("", "Could not connect")])
def test_an_s3_that_is_away_leaves_the_next_try_to_the_retries(
    check: Make, refusing: Refusing, s3_at: Callable[[str], None], code: str, words: str
) -> None:
    s3_at(refusing(code) if code else ABSENT)
    with pytest.raises(NeptuneMLUnavailableError, match=words) as caught:
        check("s3://neptune-ml/x", botocore_config=ONCE).execute()
    assert not isinstance(caught.value, AirflowFailException)


def submits(play: LocalNeptune) -> int:
    return sum(call["operation"] == "StartMLDataProcessingJob" for call in play.ledger()["calls"])


def test_nothing_is_submitted_for_a_wrong_export(play: LocalNeptune, export: Export, process: Make) -> None:
    before = submits(play)
    run = process(NAME, input_data_s3_location=export(['"u1",1,"a"', '"u1",2,"b"']), check_export=True)
    with pytest.raises(NeptuneMLRequestError, match="u1"):
        run.execute()
    assert not run.ti.xcoms[REPORT]["ok"]
    assert submits(play) == before


@pytest.mark.parametrize("check_export", [None, False])
def test_nothing_is_looked_at_unless_it_is_asked_for(export: Export, process: Make, check_export: bool | None) -> None:
    run = process(NAME, input_data_s3_location=export(['"u1",1,"a"', '"u1",2,"b"']), check_export=check_export)
    assert run.execute()["status"] == "Completed"
    assert REPORT not in run.ti.xcoms


def test_a_retry_that_finds_its_job_does_not_look_again(play: LocalNeptune, export: Export, process: Make) -> None:
    location = export()
    run = process(NAME, input_data_s3_location=location, check_export=True, retries=1)
    first = run.execute()
    assert run.ti.xcoms[REPORT]["ok"]
    play.client("s3").delete_object(Bucket=BUCKET, Key=f"{location.partition(f'{BUCKET}/')[2]}/nodes/user.csv")
    run.next_try()
    assert run.execute()["id"] == first["id"]
    assert REPORT not in run.ti.xcoms


@pytest.mark.parametrize(
    ("code", "words"), [("AccessDenied", "AccessDenied"), ("SlowDown", "SlowDown"), ("", "Could not connect")]
)
def test_a_job_goes_on_where_the_export_may_not_be_read(
    export: Export,
    process: Make,
    refusing: Refusing,
    s3_at: Callable[[str], None],
    log: pytest.LogCaptureFixture,
    code: str,
    words: str,
) -> None:
    location = export()
    s3_at(refusing(code) if code else ABSENT)
    run = process(NAME, input_data_s3_location=location, check_export=True, botocore_config=ONCE)
    assert run.execute()["status"] == "Completed"
    assert re.search(f"The export is not checked: .*{words}", log.text)
    assert REPORT not in run.ti.xcoms


DAG = """
import sys

import pendulum
from neptune_airflow.compat import DAG

from neptune_airflow.operators.neptune_ml import NeptuneMLDataProcessingOperator
from neptune_airflow.operators.neptune_ml_check import NeptuneMLCheckExportOperator

with DAG("checked", schedule=None, start_date=pendulum.datetime(2026, 1, 1), params={"at": ""}) as dag:
    check = NeptuneMLCheckExportOperator(
        task_id="check", input_data_s3_location="{{ params.at }}", config_file_name="nothing", retries=3
    )
    process = NeptuneMLDataProcessingOperator(
        task_id="process",
        input_data_s3_location=check.output["location"],
        processed_data_s3_location="s3://neptune-ml/{{ dag.dag_id }}/{{ run_id }}",
        config_file_name="nothing",
        waiter_delay=0.1,
        check_export=True,
    )

if __name__ == "__main__":
    for location in sys.argv[1:]:
        run = dag.test(run_conf={"at": location})
        print("RUN", run.state, sorted(f"{ti.task_id}:{ti.state}:{ti.try_number}" for ti in run.get_task_instances()))
"""


def test_in_a_dag(airflow: dict[str, str], export: Export) -> None:
    healthy, wrong = export(), export(['"u1",1,"a"', '"u1",2,"b"'], at="wrong")
    assert marked(dag_run(airflow, "checked", DAG, healthy, wrong), "RUN") == [
        "success ['check:success:1', 'process:success:1']",
        "failed ['check:failed:1', 'process:upstream_failed:0']",
    ]


def test_a_dag_file_imports_neither_the_check_nor_a_client() -> None:
    code = """
    import sys
    import neptune_airflow.operators.neptune_ml_check
    heavy = "boto3", "polars", "neptune_airflow.check", "airflow.providers.amazon.aws"
    print([name for name in heavy if name in sys.modules])
    """
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=root, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip().endswith("[]")
