"""A home of Airflow's for the whole run, before anything imports Airflow; and the local services that tests talk to."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from moto.server import ThreadedMotoServer

_HOME = tempfile.TemporaryDirectory(prefix="neptune-airflow-")
os.environ["AIRFLOW_HOME"] = _HOME.name
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
for _name in [name for name in os.environ if name.startswith(("AWS_", "AIRFLOW_CONN_"))]:
    del os.environ[_name]

# A gate says the same of the same code; who works on it looks further each time.
settings.register_profile("gate", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("gate")

from neptune_airflow.local.server import LocalNeptune  # noqa: E402
from neptune_airflow.local.settings import STEPS, Settings  # noqa: E402


@pytest.fixture(scope="session")
def service() -> Iterator[LocalNeptune]:
    """A running service whose jobs are the real ones."""
    with LocalNeptune() as running:
        yield running


@pytest.fixture(scope="session")
def play() -> Iterator[LocalNeptune]:
    """A running service whose jobs are those of ``play_step``."""
    with pytest.MonkeyPatch.context() as patch:
        here = str(Path(__file__).parent / "local")
        # Jobs are processes of their own; an endpoint's model is loaded in this one.
        patch.syspath_prepend(here)
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")])))
        settings = Settings(steps=dict.fromkeys(STEPS, "play_step"), grace=0.3, parallel_jobs=4, custom_models=True)
        with LocalNeptune(settings) as running:
            yield running


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an AWS that is moto alone, with credentials for it in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield "http://{}:{}".format(*server.get_host_and_port())
    finally:
        server.stop()


@pytest.fixture(autouse=True)
def _good_behaviour(request: pytest.FixtureRequest) -> Iterator[None]:
    """Take back the faults that a test asked for."""
    yield
    for name in {"service", "play"} & set(request.fixturenames):
        request.getfixturevalue(name).clear_faults()
