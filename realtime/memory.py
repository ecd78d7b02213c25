"""What glibc is asked to give back to the system."""

import ctypes

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
"""<malloc.h>"""
BIG = 64 * 1024


def give_back_memory() -> None:
    """Of media and edge processes, at their start: buffers of segments and pictures come from the system one by one,
    and go back to it when they are freed, wherever in the heap their neighbours are. Elsewhere than on glibc, nothing.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_THRESHOLD, BIG)
    mallopt(_M_ARENA_MAX, 2)
