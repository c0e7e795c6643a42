"""Keys that may come again, such as the ends of parallel edges: told apart by their order alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: The place of a key that is not there.
NOWHERE = -1


def find_again(before: NDArray[np.int64], now: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give for each key its place among those of before, `NOWHERE` for one that is not there.

    Of equal keys the first is the first of before, the second the second, and so on.
    """
    old_order, new_order = np.argsort(before, kind="stable"), np.argsort(now, kind="stable")
    old, new = before[old_order], now[new_order]
    place = np.searchsorted(old, new) + np.arange(len(new)) - np.searchsorted(new, new)
    known = place < np.searchsorted(old, new, side="right")
    places = np.full(len(new), NOWHERE, np.int64)
    places[new_order[known]] = old_order[place[known]]
    return places
