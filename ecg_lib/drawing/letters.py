"""Text as masks of letters, in any font that every machine has."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

STROKES, BUILT_IN = "strokes", "built-in"
"""The strokes of plotters, which OpenCV draws, and the font inside Pillow."""

SIZE = 64
"""Size of the letters before they are scaled, in pixels from one line to the next."""


@dataclass(frozen=True)
class Letters:
    """A text in one line, tightly cut.

    Attributes:
        mask: uint8 array (height, width), 255 on letters.
        capital: height of a capital, in pixels.
        below: how far the mask reaches below the line on which the letters stand, in pixels.
    """

    mask: np.ndarray
    capital: float
    below: float


def draw_letters(text: str, font: str, capital: float, width: float = 1.0) -> Letters:
    """Draw a text.

    Args:
        text: one line, with at least one visible letter.
        font: file name of a font that matplotlib ships, `STROKES` or `BUILT_IN`.
        capital: height of a capital, in pixels.
        width: of the letters, as a share of the font's own.
    """
    drawn = _drawn(text, font)
    scale = capital / drawn.capital
    height, length = drawn.mask.shape
    size = max(round(length * scale * width), 2), max(round(height * scale), 2)
    mask = cv2.resize(drawn.mask, size, interpolation=cv2.INTER_AREA)
    return Letters(mask, capital, drawn.below * scale)


@lru_cache(maxsize=4000)
def _drawn(text, font):
    """Draw a text at the font's own proportions, capitals as tall as the font has them."""
    foot = 2 * SIZE
    if font == STROKES:
        scale, pen = SIZE / 42, 2
        (length, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, pen)
        (_, capital), _ = cv2.getTextSize("I", cv2.FONT_HERSHEY_SIMPLEX, scale, pen)
        canvas = np.zeros((3 * SIZE, length + SIZE), np.uint8)
        at = (SIZE // 2, foot)
        cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, pen, cv2.LINE_AA)
    else:
        face = ImageFont.load_default(SIZE) if font == BUILT_IN else load_font(font, SIZE)
        capital = -face.getbbox("I", anchor="ls")[1]
        image = Image.new("L", (round(face.getlength(text)) + SIZE, 3 * SIZE))
        ImageDraw.Draw(image).text((SIZE // 2, foot), text, fill=255, font=face, anchor="ls")
        canvas = np.asarray(image)
    rows, columns = (np.flatnonzero(canvas.any(axis=axis)) for axis in (1, 0))
    tight = canvas[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Letters(tight, capital, rows[-1] + 1 - foot)


@lru_cache
def load_font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """Load a font that matplotlib ships, so that pages are the same on any machine."""
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
