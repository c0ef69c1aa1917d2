"""What decoders written in C print on the standard error of the process.

Some continue after damaged data, and their only sign is a line there.
"""

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_STDERR = 2
_ONE_AT_A_TIME = threading.Lock()


@contextmanager
def collected(printed: bytearray) -> Iterator[None]:
    """Collect what is written to the process's standard error, by C code as well.

    Args:
        printed: what is written in this context is appended to it.
    """
    with _ONE_AT_A_TIME, _memory_file() as file:
        saved = None
        with suppress(OSError):  # It may be closed.
            saved = os.dup(_STDERR)
        os.dup2(file.fileno(), _STDERR)
        try:
            yield
        finally:
            if saved is not None:
                os.dup2(saved, _STDERR)
                os.close(saved)
            elif file.fileno() != _STDERR:
                os.close(_STDERR)
            file.seek(0)
            printed += file.read()


def pass_on(printed: bytes) -> None:
    """Print what was collected and is not for the decoder's caller, such as another thread's."""
    if printed:
        with suppress(OSError):
            os.write(_STDERR, printed)


def _memory_file():
    """A file that takes no space on a disk where the system has such: the disk may be full."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("stderr"), "w+b")
    return tempfile.TemporaryFile()
