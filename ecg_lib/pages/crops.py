"""Cut the leads out of a page: crop, invert, dilate, resize."""

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from ecg_lib.pages.resize import resize

PREPROCESSING_VERSION = 1
"""Increased whenever the crops of a page change, so that prepared sets are built anew."""

MIN_STROKE = 5
"""Minimum number of connected dark pixels that are taken for ink; the dots of a grid have one."""

_NEIGHBOURS = np.ones((3, 3), np.uint8)


def crop_leads(
    luma: np.ndarray,
    boxes: Sequence[Sequence[int]],
    height: int = 64,
    width: int = 64,
    ink_only: bool = False,
    inverted: Sequence[int] = (),
) -> np.ndarray:
    """Cut the leads out of a page and make them the models' input.

    Each crop is cut out, inverted (ink bright on black), dilated with a 3x3 maximum, so that a
    thin trace survives, and resized with Pillow's bicubic filter. The result equals Pillow's own
    operations to the byte. A box that extends beyond the page is filled with black, as in Pillow.

    Args:
        luma: uint8 array `(height, width)`, a page in grey levels.
        boxes: `Box`es in page pixels, one per crop.
        height: height of a crop, in pixels.
        width: width of a crop, in pixels.
        ink_only: whether paper and grid are removed first, see `keep_ink`.
        inverted: places of the boxes whose leads are printed upside down, as `Detection.inverted`
            lists them; their crops are turned over.

    Returns:
        uint8 array `(len(boxes), height, width)`, ink bright on black.

    Reference:
        The order of the steps is that of the published experiment
        (github.com/prantik-paul-99/Heart-Condition-Classifier-from-ECG-images).
    """
    if ink_only:
        luma = keep_ink(luma)
    # Eroding and then inverting is inverting and then dilating, with one copy less.
    crops = [255 - cv2.erode(_cut(luma, box), _NEIGHBOURS) for box in boxes]
    resized = resize(crops, height, width)
    for place in inverted:
        resized[place] = resized[place, ::-1].copy()
    return resized


def keep_ink(luma: np.ndarray) -> np.ndarray:
    """Turn paper and grid white, so that the trace, the letters and the separators are left.

    Otsu's threshold separates the dark pixels from the paper and a light grid; applied again to
    the dark pixels, it separates the trace from a grid of dark dots, which most of the published
    pages have. A group of connected dark pixels is kept, with its grey levels, if it has at least
    `MIN_STROKE` pixels and one of them is among the darkest: so a hairline stays whole where
    scanning made it lighter, and the dots go.

    Args:
        luma: uint8 array `(height, width)`, a page in grey levels.

    Returns:
        uint8 array of the same shape.

    Reference:
        Otsu, IEEE Transactions on Systems, Man, and Cybernetics 9 (1979) 62-66.
    """
    _, dark = cv2.threshold(luma, 0, 1, cv2.THRESH_BINARY_INV + cv2.THRESH_OTSU)
    _, strokes = cv2.connectedComponents(dark)
    # The dark pixels are a twentieth of the page, so only they are used from here on.
    places = np.flatnonzero(dark.view(bool))
    levels, stroke_of = luma.ravel()[places], strokes.ravel()[places]
    threshold, _ = cv2.threshold(levels[np.newaxis], 0, 255, cv2.THRESH_OTSU)
    # A drawn trace may have a single level, which no threshold separates.
    darkest = levels <= max(threshold, luma.min())
    inked = np.bincount(stroke_of) >= MIN_STROKE
    inked &= np.bincount(stroke_of, weights=darkest) > 0
    kept = np.full_like(luma, 255)
    np.put(kept, places, np.where(inked[stroke_of], levels, 255))
    return kept


def _cut(luma, box):
    """Cut a box out of the page: a view, unless the box extends beyond the page."""
    left, top, right, bottom = box
    height, width = luma.shape
    if min(left, top) >= 0 and right <= width and bottom <= height:
        return luma[top:bottom, left:right]
    return np.asarray(Image.fromarray(luma).crop(box))
