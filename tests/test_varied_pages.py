"""Pages in all layouts, styles and situations, and the truth beside them."""

import cv2
import numpy as np
import pytest

from ecg_lib.drawing.photographs import SITUATIONS, moved
from ecg_lib.drawing.simulation import RATE, simulate
from ecg_lib.drawing.styled_page import draw_styled
from ecg_lib.drawing.styles import Style
from ecg_lib.drawing.varied_pages import draw_varied

SIGNALS = simulate("normal", np.random.default_rng(0))
STYLE = Style(px_per_mm=3, pulses="right", header=(("ID: 1",),), footer="25 mm/s")
LAYOUT = "cabrera_3x4_with_two_rhythm_strips"


def darkness(image):
    luma = image.mean(axis=2)
    return cv2.blur(luma, (80, 80)) - cv2.blur(luma, (5, 5))


def test_untouched_page_is_the_drawn_one():
    rng = np.random.default_rng(0)
    drawn = draw_varied(SIGNALS, RATE, LAYOUT, "untouched", rng, STYLE)
    page = draw_styled(SIGNALS, RATE, LAYOUT, STYLE)
    assert np.array_equal(drawn.image, page.image)
    assert [(*corners[0], *corners[2]) for corners in drawn.corners] == list(page.boxes)
    assert np.array_equal(drawn.homography, np.eye(3))


@pytest.mark.parametrize("situation", SITUATIONS)
def test_homography_leads_back_to_the_drawn_page(situation):
    page = np.asarray(draw_styled(SIGNALS, RATE, LAYOUT, STYLE).image)
    for seed in range(2):
        rng = np.random.default_rng(seed)
        drawn = draw_varied(SIGNALS, RATE, LAYOUT, situation, rng, STYLE)
        back = cv2.warpPerspective(drawn.image, np.linalg.inv(drawn.homography), page.shape[1::-1])
        inside = (slice(30, -30), slice(45, -45))
        pair = darkness(page)[inside], darkness(back)[inside]
        assert np.corrcoef(*map(np.ravel, pair))[0, 1] > 0.8


def test_leads_stay_whole_and_pulses_are_sometimes_cut():
    rng = np.random.default_rng(0)
    cut = 0
    for _ in range(12):
        drawn = draw_varied(SIGNALS, RATE, LAYOUT, "photograph", rng, STYLE)
        height, width = drawn.image.shape[:2]
        leads, pulses = moved([drawn.page.traces, drawn.page.traces_and_pulses], drawn.homography)
        assert (leads > -0.01).all() and (leads < (width + 0.01, height + 0.01)).all()
        cut += bool((pulses > (width + 0.01, height + 0.01)).any())
    assert 0 < cut < 12


def test_styles_are_random_where_none_is_given():
    drawn = [
        draw_varied(SIGNALS, RATE, layout, "untouched", np.random.default_rng(seed))
        for seed, layout in enumerate(("standard_3x4", "cabrera_12x1"))
    ]
    assert [one.page.layout.name for one in drawn] == ["standard_3x4", "cabrera_12x1"]
    assert drawn[0].page.style != drawn[1].page.style
