"""A trigger of somebody else's, that wants to fire every second: what it notes is how late the event loop lets it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from collecting import Collections


class Ticking(BaseTrigger):
    """Wait a second, again and again, until the file is gone.

    :param file: gets a line each second: the monotonic time, the seconds of delay, and those that Python has collected
        garbage for in the meantime, when nothing else runs.
    """

    def __init__(self, file: str) -> None:
        super().__init__()
        self.file = Path(file)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "ticking.Ticking", {"file": str(self.file)}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        collections = Collections()
        while self.file.exists():
            due, collected = time.monotonic() + 1, collections.total
            await asyncio.sleep(1)
            now = time.monotonic()
            with self.file.open("a") as lines:
                lines.write(f"{now} {now - due} {collections.total - collected}\n")
        yield TriggerEvent("done")
