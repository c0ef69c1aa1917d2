"""Draw pages for the reader's network to learn from: any layout, order, paper and font.

Pages for people to look at come from `ecg_lib.drawing.styled_page`. These here are drawn faster, at
the size at which the network looks at them, and vary beyond what any machine prints: leads in wrong
places, traces that stop or thicken, names that lie on the trace. Beside the page stands what each
of its pixels is.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ecg_lib.pages.layouts import CABRERA_ORDER, CHEST_LEADS, STANDARD_ORDER
from ecg_lib.pages.leads import LEADS

OTHER = len(LEADS)
"""Class of a name that is none of the twelve."""

OTHERS = ("V2R", "V3R", "V4R", "V5R", "V6R", "V7", "V8", "V9")

HERSHEY, BUILT_IN = "hershey", "built-in"
"""The strokes of plotters, which OpenCV draws, and the font inside Pillow."""

FONTS = (
    *("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSans-Oblique.ttf", "DejaVuSansMono.ttf"),
    *("DejaVuSansMono-Bold.ttf", "DejaVuSerif.ttf", "DejaVuSerif-Bold.ttf"),
    *("STIXGeneral.ttf",) * 3,
    *("STIXGeneralBol.ttf",) * 2,
    *("cmr10.ttf", "cmss10.ttf", "cmtt10.ttf", "cmb10.ttf"),
    *(BUILT_IN,) * 3,
    *(HERSHEY,) * 2,
)
"""Fonts that matplotlib ships and two more. Faces like Times and Helvetica are the most usual on
ECG pages and stand here several times."""

WORDS = (
    *("Vent. rate", "PR interval", "QRS duration", "QT/QTc", "P-R-T axes", "BPM", "ms", "Date"),
    *("Normal sinus rhythm", "Abnormal ECG", "25 mm/s", "10 mm/mV", "40 Hz", "0.05-150 Hz"),
    *("Unconfirmed Diagnosis", "Name:", "ID:", "Male", "Years", "12SL", "Technician:", "Dr."),
    *("Referred by:", "Page 1 of 1", "left axis deviation", "T wave abnormality", "old infarct"),
    *("V1-V4", "in V5", "HR 72", "SE-3", "Limb: 10 mm/mV", "Chest:", "F 60~", "II, III, aVF"),
)

ARRANGEMENTS = ((3, 4), (3, 4), (3, 4), (6, 2), (6, 2), (12, 1))
"""Rows and columns; 3x4 is the most usual."""

ROW_MM = {3: (14, 46), 6: (11, 26), 12: (8, 20)}
"""Distances of the baselines, by the number of rows."""


@dataclass
class PracticePage:
    """A page, and what stands where on it; positions are in pixels.

    Attributes:
        grid: float32 array (height, width), darkness of the paper, 0 to 1.
        print: uint8 array, 255 on printed letters and rules.
        pen: uint8 array, 255 on traces and pulses.
        trace: uint8 array, 255 on traces.
        pulse: uint8 array, 255 on calibration pulses.
        names: a list of (class, left, top, right, bottom), the class from 0 to `OTHER`.
        boundaries: a list of (x, y), the places on the baselines where two leads meet.
    """

    grid: np.ndarray
    print: np.ndarray
    pen: np.ndarray
    trace: np.ndarray
    pulse: np.ndarray
    names: list = field(default_factory=list)
    boundaries: list = field(default_factory=list)

    @classmethod
    def blank(cls, height: int, width: int) -> "PracticePage":
        masks = [np.zeros((height, width), np.uint8) for _ in range(4)]
        grid = np.zeros((height, width), np.float32)
        return cls(grid, masks[0], masks[1], masks[2], masks[3])

    def stroke(self, points, thickness: int = 1, kind: np.ndarray | None = None) -> None:
        """Draw a line: a printed one, or one of the kind `trace` or `pulse`."""
        fixed = [np.round(np.asarray(points, float) * 16).astype(np.int32)]
        onto = self.print if kind is None else self.pen
        cv2.polylines(onto, fixed, False, 255, thickness, cv2.LINE_AA, 4)
        if kind is not None:
            cv2.polylines(kind, fixed, False, 255, max(thickness, 2), cv2.LINE_8, 4)

    def paste(self, letters: np.ndarray, left: float, top: float) -> bool:
        """Print letters; returns whether any of them lies on the page."""
        left, top = round(left), round(top)
        height, width = self.print.shape
        x = slice(max(left, 0), min(left + letters.shape[1], width))
        y = slice(max(top, 0), min(top + letters.shape[0], height))
        if x.start >= x.stop or y.start >= y.stop:
            return False
        part = self.print[y, x]
        seen = letters[y.start - top : y.stop - top, x.start - left : x.stop - left]
        np.maximum(part, seen, out=part)
        return True


def draw_practice_page(rng: np.random.Generator, recordings: list[np.ndarray]) -> PracticePage:
    """Draw a page of leads that are taken from the recordings by chance.

    Args:
        rng: a `numpy.random.Generator`.
        recordings: arrays `(12, samples)` in mV, ten seconds each.
    """
    return _Drawing(rng, recordings).draw()


def draw_other_page(rng: np.random.Generator) -> PracticePage:
    """Draw text, boxes and graph paper: nothing on it is a trace, a pulse or a lead's name."""
    height, width = int(rng.integers(400, 900)), int(rng.integers(900, 1100))
    page = PracticePage.blank(height, width)
    if rng.random() < 0.5:
        _draw_grid(page, rng, rng.uniform(2, 7), 0)
    if rng.random() < 0.8:
        _write_words(page, rng, _choice(rng, FONTS), 4, height * rng.uniform(0.3, 1))
    for _ in range(rng.integers(0, 12)):
        x, y, w, h = rng.uniform(0, 1, 4) * [width, height, 0.5 * width, 0.2 * height]
        corners = [(x, y), (x + w, y), (x + w, y + h), (x, y + h), (x, y)]
        page.stroke(corners[: rng.integers(2, 6)], int(rng.integers(1, 3)))
    return page


class _Drawing:
    """The choices of one page, made by chance, and the page as it grows."""

    def __init__(self, rng, recordings):
        self.rng, self.recordings = rng, recordings
        width = int(rng.integers(900, 1150))
        self.rows, self.columns = _choice(rng, ARRANGEMENTS)
        strips = {3: (0, 1, 1, 2, 3), 6: (0, 1), 12: (0,)}[self.rows]
        self.strips = int(rng.choice(strips))
        self.length = width * rng.uniform(0.78, 1.08)
        self.mm = self.length / rng.uniform(235, 265)
        self.spacing = self.mm * rng.uniform(*ROW_MM[self.rows])
        self.header = rng.choice([0, 0, 1]) * rng.uniform(30, 160)
        lines = self.rows + self.strips + rng.uniform(-0.2, 0.8)
        height = int(np.clip(self.header + self.spacing * lines, 250, 950))
        self.page = PracticePage.blank(height, width)
        self.font = _choice(rng, FONTS)
        self.capital = float(np.clip(self.mm * rng.uniform(1.9, 4.6), 5.5, 18))
        self.squeeze = rng.uniform(0.72, 1.15)
        self.in_margin = rng.random() < 0.06
        self.name_dx = self.mm * rng.uniform(-1.5, 4)
        above, near, below = rng.uniform(-10, -1.5), rng.uniform(-5, -1.5), rng.uniform(1, 8)
        self.name_dy = self.mm * rng.choice([above, near, below])
        self.side = str(rng.choice(["left", "left", "left", "right", "none"]))
        if self.columns > 1 and rng.random() < 0.1:
            self.side = "columns"
        self.pulse_mm = rng.choice([2.2, 2.5, 5, 5])
        self.start = rng.uniform(-0.02, 0.1) * width
        if self.side in ("left", "columns"):
            self.start = max(self.start, rng.uniform(-0.5, 2) * self.mm * (self.pulse_mm + 2.5))
        self.pen = int(rng.choice([1, 1, 1, 2, 2]))
        self.hum = rng.random() < 0.08
        usual = rng.choice([0.5, 0.7, 1, 1, 1, 1.3])
        self.gain = 10 * self.mm * usual * rng.uniform(0.7, 1.3)
        self.gap = rng.choice([0, 0, 1, 2, 4, 8])
        self.step = rng.uniform(0, 2) * self.mm
        self.rule = rng.choice(["", "", "", "solid", "dashed", "dotted"])
        self.bar = rng.choice(["", "", "above", "below", "both", "short"])
        self.bar_px = rng.uniform(1.5, 7) * self.mm
        self.bar_touches = rng.random() < 0.5
        self.joined = rng.random() < 0.4
        self.upper = rng.random() < 0.25
        self.chest_is_c = rng.random() < 0.04
        self.cabrera = rng.random() < 0.25
        self.baselines = self._baselines()

    def _baselines(self):
        y = self.header + self.spacing * self.rng.uniform(0.4, 0.75)
        found = []
        for _ in range(self.rows + self.strips):
            found.append(y)
            uneven = self.rng.uniform(0.8, 1.15) if self.rng.random() < 0.3 else 1
            y += self.spacing * uneven
        return found

    def draw(self):
        page, rng = self.page, self.rng
        _draw_grid(page, rng, self.mm, self.header)
        text = self.font if rng.random() < 0.6 else _choice(rng, FONTS)
        if self.header:
            _write_words(page, rng, text, 4, self.header)
        if rng.random() < 0.5:
            _write_words(page, rng, text, len(page.grid) - 18, len(page.grid))
        for line, y in enumerate(self.baselines):
            self._draw_line(self._leads(line), y)
        if self.rule and self.columns > 1:
            self._draw_rules()
        if rng.random() < 0.1:  # scribbles
            for _ in range(rng.integers(1, 4)):
                start = rng.uniform(0, 1, 2) * page.grid.shape[::-1]
                page.stroke(rng.uniform(0, 1, (6, 2)).cumsum(0) * 40 + start)
        return page

    def _leads(self, line):
        if line >= self.rows:
            return [str(self.rng.choice(["II", "II", "V1", "V5", "III", "aVF"]))]
        order = CABRERA_ORDER if self.cabrera else STANDARD_ORDER
        leads = (*order, *CHEST_LEADS)[line :: self.rows]
        if self.rng.random() < 0.08:  # whatever the place, a name is what is printed
            return [str(self.rng.choice([*LEADS, *OTHERS])) for _ in leads]
        return leads

    def _draw_line(self, leads, y):
        span = self.length / len(leads)
        before, pulses = None, []
        for number, lead in enumerate(leads):
            x = self.start + number * span
            room = self._room_before() * (number > 0)
            gap = room + self.gap * (number > 0)
            end = x + span - 0.5 * (number + 1 < len(leads))
            points = self._points(number, len(leads), x + gap, end, y)
            if number and self.joined and not gap:
                points = np.concatenate([before[-1:], points])
            thick = self.hum and self.rng.random() < 0.5
            self.page.stroke(points, self.pen + thick, self.page.trace)
            before = points
            if number:
                self.page.boundaries.append((x, y))
            if number or self.rng.random() < 0.1:
                self._draw_bar(x, y)
            if self.rng.random() < 0.96:
                self._write_name(lead, x + room, y, first=number == 0)
            pulses.append(x + room - self.mm * (self.pulse_mm + 1.5))
        if self.side == "left":
            pulses = [self.start - self.mm * (self.pulse_mm + self.rng.uniform(1, 2.5))]
        elif self.side == "right":
            pulses = [self.start + self.length + self.mm * self.rng.uniform(0.5, 2)]
        elif self.side == "none":
            pulses = []
        for x in pulses:
            self._draw_pulse(x, y)

    def _room_before(self):
        """What stands between a column's edge and its trace: a pulse, a name, or nothing."""
        room = self.mm * (self.pulse_mm + 3) if self.side == "columns" else 0
        return room + 3.2 * self.capital * self.in_margin

    def _points(self, number, parts, start, end, y):
        rng = self.rng
        signal = self.recordings[rng.integers(len(self.recordings))][rng.integers(len(LEADS))]
        piece = np.array_split(signal, parts)[number]
        samples = max(int(1.6 * (end - start)), 50)
        at = np.linspace(0, len(piece) - 1, samples)
        height = self.gain * np.interp(at, np.arange(len(piece)), piece)
        phase = np.linspace(0, rng.uniform(0, 6), samples) + rng.uniform(0, 6)
        height += self.mm * rng.uniform(0, 1.5) * np.sin(phase)
        if rng.random() < 0.15:
            height += rng.normal(0, self.mm * rng.uniform(0.1, 0.8), samples)
        if rng.random() < 0.04:  # a lead that is flat
            height *= 0.05
        level = y + rng.normal(0, 1) * self.step
        return np.column_stack([np.linspace(start, end, samples), level - height])

    def _draw_bar(self, x, y):
        near = self.mm * 0.5 * (not self.bar_touches)
        for side in {"above": (-1,), "below": (1,), "both": (-1, 1)}.get(self.bar, ()):
            far = side * (self.bar_px + self.mm * 0.5)
            self.page.stroke([(x, y + far), (x, y + side * near)], self.pen)
        if self.bar == "short":
            self.page.stroke([(x, y - self.bar_px / 3), (x, y + self.bar_px / 3)], self.pen)

    def _write_name(self, lead, x, y, first):
        text = lead.upper() if self.upper else lead
        if self.chest_is_c:
            text = text.replace("V", "C") if text[0] == "V" else text
        letters = _letters(text, self.font, self.capital, self.squeeze)
        height, width = letters.shape
        left = x + self.name_dx + self.rng.normal(0, 0.3) * self.mm
        top = y + self.name_dy - self.capital * (self.name_dy < 0)
        if self.in_margin:
            pulse = self.side == "columns" or (self.side == "left" and first)
            left = x - self.mm * ((self.pulse_mm + 3.5) * pulse + 1.5) - width
            top = y - self.capital / 2
        if lead == "aVR" and self.cabrera and self.rng.random() < 0.8:
            minus = left - self.capital * np.array([0.55, 0.15])
            self.page.stroke([(at, top + 0.6 * self.capital) for at in minus], self.pen)
        if self.page.paste(letters, left, top):
            kind = LEADS.index(lead) if lead in LEADS else OTHER
            self.page.names.append((kind, left, top, left + width, top + height))

    def _draw_pulse(self, x, y):
        level = y + (self.rng.normal(0, 1) * self.mm if self.rng.random() < 0.2 else 0)
        foot, width = self.mm * self.rng.uniform(0, 1.5), self.mm * self.pulse_mm
        top = level - 10 * self.mm
        corners = [(x, level), (x, top), (x + width, top), (x + width, level)]
        outline = [(x - foot, level), *corners, (x + width + foot, level)]
        self.page.stroke(outline, self.pen, self.page.pulse)

    def _draw_rules(self):
        rng = self.rng
        top = self.baselines[0] - self.spacing * rng.uniform(0.3, 0.8)
        bottom = self.baselines[self.rows - 1] + self.spacing * rng.uniform(0.2, 0.6)
        dash, step = {
            "solid": (bottom - top, bottom - top),
            "dashed": (rng.uniform(3, 7), rng.uniform(7, 12)),
            "dotted": (1.2, rng.uniform(3, 5)),
        }[self.rule]
        for number in range(1, self.columns):
            x = self.start + number * self.length / self.columns
            for y in np.arange(top, bottom, step):
                self.page.stroke([(x, y), (x, y + dash)], self.pen)


def _draw_grid(page, rng, mm, header):
    """Lines or dots a millimetre apart, stronger lines five apart, or nothing."""
    kind = rng.choice(["none", "lines", "lines", "lines", "lines", "dots", "coarse"])
    fine, stronger = rng.uniform(0.02, 0.38), rng.uniform(0.05, 0.25)
    top = int(max(header - rng.uniform(0, 10), 0)) if rng.random() < 0.7 else 0
    grid = page.grid[top:]
    x, y = rng.uniform(0, 5 * mm, 2)
    pen = 1 + (rng.random() < 0.25)

    def places(first, step, length):
        return np.arange(first, length, step).astype(int)

    height, width = grid.shape
    columns, rows = places(x % mm, mm, width), places(y % mm, mm, height)
    if kind == "lines":
        grid[:, columns] = grid[rows] = fine
    elif kind == "dots":
        grid[np.ix_(rows, columns)] = 1.3 * fine
    if kind == "none":
        return
    for line in range(pen):
        columns, rows = places(x, 5 * mm, width) + line, places(y, 5 * mm, height) + line
        grid[:, columns[columns < width]] = grid[rows[rows < height]] = fine + stronger


def _write_words(page, rng, font, top, bottom):
    y, width = top, page.grid.shape[1]
    while y < bottom - 8:
        capital = rng.uniform(6, 13)
        x = rng.uniform(0, 0.4) * width
        while x < width - 20 and rng.random() < 0.85:
            text = _choice(rng, WORDS) if rng.random() < 0.75 else str(rng.integers(0, 2000))
            letters = _letters(text, font, capital, rng.uniform(0.8, 1.1))
            page.paste(letters, x, y)
            x += letters.shape[1] + rng.uniform(6, 120)
        y += capital * rng.uniform(1.3, 2.2)


def _letters(text, font, height, squeeze):
    """A text as a mask of a height, narrowed or widened."""
    mask = _mask(text, font)
    width = mask.shape[1] * height / len(mask) * squeeze
    size = max(round(width), 2), max(round(height), 3)
    return cv2.resize(mask, size, interpolation=cv2.INTER_AREA)


@lru_cache(maxsize=4000)
def _mask(text, font):
    """A text as a mask, tightly cut: uint8 array, 255 on letters."""
    if font == HERSHEY:
        (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.77, 1)
        mask = np.zeros((height + below + 6, width + 6), np.uint8)
        at = (3, height + 3)
        cv2.putText(mask, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.77, 255, 1, cv2.LINE_AA)
    else:
        folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
        size = 32
        built_in = font == BUILT_IN
        face = ImageFont.load_default(size) if built_in else ImageFont.truetype(folder / font, size)
        left, top, right, bottom = face.getbbox(text)
        image = Image.new("L", (round(right - left) + 6, round(bottom - top) + 6), 0)
        ImageDraw.Draw(image).text((3 - left, 3 - top), text, fill=255, font=face)
        mask = np.asarray(image)
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return mask[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]


def _choice(rng, values):
    return values[int(rng.integers(len(values)))]
