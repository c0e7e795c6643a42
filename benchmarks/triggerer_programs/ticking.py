"""A trigger of somebody else's, that wants to fire every second: what it notes is how late the event loop lets it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent


class Ticking(BaseTrigger):
    """Wait a second, again and again, until the file is gone.

    :param file: gets a line each second: the monotonic time, and seconds of delay.
    """

    def __init__(self, file: str) -> None:
        super().__init__()
        self.file = Path(file)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "ticking.Ticking", {"file": str(self.file)}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        while self.file.exists():
            due = time.monotonic() + 1
            await asyncio.sleep(1)
            now = time.monotonic()
            with self.file.open("a") as lines:
                lines.write(f"{now} {now - due}\n")
        yield TriggerEvent("done")
