"""Decode a JPEG's grey levels, and notice damage that the decoder conceals.

libjpeg continues after damaged data: it fills the rest of the picture with grey or, in some
versions of OpenCV, with the picture that was decoded before. Its only sign is one line on the
standard error of the process. OpenCV lets this line pass and Pillow suppresses it, so OpenCV
decodes, while the standard error is redirected into a file.
"""

import re

import cv2
import numpy as np

from ecg_lib.pages.messages import collected, pass_on

_DAMAGE = re.compile(
    rb"^(?:Corrupt JPEG data|Premature end of JPEG|Inconsistent progression).*\n?", re.MULTILINE
)
"""Messages of libjpeg's `jerror.h` that mean wrong pixels. Others, such as the one about scan
parameters in pictures of Samsung's phones, do not."""

_BEFORE_PIXELS = re.compile(rb"extraneous bytes before marker 0x(?:c0|c2|db|e.|fe)")
"""Some cameras leave stray bytes between the segments of the header, where there are no pixels."""


def decode_jpeg(data: np.ndarray) -> tuple[np.ndarray | None, str | None]:
    """Decode a JPEG's luma as it is stored, whatever orientation its metadata give.

    Args:
        data: uint8 array, the bytes of the file.

    Returns:
        `(luma, damage)`: a uint8 array `(height, width)`, None if OpenCV cannot decode the file;
        and libjpeg's message about damaged data, None if there is none.
    """
    printed = bytearray()
    with collected(printed):
        luma = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
    damage = _DAMAGE.search(printed)
    pass_on(_DAMAGE.sub(b"", printed))
    if damage is None or _BEFORE_PIXELS.search(damage[0]):
        return luma, None
    return luma, damage[0].decode(errors="replace").strip()
