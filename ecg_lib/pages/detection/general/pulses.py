"""The size of the calibration pulses that the network marks."""

import cv2
import numpy as np

_MARKED = 0.3
"""A cell shows a pulse from this probability on."""

_BRIDGED = 9
"""The top between a pulse's strokes may be unmarked over less than this number of cells."""

_LOWEST, _NARROWEST = 4, 2
"""Minimum height and width of a pulse, in cells, which are about a millimetre wide."""

_UPRIGHT = 0.6
"""Minimum share of a pulse's height that is marked along its strokes."""

_ALIGNED = 3
"""Pulses one above the other are off by at most this number of cells."""

_ALIKE = 0.15
"""Their heights differ from the median by at most this share."""

_COVERED = 1.75
"""How many cells strokes cover in part beyond a pulse's height."""


def typical_pulse(pulse: np.ndarray) -> np.ndarray | None:
    """Find a typical one of the pulses that stand one above the other.

    Args:
        pulse: float array (height, width), as in `Marks`.

    Returns:
        Its left, top, width and height in cells, or None where no two pulses are alike.
    """
    marked = (pulse > _MARKED).astype(np.uint8)
    bridged = cv2.morphologyEx(marked, cv2.MORPH_CLOSE, np.ones((1, _BRIDGED), np.uint8))
    boxes = cv2.connectedComponentsWithStats(bridged)[2][1:, :4]
    found = np.array(
        [
            (x, y, *_size(marked[y : y + height, x : x + width]))
            for x, y, width, height in boxes
            if height >= _LOWEST
        ]
    ).reshape(-1, 4)
    found = found[(found[:, 2] >= _NARROWEST) & (found[:, 3] >= _LOWEST)]
    if len(found) < 2:
        return None
    beside = np.abs(found[:, 0] - found[:, :1]) <= _ALIGNED
    column = found[beside[np.argmax(beside.sum(axis=1))]]
    alike = column[np.abs(column[:, 3] / np.median(column[:, 3]) - 1) <= _ALIKE]
    if len(alike) < 2:
        return None
    return np.median(alike, axis=0) - [0, 0, 0, _COVERED]


def _size(part):
    """Distance of the two strokes of a pulse, 0 where there is only one, and their height."""
    widened = cv2.dilate(part, np.ones((1, 3), np.uint8))
    upright = widened.mean(axis=0) > _UPRIGHT
    runs = np.flatnonzero(np.diff(upright, prepend=False, append=False)).reshape(-1, 2)
    if len(runs) > 1:
        left, right = runs[:2].mean(axis=1)
        # A trace that touches the pulse is marked beside one of its strokes.
        both = np.flatnonzero(widened[:, int(left)] & widened[:, int(right)])
        return right - left, np.ptp(both) + 1 if both.size else 0
    # Strokes near one another are widened into one; a single one is three or four cells wide.
    return max(np.ptp(runs[0]) - 3, 0) if len(runs) else 0, len(part)
