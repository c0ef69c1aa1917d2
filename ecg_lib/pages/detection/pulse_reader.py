"""Read a flat page by its calibration pulses: the fast way, which the published pages take.

A page is reduced to its ink (`ecg_lib.pages.detection.ink`), the calibration pulses give its lines
(`ecg_lib.pages.detection.pulses`), and the lines' ends and separators give its columns. Nothing
but the pixels is used: no file name, no class, no page size.
"""

import numpy as np

from ecg_lib.pages.detection.columns import match_layout
from ecg_lib.pages.detection.ink import Look, look_through
from ecg_lib.pages.detection.lines import follow_lines, resemble_ecg
from ecg_lib.pages.detection.pulses import HEIGHT, find_pulses, measured_width
from ecg_lib.pages.detection.result import Detection
from ecg_lib.pages.detection.rhythm import read_rhythm_lead
from ecg_lib.pages.detection.tilt import enlarging_homography, is_straight
from ecg_lib.pages.layouts import PUBLISHED_LAYOUTS, lead_boxes

MIN_SIZE = 4 * HEIGHT
"""A look that is less tall or wide has no room for an ECG."""

NUMBERS_OF_LINES = {layout.lines for layout in PUBLISHED_LAYOUTS.values()}

HEIGHTS = (HEIGHT, round(0.74 * HEIGHT), round(0.54 * HEIGHT))
"""Heights of the pulses looked for in turn, until a layout has that number of lines. The first
holds where the ECG fills the page, the others where the sheet's edges show beside a small ECG."""


def read_by_pulses(
    luma: np.ndarray, look: Look, portrait: bool, rectified: bool = False
) -> Detection | None:
    """Read a page whose lines start with calibration pulses and lie straight.

    Args:
        luma: uint8 array (height, width), dark ink on light paper.
        look: `ecg_lib.pages.detection.ink.look_at` of it.
        portrait: whether the sheet is taller than wide, which tells two layouts apart.
        rectified: whether the page was made straight: its lines need not be checked, but its
            separators may still lean.

    Returns:
        A `Detection`, or None where there are no such lines or they fit no published layout.
    """
    if min(look.ink.shape) < MIN_SIZE:
        return None
    lines = _best_lines(look)
    if lines is None or not (rectified or is_straight(look.ink, lines)):
        return None
    change = enlarging_homography(lines)
    if change is not None:
        homography, size = change
        look = look_through(luma, look.to_page @ np.linalg.inv(homography), size)
        lines = _best_lines(look)
    if lines is None or not resemble_ecg(look.ink, lines):
        return None
    matched = match_layout(look.ink, lines, portrait, rectified)
    if matched is None:
        return None
    layout, edges = matched
    scale = 1 / np.sqrt(abs(np.linalg.det(look.to_page[:2, :2])))
    left, top = look.to_page[:2, 2]
    boxes = lead_boxes(layout, edges / scale + left, lines.baselines / scale + top, len(luma))
    width = measured_width(look.ink, lines.pulses.feet, lines.pulses.height)
    return Detection(
        layout.name,
        tuple(boxes),
        np.eye(3),
        (luma.shape[1], luma.shape[0]),
        float(min(np.mean(lines.covered), 2 * lines.pulses.score, 1)),
        read_rhythm_lead(look.ink, lines, layout, edges),
        pulse=None if width is None else (width / scale, lines.pulses.height / scale),
    )


def _best_lines(look):
    """The most lines found in a level look."""
    best = None
    for height in HEIGHTS:
        pulses = find_pulses(look.ink, height)
        lines = None if pulses is None else follow_lines(look.ink, pulses)
        if lines is None or len(lines) < 2:
            continue
        if best is None or len(lines) > len(best):
            best = lines
        if len(lines) in NUMBERS_OF_LINES:
            break
    return best
