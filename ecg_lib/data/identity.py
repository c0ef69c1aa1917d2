"""Recognise a published page by what it shows, where the bytes of its file are not known.

A copy that was renamed has the bytes of the published file, which `find_pages` knows. A copy that
was saved again has other bytes: then the pixels tell, or, where those changed too, two perceptual
hashes. That of the whole page changes least when a page is saved again; that of the ECG alone
recognises a page under another header or banner, with other margins, and at another scale.
"""

import hashlib
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from ecg_lib.data.khan2021 import published_hashes
from ecg_lib.pages.leads import Box

HASH_SIDE = 32
"""The perceptual hash keeps this many frequencies each way, 1,024 bits. At 16 the published pages,
printed by one device, differ in as little as 2 of 256 bits: less than a copy from its original."""

MAX_PAGE_DISTANCE = 56
"""Maximum number of bits in which the hash of a whole page may differ from that of its copy:
copies saved at JPEG quality 30 to 95 or at half to nine tenths of the size differ in at most 44,
and two different pages in at least 72 (all 1,930 published pages)."""

MAX_ECG_DISTANCE = 130
"""The same for the hash of the ECG. Copies of 125 pages in other frames differ in at most 122 bits;
the two different pages that are most alike differ in 142, all others in at least 200.
`python -m benchmarks.identity` measures both."""

_OUTER_ROWS = 0.75
"""How far beyond the innermost row limits the hashed area reaches, as a share of a row's height.
Whole outer rows would reach into whatever is printed above and below; half rows differ less."""


def identify(luma: np.ndarray, rectified: np.ndarray, boxes: Sequence[Box]) -> dict[str, str]:
    """Find out which page this is.

    A page that is not one of the published ones is identified by its pixels alone, and is its own
    group: the pages of one device are alike, so that another kind of page might be taken for a
    copy although it is none.

    Args:
        luma: uint8 array `(height, width)`, the page in grey levels.
        rectified: uint8 array, the same page rectified.
        boxes: the boxes of its leads, in pixels of `rectified`.

    Returns:
        dict with page_id and group.
    """
    pixels = hash_pixels(luma)
    known, page_bits, ecg_bits = published_hashes()
    same = known[known["pixels"] == pixels]
    if same.empty:
        same = known.iloc[_nearest(page_bits, hash_page(luma), MAX_PAGE_DISTANCE)]
    if same.empty:
        same = known.iloc[_nearest(ecg_bits, hash_ecg(rectified, boxes), MAX_ECG_DISTANCE)]
    if len(same):
        return {name: str(same[name].iloc[0]) for name in ("page_id", "group")}
    return dict.fromkeys(("page_id", "group"), f"pixels:{pixels}")


def _nearest(known, bits, max_distance):
    """Place of the nearest of known hashes in a list, which is empty where none is near enough."""
    distances = np.count_nonzero(known != bits, axis=1)
    nearest = int(distances.argmin())
    return [nearest] if distances[nearest] <= max_distance else []


def hash_pixels(luma: np.ndarray) -> str:
    """Digest of a page's size and grey levels, 16 hexadecimal digits."""
    return hashlib.sha256(repr(luma.shape).encode() + luma.tobytes()).hexdigest()[:16]


def hash_page(luma: np.ndarray) -> np.ndarray:
    """Hash what a whole page looks like, coarsely.

    Args:
        luma: uint8 array `(height, width)`, a page in grey levels.

    Returns:
        bool array `(HASH_SIDE ** 2,)`.

    Reference:
        The pHash of the ImageHash library: signs of the low frequencies of a cosine transform.
    """
    import imagehash  # Here, since pages that are known by their bytes do not need it.

    return imagehash.phash(Image.fromarray(luma), HASH_SIDE).hash.ravel()


def hash_ecg(rectified: np.ndarray, boxes: Sequence[Box]) -> np.ndarray:
    """Hash what an ECG looks like, coarsely.

    Args:
        rectified: uint8 array `(height, width)`, a rectified page in grey levels.
        boxes: the boxes of its leads.

    Returns:
        bool array `(HASH_SIDE ** 2,)`.
    """
    return hash_page(_ecg_area(rectified, boxes))


def _ecg_area(rectified, boxes):
    """Cut out the ECG, between limits that neither the page's edges nor a header can move."""
    edges = np.array(boxes)
    left, right = int(edges[:, 0].min()), int(edges[:, 2].max())
    limits = np.unique(edges[:, [1, 3]])
    top, bottom = limits[[0, -1]]
    if len(limits) > 3:  # The outermost limits may be the page's edges.
        _, first, second, *_ = limits
        *_, last_but_one, last, _ = limits
        top = first - _OUTER_ROWS * (second - first)
        bottom = last + _OUTER_ROWS * (last - last_but_one)
    return _cut(rectified, left, round(float(top)), right, round(float(bottom)))


def _cut(page, left, top, right, bottom):
    """Cut out a part of a page, with white paper where it reaches beyond the page."""
    height, width = page.shape
    beyond = [max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0)]
    padded = cv2.copyMakeBorder(page, *beyond, cv2.BORDER_CONSTANT, value=255)
    return padded[top + beyond[0] : bottom + beyond[0], left + beyond[2] : right + beyond[2]]
