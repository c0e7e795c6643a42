"""What Python's garbage collections are spared in a triggerer, so that they stop it for a moment and not for longer.

A full collection goes through every object of the process, while no trigger runs: 0.4 s in a triggerer, nearly all of
it for modules and classes that are never garbage. Python begins one when the objects have grown by a quarter, so it
comes just when many jobs do.
"""

from __future__ import annotations

import gc

#: How many more waits than ever before make it worth while again. A wait is some 40 objects.
STEP = 500

_spared = -STEP


def spare(waits: int) -> None:
    """Take what lives out of all later collections: at the first wait, and when there are `STEP` more than ever.

    What is spared is freed as ever when nothing refers to it any more; only what lies in a cycle that is already
    garbage at such a moment stays. So it happens a few times, and no more often the longer a triggerer runs.

    https://docs.python.org/3/library/gc.html#gc.freeze

    :param waits: how many there are.
    """
    global _spared
    if waits >= _spared + STEP:
        _spared = waits
        gc.freeze()
