"""Pictures for the reader's network to learn from, with what each of their cells shows.

They are varied pages with leads that are mixed beyond what any machine prints, so that a name can
only be read from its letters.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from ecg_lib.drawing.photographs import SITUATIONS, moved, photograph
from ecg_lib.drawing.simulation import RATE
from ecg_lib.drawing.styled_page import draw_leads
from ecg_lib.drawing.styles import WORDS, random_style
from ecg_lib.drawing.varied_pages import ARRANGEMENTS
from ecg_lib.pages.detection.general.marks import CELL, darkness
from ecg_lib.pages.detection.result import moved_points
from ecg_lib.pages.layouts import LAYOUTS
from ecg_lib.pages.leads import LEADS, Box

OTHER = len(LEADS)
"""Class of a name that is none of the twelve."""

OTHERS = ("V2R", "V3R", "V4R", "V5R", "V6R", "V7", "V8", "V9")

WIDTHS = (900, 1150)
"""Minimum and maximum width of the pictures, in pixels: about that at which pages are read."""

MOST_PIXELS = 1_000_000

WITHOUT_ECG = 0.06
"""Share of the pictures without an ECG."""

MISNAMED = 0.08
"""Share of the rows with any names: whatever the place, a name is what is printed."""

COVERED = 0.06
"""Share of the pictures of which a part is covered, as names are on pictures that are published."""

FLIPPED = 0.08
"""Share of the pictures that are mirrored or upside down: only I, II and III are names on them."""

SYMMETRICAL = len(("I", "II", "III"))
"""The first names look the same in a mirror and upside down."""

HALF_WIDTH_UNIT = 10
"""A name's half width is learnt in units of this many pixels."""


@dataclass(frozen=True)
class PracticePicture:
    """What the network sees of a page, and what it should answer.

    Attributes:
        darkness: float32 array (height, width).
        cells: float32 array (height / CELL, width / CELL, 6): whether each cell shows a trace, a
            pulse, a boundary between two leads, the middle of a name; half the name's width; and
            its class, -1 where there is none.
        names: float array (names, 2), x and y of the middles of the names.
    """

    darkness: np.ndarray
    cells: np.ndarray
    names: np.ndarray


def draw_picture(rng: np.random.Generator, recordings: list[np.ndarray]) -> PracticePicture:
    """Draw a page and take its picture.

    Args:
        rng: a `numpy.random.Generator`.
        recordings: arrays `(12, samples)` in mV at `ecg_lib.drawing.simulation.RATE`, ten seconds
            each.
    """
    situation = str(rng.choice(list(SITUATIONS), p=[0.05, 0.1, 0.2, 0.1, 0.45, 0.1]))
    if rng.random() < WITHOUT_ECG:
        return _without_ecg(situation, rng)
    page = _mixed_page(rng, recordings)
    luma, homography = _seen(np.asarray(page.image), page.traces, situation, rng)
    names = moved([box for _, box in page.names], homography)
    cells = _cells(page, homography, luma.shape)
    _mark_names(cells, [_kind(name) for name, _ in page.names], names)
    if rng.random() < COVERED:
        _cover(luma, cells, rng)
    picture = PracticePicture(darkness(luma), cells, names.mean(axis=1))
    return _flipped(picture, rng) if rng.random() < FLIPPED else picture


def _kind(name):
    """Class of a printed name."""
    spellings = {lead.upper(): number for number, lead in enumerate(LEADS)}
    return spellings.get(name.removeprefix("-").replace("C", "V").upper(), OTHER)


def _style(rng, layout):
    px_per_mm = float(rng.uniform(3, 6))
    style = random_style(rng, layout)
    return replace(
        style, px_per_mm=px_per_mm, pen=max(1, round(style.pen * px_per_mm / style.px_per_mm))
    )


def _mixed_page(rng, recordings):
    """Draw a page whose leads, and sometimes names, are taken by chance."""
    layout = LAYOUTS[str(rng.choice(ARRANGEMENTS))]
    style = _style(rng, layout.name)
    names = (*LEADS, *OTHERS)
    rows = tuple(
        tuple(rng.choice(names, len(row)).tolist()) if rng.random() < MISNAMED else row
        for row in layout.rows
    )
    strips = tuple(rng.choice(LEADS, len(layout.rhythm_strips)).tolist())
    layout = replace(layout, rows=rows, rhythm_strips=strips)
    signals = {name: _disturbed(rng, recordings) for name in names}
    return draw_leads(signals, RATE, layout, style)


def _disturbed(rng, recordings):
    """Take any lead of any recording: sometimes noisy or flat, and never quite at its baseline."""
    recording = recordings[rng.integers(len(recordings))]
    signal = rng.uniform(0.4, 1.4) * recording[rng.integers(len(LEADS))]
    if rng.random() < 0.04:
        signal = 0.05 * signal
    time = np.arange(len(signal)) / RATE
    wander = np.sin(2 * np.pi * (rng.uniform(0.05, 0.5) * time + rng.random()))
    signal = signal + rng.normal(0, 0.1) + rng.uniform(0, 0.15) * wander
    if rng.random() < 0.08:
        signal += rng.uniform(0.03, 0.1) * np.sin(2 * np.pi * 50 * time)
    if rng.random() < 0.15:
        signal += rng.normal(0, rng.uniform(0.01, 0.08), len(signal))
    return signal


def _without_ecg(situation, rng):
    """Draw text and boxes, perhaps on graph paper."""
    words = rng.choice(WORDS, (3, rng.integers(8, 40)))
    blocks = tuple(tuple(map(str, block)) for block in words)
    style = replace(_style(rng, "standard_12x1"), header=blocks)
    page = draw_leads(
        {lead: np.zeros(10 * RATE) for lead in LEADS}, RATE, LAYOUTS["standard_12x1"], style
    )
    image = np.array(page.image)[: page.traces.top]
    for _ in range(rng.integers(0, 12)):
        corners = (rng.random((2, 2)) * image.shape[1::-1]).astype(int)
        cv2.rectangle(image, *map(tuple, corners.tolist()), style.ink, style.pen)
    luma, _ = _seen(image, Box(0, 0, *image.shape[1::-1]), situation, rng)
    cells = np.zeros((*(side // CELL for side in luma.shape), 6), np.float32)
    cells[..., 5] = -1
    return PracticePicture(darkness(luma), cells, np.zeros((0, 2)))


def _seen(image, keep, situation, rng):
    """Take a picture, and bring it to the size at which pages are read."""
    image, homography = photograph(image, keep, situation, rng)
    height, width = image.shape[:2]
    scale = min(rng.integers(*WIDTHS) / width, np.sqrt(MOST_PIXELS / (width * height)))
    size = tuple(max(round(side * scale / CELL), 1) * CELL for side in (width, height))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    luma = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size, interpolation=how)
    return luma, np.diag([size[0] / width, size[1] / height, 1]) @ homography


def _cells(page, homography, shape):
    height, width = (side // CELL for side in shape)
    cells = np.zeros((height, width, 6), np.float32)
    cells[..., 5] = -1
    for channel, lines in enumerate((page.trace_lines, page.pulse_lines)):
        mask = np.zeros(shape, np.uint8)
        for points in lines:
            fixed = np.round(moved_points(points, homography) * 16).astype(np.int32)
            cv2.polylines(mask, [fixed], False, 1, 2, cv2.LINE_8, 4)
        cells[..., channel] = mask.reshape(height, CELL, width, CELL).max(axis=(1, 3))
    y, x = np.mgrid[:height, :width]
    for middle in moved_points(page.boundaries, homography) / CELL - 0.5:
        part = _around(middle, 3)
        off = (x[part] - middle[0]) / 0.9, (y[part] - middle[1]) / 2
        blob = np.exp(-(off[0] ** 2 + off[1] ** 2) / 2)
        cells[(*part, 2)] = np.maximum(cells[(*part, 2)], blob)
    return cells


def _mark_names(cells, kinds, corners):
    half_widths = (corners[:, 1:3] - corners[:, [0, 3]])[..., 0].mean(axis=1) / 2
    for kind, middle, half_width in zip(kinds, corners.mean(axis=1), half_widths, strict=True):
        part = _around(middle / CELL - 0.5, 1)
        cells[(*part, slice(3, 6))] = 1, half_width / HALF_WIDTH_UNIT, kind


def _around(middle, reach):
    x, y = np.round(middle).astype(int)
    return tuple(slice(max(at - reach, 0), max(at + reach + 1, 0)) for at in (y, x))


def _cover(luma, cells, rng):
    """Cover a part of a picture with one grey level, in place."""
    height, width = cells.shape[:2]
    top, left = (rng.random(2) * (height, width)).astype(int)
    bottom, right = top + rng.integers(1, 0.3 * height), left + rng.integers(1, 0.15 * width)
    luma[top * CELL : bottom * CELL, left * CELL : right * CELL] = rng.integers(256)
    cells[top:bottom, left:right] = 0, 0, 0, 0, 0, -1


def _flipped(picture, rng):
    turns = [(-1, 1), (1, -1), (-1, -1)][rng.integers(3)]
    part = tuple(slice(None, None, turn) for turn in turns)
    cells = picture.cells[part].copy()
    gone = cells[..., 5] >= SYMMETRICAL
    cells[gone, 3:] = 0, 0, -1
    cells[..., 2] = 0
    return PracticePicture(picture.darkness[part], cells, np.zeros((0, 2)))
