"""Tables as text: their encoding, head and numbers."""

import io
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ecg_lib.drawing.formats.dialect import COMMENT, MISSING, find_dialect, is_missing
from ecg_lib.drawing.formats.head import align, counts, read_head
from ecg_lib.drawing.formats.raw import (
    MAX_TEXT_BYTES,
    MIN_SAMPLES,
    library_reads,
    refuse_if_too_large,
)
from ecg_lib.errors import InputError

_SAMPLE_LINES = 400
_SAMPLE_CHARACTERS = 1_000_000
"""How much of a table is looked at to find its dialect."""

_MAX_WIDE_ROWS = 200
"""In a table with a row for each lead."""


class TextTable(NamedTuple):
    """A table.

    Attributes:
        columns: the numbers, or words, by the position of their column.
        names: of the columns, empty where one has none; None if the table has no line of names.
        units: of the columns, as a line under the names gives them, or None.
        remarks: what the lines above say: any of "rate", "unit" and "lead".
    """

    columns: pd.DataFrame
    names: list[str] | None
    units: list[str] | None
    remarks: dict[str, object]


def read_text(file: Path) -> TextTable:
    """Read a table.

    Raises:
        InputError: if it holds no numbers, or a line has more or fewer cells than the others.
    """
    lines = _lines(file)
    sample = _sample(lines)
    if not sample:
        raise InputError(f"{file} is empty: expected a table of numbers")
    dialect = find_dialect(sample)
    first, width = _body(file, sample, dialect)
    head, body = lines[:first], [pair for pair in lines[first:] if not COMMENT.match(pair[1])]
    remarks, names, units = read_head([line for _, line in head], dialect, width)
    if names is None and counts(dialect.cells(body[0][1])) and len(body) > 1:
        body = body[1:]
    refuse_if_too_large(file, len(body) * width)
    if width > max(MIN_SAMPLES, len(body)):
        columns, names = _turned(file, body, dialect)
        return TextTable(columns, names, None, remarks)
    columns = _columns(file, body, dialect, width)
    return TextTable(
        columns, _aligned(file, names, columns), _aligned(file, units, columns), remarks
    )


def _aligned(file, cells, columns):
    if cells is None:
        return None
    aligned = align(cells, columns)
    if aligned is None:
        raise InputError(
            f"{file} has {len(cells)} names or units above {columns.shape[1]} columns, and it is "
            "not clear which belong together: expected one above each column"
        )
    return aligned


def _lines(file):
    """Pairs of a line's number and text, without blank ones."""
    if file.stat().st_size > MAX_TEXT_BYTES:
        raise InputError(
            f"{file} has {file.stat().st_size:,} bytes: expected a table of at most "
            f"{MAX_TEXT_BYTES:,}"
        )
    lines = enumerate(re.split(r"\r\n|\n|\r", _decode(file)), 1)
    lines = [(number, line) for number, line in lines if line.strip(" \t,;")]
    if lines and re.fullmatch(r"\s*\"?sep=.\"?\s*", lines[0][1], re.IGNORECASE):
        return lines[1:]  # What spreadsheets put first to name the separator.
    return lines


def _decode(file):
    raw = file.read_bytes()
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", errors="replace")
    zeros = [raw[parity:400:2].count(0) for parity in (0, 1)]
    if max(zeros) > 50 and min(zeros) == 0:
        return raw.decode("utf-16-be" if zeros[0] else "utf-16-le", errors="replace")
    if b"\0" in raw[:10_000]:
        raise InputError(f"{file} is no text: expected a table")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _sample(lines):
    """The first lines, without those that are comments."""
    sample, characters = [], 0
    for place, (_, line) in enumerate(lines[:_SAMPLE_LINES]):
        if len(sample) > 2 and characters > _SAMPLE_CHARACTERS:
            break
        if not COMMENT.match(line):
            sample.append((place, line))
            characters += len(line)
    return sample


def _body(file, sample, dialect):
    """Position of the first line of numbers, and the number of cells in each."""
    rows = [dialect.cells(line) for _, line in sample]
    lengths = [len(row) for row in rows[-40:]]
    width = max(set(lengths), key=lengths.count)
    regular = [row for row in rows[-40:] if len(row) == width]
    numeric = [_is_numeric([row[place] for row in regular], dialect) for place in range(width)]
    if not any(numeric):
        raise InputError(f"{file} holds no numbers: expected a table with a column for each lead")
    first = len(rows)
    for place in range(len(rows) - 1, -1, -1):
        row = rows[place]
        matches = (
            len(row) == width
            and all(
                dialect.is_number(cell) or is_missing(cell)
                for cell, number in zip(row, numeric, strict=True)
                if number
            )
            and any(map(dialect.is_number, row))
        )
        if matches:
            first = place
        elif place < len(rows) - 1 and _is_head(row, dialect):
            break
    return sample[first][0], width


def _is_numeric(cells, dialect):
    """Whether a column holds numbers; the names above them may be among the cells."""
    numbers = sum(map(dialect.is_number, cells))
    return bool(numbers) and 2 * (numbers + sum(map(is_missing, cells))) >= len(cells)


def _is_head(row, dialect):
    """Whether a line that is unlike the numbers below it has words, so that it stands above."""
    return not all(dialect.is_number(cell) or is_missing(cell) for cell in row)


def _columns(file, body, dialect, width):
    """The numbers and words of the lines below the head."""
    for number, line in body:
        cells = len(dialect.cells(line))
        if cells != width:
            last = " and is cut off" if number == body[-1][0] and cells < width else ""
            raise InputError(
                f"{file} has {cells} cells in line {number}, expected {width} as in the lines "
                f"above it{last}"
            )
    with library_reads(file, "table"):
        return pd.read_csv(
            io.StringIO("\n".join(line for _, line in body)),
            sep=r"\s+" if dialect.separator == " " else dialect.separator,
            decimal=dialect.decimal,
            quotechar=dialect.quote,
            header=None,
            names=range(width),
            index_col=False,
            skipinitialspace=True,
            na_values=sorted(MISSING),
            low_memory=False,
        )


def _turned(file, body, dialect):
    """A table with a row for each lead, turned, and the names that its rows begin with.

    It is read row by row: pandas takes minutes for a row of 500,000 cells.
    """
    if len(body) > _MAX_WIDE_ROWS:
        raise InputError(
            f"{file} has {len(body):,} rows of more cells than that: expected a row or a column "
            "for each lead"
        )
    names, rows = [], []
    for number, line in body:
        cells = [cell.strip() for cell in line.strip().split(dialect.separator)]
        names.append("" if dialect.is_number(cells[0]) else cells.pop(0).strip(dialect.quote))
        if dialect.decimal == ",":
            cells = [cell.replace(",", ".") for cell in cells]
        try:
            rows.append(np.array([cell or "nan" for cell in cells], dtype=float))
        except ValueError:
            raise InputError(f"{file} has words in line {number}: expected numbers") from None
    if len({len(row) for row in rows}) != 1:
        lengths = sorted({len(row) for row in rows})
        raise InputError(f"{file} has rows of {lengths} numbers: expected one length")
    return pd.DataFrame(np.stack(rows, axis=1)), names if any(names) else None
