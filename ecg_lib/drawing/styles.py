"""Styles of pages, as different electrocardiographs print them.

`ecg_lib.drawing.page` draws the pages of the published data set; here everything that differs
between machines is an option: grid, colours, fonts, pulses, separators, speed and gain.
`ecg_lib.drawing.styled_page` draws pages in a style.
"""

from dataclasses import dataclass

import numpy as np

from ecg_lib.errors import one_of
from ecg_lib.pages.layouts import LAYOUTS

Colour = tuple[int, int, int]

PULSE_SECONDS = 0.2


@dataclass(frozen=True)
class Style:
    """How a page is drawn. Lengths are in millimetres of its grid, pens in pixels.

    Attributes:
        px_per_mm: pixels per millimetre of the grid.
        mm_per_second: paper speed.
        mm_per_mv: gain.
        column_seconds: the columns' width, in seconds at the paper speed.
        continuous: whether each column continues in time where the previous one ends; otherwise
            every column starts at zero.
        joined: whether the traces of a row are joined at the column boundaries.
        gap_mm: blank space at the boundary of two columns, taken from both of them.
        row_mm: distance from one baseline to the next.
        margins_mm: blank space to the left, above, to the right and below.
        paper: colour of the sheet.
        grid: one of `GRIDS`.
        grid_colours: colours of the grid's millimetres and of its five millimetres.
        grid_pens: their widths.
        grid_under_header: whether the grid covers the whole sheet; otherwise only the traces.
        ink: colour of traces, names and pulses.
        pen: width of a trace.
        smooth: whether lines and letters have grey edges.
        font: file name of one of the fonts that matplotlib ships.
        name_mm: height of the lead names' letters.
        names: one of `NAMES`, the position of the lead names relative to their traces.
        upper: whether the augmented leads are printed as AVR, AVL and AVF.
        pulses: one of `PULSES`, the position of the calibration pulses.
        pulse_foot_mm: length of the level pieces on both sides of a pulse.
        separators: one of `SEPARATORS`, the marks between the columns.
        strip_leads: the leads of the rhythm strips, or None for the layout's usual ones.
        header: blocks of text side by side, each a tuple of lines.
        footer: a line of text under the traces, or the empty string.
    """

    px_per_mm: float = 6.0
    mm_per_second: float = 25.0
    mm_per_mv: float = 10.0
    column_seconds: float = 2.5
    continuous: bool = True
    joined: bool = False
    gap_mm: float = 0.0
    row_mm: float = 30.0
    margins_mm: tuple[float, float, float, float] = (8.0, 4.0, 8.0, 4.0)
    paper: Colour = (255, 255, 255)
    grid: str = "lines"
    grid_colours: tuple[Colour, Colour] = ((250, 220, 220), (240, 170, 170))
    grid_pens: tuple[float, float] = (1.0, 1.5)
    grid_under_header: bool = True
    ink: Colour = (0, 0, 0)
    pen: int = 2
    smooth: bool = True
    font: str = "DejaVuSans.ttf"
    name_mm: float = 4.0
    names: str = "above"
    upper: bool = False
    pulses: str = "left"
    pulse_foot_mm: float = 1.5
    separators: str = "none"
    strip_leads: tuple[str, ...] | None = None
    header: tuple[tuple[str, ...], ...] = ()
    footer: str = ""

    @property
    def pulse_mm(self) -> float:
        """Width of a calibration pulse with its feet."""
        return 2 * self.pulse_foot_mm + PULSE_SECONDS * self.mm_per_second


GRIDS = ("none", "lines", "coarse", "dots", "dots and lines")
NAMES = ("above", "inside", "below", "margin", "none")
PULSES = ("left", "right", "columns", "none")
SEPARATORS = ("none", "ticks", "bars", "lines")

GRID_TINTS: tuple[Colour, ...] = (
    (225, 60, 70),
    (235, 110, 120),
    (215, 120, 60),
    (60, 150, 90),
    (70, 110, 190),
    (60, 60, 60),
)
PAPERS: tuple[Colour, ...] = (
    (255, 255, 255),
    (255, 246, 244),
    (255, 232, 236),
    (248, 244, 232),
    (232, 246, 236),
    (238, 238, 240),
)
INKS: tuple[Colour, ...] = ((0, 0, 0), (30, 30, 35), (20, 20, 90), (60, 55, 60), (105, 98, 98))
FONTS = (
    "DejaVuSans.ttf",
    "DejaVuSans-Bold.ttf",
    "DejaVuSerif.ttf",
    "DejaVuSansMono.ttf",
    "STIXGeneral.ttf",
    "STIXGeneralBol.ttf",
    "cmr10.ttf",
    "cmss10.ttf",
)
ROWS_MM = {3: (26, 42), 4: (22, 40), 5: (20, 32), 6: (16, 28), 7: (15, 24), 12: (11, 19)}
"""Distances between baselines, by the number of lines."""


def random_style(rng: np.random.Generator, layout: str) -> Style:
    """Choose a random style.

    Pages in Cabrera order always have printed names, since nothing else shows their order.

    Args:
        rng: a `numpy.random.Generator`.
        layout: the page's layout, a key of `ecg_lib.pages.layouts.LAYOUTS`.

    Returns:
        A `Style` that shows at most ten seconds of every lead.
    """
    of_layout = LAYOUTS[one_of("layout", layout, LAYOUTS)]
    px_per_mm = float(np.exp(rng.uniform(np.log(3), np.log(16))))
    mm_per_second = float(rng.choice([25, 50], p=[0.9, 0.1]))
    mm_per_mv = float(rng.choice([10, 5, 20], p=[0.86, 0.08, 0.06]))
    continuous = bool(rng.random() < 0.75)
    printed_names = NAMES[:4] if of_layout.inverted else NAMES
    in_margin = 2 if of_layout.columns < 4 else 0
    odds = [6, 4, 4, in_margin, 1.5][: len(printed_names)]
    names = str(rng.choice(printed_names, p=_odds(odds)))
    pulses = str(rng.choice(PULSES, p=_odds([10, 3, 1 if of_layout.columns == 2 else 0, 5])))
    grid = str(rng.choice(GRIDS, p=[0.1, 0.62, 0.06, 0.12, 0.1]))
    tint = GRID_TINTS[rng.integers(len(GRID_TINTS))]
    strength = rng.uniform(0.2, 0.9)
    paper = PAPERS[rng.integers(len(PAPERS))] if rng.random() < 0.6 else PAPERS[0]
    low, high = ROWS_MM[of_layout.lines]
    with_header, with_footer = rng.random(2) < (0.5, 0.6)
    settings = f"{mm_per_second:g} mm/s   {mm_per_mv:g} mm/mV   {rng.choice(_BANDS)}"
    apart = pulses == "columns" or names == "margin"
    joined = bool(continuous and not apart and rng.random() < 0.3)
    return Style(
        px_per_mm=px_per_mm,
        mm_per_second=mm_per_second,
        mm_per_mv=mm_per_mv,
        column_seconds=_column_seconds(rng, of_layout, mm_per_second, continuous),
        continuous=continuous,
        joined=joined,
        gap_mm=0.0 if joined else float(rng.choice([0, 0, 1, 3, 6])),
        row_mm=float(rng.uniform(low, high)),
        margins_mm=tuple(rng.uniform((0.5, 0, 0.5, 0), (20, 12, 20, 12)).tolist()),
        paper=paper,
        grid=grid,
        grid_colours=(_tinted(paper, tint, 0.5 * strength), _tinted(paper, tint, strength)),
        grid_pens=(
            max(0.8, 0.1 * px_per_mm),
            max(1.0, float(rng.uniform(0.12, 0.25)) * px_per_mm),
        ),
        grid_under_header=bool(rng.random() < 0.6),
        ink=INKS[rng.integers(len(INKS))],
        pen=max(1, round(float(rng.uniform(0.12, 0.35)) * px_per_mm)),
        smooth=bool(rng.random() < 0.7),
        font=FONTS[rng.integers(len(FONTS))],
        name_mm=float(rng.uniform(2.6, 5)),
        names=names,
        upper=bool(rng.random() < 0.15),
        pulses=pulses,
        pulse_foot_mm=float(rng.choice([0.2, 1.0, 2.0])),
        separators="none" if apart else str(rng.choice(SEPARATORS, p=[0.5, 0.16, 0.14, 0.2])),
        strip_leads=_strip_leads(rng, of_layout),
        header=_header(rng) if with_header else (),
        footer=settings if with_footer else "",
    )


_BANDS = ("0.05-150 Hz", "0.05-40 Hz", "0.5-35 Hz  50 Hz", "F 60~0.15-100 Hz", "40Hz")


def _odds(weights):
    return np.array(weights) / np.sum(weights)


def _tinted(paper, tint, share):
    return tuple(round(p + share * (t - p)) for p, t in zip(paper, tint, strict=True))


def _column_seconds(rng, layout, mm_per_second, continuous):
    """Ten seconds per line, five at 50 mm/s; columns that start at zero may show more."""
    of_line = 10.0 * 25 / mm_per_second
    seconds = of_line / layout.columns
    if not continuous and not layout.rhythm_strips and layout.columns == 2 and rng.random() < 0.5:
        seconds = of_line
    return seconds


def _strip_leads(rng, layout):
    number = len(layout.rhythm_strips)
    if not number or rng.random() < 0.6:
        return None
    return tuple(rng.choice(["I", "II", "V1", "V2", "V5"], number, replace=False).tolist())


def _header(rng: np.random.Generator) -> tuple[tuple[str, ...], ...]:
    """Write blocks of text as electrocardiographs print them, with random numbers."""
    rate, number = rng.integers(45, 130), rng.integers(10_000, 9_999_999)
    day = np.datetime64("2009-01-01") + rng.integers(0, 6000)
    patient = (f"ID: {number}", f"{day}  {rng.integers(0, 24):02d}:{rng.integers(0, 60):02d}")
    measured = (
        f"Vent. rate   {rate}  bpm",
        f"PR interval  {rng.integers(110, 230)}  ms",
        f"QRS duration {rng.integers(70, 150)}  ms",
        f"QT/QTc  {rng.integers(320, 460)}/{rng.integers(360, 500)}  ms",
    )
    remarks = ("Sinus rhythm", "Unconfirmed report", "Referred by:")
    blocks = (patient, measured[: rng.integers(1, 5)], remarks[: rng.integers(1, 4)])
    return blocks[: rng.integers(1, 4)]
