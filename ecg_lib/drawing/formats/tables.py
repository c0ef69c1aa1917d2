"""Tables: which columns are leads, which are times, and which tell recordings apart."""

import re
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from ecg_lib.drawing.formats.names import TIME_UNITS, known_unit, plain_name, read_leads, unit_in
from ecg_lib.drawing.formats.raw import MIN_SAMPLES, RawRecording, longest_stretch, or_fault
from ecg_lib.drawing.formats.text import TextTable, read_text
from ecg_lib.drawing.formats.times import Times, read_times, unit_of_time
from ecg_lib.errors import InputError

_TIME_WORDS = {
    "t", "time", "times", "timer", "timestamp", "timestamps", "elapsed", "zeit", "temps", "tiempo",
    "tempo", "tijd",
}  # fmt: skip
_TIME_NAMES = _TIME_WORDS | {
    "elapsedtime", "timesec", "timems", "timeus", "tms", "ts", "seconds", "sec", "millis",
    "milliseconds", "ms", "datetime", "date", "clock",
}  # fmt: skip
_RECORDING_NAMES = {
    "record", "recording", "recordname", "recordingname", "recordid", "recordingid", "rec", "recid",
    "ecgid", "id", "patient", "patientid", "subject", "subjectid", "filename", "file", "name",
    "path", "study", "studyid", "exam", "examid", "examination", "case", "caseid", "session",
    "sessionid", "source", "sampleid", "datei",
}  # fmt: skip
_COUNT_NAMES = {
    "", "index", "sample", "samples", "sampleno", "samplenumber", "n", "no", "nr", "row",
}  # fmt: skip


def read_table(file: Path) -> dict[str, RawRecording | InputError]:
    """Read a table with a column, or a row, for each lead, of one recording or of many."""
    table = read_text(file)
    named = table.names or [""] * table.columns.shape[1]
    empty = [
        place
        for place, name in enumerate(named)
        if not name and table.columns.iloc[:, place].isna().all()
    ]
    table = _without(table, empty)
    groups = _recordings(file, table)
    found = {}
    for key, rows in groups.items():
        parts = list(_parts(_widened(file, rows)))
        for number, part in enumerate(parts, 1):
            found[f"{key}_{number:04d}" if len(parts) > 1 else key] = part
    return {key: or_fault(partial(_from_columns, file, *part)) for key, part in found.items()}


def _without(table, places):
    keep = [place for place in range(table.columns.shape[1]) if place not in places]
    return TextTable(
        columns=table.columns.iloc[:, keep].set_axis(range(len(keep)), axis=1),
        names=table.names and [table.names[place] for place in keep],
        units=table.units and [table.units[place] for place in keep],
        remarks=table.remarks,
    )


def _recordings(file, table):
    """The rows of each recording, by a column that names them."""
    names = table.names or []
    leads = read_leads(tuple(names))
    for place, name in enumerate(names):
        column = table.columns[place]
        if leads[place] or not 2 <= column.nunique() <= len(column) / 10 or _names_leads(column):
            continue
        if plain_name(name) in _RECORDING_NAMES:
            rest = _without(table, [place])
            return {
                f"_{value}": rest._replace(columns=rest.columns.loc[rows.index])
                for value, rows in table.columns.groupby(place, sort=False)
            }
        if plain_name(name) not in _TIME_NAMES and _tells_apart(column):
            raise InputError(
                f"{file} has several values in its column {name!r}, each in rows that follow each "
                "other: if they are recordings, call the column 'record', else leave it out"
            )
    return {"": table}


def _names_leads(column):
    """Whether each cell of a column is a lead's name."""
    if pd.api.types.is_numeric_dtype(column):
        return False
    return all(read_leads(tuple(map(str, column.unique()))))


def _widened(file, table):
    """A table with a column for each lead, of one with a row for each sample of each lead."""
    places = [
        place for place in table.columns if table.names and _names_leads(table.columns[place])
    ]
    if len(places) != 1:
        return table
    times = [place for place in table.columns if _is_time(table, place)]
    values = [place for place in table.columns if place not in (*places, *times)]
    values = [place for place in values if plain_name(table.names[place]) not in _COUNT_NAMES]
    leads = dict(list(table.columns.groupby(places[0], sort=False)))
    if len(values) != 1 or len({len(rows) for rows in leads.values()}) != 1:
        raise InputError(
            f"{file} names a lead in each row of its column {table.names[places[0]]!r}: expected "
            "one column of values beside it, and as many rows for each lead"
        )
    first = next(iter(leads.values()))
    columns = [first[place] for place in times] + [rows[values[0]] for rows in leads.values()]
    columns = [column.reset_index(drop=True) for column in columns]
    units = table.units and [table.units[p] for p in (*times, *values * len(leads))]
    unit = unit_in(table.names[values[0]])
    names = [table.names[place] for place in times]
    names += [f"{lead} ({unit})" if unit else str(lead) for lead in leads]
    return TextTable(
        pd.concat(columns, axis=1, keys=range(len(columns))), names, units, table.remarks
    )


def _tells_apart(column):
    """Whether a column of words or whole numbers has each value in one long run of rows."""
    if not pd.api.types.is_integer_dtype(column) and pd.api.types.is_numeric_dtype(column):
        return False
    runs = np.flatnonzero((column != column.shift()).to_numpy())
    long = np.diff([*runs, len(column)]).min() >= MIN_SAMPLES
    return bool(long and len(runs) == column.nunique())


def _time_column(table):
    """Position of the column of times, or None, and what it says.

    Of several, such as a date beside a time of day, the first that says the rate counts.
    """
    names = table.names or [""] * table.columns.shape[1]
    leads = read_leads(tuple(names))
    is_time = [not lead and _is_time(table, place) for place, lead in enumerate(leads)]
    if not any(is_time) and not any(leads) and len(names) > 1:
        is_time = [_grows(table.columns[place]) for place in table.columns]
    found = [(place, _read_column(table, place)) for place in np.flatnonzero(is_time)]
    by_rate = (pair for pair in found if pair[1].rate)
    return next(by_rate, found[0] if found else (None, Times(None)))


def _is_time(table, place):
    """Whether a column is called a time, or has a unit of time in a line of its own."""
    name = table.names[place] if table.names else ""
    words = {word for word in re.split("[^a-z]+", name.lower()) if word}
    has_unit = table.units and table.units[place].strip("()[] ").lower() in TIME_UNITS
    return bool(has_unit or plain_name(name) in _TIME_NAMES or words & _TIME_WORDS)


def _read_column(table, place):
    times, unit = table.columns[place], _time_unit(table, place)
    numeric = pd.api.types.is_numeric_dtype(times)
    if unit is None and numeric and (times.diff().iloc[1:] == 1).all():
        return Times(None)  # It counts the samples.
    return read_times(times.to_numpy(), unit)


def _time_unit(table, place):
    """The unit of a column of times, by its own line or by its name."""
    unit = table.units[place].strip("()[] ").lower() if table.units else None
    if unit in TIME_UNITS:
        return unit
    return unit_of_time(table.names[place]) if table.names else None


def _parts(table):
    """Stretches of a table in which times run on: pairs of it and its times."""
    place, times = _time_column(table)
    edges = [0, *times.starts, len(table.columns)]
    for start, end in pairwise(edges):
        gaps = [gap for gap in times.gaps if start < gap < end]
        first, last = longest_stretch(np.array(gaps) - start, end - start)
        notes = [f"the longest of {len(gaps) + 1} stretches between gaps"] if gaps else []
        if times.assumed_unit:
            notes.append(f"times without a unit taken for {times.assumed_unit}")
        elif place is not None and times.rate is None:
            notes.append("its times do not say the rate")
        rows = table.columns.iloc[start + first : start + last]
        yield table._replace(columns=rows), place, times.rate, tuple(notes)


def _grows(column):
    """Whether a column counts rows or tells their times: no lead only grows."""
    if not pd.api.types.is_numeric_dtype(column):
        return False
    steps = np.diff(column.to_numpy(dtype=float))
    return bool(len(steps) >= MIN_SAMPLES and (steps > 0).all())


def _from_columns(file, table, time, rate, notes):
    names = table.names
    leads = read_leads(tuple(names)) if names else []
    others = [
        place
        for place in table.columns
        if place != time and not (names and plain_name(names[place]) in _COUNT_NAMES)
    ]
    chosen = [place for place in others if leads and leads[place]] or others
    columns = [_numbers(file, table, place) for place in chosen]
    if names is None and "lead" in table.remarks and len(chosen) == 1:
        names = [table.remarks["lead"]] * table.columns.shape[1]
    units = [_unit(table, place) for place in chosen]
    left_out = [names[place] for place in others if place not in chosen] if names else []
    left_out += ["a column without a name" for name in (names or [])[1:] if not name]
    return RawRecording(
        values=np.stack(columns, axis=1) if columns else np.empty((0, 0)),
        rate=table.remarks.get("rate") or rate,
        units=tuple(units) if any(units) else None,
        names=tuple(names[place] for place in chosen) if names else None,
        left_out=tuple(left_out),
        notes=notes,
    )


def _unit(table, place):
    """A column's unit: by its own line, by its name, or by the head."""
    unit = known_unit(table.units[place].strip("()[] ")) if table.units else None
    in_name = unit_in(table.names[place]) if table.names else None
    return unit or in_name or table.remarks.get("unit")


def _numbers(file, table, place):
    """A column's numbers; words in other recordings' rows of it do not matter."""
    column = table.columns[place]
    numbers = pd.to_numeric(column, errors="coerce")
    words = column[numbers.isna() & column.notna()]
    if len(words) or pd.api.types.is_bool_dtype(column):
        which = repr(table.names[place]) if table.names else str(place + 1)
        example = f", such as {str(words.iloc[0])[:40]!r}" if len(words) else ""
        raise InputError(f"{file} has words in its column {which}{example}: expected numbers")
    return numbers.to_numpy(dtype=float)
