"""Which lines below the rows of leads are rhythm strips, and which leads they repeat."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ecg_lib.pages.detection.general.lattice import Lattice
from ecg_lib.pages.detection.general.level import Level
from ecg_lib.pages.detection.general.marks import KINDS, Name
from ecg_lib.pages.detection.general.rows import TRACED, ends

_NEAR = (0.25, 0.3)
"""A strip's name lies within these shares of a column's width and of a row's height of where the
names of the rows lie."""

_READ = 0.5
"""Minimum probability of the lead that a strip repeats."""

_BEAT = 3
"""Beats leave the baseline by this many cells, about as many millimetres."""

_PAUSE = 0.2
"""Maximum share of a strip's length without a beat: two of ten seconds."""

_EVEN = 0.25
"""A line that is as far from the line above as rows are differs by less than this share."""


def named_strips(
    level: Level,
    lattice: Lattice,
    names: Sequence[Name],
    lefts: np.ndarray,
    lines: Sequence[float],
    shift: float,
) -> dict[float, str | None]:
    """Tell strips from folds in the paper, and read their names.

    Args:
        level: the level frame.
        lattice: the names of the rows.
        names: all names of the look.
        lefts: float array (names, 2), their left ends in the level frame.
        lines: y of the last row and of the lines below it.
        shift: the distance from a name down to its baseline.

    Returns:
        {y of a strip: the lead that it repeats, or None where that cannot be read}.
    """
    strips = {}
    for above, y in pairwise(lines):
        name = _name_at(names, lefts, y - shift, lattice)
        if name is not None or _is_nameless_strip(level, lattice, y, above):
            strips[y] = _lead(name)
    return strips


def _name_at(names, lefts, y, lattice):
    """The name that stands before a strip, or None."""
    reach = _NEAR * np.array([lattice.width(y), lattice.spacing])
    off = np.abs(lefts - [lattice.x(0, y), y])
    near = [name for name, is_near in zip(names, (off < reach).all(axis=1), strict=True) if is_near]
    return max(near, key=lambda one: one.certainty, default=None)


def _lead(name):
    """The lead that a name says, or None where it cannot be read."""
    if name is None or name.probabilities.max() <= _READ:
        return None
    return KINDS[int(np.argmax(name.probabilities))]


def _is_nameless_strip(level, lattice, y, above):
    """Whether a line without a name can be a strip, and not a fold in the paper.

    A strip shows beats, or is so flat that none can be seen, but stands where the next row would.
    """
    even = abs(y - above - lattice.spacing) < _EVEN * lattice.spacing
    return even or _shows_beats(level, lattice, y)


def _shows_beats(level, lattice, y):
    """Whether beats leave a line all along."""
    left, right = ends(level, lattice, y)
    heights = round(y) + np.array([-_BEAT - 1, -_BEAT, _BEAT, _BEAT + 1])
    heights = heights[(heights >= 0) & (heights < level.size[1])]
    off = (level.trace[heights, left:right] > TRACED).any(axis=0)
    beats = np.flatnonzero(np.pad(off, 1, constant_values=True))
    return bool(np.diff(beats).max() < _PAUSE * (right - left))
