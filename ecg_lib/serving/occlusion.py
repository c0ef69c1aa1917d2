"""How much the answer for a page depends on each lead, by any network and without TensorFlow."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np


def softmax(logits: np.ndarray) -> np.ndarray:
    """Compute the probabilities of the classes, along the last axis, in double precision.

    SciPy's own is the same, and takes longer to import than a page takes to be answered.
    """
    logits = np.asarray(logits, float)
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shares / shares.sum(axis=-1, keepdims=True)


def paper(crops: np.ndarray) -> np.ndarray:
    """Remove the ink from the crops of a page: each becomes its own median grey level.

    Ink covers less than half of a crop, so the median is paper. White (0) or the mean of the
    training pages would be neutral as well, but of another paper than the page's, and a network
    that knows papers would respond to that: on real pages, white lowers the probability nearly
    twice as fast.

    Args:
        crops: array `(13, height, width)`, 0 to 255.

    Returns:
        Float32 array of the same shape.
    """
    levels = np.median(crops, axis=(1, 2), keepdims=True)
    return np.broadcast_to(levels, crops.shape).astype("float32")


def blanked(crops: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """Repeat a page with some of its crops replaced by paper.

    Args:
        crops: array `(13, height, width)`.
        gone: bool array `(rows, 13)`, True where a crop is replaced.

    Returns:
        Float32 array `(rows, 13, height, width)`.
    """
    return np.where(gone[..., np.newaxis, np.newaxis], paper(crops), np.float32(crops))


def lead_occlusion(
    logits: Callable[[np.ndarray], np.ndarray],
    crops: np.ndarray,
    class_index: int | None = None,
    temperature: float = 1.0,
) -> np.ndarray:
    """Measure by how much the probability of a class drops when the network cannot see a crop.

    It works for every network, since it only takes answers: for the page, and for the page without
    each of its 13 crops.

    Args:
        logits: a function from crops to logits, such as `keras.Model.predict_on_batch`.
        crops: array `(13, height, width)`, 0 to 255.
        class_index: place of the class among the logits; without it, the most probable class.
        temperature: what the logits are divided by.

    Returns:
        Float array `(13,)`, -1 to 1: positive where the crop speaks for the class.
    """
    gone = np.eye(len(crops) + 1, len(crops), -1, dtype=bool)
    complete, *without = softmax(logits(blanked(crops, gone)) / temperature)
    chosen = complete.argmax() if class_index is None else class_index
    return complete[chosen] - np.array(without)[:, chosen]


def paint(values: np.ndarray | Sequence, boxes: Sequence, page_size: tuple[int, ...]) -> np.ndarray:
    """Put values that belong to the crops back on the page.

    Args:
        values: one number per box, `(boxes,)`, or one map per box, `(boxes, height, width)`.
        boxes: boxes `(left, top, right, bottom)` in pixels of the rectified page, see
            `ecg_lib.pages.detection.rectify`.
        page_size: width and height of the rectified page, in pixels.

    Returns:
        Float32 array `(height, width)` of that page: each value fills its box, each map is
        stretched over it. 0 outside; the sum where boxes overlap.
    """
    width, height = page_size
    painted = np.zeros((height, width), np.float32)
    for value, (left, top, right, bottom) in zip(values, boxes, strict=True):
        size = (right - left, bottom - top)
        stretched = cv2.resize(
            np.atleast_2d(np.float32(value)), size, interpolation=cv2.INTER_NEAREST
        )
        # A published box may reach over the page's edge, or lie outside.
        first_x, last_x = np.clip([left, right], 0, width)
        first_y, last_y = np.clip([top, bottom], 0, height)
        painted[first_y:last_y, first_x:last_x] += stretched[
            first_y - top : last_y - top, first_x - left : last_x - left
        ]
    return painted
