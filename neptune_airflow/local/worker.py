"""A job's own process: it reads its work order, runs the step, and leaves the outcome in a file.

The service starts it in an empty folder that holds ``order.json``, as the leader of its own process group. Standard
output and error go to the job's CloudWatch log. Standard input is a life line: the service never writes to it, and when
it ends, the service is gone, however it went, and the whole group must go too. (Linux's PR_SET_PDEATHSIG would not do:
it watches the thread that started the child, spares grandchildren, and other systems lack it.)
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from neptune_airflow.local.step import Step, StepFailed
from neptune_airflow.store import Store

ORDER = "order.json"
OUTCOME = "outcome.json"


def main() -> int:
    """Run the order in the current folder; the exit code is 0 when the step returned."""
    scratch = Path.cwd()
    threading.Thread(target=_follow_the_service, args=(scratch,), daemon=True).start()
    order = json.loads((scratch / ORDER).read_bytes())
    outcome = _outcome(order)
    unfinished = scratch / f"{OUTCOME}.part"
    unfinished.write_text(json.dumps(outcome))
    unfinished.rename(scratch / OUTCOME)
    return 0 if "result" in outcome else 1


def _outcome(order: dict[str, Any]) -> dict[str, Any]:
    try:
        store = Store(order.pop("endpoint_url"), order.pop("region"))
        run = importlib.import_module(order.pop("module")).run
        result = run(Step(**order, store=store))
        json.dumps(result)
    except StepFailed as failure:
        print(failure, flush=True)  # noqa: T201 - standard output is the job's log
        return {"reason": str(failure)}
    except BaseException as error:
        traceback.print_exc()
        return {"reason": traceback.format_exception_only(error)[-1].strip()}
    return {"result": result}


def _follow_the_service(scratch: Path) -> None:
    """Wait for the end of standard input, read raw: a buffered reader's lock would abort the interpreter's exit."""
    while os.read(0, 1):
        pass
    shutil.rmtree(scratch, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
