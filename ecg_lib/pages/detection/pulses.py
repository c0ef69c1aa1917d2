"""Calibration pulses: the square of 1 mV drawn at the left end of every line.

They say how many lines a page has, where each line's baseline lies, and how long 1 mV is. Nothing
else on paper looks like several equal, empty, open boxes one above the other, so they also tell an
ECG page from anything else.
"""

from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np

HEIGHT = 37
"""Height of a pulse in pixels of a look: 10 mm, where 250 mm of trace are about 920 pixels."""

_NARROW, _WIDE = 0.23, 0.5
"""Widths of the pulses of the real pages, as shares of their height."""

_NARROWEST, _WIDEST = 0.15, 1.2
"""Widths of pulses of any speed and gain."""

_STROKE_INK = 0.5
"""Minimum share of ink along a pulse's right stroke."""

_TOLERANCE = 5
"""How many pixels a stroke may lie off, from end to end of this window."""

_LEAST_SCORE = 0.3
"""Least score of a pulse: those of the real pages reach 0.45 to 1, other ink mostly below 0.3."""

_SEARCHED_SHARE = 0.25
"""Pulses are looked for in this share of the look's width, from its left."""

_STRONGEST = 24
"""As many candidates are kept; a page has 4 to 7 pulses."""

_ANCHORS = 10
"""The column is drawn through two of this many strongest candidates."""

_LEAN = 0.15
"""Largest lean of the column of pulses, in pixels sideways for each pixel down."""

_APART = 0.5
"""Least distance between baselines, in pulse heights: 0.75 on the real pages."""

_ALIKE = 0.65
"""Least score of a pulse as a share of the column's best: pulses of one page are all alike."""

_ALIGNED = 5
"""Largest distance, in pixels, of a pulse from the line through all pulses."""


_MEASURED = 0.5
"""Minimum share of the pulses whose left stroke ends at top and foot. It is 1 on the real pages."""


@dataclass(frozen=True)
class Pulses:
    """The column of pulses at the left of an ECG, from top to bottom.

    Attributes:
        feet: float array (lines, 2): x, y of the foot of each pulse's left stroke, which lies on
            the line's baseline, in pixels of the look.
        width: distance between a pulse's strokes, in pixels of the look.
        height: height of the pulses, in pixels of the look.
        score: mean score, 0 to 1.
        strays: number of other places that look as much like a pulse.
    """

    feet: np.ndarray
    width: float
    height: float
    score: float
    strays: int


def find_pulses(ink: np.ndarray, height: float = HEIGHT) -> Pulses | None:
    """Find the column of calibration pulses.

    Args:
        ink: uint8 array (height, width), 255 on ink, as `detection.ink.look_at` gives it.
        height: height of a pulse, in pixels.

    Returns:
        `Pulses`, with the highest sum of scores among the columns found, or None.
    """
    searched = ink[:, : round(_SEARCHED_SHARE * ink.shape[1])]
    strokes = _Strokes(searched, height)
    columns = []
    for width in (round(_NARROW * height), round(_WIDE * height)):
        found = _candidates(strokes.score(width), height)
        column = _strongest_column(found[:_STRONGEST], height)
        if column is not None:
            alike = np.count_nonzero(found[:, 2] >= _ALIKE * column[:, 2].max())
            columns.append((column[:, 2].sum(), width, column, alike - len(column)))
    if not columns:
        return None
    _, width, column, strays = max(columns, key=lambda found: found[0])
    feet, heights = _refine(searched, column[:, :2].astype(int), height)
    # Pulses taller than a row overlap, and look like a ladder whose rungs are no baselines.
    if len(heights) < _MEASURED * len(feet):
        return None
    _, distinct = np.unique(feet[:, 1], return_index=True)
    score = float(column[:, 2].mean()) / 255
    return Pulses(feet[distinct], width, float(np.median(heights)), score, int(strays))


def measured_width(ink: np.ndarray, feet: np.ndarray, height: float) -> float | None:
    """Measure the distance between the two strokes of pulses, which may be of any speed.

    Args:
        ink: uint8 array (height, width), 255 on ink.
        feet: float array (pulses, 2): x, y of the foot of each left stroke, to a few pixels.
        height: height of the pulses, in pixels.

    Returns:
        The median in pixels, or None where half of the pulses have no second stroke.
    """
    widths = [_stroke_distance(ink, round(x), round(y), round(height)) for x, y in feet]
    found = [width for width in widths if width is not None]
    return float(np.median(found)) if 2 * len(found) > len(widths) else None


def _stroke_distance(ink, x, y, height):
    first = max(x - _TOLERANCE, 0)
    upper = ink[max(y - round(0.85 * height), 0) : y - round(0.25 * height), first:]
    upper = cv2.dilate(upper[:, : round(_WIDEST * height) + 2 * _TOLERANCE], np.ones((1, 3)))
    if not upper.size:
        return None
    inked = upper.mean(axis=0) / 255
    left = int(np.argmax(inked[: 2 * _TOLERANCE]))
    beyond = left + round(_NARROWEST * height)
    strokes = beyond + np.flatnonzero(inked[beyond:] > _STROKE_INK)
    if inked[left] < _STROKE_INK or not strokes.size:
        return None
    return int(strokes[0] + np.argmax(inked[strokes[0] : strokes[0] + _TOLERANCE])) - left


class _Strokes:
    """Scores of pulses of one height and any width, from means of ink along straight strokes."""

    def __init__(self, ink, height):
        self.ink = ink
        self.height = height
        across = np.ones((1, _TOLERANCE), np.uint8)
        self.upright = _mean_over(cv2.dilate(ink, across), 0, 4 - height, 1, height - 6)
        self.thick = cv2.dilate(ink, across.T)

    def score(self, width):
        """Measure how like a pulse the ink is, 0 to 255, at the foot of its left stroke.

        A pulse has ink on its two uprights and its top, and none between them or above.
        """
        drawn = cv2.min(self.upright, _shifted(self.upright, width, 0))
        drawn = cv2.min(drawn, _mean_over(self.thick, 0, -self.height, width, 1))
        empty = cv2.max(
            _mean_over(self.ink, 2, 5 - self.height, max(width - 3, 2), self.height - 8),
            _mean_over(self.ink, 0, -self.height - 9, width, 6),
        )
        return cv2.subtract(drawn, empty)


def _shifted(values, right, down):
    """The value `right` and `down` of each pixel, 0 beyond the edges."""
    height, width = values.shape
    moved = np.zeros_like(values)
    moved[max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)] = values[
        max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)
    ]
    return moved


def _mean_over(values, left, top, width, height):
    """Mean over a rectangle whose upper left corner lies `left`, `top` of each pixel."""
    means = cv2.boxFilter(
        values, -1, (width, height), anchor=(0, 0), borderType=cv2.BORDER_CONSTANT
    )
    return _shifted(means, left, top)


def _candidates(score, height):
    """All peaks of the score, the highest first: rows of x, y, score."""
    window = np.ones((height // 2, height // 2), np.uint8)
    high = score > int(255 * _LEAST_SCORE)
    # Most of the look has no part in what follows: it lies beyond the reach of all windows.
    part = _part_around(high, len(window) // 2 + 6)
    score, high = score[part], high[part]
    around = cv2.boxFilter(score, cv2.CV_32F, (7, 7), normalize=False)
    around = cv2.blur(around, (5, 5))  # plateaus become peaks
    peaks = (around == cv2.dilate(around, window)) & high
    rows, columns = np.nonzero(peaks)
    highest = cv2.dilate(score, np.ones((_TOLERANCE, _TOLERANCE), np.uint8))[rows, columns]
    found = np.column_stack([columns + part[1].start, rows + part[0].start, highest]).astype(float)
    return found[np.argsort(-found[:, 2])]


def _part_around(high, reach):
    """The part of a look that reaches this far around all pixels that are true."""
    left, top, width, height = cv2.boundingRect(high.view(np.uint8))
    return (
        slice(max(top - reach, 0), top + height + reach),
        slice(max(left - reach, 0), left + width + reach),
    )


def _strongest_column(found, height):
    """The candidates, one above the other, with the highest sum of scores."""
    best = None
    for one, other in combinations(found[:_ANCHORS], 2):
        rise = other[1] - one[1]
        if abs(rise) < height:
            continue
        lean = (other[0] - one[0]) / rise
        if abs(lean) > _LEAN:
            continue
        off = np.abs(found[:, 0] - one[0] - lean * (found[:, 1] - one[1]))
        column = found[off <= _ALIGNED]
        column = _apart(column[column[:, 2] >= _ALIKE * column[0, 2]], height)
        if best is None or column[:, 2].sum() > best[:, 2].sum():
            best = column
    return best


def _apart(found, height):
    """From top to bottom, only the stronger of pulses that lie on one another."""
    kept = []
    for pulse in found:
        if all(abs(pulse[1] - other[1]) >= _APART * height for other in kept):
            kept.append(pulse)
    return np.array(sorted(kept, key=lambda pulse: pulse[1]))


def _refine(ink, feet, height):
    """Feet to the pixel, and the heights of the left strokes that end near top and foot."""
    refined, heights = [], []
    for x, y in feet:
        left = max(x - _TOLERANCE // 2, 0)
        around = ink[:, left : x + _TOLERANCE // 2 + 1]
        middle = max(y - height // 2, 0)
        x = left + int(np.argmax(around[max(y - height + 6, 0) : y - 5].sum(axis=0)))
        blank = np.flatnonzero(cv2.reduce(around, 1, cv2.REDUCE_MAX).ravel() < 100)
        top = blank[blank < middle].max(initial=-1) + 1
        bottom = blank[blank > middle].min(initial=len(ink)) - 1
        if 0.6 * height < bottom - top < 1.5 * height:
            y = bottom - 1
            heights.append(bottom - top - 1)
        refined.append((x, y))
    return np.array(refined, float), heights
