"""Draw twelve leads as an ECG page whose layout and boxes are known.

The pages look like those of the published data set: exports of an electrocardiograph at 2213x1572
pixels, and small pages that sit on a white sheet of letter paper. All are drawn at 25 mm/s and
10 mm/mV.

Reference:
    Positions and colours were measured on the pages of Khan, Hussain & Malik, *ECG images dataset
    of cardiac and COVID-19 patients*, Data in Brief 34 (2021) 106762.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.signal import find_peaks

from ecg_lib.drawing.letters import load_font
from ecg_lib.errors import InputError, one_of
from ecg_lib.pages.layouts import PUBLISHED_LAYOUTS, lead_boxes
from ecg_lib.pages.leads import LEADS, Box

SECONDS = 10.0
"""What a page shows, from the first column's start to the last column's end."""

MM_PER_SECOND = 25.0
MM_PER_MV = 10.0
MM_PER_INCH = 25.4

SERIF = "STIXGeneral.ttf"
SANS = "DejaVuSans.ttf"

EXPORT_SIZE = (2213, 1572)
EXPORT_DPI = 200
EXPORT_TRACE_START = 152
EXPORT_FRAME_BOTTOM = 1517
EXPORT_LINE_SPACING = 33.4
"""Pixels from one line of the header to the next."""

SHEET_FRAME_SIZE_MM = (260.0, 155.0)
SHEET_TRACE_START_MM = 7.0
SHEET_BASELINES_MM = (20.3, 60.5, 100.7, 140.9)
"""Inside the frame of a small page's ECG, in millimetres of its grid."""


class Export(NamedTuple):
    """What differs between the exports of an electrocardiograph, in page pixels.

    Attributes:
        frame_top: y of the grid's frame.
        on_grid: whether the grid is printed.
        baselines: y of each line's 0 mV, or None where the rows are spaced by the signals.
    """

    frame_top: int
    on_grid: bool
    baselines: tuple[int, ...] | None


class Sheet(NamedTuple):
    """What differs between the small pages on letter paper.

    Attributes:
        inches: width and height of the sheet.
        dpi: lowest and highest resolution, in dots per inch.
        frame_mm: left and top of the ECG's frame on the sheet, in millimetres.
        scale: the millimetre of the ECG's grid, in millimetres of paper.
        ink: colour of traces and names.
        cut_line: whether the tops of a line of text show under the grid.
    """

    inches: tuple[float, float]
    dpi: tuple[int, int]
    frame_mm: tuple[float, float]
    scale: float
    ink: tuple[int, int, int]
    cut_line: bool


EXPORTS = {
    "standard_3x4_with_rhythm": Export(283, True, (463, 765, 1065, 1367)),
    "standard_6x2_with_rhythm": Export(283, False, (400, 570, 741, 913, 1085, 1257, 1429)),
    "standard_6x2": Export(402, True, None),
}
SHEETS = {
    "portrait_3x4_with_rhythm": Sheet(
        (8.5, 11.0), (103, 112), (25.4, 25.4), 0.635, (0, 0, 0), cut_line=True
    ),
    "landscape_3x4_with_rhythm": Sheet(
        (11.0, 8.5), (101, 140), (8.7, 45.9), 1.0, (35, 31, 32), cut_line=False
    ),
}


@dataclass(frozen=True)
class Form:
    """One page before its traces are drawn. Lengths are in page pixels.

    Attributes:
        blank: the page without traces, an RGB image.
        dpi: resolution of the page as a file, in dots per inch.
        px_per_mm: a millimetre of the grid.
        trace_start: x at which the traces start.
        baselines: y of each line's 0 mV, top to bottom.
        calibration_mm: where the calibration pulse starts, rises, falls and ends, in millimetres
            from `trace_start`.
        separators: whether lines are drawn between the columns.
        smooth_letters: whether letters have grey edges; the exports' are black or white.
        ink: colour of traces and lead names.
        pen: width of a trace.
        font: the lead names' font.
        name_offset: from a lead's start on its baseline to its name's left end, bottom.
    """

    blank: Image.Image
    dpi: int
    px_per_mm: float
    trace_start: float
    baselines: tuple[float, ...]
    calibration_mm: tuple[float, float, float, float]
    separators: bool
    smooth_letters: bool
    ink: tuple[int, int, int]
    pen: int
    font: ImageFont.FreeTypeFont
    name_offset: tuple[float, float]

    def column_edges(self, columns: int) -> list[float]:
        width = SECONDS * MM_PER_SECOND * self.px_per_mm / columns
        return [self.trace_start + column * width for column in range(columns + 1)]


def draw_page(
    signals: np.ndarray, rate: float, layout: str, rng: np.random.Generator
) -> tuple[Image.Image, list[Box]]:
    """Draw twelve leads as a page.

    Each column shows the seconds that follow the column before it, the rhythm strip all ten.
    Everything random (numbers in the header, date, size of a small page) is taken from `rng` and
    does not depend on the signals. The heart rate in the header is counted from the signals;
    measurements that were not made are printed as dashes.

    Args:
        signals: array `(12, samples)` in mV, leads in the order of `ecg_lib.pages.leads.LEADS`;
            the first ten seconds are drawn.
        rate: samples per second.
        layout: name of the layout, a key of `ecg_lib.pages.layouts.PUBLISHED_LAYOUTS`.
        rng: a `numpy.random.Generator`.

    Returns:
        The page, an RGB `PIL.Image` whose `info["dpi"]` holds its resolution, and its 13 boxes
        in canonical order, as `ecg_lib.pages.layouts.lead_boxes` defines them.

    Raises:
        InputError: if the layout is unknown, or the signals are not twelve leads of at least ten
            seconds.
    """
    drawn = PUBLISHED_LAYOUTS[one_of("layout", layout, PUBLISHED_LAYOUTS)]
    signals = _ten_seconds(signals, rate)
    if drawn.name in EXPORTS:
        form = _export(drawn, signals, rate, rng)
    else:
        sheet = SHEETS[drawn.name]
        form = _sheet(sheet, int(rng.integers(*sheet.dpi, endpoint=True)))
    page = form.blank.copy()
    _draw_leads(page, form, drawn, dict(zip(LEADS, signals, strict=True)))
    page.info["dpi"] = (form.dpi, form.dpi)
    edges = form.column_edges(drawn.columns)
    return page, lead_boxes(drawn, edges, form.baselines, page.height)


def _ten_seconds(signals, rate):
    signals = np.asarray(signals, dtype=np.float64)
    samples = round(SECONDS * rate)
    if signals.ndim != 2 or len(signals) != len(LEADS) or signals.shape[1] < samples:
        raise InputError(
            f"signals of shape {signals.shape} cannot be drawn: expected 12 leads of at least "
            f"{samples} samples, which is {SECONDS:g} seconds at {rate:g} Hz"
        )
    return signals[:, :samples]


def _draw_leads(page, form, layout, signals):
    draw = _pen(page, smooth=form.smooth_letters)
    edges = form.column_edges(layout.columns)
    if form.separators:
        reach = 5.5 * form.px_per_mm
        top, bottom = form.baselines[0] - reach, form.baselines[len(layout.rows) - 1] + reach
        for x in edges[1:-1]:
            draw.line([(x, top), (x, bottom)], fill=form.ink, width=form.pen)
    for baseline in form.baselines:
        _draw_calibration(draw, form, baseline)
    for row, baseline in zip(layout.rows, form.baselines, strict=False):
        for column, lead in enumerate(row):
            shown = np.array_split(signals[lead], layout.columns)[column]
            _draw_trace(draw, form, edges[column], edges[column + 1], baseline, shown, lead)
    if layout.rhythm_strip is not None:
        lead = layout.rhythm_strip
        _draw_trace(draw, form, edges[0], edges[-1], form.baselines[-1], signals[lead], lead)


def _draw_trace(draw, form, left, right, baseline, signal, name):
    x = np.linspace(left, right, len(signal), endpoint=False)
    y = baseline - signal * MM_PER_MV * form.px_per_mm
    draw.line(np.column_stack([x, y]).ravel().tolist(), fill=form.ink, width=form.pen)
    dx, dy = form.name_offset
    draw.text((left + dx, baseline + dy), name, fill=form.ink, font=form.font, anchor="ls")


def _draw_calibration(draw, form, baseline):
    start, rise, fall, end = (form.trace_start + mm * form.px_per_mm for mm in form.calibration_mm)
    top = baseline - MM_PER_MV * form.px_per_mm
    corners = [(start, baseline), (rise, baseline), (rise, top), (fall, top), (fall, baseline)]
    draw.line([*corners, (end, baseline)], fill=form.ink, width=form.pen)


# --- exports of an electrocardiograph, 2213x1572 pixels


def _export(layout, signals, rate, rng):
    export = EXPORTS[layout.name]
    page = _export_paper(export.frame_top if export.on_grid else None).copy()
    heart_rate = _heart_rate(signals, rate)
    _write_header(page, rng, heart_rate, measurements=layout.rhythm_strip is None)
    _write_footer(page, rng, heart_rate, layout)
    px_per_mm = EXPORT_DPI / MM_PER_INCH
    baselines = export.baselines or _baselines_by_extent(
        layout, signals * MM_PER_MV * px_per_mm, export.frame_top, EXPORT_FRAME_BOTTOM
    )
    return Form(
        blank=page,
        dpi=EXPORT_DPI,
        px_per_mm=px_per_mm,
        trace_start=EXPORT_TRACE_START,
        baselines=baselines,
        calibration_mm=(-7.0, -5.9, -3.7, -2.7),
        separators=True,
        smooth_letters=False,
        ink=(0, 0, 0),
        pen=3,
        font=load_font(SERIF, 29),
        name_offset=(1, -7),
    )


def _baselines_by_extent(layout, deflections, top, bottom):
    """Give each row the room its deflections (in pixels) need, and share the rest evenly.

    The exports without rhythm strip space their rows so. Where there is too little room, the
    rows overlap, and an artefact gets at most half of the page.
    """
    half = (bottom - top) / 2
    deflections = deflections.clip(-half, half)
    rows = [[LEADS.index(lead) for lead in row] for row in layout.rows]
    pulse = MM_PER_MV * EXPORT_DPI / MM_PER_INCH
    above = [max(deflections[row].max(), pulse) for row in rows]
    below = [max(-deflections[row].min(), 0.0) for row in rows]
    spare = (bottom - top - sum(above) - sum(below)) / (len(rows) + 1)
    baselines, y = [], top
    for up, down in zip(above, below, strict=True):
        baselines.append(y + spare + up)
        y = baselines[-1] + down
    return tuple(baselines)


@lru_cache
def _export_paper(frame_top):
    """Draw the sheet with its rules and, below `frame_top`, the dotted grid in its frame."""
    width, height = EXPORT_SIZE
    paper = np.full((height, width, 3), 255, np.uint8)
    if frame_top is not None:
        _paint_dots(paper[frame_top:EXPORT_FRAME_BOTTOM, 68:2176])
    page = Image.fromarray(paper)
    draw = _pen(page)
    if frame_top is not None:
        frame = (68, frame_top, 2175, EXPORT_FRAME_BOTTOM - 1)
        draw.rectangle(frame, outline=(250, 160, 165), width=4)
    for y in (138, 144):
        draw.line([(69, y), (2153, y)], fill=(0, 0, 0), width=4)
    return page


def _paint_dots(area):
    """Paint dots 1 mm apart, and 0.5 mm apart along every fifth line."""
    height, width = area.shape[:2]
    px_per_mm = EXPORT_DPI / MM_PER_INCH
    x, y = (np.arange(0, side, px_per_mm / 2).astype(int) for side in (width, height))
    column, row = np.meshgrid(np.arange(len(x)), np.arange(len(y)))
    strong = (column % 10 == 0) | (row % 10 == 0)
    # The exports leave out the first column of dots in each big square, except in its first row.
    left_out = (column % 10 == 2) & (row % 10 > 2)
    weak = (column % 2 == 0) & (row % 2 == 0) & ~left_out & ~strong
    xs, ys = np.meshgrid(x, y)
    area[ys[weak], xs[weak]] = (225, 110, 110)
    area[ys[strong], xs[strong]] = (215, 45, 50)


def _write_header(page, rng, heart_rate, measurements):
    draw, text = _pen(page), load_font(SERIF, 29)
    draw.text((1136, 62), "ECG  REPORT", fill=0, font=load_font(SERIF, 45), anchor="ms")
    age = rng.choice(["", str(rng.integers(25, 85))])
    after_age = 316 + int(rng.integers(-60, 70))
    words = {
        69: f"ID : {rng.integers(50, 200_000)}",
        after_age - 30 * bool(age): f"{age}Years",
        after_age + 125: str(rng.choice(["Male", "Female"])),
        after_age + 295: "cm",
        after_age + 444: "kg",
        after_age + 587: "/",
        after_age + 636: "mmHg",
        after_age + 772: "Race:Unknown",
        after_age + 1012: "Room No.:",
        after_age + 1203: "Department:",
    }
    for x, word in words.items():
        draw.text((x, 94), word, fill=0, font=text, anchor="ls")
    draw.text((69, 127), "Exam.Room:", fill=0, font=text, anchor="ls")
    draw.text((278, 127), "Medication:", fill=0, font=text, anchor="ls")
    if measurements:
        _write_measurements(draw, text, heart_rate)
    draw.text((514 if measurements else 69, 170), "Diagnosis Information:", 0, text, anchor="ls")
    first = 304 if measurements else 205
    for line, words in enumerate(("Technician :", "Ref-Phys. :", "Report Confirmed by:")):
        y = first + line * EXPORT_LINE_SPACING
        draw.text((1556, y), words, fill=0, font=text, anchor="ls")


def _write_measurements(draw, font, heart_rate):
    values = {
        "HR": f"{heart_rate}   bpm",
        "P": "---  ms",
        "PR": "---  ms",
        "QRS": "---  ms",
        "QT/QTc": "---/--- ms",
        "P/QRS/T": "---/---/--- °",
        "RV5/SV1": "---/--- mV",
    }
    for line, (name, value) in enumerate(values.items()):
        y = 170 + line * EXPORT_LINE_SPACING
        for x, words in ((69, name), (255, ":"), (276, value)):
            draw.text((x, y), words, fill=0, font=font, anchor="ls")


def _write_footer(page, rng, heart_rate, layout):
    draw, font = _pen(page), load_font(SERIF, 23)
    band = rng.choice(["0.67~25Hz", "0.5~45Hz", "0.67~45Hz", "0.5~100Hz"])
    arrangement = f"{layout.columns}*{SECONDS / layout.columns:g}s"
    strip = "" if layout.rhythm_strip is None else "+1r"
    settings = f"{band}  AC50  25mm/s  10mm/mV  {arrangement}{strip}  "
    draw.text((68, 1552), settings, fill=0, font=font, anchor="ls")
    x = 68 + draw.textlength(settings, font=font)
    draw.text((x, 1552), "♥", fill=0, font=load_font(SANS, 20), anchor="ls")
    rest = f"{heart_rate}  SE-3  V1.0  SEMIP  V1.7"
    draw.text((x + 19, 1552), rest, fill=0, font=font, anchor="ls")
    day = np.datetime64("2019-01-01") + rng.integers(0, 700)
    clock = "{:02d}:{:02d}:{:02d} {}M".format(
        rng.integers(1, 13), rng.integers(60), rng.integers(60), rng.choice(["A", "P"])
    )
    draw.text((1792, 1552), f"{day}    {clock}", fill=0, font=font, anchor="ls")


def _heart_rate(signals, rate):
    """Count per minute the moments, 0.25 s or more apart, when all leads together are steep."""
    slope = np.abs(np.diff(signals, axis=1)).sum(axis=0)
    window = max(round(0.08 * rate), 1)
    steepness = np.convolve(slope, np.full(window, 1 / window), mode="same")
    beats, _ = find_peaks(steepness, height=0.4 * steepness.max(), distance=0.25 * rate)
    if len(beats) < 2:
        return "---"
    return str(round(60 * rate / np.diff(beats).mean()))


# --- small pages on a sheet of letter paper


def _sheet(sheet, dpi):
    px_per_mm = sheet.scale * dpi / MM_PER_INCH
    left, top = (round(mm * dpi / MM_PER_INCH) for mm in sheet.frame_mm)
    return Form(
        blank=_sheet_paper(sheet, dpi, px_per_mm, left, top),
        dpi=dpi,
        px_per_mm=px_per_mm,
        trace_start=left + SHEET_TRACE_START_MM * px_per_mm,
        baselines=tuple(top + mm * px_per_mm for mm in SHEET_BASELINES_MM),
        calibration_mm=(-6.9, -5.9, -0.9, 0.0),
        separators=False,
        smooth_letters=True,
        ink=sheet.ink,
        pen=1,
        font=load_font(SANS, round(3.9 * px_per_mm)),
        name_offset=(1.4 * px_per_mm, -2.5 * px_per_mm),
    )


def _sheet_paper(sheet, dpi, px_per_mm, left, top):
    page_width, page_height = (round(inches * dpi) for inches in sheet.inches)
    paper = np.full((page_height, page_width, 3), 255, np.uint8)
    width, height = (round(mm * px_per_mm) for mm in SHEET_FRAME_SIZE_MM)
    _paint_lines(paper[top : top + height + 1, left : left + width + 1], px_per_mm)
    page = Image.fromarray(paper)
    if sheet.cut_line:
        _write_cut_line(page, left, top + height, px_per_mm)
    return page


def _paint_lines(area, px_per_mm):
    """Paint a line every millimetre, and a darker one every five."""
    area[:] = (255, 249, 248)
    for step, colour in ((1, (251, 226, 227)), (5, (243, 186, 190))):
        for lines in (area, area.swapaxes(0, 1)):
            at = np.arange(0, len(lines) - 0.5, step * px_per_mm).round().astype(int)
            lines[at] = np.minimum(lines[at], np.uint8(colour))
    area[[0, -1]] = area[:, [0, -1]] = (245, 175, 180)


def _write_cut_line(page, left, bottom, px_per_mm):
    """Write the line under the grid, of which only the tops of the letters show on real pages."""
    draw, font = _pen(page), load_font(SANS, round(3.2 * px_per_mm))
    draw.text((left + 2, bottom + 2), "Cart#  0   V.", fill=0, font=font)
    settings = "Site# 0  Cart# 0  FW:1.11.0.2  Sequence#  25 mm/s  10 mm/mV  0.05-150 Hz"
    draw.text((left + 64 * px_per_mm, bottom + 2), settings, fill=0, font=font)
    draw.rectangle((0, bottom + 1 + round(1.7 * px_per_mm), page.width, page.height), fill="white")


# --- shared


def _pen(page, smooth=False):
    draw = ImageDraw.Draw(page)
    draw.fontmode = "L" if smooth else "1"
    return draw
