"""Find how a table's lines are made: their separator, decimal sign and quotes.

`csv.Sniffer` takes a decimal comma for a separator, so the dialect is chosen by which one makes the
most numbers.
"""

import csv
import re
from typing import NamedTuple

_NUMBERS = {
    ".": re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?"),
    ",": re.compile(r"[-+]?(\d+|\d+,\d+|,\d+)([eE][-+]?\d+)?"),
}
MISSING = {"", "nan", "na", "n/a", "null", "none", "-", "--"}
COMMENT = re.compile(r"\s*(#|%|//)\s*")


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


def find_dialect(sample: list[tuple[int, str]]) -> Dialect:
    """Find the dialect that makes the most numbers of the last lines, where the head is over.

    Args:
        sample: pairs of a line's position and text.
    """
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
    filled = [cell for cell in cells if not is_missing(cell)]
    numbers = sum(map(dialect.is_number, filled))
    return numbers if 2 * numbers >= len(filled) else 0


def is_missing(cell: str) -> bool:
    """Return whether a cell is empty, or says that a number is missing."""
    return cell.lower() in MISSING
