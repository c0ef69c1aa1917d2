"""Pictures of practice pages, seen by a camera or a scanner, and what their cells show."""

from dataclasses import dataclass

import cv2
import numpy as np

from ecg_lib.drawing.practice_pages import draw_other_page, draw_practice_page
from ecg_lib.pages.detection.general.marks import CELL, darkness

OTHER_PAGES = 0.06
"""Share of the pictures that show no ECG."""

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
        recordings: arrays `(12, samples)` in mV, ten seconds each.
    """
    if rng.random() < OTHER_PAGES:
        page = draw_other_page(rng)
    else:
        page = draw_practice_page(rng, recordings)
    height, width = (side // CELL * CELL for side in page.grid.shape)
    lens = _Lens(rng, width, height)
    if rng.random() < 0.06:
        _cover(page, rng)
    shade = rng.uniform(0.42, 1)
    printed = shade if rng.random() < 0.6 else rng.uniform(0.5, 1)
    ink = np.maximum(page.pen * np.float32(shade / 255), page.print * np.float32(printed / 255))
    add = rng.random() < 0.5
    dark = 1 - (1 - page.grid) * (1 - ink) if add else np.maximum(page.grid, ink)
    table = rng.uniform(0, 0.6) if lens.camera else 0
    luma = _exposed(rng, lens.seen(dark, cv2.INTER_LINEAR, table), lens.camera)
    masks = [lens.seen(mask, cv2.INTER_NEAREST) for mask in (page.trace, page.pulse)]
    middles = [
        ((left + right) / 2, (top + bottom) / 2) for _, left, top, right, bottom in page.names
    ]
    edges = [(right, (top + bottom) / 2) for _, _, top, right, bottom in page.names]
    middles, edges = lens.moved(middles), lens.moved(edges)
    kinds = [name[0] for name in page.names]
    names = list(zip(kinds, middles, edges[:, 0] - middles[:, 0], strict=True))
    cells = _cells(masks, lens.moved(page.boundaries), names)
    picture = PracticePicture(darkness(luma), cells, middles)
    return _flipped(picture, rng) if rng.random() < FLIPPED else picture


class _Lens:
    """A page on glass, or held before a camera: turned, in perspective, and bent."""

    def __init__(self, rng, width, height):
        self.width, self.camera = width, rng.random() < 0.65
        self.homography, self.bend = np.eye(3), np.zeros(width, np.float32)
        if self.camera:
            sides = np.array([width, height])
            corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * sides
            moved = corners + rng.uniform(-1, 1, (4, 2)) * sides * rng.uniform(0, 0.055)
            angle = np.deg2rad(rng.normal(0, 2.2))
            turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
            moved = (moved - sides / 2) @ turn + sides / 2
            self.homography = cv2.getPerspectiveTransform(
                corners.astype(np.float32), moved.astype(np.float32)
            )
            wave = np.linspace(0, rng.uniform(1, 6), width) + rng.uniform(0, 6)
            self.bend = (rng.normal(0, 4) * np.sin(wave)).astype(np.float32)
        x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        points = np.dstack([x, y + self.bend])
        self.source = cv2.perspectiveTransform(points, np.linalg.inv(self.homography))

    def seen(self, page, how, beyond=0):
        return cv2.remap(page, self.source[..., 0], self.source[..., 1], how, borderValue=beyond)

    def moved(self, points):
        if not len(points):
            return np.zeros((0, 2))
        points = cv2.perspectiveTransform(np.float64(points)[None], self.homography)[0]
        points[:, 1] -= np.interp(points[:, 0], np.arange(self.width), self.bend)
        return points


def _cover(page, rng):
    """Cover a part of the page, as names are covered on pictures that are published."""
    height, width = page.grid.shape
    x, y, w, h = rng.uniform(0, 1, 4) * [width, height, 0.15 * width, 0.3 * height]
    part = slice(int(y), int(y + h)), slice(int(x), int(x + w))
    page.grid[part] = rng.choice([0, 0.15])
    for mask in (page.pen, page.print, page.trace, page.pulse):
        mask[part] = 0


def _exposed(rng, dark, camera):
    """Grey levels under uneven light, with the noise and the blur of a camera and of JPEG."""
    height, width = dark.shape
    if rng.random() < 0.6:
        dark = cv2.GaussianBlur(dark, (0, 0), rng.uniform(0.01, 1.1))
    light = np.full((height, width), rng.uniform(0.6, 1), np.float32)
    if camera:
        spots = rng.uniform(0.45, 1, (rng.integers(2, 5), rng.integers(2, 6))).astype(np.float32)
        light *= cv2.resize(spots, (width, height), interpolation=cv2.INTER_CUBIC)
        if rng.random() < 0.2:  # a fold
            x = rng.integers(0, width)
            light[:, x : x + 2] *= rng.uniform(0.8, 0.95)
    noise = rng.normal(0, rng.uniform(0, 7 if camera else 2), (height, width))
    image = np.clip(255 * light * (1 - dark) + noise, 0, 255).astype(np.uint8)
    scale = rng.uniform(0.5, 1) if rng.random() < 0.5 else 1
    small = (int(width * scale), int(height * scale))
    image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    if rng.random() < 0.7:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 95))]
        image = cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_GRAYSCALE)
    how = cv2.INTER_LINEAR if rng.random() < 0.5 else cv2.INTER_CUBIC
    return cv2.resize(image, (width, height), interpolation=how)


def _cells(masks, boundaries, names):
    height, width = (side // CELL for side in masks[0].shape)
    cells = np.zeros((height, width, 6), np.float32)
    cells[..., 5] = -1
    for channel, mask in enumerate(masks):
        cells[..., channel] = mask.reshape(height, CELL, width, CELL).max(axis=(1, 3)) > 0
    y, x = np.mgrid[:height, :width]
    for middle in boundaries / CELL - 0.5:
        part = _around(middle, 3)
        off = (x[part] - middle[0]) / 0.9, (y[part] - middle[1]) / 2
        blob = np.exp(-(off[0] ** 2 + off[1] ** 2) / 2)
        cells[(*part, 2)] = np.maximum(cells[(*part, 2)], blob)
    for kind, middle, half_width in names:
        part = _around(middle / CELL - 0.5, 1)
        cells[(*part, slice(3, 6))] = 1, half_width / HALF_WIDTH_UNIT, kind
    return cells


def _around(middle, reach):
    x, y = np.round(middle).astype(int)
    return tuple(slice(max(at - reach, 0), max(at + reach + 1, 0)) for at in (y, x))


def _flipped(picture, rng):
    turns = [(-1, 1), (1, -1), (-1, -1)][rng.integers(3)]
    part = tuple(slice(None, None, turn) for turn in turns)
    cells = picture.cells[part].copy()
    gone = cells[..., 5] >= SYMMETRICAL
    cells[gone, 3:] = 0, 0, -1
    cells[..., 2] = 0
    return PracticePicture(picture.darkness[part], cells, np.zeros((0, 2)))
