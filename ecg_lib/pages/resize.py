"""Pillow's bicubic resize of many crops, to the byte, in half of Pillow's time.

Pillow adds up grey levels times weights in whole numbers, along the rows, then along the columns,
and rounds after each. The sums are products of matrices, and numbers of so few digits are exact in
float64, in whatever order they are added: so the fastest product there is gives the same bytes.
"""

import math
from functools import lru_cache

import numpy as np

_PRECISION = 22
"""Weights are whole multiples of 2 ** -22: Pillow has 32 bits for sums of 8-bit levels, and leaves
two for weights beyond 1."""

_SUPPORT = 2
"""A bicubic weight reaches this far, in pixels of the coarser of the two images."""

_BLOCK = 4
"""As many pixels a side are one product. With more, ever more weights are 0; and a page's products
stay too small to be shared among threads, which would take longer."""


def resize(crops, size):
    """Resize crops to squares, as `PIL.Image.Image.resize` does it with `BICUBIC`.

    Args:
        crops: uint8 arrays `(height, width)`, of any sizes.
        size: height and width of the result, in pixels.

    Returns:
        uint8 array `(len(crops), size, size)`, equal to Pillow's to the byte.

    Reference:
        `Resample.c` of Pillow 11, `precompute_coeffs` and `normalize_coeffs_8bpc`.
    """
    resized = np.empty((len(crops), size, size))
    for crop, sums in zip(crops, resized, strict=True):
        height, width = crop.shape
        levels = crop.astype(float)
        narrow = np.empty((height, size))
        for block, reached, weights in _weights(width, size):
            np.matmul(levels[:, reached], weights.T, out=narrow[:, block])
        _round(narrow)
        for block, reached, weights in _weights(height, size):
            np.matmul(weights, narrow[reached], out=sums[block])
    _round(resized)
    return resized.astype(np.uint8)


def _round(levels):
    """To whole grey levels, in place; halves upwards."""
    levels += 0.5
    np.floor(levels, out=levels)
    np.clip(levels, 0, 255, out=levels)


@lru_cache(256)
def _weights(length, size):
    """How `length` pixels make up `size` pixels.

    Returns:
        A list with, for each block of the result: the slice of its pixels, the slice of those that
        have a part in them, and their weights, a float64 array of as many rows and columns.
    """
    scale = length / size
    stretch = max(scale, 1)
    centres = (np.arange(size)[:, None] + 0.5) * scale
    first = np.maximum((centres - _SUPPORT * stretch + 0.5).astype(int), 0)
    end = np.minimum((centres + _SUPPORT * stretch + 0.5).astype(int), length)
    at = first + np.arange(2 * math.ceil(_SUPPORT * stretch) + 1)
    shares = _bicubic(np.abs((at - centres + 0.5) * (1 / stretch)))
    shares[at >= end] = 0
    # A cumulated sum adds one by one, as Pillow does; numpy's sum does not.
    shares /= np.cumsum(shares, axis=1)[:, -1:]
    shares = np.trunc(shares * 2**_PRECISION + np.copysign(0.5, shares)) / 2**_PRECISION
    weights = np.zeros((size, at.max() + 1))
    np.put_along_axis(weights, at, shares, axis=1)
    blocks = [slice(start, start + _BLOCK) for start in range(0, size, _BLOCK)]
    reached = [slice(first[block].min(), end[block].max()) for block in blocks]
    # Copies: a view would keep all the zeros in memory.
    return [
        (block, of_block, np.copy(weights[block, of_block]))
        for block, of_block in zip(blocks, reached, strict=True)
    ]


def _bicubic(distance):
    """The cubic convolution of Keys (1981) with a = -1/2."""
    near = (1.5 * distance - 2.5) * distance * distance + 1
    far = (((distance - 5) * distance + 8) * distance - 4) * -0.5
    return np.where(distance < 1, near, np.where(distance < _SUPPORT, far, 0))
