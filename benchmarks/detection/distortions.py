"""Distort pages in nine ways, each with the homography that the page undergoes.

Each takes `(luma, keep, rng)`: a uint8 page (height, width), the box of it that has to stay visible
(left, top, right, bottom), and a `numpy.random.Generator`. Each returns the distorted page and the
homography (3, 3) from the page's pixels to those of the distorted page.
"""

import cv2
import numpy as np

STRAIGHT = np.eye(3)


def rotated(luma, keep, rng):
    """Rotate by up to 5 degrees either way, on a sheet that holds the whole page."""
    height, width = luma.shape
    turn = np.vstack(
        [cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-5, 5), 1), [0, 0, 1]]
    )
    return _warped(luma, turn, 255)


def scaled(luma, keep, rng):
    """Scale by 0.4 to 1.6, uniformly in the logarithm."""
    scale = np.exp(rng.uniform(np.log(0.4), np.log(1.6)))
    size = (round(scale * luma.shape[1]), round(scale * luma.shape[0]))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(luma, size, interpolation=how), np.diag([scale, scale, 1.0])


def cropped(luma, keep, rng):
    """Crop from each side up to 80 % of what lies outside the leads and their pulses."""
    height, width = luma.shape
    free = np.array([keep[0], keep[1], width - keep[2], height - keep[3]])
    left, top, right, bottom = (rng.uniform(0, 0.8, 4) * np.maximum(free, 0)).astype(int)
    part = luma[top : height - bottom, left : width - right]
    return part, _moved(-left, -top)


def jpeg_30(luma, keep, rng):
    """Write and read as JPEG of quality 30."""
    _, coded = cv2.imencode(".jpg", luma, [cv2.IMWRITE_JPEG_QUALITY, 30])
    return cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), STRAIGHT


def gamma(luma, keep, rng):
    """Apply a gamma of 0.6 to 1.6."""
    curve = 255 * (np.arange(256) / 255) ** rng.uniform(0.6, 1.6)
    return cv2.LUT(luma, np.round(curve).astype(np.uint8)), STRAIGHT


def blurred(luma, keep, rng):
    """Apply a Gaussian blur with a standard deviation of 1.5 pixels."""
    return cv2.GaussianBlur(luma, (0, 0), 1.5), STRAIGHT


def unevenly_lit(luma, keep, rng):
    """Dim the light across the page to between 40 and 80 %, with a darker spot."""
    height, width = luma.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    slope = (x * np.cos(angle) + y * np.sin(angle)) / (2 * np.sqrt(2)) + 0.5
    spot = np.exp(-((x - rng.uniform(-1, 1)) ** 2 + (y - rng.uniform(-1, 1)) ** 2) / 0.5)
    light = 1 - rng.uniform(0.2, 0.6) * slope - rng.uniform(0, 0.2) * spot
    return np.round(luma * np.maximum(light, 0.2)).astype(np.uint8), STRAIGHT


def photographed(luma, keep, rng):
    """Move each corner inwards by up to 8 % of the page's sides, on a grey table."""
    height, width = luma.shape
    corners = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    inwards = np.float32([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    moved = corners + inwards * rng.uniform(0, 0.08, (4, 2)) * [width, height]
    tilt = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    page = cv2.warpPerspective(
        luma, tilt, (width, height), flags=cv2.INTER_LINEAR, borderValue=int(rng.integers(150, 256))
    )
    return page, tilt


def pasted(luma, keep, rng):
    """Paste at a random place on a white or grey sheet, 1.1 to 2.5 times as large each way."""
    scale = rng.uniform(0.5, 1.2)
    page = cv2.resize(
        luma,
        None,
        fx=scale,
        fy=scale,
        interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC,
    )
    height, width = (round(rng.uniform(1.1, 2.5) * side) for side in page.shape)
    left = int(rng.integers(0, width - page.shape[1]))
    top = int(rng.integers(0, height - page.shape[0]))
    sheet = np.full((height, width), int(rng.choice([255, rng.integers(120, 250)])), np.uint8)
    sheet[top : top + page.shape[0], left : left + page.shape[1]] = page
    return sheet, _moved(left, top) @ np.diag([scale, scale, 1.0])


def _moved(right, down):
    return np.array([[1.0, 0, right], [0, 1, down], [0, 0, 1]])


def _warped(luma, homography, paper):
    """Apply a homography, on a canvas just large enough for the page."""
    height, width = luma.shape
    corners = np.float64([[[0, 0], [width, 0], [width, height], [0, height]]])
    moved = cv2.perspectiveTransform(corners, homography)[0]
    corner = np.floor(moved.min(axis=0))
    size = np.ceil(moved.max(axis=0) - corner).astype(int)
    homography = _moved(*-corner) @ homography
    page = cv2.warpPerspective(
        luma, homography, tuple(map(int, size)), flags=cv2.INTER_LINEAR, borderValue=paper
    )
    return page, homography


DISTORTIONS = {
    "rotation up to 5 degrees": rotated,
    "scale 0.4 to 1.6": scaled,
    "margins cropped": cropped,
    "JPEG quality 30": jpeg_30,
    "gamma 0.6 to 1.6": gamma,
    "blur of 1.5 pixels": blurred,
    "uneven light": unevenly_lit,
    "perspective up to 8 %": photographed,
    "pasted on a sheet": pasted,
}
