"""What the service and the waiting process tell each other: numbers in a file that both have in memory.

So the one that is measured spends nothing on asking, and both count by the machine's one monotonic clock.
"""

from __future__ import annotations

import mmap
from pathlib import Path

CONNECTIONS, CALLS, ASKED, ROLES, DONE, STARTED, MUST_START = range(7)
_HEAD = 8


class Figures:
    """The shared numbers.

    :param file: where they are kept.
    :param jobs: how many jobs there are; a new file is made for them. None opens what another has made.
    """

    def __init__(self, file: Path, jobs: int | None = None) -> None:
        if jobs is not None:
            file.write_bytes(bytes(8 * (_HEAD + jobs)))
        with file.open("r+b") as handle:
            self._numbers = memoryview(mmap.mmap(handle.fileno(), 0)).cast("d")

    def __getitem__(self, which: int) -> float:
        return self._numbers[which]

    def __setitem__(self, which: int, value: float) -> None:
        self._numbers[which] = value

    def answered(self, job: int) -> float:
        """Give when a job was last asked for, in monotonic seconds; 0 if never."""
        return self._numbers[_HEAD + job]

    def answer(self, job: int, now: float) -> None:
        """Note that a job is asked for."""
        self[CALLS] += 1
        if not self.answered(job):
            self[ASKED] += 1
        self._numbers[_HEAD + job] = now
