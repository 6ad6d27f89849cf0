"""How this process uses the processor: threads of the networks, and memory that is kept for reuse."""

from __future__ import annotations

import ctypes
import sys

import torch

# <malloc.h> of the GNU C library.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_NEVER = 2**31 - 1


def use_cpu(threads: int) -> None:
    """Makes the networks of this process run on so many threads (0: as torch decides), in kept memory."""
    if threads > 0:
        torch.set_num_threads(threads)
    keep_freed_memory()


def keep_freed_memory() -> bool:
    """Keeps large blocks that are freed for the next allocation, instead of giving them back each time.

    A minibatch of frames allocates and frees hundreds of megabytes; by default the C library returns them
    to the system, and each page must be cleared again when it is next touched: with it, an update on frames
    takes 1.6 times as long. Returns whether the C library is one that can be told (GNU's, on Linux).
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # musl has none
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER))
