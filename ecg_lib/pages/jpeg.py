"""Decode a JPEG's grey levels, and notice damage that the decoder conceals.

libjpeg continues after damaged data: it fills the rest of the picture with grey or, in some
versions of OpenCV, with the picture that was decoded before. Its only sign is one line on the
standard error of the process. OpenCV lets this line pass and Pillow suppresses it, so OpenCV
decodes, while the standard error is redirected into a file.
"""

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import cv2
import numpy as np

_DAMAGE = re.compile(
    rb"^(?:Corrupt JPEG data|Premature end of JPEG|Inconsistent progression).*\n?", re.MULTILINE
)
"""Messages of libjpeg's `jerror.h` that mean wrong pixels. Others, such as the one about scan
parameters in pictures of Samsung's phones, do not."""

_BEFORE_PIXELS = re.compile(rb"extraneous bytes before marker 0x(?:c0|c2|db|e.|fe)")
"""Some cameras leave stray bytes between the segments of the header, where there are no pixels."""

_STDERR = 2
_ONE_AT_A_TIME = threading.Lock()


def decode_jpeg(data: np.ndarray) -> tuple[np.ndarray | None, str | None]:
    """Decode a JPEG's luma as it is stored, whatever orientation its metadata give.

    Args:
        data: uint8 array, the bytes of the file.

    Returns:
        `(luma, damage)`: a uint8 array `(height, width)`, None if OpenCV cannot decode the file;
        and libjpeg's message about damaged data, None if there is none.
    """
    printed = bytearray()
    with _ONE_AT_A_TIME, _redirected_stderr(printed):
        luma = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
    damage = _DAMAGE.search(printed)
    if others := _DAMAGE.sub(b"", printed):  # Another thread's, or a harmless warning.
        with suppress(OSError):
            os.write(_STDERR, others)
    if damage is None or _BEFORE_PIXELS.search(damage[0]):
        return luma, None
    return luma, damage[0].decode(errors="replace").strip()


@contextmanager
def _redirected_stderr(printed: bytearray) -> Iterator[None]:
    """Collect what is written to the process's standard error, by C code as well."""
    with _memory_file() as file:
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


def _memory_file():
    """A file that takes no space on a disk where the system has such: the disk may be full."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("stderr"), "w+b")
    return tempfile.TemporaryFile()
