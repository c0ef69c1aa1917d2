"""Find the leads of a page: `detect` finds them, `rectify` makes the page flat.

`find_boxes` leaves out the page's scale, for those who only cut out the leads.

A flat page with calibration pulses in a published layout is read by them, which is quick
(`pulse_reader`), if the names at its first leads agree. Any other page is read by its printed lead
names and its traces (`general`), turned if need be. Grid and pulses then tell the page's scale
(`scale`).
"""

from contextlib import suppress
from dataclasses import replace

import numpy as np

from ecg_lib.errors import PageRefused
from ecg_lib.pages.detection.general.again import (
    MIRRORED,
    UPRIGHT,
    UPSIDE_DOWN,
    UPSIDE_DOWN_MIRRORED,
    support_flipped,
    turned,
)
from ecg_lib.pages.detection.general.confirm import names_agree
from ecg_lib.pages.detection.general.looks import LIKELY, see
from ecg_lib.pages.detection.general.marks import Marks
from ecg_lib.pages.detection.general.reading import (
    NAMES,
    READ,
    SUPPORT,
    likeliest_rows,
    look_again,
    look_and_read,
    read_by_names,
    shows_traces,
)
from ecg_lib.pages.detection.ink import look_at
from ecg_lib.pages.detection.pulse_reader import read_by_pulses
from ecg_lib.pages.detection.result import Detection, rectify
from ecg_lib.pages.detection.scale import with_scale
from ecg_lib.pages.image import MAX_ASPECT
from ecg_lib.pages.layouts import LAYOUTS
from ecg_lib.pages.leads import LEADS

__all__ = ["Detection", "detect", "find_boxes", "rectify"]

LYING, STANDING = 2.2, 1.7
"""How many times as often traces go on along the rows as along the columns of a picture. On drawn
pages that lie on a side it is at most 2.1 times, on pages that stand, or upside down, at least 1.8
times; between these, both are tried."""

TRACED = 0.01
"""Minimum share of cells with traces on a page, however it is turned: 0.013 on drawn ones."""

TURNED_PIXELS = 700_000
"""Maximum size at which a turned page is looked at; this bounds the time that it takes."""

MIRROR = "mirrored"
"""The way to stand of a page that has to be flipped, beside degrees."""

ALIKE = 0.6
"""Minimum mean overlap of a page's boxes where it is read alike by its pulses and its names."""

UNREAD = ("no_traces", "no_names")
"""Reasons for which a page may stand otherwise."""


def detect(luma: np.ndarray) -> Detection:
    """Find a page's layout and its leads.

    Args:
        luma: uint8 array (height, width), dark ink on light paper.

    Returns:
        A `Detection`, with the scale of the page as far as it can be measured: it takes a
        millisecond, and of a photograph ten.

    Raises:
        PageRefused: where the twelve leads cannot be found; the message says what was looked for
            and not found, and what helps.

    Example:
        >>> detection = detect(np.asarray(Image.open("page.jpg").convert("L")))
        >>> detection.layout
        'standard_3x4_with_rhythm'
        >>> detection.mm_per_second, detection.mm_per_mv
        (25.0, 10.0)
    """
    return with_scale(luma, find_boxes(luma))


def find_boxes(luma: np.ndarray) -> Detection:
    """Find a page's layout and its leads, as `detect` does, but do not measure its scale.

    Args:
        luma: uint8 array (height, width), dark ink on light paper.

    Raises:
        PageRefused: as `detect`.
    """
    look = look_at(luma)
    if look is None:
        raise _nothing_on(luma)
    by_pulses = read_by_pulses(luma, look, luma.shape[0] > luma.shape[1])
    agreed = None if by_pulses is None else names_agree(luma, by_pulses)
    if by_pulses is not None and agreed:
        return by_pulses
    seen, by_names = look_and_read(luma, look.part)
    way = 0
    if isinstance(by_names, PageRefused):
        way = _likeliest_way(seen) if by_names.reason in UNREAD else 0
        if way == 0:
            by_names = look_again(luma, look.part, seen, by_pulses is not None) or by_names
    if isinstance(by_names, PageRefused):
        if by_pulses is not None and agreed is None and shows_traces(seen, by_pulses):
            rows = LAYOUTS[by_pulses.layout].rows
            if by_names.reason != "order_unclear" or likeliest_rows(seen) in (None, rows):
                return replace(by_pulses, order_assumed=True)
        if by_names.reason not in UNREAD:
            raise by_names
        by_names = _read_turned(luma, look, way, by_names)
    elif by_pulses is not None and _alike(by_pulses, by_names):
        return by_pulses
    return _named_as_if_flat(luma, by_names)


def _named_as_if_flat(luma, found):
    """Give a page that is not flat the layout's name that it has where it is flat.

    Names tell where the leads stand; layouts in which they stand alike have different names by what
    parts the columns and by the sheet's shape. On the rectified page the pulse reader sees that.
    """
    if found.flat or not _has_twins(LAYOUTS[found.layout]):
        return found
    flat = rectify(luma, found)
    look = look_at(flat)
    if look is None:
        return found
    height, width = luma.shape if found.turned in (0, 180) else luma.shape[::-1]
    by_pulses = read_by_pulses(flat, look, height > width, rectified=True)
    if by_pulses is None or not _same_places(LAYOUTS[by_pulses.layout], LAYOUTS[found.layout]):
        return found
    return replace(found, layout=by_pulses.layout)


def _has_twins(layout):
    return sum(_same_places(layout, other) for other in LAYOUTS.values()) > 1


def _same_places(one, other):
    return (one.rows, one.lines) == (other.rows, other.lines)


def _alike(by_pulses, by_names):
    """Whether a page was read twice alike, but for strips, which pulses tell more surely."""
    if LAYOUTS[by_pulses.layout].rows != LAYOUTS[by_names.layout].rows:
        return False
    pairs = list(zip(by_pulses.boxes, by_names.boxes, strict=True))[: len(LEADS)]
    overlap = sum(one.intersection_over_union(other) for one, other in pairs) / len(LEADS)
    return not by_names.flat or overlap > ALIKE


def _nothing_on(luma):
    height, width = luma.shape
    if np.ptp(luma) and max(height, width) > MAX_ASPECT * min(height, width):
        return PageRefused(
            "no_traces",
            f"the picture is {width} pixels wide and {height} tall: a page is at most "
            f"{MAX_ASPECT} times as long as wide",
        )
    return PageRefused("blank", "the picture is blank: there is no ink on it")


def _read_turned(luma, look, way, refused):
    """Read a page that lies on a side or upside down, if that is the likeliest way.

    Raises:
        PageRefused: where it cannot be read in any way.
    """
    luma = np.ascontiguousarray(luma[look.part])
    if way == MIRROR and _read(luma[:, ::-1])[0] is not None:
        raise _mirrored()
    if way in (90, 180, 270):
        found, again = _read(np.rot90(luma, -way // 90))
        if found is not None:
            # Of a mirrored page, enough names can be read upside down too: I, II and III look alike
            # both ways. All names speak for the right way.
            if support_flipped(again, UPSIDE_DOWN_MIRRORED) > again.support:
                raise _mirrored()
            homography = look.offset @ _turning_back(way, luma.shape) @ found.homography
            return replace(found, homography=homography, turned=way)
    raise PageRefused(
        refused.reason,
        f"no page of twelve leads found: {refused}. Layouts that are read: {READ}. It helps to "
        "scan or photograph the whole sheet flat, in even light, with the lead names visible",
    )


def _likeliest_way(seen):
    """Find how a page stands for which its names speak most: degrees to turn it by, or `MIRROR`."""
    lying, standing = _ways_to_lie(seen.marks)
    # Names of a page that lies on a side are seen less surely: fewer of them are enough.
    support = {0: max(seen.support, SUPPORT if standing else LIKELY)}
    if standing:
        support[180] = support_flipped(seen, UPSIDE_DOWN)
        support[MIRROR] = support_flipped(seen, MIRRORED)
    if lying:
        on_side = turned(seen)
        support[90] = support_flipped(on_side, UPRIGHT)
        support[270] = support_flipped(on_side, UPSIDE_DOWN)
    return max(support, key=support.get)


def _mirrored():
    return PageRefused("mirrored", "the page is mirrored: flip it and read it again")


def _ways_to_lie(marks: Marks) -> tuple[bool, bool]:
    """Whether a page may lie on a side, and whether it may stand, or stand upside down."""
    traced = (marks.trace > 0.5).mean()
    if traced < TRACED or len(marks.names) < NAMES or not marks.on_paper:
        return False, False
    return marks.along < LYING, marks.along > STANDING


def _read(luma):
    """Read a page in one way: what was found, or None, and what was seen."""
    seen = see(np.ascontiguousarray(luma), most_pixels=TURNED_PIXELS)
    with suppress(PageRefused):
        return read_by_names(seen), seen
    return None, seen


def _turning_back(degrees, shape):
    """The homography from pixels of a page turned clockwise to those of the page."""
    height, width = shape
    return {
        90: np.array([[0.0, 1, 0], [-1, 0, height - 1], [0, 0, 1]]),
        180: np.array([[-1.0, 0, width - 1], [0, -1, height - 1], [0, 0, 1]]),
        270: np.array([[0.0, -1, width - 1], [1, 0, 0], [0, 0, 1]]),
    }[degrees]
