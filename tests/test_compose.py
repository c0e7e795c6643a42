"""The compose file: valid by the Compose schema, closed to the network, and of the same versions as the rest."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
COMPOSE = ROOT / "docker-compose.yaml"
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?P<default>:[-?][^}]*)?\}")
SECRET = re.compile(r"PASSWORD|SECRET|KEY|AUTH$")
STARTED = ("airflow-apiserver", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer", "airflow-worker")
#: What runs once and ends.
ONCE = ("airflow-init", "neptune-ml-cluster")
BY_PROFILE = {"neptune-ml-local": ["local"], "neptune-ml-cluster": ["neptune"]}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text())


def validate(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True)


def settings(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_it_fits_the_compose_schema() -> None:
    checked = validate(COMPOSE)

    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("user: redis", "usr: redis"),
        ("condition: service_healthy", "condition: service_healty"),
        ("restart: always", "restart: [always]"),
    ],
)
def test_the_schema_finds_a_slip(tmp_path: Path, right: str, wrong: str) -> None:
    broken = tmp_path / "docker-compose.yaml"
    broken.write_text(COMPOSE.read_text().replace(right, wrong, 1))

    checked = validate(broken)

    assert checked.returncode == 1
    assert wrong.partition(":")[0] in checked.stdout


def test_it_has_the_parts_of_airflow_and_the_local_service(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {*STARTED, *ONCE, "postgres", "redis", "neptune-ml-local"}
    assert compose["services"]["airflow-worker"]["deploy"]["replicas"] == 2


def test_every_service_that_stays_up_says_how_it_is(compose: dict[str, Any]) -> None:
    staying = {name: service for name, service in compose["services"].items() if name not in ONCE}

    assert all(service["healthcheck"]["test"] for service in staying.values())
    assert all(service["restart"] == "always" for service in staying.values())


def test_each_dependency_exists_and_can_be_met(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for service in services.values():
        for name, dependency in service.get("depends_on", {}).items():
            if dependency["condition"] == "service_healthy":
                assert "healthcheck" in services[name]
            else:
                assert dependency["condition"] == "service_completed_successfully"
                assert "restart" not in services[name]


def test_airflow_waits_for_its_database_its_migration_and_the_local_service(compose: dict[str, Any]) -> None:
    needed = {"postgres", "redis", "airflow-init"}
    for name in STARTED:
        waits = compose["services"][name]["depends_on"]
        assert {other for other, how in waits.items() if how.get("required", True)} - {"airflow-apiserver"} == needed
        assert {other for other, how in waits.items() if not how.get("required", True)} == set(BY_PROFILE)


def test_only_what_a_profile_may_leave_out_is_not_required(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            assert how.get("required", True) == (other not in BY_PROFILE), (name, other)
    assert {name: services[name].get("profiles") for name in services if services[name].get("profiles")} == BY_PROFILE


def test_ports_are_open_on_this_machine_alone(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]

    assert len(ports) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_each_variable_is_explained_in_the_example(compose: dict[str, Any]) -> None:
    used = {found[1] for found in VARIABLE.finditer(yaml.dump(compose))}

    example = settings((ROOT / ".env.example").read_text())

    # Compose itself reads this one.
    profile = example.pop("COMPOSE_PROFILES")

    assert used == set(example)
    assert [profile] in BY_PROFILE.values()


def test_no_secret_has_a_default(compose: dict[str, Any]) -> None:
    secrets = [found for found in VARIABLE.finditer(yaml.dump(compose)) if SECRET.search(found[1])]
    example = settings((ROOT / ".env.example").read_text())

    assert {found[1] for found in secrets} == {name for name in example if SECRET.search(name)}
    assert all((found["default"] or "").startswith(":?") for found in secrets)
    assert all(not example[found[1]] for found in secrets)


def test_no_password_is_written_down(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            if SECRET.search(name):
                assert VARIABLE.fullmatch(value), name


def test_the_image_is_the_pinned_airflow() -> None:
    image = re.search(r"^FROM apache/airflow:slim-([\d.]+)-python3", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    pinned = re.search(r"^apache-airflow==([\d.]+)$", (ROOT / "constraints/airflow-3.3.txt").read_text(), re.MULTILINE)

    assert image
    assert pinned
    assert image[1] == pinned[1]


def test_the_image_has_what_is_pinned_and_does_not_run_as_root() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    pins = (ROOT / "constraints/airflow-3.3.txt").read_text()
    asked = re.findall(r"/opt/airflow/provider\[(\w+)\]|pyproject\.toml:(\w+)", dockerfile)
    wanted = [
        *project["project"]["dependencies"],
        *(wish for extra, _ in asked if extra for wish in project["project"]["optional-dependencies"][extra]),
        *(wish for _, group in asked if group for wish in project["dependency-groups"][group]),
    ]

    assert sorted(asked) == [("", "cluster"), ("local", "")]
    assert "--constraint /opt/airflow/provider/constraints/airflow-3.3.txt" in dockerfile
    for wish in wanted:
        assert f"\n{re.split(r'[^a-z0-9-]', wish)[0]}==" in pins, wish
    assert re.findall(r"^USER (.*)$", dockerfile, re.MULTILINE) == ["airflow"]


def test_a_worker_that_is_told_to_stop_may_end_its_tasks(compose: dict[str, Any]) -> None:
    worker = compose["services"]["airflow-worker"]

    assert worker["environment"]["DUMB_INIT_SETSID"] == "0"
    assert worker["stop_grace_period"] == "2m"
    assert set(worker["environment"]) > set(compose["x-airflow-common"]["environment"])


def test_the_image_copies_what_is_there_and_not_kept_out() -> None:
    copied = [
        source
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY")
        for source in line.split()[2:-1]
    ]
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}

    assert copied
    assert set(copied) == let_in
    assert all((ROOT / source).exists() for source in copied)


def test_what_is_mounted_is_there(compose: dict[str, Any]) -> None:
    mounts = [volume for service in compose["services"].values() for volume in service.get("volumes", [])]
    folders = {mount.split(":")[0] for mount in mounts if mount.startswith(".")}
    volumes = {mount.split(":")[0] for mount in mounts if not mount.startswith(".")}

    assert all((ROOT / folder).is_dir() for folder in folders)
    assert volumes == set(compose["volumes"])
