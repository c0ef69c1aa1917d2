"""Text as masks, in every kind of font."""

import numpy as np
import pytest

from ecg_lib.drawing.letters import BUILT_IN, STROKES, draw_letters

every_font = pytest.mark.parametrize("font", ["DejaVuSans.ttf", "cmr10.ttf", BUILT_IN, STROKES])


@every_font
def test_capitals_are_as_tall_as_requested(font):
    for capital in (6, 13, 60):
        letters = draw_letters("aVF", font, capital)
        assert abs(len(letters.mask) - capital) <= 1 + 0.1 * capital
        assert abs(letters.below) <= 0.1 * capital


@every_font
def test_mask_is_cut_tightly_and_reaches_below_the_line(font):
    letters = draw_letters("ping", font, 30)
    assert letters.mask.any(axis=0)[[0, -1]].all() and letters.mask.any(axis=1)[[0, -1]].all()
    assert 4 < letters.below < 15


def test_letters_are_narrowed_and_fonts_differ():
    wide, narrow = (draw_letters("V1", "DejaVuSans.ttf", 20, width).mask for width in (1.0, 0.7))
    assert narrow.shape[1] == pytest.approx(0.7 * wide.shape[1], abs=1)
    assert narrow.shape[0] == wide.shape[0]
    other = draw_letters("V1", STROKES, 20).mask
    assert other.shape != wide.shape or np.any(other != wide)
