"""What Python's garbage collections are spared in a triggerer, so that they stop it for a moment and not for longer.

A full collection goes through every object of the process, while no trigger runs: 0.4 s in a triggerer, nearly all of
it for modules and classes that are never garbage. Python begins one when the objects have grown by a quarter, so it
comes just when many jobs do.
"""

from __future__ import annotations

import gc

#: How much more than ever before makes it worth while again: some twenty objects come with a wait, and as many with its
#: first answer.
STEP = 1_000

_living = 0
_spared = -STEP


def grown(loaded: bool) -> None:
    """Count what stays as long as a wait does; take all that lives out of later collections, if it is `STEP` more.

    What is spared is freed as ever when nothing refers to it any more; only what lies in a cycle that is already
    garbage at such a moment stays. So it happens a few times, and no more often the longer a triggerer runs.

    https://docs.python.org/3/library/gc.html#gc.freeze

    :param loaded: whether all is there that the first wait loads; before, there would be the most to spare yet.
    """
    global _living, _spared
    _living += 1
    if loaded and _living >= _spared + STEP:
        _spared = _living
        gc.freeze()


def shrunk(by: int) -> None:
    """Count what has gone with a wait."""
    global _living
    _living -= by
