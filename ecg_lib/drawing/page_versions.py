"""Other versions of a page, as people pass it on: saved again, scanned, photographed."""

from collections.abc import Sequence

import cv2
import numpy as np

from ecg_lib.drawing.photographs import Changed, photograph
from ecg_lib.pages.leads import Box

Boxes = Sequence[Sequence[int]]

SCALES = (0.45, 1.4)
"""Range of the factor by which a page that is saved again is resized."""

BLUR = (0.4, 1.2)
"""Range of its blur, a standard deviation in pixels."""

LIGHT = (0.6, 1.0)
"""Range of the factor by which its grey levels are multiplied."""

QUALITY = (30, 90)
"""Range of its JPEG quality."""

PICTURED = ("scan", "print", "photograph", "screen")
"""The situations, of `ecg_lib.drawing.photographs.SITUATIONS`, in which a page is pictured."""


def saved_again(luma: np.ndarray, boxes: Boxes, rng: np.random.Generator) -> tuple:
    """Resize a page, and perhaps blur it, dim it and compress it.

    Args:
        luma: uint8 array `(height, width)`, a page in grey levels.
        boxes: `Box`es in page pixels.
        rng: a `numpy.random.Generator`.

    Returns:
        The changed page and the boxes on it.
    """
    scale = float(np.exp(rng.uniform(*np.log(SCALES))))
    luma = rescaled(luma, scale)
    if rng.random() < 0.5:
        luma = cv2.GaussianBlur(luma, (0, 0), rng.uniform(*BLUR))
    if rng.random() < 0.3:
        luma = dimmed(luma, rng.uniform(*LIGHT))
    if rng.random() < 0.5:
        luma = compressed(luma, int(rng.integers(*QUALITY, endpoint=True)))
    return luma, _scaled(boxes, scale)


def pictured(luma: np.ndarray, boxes: Boxes, rng: np.random.Generator) -> tuple:
    """Scan, print or photograph a page, and flatten the picture; see `saved_again`."""
    picture, homography = picture_of(luma, str(rng.choice(PICTURED)), rng)
    height, width = luma.shape
    return flattened(picture, homography, (width, height), boxes)


VERSIONS = (saved_again, pictured)
"""The versions of a page beside itself."""


def rescaled(luma: np.ndarray, scale: float) -> np.ndarray:
    """Resize a page, as an export at another resolution does."""
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(luma, None, fx=scale, fy=scale, interpolation=how)


def dimmed(luma: np.ndarray, light: float) -> np.ndarray:
    """Multiply a page's grey levels by a factor of at most 1."""
    return (light * luma).astype(np.uint8)


def compressed(luma: np.ndarray, quality: int) -> np.ndarray:
    """Write and read a page as JPEG."""
    _, coded = cv2.imencode(".jpg", luma, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE))


def picture_of(luma: np.ndarray, situation: str, rng: np.random.Generator) -> Changed:
    """Make a picture of a page, all of which stays visible; see `photograph`.

    Returns:
        The picture, uint8 array (height, width), and the homography (3, 3) from the page to it.
    """
    page = cv2.cvtColor(luma, cv2.COLOR_GRAY2RGB)
    picture, homography = photograph(page, Box(0, 0, *luma.shape[::-1]), situation, rng)
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), homography


def flattened(
    picture: np.ndarray, homography: np.ndarray, size: tuple[int, int], boxes: Boxes
) -> tuple:
    """Undo a picture's geometry by the truth about it.

    Args:
        picture: uint8 array of a picture of a page.
        homography: float array (3, 3), from the page to the picture.
        size: width and height of the page.
        boxes: `Box`es in page pixels.

    Returns:
        The flat page, about as fine as the picture and at most as fine as the page was, and the
        boxes on it.
    """
    scale = min(1.0, picture.shape[1] / size[0])
    back = np.diag([scale, scale, 1.0]) @ np.linalg.inv(homography)
    width, height = (round(side * scale) for side in size)
    flat = cv2.warpPerspective(picture, back, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return flat, _scaled(boxes, scale)


def _scaled(boxes, scale):
    return [tuple(round(edge * scale) for edge in box) for box in boxes]
