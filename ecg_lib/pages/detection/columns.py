"""The columns of leads: where they part, and which layout the lines and columns make."""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from ecg_lib.pages.detection.lines import Lines
from ecg_lib.pages.layouts import PUBLISHED_LAYOUTS, Layout

_SEPARATOR_REACH = 0.02
"""A separator is looked for this share of a trace's length around its expected place."""

_SEPARATOR_INK = 0.6
"""Least share of ink along a separator."""

_NO_SEPARATOR_INK = 0.3
"""There is surely no separator where there is less ink than this."""

_TRACE_LENGTH = 25
"""Length of a trace in pulse heights: 10 s at 25 mm/s, where a pulse is 10 mm; 24.3 to 26.0 on real
pages."""

_SHORT = 0.84
"""A trace below this share of its length is cut off. In photographs and blurred pages whole ones
measure down to 0.88; without their last column of four they measure 0.75."""

_AT_EDGE = 3
"""A trace that comes this near to the right edge, in pixels, is cut off however long it is."""

_CLOSE_ROWS = 3
"""Rows on average less than this many pulse heights apart are those of a page of six rows: they are
about 2.3 apart on the real pages, and 4 where there are three rows."""


@dataclass(frozen=True)
class Columns:
    """What lies to the right of the pulses.

    Attributes:
        edges: x of the left end of each column and of the right end of the last, in pixels of the
            look; those beyond the page's edge too.
        visible: number of columns that are on the page in full.
        separated: whether separators part them.
        strip: whether the separators leave out the last line, which makes it a rhythm strip; None
            where there are no separators.
    """

    edges: np.ndarray
    visible: int
    separated: bool
    strip: bool | None


def match_layout(
    ink: np.ndarray, lines: Lines, portrait: bool, rectified: bool = False
) -> tuple[Layout, np.ndarray] | None:
    """Find the layout that the lines and columns make.

    Args:
        ink: uint8 array (height, width), 255 on ink; the lines are straight and level in it.
        lines: the `ecg_lib.pages.detection.lines.Lines` found in it.
        portrait: whether the sheet is taller than wide.
        rectified: whether the page was made straight, so that separators may still lean.

    Returns:
        The `Layout`, and the x of its column edges in pixels of the look; or None where no layout
        has these lines and columns.
    """
    columns = find_columns(ink, lines, rectified)
    for layout in _candidates(columns, portrait):
        whole = layout.lines == len(lines) and columns.visible == layout.columns
        # A beat may pass for a separator beside the strip; a separator is never overlooked.
        top_is_cut = columns.strip and layout.rhythm_strip is None
        if whole and not top_is_cut:
            return layout, columns.edges
    return None


def find_columns(ink: np.ndarray, lines: Lines, rectified: bool = False) -> Columns:
    """Find the columns by the separators, or by the traces' ends where there are none.

    Args:
        ink: uint8 array (height, width), 255 on ink.
        lines: the `ecg_lib.pages.detection.lines.Lines` found in it.
        rectified: whether separators may lean, which must then part most columns.

    Returns:
        `Columns`.
    """
    start, end = np.median(lines.starts[:, 0]), np.median(lines.ends)
    length = _TRACE_LENGTH * lines.pulses.height
    run_off = end >= ink.shape[1] - _AT_EDGE
    if not run_off and end - start > _SHORT * length:
        length = end - start
    reach = round(_SEPARATOR_REACH * length)
    spacing = np.mean(np.diff(lines.baselines)) / lines.pulses.height
    number = 2 if spacing < _CLOSE_ROWS else 4
    edges = start + length * np.arange(number + 1) / number
    rows = lines.baselines[: max(len(lines) - 1, 2)]
    places = [x for x in edges[1:-1] if x < end]
    inked = [_separator_ink(ink, x, rows, reach) for x in places]
    found = [_separator(gaps, x, reach) for gaps, x in zip(inked, places, strict=True)]
    if not found or None in found:
        # A separator that leans stands elsewhere in each gap.
        leaning = [gaps.max(axis=1).min() >= _SEPARATOR_INK for gaps in inked]
        separated = rectified and sum(leaning) > len(leaning) / 2
        return Columns(edges, _visible(edges, end), separated, None)
    last_gap = [_separator_ink(ink, x, lines.baselines[-2:], 2).max() for x in found]
    edges = _fitted(edges, found)
    return Columns(edges, _visible(edges, end), True, max(last_gap) < _NO_SEPARATOR_INK)


def _separator(gaps, expected, reach):
    """x of the upright line near an expected one through all rows, or None where there is none."""
    inked = gaps.min(axis=0)
    places = (
        round(expected) - reach + np.flatnonzero(inked >= max(_SEPARATOR_INK, 0.9 * inked.max()))
    )
    if not places.size:
        return None
    nearest = places[np.argmin(np.abs(places - expected))]
    return float(np.mean(places[np.abs(places - nearest) <= 3]))


def _separator_ink(ink, expected, rows, reach):
    """Share of ink along the uprights around an expected one: array (gaps, uprights).

    Beats fill a row's surroundings, a separator the middle of every gap as well.
    """
    first = max(round(expected) - reach, 0)
    around = cv2.dilate(ink[:, first : first + 2 * reach + 1], np.ones((1, 3), np.uint8))
    gaps = [
        around[round(0.75 * above + 0.25 * below) : round(0.25 * above + 0.75 * below) + 1]
        for above, below in pairwise(rows)
    ]
    return np.array([gap.mean(axis=0) for gap in gaps]) / 255


def _fitted(edges, separators):
    """Edges moved onto the separators; the first moves along, since columns are equally wide."""
    fitted = edges.copy()
    fitted[1 : len(separators) + 1] = separators
    fitted[0] = separators[0] - (edges[-1] - separators[0]) / (len(edges) - 2)
    return fitted


def _visible(edges, end):
    reach = _SEPARATOR_REACH * (edges[-1] - edges[0])
    return int(np.count_nonzero(edges[1:] <= end + reach))


def _candidates(columns, portrait):
    """The layouts with such columns. The sheet's shape tells those without separators apart."""
    if columns.separated:
        names = [name for name in PUBLISHED_LAYOUTS if name.startswith("standard")]
    else:
        names = ["portrait_3x4_with_rhythm" if portrait else "landscape_3x4_with_rhythm"]
    number = len(columns.edges) - 1
    fitting = [
        PUBLISHED_LAYOUTS[name] for name in names if PUBLISHED_LAYOUTS[name].columns == number
    ]
    return fitting or [PUBLISHED_LAYOUTS[names[0]]]
