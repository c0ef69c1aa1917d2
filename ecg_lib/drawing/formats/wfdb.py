"""WFDB records: a header (.hea) and the files in which it says that the samples are.

Reference:
    https://www.physionet.org/physiotools/wag/header-5.htm, the header's fields, and signal-5.htm,
    the formats of samples.
"""

import re
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ecg_lib.drawing.formats.names import known_unit, read_leads
from ecg_lib.drawing.formats.raw import (
    RawRecording,
    library_reads,
    refuse_if_too_large,
    refuse_without_package,
    regular_file,
)
from ecg_lib.errors import InputError
from ecg_lib.files import temporary_folder, writing

DEFAULT_UNIT = "mV"
"""What the specification lays down for a gain without a unit, as in the MIT-BIH database."""

_PACKED_BYTES = {"212": 1.5, "310": 4 / 3, "311": 4 / 3, "24": 3, "32": 4, "16": 2, "61": 2}
"""Bytes per sample, where they are fixed."""


class _Header(NamedTuple):
    """The lines of a header.

    Attributes:
        file: where they come from.
        lines: without comments.
        record: what wfdb's own pattern finds in the first, by its names of the fields.
        segments: names and lengths of the records that a record joins; none for a plain record.
    """

    file: Path
    lines: list[str]
    record: dict[str, str]
    segments: tuple[tuple[str, int], ...]


def record_files(header: Path) -> set[Path]:
    """Return the files that belong to a record: of its samples, or of the records it joins."""
    try:
        contents = _read_header(header)
        if contents.segments:
            parts = [
                _sibling(header, f"{name}.hea") for name, _ in contents.segments if name != "~"
            ]
            return {*parts}.union(*(record_files(part) for part in parts if part != header))
        return {_sibling(header, line.split()[0]) for line in contents.lines[1:]}
    except InputError:
        return set()  # It is said when the record is read.


def read_wfdb(file: Path) -> dict[str, RawRecording | InputError]:
    """Read the record of a header, or of a file of samples that lies beside its header."""
    header = file
    if file.suffix.lower() != ".hea":
        header = _sibling(file, f"{file.stem}.hea")
        if not header.exists():
            raise InputError(f"{file} has no header {header.name} beside it: expected both")
    contents = _read_header(header)
    return {"": _join(contents) if contents.segments else _read_record(contents)}


def refuse_without_wfdb(path: Path) -> None:
    """Raise an `InputError` if WFDB records cannot be read because wfdb is not installed."""
    # As in pyproject.toml: later versions would change the pandas that Kaggle and Colab have.
    refuse_without_package(path, "wfdb", "<4.2")


def _read_header(header):
    refuse_without_wfdb(header)
    from wfdb.io.header import parse_header_content, rx_record, rx_segment

    raw = regular_file(header).read_bytes()
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    lines, _ = parse_header_content(re.sub("[\N{MICRO SIGN}\N{GREEK SMALL LETTER MU}]", "u", text))
    record = rx_record.match(lines[0]) if lines else None
    if not record:
        raise InputError(f"{header} is no WFDB header: expected a record's name and numbers first")
    segments = [rx_segment.match(line) for line in lines[1:]] if record["n_seg"] else []
    if not all(segments):
        raise InputError(f"{header} has a line that is no segment: expected a name and a length")
    names = tuple((segment["seg_name"], int(segment["seg_len"])) for segment in segments)
    return _Header(header, lines, record.groupdict(), names)


def _sibling(file, name):
    """The file of a name in the folder of another, in whichever case its name is spelled."""
    if Path(name).name != name:
        raise InputError(f"{file} names {name}, which is not in its folder: expected a file's name")
    exact = file.with_name(name)
    if exact.exists():
        return exact
    alike = (other for other in file.parent.iterdir() if other.name.lower() == name.lower())
    return next(alike, exact)


def _named_file(header, name):
    """A file that a header names."""
    file = _sibling(header.file, name)
    if not file.exists():
        raise InputError(f"{header.file} names {name}, which is not there: expected it beside it")
    return regular_file(file)


def _read_record(header):
    """Read a record of one segment, all signals at their own rates and aligned."""
    record, stated = _samples(header)
    _check_sums(header.file, record)
    calibrated = [bool(line["adc_gain"]) and float(line["adc_gain"]) != 0 for line in stated]
    for row in range(record.n_sig):
        record.adc_gain[row] = record.adc_gain[row] if calibrated[row] else 1
    with library_reads(header.file, "WFDB"):
        values = record.dac(expanded=True)
    skews = [skew or 0 for skew in record.skew]
    signals = [
        signal[skew * per_frame :]
        for signal, skew, per_frame in zip(values, skews, record.samps_per_frame, strict=True)
    ]
    names = tuple(name or "" for name in record.sig_name)
    leads = read_leads(names)
    chosen = [row for row, lead in enumerate(leads) if lead] or list(range(record.n_sig))
    per_frame = {record.samps_per_frame[row] for row in chosen}
    if len(per_frame) != 1:
        raise InputError(
            f"{header.file} has leads with {sorted(per_frame)} samples per frame: expected leads "
            "at one rate"
        )
    length = min(len(signals[row]) for row in chosen)
    units = [line["units"] and known_unit(line["units"]) for line in stated]
    rate = header.record["fs"]
    notes = [f"aligned by skews of up to {max(skews)} frames"] if any(skews) else []
    if not all(calibrated[row] for row in chosen):
        notes.append("the header gives no gain, so the numbers are counts")
    return RawRecording(
        values=np.stack([signals[row][:length] for row in chosen]),
        rate=float(rate) * per_frame.pop() if rate else None,
        units=tuple(units[row] or None if calibrated[row] else None for row in chosen),
        names=tuple(names[row] for row in chosen) if any(names) else None,
        left_out=tuple(name for row, name in enumerate(names) if row not in chosen),
        notes=tuple(notes),
        default_unit=DEFAULT_UNIT if all(calibrated[row] for row in chosen) else None,
    )


def _samples(header):
    """Let wfdb read a copy of the record under names that it understands.

    It opens only headers that end in ".hea" in lower case, and samples in files whose names are
    spelled as in the header.

    Returns:
        The `wfdb.Record`, its samples as stored, and what the header states for each signal.
    """
    import wfdb
    from wfdb.io.header import rx_signal

    lines = header.lines[1:]
    if not lines or len(lines) != int(header.record["n_sig"]):
        raise InputError(
            f"{header.file} promises {header.record['n_sig']} signals and describes {len(lines)}"
        )
    files = [line.split()[0] for line in lines]
    short = {name: f"{number}.dat" for number, name in enumerate(dict.fromkeys(files))}
    renamed = [re.sub(r"^\S+", short[name], line) for name, line in zip(files, lines, strict=True)]
    stated = [rx_signal.match(line) for line in renamed]
    if not all(stated):
        raise InputError(f"{header.file} has a signal line that is no WFDB: {lines[0]!r}")
    stated = [match.groupdict() for match in stated]
    _refuse_if_cut_off(header, files, stated)
    with temporary_folder() as folder:
        with writing(folder):
            for name, copy in short.items():
                shutil.copyfile(_named_file(header, name), folder / copy)
            first = re.sub(r"^[^\s/]+", "record", header.lines[0])
            (folder / "record.hea").write_text("\n".join([first, *renamed]), encoding="utf-8")
        with library_reads(header.file, "WFDB"):
            record = wfdb.rdrecord(
                str(folder / "record"), physical=False, smooth_frames=False, ignore_skew=True
            )
    return record, stated


def _refuse_if_cut_off(header, files, stated):
    """Compare the files' lengths with the header before anything is read, or memory taken."""
    frames = int(header.record["sig_len"] or 0)
    per_frame = [int(line["samps_per_frame"] or 1) for line in stated]
    refuse_if_too_large(header.file, frames * sum(per_frame))
    for name in dict.fromkeys(files):
        of_file = [row for row, other in enumerate(files) if other == name]
        width = _PACKED_BYTES.get(stated[of_file[0]]["fmt"])
        if width is None:
            continue
        offset = int(stated[of_file[0]]["byte_offset"] or 0)
        expected = offset + int(width * frames * sum(per_frame[row] for row in of_file))
        file = _named_file(header, name)
        size = file.stat().st_size
        refuse_if_too_large(header.file, int(size / width))
        if size < expected:
            raise InputError(
                f"{file} is cut off: {header.file.name} promises {expected:,} bytes, and it has "
                f"{size:,}"
            )


def _check_sums(file, record):
    """Compare the samples with the header's sums, which count modulo 65,536.

    Zeros for all signals are what programs write that do not count.
    """
    stated = record.checksum
    if not any(stated):
        return
    for given, counted in zip(stated, record.calc_checksum(expanded=True), strict=True):
        if given is not None and (given - counted) % 65536:
            raise InputError(
                f"{file} disagrees with its samples, whose checksum is {counted}, not {given}"
            )


def _join(header):
    """Join the segments of a record, as long as they follow each other with the same signals."""
    stretches = [[]]
    for name, length in header.segments:
        if name == "~":  # A gap.
            stretches.append([])
        elif length:  # The first of a variable record has no samples: it only describes.
            contents = _read_header(_named_file(header, f"{name}.hea"))
            if contents.segments:
                raise InputError(f"{header.file} joins {name}, which joins records itself")
            part = _read_record(contents)
            if stretches[-1] and _signals_of(part) != _signals_of(stretches[-1][-1]):
                stretches.append([])
            stretches[-1].append(part)
    used = max(stretches, key=lambda parts: sum(part.values.shape[1] for part in parts))
    if not used:
        raise InputError(f"{header.file} joins no records with samples")
    notes = (f"{len(used)} segments joined",)
    if len(stretches) > 1:
        notes += (f"the longest of {len(stretches)} stretches, between gaps or other signals",)
    values = np.concatenate([part.values for part in used], axis=1)
    return used[0]._replace(values=values, notes=(*used[0].notes, *notes))


def _signals_of(part):
    return part.rate, part.units, part.names, part.left_out
