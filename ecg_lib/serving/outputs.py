"""Text files that are written piece by piece."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ecg_lib.files import writing


@contextmanager
def open_text(path: Path) -> Iterator[Callable[[str], None]]:
    """Begin a text file in UTF-8, of which every piece is safe as soon as it is written.

    An error in writing does not stop what else is done in the context: the file keeps the pieces
    before it, whole, and the error is raised when the context is left.

    Args:
        path: the file. What in a file's name is not UTF-8 is escaped.

    Yields:
        A function that adds text.

    Raises:
        InputError: if the file cannot be written.
    """
    with writing(path):
        file = path.open("wb", buffering=0)
    size = 0
    fault: OSError | None = None

    def write(text: str) -> None:
        nonlocal size, fault
        if fault is not None:
            return
        piece = text.encode(errors="backslashreplace")
        try:
            _write_all(file, piece)
            size += len(piece)
        except OSError as error:
            fault = error
            with suppress(OSError):
                file.truncate(size)

    with writing(path):
        try:
            yield write
        finally:
            with suppress(OSError):
                file.close()
        if fault is not None:
            raise fault


def _write_all(file, piece):
    """Write bytes to an unbuffered file, which may take a part of them at a time."""
    while piece:
        piece = piece[file.write(piece) :]
