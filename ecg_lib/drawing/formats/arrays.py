"""Arrays: .npy, .npz and .mat files."""

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import scipy.io

from ecg_lib.drawing.formats.hdf5 import read_variables
from ecg_lib.drawing.formats.mat_tags import refuse_damaged_tags
from ecg_lib.drawing.formats.raw import RawRecording, library_reads, refuse_if_too_large
from ecg_lib.drawing.formats.variables import recordings_in, split
from ecg_lib.errors import InputError

_MIN_BYTES = 2
"""Per number, in archives, whose members give only their length in bytes."""


def read_npy(file: Path) -> dict[str, RawRecording | InputError]:
    """Read an array; one with named fields is read as variables of these names."""
    with library_reads(file, "NPY"), _no_pickle(file):
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    refuse_if_too_large(file, array.size)
    if array.dtype.names:
        return recordings_in(file, {name: np.asarray(array[name]) for name in array.dtype.names})
    return {key: RawRecording(values) for key, values in split(array).items()}


def read_npz(file: Path) -> dict[str, RawRecording | InputError]:
    """Read the variables of an archive."""
    with library_reads(file, "NPZ"), _no_pickle(file):
        with zipfile.ZipFile(file) as archive:
            size = sum(part.file_size for part in archive.infolist())
            refuse_if_too_large(file, size // _MIN_BYTES)
        with np.load(file, allow_pickle=False) as archive:
            variables = dict(archive)
    return recordings_in(file, variables)


def read_mat(file: Path) -> dict[str, RawRecording | InputError]:
    """Read the variables of a MATLAB file of any version."""
    refuse_damaged_tags(file)
    with library_reads(file, "MAT"):
        try:
            sizes = [shape for _, shape, _ in scipy.io.whosmat(file)]
            refuse_if_too_large(file, sum(int(np.prod(shape, dtype=float)) for shape in sizes))
            variables = scipy.io.loadmat(file, simplify_cells=True)
        except NotImplementedError:  # Version 7.3.
            variables = read_variables(file)
    return recordings_in(file, {name: v for name, v in variables.items() if name[:2] != "__"})


@contextmanager
def _no_pickle(file: Path) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        if not re.search("pickle|object", str(error), re.IGNORECASE):
            raise
        raise InputError(
            f"{file} holds a pickle, which could run any program and is not opened: expected "
            "plain arrays of numbers"
        ) from None
