"""Whether a page is upside down or mirrored: its names are read again, each flipped on its own.

Where names stand is seen on such a page too, but not what they say. To look at them alone takes a
fraction of the time of another look at the page.
"""

import numpy as np

from ecg_lib.pages.detection.general.lattice import CANDIDATES, match
from ecg_lib.pages.detection.general.marks import CELL, find_marks_in
from ecg_lib.pages.detection.general.reading import Seen
from ecg_lib.pages.detection.result import moved_points

UPSIDE_DOWN, MIRRORED = np.array([-1, -1]), np.array([-1, 1])
"""Ways to flip a page: the directions of x and y."""

_SIDE = 20
"""Side of the patch around a name, in cells."""

_OFF = (6, 4)
"""A name's middle lies within so many cells of the patch's, across and down."""


def support_flipped(seen: Seen, flip: np.ndarray) -> float:
    """Compute the support of the best lattice that the names of a look make where it is flipped.

    Args:
        seen: the look.
        flip: `UPSIDE_DOWN` or `MIRRORED`.
    """
    surest = sorted(seen.marks.names, key=lambda name: -name.certainty)[:CANDIDATES]
    if not surest:
        return 0.0
    middles = np.round([(name.x, name.y) for name in surest]).astype(int)
    padded = np.pad(seen.marks.darkness, _SIDE * CELL // 2)
    patches = [
        padded[CELL * y : CELL * (y + _SIDE), CELL * x : CELL * (x + _SIDE)][:: flip[1], :: flip[0]]
        for x, y in middles
    ]
    names = find_marks_in(np.vstack(patches)).names
    places = np.array([(name.x, name.y) for name in names]).reshape(-1, 2)
    patch = (places[:, 1] // _SIDE).astype(int)
    off = places - (_SIDE - 1) / 2
    off[:, 1] -= _SIDE * patch
    kept = np.flatnonzero((np.abs(off) < _OFF).all(axis=1))
    on_level = moved_points(middles[patch] + flip * off, seen.level.homography)
    lefts = np.where(flip > 0, on_level, seen.level.size - on_level)
    lefts[:, 0] -= [name.half_width for name in names]
    lattices = match([names[k] for k in kept], lefts[kept], seen.level.size)
    return lattices[0].support if lattices else 0.0
