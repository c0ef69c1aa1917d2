"""Read any ECG page: its layout and where each lead lies, from the page alone.

A page is reduced to its ink (`ecg_lib.pages.ink`), the calibration pulses give its lines
(`ecg_lib.pages.pulses`), and the lines' ends and separators give its columns. Nothing but the
pixels is used: no file name, no class, no page size.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from ecg_lib.errors import InputError
from ecg_lib.pages.ink import look_at
from ecg_lib.pages.layouts import LAYOUTS, lead_boxes
from ecg_lib.pages.leads import Box
from ecg_lib.pages.pulses import find_pulses

_COVERED = 0.55
"""Least share of a line's columns that show ink near its baseline. Traces of the real pages reach
0.63 to 1 (large beats leave the band), lines of text 0.25 to 0.5."""

_BAND = 0.8
"""Ink is near a baseline within this many pulse heights, that is, millivolts."""

_TRACE_START = 0.62
"""Pulse heights from a pulse's left stroke to the start of the trace, 0.58 to 0.65 on real
pages."""

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
    pulses = find_pulses(look.ink)
    lines = [] if pulses is None else _traced_lines(look.ink, pulses)
    if len(lines) < 2:
        raise PageRefused(
            "not_ecg",
            "not an ECG page: no lines, one above the other, that start with a calibration pulse",
        )
    height, width = luma.shape
    return _flat_detection(look, pulses, lines, width, height)


def _flat_detection(look, pulses, lines, width, height):
    baselines = np.array([line.baseline for line in lines])
    start = np.median([line.left for line in lines]) + _TRACE_START * pulses.height
    end = np.median([line.end for line in lines])
    layout, edges, fit = _match_layout(look.ink, baselines, start, end, height > width)
    scale = look.to_page[0, 0]
    left, top = look.to_page[:2, 2]
    boxes = lead_boxes(layout, edges * scale + left, baselines * scale + top, height)
    covered = np.mean([line.covered for line in lines])
    return Detection(
        layout.name,
        tuple(boxes),
        np.eye(3),
        (width, height),
        float(min(covered, 2 * pulses.score, 1) * fit),
        layout.rhythm_strip,
    )


@dataclass(frozen=True)
class _Line:
    """A trace: its baseline, the pulse's left, the last inked column, and the share covered."""

    baseline: float
    left: float
    end: int
    covered: float


def _traced_lines(ink, pulses):
    """The lines that a trace follows to the right of the pulse."""
    reach = _BAND * pulses.height
    lines = []
    for x, y in pulses.feet:
        band = ink[max(round(y - reach), 0) : round(y + reach)].max(axis=0) > 127
        first = round(x + pulses.width) + 2
        end = np.flatnonzero(band)[-1] + 1
        covered = band[first:end].mean() if end > first else 0
        if covered >= _COVERED:
            lines.append(_Line(y, x, int(end), float(covered)))
    return lines


def _match_layout(ink, baselines, start, end, portrait):
    """The layout that has this many lines, its column edges, and how well they fit."""
    for layout in LAYOUTS.values():
        if layout.lines != len(baselines):
            continue
        edges = np.linspace(start, end, layout.columns + 1)
        rows = baselines[: len(layout.rows)]
        separators = [_separator(ink, x, rows, end - start) for x in edges[1:-1]]
        if all(x is not None for x in separators):
            step = np.mean(np.diff([*separators, end]))
            return layout, np.array([separators[0] - step, *separators, end]), 1.0
        if layout.columns == 4:
            name = "portrait_3x4_with_rhythm" if portrait else "landscape_3x4_with_rhythm"
            return LAYOUTS[name], edges, 1.0
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
