"""Read any ECG page: its layout and where each lead lies, from the page alone.

A page is reduced to its ink (`ecg_lib.pages.ink`), the calibration pulses give its lines
(`ecg_lib.pages.pulses`), and the lines' ends and separators give its columns. Nothing but the
pixels is used: no file name, no class, no page size.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from ecg_lib.errors import InputError
from ecg_lib.pages.ink import look_at, look_through
from ecg_lib.pages.layouts import LAYOUTS, lead_boxes
from ecg_lib.pages.leads import Box
from ecg_lib.pages.lines import follow_lines
from ecg_lib.pages.pulses import HEIGHT, find_pulses
from ecg_lib.pages.tilt import (
    enlarging,
    is_straight,
    leaning,
    levelling,
    measure_tilt,
    straightening,
)

NUMBERS_OF_LINES = {layout.lines for layout in LAYOUTS.values()}

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

_SEPARATOR_REACH = 0.02
"""A separator is looked for this share of a trace's length around its expected place."""

_SEPARATOR_INK = 0.6
"""Least share of ink along a separator."""


class PageRefused(InputError):  # noqa: N818 - what happened to the page, not to the program
    """A picture that is not an ECG page which can be read.

    Attributes:
        reason: short key of the reason: `"blank"`, `"not_ecg"`, `"three_lead_strip"`, `"partial"`,
            `"upside_down"` or `"mirrored"`.
    """

    def __init__(self, reason, message):
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Detection:
    """What a page shows, and where.

    Attributes:
        layout: name of the layout, a key of `ecg_lib.pages.layouts.LAYOUTS`.
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
    look, lines = _find_lines(luma, look)
    if lines is None:
        raise PageRefused(
            "not_ecg",
            "not an ECG page: no lines, one above the other, that start with a calibration pulse",
        )
    return _detection(luma, look, lines)


def _find_lines(luma, look):
    """The lines, and a look in which they are straight and of the usual size."""
    seen, lines = _best_lines(luma, look)
    if lines is not None and is_straight(seen.ink, lines):
        change = enlarging(lines)
    else:
        seen, lines = _best_lines(luma, _levelled(luma, look))
        change = None if lines is None else straightening(lines)
    if change is None:
        return seen, lines
    return _best_lines(luma, _changed(luma, seen, *change))


def _levelled(luma, look):
    tilt = measure_tilt(look.ink)
    return _changed(luma, look, *levelling(tilt, look.ink.shape)) if any(tilt) else look


def _changed(luma, look, homography, size):
    return look_through(luma, look.to_page @ np.linalg.inv(homography), size)


def _best_lines(luma, look):
    """The most lines found in a level look, which may be of another size, or lean."""
    best = look, None
    for height, lean in ATTEMPTS:
        seen = look
        if lean:
            seen = _changed(luma, look, *leaning(lean, look.ink.shape))
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
    layout, edges = _match_layout(look.ink, lines, height > width)
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
        layout.rhythm_strip,
    )


def _match_layout(ink, lines, portrait):
    """The layout that has this many lines, and its column edges."""
    baselines = lines.baselines
    start, end = np.median(lines.starts[:, 0]), np.median(lines.ends)
    for layout in LAYOUTS.values():
        if layout.lines != len(baselines):
            continue
        edges = np.linspace(start, end, layout.columns + 1)
        rows = baselines[: len(layout.rows)]
        separators = [_separator(ink, x, rows, end - start) for x in edges[1:-1]]
        if all(x is not None for x in separators):
            step = np.mean(np.diff([*separators, end]))
            return layout, np.array([separators[0] - step, *separators, end])
        if layout.columns == 4:
            name = "portrait_3x4_with_rhythm" if portrait else "landscape_3x4_with_rhythm"
            return LAYOUTS[name], edges
        raise PageRefused(
            "three_lead_strip",
            "a three-lead strip page: its lines are not parted into two columns of leads",
        )
    raise PageRefused("partial", f"only part of the leads is visible: {len(baselines)} lines")


def _separator(ink, expected, rows, length):
    """x of the upright line that parts two columns, or None where there is none."""
    reach = round(_SEPARATOR_REACH * length)
    first = round(expected) - reach
    between = ink[round(rows[0]) : round(rows[-1]), first : first + 2 * reach + 1]
    inked = cv2.dilate(between, np.ones((1, 3), np.uint8)).mean(axis=0) / 255
    places = first + np.flatnonzero(inked >= max(_SEPARATOR_INK, 0.9 * inked.max()))
    if not places.size:
        return None
    nearest = places[np.argmin(np.abs(places - expected))]
    return float(np.mean(places[np.abs(places - nearest) <= 3]))
