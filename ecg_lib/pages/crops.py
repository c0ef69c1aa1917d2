"""Cut the leads out of a page: crop, invert, dilate, resize."""

import cv2
import numpy as np
from PIL import Image

from ecg_lib.pages.resize import resize

PREPROCESSING_VERSION = 1
"""Raised whenever the crops of some page change, so that prepared sets are built anew."""

MIN_STROKE = 5
"""Fewest dark pixels, hanging together, that are taken for ink; the dots of a grid have one."""

_NEIGHBOURS = np.ones((3, 3), np.uint8)


def crop_leads(luma, boxes, height=64, width=64, ink_only=False):
    """Cut the leads out of a page and make them the models' input.

    Each crop is cut out, inverted (ink bright on black), dilated with a 3x3 maximum, so that a
    thin trace survives, and resized with Pillow's bicubic filter. The result equals Pillow's own
    operations to the byte. A box that reaches over the page's edge is filled up with black paper,
    as Pillow does it.

    Args:
        luma: uint8 array `(height, width)`, a page in grey levels.
        boxes: `Box`es in page pixels, one a crop.
        height: height of a crop, in pixels.
        width: width of a crop, in pixels.
        ink_only: whether paper and grid are removed first, see `keep_ink`.

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
    return resize(crops, height, width)


def keep_ink(luma):
    """Turn paper and grid white, so that the trace, the letters and the separators are left.

    Otsu's threshold parts the dark pixels from the paper and a light grid; taken once more among
    the dark pixels, it parts the trace from a grid of dark dots, as most of the published pages
    have it. Of the dark pixels those stay, with their grey levels, that hang together with one
    of the darkest and are at least `MIN_STROKE`: so a hairline stays whole where scanning made
    it lighter, and the dots go.

    Args:
        luma: uint8 array `(height, width)`, a page in grey levels.

    Returns:
        uint8 array of the same shape.

    Reference:
        Otsu, IEEE Transactions on Systems, Man, and Cybernetics 9 (1979) 62-66.
    """
    _, dark = cv2.threshold(luma, 0, 1, cv2.THRESH_BINARY_INV + cv2.THRESH_OTSU)
    _, strokes = cv2.connectedComponents(dark)
    # The dark pixels are a twentieth of the page, so they alone are looked at from here on.
    places = np.flatnonzero(dark.view(bool))
    levels, stroke_of = luma.ravel()[places], strokes.ravel()[places]
    threshold, _ = cv2.threshold(levels[np.newaxis], 0, 255, cv2.THRESH_OTSU)
    # A drawn trace may have one level only, which cannot be parted.
    darkest = levels <= max(threshold, luma.min())
    inked = np.bincount(stroke_of) >= MIN_STROKE
    inked &= np.bincount(stroke_of, weights=darkest) > 0
    kept = np.full_like(luma, 255)
    np.put(kept, places, np.where(inked[stroke_of], levels, 255))
    return kept


def _cut(luma, box):
    """What lies in a box: a view of the page, unless the box reaches over the page's edge."""
    left, top, right, bottom = box
    height, width = luma.shape
    if min(left, top) >= 0 and right <= width and bottom <= height:
        return luma[top:bottom, left:right]
    return np.asarray(Image.fromarray(luma).crop(box))
