"""How long Python's garbage collections take, in which nothing else runs, whoever has made what is collected."""

from __future__ import annotations

import gc
import time


class Collections:
    """Those of this process, from now on.

    :ivar each: seconds of each.
    :ivar total: seconds of all.
    """

    def __init__(self) -> None:
        self.each: list[float] = []
        self.total = self._began = 0.0
        gc.callbacks.append(self._collects)

    def _collects(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.monotonic()
        else:
            self.each.append(time.monotonic() - self._began)
            self.total += self.each[-1]
