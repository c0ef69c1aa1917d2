"""Recover from a clean page what it shows of each lead: a check that it shows what was recorded."""

from itertools import pairwise

import numpy as np
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from ecg_lib.drawing.page import MM_PER_MV, MM_PER_SECOND, SECONDS

DARK = 80
"""Grey level below which a pixel belongs to the trace; the darkest dots of a grid have 96."""

NAME_MM = 11
"""Millimetres at the left end of a box in which the lead's name may stand on the trace."""

SEPARATOR = 3
"""Columns at the right end of a box in which the line between two leads hides the trace."""

BEND = 0.01
"""What a pixel up or down costs a way through the box, where a pixel without ink costs 1."""


def dark(page):
    """Where a page is black: traces and letters, but not the grid's red dots."""
    return np.asarray(page.convert("L")) < DARK


def ink(page, box):
    """Where a page is black inside a box, its edges left out: separators stand there."""
    return dark(page)[box.top : box.bottom, box.left + SEPARATOR : box.right - SEPARATOR]


def pixels_per_mm(page, layout):
    portrait_scale = 0.635 if layout.startswith("portrait") else 1.0
    return page.info["dpi"][0] / 25.4 * portrait_scale


def square_wave(page, box, layout):
    """Height and width, in pixels, of a square wave that stands alone in a box."""
    scale = pixels_per_mm(page, layout)
    right_of_name = ink(page, box)[:, round(15 * scale) :]
    rows = np.flatnonzero(right_of_name.any(axis=1))
    # A steep side may fall on two columns of pixels, half on each.
    sides = np.flatnonzero(right_of_name.sum(axis=0) > 4 * scale)
    pen = 3 if layout.startswith("standard") else 1
    return np.ptp(rows) + 1 - pen, np.ptp(sides) + 1 - pen


def recover_traces(luma, boxes):
    """Read the trace in each box, column by column.

    A column may hold several runs of ink: the trace, and what hangs in from other rows. The trace
    is the way from the one side of the box to the other that leaves the ink least. In a column, it
    is as long as it rises or falls there, and longer by the pen; the end further from the usual
    level counts, so that peaks keep their height. This holds on drawn pages and clean exports,
    where the trace is the darkest there is and no other trace crosses it, not on photographs.

    Args:
        luma: uint8 array `(height, width)`, a flat page in grey levels.
        boxes: its 13 `Box`es in the order of `ecg_lib.pages.leads.CROPS`.

    Returns:
        A list of 13 float arrays in mV above the trace's median, one value per column of its box;
        NaN where the trace cannot be seen: under the lead's name, at the line to the next lead.
    """
    ink = luma < DARK
    page_width = max(box.right for box in boxes) - min(box.left for box in boxes)
    px_per_mm = page_width / (SECONDS * MM_PER_SECOND)
    return [
        _trace(ink[box.top : box.bottom, box.left : box.right], round(NAME_MM * px_per_mm))
        / (MM_PER_MV * px_per_mm)
        for box in boxes
    ]


def _trace(ink, name_width):
    """Pixels above the median of the trace in a box, one value per column."""
    columns, top, bottom = _way(_runs(ink[:, name_width:-SEPARATOR]))
    pen = np.percentile(bottom - top + 1, 10)
    # The pen carries each value to the columns beside it.
    reach = 2 * int(pen / 2) + 1
    upper = maximum_filter1d(top, reach) + (pen - 1) / 2
    lower = minimum_filter1d(bottom, reach) - (pen - 1) / 2
    level = np.median(upper)
    y = np.full(ink.shape[1], np.nan)
    y[columns + name_width] = np.where(level - upper > lower - level, upper, lower)
    return np.nanmedian(y) - y


def _runs(ink):
    """Dict of the columns with ink, each with its runs: an array of tops and bottoms, inclusive."""
    edges = np.diff(np.pad(ink.T.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    columns, tops = np.nonzero(edges == 1)
    bottoms = np.nonzero(edges == -1)[1] - 1
    runs = np.column_stack([tops, bottoms])
    there, first = np.unique(columns, return_index=True)
    return dict(zip(there, np.split(runs, first[1:]), strict=True))


def _way(runs):
    """The way through the runs that leaves the ink least: its columns, tops and bottoms."""
    columns = list(runs)
    cost, came_from = np.zeros(len(runs[columns[0]])), []
    for before, after in pairwise(columns):
        old, new = runs[before][:, np.newaxis], runs[after]
        gap = np.maximum(new[:, 0] - old[..., 1], old[..., 0] - new[:, 1]).clip(1) - 1
        bend = abs(new.mean(axis=1) - old.mean(axis=2))
        total = cost[:, np.newaxis] + gap + BEND * bend
        came_from.append(total.argmin(axis=0))
        cost = total.min(axis=0)
    place = cost.argmin()
    chosen = [place]
    for origins in reversed(came_from):
        place = origins[place]
        chosen.append(place)
    way = [runs[column][place] for column, place in zip(columns, reversed(chosen), strict=True)]
    top, bottom = np.array(way, float).T
    return np.array(columns), top, bottom
