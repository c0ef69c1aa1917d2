"""What the readers of all file formats have in common: their result, and the limits they keep."""

import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ecg_lib.errors import InputError

MIN_SAMPLES = 50
"""An array with no axis as long as this holds no recording: it says something about one."""

MAX_NUMBERS = 100_000_000
"""The largest recording that is opened: 12 leads at 500 Hz for 4.6 hours. Only ten seconds are
drawn, and a file that claims to hold more must not take all of the memory."""

MAX_TEXT_BYTES = 512 * 2**20
"""The largest table that is opened, in bytes."""


class RawRecording(NamedTuple):
    """One recording as a file holds it. Nothing in it is a guess.

    Attributes:
        values: array of leads by samples or of samples by leads.
        rate: samples per second, or None where the file does not say.
        units: one for each lead, as the file spells it; None for a lead without one.
        names: of the leads, as the file spells them, or None where it names none.
        left_out: names of what the file holds besides and is no lead.
        notes: what was done to the values, or what about them could not be understood.
        default_unit: the unit that the format's specification lays down for a lead without one.
    """

    values: np.ndarray
    rate: float | None = None
    units: tuple[str | None, ...] | None = None
    names: tuple[str, ...] | None = None
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    default_unit: str | None = None


def regular_file(file: Path) -> Path:
    """Return a path if it is that of a file; reading a pipe or a device might never end.

    Raises:
        InputError: if there is none, or it is something else.
    """
    try:
        mode = file.stat().st_mode
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(mode):
        raise InputError(f"{file} is no regular file: expected a file, not a pipe or a device")
    return file


def refuse_without_package(path: Path, package: str, versions: str = "") -> None:
    """Raise an `InputError` if the package that reads a file or folder is not installed.

    Args:
        path: the file or folder.
        package: the name of the package.
        versions: which versions of it are valid, as pip takes it.
    """
    if find_spec(package) is None:
        raise InputError(
            f"{path} cannot be read without the package {package}, which is not installed: "
            f'pip install "{package}{versions}"'
        )


@contextmanager
def library_reads(file: Path, kind: str) -> Iterator[None]:
    """Turn whatever a library raises on a broken file into an `InputError`.

    Only calls of libraries belong into this context: a fault of this package is no file's fault.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise InputError(f"{file} cannot be read as {kind}: {reason}") from None


def refuse_if_too_large(file: Path, numbers: int) -> None:
    """Raise an `InputError` if a file claims to hold more numbers than are opened."""
    if numbers > MAX_NUMBERS:
        raise InputError(
            f"{file} claims to hold {numbers:,} numbers: expected at most {MAX_NUMBERS:,}"
        )


def or_fault(make: Callable[[], RawRecording]) -> RawRecording | InputError:
    """Return a recording, or why there is none: it must not take away the others of its file."""
    try:
        return make()
    except InputError as error:
        return error


def longest_stretch(breaks: np.ndarray, length: int) -> tuple[int, int]:
    """Find the longest stretch without a break, the first of equal ones.

    Args:
        breaks: ascending positions at which a new stretch begins, each between 0 and `length`.
        length: number of samples in all.

    Returns:
        Start and end of the stretch, the end excluded.
    """
    edges = [0, *map(int, breaks), length]
    return max(pairwise(edges), key=lambda stretch: stretch[1] - stretch[0])
