"""The heap of a process that lasts.

The interpreter looks through all objects from time to time, for cycles that nobody holds. Some 140,000 of them are the
modules, models and routes that live as long as the process: to look through those takes 80 ms, in which an API process
answers nobody, every third time that a page with a year of values is asked for.
"""

from __future__ import annotations

import gc


def settle() -> None:
    """What stands now is not looked through any more. To be called once, when all is imported and set up.

    Without looking through it a last time: that would hold up the start of each process for what little is in it.
    """
    gc.freeze()
