"""What every part of Airflow loads of the plugin, and what becomes of the page where it cannot be made."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points
from typing import Any

from neptune_airflow.plugin import NeptuneMLPlugin


def in_a_fresh_process(code: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_airflow_finds_it() -> None:
    (entry,) = (each for each in entry_points(group="airflow.plugins") if each.value.startswith("neptune_airflow"))
    assert entry.load() is NeptuneMLPlugin


def test_loading_it_loads_nothing_else() -> None:
    """It is measured in `benchmarks/page.py`; here, what there is to load."""
    told = in_a_fresh_process(
        "import sys, json, airflow.sdk.plugins_manager\n"
        "before = set(sys.modules)\n"
        "from neptune_airflow.plugin import NeptuneMLPlugin\n"
        "NeptuneMLPlugin().on_load()\n"
        "print(json.dumps({'new': sorted(set(sys.modules) - before)}))"
    )
    few = {"neptune_airflow", "neptune_airflow.compat", "neptune_airflow.plugin"}
    assert {"neptune_airflow.plugin"} <= set(told["new"]) <= few


def test_a_page_that_cannot_be_made_is_no_page() -> None:
    told = in_a_fresh_process(
        "import sys, json\n"
        "sys.modules['airflow.api_fastapi.core_api.security'] = None\n"
        "from neptune_airflow.plugin import NeptuneMLPlugin\n"
        "plugin = NeptuneMLPlugin()\n"
        "print(json.dumps({'apps': plugin.fastapi_apps, 'views': plugin.external_views}))"
    )
    assert told == {"apps": [], "views": []}
