"""What a run looks like while it goes on: a live table where a terminal is attached, one line a change elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from demo.follow import Snapshot

PLAIN_WIDTH = 180
COLOURS = {
    "success": "green",
    "completed": "green",
    "failed": "red",
    "upstream_failed": "red",
    "stopped": "red",
    "running": "yellow",
    "deferred": "magenta",
}
DONE = ("success", "failed", "upstream_failed", "skipped", "removed")


class Display(Protocol):
    """Shows a run; a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def say(self, line: str) -> None:
        """Show a line of news."""

    def show(self, snapshot: Snapshot) -> None:
        """Show the run as it is now."""


def make_console() -> Console:
    """Give a console; where no terminal is attached, lines may be long."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


def make_display(console: Console) -> Display:
    """Give the display that suits the console."""
    return LiveDisplay(console) if console.is_terminal else PlainDisplay(console)


class PlainDisplay:
    """One line a change: wall clock, seconds since the start, what changed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._shown: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def say(self, line: str) -> None:
        """Show a line of news."""
        stamp = f"{time.strftime('%H:%M:%S')} {time.monotonic() - self._began:6.1f} s"
        self._console.print(f"{stamp}  {line}", markup=False, soft_wrap=True)

    def show(self, snapshot: Snapshot) -> None:
        """Show what changed since the last snapshot."""
        states = {f"task {task.id}": task.state for task in snapshot.tasks}
        states |= {f"{job.kind} job {job.id}": job.status for job in snapshot.jobs}
        for subject, state in states.items():
            if self._shown.get(subject) != state:
                self.say(f"{subject}: {state}")
        self._shown = states


class LiveDisplay:
    """A bar of the tasks that are done, a table of tasks and a table of jobs, all redrawn in place."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._console = console
        self._progress = Progress(*columns, console=console)
        self._bar = self._progress.add_task("tasks done", total=None)
        self._live = Live(self._progress, console=console, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def say(self, line: str) -> None:
        """Show a line of news above the table."""
        self._console.print(line, markup=False)

    def show(self, snapshot: Snapshot) -> None:
        """Redraw the tables and the bar."""
        done = sum(task.state in DONE for task in snapshot.tasks)
        self._progress.update(self._bar, total=len(snapshot.tasks), completed=done)
        tables = [_table("task", [(task.id, task.state) for task in snapshot.tasks])]
        if snapshot.jobs:
            tables.append(_table("job", [(f"{job.kind} {job.id}", job.status) for job in snapshot.jobs]))
        self._live.update(Group(*tables, self._progress))


def coloured(state: str) -> Text:
    """Give a state in its colour."""
    return Text(state, style=COLOURS.get(state, ""))


def _table(subject: str, rows: list[tuple[str, str]]) -> Table:
    table = Table(box=None, padding=(0, 2))
    table.add_column(subject)
    table.add_column("state", min_width=10)
    for name, state in rows:
        table.add_row(Text(name), coloured(state))
    return table
