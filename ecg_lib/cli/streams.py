"""Standard output and standard error, whose faults do not stop a command."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any, TextIO

from ecg_lib.text import without_controls

READER_GONE = 141
"""Exit status where the reader of standard output has ended, such as `head`: that of programs which
SIGPIPE ends."""

_READER_ENDED = "its reader has ended"


class Stream:
    """A standard stream that is replaced by nothing once it cannot be written.

    What a command does is worth more than what it prints, so the command continues, unless the
    reader has ended: then it ends as well.

    Args:
        stream: the stream; None where it was closed before the process began.

    Attributes:
        fault: why the stream cannot be written, or None.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self.fault = "it is closed" if stream is None else None
        self._stream = stream or io.StringIO()
        if hasattr(self._stream, "reconfigure"):
            # What the encoding lacks, such as a letter of a file's name in ASCII, is escaped.
            self._stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        """Write text, or lose it; names in it do not drive the terminal."""
        self._try("write", without_controls(text, but="\n\r\t"))  # Progress bars return.
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        self._try("flush")

    def _try(self, method, *arguments):
        if self.fault is not None:
            return
        try:
            getattr(self._stream, method)(*arguments)
        except BrokenPipeError:
            self._give_up(_READER_ENDED)
            raise SystemExit(READER_GONE) from None
        except (OSError, ValueError) as error:  # A ValueError where it was closed meanwhile.
            self._give_up(getattr(error, "strerror", None) or str(error))

    def _give_up(self, fault):
        self.fault = fault
        # What waits in the buffer is written when Python ends, and must not fail once more.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def __getattr__(self, name: str) -> Any:
        """Be the stream in all else."""
        return getattr(self._stream, name)


@contextmanager
def standard_streams() -> Iterator[Stream]:
    """Make the standard streams `Stream`s while a command runs.

    Yields:
        Standard output.
    """
    _occupy_closed()
    output, errors = Stream(sys.stdout), Stream(sys.stderr)
    with redirect_stdout(output), redirect_stderr(errors):
        try:
            yield output
        finally:
            output.flush()
            if output.fault not in (None, _READER_ENDED):
                errors.write(f"ecg_lib: standard output cannot be written: {output.fault}\n")
            errors.flush()


def _occupy_closed():
    """Open what is closed of the descriptors 0 to 2, lest the next file that is opened be one.

    Processes that this one starts inherit them.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
