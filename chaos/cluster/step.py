"""The work of a job that ends when it is told to, and as it is told to: its gate is a file, named by the request."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from neptune_airflow.local.step import Step, StepFailed

#: The environment variable with the folder of the gates.
GATES = "NEPTUNE_ML_CHAOS_GATES"
LOOK_SECONDS = 0.25


def run(step: Step) -> dict[str, Any]:
    """Wait for the gate; what is written on it is the reason of the job's failure, nothing its success."""
    gate = Path(os.environ[GATES]) / step.request["configFileName"]
    while not gate.exists():
        time.sleep(LOOK_SECONDS)
    if reason := gate.read_text():
        raise StepFailed(reason)
    return {}
