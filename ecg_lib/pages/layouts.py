"""Page layouts as data: which lead lies where.

The names in `PUBLISHED_LAYOUTS` are those of the `layout` column of `ecg_lib/data/khan2021.csv`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ecg_lib.errors import InputError
from ecg_lib.pages.leads import CROPS, RHYTHM_STRIP, Box

STANDARD_ORDER = ("I", "II", "III", "aVR", "aVL", "aVF")
CABRERA_ORDER = ("aVL", "I", "aVR", "II", "aVF", "III")
"""The limb leads by the angle from which they see the heart. aVR is printed inverted, as -aVR."""

CHEST_LEADS = ("V1", "V2", "V3", "V4", "V5", "V6")


@dataclass(frozen=True)
class Layout:
    """How the leads are arranged on a page.

    Attributes:
        name: the layout's name, a key of `LAYOUTS`.
        rows: the leads row by row, each row from left to right.
        rhythm_strips: the leads that the strips under the rows repeat over the full width, from
            top to bottom; empty where there is no strip. The leads are the usual ones: a page
            may repeat others, see `with_strips`.
        inverted: the leads that are printed upside down, as -aVR is in Cabrera order.
    """

    name: str
    rows: tuple[tuple[str, ...], ...]
    rhythm_strips: tuple[str, ...] = ()
    inverted: tuple[str, ...] = ()

    @property
    def columns(self) -> int:
        """Number of leads side by side in a row."""
        return len(self.rows[0])

    @property
    def lines(self) -> int:
        """Number of traces one above the other, the rhythm strips included."""
        return len(self.rows) + len(self.rhythm_strips)

    @property
    def rhythm_strip(self) -> str | None:
        """The lead that the thirteenth crop's strip repeats, or None where there is no strip.

        Of several strips it is that of lead II, or the first where none repeats lead II.
        """
        if "II" in self.rhythm_strips:
            return "II"
        return self.rhythm_strips[0] if self.rhythm_strips else None

    def with_strips(self, leads: Sequence[str]) -> "Layout":
        """Return the same layout with strips that repeat other leads, as many as before."""
        if len(leads) != len(self.rhythm_strips):
            raise InputError(
                f"{self.name} has {len(self.rhythm_strips)} rhythm strips, got leads for "
                f"{len(leads)}"
            )
        return replace(self, rhythm_strips=tuple(leads))


def _in_columns(order, columns):
    """Rows of leads that run down the columns, the limb leads first."""
    leads = (*order, *CHEST_LEADS)
    number = len(leads) // columns
    return tuple(leads[row::number] for row in range(number))


def _arrangements(order_name, order, inverted=()):
    """Every arrangement of twelve leads in one order of the limb leads."""
    strips = {
        "": (),
        "_with_rhythm": ("II",),
        "_with_two_rhythm_strips": ("V1", "II"),
        "_with_three_rhythm_strips": ("V1", "II", "V5"),
    }
    for arrangement, columns, endings in (("3x4", 4, 4), ("6x2", 2, 2), ("12x1", 1, 1)):
        rows = _in_columns(order, columns)
        for ending, leads in list(strips.items())[:endings]:
            yield Layout(f"{order_name}_{arrangement}{ending}", rows, leads, inverted)


LAYOUTS = {
    layout.name: layout
    for layout in (
        *_arrangements("standard", STANDARD_ORDER),
        *_arrangements("cabrera", CABRERA_ORDER, inverted=("aVR",)),
        # Small pages on which the ECG covers only part of the sheet.
        Layout("portrait_3x4_with_rhythm", _in_columns(STANDARD_ORDER, 4), ("II",)),
        Layout("landscape_3x4_with_rhythm", _in_columns(STANDARD_ORDER, 4), ("II",)),
    )
}

PUBLISHED_LAYOUTS = {
    name: LAYOUTS[name]
    for name in (
        # Exports of 2213x1572 pixels, with or without a pink grid.
        "standard_3x4_with_rhythm",
        "standard_6x2_with_rhythm",
        "standard_6x2",
        "portrait_3x4_with_rhythm",
        "landscape_3x4_with_rhythm",
    )
}
"""The layouts of Khan 2021, in which pages are drawn by default and which the calibration pulses
tell apart."""


def lead_boxes(
    layout: Layout, column_edges: Sequence[float], baselines: Sequence[float], page_height: int
) -> list[Box]:
    """Compute the boxes of the 13 crops from where the page's columns and baselines lie.

    This is the one definition of a lead's box. From left to right it spans the lead's column.
    From top to bottom it reaches halfway to the neighbouring baselines; the outermost boxes
    reach as far outwards as inwards, but not over the page's edge. The thirteenth box is that of
    `layout.rhythm_strip`; where there is no strip, it is that of lead II again.

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
        line = len(layout.rows) + layout.rhythm_strips.index(layout.rhythm_strip)
        boxes[RHYTHM_STRIP] = Box(edges[0], tops[line], edges[-1], bottoms[line])
    return [boxes[crop] for crop in CROPS]


def _row_limits(baselines, page_height):
    between = [(upper + lower) / 2 for upper, lower in pairwise(baselines)]
    first = max(2 * baselines[0] - between[0], 0)
    last = min(2 * baselines[-1] - between[-1], page_height)
    limits = [round(y) for y in (first, *between, last)]
    return limits[:-1], limits[1:]
