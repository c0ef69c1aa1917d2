"""Whether the printed names agree with a layout that was found by its pulses alone."""

import cv2
import numpy as np

from ecg_lib.pages.detection.general.looks import LOOK_WIDTH
from ecg_lib.pages.detection.general.marks import CELL, KINDS, find_marks
from ecg_lib.pages.detection.general.rows import TRACED
from ecg_lib.pages.detection.result import Detection
from ecg_lib.pages.layouts import LAYOUTS
from ecg_lib.pages.leads import CROPS

RIVALS = {
    "aVF": ("III", "II", "V1", "V5"),
    "aVR": ("II", "V1", "V5"),
}
"""What stands in the place of a lead on the pages that pulses cannot tell apart: pages in Cabrera
order, and, for rows four to six, rhythm strips below three rows. The names of these leads are
long, so that traces do not hide them, and unlike their rivals. On the published pages aVF is read
twice as often as aVR, so it comes first: one name that is read is enough."""

_WINDOW = (0.015, 0.075)
"""A name is looked for from this share of the traces' length left of its lead's start to this
share right of it."""

ZOOMS = {1: 0.0, 2: 0.6}
"""Names are looked for at these sizes in turn, as multiples of the size at which pages are read: a
line of ten seconds per column is twice as long as usual, and its letters look half as tall. With
each goes the minimum certainty of a name: enlarged beats may look like names."""

_TRACED = 0.5
"""Minimum share of a window's width that shows a trace: a name without one names no lead. It is 0.7
and more on pages, at most 0.3 where the window shows text."""

_MORE = 2
"""The expected lead must be so many times as probable as each of its rivals."""

_LIKELY = 0.3
"""Minimum probability of the expected lead."""

_RIVAL = 0.5
"""A rival is read from this probability on."""


def names_agree(luma: np.ndarray, detection: Detection) -> bool | None:
    """Look for the names of the leads that tell the layouts apart which pulses cannot.

    Args:
        luma: uint8 array (height, width), the page.
        detection: what was found on it, flat.

    Returns:
        True where one of the names is read, False where rivals are read in all their places, and
        None where the names do not tell.
    """
    answers = (_agree_at(luma, detection, zoom) for zoom in ZOOMS)
    return next((agree for agree in answers if agree is not None), None)


def _agree_at(luma, detection, zoom):
    layout = LAYOUTS[detection.layout]
    boxes = dict(zip(CROPS, detection.boxes, strict=True))
    length = boxes[layout.rows[0][-1]].right - boxes[layout.rows[0][0]].left
    against = 0
    for lead, rivals in RIVALS.items():
        found = _names_at(luma, boxes[lead], length, zoom)
        names = [name for name in found if name.certainty > ZOOMS[zoom]]
        likely = [name.probabilities[KINDS.index(lead)] for name in names]
        rival = [name.probabilities[[KINDS.index(one) for one in rivals]].max() for name in names]
        if any(p > max(_MORE * q, _LIKELY) for p, q in zip(likely, rival, strict=True)):
            return True
        against += any(q > _RIVAL for q in rival)
    return False if against == len(RIVALS) else None


def _names_at(luma, box, length, zoom):
    left, right = (round(box.left + share * length) for share in (-_WINDOW[0], _WINDOW[1]))
    part = luma[max(box.top, 0) : box.bottom, max(left, 0) : right]
    if min(part.shape) < CELL:
        return []
    scale = zoom * 0.92 * LOOK_WIDTH / length
    size = [max(round(scale * side), 4 * CELL) for side in part.shape[::-1]]
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    marks = find_marks(cv2.resize(part, size, interpolation=how))
    return marks.names if (marks.trace.max(axis=0) > TRACED).mean() > _TRACED else []
