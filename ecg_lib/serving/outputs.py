"""Text files that are written piece by piece."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ecg_lib.errors import InputError
from ecg_lib.files import NO_LOCKS, writing

try:
    import fcntl
except ImportError:  # Windows has no such locks.
    fcntl = None  # type: ignore[assignment]


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
        InputError: if the file cannot be written, or if another process is writing it.
    """
    with writing(path):
        # Emptied once nobody else is writing it, not by opening it.
        file = path.open("ab", buffering=0)
        try:
            if path.is_file():
                _be_only_writer(file, path)
                file.truncate(0)
        except BaseException:
            file.close()
            raise
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


def _be_only_writer(file, path):
    """Refuse a file that another command is writing, where the system has locks."""
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(
            f"another process is writing to {path}: expected it to end first, or another file"
        ) from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise


def _write_all(file, piece):
    """Write bytes to an unbuffered file, which may take a part of them at a time."""
    while piece:
        piece = piece[file.write(piece) :]
