"""Read digital recordings of ECGs, and keep what in a file was taken for what.

Sampling rate, unit and lead names come from the file where it has them, else from the caller. The
order of 12 or 8 leads without any names is taken to be the usual one, unless the signals refute it;
a unit is only assumed where the format's specification lays one down. Both are said to be assumed.
A rate is never assumed.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ecg_lib.drawing.formats import READERS, RawRecording, open_file
from ecg_lib.drawing.formats.names import UNITS, LeadName, read_lead, read_leads, unit_size
from ecg_lib.drawing.formats.wfdb import record_files
from ecg_lib.drawing.plausibility import refuse_order, refuse_rate, refuse_signals
from ecg_lib.drawing.simulation import INDEPENDENT_LEADS
from ecg_lib.errors import InputError, one_of
from ecg_lib.pages.leads import LEADS

USUAL_ORDERS = {len(order): order for order in (LEADS, INDEPENDENT_LEADS)}
"""The leads of a recording that does not name them, by their number."""

MAX_NUMBER = 1e12
"""The largest number in a recording: counts have at most 32 bits, and a volt is 10^9 nV."""


class Hints(NamedTuple):
    """What the caller knows of recordings; it counts where their files do not say it.

    Attributes:
        rate: samples per second.
        unit: a key of `ecg_lib.drawing.formats.names.UNITS`.
        leads: names in the order of the files' rows or columns.
    """

    rate: float | None = None
    unit: str | None = None
    leads: tuple[str, ...] | None = None

    def checked(self) -> "Hints":
        """Return the same, or raise an `InputError` if something in it is of no use."""
        if self.rate is not None:
            refuse_rate(self.rate)
        if self.unit is not None:
            one_of("unit", self.unit, UNITS)
        for lead in self.leads or ():
            read_lead(lead) or one_of("lead", lead, LEADS)
        return self


@dataclass(frozen=True)
class Recording:
    """One recording.

    Attributes:
        name: its file's name without the suffix, and what tells it apart where the file has many.
        signals: float64 array `(leads, samples)` in mV. A lead that begins late or ends early, as
            on a digitised page, is NaN where it was not recorded.
        leads: names of the rows, out of `ecg_lib.pages.leads.LEADS`.
        rate: samples per second.
        unit: what the file's numbers were taken for.
        sources: whether `rate`, `unit` and `leads` come from the "file", from the "argument", or
            are "assumed"; of units, "file and argument" if only some leads have one in the file.
        left_out: names of what the file holds and is no lead.
        notes: what was done to the file's numbers, or what of them could not be understood.
    """

    name: str
    signals: np.ndarray
    leads: tuple[str, ...]
    rate: float
    unit: str
    sources: dict[str, str]
    left_out: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        return self.signals.shape[1] / self.rate


def find_recordings(path: str | Path) -> list[Path]:
    """Find the files that may hold recordings.

    Args:
        path: a file, or a folder, which is searched at any depth.

    Returns:
        A sorted list of paths. Of a WFDB record it has the header.

    Raises:
        InputError: if there is no such path, or no file in the folder that may hold recordings.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} is not there: expected a recording or a folder of recordings")
    if not path.is_dir():
        return [path]
    files = {file for file in path.rglob("*") if _could_be_recording(file, path)}
    if not files:
        raise InputError(f"{path} holds no recordings: expected files {', '.join(READERS)}")
    headers = [file for file in files if file.suffix.lower() == ".hea"]
    return sorted(files.difference(*map(record_files, headers)))


def _could_be_recording(file, folder):
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return not hidden and file.suffix.lower() in READERS and not file.is_dir()


def read_recordings(
    file: str | Path, hints: Hints | None = None
) -> tuple[list[Recording], list[str]]:
    """Read all recordings of a file.

    Args:
        file: path of the file.
        hints: what is known of recordings that do not say it themselves.

    Returns:
        The recordings, each with a name of its own, and a sentence for each one that cannot be
        used.

    Raises:
        InputError: if `hints` are of no use.

    Example:
        >>> (recording,), _ = read_recordings("00006_hr.hea")
        >>> recording.signals.shape, recording.rate, recording.sources["rate"]
        ((12, 5000), 500.0, 'file')
    """
    file, hints = Path(file), (hints or Hints()).checked()
    try:
        contents = open_file(file)
    except InputError as error:
        return [], [str(error)]
    recordings, faults = [], []
    names: set[str] = set()
    for key, raw in contents.items():
        if isinstance(raw, InputError):
            faults.append(str(raw))
            continue
        name = _new_name(file.stem + re.sub(r"[^\w.-]", "_", key), names)
        try:
            recordings.append(_recording(name, raw, hints))
        except InputError as error:
            which = f", recording {key[1:]}," if key else ""
            faults.append(f"{file}{which} {error}")
    return recordings, faults


def _new_name(name, taken):
    """A name, numbered if it is taken; letters may be of either case, as in some file systems."""
    number, numbered = 1, name
    while numbered.casefold() in taken:
        number += 1
        numbered = f"{name}-{number}"
    taken.add(numbered.casefold())
    return numbered


def _recording(name: str, raw: RawRecording, hints: Hints) -> Recording:
    """Make a recording of what a file holds.

    Raises:
        InputError: with a sentence that continues after the file's name.
    """
    rows = _rows(raw)
    names, leads_from = _names(rows, raw.names, hints.leads)
    if leads_from == "assumed" and len(rows) == len(LEADS):
        refuse_order(rows)
    because = f" ({'; '.join(raw.notes)})" if raw.notes else ""
    rate = raw.rate if raw.rate is not None else hints.rate
    if rate is None:
        raise InputError(f"has {_size(rows)} and no sampling rate{because}: expected it as --rate")
    try:
        refuse_rate(rate)
    except InputError as error:
        raise InputError(f"says that its {error}") from None
    blank = np.isnan(rows).all(axis=1)
    if blank.all():
        raise InputError(f"has {_size(rows)}, none of which is a number")
    used = {lead: row for row, lead in enumerate(names) if lead and not blank[row]}
    units, unit_from = _units(raw, len(rows), list(used.values()), hints.unit, because)
    sizes = [
        _in_mv(unit) * (-1 if lead.turned else 1) for unit, lead in zip(units, used, strict=True)
    ]
    turned = [lead.lead for lead in used if lead.turned]
    absent = [lead.lead for lead, is_blank in zip(names, blank, strict=True) if lead and is_blank]
    unknown = [text for text, lead in zip(raw.names or (), names, strict=False) if not lead]
    recording = Recording(
        name=name,
        signals=rows[list(used.values())] * np.array(sizes)[:, np.newaxis],
        leads=tuple(lead.lead for lead in used),
        rate=float(rate),
        unit=", ".join(dict.fromkeys(units)),
        sources={
            "rate": "file" if raw.rate is not None else "argument",
            "unit": unit_from,
            "leads": leads_from,
        },
        left_out=(*raw.left_out, *(unknown if leads_from == "file" else ())),
        notes=(
            *raw.notes,
            *([f"{', '.join(turned)} turned over"] if turned else []),
            *([f"{', '.join(absent)} without samples"] if absent else []),
        ),
    )
    refuse_signals(recording.signals, recording.leads, recording.rate, recording.unit)
    return recording


def _rows(raw):
    """Float array with a row for each lead: the axis as long as the names, else the shorter one."""
    values = np.asarray(raw.values)
    if not (values.size and values.ndim in (1, 2) and values.dtype.kind in "iuf"):
        raise InputError(
            f"has an array of shape {values.shape} and type {values.dtype}: expected numbers, "
            "samples by leads"
        )
    values = np.atleast_2d(values.astype(float))
    largest = np.abs(values[np.isfinite(values)]).max(initial=0)
    if largest > MAX_NUMBER:
        raise InputError(f"has numbers up to {largest:.3g}: expected at most {MAX_NUMBER:g}")
    axes = [axis for axis in (0, 1) if raw.names and values.shape[axis] == len(raw.names)]
    leads = axes[0] if len(axes) == 1 else int(len(values) > values.shape[1])
    return values.T if leads else values


def _names(
    rows: np.ndarray, in_file: tuple[str, ...] | None, given: tuple[str, ...] | None
) -> tuple[list[LeadName | None], str]:
    """What the rows' names are read as, and where they come from."""
    in_file = in_file if in_file and any(in_file) else None
    if in_file and any(read_leads(in_file)):
        texts, source = in_file, "file"
    elif given:
        texts, source = given, "argument"
    elif in_file:
        shown = ", ".join(map(repr, in_file[:12]))
        raise InputError(f"names its leads {shown}, which are not known: expected --leads")
    elif len(rows) in USUAL_ORDERS:
        texts, source = USUAL_ORDERS[len(rows)], "assumed"
    else:
        raise InputError(
            f"has {_size(rows)} and does not name the leads: expected 12, the 8 independent "
            "ones, or their names as --leads"
        )
    leads = read_leads(tuple(texts))
    known = [lead.lead for lead in leads if lead]
    repeated = next((lead for lead in known if known.count(lead) > 1), None)
    if repeated:
        raise InputError(f"has lead {repeated} more than once: expected each lead once")
    if len(texts) != len(rows):
        raise InputError(f"has {_size(rows)}, but the {source} names {len(texts)} leads")
    return leads, source


def _units(raw, count, used, given, because):
    """The units of the rows in use, and where they come from."""
    in_file = raw.units or (None,) * count
    in_file = in_file * count if len(in_file) == 1 else in_file
    if len(in_file) != count:
        raise InputError(f"has {count} leads, but states {len(in_file)} units")
    stated = [in_file[row] for row in used]
    units = [unit or given or raw.default_unit for unit in stated]
    if None in units:
        of_some = "a unit for only some leads" if any(stated) else "no unit"
        raise InputError(f"has {of_some}{because}: expected {', '.join(UNITS)} as --unit")
    other = "argument" if given else "assumed"
    if all(stated):
        return units, "file"
    return units, f"file and {other}" if any(stated) else other


def _in_mv(unit):
    size = unit_size(unit)
    if size is None:
        raise InputError(f"has a lead in the unit {unit!r}: expected {', '.join(UNITS)}")
    return size


def _size(rows):
    return f"{len(rows)} x {rows.shape[1]:,} numbers"
