"""``neptune-ml-check``: exit codes, the table, the JSON; a folder, S3 and the local service; and what it reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from broken_exports import HEALTHY, A, Export

from neptune_airflow.check import Unreadable, check_export, cli
from neptune_airflow.check.cost import GIB, cost
from neptune_airflow.check.files import HEAD
from neptune_airflow.dataset import document
from neptune_airflow.local.server import LocalNeptune
from neptune_airflow.store import Store


def upload(client: Any, folder: Path, bucket: str, prefix: str) -> str:
    """Copy a folder to a new bucket."""
    client.create_bucket(Bucket=bucket)
    for path in folder.rglob("*"):
        if path.is_file():
            key = f"{prefix}/{path.relative_to(folder)}"
            client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
    return f"s3://{bucket}/{prefix}/"


def s3(endpoint_url: str) -> Any:
    keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local", "region_name": "us-east-1"}
    return boto3.client("s3", endpoint_url=endpoint_url, config=Config(s3={"addressing_style": "path"}), **keys)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    export = Export()
    export.swap(A, b'"a3","a",3,', b'"a3","a",three,')
    export.document["warnings"] = ["mind the gap"]
    return export.write(tmp_path / "in")


def test_the_exit_code_tells(tmp_path: Path, broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([str(Export().write(tmp_path / "fine"))]) == 0
    assert "no errors" in capsys.readouterr().out
    assert cli.main([str(broken), "--full"]) == 1
    assert "data processing would fail" in capsys.readouterr().out
    assert cli.main([str(tmp_path / "nowhere")]) == 2
    answer = capsys.readouterr()
    assert not answer.out
    assert answer.err == f"neptune-ml-check: {tmp_path / 'nowhere'} can't be read: there is no such folder\n"
    with pytest.raises(SystemExit, match="2"):
        cli.main([])


@pytest.mark.parametrize("width", [60, 100])
def test_the_table_names_place_words_and_fix(
    broken: Path, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    cli.main([str(broken)])
    table = capsys.readouterr().out
    assert all(len(line) <= width for line in table.splitlines() if str(broken) not in line)
    assert "1 error\n  x nodes/a.csv, line 5, column 'x': 'three' is not a number\n    correct the value" in table
    assert "[not-a-number, documented]" in table
    words = " ".join(table.split())
    assert "1 warning ! training-data-configuration.json, line" in words
    assert "warnings: neptune-export warned: mind the gap" in words
    assert "ml.r5.large (16 GB of memory)" in words


def test_the_json_has_everything(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([str(broken), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is False
    (error,) = found["errors"]
    assert error == {
        "code": "not-a-number",
        "severity": "error",
        "place": {"file": "nodes/a.csv", "line": 5, "column": "x"},
        "text": "'three' is not a number",
        "fix": error["fix"],
        "source": "documented",
        "count": 1,
    }
    (warning,) = found["warnings"]
    lines = (broken / "training-data-configuration.json").read_text().splitlines()
    assert warning["place"]["path"] == "warnings"
    assert lines[warning["place"]["line"] - 1][warning["place"]["column"] - 1 :] == "["
    assert found["facts"]["nodes"]["a"]["count"] == 20


@pytest.mark.parametrize("full", [False, True])
def test_on_s3_with_credentials(aws: str, broken: Path, full: bool) -> None:
    location = upload(s3(aws), broken, f"check-{full}".lower(), "exports/%28one%29")
    report = check_export(location, store=Store(aws), full=full)
    assert [str(error) for error in report.errors] == [
        "nodes/a.csv, line 5, column 'x': 'three' is not a number"
    ]  # fmt: skip
    local = check_export(str(broken), full=full)
    assert (report.findings, report.facts) == (local.findings, local.facts)


def test_on_the_local_service(service: LocalNeptune, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                              monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    location = upload(s3(service.endpoint_url), Export().write(tmp_path), "checked", "export")
    assert cli.main([location, "--endpoint-url", service.endpoint_url, "--full"]) == 0
    assert "no errors" in capsys.readouterr().out


def test_what_cannot_be_read_says_why(aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unreadable, match="NoSuchBucket") as caught:
        check_export("s3://no-such-bucket/x", store=Store(aws))
    assert not caught.value.denied
    with pytest.raises(Unreadable, match="not an S3 URI"):
        check_export("gs://bucket/x", store=Store(aws))
    with pytest.raises(Unreadable, match="Could not connect") as caught:
        check_export("s3://bucket/x", store=Store("http://127.0.0.1:9", client=_unpatient("http://127.0.0.1:9")))
    assert not caught.value.denied
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    with pytest.raises(Unreadable, match="credentials") as caught:
        check_export("s3://bucket/x", store=Store(aws))
    assert caught.value.denied


def _unpatient(endpoint_url: str) -> Any:
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=1)
    return boto3.client("s3", endpoint_url=endpoint_url, region_name="us-east-1", config=config)


def test_a_quick_check_reads_first_rows_alone(aws: str, tmp_path: Path) -> None:
    export = Export()
    header, _, rows = HEALTHY[A].partition(b"\n")
    export.files[A] = header + b"\n" + b"".join(rows.replace(b'"a', b'"%d-a' % number) for number in range(3_000))
    client = s3(aws)
    location = upload(client, export.write(tmp_path), "large", "export")
    read: list[int] = []
    client.meta.events.register("after-call.s3.GetObject", lambda parsed, **_: read.append(parsed["ContentLength"]))
    report = check_export(location, store=Store(client=client))
    assert not report.errors
    assert max(read) <= HEAD < len(export.files[A]) / 20
    assert report.facts["nodes"]["a"]["count"] == pytest.approx(60_000, rel=0.1)
    assert not report.facts["nodes"]["a"]["exact"]


def test_a_configuration_that_is_data_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "c.json").write_bytes(b"{" * 2_000)
    monkeypatch.setattr(document, "LONGEST_DOCUMENT", 1_000)
    monkeypatch.setattr("neptune_airflow.check.export.LONGEST_DOCUMENT", 1_000)
    (error,) = check_export(str(tmp_path), config_file_name="c.json").errors
    assert error.code == "config-large"


@pytest.mark.parametrize(
    ("gib", "instance"),
    [(0, "ml.r5.large"), (1.6, "ml.r5.large"), (1.7, "ml.r5.xlarge"), (76.8, "ml.r5.24xlarge"), (77, None)],
)
def test_what_it_costs_in_kind(gib: float, instance: str | None) -> None:
    facts, findings = cost(int(gib * GIB))
    assert facts["instance"] == instance
    assert facts["fits"] == (instance is not None)
    assert [finding.code for finding in findings] == ([] if instance else ["too-large"])


def test_more_data_than_fits_is_an_error_before_anything_is_read(tmp_path: Path) -> None:
    export = Export()
    folder = export.write(tmp_path)
    with (folder / "nodes/sparse.csv").open("wb") as sparse:
        sparse.truncate(80 * GIB)
    codes = [finding.code for finding in check_export(str(folder)).errors]
    assert codes == ["too-large"]


PROGRESS = """
import sys
from neptune_airflow.check import check_export
told = []
check_export(sys.argv[1], full=True, progress=lambda read, total: told.append((read, total)))
print(told[-1][0] >= 0.9 * told[-1][1], len({total for _, total in told}))
assert "airflow" not in sys.modules, "the check needs no Airflow"
"""
WITHOUT_POLARS = """
import sys
sys.modules["polars"] = None
from neptune_airflow.check.cli import main
code = main([sys.argv[1]])
assert "numpy" not in sys.modules
assert code == 0
sys.exit(main([sys.argv[1], "--full"]))
"""


def _python(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=False)


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    answer = _python(PROGRESS, Export().write(tmp_path))
    assert answer.stdout == "True 1\n", answer.stderr


def test_without_polars_the_quick_check_works_and_the_full_one_names_the_extra(tmp_path: Path) -> None:
    answer = _python(WITHOUT_POLARS, Export().write(tmp_path))
    assert answer.returncode == 2, answer.stderr
    assert "no errors" in answer.stdout
    assert "pip install 'airflow-provider-neptune-ml[check]'" in answer.stderr
