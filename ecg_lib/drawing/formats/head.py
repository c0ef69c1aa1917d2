"""Read what stands above a table's numbers: remarks, names and units."""

import re

import numpy as np
import pandas as pd

from ecg_lib.drawing.formats.dialect import COMMENT, Dialect
from ecg_lib.drawing.formats.names import is_unit, read_lead, read_rate, unit_size

_RATE_KEYS = {
    "fs", "hz", "rate", "samplerate", "samplingrate", "samplefrequency", "samplingfrequency",
    "frequency", "abtastrate", "abtastfrequenz", "frecuenciademuestreo",
}  # fmt: skip
_UNIT_KEYS = {"unit", "units", "einheit", "unite", "unidad", "unidade", "unita", "eenheid"}
_LEAD_KEYS = {"lead", "ableitung", "derivation", "derivacion", "derivacao", "derivazione"}


def read_head(
    head: list[str], dialect: Dialect, width: int
) -> tuple[dict[str, object], list[str] | None, list[str] | None]:
    """Read the lines above the numbers.

    Args:
        head: the lines.
        dialect: of the table.
        width: number of columns; of one, a single word is a name, of more it is a title.

    Returns:
        What they say, any of "rate", "unit" and "lead"; the names, and the units, or None.
    """
    remarks: dict[str, object] = {}
    rows: list[list[str]] = []
    for line in head:
        comment = COMMENT.match(line)
        text = line[comment.end() :] if comment else line
        found = _remark(text, dialect)
        remarks |= found
        if not found:
            rows.append([cell.strip("'\" ") for cell in dialect.cells(text)])
        elif not comment:
            rows.clear()  # Names stand directly above the numbers.
    units = next(filter(_is_units, rows[-2:]), None)
    rows = [row for row in rows if row is not units]
    names = None
    if rows and (len(rows[-1]) > 1 or width == 1) and not counts(rows[-1]):
        names = rows[-1]
    return remarks, names, units and [cell.strip("()[] ") for cell in units]


def _is_units(cells):
    bare = [cell.strip("()[] ") for cell in cells]
    return any(map(unit_size, bare)) and all(map(is_unit, bare))


def align(cells: list[str], columns: pd.DataFrame) -> list[str] | None:
    """Find the column of each name, where a line of names is shorter or longer than the rows.

    R and pandas leave out the name of the column that counts the rows; other programs write more
    numbers than names.

    Returns:
        A name for each column, empty where it has none, or None if that is not sure.
    """
    cells = list(cells)
    width = columns.shape[1]
    while len(cells) > width and not cells[-1]:
        cells.pop()
    extra = width - len(cells)
    if extra == 1 and _is_no_lead(columns[0]) and not columns[width - 1].isna().all():
        return ["", *cells]
    if extra < 0 or not all(_is_no_lead(columns[place]) for place in range(len(cells), width)):
        return None
    return cells + [""] * extra


def _is_no_lead(column):
    """Whether a column is empty, of words, of one number, or only grows, as no lead does."""
    if column.isna().all() or not pd.api.types.is_numeric_dtype(column):
        return True
    steps = np.diff(column.to_numpy(dtype=float))
    return bool((steps >= 0).all())


def counts(cells: list[str]) -> bool:
    """Return whether cells count from 0 or 1, as pandas names columns that have no names."""
    cells = cells if cells and cells[0].isdigit() else cells[1:]
    return len(cells) > 1 and any(
        cells == [str(start + place) for place in range(len(cells))] for start in (0, 1)
    )


def _remark(text, dialect):
    """What a line such as "Sample Rate,512 hertz" or "Unit: mV" says, or nothing."""
    parts = re.split(r"[:=,;\t|]", text, maxsplit=1)
    if len(parts) != 2:
        return {}
    key, value = (part.strip("'\" \t,;") for part in parts)
    plain = re.sub("[^a-z]", "", key.lower())
    if (rate := read_rate(value, unit_needed=True)) is not None:
        return {"rate": rate}
    if plain in _RATE_KEYS and (rate := read_rate(value)) is not None:
        return {"rate": rate}
    if plain in _UNIT_KEYS and unit_size(value):
        return {"unit": value}
    if plain in _LEAD_KEYS and read_lead(value):
        return {"lead": value}
    return {}
