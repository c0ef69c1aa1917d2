"""The scale of pages: the grid's millimetre, paper speed and gain."""

import cv2
import numpy as np
import pytest

from ecg_lib.drawing.simulation import RATE, simulate
from ecg_lib.drawing.styled_page import draw_styled
from ecg_lib.drawing.styles import Style
from ecg_lib.pages.detection import detect
from ecg_lib.pages.detection.scale import grid_steps


def drawn_page(seconds=10.0, **style):
    """A page of three rows and four columns, as grey levels."""
    signals = simulate("normal", np.random.default_rng(4), seconds=12.0)
    style = Style(column_seconds=seconds / 4, **style)
    page = draw_styled(signals, RATE, "standard_3x4_with_rhythm", style)
    return np.asarray(page.image.convert("L"))


@pytest.mark.parametrize("grid", ["lines", "coarse", "dots and lines"])
@pytest.mark.parametrize("px_per_mm", [3.3, 5.7, 11.8])
def test_millimetre_of_any_grid_is_measured(grid, px_per_mm):
    found = detect(drawn_page(px_per_mm=px_per_mm, grid=grid, pulses="none"))
    assert found.mm_per_pixel == pytest.approx(1 / px_per_mm, rel=0.01)
    assert found.mm_per_second is None
    assert found.mm_per_mv is None


@pytest.mark.parametrize(
    ("mm_per_second", "mm_per_mv"), [(25.0, 10.0), (50.0, 10.0), (25.0, 5.0), (25.0, 20.0)]
)
def test_speed_and_gain_are_read_off_the_pulses(mm_per_second, mm_per_mv):
    page = drawn_page(
        seconds=250 / mm_per_second,
        mm_per_second=mm_per_second,
        mm_per_mv=mm_per_mv,
        row_mm=3 * mm_per_mv + 8,
    )
    found = detect(page)
    assert found.mm_per_pixel == pytest.approx(1 / 6, rel=0.01)
    assert found.mm_per_second == mm_per_second
    assert found.mm_per_mv == mm_per_mv


def test_photograph_has_the_scale_of_its_rectified_page():
    page = drawn_page(px_per_mm=6.0)
    height, width = page.shape
    corners = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    seen = np.float32([[0.04, 0.02], [0.97, 0.05], [0.94, 0.95], [0.02, 0.97]]) * [width, height]
    homography = cv2.getPerspectiveTransform(corners, seen.astype(np.float32))
    found = detect(cv2.warpPerspective(page, homography, (width, height), borderValue=230))
    assert not found.flat
    length = found.boxes[12].width  # of the rhythm strip: ten seconds
    assert found.mm_per_pixel * length == pytest.approx(250, rel=0.03)
    assert (found.mm_per_second, found.mm_per_mv) == (25.0, 10.0)


def test_usual_pulses_tell_the_scale_without_a_grid():
    found = detect(drawn_page(grid="none"))
    assert found.mm_per_pixel == pytest.approx(1 / 6, rel=0.07)
    assert (found.mm_per_second, found.mm_per_mv) == (25.0, 10.0)


def test_nothing_is_claimed_without_grid_and_pulses():
    found = detect(drawn_page(grid="none", pulses="none"))
    assert (found.mm_per_pixel, found.mm_per_second, found.mm_per_mv) == (None, None, None)


def test_noise_has_no_millimetre():
    noise = np.random.default_rng(0).integers(200, 256, (700, 1000), dtype=np.uint8)
    assert grid_steps(noise, 900.0) is None
    assert grid_steps(noise[:50], 900.0) is None


@pytest.mark.parametrize("layout", ["standard_3x4_with_rhythm", "standard_6x2"])
def test_published_layouts_have_the_usual_scale(drawn, layout):
    found = detect(drawn[layout][0])
    assert (found.mm_per_second, found.mm_per_mv) == (25.0, 10.0)
    assert found.mm_per_pixel is not None
