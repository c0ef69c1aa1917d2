"""How a look at a page is tilted, found from its lines: traces, rules, and lines of text.

All lines that are level on the paper meet, in a photograph, in one point. Around the look's middle
they are `y = v + (slope + convergence * v) * x`, one line for each v, and the homography of
`levelling` makes them level. For a page that is only rotated the convergence is 0.
"""

from collections.abc import Iterable

import cv2
import numpy as np

from ecg_lib.pages.detection.lines import Lines
from ecg_lib.pages.detection.pulses import HEIGHT as PULSE_HEIGHT

PULSES_UPRIGHT = 0.003
"""Largest lean, in pixels to the right for each pixel down, of the column of pulses on a straight
page. It is 0 on all real pages."""

ENDS_UPRIGHT = 0.04
"""The same for the traces' ends, which are less steady."""

AGREEING = 4
"""Lines whose ends lie within this many pixels of one straight line agree."""

SAME_SIZE = 0.15
"""Pulses whose height is off by less than this share are of the right size."""

_CLEAR = np.array([-0.03, 0, 0.03])
"""Slopes tried: whether a look is clearly tilted."""

_BLOCKS = 40
"""The look is read in so many upright blocks, in each of which a tilted line is nearly level."""


def levelling_homography(
    tilt: tuple[float, float], shape: tuple[int, int]
) -> tuple[np.ndarray, tuple[int, int]]:
    """Compute what makes a tilted look level.

    Args:
        tilt: `(slope, convergence)`, in pixels down for each pixel to the right, and in such
            slope for each pixel down.
        shape: height and width of the look.

    Returns:
        The homography (3, 3) from the look's pixels to those of the level look, and the level
        look's width and height.
    """
    slope, convergence = tilt
    height, width = shape
    level = np.array([[1, slope, 0], [-slope, 1, 0], [convergence, 0, 1]])
    level = level @ _moving(-width / 2, -height / 2)
    corners = np.array([[[0, 0], [width, 0], [width, height], [0, height]]], np.float64)
    moved = cv2.perspectiveTransform(corners, level)[0]
    right, bottom = np.ceil(np.ptp(moved, axis=0)).astype(int).tolist()
    return _moving(*-moved.min(axis=0)) @ level, (right, bottom)


def is_straight(ink: np.ndarray, lines: Lines) -> bool:
    """Return whether a look shows a page neither tilted nor seen from aside.

    Args:
        ink: uint8 array (height, width), 255 on ink.
        lines: the `ecg_lib.pages.detection.lines.Lines` found in it.
    """
    pulses_lean, _ = _agreed_line(lines.baselines, lines.starts[:, 0])
    ends_lean, _ = _agreed_line(lines.baselines, lines.ends)
    if abs(pulses_lean) > PULSES_UPRIGHT or abs(ends_lean) > ENDS_UPRIGHT:
        return False
    return Profiles(ink, 2).sharpest(_CLEAR, _CLEAR) == (0, 0)


def enlarging_homography(lines: Lines) -> tuple[np.ndarray, tuple[int, int]] | None:
    """Compute what brings the lines of a straight look to the usual size.

    Args:
        lines: the `ecg_lib.pages.detection.lines.Lines` of the look.

    Returns:
        The homography and the size of the new look, like those of `levelling`; or None where the
        pulses have the usual height already.
    """
    zoom = PULSE_HEIGHT / lines.pulses.height
    if abs(np.log(zoom)) < SAME_SIZE:
        return None
    left, right = np.median(lines.starts[:, 0]), np.median(lines.ends)
    corner, size = _frame(lines, zoom, right - left)
    x, y = corner - zoom * np.array([left, lines.baselines[0]])
    return np.array([[zoom, 0, x], [0, zoom, y], [0, 0, 1]]), size


def _frame(lines, zoom, length):
    """Where the first trace starts in a look with some room around the lines, and its size."""
    gaps = np.diff(lines.baselines)
    room = zoom * max(gaps[0], gaps[-1]) / 2 + PULSE_HEIGHT
    corner = np.array([2 * PULSE_HEIGHT, room])
    size = corner + np.array([zoom * length + PULSE_HEIGHT, zoom * gaps.sum() + room])
    return corner, tuple(np.ceil(size).astype(int).tolist())


def _agreed_line(y, x):
    """Slope and offset of the straight line x(y) on which most points agree, upright in doubt."""
    one, other = np.triu_indices(len(y), 1)
    slopes = (x[other] - x[one]) / (y[other] - y[one])
    off = x - x[one][:, None] - slopes[:, None] * (y - y[one][:, None])
    agreeing = np.abs(off) <= AGREEING
    best = np.lexsort((np.abs(slopes), -agreeing.sum(axis=1)))[0]
    return np.polyfit(y[agreeing[best]], x[agreeing[best]], 1)


def _moving(right, down):
    return np.array([[1.0, 0, right], [0, 1, down], [0, 0, 1]])


class Profiles:
    """Mean ink of each row in each of `_BLOCKS` upright blocks, one row for `reduction` rows."""

    def __init__(self, ink, reduction):
        height, width = ink.shape
        rows = max(height // reduction, 1)
        whole = ink[: rows * reduction]
        small = cv2.resize(whole, (_BLOCKS, rows), interpolation=cv2.INTER_AREA)
        # Lying on its side, so that what is done to all rows is done to long ones.
        self.ink = np.ascontiguousarray(small.T)
        self.rows = np.arange(rows, dtype=np.float32)
        self.blocks = np.repeat(np.arange(_BLOCKS, dtype=np.float32)[:, None], rows, axis=1)
        # How many rows a line has gone down in each block, where its slope is 1.
        middles = (np.arange(_BLOCKS) + 0.5) / _BLOCKS - 0.5
        self.down = (middles * width * rows / height).astype(np.float32)[:, None]

    def sharpest(self, tops: Iterable[float], bottoms: Iterable[float]) -> tuple[float, float]:
        """Find the slopes at top and bottom, of those given, along which the sums differ most."""
        return max(
            ((float(top), float(bottom)) for top in tops for bottom in bottoms),
            key=lambda slopes: self._sharpness(*slopes),
        )

    def _sharpness(self, top, bottom):
        slopes = np.linspace(top, bottom, self.rows.size, dtype=np.float32)
        at = self.rows + slopes * self.down
        # Beyond the look there is paper only: no ink.
        along = cv2.remap(self.ink, at, self.blocks, cv2.INTER_NEAREST)
        sums = along.sum(axis=0, dtype=np.float32)
        return float(sums @ sums)
