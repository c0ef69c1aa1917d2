"""Check the tags of a MATLAB file of version 5 to 7 before scipy reads it.

scipy takes a data element's type for an index without looking: a damaged one ends the process.

Reference:
    MathWorks, *MAT-File Format*, chapter 1: data elements and their tags.
"""

import struct
import zlib
from pathlib import Path

from ecg_lib.drawing.formats.raw import MAX_NUMBERS
from ecg_lib.errors import InputError

_HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15
_TYPES = {1, 2, 3, 4, 5, 6, 7, 9, 12, 13, _MATRIX, _COMPRESSED, 16, 17, 18}
_MAX_DEPTH = 50


def refuse_damaged_tags(file: Path) -> None:
    """Raise an `InputError` if an element has an unknown type or is longer than its surroundings.

    A file of another version is left to the library that reads it.
    """
    raw = file.read_bytes()
    if raw[124:128] not in (b"\x00\x01IM", b"\x01\x00MI"):
        return
    order = "<" if raw[126:128] == b"IM" else ">"
    if not _is_sound(memoryview(raw)[_HEADER_BYTES:], order, depth=0):
        raise InputError(f"{file} cannot be read as MAT: it is damaged or cut off")


def _is_sound(data, order, depth):
    """Whether data are a row of elements, each of a known type and whole."""
    place = 0
    while place + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, place)
        if kind >> 16:  # A small element: type, size and up to four bytes of data in eight.
            kind, size, start, padded = kind & 0xFFFF, kind >> 16, place + 4, 4
        else:
            start, padded = place + 8, size if kind == _COMPRESSED else size + -size % 8
        inside = data[start : start + size]
        if kind not in _TYPES or len(inside) != size or depth > _MAX_DEPTH or size > padded:
            return False
        if kind == _MATRIX and not _is_sound(inside, order, depth + 1):
            return False
        if kind == _COMPRESSED and not _is_sound_inside(inside, order, depth):
            return False
        place = start + padded
    return place >= len(data)


def _is_sound_inside(data, order, depth):
    try:
        unpacked = zlib.decompressobj().decompress(bytes(data), 8 * MAX_NUMBERS)
    except zlib.error:
        return False
    return _is_sound(memoryview(unpacked), order, depth + 1)
