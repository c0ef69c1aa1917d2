"""Draw twelve leads in any layout and style."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from ecg_lib.drawing.letters import draw_letters
from ecg_lib.drawing.styles import GRIDS, NAMES, PULSES, SEPARATORS, Style
from ecg_lib.errors import InputError, one_of
from ecg_lib.pages.layouts import LAYOUTS, Layout, lead_boxes
from ecg_lib.pages.leads import LEADS, Box

PULSE_MV = 1.0


@dataclass(frozen=True)
class StyledPage:
    """A drawn page and the truth about it. Positions are in page pixels.

    Attributes:
        image: the page, an RGB image.
        layout: its `Layout`, with the leads that its strips repeat.
        style: the `Style` that it is drawn in.
        column_edges: x of the left end of each column and of the right end of the last.
        baselines: y of each line's 0 mV, top to bottom.
        names: the printed lead names and their boxes.
        trace_lines: the traces, each a float array (points, 2).
        pulse_lines: the calibration pulses, likewise.
    """

    image: Image.Image
    layout: Layout
    style: Style
    column_edges: tuple[float, ...]
    baselines: tuple[float, ...]
    names: tuple[tuple[str, Box], ...]
    trace_lines: tuple[np.ndarray, ...]
    pulse_lines: tuple[np.ndarray, ...]

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The 13 boxes in canonical order, as `ecg_lib.pages.layouts.lead_boxes` defines them."""
        height = self.image.height
        return tuple(lead_boxes(self.layout, self.column_edges, self.baselines, height))

    @property
    def boundaries(self) -> np.ndarray:
        """The places where two leads of a row meet: float array (places, 2)."""
        rows = self.baselines[: len(self.layout.rows)]
        return np.array([(x, y) for x in self.column_edges[1:-1] for y in rows]).reshape(-1, 2)

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
    whole_span = style.continuous or drawn.rhythm_strips
    needed = style.column_seconds * (drawn.columns if whole_span else 1)
    if np.ndim(signals) != 2 or len(signals) != len(LEADS) or np.shape(signals)[1] < needed * rate:
        raise InputError(
            f"signals of shape {np.shape(signals)} at {rate:g} Hz cannot be drawn: this page "
            f"expects 12 leads of at least {needed:g} seconds"
        )
    return draw_leads(dict(zip(LEADS, signals, strict=True)), rate, drawn, style)


def draw_leads(
    signals: Mapping[str, np.ndarray], rate: float, layout: Layout, style: Style
) -> StyledPage:
    """Draw leads under any names in any arrangement.

    Args:
        signals: the signals in mV, by the names in the layout.
        rate: samples per second.
        layout: a `Layout`, not necessarily of the twelve leads.
        style: a `Style`.
    """
    sheet = _Sheet(layout, style)
    sheet.draw_traces(signals, rate)
    sheet.draw_pulses()
    sheet.draw_separators()
    sheet.write_names()
    sheet.write_text()
    return sheet.page()


class _Sheet:
    """The geometry of one page, in pixels, and the ink on it."""

    def __init__(self, layout, style):
        self.layout, self.style = layout, style
        mm = style.px_per_mm
        left, top, right, bottom = style.margins_mm
        name_mm = 4.5 * style.name_mm * style.letter_width if style.names == "margin" else 0.0
        self.before_column_mm = name_mm + style.pulse_mm * (style.pulses == "columns")
        left += name_mm + style.pulse_mm * (style.pulses in ("left", "columns"))
        right += style.pulse_mm * (style.pulses == "right")
        self.line_of_text = max(2 * style.text_mm * mm, 10)
        lines_of_text = max(map(len, style.header), default=0)
        self.header = (lines_of_text + 0.5) * self.line_of_text * bool(lines_of_text)
        first = self.header + (top + style.row_mm / 2) * mm
        self.baselines = tuple(first + style.row_mm * mm * line for line in range(layout.lines))
        line_mm = layout.columns * style.column_seconds * style.mm_per_second
        self.edges = tuple((np.linspace(left, left + line_mm, layout.columns + 1) * mm).tolist())
        self.traces_end = round(self.baselines[-1] + (style.row_mm / 2 + bottom) * mm)
        self.width = round((left + line_mm + right) * mm)
        self.height = round(self.traces_end + 1.5 * self.line_of_text * bool(style.footer))
        self.lines, self.letters = np.zeros((2, self.height, self.width), np.uint8)
        self.names, self.traces, self.pulses = [], [], []

    def page(self):
        style = self.style
        paper = np.full((self.height, self.width, 3), style.paper, np.uint8)
        top = 0 if style.grid_under_header else round(self.header)
        bottom = self.height if style.grid_under_header else self.traces_end
        _paint_grid(paper[top:bottom], style)
        _cover(paper, style.ink, self.lines)
        _cover(paper, style.text_ink or style.ink, self.letters)
        return StyledPage(
            Image.fromarray(paper),
            self.layout,
            style,
            self.edges,
            self.baselines,
            tuple(self.names),
            tuple(self.traces),
            tuple(self.pulses),
        )

    def lead_places(self):
        """Return the name, the baseline, and both ends of the trace of every lead and strip.

        Returns:
            A list for each line, from top to bottom.
        """
        rows = [
            [(lead, y, *self._trace_ends(number)) for number, lead in enumerate(row)]
            for row, y in zip(self.layout.rows, self.baselines, strict=False)
        ]
        below = self.baselines[len(rows) :]
        return rows + [
            [(lead, y, self.edges[0], self.edges[-1])]
            for lead, y in zip(self.layout.rhythm_strips, below, strict=True)
        ]

    def _trace_ends(self, number):
        """Return the x at which the traces of a column start and end, inside its edges."""
        mm = self.style.px_per_mm
        start, end = self.edges[number : number + 2]
        if number > 0:
            start += (self.style.gap_mm / 2 + self.before_column_mm) * mm
        if number + 1 < self.layout.columns:
            end -= self.style.gap_mm / 2 * mm
        return start, end

    def _printed_inverted(self, lead, line):
        return lead in self.layout.inverted and line < len(self.layout.rows)

    def draw_traces(self, signals, rate):
        style = self.style
        for line, places in enumerate(self.lead_places()):
            pieces = []
            for lead, baseline, start, end in places:
                sign = -1 if self._printed_inverted(lead, line) else 1
                since = self.edges[0] if style.continuous else start
                signal = sign * np.asarray(signals[lead], np.float64)
                pieces.append(self._points(signal, rate, (start, end), since, baseline))
            self.traces += [np.concatenate(pieces)] if style.joined else pieces
        for points in self.traces:
            self._stroke(points)

    def _points(self, signal, rate, ends, since, baseline):
        """Return the points of a signal between two x, with its first sample at `since`."""
        step = self.style.mm_per_second / rate * self.style.px_per_mm
        first, last = (round((x - since) / step) for x in ends)
        shown = signal[first:last]
        x = since + step * np.arange(first, first + len(shown))
        y = baseline - shown * self.style.mm_per_mv * self.style.px_per_mm
        return np.column_stack([x, y])

    def draw_pulses(self):
        if self.style.pulses == "none":
            return
        width = self.style.pulse_mm * self.style.px_per_mm
        for places in self.lead_places():
            baseline = places[0][1]
            if self.style.pulses == "right":
                starts = [self.edges[-1]]
            elif self.style.pulses == "left":
                starts = [self.edges[0] - width]
            else:
                starts = [start - width for _, _, start, _ in places]
            self.pulses += [self._pulse(x, baseline) for x in starts]
        for points in self.pulses:
            self._stroke(points)

    def _pulse(self, x, baseline):
        style, mm = self.style, self.style.px_per_mm
        foot, width = style.pulse_foot_mm * mm, style.pulse_seconds * style.mm_per_second * mm
        top = baseline - PULSE_MV * style.mm_per_mv * mm
        rise, fall = x + foot, x + foot + width
        corners = [(x, baseline), (rise, baseline), (rise, top), (fall, top), (fall, baseline)]
        return np.array([*corners, (fall + foot, baseline)])

    def draw_separators(self):
        style, mm = self.style, self.style.px_per_mm
        rows = np.array(self.baselines[: len(self.layout.rows)])
        top, bottom = rows[0] - 0.45 * style.row_mm * mm, rows[-1] + 0.45 * style.row_mm * mm
        near, far = 0.1 * style.separator_mm * mm, style.separator_mm * mm
        dashes, dots = np.arange(top, bottom, 3 * mm), np.arange(top, bottom, 1.2 * mm)
        # Where strokes start and end.
        strokes = {
            "none": ([], []),
            "lines": ([top], [bottom]),
            "dashed": (dashes, dashes + 1.8 * mm),
            "dotted": (dots, dots + 0.4 * mm),
            "bars": (rows - far, rows + far),
            "above": (rows - far, rows - near),
            "below": (rows + near, rows + far),
            "ticks": (
                np.concatenate([rows - far, rows + 0.5 * far]),
                np.concatenate([rows - 0.5 * far, rows + far]),
            ),
        }
        for x in self.edges[1:-1]:
            for ends in zip(*strokes[style.separators], strict=True):
                self._stroke(np.array([(x, y) for y in ends]))

    def _stroke(self, points):
        kind = cv2.LINE_AA if self.style.smooth else cv2.LINE_8
        fixed = np.round(points * 16).astype(np.int32)
        cv2.polylines(self.lines, [fixed], False, 255, self.style.pen, kind, shift=4)

    def write_names(self):
        if self.style.names == "none":
            return
        for line, places in enumerate(self.lead_places()):
            for lead, baseline, x, _ in places:
                minus = "-" if self._printed_inverted(lead, line) else ""
                self._write_name(f"{minus}{self._printed(lead)}", x, baseline)

    def _printed(self, lead):
        name = lead.upper() if self.style.upper else lead
        return name.replace("V", self.style.chest_letter) if name[0] == "V" else name

    def _write_name(self, name, x, baseline):
        style, mm = self.style, self.style.px_per_mm
        letters = draw_letters(name, style.font, max(style.name_mm * mm, 5.5), style.letter_width)
        height, width = letters.mask.shape
        right, down = np.array(style.name_shift_mm) * mm
        left, top = {
            "above": (x + 1 * mm, baseline - 0.3 * style.row_mm * mm - height),
            "inside": (x + 1.5 * mm, baseline - 1.5 * mm - height),
            "below": (x + 1 * mm, baseline + 1.5 * mm),
            "margin": (self._left_of(x) - 1.5 * mm - width, baseline - height / 2),
        }[style.names]
        self.names.append((name, self._print(letters.mask, left + right, top + down)))

    def _left_of(self, x):
        """Return where a lead starts with its pulse."""
        style = self.style
        has_pulse = style.pulses == "columns" or (style.pulses == "left" and x == self.edges[0])
        return x - style.pulse_mm * style.px_per_mm * has_pulse

    def write_text(self):
        style = self.style
        for number, lines in enumerate(style.header):
            x = 2 * style.px_per_mm + number * self.width / len(style.header)
            for line, words in enumerate(lines):
                self._write(words, x, (line + 1) * self.line_of_text)
        if style.footer:
            self._write(style.footer, 2 * style.px_per_mm, self.height - 0.5 * self.line_of_text)

    def _write(self, words, x, y):
        """Write words that start at x, on a line at y."""
        letters = draw_letters(words, self.style.font, self.line_of_text / 2)
        self._print(letters.mask, x, y + letters.below - len(letters.mask))

    def _print(self, mask, left, top):
        """Print the part of a mask that lies on the page, and return the box of the whole."""
        left, top = round(left), round(top)
        box = Box(left, top, left + mask.shape[1], top + mask.shape[0])
        x0, x1 = np.clip([box.left, box.right], 0, self.width)
        y0, y1 = np.clip([box.top, box.bottom], 0, self.height)
        seen = mask[y0 - top : y1 - top, x0 - left : x1 - left]
        if not self.style.smooth:
            seen = np.where(seen > 127, 255, 0).astype(np.uint8)
        part = self.letters[y0:y1, x0:x1]
        np.maximum(part, seen, out=part)
        return box


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
