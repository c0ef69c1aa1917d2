"""Recognise a page by what it shows, where the bytes of its file do not say which page it is.

A copy of a published page that was renamed has the bytes of the published file, which `find_pages`
knows. A copy that was saved again has other bytes: then the pixels tell, or, where those changed
too, two perceptual hashes. That of the whole page changes least when a page is saved again; that of
the ECG alone recognises a page under another header or banner, with other margins, and at another
scale. Pages of other origin are compared with each other, by the hash of the whole page alone.
"""

import hashlib
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image
from scipy.sparse import csr_array, vstack
from scipy.sparse.csgraph import connected_components

from ecg_lib.data.khan2021 import bits_of_hashes, published_hashes
from ecg_lib.pages.leads import Box

HASH_SIDE = 32
"""The perceptual hash keeps this many frequencies each way, 1,024 bits. At 16 the published pages,
printed by one device, differ in as little as 2 of 256 bits: less than a copy from its original."""

MAX_PAGE_DISTANCE = 56
"""Maximum number of bits in which the hash of a whole page may differ from that of its copy:
copies saved at JPEG quality 30 to 95 or at half to nine tenths of the size differ in at most 44,
and two different pages in at least 72 (all 1,930 published pages), drawn ones of one style in at
least 126."""

MAX_ECG_DISTANCE = 130
"""The same for the hash of the ECG. Copies of 125 pages in other frames differ in at most 122 bits;
the two different pages that are most alike differ in 142, all others in at least 200.
`python -m benchmarks.identity` measures both."""

_OUTER_ROWS = 0.75
"""How far beyond the innermost row limits the hashed area reaches, as a share of a row's height.
Whole outer rows would reach into whatever is printed above and below; half rows differ less."""

_BLOCK = 512
"""So many pages are compared with all others at a time, which bounds the memory."""


def identify(luma: np.ndarray, rectified: np.ndarray, boxes: Sequence[Box]) -> dict[str, str]:
    """Find out which page this is.

    A page that is not one of the published ones is named after its pixels. Its hash comes along,
    so that `number_pages` can compare it with others of its kind.

    Args:
        luma: uint8 array `(height, width)`, the page in grey levels.
        rectified: uint8 array, the same page rectified.
        boxes: the boxes of its leads, in pixels of `rectified`.

    Returns:
        dict with page_id, group and, unless it is a published page, hash (hexadecimal).
    """
    pixels = hash_pixels(luma)
    known, page_bits, ecg_bits = published_hashes()
    same = known[known["pixels"] == pixels]
    if same.empty:
        bits = hash_page(luma)
        same = known.iloc[_nearest(page_bits, bits, MAX_PAGE_DISTANCE)]
    if same.empty:
        same = known.iloc[_nearest(ecg_bits, hash_ecg(rectified, boxes), MAX_ECG_DISTANCE)]
    if len(same):
        return {name: str(same[name].iloc[0]) for name in ("page_id", "group")}
    names = dict.fromkeys(("page_id", "group"), f"pixels:{pixels}")
    return names | {"hash": hash_text(bits)}


def number_pages(hashes: Sequence[str]) -> np.ndarray:
    """Number pages by their hashes, so that a page and its copies have one number.

    The copy of a copy is a copy. Ten thousand pages take some seconds.

    Args:
        hashes: the hash of each page, as `identify` returns it.

    Returns:
        int array, one number per page.
    """
    ones = bits_of_hashes(hashes).astype(np.float32)
    counts = ones.sum(axis=1)
    near = []
    for start in range(0, len(ones), _BLOCK):
        block = slice(start, start + _BLOCK)
        # Exact: float32 holds these counts, and a product of matrices is the fastest way to them.
        distances = counts[block, None] + counts - 2 * ones[block] @ ones.T
        near.append(csr_array(distances <= MAX_PAGE_DISTANCE))
    return connected_components(vstack(near), directed=False)[1]


def _nearest(known, bits, max_distance):
    """Place of the nearest of known hashes in a list, which is empty where none is near enough."""
    distances = np.count_nonzero(known != bits, axis=1)
    nearest = int(distances.argmin())
    return [nearest] if distances[nearest] <= max_distance else []


def hash_text(bits: np.ndarray) -> str:
    """Write the bits of a hash as a hexadecimal number."""
    return np.packbits(bits).tobytes().hex()


def hash_pixels(luma: np.ndarray) -> str:
    """Digest a page's size and grey levels in 16 hexadecimal digits."""
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
