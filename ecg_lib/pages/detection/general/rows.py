"""The heights of a page's lines, in a level frame: rows of leads, and the strips below them."""

from itertools import pairwise

import numpy as np

from ecg_lib.pages.detection.general.lattice import Lattice
from ecg_lib.pages.detection.general.level import Level

TRACED = 0.4
"""A cell shows a trace from this probability on."""

_SHIFTS = (-0.6, 0.9)
"""A name stands from this much of a row's height below its baseline to this much above it."""

_NEAR = 0.22
"""A baseline is looked for within this share of a row's height."""

_MOST_STRIPS = 3

_STRIP_APART = (0.35, 1.9)
"""Distance of a strip from the line above it, in heights of a row."""

_STRIP_COVERED = 0.6
"""Minimum share of a strip's length that shows a trace; lines of text and rules show none."""

_STRIP_STRENGTH = 0.45
"""Minimum share of a strip's cells on its baseline, as a share of that of the rows."""

_TOPS = 0.45
"""Peaks of the profile that are apart by less than this share of a row's height are one line's."""

_ON = 3
"""A row is on a line from which it is off by less than this many cells."""

_MIDWAY = (0.4, 0.6)
"""A line between two rows that is none of theirs lies within these shares of their distance."""

_SKIPPED = 0.8
"""Minimum share of a skipped line's cells on its baseline, as a share of that of the rows."""


def find_rows(level: Level, lattice: Lattice) -> tuple[np.ndarray, float, list[float]]:
    """Find the baselines of the rows that the names belong to, and of the strips below.

    All names of a page stand equally high above, or far below, the baselines of their rows. Of all
    such distances the right one has a trace on each baseline, and none where a row above the first
    would be. Rows of which no name is read are looked for at equal distances, and, where that finds
    no line, on the lines beside the other rows.

    Returns:
        y of the rows' baselines; the distance from a name down to its baseline; y of the strips.
    """
    profile = _profile(level, lattice)
    at, names = np.arange(len(profile)), lattice.names_y
    spacing = lattice.spacing

    def on_trace(y):
        return np.sqrt(np.interp(y, at, profile, 0, 0))

    above = 2 * names[0] - names[1]
    shifts = np.arange(_SHIFTS[0] * spacing, _SHIFTS[1] * spacing, 0.25)
    fits = [
        on_trace(names + shift).mean()
        - on_trace(above + shift) / len(names)
        - 0.02 * abs(shift) / spacing  # names are near their lines, where nothing else tells
        for shift in shifts
    ]
    shift = float(shifts[int(np.argmax(fits))])
    rows = np.array([_peak(profile, y + shift, _NEAR * spacing) for y in names])
    lines = _lines(level, lattice, rows, profile)
    rows = _on_lines(rows, lattice.named, lines)
    return rows, shift, _strips(rows, lines)


def fits_lines(level: Level, lattice: Lattice) -> bool:
    """Return whether each row of a lattice runs on a line, and no line between two of them."""
    rows, _, _ = find_rows(level, lattice)
    lines = _lines(level, lattice, rows, _profile(level, lattice))
    return _are_on(rows, lines) and not skips_lines(level, lattice, rows)


def skips_lines(level: Level, lattice: Lattice, rows: np.ndarray) -> bool:
    """Return whether as strong a line runs midway between two rows, to which no names belong."""
    profile = _profile(level, lattice)
    usual = np.median(np.interp(rows, np.arange(len(profile)), profile))
    for upper, lower in pairwise(rows):
        first, last = (int(upper + share * (lower - upper)) for share in _MIDWAY)
        if profile[first : last + 1].max(initial=0) > _SKIPPED * usual:
            return True
    return False


def ends(level: Level, lattice: Lattice, y: float) -> tuple[int, int]:
    """Find from which column of cells to which the leads reach at a height."""
    left = int(np.clip(lattice.x(0, y), 0, level.size[0] - 2))
    return left, int(np.clip(lattice.x(lattice.columns, y), left + 1, level.size[0]))


def covered(level: Level, lattice: Lattice, y: float, reach: float) -> np.ndarray:
    """Find the columns of cells that show a trace near a height, from first lead to last."""
    left, right = ends(level, lattice, y)
    band = level.trace[max(int(y - reach), 0) : max(int(y + reach) + 2, 0), left:right]
    return band.max(axis=0) > TRACED if band.size else np.zeros(right - left, bool)


def _profile(level, lattice):
    """Mean of the traces over each row of cells, slightly smoothed."""
    middle = lattice.names_y.mean()
    left = max(int(lattice.x(0, middle)), 0)
    right = max(int(lattice.x(lattice.columns, middle)), left + 10)
    return np.convolve(level.trace[:, left:right].mean(axis=1), [0.25, 0.5, 0.25], "same")


def _peak(profile, y, reach):
    """y of the highest value near a height, or the height itself if there is none."""
    first, last = max(int(np.ceil(y - reach)), 0), min(int(y + reach) + 1, len(profile))
    if last <= first:
        return float(y)
    best = first + int(np.argmax(profile[first:last]))
    if profile[best] <= 0.02:
        return float(y)
    around = np.arange(max(best - 1, 0), min(best + 2, len(profile)))
    return float(around @ profile[around] / profile[around].sum())


def _lines(level, lattice, rows, profile):
    """y of all lines as long and nearly as strong as the rows, each at its strongest."""
    # Names of no page can make rows that nearly coincide.
    spacing = max(float(np.mean(np.diff(rows))), 1.0)
    usual = np.median(np.interp(rows, np.arange(len(profile)), profile))
    padded = np.append(profile, 0)
    peaks = [
        y
        for y in range(1, len(profile))
        if padded[y] >= max(padded[y - 1], padded[y + 1], _STRIP_STRENGTH * usual)
        and covered(level, lattice, y, 0.25 * spacing).mean() > _STRIP_COVERED
    ]
    lines = []
    while peaks:
        # The tops of beats can be a peak of their own above the baseline.
        near = [y for y in peaks if y < peaks[0] + _TOPS * spacing]
        lines.append(_peak(profile, max(near, key=lambda y: profile[y]), 1.5))
        peaks = [y for y in peaks[1:] if y >= lines[-1] + _STRIP_APART[0] * spacing]
    return np.array(lines)


def _are_on(rows, lines):
    """Whether each row is on a line."""
    return len(lines) > 0 and np.abs(rows[:, None] - lines).min(axis=1).max() < _ON


def _on_lines(rows, named, lines):
    """Move rows of which no name is read to the lines beside the others, if some are on no line."""
    if _are_on(rows, lines):
        return rows
    moved = rows.copy()
    for above, below in pairwise([-1, *np.flatnonzero(named), len(rows)]):
        number = below - above - 1
        top = rows[above] + _ON if above >= 0 else -np.inf
        bottom = rows[below] - _ON if below < len(rows) else np.inf
        between = lines[(lines > top) & (lines < bottom)]
        # Other lines may lie beyond the outermost rows, such as strips.
        if above < 0:
            between = between[max(len(between) - number, 0) :]
        elif below == len(rows):
            between = between[:number]
        if len(between) == number:
            moved[above + 1 : below] = between
    return moved if np.diff(moved).max() < _STRIP_APART[1] * np.mean(np.diff(rows)) else rows


def _strips(rows, lines):
    """The lines below the rows, as far as they follow one another."""
    spacing = float(np.mean(np.diff(rows)))
    strips = []
    for y in lines:
        above = strips[-1] if strips else rows[-1]
        nearest, farthest = (above + share * spacing for share in _STRIP_APART)
        if nearest <= y <= farthest and len(strips) < _MOST_STRIPS:
            strips.append(float(y))
    return strips
