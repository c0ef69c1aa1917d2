"""Photograph, scan and print drawn pages, and keep the truth about them exact.

Each effect takes `(image, rng)`: a page, uint8 array (height, width, 3), and a
`numpy.random.Generator`. Each returns the changed page and the homography (3, 3) from positions on
the page to positions on the changed page, both in pixels with (0, 0) at the upper left corner of
the upper left pixel. `moved` carries boxes along.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from ecg_lib.errors import one_of
from ecg_lib.pages.detection.result import moved_points
from ecg_lib.pages.leads import Box

IN_PLACE = np.eye(3)

Changed = tuple[np.ndarray, np.ndarray]
"""The changed page and its homography."""

Effect = Callable[..., Changed]


def photograph(image: np.ndarray, keep: Box, situation: str, rng: np.random.Generator) -> Changed:
    """Simulate how a page becomes a picture in one situation.

    Args:
        image: uint8 array (height, width, 3).
        keep: the part of the page that stays visible.
        situation: a key of `SITUATIONS`.
        rng: a `numpy.random.Generator`.

    Returns:
        The changed page, and the homography (3, 3) from the page to it.

    Raises:
        InputError: if the situation is unknown.
    """
    to_changed = IN_PLACE
    for effect, share in SITUATIONS[one_of("situation", situation, SITUATIONS)]:
        if rng.random() >= share:
            continue
        if effect in (held, laid):
            image, step = effect(image, rng, keep)
        else:
            image, step = effect(image, rng)
        to_changed = step @ to_changed
    return image, to_changed


def moved(boxes: Sequence[Box], homography: np.ndarray) -> np.ndarray:
    """Map the corners of boxes by a homography.

    Returns:
        float64 array `(boxes, 4, 2)`: x and y of the upper left, upper right, lower right and
        lower left corner.
    """
    corners = [
        [(b.left, b.top), (b.right, b.top), (b.right, b.bottom), (b.left, b.bottom)] for b in boxes
    ]
    return moved_points(np.reshape(corners, (-1, 4, 2)), homography)


# --- where the page lies in the picture


def held(image: np.ndarray, rng: np.random.Generator, keep: Box) -> Changed:
    """Photograph on a table: rotation of up to 6 degrees, perspective, and a frame."""
    corners = _corners(*image.shape[1::-1])
    inwards = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * image.shape[1::-1]
    seen = _turned(corners, rng.uniform(-6, 6)) + inwards * rng.uniform(0, 0.08, (4, 2))
    table = rng.integers(20, 220) + rng.integers(-20, 21, 3)
    return _viewed(image, seen, keep, rng, table.tolist())


def laid(image: np.ndarray, rng: np.random.Generator, keep: Box) -> Changed:
    """Lay on the glass of a scanner: rotation of up to 2 degrees, and a frame."""
    corners = _turned(_corners(*image.shape[1::-1]), rng.uniform(-2, 2))
    return _viewed(image, corners, keep, rng, [int(rng.choice([255, 245, 60]))] * 3)


def resized(image: np.ndarray, rng: np.random.Generator) -> Changed:
    """Resize by a factor of 0.5 to 1.3."""
    scale = rng.uniform(0.5, 1.3)
    height, width = image.shape[:2]
    size = round(scale * width), round(scale * height)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    changed = cv2.resize(image, size, interpolation=how)
    return changed, np.diag([size[0] / width, size[1] / height, 1.0])


def _viewed(image, corners, keep, rng, table):
    """Move the page's corners, and choose a frame that contains `keep`."""
    before = _corners(*image.shape[1::-1])
    homography = cv2.getPerspectiveTransform(np.float32(before), np.float32(corners))
    inner = moved([keep], homography)[0]
    outer = np.concatenate([inner, corners])
    # The frame's sides lie between what has to be seen and a table around the page, and more often
    # near the former: people fill the frame.
    room = 0.06 * np.array(image.shape[1::-1])
    first = inner.min(axis=0) - rng.uniform(0.1, 1, 2) ** 2 * (
        inner - outer.min(axis=0) + room
    ).min(0)
    last = inner.max(axis=0) + rng.uniform(0.1, 1, 2) ** 2 * (outer.max(axis=0) + room - inner).min(
        0
    )
    homography = _shift(*-first) @ homography
    size = tuple(int(side) for side in np.ceil(last - first))
    # OpenCV counts from the middle of the first pixel.
    of_middles = _shift(-0.5, -0.5) @ homography @ _shift(0.5, 0.5)
    changed = cv2.warpPerspective(
        image, of_middles, size, flags=cv2.INTER_LINEAR, borderValue=tuple(table)
    )
    return changed, homography


def _corners(width, height):
    return np.array([[0.0, 0], [width, 0], [width, height], [0, height]])


def _turned(points, degrees):
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    middle = points.mean(axis=0)
    return (points - middle) @ np.array([[cos, sin], [-sin, cos]]) + middle


def _shift(right, down):
    return np.array([[1.0, 0, right], [0, 1, down], [0, 0, 1]])


# --- what happens to the paper


def folded(image: np.ndarray, rng: np.random.Generator) -> Changed:
    """Fold one to three times: a thin line, with different light on both sides."""
    x, y = _grid(image)
    light = np.ones_like(x)
    for _ in range(rng.integers(1, 4)):
        upright = rng.random() < 0.6
        across = x + rng.normal(0, 0.03) * y if upright else y + rng.normal(0, 0.03) * x
        distance = across - rng.uniform(0.1, 0.9)
        light *= 1 + rng.uniform(-0.1, 0.1) * np.sign(distance) * np.exp(-np.abs(distance) / 0.15)
        light *= 1 + rng.choice([-0.25, 0.12]) * np.exp(-((distance / 0.0015) ** 2))
    return _lit(image, light), IN_PLACE


def crumpled(image: np.ndarray, rng: np.random.Generator) -> Changed:
    """Dent the paper at three scales."""
    light = np.ones_like(_grid(image)[0])
    for cells in (3, 6, 14):
        dents = rng.normal(0, 0.025, (cells, round(1.4 * cells))).astype(np.float32)
        light += cv2.resize(dents, light.shape[::-1], interpolation=cv2.INTER_CUBIC)
    return _lit(image, light), IN_PLACE


def stained(image: np.ndarray, rng: np.random.Generator) -> Changed:
    """Add one to four blots, brown or grey, with a darker rim."""
    x, y = _grid(image)
    light = np.ones((*x.shape, 3), np.float32)
    for _ in range(rng.integers(1, 5)):
        colour = np.array([[0.75, 0.6, 0.4], [0.6, 0.6, 0.62]], np.float32)[rng.integers(2)]
        at_x, at_y, radius = rng.uniform((0, 0, 0.02), (1, 0.7, 0.12))
        distance = np.hypot(x - at_x, y - at_y) / radius
        wet = rng.uniform(0.1, 0.35) * (distance < 1) + 0.3 * np.exp(
            -(((distance - 1) / 0.06) ** 2)
        )
        light *= 1 - wet[..., None] * (1 - colour)
    return _lit(image, light), IN_PLACE


def written_on(image: np.ndarray, rng: np.random.Generator) -> Changed:
    """Scribble on the paper one to three times."""
    image = image.copy()
    height, width = image.shape[:2]
    for _ in range(rng.integers(1, 4)):
        steps = rng.normal(0, 0.02 * width, (8, 2)).cumsum(axis=0)
        points = (steps + rng.random(2) * (width, height)).astype(np.int32)
        colour = [(20, 20, 20), (30, 40, 150), (190, 30, 40)][rng.integers(3)]
        cv2.polylines(image, [points], False, colour, max(width // 500, 1), cv2.LINE_AA)
    return image, IN_PLACE


def printed(image: np.ndarray, rng: np.random.Generator) -> Changed:
    """Print in black on an office printer, which may turn light colours into dots."""
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if rng.random() < 0.5:
        rows, columns = (np.arange(side)[:, None] % 4 for side in luma.shape)
        threshold = _BAYER[rows, columns.T]
        dots = np.where(luma > threshold, 255, 0).astype(np.uint8)
        luma = cv2.addWeighted(luma, 0.3, cv2.GaussianBlur(dots, (0, 0), 0.7), 0.7, 0)
    curve = np.clip((np.arange(256) - rng.uniform(0, 60)) * rng.uniform(1.0, 1.3), 0, 255)
    luma = cv2.LUT(luma, curve.astype(np.uint8))
    return np.repeat(luma[..., None], 3, axis=2), IN_PLACE


_BAYER = 16 * np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) + 8
"""Thresholds of an ordered dither."""


# --- what light and camera do


def shaded(image: np.ndarray, rng: np.random.Generator) -> Changed:
    """Dim the light across the picture by 10 to 60 %, perhaps with a soft shadow."""
    x, y = _grid(image)
    angle = rng.uniform(0, 2 * np.pi)
    slope = (x - 0.5) * np.cos(angle) + (y - 0.35) * np.sin(angle)
    light = 1 - rng.uniform(0.1, 0.6) * (0.5 + slope.clip(-0.5, 0.5))
    if rng.random() < 0.5:
        turn = rng.uniform(0, 2 * np.pi)
        edge = (x - rng.uniform(0, 1)) * np.cos(turn) + (y - rng.uniform(0, 0.7)) * np.sin(turn)
        light *= 1 - rng.uniform(0.1, 0.4) / (1 + np.exp(edge.clip(-1, 1) / rng.uniform(0.01, 0.1)))
    return _lit(image, light), IN_PLACE


def tinted(image: np.ndarray, rng: np.random.Generator) -> Changed:
    """Change the colour of the light, the exposure and the contrast."""
    gain = rng.uniform(0.86, 1.0, 3) * rng.uniform(0.85, 1.1)
    level = np.arange(256)[:, None] / 255
    curve = 255 * (rng.uniform(0, 0.12) + level * gain) ** rng.uniform(0.75, 1.35)
    table = curve.clip(0, 255).round().astype(np.uint8)[:, None]
    return cv2.LUT(image, table), IN_PLACE


def blurred(image: np.ndarray, rng: np.random.Generator) -> Changed:
    """Blur by a standard deviation of up to a thousandth of the picture's width."""
    spread = max(rng.uniform(0.2, 1.0) * image.shape[1] / 1000, 0.3)
    return cv2.GaussianBlur(image, (0, 0), spread), IN_PLACE


def noisy(image: np.ndarray, rng: np.random.Generator) -> Changed:
    """Add sensor noise with a standard deviation of 1 to 9 grey levels."""
    grain = rng.standard_normal(image.shape, dtype=np.float32)
    grain *= np.float32(rng.uniform(1, 9))
    return cv2.add(image, grain, dtype=cv2.CV_8U), IN_PLACE


def on_screen(image: np.ndarray, rng: np.random.Generator) -> Changed:
    """Show on a screen: its lines of pixels, and their moire with the camera's."""
    x, y = _grid(image)
    light = np.ones((*x.shape, 3), np.float32)
    angle, strength = rng.uniform(0, np.pi), rng.uniform(0.01, 0.06)
    along = x * np.cos(angle) + y * np.sin(angle)
    beats = rng.uniform(8, 60)
    for colour in range(3):
        wave = along + 0.003 * np.sin(2 * np.pi * 3 * (x - y))
        light[..., colour] += strength * np.sin(2 * np.pi * (beats * wave + colour / 6))
    shown = _lit(image, light)
    lines = shown[:: int(rng.integers(2, 5))]
    lines[:] = cv2.convertScaleAbs(lines, alpha=1 - rng.uniform(0, 0.15))
    return shown, IN_PLACE


def compressed(image: np.ndarray, rng: np.random.Generator) -> Changed:
    """Write and read as JPEG of quality 30 to 95."""
    quality = int(rng.integers(30, 96))
    _, coded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    read = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))
    return np.ascontiguousarray(read[..., ::-1]), IN_PLACE


def _grid(image):
    """Return x from 0 to 1, and y on the same scale, on a coarse grid over the page.

    Light changes slowly: 700 points across the page are enough.
    """
    height, width = image.shape[:2]
    columns = min(width, 700)
    rows = round(height / width * columns)
    x = np.linspace(0, 1, columns, dtype=np.float32)
    y = np.linspace(0, height / width, rows, dtype=np.float32)
    return np.meshgrid(x, y)


def _lit(image, light):
    """Multiply a picture by light, an array of any size and one or three channels."""
    # Both of 8 bits, where OpenCV is ten times as fast; so light is at most twice as bright.
    light = cv2.resize(np.float32(light), image.shape[1::-1])
    light = cv2.convertScaleAbs(light, alpha=128)
    if light.ndim == 2:
        light = cv2.merge([light] * 3)
    return cv2.multiply(image, light, scale=1 / 128)


SITUATIONS: dict[str, tuple[tuple[Effect, float], ...]] = {
    "untouched": (),
    "file": ((resized, 0.6), (compressed, 0.6)),
    "scan": (
        (written_on, 0.1),
        (folded, 0.2),
        (stained, 0.2),
        (laid, 1.0),
        (tinted, 0.4),
        (blurred, 0.5),
        (noisy, 0.5),
        (resized, 0.5),
        (compressed, 0.9),
    ),
    "print": (
        (printed, 1.0),
        (folded, 0.2),
        (laid, 1.0),
        (blurred, 0.5),
        (noisy, 0.4),
        (resized, 0.5),
        (compressed, 0.9),
    ),
    "photograph": (
        (written_on, 0.1),
        (folded, 0.4),
        (crumpled, 0.5),
        (stained, 0.25),
        (held, 1.0),
        (shaded, 0.9),
        (tinted, 0.9),
        (blurred, 0.7),
        (noisy, 0.7),
        (resized, 0.7),
        (compressed, 1.0),
    ),
    "screen": (
        (on_screen, 1.0),
        (held, 1.0),
        (shaded, 0.3),
        (tinted, 0.9),
        (blurred, 0.6),
        (noisy, 0.5),
        (resized, 0.7),
        (compressed, 1.0),
    ),
}
"""The effects of each situation in their order, each with its probability."""
