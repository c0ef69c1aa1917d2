"""Text files that are written piece by piece."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ecg_lib.files import writing


@contextmanager
def open_text(path: Path) -> Iterator[Callable[[str], None]]:
    """Begin a text file in UTF-8, of which every piece is safe as soon as it is written.

    Args:
        path: the file. What in a file's name is not UTF-8 is escaped.

    Yields:
        A function that adds text.

    Raises:
        InputError: if the file cannot be written.
    """
    with writing(path):
        file = path.open("w", newline="", encoding="utf-8", errors="backslashreplace")

    def write(text: str) -> None:
        with writing(path):
            file.write(text)
            file.flush()

    try:
        yield write
    finally:
        with suppress(OSError):  # What could not be written was reported already.
            file.close()
