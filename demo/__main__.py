"""``python -m demo run``, ``cluster``, ``stop``: what ``make demo``, ``make cluster``, ``make demo-stop`` call."""

from __future__ import annotations

import argparse
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

import httpx
from rich.console import Console

from demo import report
from demo.airflow_2 import Airflow2
from demo.cluster import Cluster, default_home
from demo.follow import Run
from demo.processes import DemoError, interrupted_by_signals, running, stop
from demo.show import Display, make_console, make_display
from demo.stack import USER, Stack

PROJECT = Path(__file__).parent.parent
RUN_SECONDS = 600.0
INTERRUPTED = 130


def main() -> int:
    """Run a command; the exit code is 0 only if the DAG run succeeded, or everything has stopped."""
    arguments = _parser().parse_args()
    interrupted_by_signals()
    console = make_console()
    try:
        return COMMANDS[arguments.command](arguments, console)
    except (DemoError, httpx.HTTPError) as error:
        console.print(f"The demo failed: {error}", markup=False, soft_wrap=True, style="red")
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted; everything has been stopped.")
        return INTERRUPTED


def _run(arguments: argparse.Namespace, console: Console) -> int:
    display = make_display(console)
    kind = Airflow2 if version("apache-airflow").startswith("2.") else Stack
    with kind(arguments.home, arguments.dags, display.say) as stack:
        code = _play(stack, arguments.dag, console, display)
        _leave(stack, arguments, console)
    return code


def _cluster(arguments: argparse.Namespace, console: Console) -> int:
    display = make_display(console)
    with Cluster(default_home(), arguments.dags, display.say) as cluster:
        code = _play(cluster, arguments.dag, console, display)
        report.show_workers(console, cluster.workers())
        _leave(cluster, arguments, console)
    return code


def _play(stack: Stack, dag_id: str, console: Console, display: Display) -> int:
    run = Run(stack, dag_id)
    display.say(f"triggered {run.dag_id}, run {run.run_id}")
    return demonstrate(run, console, display)


def _leave(stack: Stack, arguments: argparse.Namespace, console: Console) -> None:
    if not arguments.keep:
        return
    stack.api.pause(arguments.dag)  # or a run by its schedule would follow at once
    stack.follow_schedules()
    stack.keep()
    _tell_how_to_use(console, stack)


def demonstrate(run: Run, console: Console, display: Display) -> int:
    """Show a run as it goes on, and print what came of it.

    :return: 0 only if the run succeeded.
    """
    with display:
        for snapshot in run.snapshots(RUN_SECONDS):
            display.show(snapshot)
    report.show(console, run)
    return 0 if snapshot.run_state == "success" else 1


def _tell_how_to_use(console: Console, stack: Stack) -> None:
    lines = {
        "Airflow": stack.ui,
        "login": f"{USER} / {stack.password}",
        "service": f"{stack.service} (AWS_ENDPOINT_URL for any AWS SDK)",
        "logs": str(stack.home),
        "stop": "make demo-stop",
    }
    console.print("\nEverything is left running:")
    for name, value in lines.items():
        console.print(f"  {name:<8} {value}", markup=False, soft_wrap=True)


def _stop(arguments: argparse.Namespace, console: Console) -> int:
    found = 0
    for home in (arguments.home, default_home()):
        found += len(running(home))
        if left := stop(home):
            raise DemoError(f"these processes do not end: {left}")
    shutil.rmtree(default_home(), ignore_errors=True)
    console.print(f"{found} processes stopped." if found else "No demo is running.")
    return 0


COMMANDS = {"run": _run, "cluster": _cluster, "stop": _stop}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="demo", description="A DAG in a real Airflow on the local Neptune ML service."
    )
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--dag", default="neptune_ml_pipeline", help="the DAG to run (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="leave everything running")
    parser.add_argument("--home", type=_folder, default=PROJECT / ".demo", help="folder of run (default: .demo)")
    parser.add_argument("--dags", type=_folder, default=PROJECT / "dags", help="folder of DAG files (default: dags)")
    return parser


def _folder(text: str) -> Path:
    return Path(text).resolve()


if __name__ == "__main__":
    sys.exit(main())
