"""Read any ECG page: its layout and where each lead lies, from the page alone.

A page is reduced to its ink (`ecg_lib.pages.detection.ink`), the calibration pulses give its lines
(`ecg_lib.pages.detection.pulses`), and the lines' ends and separators give its columns. Nothing
but the pixels is used: no file name, no class, no page size.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from ecg_lib.errors import PageRefused
from ecg_lib.pages.detection.columns import listed, match_layout
from ecg_lib.pages.detection.cut import missing_on_the_left
from ecg_lib.pages.detection.ink import look_at, look_through
from ecg_lib.pages.detection.lines import follow_lines, resemble_ecg
from ecg_lib.pages.detection.pulses import HEIGHT, find_pulses
from ecg_lib.pages.detection.rhythm import read_rhythm_lead
from ecg_lib.pages.detection.tilt import (
    enlarging_homography,
    is_straight,
    leaning_homography,
    levelling_homography,
    measure_tilt,
    straightening_homography,
)
from ecg_lib.pages.layouts import PUBLISHED_LAYOUTS, lead_boxes
from ecg_lib.pages.leads import Box

LEAST_SIZE = 4 * HEIGHT
"""A look that is less tall or wide has no room for an ECG."""


NUMBERS_OF_LINES = {layout.lines for layout in PUBLISHED_LAYOUTS.values()}


ATTEMPTS = (
    (HEIGHT, 0),
    (round(0.74 * HEIGHT), 0),
    (round(0.54 * HEIGHT), 0),
    (HEIGHT, 0.08),
    (HEIGHT, -0.08),
)
"""Heights and leans of the pulses looked for in turn, until a layout has that number of lines. The
first holds for flat pages, the next two where the sheet's edges show beside a small ECG, the last
two for photographs."""


TURNED = {
    "upside_down": ("upside down", lambda luma: luma[::-1, ::-1]),
    "mirrored": ("mirrored", lambda luma: luma[:, ::-1]),
    "sideways": ("lying on its side", np.rot90),
}
"""Ways to hold a page wrongly, by the key of the refusal: words for it, and what mends it."""


@dataclass(frozen=True)
class Detection:
    """What a page shows, and where.

    Attributes:
        layout: name of the layout, a key of `ecg_lib.pages.layouts.PUBLISHED_LAYOUTS`.
        boxes: 13 `Box`es in the order of `ecg_lib.pages.leads.CROPS`, in pixels of the rectified
            page.
        homography: float array (3, 3), from pixels of the rectified page to those of the given
            image; the identity for a flat page.
        size: width and height of the rectified page, in pixels.
        confidence: 0 to 1, how well the page fits its layout.
        rhythm_lead: the lead that the rhythm strip repeats, or None where there is no strip or
            its name cannot be read.
    """

    layout: str
    boxes: tuple[Box, ...]
    homography: np.ndarray
    size: tuple[int, int]
    confidence: float
    rhythm_lead: str | None

    @property
    def flat(self):
        """Whether the rectified page is the given image itself."""
        return np.array_equal(self.homography, np.eye(3))


def rectify(luma, detection):
    """Bring a page into the frame in which its boxes are straight.

    Args:
        luma: uint8 array (height, width), the image that was given to `detect`.
        detection: its `Detection`.

    Returns:
        A uint8 array of `detection.size`; the same array, untouched, where the page is flat.
    """
    if detection.flat:
        return luma
    return cv2.warpPerspective(
        luma,
        detection.homography,
        detection.size,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def detect(luma):
    """Find a page's layout and its leads.

    Args:
        luma: uint8 array (height, width), dark ink on light paper.

    Returns:
        A `Detection`.

    Raises:
        PageRefused: where the image is not an ECG page that can be read; the message says why.

    Example:
        >>> detection = detect(np.asarray(Image.open("page.jpg").convert("L")))
        >>> detection.layout
        'standard_3x4_with_rhythm'
    """
    look = look_at(luma)
    if look is None:
        raise PageRefused("blank", "not an ECG page: there is no ink on it")
    whole = look
    look, lines = _find_lines(luma, look)
    if lines is None or len(lines) not in NUMBERS_OF_LINES:
        _refuse_if_turned(luma)
        _refuse_if_cut(whole)
    if lines is None:
        raise PageRefused(
            "not_ecg",
            "not an ECG page: no lines, one above the other, that start with a calibration pulse",
        )
    try:
        return _detection(luma, look, lines)
    except PageRefused:
        found = _second_look(luma, look, lines) if look.straight else None
        if found is None:
            raise
        return found


def _second_look(luma, look, lines):
    """A page that fits no layout may be tilted so little that it seemed straight."""
    look = _levelled(luma, _changed(luma, look, *straightening_homography(lines)))
    look, lines = _best_lines(luma, look)
    if lines is None or not resemble_ecg(look.ink, lines):
        return None
    try:
        return _detection(luma, look, lines)
    except PageRefused:
        return None


def _refuse_if_turned(luma):
    for reason, (words, mend) in TURNED.items():
        mended = np.ascontiguousarray(mend(luma))
        _, lines = _find_lines(mended, look_at(mended))
        if lines is not None and len(lines) in NUMBERS_OF_LINES:
            raise PageRefused(reason, f"an ECG page that is {words}: turn it and read it again")


def _refuse_if_cut(look):
    missing = missing_on_the_left(look)
    if missing:
        raise PageRefused("partial", f"only part of the page is visible: {listed(missing)} missing")


def _find_lines(luma, look):
    """The lines, and a look in which they are straight and of the usual size."""
    if min(look.ink.shape) < LEAST_SIZE:
        return look, None
    seen, lines = _best_lines(luma, look)
    if lines is not None and is_straight(seen.ink, lines):
        change = enlarging_homography(lines)
    else:
        seen, lines = _best_lines(luma, _levelled(luma, look))
        change = None if lines is None else straightening_homography(lines)
    if change is not None:
        seen, lines = _best_lines(luma, _changed(luma, seen, *change))
    if lines is not None and not resemble_ecg(seen.ink, lines):
        lines = None
    return seen, lines


def _levelled(luma, look):
    tilt = measure_tilt(look.ink)
    return _changed(luma, look, *levelling_homography(tilt, look.ink.shape)) if any(tilt) else look


def _changed(luma, look, homography, size):
    return look_through(luma, look.to_page @ np.linalg.inv(homography), size)


def _best_lines(luma, look):
    """The most lines found in a level look, which may be of another size, or lean."""
    best = look, None
    for height, lean in ATTEMPTS:
        seen = look
        if lean:
            seen = _changed(luma, look, *leaning_homography(lean, look.ink.shape))
        pulses = find_pulses(seen.ink, height)
        lines = None if pulses is None else follow_lines(seen.ink, pulses)
        if lines is None or len(lines) < 2:
            continue
        if best[1] is None or len(lines) > len(best[1]):
            best = seen, lines
        if len(lines) in NUMBERS_OF_LINES:
            break
    return best


def _detection(luma, look, lines):
    height, width = luma.shape
    layout, edges = match_layout(look.ink, lines, height > width)
    scale = 1 / np.sqrt(abs(np.linalg.det(look.to_page[:2, :2])))
    if look.straight:
        homography, size = np.eye(3), (width, height)
        left, top = look.to_page[:2, 2]
    else:
        homography = look.to_page @ np.diag([scale, scale, 1])
        size = tuple(round(side / scale) for side in look.ink.shape[::-1])
        left, top = 0, 0
    boxes = lead_boxes(layout, edges / scale + left, lines.baselines / scale + top, size[1])
    return Detection(
        layout.name,
        tuple(boxes),
        homography,
        size,
        float(min(np.mean(lines.covered), 2 * lines.pulses.score, 1)),
        read_rhythm_lead(look.ink, lines, layout, edges),
    )
