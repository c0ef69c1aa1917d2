"""A reduced look at a page: only the inked part of it, at one size, as ink on nothing.

Finding a layout needs far fewer pixels than reading a lead does. Cutting away the empty sheet first
makes the look the same whatever the size of the scan and wherever on the sheet the ECG lies.
"""

from dataclasses import dataclass

import cv2
import numpy as np

LOOK_WIDTH = 1000
"""Width in pixels that the inked part of a page is brought to. A trace of 10 s is then about 920 px
long and a calibration pulse of 1 mV about 37 px tall."""

_TALLEST = 3
"""A look is at most this many times `LOOK_WIDTH` tall, and narrower where that is not enough."""

_LOCATING_SIZE = 400
"""The ink is located on a page halved until its longer side would be shorter than this."""

_MARGIN = 0.02
"""Share of the ink's width that is kept free around it."""

_PAPER_WINDOW = 5
"""Window, in pixels of a quarter-size picture, in which the brightest pixel is taken for paper.
It is wider than any stroke and narrower than the slopes of uneven light."""

_DARKEST_SHARE = 0.005
"""Share of the pixels that is surely ink: traces cover 2 to 5 % of the real pages."""

_LEAST_DARKNESS = 0.15
"""Darkness, against the paper, that the darkest pixels must have to be full ink; noise has less."""

_FAINTEST, _FULL = 0.2, 0.45
"""Darkness, as a share of that of the darkest pixels, at which ink begins and is full. The grid of
the real pages lies mostly below a fifth; the thinnest calibration pulses lie at about 0.4."""

_HAIRLINES_LOST = 0.8
"""Below this scale a linear interpolation skips parts of hairlines. The mean over areas keeps them,
but takes as long as all the rest together."""


@dataclass(frozen=True)
class Look:
    """The inked part of a page.

    Attributes:
        ink: uint8 array (height, `LOOK_WIDTH` as a rule), 0 on paper and grid to 255 on ink.
        to_page: float array (3, 3), the homography from this look's pixels to the page's.
    """

    ink: np.ndarray
    to_page: np.ndarray

    @property
    def offset(self) -> np.ndarray:
        """The homography (3, 3) from pixels of the look's part of the page to those of the page."""
        return np.array([[1, 0, self.to_page[0, 2]], [0, 1, self.to_page[1, 2]], [0, 0, 1]])

    @property
    def part(self) -> tuple[slice, slice]:
        """Rows and columns of the page that a look at the flat page shows."""
        height, width = self.ink.shape
        corners = self.to_page @ [[0, width], [0, height], [1, 1]]
        (left, right), (top, bottom) = np.round(corners[:2]).astype(int)
        return slice(int(top), int(bottom)), slice(int(left), int(right))


def look_at(luma: np.ndarray) -> Look | None:
    """Cut the inked part out of a page and bring it to `LOOK_WIDTH`.

    Args:
        luma: uint8 array (height, width), dark ink on light paper.

    Returns:
        A `Look`, or None where there is no ink.
    """
    small = luma
    # A side of one pixel is halved no further.
    while max(small.shape) >= 2 * _LOCATING_SIZE and min(small.shape) > 1:
        small = _half(small)
    extent = _ink_extent(soft_ink(small))
    if extent is None:
        return None
    left, top, right, bottom = (edge * luma.shape[1] // small.shape[1] for edge in extent)
    margin = round(_MARGIN * (right - left))
    left, top = max(left - margin, 0), max(top - margin, 0)
    part = luma[top : bottom + margin, left : right + margin]
    scale = LOOK_WIDTH / max(part.shape[1], part.shape[0] / _TALLEST)
    to_page = np.array([[1 / scale, 0, left], [0, 1 / scale, top], [0, 0, 1]])
    return Look(soft_ink(_resized(part, scale)), to_page)


def look_through(luma: np.ndarray, to_page: np.ndarray, size: tuple[int, int]) -> Look:
    """Look at a page through a homography.

    Args:
        luma: uint8 array (height, width), dark ink on light paper.
        to_page: float array (3, 3), from the look's pixels to the page's.
        size: width and height of the look, in pixels.

    Returns:
        A `Look`.
    """
    to_page = to_page / to_page[2, 2]
    scale = min(1 / np.sqrt(abs(np.linalg.det(to_page[:2, :2]))), 1)
    seen = cv2.warpPerspective(
        _resized(luma, scale),
        np.diag([scale, scale, 1]) @ to_page,
        size,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return Look(soft_ink(seen), to_page)


def even_light(luma: np.ndarray) -> np.ndarray:
    """Divide a page by the brightness of its paper, so that the paper is white in any light.

    Args:
        luma: uint8 array (height, width), dark ink on light paper.

    Returns:
        A uint8 array of the same shape.
    """
    window = (_PAPER_WINDOW, _PAPER_WINDOW)
    paper = cv2.blur(cv2.dilate(_half(_half(luma)), np.ones(window, np.uint8)), window)
    return cv2.divide(luma, cv2.resize(paper, luma.shape[::-1]), scale=255)


def soft_ink(luma: np.ndarray) -> np.ndarray:
    """Measure how surely each pixel is ink rather than paper or grid, whatever the light.

    Args:
        luma: uint8 array (height, width), dark ink on light paper.

    Returns:
        A uint8 array of the same shape, 0 to 255.
    """
    light = even_light(luma)
    sample = light[::2, ::2]
    least = 255 * _LEAST_DARKNESS
    # The paper, nearly all of a page, would take ten times as long to count, for nothing.
    dark = 255 - sample[sample < 255 - int(least)]
    darker = np.cumsum(np.bincount(dark, minlength=256)[::-1])[::-1]
    full = np.flatnonzero(darker >= _DARKEST_SHARE * sample.size).max(initial=0)
    shares = (255 - np.arange(256)) / max(full, least)
    ramp = np.clip((shares - _FAINTEST) / (_FULL - _FAINTEST), 0, 1)
    return cv2.LUT(light, np.round(255 * ramp).astype(np.uint8))


def _half(luma):
    """Mean of every 2x2 pixels; a last odd row or column is left out, which keeps it fast."""
    height, width = luma.shape
    if min(height, width) < 2:
        return luma
    even = luma[: height // 2 * 2, : width // 2 * 2]
    return cv2.resize(even, (width // 2, height // 2), interpolation=cv2.INTER_AREA)


def _resized(luma, scale):
    """The page at another scale, quickly, and without losing hairlines."""
    height, width = luma.shape
    size = (max(round(scale * width), 1), max(round(scale * height), 1))
    while scale <= 0.5:
        luma = _half(luma)
        scale *= 2
    how = cv2.INTER_AREA if scale < _HAIRLINES_LOST else cv2.INTER_LINEAR
    return cv2.resize(luma, size, interpolation=how)


def _ink_extent(ink):
    """Left, top, right, bottom of all rows and columns with at least two pixels of ink."""
    inked = ink > 127
    # Numbers as small as will do: numpy adds them several times as fast.
    columns = np.flatnonzero(inked.sum(axis=0, dtype=np.uint16) > 1)
    rows = np.flatnonzero(inked.sum(axis=1, dtype=np.uint16) > 1)
    if not columns.size or not rows.size:
        return None
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
