"""Recognise a page by what it shows, where the bytes of its file are not known.

A copy that was renamed has the bytes of the published file, which `find_pages` knows. What was
saved again has others: then the pixels tell, or, where those changed too, a perceptual hash.
"""

import hashlib

import numpy as np
from PIL import Image

from ecg_lib.data.khan2021 import published_hashes

HASH_SIDE = 32
"""The perceptual hash keeps this many frequencies each way, 1,024 bits. At 16 the published pages,
printed by one device, differ in as little as 2 of 256 bits: less than a copy from its original."""


MAX_DISTANCE = 56
"""Most bits in which a copy may differ. Measured on the published pages: copies saved at JPEG
quality 30 to 95 or at half to nine tenths of the size differ in 44 bits at most (150 pages), two
different ECGs in 72 at least (all 1,930 pages)."""


def identify(luma):
    """Which page this is.

    A page that is not one of the published ones is identified by its pixels alone, and is its own
    group: the pages of one device are alike, so that another kind of page might be taken for a
    copy although it is none.

    Args:
        luma: uint8 array `(height, width)`, the page in grey levels.

    Returns:
        dict with page_id and group.
    """
    pixels = hash_pixels(luma)
    known, bits = published_hashes()
    found = np.flatnonzero(known["pixels"] == pixels)
    if not found.size:
        distances = np.count_nonzero(bits != perceptual_hash(luma), axis=1)
        nearest = distances.argmin()
        found = [nearest] if distances[nearest] <= MAX_DISTANCE else []
    if len(found):
        return known.loc[found[0], ["page_id", "group"]].to_dict()
    return dict.fromkeys(("page_id", "group"), f"pixels:{pixels}")


def hash_pixels(luma):
    """Digest of a page's size and grey levels, 16 hexadecimal digits."""
    return hashlib.sha256(repr(luma.shape).encode() + luma.tobytes()).hexdigest()[:16]


def perceptual_hash(luma):
    """What a page looks like, coarsely: bool array `(HASH_SIDE ** 2,)`.

    Reference:
        The pHash of the ImageHash library: signs of the low frequencies of a cosine transform.
    """
    import imagehash  # here, since no other page needs it

    return imagehash.phash(Image.fromarray(luma), HASH_SIDE).hash.ravel()
