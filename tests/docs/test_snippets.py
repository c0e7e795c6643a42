"""Every example in the documentation works: Python against the local service, JSON, and the commands."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from neptune_airflow.local.server import LocalNeptune
from tests.docs.pages import DOCS, PAGES, PROJECT, Block, blocks, every, name
from tests.provider.airflow_home import environment_of, marked, run_python

TARGET = {"node": "customer", "property": "segment", "type": "classification"}


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An Airflow that polls as fast as a test wants it to."""
    home = environment_of(tmp_path_factory.mktemp("airflow"))
    return {**home, "AIRFLOW__NEPTUNE_ML__WAITER_DELAY": "0.2"}


@pytest.fixture(scope="module")
def cluster(service: LocalNeptune) -> Iterator[LocalNeptune]:
    """The service with what the examples take for granted: a bucket, an export, and jobs that have been."""
    service.client("s3").create_bucket(Bucket="my-ml")
    neptune = service.client("neptunedata")
    export = {
        "command": "export-pg",
        "outputS3Path": "s3://my-ml/export/1",
        "createExportSubdirectory": False,
        "additionalParams": {"neptune_ml": {"targets": [TARGET]}},
    }
    service.wait_for("export", _post(f"{service.endpoint_url}/v1/neptune-export", export)["jobId"], timeout=60)
    neptune.start_ml_data_processing_job(
        id="processed-1", inputDataS3Location="s3://my-ml/export/1", processedDataS3Location="s3://my-ml/processed"
    )
    service.wait_for("dataprocessing", "processed-1", timeout=60)
    neptune.start_ml_model_training_job(
        id="trained-1", dataProcessingJobId="processed-1", trainModelS3Location="s3://my-ml/models"
    )
    service.wait_for("modeltraining", "trained-1", timeout=120)
    neptune.start_ml_model_transform_job(
        id="transformed-1",
        dataProcessingJobId="processed-1",
        mlModelTrainingJobId="trained-1",
        modelTransformOutputS3Location="s3://my-ml/transformed",
    )
    service.wait_for("modeltransform", "transformed-1", timeout=60)
    neptune.create_ml_endpoint(id="served-1", mlModelTrainingJobId="trained-1")
    service.wait_for("endpoints", "served-1", timeout=60)
    yield service
    neptune.delete_ml_endpoint(id="served-1")


def _post(url: str, body: dict[str, object]) -> dict[str, str]:
    with urlopen(Request(url, json.dumps(body).encode(), {"content-type": "application/json"}), timeout=30) as answer:
        return dict(json.load(answer))


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=name)
def test_python(page: Path, airflow: dict[str, str], cluster: LocalNeptune) -> None:
    extra = {"endpoint_url": cluster.endpoint_url, "region_name": "us-east-1"}
    connection = {"conn_type": "aws", "login": "any", "password": "any", "extra": extra}
    environment = {**airflow, **cluster.environment, "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection)}
    file = Path(airflow["AIRFLOW_HOME"]) / "dags" / f"page_{page.stem.replace('-', '_').lower()}.py"
    file.parent.mkdir(exist_ok=True)
    runner = str(Path(__file__).with_name("run_page.py"))
    ran = marked(run_python(environment, runner, str(page), str(file)).splitlines(), "RAN")
    assert [line for line in ran if line.split()[1] != "success"] == []
    assert len(ran) >= sum(each.text.count("with DAG(") for each in blocks(page, "python") if not each.idle)


@pytest.mark.parametrize("block", every("json"), ids=str)
def test_json(block: Block) -> None:
    text = block.text
    if included := re.fullmatch(r'--8<-- "(.+)"\s*', text):
        text = (DOCS / included[1]).read_text()
    try:
        json.loads(text)
    except ValueError:  # a question and its answer
        assert [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("block", every("console"), ids=str)
def test_commands(block: Block) -> None:
    commands = [
        line.removeprefix("$ ").partition("  #")[0]
        for line in block.text.replace("\\\n", " ").splitlines()
        if line[:2] == "$ "
    ]
    assert commands
    for command in commands:
        words = [word for word in shlex.split(command) if not re.fullmatch(r"[A-Z_]+=.*", word)]
        KNOWN[words[0] if words else "env"](words[1:])


def _make(words: list[str]) -> None:
    targets = re.findall(r"^([a-z.-]+):", (PROJECT / "Makefile").read_text(), re.M)
    assert words[0] in targets


def _pip(words: list[str]) -> None:
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert words[0] == "install"
    for extra in re.findall(r"\[(\w+)\]", words[1]):
        assert extra in extras


def _script(program: str, *command: str) -> Callable[[list[str]], None]:
    """Look the options up in a program's own help."""

    def check(words: list[str]) -> None:
        own = [word for word in words if word in command]
        done = subprocess.run([*program.split(), *own, "--help"], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        for option in (word for word in words if word.startswith("--")):
            assert re.search(rf"{re.escape(option)}\b", done.stdout), f"{program} has no {option}"

    return check


def _any(words: list[str]) -> None:
    """Of others: Airflow, Docker, uv, coverage, and the shell."""


BIN = Path(sys.executable).parent
KNOWN: dict[str, Callable[[list[str]], None]] = {
    "make": _make,
    "pip": _pip,
    "neptune-ml-check": _script(f"{BIN}/neptune-ml-check"),
    "neptune-ml-local": _script(f"{BIN}/neptune-ml-local", "serve"),
    "python": lambda words: _script(f"{sys.executable} -m {words[1]}")(words[2:]),
    "airflow": _any,
    "docker": _any,
    "echo": _any,
    "uv": _any,
    ".venv/bin/coverage": _any,
    "export": _any,
}
