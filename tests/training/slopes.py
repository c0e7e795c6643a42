"""Slopes by finite differences, to hold those that are computed against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

STEP = 1e-5


def slope(table: NDArray[Any], place: tuple[int, ...], value: Callable[[], float]) -> float:
    """Give the slope of a value in one number of a table, which is left as it was."""
    kept = table[place]
    table[place] = kept + STEP
    above = value()
    table[place] = kept - STEP
    below = value()
    table[place] = kept
    return (above - below) / (2 * STEP)


def slopes(table: NDArray[Any], value: Callable[[], float]) -> NDArray[Any]:
    """Give the slopes of a value in every number of a table."""
    found = np.empty_like(table)
    for place in np.ndindex(table.shape):
        found[place] = slope(table, place, value)
    return found
