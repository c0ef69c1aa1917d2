"""A disk that fails at a chosen place of writing."""

import builtins
import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

_OF_PATHS = ("mkdir", "replace", "rename", "unlink", "rmdir", "truncate")
_OF_DESCRIPTORS = ("posix_fallocate", "ftruncate", "fsync")
_TO_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class FullDisk:
    """Raise an error of the operating system at one place of writing, or from it on.

    A place is a call that opens a file to write, writes, flushes or closes it, reserves space,
    makes a folder, renames or removes. Only this process is affected, and only what Python does:
    Pillow and NumPy, which would write to descriptors by themselves, are made to call `write`.

    Args:
        folder: what is written below it counts.
        place: number of the place that fails, from 0; None for no place.
        stays: whether all later places fail as well.
        code: number of the error.

    Attributes:
        places: the names of the places that were passed.
    """

    def __init__(
        self, folder: Path, place: int | None, stays: bool = False, code: int = errno.ENOSPC
    ) -> None:
        self.places: list[str] = []
        self._folder, self._place, self._stays, self._code = folder, place, stays, code

    @property
    def was_reached(self) -> bool:
        """Whether there were as many places as the number of the one that fails."""
        return self._place is not None and len(self.places) > self._place

    def step(self, name: str) -> None:
        """Pass a place, or fail."""
        number = len(self.places)
        self.places.append(name)
        if number == self._place or (self._stays and self.was_reached):
            raise OSError(self._code, os.strerror(self._code))

    @contextmanager
    def inserted(self) -> Iterator[None]:
        """Let this be the disk of the process."""
        with ExitStack() as stack:
            for module in (builtins, io):
                stack.enter_context(patch.object(module, "open", self._opener(module.open)))
            for name in (*_OF_PATHS, *_OF_DESCRIPTORS, "open"):
                if hasattr(os, name):
                    wrapped = self._wrapped(name, getattr(os, name))
                    stack.enter_context(patch.object(os, name, wrapped))
            yield

    def _is_ours(self, path) -> bool:
        return not isinstance(path, int) and Path(os.fsdecode(path)).absolute().is_relative_to(
            self._folder
        )

    def _wrapped(self, name: str, function: Callable) -> Callable:
        def checked(path, *args, **options):
            reads = name == "open" and not args[0] & _TO_WRITE
            if not reads and (name in _OF_DESCRIPTORS or self._is_ours(path)):
                self.step(f"{name} {path}")
            return function(path, *args, **options)

        return checked

    def _opener(self, function: Callable) -> Callable:
        def checked(path, mode="r", *args, **options):
            if not set(mode) & set("wax+") or not self._is_ours(path):
                return function(path, mode, *args, **options)
            self.step(f"open {path}")
            return _CheckedFile(function(path, mode, *args, **options), self.step)

        return checked


class _CheckedFile:
    """A file whose every way to write may fail."""

    def __init__(self, file, step: Callable[[str], None]) -> None:
        self._file, self._step = file, step

    def __getattr__(self, name):
        if name in ("write", "truncate", "flush"):
            self._step(f"{name} {self._file.name}")
        return getattr(self._file, name)

    def __iter__(self):
        return iter(self._file)

    def close(self) -> None:
        """Close the file, which writes what is left in its buffer."""
        if not self._file.closed:
            self._file.close()
            self._step(f"close {self._file.name}")

    def __enter__(self):
        return self

    def __exit__(self, *raised) -> None:
        self.close()
