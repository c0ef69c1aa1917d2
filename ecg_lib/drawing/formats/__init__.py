"""Open the files that recordings come in: what they hold, before anything is made of it.

WFDB records (`.hea` with the files it names), tables (`.csv`, `.tsv`), arrays (`.npy`, `.npz`,
`.mat`) and `.edf`. The libraries that read WFDB and EDF are imported where they are needed:
training does without them. `docs/recordings.md` says which dialects are read.
"""

from collections.abc import Callable
from pathlib import Path

from ecg_lib.drawing.formats.arrays import read_mat, read_npy, read_npz
from ecg_lib.drawing.formats.edf import read_edf
from ecg_lib.drawing.formats.raw import RawRecording, regular_file
from ecg_lib.drawing.formats.tables import read_table
from ecg_lib.drawing.formats.wfdb import read_wfdb
from ecg_lib.errors import InputError

READERS: dict[str, Callable[[Path], dict[str, RawRecording | InputError]]] = {
    ".hea": read_wfdb,
    ".dat": read_wfdb,
    ".csv": read_table,
    ".tsv": read_table,
    ".npy": read_npy,
    ".npz": read_npz,
    ".mat": read_mat,
    ".edf": read_edf,
}
"""From a file's suffix, in lower case, to the function that opens it."""


def open_file(file: Path) -> dict[str, RawRecording | InputError]:
    """Open all recordings of a file, as it holds them.

    Returns:
        From a key, which tells a file's recordings apart and is empty where it has one, to the
        recording, or to why this one cannot be used.

    Raises:
        InputError: if the file cannot be read.
    """
    suffix = file.suffix.lower()
    if suffix not in READERS:
        raise InputError(f"{file} is no recording: expected one of {', '.join(READERS)}")
    contents = READERS[suffix](regular_file(file))
    if not contents:
        raise InputError(f"{file} holds no signals: expected arrays of numbers")
    return contents
