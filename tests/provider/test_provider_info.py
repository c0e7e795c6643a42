"""What Airflow and the provider registry are told of the package is true and complete."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module, metadata, resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from neptune_airflow.config import option
from neptune_airflow.links import CHECK_LINKS, LINKS
from neptune_airflow.provider_info import OPTIONS, SECTION, get_provider_info
from tests.provider.airflow_home import run_python
from tests.provider.worker import Run

REGISTRY = Path(__file__).parents[2] / ".airflow-registry.yaml"
NAME = "airflow-provider-neptune-ml"


def test_it_is_of_airflows_form() -> None:
    schema = json.loads(resources.files("airflow").joinpath("provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


def test_every_link_is_listed() -> None:
    kinds = {type(link) for row in (*LINKS.values(), CHECK_LINKS) for link in row}
    assert set(get_provider_info()["extra-links"]) == {f"{kind.__module__}.{kind.__name__}" for kind in kinds}


@pytest.mark.parametrize("group", ["operators", "sensors", "hooks", "triggers"])
def test_every_module_is_there(group: str) -> None:
    for entry in get_provider_info()[group]:
        for module in entry["python-modules"]:
            import_module(module)


def test_it_needs_no_airflow() -> None:
    code = "import sys, neptune_airflow.provider_info; print([m for m in sys.modules if m.split('.')[0] == 'airflow'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_airflow_shows_its_version(airflow: dict[str, str]) -> None:
    shown = json.loads(run_python(airflow, "-m", "airflow", "providers", "list", "--output", "json"))
    assert {each["package_name"]: each["version"] for each in shown}[NAME] == metadata.version(NAME)


def test_airflow_config_list_has_its_options(airflow: dict[str, str]) -> None:
    listed = run_python(airflow, "-m", "airflow", "config", "list", "--section", SECTION, "--include-descriptions")
    for name, known in OPTIONS.items():
        assert f"{name} = " in listed
        assert known["description"].split(",")[0] in listed


@pytest.mark.parametrize(
    ("name", "default", "given", "value"),
    [
        ("waiter_delay", 30.0, "7.5", 7.5),
        ("waiter_max_delay", 300.0, "900", 900.0),
        ("print_log", True, "false", False),
        ("read_reports", True, "no", None),
    ],
)
def test_options_are_read_when_they_are_needed(
    monkeypatch: pytest.MonkeyPatch, name: str, default: Any, given: str, value: Any
) -> None:
    assert option(name) == default
    monkeypatch.setenv(f"AIRFLOW__NEPTUNE_ML__{name.upper()}", given)
    if value is None:
        with pytest.raises(Exception, match="bool"):
            option(name)
    else:
        assert option(name) == value


def test_a_task_takes_what_it_was_not_given(process: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    run = process("short", deferrable=True, waiter_delay=None, waiter_max_delay="{{ none }}")
    run.task.waiter_max_delay = "None"  # type: ignore[attr-defined]  # as the template renders
    monkeypatch.setenv("AIRFLOW__NEPTUNE_ML__WAITER_DELAY", "0.07")
    monkeypatch.setenv("AIRFLOW__NEPTUNE_ML__WAITER_MAX_DELAY", "0.5")
    monkeypatch.setenv("AIRFLOW__NEPTUNE_ML__PRINT_LOG", "False")
    trigger = run.deferred().trigger
    assert (trigger.waiter_delay, trigger.waiter_max_delay, trigger.print_log) == (0.07, 0.5, False)
    said = process("short", deferrable=True, waiter_delay=0.3, print_log=True, job_id="said-so")
    trigger = said.deferred().trigger
    assert (trigger.waiter_delay, trigger.print_log) == (0.3, True)


def test_the_registry_names_what_there_is() -> None:
    told = yaml.safe_load(REGISTRY.read_text())
    assert told["package-name"] == NAME
    named = {group: {entry["module"] for entry in told[group]} for group in ("operators", "sensors", "hooks", "other")}
    for module in set().union(*named.values()):
        path, _, name = module.rpartition(".")
        assert callable(getattr(import_module(path), name))
    for group in ("operators", "sensors"):
        modules = [path for entry in get_provider_info()[group] for path in entry["python-modules"]]
        public = {
            f"{path}.{name}"
            for path in modules
            for name in (getattr(import_module(path), "__all__", None) or vars(import_module(path)))
            if name.startswith("Neptune") and name.endswith(group.rstrip("s").title()) and "Job" not in name
        }
        assert named[group] == public
