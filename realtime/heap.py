"""The heap of a process that streams come to and leave: what they have held goes back to the kernel."""

import asyncio
import ctypes
import gc
from collections.abc import Callable

TRIM_SECONDS = 30.0
"""The heap is trimmed once in so long, where streams have been forgotten since."""


class Heap:
    """`forgotten`: how many streams the process has forgotten so far; `idle`: whether it has none now. To be made once
    all that stays has been made.
    """

    def __init__(self, forgotten: Callable[[], int], idle: Callable[[], bool]):
        # No collection need look again at what start-up has made, which is most of what there is.
        gc.collect()
        gc.freeze()
        self._forgotten, self._idle = forgotten, idle
        self._trimmed_after = forgotten()

    @property
    def untrimmed(self) -> int:
        """Streams that have been forgotten since the heap was trimmed."""
        return self._forgotten() - self._trimmed_after

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(TRIM_SECONDS)
            if self.untrimmed:
                self._trimmed_after = self._forgotten()
                # Python collects what ended in cycles of references when there are tens of thousands of them. With 300
                # viewers that takes 8 to 15 ms, for which nobody is to wait; trimming takes 1 to 5.
                if self._idle():
                    gc.collect()
                trim()


def trim() -> None:
    """Pages that are free within the C library's heap, to the kernel (`malloc_trim(3)`): by itself glibc gives back its
    end alone, which some small thing that stays always holds. Nothing, where the C library has none.
    """
    # A stream's end leaves some 100 KB free in pieces; a thousand of them held 15 MiB, which came back by this alone.
    if (found := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        found(0)
