"""Where the leads of a row meet, in a level frame.

Names tell the columns' number and width, but not to which side of the boundary they stand. The
boundaries are where the network sees them (gaps, steps, rules and bars between two leads), and the
first is where the traces start.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from ecg_lib.pages.detection.general.lattice import Lattice
from ecg_lib.pages.detection.general.level import Level
from ecg_lib.pages.detection.general.rows import TRACED

_SHIFTS = (-0.25, 0.15)
"""A boundary lies from this share of a column's width left of its name to this right of it."""

_STRETCH = (-0.03, -0.015, 0.0, 0.015, 0.03)
"""By these shares the names may misjudge a column's width."""

_GAP = 0.03
"""Traces may pause for this share of the frame's width: names and beats cross them."""

_SEEN = 0.15
"""Minimum probability of a boundary."""

_START_OFF = 0.12
"""The traces start within this share of a column's width of the first boundary."""

_END_OFF = (0.42, 0.1)
"""The traces end at most this share of a column's width before, or after, the last boundary."""


_BEYOND = 0.5
"""Traces that go on for more columns beyond the first or last boundary belong to other columns."""


@dataclass(frozen=True)
class Columns:
    """The boundaries of the columns; lengths are in cells of the level frame.

    Attributes:
        across: (x0, w, s, k): boundary `c` lies at `x0 + w c + s y + k c y`.
        number: number of columns.
        first: where the traces really start, in columns.
        last: where they end, in columns.
        missed: whether they go on so far beyond the columns that there are more, or others.
    """

    across: np.ndarray
    number: int
    first: float
    last: float
    missed: bool

    def x(self, column: float, y: float) -> float:
        """Compute x of a boundary at a height."""
        return float(self.across @ [1, column, y, column * y])


def find_columns(level: Level, lattice: Lattice, rows: np.ndarray) -> Columns:
    """Bring the columns of the names onto the boundaries between the leads."""
    spacing = float(np.mean(np.diff(rows)))
    lines = [_Line(level, lattice, y, spacing) for y in rows]
    across = lattice.across
    if lattice.columns > 1:
        across = _moved_onto(lines, lattice)
        for reach in (0.06, 0.04):
            across = _fitted(lines, across, lattice.columns, reach, level.size[1])
    return Columns(across, lattice.columns, *_ends(lines, across, lattice.columns))


class _Line:
    """A row of leads: how likely a boundary is at each x, and from where to where it is traced."""

    def __init__(self, level, lattice, y, spacing):
        self.y = y
        boundary = _highest(level.boundary, y, 3)
        self.boundary = cv2.GaussianBlur(boundary[None], (5, 1), 1)[0]
        traced = _highest(level.trace, y, 0.4 * spacing) > TRACED
        self.extent = _longest_run(traced, lattice.x(lattice.columns / 2, y))

    def boundary_at(self, x):
        return np.interp(x, np.arange(len(self.boundary)), self.boundary)

    def boundary_near(self, x, reach):
        """Place and probability of the surest boundary near a place, or None."""
        first, last = max(int(x - reach), 0), min(int(x + reach) + 2, len(self.boundary))
        if last - first < 3:
            return None
        best = first + int(np.argmax(self.boundary[first:last]))
        if self.boundary[best] < _SEEN:
            return None
        around = np.arange(max(best - 2, 0), min(best + 3, len(self.boundary)))
        weights = self.boundary[around]
        return float(around @ weights / weights.sum()), float(self.boundary[best])


def _highest(values, y, reach):
    """Highest value of each column near a height, 0 beyond the frame."""
    first, last = max(int(y - reach), 0), max(int(y + reach) + 2, 0)
    return values[first:last].max(axis=0, initial=0)


def _longest_run(traced, middle):
    """Start and end of the longest traced piece around the page's middle, or None."""
    gap = max(int(_GAP * len(traced)), 3)
    closed = cv2.morphologyEx(
        traced.astype(np.uint8)[None],
        cv2.MORPH_CLOSE,
        np.ones((1, gap), np.uint8),
        borderType=cv2.BORDER_CONSTANT,
        borderValue=0,
    )[0]
    runs = np.flatnonzero(np.diff(closed, prepend=0, append=0)).reshape(-1, 2)
    if not len(runs):
        return None
    beside = np.maximum(np.maximum(runs[:, 0] - middle, middle - runs[:, 1]), 0)
    best = runs[np.argmax(runs[:, 1] - runs[:, 0] - 2 * beside)]
    return float(best[0]), float(best[1])


def _moved_onto(lines, lattice):
    """The names' columns, moved and stretched as one to where boundaries are likeliest."""
    columns = lattice.columns
    width = float(np.mean([lattice.width(line.y) for line in lines]))
    shifts = np.arange(_SHIFTS[0] * width, _SHIFTS[1] * width, 0.5)
    inner = np.arange(1, columns)
    best = None
    for stretch in _STRETCH:
        grown = stretch * width
        total = np.full(len(shifts), -abs(stretch))
        for line in lines:
            x = lattice.x(inner, line.y) + grown * (inner - columns / 2)
            total += line.boundary_at(x + shifts[:, None]).sum(axis=1)
            if line.extent is not None:
                start = lattice.x(0, line.y) - grown * columns / 2 + shifts
                total += 0.5 * np.exp(-(((start - line.extent[0]) / (0.03 * width)) ** 2))
        number = int(np.argmax(total))
        if best is None or total[number] > best[0]:
            best = total[number], shifts[number], grown
    _, shift, grown = best
    return lattice.across + np.array([shift - grown * columns / 2, grown, 0, 0])


def _fitted(lines, across, columns, reach, height):
    """Least squares through the boundaries near, held by where the columns were before."""
    terms, places, weights = [], [], []

    def add(column, y, place, weight):
        terms.append([1, column, y, column * y])
        places.append(place)
        weights.append(weight)

    for line in lines:
        width = across[1] + across[3] * line.y
        for column in range(1, columns):
            x = across @ [1, column, line.y, column * line.y]
            found = line.boundary_near(x, reach * width)
            if found is not None:
                add(column, line.y, *found)
        if line.extent is not None and line.extent[0] > 1:
            x = across @ [1, 0, line.y, 0]
            if abs(line.extent[0] - x) < 1.5 * reach * width:
                add(0, line.y, line.extent[0], 0.3)
    if len(terms) < 2:
        return across
    hold = 0.35 * np.diag([1, 1, height, height])
    weights = np.array(weights)
    a = np.vstack([weights[:, None] * np.array(terms, float), hold])
    b = np.concatenate([weights * np.array(places), hold @ across])
    return np.linalg.lstsq(a, b, rcond=None)[0]


def _ends(lines, across, columns):
    """Where the traces start and end, in columns, and whether they go on far beyond these."""
    extents = np.array([(line.y, *line.extent) for line in lines if line.extent is not None])
    if not len(extents):
        return 0.0, float(columns), False
    y, *ends = extents.T
    first, last = (
        float(np.median((x - across[0] - across[2] * y) / (across[1] + across[3] * y)))
        for x in ends
    )
    if columns == 1:
        return first, last, False
    missed = first < -_BEYOND or last > columns + _BEYOND
    if abs(first) > _START_OFF:
        first = 0.0
    if not columns - _END_OFF[0] < last < columns + _END_OFF[1]:
        last = float(columns)
    return first, last, missed
