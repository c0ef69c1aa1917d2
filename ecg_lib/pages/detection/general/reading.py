"""Read any page by its printed lead names and its traces, without pulses or a known paper."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import cv2
import numpy as np

from ecg_lib.errors import PageRefused
from ecg_lib.pages.detection.general.again import look_closer
from ecg_lib.pages.detection.general.columns import find_columns
from ecg_lib.pages.detection.general.looks import (
    CLOSER,
    LIKELY,
    MIDDLES,
    MOST_PIXELS,
    Seen,
    see,
)
from ecg_lib.pages.detection.general.marks import KINDS, find_faint_traces
from ecg_lib.pages.detection.general.pulses import typical_pulse
from ecg_lib.pages.detection.general.rows import TRACED, find_rows, fits_lines, skips_lines
from ecg_lib.pages.detection.general.strips import named_strips
from ecg_lib.pages.detection.result import Detection, moved_points
from ecg_lib.pages.layouts import LAYOUTS, lead_boxes
from ecg_lib.pages.leads import LEADS

SUPPORT = 3.0
"""Minimum support of an arrangement: as much as three names read without doubt. One drawn EEG in
ten reaches it, other pictures do not."""

LONG = 2.0
"""A page whose sides differ by more than this factor is looked at again in any case: the first look
at it is narrow or small, and so are its letters."""

LARGER = 0.8
"""Another look at a page is larger if the first had less than this share of the maximum size:
letters are then at least a tenth taller."""

LARGE = 2.5 * MOST_PIXELS
"""A page of more pixels is at last looked at closer: at the size of the first look, small print may
not even be seen as names."""

NAMES = 5
"""Minimum number of names in their places."""

CLEARLY = 1.0
"""The support of the arrangement must exceed that of any other that fits the lines by this much,
one name."""

AGAINST = 0.8
"""From this probability on, a name in the place of another lead is a contradiction."""

ELSEWHERE = 3
"""As many leads are named elsewhere on a page in another order; strips repeat fewer."""

VISIBLE = 0.6
"""Minimum share of a lead's column that is on the picture. Exports that are cut at their right edge
show two thirds of the last column and more."""

FLAT = 0.008
"""A page whose lines and columns lean by less, in pixels for each pixel, is read as flat."""

READ = (
    "3x4 with none to three rhythm strips, 6x2 with none or one, and 12x1, all in standard or "
    "Cabrera order"
)
"""The layouts that are read, in words."""


def look_and_read(
    luma: np.ndarray, part: tuple[slice, slice]
) -> tuple[Seen, Detection | PageRefused]:
    """Read a page that stands upright.

    Args:
        luma: uint8 array (height, width), dark ink on light paper.
        part: rows and columns of the page that have ink.

    Returns:
        What was seen, and what was read or why it could not be read.
    """
    seen = see(luma, part)
    try:
        return seen, read_by_names(seen)
    except PageRefused as refusal:
        refused = refusal
    if seen.marks.faint and seen.support > SUPPORT and refused.reason != "order_unclear":
        with suppress(PageRefused):
            clearer = replace(seen, marks=find_faint_traces(seen.marks))
            return clearer, read_by_names(clearer)
    return seen, refused


def look_again(
    luma: np.ndarray, part: tuple[slice, slice], seen: Seen, has_pulses: bool
) -> Detection | None:
    """Read a page that stands upright, but could not be read at first, by larger looks at it.

    Args:
        luma: uint8 array (height, width), dark ink on light paper.
        part: rows and columns of the page that have ink.
        seen: the first look.
        has_pulses: whether pulses were found that make a layout, so that there are names to read.
    """
    if has_pulses or (seen.marks.on_paper and seen.marks.along > 1):
        for larger in _larger(luma, part, seen, has_pulses):
            with suppress(PageRefused):
                return read_by_names(larger)
    return None


def _larger(luma, part, seen, has_pulses):
    """Look at a page again where names are likely.

    At all of it if that is larger, at its names, and closer at all of a large page.
    """
    rows, columns = seen.marks.trace.shape
    is_long = max(rows, columns) > LONG * min(rows, columns)
    is_promising = is_long or seen.marks.traced
    is_small = seen.marks.darkness.size < LARGER * MOST_PIXELS
    if is_small and (is_promising or seen.support > SUPPORT):
        seen = see(luma, part, np.inf)
        is_promising = is_long
        yield seen
    if has_pulses or is_promising or seen.support > LIKELY:
        yield look_closer(luma, part, seen)
    if seen.lattices and luma[part].size > LARGE:
        yield see(luma, part, *CLOSER)


def read_by_names(seen: Seen) -> Detection:
    """Read a page that stands upright.

    Raises:
        PageRefused: where not all twelve leads are found; the message says what was found.
    """
    marks = seen.marks
    if (marks.trace > 0.5).mean() < 1e-3:
        raise PageRefused("no_traces", "found no traces of an ECG")
    if not seen.lattices:
        raise PageRefused("no_names", _names_missing({}))
    best, *others = seen.lattices
    if best.support < SUPPORT or len(best.read) < NAMES:
        raise PageRefused("no_names", _names_missing(best.read))
    frame = seen.level
    rows, shift, strips = find_rows(frame, best)
    columns = find_columns(frame, best, rows)
    missing = _missing(frame, marks, columns, best, rows)
    # Words in a table may look like names, but without a trace they name no lead.
    beside_traces = [lead for lead in best.read if lead not in missing]
    if len(beside_traces) < NAMES:
        raise PageRefused("no_names", _names_missing(beside_traces))
    if missing:
        _check_elsewhere(missing, marks.names, best)
        raise PageRefused(
            "partial",
            f"found no traces in the places of {listed(missing, verb=False)}, which may be cut off",
        )
    if columns.missed:
        raise _order_unclear("the traces go on beyond the columns that the names make")
    if skips_lines(frame, best, rows):
        raise _order_unclear("a line runs between the rows that the names make")
    _check_order(best, others, frame)
    below = named_strips(frame, best, marks.names, seen.lefts, [rows[-1], *strips], shift)
    layout, rhythm_lead = _layout(best, list(below.values()))
    baselines = np.concatenate([rows, list(below)])[: layout.lines]
    edges = np.arange(columns.number + 1.0)
    edges[0], edges[-1] = columns.first, columns.last
    geometry = _on_page(frame, columns, edges, baselines, seen)
    boxes = lead_boxes(layout, geometry.edges, geometry.baselines, geometry.size[1])
    return Detection(
        layout.name,
        tuple(boxes),
        geometry.homography,
        geometry.size,
        float(np.clip(best.support / len(LEADS), 0, 1)),
        rhythm_lead,
        pulse=_pulse_size(seen, geometry.homography, float(np.mean(np.diff(rows)))),
    )


def likeliest_rows(seen: Seen) -> tuple[tuple[str, ...], ...] | None:
    """Return the rows of leads that the names make most likely, None where too few are read."""
    return seen.lattices[0].rows if seen.support > SUPPORT else None


def shows_traces(seen: Seen, detection: Detection) -> bool:
    """Return whether most leads that were found on a flat page show a trace."""
    to_cells = np.linalg.inv(seen.to_page @ MIDDLES)
    corners = np.reshape(detection.boxes[: len(LEADS)], (-1, 2, 2))
    places = moved_points(corners, to_cells).reshape(-1, 4)
    return bool(np.median([_traced(seen.marks.trace, place) for place in places]) > VISIBLE / 2)


def _names_missing(read):
    found = [lead for lead in LEADS if lead in read]
    if len(found) < 2:
        return "found no printed lead names that stand in rows and columns beside traces"
    absent = [lead for lead in LEADS if lead not in read]
    return (
        f"of the twelve lead names only {listed(found, verb=False)} can be read in their places; "
        f"{listed(absent)} not found"
    )


def _check_order(best, others, frame):
    against = [
        (lead, KINDS[int(np.argmax(name.probabilities))])
        for lead, name in best.contradictions
        if name.certainty * name.probabilities.max() > AGAINST
    ]
    # In another order a lead is missing from the place where it is expected. One that stands there
    # and is read elsewhere too is misread, and one misreading makes no other order.
    against = [(lead, kind) for lead, kind in against if kind not in best.read]
    if len(against) > 1 or any(kind is None for _, kind in against):
        lead, kind = against[0]
        raise _order_unclear(f"{kind or 'another name'} is read where {lead} was expected")
    rivals = [one for one in others if one.support > best.support - CLEARLY]
    if any(fits_lines(frame, one) for one in rivals):
        raise _order_unclear("what is read of the names fits more than one")


def _order_unclear(why):
    return PageRefused("order_unclear", f"found no known order of the leads: {why}")


def _check_elsewhere(missing, names, lattice):
    """Refuse a page on which the leads that seem to be missing are printed in other places."""
    placed = {id(name) for name in lattice.read.values()}
    read = {
        KINDS[int(np.argmax(name.probabilities))]
        for name in names
        if id(name) not in placed and name.certainty * name.probabilities.max() > AGAINST
    }
    elsewhere = [lead for lead in missing if lead in read]
    if len(elsewhere) >= ELSEWHERE:
        raise _order_unclear(f"{listed(elsewhere)} read in other places than expected")


def _missing(frame, marks, columns, lattice, rows):
    """The leads of which too little is on the picture, or no trace."""
    spacing = float(np.mean(np.diff(rows)))
    to_look = np.linalg.inv(frame.homography)
    height, width = marks.trace.shape
    missing = []
    for y, row in zip(rows, lattice.rows, strict=True):
        for number, lead in enumerate(row):
            start, end = number, number + 1
            if columns.number == 1:
                start, end = columns.first, columns.last
            x = np.linspace(columns.x(start, y), columns.x(end, y), 40)
            seen = moved_points(np.column_stack([x, np.full(40, y)]), to_look)
            inside = ((seen > -1) & (seen < [width + 1, height + 1])).all(axis=1).mean()
            place = x[0], y - 0.5 * spacing, x[-1], y + 0.5 * spacing
            if inside < VISIBLE or _traced(frame.trace, place) < VISIBLE / 2:
                missing.append(lead)
    return [lead for lead in LEADS if lead in missing]


def _traced(trace, place):
    """Share of a place's width that shows a trace; the place is left, top, right, bottom."""
    left, top, right, bottom = place
    part = trace[
        max(int(top), 0) : max(int(bottom) + 1, 0), max(int(left), 0) : max(int(right) + 1, 0)
    ]
    return (part.max(axis=0) > TRACED).sum() / (right - left) if part.size else 0


def _layout(lattice, strip_leads):
    """The layout with as many strips as there are, and the lead that its strip repeats."""
    fitting = [
        one
        for one in LAYOUTS.values()
        if one.rows == lattice.rows
        and len(one.rhythm_strips) <= len(strip_leads)
        and not one.name.startswith(("portrait", "landscape"))
    ]
    layout = max(fitting, key=lambda one: len(one.rhythm_strips))
    usual = layout.rhythm_strips
    if not usual:
        return layout, None
    read = strip_leads[: len(usual)]
    layout = layout.with_strips([lead or other for lead, other in zip(read, usual, strict=True)])
    lead = layout.rhythm_strip
    return layout, lead if lead in read else None


def _pulse_size(seen, homography, spacing):
    """Width and height of the pulses in pixels of the rectified page, or None."""
    pulse = typical_pulse(seen.marks.pulse)
    # Pulses taller than a row touch one another, so that none can be measured.
    if pulse is None or pulse[3] > spacing:
        return None
    left, top, width, height = pulse
    to_flat = np.linalg.inv(homography) @ seen.to_page @ MIDDLES
    corners = [(left, top), (left + width, top), (left, top + height)]
    corner, aside, below = moved_points(corners, to_flat)
    return float(np.hypot(*(aside - corner))), float(np.hypot(*(below - corner)))


@dataclass(frozen=True)
class _Geometry:
    """Edges and baselines in pixels of the rectified page, its size, and its homography."""

    edges: np.ndarray
    baselines: np.ndarray
    homography: np.ndarray
    size: tuple[int, int]


def _on_page(frame, columns, edges, baselines, page):
    """Bring edges and baselines from the level frame to the page, or a rectified page."""
    height, width = page.shape
    to_page = page.to_page @ MIDDLES @ np.linalg.inv(frame.homography)
    number, top, bottom = columns.number, baselines[0], baselines[-1]
    corners = [(0, top), (number, top), (number, bottom), (0, bottom)]
    seen = moved_points([(columns.x(c, y), y) for c, y in corners], to_page)
    up = np.linalg.norm(seen - np.roll(seen, -1, axis=0), axis=1)
    wide, tall = (up[0] + up[2]) / 2, (up[1] + up[3]) / 2
    slope = np.abs(seen[[0, 3], 1] - seen[[1, 2], 1]).max() / wide
    lean = np.abs(seen[[0, 1], 0] - seen[[3, 2], 0]).max() / wide
    down = (baselines - top) / (bottom - top)
    if max(slope, lean) < FLAT:
        left, right = seen[[0, 3], 0].mean(), seen[[1, 2], 0].mean()
        first, last = seen[[0, 1], 1].mean(), seen[[2, 3], 1].mean()
        across = left + edges / number * (right - left)
        return _Geometry(across, first + down * (last - first), np.eye(3), (width, height))
    gaps = np.diff(down) * tall
    aside, above, below = 0.06 * wide, gaps[0] / 2 + 0.02 * wide, gaps[-1] / 2 + 0.02 * wide
    flat = np.array([(0, 0), (wide, 0), (wide, tall), (0, tall)]) + np.array([aside, above])
    homography = cv2.getPerspectiveTransform(flat.astype(np.float32), seen.astype(np.float32))
    # Under perspective, heights in the level frame are not in proportion to those on the page.
    to_flat = np.linalg.inv(homography) @ to_page
    heights = moved_points([(columns.x(number / 2, y), y) for y in baselines], to_flat)[:, 1]
    size = (round(wide + 2 * aside), round(tall + above + below))
    return _Geometry(aside + edges / number * wide, heights, homography, size)


def listed(names: Sequence[str], verb: bool = True) -> str:
    """Write names as a sentence's subject and verb: `"V4, V5 and V6 are"`."""
    *first, last = names
    words = f"{', '.join(first)} and {last}" if first else last
    if not verb:
        return words
    return f"{words} {'are' if first else 'is'}"
