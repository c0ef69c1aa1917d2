"""Names read again, each alone in a patch around it: closer, upside down, mirrored, or turned.

Where names stand is seen on any page, also where they are too small to be read or stand otherwise.
To look at them alone takes a fraction of the time of another look at the page.
"""

from dataclasses import replace

import numpy as np

from ecg_lib.pages.detection.general.lattice import CANDIDATES, match, most_support
from ecg_lib.pages.detection.general.looks import CLOSER, LIKELY, MIDDLES, Seen, look_at
from ecg_lib.pages.detection.general.marks import CELL, Name, darkness, find_marks_in
from ecg_lib.pages.detection.result import moved_points

UPRIGHT, UPSIDE_DOWN = np.array([1, 1]), np.array([-1, -1])
MIRRORED, UPSIDE_DOWN_MIRRORED = np.array([-1, 1]), np.array([1, -1])
"""Ways to flip a page: the directions of x and y."""

_SIDE = 20
"""Side of the patch around a name, in cells."""

_OFF = (6, 4)
"""A name's middle lies within so many cells of the patch's, across and down."""


def look_closer(luma: np.ndarray, part: tuple[slice, slice], seen: Seen) -> Seen:
    """Read the names again at a larger size, and those that are missing where they are expected.

    Args:
        luma: uint8 array (height, width), dark ink on light paper.
        part: rows and columns of the page that have ink.
        seen: the look at it; all but its names stays as it was seen.
    """
    look, to_page = look_at(luma, part, *CLOSER)
    to_look = np.linalg.inv(to_page) @ seen.to_page @ MIDDLES
    places = np.vstack([_surest(seen), _expected(seen)])
    return seen.with_names(_read_again(places, darkness(look), to_look, UPRIGHT))


def support_flipped(seen: Seen, flip: np.ndarray) -> float:
    """Compute the support of the best lattice that the names of a look make where it is flipped.

    Args:
        seen: the look.
        flip: `UPSIDE_DOWN`, `MIRRORED` or both.
    """
    names = _read_again(_surest(seen), seen.marks.darkness, MIDDLES, flip)
    if most_support(names) < LIKELY:
        return 0.0
    on_level = moved_points([(name.x, name.y) for name in names], seen.level.homography)
    lefts = np.where(flip > 0, on_level, seen.level.size - on_level)
    lefts[:, 0] -= [name.half_width for name in names]
    lattices = match(names, lefts, seen.level.size)
    return lattices[0].support if lattices else 0.0


def turned(seen: Seen) -> Seen:
    """Turn a look by 90 degrees clockwise."""
    marks = seen.marks
    height = len(marks.trace)
    maps = {
        name: np.ascontiguousarray(np.rot90(getattr(marks, name), -1))
        for name in ("darkness", "trace", "pulse", "boundary")
    }
    names = [replace(name, x=height - 1 - name.y, y=name.x) for name in marks.names]
    return replace(seen, marks=replace(marks, names=names, **maps))


def _surest(seen):
    """Middles of the surest names: array (names, 2), in cells."""
    surest = sorted(seen.marks.names, key=lambda name: -name.certainty)[:CANDIDATES]
    return np.reshape([(name.x, name.y) for name in surest], (-1, 2))


def _expected(seen):
    """Middles of the names that the best lattice has, but which were not read."""
    if not seen.lattices:
        return np.empty((0, 2))
    best = seen.lattices[0]
    half_width = np.median([name.half_width for name in best.read.values()])
    places = [
        (best.x(column, y) + half_width, y)
        for row, y in zip(best.rows, best.names_y, strict=True)
        for column, lead in enumerate(row)
        if lead not in best.read
    ]
    to_look = np.linalg.inv(seen.level.homography)
    middles = moved_points(np.reshape(places, (-1, 2)), to_look)
    height, width = seen.marks.trace.shape
    return middles[((middles > 0) & (middles < [width, height])).all(axis=1)]


def _read_again(
    places: np.ndarray, dark: np.ndarray, to_pixels: np.ndarray, flip: np.ndarray
) -> list[Name]:
    """Read names again, each flipped, at places in cells of a look of known darkness."""
    if not len(places):
        return []
    # Where a name is expected in the last cell, its middle may lie a little beyond the look.
    ends = np.array(dark.shape)[::-1]
    middles = moved_points(places, to_pixels).round().astype(int).clip(0, ends)
    side = _SIDE * CELL
    padded = np.pad(dark, side // 2)
    patches = [padded[y : y + side, x : x + side][:: flip[1], :: flip[0]] for x, y in middles]
    zoom = to_pixels[0, 0] / CELL
    to_cells = np.linalg.inv(to_pixels)
    found = []
    for name in find_marks_in(np.vstack(patches)).names:
        patch = int(name.y // _SIDE)
        off = np.array([name.x, name.y - _SIDE * patch]) - (_SIDE - 1) / 2
        if (np.abs(off) < _OFF).all():
            x, y = moved_points(middles[patch] + CELL * flip * off, to_cells)
            found.append(replace(name, x=x, y=y, half_width=name.half_width / zoom))
    return found
