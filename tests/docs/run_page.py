"""Run a page's Python: what it defines, then the DAGs that it made. ``python run_page.py PAGE DAG_FILE``.

The blocks of a page are one program, written to a file of its own as a user would. What a block defines outside a DAG
belongs to a DAG that is made for the block.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from tests.docs.pages import blocks

IDLE = "idle"
_BLOCK = """
_of_block = DAG("block-{line}-of-{name}", schedule=None, start_date=pendulum.datetime(2026, 1, 1), tags={tags})
_of_block.__enter__()
{text}
_of_block.__exit__(None, None, None)
"""


def program(page: Path) -> str:
    """Give a page's blocks as one program."""
    made = [
        _BLOCK.format(name=page.stem, line=each.line, text=each.text, tags=[IDLE] if each.idle else [])
        for each in blocks(page, "python")
    ]
    return "".join(["import pendulum\nfrom airflow.sdk import DAG\n", *made])


def define(dag_file: Path) -> list[DAG]:
    """Run a file, and give the DAGs in which it made something that is to be run."""
    entered: list[DAG] = []
    enter = DAG.__enter__

    def entering(dag: DAG) -> DAG:
        entered.append(dag)
        return enter(dag)

    DAG.__enter__ = entering
    runpy.run_path(str(dag_file))
    DAG.__enter__ = enter
    running, idle = {}, False
    for dag in entered:
        of_block = dag.dag_id.startswith("block-")
        idle = IDLE in dag.tags if of_block else idle
        if dag.tasks and not idle:
            running[dag.dag_id] = dag
    return list(running.values())


def run(dag: Any) -> None:
    """Run a DAG with sensors that are in a hurry; a poke, a whole run of the task, costs more than waiting."""
    for task in dag.tasks:
        if hasattr(task, "poke_interval"):
            task.poke_interval = 2
    result = dag.test()
    states = {ti.task_id: str(ti.state) for ti in result.get_task_instances()}
    print("RAN", dag.dag_id, result.state, states)


if __name__ == "__main__":
    file = Path(sys.argv[2])
    file.write_text(program(Path(sys.argv[1])))
    for each in define(file):
        run(each)
