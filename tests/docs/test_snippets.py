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

import pytest

from neptune_airflow.local.server import LocalNeptune
from tests.docs.pages import DOCS, PAGES, PROJECT, Block, blocks, every, name
from tests.provider.airflow_home import environment_of, marked, run_python

#: Makes the export and the jobs that the other pages name.
BEFOREHAND = DOCS / "how-to" / "index.md"


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An Airflow that polls as fast as a test wants it to."""
    home = environment_of(tmp_path_factory.mktemp("airflow"))
    return {**home, "AIRFLOW__NEPTUNE_ML__WAITER_DELAY": "0.2"}


@pytest.fixture(scope="module")
def cluster(service: LocalNeptune, airflow: dict[str, str]) -> Iterator[LocalNeptune]:
    """The service with what the examples take for granted: a bucket, and what the page BEFOREHAND makes."""
    service.client("s3").create_bucket(Bucket="my-ml")
    assert failures(BEFOREHAND, airflow, service) == []
    yield service
    service.client("neptunedata").delete_ml_endpoint(id="served-1")


def failures(page: Path, airflow: dict[str, str], cluster: LocalNeptune) -> list[str]:
    """Run a page's DAGs, and give those that did not succeed."""
    extra = {"endpoint_url": cluster.endpoint_url, "region_name": "us-east-1"}
    connection = {"conn_type": "aws", "login": "any", "password": "any", "extra": extra}
    environment = {**airflow, **cluster.environment, "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection)}
    file = Path(airflow["AIRFLOW_HOME"]) / "dags" / f"page_{page.stem.replace('-', '_').lower()}.py"
    file.parent.mkdir(exist_ok=True)
    runner = str(Path(__file__).with_name("run_page.py"))
    ran = marked(run_python(environment, runner, str(page), str(file)).splitlines(), "RAN")
    assert len(ran) >= sum(each.text.count("with DAG(") for each in blocks(page, "python") if not each.idle)
    return [line for line in ran if line.split()[1] != "success"]


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python") and page != BEFOREHAND], ids=name)
def test_python(page: Path, airflow: dict[str, str], cluster: LocalNeptune) -> None:
    assert failures(page, airflow, cluster) == []


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
    """Of others: Airflow, Docker, Python, uv, coverage, and the shell."""


BIN = Path(sys.executable).parent
KNOWN: dict[str, Callable[[list[str]], None]] = {
    "make": _make,
    "pip": _pip,
    "neptune-ml-check": _script(f"{BIN}/neptune-ml-check"),
    "neptune-ml-local": _script(f"{BIN}/neptune-ml-local", "serve"),
    "airflow": _any,
    "docker": _any,
    "echo": _any,
    "rm": _any,
    ".": _any,
    "python3": _any,
    ".venv/bin/uv": _any,
    ".venv/bin/coverage": _any,
    "export": _any,
}
