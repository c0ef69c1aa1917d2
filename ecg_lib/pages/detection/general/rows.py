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

_MIDWAY = (0.4, 0.6)
"""A line between two rows that is none of theirs lies within these shares of their distance."""

_SKIPPED = 0.8
"""Minimum share of a skipped line's cells on its baseline, as a share of that of the rows."""


def find_rows(level: Level, lattice: Lattice) -> tuple[np.ndarray, float, list[float]]:
    """Find the baselines of the rows that the names belong to, and of the strips below.

    All names of a page stand equally high above, or far below, the baselines of their rows. Of all
    such distances the right one has a trace on each baseline, and none where a row above the first
    would be.

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
    return rows, shift, _strips(level, lattice, rows, profile)


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


def _strips(level, lattice, rows, profile):
    spacing = float(np.mean(np.diff(rows)))
    usual = np.median(np.interp(rows, np.arange(len(profile)), profile))
    padded = np.append(profile, 0)
    strips = []
    while len(strips) < _MOST_STRIPS:
        last = strips[-1] if strips else rows[-1]
        first, end = (int(last + share * spacing) for share in _STRIP_APART)
        peaks = [
            y
            for y in range(max(first, 1), min(end + 1, len(profile)))
            if padded[y] >= max(padded[y - 1], padded[y + 1], _STRIP_STRENGTH * usual)
            and covered(level, lattice, y, 0.25 * spacing).mean() > _STRIP_COVERED
        ]
        if not peaks:
            break
        # The tops of beats can be a peak of their own above the baseline.
        near = [y for y in peaks if y < peaks[0] + 0.45 * spacing]
        strips.append(_peak(profile, max(near, key=lambda y: profile[y]), 1.5))
    return strips
