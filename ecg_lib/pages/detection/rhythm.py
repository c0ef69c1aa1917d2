"""Which lead the rhythm strip repeats, read from the traces."""

import cv2
import numpy as np

from ecg_lib.pages.detection.lines import Lines
from ecg_lib.pages.layouts import Layout

_REACH = 1.0
"""The traces are compared within this many pulse heights of their baselines."""

_ALIKE = 0.5
"""Least correlation between a lead and the part of the strip below it that shows the same beats."""

_CLEARLY = 0.05
"""The correlation must exceed that of every other lead by this much."""


def read_rhythm_lead(
    ink: np.ndarray, lines: Lines, layout: Layout, edges: np.ndarray
) -> str | None:
    """Find the lead that the rhythm strip repeats.

    The strip is recorded at the same time as the leads above it, so where it repeats one of them,
    the two draw the same line in that lead's column.

    Args:
        ink: uint8 array (height, width), 255 on ink; the lines are straight and level in it.
        lines: the `ecg_lib.pages.detection.lines.Lines` found in it.
        layout: the page's `Layout`.
        edges: x of the column edges, in pixels of the look.

    Returns:
        The lead's name, or None where there is no strip or no lead clearly agrees with it.
    """
    if layout.rhythm_strip is None:
        return None
    reach = round(_REACH * lines.pulses.height)
    bands = [_band(ink, baseline, reach) for baseline in lines.baselines]
    agreement: dict[str, float] = {}
    for number, leads in enumerate(zip(*layout.rows, strict=True)):
        part = slice(round(edges[number] / 2) + 2, round(edges[number + 1] / 2) - 2)
        *above, strip = [band[:, part] for band in bands]
        agreement |= zip(leads, _agreements(above, strip), strict=True)
    best, second = sorted(agreement, key=agreement.__getitem__)[:-3:-1]
    clear = agreement[best] >= max(_ALIKE, agreement[second] + _CLEARLY)
    return best if clear else None


def _band(ink, baseline, reach):
    """The surroundings of a line, at half the size."""
    top, bottom = round(baseline) - reach, round(baseline) + reach
    above, below = max(-top, 0), max(bottom - len(ink), 0)
    band = cv2.copyMakeBorder(ink[max(top, 0) : bottom], above, below, 0, 0, cv2.BORDER_CONSTANT)
    size = (ink.shape[1] // 2, reach)
    return cv2.resize(band, size, interpolation=cv2.INTER_AREA).astype(np.float32)


def _agreements(bands, other):
    """Correlation of each band with the other; baselines are known to two pixels."""
    rows = len(other) - 2
    shifted = [other[top : top + rows] for top in range(3)]
    standardised = _standardised([*(band[1:-1] for band in bands), *shifted])
    return (standardised[:-3] @ standardised[-3:].T).max(axis=1).tolist()


def _standardised(bands):
    """Return one row per band, centred, of length 1."""
    rows = np.reshape(bands, (len(bands), -1))
    centred = rows - rows.mean(axis=1, keepdims=True)
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)
