"""Draw twelve leads in any layout and style."""

from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw

from ecg_lib.drawing.page import load_font
from ecg_lib.drawing.styles import GRIDS, NAMES, PULSE_SECONDS, PULSES, SEPARATORS, Style
from ecg_lib.errors import InputError, one_of
from ecg_lib.pages.layouts import LAYOUTS, Layout, lead_boxes
from ecg_lib.pages.leads import LEADS, Box

PULSE_MV = 1.0
HEADER_MM = 3.2
"""Height of a letter in the header and the footer, 1.4 times of which is a line."""


@dataclass(frozen=True)
class StyledPage:
    """A drawn page and the truth about it. Positions are in page pixels.

    Attributes:
        image: the page, an RGB image.
        layout: its `Layout`, with the leads that its strips repeat.
        style: the `Style` that it is drawn in.
        boxes: the 13 boxes in canonical order, as `ecg_lib.pages.layouts.lead_boxes` defines them.
        column_edges: x of the left end of each column and of the right end of the last.
        baselines: y of each line's 0 mV, top to bottom.
        names: the printed lead names and their boxes.
    """

    image: Image.Image
    layout: Layout
    style: Style
    boxes: tuple[Box, ...]
    column_edges: tuple[float, ...]
    baselines: tuple[float, ...]
    names: tuple[tuple[str, Box], ...]

    @property
    def traces(self) -> Box:
        """The area of all traces, strips included, without the pulses."""
        half = self.style.row_mm * self.style.px_per_mm / 2
        top, bottom = self.baselines[0] - half, self.baselines[-1] + half
        return Box(*map(round, (self.column_edges[0], top, self.column_edges[-1], bottom)))

    @property
    def traces_and_pulses(self) -> Box:
        """The area of all traces, with the calibration pulses beside them."""
        left, top, right, bottom = self.traces
        pulse = round(self.style.pulse_mm * self.style.px_per_mm)
        return Box(
            left - pulse * (self.style.pulses in ("left", "columns")),
            top,
            right + pulse * (self.style.pulses == "right"),
            bottom,
        )


def draw_styled(signals: np.ndarray, rate: float, layout: str, style: Style) -> StyledPage:
    """Draw twelve leads as a page of any layout and style.

    Args:
        signals: array `(12, samples)` in mV, leads in the order of `ecg_lib.pages.leads.LEADS`.
        rate: samples per second.
        layout: a key of `ecg_lib.pages.layouts.LAYOUTS`.
        style: a `Style`.

    Returns:
        A `StyledPage`.

    Raises:
        InputError: if the layout or an option of the style is unknown, or the signals are too
            short for the page.
    """
    drawn = LAYOUTS[one_of("layout", layout, LAYOUTS)]
    for option, values in (
        ("grid", GRIDS),
        ("names", NAMES),
        ("pulses", PULSES),
        ("separators", SEPARATORS),
    ):
        one_of(option, getattr(style, option), values)
    if style.strip_leads is not None:
        drawn = drawn.with_strips(style.strip_leads)
    sheet = _Sheet(drawn, style)
    needed = style.column_seconds * (drawn.columns if sheet.whole_span else 1)
    if np.ndim(signals) != 2 or len(signals) != len(LEADS) or np.shape(signals)[1] < needed * rate:
        raise InputError(
            f"signals of shape {np.shape(signals)} at {rate:g} Hz cannot be drawn: this page "
            f"expects 12 leads of at least {needed:g} seconds"
        )
    return sheet.draw(dict(zip(LEADS, np.asarray(signals, np.float64), strict=True)), rate)


class _Sheet:
    """The geometry of one page, in pixels, and what is drawn on it."""

    def __init__(self, layout, style):
        self.layout, self.style = layout, style
        mm = style.px_per_mm
        left, top, right, bottom = style.margins_mm
        name_mm = 3.5 * style.name_mm if style.names == "margin" else 0.0
        self.before_column_mm = name_mm + style.pulse_mm * (style.pulses == "columns")
        self.column_mm = style.column_seconds * style.mm_per_second
        self.name_px = max(round(style.name_mm * mm), 7)
        left += name_mm + style.pulse_mm * (style.pulses in ("left", "columns"))
        right += style.pulse_mm * (style.pulses == "right")
        lines_of_text = max(map(len, style.header), default=0)
        self.header_px = (1.4 * HEADER_MM * lines_of_text + 2 * bool(lines_of_text)) * mm
        self.footer_px = 2 * HEADER_MM * mm * bool(style.footer)
        first = self.header_px + (top + style.row_mm / 2) * mm
        self.baselines = tuple(first + style.row_mm * mm * line for line in range(layout.lines))
        line_mm = layout.columns * self.column_mm
        edges = np.linspace(left, left + line_mm, layout.columns + 1) * mm
        self.edges = tuple(edges.tolist())
        self.width = round((left + line_mm + right) * mm)
        traces_end = self.baselines[-1] + (style.row_mm / 2 + bottom) * mm
        self.traces_end = round(traces_end)
        self.height = round(traces_end + self.footer_px)
        self.names = []

    @property
    def whole_span(self):
        """Whether a page shows more of some lead than the seconds of one column."""
        return self.style.continuous or self.layout.rhythm_strips

    def trace_ends(self, number):
        """Return the x at which the traces of a column start and end, inside its edges."""
        mm = self.style.px_per_mm
        start, end = self.edges[number : number + 2]
        if number > 0:
            start += (self.style.gap_mm / 2 + self.before_column_mm) * mm
        if number + 1 < self.layout.columns:
            end -= self.style.gap_mm / 2 * mm
        return start, end

    def draw(self, signals, rate):
        style, layout = self.style, self.layout
        paper = np.full((self.height, self.width, 3), style.paper, np.uint8)
        top = 0 if style.grid_under_header else round(self.header_px)
        bottom = self.height if style.grid_under_header else self.traces_end
        _paint_grid(paper[top:bottom], style)
        ink = np.zeros(paper.shape[:2], np.uint8)
        self._draw_traces(ink, signals, rate)
        self._draw_pulses(ink)
        self._draw_separators(ink)
        self._write(ink)
        _cover(paper, style.ink, ink)
        image = Image.fromarray(paper)
        boxes = lead_boxes(layout, self.edges, self.baselines, self.height)
        return StyledPage(
            image, layout, style, tuple(boxes), self.edges, self.baselines, tuple(self.names)
        )

    def _draw_traces(self, ink, signals, rate):
        style, layout = self.style, self.layout
        for row, baseline in zip(layout.rows, self.baselines, strict=False):
            pieces = []
            for number, lead in enumerate(row):
                sign = -1 if lead in layout.inverted else 1
                ends = self.trace_ends(number)
                since = self.edges[0] if style.continuous else ends[0]
                pieces.append(self._points(sign * signals[lead], rate, ends, since, baseline))
            for piece in [np.concatenate(pieces)] if style.joined else pieces:
                self._stroke(ink, piece)
        ends = self.edges[0], self.edges[-1]
        strips = zip(layout.rhythm_strips, self.baselines[len(layout.rows) :], strict=True)
        for lead, baseline in strips:
            self._stroke(ink, self._points(signals[lead], rate, ends, ends[0], baseline))

    def _points(self, signal, rate, ends, since, baseline):
        """Return the points of a signal between two x, with its first sample at `since`."""
        step = self.style.mm_per_second / rate * self.style.px_per_mm
        first, last = (round((x - since) / step) for x in ends)
        shown = signal[first:last]
        x = since + step * np.arange(first, first + len(shown))
        y = baseline - shown * self.style.mm_per_mv * self.style.px_per_mm
        return np.column_stack([x, y])

    def _draw_pulses(self, ink):
        if self.style.pulses == "none":
            return
        width = self.style.pulse_mm * self.style.px_per_mm
        if self.style.pulses == "right":
            places = [self.edges[-1]]
        elif self.style.pulses == "left":
            places = [self.edges[0] - width]
        else:
            places = [self.trace_ends(number)[0] - width for number in range(self.layout.columns)]
        for line, baseline in enumerate(self.baselines):
            of_line = places if line < len(self.layout.rows) else places[:1]
            for x in of_line:
                self._stroke(ink, self._pulse(x, baseline))

    def _pulse(self, x, baseline):
        mm = self.style.px_per_mm
        foot = self.style.pulse_foot_mm * mm
        width = PULSE_SECONDS * self.style.mm_per_second * mm
        top = baseline - PULSE_MV * self.style.mm_per_mv * mm
        rise, fall = x + foot, x + foot + width
        corners = [(x, baseline), (rise, baseline), (rise, top), (fall, top), (fall, baseline)]
        return np.array([*corners, (fall + foot, baseline)])

    def _draw_separators(self, ink):
        style, mm = self.style, self.style.px_per_mm
        rows = self.baselines[: len(self.layout.rows)]
        reach = 0.45 * style.row_mm * mm
        # From each row's baseline upwards: pairs of y.
        strokes = {
            "none": [],
            "lines": [(rows[0] - reach, rows[-1] + reach)],
            "bars": [(y - 5 * mm, y + 5 * mm) for y in rows],
            "ticks": [(y + side * 3 * mm, y + side * 6 * mm) for y in rows for side in (-1, 1)],
        }
        for x in self.edges[1:-1]:
            for top, bottom in strokes[style.separators]:
                self._stroke(ink, np.array([(x, top), (x, bottom)]))

    def _stroke(self, ink, points):
        kind = cv2.LINE_AA if self.style.smooth else cv2.LINE_8
        fixed = np.round(points * 16).astype(np.int32)
        cv2.polylines(ink, [fixed], False, 255, self.style.pen, kind, shift=4)

    def _write(self, ink):
        """Write names, header and footer into the mask of ink."""
        mask = Image.fromarray(ink)
        draw = ImageDraw.Draw(mask)
        draw.fontmode = "L" if self.style.smooth else "1"
        self._write_names(draw)
        self._write_text(draw)
        ink[:] = np.asarray(mask)

    def _write_names(self, draw):
        layout, baselines = self.layout, self.baselines
        if self.style.names == "none":
            return
        for row, baseline in zip(layout.rows, baselines, strict=False):
            for number, lead in enumerate(row):
                self._write_name(draw, lead, self.trace_ends(number)[0], baseline)
        for lead, baseline in zip(layout.rhythm_strips, baselines[len(layout.rows) :], strict=True):
            self._write_name(draw, lead, self.edges[0], baseline, strip=True)

    def _write_name(self, draw, lead, x, baseline, strip=False):
        style, mm = self.style, self.style.px_per_mm
        name = lead.upper() if style.upper else lead
        if lead in self.layout.inverted and not strip:
            name = f"-{name}"
        x, y, anchor = {
            "above": (x + 1 * mm, baseline - 0.3 * style.row_mm * mm, "ls"),
            "inside": (x + 1.5 * mm, baseline - 1.5 * mm, "ls"),
            "below": (x + 1 * mm, baseline + 1.5 * mm, "lt"),
            "margin": (x - 1.5 * mm, baseline, "rm"),
        }[style.names]
        if style.names == "margin":
            beside_pulse = style.pulses == "columns" or (
                style.pulses == "left" and x == self.edges[0]
            )
            x -= style.pulse_mm * mm * beside_pulse
        letters = load_font(style.font, self.name_px)
        draw.text((x, y), name, fill=255, font=letters, anchor=anchor)
        edges = draw.textbbox((x, y), name, font=letters, anchor=anchor)
        self.names.append((name, Box(*map(round, edges))))

    def _write_text(self, draw):
        style = self.style
        size = max(round(HEADER_MM * style.px_per_mm), 7)
        letters = load_font(style.font, size)
        for number, lines in enumerate(style.header):
            x = 2 * style.px_per_mm + number * self.width / len(style.header)
            for line, words in enumerate(lines):
                draw.text((x, size * (0.5 + 1.4 * line)), words, fill=255, font=letters)
        if style.footer:
            place = (2 * style.px_per_mm, self.height - 0.6 * size)
            draw.text(place, style.footer, fill=255, font=letters, anchor="ls")


def _cover(area, colour, alpha):
    """Cover an area with a colour by `alpha`, a uint8 array (height, width), in place."""
    seen = alpha > 0
    area[seen] = _mixed(area[seen], colour, alpha[seen])


def _mixed(below, colour, alpha):
    """Mix colours `(n, 3)` with one that covers each by its `alpha`, 0 to 255."""
    share = alpha[:, None].astype(np.uint16)
    return ((below * (255 - share) + np.uint16(colour) * share + 127) // 255).astype(np.uint8)


def _paint_grid(area, style):
    """Paint the millimetres on an area of plain paper, then the five millimetres over them."""
    thin, thick = style.grid_colours
    if style.grid == "none":
        return
    if style.grid != "coarse":
        alpha = _lattice(area, style.px_per_mm, style.grid_pens[0], style.grid != "lines")
        levels = np.arange(256)
        area[:] = _mixed(np.uint8([style.paper]), thin, levels)[alpha]
    alpha = _lattice(area, 5 * style.px_per_mm, style.grid_pens[1], style.grid == "dots")
    _cover(area, thick, alpha)


def _lattice(area, step, pen, dots):
    """Compute how vertical and horizontal lines, or the dots at their crossings, cover an area.

    Returns:
        uint8 array (height, width).
    """
    rows, columns = (_coverage(length, step, pen) for length in area.shape[:2])
    if dots:
        return np.round(255 * np.multiply.outer(rows, columns)).astype(np.uint8)
    rows, columns = (np.round(255 * shares).astype(np.uint8) for shares in (rows, columns))
    return np.maximum.outer(rows, columns)


def _coverage(length, step, pen):
    """Return the share of each pixel that lines `step` apart cover: float32 (length,)."""
    middles = np.arange(0.5 * pen, length, step, dtype=np.float32)
    pixels = np.arange(length)[:, None]
    left, right = middles - pen / 2, middles + pen / 2
    shares = np.minimum(pixels + 1, right) - np.maximum(pixels, left)
    return shares.clip(0, 1).max(axis=1)
