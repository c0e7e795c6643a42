"""Processes that stop when they are told to, and those that they started with them.

Every process of a demo has the demo's folder as `MARK` in its environment, whoever started it and however deep. That is
how they are found again, also by a later ``make demo-stop``: a process id alone may long be another's.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psutil

MARK = "NEPTUNE_ML_DEMO"
TERM_SECONDS = 8.0
KILL_SECONDS = 5.0
LOG_TAIL = 25
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class DemoError(Exception):
    """The demo cannot go on; its text says why, with the log that tells more."""


@dataclass
class Part:
    """One long-running program of the demo, in a session of its own so that a Ctrl-C in the terminal passes it by.

    :param name: how it is called in messages; its log is ``<name>.log``.
    :param process: the running program.
    :param log: where its output goes.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(cls, name: str, command: Sequence[str], home: Path, environment: Mapping[str, str]) -> Part:
        """Start a program of this virtual environment in ``home``, with its output in a log there."""
        log = home / f"{name}.log"
        with log.open("ab") as sink:
            process = subprocess.Popen(
                [str(Path(sys.executable).parent / command[0]), *command[1:]],
                cwd=home,
                env={**environment, MARK: str(home)},
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(name, process, log)

    def check(self) -> None:
        """Make sure that it still runs.

        :raises DemoError: when it does not, with the end of its log.
        """
        code = self.process.poll()
        if code is not None:
            raise DemoError(f"{self.name} ended with exit code {code}. The end of {self.log}:\n{tail(self.log)}")

    def kill(self, *, alone: bool = False) -> None:
        """Kill it at once, and all that it has started, unless it is to die alone."""
        if alone:
            self.process.kill()
        else:
            kill_tree(self.process.pid)
        self.process.wait()

    def finish(self, timeout: float) -> None:
        """Wait for a program that does its work and ends.

        :param timeout: seconds.
        :raises DemoError: when it fails or takes too long.
        """
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise DemoError(f"{self.name} is not done after {timeout:.0f} s:\n{tail(self.log)}") from None
        if code:
            self.check()


def tail(log: Path, lines: int = LOG_TAIL) -> str:
    """Give the last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def kill_tree(pid: int) -> None:
    """Kill a process, and then all that it has started: no parent learns of its child's death."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    _signal(family, signal.SIGKILL)


def running(home: Path) -> list[psutil.Process]:
    """Give every process that belongs to the demo in ``home``."""
    return [process for process in psutil.process_iter() if process.pid != os.getpid() and _belongs(process, home)]


def stop(home: Path) -> list[int]:
    """End every process of the demo in ``home``: politely, then not.

    :return: the process ids that survived even that; empty unless something is very wrong.
    """
    with undisturbed():
        _signal(running(home), signal.SIGTERM)
        if _gone(home, TERM_SECONDS):
            return []
        _signal(running(home), signal.SIGKILL)
        _gone(home, KILL_SECONDS)
        return [process.pid for process in running(home)]


def interrupted_by_signals() -> None:
    """Let every signal that says stop do what a Ctrl-C does; one that is ignored stays so."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in STOP_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let no second Ctrl-C cut a stop short."""
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _belongs(process: psutil.Process, home: Path) -> bool:
    try:
        return process.environ().get(MARK) == str(home) and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return False


def _signal(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue


def _gone(home: Path, timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while running(home):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
