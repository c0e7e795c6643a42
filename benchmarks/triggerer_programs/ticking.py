"""A trigger of somebody else's, that wants to fire every second: what it notes is how late the event loop lets it."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent


class Ticking(BaseTrigger):
    """Wait a second, again and again, until the file is gone.

    :param file: gets a line each second: the monotonic time, the seconds of delay, and those that Python has collected
        garbage for in the meantime, when nothing else runs.
    """

    def __init__(self, file: str) -> None:
        super().__init__()
        self.file = Path(file)
        self._collecting = self._collected = 0.0

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "ticking.Ticking", {"file": str(self.file)}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        gc.callbacks.append(self._collects)
        while self.file.exists():
            due, self._collected = time.monotonic() + 1, 0.0
            await asyncio.sleep(1)
            now = time.monotonic()
            with self.file.open("a") as lines:
                lines.write(f"{now} {now - due} {self._collected}\n")
        gc.callbacks.remove(self._collects)
        yield TriggerEvent("done")

    def _collects(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._collecting = time.monotonic()
        else:
            self._collected += time.monotonic() - self._collecting
