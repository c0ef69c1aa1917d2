"""Effects on drawn pages, and whether the truth stays true under them."""

import cv2
import numpy as np
import pytest

from ecg_lib.drawing import photographs
from ecg_lib.drawing.photographs import SITUATIONS, moved, photograph
from ecg_lib.errors import InputError
from ecg_lib.pages.leads import Box

KEEP = Box(60, 50, 540, 330)
SPOTS = [Box(x, y, x + 12, y + 12) for x in (60, 294, 528) for y in (50, 184, 318)]
"""Black squares on the page; the outermost lie in the corners of `KEEP`."""

in_place = pytest.mark.parametrize(
    "effect",
    [
        photographs.folded,
        photographs.crumpled,
        photographs.stained,
        photographs.written_on,
        photographs.printed,
        photographs.shaded,
        photographs.tinted,
        photographs.blurred,
        photographs.noisy,
        photographs.on_screen,
        photographs.compressed,
    ],
    ids=lambda effect: effect.__name__,
)


@pytest.fixture
def page():
    """A light page with a coloured frame and black squares."""
    image = np.full((400, 600, 3), (250, 240, 235), np.uint8)
    image[:4] = image[-4:] = image[:, :4] = image[:, -4:] = (200, 60, 60)
    for spot in SPOTS:
        image[spot.top : spot.bottom, spot.left : spot.right] = 0
    return image


def centre_of_darkness(image, x, y, radius):
    """Centroid of the darkness around a place, in positions from the corner."""
    left, top = max(round(x - radius), 0), max(round(y - radius), 0)
    part = image[top : round(y + radius), left : round(x + radius), 0]
    darkness = part.max() - part.astype(float)
    rows, columns = np.indices(part.shape)
    x, y = np.average(columns, weights=darkness), np.average(rows, weights=darkness)
    return left + x + 0.5, top + y + 0.5


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("effect", ["held", "laid", "resized"])
def test_homography_is_exact(page, effect, seed):
    rng = np.random.default_rng(seed)
    keep = () if effect == "resized" else (KEEP,)
    changed, homography = getattr(photographs, effect)(page, rng, *keep)
    assert not np.array_equal(homography, np.eye(3))
    for corners in moved(SPOTS, homography):
        expected = corners.mean(axis=0)
        found = centre_of_darkness(changed, *expected, radius=14)
        assert np.abs(np.subtract(found, expected)).max() < 0.15, (found, expected)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_truth_holds_in_every_situation(page, situation):
    for seed in range(6):
        changed, homography = photograph(page, KEEP, situation, np.random.default_rng(seed))
        height, width = changed.shape[:2]
        assert changed.dtype == np.uint8 and changed.shape[2] == 3
        assert (moved([KEEP], homography) > -0.01).all()
        assert (moved([KEEP], homography) < (width + 0.01, height + 0.01)).all()
        for spot in moved(SPOTS, homography):
            inside = np.zeros((height, width), np.uint8)
            cv2.fillConvexPoly(inside, np.round(spot).astype(int), 1)
            around = cv2.dilate(inside, np.ones((15, 15))) - cv2.dilate(inside, np.ones((7, 7)))
            luma = changed.mean(axis=2)
            assert luma[inside > 0].mean() < 0.6 * np.median(luma[around > 0])


@in_place
def test_light_changes_but_nothing_moves(page, effect):
    changed, homography = effect(page, np.random.default_rng(1))
    again, _ = effect(page, np.random.default_rng(1))
    other, _ = effect(page, np.random.default_rng(2))
    assert np.array_equal(homography, np.eye(3))
    assert changed.shape == page.shape and changed.dtype == np.uint8
    assert np.array_equal(changed, again)
    assert not np.array_equal(changed, page) and not np.array_equal(changed, other)


def test_effects_leave_the_given_page_alone(page):
    before = page.copy()
    for situation in SITUATIONS:
        photograph(page, KEEP, situation, np.random.default_rng(0))
    assert np.array_equal(page, before)


def test_printed_page_has_no_colour(page):
    changed, _ = photographs.printed(page, np.random.default_rng(0))
    assert (np.ptp(changed, axis=2) == 0).all()


def test_unknown_situation_names_the_valid_ones(page):
    with pytest.raises(InputError, match="photograph"):
        photograph(page, KEEP, "fax", np.random.default_rng(0))
