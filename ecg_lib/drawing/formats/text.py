"""Tables as text: their encoding, separator, decimal sign, head, names and row of units.

`csv.Sniffer` takes a decimal comma for a separator, so the dialect is chosen here by which one
makes the most numbers; `csv` and pandas do the rest.
"""

import csv
import io
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ecg_lib.drawing.formats.names import is_unit, read_lead, read_rate, unit_size
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

_NUMBERS = {
    ".": re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?"),
    ",": re.compile(r"[-+]?(\d+|\d+,\d+|,\d+)([eE][-+]?\d+)?"),
}
_MISSING = {"", "nan", "na", "n/a", "null", "none", "-", "--"}
_COMMENT = re.compile(r"\s*(#|%|//)\s*")


class Dialect(NamedTuple):
    """How a table's lines are made.

    Attributes:
        separator: between cells; a blank stands for any number of blanks.
        decimal: the sign in its numbers, "." or ",".
        quote: the sign around its words.
    """

    separator: str
    decimal: str
    quote: str

    def cells(self, line: str) -> list[str]:
        """Split a line."""
        if self.separator == " ":
            return line.split()
        if self.quote not in line:
            return [cell.strip() for cell in line.split(self.separator)]
        reader = csv.reader(
            [line], delimiter=self.separator, quotechar=self.quote, skipinitialspace=True
        )
        return [cell.strip() for cell in next(reader)]

    def is_number(self, cell: str) -> bool:
        """Return whether a cell holds a number."""
        return bool(_NUMBERS[self.decimal].fullmatch(cell))


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
    dialect = _dialect(sample)
    first, width = _body(file, sample, dialect)
    head, body = lines[:first], [pair for pair in lines[first:] if not _COMMENT.match(pair[1])]
    remarks, names, units = _head(head, dialect, width, body[0][1])
    if names is None and _counts(dialect.cells(body[0][1])) and len(body) > 1:
        body = body[1:]
    refuse_if_too_large(file, len(body) * width)
    if width > max(MIN_SAMPLES, len(body)):
        columns, names = _turned(file, body, dialect)
        return TextTable(columns, names, None, remarks)
    return TextTable(_columns(file, body, dialect, width), names, units, remarks)


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
        if sample and characters > _SAMPLE_CHARACTERS:
            break
        if not _COMMENT.match(line):
            sample.append((place, line))
            characters += len(line)
    return sample


def _dialect(sample):
    """The dialect that makes the most numbers of the last lines, where the head is over."""
    last = [line for _, line in sample[-40:]]
    quote = "'" if any("'" in line for _, line in sample) and '"' not in "".join(last) else '"'
    if len({"," in line for line in last}) == 1 and _is_decimal_comma(sample):
        return Dialect(";", ",", quote)
    candidates = [
        Dialect(separator, decimal, quote)
        for decimal in (".", ",")
        for separator in ("\t", ";", ",", "|", " ")
    ]
    return max(candidates, key=lambda dialect: sum(_score(dialect, line) for line in last))


def _is_decimal_comma(sample):
    """Whether lines such as "-0,295" are one number each: their names have no comma."""
    last = [line.strip() for _, line in sample[-40:]]
    if not all(re.fullmatch(r"[-+]?\d+,\d+", line) for line in last):
        return False
    names = [line for _, line in sample if not re.fullmatch(r"[-+]?\d+(,\d+)?", line.strip())]
    return bool(names) and "," not in names[-1]


def _score(dialect, line):
    cells = dialect.cells(line)
    filled = [cell for cell in cells if not _is_missing(cell)]
    numbers = sum(map(dialect.is_number, filled))
    return numbers if 2 * numbers >= len(filled) else 0


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
                dialect.is_number(cell) or _is_missing(cell)
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
    return bool(numbers) and 2 * (numbers + sum(map(_is_missing, cells))) >= len(cells)


def _is_missing(cell):
    return cell.lower() in _MISSING


def _is_head(row, dialect):
    """Whether a line that is unlike the numbers below it has words, so that it stands above."""
    return not all(dialect.is_number(cell) or _is_missing(cell) for cell in row)


def _head(head, dialect, width, first):
    """What the lines above the numbers say.

    Returns:
        The remarks, the names or None, the units or None.
    """
    remarks, rows = {}, []
    for _, line in head:
        comment = _COMMENT.match(line)
        text = line[comment.end() :] if comment else line
        said = _remark(text, dialect)
        remarks |= said
        if not said:
            rows.append([cell.strip("'\" ") for cell in dialect.cells(text)])
        elif not comment:
            rows.clear()  # Names stand directly above the numbers.
    units = [cell.strip("()[] ") for cell in rows[-1]] if rows else []
    if any(map(unit_size, units)) and all(map(is_unit, units)):
        rows.pop()
    else:
        units = None
    names = None
    if rows and (len(rows[-1]) > 1 or width == 1) and not _counts(rows[-1]):
        names = _fit(rows[-1], width, dialect.cells(first))
    return remarks, names, units and _fit(units, width, [])


def _fit(cells, width, first):
    """Names for all columns, where a line of names is shorter or longer than the rows."""
    cells = list(cells)
    while len(cells) > width and not cells[-1]:
        cells.pop()
    # R leaves out the name of the column that counts the rows or names them.
    if len(cells) == width - 1 and first and _names_row(first[0]):
        cells.insert(0, "")
    return cells + [""] * (width - len(cells))


def _names_row(cell):
    """Whether a row's first cell is a word, or counts the rows."""
    return cell in ("0", "1") or not any(number.fullmatch(cell) for number in _NUMBERS.values())


def _counts(cells):
    """Whether cells count from 0 or 1, as pandas names columns that have no names."""
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


_RATE_KEYS = {
    "fs", "hz", "rate", "samplerate", "samplingrate", "samplefrequency", "samplingfrequency",
    "frequency", "abtastrate", "abtastfrequenz", "frecuenciademuestreo",
}  # fmt: skip
_UNIT_KEYS = {"unit", "units", "einheit", "unite", "unidad", "unidade", "unita", "eenheid"}
_LEAD_KEYS = {"lead", "ableitung", "derivation", "derivacion", "derivacao", "derivazione"}


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
            na_values=sorted(_MISSING),
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
