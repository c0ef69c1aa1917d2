"""Read digital recordings of ECGs, and keep what in a file was taken for what.

Sampling rate, unit and lead names come from the file where it has them, else from the caller; the
order of 12 or 8 unnamed leads is taken to be the usual one. A rate or a unit is never guessed.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ecg_lib.drawing.formats import READERS, lead_name, open_file, signal_files
from ecg_lib.drawing.simulation import INDEPENDENT_LEADS
from ecg_lib.errors import InputError, one_of
from ecg_lib.pages.leads import LEADS

USUAL_ORDERS = {len(order): order for order in (LEADS, INDEPENDENT_LEADS)}
"""The leads of a recording that does not name them, by their number."""


UNITS = {"mV": 1.0, "uV": 1e-3, "V": 1e3}
"""From a unit's name to its size in mV."""


PLAUSIBLE_MV = (0.02, 20.0)
"""Least and greatest range of the liveliest lead that is believed, in mV. That of real ones is some
tenths to some mV, so that a unit that is wrong by a factor of 1,000 lies outside either way."""


class Hints(NamedTuple):
    """What the caller knows of recordings; it counts where their files do not say it.

    Attributes:
        rate: samples a second.
        unit: a key of `UNITS`.
        leads: names in the order of the files' rows or columns.
    """

    rate: float | None = None
    unit: str | None = None
    leads: tuple[str, ...] | None = None

    def checked(self):
        """The same, with lead names as in `LEADS`; an `InputError` if something is no use."""
        if self.rate is not None and not 0 < self.rate < math.inf:
            raise InputError(f"rate is {self.rate:g}: expected samples a second, more than 0")
        if self.unit is not None:
            one_of("unit", self.unit, UNITS)
        if self.leads is None:
            return self
        leads = tuple(lead_name(lead) or one_of("lead", lead, LEADS) for lead in self.leads)
        return self._replace(leads=leads)


@dataclass(frozen=True)
class Recording:
    """One recording.

    Attributes:
        name: its file's name without the suffix, and what tells it apart where the file has many.
        signals: float64 array `(leads, samples)` in mV.
        leads: names of the rows, out of `ecg_lib.pages.leads.LEADS`.
        rate: samples a second.
        unit: what the file's numbers were taken for.
        sources: whether `rate`, `unit` and `leads` come from the "file", from the "argument", or
            are "assumed".
        left_out: names of what the file holds and is no lead.
    """

    name: str
    signals: np.ndarray
    leads: tuple[str, ...]
    rate: float
    unit: str
    sources: dict[str, str]
    left_out: tuple[str, ...]

    @property
    def seconds(self):
        return self.signals.shape[1] / self.rate


def find_recordings(path):
    """The files that may hold recordings.

    Args:
        path: a file, or a folder, which is searched at any depth.

    Returns:
        A sorted list of paths. Of a WFDB record it has the header.

    Raises:
        InputError: if there is no such path, or no file in the folder that may hold recordings.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"{path} is not there: expected a recording or a folder of recordings")
    files = {file for file in path.rglob("*") if _could_be_recording(file, path)}
    if not files:
        raise InputError(f"{path} holds no recordings: expected files {', '.join(READERS)}")
    headers = [file for file in files if file.suffix == ".hea"]
    return sorted(files.difference(*map(signal_files, headers)))


def _could_be_recording(file, folder):
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return file.is_file() and not hidden and file.suffix.lower() in READERS


def read_recordings(file, given=None):
    """Read all recordings of a file.

    Args:
        file: path of the file.
        given: a `Hints`, what is known of recordings that do not say it themselves.

    Returns:
        `(recordings, faults)`: a list of `Recording`s, and a list with a sentence for each one
        that cannot be used.

    Raises:
        InputError: if `given` is of no use.

    Example:
        >>> (recording,), _ = read_recordings("00006_hr.hea")
        >>> recording.signals.shape, recording.rate, recording.sources["rate"]
        ((12, 5000), 500.0, 'file')
    """
    file, given = Path(file), (given or Hints()).checked()
    try:
        contents = open_file(file)
    except InputError as error:
        return [], [str(error)]
    recordings, faults = [], []
    for key, found in contents.items():
        try:
            name = file.stem + re.sub(r"[^\w.-]", "_", key)  # it becomes the name of a page
            recordings.append(_recording(name, found, given))
        except InputError as error:
            which = f", recording {key[1:]}," if key else ""
            faults.append(f"{file}{which} {error}")
    return recordings, faults


def _recording(name, found, given):
    """Make a recording of what was found.

    Raises:
        InputError: with a sentence that goes on after the file's name.
    """
    rows = _rows(found.values)
    names, leads_from = _names(rows, found.names, given.leads)
    rate = found.rate or given.rate
    units = found.units or (given.unit,)
    if rate is None:
        raise InputError(f"holds {_size(rows)} and no sampling rate: expected it as --rate")
    if units == (None,):
        raise InputError(f"holds {_size(rows)} and no unit: expected {', '.join(UNITS)} as --unit")
    if len(units) not in (1, len(rows)):
        raise InputError(f"holds {_size(rows)}, but states {len(units)} units")
    of_lead = {lead_name(name): row for row, name in enumerate(names) if lead_name(name)}
    units = [units[row % len(units)] for row in of_lead.values()]
    recording = Recording(
        name=name,
        signals=rows[list(of_lead.values())] * np.array([[_in_mv(unit)] for unit in units]),
        leads=tuple(of_lead),
        rate=float(rate),
        unit=", ".join(dict.fromkeys(units)),
        sources={
            "rate": "file" if found.rate else "argument",
            "unit": "file" if found.units else "argument",
            "leads": leads_from,
        },
        left_out=(*found.left_out, *(name for name in names if not lead_name(name))),
    )
    _refuse_implausible(recording)
    return recording


def _rows(values):
    """Float array with a row a lead: of two axes, the leads' is the shorter one."""
    values = np.asarray(values)
    if not (values.size and values.ndim in (1, 2) and values.dtype.kind in "iuf"):
        raise InputError(
            f"holds an array of shape {values.shape} and type {values.dtype}: expected numbers, "
            "samples by leads"
        )
    values = np.atleast_2d(values.astype(float))
    return values.T if len(values) > values.shape[1] else values


def _names(rows, in_file, given):
    """The rows' names, and where they come from."""
    if in_file and any(map(lead_name, in_file)):
        names, source = in_file, "file"
    elif given:
        names, source = given, "argument"
    elif len(rows) in USUAL_ORDERS:
        names, source = USUAL_ORDERS[len(rows)], "assumed"
    else:
        raise InputError(
            f"holds {_size(rows)} and does not name the leads: expected 12, the 8 independent "
            "ones, or their names as --leads"
        )
    leads = [lead for lead in map(lead_name, names) if lead]
    repeated = next((lead for lead in leads if leads.count(lead) > 1), None)
    if repeated:
        raise InputError(f"has lead {repeated} more than once: expected each lead once")
    if len(names) != len(rows):
        raise InputError(f"holds {_size(rows)}, but the {source} names {len(names)} leads")
    return names, source


def _in_mv(unit):
    """The size in mV of a unit as a file spells it, such as "µV" or "microvolt"."""
    plain = unit.strip().lower().replace("volts", "v").replace("volt", "v")
    plain = plain.replace("micro", "u").replace("milli", "m")
    plain = plain.replace("\N{MICRO SIGN}", "u").replace("\N{GREEK SMALL LETTER MU}", "u")
    sizes = {name.lower(): size for name, size in UNITS.items()}
    if plain not in sizes:
        raise InputError(f"has a lead in the unit {unit!r}: expected {', '.join(UNITS)}")
    return sizes[plain]


def _refuse_implausible(recording):
    for lead, signal in zip(recording.leads, recording.signals, strict=True):
        missing = np.count_nonzero(~np.isfinite(signal))
        if missing:
            raise InputError(f"has {missing:,} samples of lead {lead} that are no numbers")
        if np.ptp(signal) == 0:
            raise InputError(f"has a flat lead {lead}: all its samples are {signal[0]:g} mV")
    # Without the outermost samples, which may be a spark.
    low, high = np.percentile(recording.signals, [1, 99], axis=1)
    widest = (high - low).max()
    if not PLAUSIBLE_MV[0] <= widest <= PLAUSIBLE_MV[1]:
        raise InputError(
            f"has signals that range over {widest:,.3g} mV if its unit is {recording.unit}: "
            f"expected {PLAUSIBLE_MV[0]:g} to {PLAUSIBLE_MV[1]:g} mV"
        )


def _size(rows):
    return f"{len(rows)} x {rows.shape[1]:,} numbers"
