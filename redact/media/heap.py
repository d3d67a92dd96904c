"""Where pictures lie: the heap of the C library."""

from __future__ import annotations

import ctypes
from contextlib import suppress

# Numbers of mallopt(3), and what they are set to: the size from which memory is asked of the system alone, the largest
# that every version of the library takes; and how much of what is free at the end of the heap is kept.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
MAPPED_FROM, KEPT_FREE = 32 << 20, 128 << 20


def keep_freed() -> None:
    """Let the GNU C library keep memory that is freed for the next picture; other libraries stay as they are.

    As it comes, it gives the memory of every few pictures back, and the system clears that of the next ones page by
    page: in a virtual machine that was 40 % of the time of covering a frame, and 2 to 5 % of whole runs.
    """
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_THRESHOLD, MAPPED_FROM)
        library.mallopt(M_TRIM_THRESHOLD, KEPT_FREE)
