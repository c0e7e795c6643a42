"""The compose file run without Docker: the right containers in the right order, at addresses of this machine."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from collections import defaultdict
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from demo.backends import DATABASE
from demo.compose import COMPLETED, HEALTHY, Container, containers, here, interpolated
from demo.processes import DemoError
from demo.settings import filled, values
from demo.stack import connection, free_port
from neptune_airflow.local.server import LocalNeptune

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docker-compose.yaml").read_text()
EXAMPLE = (ROOT / ".env.example").read_text()
SERVICES = list(yaml.safe_load(TEXT)["services"])
AIRFLOW = {"airflow-init", "airflow-apiserver", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"}
WORKERS = {"airflow-worker-1", "airflow-worker-2"}


class Ports(defaultdict[str, str]):
    """Ports that can be told from those of containers."""

    def __init__(self) -> None:
        numbers = count(50_001)
        super().__init__(lambda: str(next(numbers)))


def read(ports: Ports | None = None, **variables: str) -> dict[str, Container]:
    ports = Ports() if ports is None else ports
    known = values(filled(here(EXAMPLE, SERVICES, ports))) | variables
    return {container.name: container for container in containers(here(TEXT, SERVICES, ports), known)}


def test_a_profile_says_which_containers_there_are() -> None:
    always = {"postgres", "redis", *AIRFLOW, *WORKERS}

    assert set(read()) == always | {"neptune-ml-local"}
    assert set(read(COMPOSE_PROFILES="neptune")) == always | {"neptune-ml-cluster"}


@pytest.mark.parametrize(("profile", "beside"), [("local", "neptune-ml-local"), ("neptune", "neptune-ml-cluster")])
def test_each_comes_after_what_it_waits_for(profile: str, beside: str) -> None:
    found = read(COMPOSE_PROFILES=profile)

    names = list(found)
    for place, container in enumerate(found.values()):
        assert set(container.waits) <= set(names[:place])
    assert found["airflow-worker-2"].waits == {
        "postgres": HEALTHY,
        "redis": HEALTHY,
        "airflow-init": COMPLETED,
        "airflow-apiserver": HEALTHY,
        beside: HEALTHY if profile == "local" else COMPLETED,
    }


def test_a_service_that_is_wanted_but_not_there_is_not_passed_over() -> None:
    with pytest.raises(KeyError, match="b"):
        containers("services: {a: {depends_on: {b: {condition: service_healthy}}}}", {})


def test_every_address_is_one_of_this_machine() -> None:
    ports = Ports()

    for container in read(ports).values():
        for text in (*container.command, *container.environment.values(), *container.check):
            for url in re.findall(r"\b[\w+]+://[^\s\"']+", text):
                assert urlsplit(url).hostname == "127.0.0.1", text
                assert str(urlsplit(url).port) in ports.values(), text
            assert not re.search(r"0\.0\.0\.0|localhost|(?<!\d)(?:5432|6379|8080|8182|8974)(?!\d)", text), text
    assert set(ports) == {"5432", "6379", "8080", "8182", "8974"}


def test_programs_and_arguments_stay() -> None:
    ports = Ports()

    found = read(ports)

    assert found["airflow-scheduler"].command == ["airflow", "scheduler", "--skip-serve-logs"]
    assert found["airflow-init"].command[:2] == ["bash", "-c"]
    assert '--password "$AIRFLOW_ADMIN_PASSWORD"' in found["airflow-init"].command[2]
    assert found["neptune-ml-local"].command == [
        "neptune-ml-local",
        "serve",
        "--host=127.0.0.1",
        f"--port={ports['8182']}",
        f"--public-url=http://127.0.0.1:{ports['8182']}",
    ]
    assert found["redis"].check == ["redis-cli", "-e", "-h", "127.0.0.1", "-p", ports["6379"], "ping"]
    assert found["airflow-triggerer"].check[:2] == ["sh", "-c"]
    assert found["airflow-triggerer"].check[2].endswith('--hostname "${HOSTNAME}"')


def test_a_secret_that_looks_like_an_address_stays_as_it_is() -> None:
    ports = Ports()

    environment = read(ports, POSTGRES_PASSWORD="redis-8080", REDIS_PASSWORD="postgres-5432")[
        "airflow-worker-1"
    ].environment

    for name, scheme, user, password, port in (
        ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql+psycopg2", DATABASE, "redis-8080", "5432"),
        ("AIRFLOW__CELERY__RESULT_BACKEND", "db+postgresql+psycopg2", DATABASE, "redis-8080", "5432"),
        ("AIRFLOW__CELERY__BROKER_URL", "redis", "", "postgres-5432", "6379"),
    ):
        url = urlsplit(environment[name])
        assert (url.scheme, url.username, url.password) == (scheme, user, password)
        assert (url.hostname, url.port) == ("127.0.0.1", int(ports[port]))


def test_the_database_is_the_one_that_is_made_here() -> None:
    environment = read()["postgres"].environment

    assert (environment["POSTGRES_USER"], environment["POSTGRES_DB"]) == (DATABASE, DATABASE)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("a ${SET}, ${UNSET} and ${EMPTY}", "a 1,  and "),
        ("${SET:-word} ${UNSET:-word} ${EMPTY:-word}", "1 word word"),
        ("${SET:?said}", "1"),
        ("$${SET} and $$SET cost 1$", "${SET} and $SET cost 1$"),
        ({"a": ["${SET}", {"b": "${SET}"}], "c": True, "d": 2}, {"a": ["1", {"b": "1"}], "c": True, "d": 2}),
    ],
)
def test_variables_are_filled_in_as_compose_does(written: Any, meant: Any) -> None:
    assert interpolated(written, {"SET": "1", "EMPTY": ""}) == meant


def test_no_secret_is_made_up_where_one_misses() -> None:
    for variables in ({}, {"SECRET": ""}):
        with pytest.raises(DemoError, match=r"^SECRET: set it$"):
            interpolated("${SECRET:?set it}", variables)


def test_settings_get_fresh_secrets_without_any_package() -> None:
    made = [
        values(
            subprocess.run(
                [sys.executable, "-S", "-m", "demo.settings"], cwd=ROOT, capture_output=True, text=True, check=True
            ).stdout
        )
        for _ in range(2)
    ]

    example = values(EXAMPLE)
    assert set(made[0]) == set(made[1]) == set(example)
    for name, value in example.items():
        if value:
            assert made[0][name] == made[1][name] == value
        else:
            assert made[0][name] != made[1][name]
            assert re.fullmatch(r"[\w-]{43}=?", made[0][name])
    assert len(base64.urlsafe_b64decode(made[0]["FERNET_KEY"])) == 32


def ask_the_cluster(home: Path, aws: str) -> subprocess.CompletedProcess[str]:
    """Run what the profile ``neptune`` runs before Airflow starts."""
    container = read(COMPOSE_PROFILES="neptune", AIRFLOW_CONN_AWS_DEFAULT=aws)["neptune-ml-cluster"]
    environment = {**os.environ, "AIRFLOW_HOME": str(home), **container.environment}
    program, *arguments = container.command
    assert program == "python"
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=120)


def test_a_cluster_is_asked_whether_it_answers(tmp_path: Path) -> None:
    with LocalNeptune() as cluster:
        asked = ask_the_cluster(tmp_path, connection(cluster.endpoint_url))

    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.splitlines()[-1] == "Neptune ML answers; its newest jobs: []"


def test_a_cluster_out_of_reach_is_told_of(tmp_path: Path) -> None:
    asked = ask_the_cluster(tmp_path, connection(f"http://127.0.0.1:{free_port()}"))

    assert asked.returncode == 1
    assert "Could not connect to the endpoint URL" in asked.stderr
    assert "may reach port 8182" in asked.stderr


def compose(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["docker", "compose", *arguments]
    try:
        # Without this shell's own settings, which are stronger than a file's.
        clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, check=False, timeout=60)
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127)


@pytest.mark.skipif(compose("version").returncode != 0, reason="docker compose is not here")
@pytest.mark.parametrize("profile", ["local", "neptune"])
def test_compose_itself_reads_the_file(tmp_path: Path, profile: str) -> None:
    settings, empty = tmp_path / "settings", tmp_path / "empty"
    empty.touch()
    settings.write_text(filled(EXAMPLE).replace("COMPOSE_PROFILES=local", f"COMPOSE_PROFILES={profile}"))

    read_with = compose("--env-file", str(settings), "config", "--services")
    read_without = compose("--env-file", str(empty), "config", "--quiet")

    assert read_with.returncode == 0, read_with.stderr
    assert set(read_with.stdout.split()) == {each.service for each in read(COMPOSE_PROFILES=profile).values()}
    assert read_without.returncode != 0
