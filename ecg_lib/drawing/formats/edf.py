"""EDF and EDF+ files."""

import re
import warnings
from pathlib import Path

import numpy as np

from ecg_lib.drawing.formats.names import known_unit, read_leads
from ecg_lib.drawing.formats.raw import (
    RawRecording,
    library_reads,
    longest_stretch,
    refuse_if_too_large,
    refuse_without_package,
)
from ecg_lib.errors import InputError

# The fixed fields of the header: https://www.edfplus.info/specs/edf.html
_LABELS_AT, _LABEL_BYTES = 256, 16
_SAMPLES_AT, _SAMPLES_BYTES = 216, 8  # Samples per data record, after 216 bytes of each signal.


def read_edf(file: Path) -> dict[str, RawRecording | InputError]:
    """Read an EDF file; of one with gaps (EDF+D), the longest stretch without one."""
    refuse_without_package(file, "edfio")
    import edfio

    with warnings.catch_warnings(), library_reads(file, "EDF"):
        # They are about signals that are no leads, or about lengths, which are checked here.
        warnings.simplefilter("ignore")
        edf = edfio.read_edf(file, header_encoding=_encoding(file))
        _refuse_if_cut_off(file, edf)
        leads = read_leads(tuple(signal.label for signal in edf.signals))
        chosen = [s for s, lead in zip(edf.signals, leads, strict=True) if lead] or edf.signals
        rates = {signal.sampling_frequency for signal in chosen}
        if len(rates) != 1:
            raise InputError(f"{file} has leads at rates of {sorted(rates)} Hz: expected one rate")
        (rate,) = rates
        first, last, note = _without_gaps(file, edf)
        samples = chosen[0].samples_per_data_record
        stretch = slice(first * samples, last * samples)
        values = np.stack([signal.data[stretch] for signal in chosen])
        units = tuple(_unit(signal) for signal in chosen)
    raw = RawRecording(
        values=values,
        rate=rate,
        units=units,
        names=tuple(signal.label for signal in chosen),
        left_out=tuple(signal.label for signal in edf.signals if signal not in chosen),
        notes=note,
    )
    return {"": raw}


def _encoding(file):
    """That of the header: ASCII by the specification, often Latin-1, sometimes UTF-8."""
    with file.open("rb") as opened:
        header = opened.read(256)
        header += opened.read(max(_number(header[184:192], file) - 256, 0))
    try:
        header.decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def _number(field, file):
    try:
        return int(field)
    except ValueError:
        raise InputError(f"{file} has no EDF header: expected numbers in its fields") from None


def _refuse_if_cut_off(file, edf):
    """Compare the file's length with its header, which may leave the number of records open."""
    with file.open("rb") as opened:
        header = opened.read(256)
        opened.seek(256 + _number(header[252:256], file) * _SAMPLES_AT)
        fields = opened.read(_number(header[252:256], file) * _SAMPLES_BYTES)
    per_record = sum(map(int, re.findall(rb".{8}", fields, re.DOTALL)))
    records = _number(header[236:244], file)
    expected = int(header[184:192]) + 2 * per_record * max(records, 1)
    if file.stat().st_size < expected:
        raise InputError(
            f"{file} is cut off: its header promises {expected:,} bytes, and it has "
            f"{file.stat().st_size:,}"
        )
    refuse_if_too_large(file, per_record * edf.num_data_records)


def _unit(signal):
    """A signal's unit; none where its ranges are empty, so that its numbers are plain counts."""
    calibrated = (
        signal.physical_min != signal.physical_max and signal.digital_min != signal.digital_max
    )
    return known_unit(signal.physical_dimension) if calibrated else None


def _without_gaps(file, edf):
    """First and last data record of the longest stretch, and a note on the others."""
    if not edf.reserved.startswith("EDF+D"):
        return 0, edf.num_data_records, ()
    starts = _starts_of_records(file, edf)
    gaps = np.diff(starts) - edf.data_record_duration
    breaks = np.flatnonzero(np.abs(gaps) > 1e-3) + 1
    first, last = longest_stretch(breaks, len(starts))
    if not len(breaks):
        return first, last, ()
    seconds = (last - first) * edf.data_record_duration
    note = f"{seconds:g} s from {starts[first]:g} s used, between gaps in the recording"
    return first, last, (note,)


def _starts_of_records(file, edf):
    """When each data record starts, in seconds: the first entry of its annotations."""
    with file.open("rb") as opened:
        header = opened.read(edf.bytes_in_header_record)
    signals = int(header[252:256])
    labels = header[_LABELS_AT : _LABELS_AT + signals * _LABEL_BYTES]
    samples = header[256 + signals * _SAMPLES_AT :]
    widths = [2 * int(samples[8 * i : 8 * i + 8]) for i in range(signals)]
    annotations = next(
        (i for i in range(signals) if labels[16 * i : 16 * i + 15] == b"EDF Annotations"), None
    )
    if annotations is None:
        raise InputError(f"{file} has gaps (EDF+D) and no annotations that say where")
    records = np.fromfile(file, np.uint8, offset=len(header))
    records = records[: sum(widths) * edf.num_data_records].reshape(-1, sum(widths))
    begin = sum(widths[:annotations])
    texts = (row.tobytes() for row in records[:, begin : begin + widths[annotations]])
    found = [re.match(rb"[-+]\d+(?:\.\d*)?", text) for text in texts]
    if not all(found):
        raise InputError(f"{file} has gaps (EDF+D), but a data record does not say when it starts")
    return np.array([float(match[0]) for match in found])
