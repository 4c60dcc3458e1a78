"""Where Arrow takes its memory from."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa


@contextmanager
def system_memory() -> Iterator[None]:
    """Take Arrow's memory from the system's allocator meanwhile.

    A table's writer frees its batches in threads of its own, and Arrow's other pools keep what
    another thread frees: memory would grow with the table (by some tens of MB, measured).
    """
    pool = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(pool)
