"""Styles of pages, as different electrocardiographs print them.

`ecg_lib.drawing.page` draws the pages of the published data set; here everything that differs
between machines is an option: grid, colours, fonts, pulses, separators, speed and gain.
`ecg_lib.drawing.styled_page` draws pages in a style.
"""

from dataclasses import dataclass

import numpy as np

from ecg_lib.drawing.letters import BUILT_IN, STROKES
from ecg_lib.errors import one_of
from ecg_lib.pages.layouts import LAYOUTS

Colour = tuple[int, int, int]


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
        ink: colour of traces, pulses and separators.
        text_ink: colour of names and text, or None for that of the traces.
        pen: width of a trace.
        smooth: whether lines and letters have grey edges.
        font: a font of `ecg_lib.drawing.letters.draw_letters`.
        letter_width: width of the lead names' letters, as a share of the font's own.
        name_mm: height of the lead names' capitals.
        text_mm: height of the capitals in the header and the footer.
        names: one of `NAMES`, the position of the lead names relative to their traces.
        name_shift_mm: how far to the right and down names lie from that position.
        upper: whether the augmented leads are printed as AVR, AVL and AVF.
        chest_letter: what stands for the V of the chest leads.
        pulses: one of `PULSES`, the position of the calibration pulses.
        pulse_foot_mm: length of the level pieces on both sides of a pulse.
        pulse_seconds: length of a pulse between them.
        separators: one of `SEPARATORS`, the marks between the columns.
        separator_mm: how far ticks and bars reach from the baselines.
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
    text_ink: Colour | None = None
    pen: int = 2
    smooth: bool = True
    font: str = "DejaVuSans.ttf"
    letter_width: float = 1.0
    name_mm: float = 3.0
    text_mm: float = 2.3
    names: str = "above"
    name_shift_mm: tuple[float, float] = (0.0, 0.0)
    upper: bool = False
    chest_letter: str = "V"
    pulses: str = "left"
    pulse_foot_mm: float = 1.5
    pulse_seconds: float = 0.2
    separators: str = "none"
    separator_mm: float = 6.0
    strip_leads: tuple[str, ...] | None = None
    header: tuple[tuple[str, ...], ...] = ()
    footer: str = ""

    @property
    def pulse_mm(self) -> float:
        """Width of a calibration pulse with its feet."""
        return 2 * self.pulse_foot_mm + self.pulse_seconds * self.mm_per_second


GRIDS = ("none", "lines", "coarse", "dots", "dots and lines")
NAMES = ("above", "inside", "below", "margin", "none")
PULSES = ("left", "right", "columns", "none")
SEPARATORS = ("none", "ticks", "bars", "above", "below", "lines", "dashed", "dotted")

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
INKS: tuple[Colour, ...] = (
    (0, 0, 0),
    (30, 30, 35),
    (20, 20, 90),
    (60, 55, 60),
    (105, 98, 98),
    (140, 134, 134),
)
FONTS = (
    *("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSans-Oblique.ttf", "DejaVuSansMono.ttf"),
    *("DejaVuSansMono-Bold.ttf", "DejaVuSerif.ttf", "DejaVuSerif-Bold.ttf"),
    *("STIXGeneral.ttf",) * 3,
    *("STIXGeneralBol.ttf",) * 2,
    *("cmr10.ttf", "cmss10.ttf", "cmtt10.ttf", "cmb10.ttf"),
    *(BUILT_IN,) * 3,
    *(STROKES,) * 2,
)
"""Faces like Times and Helvetica are the most usual on ECG pages and stand here several times."""

LIGHTER = 50
"""Minimum difference between the grid and the traces, in grey levels."""

ROWS_MM = {
    **{3: (22, 44), 4: (20, 42), 5: (18, 34), 6: (14, 28)},
    **{7: (13, 24), 12: (9, 19)},
}
"""Distances between baselines, by the number of lines."""

WORDS = (
    *("Sinus rhythm", "Unconfirmed report", "Referred by:", "Name:", "Male", "Abnormal ECG"),
    *("Page 1 of 1", "left axis deviation", "T wave abnormality", "old infarct", "Technician:"),
    *("V1-V4", "in V5", "II, III, aVF", "Limb: 10 mm/mV", "Chest:", "12SL", "P-R-T axes"),
)
"""Remarks on pages; some name leads where no lead is."""


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
    low, high = ROWS_MM[of_layout.lines]
    ink = _choice(rng, INKS)
    settings = f"{mm_per_second:g} mm/s   {mm_per_mv:g} mm/mV   {rng.choice(_BANDS)}"
    return Style(
        px_per_mm=px_per_mm,
        mm_per_second=mm_per_second,
        mm_per_mv=mm_per_mv,
        row_mm=float(rng.uniform(low, high)),
        margins_mm=tuple(rng.uniform((0.5, 0, 0.5, 0), (20, 12, 20, 12)).tolist()),
        ink=ink,
        text_ink=_choice(rng, INKS) if rng.random() < 0.4 else None,
        pen=max(1, round(float(rng.uniform(0.12, 0.35)) * px_per_mm)),
        smooth=bool(rng.random() < 0.7),
        text_mm=float(rng.uniform(1.6, 3)),
        strip_leads=_strip_leads(rng, of_layout),
        header=_header(rng) if rng.random() < 0.5 else (),
        footer=settings if rng.random() < 0.6 else "",
        **_paper(rng, px_per_mm, ink),
        **_names(rng),
        **_columns(rng, of_layout, mm_per_second),
    )


_BANDS = ("0.05-150 Hz", "0.05-40 Hz", "0.5-35 Hz  50 Hz", "F 60~0.15-100 Hz", "40Hz")


def _choice(rng, values):
    return values[int(rng.integers(len(values)))]


def _odds(weights):
    return np.array(weights) / np.sum(weights)


def _paper(rng, px_per_mm, ink):
    """Choose the sheet and its grid, which is lighter than the traces on it."""
    paper = _choice(rng, PAPERS) if rng.random() < 0.6 else PAPERS[0]
    tint = _choice(rng, GRID_TINTS)
    grey = np.mean([paper, tint, ink], axis=1)
    strongest = (grey[0] - grey[2] - LIGHTER) / (grey[0] - grey[1])
    strength = rng.uniform(0.2, min(0.9, strongest))
    thick = max(1.0, float(rng.uniform(0.12, 0.25)) * px_per_mm)
    return {
        "paper": paper,
        "grid": str(rng.choice(GRIDS, p=[0.1, 0.62, 0.06, 0.12, 0.1])),
        "grid_colours": (_tinted(paper, tint, 0.5 * strength), _tinted(paper, tint, strength)),
        "grid_pens": (max(0.8, 0.1 * px_per_mm), thick),
        "grid_under_header": bool(rng.random() < 0.6),
    }


def _tinted(paper, tint, share):
    return tuple(round(p + share * (t - p)) for p, t in zip(paper, tint, strict=True))


def _names(rng):
    """Choose how lead names are printed."""
    return {
        "font": _choice(rng, FONTS),
        "letter_width": float(rng.uniform(0.75, 1.15)),
        "name_mm": float(rng.uniform(2.2, 4.5)),
        "name_shift_mm": tuple(rng.uniform((-1, -2), (1.5, 1)).tolist()),
        "upper": bool(rng.random() < 0.2),
        "chest_letter": "C" if rng.random() < 0.04 else "V",
    }


def _columns(rng, layout, mm_per_second):
    """Choose what of each lead is shown, and what stands before and between the columns."""
    continuous = bool(rng.random() < 0.75)
    printed_names = NAMES[:4] if layout.inverted else NAMES
    odds = [6, 4, 4, 2 if layout.columns < 4 else 0, 1.5][: len(printed_names)]
    names = str(rng.choice(printed_names, p=_odds(odds)))
    in_columns = 1 if layout.columns == 2 else 0
    pulses = str(rng.choice(PULSES, p=_odds([10, 3, in_columns, 5])))
    apart = pulses == "columns" or names == "margin"
    joined = bool(continuous and not apart and rng.random() < 0.3)
    between = str(rng.choice(SEPARATORS, p=_odds([10, 3, 3, 1, 1, 3, 1, 1])))
    return {
        "continuous": continuous,
        "column_seconds": _column_seconds(rng, layout, mm_per_second, continuous),
        "joined": joined,
        "gap_mm": 0.0 if joined else float(rng.choice([0, 0, 1, 3, 6])),
        "names": names,
        "pulses": pulses,
        "pulse_foot_mm": float(rng.choice([0.2, 1.0, 2.0])),
        "pulse_seconds": float(rng.choice([0.1, 0.2, 0.2, 0.2])),
        "separators": "none" if apart else between,
        "separator_mm": float(rng.uniform(2, 7)),
    }


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
    remarks = tuple(str(words) for words in rng.choice(WORDS, 5))
    blocks = (patient, measured[: rng.integers(1, 5)], remarks[: rng.integers(1, 6)])
    return blocks[: rng.integers(1, 4)]
