"""Open the files that recordings come in: what they hold, before anything is made of it.

WFDB records (`.hea` with its `.dat`), tables (`.csv`, `.tsv`), arrays (`.npy`, `.npz`, `.mat`) and
`.edf`. The libraries that read WFDB and EDF are imported where they are needed: training does
without them.
"""

import re
import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.io

from ecg_lib.errors import InputError
from ecg_lib.pages.leads import LEADS

FEWEST_SAMPLES = 50
"""What is shorter, beside the signals in a file, is a remark about them."""


# Names under which files keep what is known of their numbers, as `_plain` leaves them.
_RATE_NAMES = ("fs", "sfreq", "freq", "frequency", "rate", "samplingrate", "samplingfrequency")


_UNIT_NAMES = ("unit", "units")


_LEAD_NAMES = ("lead", "leads", "leadnames", "signame", "channels", "channelnames")


_RECORDING_NAMES = ("record", "recording", "recordid", "ecgid", "id", "patient", "patientid")


_TIME_NAMES = ("t", "time", "seconds")


_COUNT_NAMES = ("unnamed", "index", "sample")


class RawRecording(NamedTuple):
    """One recording as a file holds it.

    Attributes:
        values: array of leads by samples, or samples by leads.
        rate: samples a second, or None where the file does not say.
        units: as the file spells them, one for each lead or for all, or None.
        names: of the leads, as the file spells them, or None.
        left_out: names of what was left out, since it is no lead.
    """

    values: np.ndarray
    rate: float | None = None
    units: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None
    left_out: tuple[str, ...] = ()


def open_file(file):
    """All recordings of a file, as it holds them.

    Args:
        file: a `pathlib.Path`.

    Returns:
        `{key: RawRecording}`; the key tells a file's recordings apart, and is empty where it
        has one.

    Raises:
        InputError: if the file cannot be read.
    """
    suffix = file.suffix.lower()
    if suffix not in READERS:
        raise InputError(f"{file} is no recording: expected one of {', '.join(READERS)}")
    try:
        contents = READERS[suffix](file)
    except InputError:
        raise
    except Exception as error:  # The libraries raise whatever comes on a broken file.
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise InputError(f"{file} cannot be read, it may be cut off: {reason}") from None
    if not contents:
        raise InputError(f"{file} holds no signals: expected arrays of numbers")
    return contents


def lead_name(text):
    """The lead that a file means by `text`, such as "aVR" by "ECG AVR (mV)", or None."""
    plain = re.sub(r"[(\[].*", "", text).lower()
    plain = re.sub(r"^((ecg|ekg|lead|d(?=i))[\s_:.-]*)*", "", plain.strip())
    return {lead.lower(): lead for lead in LEADS}.get(plain.strip())


def signal_files(header):
    """The files in which a WFDB header says that its samples are."""
    lines = header.read_text(encoding="utf-8", errors="replace").splitlines()
    of_signals = [line.split() for line in lines if line.strip() and not line.startswith("#")][1:]
    return {header.parent / words[0] for words in of_signals}


def _plain(name):
    """A name in lower case, its letters only, without what stands in brackets."""
    return re.sub("[^a-z]", "", re.sub(r"[(\[].*", "", name).lower())


# --- WFDB and EDF, which name everything
def _read_wfdb(file):
    import wfdb

    header = file.with_suffix(".hea")
    if not header.is_file():
        raise InputError(f"{file} has no header {header.name} beside it: expected both")
    name = str(file.with_suffix(""))
    if isinstance(wfdb.rdheader(name), wfdb.MultiRecord):
        raise InputError(f"{file} only joins other records: expected those that it names")
    record = wfdb.rdrecord(name, physical=False)
    # Where there are several samples a frame, they are averaged, and their sum is another.
    if set(record.samps_per_frame) == {1}:
        for stated, counted in zip(record.checksum, record.calc_checksum(), strict=True):
            if stated not in (None, counted):
                raise InputError(
                    f"{file} disagrees with its samples, whose checksum is {counted}, not {stated}"
                )
    names = None if None in record.sig_name else tuple(record.sig_name)
    return {"": RawRecording(record.dac().T, record.fs, tuple(record.units), names)}


def _read_edf(file):
    import edfio

    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # a file shorter than its header says
        signals = edfio.read_edf(file).signals
    chosen = [signal for signal in signals if lead_name(signal.label)] or signals
    rates = {signal.sampling_frequency for signal in chosen}
    if len(rates) != 1:
        raise InputError(f"{file} holds leads at rates of {sorted(rates)} Hz: expected one rate")
    found = RawRecording(
        values=np.stack([signal.data for signal in chosen]),
        rate=rates.pop(),
        units=tuple(signal.physical_dimension for signal in chosen),
        names=tuple(signal.label for signal in chosen),
        left_out=tuple(signal.label for signal in signals if signal not in chosen),
    )
    return {"": found}


# --- arrays, which may come with variables that say more
def _read_npy(file):
    return _split(_without_pickle(file, lambda: np.load(file, mmap_mode="r", allow_pickle=False)))


def _read_npz(file):
    with np.load(file, allow_pickle=False) as archive:
        return _from_variables(_without_pickle(file, lambda: dict(archive)))


def _without_pickle(file, load):
    try:
        return load()
    except ValueError as error:
        if not re.search("pickle|object", str(error), re.IGNORECASE):
            raise
        raise InputError(
            f"{file} holds a pickle, which could run any program and is not opened: expected "
            "plain arrays of numbers"
        ) from None


def _read_mat(file):
    try:
        content = scipy.io.loadmat(file, simplify_cells=True)
    except NotImplementedError:
        raise InputError(f"{file} is of MATLAB 7.3: expected one saved with -v7") from None
    return _from_variables({name: item for name, item in content.items() if name[:2] != "__"})


def _from_variables(variables):
    """Recordings among variables, which may be structs and cells that hold others."""
    leaves = dict(_leaves("", variables))
    arrays = {
        name: leaf
        for name, leaf in leaves.items()
        if isinstance(leaf, np.ndarray)
        and leaf.dtype.kind in "iufc"
        and max(leaf.shape, default=0) >= FEWEST_SAMPLES
    }
    rate, units, names = (_remark(leaves, of) for of in (_RATE_NAMES, _UNIT_NAMES, _LEAD_NAMES))
    said = {
        "rate": float(np.ravel(rate)[0]) if rate is not None else None,
        "units": tuple(map(str, np.atleast_1d(units))) if units is not None else None,
        "names": tuple(map(str, np.atleast_1d(names))) if names is not None else None,
    }
    return {
        (f"_{name}" if len(arrays) > 1 else "") + key: found._replace(**said)
        for name, array in arrays.items()
        for key, found in _split(array).items()
    }


def _leaves(name, item):
    """Pairs of a name and what is neither a dict nor a list of other than words."""
    if isinstance(item, np.ndarray) and item.dtype == object:
        item = item.tolist()
    if isinstance(item, dict):
        parts = item
    elif isinstance(item, list) and not all(isinstance(part, str) for part in item):
        parts = {f"{number:04d}": part for number, part in enumerate(item, 1)}
    else:
        yield name, item
        return
    for key, part in parts.items():
        yield from _leaves(f"{name}.{key}" if name else key, part)


def _remark(leaves, names):
    """The first variable of one of these names, or None."""
    found = (leaf for name, leaf in leaves.items() if _plain(name.rpartition(".")[2]) in names)
    return next(found, None)


def _split(array):
    """The recordings of an array: the first of three axes counts them."""
    if array.ndim < 3:
        return {"": RawRecording(array)}
    return {f"_{number:04d}": RawRecording(values) for number, values in enumerate(array, 1)}


# --- tables, with or without names
def _read_table(file):
    with file.open(encoding="utf-8-sig") as opened:
        first = opened.readline()
    separator = max("\t;,", key=first.count)
    header = 0 if _is_header(first.strip("\n").split(separator)) else None
    table = pd.read_csv(file, sep=separator, header=header, low_memory=False).rename(columns=str)
    if len(table.columns) > FEWEST_SAMPLES and not _is_numeric(table.iloc[:, 0]):
        table = table.set_index(table.columns[0]).T.rename(columns=str)  # a row a lead
    of_recording = next((name for name in table if _plain(name) in _RECORDING_NAMES), None)
    if of_recording is None:
        return {"": _from_columns(file, table)}
    return {
        f"_{recording}": _from_columns(file, rows.drop(columns=of_recording))
        for recording, rows in table.groupby(of_recording, sort=False)
    }


def _is_header(cells):
    """Whether the first line's cells, but for the first, are words, or count from 0 or 1."""
    try:
        numbers = [float(cell) for cell in cells[1:] or cells]
    except ValueError:
        return True
    return len(numbers) > 1 and any(
        numbers == list(range(start, start + len(numbers))) for start in (0, 1)
    )


def _is_numeric(column):
    return pd.api.types.is_numeric_dtype(column)


def _from_columns(file, table):
    plain = {name: _plain(name) for name in table}
    names = [name for name in table if lead_name(name)]
    others = [name for name in table if plain[name] not in (*_TIME_NAMES, *_COUNT_NAMES)]
    chosen = names or others
    words = next((name for name in chosen if not _is_numeric(table[name])), None)
    if words is not None:
        raise InputError(f"{file} has words in its column {words!r}: expected numbers")
    units = [re.search(r"[(\[](.+?)[)\]]", name) for name in chosen]
    rates = [_rate_of(name, table[name]) for name in table if plain[name] in _TIME_NAMES]
    return RawRecording(
        values=table[chosen].to_numpy(),
        rate=next(filter(None, rates), None),
        units=tuple(unit[1] for unit in units) if all(units) else None,
        names=tuple(chosen) if names else None,
        left_out=tuple(name for name in others if name not in chosen),
    )


def _rate_of(name, times):
    """Samples a second by a column of times, or None where it does not tell."""
    steps = np.diff(times) if _is_numeric(times) else np.zeros(1)
    step = np.median(steps) / (1000 if re.search(r"\bms\b", name) else 1)
    # Whole numbers count the samples. Times are rounded, so that their steps differ a little.
    if not 0 < step < 1 or np.ptp(steps) > np.median(steps):
        return None
    return round((len(times) - 1) / (step / np.median(steps) * np.sum(steps)), 3)


READERS = {
    ".hea": _read_wfdb,
    ".dat": _read_wfdb,
    ".csv": _read_table,
    ".tsv": _read_table,
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".mat": _read_mat,
    ".edf": _read_edf,
}
"""From a file's suffix to the function that opens it."""
