"""Page layouts as data: which lead lies where.

The names are those of the `layout` column of `ecg_lib/data/khan2021.csv`.
"""

from dataclasses import dataclass
from itertools import pairwise

from ecg_lib.pages.leads import CROPS, RHYTHM_STRIP, Box

ROWS_3X4 = (
    ("I", "aVR", "V1", "V4"),
    ("II", "aVL", "V2", "V5"),
    ("III", "aVF", "V3", "V6"),
)
ROWS_6X2 = (
    ("I", "V1"),
    ("II", "V2"),
    ("III", "V3"),
    ("aVR", "V4"),
    ("aVL", "V5"),
    ("aVF", "V6"),
)


@dataclass(frozen=True)
class Layout:
    """How the leads are arranged on a page.

    Attributes:
        name: the layout's name, a key of `LAYOUTS`.
        rows: the leads row by row, each row from left to right.
        rhythm_strip: the lead that the strip under the rows repeats over the full width,
            or None where there is no strip.
    """

    name: str
    rows: tuple[tuple[str, ...], ...]
    rhythm_strip: str | None

    @property
    def columns(self):
        """Number of leads side by side in a row."""
        return len(self.rows[0])

    @property
    def lines(self):
        """Number of traces one above the other, the rhythm strip included."""
        return len(self.rows) + (self.rhythm_strip is not None)


LAYOUTS = {
    layout.name: layout
    for layout in (
        # Exports of 2213x1572 pixels, with or without a pink grid.
        Layout("standard_3x4_with_rhythm", ROWS_3X4, "II"),
        Layout("standard_6x2_with_rhythm", ROWS_6X2, "II"),
        Layout("standard_6x2", ROWS_6X2, None),
        # Small pages on which the ECG covers only part of the sheet.
        Layout("portrait_3x4_with_rhythm", ROWS_3X4, "II"),
        Layout("landscape_3x4_with_rhythm", ROWS_3X4, "II"),
    )
}


def lead_boxes(layout, column_edges, baselines, page_height):
    """Boxes of the 13 crops, from where the page's columns and baselines lie.

    This is the one definition of a lead's box. From left to right it spans the lead's column.
    From top to bottom it reaches halfway to the neighbouring baselines; the outermost boxes
    reach as far outwards as inwards, but not over the page's edge. Where there is no rhythm
    strip, the thirteenth box is that of lead II again.

    Args:
        layout: a `Layout`.
        column_edges: x of the left end of each column and of the right end of the last, in page
            pixels: `layout.columns + 1` ascending numbers.
        baselines: y of each line's baseline, top to bottom, in page pixels: `layout.lines`
            ascending numbers.
        page_height: height of the page, in pixels.

    Returns:
        A list of 13 `Box`es in the order of `ecg_lib.pages.leads.CROPS`.
    """
    edges = [round(x) for x in column_edges]
    tops, bottoms = _row_limits(baselines, page_height)
    boxes = {
        lead: Box(edges[column], top, edges[column + 1], bottom)
        for row, top, bottom in zip(layout.rows, tops, bottoms, strict=False)
        for column, lead in enumerate(row)
    }
    if layout.rhythm_strip is None:
        boxes[RHYTHM_STRIP] = boxes["II"]
    else:
        boxes[RHYTHM_STRIP] = Box(edges[0], tops[-1], edges[-1], bottoms[-1])
    return [boxes[crop] for crop in CROPS]


def _row_limits(baselines, page_height):
    between = [(upper + lower) / 2 for upper, lower in pairwise(baselines)]
    first = max(2 * baselines[0] - between[0], 0)
    last = min(2 * baselines[-1] - between[-1], page_height)
    limits = [round(y) for y in (first, *between, last)]
    return limits[:-1], limits[1:]
