"""A step that does as it is told, by the request's ``configFileName``.

An endpoint so made answers an invocation with the payload and the locations that it was given.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

from neptune_airflow.local.step import Model, Step, StepFailed
from neptune_airflow.store import join


def nothing(step: Step) -> dict[str, Any]:
    return {"inputs": step.inputs}


def write(step: Step) -> dict[str, Any]:
    step.log(f"writing to {step.output_location}")
    step.store.write(join(step.output_location, "written.txt"), step.job_id.encode())
    return nothing(step)


def short(step: Step) -> dict[str, Any]:
    """Take long enough for a wait to begin."""
    time.sleep(0.3)
    return write(step)


def wait(step: Step) -> dict[str, Any]:
    step.log("waiting")
    threading.Event().wait()
    return {}


def write_and_wait(step: Step) -> dict[str, Any]:
    write(step)
    return wait(step)


def have_child(step: Step) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    step.log(f"grandchild {child.pid}")


def wait_with_child(step: Step) -> dict[str, Any]:
    """Wait beside a grandchild whose standard output is the job's."""
    have_child(step)
    return wait(step)


def wait_deaf(step: Step) -> dict[str, Any]:
    """Do so, and be deaf to SIGTERM, as the grandchild is then too."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return wait_with_child(step)


def die(step: Step) -> dict[str, Any]:
    """Die as the kernel's memory killer would have it, leaving a grandchild behind."""
    have_child(step)
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def leave(step: Step) -> dict[str, Any]:
    os._exit(3)


def break_down(step: Step) -> dict[str, Any]:
    raise KeyError("no such column")


def fail(step: Step) -> dict[str, Any]:
    raise StepFailed("nodes/person.csv: line 3: no value for 'age' and no imputer")


def no_json(step: Step) -> dict[str, Any]:
    return {"what": object()}


def talk(step: Step) -> dict[str, Any]:
    """Say something, and once it was heard something more: a lot, and no newline at the end."""
    step.log("first")
    while "heard" not in step.store.list(step.output_location):
        time.sleep(0.05)
    sys.stdout.write("x" * 300_000 + "\n" * 20_000 + "last ü")
    return {}


ACTIONS = {
    action.__name__: action
    for action in (
        nothing,
        short,
        write,
        wait,
        write_and_wait,
        wait_with_child,
        wait_deaf,
        die,
        leave,
        break_down,
        fail,
        no_json,
        talk,
    )
}


def run(step: Step) -> dict[str, Any]:
    return ACTIONS[step.request.get("configFileName", "nothing")](step)


def load(step: Step) -> Model:
    run(step)
    return lambda payload: {"payload": payload, "inputs": step.inputs}
