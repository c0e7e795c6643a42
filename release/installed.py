"""What an installed wheel does for its user: Airflow knows it, it loads fast, it is typed, and a DAG runs.

Each check uses the environment in which the wheel is, from a folder that has no `neptune_airflow`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from release.files import NAME, PROJECT, version

#: Percent of the CPU time of Airflow's own import that a DAG file may take to import every operator and sensor:
#: a share, so that a slow machine is no failure.
IMPORT_PERCENT = 1.5
IMPORT_RUNS = 5
MODULES = (
    "operators.neptune_ml",
    "operators.neptune_ml_endpoint",
    "operators.neptune_export",
    "operators.neptune_ml_check",
    "sensors.neptune_ml",
)
IMPORTING = f"""
import gc, time
from neptune_airflow.compat import DAG, BaseOperator, BaseSensorOperator
airflow = time.process_time()
gc.collect()  # or a full one, which takes longer than the imports, may fall among them
begin = time.process_time()
import {", ".join(f"neptune_airflow.{name}" for name in MODULES)}
print(100 * (time.process_time() - begin) / airflow)
"""
ENTRY_POINTS = """
import json
from importlib.metadata import distribution
points = distribution("{name}").entry_points
print(json.dumps({{point.group: repr(point.load()) for point in points if point.group != "console_scripts"}}))
"""
USER = PROJECT / "release/users/dag_file.py"
# The user's own settings must not matter.
FOREIGN = ("AIRFLOW", "AWS_", "PYTHON", "MYPY")


class ReleaseError(Exception):
    """The wheel is not fit for a release; the text says why."""


class Installed:
    """An environment that has the wheel; a context manager that removes what its checks have written.

    :param environment: the folder of the virtual environment.
    """

    def __init__(self, environment: Path) -> None:
        self.bin = environment.resolve() / "bin"
        self._folder = tempfile.TemporaryDirectory(prefix="release-")
        self.home = Path(self._folder.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    def run(self, program: Path | str, *arguments: str, within: int = 300) -> str:
        """Run a program of the environment, or one by its path, and give what it prints.

        :raises ReleaseError: when it fails.
        """
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        done = subprocess.run(
            [str(self.bin / program), *arguments],
            cwd=self.home,
            env={**kept, "AIRFLOW_HOME": str(self.home / "airflow"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within,
        )
        if done.returncode:
            raise ReleaseError(f"{' '.join([str(program), *arguments])} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def python(self, code: str) -> str:
        """Run Python code, and give the last line that it prints."""
        return self.run("python", "-c", code).splitlines()[-1]


def comes_from_the_wheel(installed: Installed) -> str:
    """What is imported is what was installed, of this version."""
    where, what = json.loads(
        installed.python("import json, neptune_airflow as n; print(json.dumps([n.__file__, n.__version__]))")
    )
    if not Path(where).is_relative_to(installed.bin.parent) or what != version():
        raise ReleaseError(f"imported is version {what} in {where}, and not the wheel of version {version()}")
    return f"installed in {Path(where).parent}"


def airflow_lists_it(installed: Installed) -> str:
    """``airflow providers list`` has it."""
    told = installed.run("airflow", "providers", "list", "--output", "json").splitlines()
    listed = json.loads(told[-1])  # Airflow 3.0 logs before it
    versions = {each["package_name"]: each["version"] for each in listed}
    if versions.get(NAME) != version():
        raise ReleaseError(f"airflow providers list has {NAME} {versions.get(NAME)}")
    return f"Airflow {installed.run('airflow', 'version').split()[-1]} lists {NAME} {versions[NAME]}"


def entry_points_load(installed: Installed) -> str:
    """Each entry point leads to something, and both commands say what they are for."""
    loaded = json.loads(installed.python(ENTRY_POINTS.format(name=NAME)))
    if set(loaded) != {"apache_airflow_provider", "airflow.plugins"}:
        raise ReleaseError(f"the entry points are {sorted(loaded)}")
    for command in ("neptune-ml-check", "neptune-ml-local"):
        installed.run(command, "--help")
    return f"entry points load: {', '.join(loaded)}, neptune-ml-check, neptune-ml-local"


def imports_fast(installed: Installed) -> str:
    """A DAG file that imports all operators and sensors pays little for them."""
    # What others do on the machine only adds to it.
    taken = min(float(installed.python(IMPORTING)) for _ in range(IMPORT_RUNS))
    if taken > IMPORT_PERCENT:
        raise ReleaseError(f"the operators take {taken:.1f}% of Airflow's own import, and may take {IMPORT_PERCENT}%")
    return f"all operators and sensors: imported in {taken:.1f}% of the time that Airflow takes itself"


def is_typed(installed: Installed) -> str:
    """A user's DAG file passes ``mypy --strict``, and a slip in it is found."""
    file = str(shutil.copy(USER, installed.home))  # beside the checkout, mypy would look at that
    mypy = Path(sys.executable).parent / "mypy"
    where = ["--config-file=", "--cache-dir", str(installed.home / "mypy")]
    said = installed.run(mypy, "--strict", *where, "--python-executable", str(installed.bin / "python"), file)
    return f"mypy --strict of a user's DAG file: {said.strip()}"


def dag_runs(installed: Installed) -> str:
    """``make demo``'s DAG runs in a real Airflow of the environment, on its local service."""
    for folder in ("demo", "dags"):
        (installed.home / folder).symlink_to(PROJECT / folder)
    installed.run("python", "-m", "demo", "run", within=900)
    return "the DAG neptune_ml_pipeline has run in it"


#: What holds without any extra, and what with all of them.
BARE: tuple[Callable[[Installed], str], ...] = (
    comes_from_the_wheel,
    airflow_lists_it,
    entry_points_load,
    imports_fast,
    is_typed,
)
EXTRAS: tuple[Callable[[Installed], str], ...] = (comes_from_the_wheel, dag_runs)
