"""A look at a page at the size at which it is read, and the marks on it."""

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from ecg_lib.pages.detection.general.lattice import Lattice, match, most_support
from ecg_lib.pages.detection.general.level import Level, level
from ecg_lib.pages.detection.general.marks import CELL, Marks, Name, find_marks
from ecg_lib.pages.detection.result import moved_points

LOOK_WIDTH = 1024
"""Width in pixels at which a page is read. Letters of 2 to 4 mm are then 6 to 18 px tall."""

MOST_PIXELS = 1_000_000
"""Maximum size of a look, which bounds the time."""

CLOSER = 2 * LOOK_WIDTH, 2 * MOST_PIXELS
"""Width and maximum size of a closer look at small print: on a page with ten seconds in each of two
columns, letters are half as tall as usual."""

LIKELY = 2.0
"""Minimum support of an arrangement, two names read without doubt, that makes another look worth
its time."""

MIDDLES = np.array([[CELL, 0, CELL / 2], [0, CELL, CELL / 2], [0, 0, 1]])
"""The homography from cells to pixels of a look."""

WHOLE = (slice(None), slice(None))


def look_at(
    luma: np.ndarray, part: tuple[slice, slice], width: float, most_pixels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Bring the part of a page that has ink to the size at which it is read.

    Returns:
        The look, uint8, and the homography (3, 3) from its pixels to those of the page.
    """
    top, left = (side.start or 0 for side in part)
    luma = luma[part]
    rows, columns = luma.shape
    scale = min(width / columns, np.sqrt(most_pixels / luma.size))
    size = (max(round(columns * scale), 4 * CELL), max(round(rows * scale), 4 * CELL))
    if scale <= 0.5 and min(rows, columns) > 1:
        luma = cv2.resize(luma, (columns // 2, rows // 2), interpolation=cv2.INTER_AREA)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    look = cv2.resize(luma, size, interpolation=how)
    across, down = columns / size[0], rows / size[1]
    return look, np.array([[across, 0, left], [0, down, top], [0, 0, 1]])


@dataclass(frozen=True)
class Seen:
    """The marks on a look at a page.

    Attributes:
        marks: the `Marks`.
        to_page: float array (3, 3), the homography from pixels of the look to those of the page.
        shape: height and width of the page.
    """

    marks: Marks
    to_page: np.ndarray
    shape: tuple[int, ...]

    @cached_property
    def level(self) -> Level:
        """The frame in which the lines run level."""
        return level(self.marks)

    @cached_property
    def lefts(self) -> np.ndarray:
        """Left ends of the names in the level frame: float array (names, 2)."""
        names = [(name.x - name.half_width, name.y) for name in self.marks.names]
        return moved_points(np.reshape(names, (-1, 2)), self.level.homography)

    @cached_property
    def lattices(self) -> list[Lattice]:
        """The lattices that the names make, the best supported first, where they may matter."""
        if most_support(self.marks.names) < LIKELY:
            return []
        return match(self.marks.names, self.lefts, self.level.size)

    @property
    def support(self) -> float:
        """Support of the best of them, 0 where the names make none."""
        return self.lattices[0].support if self.lattices else 0.0

    def with_names(self, names: list[Name]) -> "Seen":
        """Return the same with other names; the lines run level in the same frame."""
        seen = replace(self, marks=replace(self.marks, names=names))
        vars(seen)["level"] = self.level
        return seen


def see(
    luma: np.ndarray,
    part: tuple[slice, slice] = WHOLE,
    width: float = LOOK_WIDTH,
    most_pixels: int = MOST_PIXELS,
) -> Seen:
    """Look at a page and mark it.

    Args:
        luma: uint8 array (height, width), dark ink on light paper.
        part: rows and columns of the page that have ink.
        width: maximum width in pixels at which they are looked at.
        most_pixels: maximum size at which they are looked at.
    """
    look, to_page = look_at(luma, part, width, most_pixels)
    return Seen(find_marks(look), to_page, luma.shape)
