"""Pages whose left side is cut off, and the calibration pulses with it.

Without pulses a page cannot be read, but it can be told from what is no ECG page: several traces,
evenly apart, run off the picture's left edge, and all of them beat at the same moments.
"""

from itertools import pairwise

import cv2
import numpy as np

from ecg_lib.pages.layouts import LAYOUTS
from ecg_lib.pages.leads import RHYTHM_STRIP

PULSES = "calibration pulses"


_HEIGHT = 500
"""The look is brought to this height, in pixels: rows are then 45 to 125 px apart."""


_RULE = 150
"""Level ink of this length, in pixels, is a rule of the sheet and no trace."""


_UPRIGHT = 9
"""Ink taller than this, in pixels, is an upright stroke, not a baseline."""


_LEAST_PEAK = 0.3
"""Least share of baseline ink in a trace's row, as a share of that in the fullest row."""


_CLOSEST = 38
"""Least distance of baselines, in pixels: rows of real pages are at least 45 px apart."""


_REACH = 0.3
"""A trace is looked at within this share of the rows' distance from its baseline."""


_BEAT_TOGETHER = 0.35
"""Least correlation of two traces' ink, column by column: mostly 0.5 to 1 on real pages."""


_MEDIAN_TOGETHER = 0.55
"""The same for the median of all pairs: mostly 0.65 to 0.98 on real pages."""


_ROWS = {
    4: (LAYOUTS["standard_3x4"].rows, 1.1),
    6: (LAYOUTS["standard_6x2"].rows, 1.75),
    7: (LAYOUTS["standard_6x2"].rows, 1.3),
}
"""By the number of traces: the rows of leads, and the largest distance of baselines as a share of
their mean. It is 1.01, 1.69 and 1.01 on real pages; some pages of six traces centre each alone."""


_COLUMN_WIDTH = {4: 1.55, 2: 5.8}
"""By the number of columns: their width in distances of rows, where no separator shows it."""


_ALMOST_WHOLE = 0.955
"""A column of which this share is visible is whole."""


_SEPARATED = {4: (1.67, 1.61), 2: (5.95, 4.65)}
"""The largest and least width of a column that a separator shows: 1.64 and 4.7 to 5.85."""


_SEPARATOR_INK = 0.7
"""Least share of ink along a separator, in each gap between the rows of leads."""


_MOST_UPRIGHTS = 20
"""Most upright rules: separators and tall beats make at most 12 on real pages, graph paper 44."""


def missing_on_the_left(look):
    """Name what is cut off a page that has lost its pulses.

    Args:
        look: the `ecg_lib.pages.detection.ink.Look` at the page.

    Returns:
        A list of names, `PULSES` the first; empty where this is no such page.
    """
    if not look.straight or look.to_page[0, 2] > 0:
        return []
    scale = _HEIGHT / len(look.ink)
    size = (max(round(scale * look.ink.shape[1]), 1), _HEIGHT)
    ink = cv2.resize(look.ink, size, interpolation=cv2.INTER_AREA)
    baselines = _traces(ink)
    if len(baselines) not in _ROWS:
        return []
    rows, unevenness = _ROWS[len(baselines)]
    gaps = np.diff(baselines)
    if gaps.max() > unevenness * gaps.mean() or not _run_off(ink, baselines):
        return []
    hidden = len(rows[0]) - _whole_columns(ink, baselines[: len(rows)], len(rows[0]))
    leads = [lead for row in rows for lead in row[:hidden]]
    strip = [RHYTHM_STRIP] if hidden and len(baselines) > len(rows) else []
    return [PULSES, *leads, *strip]


def _traces(ink):
    """y of the baselines of all traces that beat together, from top to bottom."""
    rules = cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((1, _RULE), np.uint8))
    uprights = cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((_RULE, 1), np.uint8))
    if np.count_nonzero(np.diff(uprights.max(axis=0) > 60)) > 2 * _MOST_UPRIGHTS:
        return []
    traces = cv2.subtract(ink, rules)
    level = cv2.subtract(traces, cv2.erode(traces, np.ones((_UPRIGHT, 1), np.uint8)))
    share = np.mean(level > 127, axis=1, dtype=np.float32)[:, None]
    share = cv2.GaussianBlur(share, (1, 0), sigmaX=1, sigmaY=1.6).ravel()
    highest = cv2.dilate(share, np.ones((2 * _CLOSEST - 1, 1), np.uint8)).ravel()
    found = np.flatnonzero((share == highest) & (share >= _LEAST_PEAK * share.max()))
    if len(found) < min(_ROWS):
        return []
    reach = round(_REACH * np.median(np.diff(found)))
    bands = [traces[max(y - reach, 0) : y + reach + 1] > 127 for y in found]
    beats = [cv2.blur(np.float32([band.sum(axis=0)]), (5, 1)).ravel() for band in bands]
    with np.errstate(invalid="ignore"):  # a band without ink
        alike = np.nan_to_num(np.corrcoef(beats))
    together = alike >= _BEAT_TOGETHER
    kept = together[np.argmax(together.sum(axis=1))]
    if kept.sum() < min(_ROWS):
        return []
    pairs = alike[np.ix_(kept, kept)][np.triu_indices(kept.sum(), 1)]
    return found[kept] if np.median(pairs) >= _MEDIAN_TOGETHER else []


def _run_off(ink, baselines):
    """Whether traces reach the left edge."""
    reach = round(_REACH * np.diff(baselines).mean())
    edge = ink[:, :5].max(axis=1) > 127
    touching = [edge[max(y - reach, 0) : y + reach + 1].any() for y in baselines]
    return np.mean(touching) >= 0.75


def _whole_columns(ink, baselines, most):
    """Number of columns that are visible in full, counted from the right."""
    gap = np.diff(baselines).mean()
    reach = round(_REACH * gap)
    inked = np.any([ink[max(y - reach, 0) : y + reach].max(axis=0) > 127 for y in baselines], 0)
    end = int(np.flatnonzero(inked)[-1])
    places = end - np.rint(gap * np.array(_SEPARATED[most])).astype(int)
    separator = _separator(ink, baselines, *np.maximum(places, 0))
    width = _COLUMN_WIDTH[most] * gap if separator is None else end - separator
    return min(int(end / width + 1 - _ALMOST_WHOLE), most)


def _separator(ink, baselines, first, last):
    """x of the upright line through all rows between two places, or None where there is none."""
    if first == last:
        return None
    around = cv2.dilate(ink[:, first:last], np.ones((1, 3), np.uint8))
    gaps = [
        around[round(0.75 * above + 0.25 * below) : round(0.25 * above + 0.75 * below)]
        for above, below in pairwise(baselines)
    ]
    inked = np.min([gap.mean(axis=0) for gap in gaps], axis=0)
    best = int(np.argmax(inked))
    return first + best if inked[best] >= 255 * _SEPARATOR_INK else None
